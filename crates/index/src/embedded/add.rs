//! Adding datasets: rows are made on blocking threads, written by one
//! connection in one transaction.
//!
//! While one group of rows is written the next ones are made. A statement
//! inserts [`GROUP`] rows; what is left over goes in statements of fewer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use datacube_model::{Dataset, Product};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};
use uuid::Uuid;

use super::definitions::Definitions;
use super::{EmbeddedIndex, Transaction};
use crate::catalog::{AddOptions, AddOutcome, Added};
use crate::differences::{same, same_dataset};
use crate::error::{Error, Kind, Result};
use crate::record::{IndexedValue, Record, sortable};
use crate::time_range::micros;

/// Datasets whose rows are made, and whose ids are looked up, together.
const CHUNK: usize = 256;

/// Chunks that are made ahead of the one that is written.
const AHEAD: usize = 3;

/// Rows of one statement.
const GROUP: usize = 32;

/// The unit of time in the R*Tree: ten days.
const BOX_TIME_US: f64 = 864e9;

/// A time in the units of the R*Tree.
#[allow(
    clippy::cast_precision_loss,
    reason = "the tree rounds outward to 32 bits anyway"
)]
pub(super) fn box_time(us: i64) -> f64 {
    us as f64 / BOX_TIME_US
}

/// A dataset with everything that will be written of it.
struct Row {
    dataset: Dataset,
    product: i64,
    record: Record,
    text: String,
    fields: String,
    footprint: Option<Vec<u8>>,
    /// Values of fields that their type calls indexed.
    indexed: Vec<(i64, IndexedValue)>,
}

impl EmbeddedIndex {
    /// Adds datasets in one transaction.
    pub(super) async fn put_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let indexed_us = micros(options.indexed_at.unwrap_or_else(Timestamp::now));
        let n_datasets = datasets.len();
        let known = self.current_definitions().await?;
        let chunks = into_chunks(datasets);
        let mut made = stream::iter(chunks)
            .map(|chunk| {
                let known = Arc::clone(&known);
                tokio::task::spawn_blocking(move || make_rows(chunk, &known))
            })
            .buffered(AHEAD);
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut outcomes = Vec::with_capacity(n_datasets);
        let mut longest: HashMap<i64, i64> = HashMap::new();
        while let Some(rows) = made.next().await {
            let rows = rows.expect("making rows does not panic");
            let mut new_rows = Vec::with_capacity(rows.len());
            self.sort_out(&mut transaction, rows, &mut new_rows, &mut outcomes)
                .await?;
            for row in &new_rows {
                let length = row.record.end_us - row.record.begin_us;
                let entry = longest.entry(row.product).or_default();
                *entry = length.max(*entry);
            }
            self.insert(&mut transaction, &new_rows, indexed_us).await?;
        }
        let failed = self.place.failed("add datasets");
        for (product, length) in longest {
            sqlx::query("UPDATE product SET longest_us = ?1 WHERE key = ?2 AND longest_us < ?1")
                .bind(length)
                .bind(product)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        self.commit(transaction).await?;
        Ok(outcomes)
    }

