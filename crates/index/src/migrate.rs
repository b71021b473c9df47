//! Brings an embedded index to the schema that this program works with.
//!
//! The statements are in `migrations/sqlite`, compiled in. A file tells what it
//! is in its own header: `application_id` that it is ours, `user_version` how
//! many migrations it has seen.

use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnection;

static SQLITE: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `application_id` of every embedded index: `DCUB`.
const APPLICATION_ID: i64 = 0x4443_5542;

/// What a SQLite file is, as far as this program is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Nothing has been written to it.
    Empty,
    /// An index with that schema version.
    Index(i64),
    /// The database of some other program.
    Foreign,
}

/// The schema version that this program works with.
pub(crate) fn current_version() -> i64 {
    SQLITE
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// Looks at a file without changing it.
pub(crate) async fn contents(connection: &mut SqliteConnection) -> sqlx::Result<Contents> {
    // One statement sees one moment: another process may be making the index.
    let (application, version, n_tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT a.application_id, u.user_version, (SELECT count(*) FROM sqlite_schema) \
         FROM pragma_application_id AS a, pragma_user_version AS u",
    )
    .fetch_one(connection)
    .await?;
    Ok(match (application, n_tables) {
        (APPLICATION_ID, 1..) => Contents::Index(version),
        (0 | APPLICATION_ID, 0) => Contents::Empty,
        _ => Contents::Foreign,
    })
}

/// Applies the migrations that the file has not seen, within the transaction
/// that is open on `connection`.
pub(crate) async fn run(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    // `run` would ask for a connection of any lifetime, which a future that is
    // sent between threads cannot promise (sqlx says so beside `run_direct`).
    SQLITE
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(source) => source,
            other => sqlx::Error::from(other),
        })
}
