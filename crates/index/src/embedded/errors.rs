//! What SQLite's result codes mean to the caller.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// Where the index is, for messages.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) url: String,
    pub(super) path: PathBuf,
    pub(super) busy_timeout: Duration,
}

const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const IO: i32 = 10;
const WRITE_FAILED: i32 = IO | (3 << 8);
const NO_SHARED_MEMORY: i32 = IO | (19 << 8);
const FULL: i32 = 13;
const CANNOT_OPEN: i32 = 14;
const NOT_A_DATABASE: i32 = 26;

/// SQLite's extended result code.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    match stepped(error) {
        Some((failure, _)) => Some(failure.extended_code),
        None => error.as_database_error()?.code()?.parse().ok(),
    }
}

/// What SQLite said where it was stepped without sqlx.
fn stepped(error: &sqlx::Error) -> Option<(rusqlite::ffi::Error, &str)> {
    let sqlx::Error::AnyDriverError(error) = error else {
        return None;
    };
    let rusqlite::Error::SqliteFailure(failure, message) = error.downcast_ref()? else {
        return None;
    };
    Some((*failure, message.as_deref().unwrap_or_default()))
}

/// SQLite's primary result code.
fn code(error: &sqlx::Error) -> Option<i32> {
    Some(extended_code(error)? & 0xff)
}

/// Whether the system refused to write for another reason than a full disk
/// (`SQLITE_IOERR_WRITE`), or there was no room for the index of the log
/// (`SQLITE_IOERR_SHMSIZE`).
fn cannot_grow(error: &sqlx::Error) -> bool {
    matches!(extended_code(error), Some(WRITE_FAILED | NO_SHARED_MEMORY))
}

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(BUSY | LOCKED))
}

pub(super) fn is_read_only(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(READ_ONLY | CANNOT_OPEN))
}

pub(super) fn cannot_open(error: &sqlx::Error) -> bool {
    code(error) == Some(CANNOT_OPEN)
}

pub(super) fn is_not_a_database(error: &sqlx::Error) -> bool {
    code(error) == Some(NOT_A_DATABASE)
}

/// Whether our tables are gone: somebody has cleared the index since it was opened.
fn is_cleared(error: &sqlx::Error) -> bool {
    let of_sqlx = || Some(error.as_database_error()?.message());
    let message = stepped(error).map(|(_, message)| message).or_else(of_sqlx);
    message.is_some_and(|message| message.starts_with("no such table: "))
}

impl Place {
    /// What a failure to do `action` is to the caller.
    pub(super) fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> Error {
        let place = self.clone();
        move |source| {
            let url = place.url.clone();
            match code(&source) {
                _ if is_cleared(&source) => Error::NotInitialised { url },
                Some(BUSY | LOCKED) => Error::Locked {
                    url,
                    waited: place.busy_timeout,
                },
                Some(READ_ONLY) => Error::ReadOnly {
                    url,
                    reason: "the file or its folder cannot be written; change that, or copy \
                             the file"
                        .to_owned(),
                },
                Some(FULL) => Error::NoSpace {
                    url,
                    reason: format!("{} or the log beside it cannot grow", place.path.display()),
                },
                Some(IO) if cannot_grow(&source) => Error::NoSpace {
                    url,
                    reason: format!(
                        "{} or the log beside it cannot grow, by a quota, a limit to the size \
                         of files or a failing disk",
                        place.path.display()
                    ),
                },
                _ => Error::Database {
                    url,
                    action,
                    source,
                },
            }
        }
    }
}
