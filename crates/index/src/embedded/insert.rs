//! Rows into the tables, and out of them again.
//!
//! A statement inserts [`GROUP`] rows; what is left over goes in statements of
//! fewer.

use std::sync::LazyLock;

use datacube_model::Location;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use super::rows::{Row, box_time};
use super::{EmbeddedIndex, Transaction};
use crate::error::Result;
use crate::record::{IndexedValue, Record};
use crate::time_range::micros;

/// Rows of one statement.
const GROUP: usize = 32;

impl EmbeddedIndex {
    /// Inserts datasets with all that belongs to them.
    pub(super) async fn insert(
        &self,
        transaction: &mut Transaction<'_>,
        rows: &[Row],
        indexed_us: impl Fn(&Row) -> i64,
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
                .bind(indexed_us(row))
                .bind(bounds.map(|b| b.west))
                .bind(bounds.map(|b| b.south))
                .bind(bounds.map(|b| b.east))
                .bind(bounds.map(|b| b.north))
                .bind(&row.fields)
                .bind(row.footprint.as_deref())
                .bind(indexed_us(row))
        })
        .await
        .map_err(&failed)?;
        write(transaction, &DOCUMENT, &keyed, |query, (key, row)| {
            query.bind(*key).bind(&row.text)
        })
        .await
        .map_err(&failed)?;
        let locations: Vec<(i64, &[Location])> = keyed
            .iter()
            .map(|(key, row)| (*key, row.dataset.locations()))
            .collect();
        self.insert_locations(transaction, &locations).await?;
        self.insert_boxes(transaction, &keyed).await?;
        self.insert_values(transaction, &keyed).await
    }

    /// Inserts the locations of datasets, in their order.
    pub(super) async fn insert_locations(
        &self,
        transaction: &mut Transaction<'_>,
        datasets: &[(i64, &[Location])],
    ) -> Result<()> {
        let failed = self.place.failed("write locations");
        let locations: Vec<(i64, i64, &str, Option<i64>)> = datasets
            .iter()
            .flat_map(|(key, locations)| {
                (0_i64..).zip(*locations).map(|(priority, location)| {
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
        .map_err(&failed)
    }

    async fn insert_boxes(
        &self,
        transaction: &mut Transaction<'_>,
        keyed: &[(i64, &Row)],
    ) -> Result<()> {
        let failed = self.place.failed("add datasets");
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
        .map_err(&failed)
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

    /// Puts a row in the place of what is there of a dataset, its locations
    /// and whether it is archived excepted. `fields` is what its row had.
    pub(super) async fn rewrite(
        &self,
        transaction: &mut Transaction<'_>,
        key: i64,
        fields: &str,
        row: &Row,
    ) -> Result<()> {
        let failed = self.place.failed("update datasets");
        self.delete_values(transaction, key, fields).await?;
        self.delete_boxes(transaction, key).await?;
        let record = &row.record;
        let bounds = record
            .footprint
            .as_ref()
            .map(crate::footprint::Footprint::bounds);
        sqlx::query(
            "UPDATE dataset SET begin_us = ?2, end_us = ?3, center_us = ?4, west = ?5, \
             south = ?6, east = ?7, north = ?8, fields = ?9, footprint = ?10 WHERE key = ?1",
        )
        .bind(key)
        .bind(record.begin_us)
        .bind(record.end_us)
        .bind(record.center_us())
        .bind(bounds.map(|b| b.west))
        .bind(bounds.map(|b| b.south))
        .bind(bounds.map(|b| b.east))
        .bind(bounds.map(|b| b.north))
        .bind(&row.fields)
        .bind(row.footprint.as_deref())
        .execute(&mut **transaction)
        .await
        .map_err(&failed)?;
        sqlx::query("UPDATE document SET text = ?2 WHERE dataset = ?1")
            .bind(key)
            .bind(&row.text)
            .execute(&mut **transaction)
            .await
            .map_err(&failed)?;
        let keyed = [(key, row)];
        self.insert_boxes(transaction, &keyed).await?;
        self.insert_values(transaction, &keyed).await
    }

    pub(super) async fn delete_boxes(
        &self,
        transaction: &mut Transaction<'_>,
        key: i64,
    ) -> Result<()> {
        sqlx::query("DELETE FROM footprint_box WHERE key IN (2 * ?1, 2 * ?1 + 1)")
            .bind(key)
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(self.place.failed("remove datasets"))
    }

    /// Deletes what the search tables have of a dataset, which is among what
    /// its row has in `fields`.
    pub(super) async fn delete_values(
        &self,
        transaction: &mut Transaction<'_>,
        key: i64,
        fields: &str,
    ) -> Result<()> {
        let failed = self.place.failed("remove datasets");
        let values: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(fields).unwrap_or_default();
        for (field, value) in values {
            let Ok(field) = field.parse::<i64>() else {
                continue;
            };
            let low = match &value {
                serde_json::Value::Array(ends) => ends.first(),
                other => Some(other),
            };
            let delete = match low {
                Some(serde_json::Value::String(text)) => sqlx::query(
                    "DELETE FROM search_text WHERE field = ?1 AND value = ?2 AND dataset = ?3",
                )
                .bind(field)
                .bind(text.clone())
                .bind(key),
                // The low end as it is, for times and booleans, or of a number.
                Some(serde_json::Value::Number(low)) => {
                    let low = low.as_i64().unwrap_or_default();
                    sqlx::query(
                        "DELETE FROM search_range WHERE field = ?1 AND low IN (?2, ?3) \
                         AND dataset = ?4",
                    )
                    .bind(field)
                    .bind(low)
                    .bind(unsortable(low))
                    .bind(key)
                }
                _ => continue,
            };
            delete.execute(&mut **transaction).await.map_err(&failed)?;
        }
        Ok(())
    }
}

/// The number that [`sortable`] made this integer of.
fn unsortable(value: i64) -> f64 {
    let bits = if value < 0 { value ^ i64::MAX } else { value };
    f64::from_bits(bits.cast_unsigned())
}

/// A statement that inserts some rows: one text for [`GROUP`] of them, one for
/// a single one.
pub(super) struct Insert {
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
         west, south, east, north, fields, footprint, changed_us)",
        15,
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
/// Relations of lineage.
pub(super) static LINEAGE: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("lineage (derived, source, classifier)", 3));
static TEXT: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("search_text (field, value, dataset)", 3));
static RANGE: LazyLock<Insert> =
    LazyLock::new(|| Insert::new("search_range (field, low, high, dataset)", 4));

pub(super) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Inserts rows in groups.
pub(super) async fn write<'q, T>(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::sortable;

    #[test]
    fn sortable_integers_give_their_numbers_back() {
        for number in [
            0.0,
            1.5,
            -1.5,
            1e300,
            -1e-300,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ] {
            assert_eq!(unsortable(sortable(number)).to_bits(), number.to_bits());
        }
    }
}
