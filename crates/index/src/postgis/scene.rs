//! Which datasets a new one makes out of date.

use std::time::Duration;

use datacube_model::Dataset;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PostgisIndex;
use super::read::Stored;
use crate::error::Result;
use crate::maturity::Standing;
use crate::postgres::Definitions;

impl PostgisIndex {
    /// The active datasets of the scene of a new one that are less mature;
    /// the inner error when one is not.
    pub(super) async fn outdated(
        &self,
        connection: &mut PgConnection,
        known: &Definitions,
        dataset: &Dataset,
        product: i16,
        leniency: Duration,
    ) -> Result<Result<Vec<Uuid>>> {
        if dataset.is_archived() {
            return Ok(Ok(Vec::new()));
        }
        let standing = match Standing::of(dataset) {
            Ok(standing) => standing,
            Err(error) => return Ok(Err(error)),
        };
        let failed = self.failed("look for less mature datasets");
        let has_region = known
            .product_by_key(product)
            .is_some_and(|product| product.metadata_type().field("region_code").is_some());
        let region = has_region.then(|| standing.region.clone());
        let (low, high) = standing.times(leniency);
        // The middle of a dataset is within half of the longest of its product.
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT d.id FROM datacube.dataset AS d CROSS JOIN \
                 (SELECT coalesce(max(end_us - begin_us), 0) / 2 + 1 AS beyond \
                  FROM datacube.dataset WHERE product = $1) AS longest \
             WHERE d.product = $1 AND d.archived_us IS NULL \
               AND d.center_us BETWEEN $2::numeric - beyond AND $3::numeric + beyond \
               AND d.begin_us <= $3 AND d.end_us >= $2 \
               AND ($4::text IS NULL OR NOT d.is_derived OR d.fields ->> 'region_code' = $4) \
             ORDER BY d.center_us, d.id",
        )
        .bind(product)
        .bind(low)
        .bind(high)
        .bind(region)
        .fetch_all(&mut *connection)
        .await
        .map_err(&failed)?;
        let stored = Stored::read(connection, &ids, true)
            .await
            .map_err(&failed)?;
        let mut outdated = Vec::new();
        for id in ids {
            let Some(stored) = stored.iter().find(|stored| stored.id == id) else {
                continue;
            };
            let other = stored.dataset(known, &self.address.url)?;
            let Some(other) = Standing::of_other(&other) else {
                continue;
            };
            match standing.outdates(&other, leniency) {
                Ok(true) => outdated.push(other.id),
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(outdated))
    }
}
