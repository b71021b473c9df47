//! Opening the file: what it is, whether it may be written, and how.
//!
//! One connection writes and several read. The file is in WAL mode, so readers
//! never wait; writers wait for each other up to the busy timeout, in this
//! process and in others.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use super::errors::{Place, cannot_open, is_busy, is_not_a_database, is_read_only};
use crate::error::{Error, Result};
use crate::migrate::{self, Contents};
use crate::open::OpenOptions;
use crate::time_range::micros;

/// Connections that read at the same time.
const MAX_READERS: u32 = 8;

/// Documents are a few kilobytes; larger pages keep more of them whole.
const PAGE_SIZE: u32 = 8192;

/// Memory for pages of the file, in KiB per connection.
const READ_CACHE_KIB: u32 = 16 * 1024;

/// Ids, places and numbers go to random pages of their indexes; what is not kept is read
/// again for each row. (A million datasets, batches of 1000: 9,879 a second with this,
/// 9,011 with a quarter of it.)
const WRITE_CACHE_KIB: u32 = 256 * 1024;

/// Pages that the log may have before they go into the file. A batch of a large index
/// changes thousands, and many of them again in the next: at SQLite's 1000 every commit
/// would write all of it twice.
const LOG_PAGES: u32 = 16 * 1024;

/// The open file.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) read: SqlitePool,
    /// `None` where the file may only be read.
    pub(super) write: Option<Mutex<SqliteConnection>>,
    /// Why the file may only be read.
    pub(super) read_only_reason: &'static str,
}

/// Bytes of the smallest database: one page of the smallest size.
const SMALLEST: u64 = 512;

/// What lies at the path, told without opening it.
///
/// Nothing but SQLite may ever open the file: the system drops all locks that a
/// process has on a file when the process closes it, whoever in the process
/// opened it. Other processes would then take an index that is being written
/// for one that nobody uses, and remove its log.
///
/// # Source
/// SQLite, "How To Corrupt An SQLite Database File", 2.2.
enum Found {
    Nothing,
    /// Most likely a database; SQLite tells.
    File,
}

fn look_at(path: &Path) -> Result<Found> {
    let not_ours = |reason: &str| Error::NotAnIndex {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let io = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(io(error)),
    };
    if metadata.is_dir() {
        return Err(not_ours("it is a folder; name a file in it"));
    }
    if metadata.len() == 0 {
        return Ok(Found::Nothing);
    }
    // SQLite takes a file of a few bytes for an empty database.
    if metadata.len() < SMALLEST {
        return Err(not_ours("it is not a SQLite file"));
    }
    Ok(Found::File)
}

fn base(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    let base = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(options.busy_timeout)
        .statement_cache_capacity(200)
        .pragma("temp_store", "memory");
    // Statements are timed for the log, so only where somebody reads it.
    if tracing::enabled!(target: "sqlx::query", tracing::Level::DEBUG) {
        base
    } else {
        base.disable_statement_logging()
    }
}

fn reader(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    base(path, options)
        .read_only(true)
        .pragma("cache_size", format!("-{READ_CACHE_KIB}"))
        .row_buffer_size(1024)
}

fn writer(path: &Path, options: &OpenOptions) -> SqliteConnectOptions {
    base(path, options)
        .page_size(PAGE_SIZE)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit is on the disk when it is reported.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", format!("-{WRITE_CACHE_KIB}"))
        .pragma("wal_autocheckpoint", LOG_PAGES.to_string())
}

/// Whether the file could be written, as far as the system tells.
fn may_write(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

impl Connections {
    /// Opens an index that is there.
    ///
    /// # Errors
    /// [`Error::NotInitialised`] and the other reasons why there is none.
    pub(super) async fn open(place: &Place, options: &OpenOptions) -> Result<Self> {
        match look_at(&place.path)? {
            Found::Nothing => {
                return Err(Error::NotInitialised {
                    url: place.url.clone(),
                });
            }
            Found::File => {}
        }
        let read_only_reason = if options.read_only {
            "it was opened for reading only"
        } else {
            "you have no permission to write to the file or its folder; \
             change that, or copy the file"
        };
        let read_options = open_for_reading(place, options).await?;
        let write = if options.read_only || !may_write(&place.path) {
            None
        } else {
            match connect_writer(place, options).await {
                Ok(connection) => Some(Mutex::new(connection)),
                Err(Error::ReadOnly { .. }) => None,
                Err(other) => return Err(other),
            }
        };
        let n_readers = std::thread::available_parallelism()
            .map_or(2, |n| u32::try_from(n.get()).unwrap_or(MAX_READERS))
            .clamp(2, MAX_READERS);
        let read = SqlitePoolOptions::new()
            .max_connections(n_readers)
            .min_connections(0)
            .idle_timeout(Duration::from_secs(60))
            // SQLite in this process does not go away.
            .test_before_acquire(false)
            .connect_lazy_with(read_options);
        Ok(Connections {
            read,
            write,
            read_only_reason,
        })
    }

    /// Closes every connection.
    pub(super) async fn close(self) -> sqlx::Result<()> {
        self.read.close().await;
        match self.write {
            Some(connection) => connection.into_inner().close().await,
            None => Ok(()),
        }
    }
}

async fn connect_writer(place: &Place, options: &OpenOptions) -> Result<SqliteConnection> {
    let connected = connect(writer(&place.path, options), options.busy_timeout).await;
    connected.map_err(place.failed("open the file"))
}

/// Checks that the file is an index of this version, and how to read it.
async fn open_for_reading(place: &Place, options: &OpenOptions) -> Result<SqliteConnectOptions> {
    let mut how = reader(&place.path, options);
    let mut looked = look(&how, options.busy_timeout).await;
    // A file that may be written is more likely being closed or made by another
    // process just now, and must not pass for one that nobody writes to.
    let started = Instant::now();
    while looked.as_ref().is_err_and(is_read_only)
        && may_write(&place.path)
        && started.elapsed() < CLOSING.min(options.busy_timeout)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
        looked = look(&how, options.busy_timeout).await;
    }
    // Without the right to make files beside it, a WAL database can only be
    // read as one that nobody writes to; which nobody does when it has no log.
    if looked.as_ref().is_err_and(is_read_only) && !has_log(&place.path) {
        how = how.immutable(true);
        looked = look(&how, options.busy_timeout).await;
    }
    let contents = match looked {
        Ok(contents) => contents,
        Err(error) if is_not_a_database(&error) => {
            return Err(Error::NotAnIndex {
                path: place.path.clone(),
                reason: "it is damaged, or not a SQLite file".to_owned(),
            });
        }
        Err(error) => return Err(place.failed("open the file")(error)),
    };
    check(place, contents)?;
    Ok(how)
}