    /// Sets apart what is new from what is there and what cannot be added.
    async fn sort_out(
        &self,
        transaction: &mut Transaction<'_>,
        rows: Vec<(Dataset, Result<Row>)>,
        new_rows: &mut Vec<Row>,
        outcomes: &mut Vec<AddOutcome>,
    ) -> Result<()> {
        let ids: HashSet<Uuid> = rows.iter().map(|(dataset, _)| dataset.id()).collect();
        let mut stored = self.stored_texts(transaction, &ids).await?;
        for (dataset, row) in rows {
            let id = dataset.id();
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    outcomes.push(AddOutcome::Failed(error));
                    continue;
                }
            };
            match stored.get(&id) {
                Some(text) if *text == row.text => outcomes.push(AddOutcome::AlreadyThere),
                Some(text) => outcomes.push(self.compared(id, text, &dataset)),
                None => {
                    stored.insert(id, row.text.clone());
                    outcomes.push(AddOutcome::Added);
                    new_rows.push(row);
                }
            }
        }
        Ok(())
    }

    fn compared(&self, id: Uuid, stored: &str, dataset: &Dataset) -> AddOutcome {
        let stored: Value = match serde_json::from_str(stored) {
            Ok(stored) => stored,
            Err(error) => {
                return AddOutcome::Failed(Error::Corrupt {
                    url: self.place.url.clone(),
                    what: format!("the document of dataset {id}"),
                    reason: error.to_string(),
                });
            }
        };
        match same_dataset(id, &stored, dataset.document()) {
            Ok(_) => AddOutcome::AlreadyThere,
            Err(error) => AddOutcome::Failed(error),
        }
    }

    async fn stored_texts(
        &self,
        transaction: &mut Transaction<'_>,
        ids: &HashSet<Uuid>,
    ) -> Result<HashMap<Uuid, String>> {
        let rows: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT d.id, t.text FROM json_each(?1) AS given \
             CROSS JOIN dataset AS d ON d.id = unhex(given.value) \
             CROSS JOIN document AS t ON t.dataset = d.key",
        )
        .bind(super::read::hex_list(ids))
        .fetch_all(&mut **transaction)
        .await
        .map_err(self.place.failed("look for datasets"))?;
        Ok(rows.into_iter().collect())
    }

    async fn insert(
        &self,
        transaction: &mut Transaction<'_>,
        rows: &[Row],
        indexed_us: i64,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let failed = self.place.failed("add datasets");
        // Nobody else writes: the keys that follow are ours.
        let last: i64 = sqlx::query_scalar("SELECT coalesce(max(key), 0) FROM dataset")
            .fetch_one(&mut **transaction)
            .await
            .map_err(&failed)?;
        let keyed: Vec<(i64, &Row)> = (last + 1..).zip(rows).collect();
        write(transaction, &DATASET, &keyed, |query, (key, row)| {
            let record = &row.record;
            let bounds = record
                .footprint
                .as_ref()
                .map(|footprint| footprint.bounds());
            query
                .bind(*key)
                .bind(record.id.as_bytes().as_slice())
                .bind(row.product)
                .bind(record.begin_us)
                .bind(record.end_us)
                .bind(record.center_us())
                .bind(row.dataset.archived().map(micros))
                .bind(indexed_us)
                .bind(bounds.map(|b| b.west))
                .bind(bounds.map(|b| b.south))
                .bind(bounds.map(|b| b.east))
                .bind(bounds.map(|b| b.north))
                .bind(&row.fields)
                .bind(row.footprint.as_deref())
        })
        .await
        .map_err(&failed)?;
        write(transaction, &DOCUMENT, &keyed, |query, (key, row)| {
            query.bind(*key).bind(&row.text)
        })
        .await
        .map_err(&failed)?;
        let locations: Vec<(i64, i64, &str, Option<i64>)> = keyed
            .iter()
            .flat_map(|(key, row)| {
                (0_i64..)
                    .zip(row.dataset.locations())
                    .map(|(priority, location)| {
                        let archived_us = location.archived.map(micros);
                        (*key, priority, location.uri.as_str(), archived_us)
                    })
            })
            .collect();
        write(transaction, &LOCATION, &locations, |query, location| {
            let (key, priority, uri, archived_us) = *location;
            query.bind(key).bind(priority).bind(uri).bind(archived_us)
        })
        .await
        .map_err(&failed)?;
        let boxes: Vec<(i64, crate::footprint::LonLatBox, &Record)> = keyed
            .iter()
            .flat_map(|(key, row)| {
                let boxes = row
                    .record
                    .footprint
                    .as_ref()
                    .map(|footprint| footprint.boxes());
                let boxes = boxes.unwrap_or_default();
                (2 * key..)
                    .zip(boxes)
                    .map(|(box_key, bounds)| (box_key, bounds, &row.record))
            })
            .collect();
        write(
            transaction,
            &BOX,
            &boxes,
            |query, (box_key, bounds, record)| {
                query
                    .bind(*box_key)
                    .bind(bounds.west)
                    .bind(bounds.east)
                    .bind(bounds.south)
                    .bind(bounds.north)
                    .bind(box_time(record.begin_us))
                    .bind(box_time(record.end_us))
            },
        )
        .await
        .map_err(&failed)?;
        self.insert_values(transaction, &keyed).await
    }

    async fn insert_values(
        &self,
        transaction: &mut Transaction<'_>,
        keyed: &[(i64, &Row)],
    ) -> Result<()> {
        let failed = self.place.failed("add datasets");
        let values = || {
            keyed.iter().flat_map(|(key, row)| {
                row.indexed
                    .iter()
                    .map(move |(field, value)| (*key, *field, value))
            })
        };
        let texts: Vec<(i64, i64, &str)> = values()
            .filter_map(|(key, field, value)| match value {
                IndexedValue::Text(text) => Some((key, field, text.as_str())),
                _ => None,
            })
            .collect();
        write(transaction, &TEXT, &texts, |query, (key, field, text)| {
            query.bind(*field).bind(*text).bind(*key)
        })
        .await
        .map_err(&failed)?;
        let ranges: Vec<(i64, i64, &IndexedValue)> = values()
            .filter(|(_, _, value)| !matches!(value, IndexedValue::Text(_)))
            .collect();
        write(
            transaction,
            &RANGE,
            &ranges,
            |query, (key, field, value)| {
                let query = query.bind(*field);
                let query = match value {
                    IndexedValue::Number(low, high) => query.bind(*low).bind(*high),
                    IndexedValue::Time(low, high) => query.bind(*low).bind(*high),
                    IndexedValue::Bool(value) => query.bind(*value).bind(*value),
                    IndexedValue::Text(_) => unreachable!("texts were filtered out"),
                };
                query.bind(*key)
            },
        )
        .await
        .map_err(&failed)
    }
}

