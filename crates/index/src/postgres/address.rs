//! From a URL to how the server is reached.
//!
//! What libpq understands, with its environment variables and password file
//! for what the URL leaves out; besides, `max_connections=8`,
//! `statement_timeout=MILLISECONDS`, `connect_timeout=SECONDS`, `mode=ro` and
//! `driver=postgis|agdc`, the tables in which the index is.
//! The form with a driver that SQLAlchemy wants (`postgresql+psycopg2://`) is
//! taken too, so that ODC's configuration files work as they are.

use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use url::Url;

use crate::error::{Error, Result};
use crate::open::{OpenOptions, without_password};

use super::errors::failed;

/// Connections of one process at a time, unless told otherwise.
const MAX_CONNECTIONS: u32 = 8;

/// How long to wait for a connection, unless told otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection that nobody uses is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that was used so short a time ago is taken to be alive.
const TRUSTED_FOR: Duration = Duration::from_millis(500);

/// Which tables of Python's Open Data Cube hold an index, as a URL names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// The schema `odc`.
    Postgis,
    /// The legacy schema `agdc`.
    Agdc,
}

impl Driver {
    fn named(name: &str) -> Option<Self> {
        match name {
            "postgis" => Some(Driver::Postgis),
            // What ODC's configuration calls it counts too.
            "agdc" | "postgres" | "legacy" => Some(Driver::Agdc),
            _ => None,
        }
    }
}

/// How a database is reached.
#[derive(Clone)]
pub(crate) struct Address {
    /// The address, fit to be shown.
    pub(crate) url: String,
    pub(crate) options: PgConnectOptions,
    pub(crate) max_connections: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) read_only: bool,
    /// Where the index is; `None` where the URL leaves that open.
    pub(crate) driver: Option<Driver>,
}

impl Address {
    /// Reads a URL, and what was asked for besides.
    pub(crate) fn of(url: &str, options: &OpenOptions) -> Result<Self> {
        let mut address = Address::parse(url)?;
        address.read_only |= options.read_only;
        if address.read_only {
            address.options = address
                .options
                .options([("default_transaction_read_only", "on")]);
        }
        address.options = address
            .options
            .options([("lock_timeout", options.busy_timeout.as_millis().to_string())]);
        address.options = address.options.disable_statement_logging();
        Ok(address)
    }

