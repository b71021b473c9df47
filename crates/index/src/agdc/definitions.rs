//! Metadata types, products and Python's indexes, as last read.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::Product;

use super::AgdcIndex;
use crate::error::Result;
use crate::postgres::definitions::{Definitions, Moment, Stored, row};
use crate::postgres::retried;

/// Versions of rows: every change makes another one.
const REVISION: &str = "SELECT \
    coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' ORDER BY id)) \
        FROM agdc.metadata_type), '') || \
    coalesce((SELECT md5(string_agg(id::text || xmin::text || ctid::text, ',' ORDER BY id)) \
        FROM agdc.dataset_type), '')";

const TYPES: &str = "SELECT id, name, definition, NULL::text FROM agdc.metadata_type";
const PRODUCTS: &str = "SELECT id, name, definition, NULL::text FROM agdc.dataset_type";

/// The indexes that Python makes for one product each.
const INDEXES: &str = "SELECT i.indexdef FROM pg_indexes AS i \
    WHERE i.schemaname = 'agdc' AND i.tablename = 'dataset' AND i.indexdef LIKE '% WHERE %'";

/// Databases made before datacube 1.8.3 lack this column.
const HAS_UPDATED: &str = "SELECT EXISTS (SELECT FROM pg_attribute \
    WHERE attrelid = 'agdc.dataset'::regclass AND attname = 'updated' AND NOT attisdropped)";

/// What was known of the database at one moment.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) definitions: Definitions,
    /// What Python's indexes of the active datasets of a product say, by its id.
    indexes: HashMap<i16, Vec<String>>,
    /// Whether rows know when they were last changed.
    pub(super) has_updated: bool,
}

impl Known {
    /// All products, by name.
    pub(super) fn products(&self) -> Vec<Arc<Product>> {
        self.definitions.product_list()
    }

    /// Whether there is an index, for the active datasets of the product, over
    /// everything at these places of a document.
    pub(super) fn has_index<'o>(
        &self,
        product: i16,
        offsets: impl Iterator<Item = &'o Vec<String>> + Clone,
    ) -> bool {
        let indexes = self.indexes.get(&product);
        indexes.into_iter().flatten().any(|definition| {
            offsets
                .clone()
                .all(|offset| definition.contains(&format!("'{{{}}}'", offset.join(","))))
        })
    }
}

/// The product that an index is for.
fn product_of(definition: &str) -> Option<i16> {
    let (_, condition) = definition.split_once(" WHERE ")?;
    if !condition.contains("archived IS NULL") {
        return None;
    }
    let (_, rest) = condition.split_once("dataset_type_ref = ")?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

impl AgdcIndex {
    /// The definitions as they are now.
    pub(super) async fn known(&self) -> Result<Arc<Known>> {
        let revision: String = retried!(self, "read its products", connection => {
            sqlx::query_scalar(REVISION).fetch_one(&mut *connection)
        })?;
        let last = self.known.read().await.clone();
        if let Some(known) = last.filter(|known| known.definitions.extra.revision == revision) {
            return Ok(known);
        }
        let known = Arc::new(self.read_definitions().await?);
        *self.known.write().await = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn read_definitions(&self) -> Result<Known> {
        let failed = self.failed("read its products");
        let mut connection = self.connection().await?;
        let revision: String = sqlx::query_scalar(REVISION)
            .fetch_one(&mut *connection)
            .await
            .map_err(&failed)?;
        // Products first: the types of all that were read are there then.
        let product_rows: Vec<Stored> = sqlx::query_as(PRODUCTS)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let type_rows: Vec<Stored> = sqlx::query_as(TYPES)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let found: Vec<String> = sqlx::query_scalar(INDEXES)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
        let has_updated: bool = sqlx::query_scalar(HAS_UPDATED)
            .fetch_one(&mut *connection)
            .await
            .map_err(&failed)?;
        let mut indexes: HashMap<i16, Vec<String>> = HashMap::new();
        for definition in found {
            if let Some(product) = product_of(&definition) {
                indexes.entry(product).or_default().push(definition);
            }
        }
        let definitions = Definitions::of_rows(
            &self.address.url,
            type_rows.into_iter().map(row),
            product_rows.into_iter().map(row),
            Moment {
                revision,
                srids: Vec::new(),
            },
        )?;
        Ok(Known {
            definitions,
            indexes,
            has_updated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_of_the_product_in_its_condition() {
        let definition = "CREATE INDEX dix_shared_region_code ON agdc.dataset USING btree \
             (((metadata #>> '{properties,odc:region_code}'::text[]))) \
             WHERE ((archived IS NULL) AND (dataset_type_ref = 12))";
        assert_eq!(product_of(definition), Some(12));
        let archived =
            "CREATE INDEX x ON agdc.dataset USING btree (id) WHERE (archived IS NOT NULL)";
        assert_eq!(product_of(archived), None);
    }
}
