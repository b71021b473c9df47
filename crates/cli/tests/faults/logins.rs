//! Passwords and TLS on the way to a server, with libpq's names, and nowhere a
//! password in what is said.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use datacube::{ConfigOptions, Datacube, resolve_config};
use datacube_testkit::{Authority, Cluster, Guard};
use url::Url;

use crate::kit::{Kit, Said, said};

/// With all that has a meaning in a URL or in a password file.
const SECRET: &str = r"kn0ck:kn\ck@/?&%20#x";
const WRONG: &str = "wr0ng:password";
const NEW: &str = "sesame-0pen";

const RULES: &str = "
    host      all scrambled 127.0.0.1/32 scram-sha-256
    host      all digested  127.0.0.1/32 md5
    host      all ursula    127.0.0.1/32 scram-sha-256
    hostssl   all safely    127.0.0.1/32 scram-sha-256
    hostnossl all safely    127.0.0.1/32 reject
";

/// A server that wants passwords, with an index in it.
struct Server {
    cluster: Cluster,
    kit: Kit,
    database: String,
}

/// One way to come in.
struct Visit<'a> {
    user: &'a str,
    host: &'a str,
    password: Option<&'a str>,
    options: &'a [(&'a str, &'a str)],
    variables: &'a [(&'a str, &'a str)],
}

impl Default for Visit<'_> {
    fn default() -> Self {
        Visit {
            user: "scrambled",
            host: "localhost",
            password: Some(SECRET),
            options: &[],
            variables: &[],
        }
    }
}

impl Server {
    fn start(certificate: Option<(std::path::PathBuf, std::path::PathBuf)>) -> Option<Self> {
        let guard = Guard {
            rules: RULES.to_owned(),
            certificate,
        };
        let cluster = Cluster::start_guarded(&guard)?;
        let kit = Kit::postgis(&cluster);
        kit.with_products();
        let database = crate::archive::database(&kit).to_owned();
        let literal = SECRET.replace('\'', "''");
        for (user, encryption) in [
            ("scrambled", "scram-sha-256"),
            ("digested", "md5"),
            ("safely", "scram-sha-256"),
        ] {
            cluster.sql(
                "postgres",
                &format!(
                    "SET password_encryption = '{encryption}'; \
                     CREATE USER {user} PASSWORD '{literal}' IN ROLE odc_manage"
                ),
            );
        }
        cluster.sql("postgres", "ALTER SYSTEM SET log_connections = on");
        cluster.sql("postgres", "SELECT pg_reload_conf()");
        Some(Server {
            cluster,
            kit,
            database,
        })
    }

    fn url(&self, visit: &Visit<'_>) -> String {
        let mut url = Url::parse("postgresql://localhost").expect("a URL");
        url.set_host(Some(visit.host)).expect("a host");
        url.set_port(Some(self.cluster.port())).expect("a port");
        url.set_username(visit.user).expect("a name");
        url.set_password(visit.password.map(encoded).as_deref())
            .expect("a password");
        url.set_path(&self.database);
        if !visit.options.is_empty() {
            url.query_pairs_mut().extend_pairs(visit.options);
        }
        url.into()
    }

    fn run(&self, visit: &Visit<'_>, arguments: &[&str]) -> Said {
        let mut command = self.kit.command();
        command
            .envs(visit.variables.iter().copied())
            .args(["--index", &self.url(visit)])
            .args(arguments);
        let said = said(&command.output().expect("the binary runs"));
        check_no_secret(&said.out);
        check_no_secret(&said.err);
        said
    }

    /// Comes in; tells whether by TLS.
    fn comes_in(&self, visit: &Visit<'_>) -> bool {
        let before = self.cluster.log().len();
        let said = self.run(visit, &["system", "check"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""), "{said:?}");
        assert!(said.out.contains("You have MANAGE privileges"), "{said:?}");
        let log = self.cluster.log();
        let authorised = format!("connection authorized: user={}", visit.user);
        let mut lines = log[before..]
            .lines()
            .filter(|line| line.contains(&authorised));
        let is_safe = |line: &str| line.contains("SSL enabled");
        let first = is_safe(lines.next().expect("the server notes who comes in"));
        assert!(
            lines.all(|line| is_safe(line) == first),
            "all connections alike"
        );
        first
    }

