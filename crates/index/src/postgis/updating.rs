//! Updates: of definitions, with what they change about datasets, and of
//! datasets themselves.

use std::sync::Arc;

use datacube_model::changes::{metadata_type_changes, product_changes};
use datacube_model::{Changes, Dataset, MetadataType, Product};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::add::check_product;
use super::mark::set_archived;
use super::read::Stored;
use super::rows::{Row, put_locations, rewrite};
use super::types::Json;
use super::{Lock, PostgisIndex};
use crate::catalog::{UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated};
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::locations;
use crate::postgres::Definitions;
use crate::time_range::micros;
use crate::updates::{breaks, concern_datasets, permitted, permitted_in_dataset};

/// Datasets that are read anew together.
const PAGE: i64 = 256;

impl PostgisIndex {
    pub(super) async fn replace_metadata_type(
        &self,
        given: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        self.ensure_own().await?;
        let name = given.name();
        if let Some(problem) = given.eo3_problems().first() {
            return Err(self.not_eo3(name, problem));
        }
        let mut transaction = self.begin("update a metadata type").await?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        let known = self.definitions_in(&mut transaction).await?;
        let (id, stored) = known.metadata_type(name)?;
        let changes = metadata_type_changes(stored.document(), given.document());
        let changes = permitted(Kind::MetadataType, name, changes, options.allow_unsafe)?;
        if changes.is_empty() {
            return Ok(Updated::new(changes, false));
        }
        let products: Vec<&(i16, Arc<Product>)> = known
            .products
            .values()
            .filter(|(_, product)| product.metadata_type().name() == name)
            .collect();
        for (_, product) in &products {
            Product::from_document(product.document().clone(), given)
                .map_err(|error| breaks(Kind::Product, product.name(), &error))?;
        }
        let text = given.document().to_string();
        sqlx::query("UPDATE odc.metadata_type SET definition = $2 WHERE id = $1")
            .bind(id)
            .bind(Json(text.clone()))
            .execute(&mut *transaction)
            .await
            .map_err(self.failed("update a metadata type"))?;
        self.keep_definition(&mut transaction, "metadata_type", *id, text)
            .await?;
        if concern_datasets(&changes) {
            let ids: Vec<i16> = products.iter().map(|(id, _)| *id).collect();
            self.read_anew(&mut transaction, &ids).await?;
        }
        self.end(transaction, options.dry_run, "update a metadata type")
            .await?;
        Ok(Updated::new(changes, !options.dry_run))
    }

    pub(super) async fn replace_product(
        &self,
        given: &Product,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        self.ensure_own().await?;
        let name = given.name();
        let mut transaction = self.begin("update a product").await?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        let known = self.definitions_in(&mut transaction).await?;
        let (id, stored) = known.product(name)?;
        let (type_id, metadata_type) = known.metadata_type(given.metadata_type().name())?;
        same(
            Kind::MetadataType,
            metadata_type.name(),
            metadata_type.document(),
            given.metadata_type().document(),
        )?;
        let changes = product_changes(stored.document(), given.document());
        let changes = permitted(Kind::Product, name, changes, options.allow_unsafe)?;
        if changes.is_empty() {
            return Ok(Updated::new(changes, false));
        }
        let text = given.document().to_string();
        let metadata = given.document().get("metadata").cloned();
        let metadata = metadata.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        sqlx::query(
            "UPDATE odc.product SET definition = $2, metadata = $3, metadata_type_ref = $4 \
             WHERE id = $1",
        )
        .bind(id)
        .bind(Json(text.clone()))
        .bind(Json(metadata.to_string()))
        .bind(type_id)
        .execute(&mut *transaction)
        .await
        .map_err(self.failed("update a product"))?;
        self.keep_definition(&mut transaction, "product", *id, text)
            .await?;
        if stored.metadata_type().name() != metadata_type.name() {
            self.read_anew(&mut transaction, &[*id]).await?;
        }
        self.end(transaction, options.dry_run, "update a product")
            .await?;
        Ok(Updated::new(changes, !options.dry_run))
    }

