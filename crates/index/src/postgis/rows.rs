//! The rows of a dataset in all tables, and the statements that insert them.
//!
//! A statement takes a column as an array and inserts all rows at once.

use std::collections::{BTreeMap, HashSet};

use datacube_model::{Dataset, Location};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::geometry;
use super::population::{SearchRows, fields_of};
use super::types::{Decimal, Instant, Json};
use crate::error::{Error, Result};
use crate::postgres::Definitions;
use crate::postgres::document::{split_uri, stored_document};
use crate::record::Record;
use crate::time_range::micros;

/// A dataset with everything that will be written of it.
pub(super) struct Row {
    pub(super) dataset: Dataset,
    pub(super) product: i16,
    metadata_type: i16,
    pub(super) record: Record,
    /// The document as it was written.
    pub(super) written: String,
    /// The document as Python stores it.
    pub(super) stored: String,
    fields: String,
    place: Option<Vec<u8>>,
    outline: Option<Vec<u8>>,
    search: SearchRows,
    /// By SRID.
    extents: Vec<(i16, Vec<u8>)>,
}

impl Row {
    /// The row of a dataset of the product with that id.
    pub(super) fn of(dataset: &Dataset, product: i16, known: &Definitions) -> Result<Row> {
        let record = Record::of(dataset);
        let metadata_type = known
            .metadata_type(dataset.product().metadata_type().name())?
            .0;
        let stored = stored_document(dataset);
        if holds_nul(&stored) {
            return Err(Error::Dataset {
                id: record.id,
                reason: "its document holds the character U+0000, which PostgreSQL cannot keep; \
                         take it out"
                    .to_owned(),
                source: None,
            });
        }
        let footprint = record.footprint.as_ref();
        let place = footprint.map(|footprint| {
            let times = (record.begin_us, record.end_us);
            geometry::place(&footprint.bounds(), times, (product, product))
        });
        let extents = footprint.map_or_else(Vec::new, |footprint| {
            known
                .extra
                .srids
                .iter()
                .filter_map(|srid| Some((*srid, geometry::extent(dataset, footprint, *srid)?)))
                .collect()
        });
        Ok(Row {
            dataset: dataset.clone(),
            product,
            metadata_type,
            written: dataset.document().to_string(),
            stored,
            fields: fields_of(&record),
            place,
            outline: footprint.map(geometry::outline),
            search: SearchRows::of(dataset, &record),
            extents,
            record,
        })
    }
}

impl Row {
    /// Where it lies in place, time and product.
    pub(super) fn place(&self) -> Option<&Vec<u8>> {
        self.place.as_ref()
    }

    /// The values of its fields.
    pub(super) fn fields(&self) -> &str {
        &self.fields
    }

    /// Its footprint.
    pub(super) fn outline(&self) -> Option<&Vec<u8>> {
        self.outline.as_ref()
    }
}

/// Whether a JSON text has an escaped NUL.
fn holds_nul(text: &str) -> bool {
    text.match_indices("\\u0000").any(|(at, _)| {
        let n_before = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        n_before % 2 == 0
    })
}

/// The location that `odc.dataset` has, and whether it is all there is to say.
pub(super) fn only_location(locations: &[Location]) -> (Option<&str>, bool) {
    let first = locations.iter().find(|location| location.is_active());
    let is_all = match locations {
        [] => true,
        [one] => one.is_active(),
        _ => false,
    };
    (first.map(|location| location.uri.as_str()), is_all)
}

/// Inserts rows of `odc.dataset`; gives the ids of those that were not there.
pub(super) async fn insert_datasets<'r>(
    connection: &mut PgConnection,
    rows: impl Iterator<Item = &'r Row>,
    indexed_us: impl Fn(&Row) -> i64,
) -> sqlx::Result<HashSet<Uuid>> {
    let (mut ids, mut types, mut products) = (Vec::new(), Vec::new(), Vec::new());
    let (mut documents, mut archived, mut added) = (Vec::new(), Vec::new(), Vec::new());
    let (mut schemes, mut bodies) = (Vec::new(), Vec::new());
    for row in rows {
        ids.push(row.record.id);
        types.push(row.metadata_type);
        products.push(row.product);
        documents.push(Json(row.stored.clone()));
        archived.push(row.dataset.archived().map(|when| Instant(micros(when))));
        added.push(Instant(indexed_us(row)));
        let (scheme, body) = match only_location(row.dataset.locations()).0.map(split_uri) {
            Some((scheme, body)) => (scheme, Some(body)),
            None => (None, None),
        };
        schemes.push(scheme);
        bodies.push(body);
    }
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let inserted: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO odc.dataset \
             (id, metadata_type_ref, product_ref, metadata, archived, added, updated, \
              uri_scheme, uri_body) \
         SELECT id, type, product, metadata, archived, added, added, scheme, body \
         FROM unnest($1::uuid[], $2::int2[], $3::int2[], $4::jsonb[], $5::timestamptz[], \
                     $6::text[], $7::text[], $8::timestamptz[]) \
              AS r (id, type, product, metadata, archived, scheme, body, added) \
         ON CONFLICT (id) DO NOTHING RETURNING id",
    )
    .bind(ids)
    .bind(types)
    .bind(products)
    .bind(documents)
    .bind(archived)
    .bind(schemes)
    .bind(bodies)
    .bind(added)
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// Inserts, or replaces, rows of `datacube.dataset` and their locations; a row
/// that is replaced keeps its time of indexing.
pub(super) async fn insert_own(
    connection: &mut PgConnection,
    rows: &[&Row],
    indexed_us: impl Fn(&Row) -> i64,
) -> sqlx::Result<()> {
    insert_own_rows(connection, rows, indexed_us).await?;
    let locations: Vec<(Uuid, &[Location])> = rows
        .iter()
        .map(|row| (row.record.id, row.dataset.locations()))
        .filter(|(_, locations)| !only_location(locations).1)
        .collect();
    insert_locations(connection, &locations).await
}

