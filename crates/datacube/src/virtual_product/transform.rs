//! Transforms of recipes: what is done to the pixels of their input.

use std::collections::HashSet;

use datacube_compute::kernels::morphology::Morph;
use datacube_compute::{Cube, DataArray, Expression};
use datacube_model::{DType, Label, MaskRequest, Number};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::recipe::{names, only, refuse, text};
use crate::{Error, Result};

/// What is done to the pixels of an input.
///
/// # Source
/// datacube-core, `datacube/virtual/transformations.py`.
#[derive(Debug, Clone)]
pub(super) enum Transform {
    MakeMask {
        mask: String,
        flags: MaskRequest,
    },
    ApplyMask {
        mask: String,
        apply_to: Option<Vec<String>>,
        preserve_dtype: bool,
        fallback: DType,
        /// Pixels.
        erosion: u32,
        /// Pixels.
        dilation: u32,
    },
    ToFloat {
        apply_to: Option<Vec<String>>,
        dtype: DType,
    },
    Rename(IndexMap<String, String>),
    Select(Vec<String>),
    Expressions(IndexMap<String, Output>),
}

/// A variable that `expressions` gives.
#[derive(Debug, Clone)]
pub(super) enum Output {
    Copy(String),
    Formula {
        formula: Expression,
        dtype: Option<DType>,
        nodata: Option<Number>,
        units: String,
        masked: bool,
    },
}

const NAMES: [(&str, &str); 6] = [
    ("make_mask", "MakeMask"),
    ("apply_mask", "ApplyMask"),
    ("to_float", "ToFloat"),
    ("rename", "Rename"),
    ("select", "Select"),
    ("expressions", "Expressions"),
];

