//! Attributes of arrays, cubes and coordinates, and what happens to them.
//!
//! Values are JSON, as product documents have them; a NaN is the string `NaN`.
//! Arithmetic must not hand on what has become untrue: after `nir - red` the
//! band's `nodata`, scale and flags mean nothing, and a float that may be NaN
//! has NaN for its nodata (Python's xarray keeps them, and writers then tag a
//! masked float band with `nodata=0`).

use std::fmt;

use datacube_model::{DType, Number};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Attributes whose meaning ends with the pixel values they describe.
const OF_THE_VALUES: [&str; 7] = [
    "nodata",
    "_FillValue",
    "scale_factor",
    "add_offset",
    "flags_definition",
    "spectral_definition",
    "valid_range",
];

/// Names and JSON values, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attrs(IndexMap<String, Value>);

impl Attrs {
    /// None.
    pub fn new() -> Attrs {
        Attrs::default()
    }

    /// Also `name`; a number, text, list or map.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Attrs {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Sets `name`, in its old place if it had one; gives back the old value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        self.0.insert(name.into(), value.into())
    }

    /// Takes `name` out; the others keep their order.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name)
    }

    /// Whether there is a `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The marker of missing pixels; NaN and infinities are written as text.
    pub fn nodata(&self) -> Option<Number> {
        match self.0.get("nodata")? {
            Value::Number(number) => {
                if let Some(value) = number.as_i64() {
                    Some(Number::from(value))
                } else if let Some(value) = number.as_u64() {
                    Some(Number::from(value))
                } else {
                    number.as_f64().map(Number::from)
                }
            }
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "nan" => Some(Number::Float(f64::NAN)),
                "inf" | "infinity" => Some(Number::Float(f64::INFINITY)),
                "-inf" | "-infinity" => Some(Number::Float(f64::NEG_INFINITY)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Sets the marker of missing pixels.
    pub fn set_nodata(&mut self, nodata: Number) {
        self.insert("nodata", number_to_json(nodata));
    }

    /// What arithmetic on arrays with these attributes leaves: what all agree
    /// on, without what described the old pixel values. A float result of an
    /// operand that had a nodata has NaN for its nodata.
    pub(crate) fn after_math(operands: &[&Attrs], result: DType, keeps_units: bool) -> Attrs {
        let [first, rest @ ..] = operands else {
            return Attrs::new();
        };
        let mut attrs = Attrs::new();
        for (name, value) in first.iter() {
            if OF_THE_VALUES.contains(&name) || (name == "units" && !keeps_units) {
                continue;
            }
            if rest
                .iter()
                .all(|other| other.get(name).is_none_or(|theirs| theirs == value))
            {
                attrs.insert(name, value.clone());
            }
        }
        for other in rest {
            for (name, value) in other.iter() {
                let new = operands
                    .iter()
                    .all(|a| a.get(name).is_none_or(|theirs| theirs == value));
                if new
                    && !attrs.contains(name)
                    && !OF_THE_VALUES.contains(&name)
                    && (name != "units" || keeps_units)
                {
                    attrs.insert(name, value.clone());
                }
            }
        }
        if result.is_float() && operands.iter().any(|attrs| attrs.contains("nodata")) {
            attrs.set_nodata(Number::Float(f64::NAN));
        }
        attrs
    }

    /// What masking leaves: the values are the same or missing, so scale and
    /// units stay; the marker is NaN now, and a float has no bits for flags.
    pub(crate) fn after_where(&self, result: DType) -> Attrs {
        let mut attrs = self.clone();
        if result.is_float() {
            attrs.remove("flags_definition");
            attrs.remove("_FillValue");
            attrs.set_nodata(Number::Float(f64::NAN));
        }
        attrs
    }

    /// What a conversion leaves: all, but a nodata that `dtype` cannot hold.
    pub(crate) fn after_cast(&self, dtype: DType) -> Attrs {
        let mut attrs = self.clone();
        if attrs.nodata().is_some_and(|nodata| !nodata.fits(dtype)) {
            attrs.remove("nodata");
        }
        if !dtype.is_integer() {
            attrs.remove("flags_definition");
        }
        attrs
    }
}

/// A number as JSON; NaN and infinities as the text that documents use.
pub(crate) fn number_to_json(number: Number) -> Value {
    match number {
        Number::Int(value) => match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => value.into(),
            (_, Ok(value)) => value.into(),
            _ => number.as_f64().into(),
        },
        Number::Float(value) if value.is_nan() => "NaN".into(),
        Number::Float(f64::INFINITY) => "Inf".into(),
        Number::Float(f64::NEG_INFINITY) => "-Inf".into(),
        Number::Float(value) => value.into(),
    }
}

impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Attrs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(attrs: I) -> Self {
        Attrs(
            attrs
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

impl IntoIterator for Attrs {
    type Item = (String, Value);
    type IntoIter = indexmap::map::IntoIter<String, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One line for each attribute.
impl fmt::Display for Attrs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            writeln!(f, "{name}: {}", attr_text(value))?;
        }
        Ok(())
    }
}

/// A value as Python would print an attribute: text without quotes.
pub(crate) fn attr_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn band(units: &str) -> Attrs {
        Attrs::new()
            .with("units", units)
            .with("nodata", 0)
            .with("scale_factor", 2.75e-5)
            .with("crs", "EPSG:32618")
    }

    #[test]
    fn math_drops_what_became_untrue() {
        let attrs = Attrs::after_math(&[&band("1"), &band("1")], DType::Float64, true);
        let expected = Attrs::new().with("units", "1").with("crs", "EPSG:32618");
        assert_eq!(attrs, expected.with("nodata", "NaN"));
        let differ = Attrs::after_math(&[&band("1"), &band("K")], DType::UInt16, true);
        assert_eq!(differ, Attrs::new().with("crs", "EPSG:32618"));
        let product = Attrs::after_math(&[&band("m"), &band("m")], DType::UInt16, false);
        assert_eq!(product, Attrs::new().with("crs", "EPSG:32618"));
    }

    #[test]
    fn masking_makes_nan_the_nodata() {
        let attrs = band("1").after_where(DType::Float32);
        assert!(attrs.nodata().unwrap().is_nan());
        assert_eq!(attrs.get("scale_factor"), Some(&2.75e-5.into()));
    }

    #[test]
    fn conversion_keeps_a_nodata_that_fits() {
        let attrs = Attrs::new().with("nodata", -999);
        assert_eq!(
            attrs.after_cast(DType::Float32).nodata(),
            Some(Number::Int(-999))
        );
        assert_eq!(attrs.after_cast(DType::UInt8).nodata(), None);
    }
}
