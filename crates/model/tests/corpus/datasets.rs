//! EO3 datasets: what is taken, and where, when and what they are.

use std::path::Path;
use std::sync::Arc;

use datacube_model::{Dataset, FieldValue, MetadataType, Product, match_product};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::oracle::{compare, document, files, metadata_types, oracle, read};
use crate::shared;

/// The product that the oracle used for a dataset: that of a repository, or
/// one made for the document. A few products are kept out of the corpus; one
/// made for the document takes their place, of a metadata type that has the
/// fields that the oracle found.
fn product_of(folder: &Path, types: &[MetadataType], row: &Value, document: &Value) -> Product {
    let name = row["product"].as_str().expect("a name");
    if let Some(repo) = row["product_from_repo"].as_str() {
        // The same document of several repositories is in the corpus once only.
        let everywhere = folder.join("odc-product");
        let own = everywhere.join(repo);
        let own = if own.is_dir() {
            files(&own)
        } else {
            Vec::new()
        };
        for path in own.into_iter().chain(files(&everywhere)) {
            let found = read(&path)
                .into_iter()
                .find(|product| product["name"] == name);
            if let Some(found) = found {
                return Product::from_document(found, &types.to_vec())
                    .unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
    let wanted: Vec<&String> = row["search"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(field, _)| field)
        .collect();
    let has_all = |found: &&MetadataType| {
        wanted
            .iter()
            .all(|name| *name == "label" || found.field(name).is_some())
    };
    let metadata_type = types
        .iter()
        .find(has_all)
        .expect("the corpus has the type")
        .name();
    let measurements: Vec<Value> = document["measurements"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| json!({"name": name, "dtype": "int16", "nodata": -999, "units": "1"}))
        .collect();
    let product = json!({
        "name": name, "description": name, "metadata_type": metadata_type,
        "metadata": {"product": {"name": name}}, "measurements": measurements,
    });
    Product::from_document(product, &types.to_vec()).expect("a simple product")
}

#[test]
fn datasets_are_read_as_odc_reads_them() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let types = metadata_types(&folder);
    let rows = oracle(&folder, "postgres", "eo3-dataset");
    let mut differences = Vec::new();
    let mut n_taken = 0;
    for row in &rows {
        let document = document(&folder, row);
        let product = Arc::new(product_of(&folder, &types, row, &document));
        assert_eq!(
            match_product(&document, std::slice::from_ref(&product))
                .as_ref()
                .map(|p| p.name())
                .ok(),
            row["product"].as_str()
        );
        let found = Dataset::from_document(document, product, ["s3://bucket/scene/document.yaml"]);
        differences.extend(compare(
            row,
            &found.as_ref().map(|_| ()).map_err(Clone::clone),
        ));
        let Ok(dataset) = found else { continue };
        n_taken += 1;
        let wrong = dataset_facts(row, &dataset);
        differences.extend(
            wrong
                .into_iter()
                .map(|what| format!("{} {}: {what}", row["file"], row["id"])),
        );
        for name in dataset.product().measurements().keys() {
            let source = dataset
                .measurement_source(name)
                .unwrap_or_else(|error| panic!("{error}"));
            assert!(source.uri.contains("://"), "{source:?}");
            assert!(
                source.grid.is_some() || !dataset.warnings().is_empty(),
                "{source:?}"
            );
        }
    }
    eprintln!(
        "{} datasets: {n_taken} taken, {} refused for the same reason",
        rows.len(),
        rows.len() - n_taken
    );
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert_eq!((rows.len(), n_taken), (35, 34));
}

/// What the oracle says of a dataset, where it is not so here.
fn dataset_facts(row: &Value, dataset: &Dataset) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |what: &str, right: bool, ours: String, theirs: &Value| {
        if !right {
            wrong.push(format!("{what} is {ours}, and for the oracle {theirs}"));
        }
    };
    let number = |value: &Value| value.as_f64().expect("a number");
    let time =
        |value: &Value| -> Timestamp { value.as_str().expect("a time").parse().expect("a time") };
    check(
        "id",
        row["id"] == dataset.id().to_string(),
        dataset.id().to_string(),
        &row["id"],
    );
    let crs = datacube_geo::Crs::parse(row["crs"].as_str().expect("a CRS")).expect("a CRS");
    check(
        "crs",
        *dataset.crs() == crs,
        dataset.crs().to_string(),
        &row["crs"],
    );
    let (begin, end) = dataset.time_range();
    check(
        "time",
        (begin, end) == (time(&row["time"][0]), time(&row["time"][1])),
        format!("{begin} {end}"),
        &row["time"],
    );
    let center = dataset.center_time();
    check(
        "center_time",
        center == time(&row["center_time"]),
        center.to_string(),
        &row["center_time"],
    );

    let bounds = dataset.bounds();
    let bounds = [bounds.left, bounds.bottom, bounds.right, bounds.top];
    let near = |ours: &[f64], theirs: &Value, tolerance: f64| {
        ours.iter()
            .enumerate()
            .all(|(edge, ours)| (ours - number(&theirs[edge])).abs() <= tolerance)
    };
    // DIFFERENCE: of a sheared grid ODC takes two of the corners only.
    if dataset.default_grid().affine().is_axis_aligned() {
        check(
            "bounds",
            near(&bounds, &row["native_bounds"], 1e-6),
            format!("{bounds:?}"),
            &row["native_bounds"],
        );
    }
    let area = dataset.extent().area();
    let right = (area - number(&row["extent_area"])).abs() <= 1e-9 * area;
    check("extent area", right, area.to_string(), &row["extent_area"]);
    let kind = dataset.extent().to_geojson()["type"].clone();
    check(
        "extent type",
        kind == row["extent_type"],
        kind.to_string(),
        &row["extent_type"],
    );

    let search = &row["search"];
    let lonlat = dataset.lonlat_bounds().expect("on Earth");
    // DIFFERENCE: ODC projects the corners of the outline; here its edges are
    // densified, so that the range is a little wider and holds all of it.
    for (name, begin, end) in [
        ("lon", lonlat.left, lonlat.right),
        ("lat", lonlat.bottom, lonlat.top),
    ] {
        let text = search[name].as_str().expect("a range");
        let theirs = json!(
            text.split(['=', ',', ')'])
                .filter_map(|part| part.parse::<f64>().ok())
                .collect::<Vec<_>>()
        );
        let around = begin <= number(&theirs[0]) + 1e-9 && end >= number(&theirs[1]) - 1e-9;
        check(
            name,
            around && near(&[begin, end], &theirs, 0.05),
            format!("{begin} {end}"),
            &theirs,
        );
        let field = match dataset.field(name) {
            Some(FieldValue::NumberRange {
                begin: Some(begin),
                end: Some(end),
            }) => (begin.as_f64(), end.as_f64()),
            other => panic!("{name} is {other:?}"),
        };
        assert_eq!(field, (begin, end));
    }
    for (name, theirs) in search.as_object().expect("an object") {
        if matches!(name.as_str(), "lat" | "lon" | "time" | "label") {
            continue;
        }
        let ours = match dataset.field(name) {
            None => "None".to_owned(),
            Some(FieldValue::Text(text)) => text.clone(),
            Some(FieldValue::Number(number)) if number.is_nan() => "nan".to_owned(),
            Some(FieldValue::Number(number)) => format!("{:?}", number.as_f64()),
            Some(other) => format!("{other:?}"),
        };
        let theirs = theirs.as_str().expect("text");
        let same = match (ours.parse::<f64>(), theirs.parse::<f64>()) {
            (Ok(a), Ok(b)) if !a.is_nan() && name != "region_code" => a == b,
            _ => ours == theirs,
        };
        check(name, same, ours, &json!(theirs));
    }
    let label = dataset.label().unwrap_or("None");
    check(
        "label",
        search["label"] == label,
        label.to_owned(),
        &search["label"],
    );
    wrong
}

#[test]
fn products_of_one_file_are_told_apart_by_their_metadata() {
    let Some(goldens) = shared::data("goldens") else {
        return;
    };
    let folder = goldens.join("e2e_l8ny18/eo3");
    let product = read(&folder.join("product.yaml")).remove(0);
    let mut other = product.clone();
    other["name"] = json!("other");
    other["metadata"]["product"]["name"] = json!("other");
    let [product, other] = [product, other].map(|document| {
        Arc::new(Product::from_document(document, &MetadataType::eo3()).expect("valid"))
    });
    let mut n_datasets = 0;
    for path in files(&folder)
        .into_iter()
        .filter(|path| !path.ends_with("product.yaml"))
    {
        for document in read(&path) {
            let matched =
                match_product(&document, &[other.clone(), product.clone()]).expect("one matches");
            assert_eq!(matched.name(), product.name());
            let error =
                match_product(&document, std::slice::from_ref(&other)).expect_err("none matches");
            assert!(
                error
                    .to_string()
                    .contains("product.name is \"l8_c1_l1_ny18\" and not \"other\""),
                "{error}"
            );
            let uri = format!("file://{}", path.display());
            let dataset = Dataset::from_document(document, matched, [uri])
                .unwrap_or_else(|error| panic!("{error}"));
            assert!(
                dataset
                    .measurement_source("red")
                    .expect("there")
                    .uri
                    .starts_with("file:///")
            );
            n_datasets += 1;
        }
    }
    assert_eq!(n_datasets, 19);
}