impl Transform {
    pub(super) fn parse(map: &Map<String, Value>) -> Result<Self> {
        let given = text(map, "transform")?;
        let last = given.rsplit('.').next().unwrap_or(&given);
        let known = NAMES
            .iter()
            .find(|(name, class)| *name == given || *class == last);
        let Some((name, _)) = known else {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(Error::Unsupported {
                what: format!("the transform `{given}` of a recipe"),
                instead: format!("there are {}; others are Python code", names.join(", ")),
            });
        };
        let only = |keys: &[&str]| {
            let keys: Vec<&str> = ["transform", "input"]
                .into_iter()
                .chain(keys.iter().copied())
                .collect();
            only(map, name, &keys)
        };
        match *name {
            "make_mask" => {
                only(&["mask_measurement_name", "flags"])?;
                Ok(Transform::MakeMask {
                    mask: text(map, "mask_measurement_name")?,
                    flags: flags(map.get("flags"))?,
                })
            }
            "apply_mask" => {
                only(&[
                    "mask_measurement_name",
                    "apply_to",
                    "preserve_dtype",
                    "fallback_dtype",
                    "erosion",
                    "dilation",
                ])?;
                Ok(Transform::ApplyMask {
                    mask: text(map, "mask_measurement_name")?,
                    apply_to: names(map, "apply_to")?,
                    preserve_dtype: truth(map, "preserve_dtype", true)?,
                    fallback: dtype(map, "fallback_dtype")?.unwrap_or(DType::Float32),
                    erosion: pixels(map, "erosion")?,
                    dilation: pixels(map, "dilation")?,
                })
            }
            "to_float" => {
                only(&["apply_to", "dtype"])?;
                Ok(Transform::ToFloat {
                    apply_to: names(map, "apply_to")?,
                    dtype: dtype(map, "dtype")?.unwrap_or(DType::Float32),
                })
            }
            "rename" => {
                only(&["measurement_names"])?;
                let expected = || refuse("measurement_names", "expected new names by name");
                let given = map.get("measurement_names").and_then(Value::as_object);
                let pairs = given.ok_or_else(expected)?.iter();
                let pairs = pairs.map(|(old, new)| Some((old.clone(), new.as_str()?.to_owned())));
                let pairs: Option<IndexMap<String, String>> = pairs.collect();
                Ok(Transform::Rename(pairs.ok_or_else(expected)?))
            }
            "select" => {
                only(&["measurement_names"])?;
                let names = names(map, "measurement_names")?;
                let expected = || refuse("measurement_names", "expected a list of names");
                Ok(Transform::Select(names.ok_or_else(expected)?))
            }
            _ => {
                only(&["output", "masked"])?;
                let masked = truth(map, "masked", true)?;
                let outputs = map
                    .get("output")
                    .and_then(Value::as_object)
                    .ok_or_else(|| refuse("output", "expected formulas by name"))?;
                let outputs = outputs
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Output::parse(name, value, masked)?)));
                Ok(Transform::Expressions(outputs.collect::<Result<_>>()?))
            }
        }
    }

    /// Its name in recipes.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Transform::MakeMask { .. } => "make_mask",
            Transform::ApplyMask { .. } => "apply_mask",
            Transform::ToFloat { .. } => "to_float",
            Transform::Rename(_) => "rename",
            Transform::Select(_) => "select",
            Transform::Expressions(_) => "expressions",
        }
    }

    /// Whether pixels stay what they are.
    pub(super) fn keeps_pixels(&self) -> bool {
        matches!(self, Transform::Rename(_) | Transform::Select(_))
    }

    /// The cube that it makes of its input, lazily.
    pub(super) fn apply(&self, cube: &Cube) -> Result<Cube> {
        match self {
            Transform::MakeMask { mask, flags } => {
                let made = variable(cube, self, mask)?.make_mask(flags);
                Ok(cube.assign(mask.as_str(), made.named(mask.as_str()))?)
            }
            Transform::ApplyMask {
                mask,
                apply_to,
                preserve_dtype,
                fallback,
                erosion,
                dilation,
            } => {
                let mask_array = variable(cube, self, mask)?;
                if mask_array.dtype() != DType::Bool {
                    return Err(refuse(
                        "apply_mask",
                        format!(
                            "`{mask}` is {}; make it a mask with `make_mask` first",
                            mask_array.dtype()
                        ),
                    ));
                }
                let mask_array = &cleaned(mask_array, *erosion, *dilation)?;
                let rest = cube.drop_variables(&[mask])?;
                let how = (*preserve_dtype, *fallback);
                each(&rest, self, apply_to.as_deref(), |name, array| {
                    masked(name, array, mask_array, how)
                })
            }
            Transform::ToFloat { apply_to, dtype } => {
                each(cube, self, apply_to.as_deref(), |_, array| {
                    Ok(if array.dtype() == *dtype {
                        array.clone()
                    } else {
                        array.mask_invalid_data().astype(*dtype)
                    })
                })
            }
            Transform::Rename(names) => {
                for name in names.keys() {
                    variable(cube, self, name)?;
                }
                let arrays = cube.variables().map(|(name, array)| {
                    let name = names.get(name).map_or(name, String::as_str);
                    (name.to_owned(), array.clone().named(name))
                });
                Ok(Cube::new(arrays)?.with_attrs(cube.attrs().clone()))
            }
            Transform::Select(names) => Ok(cube.select(names)?),
            Transform::Expressions(outputs) => {
                let mut arrays = Vec::with_capacity(outputs.len());
                for (name, output) in outputs {
                    arrays.push((
                        name.clone(),
                        output.compute(name, cube, self)?.named(name.as_str()),
                    ));
                }
                Ok(Cube::new(arrays)?.with_attrs(cube.attrs().clone()))
            }
        }
    }
}

/// A variable of the input.
fn variable<'a>(cube: &'a Cube, transform: &Transform, name: &str) -> Result<&'a DataArray> {
    cube.get(name)
        .map_err(|error| refuse(transform.name(), error.to_string()))
}

