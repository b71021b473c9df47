//! Real documents, one by one, against what datacube 1.9.20 did when it
//! indexed them through its legacy driver.

mod shared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_model::metadata_type::MetadataTypeLookup;
use datacube_model::{
    Dataset, DocumentErrors, FieldValue, MetadataType, Problem, ProblemKind, Product,
    match_product, parse_documents, to_json, to_yaml,
};
use jiff::Timestamp;
use serde_json::{Value, json};

/// What the oracle said of the documents of one kind.
fn oracle(folder: &Path, driver: &str, kind: &str) -> Vec<Value> {
    let rows = shared::json(&folder.join(format!("oracle_datacube-1.9.20_{driver}.json")));
    let of_kind = |row: &&Value| row["kind"] == kind;
    rows.as_array()
        .expect("a list")
        .iter()
        .filter(of_kind)
        .cloned()
        .collect()
}

fn read(path: &Path) -> Vec<Value> {
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

/// The document of an oracle row: the one of its file with its name or id.
fn document(folder: &Path, row: &Value) -> Value {
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
fn metadata_types(folder: &Path) -> Vec<MetadataType> {
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

fn has_problem(problems: &[Problem], error: &str) -> bool {
    let (kind, path) = expected_problem(error);
    problems
        .iter()
        .any(|problem| problem.kind == kind && problem.path.to_string().contains(path))
}

/// Compares acceptance, and the reason of a refusal; gives what differs.
fn compare(row: &Value, found: &Result<(), DocumentErrors>) -> Option<String> {
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

#[test]
fn metadata_types_are_taken_as_odc_takes_them() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let legacy = oracle(&folder, "postgres", "odc-metadata-type");
    let strict = oracle(&folder, "postgis", "odc-metadata-type");
    let mut differences = Vec::new();
    let (mut n_taken, mut n_eo3) = (0, 0);
    for (row, strict) in legacy.iter().zip(&strict) {
        assert_eq!(
            (&row["file"], &row["name"]),
            (&strict["file"], &strict["name"])
        );
        let found = MetadataType::from_document(document(&folder, row));
        differences.extend(compare(
            row,
            &found.as_ref().map(|_| ()).map_err(Clone::clone),
        ));
        let Ok(found) = found else { continue };
        n_taken += 1;
        // The oracle lists what the driver adds to every type as well.
        let listed: BTreeSet<&str> = row["search_fields"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let ours: BTreeSet<&str> = found.fields().keys().map(String::as_str).collect();
        let more: BTreeSet<&str> = listed.difference(&ours).copied().collect();
        assert!(
            ours.is_subset(&listed),
            "{}: {:?}",
            row["name"],
            ours.difference(&listed)
        );
        let native = [
            "creation_time",
            "indexed_by",
            "indexed_time",
            "metadata_doc",
            "metadata_type",
            "metadata_type_id",
            "product",
            "product_id",
            "uri",
            "id",
            "label",
            "format",
        ];
        assert!(
            more.iter().all(|name| native.contains(name)),
            "{}: {more:?}",
            row["name"]
        );
        // The PostGIS driver takes types of EO3 documents only.
        assert_eq!(
            found.is_eo3_compatible(),
            strict["ok"] == true,
            "{}: {:?}",
            row["name"],
            found.eo3_problems()
        );
        if let Some(error) = strict.get("error").and_then(Value::as_str) {
            assert!(
                has_problem(found.eo3_problems(), error),
                "{error}: {:?}",
                found.eo3_problems()
            );
        } else {
            n_eo3 += 1;
        }
    }
    println!(
        "{} metadata types: {n_taken} taken, {n_eo3} of EO3",
        legacy.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!((legacy.len(), n_taken, n_eo3), (19, 19, 9));
}

#[test]
fn products_are_taken_as_odc_takes_them() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let types = metadata_types(&folder);
    let rows = oracle(&folder, "postgres", "odc-product");
    let mut differences = Vec::new();
    let mut warnings: BTreeMap<String, usize> = BTreeMap::new();
    let mut n_taken = 0;
    for row in &rows {
        let found = Product::from_document(document(&folder, row), &types);
        differences.extend(compare(
            row,
            &found.as_ref().map(|_| ()).map_err(Clone::clone),
        ));
        let Ok(product) = found else { continue };
        n_taken += 1;
        for warning in product.warnings() {
            *warnings
                .entry(format!("{:?}: expected {}", warning.kind, warning.expected))
                .or_default() += 1;
        }
        differences.extend(facts(row, &product));
    }
    println!(
        "{} products: {n_taken} taken, {} refused for the same reason",
        rows.len(),
        rows.len() - n_taken
    );
    for (warning, count) in &warnings {
        println!("  {count:3} x {warning}");
    }
    assert!(
        differences.is_empty(),
        "{} differ:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert_eq!((rows.len(), n_taken), (265, 262));
}

/// What the oracle says of a product that it took, where it is not so here.
fn facts(row: &Value, product: &Product) -> Vec<String> {
    let mut differences = Vec::new();
    let mut check = |what: &str, ours: Value, theirs: &Value| {
        if ours != *theirs {
            differences.push(format!(
                "{} {what}: {ours}, and the oracle {theirs}",
                row["file"]
            ));
        }
    };
    let names: Vec<&str> = product.measurements().keys().map(String::as_str).collect();
    check("measurements", json!(names), &row["measurements"]);
    check(
        "metadata_type",
        json!(product.metadata_type().name()),
        &row["metadata_type"],
    );
    check(
        "is_eo3",
        json!(product.metadata_type().is_eo3_compatible()),
        &row["is_eo3"],
    );
    let hints = product.load_hints();
    let crs = row["default_crs"]
        .as_str()
        .map(|text| datacube_geo::Crs::parse(text).expect("ODC understood it"));
    check(
        "has a default_crs",
        json!(hints.is_some()),
        &json!(crs.is_some()),
    );
    if let (Some(hints), Some(crs)) = (hints, crs) {
        check("default_crs", json!(hints.crs), &json!(crs));
        check(
            "default_resolution",
            json!([hints.resolution.y, hints.resolution.x]),
            &row["default_resolution"],
        );
    }
    let spec = product.grid_spec().map(|spec| {
        let python = |value: f64| {
            if value.fract() == 0.0 {
                format!("{value:.1}")
            } else {
                value.to_string()
            }
        };
        let size = |x: f64, y: f64| format!("({}, {})", python(y), python(x));
        (
            spec.crs.to_string(),
            size(spec.tile_size.x, spec.tile_size.y),
            spec.resolution,
        )
    });
    check(
        "has a grid_spec",
        json!(spec.is_some()),
        &json!(!row["grid_spec"].is_null()),
    );
    if let (Some((crs, size, resolution)), Some(text)) = (spec, row["grid_spec"].as_str()) {
        let numbers: Vec<f64> = text
            .rsplit_once("resolution=(")
            .map(|(_, pair)| {
                pair.trim_end_matches(')')
                    .split(", ")
                    .filter_map(|part| part.parse().ok())
                    .collect()
            })
            .unwrap_or_default();
        let right = text.starts_with(&format!(
            "GridSpec(crs={crs}, tile_size={size}, resolution="
        )) && numbers == [resolution.y, resolution.x];
        check("grid_spec", json!(right), &json!(true));
    }
    differences
}

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
            match_product(&document, &[product.clone()])
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
    println!(
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
    println!("{n_datasets} datasets before EO3 and {n_configs} ingestion configurations refused");
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
    println!("{n_documents} documents print to themselves");
    assert!(n_documents > 900);
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
        .filter(|path| path.ends_with("product.yaml") == false)
    {
        for document in read(&path) {
            let matched =
                match_product(&document, &[other.clone(), product.clone()]).expect("one matches");
            assert_eq!(matched.name(), product.name());
            let error = match_product(&document, &[other.clone()]).expect_err("none matches");
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
