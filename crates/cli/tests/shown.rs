//! Definitions as `show` prints them go into another index and are the same.
//!
//! The documents are no part of the project; see `datacube_testkit::shared`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use datacube::index::Added;
use datacube::model::parse_documents;
use datacube::{Datacube, DefinitionOptions, DocumentOutcome, read_documents};
use serde_json::Value;

#[allow(dead_code, reason = "it is the kit of the commands' tests")]
#[path = "admin/kit.rs"]
mod kit;

use kit::Kit;

/// The files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
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

/// The documents of those that were added, by name: of two with one name the
/// first, and none of those that are no definitions.
fn added(
    files: Vec<PathBuf>,
    add: impl Fn(&Path) -> datacube::Result<Vec<DocumentOutcome>>,
) -> BTreeMap<String, Value> {
    let mut given = BTreeMap::new();
    for path in files {
        let documents = read_documents(&path).expect("the corpus is YAML or JSON");
        let outcomes = add(&path).expect("the file is there");
        for (located, outcome) in documents.into_iter().zip(outcomes) {
            if let (Ok(Added::New), Some(name)) = (outcome.result, outcome.name) {
                given.insert(name, located.document);
            }
        }
    }
    given
}

fn by_name(text: &str) -> BTreeMap<String, Value> {
    let documents = parse_documents(text, "shown.yaml").unwrap_or_else(|error| panic!("{error}"));
    documents
        .into_iter()
        .map(|located| {
            let name = located.document["name"].as_str().expect("a name");
            (name.to_owned(), located.document)
        })
        .collect()
}

#[test]
fn what_is_shown_goes_into_another_index() {
    let Some(folder) = datacube_testkit::shared("metadata") else {
        return;
    };
    let kit = Kit::sqlite();
    kit.ok(&["system", "init"]);
    let dc = Datacube::open_url(&kit.url).expect("it opens");
    let options = DefinitionOptions::default();
    let types = added(files(&folder.join("odc-metadata-type")), |path| {
        dc.add_metadata_types(path, &options)
    });
    let products = added(files(&folder.join("odc-product")), |path| {
        dc.add_products(path)
    });
    assert!(
        types.len() > 10 && products.len() > 200,
        "{} {}",
        types.len(),
        products.len()
    );
    drop(dc);

    let shown_types = kit.ok(&["metadata", "show", "-f", "yaml"]);
    let mut all_types = by_name(&shown_types);
    for (name, document) in &types {
        assert_eq!(all_types.remove(name).as_ref(), Some(document), "{name}");
    }
    let rest: Vec<&str> = all_types.keys().map(String::as_str).collect();
    assert_eq!(rest, ["eo", "eo3", "telemetry"], "which are built in");
    let shown = kit.ok(&["product", "show", "-f", "yaml"]);
    assert_eq!(by_name(&shown), products);

    let other = Kit::sqlite();
    other.ok(&["system", "init"]);
    let type_file = other.write("types.yaml", &shown_types);
    let product_file = other.write("products.yaml", &shown);
    for _ in 0..2 {
        other.ok(&["metadata", "add", &type_file]);
        other.ok(&["product", "add", &product_file]);
        assert_eq!(other.ok(&["metadata", "show", "-f", "yaml"]), shown_types);
        assert_eq!(other.ok(&["product", "show", "-f", "yaml"]), shown);
    }
    for arguments in [
        ["metadata", "update", type_file.as_str()],
        ["product", "update", product_file.as_str()],
    ] {
        let said = other.ok(&arguments);
        assert!(
            said.lines().all(|line| line.ends_with("is unchanged")),
            "{said}"
        );
    }
}
