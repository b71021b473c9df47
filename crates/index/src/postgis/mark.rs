//! Archiving datasets and restoring them.

use std::collections::{HashMap, HashSet};

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PostgisIndex;
use super::types::Instant;
use crate::catalog::ArchiveReport;
use crate::error::Result;

impl PostgisIndex {
    /// Sets when datasets were archived, of those that are in the other state.
    pub(super) async fn mark(
        &self,
        ids: &[Uuid],
        archived_us: Option<i64>,
    ) -> Result<ArchiveReport> {
        self.ensure_own().await?;
        let failed = self.failed("change datasets");
        let mut report = ArchiveReport::default();
        if ids.is_empty() {
            return Ok(report);
        }
        let mut sorted: Vec<Uuid> = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut transaction = self.begin("change datasets").await?;
        // In order, so that two who do this wait for each other.
        let rows: Vec<(Uuid, bool)> = sqlx::query_as(
            "SELECT id, archived IS NOT NULL FROM odc.dataset WHERE id = ANY($1) \
             ORDER BY id FOR NO KEY UPDATE",
        )
        .bind(&sorted)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let states: HashMap<Uuid, bool> = rows.into_iter().collect();
        let mut seen = HashSet::new();
        for id in ids {
            match states.get(id) {
                None => report.unknown.push(*id),
                // A second mention finds it in its new state.
                Some(is_archived) if seen.insert(*id) && *is_archived != archived_us.is_some() => {
                    report.changed.push(*id);
                }
                Some(_) => report.unchanged.push(*id),
            }
        }
        set_archived(&mut transaction, &report.changed, archived_us)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(report)
    }
}

/// Sets when datasets were archived.
pub(super) async fn set_archived(
    connection: &mut PgConnection,
    ids: &[Uuid],
    archived_us: Option<i64>,
) -> sqlx::Result<()> {
    sqlx::query("UPDATE odc.dataset SET archived = $2 WHERE id = ANY($1)")
        .bind(ids)
        .bind(archived_us.map(Instant))
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE datacube.dataset SET archived_us = $2 WHERE id = ANY($1)")
        .bind(ids)
        .bind(archived_us)
        .execute(connection)
        .await
        .map(|_| ())
}
