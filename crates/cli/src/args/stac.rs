//! What `dataset add` asks of STAC APIs, and what it knows beyond their items.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

/// Options of STAC places.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "STAC")]
pub(crate) struct StacArgs {
    /// Ask STAC APIs for items that meet this box, in degrees
    #[arg(
        long,
        value_name = "WEST,SOUTH,EAST,NORTH",
        allow_hyphen_values = true,
        value_parser = bbox
    )]
    bbox: Option<Value>,
    /// Ask STAC APIs for items of a time or a range of times, such as 2020-01-01/2020-02-01 or 2020-01-01/..
    #[arg(long, value_name = "TIME")]
    datetime: Option<String>,
    /// Ask STAC APIs for items of these collections
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    collections: Vec<String>,
    /// Ask STAC APIs for items with these properties, in JSON: {"eo:cloud_cover": {"lt": 20}}
    #[arg(long, value_name = "JSON", value_parser = object)]
    query: Option<Value>,
    /// Read at most so many documents, of whatever kind and place
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// What STAC items leave out, by collection, as odc-stac's `stac_cfg` has it (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) stac_cfg: Option<PathBuf>,
}

impl StacArgs {
    /// What is asked of an API; empty for everything it has.
    pub(crate) fn search(&self) -> Map<String, Value> {
        let collections = (!self.collections.is_empty()).then(|| json!(self.collections));
        let asked = [
            ("bbox", self.bbox.clone()),
            ("datetime", self.datetime.clone().map(Value::from)),
            ("collections", collections),
            ("query", self.query.clone()),
        ];
        asked
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// Four numbers, or six with heights.
fn bbox(text: &str) -> Result<Value, String> {
    let numbers: Vec<f64> = text
        .split(',')
        .map(|number| number.trim().parse::<f64>().map_err(|e| e.to_string()))
        .collect::<Result<_, _>>()?;
    let n_axes = numbers.len() / 2;
    if !matches!(numbers.len(), 4 | 6) || numbers.iter().any(|number| !number.is_finite()) {
        return Err("expected WEST,SOUTH,EAST,NORTH, four numbers of degrees".to_owned());
    }
    // West of it may be east: over the antimeridian.
    if numbers[1] > numbers[n_axes + 1] {
        return Err(format!(
            "its south, {}, is north of its north, {}",
            numbers[1],
            numbers[n_axes + 1]
        ));
    }
    Ok(json!(numbers))
}

fn object(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("expected an object in JSON".to_owned()),
        Err(error) => Err(format!("expected an object in JSON: {error}")),
    }
}
