//! Product definitions, made of what items or collections say of their bands.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::bands::{self, BandKey, StacBand};
use super::config::CollectionConfig;
use super::names;
use crate::document::{Node, Problem, ProblemKind};
use crate::{DType, Number};

/// The name of each band's measurement.
///
/// The first band of an asset has the name of the asset, the others that and
/// their number; what names cannot hold becomes an underscore.
pub(super) fn measurement_names(bands: &IndexMap<BandKey, StacBand>) -> IndexMap<BandKey, String> {
    let mut out: IndexMap<BandKey, String> = IndexMap::new();
    for key in bands.keys() {
        let mut name = names::measurement(&key.asset);
        if key.index > 1 {
            name += &format!("_{}", key.index);
        }
        let mut unique = name.clone();
        let mut count = 2;
        while out.values().any(|known| *known == unique) {
            unique = format!("{name}_{count}");
            count += 1;
        }
        out.insert(key.clone(), unique);
    }
    out
}

/// The definition of a product.
pub(super) fn document(
    node: &Node<'_>,
    config: &CollectionConfig,
    name: &str,
    description: &str,
    license: Option<&str>,
) -> Value {
    let bands = bands::read(node, config);
    let names = measurement_names(&bands);
    let aliases = bands::aliases(&bands, config);
    let measurements: Vec<Value> = bands
        .iter()
        .map(|(key, band)| {
            let mut own: Vec<String> = Vec::new();
            if names[key] != key.asset {
                let plain = key.index == 1;
                own.push(if plain {
                    key.asset.clone()
                } else {
                    format!("{}.{}", key.asset, key.index)
                });
            }
            own.extend(aliases.get(key).cloned().unwrap_or_default());
            own.retain(|alias| !names.values().any(|name| name == alias));
            measurement(node, key, band, &names[key], own)
        })
        .collect();
    let mut document = Map::new();
    document.insert("name".to_owned(), json!(name));
    document.insert("description".to_owned(), json!(description));
    document.insert("metadata_type".to_owned(), json!("eo3"));
    let is_license = |text: &&str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || "_-.+".contains(c))
    };
    if let Some(license) = license.filter(is_license) {
        document.insert("license".to_owned(), json!(license));
    }
    document.insert("metadata".to_owned(), json!({"product": {"name": name}}));
    document.insert("measurements".to_owned(), Value::Array(measurements));
    Value::Object(document)
}

fn measurement(
    node: &Node<'_>,
    key: &BandKey,
    band: &StacBand,
    name: &str,
    aliases: Vec<String>,
) -> Value {
    let mut document = Map::new();
    document.insert("name".to_owned(), json!(name));
    if !aliases.is_empty() {
        document.insert("aliases".to_owned(), json!(aliases));
    }
    document.insert("dtype".to_owned(), json!(band.data_type.name()));
    document.insert("nodata".to_owned(), nodata(node, key, band));
    document.insert("units".to_owned(), json!(band.unit));
    if let Some(scale) = band.scale.filter(|scale| (scale - 1.0).abs() > 0.0) {
        document.insert("scale_factor".to_owned(), json!(scale));
    }
    if let Some(offset) = band.offset.filter(|offset| offset.abs() > 0.0) {
        document.insert("add_offset".to_owned(), json!(offset));
    }
    if let Some(flags) = &band.flags {
        document.insert("flags_definition".to_owned(), flags.clone());
    }
    Value::Object(document)
}

/// A nodata that a product can have: a product has to say one, of its type.
fn nodata(node: &Node<'_>, key: &BandKey, band: &StacBand) -> Value {
    let fits = band.nodata.filter(|number| number.fits(band.data_type));
    let number = fits.unwrap_or_else(|| {
        let stand_in = if band.data_type.integer_range().is_some() {
            Number::from(0_i64)
        } else {
            Number::from(f64::NAN)
        };
        if band.nodata.is_some() || band.data_type.is_integer() {
            let path = node.path.key("assets").key(&key.asset).key("nodata");
            let expected = format!(
                "a value of {} for pixels without data; {stand_in} is taken",
                band.data_type
            );
            let found = band
                .nodata
                .map_or_else(|| "nothing".to_owned(), |number| number.to_string());
            let problem = Problem::new(path, ProblemKind::Conflict, expected).found_text(found);
            node.report().warning(problem);
        }
        stand_in
    });
    to_value(number, band.data_type)
}

/// A number as documents write it.
pub(super) fn to_value(number: Number, dtype: DType) -> Value {
    match number {
        Number::Int(value) => i64::try_from(value)
            .map_or_else(|_| json!(u64::try_from(value).ok()), |value| json!(value)),
        Number::Float(value) if value.is_nan() => json!("NaN"),
        Number::Float(value) if value == f64::INFINITY => json!("Inf"),
        Number::Float(value) if value == f64::NEG_INFINITY => json!("-Inf"),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a whole number of an integer type"
        )]
        Number::Float(value)
            if dtype.is_integer() && value.fract() == 0.0 && value.abs() < 9e15 =>
        {
            json!(value as i64)
        }
        Number::Float(value) => json!(value),
    }
}
