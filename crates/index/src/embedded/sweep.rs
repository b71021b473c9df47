//! What very many rows say, told at once.
//!
//! sqlx copies each value of a row and hands rows from thread to thread, which is some
//! microseconds a row, and seconds for a million. Here SQLite is stepped where its rows
//! are used, on a connection that sqlx lends.

use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use rusqlite::{Connection, Row, params_from_iter};
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender};

use super::EmbeddedIndex;
use super::definitions::Definitions;
use super::plan::Walk;
use super::sql::Statement;
use crate::catalog::{Outline, OutlineRow};
use crate::error::Result;
use crate::footprint::{Area, Footprint, Sieve};
use crate::resolve::Resolved;

/// Rows that are handed on together, and how often more than are asked for.
const BATCH: usize = 4096;
const BATCHES_AHEAD: usize = 4;

/// Where the key is among the columns of an outline.
const KEY: usize = 6;

/// What came of a batch.
type Told = sqlx::Result<Vec<Outline>>;

impl EmbeddedIndex {
    /// When and where the datasets along a walk are, in its order.
    pub(super) async fn sweep(
        &self,
        walk: &Walk,
        resolved: Resolved,
        known: &Definitions,
    ) -> Result<BoxStream<'_, Result<Outline>>> {
        let statement = walk.outlines(&resolved, known);
        let connection = self.reader().await?;
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let sweeping = tokio::task::spawn_blocking(move || {
            if let Err(error) = sweep(connection, &statement, &resolved, &sender) {
                // Who does not listen any more does not want to know.
                let _ = sender.blocking_send(Err(error));
            }
        });
        let batches = stream::unfold(receiver, |mut receiver| async move {
            let told = receiver.recv().await?;
            Some((told, receiver))
        });
        // What ends early for a fault of ours must not pass for the end.
        let end = sweeping.map(|ended| {
            ended.expect("reading outlines does not panic");
            stream::empty()
        });
        let outlines = batches
            .chain(end.flatten_stream())
            .map_err(self.place.failed("read datasets"))
            .map_ok(|outlines| stream::iter(outlines.into_iter().map(Ok)))
            .try_flatten();
        Ok(outlines.boxed())
    }
}

/// Runs a statement on a connection and hands on what its rows say, until nobody listens.
fn sweep(
    mut connection: PoolConnection<Sqlite>,
    statement: &Statement,
    resolved: &Resolved,
    sender: &Sender<Told>,
) -> sqlx::Result<()> {
    let mut locked = Handle::current().block_on(connection.lock_handle())?;
    // SAFETY: the handle is open, and sqlx leaves it alone, for as long as `locked`
    // lives; `borrowed` goes before it and does not close what it did not open.
    let borrowed = unsafe { Connection::from_handle(locked.as_raw_handle().as_ptr()) };
    let swept = borrowed.and_then(|borrowed| step(&borrowed, statement, resolved, sender));
    swept.map_err(|error| sqlx::Error::AnyDriverError(Box::new(error)))
}

fn step(
    borrowed: &Connection,
    statement: &Statement,
    resolved: &Resolved,
    sender: &Sender<Told>,
) -> rusqlite::Result<()> {
    let mut prepared = borrowed.prepare(&statement.text)?;
    let mut rows = prepared.query(params_from_iter(statement.parameters()))?;
    let mut footprints = borrowed.prepare("SELECT footprint FROM dataset WHERE key = ?1")?;
    let mut area = resolved.area.as_ref().map(|area| (area, Sieve::new(area)));
    let mut left = resolved.limit.unwrap_or(usize::MAX);
    let mut batch = Vec::with_capacity(BATCH);
    while left > 0
        && let Some(row) = rows.next()?
    {
        let outline = Outline::of_row(outline_row(row)?);
        if let Some((area, sieve)) = &mut area
            && !is_within(area, sieve, &outline, row, &mut footprints)?
        {
            continue;
        }
        batch.push(outline);
        left -= 1;
        if batch.len() == BATCH {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
            if sender.blocking_send(Ok(full)).is_err() {
                return Ok(());
            }
        }
    }
    // Nor is this an error where nobody listens.
    let _ = sender.blocking_send(Ok(batch));
    Ok(())
}

fn outline_row(row: &Row<'_>) -> rusqlite::Result<OutlineRow> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
        row.get(5)?,
    ))
}

/// Whether a dataset is within the area. Its footprint is read where the box alone does
/// not tell: all else is in the index.
fn is_within(
    area: &Area,
    sieve: &mut Sieve<'_>,
    outline: &Outline,
    row: &Row<'_>,
    footprints: &mut rusqlite::Statement<'_>,
) -> rusqlite::Result<bool> {
    let Some(bounds) = outline.bounds else {
        return Ok(false);
    };
    if let Some(told) = sieve.meets_box(&bounds.into()) {
        return Ok(told);
    }
    let key: i64 = row.get(KEY)?;
    footprints.query_row([key], |row| {
        let footprint = row.get_ref(0)?.as_blob_or_null()?;
        let footprint = footprint.and_then(Footprint::from_wkb);
        Ok(footprint.is_some_and(|footprint| area.meets(&footprint)))
    })
}
