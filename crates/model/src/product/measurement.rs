//! Measurements: one variable of a product.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::extra_dim::ExtraDimension;
use crate::document::{Node, Problem, ProblemKind};
use crate::{DType, FlagsDefinition, Number};

/// One variable of a product.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measurement {
    /// The name.
    pub name: String,
    /// The type of its pixels.
    pub dtype: DType,
    /// The value of pixels without data; it fits `dtype`.
    pub nodata: Option<Number>,
    /// Units of the values; `1` for none.
    pub units: String,
    /// Other names.
    pub aliases: Vec<String>,
    /// `value = pixel * scale_factor + add_offset`; never applied by itself.
    pub scale_factor: Option<f64>,
    /// See `scale_factor`.
    pub add_offset: Option<f64>,
    /// What the bits of a pixel mean.
    pub flags_definition: Option<FlagsDefinition>,
    /// How the sensor responds to wavelengths; one for each coordinate of
    /// `extra_dim` where there is one, else at most one.
    pub spectral_definition: Vec<SpectralDefinition>,
    /// The dimension between time and space that the measurement has.
    pub extra_dim: Option<String>,
    /// Names of the dimensions in the file.
    pub dims: Option<Vec<String>>,
    document: Map<String, Value>,
}

/// The spectral response of a sensor band.
///
/// The lists have the same length where both are given and the measurement has
/// an `extra_dim`; of others there are products in use where they have not,
/// which is a warning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpectralDefinition {
    /// Wavelengths of the samples.
    pub wavelength: Vec<f64>,
    /// Relative response at each.
    pub response: Vec<f64>,
}

impl Measurement {
    /// The object that this was made from.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// What an array of this measurement carries as attributes: units, nodata,
    /// flags and so on, as the document has them.
    ///
    /// # Source
    /// datacube-core, `model/__init__.py` (`Measurement.dataarray_attrs`).
    pub fn attributes(&self) -> Map<String, Value> {
        super::without(
            &self.document,
            &["name", "dtype", "aliases", "extra_dim", "dims"],
        )
    }
}

const KEYS: [&str; 11] = [
    "name",
    "dtype",
    "nodata",
    "units",
    "aliases",
    "scale_factor",
    "add_offset",
    "flags_definition",
    "spectral_definition",
    "extra_dim",
    "dims",
];

/// The types that a product may declare: all but `bool`.
fn product_dtypes() -> impl Iterator<Item = DType> {
    DType::ALL.into_iter().filter(|dtype| *dtype != DType::Bool)
}

/// Reads a dtype of a product.
pub(super) fn dtype(node: &Node<'_>) -> Option<DType> {
    let text = node.string()?;
    let found = product_dtypes().find(|dtype| dtype.name() == text);
    if found.is_none() {
        let names: Vec<&str> = product_dtypes().map(DType::name).collect();
        let problem = node.problem(
            ProblemKind::BadValue,
            format!("one of {}", names.join(", ")),
        );
        node.report().problem(problem.near(text, names));
    }
    found
}

pub(super) fn read(
    node: &Node<'_>,
    extra_dimensions: &IndexMap<String, ExtraDimension>,
) -> Option<Measurement> {
    let document = node.map()?.clone();
    node.only_keys(&KEYS);
    let name = node
        .require("name", "the name of the measurement")
        .and_then(|node| node.name().map(str::to_owned));
    let dtype = node
        .require("dtype", "the type of its pixels, such as uint16")
        .and_then(|node| dtype(&node));
    let nodata = node
        .require("nodata", "the value of pixels without data")
        .and_then(|node| nodata(&node, dtype));
    let units = node
        .require("units", "the units of its values, `1` for none")
        .and_then(|node| node.string().map(str::to_owned));
    let aliases = node
        .get("aliases")
        .map_or(Some(Vec::new()), |node| node.strings());
    let scale_factor = node.get("scale_factor").and_then(|node| node.f64());
    let add_offset = node.get("add_offset").and_then(|node| node.f64());
    let flags_definition = node
        .get("flags_definition")
        .and_then(|node| FlagsDefinition::read(&node));
    if let (Some(flags), Some(dtype)) = (&flags_definition, dtype) {
        flags_fit(
            &node.get("flags_definition").expect("it was just read"),
            flags,
            dtype,
        );
    }
    let extra_dim = node
        .get("extra_dim")
        .and_then(|node| extra_dim(&node, extra_dimensions));
    let spectral_definition = node
        .get("spectral_definition")
        .map(|node| {
            spectral(
                &node,
                extra_dim.is_some(),
                extra_dim.and_then(|name| extra_dimensions.get(name)),
            )
        })
        .unwrap_or_default();
    let dims = node.get("dims").and_then(|node| node.strings());
    Some(Measurement {
        name: name?,
        dtype: dtype?,
        nodata: Some(nodata?),
        units: units?,
        aliases: aliases?,
        scale_factor,
        add_offset,
        flags_definition,
        spectral_definition,
        extra_dim: extra_dim.map(str::to_owned),
        dims,
        document,
    })
}

