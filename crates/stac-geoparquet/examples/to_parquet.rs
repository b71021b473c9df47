//! Writes STAC items as GeoParquet: `to_parquet ITEMS.json TABLE.parquet`, where
//! ITEMS.json is a list of items or a collection of features.
//!
//! `crates/cli/tests/fixtures/items.parquet` was made so of `items.json` beside it.

use std::error::Error;
use std::fs::File;

use datacube_stac_geoparquet::write_items;
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        return Err("give a file of items and the name of a table".into());
    };
    let document: Value = serde_json::from_reader(File::open(from)?)?;
    let items = document["features"].as_array().or(document.as_array());
    let items = items.ok_or("neither a list of items nor a FeatureCollection")?;
    let n_items = write_items(items, File::create(to)?)?;
    eprintln!("{n_items} items written to {to}");
    Ok(())
}
