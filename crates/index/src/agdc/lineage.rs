//! Relations between datasets, which all are in the index.
//!
//! Homes are not known here.

use datacube_model::{LineageDirection, LineageRelation};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::AgdcIndex;
use crate::error::Result;
use crate::postgres::lineage::{RelationRow, relation, walk_at_one_moment};
use crate::postgres::retried;

/// Relations that are read together where all are.
const PAGE: i64 = 4096;

/// The relations one step away from ids.
fn one_step(direction: LineageDirection) -> &'static str {
    match direction {
        LineageDirection::Sources => {
            "SELECT dataset_ref, classifier::text, source_dataset_ref \
             FROM agdc.dataset_source WHERE dataset_ref = ANY($1)"
        }
        LineageDirection::Derived => {
            "SELECT dataset_ref, classifier::text, source_dataset_ref \
             FROM agdc.dataset_source WHERE source_dataset_ref = ANY($1)"
        }
    }
}

impl AgdcIndex {
    pub(super) async fn read_lineage(
        &self,
        ids: &[Uuid],
        direction: LineageDirection,
        max_depth: Option<usize>,
    ) -> Result<Vec<LineageRelation>> {
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

    pub(super) fn stream_lineage(&self) -> BoxStream<'_, Result<LineageRelation>> {
        let pages = stream::try_unfold(Some(None), move |state| async move {
            let Some(after) = state else {
                return Ok(None);
            };
            let rows = self.lineage_after(after).await?;
            let is_end = i64::try_from(rows.len()).is_ok_and(|n| n < PAGE);
            let last = rows.last().cloned().filter(|_| !is_end);
            let page = stream::iter(rows.into_iter().map(|row| Ok(relation(row))));
            Ok(Some((page, last.map(Some))))
        });
        pages.try_flatten().boxed()
    }

    /// The next relations; a classifier of a dataset has one source.
    async fn lineage_after(&self, after: Option<RelationRow>) -> Result<Vec<RelationRow>> {
        retried!(self, "read lineage", connection => {
            let (derived, classifier) = match &after {
                Some((derived, classifier, _)) => (*derived, classifier.as_str()),
                None => (Uuid::nil(), ""),
            };
            // In the order of code points, whatever the database's is.
            sqlx::query_as(
                "SELECT dataset_ref, classifier::text, source_dataset_ref \
                 FROM agdc.dataset_source \
                 WHERE dataset_ref >= $1 \
                   AND (dataset_ref > $1 OR classifier COLLATE \"C\" > $2 OR $3) \
                 ORDER BY dataset_ref, classifier COLLATE \"C\" LIMIT $4",
            )
            .bind(derived)
            .bind(classifier)
            .bind(after.is_none())
            .bind(PAGE)
            .fetch_all(&mut *connection)
        })
    }
}
