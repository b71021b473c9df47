//! Searching and counting: one statement, its rows read through a cursor.
//!
//! The server puts what may be found in order and hands it over page by page,
//! within a transaction that is open as long as the stream is; this side holds
//! one page. Should the server go away in between, the rest is asked for again
//! from the last place. Datasets whose place in the order only they themselves
//! tell are looked into first, and take their places then.

use std::collections::VecDeque;
use std::sync::Arc;

use datacube_model::Dataset;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::AgdcIndex;
use super::definitions::Known;
use super::narrow::Narrow;
use crate::columns::Key;
use crate::error::{Error, Result};
use crate::postgres::Statement;
use crate::query::Query;
use crate::record::Record;
use crate::resolve::Resolved;
use crate::time_range::micros;

/// The first page is small, so that the first dataset comes soon; the pages
/// after it grow to the largest.
const FIRST_PAGE: usize = 32;
const LARGEST_PAGE: usize = 512;

/// Rows that are looked at together where only their number is asked for.
const COUNT_PAGE: usize = 2048;

/// Where a dataset stands in the order.
type Place = (i64, Uuid);

/// Middle of the time range, id, and whether it is surely found.
type Row = (Option<i64>, Uuid, Option<bool>);

type Transaction = sqlx::Transaction<'static, sqlx::Postgres>;

/// A search that has begun.
pub(super) struct Search {
    pub(super) known: Arc<Known>,
    pub(super) resolved: Resolved,
    cursor: Option<Transaction>,
    /// The last place that the cursor gave.
    after: Option<Place>,
    /// What the cursor gave and was not read yet, with whether it is surely
    /// found.
    pending: VecDeque<(Place, bool)>,
    /// Found ones whose place was not known to the server, in reverse order.
    strays: Vec<Place>,
    /// What a sort has put in order; `None` where the usual order counts.
    sorted: Option<VecDeque<Uuid>>,
    is_end: bool,
    left: usize,
    page: usize,
}

/// Some of what a stream gives.
type Page = Vec<Result<Dataset>>;

