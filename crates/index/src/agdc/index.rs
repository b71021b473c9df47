//! The contract, kept as far as it is about reading.

use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::Crs;
use datacube_model::{Dataset, LineageDirection, LineageRelation, MetadataType, Product};
use futures::stream::BoxStream;
use jiff::Timestamp;
use uuid::Uuid;

use super::AgdcIndex;
use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, DeleteOptions, DeleteOutcome, Index, IndexInfo,
    InitOptions, InitOutcome, LineageOptions, LineageReport, PurgeOptions, PurgeReport,
    UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated, User,
};
use crate::error::Result;
use crate::postgres::retried;
use crate::query::Query;
use crate::time_range::TimeRange;

#[async_trait]
impl Index for AgdcIndex {
    fn url(&self) -> &str {
        &self.address.url
    }

    async fn init(&self, _: &InitOptions) -> Result<InitOutcome> {
        self.refused()
    }

    async fn check(&self) -> Result<IndexInfo> {
        let (n_products, n_datasets): (i64, i64) = retried!(self, "count its datasets", connection => {
            sqlx::query_as(
                "SELECT (SELECT count(*) FROM agdc.dataset_type), \
                        (SELECT count(*) FROM agdc.dataset)",
            )
            .fetch_one(&mut *connection)
        })?;
        Ok(IndexInfo {
            driver: "agdc",
            url: self.address.url.clone(),
            schema_version: 0,
            writable: false,
            n_products: n_products.unsigned_abs(),
            n_datasets: n_datasets.unsigned_abs(),
        })
    }

    async fn clear(&self) -> Result<()> {
        self.refused()
    }

    async fn add_metadata_type(&self, _: &MetadataType) -> Result<Added> {
        self.refused()
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        let known = self.known().await?;
        let (_, found) = known.definitions.metadata_type(name)?;
        Ok(found.clone())
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        let known = self.known().await?;
        let types = known.definitions.metadata_types.values();
        Ok(types.map(|(_, found)| found.clone()).collect())
    }

    async fn update_metadata_type(&self, _: &MetadataType, _: &UpdateOptions) -> Result<Updated> {
        self.refused()
    }

    async fn add_product(&self, _: &Product) -> Result<Added> {
        self.refused()
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        let known = self.known().await?;
        let (_, product) = known.definitions.product(name)?;
        Ok(Arc::clone(product))
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        Ok(self.known().await?.products())
    }

    async fn update_product(&self, _: &Product, _: &UpdateOptions) -> Result<Updated> {
        self.refused()
    }

    async fn delete_products(&self, _: &[String], _: &DeleteOptions) -> Result<Vec<DeleteOutcome>> {
        self.refused()
    }

    async fn add_datasets(&self, _: Vec<Dataset>, _: &AddOptions) -> Result<Vec<AddOutcome>> {
        self.refused()
    }

    async fn update_datasets(
        &self,
        _: Vec<Dataset>,
        _: &UpdateDatasetOptions,
    ) -> Result<Vec<UpdateOutcome>> {
        self.refused()
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        self.read_by_ids(ids).await
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        self.which_are_there(ids).await
    }

    async fn archive(&self, _: &[Uuid], _: Timestamp) -> Result<ArchiveReport> {
        self.refused()
    }

    async fn restore(&self, _: &[Uuid]) -> Result<ArchiveReport> {
        self.refused()
    }

    async fn purge(&self, _: &[Uuid], _: &PurgeOptions) -> Result<PurgeReport> {
        self.refused()
    }

    async fn add_location(&self, _: Uuid, _: &str, _: bool) -> Result<bool> {
        self.refused()
    }

    async fn remove_location(&self, _: Uuid, _: &str) -> Result<bool> {
        self.refused()
    }

    async fn archive_location(&self, _: Uuid, _: &str, _: Timestamp) -> Result<bool> {
        self.refused()
    }

    async fn restore_location(&self, _: Uuid, _: &str) -> Result<bool> {
        self.refused()
    }

    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>> {
        self.stream(query.clone())
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        self.count_found(query).await
    }

    async fn temporal_extent(&self, query: &Query) -> Result<Option<TimeRange>> {
        self.times_of(query).await
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
        _: &[LineageRelation],
        _: &LineageOptions,
    ) -> Result<LineageReport> {
        self.refused()
    }

    async fn remove_lineage(
        &self,
        _: &[Uuid],
        _: LineageDirection,
        _: Option<usize>,
    ) -> Result<u64> {
        self.refused()
    }

    fn all_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        self.stream_lineage()
    }

    async fn homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        Ok(vec![None; ids.len()])
    }

    async fn set_home(&self, _: &[Uuid], _: &str, _: bool) -> Result<u64> {
        self.refused()
    }

    async fn clear_homes(&self, _: &[Uuid]) -> Result<u64> {
        self.refused()
    }

    async fn create_spatial_index(&self, _: &Crs) -> Result<bool> {
        self.refused()
    }

    async fn update_spatial_index(&self, _: &[Crs], _: &[String], _: &[Uuid]) -> Result<u64> {
        self.refused()
    }

    async fn drop_spatial_index(&self, _: &Crs) -> Result<bool> {
        self.refused()
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.list_users().await
    }

    async fn create_user(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> Result<()> {
        self.refused()
    }

    async fn grant(&self, _: &str, _: &[String]) -> Result<()> {
        self.refused()
    }

    async fn delete_users(&self, _: &[String]) -> Result<()> {
        self.refused()
    }
}
