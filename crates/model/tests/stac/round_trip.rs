//! From EO3 to STAC and back: the same documents.

use std::sync::Arc;

use datacube_model::stac::{ItemOptions, StacConfig, StacItem, StacVersion, item_document};
use datacube_model::{Dataset, MetadataType, Product, parse_documents, parse_time};
use datacube_testkit::shared;
use serde_json::{Value, json};

use crate::corpus::{convert, document, json_file, text};

/// A document with what has several spellings in one: times, whole numbers,
/// CRSs, empty parts.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null() && *value != &json!({}))
            // What the grids say already.
            .filter(|(key, _)| !key.starts_with("proj:"))
            .map(|(key, value)| {
                let crs = |text: &str| {
                    datacube_geo::Crs::parse(text)
                        .map(|crs| json!(crs.as_str()))
                        .ok()
                };
                let said = match (key.as_str(), value) {
                    ("crs", Value::String(text)) => crs(text).unwrap_or_else(|| value.clone()),
                    // Nine numbers of which the last three say nothing.
                    ("transform", Value::Array(numbers)) => meaning(&json!(numbers[..6])),
                    _ => meaning(value),
                };
                (key.clone(), said)
            })
            .collect(),
        Value::Array(items) => items.iter().map(meaning).collect(),
        Value::Number(number) => json!(number.as_f64()),
        Value::String(text) if text.len() >= 10 && text.as_bytes()[4] == b'-' => {
            parse_time(text).map_or_else(|_| value.clone(), |time| json!(time.to_string()))
        }
        other => other.clone(),
    }
}

fn back(dataset: &Dataset, version: StacVersion) -> Value {
    let options = ItemOptions::default()
        .version(version)
        .relative_assets(true);
    let item = item_document(dataset, &options);
    let item = StacItem::from_document(item).unwrap_or_else(|error| panic!("{error}"));
    let converted = item.dataset_document(Some(dataset.product()), &StacConfig::default());
    let mut document = converted.unwrap_or_else(|error| panic!("{error}")).document;
    // The one thing that is filled in where a document does not say it.
    if dataset.format().is_none()
        && let Some(properties) = document["properties"].as_object_mut()
    {
        properties.shift_remove("odc:file_format");
    }
    let locations = ["location", "locations"]
        .iter()
        .filter_map(|key| Some((*key, dataset.document().get(*key)?)));
    for (key, value) in locations {
        document[key] = value.clone();
    }
    document
}

/// The keys at which two documents differ.
fn differences(path: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))) {
                differences(&format!("{path}.{key}"), &a[key], &b[key], out);
            }
        }
        _ if a == b => {}
        _ => out.push(format!("{path}: {} -> {}", cut(a), cut(b))),
    }
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

#[test]
fn datasets_come_back_from_stac_as_they_were() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut n = 0;
    for project in std::fs::read_dir(folder.join("eo3-dataset")).expect("a folder") {
        for file in std::fs::read_dir(project.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let source = std::fs::read_to_string(&path).expect("text");
            for located in parse_documents(&source, &path.to_string_lossy()).expect("documents") {
                let Some(dataset) = simple_dataset(located.document) else {
                    continue;
                };
                for version in [StacVersion::V1_0, StacVersion::V1_1] {
                    n += 1;
                    let before = meaning(dataset.document());
                    let mut found = Vec::new();
                    differences("", &before, &meaning(&back(&dataset, version)), &mut found);
                    // One document has its transform in the order of GDAL; items are put in order.
                    found.retain(|what| {
                        !what.contains(
                            "[1.0,0.0002,0.0,1.0,0.0,-0.0002] -> [0.0002,0.0,1.0,0.0,-0.0002,1.0]",
                        )
                    });
                    wrong.extend(found.into_iter().map(|what| {
                        format!(
                            "{}: {what}",
                            path.file_name().expect("a name").to_string_lossy()
                        )
                    }));
                }
            }
        }
    }
    eprintln!("{n} documents to STAC and back");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(n >= 58, "{n}");
}

