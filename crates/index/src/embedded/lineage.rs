//! Relations between datasets, and where datasets are at home.

use std::collections::HashSet;

use datacube_model::{LineageDirection, LineageRelation};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use uuid::Uuid;

use super::insert::{LINEAGE, write};
use super::read::hex_list;
use super::{EmbeddedIndex, Transaction};
use crate::catalog::{LineageOptions, LineageReport};
use crate::error::{Error, Result};
use crate::relations::{Relations, sort};

/// Ids of one statement.
const CHUNK: usize = 1000;

/// Relations that are read together where all are.
const PAGE: i64 = 4096;

/// Derived, classifier, source.
type RelationRow = (Uuid, String, Uuid);

fn relation(row: RelationRow) -> LineageRelation {
    let (derived, classifier, source) = row;
    LineageRelation {
        classifier,
        derived,
        source,
    }
}

/// The relations that lead away from ids, a JSON list of hexadecimal texts.
fn one_step(direction: LineageDirection) -> &'static str {
    match direction {
        LineageDirection::Sources => {
            "SELECT l.derived, l.classifier, l.source FROM json_each(?1) AS given \
             CROSS JOIN lineage AS l ON l.derived = unhex(given.value)"
        }
        LineageDirection::Derived => {
            "SELECT l.derived, l.classifier, l.source FROM json_each(?1) AS given \
             CROSS JOIN lineage AS l ON l.source = unhex(given.value)"
        }
    }
}