async fn insert_own_rows(
    connection: &mut PgConnection,
    rows: &[&Row],
    indexed_us: impl Fn(&Row) -> i64,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Row) -> i64| rows.iter().map(|row| of(row)).collect::<Vec<i64>>();
    sqlx::query(
        "INSERT INTO datacube.dataset AS d \
             (id, product, begin_us, end_us, center_us, archived_us, indexed_us, is_derived, \
              place, fields, footprint, document) \
         SELECT id, product, begin_us, end_us, center_us, archived_us, indexed_us, TRUE, \
                ST_GeomFromEWKB(place), fields, ST_GeomFromEWKB(footprint), document \
         FROM unnest($1::uuid[], $2::int2[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], \
                     $7::bytea[], $8::jsonb[], $9::bytea[], $10::text[], $11::int8[]) \
              AS r (id, product, begin_us, end_us, center_us, archived_us, place, fields, \
                    footprint, document, indexed_us) \
         ON CONFLICT (id) DO UPDATE SET product = excluded.product, \
             begin_us = excluded.begin_us, end_us = excluded.end_us, \
             center_us = excluded.center_us, is_derived = TRUE, place = excluded.place, \
             fields = excluded.fields, footprint = excluded.footprint, \
             document = excluded.document",
    )
    .bind(rows.iter().map(|row| row.record.id).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.product).collect::<Vec<_>>())
    .bind(column(|row| row.record.begin_us))
    .bind(column(|row| row.record.end_us))
    .bind(column(|row| row.record.center_us()))
    .bind(
        rows.iter()
            .map(|row| row.dataset.archived().map(micros))
            .collect::<Vec<_>>(),
    )
    .bind(rows.iter().map(|row| row.place.clone()).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|row| Json(row.fields.clone()))
            .collect::<Vec<_>>(),
    )
    .bind(
        rows.iter()
            .map(|row| row.outline.clone())
            .collect::<Vec<_>>(),
    )
    .bind(
        rows.iter()
            .map(|row| row.written.clone())
            .collect::<Vec<_>>(),
    )
    .bind(rows.iter().map(|row| indexed_us(row)).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Inserts the locations of datasets that have no rows of locations.
pub(super) async fn insert_locations(
    connection: &mut PgConnection,
    of: &[(Uuid, &[Location])],
) -> sqlx::Result<()> {
    let (mut ids, mut priorities) = (Vec::new(), Vec::new());
    let (mut uris, mut archived) = (Vec::new(), Vec::new());
    for (id, locations) in of {
        for (priority, location) in (0_i32..).zip(locations.iter()) {
            ids.push(*id);
            priorities.push(priority);
            uris.push(location.uri.clone());
            archived.push(location.archived.map(micros));
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO datacube.location (dataset, priority, uri, archived_us) \
         SELECT * FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[])",
    )
    .bind(ids)
    .bind(priorities)
    .bind(uris)
    .bind(archived)
    .execute(connection)
    .await
    .map(|_| ())
}

/// Puts these in the place of the locations of a dataset.
pub(super) async fn put_locations(
    connection: &mut PgConnection,
    id: Uuid,
    locations: &[Location],
) -> sqlx::Result<()> {
    let (first, is_all) = only_location(locations);
    let (scheme, body) = match first.map(split_uri) {
        Some((scheme, body)) => (scheme, Some(body)),
        None => (None, None),
    };
    sqlx::query("UPDATE odc.dataset SET uri_scheme = $2, uri_body = $3 WHERE id = $1")
        .bind(id)
        .bind(scheme)
        .bind(body)
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM datacube.location WHERE dataset = $1")
        .bind(id)
        .execute(&mut *connection)
        .await?;
    if is_all {
        return Ok(());
    }
    insert_locations(connection, &[(id, locations)]).await
}

/// Writes rows of datasets that are there anew, but for their locations.
pub(super) async fn rewrite(
    connection: &mut PgConnection,
    rows: &[&Row],
    srids: &[i16],
) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.record.id).collect();
    sqlx::query(
        "UPDATE odc.dataset AS o SET metadata = r.metadata, metadata_type_ref = r.type \
         FROM unnest($1::uuid[], $2::int2[], $3::jsonb[]) AS r (id, type, metadata) \
         WHERE o.id = r.id",
    )
    .bind(&ids)
    .bind(rows.iter().map(|row| row.metadata_type).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|row| Json(row.stored.clone()))
            .collect::<Vec<_>>(),
    )
    .execute(&mut *connection)
    .await?;
    delete_values(connection, &ids, srids).await?;
    insert_own_rows(connection, rows, |_| 0).await?;
    insert_search_rows(connection, rows).await?;
    insert_extents(connection, rows).await
}

