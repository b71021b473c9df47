//! Adding datasets: rows are made on blocking threads, written by one
//! connection in one transaction, some hundreds with each statement.
//!
//! Datasets are written in the order of their ids, so that two writers of the
//! same ones wait for each other instead of for ever.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use datacube_model::{Dataset, LineageRelation, Product};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::errors::is_conflict;
use super::mark::set_archived;
use super::read::Stored;
use super::rows::{Row, insert_datasets, insert_extents, insert_own, insert_search_rows};
use super::{Lock, PostgisIndex};
use crate::catalog::{AddOptions, AddOutcome};
use crate::differences::{same, same_dataset};
use crate::error::{Error, Kind, Result};
use crate::postgres::Definitions;
use crate::postgres::document::as_written;
use crate::relations::Relations;
use crate::time_range::{from_micros, micros};

/// Datasets of one round of statements.
const CHUNK: usize = 250;

/// Rounds that are made ahead of the one that is written.
const AHEAD: usize = 3;

/// How often a batch is written again when it got in another's way.
const ATTEMPTS: u32 = 6;

/// Documents are compressed by lz4 where the server has it, for the default
/// takes longer than all else that is done to them.
const COMPRESS_FAST: &str = "SELECT set_config(name, 'lz4', TRUE) FROM pg_settings \
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)";

/// What is known of a document under an id.
enum Known {
    /// It is in the database.
    Stored(Stored),
    /// It came earlier in the batch.
    Given(Dataset),
}

