//! The locations of a dataset, changed: what every index does with them.
//!
//! The first active one is read first; archived ones keep their place.

use datacube_model::Location;
use jiff::Timestamp;

use crate::catalog::LocationPolicy;

/// Adds a location, or makes one active that is there; tells whether anything
/// changed.
pub(crate) fn add(list: &mut Vec<Location>, uri: &str, first: bool) -> bool {
    let Some(at) = list.iter().position(|location| location.uri == uri) else {
        let place = if first { 0 } else { list.len() };
        list.insert(place, Location::new(uri));
        return true;
    };
    let was_archived = list[at].archived.take().is_some();
    if first && at > 0 {
        list[..=at].rotate_right(1);
        return true;
    }
    was_archived
}

/// Removes a location; tells whether it was there.
pub(crate) fn remove(list: &mut Vec<Location>, uri: &str) -> bool {
    let before = list.len();
    list.retain(|location| location.uri != uri);
    list.len() < before
}

/// Archives a location, or makes it active again; tells whether that changed
/// anything.
pub(crate) fn mark(list: &mut [Location], uri: &str, archived: Option<Timestamp>) -> bool {
    let mut changed = false;
    for location in list.iter_mut().filter(|location| location.uri == uri) {
        if location.is_active() == archived.is_some() {
            location.archived = archived;
            changed = true;
        }
    }
    changed
}

/// The locations after an update: the new ones, then what becomes of the old.
/// An update without locations leaves them as they are.
pub(crate) fn updated(
    old: &[Location],
    new: &[Location],
    policy: LocationPolicy,
    now: Timestamp,
) -> Vec<Location> {
    if new.is_empty() {
        return old.to_vec();
    }
    let mut all = new.to_vec();
    let others = old
        .iter()
        .filter(|location| new.iter().all(|new| new.uri != location.uri));
    match policy {
        LocationPolicy::Keep => all.extend(others.cloned()),
        LocationPolicy::Forget => {}
        LocationPolicy::Archive => all.extend(others.map(|location| {
            let archived = location.archived.unwrap_or(now);
            Location::new(location.uri.as_str()).archived_at(archived)
        })),
    }
    all
}
