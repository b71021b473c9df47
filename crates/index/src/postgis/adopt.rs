//! Rows that Python wrote, made as good as our own.
//!
//! Triggers know of them their product and time. Where they lie and what their
//! fields hold is derived from their documents here, when a search meets such
//! rows and its user may write; for others a search looks into the documents.

use std::sync::Arc;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::read::Stored;
use super::rows::Row;
use super::types::Json;
use super::{PostgisIndex, Session};
use crate::error::Result;

/// Rows of one transaction.
const CHUNK: i64 = 500;

/// The most rows that a search makes its own before it goes on.
const BEFORE_A_SEARCH: usize = 4000;

impl PostgisIndex {
    /// Derives rows that are not, up to some number; tells whether all are.
    pub(super) async fn adopt_some(&self, session: &Session) -> Result<bool> {
        self.adopt(session, BEFORE_A_SEARCH).await
    }

    /// Derives all rows that are not.
    pub(super) async fn adopt_all(&self) -> Result<()> {
        let session = self.session_as_is().await?;
        if session.has_strangers && session.may_write {
            self.adopt(&session, usize::MAX).await?;
        }
        Ok(())
    }

    async fn adopt(&self, session: &Session, at_most: usize) -> Result<bool> {
        let failed = self.failed("read what Python wrote");
        let mut connection = self.connection().await?;
        let mut n_adopted = 0;
        let mut after = Uuid::nil();
        while n_adopted < at_most {
            let ids: Vec<Uuid> = sqlx::query_scalar(
                "SELECT id FROM datacube.dataset WHERE NOT is_derived AND id >= $1 \
                 ORDER BY id LIMIT $2",
            )
            .bind(after)
            .bind(CHUNK)
            .fetch_all(&mut *connection)
            .await
            .map_err(&failed)?;
            let Some(last) = ids.last() else {
                return Ok(true);
            };
            after = Uuid::from_u128(last.as_u128().saturating_add(1));
            n_adopted += ids.len();
            self.adopt_these(&mut connection, session, &ids).await?;
        }
        Ok(false)
    }

    async fn adopt_these(
        &self,
        connection: &mut PgConnection,
        session: &Session,
        ids: &[Uuid],
    ) -> Result<()> {
        let failed = self.failed("note what Python wrote");
        let stored = Stored::read(connection, ids, true).await.map_err(&failed)?;
        let (known, url) = (Arc::clone(&session.known), self.address.url.clone());
        let rows: Vec<(Uuid, i16, String, Option<Row>)> = tokio::task::spawn_blocking(move || {
            stored
                .iter()
                .map(|stored| {
                    let row = stored
                        .dataset(&known, &url)
                        .and_then(|dataset| Row::of(&dataset, stored.product, &known));
                    if let Err(error) = &row {
                        tracing::warn!(id = %stored.id, %error, "a dataset that cannot be read");
                    }
                    (stored.id, stored.product, stored.version.clone(), row.ok())
                })
                .collect()
        })
        .await
        .expect("reading documents does not panic");
        let (mut ids, mut versions, mut products) = (Vec::new(), Vec::new(), Vec::new());
        let (mut begins, mut ends, mut centers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut places, mut fields, mut outlines) = (Vec::new(), Vec::new(), Vec::new());
        for (id, product, version, row) in rows {
            ids.push(id);
            versions.push(version);
            products.push(product);
            // What cannot be read is found by its product and time, and then
            // tells what is wrong with it.
            let row = row.as_ref();
            begins.push(row.map(|row| row.record.begin_us));
            ends.push(row.map(|row| row.record.end_us));
            centers.push(row.map(|row| row.record.center_us()));
            places.push(row.and_then(|row| row.place().cloned()));
            fields.push(row.map(|row| Json(row.fields().to_owned())));
            outlines.push(row.and_then(|row| row.outline().cloned()));
        }
        let mut transaction = connection.begin().await.map_err(&failed)?;
        // In order, so that two who do this wait for each other; and only
        // where nobody has changed the document since it was read.
        sqlx::query(
            "WITH r AS (SELECT * FROM unnest($1::uuid[], $2::text[], $3::int2[], $4::int8[], \
                     $5::int8[], $6::int8[], $7::bytea[], $8::jsonb[], $9::bytea[]) \
                     AS r (id, version, product, begin_us, end_us, center_us, place, fields, \
                           footprint)), \
             mine AS (SELECT d.id FROM datacube.dataset AS d JOIN r ON r.id = d.id \
                      WHERE NOT d.is_derived ORDER BY d.id FOR UPDATE OF d SKIP LOCKED) \
             UPDATE datacube.dataset AS d SET is_derived = TRUE, product = r.product, \
                 begin_us = coalesce(r.begin_us, d.begin_us), \
                 end_us = coalesce(r.end_us, d.end_us), \
                 center_us = coalesce(r.center_us, d.center_us), \
                 place = ST_GeomFromEWKB(r.place), fields = r.fields, \
                 footprint = ST_GeomFromEWKB(r.footprint) \
             FROM r JOIN mine ON mine.id = r.id JOIN odc.dataset AS o ON o.id = r.id \
             WHERE d.id = r.id AND o.xmin::text = r.version",
        )
        .bind(ids)
        .bind(versions)
        .bind(products)
        .bind(begins)
        .bind(ends)
        .bind(centers)
        .bind(places)
        .bind(fields)
        .bind(outlines)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }
}
