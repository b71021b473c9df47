//! Results in an order of their own.
//!
//! Gathered candidates are put in order by one statement. A walk is made in
//! passes: each gives the next [`PASS`] places in the order, and the one after
//! it goes on from the last of them, so that no more than a pass is ever kept.

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, TypeInfo, ValueRef};
use uuid::Uuid;

use super::EmbeddedIndex;
use super::definitions::Definitions;
use super::plan::{Place, Walk};
use super::sql::{Parameter, Statement};
use crate::columns::Column;
use crate::error::Result;
use crate::footprint::Footprint;
use crate::resolve::Resolved;

/// Places that one pass gives.
pub(super) const PASS: usize = 32_768;

/// Where a pass ended: the values by which the last place was put in order.
pub(super) type Reached = (Vec<Option<Parameter>>, Place);

impl EmbeddedIndex {
    /// The places in the order that the query asks for.
    pub(super) async fn put_in_order(
        &self,
        connection: &mut SqliteConnection,
        places: Vec<Place>,
        resolved: &Resolved,
        known: &Definitions,
    ) -> Result<Vec<Place>> {
        let mut statement = Statement::default();
        let list = statement.integers(places.iter().map(|place| place.key));
        let order: Vec<String> = statement
            .sort_terms(resolved, known)
            .into_iter()
            .map(|(term, direction)| format!("{term} {direction} NULLS LAST"))
            .collect();
        statement.text = format!(
            "SELECT d.key, d.id, d.center_us FROM {list} AS given \
             CROSS JOIN dataset AS d ON d.key = given.value \
             ORDER BY {}, d.center_us, d.id",
            order.join(", ")
        );
        let rows: Vec<(i64, Uuid, i64)> = statement
            .query()
            .fetch_all(connection)
            .await
            .map_err(self.place.failed("search"))?;
        let place = |(key, id, center_us)| Place { center_us, id, key };
        Ok(rows.into_iter().map(place).collect())
    }

    /// The next places in order, at most `wanted`, and where to go on.
    pub(super) async fn next_pass(
        &self,
        connection: &mut SqliteConnection,
        walk: &Walk,
        resolved: &Resolved,
        known: &Definitions,
        after: Option<&Reached>,
        wanted: usize,
    ) -> Result<(Vec<Place>, Option<Reached>)> {
        let failed = self.place.failed("search");
        // Of what is in the boxes around an area some is found, nobody knows
        // how much.
        let n_rows = match resolved.area {
            Some(_) => self.sort_pass,
            None => wanted.min(self.sort_pass),
        };
        let statement = pass(walk, resolved, known, after, n_rows);
        let mut rows = statement.rows().fetch(connection);
        let mut places = Vec::new();
        let mut last = None;
        let mut n_read = 0;
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            n_read += 1;
            let place = Place {
                key: row.try_get(0).map_err(&failed)?,
                id: row.try_get(1).map_err(&failed)?,
                center_us: row.try_get(2).map_err(&failed)?,
            };
            let footprint: Option<Vec<u8>> = row.try_get(3).map_err(&failed)?;
            let is_found = match (&resolved.area, footprint) {
                (None, _) => true,
                (Some(area), Some(bytes)) => {
                    Footprint::from_wkb(&bytes).is_some_and(|footprint| area.meets(&footprint))
                }
                (Some(_), None) => false,
            };
            if is_found {
                places.push(place);
            }
            if n_read == n_rows {
                let values = (4..row.len()).map(|i| value(&row, i));
                let values = values.collect::<sqlx::Result<_>>().map_err(&failed)?;
                last = Some((values, place));
            }
        }
        Ok((places, last))
    }
}

