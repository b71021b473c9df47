//! What the attributes of an array mean: CF, as xarray and rioxarray write it,
//! GeoZarr, and the `proj:` attributes of STAC.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datacube_geo::{Affine, Crs};
use datacube_model::{DType, Number};
use serde_json::{Map, Value};

use super::documents::ArrayDocument;

type Attrs = Map<String, Value>;

/// Steps between coordinates may differ so much, in steps.
const TOLERANCE: f64 = 1e-2;

/// Whether a dimension of this name goes across.
pub(super) fn is_x(dim: &str) -> bool {
    matches!(
        dim.to_ascii_lowercase().as_str(),
        "x" | "lon" | "longitude" | "easting"
    )
}

/// Whether a dimension of this name goes down.
pub(super) fn is_y(dim: &str) -> bool {
    matches!(
        dim.to_ascii_lowercase().as_str(),
        "y" | "lat" | "latitude" | "northing"
    )
}

/// A number, also one that is written as text.
pub(super) fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => match text.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.trim().parse().ok(),
        },
        Value::Array(values) => values.first().and_then(number_of),
        other => other.as_f64(),
    }
}

/// The variable that describes the grid.
pub(super) fn grid_mapping(attrs: &Attrs) -> Option<String> {
    let text = attrs.get("grid_mapping")?.as_str()?;
    // `crs: x y` names the coordinates, too.
    let name = text.split([':', ' ']).next()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The value that marks missing pixels, `None` where none does or no pixel of
/// this type can have it.
///
/// `_FillValue` and `missing_value` of CF come before the array's own fill value,
/// which means missing in version 2 only, as xarray has it.
pub(super) fn nodata(document: &ArrayDocument, dtype: DType) -> Option<Number> {
    let attrs = &document.attrs;
    let stated = ["_FillValue", "missing_value", "nodata"]
        .iter()
        .find_map(|name| attrs.get(*name));
    let stated = match stated {
        None if document.is_version_2() => document.metadata.get("fill_value"),
        stated => stated,
    };
    let number = match stated? {
        Value::Number(number) if number.is_i64() => Number::Int(number.as_i64()?.into()),
        Value::Number(number) if number.is_u64() => Number::Int(number.as_u64()?.into()),
        Value::String(text) => {
            Number::Float(number_of(&Value::String(text.clone())).or_else(|| {
                // Version 3 has floats of attributes as their bytes.
                let bytes = STANDARD.decode(text).ok()?;
                Some(f64::from_le_bytes(bytes.try_into().ok()?))
            })?)
        }
        other => Number::Float(number_of(other)?),
    };
    let number = match (number, dtype.is_float()) {
        (Number::Int(_), true) => Number::Float(number.as_f64()),
        #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        (Number::Float(value), false) if value.fract() == 0.0 && value.abs() < 9e15 => {
            Number::Int(value as i128)
        }
        (number, _) => number,
    };
    number.fits(dtype).then_some(number)
}

/// The coordinate system, by the first of `sources` that states one: the grid
/// mapping, the array, the root.
///
/// # Errors
/// What is wrong with the one that is stated.
pub(super) fn crs(sources: &[&Attrs], y: &str, x: &str) -> Result<Option<Crs>, String> {
    let parse = |text: &str| {
        Crs::parse(text)
            .map(Some)
            .map_err(|error| error.to_string())
    };
    for attrs in sources {
        for name in ["crs_wkt", "spatial_ref", "proj:wkt2", "proj:code"] {
            if let Some(text) = attrs.get(name).and_then(Value::as_str) {
                return parse(text);
            }
        }
        // GDAL's own attribute holds one of several.
        for name in ["proj:projjson", "_CRS"] {
            match attrs.get(name) {
                Some(Value::Object(inner)) => {
                    let text = inner.get("wkt").and_then(Value::as_str);
                    let json = inner.get("projjson").map(ToString::to_string);
                    return match (text, json) {
                        (Some(text), _) => parse(text),
                        (None, Some(json)) => parse(&json),
                        (None, None) => parse(&Value::Object(inner.clone()).to_string()),
                    };
                }
                Some(Value::String(text)) => return parse(text),
                _ => {}
            }
        }
        for name in ["proj:epsg", "epsg_code", "epsg"] {
            match attrs.get(name) {
                Some(Value::String(text)) => return parse(text),
                Some(code) if code.is_u64() => return parse(&format!("EPSG:{code}")),
                _ => {}
            }
        }
        match attrs.get("grid_mapping_name").and_then(Value::as_str) {
            Some("latitude_longitude") | None => {}
            Some(name) => {
                return Err(format!(
                    "it is described by the parameters of `{name}` only; write `crs_wkt`, too"
                ));
            }
        }
    }
    // Degrees without a word about their datum are those of GPS, as odc-geo has it.
    match is_y(y) && is_x(x) && y.to_ascii_lowercase().starts_with("lat") {
        true => parse("EPSG:4326"),
        false => Ok(None),
    }
}

