//! From ids to datasets.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::{Dataset, Location};
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};
use uuid::Uuid;

use super::AgdcIndex;
use super::definitions::Known;
use super::document::restored;
use crate::error::{Error, Result};
use crate::postgres::types::{Instant, Json};
use crate::postgres::{self, retried};
use crate::time_range::from_micros;

/// Ids of one statement.
const CHUNK: usize = 512;

/// Fewer documents than this are read where they are; more of them on threads
/// that may be busy.
const FEW: usize = 8;

/// A row with its locations, the newest first as Python has them, and its
/// sources.
const STORED: &str = "SELECT d.id, d.dataset_type_ref, d.metadata, d.archived, d.added, \
        l.uris, l.uris_archived, s.classifiers, s.sources \
    FROM unnest($1) AS given (id) JOIN agdc.dataset AS d ON d.id = given.id \
    LEFT JOIN LATERAL (SELECT \
            array_agg(uri_scheme::text || ':'::text || uri_body::text \
                ORDER BY added DESC, id DESC) AS uris, \
            array_agg(archived ORDER BY added DESC, id DESC) AS uris_archived \
        FROM agdc.dataset_location WHERE dataset_ref = d.id) AS l ON TRUE \
    LEFT JOIN LATERAL (SELECT array_agg(classifier::text ORDER BY classifier) AS classifiers, \
            array_agg(source_dataset_ref ORDER BY classifier) AS sources \
        FROM agdc.dataset_source WHERE dataset_ref = d.id) AS s ON TRUE";

/// What is stored of a dataset.
pub(super) struct Stored {
    pub(super) id: Uuid,
    product: i16,
    metadata: Json,
    archived: Option<Instant>,
    added: Instant,
    locations: Vec<(String, Option<Instant>)>,
    sources: Vec<(String, Uuid)>,
}

impl FromRow<'_, PgRow> for Stored {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let uris: Option<Vec<String>> = row.try_get("uris")?;
        let archived: Option<Vec<Option<Instant>>> = row.try_get("uris_archived")?;
        let classifiers: Option<Vec<String>> = row.try_get("classifiers")?;
        let sources: Option<Vec<Uuid>> = row.try_get("sources")?;
        Ok(Stored {
            id: row.try_get("id")?,
            product: row.try_get("dataset_type_ref")?,
            metadata: row.try_get("metadata")?,
            archived: row.try_get("archived")?,
            added: row.try_get("added")?,
            locations: uris
                .into_iter()
                .flatten()
                .zip(archived.into_iter().flatten())
                .collect(),
            sources: classifiers
                .into_iter()
                .flatten()
                .zip(sources.into_iter().flatten())
                .collect(),
        })
    }
}

impl Stored {
    /// What is stored of those ids, in no order.
    async fn read(connection: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Stored>> {
        sqlx::query_as(STORED).bind(ids).fetch_all(connection).await
    }

    /// The dataset.
    ///
    /// # Errors
    /// [`Error::Dataset`] for a document that the model does not read.
    fn dataset(&self, known: &Known, url: &str) -> Result<Dataset> {
        let unreadable = |product: &str, reason: String| Error::Dataset {
            id: self.id,
            reason: format!(
                "the index at {url} holds it in product {product}, but its document cannot be \
                 read: {reason}"
            ),
            source: None,
        };
        let number = format!("number {}", self.product);
        let product = known
            .definitions
            .product_by_key(self.product)
            .ok_or_else(|| unreadable(&number, "that product is not there".to_owned()))?;
        let name = format!("`{}`", product.name());
        let stored: Value = serde_json::from_str(&self.metadata.0)
            .map_err(|error| unreadable(&name, error.to_string()))?;
        let document = restored(stored, self.sources.clone());
        let none = Vec::<Location>::new();
        let dataset = Dataset::from_indexed(document, Arc::clone(product), none)
            .map_err(|errors| unreadable(&name, errors.to_string()))?;
        if dataset.id() != self.id {
            let reason = format!("it says that its id is {}", dataset.id());
            return Err(unreadable(&name, reason));
        }
        let locations = self.locations.iter().map(|(uri, archived)| {
            let location = Location::new(uri.as_str());
            match archived {
                Some(when) => location.archived_at(from_micros(when.0)),
                None => location,
            }
        });
        Ok(dataset
            .with_locations(locations)
            .with_archived(self.archived.map(|us| from_micros(us.0)))
            .with_indexed(Some(from_micros(self.added.0))))
    }
}

/// A dataset, or why it cannot be read; by id.
pub(super) type ReadById = HashMap<Uuid, Result<Dataset>>;

impl AgdcIndex {
    pub(super) async fn read_by_ids(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        let mut known = self.known().await?;
        let mut found: HashMap<Uuid, Dataset> = HashMap::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let rows = retried!(self, "read datasets", connection => {
                Stored::read(connection, chunk)
            })?;
            let is_known = |row: &Stored| known.definitions.product_by_key(row.product).is_some();
            if !rows.iter().all(is_known) {
                // A product came since.
                known = self.known().await?;
            }
            for (id, dataset) in self.make_all(rows, &known).await {
                found.insert(id, dataset?);
            }
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// The datasets of those ids, each as far as it can be read, over a
    /// connection; those that are gone by now are left out.
    pub(super) async fn read_each(
        &self,
        connection: &mut PgConnection,
        known: &Arc<Known>,
        ids: &[Uuid],
    ) -> sqlx::Result<ReadById> {
        let mut all = ReadById::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let rows = Stored::read(connection, chunk).await?;
            all.extend(self.make_all(rows, known).await);
        }
        Ok(all)
    }

    /// Reads documents: a few where they are, more of them on as many threads
    /// as there are.
    async fn make_all(
        &self,
        rows: Vec<Stored>,
        known: &Arc<Known>,
    ) -> Vec<(Uuid, Result<Dataset>)> {
        let (known, url) = (Arc::clone(known), self.address.url.clone());
        let read = move |row: &Stored| (row.id, row.dataset(&known, &url));
        if rows.len() <= FEW {
            return rows.iter().map(read).collect();
        }
        postgres::on_threads(rows, FEW, read).await
    }

    pub(super) async fn which_are_there(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        let mut there = std::collections::HashSet::new();
        for chunk in ids.chunks(10_000) {
            let found: Vec<Uuid> = retried!(self, "look for datasets", connection => {
                sqlx::query_scalar("SELECT id FROM agdc.dataset WHERE id = ANY($1)")
                    .bind(chunk)
                    .fetch_all(&mut *connection)
            })?;
            there.extend(found);
        }
        Ok(ids.iter().map(|id| there.contains(id)).collect())
    }
}
