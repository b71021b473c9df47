//! Where a dataset is, changed.

use datacube_model::Location;
use jiff::Timestamp;
use uuid::Uuid;

use super::{EmbeddedIndex, Transaction};
use crate::error::{Error, Kind, Result};
use crate::time_range::{from_micros, micros};

impl EmbeddedIndex {
    /// Changes the locations of a dataset; tells whether that made a difference.
    pub(super) async fn relocate(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Vec<Location>) -> bool,
    ) -> Result<bool> {
        let failed = self.place.failed("read locations");
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let key: Option<i64> = sqlx::query_scalar("SELECT key FROM dataset WHERE id = ?1")
            .bind(id.as_bytes().as_slice())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(&failed)?;
        let Some(key) = key else {
            return Err(Error::NotFound {
                kind: Kind::Dataset,
                name: id.to_string(),
                known: Vec::new(),
            });
        };
        let rows: Vec<(String, Option<i64>)> = sqlx::query_as(
            "SELECT uri, archived_us FROM location WHERE dataset = ?1 ORDER BY priority",
        )
        .bind(key)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let mut places = rows.into_iter().map(location).collect();
        if !change(&mut places) {
            return Ok(false);
        }
        self.replace_locations(&mut transaction, key, &places)
            .await?;
        self.touch(&mut transaction, key, Timestamp::now()).await?;
        self.commit(transaction).await?;
        Ok(true)
    }

    pub(super) async fn replace_locations(
        &self,
        transaction: &mut Transaction<'_>,
        key: i64,
        places: &[Location],
    ) -> Result<()> {
        sqlx::query("DELETE FROM location WHERE dataset = ?1")
            .bind(key)
            .execute(&mut **transaction)
            .await
            .map_err(self.place.failed("write locations"))?;
        self.insert_locations(transaction, &[(key, places)]).await
    }

    /// Notes when a dataset changed.
    pub(super) async fn touch(
        &self,
        transaction: &mut Transaction<'_>,
        key: i64,
        now: Timestamp,
    ) -> Result<()> {
        sqlx::query("UPDATE dataset SET changed_us = ?2 WHERE key = ?1")
            .bind(key)
            .bind(micros(now))
            .execute(&mut **transaction)
            .await
            .map(drop)
            .map_err(self.place.failed("note a change"))
    }
}

/// A row of the table.
pub(super) fn location((uri, archived_us): (String, Option<i64>)) -> Location {
    let location = Location::new(uri);
    match archived_us {
        Some(us) => location.archived_at(from_micros(us)),
        None => location,
    }
}
