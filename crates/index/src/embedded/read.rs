//! From keys and ids to datasets.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::{Dataset, Product};
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::EmbeddedIndex;
use super::definitions::Definitions;
use crate::catalog::{Outline, OutlineRow};
use crate::error::{Error, Result};
use crate::time_range::from_micros;

/// Ids or keys of one statement.
const CHUNK: usize = 512;

/// Fewer documents than this are read where they are; more of them on a
/// thread that may be busy.
const FEW: usize = 8;

/// Key, product, archived, indexed, document, locations.
type DatasetRow = (i64, i64, Option<i64>, i64, String, String);

/// Ids as a JSON list of hexadecimal texts, for `unhex`.
pub(super) fn hex_list<'a>(ids: impl IntoIterator<Item = &'a Uuid>) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

impl EmbeddedIndex {
    /// The keys of datasets, in the order of `ids`.
    pub(super) async fn keys_of(&self, ids: &[Uuid]) -> Result<Vec<Option<i64>>> {
        let mut connection = self.reader().await?;
        let mut keys: HashMap<Uuid, i64> = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64)> = sqlx::query_as(
                "SELECT d.id, d.key FROM json_each(?1) AS given \
                 CROSS JOIN dataset AS d ON d.id = unhex(given.value)",
            )
            .bind(hex_list(chunk))
            .fetch_all(&mut *connection)
            .await
            .map_err(self.place.failed("look for datasets"))?;
            keys.extend(rows);
        }
        Ok(ids.iter().map(|id| keys.get(id).copied()).collect())
    }

    pub(super) async fn read_by_ids(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        let known = self.current_definitions().await?;
        let keys: Vec<i64> = self.keys_of(ids).await?.into_iter().flatten().collect();
        let mut found: HashMap<Uuid, Dataset> = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(CHUNK) {
            let datasets = self.read_by_keys(chunk, &known).await?;
            found.extend(datasets.into_iter().map(|dataset| (dataset.id(), dataset)));
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// The datasets of those keys, in their order; those that are gone by now
    /// are left out.
    pub(super) async fn read_by_keys(
        &self,
        keys: &[i64],
        known: &Arc<Definitions>,
    ) -> Result<Vec<Dataset>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.reader().await?;
        let (rows, known) = self.rows_of(&mut connection, keys, known).await?;
        drop(connection);
        let mut found: HashMap<i64, Dataset> = HashMap::with_capacity(rows.len());
        for (key, dataset) in self.make_all(rows, &known).await? {
            found.insert(key, dataset);
        }
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    /// As [`Self::read_by_keys`], as a connection sees them.
    pub(super) async fn read_keys_from(
        &self,
        connection: &mut SqliteConnection,
        keys: &[i64],
        known: &Arc<Definitions>,
    ) -> Result<Vec<Dataset>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (rows, known) = self.rows_of(connection, keys, known).await?;
        let mut found: HashMap<i64, Dataset> =
            self.make_all(rows, &known).await?.into_iter().collect();
        Ok(keys.iter().filter_map(|key| found.remove(key)).collect())
    }

    /// The rows of those keys without their documents, in their order; those
    /// that are gone by now are left out.
    pub(super) async fn rows_by_keys(
        &self,
        keys: &[i64],
        known: &Arc<Definitions>,
    ) -> Result<Vec<PlainRow>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.reader().await?;
        // In the order of the list, for the loop over it is the outer one.
        let rows: Vec<PlainColumns> = sqlx::query_as(
            "SELECT d.id, d.product, d.archived_us, d.indexed_us, ( \
                 SELECT l.uri FROM location AS l \
                 WHERE l.dataset = d.key AND l.archived_us IS NULL \
                 ORDER BY l.priority LIMIT 1) \
             FROM json_each(?1) AS given CROSS JOIN dataset AS d ON d.key = given.value \
             ORDER BY given.key",
        )
        .bind(list_of(keys))
        .fetch_all(&mut *connection)
        .await
        .map_err(self.place.failed("read datasets"))?;
        let is_known = |row: &PlainColumns| known.product_by_key(row.1).is_some();
        let known = if rows.iter().all(is_known) {
            Arc::clone(known)
        } else {
            // A product came since.
            self.definitions_seen_by(&mut connection).await?
        };
        rows.into_iter()
            .map(|(id, product, archived_us, indexed_us, uri)| {
                let product = known
                    .product_by_key(product)
                    .ok_or_else(|| Error::Corrupt {
                        url: self.place.url.clone(),
                        what: format!("dataset {id}"),
                        reason: format!("its product, number {product}, is not there"),
                    })?;
                Ok(PlainRow {
                    id,
                    product: Arc::clone(product),
                    archived_us,
                    indexed_us,
                    uri,
                })
            })
            .collect()
    }

    /// When and where datasets are, in the order of `keys`; those that are gone by
    /// now are left out.
    pub(super) async fn outlines_by_keys(&self, keys: &[i64]) -> Result<Vec<Outline>> {
        let mut connection = self.reader().await?;
        let rows: Vec<OutlineRow> = sqlx::query_as(
            "SELECT d.id, d.center_us, d.west, d.south, d.east, d.north \
             FROM json_each(?1) AS given CROSS JOIN dataset AS d ON d.key = given.value \
             ORDER BY given.key",
        )
        .bind(list_of(keys))
        .fetch_all(&mut *connection)
        .await
        .map_err(self.place.failed("read datasets"))?;
        Ok(rows.into_iter().map(Outline::of_row).collect())
    }

    async fn rows_of(
        &self,
        connection: &mut SqliteConnection,
        keys: &[i64],
        known: &Arc<Definitions>,
    ) -> Result<(Vec<DatasetRow>, Arc<Definitions>)> {
        let rows: Vec<DatasetRow> = sqlx::query_as(
            "SELECT d.key, d.product, d.archived_us, d.indexed_us, t.text, ( \
                 SELECT json_group_array(json_array(l.uri, l.archived_us) ORDER BY l.priority) \
                 FROM location AS l WHERE l.dataset = d.key) \
             FROM json_each(?1) AS given \
             CROSS JOIN dataset AS d ON d.key = given.value \
             CROSS JOIN document AS t ON t.dataset = d.key",
        )
        .bind(list_of(keys))
        .fetch_all(&mut *connection)
        .await
        .map_err(self.place.failed("read datasets"))?;
        let known = self.knowing_products(connection, known, &rows).await?;
        Ok((rows, known))
    }

    /// Reads documents: a few where they are, more of them on as many threads
    /// as there are.
    async fn make_all(
        &self,
        mut rows: Vec<DatasetRow>,
        known: &Arc<Definitions>,
    ) -> Result<Vec<(i64, Dataset)>> {
        let url = self.place.url.clone();
        if rows.len() <= FEW {
            return rows.into_iter().map(|row| made(row, known, &url)).collect();
        }
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let n_each = rows.len().div_ceil(n_threads).max(FEW);
        let mut tasks = Vec::with_capacity(n_threads);
        while !rows.is_empty() {
            let part = rows.split_off(rows.len().saturating_sub(n_each));
            let (known, url) = (Arc::clone(known), url.clone());
            tasks.push(tokio::task::spawn_blocking(move || {
                part.into_iter()
                    .map(|row| made(row, &known, &url))
                    .collect::<Result<Vec<_>>>()
            }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("reading documents does not panic")?);
        }
        Ok(all)
    }

    /// The definitions, read again where a row is of a product that came since.
    async fn knowing_products(
        &self,
        connection: &mut SqliteConnection,
        known: &Arc<Definitions>,
        rows: &[DatasetRow],
    ) -> Result<Arc<Definitions>> {
        if rows.iter().all(|row| known.product_by_key(row.1).is_some()) {
            return Ok(Arc::clone(known));
        }
        self.definitions_seen_by(connection).await
    }
}

