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
    /// Each measurement, and the names that it may have in a load of everything.
    names: Vec<(String, Vec<String>)>,
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
        for (measurement, (key, band)) in measurements.into_iter().flatten().zip(&bands) {
            if list
                .iter()
                .any(|known| known["name"] == measurement["name"])
            {
                continue;
            }
            if let Some(name) = measurement["name"].as_str() {
                if band.nodata.is_none() {
                    self.unsaid.insert(name.to_owned());
                }
                // Of an asset with several bands each goes by its own name.
                let mut names = Vec::new();
                if band.n_bands > 1 {
                    names.clone_from(&band.names);
                    names.push(format!("{}.{}", key.asset, key.index));
                }
                names.push(name.to_owned());
                self.names.push((name.to_owned(), names));
            }
            list.push(measurement);
        }
        target["measurements"] = Value::Array(list);
        Ok(())
    }

    /// The product.
    pub(super) fn build(self) -> Result<Built> {
        let document = self
            .document
            .expect("there is an item, so there is a product");
        let product = Product::from_document(document, &MetadataType::builtin()).map_err(model)?;
        let mut names: Vec<String> = Vec::with_capacity(self.names.len());
        for (measurement, candidates) in self.names {
            let is_its_own = |name: &String| {
                let meant = product.measurement(name.strip_suffix(".1").unwrap_or(name));
                meant.is_ok_and(|meant| meant.name == measurement) && !names.contains(name)
            };
            let name = candidates.into_iter().find(is_its_own);
            names.push(name.unwrap_or(measurement));
        }
        Ok(Built {
            product,
            names,
            unsaid: self.unsaid,
        })
    }
}

/// What became of the bands of many items.
pub(super) struct Built {
    pub(super) product: Product,
    /// What the measurements are called where all are loaded.
    ///
    /// # Source
    /// odc-stac, `model.py` (`RasterCollectionMetadata._norm_key`).
    pub(super) names: Vec<String>,
    /// Measurements of which no item says the nodata.
    pub(super) unsaid: HashSet<String>,
}
