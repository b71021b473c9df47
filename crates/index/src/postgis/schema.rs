//! The database: what is there, and making what is missing.
//!
//! Two schemas, each made once and whole in one transaction: `odc`, which is
//! Python's as much as ours, and `datacube`, our own. The statements are in
//! `migrations/postgis`, compiled in.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::errors::{is_conflict, is_refused};
use super::{Lock, PostgisIndex};
use crate::catalog::InitOutcome;
use crate::error::{Error, Result};

const ODC: &str = include_str!("../../../../migrations/postgis/0001_odc.sql");
const OWN: &str = include_str!("../../../../migrations/postgis/0002_datacube.sql");
const SPATIAL_INDEX: &str = include_str!("../../../../migrations/postgis/spatial_index.sql");
const SPATIAL_INDEX_GRANTS: &str =
    include_str!("../../../../migrations/postgis/spatial_index_grants.sql");
const ROLES: &str = include_str!("../../../../migrations/postgis/roles.sql");
const GRANTS_ODC: &str = include_str!("../../../../migrations/postgis/grants_odc.sql");
const GRANTS_OWN: &str = include_str!("../../../../migrations/postgis/grants_datacube.sql");

/// The alembic revisions of `odc` whose tables are the ones this program knows.
const REVISIONS: [&str; 2] = ["01fa1abedd6d", "d27eed82e1f6"];

/// The version of our own schema.
pub(super) const OWN_VERSION: i32 = 1;

/// Making roles again while another database of the server does.
const ROLE_ATTEMPTS: usize = 20;

/// What a database holds, as far as this program is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// Whether the schema `odc` is there.
    pub(super) has_odc: bool,
    /// Whether the legacy schema `agdc` is there.
    pub(super) has_agdc: bool,
    /// Whether our own schema is there, in this version.
    pub(super) is_own: bool,
    /// Whether the user may add datasets.
    pub(super) may_write: bool,
    /// Whether the role `odc_admin` owns `odc`.
    pub(super) has_roles: bool,
}

/// Looks at a database without changing it.
pub(super) async fn contents(connection: &mut PgConnection, url: &str) -> Result<Contents> {
    let failed = super::errors::failed(url, "look at the database");
    let (has_odc, has_own, has_agdc): (bool, bool, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid \
                        WHERE n.nspname = 'odc' AND c.relname = 'dataset'), \
                EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid \
                        WHERE n.nspname = 'datacube' AND c.relname = 'migration'), \
                EXISTS (SELECT FROM pg_namespace AS n JOIN pg_class AS c ON c.relnamespace = n.oid \
                        WHERE n.nspname = 'agdc' AND c.relname = 'dataset')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(&failed)?;
    if !has_odc {
        return Ok(Contents {
            has_odc,
            has_agdc,
            is_own: false,
            may_write: false,
            has_roles: false,
        });
    }
    let revision: Option<String> =
        sqlx::query_scalar("SELECT version_num FROM odc.alembic_version")
            .fetch_optional(&mut *connection)
            .await
            .map_err(&failed)?;
    if !revision
        .as_deref()
        .is_some_and(|found| REVISIONS.contains(&found))
    {
        return Err(Error::ForeignSchema {
            url: url.to_owned(),
            found: revision.unwrap_or_else(|| "none".to_owned()),
            expected: REVISIONS[0].to_owned(),
        });
    }
    let is_own = if has_own {
        let found: i32 =
            sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM datacube.migration")
                .fetch_one(&mut *connection)
                .await
                .map_err(&failed)?;
        if found > OWN_VERSION {
            return Err(Error::SchemaTooNew {
                url: url.to_owned(),
                found: found.into(),
                expected: OWN_VERSION.into(),
            });
        }
        found == OWN_VERSION
    } else {
        false
    };
    let (may_write, has_roles): (bool, bool) = sqlx::query_as(
        "SELECT has_table_privilege('odc.dataset', 'INSERT') AND NOT pg_is_in_recovery() \
                AND current_setting('transaction_read_only') = 'off', \
                coalesce((SELECT pg_get_userbyid(nspowner) = 'odc_admin' FROM pg_namespace \
                          WHERE nspname = 'odc'), FALSE)",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(&failed)?;
    Ok(Contents {
        has_odc,
        has_agdc,
        is_own,
        may_write,
        has_roles,
    })
}

/// The statement that makes a spatial index.
fn spatial_index(srid: i16) -> String {
    SPATIAL_INDEX.replace("{srid}", &srid.to_string())
}

/// Runs statements of this crate.
pub(super) async fn run(connection: &mut PgConnection, statements: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(connection)
        .await
        .map(|_| ())
}

