//! Whether a metadata type looks where EO3 documents have their things.

use serde_json::Value;

use super::field::FieldSource;
use super::parse::Parsed;
use crate::document::{DocPath, Problem, ProblemKind};

/// Where EO3 documents have what every dataset has.
const FIXED: [(&str, &[&str]); 5] = [
    ("id", &["id"]),
    ("measurements", &["measurements"]),
    ("label", &["label"]),
    ("creation_dt", &["properties", "odc:processing_datetime"]),
    ("format", &["properties", "odc:file_format"]),
];

/// Everything in which a type departs from EO3.
pub(super) fn problems(document: &Value, parsed: &Parsed) -> Vec<Problem> {
    let mut problems = Vec::new();
    let dataset = DocPath::root().key("dataset");
    let mut note = |name: &str, expected: String| {
        let found = &document["dataset"][name];
        problems
            .push(Problem::new(dataset.key(name), ProblemKind::Conflict, expected).found(found));
    };
    for (name, offset) in &parsed.offsets {
        let fixed = FIXED.iter().find(|(fixed, _)| fixed == name);
        if let Some((_, expected)) = fixed.filter(|(_, expected)| offset != expected) {
            note(
                name,
                format!("[{}], where EO3 documents have it", expected.join(", ")),
            );
        } else if name == "sources" && offset[0] != "lineage" {
            note(
                name,
                "a path below `lineage`, where EO3 documents have it".to_owned(),
            );
        }
    }
    for (name, field) in &parsed.fields {
        if name == "lat" || name == "lon" {
            continue;
        }
        let offsets: Vec<&Vec<String>> = match &field.source {
            FieldSource::Offset(offset) => vec![offset],
            FieldSource::Range { min, max } => min.iter().chain(max).collect(),
        };
        for offset in offsets {
            let right = *offset == ["crs"] || (offset.len() == 2 && offset[0] == "properties");
            if !right {
                problems.push(
                    Problem::new(
                        dataset.key("search_fields").key(name),
                        ProblemKind::Conflict,
                        "paths of the form [properties, x], where EO3 documents have their fields",
                    )
                    .found_text(format!("[{}]", offset.join(", "))),
                );
                break;
            }
        }
    }
    problems
}
