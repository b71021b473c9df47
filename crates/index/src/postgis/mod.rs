//! The PostGIS index: a database shared with Python's Open Data Cube.
//!
//! Everything that Python knows is in the schema `odc`, exactly as
//! datacube-core 1.9.22 makes and fills it, so that both work on it side by
//! side. What finds datasets fast and in a fixed order is in a schema of our
//! own, `datacube`, which triggers keep in step with what Python writes
//! (`migrations/postgis` has both, with the reasons). A database that Python
//! made is read as it is; the first write, or [`Index::init`], adds the rest.

mod add;
mod adopt;
mod definitions;
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
mod scram;
mod search;
mod spatial;
mod sql;
mod summaries;
#[cfg(test)]
mod tests;
mod updating;
mod users;

use std::fmt;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use tokio::sync::RwLock;

use crate::error::{Error, Result, Schema};
use crate::open::OpenOptions;
use crate::postgres::{self, Address, Definitions, errors, retried, types};

use schema::Contents;

type Transaction = sqlx::Transaction<'static, Postgres>;

/// What a transaction that writes begins with. Plans are made for each search
/// (see [`Address`]); the server's own statements that check references would
/// be planned anew for every row.
const BEGIN_TO_WRITE: &str = "SELECT set_config('datacube.in_step', 'on', TRUE), \
    set_config('plan_cache_mode', 'auto', TRUE)";

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
        Ok(Self::connect(url, options).await?.0)
    }

    /// As [`Self::open`]; with what is to be said about a database that has no
    /// such index yet.
    pub(crate) async fn connect(url: &str, options: &OpenOptions) -> Result<(Self, Option<Error>)> {
        let address = Address::of(url, options)?;
        let pool = address.pool();
        let index = PostgisIndex {
            address,
            pool,
            contents: RwLock::new(None),
            definitions: std::sync::RwLock::new(None),
        };
        let missing = match index.ready().await {
            Ok(_) => None,
            Err(error @ (Error::NotInitialised { .. } | Error::OtherSchema { .. })) => Some(error),
            Err(other) => return Err(other),
        };
        Ok((index, missing))
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
        let mut connection = self.address.connect().await?;
        let mut contents = schema::contents(&mut connection, &self.address.url).await?;
        // What was asked for is known; how the goodbye goes does not matter.
        let _ = connection.close().await;
        if !contents.has_odc {
            let url = self.address.url.clone();
            return Err(if contents.has_agdc {
                Error::OtherSchema {
                    url,
                    wanted: Schema::Odc,
                    found: Some(Schema::Agdc),
                }
            } else {
                Error::NotInitialised { url }
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
        postgres::may_retry(error, attempt).await
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
            Err(Error::NotInitialised { .. } | Error::OtherSchema { .. })
                if self.contents.read().await.is_some() =>
            {
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
        let known = match known.filter(|known| known.extra.revision == revision) {
            Some(known) => known,
            None => {
                let mut connection = self.connection().await?;
                let read =
                    definitions::read(&mut connection, &self.address.url, ready.is_own).await?;
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
