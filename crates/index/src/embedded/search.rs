//! Searching and counting: a plan, then page after page.

use std::sync::Arc;

use datacube_model::Dataset;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::Value;

use super::EmbeddedIndex;
use super::definitions::Definitions;
use super::plan::{Place, Plan};
use super::sorted::Reached;
use crate::catalog::Outline;
use crate::columns::Column;
use crate::error::Result;
use crate::query::Query;
use crate::resolve::Resolved;
use crate::time_range::from_micros;

/// The first page is small, so that the first dataset comes soon; the pages
/// after it grow to the largest.
const FIRST_PAGE: usize = 32;
const LARGEST_PAGE: usize = 512;

/// Rows that are looked at together where only their number is asked for.
const COUNT_PAGE: i64 = 4096;

/// A search that has begun.
struct Search {
    resolved: Resolved,
    known: Arc<Definitions>,
    plan: Plan,
    /// What a walk has found and not given yet, or what was gathered; in
    /// reverse order.
    pending: Vec<Place>,
    after: Option<Place>,
    /// Where a walk in another order is.
    reached: Option<Reached>,
    is_end: bool,
    left: usize,
    page: usize,
}

impl EmbeddedIndex {
    /// The datasets that a query finds.
    pub(super) fn stream(&self, query: Query) -> BoxStream<'_, Result<Dataset>> {
        let datasets = self.pages(query).and_then(move |(known, keys)| async move {
            let datasets = self.read_by_keys(&keys, &known).await?;
            Ok(stream::iter(datasets.into_iter().map(Ok)))
        });
        datasets.try_flatten().boxed()
    }

    /// Columns of what a query finds, all of them told by rows.
    pub(super) fn stream_rows(
        &self,
        query: Query,
        columns: Vec<Column>,
    ) -> BoxStream<'_, Result<Vec<Value>>> {
        let columns = Arc::new(columns);
        let rows = self.pages(query).and_then(move |(known, keys)| {
            let columns = Arc::clone(&columns);
            async move {
                let rows = self.rows_by_keys(&keys, &known).await?;
                let shown = rows.into_iter().map(move |row| {
                    let value = |column: &Column| {
                        column.value_of_row(
                            row.id,
                            &row.product,
                            row.archived_us.map(from_micros),
                            Some(from_micros(row.indexed_us)),
                            row.uri.as_deref(),
                        )
                    };
                    Ok(columns.iter().map(value).collect())
                });
                Ok(stream::iter(shown))
            }
        });
        rows.try_flatten().boxed()
    }

    /// When and where what a query finds is.
    pub(super) fn stream_outlines(&self, query: Query) -> BoxStream<'_, Result<Outline>> {
        let begun = stream::once(async move {
            let Some(search) = self.begin_search(&query).await? else {
                return Ok(stream::empty().boxed());
            };
            match search.plan {
                Plan::Walk(walk) if search.resolved.order.is_empty() => {
                    // The order over all products has no boxes.
                    let walk = walk.by_product(&search.known);
                    self.sweep(&walk, search.resolved, &search.known).await
                }
                plan => Ok(self.outlines_of(Search { plan, ..search })),
            }
        });
        begun.try_flatten().boxed()
    }

    /// The same of few, or in another order.
    fn outlines_of(&self, search: Search) -> BoxStream<'_, Result<Outline>> {
        let outlines = self
            .pages_of(Some(search))
            .and_then(move |(_, keys)| async move {
                let outlines = self.outlines_by_keys(&keys).await?;
                Ok(stream::iter(outlines.into_iter().map(Ok)))
            });
        outlines.try_flatten().boxed()
    }

    /// The keys of what a query finds, page after page.
    fn pages(&self, query: Query) -> BoxStream<'_, Result<(Arc<Definitions>, Vec<i64>)>> {
        let begun = stream::once(async move { self.begin_search(&query).await });
        let pages = begun.map_ok(move |search| self.pages_of(search));
        pages.try_flatten().boxed()
    }

    /// The keys of what a search that has begun finds.
    fn pages_of(
        &self,
        search: Option<Search>,
    ) -> BoxStream<'_, Result<(Arc<Definitions>, Vec<i64>)>> {
        stream::try_unfold(search, move |search| self.next_page(search)).boxed()
    }

    async fn begin_search(&self, query: &Query) -> Result<Option<Search>> {
        let known = self.current_definitions().await?;
        let resolved = Resolved::new(query, &known.product_list())?;
        if resolved.is_nothing() {
            return Ok(None);
        }
        let mut connection = self.reader().await?;
        let mut plan = self.plan(&mut connection, &resolved, &known).await?;
        let (pending, is_end) = match &mut plan {
            Plan::Gathered(places) => {
                places.reverse();
                (std::mem::take(places), true)
            }
            Plan::Walk(_) => (Vec::new(), false),
        };
        let left = resolved.limit.unwrap_or(usize::MAX);
        Ok(Some(Search {
            resolved,
            known,
            plan,
            pending,
            after: None,
            reached: None,
            is_end,
            left,
            page: FIRST_PAGE,
        }))
    }

    /// The next keys, and the search to go on with.
    async fn next_page(
        &self,
        search: Option<Search>,
    ) -> Result<Option<((Arc<Definitions>, Vec<i64>), Option<Search>)>> {
        let Some(mut search) = search else {
            return Ok(None);
        };
        let wanted = search.page.min(search.left);
        search.page = (search.page * 2).min(LARGEST_PAGE);
        if wanted == 0 {
            return Ok(None);
        }
        while search.pending.len() < wanted && !search.is_end {
            self.walk_on(&mut search).await?;
        }
        if search.pending.is_empty() {
            return Ok(None);
        }
        let rest = search.pending.len().saturating_sub(wanted);
        let keys: Vec<i64> = search
            .pending
            .drain(rest..)
            .rev()
            .map(|place| place.key)
            .collect();
        search.left -= keys.len();
        Ok(Some(((Arc::clone(&search.known), keys), Some(search))))
    }

    async fn walk_on(&self, search: &mut Search) -> Result<()> {
        let Plan::Walk(walk) = &search.plan else {
            search.is_end = true;
            return Ok(());
        };
        let mut connection = self.reader().await?;
        if !search.resolved.order.is_empty() {
            let (mut places, reached) = self
                .next_pass(
                    &mut connection,
                    walk,
                    &search.resolved,
                    &search.known,
                    search.reached.as_ref(),
                    search.left,
                )
                .await?;
            search.is_end = reached.is_none();
            search.reached = reached;
            places.reverse();
            places.append(&mut search.pending);
            search.pending = places;
            return Ok(());
        }
        let n_rows = i64::try_from(search.page).unwrap_or(COUNT_PAGE);
        let (mut places, after) = self
            .step(
                &mut connection,
                walk,
                &search.resolved,
                &search.known,
                search.after,
                n_rows,
            )
            .await?;
        search.is_end = after.is_none();
        search.after = after;
        places.reverse();
        places.append(&mut search.pending);
        search.pending = places;
        Ok(())
    }

    pub(super) async fn count_found(&self, query: &Query) -> Result<u64> {
        let known = self.current_definitions().await?;
        let mut resolved = Resolved::new(query, &known.product_list())?;
        if resolved.is_nothing() {
            return Ok(0);
        }
        resolved.order.clear();
        let limit = resolved.limit.map_or(u64::MAX, |limit| limit as u64);
        let mut connection = self.reader().await?;
        let walk = match self.plan(&mut connection, &resolved, &known).await? {
            Plan::Gathered(places) => return Ok((places.len() as u64).min(limit)),
            Plan::Walk(walk) => walk,
        };
        if resolved.area.is_none() {
            let n = self
                .count_walk(&mut connection, &walk, &resolved, &known)
                .await?;
            return Ok(n.unsigned_abs().min(limit));
        }
        let (mut n, mut after) = (0_u64, None);
        loop {
            let (places, next) = self
                .step(&mut connection, &walk, &resolved, &known, after, COUNT_PAGE)
                .await?;
            n += places.len() as u64;
            if next.is_none() || n >= limit {
                return Ok(n.min(limit));
            }
            after = next;
        }
    }
}
