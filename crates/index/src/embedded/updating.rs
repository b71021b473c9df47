//! Updates: of definitions, with what they change about datasets, and of
//! datasets themselves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datacube_model::changes::{metadata_type_changes, product_changes};
use datacube_model::{Changes, Dataset, MetadataType, Product};
use jiff::Timestamp;
use uuid::Uuid;

use super::add::{Longest, into_chunks};
use super::definitions::{self, Definitions};
use super::read::hex_list;
use super::rows::{Row, make_row, make_rows};
use super::{EmbeddedIndex, Transaction};
use crate::catalog::{UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated};
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::locations;
use crate::updates::{breaks, concern_datasets, permitted, permitted_in_dataset};

/// Datasets that are read anew together.
const PAGE: i64 = 256;

/// A dataset as the file has it.
struct Stored {
    key: i64,
    fields: String,
    dataset: Dataset,
}

/// What is known while datasets are updated.
struct Batch<'o> {
    options: &'o UpdateDatasetOptions,
    known: Arc<Definitions>,
    now: Timestamp,
    longest: Longest,
}

impl EmbeddedIndex {
    pub(super) async fn replace_metadata_type(
        &self,
        given: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        let name = given.name();
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let (_, stored) = known.metadata_type(name)?;
        let changes = metadata_type_changes(stored.document(), given.document());
        let changes = permitted(Kind::MetadataType, name, changes, options.allow_unsafe)?;
        if changes.is_empty() {
            return Ok(Updated::new(changes, false));
        }
        let products: Vec<&(i64, Arc<Product>)> = known
            .products
            .values()
            .filter(|(_, product)| product.metadata_type().name() == name)
            .collect();
        for (_, product) in &products {
            Product::from_document(product.document().clone(), given)
                .map_err(|error| breaks(Kind::Product, product.name(), &error))?;
        }
        let failed = self.place.failed("update a metadata type");
        sqlx::query("UPDATE metadata_type SET document = ?2 WHERE name = ?1")
            .bind(name)
            .bind(given.document().to_string())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        self.put_search_fields(&mut transaction, given).await?;
        if concern_datasets(&changes) {
            let keys: Vec<i64> = products.iter().map(|(key, _)| *key).collect();
            self.read_anew(&mut transaction, &keys).await?;
        }
        self.end(transaction, options.dry_run).await?;
        Ok(Updated::new(changes, !options.dry_run))
    }

    pub(super) async fn replace_product(
        &self,
        given: &Product,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        let name = given.name();
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let (key, stored) = known.product(name)?;
        let (type_key, metadata_type) = known.metadata_type(given.metadata_type().name())?;
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
        sqlx::query("UPDATE product SET document = ?2, metadata_type = ?3 WHERE key = ?1")
            .bind(key)
            .bind(given.document().to_string())
            .bind(type_key)
            .execute(&mut *transaction)
            .await
            .map_err(self.place.failed("update a product"))?;
        if stored.metadata_type().name() != metadata_type.name() {
            self.read_anew(&mut transaction, &[*key]).await?;
        }
        self.end(transaction, options.dry_run).await?;
        Ok(Updated::new(changes, !options.dry_run))
    }

    /// Makes the search fields of a metadata type known.
    pub(super) async fn put_search_fields(
        &self,
        transaction: &mut Transaction<'_>,
        given: &MetadataType,
    ) -> Result<()> {
        for name in definitions::stored_fields(given) {
            sqlx::query("INSERT INTO search_field (name) VALUES (?1) ON CONFLICT DO NOTHING")
                .bind(name)
                .execute(&mut **transaction)
                .await
                .map_err(self.place.failed("add a search field"))?;
        }
        Ok(())
    }

    /// Makes the rows of all datasets of some products anew, from their
    /// documents and the definitions as this transaction sees them.
    async fn read_anew(&self, transaction: &mut Transaction<'_>, products: &[i64]) -> Result<()> {
        let failed = self.place.failed("read datasets");
        let known = self.definitions_seen_by(transaction).await?;
        let mut longest = Longest::new();
        for product_key in products {
            let Some(product) = known.product_by_key(*product_key) else {
                continue;
            };
            let mut last = i64::MIN;
            loop {
                let rows: Vec<(i64, Uuid, String, String)> = sqlx::query_as(
                    "SELECT d.key, d.id, d.fields, t.text FROM dataset AS d \
                     CROSS JOIN document AS t ON t.dataset = d.key \
                     WHERE d.key > ?2 AND +d.product = ?1 ORDER BY d.key LIMIT ?3",
                )
                .bind(product_key)
                .bind(last)
                .bind(PAGE)
                .fetch_all(&mut **transaction)
                .await
                .map_err(&failed)?;
                let Some((key, ..)) = rows.last() else {
                    break;
                };
                last = *key;
                let (known, product) = (Arc::clone(&known), Arc::clone(product));
                let (url, product_key) = (self.place.url.clone(), *product_key);
                let made = tokio::task::spawn_blocking(move || {
                    let make = |(key, id, fields, text): (i64, Uuid, String, String)| {
                        let document =
                            serde_json::from_str(&text).map_err(|error| Error::Corrupt {
                                url: url.clone(),
                                what: format!("the document of dataset {id}"),
                                reason: error.to_string(),
                            })?;
                        let dataset =
                            Dataset::from_indexed(document, Arc::clone(&product), Vec::new())
                                .map_err(|error| breaks(Kind::Dataset, &id.to_string(), &error))?;
                        Ok((key, fields, make_row(&dataset, product_key, &known)?))
                    };
                    rows.into_iter().map(make).collect::<Result<Vec<_>>>()
                });
                for (key, fields, row) in made.await.expect("making rows does not panic")? {
                    let entry = longest.entry(product_key).or_default();
                    *entry = row.length_us().max(*entry);
                    self.rewrite(transaction, key, &fields, &row).await?;
                }
            }
        }
        self.note_longest(transaction, &longest).await
    }

