//! The contract, method by method.

use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::{Crs, Geometry};
use datacube_model::{Dataset, LineageDirection, LineageRelation, MetadataType, Product};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{EmbeddedIndex, connect};
use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, DeleteOptions, DeleteOutcome, Duplicates, Index,
    IndexInfo, InitOptions, InitOutcome, LineageOptions, LineageReport, Outline, PurgeOptions,
    PurgeReport, UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated, shown,
};
use crate::columns::Column;
use crate::error::{Error, Result};
use crate::locations;
use crate::migrate;
use crate::query::Query;
use crate::time_range::{TimeRange, micros};

#[async_trait]
impl Index for EmbeddedIndex {
    fn url(&self) -> &str {
        &self.place.url
    }

    async fn init(&self, options: &InitOptions) -> Result<InitOutcome> {
        let outcome = match self.connections().await {
            // Another handle may have cleared the file since it was opened.
            Ok(_) => match self.definitions().await {
                Ok(_) => InitOutcome::Unchanged,
                Err(Error::NotInitialised { .. }) => {
                    connect::create_or_update(&self.place, &self.options).await?
                }
                Err(other) => return Err(other),
            },
            Err(Error::NotInitialised { .. } | Error::SchemaTooOld { .. }) => {
                connect::create_or_update(&self.place, &self.options).await?
            }
            Err(other) => return Err(other),
        };
        if !options.default_types {
            return Ok(outcome);
        }
        let known = self.current_definitions().await?;
        let missing: Vec<MetadataType> = MetadataType::builtin()
            .into_iter()
            .filter(|built_in| !known.metadata_types.contains_key(built_in.name()))
            .collect();
        if missing.is_empty() {
            return Ok(outcome);
        }
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        for built_in in missing {
            if !known.metadata_types.contains_key(built_in.name()) {
                self.put_metadata_type(&mut transaction, &known, &built_in)
                    .await?;
            }
        }
        self.commit(transaction).await?;
        Ok(match outcome {
            InitOutcome::Unchanged => InitOutcome::Updated,
            other => other,
        })
    }

    async fn check(&self) -> Result<IndexInfo> {
        let connections = self.connections().await?;
        let mut connection = self.reader().await?;
        let (n_products, n_datasets): (i64, i64) =
            sqlx::query_as("SELECT (SELECT count(*) FROM product), (SELECT count(*) FROM dataset)")
                .fetch_one(&mut *connection)
                .await
                .map_err(self.place.failed("count its datasets"))?;
        Ok(IndexInfo {
            driver: "sqlite",
            url: self.place.url.clone(),
            schema_version: migrate::current_version(),
            writable: connections.write.is_some(),
            n_products: n_products.unsigned_abs(),
            n_datasets: n_datasets.unsigned_abs(),
        })
    }