impl EmbeddedIndex {
    /// The relations one step away from datasets.
    async fn step_from(
        &self,
        connection: &mut SqliteConnection,
        ids: &[Uuid],
        direction: LineageDirection,
    ) -> Result<Vec<LineageRelation>> {
        let mut found = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            let rows: Vec<RelationRow> = sqlx::query_as(one_step(direction))
                .bind(hex_list(chunk))
                .fetch_all(&mut *connection)
                .await
                .map_err(self.place.failed("read lineage"))?;
            found.extend(rows.into_iter().map(relation));
        }
        Ok(found)
    }

    /// The relations that lead away from datasets, level by level.
    async fn walk_lineage(
        &self,
        connection: &mut SqliteConnection,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        let mut seen: HashSet<Uuid> = ids.iter().copied().collect();
        let mut level: Vec<Uuid> = seen.iter().copied().collect();
        let mut found = Vec::new();
        let mut depth = 0;
        while !level.is_empty() && max_depth.is_none_or(|max| depth < max) {
            let relations = self.step_from(connection, &level, direction).await?;
            level = relations
                .iter()
                .map(|relation| match direction {
                    LineageDirection::Sources => relation.source,
                    LineageDirection::Derived => relation.derived,
                })
                .filter(|id| seen.insert(*id))
                .collect();
            found.extend(relations);
            depth += 1;
        }
        sort(&mut found);
        Ok(found)
    }

    pub(super) async fn read_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
        let failed = self.place.failed("read lineage");
        let mut connection = self.reader().await?;
        // All levels as they are at one moment.
        let mut moment = connection.begin().await.map_err(&failed)?;
        let found = self
            .walk_lineage(&mut moment, ids, direction, max_depth)
            .await?;
        moment.commit().await.map_err(&failed)?;
        Ok(found)
    }

    /// What has to be known of the relations that are there to decide about
    /// new ones: those of the same pairs, and those that a cycle could close.
    pub(super) async fn relations_around(
        &self,
        transaction: &mut Transaction<'_>,
        new: &[LineageRelation],
    ) -> Result<Relations> {
        let mut around = Relations::default();
        if new.is_empty() {
            return Ok(around);
        }
        let derived: HashSet<Uuid> = new.iter().map(|relation| relation.derived).collect();
        let sources: HashSet<Uuid> = new.iter().map(|relation| relation.source).collect();
        let list: Vec<Uuid> = derived.iter().copied().collect();
        let own = LineageDirection::Sources;
        for relation in self.step_from(transaction, &list, own).await? {
            around.insert(relation);
        }
        // A cycle leads back into one of the derived.
        let mut is_source = !derived.is_disjoint(&sources);
        if !is_source {
            (is_source,) = sqlx::query_as(
                "SELECT EXISTS (SELECT 1 FROM json_each(?1) AS given \
                 CROSS JOIN lineage AS l ON l.source = unhex(given.value))",
            )
            .bind(hex_list(&derived))
            .fetch_one(&mut **transaction)
            .await
            .map_err(self.place.failed("read lineage"))?;
        }
        if is_source {
            let list: Vec<Uuid> = sources.into_iter().collect();
            for relation in self.walk_lineage(transaction, &list, own, None).await? {
                around.insert(relation);
            }
        }
        Ok(around)
    }

    pub(super) async fn insert_relations(
        &self,
        transaction: &mut Transaction<'_>,
        relations: &[LineageRelation],
    ) -> Result<()> {
        write(transaction, &LINEAGE, relations, |query, relation| {
            query
                .bind(relation.derived.as_bytes().as_slice())
                .bind(relation.source.as_bytes().as_slice())
                .bind(relation.classifier.as_str())
        })
        .await
        .map_err(self.place.failed("write lineage"))
    }

    pub(super) async fn delete_relations(
        &self,
        transaction: &mut Transaction<'_>,
        relations: &[LineageRelation],
    ) -> Result<()> {
        for relation in relations {
            sqlx::query("DELETE FROM lineage WHERE source = ?1 AND derived = ?2")
                .bind(relation.source.as_bytes().as_slice())
                .bind(relation.derived.as_bytes().as_slice())
                .execute(&mut **transaction)
                .await
                .map_err(self.place.failed("write lineage"))?;
        }
        Ok(())
    }

    pub(super) async fn merge_lineage(
        &self,
        relations: &[LineageRelation],
        options: &LineageOptions,
    ) -> Result<LineageReport> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut around = self.relations_around(&mut transaction, relations).await?;
        let merged = around.merge(relations, options.allow_updates)?;
        self.insert_relations(&mut transaction, &merged.added)
            .await?;
        for relation in &merged.updated {
            sqlx::query("UPDATE lineage SET classifier = ?1 WHERE source = ?2 AND derived = ?3")
                .bind(relation.classifier.as_str())
                .bind(relation.source.as_bytes().as_slice())
                .bind(relation.derived.as_bytes().as_slice())
                .execute(&mut *transaction)
                .await
                .map_err(self.place.failed("write lineage"))?;
        }
        self.end(transaction, options.dry_run).await?;
        Ok(merged.report())
    }

    pub(super) async fn cut_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<u64> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let found = self
            .walk_lineage(&mut transaction, ids, direction, max_depth)
            .await?;
        self.delete_relations(&mut transaction, &found).await?;
        self.commit(transaction).await?;
        Ok(found.len() as u64)
    }

    pub(super) fn stream_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        // From the last row of a page on; `None` at the end.
        let start: Option<RelationRow> = Some((Uuid::nil(), String::new(), Uuid::nil()));
        let pages = stream::try_unfold(start, move |after| async move {
            let Some((derived, classifier, source)) = after else {
                return Ok(None);
            };
            let mut connection = self.reader().await?;
            let rows: Vec<RelationRow> = sqlx::query_as(
                "SELECT derived, classifier, source FROM lineage \
                 WHERE (derived, classifier, source) > (?1, ?2, ?3) \
                 ORDER BY derived, classifier, source LIMIT ?4",
            )
            .bind(derived.as_bytes().as_slice())
            .bind(&classifier)
            .bind(source.as_bytes().as_slice())
            .bind(PAGE)
            .fetch_all(&mut *connection)
            .await
            .map_err(self.place.failed("read lineage"))?;
            let last = rows.last().cloned();
            let page = stream::iter(rows.into_iter().map(|row| Ok(relation(row))));
            Ok(last.map(|last| (page, Some(last))))
        });
        pages.try_flatten().boxed()
    }

    pub(super) async fn read_homes(&self, ids: &[Uuid]) -> Result<Vec<Option<String>>> {
        let mut connection = self.reader().await?;
        let known = self.homes_seen_by(&mut connection, ids).await?;
        Ok(ids.iter().map(|id| known.get(id).cloned()).collect())
    }

    async fn homes_seen_by(
        &self,
        connection: &mut SqliteConnection,
        ids: &[Uuid],
    ) -> Result<std::collections::HashMap<Uuid, String>> {
        let mut known = std::collections::HashMap::new();
        for chunk in ids.chunks(CHUNK) {
            let rows: Vec<(Uuid, String)> = sqlx::query_as(
                "SELECT h.dataset, h.home FROM json_each(?1) AS given \
                 CROSS JOIN home AS h ON h.dataset = unhex(given.value)",
            )
            .bind(hex_list(chunk))
            .fetch_all(&mut *connection)
            .await
            .map_err(self.place.failed("read homes"))?;
            known.extend(rows);
        }
        Ok(known)
    }

    pub(super) async fn put_home(
        &self,
        ids: &[Uuid],
        home: &str,
        allow_updates: bool,
    ) -> Result<u64> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut known = self.homes_seen_by(&mut transaction, ids).await?;
        let other = ids
            .iter()
            .find_map(|id| Some((*id, known.get(id).filter(|known| *known != home)?)));
        if let Some((id, other)) = other.filter(|_| !allow_updates) {
            return Err(Error::other_home(id, other, home));
        }
        let mut n_new = 0;
        for id in ids {
            if known.insert(*id, home.to_owned()).as_deref() == Some(home) {
                continue;
            }
            n_new += 1;
            sqlx::query(
                "INSERT INTO home (dataset, home) VALUES (?1, ?2) \
                 ON CONFLICT (dataset) DO UPDATE SET home = excluded.home",
            )
            .bind(id.as_bytes().as_slice())
            .bind(home)
            .execute(&mut *transaction)
            .await
            .map_err(self.place.failed("write homes"))?;
        }
        self.commit(transaction).await?;
        Ok(n_new)
    }

    pub(super) async fn forget_homes(&self, ids: &[Uuid]) -> Result<u64> {
        let connections = self.connections().await?;
        let mut connection = self.writer(&connections).await?;
        let mut transaction = self.begin(&mut connection).await?;
        let mut n_known = 0;
        for chunk in ids.chunks(CHUNK) {
            let done = sqlx::query(
                "DELETE FROM home WHERE dataset IN (SELECT unhex(value) FROM json_each(?1))",
            )
            .bind(hex_list(chunk))
            .execute(&mut *transaction)
            .await
            .map_err(self.place.failed("write homes"))?;
            n_known += done.rows_affected();
        }
        self.commit(transaction).await?;
        Ok(n_known)
    }
}