impl AgdcIndex {
    /// The datasets that a query finds. One that cannot be read is an error in
    /// its place, after which the stream goes on.
    pub(super) fn stream(&self, query: Query) -> BoxStream<'_, Result<Dataset>> {
        let begun = stream::once(async move { self.begin_search(&query).await });
        let pages = begun
            .map_ok(move |search| stream::try_unfold(search, move |search| self.next_page(search)));
        pages
            .try_flatten()
            .flat_map(|page| {
                stream::iter(match page {
                    Ok(page) => page,
                    Err(error) => vec![Err(error)],
                })
            })
            .boxed()
    }

    pub(super) async fn begin_search(&self, query: &Query) -> Result<Option<Search>> {
        let known = self.known().await?;
        let resolved = Resolved::new(query, &known.products())?;
        if resolved.is_nothing() {
            return Ok(None);
        }
        let left = resolved.limit.unwrap_or(usize::MAX);
        Ok(Some(Search {
            known,
            resolved,
            cursor: None,
            after: None,
            pending: VecDeque::new(),
            strays: Vec::new(),
            sorted: None,
            is_end: false,
            left,
            page: FIRST_PAGE,
        }))
    }

    /// The next datasets, and the search to go on with.
    async fn next_page(&self, search: Option<Search>) -> Result<Option<(Page, Option<Search>)>> {
        let Some(mut search) = search else {
            return Ok(None);
        };
        if !search.resolved.order.is_empty() && search.sorted.is_none() {
            self.sort(&mut search).await?;
        }
        let mut page = Page::new();
        // A page of rows may hold nothing that is found.
        while page.is_empty() && search.left > 0 {
            let n_rows = search.page;
            search.page = (search.page * 2).min(LARGEST_PAGE);
            page = match &search.sorted {
                Some(sorted) if sorted.is_empty() => break,
                Some(_) => self.listed(&mut search, n_rows).await?,
                None if search.is_exhausted() => break,
                None => self.walked(&mut search, n_rows).await?.1,
            };
        }
        let mut left = search.left;
        let n_kept = page.iter().position(|item| {
            let is_one_more = item.is_ok() && left == 0;
            left -= usize::from(item.is_ok() && left > 0);
            is_one_more
        });
        page.truncate(n_kept.unwrap_or(page.len()));
        search.left = left;
        Ok((!page.is_empty()).then_some((page, Some(search))))
    }

    /// The next rows along the order, those that are found read: with their
    /// places, and in the order of it.
    async fn walked(&self, search: &mut Search, n_rows: usize) -> Result<(Vec<Place>, Page)> {
        let mut attempt = 0;
        loop {
            match self.try_walk(search, n_rows).await {
                Ok(found) => return Ok(found),
                Err(error) => {
                    search.cursor = None;
                    if search.after.is_none() {
                        // Begun anew, they come again.
                        search.strays.clear();
                    }
                    if !self.may_retry(&error, attempt).await {
                        return Err(self.failed("search")(error));
                    }
                    attempt += 1;
                }
            }
        }
    }

    async fn try_walk(
        &self,
        search: &mut Search,
        n_rows: usize,
    ) -> sqlx::Result<(Vec<Place>, Page)> {
        while search.pending.is_empty() && !search.is_end {
            let rows = self.fetch(search, n_rows).await?;
            let is_end = rows.len() < n_rows;
            let (placed, unplaced): (Vec<Row>, Vec<Row>) =
                rows.into_iter().partition(|row| row.0.is_some());
            let unreadable = self.place(search, &unplaced).await?;
            let placed = placed.into_iter().filter_map(|(center_us, id, is_sure)| {
                Some(((center_us?, id), is_sure == Some(true)))
            });
            search.pending.extend(placed);
            search.after = search.pending.back().map(|row| row.0).or(search.after);
            search.is_end = is_end;
            if !unreadable.is_empty() {
                return Ok((Vec::new(), unreadable));
            }
        }
        let (next, n_pending, n_strays) = search.next(n_rows);
        let ids: Vec<Uuid> = next.iter().map(|row| row.0.1).collect();
        let mut found = match &mut search.cursor {
            Some(cursor) => self.read_each(cursor, &search.known, &ids).await?,
            None => {
                let mut connection = self.pool.acquire().await?;
                self.read_each(&mut connection, &search.known, &ids).await?
            }
        };
        search.pending.drain(..n_pending);
        search.strays.truncate(search.strays.len() - n_strays);
        let (mut places, mut page) = (Vec::new(), Page::new());
        for (place, is_sure) in next {
            match found.remove(&place.1) {
                // Perhaps found: that it may be missing has to be told.
                Some(Err(error)) => page.push(Err(error)),
                Some(Ok(dataset))
                    if is_sure
                        || is_accepted(&search.resolved, &Record::of(&dataset), &dataset) =>
                {
                    places.push(place);
                    page.push(Ok(dataset));
                }
                // Not found after all, or gone since.
                Some(Ok(_)) | None => {}
            }
        }
        Ok((places, page))
    }

    /// Finds the places of rows that only the datasets themselves tell; gives
    /// those that cannot be read.
    async fn place(&self, search: &mut Search, rows: &[Row]) -> sqlx::Result<Page> {
        let mut unreadable = Page::new();
        let ids: Vec<Uuid> = rows.iter().map(|row| row.1).collect();
        let Some(cursor) = search.cursor.as_mut().filter(|_| !ids.is_empty()) else {
            return Ok(unreadable);
        };
        for (_, dataset) in self.read_each(cursor, &search.known, &ids).await? {
            match dataset {
                Err(error) => unreadable.push(Err(error)),
                Ok(dataset) => {
                    let record = Record::of(&dataset);
                    if is_accepted(&search.resolved, &record, &dataset) {
                        search.strays.push((record.center_us(), record.id));
                    }
                }
            }
        }
        search.strays.sort_unstable_by(|a, b| b.cmp(a));
        Ok(unreadable)
    }

    /// The next rows of the cursor, which is opened where there is none.
    async fn fetch(&self, search: &mut Search, n_rows: usize) -> sqlx::Result<Vec<Row>> {
        if search.cursor.is_none() {
            let statement = Narrow::new(&search.known, &search.resolved).in_order(search.after);
            search.cursor = Some(self.open_cursor(statement).await?);
        }
        let cursor = search.cursor.as_mut().expect("it was just opened");
        next_rows(cursor, n_rows).await
    }

    /// A transaction with a cursor over a statement in it.
    async fn open_cursor(&self, mut statement: Statement) -> sqlx::Result<Transaction> {
        let mut transaction = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        statement.text = format!("DECLARE found NO SCROLL CURSOR FOR {}", statement.text);
        statement
            .command()
            .persistent(false)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }

    /// What a sort put in order.
    async fn listed(&self, search: &mut Search, n_rows: usize) -> Result<Page> {
        let sorted = search
            .sorted
            .as_mut()
            .expect("asked for where it is sorted");
        let n_rows = n_rows.min(sorted.len());
        let ids: Vec<Uuid> = sorted.drain(..n_rows).collect();
        let datasets = self.read_by_ids(&ids).await?;
        Ok(datasets.into_iter().flatten().map(Ok).collect())
    }

    /// Puts everything that is found in the order that was asked for. Keys and
    /// ids are kept of all of it, documents of none. What cannot be read has
    /// no place in that order, and is an error of the whole search.
    async fn sort(&self, search: &mut Search) -> Result<()> {
        let mut keyed: Vec<(Vec<Option<Key>>, Place)> = Vec::new();
        while !search.is_exhausted() {
            let (places, page) = self.walked(search, LARGEST_PAGE).await?;
            let datasets = page.into_iter().collect::<Result<Vec<Dataset>>>()?;
            for (place, dataset) in places.into_iter().zip(datasets) {
                let order = search.resolved.order.iter();
                keyed.push((order.map(|by| by.column.key(&dataset)).collect(), place));
            }
        }
        search.cursor = None;
        keyed.sort_by(|(a, at), (b, bt)| search.resolved.compare(a, b).then(at.cmp(bt)));
        keyed.truncate(search.left);
        search.sorted = Some(keyed.into_iter().map(|(_, place)| place.1).collect());
        Ok(())
    }

    /// How many a query finds, its limit regarded.
    pub(super) async fn count_found(&self, query: &Query) -> Result<u64> {
        let Some(search) = self.begin_search(query).await? else {
            return Ok(0);
        };
        let limit = search.left as u64;
        let narrow = Narrow::new(&search.known, &search.resolved);
        let n_sure = if narrow.is_never_sure() {
            0
        } else {
            let sums = self.sums(&search).await?;
            if sums.n_open == 0 {
                return Ok(sums.n_sure.min(limit));
            }
            sums.n_sure
        };
        let n_open = self.count_open(&search).await?;
        Ok((n_sure + n_open).min(limit))
    }

    /// Counts those of which only the datasets themselves tell, which are read.
    async fn count_open(&self, search: &Search) -> Result<u64> {
        let mut attempt = 0;
        loop {
            match self.try_count_open(search).await {
                Ok(counted) => return counted,
                Err(error) if self.may_retry(&error, attempt).await => attempt += 1,
                Err(error) => return Err(self.failed("count datasets")(error)),
            }
        }
    }

    async fn try_count_open(&self, search: &Search) -> sqlx::Result<Result<u64>> {
        let statement = Narrow::new(&search.known, &search.resolved).unsure();
        let mut cursor = self.open_cursor(statement).await?;
        let mut n = 0;
        loop {
            let rows: Vec<Row> = next_rows(&mut cursor, COUNT_PAGE).await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.1).collect();
            for (_, dataset) in self.read_each(&mut cursor, &search.known, &ids).await? {
                let dataset: Dataset = match dataset {
                    Ok(dataset) => dataset,
                    Err(error) => return Ok(Err::<u64, Error>(error)),
                };
                let is_in = is_accepted(&search.resolved, &Record::of(&dataset), &dataset);
                n += u64::from(is_in);
            }
            if rows.len() < COUNT_PAGE {
                return Ok(Ok(n));
            }
        }
    }
}