impl PostgisIndex {
    /// Makes what is missing of both schemas.
    pub(super) async fn make_schemas(&self, with_roles: bool) -> Result<InitOutcome> {
        let failed = self.failed("make the index");
        let mut connection = self.connection().await?;
        let before = contents(&mut connection, &self.address.url).await?;
        if before.has_odc && before.is_own {
            return Ok(InitOutcome::Unchanged);
        }
        if self.address.read_only {
            return match before.has_odc {
                true => Ok(InitOutcome::Unchanged),
                false => Err(Error::NotInitialised {
                    url: self.address.url.clone(),
                }),
            };
        }
        run(
            &mut connection,
            "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS postgis".to_owned(),
        )
        .await
        .map_err(&failed)?;
        let has_roles = if before.has_odc {
            before.has_roles
        } else {
            with_roles && self.make_roles(&mut connection).await?
        };
        let mut transaction = connection.begin().await.map_err(&failed)?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        // Another process may have been quicker.
        let now = contents(&mut transaction, &self.address.url).await?;
        let mut statements = String::new();
        if has_roles {
            statements.push_str("SET LOCAL ROLE odc_admin;\n");
        }
        if !now.has_odc {
            statements.push_str(ODC);
            statements.push_str(&spatial_index(super::geometry::LONLAT));
            if has_roles {
                statements.push_str(GRANTS_ODC);
                statements.push_str(&SPATIAL_INDEX_GRANTS.replace("{srid}", "4326"));
            }
        }
        if !now.is_own {
            statements.push_str(OWN);
            if has_roles {
                statements.push_str(GRANTS_OWN);
            }
        }
        run(&mut transaction, statements).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(match (now.has_odc, now.is_own) {
            (false, _) => InitOutcome::Created,
            (true, false) => InitOutcome::Updated,
            (true, true) => InitOutcome::Unchanged,
        })
    }

    /// Makes the roles where the user may; tells whether they are there, and
    /// whether the user may act as their admin.
    async fn make_roles(&self, connection: &mut PgConnection) -> Result<bool> {
        let failed = self.failed("make roles");
        for attempt in 0.. {
            match run(connection, ROLES.to_owned()).await {
                Ok(()) => break,
                Err(error) if is_refused(&error) => break,
                // Two made the same role at once, or changed the same row.
                Err(error) if attempt < ROLE_ATTEMPTS && is_role_race(&error) => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        sqlx::query_scalar(
            "SELECT coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles \
                              WHERE rolname = 'odc_admin'), FALSE)",
        )
        .fetch_one(connection)
        .await
        .map_err(&failed)
    }

    /// Makes our own schema for a first write, where it is missing.
    pub(super) async fn ensure_own(&self) -> Result<()> {
        let ready = self.ready().await?;
        if ready.is_own {
            return Ok(());
        }
        match self.make_schemas(false).await {
            Ok(_) => {
                self.forget().await;
                Ok(())
            }
            Err(Error::Forbidden { .. }) => Err(self.lacks_own()),
            Err(other) => Err(other),
        }
    }

    fn lacks_own(&self) -> Error {
        Error::ReadOnly {
            url: self.address.url.clone(),
            reason: "it was made by Python's Open Data Cube, and what this program keeps beside \
                     that is missing; the owner of the schema `odc` adds it once with \
                     `datacube system init`"
                .to_owned(),
        }
    }

    /// Makes a spatial index; tells whether it is new.
    pub(super) async fn make_spatial_index(&self, srid: i16) -> Result<bool> {
        let failed = self.failed("make a spatial index");
        let ready = self.ready().await?;
        let mut connection = self.connection().await?;
        let mut transaction = connection.begin().await.map_err(&failed)?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        let is_there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM odc.spatial_indicies WHERE srid = $1)")
                .bind(srid)
                .fetch_one(&mut *transaction)
                .await
                .map_err(&failed)?;
        if is_there {
            return Ok(false);
        }
        let mut statements = String::new();
        if ready.has_roles {
            statements.push_str("SET LOCAL ROLE odc_admin;\n");
        }
        statements.push_str(&spatial_index(srid));
        if ready.has_roles {
            statements.push_str(&SPATIAL_INDEX_GRANTS.replace("{srid}", &srid.to_string()));
        }
        run(&mut transaction, statements).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(true)
    }
}

/// Whether two databases of a server changed its roles at the same moment.
fn is_role_race(error: &sqlx::Error) -> bool {
    const UNIQUE: &str = "23505";
    const DUPLICATE: &str = "42710";
    /// "tuple concurrently updated"
    const INTERNAL: &str = "XX000";
    is_conflict(error)
        || super::errors::code(error)
            .is_some_and(|code| [UNIQUE, DUPLICATE, INTERNAL].contains(&code.as_str()))
}

impl PostgisIndex {
    /// Removes both schemas.
    pub(super) async fn drop_schemas(&self) -> Result<()> {
        let ready = self.ready().await?;
        let failed = self.failed("clear the index");
        let mut transaction = self.begin("clear the index").await?;
        self.lock(&mut transaction, Lock::Schemas).await?;
        let role = if ready.has_roles {
            "SET LOCAL ROLE odc_admin; "
        } else {
            ""
        };
        let statements = format!(
            "SET LOCAL client_min_messages = warning; {role}\
             DROP SCHEMA odc CASCADE; DROP SCHEMA IF EXISTS datacube CASCADE"
        );
        run(&mut transaction, statements).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        self.forget().await;
        Ok(())
    }
}
