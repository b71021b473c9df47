//! Rules of dataset documents, one edit of a valid document at a time.

use serde_json::json;

use super::*;
use crate::MetadataType;

fn product() -> Arc<Product> {
    let document = json!({
        "name": "ls8", "description": "Landsat 8", "metadata_type": "eo3",
        "metadata": {"product": {"name": "ls8"}},
        "measurements": [
            {"name": "red", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["band_4"]},
            {"name": "pan", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["wide"]},
            {"name": "nir", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["wide"]},
        ],
    });
    Arc::new(Product::from_document(document, &MetadataType::eo3()).expect("valid"))
}

fn document() -> Value {
    json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": "944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc",
        "label": "scene",
        "product": {"name": "ls8"},
        "crs": "EPSG:32660",
        "grids": {
            "default": {"shape": [100, 200], "transform": [30, 0, 400_000, 0, -30, 5_000_000]},
            "pan": {"shape": [200, 400], "transform": [15, 0, 400_000, 0, -15, 5_000_000, 0, 0, 1]},
        },
        "measurements": {
            "red": {"path": "red.tif"},
            "pan": {"path": "s3://bucket/pan.tif", "grid": "pan", "band": 2},
            "nir": {"path": "../all.nc", "layer": "nir", "band": 3},
        },
        "properties": {
            "datetime": "2020-01-01T10:00:00Z",
            "dtr:start_datetime": "2020-01-01T09:59:59.000001Z",
            "dtr:end_datetime": "2020-01-01T10:00:01.000004Z",
            "eo:platform": "landsat-8", "eo:cloud_cover": 12.5, "odc:region_code": 89080,
            "odc:file_format": "GeoTIFF",
        },
        "lineage": {"level1": ["1505d39c-9a51-50cf-a5e1-53e0908fb691"]},
    })
}

fn read(document: Value) -> Result<Dataset, DocumentErrors> {
    Dataset::from_document(
        document,
        product(),
        [
            "file:///data/scene/doc.yaml#part=1",
            "s3://copy/scene/doc.yaml",
        ],
    )
}

fn dataset() -> Dataset {
    read(document()).expect("valid")
}

#[test]
fn everything_is_read() {
    let dataset = dataset();
    assert_eq!(
        dataset.id().to_string(),
        "944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc"
    );
    assert_eq!(dataset.document(), &document());
    assert_eq!(dataset.label(), Some("scene"));
    assert_eq!(dataset.format(), Some("GeoTIFF"));
    assert_eq!(dataset.crs().epsg(), Some(32660));
    let bounds = dataset.bounds();
    assert_eq!(
        (bounds.left, bounds.bottom, bounds.right, bounds.top),
        (400_000.0, 4_997_000.0, 406_000.0, 5_000_000.0)
    );
    assert!((dataset.extent().area() - 6000.0 * 3000.0).abs() < 1e-6);
    assert_eq!(
        dataset.center_time().to_string(),
        "2020-01-01T10:00:00.000002Z"
    );
    assert_eq!(
        dataset.field("platform"),
        Some(&FieldValue::Text("landsat-8".into()))
    );
    assert_eq!(
        dataset.field("cloud_cover"),
        Some(&FieldValue::Number(crate::Number::Float(12.5)))
    );
    assert_eq!(
        dataset.field("region_code"),
        Some(&FieldValue::Text("89080".into()))
    );
    assert_eq!(dataset.field("instrument"), None);
    assert!(matches!(
        dataset.field("lon"),
        Some(FieldValue::NumberRange { begin: Some(begin), end: Some(end) })
            if begin.as_f64() > 175.0 && begin.as_f64() < end.as_f64() && end.as_f64() < 176.0
    ));
    let (begin, end) = dataset.time_range();
    assert_eq!(
        dataset.field("time"),
        Some(&FieldValue::TimeRange {
            begin: Some(begin),
            end: Some(end)
        })
    );
    assert_eq!(dataset.lineage().iter().count(), 1);
    assert_eq!(
        dataset.to_string(),
        "Dataset <id=944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc product=ls8 location=file:///data/scene/doc.yaml#part=1>"
    );
}

