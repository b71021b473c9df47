//! Definitions as PostgreSQL keeps them: JSON whose keys have lost their order,
//! and perhaps the text that was written.

use serde_json::Value;

use super::types::Json;
use crate::definitions::{self, Row};

/// What the tables of definitions held at one moment.
pub(crate) type Definitions = definitions::Definitions<i16, Moment>;

/// What else is known of the moment.
#[derive(Debug)]
pub(crate) struct Moment {
    /// Another one as soon as a definition was changed.
    pub(crate) revision: String,
    /// The CRSs, by their EPSG numbers, in which extents are indexed.
    pub(crate) srids: Vec<i16>,
}

/// Id, name, definition, definition as it was written.
pub(crate) type Stored = (i16, String, Json, Option<String>);

/// The document of a row, with its keys as they were written.
pub(crate) fn row((key, name, definition, written): Stored) -> Row<i16> {
    Row {
        key,
        name,
        document: as_written(&definition, written),
    }
}

/// The definition with its keys in the order in which they were written, as
/// long as that still says the same.
fn as_written(definition: &Json, written: Option<String>) -> Result<Value, String> {
    let stored: Value = serde_json::from_str(&definition.0).map_err(|error| error.to_string())?;
    let written = written.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    Ok(written
        .filter(|written| *written == stored)
        .unwrap_or(stored))
}
