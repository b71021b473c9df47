//! Real test material: `../shared` beside the project, or `$DATACUBE_SHARED`.

use std::path::Path;

pub(crate) use datacube_testkit::shared as data;
use serde_json::Value;

/// A JSON file of the material.
pub(crate) fn json(path: &Path) -> Value {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
