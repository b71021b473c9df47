//! An archive as a cube: dimensions, coordinates, attributes, chunks, and what is
//! done to pixels once they are read.

use std::sync::Arc;

use datacube_compute::{Attrs, ChunkSize, Chunks, Coord, Cube, DataArray};
use datacube_load::{Archive, Loader};
use datacube_model::{ExtraDimension, Number};
use jiff::Timestamp;

use super::bands::Variable;
use super::entry::Entry;
use super::properties::along_time;
use crate::coords::{GRID_MAPPING, cube_coords};
use crate::group::Group;
use crate::load_options::LoadOptions;
use crate::source::LoadSource;
use crate::{Error, Result};

/// Pixels along a side of a chunk of a load that is read at once, so that one
/// large time step keeps all cores busy.
const EAGER_CHUNK: usize = 2048;

/// The cube: `[time, y, x]`, or `[time, extra, y, x]`.
pub(super) fn build(
    archive: &Archive,
    entries: &[Entry],
    groups: &[Group],
    variables: &[Variable<'_>],
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Cube> {
    let geobox = archive.geobox();
    let times: Vec<Timestamp> = groups.iter().map(|group| group.label).collect();
    let mut coords = cube_coords(geobox, &times)?;
    let time = Coord::timestamps("time", times)?;
    let properties = along_time(&options.with_properties, entries, groups, &time)?;
    for (name, coord) in properties.coords {
        coords.insert(name, coord);
    }
    let [y, x] = geobox.dimensions();
    let extra_dims: Vec<&str> = variables
        .iter()
        .filter_map(|variable| Some(variable.extra.as_ref()?.0.name.as_str()))
        .collect();
    let chunks = resolve_chunks(options.chunks.as_ref(), [y, x], &extra_dims)?;
    let crs = geobox.crs().map(|crs| crs.as_str().to_owned());

    let mut arrays = Vec::with_capacity(variables.len());
    let mut first_band = 0;
    for variable in variables {
        let bands: Vec<usize> = (first_band..first_band + variable.n_bands()).collect();
        first_band += bands.len();
        let (source, dims, coords) = match &variable.extra {
            None => (
                LoadSource::new(archive, bands[0], loader.clone())?,
                vec!["time", y, x],
                coords.clone(),
            ),
            Some((dimension, positions)) => {
                let coord = extra_coord(dimension, positions);
                (
                    LoadSource::with_extra_dimension(archive, &bands, loader.clone())?,
                    vec!["time", dimension.name.as_str(), y, x],
                    coords.clone().with(dimension.name.as_str(), coord),
                )
            }
        };
        let array = DataArray::from_source(
            variable.name.as_str(),
            &dims,
            coords,
            attributes(variable, crs.as_deref()),
            Arc::new(source),
            &own_chunks(&chunks, &dims),
        )?;
        arrays.push((variable.name.clone(), array));
    }
    for (name, array) in properties.variables {
        if arrays.iter().any(|(known, _)| *known == name) {
            return Err(Error::Option {
                option: "with_properties",
                problem: format!("`{name}` is a measurement that is loaded too"),
            });
        }
        arrays.push((name, array));
    }
    let mut attrs = Attrs::new();
    if let Some(crs) = crs {
        attrs.insert("crs", crs);
        attrs.insert("grid_mapping", GRID_MAPPING);
    }
    Ok(Cube::new(arrays)?.with_attrs(attrs))
}

/// What the variable carries: the measurement's attributes, and where it lies.
fn attributes(variable: &Variable<'_>, crs: Option<&str>) -> Attrs {
    let mut attrs = Attrs::new();
    for (name, value) in variable.measurement.attributes() {
        attrs.insert(name, value);
    }
    // By these a spectral index finds its bands: a product may call red `band04`,
    // and so may who asks.
    let measurement = variable.measurement;
    let others: Vec<String> = std::iter::once(&measurement.name)
        .chain(&measurement.aliases)
        .filter(|name| **name != variable.name)
        .cloned()
        .collect();
    if !others.is_empty() {
        attrs.insert("aliases", others);
    }
    if variable.scaled {
        for name in ["scale_factor", "add_offset", "flags_definition"] {
            attrs.remove(name);
        }
    }
    if variable.params.nodata != variable.measurement.nodata {
        match variable.params.nodata {
            Some(nodata) => attrs.set_nodata(nodata),
            None => drop(attrs.remove("nodata")),
        }
    }
    if let Some(crs) = crs {
        attrs.insert("crs", crs.to_owned());
        attrs.insert("grid_mapping", GRID_MAPPING);
    }
    attrs
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "whole numbers below 2^63, as the product's document states them"
)]
fn extra_coord(dimension: &ExtraDimension, positions: &[usize]) -> Coord {
    let values = positions.iter().map(|&position| dimension.values[position]);
    let name = dimension.name.as_str();
    let coord = if dimension.dtype.is_integer() {
        Coord::int(name, values.map(|v| v.as_f64() as i64).collect::<Vec<_>>())
    } else {
        Coord::float(name, values.map(Number::as_f64).collect::<Vec<_>>())
    };
    match &dimension.units {
        Some(units) => coord.with_attrs(Attrs::new().with("units", units.as_str())),
        None => coord,
    }
}

/// The chunks of an array with these dimensions, the last two of them y and x.
pub(crate) fn chunks_for(asked: Option<&Chunks>, dims: &[String]) -> Result<Chunks> {
    let names: Vec<&str> = dims.iter().map(String::as_str).collect();
    let [lead @ .., y, x] = names.as_slice() else {
        return Ok(Chunks::whole());
    };
    let extra: Vec<&str> = lead.iter().copied().filter(|dim| *dim != "time").collect();
    let chunks = resolve_chunks(asked, [y, x], &extra)?;
    Ok(own_chunks(&chunks, &names))
}

/// The chunks in the names of the cube's dimensions; `time` is 1 unless named.
fn resolve_chunks(asked: Option<&Chunks>, [y, x]: [&str; 2], extra: &[&str]) -> Result<Chunks> {
    let asked = asked
        .cloned()
        .unwrap_or_else(|| Chunks::whole().rest(EAGER_CHUNK));
    let mut chunks = Chunks::whole().rest(asked.rest.clone());
    for (name, size) in asked.dims {
        let dim = match name.as_str() {
            "y" | "lat" | "latitude" => y,
            "x" | "lon" | "longitude" => x,
            "time" => "time",
            other => extra
                .iter()
                .find(|dim| **dim == other)
                .copied()
                .ok_or_else(|| {
                    let mut known = vec!["time".to_owned()];
                    known.extend(extra.iter().map(|dim| (*dim).to_owned()));
                    known.extend([y.to_owned(), x.to_owned()]);
                    Error::Unknown {
                        kind: "dimension",
                        name: other.to_owned(),
                        place: "the chunks of this load".into(),
                        known,
                    }
                })?,
        };
        if chunks.dims.insert(dim.to_owned(), size).is_some() {
            return Err(Error::Option {
                option: "chunks",
                problem: format!("`{dim}` is named twice"),
            });
        }
    }
    chunks
        .dims
        .entry("time".to_owned())
        .or_insert(ChunkSize::Size(1));
    Ok(chunks)
}

/// The chunks as far as an array has their dimensions.
fn own_chunks(chunks: &Chunks, dims: &[&str]) -> Chunks {
    let mut own = chunks.clone();
    own.dims.retain(|name, _| dims.contains(&name.as_str()));
    own
}