    fn stays_out(&self, visit: &Visit<'_>, words: &[&str]) {
        let said = self.run(visit, &["product", "list"]);
        assert_eq!((said.status, said.out.as_str()), (1, ""), "{said:?}");
        for words in words {
            assert!(said.err.contains(words), "`{words}` is not said: {said:?}");
        }
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
}

/// A password as it is set in a URL, which leaves `%` as it is.
fn encoded(password: &str) -> String {
    password.replace('%', "%25")
}

/// Neither as they are nor as they are written in a URL.
fn check_no_secret(text: &str) {
    let mut url = Url::parse("postgresql://me@host").expect("a URL");
    for secret in [SECRET, WRONG] {
        url.set_password(Some(&encoded(secret)))
            .expect("a password");
        let encoded = url.password().expect("it was set").to_owned();
        let by_pairs: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        for form in [secret, &encoded, &by_pairs] {
            assert!(!text.contains(form), "a password is told: {text}");
        }
    }
}

fn write_private(path: &Path, text: &str, mode: u32) {
    fs::create_dir_all(path.parent().expect("below a folder")).expect("created");
    fs::write(path, text).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[test]
fn passwords() {
    let Some(server) = Server::start(None) else {
        return;
    };
    let of = |user| Visit {
        user,
        ..Visit::default()
    };
    for user in ["scrambled", "digested"] {
        assert!(!server.comes_in(&of(user)), "there is no TLS");
        // The same password by every other way.
        let silent = || Visit {
            password: None,
            ..of(user)
        };
        server.comes_in(&Visit {
            options: &[("password", SECRET)],
            ..silent()
        });
        server.comes_in(&Visit {
            variables: &[("PGPASSWORD", SECRET)],
            ..silent()
        });
        let escaped = SECRET.replace('\\', r"\\").replace(':', r"\:");
        let port = server.cluster.port();
        let lines =
            format!("# mine\nelsewhere:*:*:*:{WRONG}\nlocalhost:{port}:*:{user}:{escaped}\n");
        let usual = server.kit.folder().join(".pgpass");
        write_private(&usual, &lines, 0o600);
        server.comes_in(&silent());
        // One that others may read is not used.
        write_private(&usual, &lines, 0o644);
        let said = server.run(&silent(), &["product", "list"]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(
            said.err.contains("password authentication failed"),
            "{said:?}"
        );
        fs::remove_file(&usual).expect("removed");
        let named = server.kit.folder().join("passwords/mine");
        write_private(&named, &lines, 0o600);
        server.comes_in(&Visit {
            variables: &[("PGPASSFILE", named.to_str().expect("UTF-8"))],
            ..silent()
        });

        let refused = [
            "cannot log in",
            "password authentication failed",
            user,
            "PGPASSWORD",
            "~/.pgpass",
        ];
        server.stays_out(&silent(), &refused);
        server.stays_out(
            &Visit {
                password: Some(WRONG),
                ..of(user)
            },
            &refused,
        );
        server.stays_out(
            &Visit {
                variables: &[("PGPASSWORD", WRONG)],
                ..silent()
            },
            &refused,
        );
        // What the URL says goes first.
        server.comes_in(&Visit {
            variables: &[("PGPASSWORD", WRONG)],
            ..of(user)
        });
    }
    server.stays_out(&of("nobody"), &["cannot log in", "pg_hba.conf", "nobody"]);
}

#[test]
fn passwords_are_told_nowhere() {
    let Some(server) = Server::start(None) else {
        return;
    };
    let by_option = Visit {
        password: None,
        options: &[("password", SECRET)],
        ..Visit::default()
    };
    let wrong = Visit {
        password: Some(WRONG),
        ..Visit::default()
    };
    let log = server.kit.path("log");
    let loud = [
        ("RUST_LOG", "trace"),
        ("DATACUBE_LOG", "trace"),
        ("RUST_BACKTRACE", "1"),
    ];
    for visit in [Visit::default(), by_option, wrong] {
        let visit = Visit {
            variables: &loud,
            ..visit
        };
        // What is run is checked: neither output has a password.
        for command in [
            &["system", "check"][..],
            &["system", "info", "-f", "json"],
            &["product", "list"],
            &["dataset", "search", "product = tiny"],
            &["system", "init", "--dry-run"],
            &["system", "clear", "--dry-run"],
        ] {
            let mut arguments = vec!["-vvv", "--log-queries", "--log-file", &log];
            arguments.extend(command);
            server.run(&visit, &arguments);
        }
    }
    let text = fs::read_to_string(&log).expect("there is a log");
    assert!(text.contains("TRACE"), "it was loud");
    check_no_secret(&text);
    // Through configuration, and in what is printed of values.
    let config = format!(
        "[default]\nindex_driver: postgis\ndb_hostname: localhost\ndb_port: {}\ndb_username: scrambled\n\
         db_password: {WRONG}\ndb_database: {}\n",
        server.cluster.port(),
        server.database
    );
    let file = server.kit.write("datacube.conf", &config);
    for arguments in [
        &["-vvv", "-C", &file, "system", "check"][..],
        &["-vvv", "-R", &config, "system", "check"],
    ] {
        let mut command = server.kit.command();
        let output = command.envs(loud).args(arguments).output();
        let said = said(&output.expect("the binary runs"));
        assert_eq!(said.status, 1, "{said:?}");
        assert!(
            said.err.contains("password authentication failed"),
            "{said:?}"
        );
        check_no_secret(&said.out);
        check_no_secret(&said.err);
    }
    let options = ConfigOptions {
        index: Some(server.url(&Visit::default())),
        text: None,
        ..ConfigOptions::default()
    };
    let resolved = resolve_config(&options).expect("a URL");
    let dc = Datacube::open_with(options.clone()).expect("it opens");
    check_no_secret(&format!(
        "{dc:?} {dc} {resolved:?} {options:?} {:?}",
        dc.check()
    ));
    let raw = ConfigOptions {
        text: Some(config.clone()),
        ..ConfigOptions::default()
    };
    let resolved = resolve_config(&raw).expect("a configuration");
    let document = datacube::ConfigDocument::parse(&config, "a test").expect("it reads");
    let error = Datacube::open_with(raw.clone()).expect_err("the password is wrong");
    check_no_secret(&format!(
        "{raw:?} {resolved:?} {document:?} {error:?} {error}"
    ));
    // Nor does the server learn one that it is to keep from its own log.
    server
        .cluster
        .sql("postgres", "ALTER SYSTEM SET log_statement = 'all'");
    server.cluster.sql("postgres", "SELECT pg_reload_conf()");
    let mut command = server.kit.command();
    command
        .args(["-vvv", "--log-queries", "--index", &server.kit.url])
        .args(["user", "create", "user", "ursula", "--passwd-stdin"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut creating = command.spawn().expect("the binary runs");
    let mut stdin = creating.stdin.take().expect("piped");
    std::io::Write::write_all(&mut stdin, NEW.as_bytes()).expect("written");
    drop(stdin);
    let created = said(&creating.wait_with_output().expect("it ends"));
    assert_eq!(created.status, 0, "{created:?}");
    assert!(!created.err.contains(NEW), "{created:?}");
    let log = server.cluster.log();
    assert!(log.contains("CREATE USER"), "the server notes statements");
    assert!(!log.contains(NEW), "{log}");
    // It is the password all the same.
    assert!(!created.out.contains(NEW), "{created:?}");
    let mut command = server.kit.command();
    let url = format!(
        "postgresql://localhost:{}/{}?user=ursula",
        server.cluster.port(),
        server.database
    );
    command
        .env("PGPASSWORD", NEW)
        .args(["--index", &url, "product", "list"]);
    assert!(command.output().expect("the binary runs").status.success());
    server.kit.ok(&["user", "delete", "--yes", "ursula"]);
}

#[test]
fn tls() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(authority) = Authority::make(&folder.path().join("right")) else {
        return;
    };
    let other = Authority::make(&folder.path().join("other")).expect("there is openssl");
    let Some(server) = Server::start(Some(authority.issue("localhost"))) else {
        return;
    };
    let (right, wrong) = (authority.root(), other.root());
    let right = right.to_str().expect("UTF-8");
    let wrong = wrong.to_str().expect("UTF-8");
    // The mode, the root certificate, the host; whether it comes in, and by TLS.
    let unknown = Err("sslrootcert");
    let misnamed = Err("not valid for name");
    type Row<'a> = (&'a str, Option<&'a str>, &'a str, Result<bool, &'a str>);
    let table: &[Row<'_>] = &[
        ("", None, "localhost", Ok(true)),
        ("disable", None, "localhost", Ok(false)),
        ("disable", Some(wrong), "localhost", Ok(false)),
        ("allow", None, "localhost", Ok(true)),
        ("prefer", Some(wrong), "localhost", Ok(true)),
        ("require", None, "127.0.0.1", Ok(true)),
        ("require", Some(right), "127.0.0.1", Ok(true)),
        ("require", Some(wrong), "localhost", unknown),
        ("verify-ca", None, "localhost", unknown),
        ("verify-ca", Some(wrong), "localhost", unknown),
        ("verify-ca", Some("system"), "localhost", unknown),
        ("verify-ca", Some(right), "localhost", Ok(true)),
        ("verify-ca", Some(right), "127.0.0.1", Ok(true)),
        ("verify-full", None, "localhost", unknown),
        ("verify-full", Some(wrong), "localhost", unknown),
        ("verify-full", Some(right), "localhost", Ok(true)),
        ("verify-full", Some(right), "127.0.0.1", misnamed),
        (
            "verify-full",
            Some("/no/such.crt"),
            "localhost",
            Err("/no/such.crt"),
        ),
        ("verify-ful", Some(right), "localhost", Err("verify-ful")),
    ];
    for (mode, root, host, expected) in table {
        let set = |mode_name, root_name| {
            let mode = (!mode.is_empty()).then_some((mode_name, *mode));
            mode.into_iter()
                .chain(root.map(|root| (root_name, root)))
                .collect()
        };
        let options: Vec<(&str, &str)> = set("sslmode", "sslrootcert");
        let variables: Vec<(&str, &str)> = set("PGSSLMODE", "PGSSLROOTCERT");
        for user in ["scrambled", "safely"] {
            let visit = Visit {
                user,
                host,
                ..Visit::default()
            };
            let visits = [
                Visit {
                    options: &options,
                    ..visit
                },
                Visit {
                    variables: &variables,
                    ..visit
                },
            ];
            for visit in visits {
                match expected {
                    // It comes in by TLS only.
                    Ok(false) if user == "safely" => {
                        server.stays_out(&visit, &["cannot log in", "pg_hba.conf"]);
                    }
                    Ok(is_safe) => assert_eq!(server.comes_in(&visit), *is_safe, "{mode} {root:?}"),
                    Err(words) => server.stays_out(&visit, &[words]),
                }
            }
        }
    }
    // The root certificate at its usual place.
    let usual = server.kit.folder().join(".postgresql/root.crt");
    fs::create_dir_all(usual.parent().expect("a folder")).expect("created");
    let full = Visit {
        options: &[("sslmode", "verify-full")],
        ..Visit::default()
    };
    server.stays_out(&full, &["sslrootcert"]);
    fs::copy(right, &usual).expect("copied");
    assert!(server.comes_in(&full));
    fs::copy(wrong, &usual).expect("copied");
    server.stays_out(&full, &["sslrootcert"]);
    // A socket of this machine goes without, whatever is asked of networks.
    let mut command = server.kit.command();
    command
        .env("PGSSLMODE", "verify-full")
        .args(["--index", &server.kit.url, "product", "list"]);
    assert!(command.output().expect("the binary runs").status.success());
}

#[test]
fn tls_that_a_server_does_not_have() {
    let Some(server) = Server::start(None) else {
        return;
    };
    for mode in ["require", "verify-ca", "verify-full"] {
        let visit = Visit {
            options: &[("sslmode", mode)],
            ..Visit::default()
        };
        server.stays_out(&visit, &["does not support TLS", "sslmode"]);
    }
    for mode in ["disable", "allow", "prefer"] {
        let visit = Visit {
            variables: &[("PGSSLMODE", mode)],
            ..Visit::default()
        };
        assert!(!server.comes_in(&visit), "{mode}");
    }
}
