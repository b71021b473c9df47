//! Datasets as their rows tell them, without their documents: enough to put
//! them in order, to group them and to outline them.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::{Dataset, MetadataType, Product};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, FromRow, Row};
use uuid::Uuid;

use super::types::{Json, Outline as Shape};
use super::{PostgisIndex, Session, retried};
use crate::catalog::{Outline, OutlineRow};
use crate::columns::{Column, Key};
use crate::error::{Error, Result};
use crate::fields::{FieldClass, class_in};
use crate::record::{IndexedValue, Record, sortable};
use crate::time_range::{from_micros, micros};

/// What is asked of rows beside their plain columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    fields: bool,
    footprint: bool,
    uri: bool,
}

impl Wanted {
    /// What the keys of these columns are made of.
    pub(super) fn for_keys<'c>(columns: impl IntoIterator<Item = &'c Column>) -> Self {
        let mut wanted = Wanted::default();
        for column in columns {
            match column {
                Column::Stored(_) => wanted.fields = true,
                Column::Lat | Column::Lon => wanted.footprint = true,
                Column::Uri => wanted.uri = true,
                _ => {}
            }
        }
        wanted
    }

    /// Footprints alone.
    pub(super) fn footprints() -> Self {
        Wanted {
            footprint: true,
            ..Wanted::default()
        }
    }
}

/// A dataset without its document.
pub(super) struct Met {
    /// Without values or footprint where these were not asked for.
    pub(super) record: Record,
    product: Arc<Product>,
    archived_us: Option<i64>,
    indexed_us: i64,
    /// The first active location, where it was asked for.
    uri: Option<String>,
}

impl Met {
    fn of(dataset: &Dataset) -> Self {
        Met {
            record: Record::of(dataset),
            product: Arc::clone(dataset.product()),
            archived_us: dataset.archived().map(micros),
            indexed_us: dataset.indexed().map_or(0, micros),
            uri: dataset.uri().map(str::to_owned),
        }
    }

    /// The value to compare by, as [`Column::key`] has it.
    pub(super) fn key(&self, column: &Column) -> Option<Key> {
        let at = |us: i64| Key::Pair(us, us);
        let degrees = |low: f64, high: f64| Key::Pair(sortable(low + 0.0), sortable(high + 0.0));
        let bounds = || self.record.footprint.as_ref().map(|f| f.bounds());
        match column {
            Column::Id => Some(Key::Id(self.record.id)),
            Column::Product => Some(Key::Text(self.product.name().to_owned())),
            Column::MetadataType => {
                let name = self.product.metadata_type().name();
                Some(Key::Text(name.to_owned()))
            }
            Column::Archived => self.archived_us.map(at),
            Column::IndexedTime => Some(at(self.indexed_us)),
            Column::Uri => self.uri.clone().map(Key::Text),
            Column::Time => Some(Key::Pair(self.record.begin_us, self.record.end_us)),
            Column::Lat => bounds().map(|b| degrees(b.south, b.north)),
            Column::Lon => bounds().map(|b| degrees(b.west, b.east)),
            Column::Stored(name) => self.record.value(name).map(IndexedValue::key),
        }
    }

    /// The value to show of a column that [`Column::is_told_by_rows`].
    pub(super) fn shown(&self, column: &Column) -> Value {
        column.value_of_row(
            self.record.id,
            &self.product,
            self.archived_us.map(from_micros),
            Some(from_micros(self.indexed_us)),
            self.uri.as_deref(),
        )
    }
}

/// A row of `datacube.dataset`.
struct OwnRow {
    id: Uuid,
    product: i16,
    times: (i64, i64),
    archived_us: Option<i64>,
    indexed_us: i64,
    is_derived: bool,
    fields: Option<Json>,
    footprint: Option<Shape>,
    uri: Option<String>,
}

impl FromRow<'_, PgRow> for OwnRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        Ok(OwnRow {
            id: row.try_get(0)?,
            product: row.try_get(1)?,
            times: (row.try_get(2)?, row.try_get(3)?),
            archived_us: row.try_get(4)?,
            indexed_us: row.try_get(5)?,
            is_derived: row.try_get(6)?,
            fields: row.try_get(7)?,
            footprint: row.try_get(8)?,
            uri: row.try_get(9)?,
        })
    }
}

/// The first active location of `d`.
const URI: &str = "(CASE WHEN EXISTS (SELECT FROM datacube.location AS l WHERE l.dataset = d.id) \
    THEN (SELECT l.uri FROM datacube.location AS l \
          WHERE l.dataset = d.id AND l.archived_us IS NULL ORDER BY l.priority LIMIT 1) \
    ELSE (SELECT coalesce(o.uri_scheme || ':', '') || o.uri_body \
          FROM odc.dataset AS o WHERE o.id = d.id) END)";