    async fn close(&self) -> Result<()> {
        self.let_go().await
    }

    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let added = self
            .put_metadata_type(&mut transaction, &known, metadata_type)
            .await?;
        self.commit(transaction).await?;
        Ok(added)
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        let known = self.current_definitions().await?;
        known.metadata_type(name).map(|(_, found)| found.clone())
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        let known = self.current_definitions().await?;
        Ok(known
            .metadata_types
            .values()
            .map(|(_, found)| found.clone())
            .collect())
    }

    async fn add_product(&self, product: &Product) -> Result<Added> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let known = self.definitions_seen_by(&mut transaction).await?;
        let added = self.put_product(&mut transaction, &known, product).await?;
        self.commit(transaction).await?;
        Ok(added)
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        let known = self.current_definitions().await?;
        known.product(name).map(|(_, product)| Arc::clone(product))
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        Ok(self.current_definitions().await?.product_list())
    }

    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        self.put_datasets(datasets, options).await
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        self.read_by_ids(ids).await
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        Ok(self
            .keys_of(ids)
            .await?
            .iter()
            .map(Option::is_some)
            .collect())
    }

    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>> {
        self.stream(query.clone())
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        self.count_found(query).await
    }

    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport> {
        self.mark(ids, Some(micros(when))).await
    }

    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport> {
        self.mark(ids, None).await
    }

    async fn clear(&self) -> Result<()> {
        self.remove_everything().await
    }

    async fn update_metadata_type(
        &self,
        metadata_type: &MetadataType,
        options: &UpdateOptions,
    ) -> Result<Updated> {
        self.replace_metadata_type(metadata_type, options).await
    }

    async fn update_product(&self, product: &Product, options: &UpdateOptions) -> Result<Updated> {
        self.replace_product(product, options).await
    }

    async fn delete_products(
        &self,
        names: &[String],
        options: &DeleteOptions,
    ) -> Result<Vec<DeleteOutcome>> {
        self.remove_products(names, options).await
    }

    async fn update_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        self.replace_datasets(datasets, options).await
    }

    async fn purge(&self, ids: &[Uuid], options: &PurgeOptions) -> Result<PurgeReport> {
        self.purge_datasets(ids, options).await
    }

    async fn add_location(&self, id: Uuid, uri: &str, first: bool) -> Result<bool> {
        self.relocate(id, |places| locations::add(places, uri, first))
            .await
    }

    async fn remove_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        self.relocate(id, |places| locations::remove(places, uri))
            .await
    }

    async fn archive_location(&self, id: Uuid, uri: &str, when: Timestamp) -> Result<bool> {
        self.relocate(id, |places| locations::mark(places, uri, Some(when)))
            .await
    }

    async fn restore_location(&self, id: Uuid, uri: &str) -> Result<bool> {
        self.relocate(id, |places| locations::mark(places, uri, None))
            .await
    }

    async fn count_by_product(&self, query: &Query) -> Result<Vec<(String, u64)>> {
        self.counts_by_product(query).await
    }

    async fn count_through_time(&self, query: &Query, periods: &[TimeRange]) -> Result<Vec<u64>> {
        self.counts_through_time(query, periods).await
    }

    async fn duplicates(&self, query: &Query, fields: &[String]) -> Result<Vec<Duplicates>> {
        self.groups_of_equals(query, fields).await
    }

    async fn temporal_extent(&self, query: &Query) -> Result<Option<TimeRange>> {
        self.times_of(query).await
    }

    async fn spatial_extent(&self, query: &Query, crs: &Crs) -> Result<Option<Geometry>> {
        self.area_of(query, crs).await
    }

    fn search_returning<'a>(
        &'a self,
        query: &Query,
        fields: &[String],
    ) -> BoxStream<'a, Result<Vec<Value>>> {
        let (query, fields) = (query.clone(), fields.to_vec());
        let begun = async move {
            let known = self.current_definitions().await?;
            let columns = Column::all(&fields, &query, &known.product_list())?;
            Ok(if columns.iter().all(Column::is_told_by_rows) {
                self.stream_rows(query, columns)
            } else {
                shown(self.stream(query), columns)
            })
        };
        stream::once(begun).try_flatten().boxed()
    }

    fn outlines<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Outline>> {
        self.stream_outlines(query.clone())
    }

    async fn last_change(&self, product: &str) -> Result<Option<Timestamp>> {
        self.last_change_of(product).await
    }

    async fn lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        self.read_lineage(ids, direction, max_depth).await
    }

    async fn add_lineage(
        &self,
        relations: &[LineageRelation],
        options: &LineageOptions,
    ) -> Result<LineageReport> {
        self.merge_lineage(relations, options).await
    }

    async fn remove_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<u64> {
        self.cut_lineage(ids, direction, max_depth).await
    }

    fn all_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        self.stream_lineage()
    }

    async fn homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        self.read_homes(ids).await
    }

    async fn set_home(&self, ids: &[Uuid], home: &str, allow_updates: bool) -> Result<u64> {
        self.put_home(ids, home, allow_updates).await
    }

    async fn clear_homes(&self, ids: &[Uuid]) -> Result<u64> {
        self.forget_homes(ids).await
    }
}
