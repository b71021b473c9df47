//! Footprints where maps end: the antimeridian and the poles.

use datacube_model::stac::StacItem;
use datacube_testkit::shared;
use serde_json::{Value, json};

use crate::corpus::{convert, document, json_file};

/// West, south, east and north of the dataset of an item, and the side of its box.
fn bounds(item: Value) -> (f64, f64, f64, f64) {
    let item = StacItem::from_document(item).unwrap_or_else(|error| panic!("{error}"));
    let dataset = convert(&item, "s3://bucket/item.json").unwrap_or_else(|error| panic!("{error}"));
    let b = dataset.lonlat_bounds().expect("on Earth");
    (b.left, b.bottom, b.right, b.top)
}

fn item(geometry: Value, bbox: Value) -> Value {
    json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "x", "geometry": geometry, "bbox": bbox, "links": [],
        "properties": {"datetime": "2020-01-01T00:00:00Z"}, "assets": {},
    })
}

#[test]
fn a_scene_over_the_antimeridian_stays_small() {
    let check = |geometry: Value, bbox: Value| {
        let (left, bottom, right, top) = bounds(item(geometry.clone(), bbox));
        let found = [left, bottom, right, top];
        let expected = [179.0, -17.0, 182.0, -16.0];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{found:?} of {geometry}"
        );
    };
    // Cut, as RFC 7946 has it.
    check(
        json!({"type": "MultiPolygon", "coordinates": [
            [[[179, -17], [180, -17], [180, -16], [179, -16], [179, -17]]],
            [[[-180, -17], [-178, -17], [-178, -16], [-180, -16], [-180, -17]]],
        ]}),
        json!([179, -17, -178, -16]),
    );
    // On past 180 degrees.
    check(
        json!({"type": "Polygon", "coordinates": [[[179, -17], [182, -17], [182, -16], [179, -16], [179, -17]]]}),
        json!([179, -17, 182, -16]),
    );
    // With edges that jump, and the box of a careless program.
    for bbox in [json!([179, -17, -178, -16]), json!([-178, -17, 179, -16])] {
        check(
            json!({"type": "Polygon", "coordinates": [[[179, -17], [-178, -17], [-178, -16], [179, -16], [179, -17]]]}),
            bbox,
        );
    }
}

#[test]
fn what_spans_the_world_does_so() {
    let world = json!({"type": "Polygon", "coordinates": [[[-180, -60], [180, -60], [180, 80], [-180, 80], [-180, -60]]]});
    assert_eq!(
        bounds(item(world, json!([-180, -60, 180, 80]))),
        (-180.0, -60.0, 180.0, 80.0)
    );
}

#[test]
fn real_footprints_over_the_antimeridian_and_around_poles() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let special = json_file(&folder.join("special_geometry.json"));
    let mut n = 0;
    for kind in ["antimeridian", "polar"] {
        for file in special[kind].as_array().expect("a list") {
            let file = file.as_str().expect("a path");
            let Ok(item) = StacItem::from_document(document(&folder, file, "")) else {
                continue;
            };
            let Ok(dataset) = convert(&item, "s3://bucket/item.json") else {
                panic!(
                    "{file} is not converted: {}",
                    convert(&item, "x").unwrap_err()
                );
            };
            let b = dataset.lonlat_bounds().expect("on Earth");
            n += 1;
            if file.contains("LT05_L2SR_087017") {
                // A Landsat scene, whose peers' bounds go around the world.
                assert!(
                    b.span_x() < 6.0 && b.left < 180.0 && b.right > 180.0,
                    "{b:?}"
                );
                let extent = dataset.extent().bounding_box().expect("an area");
                assert!(extent.span_x() < 300_000.0, "{extent:?}");
            }
            if file.contains("stac_netcdf") {
                assert!((b.span_x() - 340.0).abs() < 0.1, "{file}: {b:?}");
            }
            assert!(
                b.bottom >= -90.0 && b.top <= 90.0 && b.span_x() <= 360.0,
                "{file}: {b:?}"
            );
        }
    }
    assert!(n > 25, "{n}");
}

#[test]
fn a_transform_in_the_order_of_gdal_is_understood() {
    let asset = |transform: Value| {
        let mut document = item(Value::Null, json!([0, 0, 1, 1]));
        document["properties"]["proj:epsg"] = json!(32618);
        document["assets"] = json!({"red": {
            "href": "red.tif", "type": "image/tiff", "proj:shape": [10, 20], "proj:transform": transform,
        }});
        let item = StacItem::from_document(document).expect("an item");
        let bands = item.bands(&Default::default()).expect("bands");
        let grid = bands.values().next().and_then(|band| band.grid.clone());
        let t = *grid.expect("a grid").affine();
        [t.a, t.b, t.c, t.d, t.e, t.f]
    };
    let right = [30.0, 0.0, 258_885.0, 0.0, -30.0, 4_584_315.0];
    assert_eq!(asset(json!(right)), right);
    let gdal = json!([258_885.0, 30.0, 0.0, 4_584_315.0, 0.0, -30.0]);
    assert_eq!(asset(gdal), right);
    // A quarter turn is a grid of its own.
    let turned = [0.0, 30.0, 258_885.0, 30.0, 0.0, 4_584_315.0];
    assert_eq!(asset(json!(turned)), turned);
}
