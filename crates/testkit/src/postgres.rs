//! A PostgreSQL server with PostGIS for one test, gone when the test ends.
//!
//! It keeps its files in a folder of its own below `/tmp`, listens on a socket
//! there and nowhere else (unless a test asks for a port, see [`Guard`]),
//! trusts whoever may open that, and does not care for its data. It is told to
//! die with the process that started it, whatever that dies of.
//!
//! # Source
//! PostgreSQL 15 manual, "Creating a Database Cluster", "Starting the Database
//! Server"; PostgreSQL does not run as root, so root becomes `postgres`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::skip;

/// Names the folder of PostgreSQL's programs.
const PROGRAMS: &str = "DATACUBE_PG_BIN";

/// Every database is a copy of this one.
const TEMPLATE: &str = "template_odc";

/// How long the server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(60);

/// The database superuser.
const SUPERUSER: &str = "postgres";

/// How a server is reached from elsewhere, and whom it lets in.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Lines of `pg_hba.conf` for the port; the socket trusts everybody.
    pub rules: String,
    /// The certificate that the server shows, and its key; none: no TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// A running server.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// The port on 127.0.0.1, where it listens on one, and whether by TLS.
    port: Option<(u16, bool)>,
    server: Option<Child>,
    n_databases: AtomicU32,
}

impl Cluster {
    /// Starts a server; [`skip`]s the test and gives `None` where PostgreSQL
    /// or PostGIS is not installed.
    ///
    /// # Panics
    /// When a server that is installed does not start.
    pub fn start() -> Option<Cluster> {
        Self::start_with(None)
    }

    /// Starts a server that listens on a port of 127.0.0.1 besides.
    ///
    /// # Panics
    /// When a server that is installed does not start.
    pub fn start_guarded(guard: &Guard) -> Option<Cluster> {
        Self::start_with(Some(guard))
    }