impl Search {
    /// Whether nothing more will be found.
    fn is_exhausted(&self) -> bool {
        self.is_end && self.pending.is_empty() && self.strays.is_empty()
    }

    /// The next places in order, with whether they are surely found; and how
    /// many of them are pending and how many strays.
    fn next(&self, at_most: usize) -> (Vec<(Place, bool)>, usize, usize) {
        let (mut n_pending, mut n_strays) = (0, 0);
        let mut next = Vec::new();
        while next.len() < at_most {
            let row = self.pending.get(n_pending);
            let stray = self.strays.iter().rev().nth(n_strays);
            match (row, stray) {
                (Some(row), Some(stray)) if row.0 < *stray => {
                    next.push(*row);
                    n_pending += 1;
                }
                (Some(row), None) => {
                    next.push(*row);
                    n_pending += 1;
                }
                (Some(_), Some(stray)) => {
                    next.push((*stray, true));
                    n_strays += 1;
                }
                // Rows that are still to come may be before it.
                (None, Some(stray)) if self.is_end => {
                    next.push((*stray, true));
                    n_strays += 1;
                }
                (None, _) => break,
            }
        }
        (next, n_pending, n_strays)
    }
}

async fn next_rows(cursor: &mut PgConnection, n_rows: usize) -> sqlx::Result<Vec<Row>> {
    let statement = Statement::of(format!("FETCH {n_rows} FROM found"));
    statement.query().persistent(false).fetch_all(cursor).await
}

/// Whether the dataset itself says that it is found; where it is, the server
/// has told already.
fn is_accepted(resolved: &Resolved, record: &Record, dataset: &Dataset) -> bool {
    let indexed_us = dataset.indexed().map_or(0, micros);
    resolved.accepts(record, dataset.is_archived(), indexed_us)
}
