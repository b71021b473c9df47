//! Python's datacube on the same server, in the same run.

use std::path::PathBuf;
use std::process::Command;

use datacube_testkit::Cluster;
use serde_json::Value;

use super::{Figures, PRODUCT};

/// A product for the documents that `bench_index.py` makes.
const DEFINITION: &str = "\
name: ls8_c2l2
description: Landsat 8
metadata_type: eo3
metadata: {product: {name: ls8_c2l2}}
measurements:
- {name: red, dtype: uint16, nodata: 0, units: '1'}
- {name: nir08, dtype: uint16, nodata: 0, units: '1'}
- {name: qa_pixel, dtype: uint16, nodata: 1, units: bit_index}
";

fn script() -> Option<PathBuf> {
    let script = datacube_testkit::shared("")?
        .parent()?
        .join("peer/bench_index.py");
    script.exists().then_some(script)
}

/// Runs `bench_index.py`; `None`, saying why, where it cannot.
pub(crate) fn measure(n_datasets: u64, cluster: &Cluster) -> Option<Figures> {
    let Some(python) = std::env::var_os("DATACUBE_PYTHON") else {
        println!("\nno peer: set DATACUBE_PYTHON to a Python with datacube 1.9");
        return None;
    };
    let Some(script) = script() else {
        println!("\nno peer: there is no bench_index.py");
        return None;
    };
    println!("\n{n_datasets} datasets in PostGIS, by Python's datacube");
    let folder = tempfile::tempdir().expect("a folder");
    let (definition, results) = (
        folder.path().join("product.yaml"),
        folder.path().join("results.json"),
    );
    assert!(DEFINITION.contains(PRODUCT));
    std::fs::write(&definition, DEFINITION).expect("a file of ours");
    let done = Command::new(python)
        .arg(script)
        .args(["--db", "postgresql://postgres@/postgres"])
        .args(["--create", "bench_peer", "--n", &n_datasets.to_string()])
        .arg("--product-yaml")
        .arg(definition)
        .arg("--json")
        .arg(&results)
        .env("PGHOST", cluster.socket())
        .status()
        .is_ok_and(|status| status.success());
    if !done {
        println!("no peer: bench_index.py failed");
        return None;
    }
    let text = std::fs::read_to_string(results).expect("it wrote its results");
    let found: Value = serde_json::from_str(text.trim()).expect("JSON");
    let mut figures = Figures::new();
    let rates = &found["add"];
    for (ours, theirs) in [
        ("bulk_add", "bulk_add_only_per_s"),
        ("parse_and_add", "resolve_and_bulk_add_per_s"),
    ] {
        if let Some(rate) = rates[theirs].as_f64() {
            figures.insert(ours.to_owned(), rate);
        }
    }
    for (kind, times) in found["search"].as_object().into_iter().flatten() {
        if let Some(p50) = times["p50_ms"].as_f64() {
            figures.insert(kind.clone(), p50);
        }
    }
    Some(figures)
}

/// Prints how many times faster ours is.
pub(crate) fn compare(n_datasets: u64, theirs: &Figures, ours: &[(&str, Figures)]) {
    println!("\n{n_datasets} datasets: how many times faster than Python's datacube (medians)");
    for (kind, their) in theirs {
        print!("  {kind:<20}");
        for (name, figures) in ours {
            if let Some(our) = figures.get(kind) {
                // Rates against rates, times against times.
                let is_rate = kind.ends_with("add");
                let ratio = if is_rate { our / their } else { their / our };
                print!(" {ratio:>9.1} x {name}");
            }
        }
        println!();
    }
}
