//! The contract, kept.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use datacube_geo::{Crs, Geometry};
use datacube_model::{Dataset, LineageDirection, LineageRelation, MetadataType, Product};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::types::{Instant, Json};
use super::{PostgisIndex, retried, schema};
use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, DeleteOptions, DeleteOutcome, Duplicates, Index,
    IndexInfo, InitOptions, InitOutcome, LineageOptions, LineageReport, Outline, PurgeOptions,
    PurgeReport, UpdateDatasetOptions, UpdateOptions, UpdateOutcome, Updated, User, shown,
};
use crate::columns::Column;
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::locations;
use crate::postgres::Definitions;
use crate::query::Query;
use crate::time_range::{TimeRange, from_micros, micros};

/// Batches that are written at once at most.
const MAX_WRITERS: usize = 4;

#[async_trait]
impl Index for PostgisIndex {
    fn url(&self) -> &str {
        &self.address.url
    }

    async fn init(&self, options: &InitOptions) -> Result<InitOutcome> {
        let outcome = self.make_schemas(options.users).await?;
        if outcome != InitOutcome::Unchanged {
            self.forget().await;
            self.adopt_all().await?;
        }
        if !options.default_types {
            return Ok(outcome);
        }
        let known = self.session().await?.known;
        let missing: Vec<MetadataType> = MetadataType::builtin()
            .into_iter()
            // Python's driver fails to list types when one is of another kind.
            .filter(MetadataType::is_eo3_compatible)
            .filter(|built_in| !known.metadata_types.contains_key(built_in.name()))
            .collect();
        if missing.is_empty() {
            return Ok(outcome);
        }
        let mut transaction = self.begin("add a metadata type").await?;
        for built_in in missing {
            self.put_metadata_type(&mut transaction, &built_in).await?;
        }
        let committed = transaction.commit().await;
        committed.map_err(self.failed("add a metadata type"))?;
        Ok(match outcome {
            InitOutcome::Unchanged => InitOutcome::Updated,
            other => other,
        })
    }

    async fn check(&self) -> Result<IndexInfo> {
        // Asked anew: the index may have been made, or the user given rights.
        self.forget().await;
        let ready = self.ready().await?;
        let mut connection = self.connection().await?;
        let (n_products, n_datasets): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM odc.product), (SELECT count(*) FROM odc.dataset)",
        )
        .fetch_one(&mut *connection)
        .await
        .map_err(self.failed("count its datasets"))?;
        Ok(IndexInfo {
            driver: "postgis",
            url: self.address.url.clone(),
            schema_version: if ready.is_own {
                schema::OWN_VERSION.into()
            } else {
                0
            },
            writable: ready.may_write,
            n_products: n_products.unsigned_abs(),
            n_datasets: n_datasets.unsigned_abs(),
        })
    }

    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added> {
        self.ensure_own().await?;
        let mut transaction = self.begin("add a metadata type").await?;
        let added = self
            .put_metadata_type(&mut transaction, metadata_type)
            .await?;
        let committed = transaction.commit().await;
        committed.map_err(self.failed("add a metadata type"))?;
        Ok(added)
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        let known = self.session().await?.known;
        known.metadata_type(name).map(|(_, found)| found.clone())
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        let known = self.session().await?.known;
        Ok(known
            .metadata_types
            .values()
            .map(|(_, found)| found.clone())
            .collect())
    }

    async fn add_product(&self, product: &Product) -> Result<Added> {
        self.ensure_own().await?;
        let mut transaction = self.begin("add a product").await?;
        let added = self.put_product(&mut transaction, product).await?;
        let committed = transaction.commit().await;
        committed.map_err(self.failed("add a product"))?;
        Ok(added)
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        let known = self.session().await?.known;
        known.product(name).map(|(_, product)| Arc::clone(product))
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        Ok(self.session().await?.known.product_list())
    }

    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        self.put_datasets(datasets, options).await
    }

    /// The server works for each connection on a core of its own.
    fn writers(&self) -> usize {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let connections = usize::try_from(self.address.max_connections).unwrap_or(1);
        cores.clamp(2, MAX_WRITERS).min(connections)
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        self.read_by_ids(ids).await
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        self.which_are_there(ids).await
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
        self.drop_schemas().await
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
        self.count_of_products(query).await
    }

    async fn temporal_extent(&self, query: &Query) -> Result<Option<TimeRange>> {
        self.times_of(query).await
    }

    async fn spatial_extent(&self, query: &Query, crs: &Crs) -> Result<Option<Geometry>> {
        self.area_of(query, crs).await
    }

    async fn duplicates(&self, query: &Query, fields: &[String]) -> Result<Vec<Duplicates>> {
        self.groups_of_equals(query, fields).await
    }

    fn outlines<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Outline>> {
        self.stream_outlines(query.clone())
    }

    fn search_returning<'a>(
        &'a self,
        query: &Query,
        fields: &[String],
    ) -> BoxStream<'a, Result<Vec<Value>>> {
        let (query, fields) = (query.clone(), fields.to_vec());
        let begun = async move {
            let known = self.session().await?.known;
            let columns = Column::all(&fields, &query, &known.product_list())?;
            Ok(if columns.iter().all(Column::is_told_by_rows) {
                self.stream_rows(query, columns)
            } else {
                shown(self.stream(query), columns)
            })
        };
        stream::once(begun).try_flatten().boxed()
    }

    async fn last_change(&self, product: &str) -> Result<Option<Timestamp>> {
        let known = self.session().await?.known;
        let (id, _) = known.product(product)?;
        let last: Option<Instant> = retried!(self, "read datasets", connection => {
            sqlx::query_scalar(
                "SELECT max(greatest(added, updated)) FROM odc.dataset WHERE product_ref = $1",
            )
            .bind(id)
            .fetch_one(&mut *connection)
        })?;
        Ok(last.map(|us| from_micros(us.0)))
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
        self.forget_lineage(ids, direction, max_depth).await
    }

    fn all_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        self.stream_lineage()
    }

    async fn homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        self.read_homes(ids).await
    }

    async fn set_home(&self, ids: &[Uuid], home: &str, allow_updates: bool) -> Result<u64> {
        self.note_home(ids, home, allow_updates).await
    }

    async fn clear_homes(&self, ids: &[Uuid]) -> Result<u64> {
        self.forget_homes(ids).await
    }

    async fn spatial_indexes(&self) -> Result<Vec<Crs>> {
        self.indexed_crses().await
    }

    async fn create_spatial_index(&self, crs: &Crs) -> Result<bool> {
        self.add_spatial_index(crs).await
    }

    async fn update_spatial_index(
        &self,
        crses: &[Crs],
        products: &[String],
        ids: &[Uuid],
    ) -> Result<u64> {
        self.fill_spatial_indexes(crses, products, ids).await
    }

    async fn drop_spatial_index(&self, crs: &Crs) -> Result<bool> {
        self.remove_spatial_index(crs).await
    }

    async fn users(&self) -> Result<Vec<User>> {
        self.list_users().await
    }

    async fn create_user(
        &self,
        role: &str,
        name: &str,
        password: &str,
        description: Option<&str>,
    ) -> Result<()> {
        self.make_user(role, name, password, description).await
    }

    async fn grant(&self, role: &str, names: &[String]) -> Result<()> {
        self.grant_role(role, names).await
    }

    async fn delete_users(&self, names: &[String]) -> Result<()> {
        self.drop_users(names).await
    }
}