fn nodata(node: &Node<'_>, dtype: Option<DType>) -> Option<Number> {
    let number = match node.value {
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "nan" => Some(Number::Float(f64::NAN)),
            "inf" | "+inf" | "infinity" => Some(Number::Float(f64::INFINITY)),
            "-inf" | "-infinity" => Some(Number::Float(f64::NEG_INFINITY)),
            _ => None,
        },
        value => crate::document::number_of(value),
    };
    let Some(number) = number else {
        node.fault(ProblemKind::WrongType, "a number, or one of NaN, Inf, -Inf");
        return None;
    };
    if let Some(dtype) = dtype.filter(|dtype| !number.fits(*dtype)) {
        let expected = match dtype.integer_range() {
            Some((low, high)) => {
                format!("a whole number from {low} to {high}, as the dtype is {dtype}")
            }
            None => format!("a number that fits {dtype}"),
        };
        node.fault(ProblemKind::Conflict, expected);
        return None;
    }
    Some(number)
}

fn extra_dim<'a>(
    node: &Node<'a>,
    extra_dimensions: &IndexMap<String, ExtraDimension>,
) -> Option<&'a str> {
    let name = node.string()?;
    if extra_dimensions.contains_key(name) {
        return Some(name);
    }
    let known: Vec<&str> = extra_dimensions.keys().map(String::as_str).collect();
    let expected = if known.is_empty() {
        "a dimension that `extra_dimensions` defines; it defines none".to_owned()
    } else {
        format!(
            "a dimension that `extra_dimensions` defines ({})",
            known.join(", ")
        )
    };
    node.report().problem(
        node.problem(ProblemKind::UnknownName, expected)
            .near(name, known),
    );
    None
}

/// One definition, or one for each coordinate of a dimension.
fn spectral(
    node: &Node<'_>,
    strict: bool,
    dimension: Option<&ExtraDimension>,
) -> Vec<SpectralDefinition> {
    if let Value::Object(_) = node.value {
        return one_spectral(node, strict).into_iter().collect();
    }
    let Some(items) = node.list() else {
        return Vec::new();
    };
    if let Some(dimension) = dimension.filter(|dimension| dimension.values.len() != items.len()) {
        let expected = format!(
            "{} definitions, one for each value of `{}`",
            dimension.values.len(),
            dimension.name
        );
        node.fault(ProblemKind::Conflict, expected);
    }
    items
        .iter()
        .filter_map(|item| one_spectral(item, strict))
        .collect()
}

fn one_spectral(node: &Node<'_>, strict: bool) -> Option<SpectralDefinition> {
    node.map()?;
    let list = |key: &str| -> Option<Vec<f64>> {
        node.get(key).map_or(Some(Vec::new()), |node| {
            node.numbers()
                .map(|numbers| numbers.into_iter().map(Number::as_f64).collect())
        })
    };
    let (wavelength, response) = (list("wavelength")?, list("response")?);
    let both = node.get("wavelength").is_some() && node.get("response").is_some();
    if both && wavelength.len() != response.len() {
        let expected = format!("as many values as `wavelength` has ({})", wavelength.len());
        let problem = Problem::new(node.path.key("response"), ProblemKind::Conflict, expected)
            .found_text(format!("{} values", response.len()));
        if strict {
            node.report().problem(problem);
        } else {
            node.report().warning(problem);
        }
    }
    Some(SpectralDefinition {
        wavelength,
        response,
    })
}