    fn start_with(guard: Option<&Guard>) -> Option<Cluster> {
        let Some(programs) = programs() else {
            skip(format_args!(
                "needs PostgreSQL with PostGIS: install postgresql-15 and \
                 postgresql-15-postgis-3 (`cargo xtask test` does), or set {PROGRAMS}"
            ));
            return None;
        };
        static NTH: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let nth = NTH.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(format!("/tmp/datacube-pg-{}-{nth}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder below /tmp can be made");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&folder, open).expect("the folder is ours");
        let mut cluster = Cluster {
            programs,
            folder,
            port: None,
            server: None,
            n_databases: AtomicU32::new(0),
        };
        let data = cluster.folder.join("data");
        let made = as_server(&cluster.programs.join("initdb"))
            .args(["-A", "trust", "-U", SUPERUSER, "--no-sync", "-E", "UTF8"])
            .args(["--locale=C.UTF-8", "-D"])
            .arg(&data)
            .output();
        succeeded("initdb", made);
        if let Some(guard) = guard {
            cluster.guard(&data, guard);
        }
        cluster.run_server();
        let psql = cluster.psql("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        succeeded("psql", psql);
        let extended = cluster.psql(TEMPLATE, "CREATE EXTENSION postgis");
        if !extended
            .as_ref()
            .is_ok_and(|output| output.status.success())
        {
            skip("needs PostGIS: install postgresql-15-postgis-3 (`cargo xtask test` does)");
            return None;
        }
        Some(cluster)
    }

    /// The address of a new, empty database with PostGIS.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn database(&self) -> String {
        let nth = self.n_databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{nth}");
        let made = self.psql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"),
        );
        succeeded("psql", made);
        self.url(&name, SUPERUSER)
    }

    /// The address of a database for one of its users.
    pub fn url(&self, database: &str, user: &str) -> String {
        let port = self.port.map(|(port, _)| format!("&port={port}"));
        format!(
            "postgresql:///{database}?host={}&user={user}{}",
            self.folder.display(),
            port.unwrap_or_default()
        )
    }

    /// The port on 127.0.0.1 of a server that is guarded.
    ///
    /// # Panics
    /// When it is not.
    pub fn port(&self) -> u16 {
        self.port.expect("the server has a guard").0
    }

    /// Runs statements in a database as its superuser, and gives what they print.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let output = succeeded("psql", self.psql(database, statements));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The definition of a schema, as `pg_dump` writes it.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn dump(&self, database: &str, schema: &str) -> String {
        let dumped = Command::new(self.programs.join("pg_dump"))
            .args(self.place())
            .args(["-U", SUPERUSER, "-s", "-O", "-x", "-n", schema, database])
            .output();
        String::from_utf8_lossy(&succeeded("pg_dump", dumped).stdout).into_owned()
    }

    /// The folder with the server's socket.
    pub fn socket(&self) -> &Path {
        &self.folder
    }

    /// What the server has logged since it was started last.
    ///
    /// # Panics
    /// When it cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).expect("the folder is ours")
    }

    /// Stops the server at once, as a crash would, and starts it again.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn restart(&mut self) {
        self.halt();
        self.run_server();
    }

    /// Puts certificate and rules into the folder of its data.
    fn guard(&mut self, data: &Path, guard: &Guard) {
        let rules = format!("local all all trust\n{}\n", guard.rules);
        fs::write(data.join("pg_hba.conf"), rules).expect("the folder is ours");
        // A key that others may read, or own, is refused.
        let owner = fs::metadata(data).expect("initdb made it");
        let files = guard
            .certificate
            .iter()
            .flat_map(|(certificate, key)| [(certificate, "server.crt"), (key, "server.key")]);
        for (file, name) in files {
            let own = data.join(name);
            fs::copy(file, &own).expect("the certificate is there");
            let private = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&own, private).expect("the file is ours");
            std::os::unix::fs::chown(&own, Some(owner.uid()), Some(owner.gid()))
                .expect("root gives it away, others keep it");
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        let port = free.expect("there is a free port").port();
        self.port = Some((port, guard.certificate.is_some()));
    }

    /// What its own programs are told to find it.
    fn place(&self) -> Vec<OsString> {
        let mut place = vec!["-h".into(), self.folder.clone().into_os_string()];
        if let Some((port, _)) = self.port {
            place.extend(["-p".into(), port.to_string().into()]);
        }
        place
    }

    fn psql(&self, database: &str, statements: &str) -> std::io::Result<Output> {
        Command::new(self.programs.join("psql"))
            .args(self.place())
            .args(["-U", SUPERUSER, "-d", database, "-qAtX"])
            .args(["-v", "ON_ERROR_STOP=1", "-c", statements])
            .output()
    }

    fn run_server(&mut self) {
        let log = fs::File::create(self.folder.join("log")).expect("the folder is ours");
        let (address, port, ssl) = match self.port {
            Some((port, ssl)) => ("127.0.0.1", port, if ssl { "on" } else { "off" }),
            None => ("", 5432, "off"),
        };
        let settings = [
            &format!("listen_addresses={address}"),
            &format!("port={port}"),
            &format!("ssl={ssl}"),
            // What was committed outlives a crash of the server, not of the system.
            "fsync=off",
            "full_page_writes=off",
            "timezone=UTC",
            "max_connections=60",
        ];
        let mut server = as_server(&self.programs.join("postgres"));
        server.arg("-D").arg(self.folder.join("data"));
        server.arg("-k").arg(&self.folder);
        for setting in settings {
            server.args(["-c", setting]);
        }
        let errors = log.try_clone().expect("a file can be opened twice");
        let server = server
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.server = Some(server.expect("the server can be run"));
        let started = Instant::now();
        while !self
            .psql("postgres", "SELECT 1")
            .is_ok_and(|output| output.status.success())
        {
            assert!(
                started.elapsed() < PATIENCE,
                "PostgreSQL does not answer:\n{}",
                fs::read_to_string(self.folder.join("log")).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn halt(&mut self) {
        let Some(mut server) = self.server.take() else {
            return;
        };
        let stopped = as_server(&self.programs.join("pg_ctl"))
            .args(["-m", "immediate", "-w", "-s", "stop", "-D"])
            .arg(self.folder.join("data"))
            .output();
        if !stopped.is_ok_and(|output| output.status.success()) {
            // It is no great loss if that fails: the system ends it with us.
            let _ = server.kill();
        }
        let _ = server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.halt();
        // What is left is found and removed by the next that starts.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A program of the server, as a user that it runs as, and to end with us.
///
/// The signal comes when the thread that started it ends.
fn as_server(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
    if is_root {
        command.args(["--reuid", SUPERUSER, "--regid", SUPERUSER, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "QUIT"]).arg(program);
    command.current_dir("/tmp");
    command
}

/// The newest PostgreSQL there is.
fn programs() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(PROGRAMS) {
        return Some(folder.into());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, folder)| folder.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, folder)| folder)
}

/// Removes the folders of processes that are no more.
fn remove_leftovers() {
    let Ok(entries) = fs::read_dir("/tmp") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(of) = name.to_str().and_then(|n| n.strip_prefix("datacube-pg-")) else {
            continue;
        };
        let process = of.split('-').next().unwrap_or_default();
        if !process.is_empty() && !Path::new("/proc").join(process).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn succeeded(program: &str, output: std::io::Result<Output>) -> Output {
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
