//! Metadata types and products as an index last read them, whatever tables
//! they are in.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use datacube_model::{MetadataType, Product};
use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// What the tables of definitions held at one moment: `K` is the key of a
/// row, `E` what else an index has to know of that moment.
#[derive(Debug)]
pub(crate) struct Definitions<K, E> {
    /// By name, with the key.
    pub(crate) metadata_types: BTreeMap<String, (K, MetadataType)>,
    /// By name, with the key.
    pub(crate) products: BTreeMap<String, (K, Arc<Product>)>,
    by_key: HashMap<K, Arc<Product>>,
    pub(crate) extra: E,
}

/// One row of a table of definitions, read as far as JSON goes.
pub(crate) struct Row<K> {
    pub(crate) key: K,
    pub(crate) name: String,
    /// The document, or why the text is none.
    pub(crate) document: Result<Value, String>,
}

impl<K: Copy + Eq + Hash, E> Definitions<K, E> {
    /// Reads the rows of both tables.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the name of the definition that makes no sense.
    pub(crate) fn of_rows(
        url: &str,
        type_rows: impl IntoIterator<Item = Row<K>>,
        product_rows: impl IntoIterator<Item = Row<K>>,
        extra: E,
    ) -> Result<Self> {
        let unreadable = |kind: Kind, name: &str, reason: String| Error::Corrupt {
            url: url.to_owned(),
            what: format!("{kind} `{name}`"),
            reason,
        };
        let mut metadata_types = BTreeMap::new();
        for row in type_rows {
            let read = row
                .document
                .and_then(|doc| MetadataType::from_document(doc).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::MetadataType, &row.name, reason))?;
            metadata_types.insert(row.name, (row.key, read));
        }
        let types: Vec<MetadataType> = metadata_types
            .values()
            .map(|(_, found)| found.clone())
            .collect();
        let mut products = BTreeMap::new();
        let mut by_key = HashMap::new();
        for row in product_rows {
            let read = row
                .document
                .and_then(|doc| Product::from_document(doc, &types).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::Product, &row.name, reason))?;
            let product = Arc::new(read);
            by_key.insert(row.key, Arc::clone(&product));
            products.insert(row.name, (row.key, product));
        }
        Ok(Definitions {
            metadata_types,
            products,
            by_key,
            extra,
        })
    }

    /// All products, by name.
    pub(crate) fn product_list(&self) -> Vec<Arc<Product>> {
        self.products
            .values()
            .map(|(_, product)| Arc::clone(product))
            .collect()
    }

    pub(crate) fn product(&self, name: &str) -> Result<&(K, Arc<Product>)> {
        self.products.get(name).ok_or_else(|| Error::NotFound {
            kind: Kind::Product,
            name: name.to_owned(),
            known: self.products.keys().cloned().collect(),
        })
    }

    pub(crate) fn metadata_type(&self, name: &str) -> Result<&(K, MetadataType)> {
        self.metadata_types
            .get(name)
            .ok_or_else(|| Error::NotFound {
                kind: Kind::MetadataType,
                name: name.to_owned(),
                known: self.metadata_types.keys().cloned().collect(),
            })
    }

    pub(crate) fn product_by_key(&self, key: K) -> Option<&Arc<Product>> {
        self.by_key.get(&key)
    }

    /// The keys of products; those that are not there are left out.
    pub(crate) fn keys_of(&self, names: &[String]) -> Vec<K> {
        names
            .iter()
            .filter_map(|name| Some(self.products.get(name)?.0))
            .collect()
    }
}
