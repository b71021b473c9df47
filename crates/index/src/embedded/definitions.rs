//! Metadata types, products and the keys of search fields, as last read.
//!
//! A search needs them all, and they seldom change. They are read again when
//! the file's catalogue revision says that somebody, perhaps another process,
//! has changed them; asking for the revision is one small statement.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datacube_model::{MetadataType, Product};
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;

use super::errors::Place;
use crate::error::{Error, Kind, Result};
use crate::fields;

/// What the catalogue tables held at one revision.
#[derive(Debug)]
pub(super) struct Definitions {
    pub(super) revision: i64,
    /// By name, with the key.
    pub(super) metadata_types: BTreeMap<String, (i64, MetadataType)>,
    /// By name, with the key.
    pub(super) products: BTreeMap<String, (i64, Arc<Product>)>,
    by_key: HashMap<i64, Arc<Product>>,
    /// The keys of search fields by name.
    pub(super) fields: HashMap<String, i64>,
}

/// The revision of the catalogue.
pub(super) async fn revision(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT revision FROM catalog")
        .fetch_one(connection)
        .await
}

impl Definitions {
    /// Reads everything; the connection should be in a transaction, so that it
    /// is of one moment.
    pub(super) async fn read(connection: &mut SqliteConnection, place: &Place) -> Result<Self> {
        let failed = place.failed("read its products");
        let revision = revision(&mut *connection).await.map_err(&failed)?;
        let type_rows: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT key, name, document FROM metadata_type ORDER BY name")
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
        let product_rows: Vec<(i64, String, String)> =
            sqlx::query_as("SELECT key, name, document FROM product ORDER BY name")
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
        let field_rows: Vec<(String, i64)> = sqlx::query_as("SELECT name, key FROM search_field")
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let unreadable = |kind: Kind, name: &str, reason: String| Error::Corrupt {
            url: place.url.clone(),
            what: format!("{kind} `{name}`"),
            reason,
        };
        let mut metadata_types = BTreeMap::new();
        for (key, name, document) in type_rows {
            let read = parse(&document)
                .and_then(|doc| MetadataType::from_document(doc).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::MetadataType, &name, reason))?;
            metadata_types.insert(name, (key, read));
        }
        let types: Vec<MetadataType> = metadata_types
            .values()
            .map(|(_, found)| found.clone())
            .collect();
        let mut products = BTreeMap::new();
        let mut by_key = HashMap::new();
        for (key, name, document) in product_rows {
            let read = parse(&document)
                .and_then(|doc| Product::from_document(doc, &types).map_err(|e| e.to_string()))
                .map_err(|reason| unreadable(Kind::Product, &name, reason))?;
            let product = Arc::new(read);
            by_key.insert(key, Arc::clone(&product));
            products.insert(name, (key, product));
        }
        Ok(Definitions {
            revision,
            metadata_types,
            products,
            by_key,
            fields: field_rows.into_iter().collect(),
        })
    }

    /// All products, by name.
    pub(super) fn product_list(&self) -> Vec<Arc<Product>> {
        self.products
            .values()
            .map(|(_, product)| Arc::clone(product))
            .collect()
    }

    pub(super) fn product(&self, name: &str) -> Result<&(i64, Arc<Product>)> {
        self.products.get(name).ok_or_else(|| Error::NotFound {
            kind: Kind::Product,
            name: name.to_owned(),
            known: self.products.keys().cloned().collect(),
        })
    }

    pub(super) fn metadata_type(&self, name: &str) -> Result<&(i64, MetadataType)> {
        self.metadata_types
            .get(name)
            .ok_or_else(|| Error::NotFound {
                kind: Kind::MetadataType,
                name: name.to_owned(),
                known: self.metadata_types.keys().cloned().collect(),
            })
    }

    pub(super) fn product_by_key(&self, key: i64) -> Option<&Arc<Product>> {
        self.by_key.get(&key)
    }
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

/// The names under which values of datasets of a metadata type are stored.
pub(super) fn stored_fields(metadata_type: &MetadataType) -> impl Iterator<Item = &str> {
    let declared = metadata_type.fields().keys().map(String::as_str);
    declared
        .filter(|name| !fields::is_reserved(name))
        .chain(fields::SYSTEM_OFFSETS.iter().map(|(name, _)| *name))
}
