//! The legacy index of Python's Open Data Cube, read where it is.
//!
//! The schema `agdc` is what datacube's drivers `postgres`, `legacy` and
//! `default` make. It keeps documents and little else: no footprints, no time
//! range of its own, no order. What a query asks is put to the documents in
//! SQL as Python does it, so that the indexes that Python made for each
//! product find the rows ([`narrow`]); what SQL cannot tell of a row is left
//! open there and decided on the dataset itself.
//!
//! Nothing is written, ever, and no more rights are needed than `agdc_user`
//! has.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/drivers/postgres/{_schema,_core,_api,_dynamic}.py`.

mod definitions;
mod degrees;
mod document;
mod field;
mod index;
mod lineage;
mod narrow;
mod read;
mod search;
mod steps;
mod summaries;
#[cfg(test)]
mod tests;
mod times;
mod users;

use std::fmt;
use std::sync::Arc;

use sqlx::Connection;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use tokio::sync::RwLock;

use crate::error::{Error, Result, Schema};
use crate::open::OpenOptions;
use crate::postgres::{self, Address, errors};

use definitions::Known;

/// An index in the legacy schema of a PostgreSQL database, for reading.
pub struct AgdcIndex {
    address: Address,
    pool: PgPool,
    /// What was last read of the definitions.
    known: RwLock<Option<Arc<Known>>>,
}

impl fmt::Debug for AgdcIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the options of the connection: they hold the password.
        f.debug_struct("AgdcIndex")
            .field("url", &self.address.url)
            .field("connections", &self.pool.size())
            .finish_non_exhaustive()
    }
}

impl AgdcIndex {
    /// Opens the legacy index in the database at `url`, see [`crate::open`].
    ///
    /// # Errors
    /// [`Error::InvalidUrl`]; [`Error::OtherSchema`] where the database has no
    /// legacy index; whatever keeps the server from being reached.
    pub async fn open(url: &str, options: &OpenOptions) -> Result<Self> {
        let mut address = Address::of(url, &options.clone().read_only(true))?;
        address.read_only = true;
        let mut connection = address.connect().await?;
        let there: sqlx::Result<(bool, bool)> = sqlx::query_as(
            "SELECT EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c \
                            ON c.relnamespace = n.oid \
                            WHERE n.nspname = 'agdc' AND c.relname = 'dataset'), \
                    EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c \
                            ON c.relnamespace = n.oid \
                            WHERE n.nspname = 'odc' AND c.relname = 'dataset')",
        )
        .fetch_one(&mut connection)
        .await;
        let (has_agdc, has_odc) =
            there.map_err(errors::failed(&address.url, "look at the database"))?;
        // What was asked for is known; how the goodbye goes does not matter.
        let _ = connection.close().await;
        if !has_agdc {
            return Err(Error::OtherSchema {
                url: address.url,
                wanted: Schema::Agdc,
                found: has_odc.then_some(Schema::Odc),
            });
        }
        Ok(AgdcIndex {
            pool: address.pool(),
            address,
            known: RwLock::new(None),
        })
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>> {
        self.pool.acquire().await.map_err(self.failed("connect"))
    }

    async fn may_retry(&self, error: &sqlx::Error, attempt: u32) -> bool {
        postgres::may_retry(error, attempt).await
    }

    fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> Error {
        let failed = errors::failed(&self.address.url, action);
        move |source| match failed(source) {
            // The advice to make one would be wrong.
            Error::NotInitialised { url } => Error::OtherSchema {
                url,
                wanted: Schema::Agdc,
                found: None,
            },
            other => other,
        }
    }

    /// What every method that would write answers.
    fn refused<T>(&self) -> Result<T> {
        let url = &self.address.url;
        Err(Error::ReadOnly {
            url: url.clone(),
            reason: format!(
                "it is in the legacy schema `agdc`, which this program reads and never changes; \
                 copy it into an index of your own, `datacube --index NEW system init` and then \
                 `datacube --index NEW system clone '{url}'`"
            ),
        })
    }
}
