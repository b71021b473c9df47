//! Adding datasets: rows are made on blocking threads, written by one
//! connection in one transaction.
//!
//! While one group of rows is written the next ones are made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datacube_model::{Dataset, LineageRelation};
use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::definitions::Definitions;
use super::rows::{Row, make_rows};
use super::{EmbeddedIndex, Transaction};
use crate::catalog::{AddOptions, AddOutcome};
use crate::differences::same_dataset;
use crate::error::{Error, Result};
use crate::relations::Relations;
use crate::time_range::micros;

/// Datasets whose rows are made, and whose ids are looked up, together.
const CHUNK: usize = 256;

/// Chunks that are made ahead of the one that is written.
const AHEAD: usize = 3;

/// The longest time range of any dataset by the key of its product.
pub(super) type Longest = HashMap<i64, i64>;

/// What is known while a batch is added.
struct Batch<'o> {
    options: &'o AddOptions,
    known: Arc<Definitions>,
    now: Timestamp,
    longest: Longest,
    outcomes: Vec<AddOutcome>,
}

/// A chunk of new rows, and the relations that go with them.
#[derive(Default)]
struct Chunk {
    rows: Vec<Row>,
    lineage: Relations,
    relations: Vec<LineageRelation>,
}

impl EmbeddedIndex {
    /// Adds datasets in one transaction.
    pub(super) async fn put_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let mut batch = Batch {
            options,
            known: Arc::clone(&known),
            now: options.indexed_at.unwrap_or_else(Timestamp::now),
            longest: Longest::new(),
            outcomes: Vec::with_capacity(datasets.len()),
        };
        let mut made = stream::iter(into_chunks(datasets))
            .map(|chunk| {
                let known = Arc::clone(&known);
                tokio::task::spawn_blocking(move || make_rows(chunk, &known))
            })
            .buffered(AHEAD);
        while let Some(rows) = made.next().await {
            let rows = rows.expect("making rows does not panic");
            let chunk = self.sort_out(&mut transaction, rows, &mut batch).await?;
            let indexed_us = |row: &Row| micros(options.indexed(&row.dataset, batch.now));
            self.insert(&mut transaction, &chunk.rows, indexed_us)
                .await?;
            self.insert_relations(&mut transaction, &chunk.relations)
                .await?;
        }
        self.note_longest(&mut transaction, &batch.longest).await?;
        self.commit(transaction).await?;
        Ok(batch.outcomes)
    }

    /// Notes how long the time ranges of products are by now.
    pub(super) async fn note_longest(
        &self,
        transaction: &mut Transaction<'_>,
        longest: &Longest,
    ) -> Result<()> {
        for (product, length) in longest {
            sqlx::query("UPDATE product SET longest_us = ?1 WHERE key = ?2 AND longest_us < ?1")
                .bind(length)
                .bind(product)
                .execute(&mut **transaction)
                .await
                .map_err(self.place.failed("note the longest time"))?;
        }
        Ok(())
    }

    /// Sets apart what is new from what is there and what cannot be added.
    async fn sort_out(
        &self,
        transaction: &mut Transaction<'_>,
        rows: Vec<(Dataset, Result<Row>)>,
        batch: &mut Batch<'_>,
    ) -> Result<Chunk> {
        let ids: HashSet<Uuid> = rows.iter().map(|(dataset, _)| dataset.id()).collect();
        let mut stored = self.stored_texts(transaction, &ids).await?;
        let mut chunk = Chunk::default();
        if batch.options.with_lineage {
            let relations: Vec<LineageRelation> = rows
                .iter()
                .flat_map(|(dataset, _)| dataset.lineage().relations(dataset.id()))
                .collect();
            chunk.lineage = self.relations_around(transaction, &relations).await?;
        }
        for (dataset, row) in rows {
            let id = dataset.id();
            let row = match row {
                Ok(row) => row,
                Err(error) => {
                    batch.outcomes.push(AddOutcome::Failed(error));
                    continue;
                }
            };
            let outcome = match stored.get(&id) {
                Some(text) if *text == row.text => AddOutcome::AlreadyThere,
                Some(text) => self.compared(id, text, &dataset),
                None => {
                    let text = row.text.clone();
                    match self.take_in(transaction, row, &mut chunk, batch).await? {
                        Ok(()) => {
                            stored.insert(id, text);
                            AddOutcome::Added
                        }
                        Err(error) => AddOutcome::Failed(error),
                    }
                }
            };
            batch.outcomes.push(outcome);
        }
        Ok(chunk)
    }

    /// Takes a new row into the chunk, unless its scene or its lineage speaks
    /// against it: the inner error.
    async fn take_in(
        &self,
        transaction: &mut Transaction<'_>,
        row: Row,
        chunk: &mut Chunk,
        batch: &mut Batch<'_>,
    ) -> Result<Result<()>> {
        let outdated = match batch.options.archive_less_mature {
            Some(leniency) => {
                self.outdated(
                    transaction,
                    &batch.known,
                    &row,
                    leniency,
                    &batch.longest,
                    &chunk.rows,
                )
                .await?
            }
            None => Ok(Vec::new()),
        };
        let outdated = match outdated {
            Ok(outdated) => outdated,
            Err(error) => return Ok(Err(error)),
        };
        if batch.options.with_lineage {
            let relations = row.dataset.lineage().relations(row.record.id);
            match chunk.lineage.merge(&relations, false) {
                Ok(merged) => chunk.relations.extend(merged.added),
                Err(error) => return Ok(Err(error)),
            }
        }
        self.retire(transaction, &outdated, batch.now, &mut chunk.rows)
            .await?;
        let longest = batch.longest.entry(row.product).or_default();
        *longest = row.length_us().max(*longest);
        chunk.rows.push(row);
        Ok(Ok(()))
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
}

/// Datasets in groups that are worked on together.
pub(super) fn into_chunks(datasets: Vec<Dataset>) -> Vec<Vec<Dataset>> {
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
