//! Metadata types and products as they were last read, whatever tables they
//! are in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datacube_model::{MetadataType, Product};
use serde_json::Value;

use super::types::Json;
use crate::error::{Error, Kind, Result};

/// What the tables of definitions held at one moment.
#[derive(Debug)]
pub(crate) struct Definitions {
    pub(crate) revision: String,
    /// By name, with the id.
    pub(crate) metadata_types: BTreeMap<String, (i16, MetadataType)>,
    /// By name, with the id.
    pub(crate) products: BTreeMap<String, (i16, Arc<Product>)>,
    by_id: HashMap<i16, Arc<Product>>,
    /// The CRSs, by their EPSG numbers, in which extents are indexed.
    pub(crate) srids: Vec<i16>,
}

/// Id, name, definition, definition as it was written.
pub(crate) type Row = (i16, String, Json, Option<String>);

impl Definitions {
    /// Reads the rows of both tables.
    pub(crate) fn of_rows(
        url: &str,
        revision: String,
        type_rows: Vec<Row>,
        product_rows: Vec<Row>,
        srids: Vec<i16>,
    ) -> Result<Self> {
        let unreadable = |kind: Kind, name: &str, reason: String| Error::Corrupt {
            url: url.to_owned(),
            what: format!("{kind} `{name}`"),
            reason,
        };
        let mut metadata_types = BTreeMap::new();
        for (id, name, definition, written) in type_rows {
            let read = as_written(&definition, written)
                .and_then(|doc| MetadataType::from_document(doc).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::MetadataType, &name, reason))?;
            metadata_types.insert(name, (id, read));
        }
        let types: Vec<MetadataType> = metadata_types
            .values()
            .map(|(_, found)| found.clone())
            .collect();
        let mut products = BTreeMap::new();
        let mut by_id = HashMap::new();
        for (id, name, definition, written) in product_rows {
            let read = as_written(&definition, written)
                .and_then(|doc| Product::from_document(doc, &types).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::Product, &name, reason))?;
            let product = Arc::new(read);
            by_id.insert(id, Arc::clone(&product));
            products.insert(name, (id, product));
        }
        Ok(Definitions {
            revision,
            metadata_types,
            products,
            by_id,
            srids,
        })
    }

    /// All products, by name.
    pub(crate) fn product_list(&self) -> Vec<Arc<Product>> {
        self.products
            .values()
            .map(|(_, product)| Arc::clone(product))
            .collect()
    }

    pub(crate) fn product(&self, name: &str) -> Result<&(i16, Arc<Product>)> {
        self.products.get(name).ok_or_else(|| Error::NotFound {
            kind: Kind::Product,
            name: name.to_owned(),
            known: self.products.keys().cloned().collect(),
        })
    }

    pub(crate) fn product_by_id(&self, id: i16) -> Option<&Arc<Product>> {
        self.by_id.get(&id)
    }

    pub(crate) fn metadata_type(&self, name: &str) -> Result<&(i16, MetadataType)> {
        self.metadata_types
            .get(name)
            .ok_or_else(|| Error::NotFound {
                kind: Kind::MetadataType,
                name: name.to_owned(),
                known: self.metadata_types.keys().cloned().collect(),
            })
    }

    /// The ids of products; those that are not there are left out.
    pub(crate) fn ids_of(&self, names: &[String]) -> Vec<i16> {
        names
            .iter()
            .filter_map(|name| Some(self.products.get(name)?.0))
            .collect()
    }
}

/// The definition with its keys in the order in which they were written, as
/// long as that still says the same.
fn as_written(definition: &Json, written: Option<String>) -> Result<Value, String> {
    let stored: Value = serde_json::from_str(&definition.0).map_err(|error| error.to_string())?;
    let written = written.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    Ok(written
        .filter(|written| *written == stored)
        .unwrap_or(stored))
}
