//! What tests need that may be absent, and how a test says that it was skipped.
//!
//! The standard test harness knows passed and failed only. A test that lacks
//! what it needs calls [`skip`] and returns: the reason goes to standard error
//! and to the file that `cargo xtask test` names, which lists at its end what
//! was skipped instead of counting it as passed.

mod certificates;
mod postgres;
mod store_server;

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use certificates::Authority;
pub use postgres::{Cluster, Guard};
pub use store_server::{Asked, Fault, StoreServer};

/// Names the file that lists skipped tests.
const SKIPPED: &str = "DATACUBE_SKIPPED";

/// Names the folder of real test material.
const SHARED: &str = "DATACUBE_SHARED";

/// Names a Python with what a test compares with.
const PYTHON: &str = "DATACUBE_PYTHON";

/// Says that the running test is skipped, and why. The test then returns.
pub fn skip(reason: impl Display) {
    let line = format!("skipped: {}: {reason}\n", running_test());
    // The process's own standard error: the harness keeps back what `eprintln` says.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(file) = std::env::var_os(SKIPPED) {
        let noted = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        if let Err(error) = noted {
            panic!(
                "cannot note that a test was skipped in {}: {error}",
                Path::new(&file).display()
            );
        }
    }
}

/// The harness names a test's thread after it; a runner that starts one process
/// for each test tells the name by a variable.
fn running_test() -> String {
    let by_thread = std::thread::current().name().map(str::to_owned);
    by_thread
        .filter(|name| name != "main")
        .or_else(|| std::env::var("NEXTEST_TEST_NAME").ok())
        .unwrap_or_else(|| "a test".to_owned())
}

/// The file or folder `path` of the real test material, `data` in
/// `$DATACUBE_SHARED` or in `../shared` beside the project; [`skip`]s the test
/// and gives `None` where it is absent.
///
/// The material is no part of the project.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os(SHARED).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = root.join("data").join(path);
    match found.canonicalize() {
        Ok(found) => Some(found),
        Err(error) => {
            skip(format_args!(
                "{}: {error}; set {SHARED} to the folder of real test material",
                found.display()
            ));
            None
        }
    }
}

/// The Python that `$DATACUBE_PYTHON` names, ready to run the script `script`
/// of `tests/interop`; [`skip`]s the test and gives `None` where there is none,
/// or where it lacks one of `modules`.
pub fn python(script: &str, modules: &[&str]) -> Option<Command> {
    let needs = format!("a Python with {}", modules.join(", "));
    let Some(python) = std::env::var_os(PYTHON) else {
        skip(format_args!("{script} needs {needs}; set {PYTHON}"));
        return None;
    };
    let imports = format!("import {}", modules.join(", "));
    let found = Command::new(&python).args(["-c", &imports]).output();
    match found {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().last().unwrap_or_default();
            skip(format_args!(
                "{script} needs {needs}; the one of {PYTHON} says: {said}"
            ));
            return None;
        }
        Err(error) => {
            skip(format_args!(
                "{script} needs {needs}; the one of {PYTHON}: {error}"
            ));
            return None;
        }
    }
    let mut command = Command::new(python);
    command.arg(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/interop")
            .join(script),
    );
    Some(command)
}
