//! What goes for good: datasets, products, everything.

use std::collections::{HashMap, HashSet};

use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::read::hex_list;
use super::{EmbeddedIndex, Transaction};
use crate::catalog::{DeleteOptions, DeleteOutcome, PurgeOptions, PurgeReport};
use crate::error::{Error, Result};

/// Ids of one statement.
const CHUNK: usize = 1000;

impl EmbeddedIndex {
    pub(super) async fn purge_datasets(
        &self,
        ids: &[Uuid],
        options: &PurgeOptions,
    ) -> Result<PurgeReport> {
        let failed = self.place.failed("remove datasets");
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut report = PurgeReport::default();
        let mut gone: HashSet<Uuid> = HashSet::new();
        for chunk in ids.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64, bool, String)> = sqlx::query_as(
                "SELECT d.id, d.key, d.archived_us IS NOT NULL, d.fields \
                 FROM json_each(?1) AS given \
                 CROSS JOIN dataset AS d ON d.id = unhex(given.value)",
            )
            .bind(hex_list(chunk))
            .fetch_all(&mut *transaction)
            .await
            .map_err(&failed)?;
            let rows: HashMap<Uuid, (i64, bool, String)> = rows
                .into_iter()
                .map(|(id, key, is_archived, fields)| (id, (key, is_archived, fields)))
                .collect();
            let mut going: Vec<Uuid> = Vec::new();
            for id in chunk {
                match rows.get(id).filter(|_| !gone.contains(id)) {
                    None => report.unknown.push(*id),
                    Some((_, false, _)) if !options.with_active => report.active.push(*id),
                    Some((key, _, fields)) => {
                        self.delete_values(&mut transaction, *key, fields).await?;
                        self.delete_boxes(&mut transaction, *key).await?;
                        gone.insert(*id);
                        going.push(*id);
                    }
                }
            }
            let list = hex_list(&going);
            // Documents and locations go with their datasets.
            for statement in [
                "DELETE FROM lineage WHERE derived IN (SELECT unhex(value) FROM json_each(?1))",
                "DELETE FROM home WHERE dataset IN (SELECT unhex(value) FROM json_each(?1))",
                "DELETE FROM dataset WHERE id IN (SELECT unhex(value) FROM json_each(?1))",
            ] {
                sqlx::query(statement)
                    .bind(&list)
                    .execute(&mut *transaction)
                    .await
                    .map_err(&failed)?;
            }
            report.purged.extend(going);
        }
        self.end(transaction, options.dry_run).await?;
        Ok(report)
    }

    pub(super) async fn remove_products(
        &self,
        names: &[String],
        options: &DeleteOptions,
    ) -> Result<Vec<DeleteOutcome>> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut outcomes = Vec::with_capacity(names.len());
        for name in names {
            // What an earlier name took with it is gone here too.
            let known = self.definitions_seen_by(&mut transaction).await?;
            outcomes.push(match known.product(name) {
                Ok((key, _)) => {
                    self.remove_product(&mut transaction, name, *key, options)
                        .await?
                }
                Err(error) => DeleteOutcome::Failed(error),
            });
        }
        self.end(transaction, options.dry_run).await?;
        Ok(outcomes)
    }

    async fn remove_product(
        &self,
        transaction: &mut Transaction<'_>,
        name: &str,
        key: i64,
        options: &DeleteOptions,
    ) -> Result<DeleteOutcome> {
        let failed = self.place.failed("delete a product");
        let (n_datasets, n_active): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE archived_us IS NULL) \
             FROM dataset WHERE product = ?1",
        )
        .bind(key)
        .fetch_one(&mut **transaction)
        .await
        .map_err(&failed)?;
        if n_active > 0 && !options.with_active {
            return Ok(DeleteOutcome::Failed(Error::InUse {
                name: name.to_owned(),
                n_active: n_active.unsigned_abs(),
            }));
        }
        // One pass over each table, for there may be many datasets.
        for statement in [
            "DELETE FROM search_text WHERE dataset IN \
             (SELECT key FROM dataset WHERE product = ?1)",
            "DELETE FROM search_range WHERE dataset IN \
             (SELECT key FROM dataset WHERE product = ?1)",
            "DELETE FROM footprint_box WHERE key IN \
             (SELECT 2 * key FROM dataset WHERE product = ?1 \
              UNION ALL SELECT 2 * key + 1 FROM dataset WHERE product = ?1)",
            "DELETE FROM lineage WHERE derived IN (SELECT id FROM dataset WHERE product = ?1)",
            "DELETE FROM home WHERE dataset IN (SELECT id FROM dataset WHERE product = ?1)",
            "DELETE FROM dataset WHERE product = ?1",
            "DELETE FROM product WHERE key = ?1",
        ] {
            sqlx::query(statement)
                .bind(key)
                .execute(&mut **transaction)
                .await
                .map_err(&failed)?;
        }
        Ok(DeleteOutcome::Deleted {
            n_datasets: n_datasets.unsigned_abs(),
        })
    }

    /// Makes the file what it was before there was an index in it.
    pub(super) async fn remove_everything(&self) -> Result<()> {
        let failed = self.place.failed("clear the index");
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        // Those that refer to others come after these in the schema.
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             AND name NOT LIKE 'footprint_box_%' ORDER BY rowid DESC",
        )
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        for table in tables {
            // The names of our own tables.
            sqlx::query(AssertSqlSafe(format!("DROP TABLE \"{table}\"")))
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        sqlx::raw_sql("PRAGMA user_version = 0; PRAGMA application_id = 0;")
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        self.commit(transaction).await?;
        // The space goes back where nobody reads; else it is used again.
        if let Err(error) = sqlx::query("VACUUM").execute(&mut *connection).await {
            tracing::debug!(%error, "the file keeps its size");
        }
        drop(connection);
        drop(connections);
        self.forget_definitions();
        self.let_go().await
    }
}