/// Notes flags that no pixel of the type can have; ODC takes them.
fn flags_fit(node: &Node<'_>, flags: &FlagsDefinition, dtype: DType) {
    let warn = |path, kind, expected: String, found: String| {
        node.report()
            .warning(Problem::new(path, kind, expected).found_text(found));
    };
    if !dtype.is_integer() && !flags.flags().is_empty() {
        warn(
            node.path.clone(),
            ProblemKind::Conflict,
            "an integer dtype for flags".to_owned(),
            dtype.to_string(),
        );
        return;
    }
    let n_bits = dtype.size() * 8;
    for (name, flag) in flags.flags() {
        let path = node.path.key(name);
        for bit in flag.bits.iter().filter(|bit| **bit as usize >= n_bits) {
            let expected = format!("bits 0 to {}, as the dtype is {dtype}", n_bits - 1);
            warn(
                path.key("bits"),
                ProblemKind::Conflict,
                expected,
                bit.to_string(),
            );
        }
        for (code, label) in &flag.values {
            let test = flag.test(*code);
            if test.value & !test.mask != 0 {
                let expected = format!("codes that the bits {:?} can form", flag.bits);
                let found = format!("{code}: {label}, which no pixel has");
                warn(
                    path.key("values").key(code.to_string()),
                    ProblemKind::BadValue,
                    expected,
                    found,
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{faults, minimal, read, warnings};
    use super::*;

    #[test]
    fn every_fault_is_named() {
        assert_eq!(
            faults(|document| document["measurements"][1] =
                json!({"dtype": "unit16", "nodata": "none", "alias": []})),
            [
                "measurements[1].alias",
                "measurements[1].name",
                "measurements[1].dtype",
                "measurements[1].nodata",
                "measurements[1].units"
            ]
        );
        for (dtype, nodata, right) in [
            ("uint8", json!(255), true),
            ("uint8", json!(256), false),
            ("uint8", json!(-1), false),
            ("int16", json!(-999.0), true),
            ("int16", json!(0.5), false),
            ("int16", json!("NaN"), false),
            ("float32", json!("NaN"), true),
            ("float32", json!("-Inf"), true),
            ("float32", json!(1e39), false),
            ("int8", json!(255), false),
            ("bool", json!(0), false),
            ("complex64", json!("NaN"), true),
            ("uint64", json!(u64::MAX), true),
        ] {
            let found = faults(|document| {
                document["measurements"][0]["dtype"] = json!(dtype);
                document["measurements"][0]["nodata"] = nodata.clone();
            });
            assert_eq!(found.is_empty(), right, "{dtype} {nodata}: {found:?}");
        }
    }

    #[test]
    fn flags_are_read_and_looked_at() {
        let flags =
            json!({"cloud": {"bits": [16, 0], "values": {"4": "x", "1": "y"}}, "odd": "text"});
        assert_eq!(
            warnings(|document| {
                document["measurements"][0]["flags_definition"] = flags.clone();
                document["measurements"][1]["aliases"] = json!([]);
            }),
            [
                "measurements[0].flags_definition.odd",
                "measurements[0].flags_definition.cloud.bits",
                "measurements[0].flags_definition.cloud.values.4"
            ]
        );
        assert_eq!(
            faults(|document| document["measurements"][0]["flags_definition"] =
                json!({"cloud": {"bits": "0"}})),
            [
                "measurements[0].flags_definition.cloud.bits",
                "measurements[0].flags_definition.cloud.values"
            ]
        );
    }

    #[test]
    fn third_dimensions_fit() {
        let edit = |values: Value, spectral: Value, dim: &'static str| {
            move |document: &mut Value| {
                document["extra_dimensions"] =
                    json!([{"name": "z", "values": values, "dtype": "float64"}]);
                document["measurements"][0]["extra_dim"] = json!(dim);
                document["measurements"][0]["spectral_definition"] = spectral;
            }
        };
        let one = json!({"wavelength": [1, 2], "response": [0.5, 1]});
        assert!(faults(edit(json!([5, 10]), json!([one, one]), "z")).is_empty());
        assert_eq!(
            faults(edit(json!([5]), json!([one, one]), "z")),
            ["measurements[0].spectral_definition"]
        );
        assert_eq!(
            faults(edit(json!([5]), json!([one]), "y")),
            ["measurements[0].extra_dim"]
        );
        let uneven = json!([{"wavelength": [1, 2], "response": [0.5]}]);
        assert_eq!(
            faults(edit(json!([5]), uneven.clone(), "z")),
            ["measurements[0].spectral_definition[0].response"]
        );
        assert_eq!(
            warnings(|document| {
                document["measurements"][0]["spectral_definition"] = uneven[0].clone();
                document["measurements"][1]["aliases"] = json!([]);
            }),
            ["measurements[0].spectral_definition.response"]
        );
    }

    #[test]
    fn attributes_are_what_an_array_carries() {
        let mut document = minimal();
        document["measurements"][0]["scale_factor"] = json!(0.1);
        let product = read(document).expect("valid");
        let red = product.measurement("red").expect("there");
        assert_eq!(
            Value::from(red.attributes()),
            json!({"nodata": 0, "units": "1", "scale_factor": 0.1})
        );
        assert_eq!(red.scale_factor, Some(0.1));
    }
}
