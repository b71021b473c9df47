//! Products: what is taken, and what is said of those that are.

use std::collections::BTreeMap;

use datacube_model::Product;
use serde_json::{Value, json};

use crate::oracle::{compare, document, metadata_types, oracle};
use crate::shared;

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
    eprintln!(
        "{} products: {n_taken} taken, {} refused for the same reason",
        rows.len(),
        rows.len() - n_taken
    );
    for (warning, count) in &warnings {
        eprintln!("  {count:3} x {warning}");
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
