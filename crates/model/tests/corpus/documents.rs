//! Documents of all kinds: those that are refused by name, and text that
//! reads back.

use std::sync::Arc;

use datacube_model::{
    Dataset, MetadataType, ProblemKind, Product, parse_documents, to_json, to_yaml,
};
use serde_json::json;

use crate::oracle::{files, read};
use crate::shared;

#[test]
fn legacy_documents_are_refused_by_name() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let product = json!({
        "name": "x", "description": "x", "metadata_type": "eo3", "metadata": {}, "measurements": [],
    });
    let product = Arc::new(Product::from_document(product, &MetadataType::eo3()).expect("valid"));
    let (mut n_datasets, mut n_configs) = (0, 0);
    for path in files(&folder.join("eo1-dataset")) {
        for document in read(&path) {
            let errors = Dataset::from_document(document, product.clone(), ["s3://b/x.yaml"])
                .expect_err("EO1");
            assert_eq!(errors.problems().len(), 1, "{}: {errors}", path.display());
            assert_eq!(errors.problems()[0].kind, ProblemKind::Unsupported);
            assert!(
                errors.to_string().contains("before EO3"),
                "{}: {errors}",
                path.display()
            );
            n_datasets += 1;
        }
    }
    for path in files(&folder.join("odc-ingest-config")) {
        for document in read(&path) {
            let errors =
                Product::from_document(document, &MetadataType::builtin()).expect_err("ingest");
            assert_eq!(errors.problems().len(), 1, "{}: {errors}", path.display());
            assert!(
                errors.to_string().contains("an ingestion configuration"),
                "{}: {errors}",
                path.display()
            );
            n_configs += 1;
        }
    }
    eprintln!("{n_datasets} datasets before EO3 and {n_configs} ingestion configurations refused");
    assert!(n_datasets >= 8 && n_configs >= 8);
}

#[test]
fn documents_print_to_themselves() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let mut n_documents = 0;
    for kind in [
        "odc-product",
        "odc-metadata-type",
        "eo3-dataset",
        "eo1-dataset",
        "odc-ingest-config",
        "stac-item",
    ] {
        for path in files(&folder.join(kind)) {
            for document in read(&path) {
                let yaml = to_yaml(&document);
                let back = parse_documents(&yaml, "x.yaml")
                    .unwrap_or_else(|e| panic!("{}: {e}\n{yaml}", path.display()));
                assert_eq!(back[0].document, document, "{}\n{yaml}", path.display());
                let back =
                    parse_documents(&to_json(&document), "x.json").expect("as it was printed");
                assert_eq!(back[0].document, document, "{}", path.display());
                n_documents += 1;
            }
        }
    }
    eprintln!("{n_documents} documents print to themselves");
    assert!(n_documents > 900);
}