impl PostgisIndex {
    /// Adds datasets in one transaction.
    pub(super) async fn put_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        self.ensure_own().await?;
        let mut attempt = 0;
        loop {
            match self.put_once(&datasets, options).await {
                Err(Error::Database { source, .. })
                    if is_conflict(&source) && attempt < ATTEMPTS =>
                {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(20 << attempt)).await;
                }
                other => return other,
            }
        }
    }

    async fn put_once(
        &self,
        datasets: &[Dataset],
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let indexed_us = micros(options.indexed_at.unwrap_or_else(Timestamp::now));
        let session = self.session().await?;
        let has_lineage = options.with_lineage && datasets.iter().any(|d| !d.lineage().is_empty());
        let mut order: Vec<usize> = (0..datasets.len()).collect();
        if !has_lineage && options.archive_less_mature.is_none() {
            // Those of the same id stay in the order in which they were given.
            order.sort_by_key(|i| datasets[*i].id());
        }
        // Of one scene the next has to see what became of the one before.
        let n_each = options.archive_less_mature.map_or(CHUNK, |_| 1);
        let chunks: Vec<Vec<Dataset>> = order
            .chunks(n_each)
            .map(|chunk| chunk.iter().map(|i| datasets[*i].clone()).collect())
            .collect();
        let known = &session.known;
        let mut made = stream::iter(chunks)
            .map(|chunk| {
                let known = Arc::clone(known);
                tokio::task::spawn_blocking(move || make_rows(chunk, &known))
            })
            .buffered(AHEAD);
        let mut transaction = self.begin("add datasets").await?;
        sqlx::query(COMPRESS_FAST)
            .execute(&mut *transaction)
            .await
            .map_err(self.failed("add datasets"))?;
        if has_lineage {
            self.lock(&mut transaction, Lock::Lineage).await?;
        }
        if options.archive_less_mature.is_some() {
            self.lock(&mut transaction, Lock::Scenes).await?;
        }
        let mut outcomes: Vec<AddOutcome> = Vec::with_capacity(datasets.len());
        while let Some(rows) = made.next().await {
            let rows = rows.expect("making rows does not panic");
            let chunk = self
                .put_chunk(&mut transaction, rows, indexed_us, options, known)
                .await?;
            outcomes.extend(chunk);
        }
        transaction
            .commit()
            .await
            .map_err(self.failed("add datasets"))?;
        let mut in_order: Vec<(usize, AddOutcome)> = order.into_iter().zip(outcomes).collect();
        in_order.sort_by_key(|(i, _)| *i);
        Ok(in_order.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn put_chunk(
        &self,
        connection: &mut PgConnection,
        rows: Vec<(Dataset, Result<Row>)>,
        indexed_us: i64,
        options: &AddOptions,
        definitions: &Definitions,
    ) -> Result<Vec<AddOutcome>> {
        let failed = self.failed("add datasets");
        let ids: Vec<Uuid> = rows.iter().map(|(dataset, _)| dataset.id()).collect();
        let mut known: HashMap<Uuid, Known> = self.known_of(connection, &ids).await?;
        let mut lineage = Relations::default();
        if options.with_lineage {
            let stated: Vec<LineageRelation> = rows
                .iter()
                .flat_map(|(dataset, _)| dataset.lineage().relations(dataset.id()))
                .collect();
            lineage = self.relations_around(connection, &stated).await?;
        }
        let mut relations: Vec<LineageRelation> = Vec::new();
        let mut outcomes = Vec::with_capacity(rows.len());
        let mut new_rows: Vec<(usize, Row)> = Vec::with_capacity(rows.len());
        for (i, (dataset, row)) in rows.into_iter().enumerate() {
            let id = dataset.id();
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    outcomes.push(AddOutcome::Failed(error));
                    continue;
                }
            };
            if let Some(there) = known.get(&id) {
                outcomes.push(self.compared(there, &dataset, Some(&row.written)));
                continue;
            }
            if let Some(leniency) = options.archive_less_mature {
                let outdated = self
                    .outdated(connection, definitions, &row.dataset, row.product, leniency)
                    .await?;
                match outdated {
                    Ok(ids) => set_archived(connection, &ids, Some(indexed_us))
                        .await
                        .map_err(&failed)?,
                    Err(error) => {
                        outcomes.push(AddOutcome::Failed(error));
                        continue;
                    }
                }
            }
            if options.with_lineage {
                match lineage.merge(&dataset.lineage().relations(id), false) {
                    Ok(merged) => relations.extend(merged.added),
                    Err(error) => {
                        outcomes.push(AddOutcome::Failed(error));
                        continue;
                    }
                }
            }
            known.insert(id, Known::Given(dataset));
            outcomes.push(AddOutcome::Added);
            new_rows.push((i, row));
        }
        let now = from_micros(indexed_us);
        let indexed = |row: &Row| micros(options.indexed(&row.dataset, now));
        let inserted = insert_datasets(connection, new_rows.iter().map(|(_, row)| row), indexed)
            .await
            .map_err(&failed)?;
        // Another writer was quicker with some.
        let late: Vec<usize> = new_rows
            .iter()
            .filter(|(_, row)| !inserted.contains(&row.record.id))
            .map(|(i, _)| *i)
            .collect();
        if !late.is_empty() {
            let theirs = self.known_of(connection, &ids).await?;
            for i in late {
                if let (Some(there), Some(Known::Given(dataset))) =
                    (theirs.get(&ids[i]), known.get(&ids[i]))
                {
                    outcomes[i] = self.compared(there, dataset, None);
                }
            }
        }
        let written: Vec<&Row> = new_rows
            .iter()
            .map(|(_, row)| row)
            .filter(|row| inserted.contains(&row.record.id))
            .collect();
        insert_own(connection, &written, indexed)
            .await
            .map_err(&failed)?;
        insert_search_rows(connection, &written)
            .await
            .map_err(&failed)?;
        insert_extents(connection, &written)
            .await
            .map_err(&failed)?;
        relations.retain(|relation| inserted.contains(&relation.derived));
        self.insert_relations(connection, &relations).await?;
        Ok(outcomes)
    }

    async fn known_of(
        &self,
        connection: &mut PgConnection,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Known>> {
        let stored = Stored::read(connection, ids, true)
            .await
            .map_err(self.failed("look for datasets"))?;
        Ok(stored
            .into_iter()
            .map(|stored| (stored.id, Known::Stored(stored)))
            .collect())
    }

    fn compared(&self, there: &Known, dataset: &Dataset, written: Option<&str>) -> AddOutcome {
        let stored = match there {
            Known::Given(earlier) => Ok(earlier.document().clone()),
            Known::Stored(stored) => {
                if stored.written.is_some() && stored.written.as_deref() == written {
                    return AddOutcome::AlreadyThere;
                }
                stored.document()
            }
        };
        let stored: Value = match stored {
            Ok(stored) => stored,
            Err(error) => {
                return AddOutcome::Failed(Error::Corrupt {
                    url: self.address.url.clone(),
                    what: format!("the document of dataset {}", dataset.id()),
                    reason: error.to_string(),
                });
            }
        };
        let is_pythons = matches!(there, Known::Stored(Stored { written: None, .. }));
        let given = if is_pythons {
            &as_written(dataset.document().clone())
        } else {
            dataset.document()
        };
        match same_dataset(dataset.id(), &stored, given) {
            Ok(_) => AddOutcome::AlreadyThere,
            Err(error) => AddOutcome::Failed(error),
        }
    }
}

/// The rows of datasets, on a thread that may be busy.
pub(super) fn make_rows(
    datasets: Vec<Dataset>,
    known: &Definitions,
) -> Vec<(Dataset, Result<Row>)> {
    // Datasets of a batch share their product; comparing it once is enough.
    let mut checked: HashMap<*const Product, i16> = HashMap::new();
    datasets
        .into_iter()
        .map(|dataset| {
            let product = Arc::as_ptr(dataset.product());
            let id = match checked.get(&product) {
                Some(id) => Ok(*id),
                None => check_product(dataset.product(), known),
            };
            let row = id.and_then(|id| {
                checked.insert(product, id);
                Row::of(&dataset, id, known)
            });
            (dataset, row)
        })
        .collect()
}

/// The id of a product that the index has in the same definition.
pub(super) fn check_product(given: &Arc<Product>, known: &Definitions) -> Result<i16> {
    let (id, stored) = known.product(given.name())?;
    if !Arc::ptr_eq(stored, given) {
        same(
            Kind::Product,
            given.name(),
            stored.document(),
            given.document(),
        )?;
    }
    Ok(*id)
}
