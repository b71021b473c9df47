//! Properties: STAC's names and EO3's, both ways.
//!
//! EO3 is older than STAC 1.0 and took some names from drafts of it. What
//! would not come back the same keeps its own name beside STAC's.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::dataset::parse_time;

/// STAC's name and EO3's.
///
/// # Source
/// datacube, `metadata/_utils.py` (`STAC_TO_EO3_RENAMES`).
const RENAMED: [(&str, &str); 11] = [
    ("end_datetime", "dtr:end_datetime"),
    ("start_datetime", "dtr:start_datetime"),
    ("gsd", "eo:gsd"),
    ("instruments", "eo:instrument"),
    ("platform", "eo:platform"),
    ("constellation", "eo:constellation"),
    ("view:off_nadir", "eo:off_nadir"),
    ("view:azimuth", "eo:azimuth"),
    ("view:sun_azimuth", "eo:sun_azimuth"),
    ("view:sun_elevation", "eo:sun_elevation"),
    ("created", "odc:processing_datetime"),
];

/// These are said elsewhere in an EO3 document.
fn is_elsewhere(key: &str) -> bool {
    key.starts_with("proj:")
        || matches!(
            key,
            "title" | "odc:lineage" | "odc:product_href" | "odc:grids"
        )
}

/// EO3's properties of an item.
///
/// `format` is what its files are, where the item does not say.
pub(super) fn to_eo3(properties: &Map<String, Value>, format: &str) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in properties.iter().filter(|(key, _)| !is_elsewhere(key)) {
        let renamed = RENAMED
            .iter()
            .find(|(stac, _)| stac == key)
            .map(|(_, eo3)| *eo3);
        // EO3's own name says it exactly.
        if renamed.is_some_and(|name| properties.contains_key(name)) {
            continue;
        }
        let value = if key == "instruments" {
            instrument(value)
        } else {
            value.clone()
        };
        out.insert(renamed.unwrap_or(key).to_owned(), value);
    }
    // An item of a period may have no nominal time; EO3 always has one.
    if out.get("datetime").is_none_or(Value::is_null) {
        let stand_in = ["dtr:start_datetime", "dtr:end_datetime"]
            .iter()
            .find_map(|key| out.get(*key).filter(|value| !value.is_null()))
            .cloned();
        if let Some(time) = stand_in {
            out.insert("datetime".to_owned(), time);
        }
    }
    if out
        .get("odc:processing_datetime")
        .is_none_or(Value::is_null)
        && let Some(time) = out.get("datetime").cloned()
    {
        out.insert("odc:processing_datetime".to_owned(), time);
    }
    if out.get("odc:file_format").is_none_or(Value::is_null) {
        out.insert("odc:file_format".to_owned(), json!(format));
    }
    out
}

/// `["oli", "tirs"]` is `OLI_TIRS`.
fn instrument(value: &Value) -> Value {
    match value {
        Value::Array(names) if names.is_empty() => Value::Null,
        Value::Array(names) => {
            let names: Vec<String> = names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_uppercase)
                .collect();
            json!(names.join("_"))
        }
        other => other.clone(),
    }
}

/// What ODC calls the format of files of a media type.
pub(super) fn file_format(media_type: Option<&str>) -> &'static str {
    let media_type = media_type.unwrap_or_default().to_ascii_lowercase();
    match media_type.split(';').next().unwrap_or_default().trim() {
        "image/jp2" => "JPEG2000",
        "application/x-netcdf" | "application/netcdf" => "NetCDF",
        "application/x-hdf5" | "application/hdf5" | "application/vnd.hdf5" => "HDF5",
        "application/x-hdf" | "application/hdf" | "application/vnd.hdf4" => "HDF4",
        "application/x-zarr"
        | "application/zarr"
        | "application/vnd+zarr"
        | "application/vnd.zarr" => "Zarr",
        _ => "GeoTIFF",
    }
}

/// STAC's properties of a dataset.
pub(super) fn to_stac(properties: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (key, value) in properties {
        let Some((stac, _)) = RENAMED.iter().find(|(_, eo3)| eo3 == key) else {
            let value = if key.ends_with("datetime") {
                time(value)
            } else {
                value.clone()
            };
            out.insert(key.clone(), value);
            continue;
        };
        let converted = match value {
            Value::String(text) if *stac == "instruments" => instruments(text),
            Value::Null => continue,
            value if stac.ends_with("datetime") || *stac == "created" => time(value),
            value => value.clone(),
        };
        let exact = *stac != "instruments" || instrument(&converted) == *value;
        if !exact {
            out.insert(key.clone(), value.clone());
        }
        if !out.contains_key(*stac) {
            out.insert((*stac).to_owned(), converted);
        }
    }
    out
}

/// `OLI_TIRS` is `["oli", "tirs"]`.
fn instruments(text: &str) -> Value {
    text.split('_')
        .map(|name| name.trim_matches(['+', '-']).to_lowercase())
        .collect()
}

/// A time as RFC 3339, where it is one.
pub(super) fn time(value: &Value) -> Value {
    let parsed: Option<Timestamp> = value.as_str().and_then(|text| parse_time(text).ok());
    parsed.map_or_else(|| value.clone(), |time| json!(time.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn names_change_and_come_back() {
        let eo3 = json!({
            "datetime": "2020-01-01 00:00:00Z", "dtr:start_datetime": "2020-01-01T00:00:00Z", "eo:platform": "landsat-7",
            "eo:instrument": "ETM+", "eo:sun_azimuth": 12.5, "odc:file_format": "GeoTIFF", "odc:region_code": "089080",
            "odc:processing_datetime": "2020-02-01T00:00:00Z",
        });
        let stac = json!({
            "datetime": "2020-01-01T00:00:00Z", "start_datetime": "2020-01-01T00:00:00Z", "platform": "landsat-7",
            "eo:instrument": "ETM+", "instruments": ["etm"], "view:sun_azimuth": 12.5, "odc:file_format": "GeoTIFF",
            "odc:region_code": "089080", "created": "2020-02-01T00:00:00Z",
        });
        assert_eq!(Value::Object(to_stac(&map(eo3.clone()))), stac);
        let mut back = to_eo3(&map(stac), "JPEG2000");
        back.insert("datetime".into(), json!("2020-01-01 00:00:00Z"));
        assert_eq!(Value::Object(back), eo3);
    }

    #[test]
    fn what_is_missing_is_filled_in() {
        let check = |stac: Value, expected: Value| {
            assert_eq!(Value::Object(to_eo3(&map(stac), "NetCDF")), expected)
        };
        check(
            json!({"datetime": null, "start_datetime": "a", "end_datetime": "b", "proj:code": "x", "title": "t", "instruments": ["oli", "tirs"]}),
            json!({"datetime": "a", "dtr:start_datetime": "a", "dtr:end_datetime": "b", "eo:instrument": "OLI_TIRS",
                   "odc:processing_datetime": "a", "odc:file_format": "NetCDF"}),
        );
    }
}