#[test]
fn sources_are_found_by_name_and_alias() {
    let dataset = dataset();
    let red = dataset.measurement_source("band_4").expect("alias of red");
    assert_eq!(red.uri, "file:///data/scene/red.tif");
    assert_eq!(red.alternatives, ["s3://copy/scene/red.tif"]);
    assert_eq!(
        (red.band, &red.layer, red.grid.as_ref()),
        (None, &None, Some(dataset.default_grid()))
    );
    let pan = dataset.measurement_source("pan").expect("there");
    assert_eq!(
        (pan.uri.as_str(), pan.band),
        ("s3://bucket/pan.tif", Some(2))
    );
    assert!(pan.alternatives.is_empty());
    assert_eq!(pan.grid.as_ref(), dataset.grids().get("pan"));
    let nir = dataset.measurement_source("nir").expect("there");
    assert_eq!(
        (nir.uri.as_str(), nir.band, nir.layer.as_deref()),
        ("file:///data/all.nc", Some(3), Some("nir"))
    );
    let error = dataset.measurement_source("rad").expect_err("unknown");
    assert!(error.to_string().contains("did you mean `red`"), "{error}");
    assert!(matches!(
        dataset.measurement_source("wide"),
        Err(Error::AmbiguousMeasurement { .. })
    ));
}

#[test]
fn locations_are_active_or_archived() {
    let now = Timestamp::UNIX_EPOCH;
    let dataset = dataset();
    let first = dataset.locations()[0].clone().archived_at(now);
    let moved = dataset
        .clone()
        .with_locations([first.clone(), dataset.locations()[1].clone()]);
    assert_eq!(moved.uri(), Some("s3://copy/scene/doc.yaml"));
    assert_eq!(
        moved.measurement_source("red").expect("the copy").uri,
        "s3://copy/scene/red.tif"
    );
    let gone = dataset.clone().with_locations([first]);
    let error = gone.measurement_source("red").expect_err("nowhere");
    assert!(error.to_string().contains("no active location"), "{error}");
    assert_eq!(
        gone.measurement_source("pan")
            .expect("a uri of its own")
            .uri,
        "s3://bucket/pan.tif"
    );
    let mut own = document();
    own["location"] = json!("/data/x y.yaml");
    let own = Dataset::from_document(own, product(), Vec::<Location>::new()).expect("valid");
    assert_eq!(own.uri(), Some("file:///data/x%20y.yaml"));
}

#[test]
fn state_lies_beside_the_document() {
    let dataset = dataset();
    assert!(!dataset.is_archived() && dataset.indexed().is_none());
    let archived = dataset
        .clone()
        .with_archived(Some(Timestamp::UNIX_EPOCH))
        .with_indexed(Some(Timestamp::UNIX_EPOCH));
    assert!(archived.is_archived());
    assert_ne!(archived, dataset);
    assert_eq!(archived.with_archived(None).with_indexed(None), dataset);
}

#[test]
fn datasets_over_the_antimeridian_stay_in_one_piece() {
    let mut over = document();
    over["grids"]["default"]["transform"] = json!([3000, 0, 600_000, 0, -3000, -1_600_000]);
    over["grids"].as_object_mut().expect("object").remove("pan");
    over["measurements"]["pan"]
        .as_object_mut()
        .expect("object")
        .remove("grid");
    let over = read(over).expect("valid");
    let bounds = over.lonlat_bounds().expect("on Earth");
    assert!(
        bounds.left > 177.0 && bounds.right > 183.0 && bounds.right < 184.0,
        "{bounds:?}"
    );
    let middle = over.mid_longitude().expect("on Earth");
    assert!(
        (middle - (bounds.left + bounds.right) / 2.0 + 360.0).abs() < 1e-9,
        "{middle}"
    );
}