impl PostgisIndex {
    /// What rows tell of the datasets of those ids, in their order; those that
    /// are gone by now are left out. Of what is not derived yet the documents
    /// are read.
    pub(super) async fn met(
        &self,
        session: &Session,
        ids: &[Uuid],
        wanted: Wanted,
    ) -> Result<Vec<Met>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut found: HashMap<Uuid, Met> = HashMap::with_capacity(ids.len());
        let mut strangers = Vec::new();
        if session.is_own {
            let column = |is_wanted: bool, name: &'static str, otherwise: &'static str| {
                if is_wanted { name } else { otherwise }
            };
            let text = format!(
                "SELECT d.id, d.product, d.begin_us, d.end_us, d.archived_us, d.indexed_us, \
                        d.is_derived, {}, {}, {} \
                 FROM unnest($1::uuid[]) AS given (id) JOIN datacube.dataset AS d USING (id)",
                column(wanted.fields, "d.fields", "NULL::jsonb"),
                column(wanted.footprint, "d.footprint", "NULL::geometry"),
                column(wanted.uri, URI, "NULL::text"),
            );
            let rows: Vec<OwnRow> = retried!(self, "read datasets", connection => {
                sqlx::query_as(AssertSqlSafe(text.as_str())).bind(ids).fetch_all(&mut *connection)
            })?;
            for row in rows {
                match session.known.product_by_key(row.product) {
                    Some(product) if row.is_derived => {
                        found.insert(row.id, self.met_in(row, product)?);
                    }
                    _ => strangers.push(row.id),
                }
            }
        } else {
            strangers.extend_from_slice(ids);
        }
        for dataset in self.read_some(session, &strangers).await? {
            found.insert(dataset.id(), Met::of(&dataset));
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// When and where the datasets of those ids are, in their order; those that are
    /// gone by now are left out. Of what is not derived yet the documents are read.
    pub(super) async fn outlines_of(
        &self,
        session: &Session,
        ids: &[Uuid],
    ) -> Result<Vec<Outline>> {
        let mut found: HashMap<Uuid, Outline> = HashMap::with_capacity(ids.len());
        if session.is_own {
            let rows: Vec<OutlineRow> = retried!(self, "read datasets", connection => {
                sqlx::query_as(
                    "SELECT d.id, d.center_us, ST_XMin(d.place), ST_YMin(d.place), \
                            ST_XMax(d.place), ST_YMax(d.place) \
                     FROM unnest($1::uuid[]) AS given (id) JOIN datacube.dataset AS d USING (id) \
                     WHERE d.is_derived",
                )
                .bind(ids)
                .fetch_all(&mut *connection)
            })?;
            let outlines = rows.into_iter().map(Outline::of_row);
            found.extend(outlines.map(|outline| (outline.id, outline)));
        }
        let is_stranger = |id: &&Uuid| !found.contains_key(*id);
        let strangers: Vec<Uuid> = ids.iter().filter(is_stranger).copied().collect();
        for dataset in self.read_some(session, &strangers).await? {
            found.insert(dataset.id(), Outline::of(&dataset));
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    fn met_in(&self, row: OwnRow, product: &Arc<Product>) -> Result<Met> {
        let values = match &row.fields {
            Some(fields) => {
                values_of(&fields.0, product.metadata_type()).map_err(|reason| Error::Corrupt {
                    url: self.address.url.clone(),
                    what: format!("the search fields of dataset {}", row.id),
                    reason,
                })?
            }
            None => Vec::new(),
        };
        Ok(Met {
            record: Record {
                id: row.id,
                product: product.name().to_owned(),
                begin_us: row.times.0,
                end_us: row.times.1,
                footprint: row.footprint.and_then(|outline| outline.0),
                values,
            },
            product: Arc::clone(product),
            archived_us: row.archived_us,
            indexed_us: row.indexed_us,
            uri: row.uri,
        })
    }
}

/// The values that [`super::population::fields_of`] wrote, by name in order.
fn values_of(
    fields: &str,
    metadata_type: &MetadataType,
) -> Result<Vec<(String, IndexedValue)>, String> {
    let fields: serde_json::Map<String, Value> =
        serde_json::from_str(fields).map_err(|error| error.to_string())?;
    let mut values = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        let is_time = class_in(metadata_type, &name) == Some(FieldClass::Time);
        let read = match &value {
            Value::String(text) => Some(IndexedValue::Text(text.clone())),
            Value::Bool(value) => Some(IndexedValue::Bool(*value)),
            Value::Array(ends) => match ends.as_slice() {
                [low, high] if is_time => low
                    .as_i64()
                    .zip(high.as_i64())
                    .map(|(low, high)| IndexedValue::Time(low, high)),
                [low, high] => number(low)
                    .zip(number(high))
                    .map(|(low, high)| IndexedValue::Number(low, high)),
                _ => None,
            },
            _ => None,
        };
        let read = read.ok_or_else(|| format!("`{name}` is {value}"))?;
        values.push((name, read));
    }
    values.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(values)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use datacube_model::{MetadataType, Product};

    use super::super::population::fields_of;
    use super::*;
    use crate::testing::{Scene, metadata_type, product_of};

    #[test]
    fn values_come_back_as_they_were_written() {
        let of_type: MetadataType = metadata_type();
        let product: Arc<Product> = product_of("p", &of_type);
        let dataset = Scene::new(&product, 1)
            .property("odc:region_code", "090\"084")
            .property("eo:cloud_cover", 0.1)
            .property("landsat:wrs_path", -90)
            .property("is_day", true)
            .property("processed", "2020-01-01T00:00:00.000001Z")
            .property("gsd_min", 15.0)
            .property("season_to", "2020-03-01T00:00:00Z")
            .dataset();
        let record = Record::of(&dataset);
        assert!(record.values.len() >= 7, "{:?}", record.values);
        let back = values_of(&fields_of(&record), &of_type).expect("read");
        assert_eq!(back, record.values);
    }
}