    /// Connections to be made as they are needed.
    pub(crate) fn pool(&self) -> PgPool {
        PgPoolOptions::new()
            .max_connections(self.max_connections)
            .acquire_timeout(self.connect_timeout)
            .idle_timeout(IDLE_TIMEOUT)
            // A round trip for each statement would be most of a short search;
            // reads are done again where the server went away in between.
            .test_before_acquire(false)
            .before_acquire(|connection, met| {
                Box::pin(async move {
                    if met.idle_for > TRUSTED_FOR {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(self.options.clone())
    }

    /// A connection of its own: a pool would go on trying when nobody is there.
    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        let connecting = PgConnection::connect_with(&self.options);
        let connected = tokio::time::timeout(self.connect_timeout, connecting).await;
        connected
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(failed(&self.url, "connect"))
    }

    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let shown = without_password(url);
        let refuse = |reason: String| Error::InvalidUrl {
            url: shown.clone(),
            reason,
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| refuse("it has no `//` after the colon".to_owned()))?;
        let known = scheme.split('+').next().unwrap_or_default();
        if !matches!(known, "postgresql" | "postgres") {
            return Err(refuse(format!("`{scheme}` is no PostgreSQL address")));
        }
        // Without a host in it the URL is no URL to the parser; libpq allows that.
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let names_host = !(authority.is_empty() || authority.ends_with('@'));
        let rest = if names_host {
            rest.to_owned()
        } else {
            let host = std::env::var("PGHOST").ok().filter(|h| !h.starts_with('/'));
            let host = host.unwrap_or_else(|| "localhost".to_owned());
            format!("{authority}{host}{path}")
        };
        let mut parsed = Url::parse(&format!("postgresql://{rest}"))
            .map_err(|error| refuse(error.to_string()))?;
        let pairs: Vec<(String, String)> = parsed.query_pairs().into_owned().collect();
        parsed.set_query(None);
        let mut address = Address {
            url: shown.clone(),
            options: PgConnectOptions::new(),
            max_connections: MAX_CONNECTIONS,
            connect_timeout: CONNECT_TIMEOUT,
            read_only: false,
            driver: None,
        };
        let mut settings = Vec::new();
        let mut root = std::env::var("PGSSLROOTCERT").ok();
        let whole = |name: &str, value: &str| -> Result<u64> {
            value.parse().ok().filter(|n| *n > 0).ok_or_else(|| {
                refuse(format!(
                    "`{name}` has to be a whole number above 0, not `{value}`"
                ))
            })
        };
        for (name, value) in pairs {
            match name.as_str() {
                "max_connections" => {
                    let n = whole(&name, &value)?;
                    address.max_connections = u32::try_from(n).unwrap_or(u32::MAX);
                }
                "connect_timeout" => {
                    address.connect_timeout = Duration::from_secs(whole(&name, &value)?);
                }
                "statement_timeout" => settings.push((name.clone(), whole(&name, &value)?)),
                "mode" => match value.as_str() {
                    "ro" => address.read_only = true,
                    "rw" => {}
                    _ => return Err(refuse("`mode` is `ro` or `rw`".to_owned())),
                },
                "driver" => match Driver::named(&value) {
                    Some(driver) => address.driver = Some(driver),
                    None => {
                        return Err(refuse(format!(
                            "`driver` is `postgis` or `agdc` (the legacy schema), not `{value}`"
                        )));
                    }
                },
                "sslrootcert" => root = Some(value),
                "sslmode" | "ssl-mode" | "sslcert" | "sslkey" | "host" | "hostaddr" | "port"
                | "dbname" | "user" | "password" | "application_name" | "options" => {
                    parsed.query_pairs_mut().append_pair(&name, &value);
                }
                _ => {
                    return Err(refuse(format!(
                        "`{name}` is no option; there are application_name, connect_timeout, \
                         dbname, driver, host, max_connections, mode, options, password, port, sslcert, \
                         sslkey, sslmode, sslrootcert, statement_timeout and user"
                    )));
                }
            }
        }
        let mut options = PgConnectOptions::from_str(parsed.as_str())
            .map_err(|error| refuse(error.to_string().replace(parsed.as_str(), &shown)))?;
        if !names_host
            && let Some(socket) = std::env::var("PGHOST").ok().filter(|h| h.starts_with('/'))
            && options.get_socket().is_none()
        {
            options = options.socket(socket);
        }
        options = secured(options, root).map_err(refuse)?;
        if options.get_application_name().is_none() {
            options = options.application_name("datacube");
        }
        let settings = settings
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            // What a statement finds depends on the values: plan it with them.
            .chain([
                ("plan_cache_mode".to_owned(), "force_custom_plan".to_owned()),
                ("timezone".to_owned(), "UTC".to_owned()),
                ("jit".to_owned(), "off".to_owned()),
            ]);
        address.options = options.options(settings).statement_cache_capacity(200);
        Ok(address)
    }
}

/// How the connection is secured, as libpq understands its settings where the
/// driver does not: a name of a mode that is none is an error and not the
/// weakest one, `allow` takes TLS where there is any, sockets of this machine
/// go without, and `require` with a root certificate verifies by it.
///
/// `root` is what was said of the root certificate; unsaid it is
/// `~/.postgresql/root.crt` where there is one. `system` stands for those of
/// the system, which are trusted besides in any case.
fn secured(
    mut options: PgConnectOptions,
    root: Option<String>,
) -> Result<PgConnectOptions, String> {
    if let Ok(mode) = std::env::var("PGSSLMODE")
        && PgSslMode::from_str(&mode).is_err()
    {
        return Err(format!(
            "PGSSLMODE is `{mode}`; it can be disable, allow, prefer, require, verify-ca or \
             verify-full"
        ));
    }
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok(options.ssl_mode(PgSslMode::Disable));
    }
    let usual = || {
        let usual = std::env::home_dir()?.join(".postgresql/root.crt");
        usual.exists().then(|| usual.display().to_string())
    };
    let root = root.or_else(usual);
    let has_root = root.as_deref().is_some_and(|root| root != "system");
    options = match root.as_deref() {
        None => options,
        Some("system") => options.ssl_root_cert_from_pem(Vec::new()),
        Some(pem) if pem.starts_with("-----BEGIN") => {
            options.ssl_root_cert_from_pem(pem.as_bytes().to_vec())
        }
        Some(path) => options.ssl_root_cert(path),
    };
    let mode = match options.get_ssl_mode() {
        PgSslMode::Allow => PgSslMode::Prefer,
        PgSslMode::Require if has_root => PgSslMode::VerifyCa,
        other => other,
    };
    let is_verified = matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    if let Some(path) = root.filter(|root| has_root && is_verified && !root.starts_with("-----"))
        && let Err(error) = std::fs::metadata(&path)
    {
        return Err(format!("sslrootcert {path}: {error}"));
    }
    Ok(options.ssl_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |url: &str| Address::parse(url).expect(url);
        let a = read("postgresql+psycopg2://me:s%40crt@db.example:5433/odc?max_connections=3");
        assert_eq!(a.options.get_host(), "db.example");
        assert_eq!(a.options.get_port(), 5433);
        assert_eq!(a.options.get_username(), "me");
        assert_eq!(a.options.get_database(), Some("odc"));
        assert_eq!((a.max_connections, a.read_only), (3, false));
        assert!(!a.url.contains("crt"), "{}", a.url);
        let a = read("postgres://%2Ftmp%2Fpg/odc?mode=ro&statement_timeout=250");
        assert_eq!(
            a.options.get_socket().map(|p| p.display().to_string()),
            Some("/tmp/pg".to_owned())
        );
        assert!(a.read_only);
        assert!(
            a.options
                .get_options()
                .is_some_and(|o| o.contains("statement_timeout=250")),
            "{:?}",
            a.options.get_options()
        );
        // As SQLAlchemy has it for a socket.
        let a = read("postgresql+psycopg2://me@/odc?host=/var/run/x");
        assert_eq!(
            a.options.get_socket().map(|p| p.display().to_string()),
            Some("/var/run/x".to_owned())
        );
        assert_eq!(a.options.get_username(), "me");
        let a = read("postgresql:///odc?host=/var/run/x&port=5444&user=u");
        assert_eq!(
            a.options.get_socket().map(|p| p.display().to_string()),
            Some("/var/run/x".to_owned())
        );
        assert_eq!(
            (a.options.get_port(), a.options.get_username()),
            (5444, "u")
        );
    }

    #[test]
    fn drivers_have_the_names_of_odc() {
        for (options, driver) in [
            ("", None),
            ("?driver=agdc", Some(Driver::Agdc)),
            ("?driver=postgres", Some(Driver::Agdc)),
            ("?driver=legacy", Some(Driver::Agdc)),
            ("?driver=postgis", Some(Driver::Postgis)),
        ] {
            let address = Address::parse(&format!("postgresql:///odc{options}")).expect("right");
            assert_eq!(address.driver, driver, "{options}");
        }
    }

    #[test]
    fn what_cannot_be_understood_is_refused_without_its_password() {
        for url in [
            "postgresql:odc",
            "postgresql://me:secret@host:port/odc",
            "postgresql://me:secret@host/odc?max_connections=0",
            "postgresql://me:secret@host/odc?colour=red",
            "postgresql://me:secret@host/odc?mode=x",
            "postgresql://me:secret@host/odc?sslmode=perhaps",
            "postgresql://me:secret@host/odc?driver=oracle",
        ] {
            let Err(error) = Address::parse(url) else {
                panic!("{url} was read")
            };
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }
}
