//! Users of the database, in the four roles of the legacy index.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/drivers/postgres/_api.py` (`list_users`).

use super::AgdcIndex;
use crate::catalog::User;
use crate::error::Result;
use crate::postgres::retried;

const USERS: &str = "SELECT r.rolname::text, u.rolname::text, \
        shobj_description(u.oid, 'pg_authid') \
    FROM unnest(ARRAY['agdc_user', 'agdc_ingest', 'agdc_manage', 'agdc_admin']) \
        WITH ORDINALITY AS own (name, nth) \
    JOIN pg_roles AS r ON r.rolname = own.name \
    JOIN pg_auth_members AS m ON m.roleid = r.oid \
    JOIN pg_roles AS u ON u.oid = m.member \
    WHERE NOT starts_with(u.rolname, 'agdc_') ORDER BY own.nth, u.rolname";

impl AgdcIndex {
    pub(super) async fn list_users(&self) -> Result<Vec<User>> {
        let rows: Vec<(String, String, Option<String>)> = retried!(self, "list users", connection => {
            sqlx::query_as(USERS).fetch_all(&mut *connection)
        })?;
        let user = |(role, name, description): (String, String, Option<String>)| User {
            role: role.trim_start_matches("agdc_").to_owned(),
            name,
            description,
        };
        Ok(rows.into_iter().map(user).collect())
    }
}
