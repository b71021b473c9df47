//! Searching and counting: a plan, then page after page.

use std::sync::Arc;

use datacube_model::Dataset;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde_json::Value;
use uuid::Uuid;

use super::met::{Met, Wanted};
use super::plan::{Place, Plan, Scope};
use super::{PostgisIndex, Session};
use crate::catalog::Outline;
use crate::columns::{Column, Key};
use crate::error::Result;
use crate::query::Query;
use crate::resolve::Resolved;

/// The first page is small, so that the first dataset comes soon; the pages
/// after it grow to the largest.
const FIRST_PAGE: usize = 32;
const LARGEST_PAGE: usize = 512;
/// The largest where no documents are read.
const LARGEST_OUTLINES: usize = 16_384;

/// Rows that are looked at together where only their number is asked for.
const COUNT_PAGE: i64 = 4096;

/// A search that has begun.
struct Search {
    resolved: Resolved,
    session: Session,
    plan: Plan,
    /// What a walk has found and not given yet, or what was gathered; in
    /// reverse order.
    pending: Vec<Place>,
    after: Option<Place>,
    is_end: bool,
    left: usize,
    page: usize,
    largest_page: usize,
}

impl PostgisIndex {
    /// The datasets that a query finds.
    pub(super) fn stream(&self, query: Query) -> BoxStream<'_, Result<Dataset>> {
        let pages = self.pages(query);
        let datasets = pages.and_then(move |(session, ids)| async move {
            let datasets = self.read_some(&session, &ids).await?;
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
        let rows = self.pages(query).and_then(move |(session, ids)| {
            let columns = Arc::clone(&columns);
            async move {
                let wanted = Wanted::for_keys(columns.iter());
                let met = self.met(&session, &ids, wanted).await?;
                let rows = met.into_iter().map(move |met| {
                    let values = columns.iter().map(|column| met.shown(column));
                    Ok(values.collect())
                });
                Ok(stream::iter(rows))
            }
        });
        rows.try_flatten().boxed()
    }

    /// When and where what a query finds is.
    pub(super) fn stream_outlines(&self, query: Query) -> BoxStream<'_, Result<Outline>> {
        let outlines =
            self.pages_up_to(LARGEST_OUTLINES, query)
                .and_then(move |(session, ids)| async move {
                    let outlines = self.outlines_of(&session, &ids).await?;
                    Ok(stream::iter(outlines.into_iter().map(Ok)))
                });
        outlines.try_flatten().boxed()
    }

