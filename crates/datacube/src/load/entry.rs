//! One dataset on its way into a load, with what only its STAC item says.

use std::sync::Arc;

use datacube_geo::{GeoBox, Geometry};
use datacube_model::stac::StacItem;
use datacube_model::{Dataset, FieldValue, parse_time};
use jiff::Timestamp;
use serde_json::Value;

use crate::load_options::Convention;

/// A dataset, and the STAC item that it was made of, if it was.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) dataset: Dataset,
    pub(crate) item: Option<Arc<StacItem>>,
}

impl From<Dataset> for Entry {
    fn from(dataset: Dataset) -> Self {
        Entry {
            dataset,
            item: None,
        }
    }
}

impl Entry {
    /// What breaks ties between equal instants, and what messages call it.
    pub(crate) fn id(&self) -> String {
        match &self.item {
            Some(item) => item.id().to_owned(),
            None => self.dataset.id().to_string(),
        }
    }

    /// The instant that labels it.
    ///
    /// # Source
    /// odc-stac, `model.py` (`ParsedItem.nominal_datetime`), for its convention.
    pub(crate) fn instant(&self, convention: Convention) -> Timestamp {
        if convention == Convention::OpenDataCube {
            return self.dataset.center_time();
        }
        let names = ["datetime", "start_datetime", "end_datetime"];
        let named = names.iter().find_map(|name| {
            let value = self.property(name)?;
            parse_time(value.as_str()?).ok()
        });
        named.unwrap_or_else(|| self.dataset.time_range().0)
    }

    /// A property: as the item has it, else as the dataset does, else a search field.
    pub(crate) fn property(&self, name: &str) -> Option<Value> {
        let of_item = self
            .item
            .as_ref()
            .and_then(|item| item.properties().get(name));
        let of_dataset = || self.dataset.properties()?.get(name);
        let found = of_item.or_else(of_dataset).filter(|value| !value.is_null());
        found.cloned().or_else(|| match self.dataset.field(name)? {
            FieldValue::Text(text) => Some(text.clone().into()),
            FieldValue::Number(number) => Some(number.as_f64().into()),
            FieldValue::Bool(value) => Some((*value).into()),
            FieldValue::Time(time) => Some(time.to_string().into()),
            _ => None,
        })
    }

    /// Names of the properties that it has.
    pub(crate) fn property_names(&self) -> Vec<String> {
        let properties = match &self.item {
            Some(item) => Some(item.properties()),
            None => self.dataset.properties(),
        };
        let names = properties.into_iter().flat_map(serde_json::Map::keys);
        names.cloned().collect()
    }

    /// The grid of a measurement; a stand-in of one pixel, which items without a
    /// grid have, is none.
    pub(crate) fn grid(&self, measurement: &str) -> Option<&GeoBox> {
        let path = self.dataset.measurements().get(measurement)?;
        self.dataset
            .grids()
            .get(path.grid_name())
            .filter(|grid| grid.shape().pixels() > 1)
    }

    /// The finest of the grids of `measurements`.
    pub(crate) fn finest_grid<'a>(
        &self,
        measurements: impl Iterator<Item = &'a str>,
    ) -> Option<GeoBox> {
        let side = |grid: &GeoBox| {
            let size = grid.resolution().abs();
            size.x.min(size.y)
        };
        measurements
            .filter_map(|name| self.grid(name))
            .min_by(|a, b| side(a).total_cmp(&side(b)))
            .cloned()
    }

    /// What bounds the result where no region does.
    ///
    /// # Source
    /// odc-stac, `model.py` (`ParsedItem.safe_geometry`): the whole image, else
    /// the footprint.
    pub(crate) fn bounding_geometry(&self, convention: Convention) -> Geometry {
        let names = self.dataset.measurements().keys().map(String::as_str);
        match convention {
            Convention::OpenDataCube => None,
            Convention::OdcStac => self.finest_grid(names),
        }
        .map_or_else(|| self.dataset.extent().clone(), |grid| grid.extent())
    }
}