/// The affine that an attribute states: GDAL's six numbers, or STAC's.
pub(super) fn geotransform(sources: &[&Attrs]) -> Option<Affine> {
    for attrs in sources {
        if let Some(text) = attrs.get("GeoTransform").and_then(Value::as_str) {
            let values: Vec<f64> = text
                .split_whitespace()
                .filter_map(|value| value.parse().ok())
                .collect();
            if let [c, a, b, f, d, e] = values[..] {
                return Some(Affine { a, b, c, d, e, f });
            }
        }
        if let Some(values) = attrs.get("proj:transform").and_then(Value::as_array) {
            let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
            if let [a, b, c, d, e, f, ..] = values[..] {
                return Some(Affine { a, b, c, d, e, f });
            }
        }
    }
    None
}

/// The outer edge of the first pixel, and the step, of even coordinates of pixel
/// centres.
///
/// # Errors
/// Why they are no grid.
pub(super) fn edge_and_step(dim: &str, values: &[f64]) -> Result<(f64, f64), String> {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return Err(format!("coordinate `{dim}` is empty"));
    };
    if values.len() == 1 {
        return Err(format!(
            "coordinate `{dim}` has one value, from which no resolution follows; write \
             `GeoTransform`, too"
        ));
    }
    #[allow(clippy::cast_precision_loss, reason = "sides are below 2^31")]
    let step = (last - first) / (values.len() - 1) as f64;
    #[allow(clippy::cast_precision_loss, reason = "sides are below 2^31")]
    let is_even = values
        .iter()
        .enumerate()
        .all(|(at, value)| (first + at as f64 * step - value).abs() <= TOLERANCE * step.abs());
    if !is_even {
        return Err(format!("coordinate `{dim}` is not evenly spaced"));
    }
    Ok((first - step / 2.0, step))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn even_coordinates_make_a_grid() {
        assert_eq!(edge_and_step("x", &[15.0, 45.0, 75.0]), Ok((0.0, 30.0)));
        assert_eq!(edge_and_step("y", &[75.0, 45.0, 15.0]), Ok((90.0, -30.0)));
        for (values, part) in [
            (&[][..], "is empty"),
            (&[1.0], "has one value"),
            (&[1.0, 2.0, 4.0], "not evenly spaced"),
            (&[1.0, f64::NAN, 3.0], "not evenly spaced"),
        ] {
            let problem = edge_and_step("x", values).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn systems_are_found_wherever_they_are_written() {
        let check = |attrs: Value, dims: (&str, &str), epsg: Option<u32>| {
            let attrs = attrs.as_object().unwrap().clone();
            let found = crs(&[&attrs], dims.0, dims.1).unwrap();
            assert_eq!(found.and_then(|crs| crs.epsg()), epsg, "{attrs:?}");
        };
        let crs_of_zone = Crs::from_epsg(32655).unwrap();
        let wkt = crs_of_zone.to_wkt();
        check(json!({ "crs_wkt": wkt }), ("y", "x"), Some(32655));
        check(json!({ "spatial_ref": wkt }), ("y", "x"), Some(32655));
        check(json!({ "proj:epsg": 3577 }), ("y", "x"), Some(3577));
        check(json!({ "proj:code": "EPSG:3577" }), ("y", "x"), Some(3577));
        check(json!({ "_CRS": { "wkt": wkt } }), ("y", "x"), Some(32655));
        check(json!({}), ("latitude", "longitude"), Some(4326));
        check(json!({}), ("y", "x"), None);
        let attrs = json!({ "grid_mapping_name": "sinusoidal" });
        let problem = crs(&[attrs.as_object().unwrap()], "y", "x").unwrap_err();
        assert!(problem.contains("crs_wkt"), "{problem}");
    }

    #[test]
    fn missing_pixels() {
        let check = |version: u8, attrs: Value, fill: Value, dtype, expected| {
            let document = ArrayDocument {
                metadata: json!({ "zarr_format": version, "fill_value": fill }),
                attrs: attrs.as_object().unwrap().clone(),
                dims: Vec::new(),
            };
            assert_eq!(nodata(&document, dtype), expected, "{attrs}");
        };
        let int = |value| Some(Number::Int(value));
        check(2, json!({}), json!(0), DType::UInt16, int(0));
        check(3, json!({}), json!(0), DType::UInt16, None);
        check(
            3,
            json!({ "_FillValue": -999 }),
            json!(0),
            DType::Int16,
            int(-999),
        );
        check(
            3,
            json!({ "_FillValue": -999 }),
            json!(0),
            DType::UInt8,
            None,
        );
        let nan = STANDARD.encode(f64::NAN.to_le_bytes());
        let nan_is = Some(Number::Float(f64::NAN));
        check(
            3,
            json!({ "_FillValue": nan }),
            json!(0),
            DType::Float32,
            nan_is,
        );
        check(2, json!({}), json!("NaN"), DType::Float32, nan_is);
        check(2, json!({}), Value::Null, DType::Float32, None);
    }
}
