//! What has to be on the machine before the project can be built.

use anyhow::{Context as _, Result, bail};

use crate::run::command;

/// Programs that building PROJ needs, and the Debian packages that have them.
/// (PROJ's own build makes its database with the `sqlite3` command.)
const TOOLS: [(&str, &str); 4] = [
    ("cmake", "cmake"),
    ("c++", "g++"),
    ("make", "make"),
    ("sqlite3", "sqlite3"),
];

/// Installs what is missing, saying so first.
pub(crate) fn ensure() -> Result<()> {
    let missing: Vec<&str> = TOOLS
        .into_iter()
        .filter(|(tool, _)| !command(tool).arg("--version").works())
        .map(|(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing, "building PROJ")
}

/// What tests of the PostGIS index need: a server that they can start.
const DATABASE: [&str; 2] = ["postgresql-15", "postgresql-15-postgis-3"];

/// Installs PostgreSQL and PostGIS where they are missing. Without them the
/// tests that need them are skipped, so that failing to is no failure.
pub(crate) fn ensure_database() {
    let is_there = std::env::var_os("DATACUBE_PG_BIN").is_some()
        || std::fs::read_dir("/usr/share/postgresql").is_ok_and(|versions| {
            versions
                .flatten()
                .any(|version| version.path().join("extension/postgis.control").exists())
        });
    if is_there {
        return;
    }
    if let Err(error) = install(&DATABASE, "testing the PostGIS index") {
        println!("Tests of the PostGIS index will be skipped: {error:#}");
    }
}

/// Installs Debian packages, saying so first.
fn install(missing: &[&str], what: &str) -> Result<()> {
    let packages = missing.join(" ");
    let by_hand = format!("install these first: apt-get install -y {packages}");
    if !command("apt-get").arg("--version").works() {
        bail!("{what} needs {packages}; install them with your system's package manager");
    }
    let is_root = command("id")
        .arg("-u")
        .read()
        .is_ok_and(|id| id.trim() == "0");
    let prefix: &[&str] = if is_root {
        &[]
    } else if command("sudo").args(["-n", "true"]).works() {
        &["sudo", "-n"]
    } else {
        bail!("{what} needs Debian packages, and only root may install them; {by_hand}");
    };
    println!("Installing the Debian packages {packages}, which {what} needs.");
    let apt = |args: &[&str]| {
        let mut words = prefix
            .iter()
            .copied()
            .chain(["apt-get", "-o", "DPkg::Lock::Timeout=300"]);
        let first = words.next().unwrap_or("apt-get");
        command(first)
            .args(words)
            .args(args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
    };
    // A list of packages that is out of date is refreshed only when it is in the way.
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"]
        .into_iter()
        .chain(missing.iter().copied())
        .collect();
    if apt(&install).is_err() {
        apt(&["update"])
            .and_then(|()| apt(&install))
            .context(by_hand)?;
    }
    Ok(())
}
