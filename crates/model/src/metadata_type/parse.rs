//! A metadata type out of its document.

use indexmap::IndexMap;

use super::Offset;
use super::field::{FieldKind, FieldSource, SearchField};
use crate::document::{Node, ProblemKind};

/// What a metadata type holds.
pub(super) struct Parsed {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) offsets: IndexMap<String, Offset>,
    pub(super) fields: IndexMap<String, SearchField>,
}

const REQUIRED: [&str; 4] = ["id", "creation_dt", "label", "sources"];
const OPTIONAL: [&str; 3] = ["measurements", "format", "grid_spatial"];

pub(super) fn metadata_type(node: &Node<'_>) -> Option<Parsed> {
    node.map()?;
    node.only_keys(&["name", "description", "dataset"]);
    let name = node
        .require("name", "the name of the metadata type")
        .and_then(|node| node.name().map(str::to_owned));
    let description = node
        .require("description", "a description of the metadata type")
        .and_then(|node| node.string().map(str::to_owned));
    let dataset = node.require(
        "dataset",
        "an object that says where things are in a dataset document",
    )?;
    dataset.map()?;
    dataset.only_keys(&[
        "id",
        "creation_dt",
        "label",
        "sources",
        "measurements",
        "format",
        "grid_spatial",
        "search_fields",
    ]);
    let mut offsets = IndexMap::new();
    for name in REQUIRED {
        if let Some(offset) = dataset
            .require(name, "a path such as [properties, name]")
            .and_then(|node| offset(&node))
        {
            offsets.insert(name.to_owned(), offset);
        }
    }
    for name in OPTIONAL {
        if let Some(offset) = dataset.get(name).and_then(|node| offset(&node)) {
            offsets.insert(name.to_owned(), offset);
        }
    }
    let mut fields = IndexMap::new();
    if let Some(node) = dataset.require("search_fields", "an object of search fields; {} for none")
    {
        node.map()?;
        for (name, node) in node.entries() {
            if let Some(field) = field(name, &node) {
                fields.insert(name.to_owned(), field);
            }
        }
    }
    Some(Parsed {
        name: name?,
        description: description?,
        offsets,
        fields,
    })
}

fn field(name: &str, node: &Node<'_>) -> Option<SearchField> {
    node.map()?;
    node.only_keys(&[
        "description",
        "type",
        "indexed",
        "offset",
        "min_offset",
        "max_offset",
    ]);
    let description = node
        .get("description")
        .and_then(|node| node.string())
        .unwrap_or_default()
        .to_owned();
    let indexed = node.get("indexed").map_or(Some(true), |node| node.bool());
    let kind = match node.get("type") {
        None => Some(FieldKind::String),
        Some(node) => node.string().and_then(|text| {
            let kind = FieldKind::from_name(text);
            if kind.is_none() {
                let names = FieldKind::ALL.map(FieldKind::name);
                let expected = format!("one of {}", names.join(", "));
                node.report().problem(
                    node.problem(ProblemKind::BadValue, expected)
                        .near(text, names),
                );
            }
            kind
        }),
    };
    let kind = kind?;
    let source = if kind.is_range() {
        if let Some(node) = node.get("offset") {
            node.fault(
                ProblemKind::Conflict,
                format!(
                    "`min_offset` and `max_offset`, as the field is a {}",
                    kind.name()
                ),
            );
        }
        let list = "a list of paths, such as [[properties, datetime]]";
        let min = node
            .require("min_offset", list)
            .and_then(|node| offsets(&node));
        let max = node
            .require("max_offset", list)
            .and_then(|node| offsets(&node));
        FieldSource::Range {
            min: min?,
            max: max?,
        }
    } else {
        for key in ["min_offset", "max_offset"] {
            if let Some(node) = node.get(key) {
                node.fault(
                    ProblemKind::Conflict,
                    format!(
                        "`offset`, as the field is a {} and not a range",
                        kind.name()
                    ),
                );
            }
        }
        let offset = node
            .require("offset", "a path such as [properties, name]")
            .and_then(|node| offset(&node));
        FieldSource::Offset(offset?)
    };
    Some(SearchField {
        name: name.to_owned(),
        description,
        kind,
        indexed: indexed?,
        source,
    })
}

fn offsets(node: &Node<'_>) -> Option<Vec<Offset>> {
    let items = node.list()?;
    if items.is_empty() {
        node.fault(ProblemKind::BadValue, "at least one path");
        return None;
    }
    let n_items = items.len();
    let offsets: Vec<Offset> = items.iter().filter_map(offset).collect();
    (offsets.len() == n_items).then_some(offsets)
}

/// A path: at least one key, none of them twice.
fn offset(node: &Node<'_>) -> Option<Offset> {
    let keys = node.strings()?;
    if keys.is_empty() {
        node.fault(ProblemKind::BadValue, "at least one key");
        return None;
    }
    let repeats = keys
        .iter()
        .enumerate()
        .any(|(position, key)| keys[..position].contains(key));
    if repeats {
        node.fault(ProblemKind::Duplicate, "a path without repeated keys");
        return None;
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::MetadataType;

    fn check(document: Value, expected: &[&str]) {
        let errors = MetadataType::from_document(document).expect_err("invalid");
        let found: Vec<String> = errors
            .problems()
            .iter()
            .map(|problem| problem.path.to_string())
            .collect();
        assert_eq!(found, expected, "{errors}");
    }

    #[test]
    fn every_fault_is_named() {
        check(json!([]), &[""]);
        check(json!({}), &["name", "description", "dataset"]);
        check(
            json!({"name": "a b", "description": 1, "extra": 1, "dataset": {
                "id": [], "label": ["a", "a"], "creation_dt": "x", "search_fields": {
                    "a": {"offset": ["x"], "kind": "string"},
                    "b": {"type": "double-range", "offset": ["x"]},
                    "c": {"type": "doubl", "offset": ["x"]},
                    "d": {"min_offset": [["x"]]},
                    "e": {"type": "integer-range", "min_offset": [], "max_offset": ["x"]},
                    "f": {"offset": ["x"], "indexed": "yes"},
                    "g": 1
                }
            }}),
            &[
                "extra",
                "name",
                "description",
                "dataset.id",
                "dataset.creation_dt",
                "dataset.label",
                "dataset.sources",
                "dataset.search_fields.a.kind",
                "dataset.search_fields.b.offset",
                "dataset.search_fields.b.min_offset",
                "dataset.search_fields.b.max_offset",
                "dataset.search_fields.c.type",
                "dataset.search_fields.d.min_offset",
                "dataset.search_fields.d.offset",
                "dataset.search_fields.e.min_offset",
                "dataset.search_fields.e.max_offset[0]",
                "dataset.search_fields.f.indexed",
                "dataset.search_fields.g",
            ],
        );
    }
}
