//! From what Python stores to the document that it was given.
//!
//! Python adds where a dataset lies (`extent`, `grid_spatial`) and takes out
//! what it was made from, which is in a table of its own; several sources of
//! one classifier are numbered there (`ard` becomes `ard1` and `ard2`), which
//! cannot be told from names that were given so.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/index/eo3.py` (`prep_eo3`),
//! `datacube/utils/documents.py` (`without_lineage_sources`).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::postgres::document::as_written;

/// The document as it was given, with the sources that the index knows; a
/// document of before EO3 is left as it is.
pub(super) fn restored(stored: Value, sources: Vec<(String, Uuid)>) -> Value {
    let mut document = as_written(stored);
    if let Value::Object(map) = &mut document
        && map.contains_key("$schema")
        && let Some(lineage) = lineage(map.get("lineage"), sources)
    {
        map.insert("lineage".to_owned(), lineage);
    }
    document
}

/// Sources by classifier; `None` where the document has something of its own
/// that is left alone.
fn lineage(stored: Option<&Value>, sources: Vec<(String, Uuid)>) -> Option<Value> {
    let mut found: Map<String, Value> = Map::new();
    for (classifier, source) in sources {
        found.insert(classifier, json!([source]));
    }
    let own = match stored {
        None | Some(Value::Null) => return Some(found.into()),
        Some(Value::Object(own)) if own.is_empty() => return Some(found.into()),
        Some(own) => own.get("source_datasets")?.as_object()?,
    };
    for (classifier, source) in own {
        let id = source.get("id")?.as_str()?;
        let entry = found.entry(classifier).or_insert_with(|| json!([]));
        let ids = entry.as_array_mut().expect("lists alone were put in");
        if !ids.iter().any(|known| known == id) {
            ids.push(id.into());
        }
    }
    Some(found.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "00000000-0000-4000-8000-00000000000a";

    fn check(stored: Value, sources: &[(&str, &str)], expected: Value) {
        let mut document = json!({"$schema": "https://schemas.opendatacube.org/dataset",
            "id": A, "extent": {"lat": {}}, "grid_spatial": {}});
        if !stored.is_null() {
            document["lineage"] = stored;
        }
        let sources = sources.iter().map(|(classifier, id)| {
            let id: Uuid = id.parse().expect("a UUID");
            ((*classifier).to_owned(), id)
        });
        let restored = restored(document, sources.collect());
        assert_eq!(restored["lineage"], expected);
        assert!(restored.get("extent").is_none() && restored.get("grid_spatial").is_none());
    }

    #[test]
    fn sources_come_back() {
        let empty = json!({"source_datasets": {}});
        check(empty.clone(), &[], json!({}));
        check(Value::Null, &[], json!({}));
        check(empty, &[("ard", A)], json!({"ard": [A]}));
        let own = json!({"source_datasets": {"ard": {"id": A}}});
        check(own.clone(), &[], json!({"ard": [A]}));
        check(
            own,
            &[("ard", A), ("l1", A)],
            json!({"ard": [A], "l1": [A]}),
        );
        // Not as Python stores it: nothing is made up.
        check(json!({"ard": [A]}), &[("l1", A)], json!({"ard": [A]}));
    }

    #[test]
    fn a_document_of_before_eo3_stays() {
        let document = json!({"id": A, "extent": {}, "lineage": {"source_datasets": {}}});
        let sources = vec![("x".to_owned(), Uuid::nil())];
        assert_eq!(restored(document.clone(), sources), document);
    }
}
