//! Attributes as the CF conventions want them, so that readers who know nothing
//! of the Open Data Cube understand flags, gaps, times and the grid.

use datacube_model::{DType, Number};
use serde_json::{Map, Value, json};

use super::Labels;
use base64::{Engine as _, prelude::BASE64_STANDARD};

/// The attributes of a variable.
///
/// `_FillValue` is set where xarray may turn gaps into NaN; not on bit flags,
/// which that would turn into floats (their marker is in `nodata` all the same).
pub(super) fn variable_attrs(
    attrs: &Map<String, Value>,
    dtype: DType,
    nodata: Option<Number>,
    auxiliary: &[&str],
) -> Map<String, Value> {
    let mut out = attrs.clone();
    if let Some(definition) = attrs.get("flags_definition") {
        // Beside ODC's own definition, which stays a map: `masking.make_mask` of
        // Python's datacube takes it as it comes out of the store.
        out.extend(flag_attrs(definition));
    } else if let Some(nodata) = nodata {
        out.insert("_FillValue".into(), fill_value_attr(nodata, dtype));
    }
    if !auxiliary.is_empty() {
        out.insert("coordinates".into(), auxiliary.join(" ").into());
        if auxiliary.contains(&"spatial_ref") {
            out.entry("grid_mapping")
                .or_insert_with(|| "spatial_ref".into());
        }
    }
    out
}

/// A fill value as xarray encodes it among the attributes of Zarr version 3.
///
/// # Source
/// xarray 2026.9, `xarray/backends/zarr.py`, `FillValueCoder`.
fn fill_value_attr(nodata: Number, dtype: DType) -> Value {
    let base64_double = |value: f64| Value::from(BASE64_STANDARD.encode(value.to_le_bytes()));
    if dtype == DType::Bool {
        json!(nodata.as_f64() != 0.0)
    } else if dtype.is_complex() {
        json!([base64_double(nodata.as_f64()), base64_double(0.0)])
    } else if dtype.is_float() {
        base64_double(nodata.as_f64())
    } else {
        integer(nodata).into()
    }
}

/// A number that fits an integer type, as JSON.
fn integer(number: Number) -> serde_json::Number {
    match number {
        Number::Int(value) => i64::try_from(value)
            .map(Into::into)
            .or_else(|_| u64::try_from(value).map(Into::into))
            .unwrap_or_else(|_| 0.into()),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "it fits the integer type it is for"
        )]
        Number::Float(value) => (value as i64).into(),
    }
}

/// `flag_masks`, `flag_values` and `flag_meanings` of an ODC flags definition.
///
/// CF names one state a flag: a flag of one bit whose label for 1 is `true` keeps
/// its name; every other state is named `flag_label`. States that are labelled
/// `false` are not named, as an absent flag needs no name.
///
/// # Source
/// CF conventions 1.11, section 3.5.
fn flag_attrs(definition: &Value) -> Map<String, Value> {
    let mut states: Vec<(u64, u64, String)> = Vec::new();
    for (flag, body) in definition.as_object().into_iter().flatten() {
        let bits: Vec<u64> = match &body["bits"] {
            Value::Array(bits) => bits.iter().filter_map(Value::as_u64).collect(),
            one => one.as_u64().into_iter().collect(),
        };
        let Some(&lowest) = bits.iter().min() else {
            continue;
        };
        if bits.iter().any(|&bit| bit > 63) {
            continue;
        }
        let mask = bits.iter().fold(0, |mask, bit| mask | 1u64 << bit);
        for (value, label) in body["values"].as_object().into_iter().flatten() {
            let Ok(value) = value.parse::<u64>() else {
                continue;
            };
            let name = match label {
                Value::Bool(false) => continue,
                Value::Bool(true) => flag.clone(),
                Value::String(label) => format!("{flag}_{label}"),
                other => format!("{flag}_{other}"),
            };
            states.push((mask, value << lowest, meaning(&name)));
        }
    }
    if states.is_empty() {
        return Map::new();
    }
    states.sort_by_key(|&(mask, value, _)| (mask.trailing_zeros(), mask, value));
    let column = |pick: fn(&(u64, u64, String)) -> u64| -> Value {
        states.iter().map(pick).collect::<Vec<_>>().into()
    };
    let names: Vec<_> = states.iter().map(|(_, _, name)| name.as_str()).collect();
    let mut out = Map::new();
    out.insert("flag_masks".into(), column(|state| state.0));
    out.insert("flag_values".into(), column(|state| state.1));
    out.insert("flag_meanings".into(), names.join(" ").into());
    out
}

/// A word of `flag_meanings`: letters, digits and `_ - . + @`.
fn meaning(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_-.+@".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect()
}