fn into_chunks(datasets: Vec<Dataset>) -> Vec<Vec<Dataset>> {
    let mut chunks = Vec::with_capacity(datasets.len().div_ceil(CHUNK));
    let mut rest = datasets.into_iter();
    loop {
        let chunk: Vec<Dataset> = rest.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return chunks;
        }
        chunks.push(chunk);
    }
}

fn make_rows(datasets: Vec<Dataset>, known: &Definitions) -> Vec<(Dataset, Result<Row>)> {
    // Datasets of a batch share their product; comparing it once is enough.
    let mut checked: HashMap<*const Product, i64> = HashMap::new();
    datasets
        .into_iter()
        .map(|dataset| {
            let product = Arc::as_ptr(dataset.product());
            let key = match checked.get(&product) {
                Some(key) => Ok(*key),
                None => check_product(dataset.product(), known),
            };
            let row = key.and_then(|key| {
                checked.insert(product, key);
                make_row(&dataset, key, known)
            });
            (dataset, row)
        })
        .collect()
}

/// The key of a product that the index has in the same definition.
fn check_product(given: &Arc<Product>, known: &Definitions) -> Result<i64> {
    let (key, stored) = known.product(given.name())?;
    if !Arc::ptr_eq(stored, given) {
        let added = same(
            Kind::Product,
            given.name(),
            stored.document(),
            given.document(),
        )?;
        debug_assert_eq!(added, Added::AlreadyThere);
    }
    Ok(*key)
}

fn make_row(dataset: &Dataset, product: i64, known: &Definitions) -> Result<Row> {
    let record = Record::of(dataset);
    let metadata_type = dataset.product().metadata_type();
    let mut fields = String::with_capacity(256);
    let mut indexed = Vec::new();
    for (name, value) in &record.values {
        let key = known.fields.get(name).ok_or_else(|| Error::Dataset {
            id: record.id,
            reason: format!("its search field `{name}` is not known to the index"),
            source: None,
        })?;
        let separator = if fields.is_empty() { '{' } else { ',' };
        fields.push(separator);
        fields.push_str(&format!("\"{key}\":{}", json_of(value)));
        if metadata_type.field(name).is_some_and(|field| field.indexed) {
            indexed.push((*key, value.clone()));
        }
    }
    fields.push_str(if fields.is_empty() { "{}" } else { "}" });
    Ok(Row {
        dataset: dataset.clone(),
        product,
        text: dataset.document().to_string(),
        fields,
        footprint: record
            .footprint
            .as_ref()
            .map(|footprint| footprint.to_wkb()),
        indexed,
        record,
    })
}

/// A value as `dataset.fields` has it: what has two ends as a list of both.
fn json_of(value: &IndexedValue) -> String {
    match value {
        IndexedValue::Text(text) => Value::from(text.as_str()).to_string(),
        IndexedValue::Bool(value) => i64::from(*value).to_string(),
        IndexedValue::Number(low, high) => json_pair(sortable(*low), sortable(*high)),
        IndexedValue::Time(low, high) => json_pair(*low, *high),
    }
}

/// Two ends as a JSON list, or the one number that both are.
fn json_pair(low: i64, high: i64) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("[{low},{high}]")
    }
}

/// A statement that inserts some rows: one text for [`GROUP`] of them, one for
/// a single one.
struct Insert {
    group: String,
    single: String,
}

impl Insert {
    fn new(into: &str, n_columns: usize) -> Self {
        let row = format!("({})", vec!["?"; n_columns].join(", "));
        let text = |n_rows: usize| {
            format!(
                "INSERT INTO {into} VALUES {}",
                vec![row.as_str(); n_rows].join(", ")
            )
        };
        Insert {
            group: text(GROUP),
            single: text(1),
        }
    }
}

static DATASET: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "dataset (key, id, product, begin_us, end_us, center_us, archived_us, indexed_us, \
         west, south, east, north, fields, footprint)",
        14,
    )
});
static DOCUMENT: LazyLock<Insert> = LazyLock::new(|| Insert::new("document (dataset, text)", 2));
static LOCATION: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("location (dataset, priority, uri, archived_us)", 4));
static BOX: LazyLock<Insert> = LazyLock::new(|| {
    Insert::new(
        "footprint_box (key, west, east, south, north, first, last)",
        7,
    )
});
static TEXT: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("search_text (field, value, dataset)", 3));
static RANGE: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("search_range (field, low, high, dataset)", 4));

type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Inserts rows in groups.
async fn write<'q, T>(
    transaction: &mut Transaction<'_>,
    insert: &'static Insert,
    rows: &'q [T],
    bind: impl Fn(Bound<'q>, &'q T) -> Bound<'q>,
) -> sqlx::Result<()> {
    let groups = rows.chunks_exact(GROUP);
    let singles = groups.remainder();
    for group in groups {
        let query = group.iter().fold(sqlx::query(insert.group.as_str()), &bind);
        query.execute(&mut **transaction).await?;
    }
    for row in singles {
        bind(sqlx::query(insert.single.as_str()), row)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}
