//! A legacy index that can be written to, as Python writes to it.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_model::{Dataset, MetadataType, Product};
use datacube_testkit::Cluster;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::super::AgdcIndex;
use crate::catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, Index, IndexInfo, InitOptions, InitOutcome,
};
use crate::error::Result;
use crate::open::OpenOptions;
use crate::postgres::Address;
use crate::postgres::document::{split_uri, stored_document};
use crate::postgres::types::{Instant, Json};
use crate::query::Query;
use crate::time_range::{TimeRange, micros};

/// The schema and some rows, as Python made them.
pub(super) const SCHEMA: &str = include_str!("../../../tests/fixtures/agdc.sql");

/// Roles are of the whole server; whoever comes first makes them.
const ROLES: &str = "DO $$ DECLARE name text; BEGIN \
    FOREACH name IN ARRAY ARRAY['agdc_user', 'agdc_ingest', 'agdc_manage', 'agdc_admin'] LOOP \
    BEGIN EXECUTE format('CREATE ROLE %I', name); \
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END; END LOOP; END $$";

/// Python's index over place and time of the active datasets of a product, in
/// its own words.
const PLACE_AND_TIME: &str = "CREATE INDEX \"dix_{name}_lat_lon_time\" ON agdc.dataset USING gist (\
    agdc.float8range(CAST(metadata #>> '{extent, lat, begin}' AS DOUBLE PRECISION), \
        CAST(metadata #>> '{extent, lat, end}' AS DOUBLE PRECISION), '[]'), \
    agdc.float8range(CAST(metadata #>> '{extent, lon, begin}' AS DOUBLE PRECISION), \
        CAST(metadata #>> '{extent, lon, end}' AS DOUBLE PRECISION), '[]'), \
    tstzrange(least(agdc.common_timestamp(metadata #>> '{properties, dtr:start_datetime}'), \
        agdc.common_timestamp(metadata #>> '{properties, datetime}')), \
        greatest(agdc.common_timestamp(metadata #>> '{properties, dtr:end_datetime}'), \
        agdc.common_timestamp(metadata #>> '{properties, datetime}')), '[]')) \
    WHERE archived IS NULL AND dataset_type_ref = {id}";
const REGION: &str = "CREATE INDEX \"dix_{name}_region_code\" ON agdc.dataset \
    ((metadata #>> '{properties, odc:region_code}')) \
    WHERE archived IS NULL AND dataset_type_ref = {id}";

#[derive(Debug)]
pub(super) struct Scribe {
    pub(super) index: AgdcIndex,
    pub(super) pool: PgPool,
}

impl Scribe {
    /// A new index with the built-in metadata types.
    pub(super) async fn new(cluster: &Cluster) -> Self {
        let url = cluster.database();
        let address = Address::of(&url, &OpenOptions::new()).expect("a right URL");
        let pool = address.pool();
        let empty = "TRUNCATE agdc.dataset_location, agdc.dataset_source, agdc.dataset, \
                     agdc.dataset_type, agdc.metadata_type; DROP VIEW IF EXISTS \
                     agdc.dv_shared_dataset, agdc.dv_other_dataset, agdc.dv_old_dataset; \
                     DROP INDEX agdc.dix_other_lat_lon_time, agdc.dix_other_region_code";
        for statements in [ROLES, SCHEMA, empty] {
            let mut connection = address.connect().await.expect("the server is there");
            sqlx::raw_sql(AssertSqlSafe(statements.to_owned()))
                .execute(&mut connection)
                .await
                .expect("the statements are right");
        }
        let url = format!("{url}&driver=agdc");
        let index = AgdcIndex::open(&url, &OpenOptions::new())
            .await
            .expect("it is a legacy index");
        let scribe = Scribe { index, pool };
        for built_in in MetadataType::builtin() {
            scribe.add_metadata_type(&built_in).await.expect("written");
        }
        scribe
    }

