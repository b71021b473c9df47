//! What the tests over the whole house share: where real data is, what the
//! reference software says of it, and how two arrays are compared.

#![allow(dead_code, reason = "each test program uses a part of this")]

pub(crate) mod agreement;
pub(crate) mod golden;
pub(crate) mod l8ny18;
pub(crate) mod tiny;

use std::path::{Path, PathBuf};

use datacube::{ConfigOptions, Datacube};

/// The folder of real test material, if it is there; says that the test is
/// skipped where it is not.
pub(crate) fn shared_data() -> Option<PathBuf> {
    datacube_testkit::shared("")
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