/// The dataset of a document, of a product with the document's measurements.
fn simple_dataset(document: Value) -> Option<Dataset> {
    let name = document["product"]["name"].as_str()?.to_owned();
    let measurements: Vec<Value> = document["measurements"]
        .as_object()?
        .keys()
        .map(|name| json!({"name": name, "dtype": "int16", "nodata": -999, "units": "1"}))
        .collect();
    let product = json!({"name": name, "description": name, "metadata_type": "eo3", "metadata": {"product": {"name": name}}, "measurements": measurements});
    let product = Product::from_document(product, &MetadataType::eo3()).ok()?;
    Dataset::from_document(
        document,
        Arc::new(product),
        ["s3://bucket/scene/document.yaml"],
    )
    .ok()
}

#[test]
fn items_come_back_from_eo3_as_they_were() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let rows = json_file(&folder.join("oracle_odc-stac-0.5.3_parse_item.json"));
    let mut wrong = Vec::new();
    let mut n = 0;
    for row in rows.as_array().expect("a list") {
        let item = document(&folder, text(row, "file"), text(row, "id"));
        let Ok(dataset) = StacItem::from_document(item)
            .and_then(|item| convert(&item, "s3://bucket/a/item.json"))
        else {
            continue;
        };
        n += 1;
        let mut found = Vec::new();
        differences(
            "",
            &meaning(dataset.document()),
            &meaning(&back(&dataset, StacVersion::V1_1)),
            &mut found,
        );
        wrong.extend(
            found
                .into_iter()
                .map(|what| format!("{}: {what}", text(row, "file"))),
        );
    }
    eprintln!("{n} items to EO3, to STAC and to EO3 again");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(n >= 793, "{n}");
}

#[test]
fn odc_stac_reads_items_that_are_written_here() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let modules = ["odc.stac", "datacube.metadata", "pystac"];
    let Some(mut python) = datacube_testkit::python("read_items.py", &modules) else {
        return;
    };
    let mut datasets = Vec::new();
    for project in std::fs::read_dir(folder.join("eo3-dataset")).expect("a folder") {
        for file in std::fs::read_dir(project.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let source = std::fs::read_to_string(&path).expect("text");
            let documents = parse_documents(&source, &path.to_string_lossy()).expect("documents");
            datasets.extend(
                documents
                    .into_iter()
                    .filter_map(|located| simple_dataset(located.document)),
            );
        }
    }
    let items: Vec<Value> = [StacVersion::V1_0, StacVersion::V1_1]
        .into_iter()
        .flat_map(|version| {
            datasets.iter().map(move |dataset| {
                item_document(dataset, &ItemOptions::default().version(version))
            })
        })
        .collect();
    let file = std::env::temp_dir().join(format!("datacube-items-{}.json", std::process::id()));
    std::fs::write(&file, Value::from(items).to_string()).expect("written");
    let output = python.arg(&file).output().expect("Python runs");
    std::fs::remove_file(&file).expect("removed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(rows.len(), 2 * datasets.len());
    for (row, dataset) in rows.iter().zip(datasets.iter().chain(&datasets)) {
        assert_eq!(row["dataset"], dataset.id().to_string());
        assert_eq!(
            row["epsg"].as_u64(),
            dataset.crs().epsg().map(u64::from),
            "{row}"
        );
        let bands = row["bands"].as_object().expect("an object");
        assert_eq!(bands.len(), dataset.measurements().len(), "{row}");
        for (name, path) in dataset.measurements() {
            let band = &bands[&format!("{name}.1")];
            let grid = dataset
                .grids()
                .get(path.grid_name())
                .unwrap_or(dataset.default_grid());
            let t = grid.affine();
            assert_eq!(
                band["transform"],
                json!([t.a, t.b, t.c, t.d, t.e, t.f]),
                "{name} of {row}"
            );
            assert_eq!(
                band["shape"],
                json!([grid.rows(), grid.cols()]),
                "{name} of {row}"
            );
            assert_eq!(
                (&band["dtype"], band["nodata"].as_f64()),
                (&json!("int16"), Some(-999.0)),
                "{name} of {row}"
            );
            let uri = dataset.measurement_source(name).expect("there").uri;
            assert_eq!(band["uri"], uri, "{name}");
        }
    }
    eprintln!("odc-stac reads {} items", rows.len());
}