#[test]
fn geometry_goes_before_the_grid() {
    let mut with = document();
    with["geometry"] = json!({"type": "Polygon", "coordinates": [[[400_000, 4_999_000], [401_000, 4_999_000], [400_000, 5_000_000], [400_000, 4_999_000]]]});
    let with = read(with).expect("valid");
    assert!((with.extent().area() - 500_000.0).abs() < 1e-6);
    assert!(
        with.lonlat_bounds().expect("on Earth").right
            < dataset().lonlat_bounds().expect("on Earth").right
    );
    let mut none = document();
    none["geometry"] = Value::Null;
    assert!((read(none).expect("valid").extent().area() - 18e6).abs() < 1e-6);
}

/// Applies an edit to the valid document and compares the paths of what is wrong then.
fn check(edit: impl FnOnce(&mut Value), expected: &[&str]) {
    let mut edited = document();
    edit(&mut edited);
    let found: Vec<String> = match read(edited) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .problems()
            .iter()
            .map(|problem| problem.path.to_string())
            .collect(),
    };
    assert_eq!(found, expected);
}

fn remove(document: &mut Value, path: &str) {
    let (parent, key) = path.rsplit_once('/').expect("a pointer");
    document
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("an object")
        .remove(key);
}

#[test]
fn what_is_missing_is_named() {
    for key in ["id", "crs", "grids", "measurements", "properties"] {
        let more: &[&str] = match key {
            "properties" => &["properties", "properties.datetime"],
            _ => &[key],
        };
        check(|document| remove(document, &format!("/{key}")), more);
    }
    check(|document| remove(document, "/$schema"), &["$schema"]);
    check(
        |document| remove(document, "/grids/default"),
        &["grids.default"],
    );
    check(
        |document| remove(document, "/grids/pan/shape"),
        &["grids.pan.shape"],
    );
    check(
        |document| remove(document, "/measurements/red"),
        &["measurements.red"],
    );
    check(
        |document| remove(document, "/measurements/red/path"),
        &["measurements.red.path"],
    );
    check(|document| remove(document, "/properties/datetime"), &[]);
    check(
        |document| document["properties"] = json!({}),
        &["properties.datetime"],
    );
}

#[test]
fn what_cannot_be_is_named() {
    let set = |pointer: &'static str, value: Value| {
        move |document: &mut Value| *document.pointer_mut(pointer).expect("there") = value
    };
    check(set("/$schema", json!("https://example.org")), &["$schema"]);
    check(set("/id", json!("944b3a38")), &["id"]);
    check(set("/id", json!(7)), &["id"]);
    check(set("/crs", json!("EPSG:99999")), &["crs"]);
    check(
        set("/grids/default/shape", json!([0, 100])),
        &["grids.default.shape[0]"],
    );
    check(
        set("/grids/default/shape", json!([100, -1])),
        &["grids.default.shape[1]"],
    );
    check(
        set("/grids/default/shape", json!([100])),
        &["grids.default.shape"],
    );
    check(set("/grids/default/shape", json!([100.0, 200.0])), &[]);
    check(
        set("/grids/pan/transform", json!([15, 0, 0, 30, 0, 0])),
        &["grids.pan.transform"],
    );
    check(
        set("/grids/pan/transform", json!([15, 0, 0, 0, -15])),
        &["grids.pan.transform"],
    );
    check(
        set(
            "/grids/pan/transform",
            json!([15, 0, 0, 0, -15, 0, 0, 0, 2]),
        ),
        &["grids.pan.transform"],
    );
    check(
        set("/grids/pan/transform", json!([15, 0, "x", 0, -15, 0])),
        &["grids.pan.transform[2]"],
    );
    check(
        set("/measurements/pan/band", json!(0)),
        &["measurements.pan.band"],
    );
    check(
        set("/measurements/nir/layer", json!(3)),
        &["measurements.nir.layer"],
    );
    check(
        set("/measurements/nir", json!("nir.tif")),
        &["measurements.nir"],
    );
    check(
        set("/properties/dtr:end_datetime", json!("2019-12-31")),
        &["properties.dtr:end_datetime"],
    );
    check(
        set("/properties/datetime", json!("today")),
        &["properties.datetime"],
    );
    check(
        set("/properties/eo:cloud_cover", json!("few")),
        &["properties.eo:cloud_cover"],
    );
    check(
        set("/lineage/level1", json!([{"id": "x"}])),
        &["lineage.level1"],
    );
    check(set("/lineage/level1", json!(["x"])), &["lineage.level1[0]"]);
    let geometry = |value: Value| move |document: &mut Value| document["geometry"] = value;
    check(
        geometry(json!({"type": "Point", "coordinates": [0, 0]})),
        &["geometry.type"],
    );
    check(
        geometry(json!({"type": "Polygon", "coordinates": [[0, 0]]})),
        &["geometry.coordinates[0][0]"],
    );
    check(
        geometry(json!({"type": "Polygon", "coordinates": [[[0, 0], [1], [1, 1]]]})),
        &["geometry.coordinates[0][1]"],
    );
    check(
        geometry(json!({"type": "MultiPolygon", "coordinates": []})),
        &["geometry"],
    );
    check(
        geometry(json!({"type": "Polygon"})),
        &["geometry.coordinates"],
    );
    check(|document| document["location"] = json!(3), &["location"]);
    check(
        |document| {
            document["id"] = json!("x");
            document["crs"] = json!("EPSG:99999");
            document["measurements"]["red"] = json!({});
        },
        &["id", "crs", "measurements.red.path"],
    );
}

