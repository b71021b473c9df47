//! From ids to datasets.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::{Dataset, Location, Product};
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::errors::failed;
use super::types::{Instant, Json};
use super::{PostgisIndex, Session, retried};
use crate::error::{Error, Result};
use crate::postgres;
use crate::postgres::Definitions;
use crate::postgres::document::{as_written, joined_uri};
use crate::time_range::from_micros;

/// Ids of one statement.
const CHUNK: usize = 512;

/// Fewer documents than this are read where they are; more of them on threads
/// that may be busy.
const FEW: usize = 8;

/// What is stored of a dataset.
pub(super) struct Stored {
    pub(super) id: Uuid,
    pub(super) product: i16,
    archived: Option<Instant>,
    added: Instant,
    /// Of the row in `odc`.
    pub(super) version: String,
    /// As this program wrote it.
    pub(super) written: Option<String>,
    /// As Python did; `None` where the other is there.
    pub(super) metadata: Option<Json>,
    uri: Option<String>,
    /// All locations, where there are more than that one.
    locations: Option<Vec<(String, Option<i64>)>>,
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let uris: Option<Vec<String>> = row.try_get("uris")?;
        let archived: Option<Vec<Option<i64>>> = row.try_get("uris_archived")?;
        Ok(Stored {
            id: row.try_get("id")?,
            product: row.try_get("product_ref")?,
            archived: row.try_get("archived")?,
            added: row.try_get("added")?,
            version: row.try_get("version")?,
            written: row.try_get("document")?,
            metadata: row.try_get("metadata")?,
            uri: joined_uri(row.try_get("uri_scheme")?, row.try_get("uri_body")?),
            locations: uris
                .zip(archived)
                .map(|(uris, archived)| uris.into_iter().zip(archived).collect()),
        })
    }
}

const STORED: &str = "SELECT o.id, o.product_ref, o.archived, o.added, o.xmin::text AS version, \
        d.document, CASE WHEN d.document IS NULL THEN o.metadata END AS metadata, \
        o.uri_scheme, o.uri_body, l.uris, l.uris_archived \
    FROM unnest($1) AS given (id) JOIN odc.dataset AS o ON o.id = given.id \
    LEFT JOIN datacube.dataset AS d ON d.id = o.id \
    LEFT JOIN LATERAL (SELECT array_agg(uri ORDER BY priority) AS uris, \
            array_agg(archived_us ORDER BY priority) AS uris_archived \
        FROM datacube.location WHERE dataset = o.id) AS l ON TRUE";

const STORED_BY_PYTHON: &str = "SELECT o.id, o.product_ref, o.archived, o.added, \
        o.xmin::text AS version, NULL::text AS document, o.metadata, o.uri_scheme, o.uri_body, \
        NULL::text[] AS uris, NULL::bigint[] AS uris_archived \
    FROM unnest($1) AS given (id) JOIN odc.dataset AS o ON o.id = given.id";

impl Stored {
    /// What is stored of those ids, in no order.
    pub(super) async fn read(
        connection: &mut PgConnection,
        ids: &[Uuid],
        is_own: bool,
    ) -> sqlx::Result<Vec<Stored>> {
        sqlx::query_as(if is_own { STORED } else { STORED_BY_PYTHON })
            .bind(ids)
            .fetch_all(connection)
            .await
    }

    /// The document as it was written.
    pub(super) fn document(&self) -> Result<Value, serde_json::Error> {
        match (&self.written, &self.metadata) {
            (Some(text), _) => serde_json::from_str(text),
            (None, Some(metadata)) => serde_json::from_str(&metadata.0).map(as_written),
            (None, None) => Ok(Value::Null),
        }
    }

    /// The locations, the first to be read first.
    pub(super) fn locations(&self) -> Vec<Location> {
        match &self.locations {
            Some(all) => all
                .iter()
                .map(|(uri, archived_us)| {
                    let location = Location::new(uri.as_str());
                    match archived_us {
                        Some(us) => location.archived_at(from_micros(*us)),
                        None => location,
                    }
                })
                .collect(),
            None => self
                .uri
                .iter()
                .map(|uri| Location::new(uri.as_str()))
                .collect(),
        }
    }

    /// The dataset.
    pub(super) fn dataset(&self, known: &Definitions, url: &str) -> Result<Dataset> {
        let corrupt = |reason: String| Error::Corrupt {
            url: url.to_owned(),
            what: format!("dataset {}", self.id),
            reason,
        };
        let product: &Arc<Product> = known.product_by_key(self.product).ok_or_else(|| {
            corrupt(format!(
                "its product, number {}, is not there",
                self.product
            ))
        })?;
        let document = self
            .document()
            .map_err(|error| corrupt(error.to_string()))?;
        let dataset = Dataset::from_indexed(document, Arc::clone(product), Vec::<Location>::new())
            .map_err(|error| corrupt(error.to_string()))?;
        Ok(dataset
            .with_locations(self.locations())
            .with_archived(self.archived.map(|us| from_micros(us.0)))
            .with_indexed(Some(from_micros(self.added.0))))
    }
}

impl PostgisIndex {
    pub(super) async fn read_by_ids(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        let session = self.session().await?;
        let mut found: HashMap<Uuid, Dataset> = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let datasets = self.read_some(&session, chunk).await?;
            found.extend(datasets.into_iter().map(|dataset| (dataset.id(), dataset)));
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// The datasets of those ids, in their order; those that are gone by now
    /// are left out.
    pub(super) async fn read_some(&self, session: &Session, ids: &[Uuid]) -> Result<Vec<Dataset>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let rows = retried!(self, "read datasets", connection => {
            Stored::read(connection, ids, session.is_own)
        })?;
        let is_known = |row: &Stored| session.known.product_by_key(row.product).is_some();
        let known = if rows.iter().all(is_known) {
            Arc::clone(&session.known)
        } else {
            // A product came since.
            self.session().await?.known
        };
        let mut found: HashMap<Uuid, Dataset> = HashMap::with_capacity(rows.len());
        for dataset in self.make_all(rows, &known).await? {
            found.insert(dataset.id(), dataset);
        }
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Reads documents: a few where they are, more of them on as many threads
    /// as there are.
    pub(super) async fn make_all(
        &self,
        rows: Vec<Stored>,
        known: &Arc<Definitions>,
    ) -> Result<Vec<Dataset>> {
        let url = self.address.url.clone();
        if rows.len() <= FEW {
            return rows.iter().map(|row| row.dataset(known, &url)).collect();
        }
        let known = Arc::clone(known);
        let read = move |row: &Stored| row.dataset(&known, &url);
        let all = postgres::on_threads(rows, FEW, read).await;
        all.into_iter().collect()
    }

    pub(super) async fn which_are_there(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        self.session().await?;
        let mut there = std::collections::HashSet::new();
        for chunk in ids.chunks(10_000) {
            let found: Vec<Uuid> = retried!(self, "look for datasets", connection => {
                sqlx::query_scalar("SELECT id FROM odc.dataset WHERE id = ANY($1)")
                    .bind(chunk)
                    .fetch_all(&mut *connection)
            })?;
            there.extend(found);
        }
        Ok(ids.iter().map(|id| there.contains(id)).collect())
    }

    pub(super) fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> Error {
        failed(&self.address.url, action)
    }
}
