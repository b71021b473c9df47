//! The PostGIS index: a database shared with Python's Open Data Cube.
//!
//! Everything that Python knows is in the schema `odc`, exactly as
//! datacube-core 1.9.22 makes and fills it, so that both work on it side by
//! side. What finds datasets fast and in a fixed order is in a schema of our
//! own, `datacube`, which triggers keep in step with what Python writes
//! (`migrations/postgis` has both, with the reasons). A database that Python
//! made is read as it is; the first write, or [`Index::init`], adds the rest.

mod add;
mod address;
mod adopt;
mod definitions;
mod errors;
mod geometry;
mod index;
mod lineage;
mod mark;
mod met;
mod places;
mod plan;
mod population;
mod read;
mod removing;
mod rows;
mod scene;
mod schema;
mod search;
mod spatial;
mod sql;
mod summaries;
#[cfg(test)]
mod tests;
mod types;
mod updating;
mod users;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::RwLock;

use crate::error::{Error, Result};
use crate::open::OpenOptions;

use address::Address;
use definitions::Definitions;
use schema::Contents;

type Transaction = sqlx::Transaction<'static, Postgres>;

/// How often a read is done again on a new connection when the server went away.
const READ_ATTEMPTS: u32 = 7;

/// A connection that was used so short a time ago is taken to be alive.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// What a transaction that writes begins with. Plans are made for each search
/// (see [`address`]); the server's own statements that check references would
/// be planned anew for every row.
const BEGIN_TO_WRITE: &str = "SELECT set_config('datacube.in_step', 'on', TRUE), \
    set_config('plan_cache_mode', 'auto', TRUE)";

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
use retried;

/// What one writer at a time decides about.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
enum Lock {
    /// Both schemas.
    Schemas = 1,
    /// Relations between datasets, that they stay free of cycles.
    Lineage = 2,
    /// Which dataset of a scene is active.
    Scenes = 3,
}

/// The first half of the number of a lock; the second is one of [`Lock`]. No
/// other program is likely to use it: it is "cube" in ASCII.
const LOCKS: i32 = 0x6375_6265;

/// An index in a PostgreSQL database with PostGIS.
pub struct PostgisIndex {
    address: Address,
    pool: PgPool,
    /// What the database was seen to hold; `None` until it is asked.
    contents: RwLock<Option<Contents>>,
    /// What was last read of the definitions.
    definitions: std::sync::RwLock<Option<Arc<Definitions>>>,
}

impl fmt::Debug for PostgisIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the options of the connection: they hold the password.
        f.debug_struct("PostgisIndex")
            .field("url", &self.address.url)
            .field("connections", &self.pool.size())
            .finish_non_exhaustive()
    }
}

/// The database at the moment when an operation begins.
#[derive(Clone, Debug)]
struct Session {
    known: Arc<Definitions>,
    /// Whether our own schema is there.
    is_own: bool,
    may_write: bool,
    /// Whether there are rows that are not derived.
    has_strangers: bool,
}

