//! What updates have in common in every index: leave for changes, and which
//! changes concern the datasets.

use datacube_model::changes::dataset_changes;
use datacube_model::{Change, Changes, Dataset};
use serde_json::Value;

use crate::error::{Error, Kind, Result};

/// The changes, if they are safe or may be made anyway.
///
/// # Errors
/// [`Error::UnsafeChanges`].
pub(crate) fn permitted(
    kind: Kind,
    name: &str,
    changes: Changes,
    allow_unsafe: bool,
) -> Result<Changes> {
    if allow_unsafe || changes.is_safe() {
        return Ok(changes);
    }
    Err(Error::UnsafeChanges {
        kind,
        name: name.to_owned(),
        changes: Box::new(changes),
    })
}

/// What an update changes in the document of a dataset, if it may.
///
/// # Errors
/// [`Error::UnsafeChanges`]; [`Error::Dataset`] for another product.
pub(crate) fn permitted_in_dataset(
    stored: &Dataset,
    given: &Dataset,
    allow_any: &[Vec<String>],
) -> Result<Changes> {
    let (old, new) = (stored.product().name(), given.product().name());
    if old != new {
        return Err(Error::Dataset {
            id: given.id(),
            reason: format!(
                "it is of product `{old}` and cannot become one of `{new}`; remove it and add it \
                 anew"
            ),
            source: None,
        });
    }
    let changes = dataset_changes(stored.document(), given.document(), allow_any);
    permitted(Kind::Dataset, &given.id().to_string(), changes, false)
}

/// Whether changes of a metadata type alter what is kept of datasets.
pub(crate) fn concern_datasets(changes: &Changes) -> bool {
    let is_wording = |change: &Change| {
        change.path.ends_with(".description") && change.was.as_ref().is_some_and(Value::is_string)
    };
    changes
        .iter()
        .any(|change| change.path.starts_with("dataset") && !is_wording(change))
}

/// A document in the index that an update would make unreadable.
pub(crate) fn breaks(kind: Kind, name: &str, reason: &dyn std::fmt::Display) -> Error {
    Error::Breaks {
        kind,
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}