impl PostgisIndex {
    /// The definitions as a transaction sees them.
    pub(super) async fn definitions_in(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Definitions> {
        super::definitions::read(connection, &self.address.url, true).await
    }

    /// Adds a metadata type within a transaction.
    async fn put_metadata_type(
        &self,
        connection: &mut PgConnection,
        given: &MetadataType,
    ) -> Result<Added> {
        if let Some(problem) = given.eo3_problems().first() {
            return Err(self.not_eo3(given.name(), problem));
        }
        let failed = self.failed("add a metadata type");
        let text = given.document().to_string();
        let id: Option<i16> = sqlx::query_scalar(
            "INSERT INTO odc.metadata_type (name, definition) \
             SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM odc.metadata_type WHERE name = $1) \
             ON CONFLICT (name) DO NOTHING RETURNING id",
        )
        .bind(given.name())
        .bind(Json(text.clone()))
        .fetch_optional(&mut *connection)
        .await
        .map_err(&failed)?;
        match id {
            Some(id) => {
                self.keep_definition(connection, "metadata_type", id, text)
                    .await?;
                Ok(Added::New)
            }
            None => {
                let known = self.definitions_in(connection).await?;
                let (_, stored) = known.metadata_type(given.name())?;
                let name = given.name();
                same(
                    Kind::MetadataType,
                    name,
                    stored.document(),
                    given.document(),
                )
            }
        }
    }

    async fn put_product(&self, connection: &mut PgConnection, given: &Product) -> Result<Added> {
        // The type first: a product of another type is no product that we have.
        let metadata_type = given.metadata_type();
        self.put_metadata_type(connection, metadata_type).await?;
        let text = given.document().to_string();
        let metadata = given
            .document()
            .get("metadata")
            .cloned()
            .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let id: Option<i16> = sqlx::query_scalar(
            "INSERT INTO odc.product (name, metadata, metadata_type_ref, definition) \
             SELECT $1, $2, t.id, $3 FROM odc.metadata_type AS t \
             WHERE t.name = $4 AND NOT EXISTS (SELECT FROM odc.product WHERE name = $1) \
             ON CONFLICT (name) DO NOTHING RETURNING id",
        )
        .bind(given.name())
        .bind(Json(metadata.to_string()))
        .bind(Json(text.clone()))
        .bind(metadata_type.name())
        .fetch_optional(&mut *connection)
        .await
        .map_err(self.failed("add a product"))?;
        match id {
            Some(id) => {
                self.keep_definition(connection, "product", id, text)
                    .await?;
                Ok(Added::New)
            }
            None => {
                let known = self.definitions_in(connection).await?;
                let (_, stored) = known.product(given.name())?;
                let name = given.name();
                same(Kind::Product, name, stored.document(), given.document())
            }
        }
    }

    /// A metadata type that would keep Python from reading the index.
    pub(super) fn not_eo3(&self, name: &str, problem: &dyn std::fmt::Display) -> Error {
        Error::Unsupported {
            url: self.address.url.clone(),
            what: format!(
                "hold metadata type `{name}`, because Python's Open Data Cube could not list its \
                 types any more: it is not compatible with EO3 ({problem})"
            ),
        }
    }

    /// Keeps a definition as it was written.
    pub(super) async fn keep_definition(
        &self,
        connection: &mut PgConnection,
        kind: &str,
        id: i16,
        text: String,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO datacube.definition (kind, id, document) VALUES ($1, $2, $3) \
             ON CONFLICT (kind, id) DO UPDATE SET document = excluded.document",
        )
        .bind(kind)
        .bind(id)
        .bind(text)
        .execute(connection)
        .await
        .map_err(self.failed("keep a definition"))
        .map(|_| ())
    }
}
