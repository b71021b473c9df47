//! From an index URL to an index.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::agdc::AgdcIndex;
use crate::catalog::{Index, InitOptions};
use crate::embedded::EmbeddedIndex;
use crate::error::{Error, Result, Schema};
use crate::memory::MemoryIndex;
use crate::postgis::PostgisIndex;
use crate::postgres::{self, Driver};

/// How an index is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenOptions {
    /// Never write, not even when the file could be written (default: no).
    pub read_only: bool,
    /// How long to wait for another process that is writing (default: 30 s).
    pub busy_timeout: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions {
            read_only: false,
            busy_timeout: Duration::from_secs(30),
        }
    }
}

impl OpenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Never writes, or may.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Waits so long for another process that is writing.
    #[must_use]
    pub fn busy_timeout(mut self, wait: Duration) -> Self {
        self.busy_timeout = wait;
        self
    }

    /// Opens the index at `url`, see [`open`].
    ///
    /// # Errors
    /// As [`open`].
    pub async fn open(&self, url: &str) -> Result<Arc<dyn Index>> {
        match Address::parse(url)? {
            Address::Memory => Ok(Arc::new(MemoryIndex::new())),
            Address::Postgresql => self.open_database(url).await,
            Address::Sqlite { path, read_only } => {
                let options = self.clone().read_only(self.read_only || read_only);
                Ok(Arc::new(EmbeddedIndex::open(path, &options).await?))
            }
        }
    }

    /// Opens the index in a database; where its URL does not say which tables
    /// it is in, a legacy one counts where there is no other.
    async fn open_database(&self, url: &str) -> Result<Arc<dyn Index>> {
        let driver = postgres::Address::of(url, self)?.driver;
        if driver == Some(Driver::Agdc) {
            return Ok(Arc::new(AgdcIndex::open(url, self).await?));
        }
        let (index, missing) = PostgisIndex::connect(url, self).await?;
        match (driver, missing) {
            (None, Some(Error::OtherSchema { .. })) => {
                Ok(Arc::new(AgdcIndex::open(url, self).await?))
            }
            _ => Ok(Arc::new(index)),
        }
    }
}

/// Opens the index at `url`: `postgresql://USER:PASSWORD@HOST:PORT/DATABASE` for
/// one in a PostGIS database, `sqlite:PATH` for the embedded index in a file,
/// `memory:` for one that is gone when it is dropped.
///
/// What a `postgresql:` URL leaves out comes from libpq's variables (`PGHOST`,
/// `PGUSER`, ...) and its password file. Besides libpq's options it takes
/// `max_connections`, `connect_timeout` (seconds), `statement_timeout`
/// (milliseconds), `mode=ro` and `driver`: with `driver=agdc` the index is in
/// the legacy schema `agdc`, which is only read, with `driver=postgis` in the
/// schema `odc`; without it in `odc`, unless the database has `agdc` alone.
///
/// `sqlite:PATH?mode=ro` opens for reading only. Nothing is created: a file
/// that is not there yet makes an index that answers
/// [`Error::NotInitialised`] until [`Index::init`] is called on it.
///
/// # Errors
/// [`Error::InvalidUrl`]; [`Error::NotAnIndex`] for a file that is something
/// else; [`Error::SchemaTooNew`] for one that a newer program made.
pub async fn open(url: &str) -> Result<Arc<dyn Index>> {
    OpenOptions::new().open(url).await
}

/// Opens the index at `url` and makes it ready for use: a file that is not
/// there, or is of an older version, is created or brought up to date.
///
/// # Errors
/// As [`open`] and [`Index::init`].
pub async fn open_or_init(url: &str) -> Result<Arc<dyn Index>> {
    let index = open(url).await?;
    match index.check().await {
        Ok(_) => {}
        // Without a driver in its URL, a legacy index would have been opened.
        Err(
            Error::NotInitialised { .. }
            | Error::SchemaTooOld { .. }
            | Error::OtherSchema {
                wanted: Schema::Odc,
                ..
            },
        ) => {
            index.init(&InitOptions::default()).await?;
        }
        Err(other) => return Err(other),
    }
    Ok(index)
}

/// What an index URL points to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Memory,
    Sqlite {
        path: PathBuf,
        read_only: bool,
    },
    /// Read by [`postgres::Address`].
    Postgresql,
}

impl Address {
    fn parse(url: &str) -> Result<Self> {
        let refuse = |reason: &str| {
            Err(Error::InvalidUrl {
                url: without_password(url),
                reason: reason.to_owned(),
            })
        };
        let Some((scheme, rest)) = url.split_once(':') else {
            return refuse("it has no scheme");
        };
        match scheme {
            "memory" if rest.trim_matches('/').is_empty() => Ok(Address::Memory),
            "memory" => refuse("`memory:` takes nothing after the colon"),
            "sqlite" => {
                // sqlite:PATH, sqlite://PATH and sqlite:///ABSOLUTE mean the same.
                let rest = rest.strip_prefix("//").unwrap_or(rest);
                let (path, read_only) = match rest.rsplit_once('?') {
                    None | Some((_, "mode=rw")) => {
                        (rest.strip_suffix("?mode=rw").unwrap_or(rest), false)
                    }
                    Some((path, "mode=ro")) => (path, true),
                    Some(_) => return refuse("the only options are `?mode=ro` and `?mode=rw`"),
                };
                match path {
                    "" => refuse("it names no file"),
                    ":memory:" => refuse("an index in memory is `memory:`"),
                    path => Ok(Address::Sqlite {
                        path: PathBuf::from(path),
                        read_only,
                    }),
                }
            }
            scheme if is_postgresql(scheme) => Ok(Address::Postgresql),
            _ => refuse("its scheme is not known"),
        }
    }
}