/// The statement for the next rows in order.
fn pass(
    walk: &Walk,
    resolved: &Resolved,
    known: &Definitions,
    after: Option<&Reached>,
    n_rows: usize,
) -> Statement {
    let mut statement = Statement::default();
    let mut rows = statement.row_conditions(resolved, known);
    let mut footprint = "NULL";
    if let Some(area) = &resolved.area {
        rows = format!("{rows} AND {}", statement.box_condition(area.footprint()));
        footprint = "d.footprint";
    }
    let terms = statement.sort_terms(resolved, known);
    if let Some(reached) = after {
        rows = format!("{rows} AND {}", beyond(&mut statement, &terms, reached));
    }
    let columns: Vec<String> = terms
        .iter()
        .enumerate()
        .map(|(i, (term, _))| format!(", {term} AS s{i}"))
        .collect();
    let order: Vec<String> = terms
        .iter()
        .enumerate()
        .map(|(i, (_, direction))| format!("s{i} {direction} NULLS LAST, "))
        .collect();
    let select = format!(
        "SELECT d.key AS key, d.id AS id, d.center_us AS center_us, {footprint} AS footprint{}",
        columns.concat()
    );
    let arms = walk.arms(&mut statement, &select, &rows, None);
    let limit = statement.integer(i64::try_from(n_rows).unwrap_or(i64::MAX));
    statement.text = format!(
        "SELECT * FROM ({arms}) ORDER BY {}center_us, id LIMIT {limit}",
        order.concat()
    );
    statement
}

/// What comes after a place in the order.
fn beyond(statement: &mut Statement, terms: &[(String, &str)], reached: &Reached) -> String {
    let (values, place) = reached;
    let center = statement.integer(place.center_us);
    let id = statement.blob(place.id.as_bytes());
    let mut condition = format!("(d.center_us, d.id) > ({center}, {id})");
    for ((term, direction), value) in terms.iter().zip(values).rev() {
        condition = match value {
            // Nothing comes after what has no value.
            None => format!("({term} IS NULL AND {condition})"),
            Some(value) => {
                let value = statement.bind(value.clone());
                let sign = if *direction == "DESC" { "<" } else { ">" };
                format!(
                    "({term} {sign} {value} OR {term} IS NULL OR \
                     ({term} = {value} AND {condition}))"
                )
            }
        };
    }
    condition
}

/// A value as it can be bound again.
fn value(row: &SqliteRow, column: usize) -> sqlx::Result<Option<Parameter>> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(None);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(Some(match kind.as_str() {
        "TEXT" => Parameter::Text(row.try_get_unchecked(column)?),
        "REAL" => Parameter::Real(row.try_get_unchecked(column)?),
        "BLOB" => Parameter::Blob(row.try_get_unchecked(column)?),
        _ => Parameter::Integer(row.try_get_unchecked(column)?),
    }))
}

impl Statement {
    /// The terms that a result is ordered by, and which way.
    pub(super) fn sort_terms(
        &mut self,
        resolved: &Resolved,
        known: &Definitions,
    ) -> Vec<(String, &'static str)> {
        let mut terms = Vec::new();
        for by in &resolved.order {
            let direction = if by.descending { "DESC" } else { "ASC" };
            let of_column = column_terms(&by.column, known);
            terms.extend(of_column.into_iter().map(|term| (term, direction)));
        }
        terms
    }
}

/// The expressions by which values of a column are compared.
pub(super) fn column_terms(column: &Column, known: &Definitions) -> Vec<String> {
    let one = |term: &str| vec![term.to_owned()];
    let two = |low: &str, high: &str| vec![low.to_owned(), high.to_owned()];
    match column {
        Column::Id => one("d.id"),
        Column::Product => one("(SELECT p.name FROM product AS p WHERE p.key = d.product)"),
        Column::MetadataType => one("(SELECT m.name FROM product AS p JOIN metadata_type AS m \
             ON m.key = p.metadata_type WHERE p.key = d.product)"),
        Column::Archived => one("d.archived_us"),
        Column::IndexedTime => one("d.indexed_us"),
        Column::Uri => one("(SELECT l.uri FROM location AS l WHERE l.dataset = d.key \
             AND l.archived_us IS NULL ORDER BY l.priority LIMIT 1)"),
        Column::Time => two("d.begin_us", "d.end_us"),
        Column::Lat => two("d.south", "d.north"),
        Column::Lon => two("d.west", "d.east"),
        Column::Stored(name) => match known.extra.fields.get(name) {
            Some(key) => {
                let (low, high) = super::sql::field_ends(*key);
                vec![low, high]
            }
            None => one("NULL"),
        },
    }
}
