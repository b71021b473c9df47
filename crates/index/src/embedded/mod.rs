//! The embedded index: one SQLite file, no server.
//!
//! Documents are kept whole; beside them stand the columns, R*Tree and tables
//! by which datasets are found (`migrations/sqlite` has the schema, with the
//! reasons). The file may be used by several processes at once.

mod add;
mod connect;
mod contract;
mod definitions;
mod errors;
#[cfg(test)]
mod full_tests;
mod insert;
mod lineage;
mod places;
mod plan;
mod read;
mod removing;
mod rows;
mod scene;
mod search;
mod sorted;
mod sql;
mod summaries;
mod sweep;
#[cfg(test)]
pub(crate) mod tests;
mod updating;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use datacube_model::{MetadataType, Product};
use jiff::Timestamp;
use sqlx::Connection;
use sqlx::sqlite::{Sqlite, SqliteConnection};
use tokio::sync::{MutexGuard, RwLock};
use uuid::Uuid;

#[cfg(doc)]
use crate::catalog::Index;
use crate::catalog::{Added, ArchiveReport};
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::open::OpenOptions;
use crate::time_range::micros;

use connect::Connections;
use definitions::Definitions;
use errors::Place;

type Transaction<'a> = sqlx::Transaction<'a, Sqlite>;

/// An index in one SQLite file.
#[derive(Debug)]
pub struct EmbeddedIndex {
    place: Place,
    options: OpenOptions,
    /// `None` while there is no index of this version in the file.
    connections: RwLock<Option<Arc<Connections>>>,
    /// What was last read of the definitions.
    definitions: std::sync::RwLock<Option<Arc<Definitions>>>,
    /// The most candidates that a search gathers before it walks instead.
    max_candidates: i64,
    /// Places that one pass of a walk in another order gives.
    sort_pass: usize,
}