/// Whether a scheme means PostgreSQL, with or without one of SQLAlchemy's drivers.
fn is_postgresql(scheme: &str) -> bool {
    matches!(scheme.split('+').next(), Some("postgresql" | "postgres"))
}

/// The URL as it may be shown: with any password in it replaced.
///
/// What is no URL is made safe all the same, at the price of what stands around
/// the password: it may hold a `/`, `?` or `@` that should have been encoded.
pub fn without_password(url: &str) -> String {
    let url = &without_password_option(url);
    let (scheme, slashes, rest) = match (url.split_once("://"), url.split_once(':')) {
        (Some((scheme, rest)), _) => (scheme, "//", rest),
        (None, Some((scheme, rest))) => (scheme, "", rest),
        (None, None) => return url.to_owned(),
    };
    if matches!(scheme, "sqlite" | "memory") {
        return url.to_owned();
    }
    let Some(at) = end_of_user(rest) else {
        return url.to_owned();
    };
    let shown = match rest[..at].split_once(':') {
        Some((name, _)) => format!("{name}:***"),
        None => rest[..at].to_owned(),
    };
    format!("{scheme}:{slashes}{shown}{}", &rest[at..])
}

/// Where the `@` is that ends user and password.
fn end_of_user(rest: &str) -> Option<usize> {
    let options = rest.find('?').unwrap_or(rest.len());
    // An `@` after a name and `=` is one of the value of an option.
    let is_password = |tail: &str| {
        tail.split_once('@')
            .is_some_and(|(before, _)| !before.contains('='))
    };
    if is_password(&rest[options..]) {
        return rest.rfind('@');
    }
    rest[..options].rfind('@')
}

/// The URL with any password among the options after `?` replaced.
fn without_password_option(url: &str) -> String {
    let Some((before, options)) = url.split_once('?') else {
        return url.to_owned();
    };
    let options: Vec<String> = options
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().ends_with("password") => {
                format!("{name}=***")
            }
            _ => option.to_owned(),
        })
        .collect();
    format!("{before}?{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let sqlite = |path: &str, read_only| Address::Sqlite {
            path: path.into(),
            read_only,
        };
        for (url, expected) in [
            ("memory:", Address::Memory),
            ("memory://", Address::Memory),
            ("sqlite:a/b.db", sqlite("a/b.db", false)),
            ("sqlite:/a/b.db", sqlite("/a/b.db", false)),
            ("sqlite://a.db", sqlite("a.db", false)),
            ("sqlite:///a/b c.db?mode=ro", sqlite("/a/b c.db", true)),
            ("sqlite:a.db?mode=rw", sqlite("a.db", false)),
            ("postgresql://me@host/db", Address::Postgresql),
            ("postgresql+psycopg2://me@host/db", Address::Postgresql),
        ] {
            assert_eq!(Address::parse(url).expect(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_without_its_password() {
        for url in [
            "",
            "a.db",
            "memory:x",
            "sqlite:",
            "sqlite:a?mode=x",
            "oracle:x",
            "sqlite::memory:",
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(error.contains("sqlite:PATH"), "{error}");
        }
        for (url, shown) in [
            (
                "postgresql://me:secret@h:1/db",
                "postgresql://me:***@h:1/db",
            ),
            ("postgresql://me@h/db", "postgresql://me@h/db"),
            ("postgresql://h:5432/db", "postgresql://h:5432/db"),
            ("postgresql://me:sec/ret@h/db", "postgresql://me:***@h/db"),
            ("postgresql://me:sec?ret@h/db", "postgresql://me:***@h/db"),
            ("postgresql://me:sec@r?et@h/db", "postgresql://me:***@h/db"),
            ("postgresql://me:sec@r/et@h/db", "postgresql://me:***@h/db"),
            ("postgresql:me:secret@h/db", "postgresql:me:***@h/db"),
            (
                "postgresql:///db?user=a@b&password=secret&sslmode=require",
                "postgresql:///db?user=a@b&password=***&sslmode=require",
            ),
            (
                "postgresql://me:secret@h/db?application_name=a@b&sslPassword=secret",
                "postgresql://me:***@h/db?application_name=a@b&sslPassword=***",
            ),
            ("sqlite:/a:b@c.db", "sqlite:/a:b@c.db"),
        ] {
            assert_eq!(without_password(url), shown, "{url}");
        }
        let error = Address::parse("mysql://me:secret@host/db").expect_err("no such index");
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(error.to_string().contains("me:***@host/db"), "{error}");
    }
}
