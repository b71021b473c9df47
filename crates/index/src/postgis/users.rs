//! Users of the database, in ODC's three roles.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/drivers/common_psql/_perms.py`.

use sqlx::postgres::PgConnection;

use super::schema::run;
use super::{PostgisIndex, scram};
use crate::catalog::User;
use crate::error::{Error, Result, listed};

/// What they are called here, the least first; the database puts `odc_` before.
const ROLES: [&str; 3] = ["user", "manage", "admin"];

/// Statements that make the names of roles part of a statement cannot take
/// them as parameters; the server itself quotes them.
async fn quoted(
    connection: &mut PgConnection,
    template: &'static str,
    values: &[&str],
) -> sqlx::Result<String> {
    sqlx::query_scalar("SELECT format($1, VARIADIC $2::text[])")
        .bind(template)
        .bind(values)
        .fetch_one(connection)
        .await
}

fn odc_role(role: &str) -> Result<String> {
    if ROLES.contains(&role) {
        return Ok(format!("odc_{role}"));
    }
    Err(Error::Users {
        reason: format!("no role `{role}`; there are {}", listed(&ROLES, 3)),
    })
}

impl PostgisIndex {
    pub(super) async fn list_users(&self) -> Result<Vec<User>> {
        self.ready().await?;
        let mut connection = self.connection().await?;
        let rows: Vec<(String, String, Option<String>)> = sqlx::query_as(
            "SELECT r.rolname::text, u.rolname::text, shobj_description(u.oid, 'pg_authid') \
             FROM pg_roles AS r JOIN pg_auth_members AS m ON m.roleid = r.oid \
             JOIN pg_roles AS u ON u.oid = m.member \
             WHERE r.rolname IN ('odc_user', 'odc_manage', 'odc_admin') \
               AND u.rolname NOT IN ('odc_user', 'odc_manage', 'odc_admin') \
             ORDER BY array_position(ARRAY['odc_user', 'odc_manage', 'odc_admin'], r.rolname::text), \
                      u.rolname",
        )
        .fetch_all(&mut *connection)
        .await
        .map_err(self.failed("list users"))?;
        Ok(rows
            .into_iter()
            .map(|(role, name, description)| User {
                role: role.trim_start_matches("odc_").to_owned(),
                name,
                description,
            })
            .collect())
    }

    async fn has_role(&self, connection: &mut PgConnection, name: &str) -> Result<bool> {
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
            .bind(name)
            .fetch_one(connection)
            .await
            .map_err(self.failed("look for a user"))
    }

    /// The role, which the database has.
    async fn existing_role(&self, connection: &mut PgConnection, role: &str) -> Result<String> {
        let role = odc_role(role)?;
        if self.has_role(connection, &role).await? {
            return Ok(role);
        }
        Err(Error::Users {
            reason: format!(
                "the database has no role `{role}`: its index was made without users, or by \
                 someone who may not make roles"
            ),
        })
    }

    pub(super) async fn make_user(
        &self,
        role: &str,
        name: &str,
        password: &str,
        description: Option<&str>,
    ) -> Result<()> {
        self.ready().await?;
        let failed = self.failed("create a user");
        let mut transaction = self.begin("create a user").await?;
        let role = self.existing_role(&mut transaction, role).await?;
        if self.has_role(&mut transaction, name).await? {
            return Err(Error::Users {
                reason: format!(
                    "user `{name}` is there already; `datacube user grant` gives a role"
                ),
            });
        }
        let proof = scram::verifier(password);
        let password = proof.as_deref().unwrap_or(password);
        let mut statement = quoted(
            &mut transaction,
            "CREATE USER %I PASSWORD %L IN ROLE %I;",
            &[name, password, &role],
        )
        .await
        .map_err(&failed)?;
        if let Some(description) = description {
            let words = [name, description];
            let comment = quoted(&mut transaction, "COMMENT ON ROLE %I IS %L;", &words);
            statement.push_str(&comment.await.map_err(&failed)?);
        }
        run(&mut transaction, statement).await.map_err(&failed)?;
        self.end(transaction, false, "create a user").await
    }

    pub(super) async fn grant_role(&self, role: &str, names: &[String]) -> Result<()> {
        self.ready().await?;
        let failed = self.failed("grant a role");
        let mut transaction = self.begin("grant a role").await?;
        let granted = self.existing_role(&mut transaction, role).await?;
        let higher = ROLES.iter().rev().take_while(|other| **other != role);
        for name in names {
            if !self.has_role(&mut transaction, name).await? {
                return Err(self.unknown_user(name).await);
            }
            // Exactly this role: those above it are taken away.
            for other in higher.clone() {
                let other = odc_role(other)?;
                let is_member: bool = sqlx::query_scalar(
                    "SELECT EXISTS (SELECT FROM pg_auth_members \
                     WHERE roleid = $1::regrole AND member = (SELECT oid FROM pg_roles \
                                                              WHERE rolname = $2))",
                )
                .bind(&other)
                .bind(name)
                .fetch_one(&mut *transaction)
                .await
                .map_err(&failed)?;
                if is_member {
                    let words = [other.as_str(), name];
                    let revoke = quoted(&mut transaction, "REVOKE %I FROM %I", &words);
                    let revoke = revoke.await.map_err(&failed)?;
                    run(&mut transaction, revoke).await.map_err(&failed)?;
                }
            }
            let words = [granted.as_str(), name];
            let grant = quoted(&mut transaction, "GRANT %I TO %I", &words);
            let grant = grant.await.map_err(&failed)?;
            run(&mut transaction, grant).await.map_err(&failed)?;
        }
        self.end(transaction, false, "grant a role").await
    }

    pub(super) async fn drop_users(&self, names: &[String]) -> Result<()> {
        self.ready().await?;
        let failed = self.failed("delete a user");
        let mut transaction = self.begin("delete a user").await?;
        for name in names {
            if name.starts_with("odc_") {
                return Err(Error::Users {
                    reason: format!("`{name}` is a role of the index, not a user"),
                });
            }
            if !self.has_role(&mut transaction, name).await? {
                return Err(self.unknown_user(name).await);
            }
            let words = [name.as_str()];
            let statement = quoted(&mut transaction, "DROP ROLE %I", &words);
            let statement = statement.await.map_err(&failed)?;
            run(&mut transaction, statement).await.map_err(&failed)?;
        }
        self.end(transaction, false, "delete a user").await
    }

    async fn unknown_user(&self, name: &str) -> Error {
        let known: Vec<String> = match self.list_users().await {
            Ok(users) => users.into_iter().map(|user| user.name).collect(),
            Err(_) => Vec::new(),
        };
        let there = if known.is_empty() {
            "the index has none yet".to_owned()
        } else {
            format!("the index has {}", listed(&known, 12))
        };
        Error::Users {
            reason: format!("no user `{name}`; {there}"),
        }
    }
}