    pub(super) async fn replace_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let mut batch = Batch {
            options,
            known: Arc::clone(&known),
            now: Timestamp::now(),
            longest: Longest::new(),
        };
        let mut outcomes = Vec::with_capacity(datasets.len());
        for chunk in into_chunks(datasets) {
            let ids: HashSet<Uuid> = chunk.iter().map(Dataset::id).collect();
            let are_distinct = ids.len() == chunk.len();
            let known = Arc::clone(&known);
            let made = tokio::task::spawn_blocking(move || make_rows(chunk, &known));
            let mut stored = self.stored(&mut transaction, &ids, &batch.known).await?;
            for (given, row) in made.await.expect("making rows does not panic") {
                let id = given.id();
                let done = match stored.remove(&id) {
                    None => Err(Error::NotFound {
                        kind: Kind::Dataset,
                        name: id.to_string(),
                        known: Vec::new(),
                    }),
                    Some(old) => {
                        let done = self
                            .replace_one(&mut transaction, old, &given, row, &mut batch)
                            .await?;
                        if !are_distinct {
                            // It may be named again.
                            let ids = HashSet::from([id]);
                            let now = self.stored(&mut transaction, &ids, &batch.known).await?;
                            stored.extend(now);
                        }
                        done
                    }
                };
                outcomes.push(match done {
                    Ok(None) => UpdateOutcome::Unchanged,
                    Ok(Some((changes, retired))) => {
                        for other in retired {
                            if let Some(old) = stored.get_mut(&other) {
                                old.dataset = old.dataset.clone().with_archived(Some(batch.now));
                            }
                        }
                        UpdateOutcome::Updated(changes)
                    }
                    Err(error) => UpdateOutcome::Failed(error),
                });
            }
        }
        self.note_longest(&mut transaction, &batch.longest).await?;
        self.end(transaction, options.dry_run).await?;
        Ok(outcomes)
    }

    /// Replaces one dataset; gives its changes and what was archived for it,
    /// or the inner error that speaks against it.
    async fn replace_one(
        &self,
        transaction: &mut Transaction<'_>,
        stored: Stored,
        given: &Dataset,
        row: Result<Row>,
        batch: &mut Batch<'_>,
    ) -> Result<Result<Option<(Changes, Vec<Uuid>)>>> {
        let (old, id) = (&stored.dataset, given.id());
        let changes = match permitted_in_dataset(old, given, &batch.options.allow_any) {
            Ok(changes) => changes,
            Err(error) => return Ok(Err(error)),
        };
        let mut row = match row {
            Ok(row) => row,
            Err(error) => return Ok(Err(error)),
        };
        let policy = batch.options.locations;
        let places = locations::updated(old.locations(), given.locations(), policy, batch.now);
        if changes.is_empty() && places == old.locations() {
            return Ok(Ok(None));
        }
        if changes.is_empty() {
            row = make_row(old, row.product, &batch.known)?;
        }
        row.dataset = row.dataset.with_archived(old.archived());
        let outdated = match batch.options.archive_less_mature {
            Some(leniency) => {
                self.outdated(
                    transaction,
                    &batch.known,
                    &row,
                    leniency,
                    &batch.longest,
                    &[],
                )
                .await?
            }
            None => Ok(Vec::new()),
        };
        let outdated = match outdated {
            Ok(outdated) => outdated,
            Err(error) => return Ok(Err(error)),
        };
        let before = old.lineage().relations(id);
        let after = row.dataset.lineage().relations(id);
        let mut around = self.relations_around(transaction, &after).await?;
        for relation in self.relations_around(transaction, &before).await?.walk(
            &[id],
            datacube_model::LineageDirection::Sources,
            Some(1),
        ) {
            around.insert(relation);
        }
        let restated = match around.restate(&before, &after) {
            Ok(restated) => restated,
            Err(error) => return Ok(Err(error)),
        };
        let retired = self
            .retire(transaction, &outdated, batch.now, &mut [])
            .await?;
        self.delete_relations(transaction, &restated.gone).await?;
        self.insert_relations(transaction, &restated.added).await?;
        if !changes.is_empty() {
            let longest = batch.longest.entry(row.product).or_default();
            *longest = row.length_us().max(*longest);
            self.rewrite(transaction, stored.key, &stored.fields, &row)
                .await?;
        }
        if places != old.locations() {
            self.replace_locations(transaction, stored.key, &places)
                .await?;
        }
        self.touch(transaction, stored.key, batch.now).await?;
        Ok(Ok(Some((changes, retired))))
    }

    /// Datasets as this transaction sees them.
    async fn stored(
        &self,
        transaction: &mut Transaction<'_>,
        ids: &HashSet<Uuid>,
        known: &Arc<Definitions>,
    ) -> Result<HashMap<Uuid, Stored>> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT d.key, d.fields FROM json_each(?1) AS given \
             CROSS JOIN dataset AS d ON d.id = unhex(given.value)",
        )
        .bind(hex_list(ids))
        .fetch_all(&mut **transaction)
        .await
        .map_err(self.place.failed("read datasets"))?;
        let keys: Vec<i64> = rows.iter().map(|(key, _)| *key).collect();
        let datasets = self.read_keys_from(transaction, &keys, known).await?;
        // In the order of the keys; nothing can be gone within a transaction.
        let found = rows.into_iter().zip(datasets);
        Ok(found
            .map(|((key, fields), dataset)| {
                let stored = Stored {
                    key,
                    fields,
                    dataset,
                };
                (stored.dataset.id(), stored)
            })
            .collect())
    }
}