/// Id, key of the product, times of archiving and of indexing, first active location.
type PlainColumns = (Uuid, i64, Option<i64>, i64, Option<String>);

/// A dataset without its document.
pub(super) struct PlainRow {
    pub(super) id: Uuid,
    pub(super) product: Arc<Product>,
    pub(super) archived_us: Option<i64>,
    pub(super) indexed_us: i64,
    /// The first active location.
    pub(super) uri: Option<String>,
}

/// Keys as SQLite's `json_each` takes them.
fn list_of(keys: &[i64]) -> String {
    let list: Vec<String> = keys.iter().map(i64::to_string).collect();
    format!("[{}]", list.join(","))
}

fn made(row: DatasetRow, known: &Definitions, url: &str) -> Result<(i64, Dataset)> {
    let (key, product, archived_us, indexed_us, text, locations) = row;
    let corrupt = |reason: String| Error::Corrupt {
        url: url.to_owned(),
        what: format!("dataset number {key}"),
        reason,
    };
    let product: &Arc<Product> = known
        .product_by_key(product)
        .ok_or_else(|| corrupt(format!("its product, number {product}, is not there")))?;
    let document = serde_json::from_str(&text).map_err(|error| corrupt(error.to_string()))?;
    let locations: Vec<(String, Option<i64>)> =
        serde_json::from_str(&locations).map_err(|error| corrupt(error.to_string()))?;
    let locations = locations.into_iter().map(super::places::location);
    let dataset = Dataset::from_indexed(document, Arc::clone(product), locations)
        .map_err(|error| corrupt(error.to_string()))?;
    let dataset = dataset
        .with_archived(archived_us.map(from_micros))
        .with_indexed(Some(from_micros(indexed_us)));
    Ok((key, dataset))
}