impl PostgisIndex {
    /// Opens the index in the database at `url`, see [`crate::open`].
    ///
    /// Nothing is created. Where the database has no index yet, every method
    /// fails saying so until [`crate::Index::init`] is called.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`], [`Error::ForeignSchema`],
    /// [`Error::SchemaTooNew`], or whatever keeps the server from being reached.
    pub async fn open(url: &str, options: &OpenOptions) -> Result<Self> {
        let mut address = Address::parse(url)?;
        address.read_only |= options.read_only;
        if address.read_only {
            address.options = address
                .options
                .options([("default_transaction_read_only", "on")]);
        }
        address.options = address
            .options
            .options([("lock_timeout", options.busy_timeout.as_millis().to_string())]);
        address.options = address.options.disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(address.max_connections)
            .acquire_timeout(address.connect_timeout)
            .idle_timeout(Duration::from_secs(60))
            // A round trip for each statement would be most of a short search;
            // reads are done again where the server went away in between.
            .test_before_acquire(false)
            .before_acquire(|connection, met| {
                Box::pin(async move {
                    if met.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(address.options.clone());
        let index = PostgisIndex {
            address,
            pool,
            contents: RwLock::new(None),
            definitions: std::sync::RwLock::new(None),
        };
        match index.ready().await {
            Ok(_) | Err(Error::NotInitialised { .. }) => Ok(index),
            Err(other) => Err(other),
        }
    }

    /// What the database holds; it is asked once.
    async fn ready(&self) -> Result<Contents> {
        if let Some(contents) = *self.contents.read().await {
            return Ok(contents);
        }
        let mut slot = self.contents.write().await;
        if let Some(contents) = *slot {
            return Ok(contents);
        }
        // Not from the pool, which would go on trying when nobody is there.
        let connecting = PgConnection::connect_with(&self.address.options);
        let connected = tokio::time::timeout(self.address.connect_timeout, connecting).await;
        let mut connection = connected
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(self.failed("connect"))?;
        let mut contents = schema::contents(&mut connection, &self.address.url).await?;
        // What was asked for is known; how the goodbye goes does not matter.
        let _ = connection.close().await;
        if !contents.has_odc {
            return Err(Error::NotInitialised {
                url: self.address.url.clone(),
            });
        }
        contents.may_write &= !self.address.read_only;
        *slot = Some(contents);
        Ok(contents)
    }

    /// Forgets what the database was seen to hold.
    async fn forget(&self) {
        *self.contents.write().await = None;
        *self
            .definitions
            .write()
            .expect("nothing panics while it is held") = None;
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(self.failed("connect"))
    }

    /// Whether a read that failed is worth another attempt; waits before it.
    async fn may_retry(&self, error: &sqlx::Error, attempt: u32) -> bool {
        let may = errors::is_disconnected(error)
            && !matches!(error, sqlx::Error::PoolTimedOut)
            && attempt < READ_ATTEMPTS;
        if may {
            tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
        }
        may
    }

    /// Begins to write; this program's own tables are looked after by itself.
    async fn begin(&self, action: &'static str) -> Result<Transaction> {
        if self.address.read_only {
            return Err(Error::ReadOnly {
                url: self.address.url.clone(),
                reason: "it was opened for reading only".to_owned(),
            });
        }
        let mut attempt = 0;
        let mut transaction = loop {
            match self.pool.begin().await {
                Err(error) if self.may_retry(&error, attempt).await => attempt += 1,
                other => break other.map_err(self.failed(action))?,
            }
        };
        sqlx::query(BEGIN_TO_WRITE)
            .execute(&mut *transaction)
            .await
            .map_err(self.failed(action))?;
        Ok(transaction)
    }

    /// Ends a transaction: keeps what was done, unless it was only tried.
    async fn end(
        &self,
        transaction: Transaction,
        dry_run: bool,
        action: &'static str,
    ) -> Result<()> {
        let ended = if dry_run {
            transaction.rollback().await
        } else {
            transaction.commit().await
        };
        ended.map_err(self.failed(action))
    }

    /// Waits for others who change what is guarded by `lock`, until the end of
    /// the transaction.
    async fn lock(&self, connection: &mut PgConnection, lock: Lock) -> Result<()> {
        sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
            .bind(LOCKS)
            .bind(lock as i32)
            .execute(connection)
            .await
            .map_err(self.failed("wait for other writers"))
            .map(|_| ())
    }

    /// The database as it is now.
    async fn session(&self) -> Result<Session> {
        match self.session_as_is().await {
            // Somebody removed the index since, and perhaps made it anew.
            Err(Error::NotInitialised { .. }) if self.contents.read().await.is_some() => {
                self.forget().await;
                self.session_as_is().await
            }
            other => other,
        }
    }

    async fn session_as_is(&self) -> Result<Session> {
        let ready = self.ready().await?;
        let (revision, has_strangers): (String, bool) = retried!(self, "read its products", c => {
            let text = if ready.is_own {
                definitions::REVISION_AND_STRANGERS
            } else {
                definitions::REVISION_ALONE
            };
            sqlx::query_as(text).fetch_one(&mut *c)
        })?;
        let known = self
            .definitions
            .read()
            .expect("nothing panics while it is held")
            .clone();
        let known = match known.filter(|known| known.revision == revision) {
            Some(known) => known,
            None => {
                let mut connection = self.connection().await?;
                let read =
                    Definitions::read(&mut connection, &self.address.url, ready.is_own).await?;
                let read = Arc::new(read);
                *self
                    .definitions
                    .write()
                    .expect("nothing panics while it is held") = Some(Arc::clone(&read));
                read
            }
        };
        Ok(Session {
            known,
            is_own: ready.is_own,
            may_write: ready.may_write,
            has_strangers,
        })
    }

    /// As [`Self::session`], with what Python wrote made our own where that
    /// is possible.
    async fn searching(&self) -> Result<Session> {
        let mut session = self.session().await?;
        if session.has_strangers && session.may_write {
            session.has_strangers = match self.adopt_some(&session).await {
                Ok(all) => !all,
                // A user who may add datasets but not this.
                Err(Error::ReadOnly { .. } | Error::Forbidden { .. }) => true,
                Err(other) => return Err(other),
            };
        }
        Ok(session)
    }
}