#[test]
fn grids_that_are_not_there_are_a_warning() {
    let mut document = document();
    document["measurements"]["pan"]["grid"] = json!("pam");
    let dataset = read(document).expect("taken, as ODC takes it");
    assert_eq!(
        dataset.warnings()[0].to_string(),
        "measurements.pan.grid: expected one of the `grids` (default, pan), found \"pam\"; did you mean `pan`?"
    );
    assert_eq!(dataset.measurement_source("pan").expect("there").grid, None);
}

#[test]
fn causes_are_carried() {
    let mut document = document();
    document["crs"] = json!("EPSG:99999");
    let errors = read(document).expect_err("no such CRS");
    let cause = errors.problems()[0]
        .cause
        .as_ref()
        .expect("from the geodesy");
    assert!(cause.downcast_ref::<datacube_geo::Error>().is_some());
    assert!(std::error::Error::source(&errors).is_some());
}

#[test]
fn other_documents_are_told_by_name() {
    let legacy =
        json!({"id": "944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc", "extent": {}, "image": {"bands": {}}});
    let error = read(legacy).expect_err("EO1").to_string();
    assert!(
        error.contains("in a layout before EO3; convert it to EO3"),
        "{error}"
    );
    let error = read(product().document().clone())
        .expect_err("a product")
        .to_string();
    assert!(error.contains("found a product definition"), "{error}");
    assert!(read(json!([])).is_err());
}

#[test]
fn the_type_has_to_be_of_eo3() {
    let mut document = product().document().clone();
    document["metadata_type"] = json!("eo");
    let product = Product::from_document(document, &MetadataType::eo()).expect("valid");
    let error = Dataset::from_document(super::tests::document(), Arc::new(product), ["x.yaml"])
        .expect_err("eo");
    assert!(
        error.to_string().contains("`eo` of product `ls8` is not"),
        "{error}"
    );
}

#[test]
fn products_grow_after_datasets_are_indexed() {
    let mut grown = product().document().clone();
    let band = json!({"name": "later", "dtype": "uint8", "nodata": 0, "units": "1"});
    let list = grown["measurements"].as_array_mut().expect("a list");
    list.push(band);
    let grown = Arc::new(Product::from_document(grown, &MetadataType::builtin()).expect("valid"));
    let new = Dataset::from_document(document(), Arc::clone(&grown), ["x.yaml"]);
    assert!(new.is_err(), "a new dataset has all of them");
    let indexed = Dataset::from_indexed(document(), grown, Vec::new()).expect("it was right");
    assert_eq!(indexed.warnings().len(), dataset().warnings().len() + 1);
    assert!(indexed.measurement_source("later").is_err());
    assert!(indexed.locations().is_empty());
}