    /// Makes the rows of all datasets of some products anew, from their
    /// documents and the definitions as this transaction sees them.
    async fn read_anew(&self, connection: &mut PgConnection, products: &[i16]) -> Result<()> {
        let failed = self.failed("read datasets");
        let known = Arc::new(self.definitions_in(connection).await?);
        for product in products {
            let mut after: Option<Uuid> = None;
            loop {
                let ids: Vec<Uuid> = sqlx::query_scalar(
                    "SELECT id FROM odc.dataset WHERE product_ref = $1 \
                     AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3 FOR NO KEY UPDATE",
                )
                .bind(product)
                .bind(after)
                .bind(PAGE)
                .fetch_all(&mut *connection)
                .await
                .map_err(&failed)?;
                let Some(last) = ids.last() else {
                    break;
                };
                after = Some(*last);
                let stored = Stored::read(connection, &ids, true)
                    .await
                    .map_err(&failed)?;
                let (known_there, url) = (Arc::clone(&known), self.address.url.clone());
                let made = tokio::task::spawn_blocking(move || {
                    let make = |stored: Stored| {
                        let dataset = stored.dataset(&known_there, &url).map_err(|error| {
                            breaks(Kind::Dataset, &stored.id.to_string(), &error)
                        })?;
                        Row::of(&dataset, stored.product, &known_there)
                    };
                    stored.into_iter().map(make).collect::<Result<Vec<Row>>>()
                });
                let rows = made.await.expect("making rows does not panic")?;
                let rows: Vec<&Row> = rows.iter().collect();
                rewrite(connection, &rows, &known.extra.srids)
                    .await
                    .map_err(self.failed("update datasets"))?;
            }
        }
        Ok(())
    }

    pub(super) async fn replace_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        self.ensure_own().await?;
        let now = Timestamp::now();
        let mut transaction = self.begin("update datasets").await?;
        self.lock(&mut transaction, Lock::Lineage).await?;
        if options.archive_less_mature.is_some() {
            self.lock(&mut transaction, Lock::Scenes).await?;
        }
        let known = self.definitions_in(&mut transaction).await?;
        let mut outcomes = Vec::with_capacity(datasets.len());
        for given in &datasets {
            let done = self
                .replace_one(&mut transaction, &known, given, options, now)
                .await?;
            outcomes.push(match done {
                Ok(None) => UpdateOutcome::Unchanged,
                Ok(Some(changes)) => UpdateOutcome::Updated(changes),
                Err(error) => UpdateOutcome::Failed(error),
            });
        }
        self.end(transaction, options.dry_run, "update datasets")
            .await?;
        Ok(outcomes)
    }

    /// Replaces one dataset; gives its changes, or the inner error that speaks
    /// against it.
    async fn replace_one(
        &self,
        connection: &mut PgConnection,
        known: &Definitions,
        given: &Dataset,
        options: &UpdateDatasetOptions,
        now: Timestamp,
    ) -> Result<Result<Option<Changes>>> {
        macro_rules! told {
            ($result:expr) => {
                match $result {
                    Ok(value) => value,
                    Err(error) => return Ok(Err(error)),
                }
            };
        }
        let failed = self.failed("update datasets");
        let id = given.id();
        let stored = match self.locked(connection, id).await {
            Err(error @ Error::NotFound { .. }) => return Ok(Err(error)),
            other => other?,
        };
        let old = stored.dataset(known, &self.address.url)?;
        let changes = told!(permitted_in_dataset(&old, given, &options.allow_any));
        let product = told!(check_product(given.product(), known));
        let places = locations::updated(old.locations(), given.locations(), options.locations, now);
        if changes.is_empty() && places == old.locations() {
            return Ok(Ok(None));
        }
        let new = if changes.is_empty() { &old } else { given };
        let new = new.clone().with_archived(old.archived());
        let row = told!(Row::of(&new, product, known));
        let outdated = match options.archive_less_mature {
            Some(leniency) => told!(
                self.outdated(connection, known, &new, product, leniency)
                    .await?
            ),
            None => Vec::new(),
        };
        let before = old.lineage().relations(id);
        let after = new.lineage().relations(id);
        let both: Vec<_> = before.iter().chain(&after).cloned().collect();
        let mut around = self.relations_around(connection, &both).await?;
        let restated = told!(around.restate(&before, &after));
        set_archived(connection, &outdated, Some(micros(now)))
            .await
            .map_err(&failed)?;
        self.delete_relations(connection, &restated.gone).await?;
        self.insert_relations(connection, &restated.added).await?;
        if !changes.is_empty() {
            rewrite(connection, &[&row], &known.extra.srids)
                .await
                .map_err(&failed)?;
        }
        put_locations(connection, id, &places)
            .await
            .map_err(&failed)?;
        Ok(Ok(Some(changes)))
    }
}
