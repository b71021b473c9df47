//! The items of the corpus.

use std::path::Path;
use std::sync::Arc;

use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{Dataset, DocumentErrors, MetadataType, Product, parse_document};
use serde_json::Value;

/// A JSON file as Python writes it, bare NaN and all.
pub(crate) fn json_file(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse_document(&text, "x.json").unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The document of an item: of a file, or of a collection of items.
pub(crate) fn document(folder: &Path, file: &str, id: &str) -> Value {
    let document = json_file(&folder.join(file));
    match document["features"].as_array() {
        Some(items) => {
            let found = items.iter().find(|item| item["id"] == id);
            found
                .unwrap_or_else(|| panic!("{file} has no item {id}"))
                .clone()
        }
        None => document,
    }
}

/// The product and the dataset that an item becomes, with no configuration.
pub(crate) fn convert(item: &StacItem, location: &str) -> Result<Dataset, DocumentErrors> {
    let config = StacConfig::default();
    let product = item.product_document(&config)?.document;
    let product = Arc::new(Product::from_document(product, &MetadataType::eo3())?);
    let document = item.dataset_document(Some(&product), &config)?.document;
    Dataset::from_document(document, product, [location])
}

pub(crate) fn text<'a>(row: &'a Value, key: &str) -> &'a str {
    row[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} of {row}"))
}
