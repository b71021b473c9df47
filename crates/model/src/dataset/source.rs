//! Where the pixels of a measurement are.

use std::fmt;

use datacube_geo::GeoBox;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::State;
use crate::Number;
use crate::document::{Node, Problem, ProblemKind};
use crate::product::Product;

/// A part of a file that has several: a sub-dataset by name, or by number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Layer {
    /// A sub-dataset, as in netCDF and HDF.
    Name(String),
    /// A band, from 1.
    Band(u32),
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Name(name) => f.write_str(name),
            Layer::Band(band) => write!(f, "{band}"),
        }
    }
}

/// A measurement as the document of a dataset has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MeasurementPath {
    /// Path or uri of the file; empty for the file that the dataset's location is.
    pub path: String,
    /// Band in the file, from 1.
    pub band: Option<u32>,
    /// Part of the file.
    pub layer: Option<Layer>,
    /// The grid, where it is not `default`.
    pub grid: Option<String>,
}

impl MeasurementPath {
    /// The name of the grid.
    pub fn grid_name(&self) -> &str {
        self.grid.as_deref().unwrap_or("default")
    }

    /// Band and sub-dataset: a `layer` that is a number is a band.
    ///
    /// # Source
    /// datacube-core, `datacube/storage/_base.py` (`_get_band_and_layer`).
    pub(super) fn address(&self) -> (Option<u32>, Option<String>) {
        match (&self.layer, self.band) {
            (Some(Layer::Band(layer)), None) => (Some(*layer), None),
            (Some(Layer::Name(name)), band) => (band, Some(name.clone())),
            (_, band) => (band, None),
        }
    }
}

/// Where the pixels of a measurement are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MeasurementSource {
    /// The file.
    pub uri: String,
    /// The same file at the dataset's other active locations.
    pub alternatives: Vec<String>,
    /// Band in the file, from 1; `None` where the document does not say, which
    /// means the first.
    pub band: Option<u32>,
    /// Sub-dataset of the file.
    pub layer: Option<String>,
    /// The grid that the document gives; what the file says goes before it.
    /// `None` where the document names a grid that it does not have.
    pub grid: Option<GeoBox>,
}

/// Reads `measurements`, and looks whether all of the product are there.
pub(super) fn read(
    document: &Node<'_>,
    grids: &[&str],
    product: &Product,
    state: State,
) -> Option<IndexMap<String, MeasurementPath>> {
    let wanted = product
        .measurements()
        .values()
        .filter(|measurement| measurement.extra_dim.is_none());
    let node = match document
        .get("measurements")
        .filter(|node| !node.value.is_null())
    {
        Some(node) => node,
        None if state == State::Indexed || wanted.clone().next().is_none() => {
            return Some(IndexMap::new());
        }
        None => document.require("measurements", "the measurements of the dataset")?,
    };
    let n_measurements = node.map()?.len();
    let found: IndexMap<String, MeasurementPath> = node
        .entries()
        .filter_map(|(name, node)| Some((name.to_owned(), measurement(&node, grids)?)))
        .collect();
    let names: Vec<&str> = node.entries().map(|(name, _)| name).collect();
    for measurement in wanted.filter(|measurement| !names.contains(&measurement.name.as_str())) {
        let expected = format!(
            "measurement `{}`, which product `{}` has",
            measurement.name,
            product.name()
        );
        let path = node.path.key(&measurement.name);
        let problem = Problem::new(path, ProblemKind::Missing, expected)
            .near(&measurement.name, names.iter().copied());
        match state {
            State::New => document.report().problem(problem),
            State::Indexed => document.report().warning(problem),
        }
    }
    (found.len() == n_measurements).then_some(found)
}

fn measurement(node: &Node<'_>, grids: &[&str]) -> Option<MeasurementPath> {
    node.map()?;
    let path = node
        .require(
            "path",
            "the path of the file, relative to the document, or its uri",
        )
        .and_then(|node| node.string().map(str::to_owned));
    let some = |key: &str| node.get(key).filter(|node| !node.value.is_null());
    let band = some("band").map(|node| band(&node));
    let layer = some("layer").map(|node| match node.value {
        Value::String(name) => Some(Layer::Name(name.clone())),
        Value::Number(_) => band_number(&node).map(Layer::Band),
        _ => {
            node.fault(
                ProblemKind::WrongType,
                "the name of a sub-dataset, or a band from 1",
            );
            None
        }
    });
    if let (Some(_), Some(Some(Layer::Band(_)))) = (&band, &layer) {
        let node = some("layer").expect("it was just read");
        node.fault(
            ProblemKind::Conflict,
            "the name of a sub-dataset, as `band` gives the band",
        );
    }
    let grid = some("grid").map(|node| {
        let name = node.string()?;
        if !grids.contains(&name) {
            // There are such documents in use; the file itself says what its grid is.
            let known = if grids.is_empty() {
                "there are none".to_owned()
            } else {
                grids.join(", ")
            };
            let problem = node.problem(
                ProblemKind::UnknownName,
                format!("one of the `grids` ({known})"),
            );
            node.report()
                .warning(problem.near(name, grids.iter().copied()));
        }
        Some(name.to_owned())
    });
    // An inner `None` is a value that is wrong, an outer one a value that is absent.
    let (band, layer, grid) = (
        band.map_or(Some(None), wrap),
        layer.map_or(Some(None), wrap),
        grid.map_or(Some(None), wrap),
    );
    Some(MeasurementPath {
        path: path?,
        band: band?,
        layer: layer?,
        grid: grid?,
    })
}

fn wrap<T>(value: Option<T>) -> Option<Option<T>> {
    value.map(Some)
}

fn band(node: &Node<'_>) -> Option<u32> {
    node.number()?;
    band_number(node)
}

fn band_number(node: &Node<'_>) -> Option<u32> {
    let band = match crate::document::number_of(node.value) {
        Some(Number::Int(value)) => u32::try_from(value).ok().filter(|band| *band > 0),
        _ => None,
    };
    if band.is_none() {
        node.fault(ProblemKind::BadValue, "a band from 1");
    }
    band
}