    pub(super) async fn run(&self, statement: String) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&self.pool)
            .await
            .expect("the statement is right");
    }

    async fn is_there(&self, table: &str, name: &str) -> bool {
        sqlx::query_scalar(AssertSqlSafe(format!(
            "SELECT EXISTS (SELECT FROM agdc.{table} WHERE name = $1)"
        )))
        .bind(name)
        .fetch_one(&self.pool)
        .await
        .expect("read")
    }

    /// Puts a dataset in as Python does; tells whether it is new.
    async fn add(&self, dataset: &Dataset, indexed: Timestamp) -> bool {
        let text = stored_document(dataset);
        let mut document: Value = serde_json::from_str(&text).expect("it is JSON");
        document["lineage"] = json!({"source_datasets": {}});
        let inserted = sqlx::query(
            "INSERT INTO agdc.dataset \
                 (id, metadata_type_ref, dataset_type_ref, metadata, archived, added) \
             SELECT $1, p.metadata_type_ref, p.id, $2, $3, $4 FROM agdc.dataset_type AS p \
             WHERE p.name = $5 ON CONFLICT DO NOTHING",
        )
        .bind(dataset.id())
        .bind(Json(document.to_string()))
        .bind(dataset.archived().map(|when| Instant(micros(when))))
        .bind(Instant(micros(indexed)))
        .bind(dataset.product().name())
        .execute(&self.pool)
        .await
        .expect("the row is right");
        if inserted.rows_affected() == 0 {
            return false;
        }
        // The newest is the one that is read first.
        for location in dataset.locations().iter().rev() {
            let (scheme, body) = split_uri(&location.uri);
            sqlx::query(
                "INSERT INTO agdc.dataset_location (dataset_ref, uri_scheme, uri_body, archived) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(dataset.id())
            .bind(scheme.expect("locations have a scheme"))
            .bind(body)
            .bind(location.archived.map(|when| Instant(micros(when))))
            .execute(&self.pool)
            .await
            .expect("the row is right");
        }
        for (classifier, source) in dataset.lineage().numbered() {
            // Sources have to be there.
            sqlx::query(
                "INSERT INTO agdc.dataset_source (dataset_ref, classifier, source_dataset_ref) \
                 SELECT $1, $2, id FROM agdc.dataset WHERE id = $3",
            )
            .bind(dataset.id())
            .bind(classifier)
            .bind(source)
            .execute(&self.pool)
            .await
            .expect("the row is right");
        }
        true
    }

    async fn mark(&self, ids: &[Uuid], when: Option<Timestamp>) -> ArchiveReport {
        let mut report = ArchiveReport::default();
        for id in ids.iter().collect::<HashSet<_>>() {
            let done = sqlx::query(
                "UPDATE agdc.dataset SET archived = $2 \
                 WHERE id = $1 AND (archived IS NULL) <> ($2 IS NULL)",
            )
            .bind(id)
            .bind(when.map(|when| Instant(micros(when))))
            .execute(&self.pool)
            .await
            .expect("written");
            if done.rows_affected() > 0 {
                report.changed.push(*id);
            }
        }
        report
    }
}

#[async_trait]
impl Index for Scribe {
    fn url(&self) -> &str {
        self.index.url()
    }

    async fn init(&self, _: &InitOptions) -> Result<InitOutcome> {
        Ok(InitOutcome::Unchanged)
    }

    async fn check(&self) -> Result<IndexInfo> {
        self.index.check().await
    }

    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added> {
        if self.is_there("metadata_type", metadata_type.name()).await {
            return Ok(Added::AlreadyThere);
        }
        sqlx::query("INSERT INTO agdc.metadata_type (name, definition) VALUES ($1, $2)")
            .bind(metadata_type.name())
            .bind(Json(metadata_type.document().to_string()))
            .execute(&self.pool)
            .await
            .expect("the row is right");
        Ok(Added::New)
    }

    async fn metadata_type(&self, name: &str) -> Result<MetadataType> {
        self.index.metadata_type(name).await
    }

    async fn metadata_types(&self) -> Result<Vec<MetadataType>> {
        self.index.metadata_types().await
    }

    async fn add_product(&self, product: &Product) -> Result<Added> {
        self.add_metadata_type(product.metadata_type()).await?;
        if self.is_there("dataset_type", product.name()).await {
            return Ok(Added::AlreadyThere);
        }
        let id: i16 = sqlx::query_scalar(
            "INSERT INTO agdc.dataset_type (name, metadata, metadata_type_ref, definition) \
             SELECT $1, $2::jsonb -> 'metadata', id, $2 FROM agdc.metadata_type \
             WHERE name = $3 RETURNING id",
        )
        .bind(product.name())
        .bind(Json(product.document().to_string()))
        .bind(product.metadata_type().name())
        .fetch_one(&self.pool)
        .await
        .expect("the row is right");
        for template in [PLACE_AND_TIME, REGION] {
            let statement = template.replace("{name}", product.name());
            self.run(statement.replace("{id}", &id.to_string())).await;
        }
        Ok(Added::New)
    }

    async fn product(&self, name: &str) -> Result<Arc<Product>> {
        self.index.product(name).await
    }

    async fn products(&self) -> Result<Vec<Arc<Product>>> {
        self.index.products().await
    }

    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>> {
        let mut outcomes = Vec::new();
        for dataset in datasets {
            let now = options.indexed_at.unwrap_or_else(Timestamp::now);
            outcomes.push(match self.add(&dataset, now).await {
                true => AddOutcome::Added,
                false => AddOutcome::AlreadyThere,
            });
        }
        Ok(outcomes)
    }

    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>> {
        self.index.datasets(ids).await
    }

    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>> {
        self.index.has(ids).await
    }

    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport> {
        Ok(self.mark(ids, Some(when)).await)
    }

    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport> {
        Ok(self.mark(ids, None).await)
    }

    async fn archive_location(&self, id: Uuid, uri: &str, when: Timestamp) -> Result<bool> {
        let done = sqlx::query(
            "UPDATE agdc.dataset_location SET archived = $3 \
             WHERE dataset_ref = $1 AND uri_scheme || ':' || uri_body = $2",
        )
        .bind(id)
        .bind(uri)
        .bind(Instant(micros(when)))
        .execute(&self.pool)
        .await
        .expect("written");
        Ok(done.rows_affected() > 0)
    }

    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>> {
        self.index.search(query)
    }

    async fn count(&self, query: &Query) -> Result<u64> {
        self.index.count(query).await
    }

    async fn temporal_extent(&self, query: &Query) -> Result<Option<TimeRange>> {
        self.index.temporal_extent(query).await
    }

    async fn last_change(&self, product: &str) -> Result<Option<Timestamp>> {
        self.index.last_change(product).await
    }
}
