//! What the tests over the whole house share: where real data is, what the
//! reference software says of it, and how two arrays are compared.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod agreement;
pub(crate) mod golden;
pub(crate) mod l8ny18;
pub(crate) mod tiny;

use std::io::Write;
use std::path::{Path, PathBuf};

use datacube::{ConfigOptions, Datacube};

/// The folder of real test material: `$DATACUBE_SHARED`, or `../shared` beside the project.
///
/// It is no part of the project. Where it is absent this says so, on the
/// process's own standard error so that the test runner does not swallow it,
/// and the test returns: it is skipped, not passed.
pub(crate) fn shared_data(test: &str) -> Option<PathBuf> {
    let root = std::env::var_os("DATACUBE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let data = root.join("data");
    if data.is_dir() {
        return Some(data);
    }
    let _ = writeln!(
        std::io::stderr(),
        "skipped: {test}: {} is not there; set DATACUBE_SHARED to the folder of real test material",
        data.display()
    );
    None
}

/// A file beside the tests, made by the script that lies with it.
pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

/// A new index at `url`: `sqlite:PATH` or `memory:`.
pub(crate) fn create_index(url: impl Into<String>) -> Datacube {
    let options = ConfigOptions {
        index: Some(url.into()),
        ..ConfigOptions::default()
    };
    let (dc, _) = Datacube::create(options).expect("an index can be made");
    dc
}
