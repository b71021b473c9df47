//! What the indexes in PostgreSQL databases share: how a server is reached,
//! what its errors mean, its types on the wire, statements in the making, and
//! what they all do with the rows that they read.

mod address;
pub(crate) mod definitions;
pub(crate) mod document;
pub(crate) mod errors;
pub(crate) mod lineage;
mod statement;
pub(crate) mod types;

use std::time::Duration;

pub(crate) use address::{Address, Driver};
pub(crate) use definitions::Definitions;
pub(crate) use statement::Statement;

/// How often a read is done again on a new connection when the server went away.
const READ_ATTEMPTS: u32 = 7;

/// Runs a statement that reads on a pooled connection; on another one when the
/// first turns out to be dead, as after a restart of the server.
macro_rules! retried {
    ($index:expr, $action:literal, $connection:ident => $statement:expr) => {{
        let mut attempt = 0;
        loop {
            let result: sqlx::Result<_> = async {
                let mut pooled = $index.pool.acquire().await?;
                let $connection: &mut sqlx::postgres::PgConnection = &mut pooled;
                $statement.await
            }
            .await;
            match result {
                Err(error) if $index.may_retry(&error, attempt).await => attempt += 1,
                other => break other.map_err($index.failed($action)),
            }
        }
    }};
}
pub(crate) use retried;

/// Whether a read that failed is worth another attempt; waits before it.
pub(crate) async fn may_retry(error: &sqlx::Error, attempt: u32) -> bool {
    let may = errors::is_disconnected(error)
        && !matches!(error, sqlx::Error::PoolTimedOut)
        && attempt < READ_ATTEMPTS;
    if may {
        tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
    }
    may
}

/// Makes something of each of many rows, in no order, on as many threads as
/// there are, each with at least `n_least`.
pub(crate) async fn on_threads<R, T, F>(mut rows: Vec<R>, n_least: usize, make: F) -> Vec<T>
where
    R: Send + 'static,
    T: Send + 'static,
    F: Fn(&R) -> T + Clone + Send + 'static,
{
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let n_each = rows.len().div_ceil(n_threads).max(n_least);
    let mut tasks = Vec::with_capacity(n_threads);
    while !rows.is_empty() {
        let part = rows.split_off(rows.len().saturating_sub(n_each));
        let make = make.clone();
        tasks.push(tokio::task::spawn_blocking(move || {
            part.iter().map(make).collect::<Vec<_>>()
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("reading documents does not panic"));
    }
    all
}
