//! Relations between datasets, in whatever table they are.

use std::collections::HashSet;

use datacube_model::{LineageDirection, LineageRelation};
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::relations::sort;

/// Derived, classifier, source.
pub(crate) type RelationRow = (Uuid, String, Uuid);

/// The relation of a row.
pub(crate) fn relation(row: RelationRow) -> LineageRelation {
    let (derived, classifier, source) = row;
    LineageRelation {
        classifier,
        derived,
        source,
    }
}

/// The relations that lead away from datasets, level by level; `one_step` reads
/// those of the ids of one level.
pub(crate) async fn walk(
    connection: &mut PgConnection,
    one_step: &'static str,
    ids: &[Uuid],
    direction: LineageDirection,
    max_depth: Option<usize>,
) -> sqlx::Result<Vec<LineageRelation>> {
    let mut seen: HashSet<Uuid> = ids.iter().copied().collect();
    let mut level: Vec<Uuid> = seen.iter().copied().collect();
    let mut found = Vec::new();
    let mut depth = 0;
    while !level.is_empty() && max_depth.is_none_or(|max| depth < max) {
        let rows: Vec<RelationRow> = sqlx::query_as(one_step)
            .bind(&level)
            .fetch_all(&mut *connection)
            .await?;
        level = rows
            .iter()
            .map(|(derived, _, source)| match direction {
                LineageDirection::Sources => *source,
                LineageDirection::Derived => *derived,
            })
            .filter(|id| seen.insert(*id))
            .collect();
        found.extend(rows.into_iter().map(relation));
        depth += 1;
    }
    sort(&mut found);
    Ok(found)
}

/// As [`walk`], with all levels as they are at one moment.
pub(crate) async fn walk_at_one_moment(
    connection: &mut PgConnection,
    one_step: &'static str,
    ids: &[Uuid],
    direction: LineageDirection,
    max_depth: Option<usize>,
) -> sqlx::Result<Vec<LineageRelation>> {
    let mut moment = connection
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let found = walk(&mut moment, one_step, ids, direction, max_depth).await?;
    moment.commit().await?;
    Ok(found)
}
