//! Where datasets are: several locations each, of which `odc` knows one.

use datacube_model::Location;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PostgisIndex;
use super::read::Stored;
use super::rows::put_locations;
use crate::error::{Error, Kind, Result};

impl PostgisIndex {
    /// Changes the locations of a dataset; tells what the change told.
    pub(super) async fn relocate(
        &self,
        id: Uuid,
        change: impl FnOnce(&mut Vec<Location>) -> bool + Send,
    ) -> Result<bool> {
        self.ensure_own().await?;
        let mut transaction = self.begin("change locations").await?;
        let stored = self.locked(&mut transaction, id).await?;
        let mut places = stored.locations();
        let changed = change(&mut places);
        if changed {
            put_locations(&mut transaction, id, &places)
                .await
                .map_err(self.failed("change locations"))?;
        }
        self.end(transaction, !changed, "change locations").await?;
        Ok(changed)
    }

    /// What is stored of a dataset, which nobody else changes until the end of
    /// the transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(super) async fn locked(&self, connection: &mut PgConnection, id: Uuid) -> Result<Stored> {
        let failed = self.failed("change a dataset");
        sqlx::query("SELECT FROM odc.dataset WHERE id = $1 FOR NO KEY UPDATE")
            .bind(id)
            .execute(&mut *connection)
            .await
            .map_err(&failed)?;
        let stored = Stored::read(connection, &[id], true)
            .await
            .map_err(&failed)?;
        stored.into_iter().next().ok_or_else(|| Error::NotFound {
            kind: Kind::Dataset,
            name: id.to_string(),
            known: Vec::new(),
        })
    }
}