/// The variables that a transform applies to, changed; the others as they are.
fn each(
    cube: &Cube,
    transform: &Transform,
    apply_to: Option<&[String]>,
    change: impl Fn(&str, &DataArray) -> Result<DataArray>,
) -> Result<Cube> {
    for name in apply_to.unwrap_or_default() {
        variable(cube, transform, name)?;
    }
    let mut arrays = Vec::with_capacity(cube.len());
    for (name, array) in cube.variables() {
        let applies = apply_to.is_none_or(|names| names.iter().any(|known| known == name));
        let array = if applies {
            change(name, array)?
        } else {
            array.clone()
        };
        arrays.push((name.to_owned(), array.named(name)));
    }
    Ok(Cube::new(arrays)?.with_attrs(cube.attrs().clone()))
}

/// The mask of pixels that are kept, with what is not kept made smaller by `erosion`
/// pixels and then larger by `dilation`.
///
/// # Source
/// datacube-core, `virtual/transformations.py` (`ApplyMask`): scikit-image's
/// `binary_erosion` and `binary_dilation` with `disk(n)` of the mask's opposite.
/// DIFFERENCE: there chunks are worked on each by itself, so that their edges show.
fn cleaned(mask: &DataArray, erosion: u32, dilation: u32) -> Result<DataArray> {
    let steps: Vec<(Morph, f64)> = [(Morph::Erosion, erosion), (Morph::Dilation, dilation)]
        .into_iter()
        .filter(|(_, pixels)| *pixels > 0)
        .map(|(morph, pixels)| (morph, f64::from(pixels)))
        .collect();
    if steps.is_empty() {
        return Ok(mask.clone());
    }
    Ok(!(!mask).mask_cleanup(&steps)?)
}

/// An array where a mask holds, else its nodata, or NaN in another type.
fn masked(
    name: &str,
    array: &DataArray,
    mask: &DataArray,
    (preserve_dtype, fallback): (bool, DType),
) -> Result<DataArray> {
    let mut attrs = array.attrs().clone();
    if !preserve_dtype {
        attrs.set_nodata(Number::Float(f64::NAN));
        return Ok(array.where_(mask).astype(fallback).with_attrs(attrs));
    }
    let nodata = attrs.nodata().ok_or_else(|| {
        refuse(
            "apply_mask",
            format!("`{name}` has no nodata; set `preserve_dtype: false`"),
        )
    })?;
    Ok(array
        .where_or(mask, number(nodata, array.dtype()))
        .with_attrs(attrs))
}

/// A number that leaves the type of an array what it is.
fn number(number: Number, dtype: DType) -> datacube_compute::Scalar {
    match number {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "whole, and within the type's range"
        )]
        Number::Float(value) if dtype.is_integer() && value.fract() == 0.0 => {
            datacube_compute::Scalar::Int(value as i128)
        }
        other => other.into(),
    }
}

