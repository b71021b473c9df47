//! What goes for good: datasets and products.

use std::collections::{HashMap, HashSet};

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::PostgisIndex;
use super::rows::delete_values;
use crate::catalog::{DeleteOptions, DeleteOutcome, PurgeOptions, PurgeReport};
use crate::error::{Error, Result};
use crate::postgres::Definitions;

impl PostgisIndex {
    pub(super) async fn purge_datasets(
        &self,
        ids: &[Uuid],
        options: &PurgeOptions,
    ) -> Result<PurgeReport> {
        self.ensure_own().await?;
        let failed = self.failed("remove datasets");
        let srids = self.session().await?.known.extra.srids.clone();
        let mut transaction = self.begin("remove datasets").await?;
        let rows: Vec<(Uuid, bool)> = sqlx::query_as(
            "SELECT id, archived IS NOT NULL FROM odc.dataset WHERE id = ANY($1) \
             ORDER BY id FOR UPDATE",
        )
        .bind(ids)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let states: HashMap<Uuid, bool> = rows.into_iter().collect();
        let mut report = PurgeReport::default();
        let mut gone = HashSet::new();
        for id in ids {
            match states.get(id).filter(|_| !gone.contains(id)) {
                None => report.unknown.push(*id),
                Some(false) if !options.with_active => report.active.push(*id),
                Some(_) => {
                    gone.insert(*id);
                    report.purged.push(*id);
                }
            }
        }
        delete_values(&mut transaction, &report.purged, &srids)
            .await
            .map_err(&failed)?;
        // Our own rows go with those of `odc`, by a trigger.
        for statement in [
            "DELETE FROM odc.dataset_lineage WHERE derived_dataset_ref = ANY($1)",
            "DELETE FROM odc.dataset_home WHERE dataset_ref = ANY($1)",
            "DELETE FROM odc.dataset WHERE id = ANY($1)",
        ] {
            sqlx::query(statement)
                .bind(&report.purged)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        self.end(transaction, options.dry_run, "remove datasets")
            .await?;
        Ok(report)
    }

    pub(super) async fn remove_products(
        &self,
        names: &[String],
        options: &DeleteOptions,
    ) -> Result<Vec<DeleteOutcome>> {
        self.ensure_own().await?;
        let mut transaction = self.begin("delete a product").await?;
        let mut outcomes = Vec::with_capacity(names.len());
        for name in names {
            // What an earlier name took with it is gone here too.
            let known = self.definitions_in(&mut transaction).await?;
            outcomes.push(match known.product(name) {
                Ok((id, _)) => {
                    self.remove_product(&mut transaction, &known, name, *id, options)
                        .await?
                }
                Err(error) => DeleteOutcome::Failed(error),
            });
        }
        self.end(transaction, options.dry_run, "delete a product")
            .await?;
        Ok(outcomes)
    }

    async fn remove_product(
        &self,
        connection: &mut PgConnection,
        known: &Definitions,
        name: &str,
        id: i16,
        options: &DeleteOptions,
    ) -> Result<DeleteOutcome> {
        let failed = self.failed("delete a product");
        // Nobody adds to it meanwhile.
        sqlx::query("SELECT FROM odc.product WHERE id = $1 FOR UPDATE")
            .bind(id)
            .execute(&mut *connection)
            .await
            .map_err(&failed)?;
        let (n_datasets, n_active): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE archived IS NULL) \
             FROM odc.dataset WHERE product_ref = $1",
        )
        .bind(id)
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
        if n_active > 0 && !options.with_active {
            return Ok(DeleteOutcome::Failed(Error::InUse {
                name: name.to_owned(),
                n_active: n_active.unsigned_abs(),
            }));
        }
        let tables = ["search_string", "search_num", "search_datetime"];
        let tables = tables.iter().map(|table| format!("dataset_{table}")).chain(
            known
                .extra
                .srids
                .iter()
                .map(|srid| format!("spatial_{srid}")),
        );
        let mut statements: Vec<String> = tables
            .map(|table| {
                format!(
                    "DELETE FROM odc.{table} AS t USING odc.dataset AS o \
                     WHERE t.dataset_ref = o.id AND o.product_ref = $1"
                )
            })
            .collect();
        statements.extend(
            [
                "DELETE FROM odc.dataset_lineage AS l USING odc.dataset AS o \
                 WHERE l.derived_dataset_ref = o.id AND o.product_ref = $1",
                "DELETE FROM odc.dataset_home AS h USING odc.dataset AS o \
                 WHERE h.dataset_ref = o.id AND o.product_ref = $1",
                "DELETE FROM odc.dataset WHERE product_ref = $1",
                "DELETE FROM datacube.definition WHERE kind = 'product' AND id = $1",
                "DELETE FROM odc.product WHERE id = $1",
            ]
            .map(str::to_owned),
        );
        for statement in statements {
            sqlx::query(AssertSqlSafe(statement))
                .bind(id)
                .execute(&mut *connection)
                .await
                .map_err(&failed)?;
        }
        Ok(DeleteOutcome::Deleted {
            n_datasets: n_datasets.unsigned_abs(),
        })
    }
}
