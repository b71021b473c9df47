//! Where the real test material is: `../shared` beside the project, or
//! `$DATACUBE_SHARED`.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A folder of the material; `None`, with a line that says so, where it is absent.
pub(crate) fn data(folder: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("DATACUBE_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let found = root.join("data").join(folder);
    if found.is_dir() {
        return Some(found);
    }
    eprintln!("skipped: there is no {}", found.display());
    None
}

/// A JSON file of the material.
pub(crate) fn json(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