impl Output {
    fn parse(name: &str, value: &Value, masked: bool) -> Result<Self> {
        let map = match value {
            Value::String(copied) => return Ok(Output::Copy(copied.clone())),
            Value::Object(map) => map,
            other => {
                return Err(refuse(
                    name,
                    format!("it is {other}; expected a name or a formula"),
                ));
            }
        };
        only(
            map,
            name,
            &["formula", "dtype", "nodata", "units", "masked"],
        )?;
        let formula = text(map, "formula")?;
        let nodata = match map.get("nodata") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("nan") => {
                Some(Number::Float(f64::NAN))
            }
            Some(value) => {
                let whole = value.as_i64().map(Number::from);
                let number = whole.or_else(|| value.as_f64().map(Number::from));
                Some(number.ok_or_else(|| refuse(name, format!("its nodata is {value}")))?)
            }
        };
        Ok(Output::Formula {
            formula: Expression::parse(&formula)?,
            dtype: dtype(map, "dtype")?,
            nodata,
            units: map
                .get("units")
                .and_then(Value::as_str)
                .unwrap_or("1")
                .to_owned(),
            masked: truth(map, "masked", masked)?,
        })
    }

    /// What the formula gives; where an input of it is missing, so is the result.
    fn compute(&self, name: &str, cube: &Cube, transform: &Transform) -> Result<DataArray> {
        let (formula, dtype, nodata, units, masked) = match self {
            Output::Copy(copied) => return Ok(variable(cube, transform, copied)?.clone()),
            Output::Formula {
                formula,
                dtype,
                nodata,
                units,
                masked,
            } => (formula, dtype, nodata, units, masked),
        };
        let mut result = formula.apply(cube)?;
        if let Some(dtype) = dtype {
            result = result.astype(*dtype);
        }
        let mut attrs = datacube_compute::Attrs::new().with("units", units.as_str());
        for kept in ["crs", "grid_mapping"] {
            if let Some(value) = cube.attrs().get(kept) {
                attrs.insert(kept, value.clone());
            }
        }
        if let Some(nodata) = nodata {
            attrs.set_nodata(*nodata);
        }
        if !masked {
            return Ok(result.with_attrs(attrs));
        }
        let inputs: HashSet<&str> = formula.variables().into_iter().collect();
        let mut valid: Option<DataArray> = None;
        for input in formula.variables() {
            if !inputs.contains(input) {
                continue;
            }
            let one = variable(cube, transform, input)?.valid_data_mask();
            valid = Some(match valid {
                None => one,
                Some(all) => all & one,
            });
        }
        let Some(valid) = valid else {
            return Ok(result.with_attrs(attrs));
        };
        let result = match (result.dtype(), nodata) {
            (DType::Bool, _) => {
                attrs.remove("nodata");
                result.where_or(&valid, false)
            }
            (dtype, None) if dtype.is_float() => {
                attrs.set_nodata(Number::Float(f64::NAN));
                result.where_(&valid)
            }
            (dtype, None) => {
                return Err(refuse(
                    name,
                    format!(
                        "its formula gives {dtype}, so it needs a `nodata`, or `masked: false`"
                    ),
                ));
            }
            (dtype, Some(nodata)) => {
                if !nodata.fits(dtype) {
                    return Err(refuse(
                        name,
                        format!("{dtype} cannot hold its nodata {nodata}"),
                    ));
                }
                result.where_or(&valid, number(*nodata, dtype))
            }
        };
        Ok(result.with_attrs(attrs))
    }
}

fn flags(value: Option<&Value>) -> Result<MaskRequest> {
    let map = value
        .and_then(Value::as_object)
        .ok_or_else(|| refuse("flags", "expected labels by flag"))?;
    let mut request = MaskRequest::new();
    for (flag, label) in map {
        let one = |value: &Value| -> Result<Label> {
            Ok(match value {
                Value::Bool(value) => (*value).into(),
                Value::String(text) => text.as_str().into(),
                Value::Number(number) if number.as_i64().is_some() => {
                    number.as_i64().unwrap_or_default().into()
                }
                other => return Err(refuse(flag, format!("{other} is no label of a flag"))),
            })
        };
        let labels = match label {
            Value::Array(labels) => labels.iter().map(one).collect::<Result<Vec<_>>>()?,
            label => vec![one(label)?],
        };
        request = request.any_of(flag.as_str(), labels);
    }
    Ok(request)
}

pub(super) fn dtype(map: &Map<String, Value>, key: &str) -> Result<Option<DType>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => name
            .parse()
            .map(Some)
            .map_err(|error: datacube_model::UnknownDType| refuse(key, error.to_string())),
        Some(other) => Err(refuse(
            key,
            format!("it is {other}; expected a type such as float32"),
        )),
    }
}

pub(super) fn truth(map: &Map<String, Value>, key: &str, default: bool) -> Result<bool> {
    match map.get(key) {
        None => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(refuse(
            key,
            format!("it is {other}; expected true or false"),
        )),
    }
}

fn pixels(map: &Map<String, Value>, key: &str) -> Result<u32> {
    let Some(value) = map.get(key) else {
        return Ok(0);
    };
    let pixels = value.as_u64().and_then(|pixels| u32::try_from(pixels).ok());
    pixels.ok_or_else(|| refuse(key, format!("it is {value}; expected a number of pixels")))
}