/// The attributes of a coordinate, beside its units if it is a time.
pub(super) fn coordinate_attrs(name: &str, attrs: &Map<String, Value>) -> Map<String, Value> {
    let mut out = attrs.clone();
    let (standard, axis) = match name {
        "x" => ("projection_x_coordinate", "X"),
        "y" => ("projection_y_coordinate", "Y"),
        "longitude" => ("longitude", "X"),
        "latitude" => ("latitude", "Y"),
        "time" => ("time", "T"),
        _ => return out,
    };
    out.entry("standard_name")
        .or_insert_with(|| standard.into());
    out.entry("axis").or_insert_with(|| axis.into());
    out
}

/// Times as whole numbers of the coarsest unit that keeps them exact, with the
/// attributes that say so.
pub(super) fn encode_times(nanoseconds: &[i64]) -> (Vec<i64>, Map<String, Value>) {
    let (unit, divisor) = [
        ("seconds", 1_000_000_000),
        ("milliseconds", 1_000_000),
        ("microseconds", 1_000),
        ("nanoseconds", 1),
    ]
    .into_iter()
    .find(|(_, divisor)| nanoseconds.iter().all(|at| at % divisor == 0))
    .expect("every integer is a multiple of 1");
    let mut attrs = Map::new();
    attrs.insert("units".into(), format!("{unit} since 1970-01-01").into());
    attrs.insert("calendar".into(), "proleptic_gregorian".into());
    (nanoseconds.iter().map(|at| at / divisor).collect(), attrs)
}

/// Labels as the pixels of an array.
pub(super) enum Encoded {
    Double(Vec<f64>),
    Long(Vec<i64>),
    /// What CF wants of a grid mapping variable, as ODC writes it.
    Int(i32),
    Text(Vec<String>),
}

/// A coordinate as numbers, and the attributes that the encoding adds.
pub(super) fn encode_labels(labels: &Labels, is_scalar: bool) -> (Encoded, Map<String, Value>) {
    match labels {
        Labels::Time(nanoseconds) => {
            let (values, attrs) = encode_times(nanoseconds);
            (Encoded::Long(values), attrs)
        }
        Labels::Float(values) => (Encoded::Double(values.clone()), Map::new()),
        Labels::Int(values) => match values[..] {
            [value] if is_scalar && i32::try_from(value).is_ok() => (
                Encoded::Int(i32::try_from(value).unwrap_or_default()),
                Map::new(),
            ),
            _ => (Encoded::Long(values.clone()), Map::new()),
        },
        Labels::Text(values) => (Encoded::Text(values.clone()), Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fill_values_are_as_xarray_has_them() {
        assert_eq!(
            fill_value_attr(Number::Float(f64::NAN), DType::Float32),
            "AAAAAAAA+H8="
        );
        assert_eq!(fill_value_attr(Number::Int(-999), DType::Int16), -999);
    }

    #[test]
    fn flags_become_cf_flags() {
        let definition = json!({
            "nodata": {"bits": 0, "values": {"0": false, "1": true}},
            "cloud": {"bits": 3, "values": {"0": "not_high_confidence", "1": "high_confidence"}},
            "cloud confidence": {"bits": [8, 9], "values": {"0": "none", "3": "high"}},
        });
        let attrs = flag_attrs(&definition);
        assert_eq!(attrs["flag_masks"], json!([1, 8, 8, 768, 768]));
        assert_eq!(attrs["flag_values"], json!([1, 0, 8, 0, 768]));
        assert_eq!(
            attrs["flag_meanings"],
            "nodata cloud_not_high_confidence cloud_high_confidence cloud_confidence_none \
             cloud_confidence_high"
        );
        let mut given = Map::new();
        given.insert("flags_definition".into(), definition);
        let out = variable_attrs(
            &given,
            DType::UInt16,
            Some(Number::Int(1)),
            &["spatial_ref"],
        );
        assert!(
            !out.contains_key("_FillValue"),
            "flags have to stay integers"
        );
        assert!(
            out["flags_definition"].is_object(),
            "as Python's datacube has it"
        );
        assert_eq!(out["grid_mapping"], "spatial_ref");
    }

    #[test]
    fn times_keep_what_they_need() {
        let (values, attrs) = encode_times(&[0, 86_400_000_000_000]);
        assert_eq!(
            (values, &attrs["units"]),
            (vec![0, 86_400], &"seconds since 1970-01-01".into())
        );
        let (values, attrs) = encode_times(&[-1_500_000]);
        assert_eq!(
            (values, &attrs["units"]),
            (vec![-1500], &"microseconds since 1970-01-01".into())
        );
    }
}
