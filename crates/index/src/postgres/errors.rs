//! What PostgreSQL's error codes mean to the caller.
//!
//! # Source
//! PostgreSQL 15, Appendix A, "PostgreSQL Error Codes".

use std::time::Duration;

use crate::error::Error;

const READ_ONLY_TRANSACTION: &str = "25006";
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const UNDEFINED_TABLE: &str = "42P01";
const INVALID_SCHEMA: &str = "3F000";
const DISK_FULL: &str = "53100";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK: &str = "40P01";
const SERIALIZATION: &str = "40001";
/// The server is being stopped, or starts, or has lost patience with a
/// transaction that did nothing.
const GOING_AWAY: [&str; 4] = ["57P01", "57P02", "57P03", "25P03"];
const TOO_MANY_CONNECTIONS: &str = "53300";
const INVALID_PASSWORD: &str = "28P01";
const INVALID_AUTHORIZATION: &str = "28000";

/// PostgreSQL's five letters.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    code(error).is_some_and(|code| codes.contains(&code.as_str()))
}

/// Whether two transactions got in each other's way; done again, both succeed.
pub(crate) fn is_conflict(error: &sqlx::Error) -> bool {
    has_code(error, &[DEADLOCK, SERIALIZATION])
}

/// Whether the connection is gone, which another may replace.
pub(crate) fn is_disconnected(error: &sqlx::Error) -> bool {
    has_code(error, &GOING_AWAY)
        || has_code(error, &[TOO_MANY_CONNECTIONS])
        || matches!(error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)
}

/// Whether the user may not do it.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    has_code(error, &[INSUFFICIENT_PRIVILEGE])
}

/// What a failure to do `action` is to the caller.
pub(crate) fn failed(url: &str, action: &'static str) -> impl Fn(sqlx::Error) -> Error {
    let url = url.to_owned();
    move |source| {
        let url = url.clone();
        match code(&source).as_deref() {
            Some(UNDEFINED_TABLE | INVALID_SCHEMA) => Error::NotInitialised { url },
            Some(INSUFFICIENT_PRIVILEGE) => Error::Forbidden {
                url,
                action,
                reason: message(&source),
            },
            Some(READ_ONLY_TRANSACTION) => Error::ReadOnly {
                url,
                reason: "the server, or this session, takes no changes".to_owned(),
            },
            Some(DISK_FULL) => Error::NoSpace {
                url,
                reason: message(&source),
            },
            Some(INVALID_PASSWORD) => Error::Login {
                url,
                reason: format!(
                    "{}; the password is that of the URL, else of PGPASSWORD, else of the \
                     password file (PGPASSFILE or ~/.pgpass, which nobody else may read)",
                    message(&source)
                ),
            },
            Some(INVALID_AUTHORIZATION) => Error::Login {
                url,
                reason: format!(
                    "{}; who may log in, from where, and whether by TLS (`sslmode`), is in the \
                     server's pg_hba.conf",
                    message(&source)
                ),
            },
            None if is_unanswered(&source) => Error::Unreachable {
                url,
                reason: std::error::Error::source(&source)
                    .map_or_else(|| source.to_string(), ToString::to_string),
            },
            None if is_tls(&source) => Error::Tls {
                url,
                reason: tls_reason(&source),
            },
            Some(LOCK_NOT_AVAILABLE) => Error::Locked {
                url,
                waited: Duration::ZERO,
            },
            _ => Error::Database {
                url,
                action,
                source,
            },
        }
    }
}

/// Whether nobody took the connection: no socket, no open port, no such host.
fn is_unanswered(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, NotFound};
    match error {
        sqlx::Error::Io(error) => matches!(
            error.kind(),
            NotFound | ConnectionRefused | HostUnreachable | NetworkUnreachable
        ),
        _ => false,
    }
}

/// Whether the two could not agree on a safe connection.
fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        // What TLS makes of bytes or certificates that it does not like.
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

fn tls_reason(error: &sqlx::Error) -> String {
    let said = match error {
        sqlx::Error::Tls(source) => source.to_string(),
        other => {
            std::error::Error::source(other).map_or_else(|| other.to_string(), |e| e.to_string())
        }
    };
    let advice = if said.contains("does not support TLS") {
        "`sslmode=disable` or `prefer` goes without, when the network is safe"
    } else if said.contains("UnknownIssuer") || said.contains("CaUsedAsEndEntity") {
        "its certificate is not signed by an authority that is known here; name the right one by \
         `sslrootcert` (PGSSLROOTCERT)"
    } else if said.contains("not valid for name") || said.contains("NotValidForName") {
        "connect by a name that its certificate has, or with `sslmode=verify-ca`, which does not \
         compare names"
    } else {
        "look at `sslmode`, `sslrootcert`, `sslcert` and `sslkey` (PGSSLMODE, ...)"
    };
    format!("{said}; {advice}")
}

fn message(error: &sqlx::Error) -> String {
    error
        .as_database_error()
        .map_or_else(|| error.to_string(), |error| error.message().to_owned())
}
