//! One product with the bands of many items.

use std::collections::HashSet;

use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{MetadataType, Product};
use serde_json::Value;

use super::model;
use crate::Result;

/// Gathers the bands of items; of a name that several have, the first is taken.
#[derive(Default)]
pub(super) struct ProductBuilder {
    document: Option<Value>,
    unsaid: HashSet<String>,
    /// Collections and assets that were looked at: items of a collection are alike.
    seen: HashSet<(String, Vec<String>)>,
}

impl ProductBuilder {
    /// Adds the bands that `item` has and no item before it had.
    pub(super) fn add(&mut self, item: &StacItem, config: &StacConfig) -> Result<()> {
        let assets = item.document()["assets"].as_object();
        let assets = assets.into_iter().flat_map(serde_json::Map::keys).cloned();
        let collection = item.collection().unwrap_or_default().to_owned();
        if !self.seen.insert((collection, assets.collect())) {
            return Ok(());
        }
        let mut document = item.product_document(config).map_err(model)?.document;
        // Measurements are listed in the order of the bands.
        let bands = item.bands(config).map_err(model)?;
        let measurements = document["measurements"].as_array_mut().map(std::mem::take);
        let target = self.document.get_or_insert(document);
        let mut list = match target["measurements"].take() {
            Value::Array(list) => list,
            _ => Vec::new(),
        };
        for (measurement, band) in measurements.into_iter().flatten().zip(bands.values()) {
            if list
                .iter()
                .any(|known| known["name"] == measurement["name"])
            {
                continue;
            }
            if band.nodata.is_none()
                && let Some(name) = measurement["name"].as_str()
            {
                self.unsaid.insert(name.to_owned());
            }
            list.push(measurement);
        }
        target["measurements"] = Value::Array(list);
        Ok(())
    }

    /// The product, and the measurements of which no item says the nodata.
    pub(super) fn build(self) -> Result<(Product, HashSet<String>)> {
        let document = self
            .document
            .expect("there is an item, so there is a product");
        let product = Product::from_document(document, &MetadataType::builtin()).map_err(model)?;
        Ok((product, self.unsaid))
    }
}
