//! Datasets made of items, against datacube 1.9.22 with odc-stac 0.5.3.

use datacube_geo::{Crs, Geometry};
use datacube_model::stac::{StacConfig, StacItem};
use datacube_testkit::shared;
use serde_json::{Value, json};

use crate::corpus::{convert, document, json_file, text};

#[test]
fn datasets_are_those_that_datacube_makes() {
    let Some(folder) = shared("metadata") else {
        return;
    };
    let rows = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/stac/peers.json"
    );
    let rows = json_file(std::path::Path::new(rows));
    let mut wrong = Vec::new();
    let (mut n_same, mut n_refused_by_them) = (0, 0);
    for row in rows.as_array().expect("a list") {
        let item = document(&folder, text(row, "file"), text(row, "id"));
        let item = StacItem::from_document(item).unwrap_or_else(|error| panic!("{error}"));
        let dataset = convert(&item, "s3://bucket/item.json");
        if !row["error"].is_null() {
            n_refused_by_them += 1;
            let nowhere = text(row, "error").contains("without footprint");
            let file = text(row, "file");
            assert!(dataset.is_ok() || nowhere, "{file}: {dataset:?}");
            continue;
        }
        let dataset = dataset.unwrap_or_else(|error| panic!("{}: {error}", text(row, "file")));
        let before = wrong.len();
        let mut check = |what: &str, same: bool, ours: Value, theirs: &Value| {
            if !same {
                wrong.push(format!(
                    "{} {}: {what} is {ours}, theirs {theirs}",
                    text(row, "file"),
                    row["id"]
                ));
            }
        };
        check(
            "id",
            row["uuid"] == dataset.id().to_string(),
            json!(dataset.id()),
            &row["uuid"],
        );
        let ours = dataset.document();
        check(
            "label",
            ours["label"] == row["label"],
            ours["label"].clone(),
            &row["label"],
        );
        // An item without grids gets a box in its own CRS here, and one in degrees there.
        let has_grids = item
            .bands(&StacConfig::default())
            .is_ok_and(|bands| bands.values().any(|band| band.grid.is_some()));
        if has_grids {
            let crs = Crs::parse(text(row, "crs")).expect("a CRS");
            check(
                "crs",
                *dataset.crs() == crs,
                ours["crs"].clone(),
                &row["crs"],
            );
            // One row is a footprint of theirs: ours has the grid of `proj:bbox` and `proj:shape`.
            if row["default"]["shape"] != json!([1, 1]) && !row["default"].is_null() {
                // One transform is in the order of GDAL, which is understood here.
                let t = &row["default"]["transform"];
                let in_gdal_order = json!([t[1], t[2], t[0], t[4], t[5], t[3]]);
                let same = near(&ours["grids"]["default"], &row["default"])
                    || ours["grids"]["default"]["transform"] == in_gdal_order;
                check(
                    "default grid",
                    same,
                    ours["grids"]["default"].clone(),
                    &row["default"],
                );
            }
            let geometry = Geometry::from_geojson(&ours["geometry"], None)
                .ok()
                .and_then(|geometry| geometry.bounding_box());
            if let (Some(b), false) = (geometry, row["box"].is_null()) {
                // What the item says of its own CRS goes before degrees; and
                // long edges are curves, which theirs are not.
                let own = item.properties().contains_key("proj:geometry");
                let tolerance = b.span_x().max(b.span_y()) * 2e-3;
                let ours = [b.left, b.bottom, b.right, b.top];
                let their = |edge: usize| row["box"][edge].as_f64().expect("a number");
                let near = (0..4).all(|edge| (their(edge) - ours[edge]).abs() < tolerance);
                let around = (0..2).all(|edge| ours[edge] <= their(edge) + tolerance)
                    && (2..4).all(|edge| ours[edge] >= their(edge) - tolerance);
                let lonlat = dataset.lonlat_bounds().expect("on Earth");
                let same = near || own || (around && lonlat.span_x() > 10.0);
                check("box", same, json!(ours), &row["box"]);
            }
        }
        for (name, value) in row["properties"].as_object().expect("an object") {
            let format = name == "odc:file_format" && value == "GeoTIFF";
            check(
                name,
                format || ours["properties"].get(name).unwrap_or(&Value::Null) == value,
                ours["properties"][name].clone(),
                value,
            );
        }
        for (name, aliases) in row["aliases"].as_object().expect("an object") {
            let Some(measurement) = dataset.product().measurements().get(name) else {
                continue;
            };
            let missing: Vec<&Value> = aliases
                .as_array()
                .expect("a list")
                .iter()
                .filter(|alias| {
                    !measurement.aliases.iter().any(|own| alias == &own)
                        && dataset
                            .product()
                            .measurement(alias.as_str().unwrap_or_default())
                            .is_err()
                })
                .collect();
            check(
                "aliases",
                missing.is_empty(),
                json!(measurement.aliases),
                aliases,
            );
        }
        n_same += usize::from(wrong.len() == before);
    }
    eprintln!("{n_same} datasets as datacube's, {n_refused_by_them} that it refuses");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Equal but for the last digits of numbers.
fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| near(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| near(a, b)))
        }
        _ => {
            a == b
                || a.as_f64()
                    .zip(b.as_f64())
                    .is_some_and(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(1.0))
        }
    }
}