impl EmbeddedIndex {
    /// Opens the index in the file at `path`.
    ///
    /// Nothing is created. Where there is no file yet, or one of an older
    /// version, every method fails saying so until [`Index::init`] is called.
    ///
    /// # Errors
    /// [`Error::NotAnIndex`], [`Error::SchemaTooNew`], or whatever keeps the
    /// file from being read.
    pub async fn open(path: impl Into<PathBuf>, options: &OpenOptions) -> Result<Self> {
        let path = path.into();
        let place = Place {
            url: format!("sqlite:{}", path.display()),
            path,
            busy_timeout: options.busy_timeout,
        };
        let index = EmbeddedIndex {
            place,
            options: options.clone(),
            connections: RwLock::new(None),
            definitions: std::sync::RwLock::new(None),
            max_candidates: plan::MAX_CANDIDATES,
            sort_pass: sorted::PASS,
        };
        match index.connections().await {
            Ok(_) | Err(Error::NotInitialised { .. } | Error::SchemaTooOld { .. }) => Ok(index),
            Err(other) => Err(other),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Closes every connection to the file; the last one moves what is in the
    /// write-ahead log into the file and removes the log.
    async fn let_go(&self) -> Result<()> {
        let Some(mut connections) = self.connections.write().await.take() else {
            return Ok(());
        };
        let started = Instant::now();
        loop {
            match Arc::try_unwrap(connections) {
                Ok(alone) => {
                    let closed = tokio::time::timeout(self.place.busy_timeout, alone.close());
                    let closed = closed.await.unwrap_or(Ok(()));
                    return closed.map_err(self.place.failed("close the file"));
                }
                // Who is at work with them closes them when the work is done.
                Err(_) if started.elapsed() > self.place.busy_timeout => return Ok(()),
                Err(shared) => connections = shared,
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn connections(&self) -> Result<Arc<Connections>> {
        if let Some(connections) = self.connections.read().await.as_ref() {
            return Ok(Arc::clone(connections));
        }
        let mut slot = self.connections.write().await;
        if let Some(connections) = slot.as_ref() {
            return Ok(Arc::clone(connections));
        }
        let connections = Arc::new(Connections::open(&self.place, &self.options).await?);
        *slot = Some(Arc::clone(&connections));
        Ok(connections)
    }

    async fn reader(&self) -> Result<sqlx::pool::PoolConnection<Sqlite>> {
        let connections = self.connections().await?;
        connections
            .read
            .acquire()
            .await
            .map_err(self.place.failed("open the file"))
    }

    async fn writer<'c>(
        &self,
        connections: &'c Connections,
    ) -> Result<MutexGuard<'c, SqliteConnection>> {
        match &connections.write {
            Some(connection) => Ok(connection.lock().await),
            None => Err(Error::ReadOnly {
                url: self.place.url.clone(),
                reason: connections.read_only_reason.to_owned(),
            }),
        }
    }

    /// Begins to write: from here on nobody else does.
    async fn begin<'c>(&self, connection: &'c mut SqliteConnection) -> Result<Transaction<'c>> {
        let begun = connection.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(self.place.failed("begin to write"))
    }

    async fn commit(&self, transaction: Transaction<'_>) -> Result<()> {
        transaction
            .commit()
            .await
            .map_err(self.place.failed("commit"))
    }

    /// Commits what was written, or takes it back after a trial.
    async fn end(&self, transaction: Transaction<'_>, dry_run: bool) -> Result<()> {
        if !dry_run {
            return self.commit(transaction).await;
        }
        transaction
            .rollback()
            .await
            .map_err(self.place.failed("take back a trial"))
    }

    /// The definitions as they are now.
    async fn definitions(&self) -> Result<Arc<Definitions>> {
        let mut connection = self.reader().await?;
        self.definitions_seen_by(&mut connection).await
    }

    async fn definitions_seen_by(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<Arc<Definitions>> {
        let failed = self.place.failed("read its products");
        let known = self.known_definitions();
        let revision = definitions::revision(connection).await.map_err(&failed)?;
        if let Some(known) = known.filter(|known| known.extra.revision == revision) {
            return Ok(known);
        }
        // In a writer's transaction this is a savepoint, and as good.
        let mut transaction = connection.begin().await.map_err(&failed)?;
        let read = Arc::new(definitions::read(&mut transaction, &self.place).await?);
        transaction.commit().await.map_err(&failed)?;
        Ok(read)
    }

    fn known_definitions(&self) -> Option<Arc<Definitions>> {
        self.definitions
            .read()
            .expect("nothing panics while it is held")
            .clone()
    }

    /// Remembers definitions that were read outside of any writing transaction.
    fn remember(&self, definitions: &Arc<Definitions>) {
        let mut slot = self
            .definitions
            .write()
            .expect("nothing panics while it is held");
        *slot = Some(Arc::clone(definitions));
    }

    fn forget_definitions(&self) {
        *self
            .definitions
            .write()
            .expect("nothing panics while it is held") = None;
    }

    /// The definitions as they are now, remembered.
    async fn current_definitions(&self) -> Result<Arc<Definitions>> {
        let definitions = self.definitions().await?;
        self.remember(&definitions);
        Ok(definitions)
    }

    /// Adds a metadata type within a transaction.
    async fn put_metadata_type(
        &self,
        transaction: &mut Transaction<'_>,
        known: &Definitions,
        given: &MetadataType,
    ) -> Result<Added> {
        if let Some((_, stored)) = known.metadata_types.get(given.name()) {
            let name = given.name();
            return same(
                Kind::MetadataType,
                name,
                stored.document(),
                given.document(),
            );
        }
        let failed = self.place.failed("add a metadata type");
        sqlx::query("INSERT INTO metadata_type (name, document, added_us) VALUES (?1, ?2, ?3)")
            .bind(given.name())
            .bind(given.document().to_string())
            .bind(micros(Timestamp::now()))
            .execute(&mut **transaction)
            .await
            .map_err(&failed)?;
        self.put_search_fields(transaction, given).await?;
        Ok(Added::New)
    }

    async fn put_product(
        &self,
        transaction: &mut Transaction<'_>,
        known: &Definitions,
        given: &Product,
    ) -> Result<Added> {
        // The type first: a product of another type is no product that we have.
        let metadata_type = given.metadata_type();
        self.put_metadata_type(transaction, known, metadata_type)
            .await?;
        if let Some((_, stored)) = known.products.get(given.name()) {
            return same(
                Kind::Product,
                given.name(),
                stored.document(),
                given.document(),
            );
        }
        sqlx::query(
            "INSERT INTO product (name, metadata_type, document, added_us) \
             SELECT ?1, key, ?2, ?3 FROM metadata_type WHERE name = ?4",
        )
        .bind(given.name())
        .bind(given.document().to_string())
        .bind(micros(Timestamp::now()))
        .bind(metadata_type.name())
        .execute(&mut **transaction)
        .await
        .map_err(self.place.failed("add a product"))?;
        Ok(Added::New)
    }

    /// Sets `archived_us` of those that are in the other state.
    async fn mark(&self, ids: &[Uuid], archived_us: Option<i64>) -> Result<ArchiveReport> {
        let failed = self.place.failed("change datasets");
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut report = ArchiveReport::default();
        let mut seen = HashSet::new();
        for chunk in ids.chunks(1000) {
            let rows: Vec<(Uuid, i64, Option<i64>)> = sqlx::query_as(
                "SELECT d.id, d.key, d.archived_us FROM json_each(?1) AS given \
                 CROSS JOIN dataset AS d ON d.id = unhex(given.value)",
            )
            .bind(read::hex_list(chunk))
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
            let states: HashMap<Uuid, (i64, bool)> = rows
                .into_iter()
                .map(|(id, key, archived_us)| (id, (key, archived_us.is_some())))
                .collect();
            let mut keys = Vec::new();
            for id in chunk {
                match states.get(id) {
                    None => report.unknown.push(*id),
                    Some((key, is_archived)) => {
                        // A second mention finds it in its new state.
                        if seen.insert(*id) && *is_archived != archived_us.is_some() {
                            keys.push(*key);
                            report.changed.push(*id);
                        } else {
                            report.unchanged.push(*id);
                        }
                    }
                }
            }
            sqlx::query(
                "UPDATE dataset SET archived_us = ?1, changed_us = ?3 \
                 WHERE key IN (SELECT value FROM json_each(?2))",
            )
            .bind(archived_us)
            .bind(serde_json::Value::from(keys).to_string())
            .bind(micros(Timestamp::now()))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        }
        self.commit(transaction).await?;
        Ok(report)
    }
}