    /// The ids that a query finds, page after page.
    fn pages(&self, query: Query) -> BoxStream<'_, Result<(Session, Vec<Uuid>)>> {
        self.pages_up_to(LARGEST_PAGE, query)
    }

    fn pages_up_to(
        &self,
        largest_page: usize,
        query: Query,
    ) -> BoxStream<'_, Result<(Session, Vec<Uuid>)>> {
        let begun = stream::once(async move {
            let search = self.begin_search(&query).await?;
            Ok(search.map(|search| Search {
                largest_page,
                ..search
            }))
        });
        let pages = begun
            .map_ok(move |search| stream::try_unfold(search, move |search| self.next_page(search)));
        pages.try_flatten().boxed()
    }

    /// Gives everything that a query finds to `each`, whatever its limit and
    /// order, without documents.
    pub(super) async fn for_each_met(
        &self,
        query: &Query,
        wanted: Wanted,
        mut each: impl FnMut(Met) -> Result<()>,
    ) -> Result<()> {
        let query = Query {
            limit: None,
            order: Vec::new(),
            ..query.clone()
        };
        let mut pages = self.pages(query);
        while let Some((session, ids)) = pages.try_next().await? {
            for met in self.met(&session, &ids, wanted).await? {
                each(met)?;
            }
        }
        Ok(())
    }

    async fn begin_search(&self, query: &Query) -> Result<Option<Search>> {
        let session = self.searching().await?;
        let resolved = Resolved::new(query, &session.known.product_list())?;
        if resolved.is_nothing() {
            return Ok(None);
        }
        let plan = self.plan(&Scope::new(&session, &resolved)).await?;
        let left = resolved.limit.unwrap_or(usize::MAX);
        let mut search = Search {
            is_end: matches!(plan, Plan::Gathered(_)),
            resolved,
            session,
            plan,
            pending: Vec::new(),
            after: None,
            left,
            page: FIRST_PAGE,
            largest_page: LARGEST_PAGE,
        };
        if let Plan::Gathered(places) = &mut search.plan {
            places.reverse();
            search.pending = std::mem::take(places);
        }
        if !search.resolved.order.is_empty() {
            self.sort(&mut search).await?;
        }
        Ok(Some(search))
    }

    /// The next ids, and the search to go on with.
    async fn next_page(
        &self,
        search: Option<Search>,
    ) -> Result<Option<((Session, Vec<Uuid>), Option<Search>)>> {
        let Some(mut search) = search else {
            return Ok(None);
        };
        let wanted = search.page.min(search.left);
        search.page = (search.page * 2).min(search.largest_page);
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
        let ids: Vec<Uuid> = search
            .pending
            .drain(rest..)
            .rev()
            .map(|place| place.id)
            .collect();
        search.left -= ids.len();
        Ok(Some(((search.session.clone(), ids), Some(search))))
    }

    async fn walk_on(&self, search: &mut Search) -> Result<()> {
        let Plan::Walk(walk) = &search.plan else {
            search.is_end = true;
            return Ok(());
        };
        let n_rows = i64::try_from(search.page).unwrap_or(COUNT_PAGE);
        let scope = Scope::new(&search.session, &search.resolved);
        let (mut places, after) = self.step(&scope, walk, search.after, n_rows).await?;
        search.is_end = after.is_none();
        search.after = after;
        places.reverse();
        places.append(&mut search.pending);
        search.pending = places;
        Ok(())
    }

    /// Puts everything that is found in the order that was asked for. Keys and
    /// ids are kept of all of it, documents of none.
    async fn sort(&self, search: &mut Search) -> Result<()> {
        let mut keyed: Vec<(Vec<Option<Key>>, Place)> = Vec::new();
        search.page = LARGEST_PAGE;
        let wanted = Wanted::for_keys(search.resolved.order.iter().map(|by| &by.column));
        loop {
            while search.pending.is_empty() && !search.is_end {
                self.walk_on(search).await?;
            }
            if search.pending.is_empty() {
                break;
            }
            let rest = search.pending.len().saturating_sub(LARGEST_PAGE);
            let places: Vec<Place> = search.pending.drain(rest..).rev().collect();
            let ids: Vec<Uuid> = places.iter().map(|place| place.id).collect();
            let mut places = places.into_iter();
            for met in self.met(&search.session, &ids, wanted).await? {
                // Both are in the same order, and some may be gone.
                let Some(place) = places.find(|place| place.id == met.record.id) else {
                    continue;
                };
                let order = search.resolved.order.iter();
                let keys = order.map(|by| met.key(&by.column)).collect();
                keyed.push((keys, place));
            }
        }
        keyed.sort_by(|(a, at), (b, bt)| search.resolved.compare(a, b).then(at.cmp(bt)));
        keyed.truncate(search.left);
        search.pending = keyed.into_iter().rev().map(|(_, place)| place).collect();
        search.page = FIRST_PAGE;
        search.is_end = true;
        Ok(())
    }

    pub(super) async fn count_found(&self, query: &Query) -> Result<u64> {
        let session = self.searching().await?;
        let resolved = Resolved::new(query, &session.known.product_list())?;
        if resolved.is_nothing() {
            return Ok(0);
        }
        let limit = resolved.limit.map_or(u64::MAX, |limit| limit as u64);
        let scope = Scope::new(&session, &resolved);
        let walk = match self.plan(&scope).await? {
            Plan::Gathered(places) => return Ok((places.len() as u64).min(limit)),
            Plan::Walk(walk) => walk,
        };
        if let Some(n) = self.count_walk(&scope, &walk).await? {
            return Ok(n.min(limit));
        }
        let (mut n, mut after) = (0_u64, None);
        loop {
            let (places, next) = self.step(&scope, &walk, after, COUNT_PAGE).await?;
            n += places.len() as u64;
            if next.is_none() || n >= limit {
                return Ok(n.min(limit));
            }
            after = next;
        }
    }
}
