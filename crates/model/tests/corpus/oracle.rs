//! The corpus, and what the oracle said of each of its documents.

use std::path::{Path, PathBuf};

use datacube_model::metadata_type::MetadataTypeLookup;
use datacube_model::{DocumentErrors, MetadataType, Problem, ProblemKind, parse_documents};
use serde_json::{Value, json};

use crate::shared;

/// What the oracle said of the documents of one kind.
pub(crate) fn oracle(folder: &Path, driver: &str, kind: &str) -> Vec<Value> {
    let rows = shared::json(&folder.join(format!("oracle_datacube-1.9.20_{driver}.json")));
    let of_kind = |row: &&Value| row["kind"] == kind;
    rows.as_array()
        .expect("a list")
        .iter()
        .filter(of_kind)
        .cloned()
        .collect()
}

pub(crate) fn read(path: &Path) -> Vec<Value> {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let uri = path.to_str().expect("a name in UTF-8");
    let documents = parse_documents(&text, uri).unwrap_or_else(|error| panic!("{error}"));
    documents
        .into_iter()
        .map(|located| located.document)
        .collect()
}

/// The files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The document of an oracle row: the one of its file with its name or id.
pub(crate) fn document(folder: &Path, row: &Value) -> Value {
    let key = if row["kind"] == "eo3-dataset" {
        "id"
    } else {
        "name"
    };
    let path = folder.join(row["file"].as_str().expect("a path"));
    let found = read(&path)
        .into_iter()
        .find(|document| document[key] == row[key]);
    found.unwrap_or_else(|| panic!("{} has no document with {key} {}", path.display(), row[key]))
}

/// The metadata types of the corpus after the built-in ones, as the oracle
/// added them before the products. Of two with one name the first one counts.
///
/// One that the oracle had is kept out of the corpus; eo3 under its name takes
/// its place.
pub(crate) fn metadata_types(folder: &Path) -> Vec<MetadataType> {
    let mut types: Vec<MetadataType> = MetadataType::builtin().to_vec();
    for path in files(&folder.join("odc-metadata-type")) {
        for document in read(&path) {
            let found = MetadataType::from_document(document)
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            if types.metadata_type(found.name()).is_none() {
                types.push(found);
            }
        }
    }
    let mut absent = MetadataType::eo3().document().clone();
    absent["name"] = json!("eo3_sentinel");
    assert!(types.metadata_type("eo3_sentinel").is_none());
    types.push(MetadataType::from_document(absent).expect("eo3 by another name"));
    types
}

/// What an error of the oracle means here: the sort of problem and the end of its path.
fn expected_problem(error: &str) -> (ProblemKind, &'static str) {
    const TABLE: [(&str, ProblemKind, &str); 6] = [
        (
            "nodata value that does not correspond with its dtype",
            ProblemKind::Conflict,
            ".nodata",
        ),
        (
            "'description' is a required property",
            ProblemKind::Missing,
            "description",
        ),
        (
            "Embedded lineage not supported",
            ProblemKind::Unsupported,
            "lineage.",
        ),
        (
            "does not match EO3 standard",
            ProblemKind::Conflict,
            "dataset.",
        ),
        (
            "is not stored in an EO3-compliant location",
            ProblemKind::Conflict,
            "dataset.search_fields.",
        ),
        (
            "Unknown metadata type",
            ProblemKind::UnknownName,
            "metadata_type",
        ),
    ];
    let (_, kind, path) = TABLE
        .into_iter()
        .find(|(pattern, _, _)| error.contains(pattern))
        .unwrap_or_else(|| panic!("the table does not know: {error}"));
    (kind, path)
}

pub(crate) fn has_problem(problems: &[Problem], error: &str) -> bool {
    let (kind, path) = expected_problem(error);
    problems
        .iter()
        .any(|problem| problem.kind == kind && problem.path.to_string().contains(path))
}

/// Compares acceptance, and the reason of a refusal; gives what differs.
pub(crate) fn compare(row: &Value, found: &Result<(), DocumentErrors>) -> Option<String> {
    let place = format!("{} {} {}", row["file"], row["name"], row["id"]);
    match (row["ok"] == true, found) {
        (true, Ok(())) => None,
        (true, Err(errors)) => Some(format!("{place}: taken by the oracle, but {errors}")),
        (false, Ok(())) => Some(format!("{place}: refused by the oracle: {}", row["error"])),
        (false, Err(errors)) => {
            let error = row["error"].as_str().expect("a message");
            (!has_problem(errors.problems(), error))
                .then(|| format!("{place}: {error}\nbut {errors}"))
        }
    }
}
