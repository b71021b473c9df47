//! Between an item and its row: properties beside the rest, the box as a
//! structure.

use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// Keys of an item that stay what they are; all other columns are properties.
pub(crate) const TOP: [&str; 9] = [
    "type",
    "stac_version",
    "stac_extensions",
    "id",
    "geometry",
    "bbox",
    "links",
    "assets",
    "collection",
];

/// The column of keys of the item itself that the specification does not name:
/// a property may have the same name.
const OWN: &str = "datacube:item";

/// The columns that hold times.
pub(crate) fn is_time(name: &str) -> bool {
    matches!(
        name,
        "datetime"
            | "start_datetime"
            | "end_datetime"
            | "created"
            | "updated"
            | "expires"
            | "published"
            | "unpublished"
    )
}

/// The row of an item, without its geometry.
pub(crate) fn of_item(item: &Value, number: usize) -> Result<Map<String, Value>> {
    let fail = |problem: String| Error::Item {
        item: item["id"]
            .as_str()
            .map_or_else(|| format!("number {number}"), str::to_owned),
        problem,
    };
    let (Some(map), Some(properties)) = (item.as_object(), item["properties"].as_object()) else {
        return Err(fail("it is no item: it has no `properties`".into()));
    };
    let (mut row, mut own) = (Map::new(), Map::new());
    for (key, value) in map {
        match key.as_str() {
            "properties" | "geometry" => {}
            "bbox" => {
                row.insert(
                    key.clone(),
                    bbox(value).ok_or_else(|| fail("bbox is no list of 4 or 6 numbers".into()))?,
                );
            }
            key if TOP.contains(&key) => {
                row.insert(key.to_owned(), value.clone());
            }
            key => {
                own.insert(key.to_owned(), value.clone());
            }
        }
    }
    if !own.is_empty() {
        row.insert(OWN.into(), Value::Object(own));
    }
    // Properties that have the name of a key of the item stay together.
    let mut hidden = Map::new();
    for (key, value) in properties {
        let taken = TOP.contains(&key.as_str()) || key == "properties" || row.contains_key(key);
        let place = if taken { &mut hidden } else { &mut row };
        place.insert(key.clone(), value.clone());
    }
    if !hidden.is_empty() {
        row.insert("properties".into(), Value::Object(hidden));
    }
    Ok(row)
}

fn bbox(value: &Value) -> Option<Value> {
    let numbers: Vec<f64> = value
        .as_array()?
        .iter()
        .map(Value::as_f64)
        .collect::<Option<_>>()?;
    match numbers.as_slice() {
        [xmin, ymin, xmax, ymax] => {
            Some(json!({"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}))
        }
        [xmin, ymin, zmin, xmax, ymax, zmax] => Some(
            json!({"xmin": xmin, "ymin": ymin, "zmin": zmin, "xmax": xmax, "ymax": ymax, "zmax": zmax}),
        ),
        _ => None,
    }
}

/// The item of a row and its geometry.
pub(crate) fn to_item(row: Map<String, Value>, geometry: Value) -> Value {
    let mut item = Map::new();
    let mut properties = Map::new();
    item.insert("type".into(), json!("Feature"));
    for (key, value) in row {
        match key.as_str() {
            "bbox" => {
                let edges = ["xmin", "ymin", "zmin", "xmax", "ymax", "zmax"];
                let numbers: Vec<Value> = edges
                    .iter()
                    .filter_map(|edge| value.get(*edge).cloned())
                    .collect();
                item.insert(key, Value::Array(numbers));
            }
            name if TOP.contains(&name) => {
                item.insert(key, value);
            }
            OWN => item.extend(value.as_object().cloned().unwrap_or_default()),
            "properties" => match value {
                Value::Object(hidden) => properties.extend(hidden),
                other => {
                    properties.insert(key, other);
                }
            },
            _ => {
                properties.insert(key, value);
            }
        }
    }
    // It has to be there, and is null where an item is of a period.
    properties.entry("datetime").or_insert(Value::Null);
    item.insert("geometry".into(), geometry);
    item.insert("properties".into(), Value::Object(properties));
    for (key, empty) in [("links", json!([])), ("assets", json!({}))] {
        item.entry(key).or_insert(empty);
    }
    Value::Object(item)
}
