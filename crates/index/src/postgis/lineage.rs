//! Relations between datasets, and where datasets are at home.
//!
//! Python keeps both in tables of their own, without any tie to datasets, and
//! so do we, in the same ones.

use std::collections::HashSet;

use datacube_model::{LineageDirection, LineageRelation};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::{Lock, PostgisIndex, retried};
use crate::catalog::{LineageOptions, LineageReport};
use crate::error::{Error, Result};
use crate::postgres::lineage::{RelationRow, relation, walk, walk_at_one_moment};
use crate::relations::Relations;

/// Relations that are read together where all are.
const PAGE: i64 = 4096;

/// The relations one step away from ids.
fn one_step(direction: LineageDirection) -> &'static str {
    match direction {
        LineageDirection::Sources => {
            "SELECT derived_dataset_ref, classifier, source_dataset_ref \
             FROM odc.dataset_lineage WHERE derived_dataset_ref = ANY($1)"
        }
        LineageDirection::Derived => {
            "SELECT derived_dataset_ref, classifier, source_dataset_ref \
             FROM odc.dataset_lineage WHERE source_dataset_ref = ANY($1)"
        }
    }
}

impl PostgisIndex {
    pub(super) async fn read_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        self.session().await?;
        let mut connection = self.connection().await?;
        walk_at_one_moment(
            &mut connection,
            one_step(direction),
            ids,
            direction,
            max_depth,
        )
        .await
        .map_err(self.failed("read lineage"))
    }

    /// What has to be known of the relations that are there to decide about
    /// new ones: those of the same pairs, and those that a cycle could close.
    pub(super) async fn relations_around(
        &self,
        connection: &mut PgConnection,
        relations: &[LineageRelation],
    ) -> Result<Relations> {
        let mut around = Relations::default();
        if relations.is_empty() {
            return Ok(around);
        }
        let ids: HashSet<Uuid> = relations
            .iter()
            .flat_map(|relation| [relation.derived, relation.source])
            .collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let known = walk(
            connection,
            one_step(LineageDirection::Sources),
            &ids,
            LineageDirection::Sources,
            None,
        )
        .await
        .map_err(self.failed("read lineage"))?;
        for relation in known {
            around.insert(relation);
        }
        Ok(around)
    }

    /// Writes relations, with another classifier where a pair is there.
    pub(super) async fn insert_relations(
        &self,
        connection: &mut PgConnection,
        relations: &[LineageRelation],
    ) -> Result<()> {
        if relations.is_empty() {
            return Ok(());
        }
        // Only the owner may change a relation, everybody who writes may add one.
        sqlx::query(
            "INSERT INTO odc.dataset_lineage \
                 (derived_dataset_ref, source_dataset_ref, classifier) \
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[])",
        )
        .bind(relations.iter().map(|r| r.derived).collect::<Vec<_>>())
        .bind(relations.iter().map(|r| r.source).collect::<Vec<_>>())
        .bind(
            relations
                .iter()
                .map(|r| r.classifier.clone())
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await
        .map_err(self.failed("record lineage"))
        .map(|_| ())
    }

    pub(super) async fn delete_relations(
        &self,
        connection: &mut PgConnection,
        relations: &[LineageRelation],
    ) -> Result<()> {
        if relations.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "DELETE FROM odc.dataset_lineage AS l USING unnest($1::uuid[], $2::uuid[]) \
                 AS r (derived, source) \
             WHERE l.derived_dataset_ref = r.derived AND l.source_dataset_ref = r.source",
        )
        .bind(relations.iter().map(|r| r.derived).collect::<Vec<_>>())
        .bind(relations.iter().map(|r| r.source).collect::<Vec<_>>())
        .execute(connection)
        .await
        .map_err(self.failed("remove lineage"))
        .map(|_| ())
    }

    pub(super) async fn merge_lineage(
        &self,
        relations: &[LineageRelation],
        options: &LineageOptions,
    ) -> Result<LineageReport> {
        self.ensure_own().await?;
        let mut transaction = self.begin("record lineage").await?;
        self.lock(&mut transaction, Lock::Lineage).await?;
        let mut around = self.relations_around(&mut transaction, relations).await?;
        let merged = around.merge(relations, options.allow_updates)?;
        self.delete_relations(&mut transaction, &merged.updated)
            .await?;
        // A pair may be named twice, with one classifier and then another.
        let mut last = Relations::default();
        for relation in merged.added.iter().chain(&merged.updated) {
            last.insert(relation.clone());
        }
        self.delete_relations(&mut transaction, &last.all()).await?;
        self.insert_relations(&mut transaction, &last.all()).await?;
        self.end(transaction, options.dry_run, "record lineage")
            .await?;
        Ok(merged.report())
    }

    pub(super) async fn forget_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<u64> {
        self.ensure_own().await?;
        let mut transaction = self.begin("remove lineage").await?;
        self.lock(&mut transaction, Lock::Lineage).await?;
        let found = walk(
            &mut transaction,
            one_step(direction),
            ids,
            direction,
            max_depth,
        )
        .await
        .map_err(self.failed("read lineage"))?;
        self.delete_relations(&mut transaction, &found).await?;
        self.end(transaction, false, "remove lineage").await?;
        Ok(found.len() as u64)
    }

    /// Every relation, in order.
    pub(super) fn stream_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        let first: Option<RelationRow> = None;
        let pages = stream::try_unfold((first, false), move |(after, is_end)| async move {
            if is_end {
                return Ok(None);
            }
            self.session().await?;
            let rows = self.page_of_lineage(after.as_ref()).await?;
            let is_end = i64::try_from(rows.len()).is_ok_and(|n| n < PAGE);
            let last = rows.last().cloned();
            let page = stream::iter(rows.into_iter().map(|row| Ok(relation(row))));
            Ok::<_, Error>(Some((page, (last, is_end))))
        });
        pages.try_flatten().boxed()
    }

    async fn page_of_lineage(&self, after: Option<&RelationRow>) -> Result<Vec<RelationRow>> {
        // Classifiers by their code points, whatever the database's language.
        const FIRST: &str = "SELECT derived_dataset_ref, classifier, source_dataset_ref \
            FROM odc.dataset_lineage \
            ORDER BY derived_dataset_ref, classifier COLLATE \"C\", source_dataset_ref LIMIT $1";
        const NEXT: &str = "SELECT derived_dataset_ref, classifier, source_dataset_ref \
            FROM odc.dataset_lineage WHERE derived_dataset_ref >= $2 AND \
                (derived_dataset_ref, classifier COLLATE \"C\", source_dataset_ref) > ($2, $3, $4) \
            ORDER BY derived_dataset_ref, classifier COLLATE \"C\", source_dataset_ref LIMIT $1";
        retried!(self, "read lineage", connection => {
            match after {
                None => sqlx::query_as(FIRST).bind(PAGE),
                Some((derived, classifier, source)) => sqlx::query_as(NEXT)
                    .bind(PAGE)
                    .bind(*derived)
                    .bind(classifier.clone())
                    .bind(*source),
            }
            .fetch_all(&mut *connection)
        })
    }

    pub(super) async fn read_homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        self.session().await?;
        let rows: Vec<Option<String>> = retried!(self, "read homes", connection => {
            sqlx::query_scalar(
                "SELECT h.home FROM unnest($1) WITH ORDINALITY AS given (id, nth) \
                 LEFT JOIN odc.dataset_home AS h ON h.dataset_ref = given.id ORDER BY given.nth",
            )
            .bind(ids)
            .fetch_all(&mut *connection)
        })?;
        Ok(rows)
    }

    pub(super) async fn note_home(
        &self,
        ids: &[Uuid],
        home: &str,
        allow_updates: bool,
    ) -> Result<u64> {
        self.ensure_own().await?;
        let failed = self.failed("note homes");
        let mut transaction = self.begin("note homes").await?;
        self.lock(&mut transaction, Lock::Lineage).await?;
        let others: Vec<(Uuid, String)> = sqlx::query_as(
            "SELECT dataset_ref, home FROM odc.dataset_home \
             WHERE dataset_ref = ANY($1) AND home <> $2",
        )
        .bind(ids)
        .bind(home)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        let first = ids
            .iter()
            .find_map(|id| others.iter().find(|(other, _)| other == id));
        if let Some((id, known)) = first.filter(|_| !allow_updates) {
            return Err(Error::other_home(*id, known, home));
        }
        let done = sqlx::query(
            "INSERT INTO odc.dataset_home AS h (dataset_ref, home) \
             SELECT DISTINCT id, $2 FROM unnest($1::uuid[]) AS given (id) \
             ON CONFLICT (dataset_ref) DO UPDATE SET home = excluded.home \
             WHERE h.home <> excluded.home",
        )
        .bind(ids)
        .bind(home)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        self.end(transaction, false, "note homes").await?;
        Ok(done.rows_affected())
    }

    pub(super) async fn forget_homes(&self, ids: &[Uuid]) -> Result<u64> {
        self.ensure_own().await?;
        let mut transaction = self.begin("forget homes").await?;
        let done = sqlx::query("DELETE FROM odc.dataset_home WHERE dataset_ref = ANY($1)")
            .bind(ids)
            .execute(&mut *transaction)
            .await
            .map_err(self.failed("forget homes"))?;
        self.end(transaction, false, "forget homes").await?;
        Ok(done.rows_affected())
    }
}
