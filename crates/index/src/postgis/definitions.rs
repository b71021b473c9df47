//! Metadata types, products and spatial indexes, as last read.
//!
//! A search needs them all, and they seldom change. They are read again when
//! the versions of their rows say that somebody, perhaps Python, has changed
//! them; asking for that is one small statement.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use datacube_model::{MetadataType, Product};
use serde_json::Value;
use sqlx::postgres::PgConnection;

use super::errors::failed;
use super::types::Json;
use crate::error::{Error, Kind, Result};

/// What the tables of definitions held at one moment.
#[derive(Debug)]
pub(super) struct Definitions {
    pub(super) revision: String,
    /// By name, with the id.
    pub(super) metadata_types: BTreeMap<String, (i16, MetadataType)>,
    /// By name, with the id.
    pub(super) products: BTreeMap<String, (i16, Arc<Product>)>,
    by_id: HashMap<i16, Arc<Product>>,
    /// The CRSs, by their EPSG numbers, in which extents are indexed.
    pub(super) srids: Vec<i16>,
}

/// Versions of rows: every change makes another one.
macro_rules! revision {
    ($($more:literal),*) => {
        concat!(
            "SELECT coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' \
                 ORDER BY id)) FROM odc.metadata_type), '') || \
             coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' \
                 ORDER BY id)) FROM odc.product), '') || \
             coalesce((SELECT string_agg(srid::text, ',' ORDER BY srid) \
                 FROM odc.spatial_indicies), '')",
            $($more),*
        )
    };
}

/// The revision of the definitions, and that there may be rows not derived.
pub(super) const REVISION_ALONE: &str = revision!(", FALSE");

/// The revision, and whether there are rows that are not derived.
pub(super) const REVISION_AND_STRANGERS: &str =
    revision!(", EXISTS (SELECT FROM datacube.dataset WHERE NOT is_derived)");

const TYPES: &str = "SELECT id, name, definition, NULL::text FROM odc.metadata_type";
const TYPES_AS_WRITTEN: &str = "SELECT t.id, t.name, t.definition, w.document \
    FROM odc.metadata_type AS t LEFT JOIN datacube.definition AS w \
    ON w.kind = 'metadata_type' AND w.id = t.id";
const PRODUCTS: &str = "SELECT id, name, definition, NULL::text FROM odc.product";
const PRODUCTS_AS_WRITTEN: &str = "SELECT t.id, t.name, t.definition, w.document \
    FROM odc.product AS t LEFT JOIN datacube.definition AS w \
    ON w.kind = 'product' AND w.id = t.id";

/// Id, name, definition, definition as it was written.
type Row = (i16, String, Json, Option<String>);

impl Definitions {
    /// Reads everything; `is_own` says whether this program's schema is there.
    pub(super) async fn read(
        connection: &mut PgConnection,
        url: &str,
        is_own: bool,
    ) -> Result<Self> {
        let failed = failed(url, "read its products");
        let (revision, _): (String, bool) = sqlx::query_as(REVISION_ALONE)
            .fetch_one(&mut *connection)
            .await
            .map_err(&failed)?;
        // Products first: the types of all that were read are there then.
        let products = if is_own {
            PRODUCTS_AS_WRITTEN
        } else {
            PRODUCTS
        };
        let product_rows: Vec<Row> = sqlx::query_as(products)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let types = if is_own { TYPES_AS_WRITTEN } else { TYPES };
        let type_rows: Vec<Row> = sqlx::query_as(types)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let srids: Vec<i16> =
            sqlx::query_scalar("SELECT srid FROM odc.spatial_indicies ORDER BY srid")
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
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
    pub(super) fn product_list(&self) -> Vec<Arc<Product>> {
        self.products
            .values()
            .map(|(_, product)| Arc::clone(product))
            .collect()
    }

    pub(super) fn product(&self, name: &str) -> Result<&(i16, Arc<Product>)> {
        self.products.get(name).ok_or_else(|| Error::NotFound {
            kind: Kind::Product,
            name: name.to_owned(),
            known: self.products.keys().cloned().collect(),
        })
    }

    pub(super) fn product_by_id(&self, id: i16) -> Option<&Arc<Product>> {
        self.by_id.get(&id)
    }

    pub(super) fn metadata_type(&self, name: &str) -> Result<&(i16, MetadataType)> {
        self.metadata_types
            .get(name)
            .ok_or_else(|| Error::NotFound {
                kind: Kind::MetadataType,
                name: name.to_owned(),
                known: self.metadata_types.keys().cloned().collect(),
            })
    }

    /// The ids of products; those that are not there are left out.
    pub(super) fn ids_of(&self, names: &[String]) -> Vec<i16> {
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