/// Deletes what is indexed of datasets: values of fields, and extents.
pub(super) async fn delete_values(
    connection: &mut PgConnection,
    ids: &[Uuid],
    srids: &[i16],
) -> sqlx::Result<()> {
    let tables = ["search_string", "search_num", "search_datetime"];
    let searched = tables.iter().map(|table| format!("dataset_{table}"));
    let spatial = srids.iter().map(|srid| format!("spatial_{srid}"));
    for table in searched.chain(spatial) {
        let text = format!("DELETE FROM odc.{table} WHERE dataset_ref = ANY($1)");
        sqlx::query(AssertSqlSafe(text))
            .bind(ids)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Inserts the values of search fields.
pub(super) async fn insert_search_rows(
    connection: &mut PgConnection,
    rows: &[&Row],
) -> sqlx::Result<()> {
    let (mut ids, mut names, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        for (name, text) in &row.search.texts {
            ids.push(row.record.id);
            names.push(name.clone());
            texts.push(text.clone());
        }
    }
    sqlx::query(
        "INSERT INTO odc.dataset_search_string (dataset_ref, search_key, search_val) \
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])",
    )
    .bind(ids)
    .bind(names)
    .bind(texts)
    .execute(&mut *connection)
    .await?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    let (mut lows, mut highs) = (Vec::new(), Vec::new());
    for row in rows {
        for (name, low, high) in &row.search.numbers {
            ids.push(row.record.id);
            names.push(name.clone());
            lows.push(low.map(Decimal));
            highs.push(high.map(Decimal));
        }
    }
    sqlx::query(
        "INSERT INTO odc.dataset_search_num (dataset_ref, search_key, search_val) \
         SELECT id, name, numrange(low, high, '[]') \
         FROM unnest($1::uuid[], $2::text[], $3::numeric[], $4::numeric[]) \
              AS r (id, name, low, high)",
    )
    .bind(ids)
    .bind(names)
    .bind(lows)
    .bind(highs)
    .execute(&mut *connection)
    .await?;
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    let (mut begins, mut ends) = (Vec::new(), Vec::new());
    for row in rows {
        for (name, begin, end) in &row.search.times {
            ids.push(row.record.id);
            names.push(name.clone());
            begins.push(begin.map(Instant));
            ends.push(end.map(Instant));
        }
    }
    sqlx::query(
        "INSERT INTO odc.dataset_search_datetime (dataset_ref, search_key, search_val) \
         SELECT id, name, tstzrange(low, high, '[]') \
         FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[]) \
              AS r (id, name, low, high)",
    )
    .bind(ids)
    .bind(names)
    .bind(begins)
    .bind(ends)
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts, or replaces, extents in the spatial indexes.
pub(super) async fn insert_extents(
    connection: &mut PgConnection,
    rows: &[&Row],
) -> sqlx::Result<()> {
    let mut by_srid: BTreeMap<i16, (Vec<Uuid>, Vec<Vec<u8>>)> = BTreeMap::new();
    for row in rows {
        for (srid, extent) in &row.extents {
            let (ids, extents) = by_srid.entry(*srid).or_default();
            ids.push(row.record.id);
            extents.push(extent.clone());
        }
    }
    for (srid, (ids, extents)) in by_srid {
        put_extents(connection, srid, ids, extents).await?;
    }
    Ok(())
}

/// Inserts extents in one spatial index.
///
/// Without the right to change the index, those that are there stay.
pub(super) async fn put_extents(
    connection: &mut PgConnection,
    srid: i16,
    ids: Vec<Uuid>,
    extents: Vec<Vec<u8>>,
) -> sqlx::Result<()> {
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO odc.spatial_{srid} (dataset_ref, extent) \
         SELECT id, ST_GeomFromEWKB(extent) FROM unnest($1::uuid[], $2::bytea[]) AS r (id, extent) \
         ON CONFLICT (dataset_ref) DO NOTHING"
    )))
    .bind(ids)
    .bind(extents)
    .execute(connection)
    .await
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::holds_nul;

    #[test]
    fn an_escaped_nul_is_told_from_escaped_text() {
        assert!(holds_nul(r#"{"a": "\u0000"}"#));
        assert!(holds_nul(r#"{"a": "\\\u0000"}"#));
        assert!(!holds_nul(r#"{"a": "\\u0000"}"#));
        assert!(!holds_nul(r#"{"a": "\u0001"}"#));
    }
}