async fn look(how: &SqliteConnectOptions, wait: Duration) -> sqlx::Result<Contents> {
    let mut connection = connect(how.clone(), wait).await?;
    let contents = migrate::contents(&mut connection).await?;
    connection.close().await?;
    Ok(contents)
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(PathBuf::from(log)).is_ok_and(|metadata| metadata.len() > 0)
}

fn check(place: &Place, contents: Contents) -> Result<()> {
    let expected = migrate::current_version();
    let url = || place.url.clone();
    match contents {
        Contents::Empty => Err(Error::NotInitialised { url: url() }),
        Contents::Foreign => Err(Error::NotAnIndex {
            path: place.path.clone(),
            reason: "it is the SQLite database of another program".to_owned(),
        }),
        Contents::Index(found) if found > expected => Err(Error::SchemaTooNew {
            url: url(),
            found,
            expected,
        }),
        Contents::Index(found) if found < expected => Err(Error::SchemaTooOld {
            url: url(),
            found,
            expected,
        }),
        Contents::Index(_) => Ok(()),
    }
}

/// Makes the file, or brings it up to date; tells whether it was `Created`,
/// `Updated` or `Unchanged`.
pub(super) async fn create_or_update(
    place: &Place,
    options: &OpenOptions,
) -> Result<crate::catalog::InitOutcome> {
    use crate::catalog::InitOutcome;
    let found = look_at(&place.path)?;
    if options.read_only {
        return match found {
            Found::Nothing => Err(Error::NotInitialised {
                url: place.url.clone(),
            }),
            Found::File => open_for_reading(place, options)
                .await
                .map(|_| InitOutcome::Unchanged),
        };
    }
    if let (Found::Nothing, Some(folder)) = (&found, place.path.parent()) {
        std::fs::create_dir_all(folder).map_err(|source| Error::Io {
            action: "make the folder",
            path: folder.to_owned(),
            source,
        })?;
    }
    if matches!(found, Found::File) {
        // Before anything is written to it: is it ours at all?
        match open_for_reading(place, options).await {
            Ok(_) => return Ok(InitOutcome::Unchanged),
            Err(Error::SchemaTooOld { .. } | Error::NotInitialised { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let failed = |error| place.failed("create the index")(error);
    let how = writer(&place.path, options).create_if_missing(true);
    let mut connection = connect(how, options.busy_timeout).await.map_err(failed)?;
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed)?;
    // Another process may have been quicker.
    let contents = migrate::contents(&mut transaction).await.map_err(failed)?;
    let outcome = match (contents, check(place, contents)) {
        (_, Ok(())) => InitOutcome::Unchanged,
        (Contents::Empty, _) => InitOutcome::Created,
        (_, Err(Error::SchemaTooOld { .. })) => InitOutcome::Updated,
        (_, Err(other)) => return Err(other),
    };
    if outcome != InitOutcome::Unchanged {
        migrate::run(&mut transaction).await.map_err(failed)?;
    }
    if outcome == InitOutcome::Created {
        // Whoever has read an index that was cleared since knows other numbers.
        sqlx::query("UPDATE catalog SET revision = ?1")
            .bind(micros(jiff::Timestamp::now()))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    Ok(outcome)
}

/// How long a file that is there and may be written can fail to open, because
/// another process is just removing the log beside it.
const CLOSING: Duration = Duration::from_secs(1);

/// Connects; tries again while another process holds a lock that SQLite itself
/// does not wait for, such as the one that turns a new file into WAL mode, and
/// while another is closing the file.
async fn connect(how: SqliteConnectOptions, wait: Duration) -> sqlx::Result<SqliteConnection> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        match how.connect().await {
            Err(error) if is_busy(&error) && started.elapsed() + pause < wait => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(200));
            }
            Err(error)
                if cannot_open(&error)
                    && started.elapsed() < CLOSING.min(wait)
                    && may_write(how.get_filename()) =>
            {
                tokio::time::sleep(pause).await;
            }
            other => return other,
        }
    }
}
