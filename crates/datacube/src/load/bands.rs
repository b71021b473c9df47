//! What is loaded under which name, and how: measurements and the options that
//! are given by measurement.

use std::collections::HashSet;
use std::ops::Bound;

use datacube_index::{FieldTest, Scalar};
use datacube_load::{BandParams, Fuse, Resampling, Scaling};
use datacube_model::{DType, ExtraDimension, Measurement, Number, Product, near_names};
use indexmap::IndexMap;

use crate::load_options::{LoadOptions, Nodata};
use crate::{Error, Result};

/// A measurement under the name that its variable gets.
#[derive(Debug, Clone)]
pub(super) struct Variable<'a> {
    pub(super) name: String,
    pub(super) measurement: &'a Measurement,
    /// How it is loaded; of a variable with an extra dimension for each coordinate.
    pub(super) params: BandParams,
    /// The dimension between time and space, and the positions along it.
    pub(super) extra: Option<(&'a ExtraDimension, Vec<usize>)>,
    /// Whether scale and offset are applied.
    pub(super) scaled: bool,
    /// The marker that documents say its files have.
    pub(super) source_nodata: Option<Number>,
}

impl Variable<'_> {
    /// How many bands of a file it takes.
    pub(super) fn n_bands(&self) -> usize {
        self.extra
            .as_ref()
            .map_or(1, |(_, positions)| positions.len())
    }
}

/// The variables of the output: names or aliases as asked for, all of the product
/// by default, with everything that options say of each.
///
/// `unsaid` are measurements whose nodata in `product` stands in for none.
pub(super) fn resolve_variables<'a>(
    product: &'a Product,
    options: &LoadOptions,
    unsaid: &HashSet<String>,
) -> Result<Vec<Variable<'a>>> {
    let named = resolve_measurements(product, options.measurements.as_deref())?;
    let given = Given {
        product,
        named: &named,
    };
    let resampling = given.each("resampling", &options.resampling)?;
    let dtypes = given.each("dtype", &options.dtype)?;
    let nodata = given.each("nodata", &options.nodata)?;
    let fuse = given.each("fuse", &options.fuse)?;
    let mut variables = Vec::with_capacity(named.len());
    for (at, (name, measurement)) in named.iter().enumerate() {
        let resampling: Resampling = match resampling[at] {
            Some(method) => method.parse()?,
            None => Resampling::Nearest,
        };
        let fuse = match fuse[at] {
            Some(fuse) => fuse.resolve()?,
            None => Fuse::FirstValid,
        };
        let stored = measurement
            .nodata
            .filter(|_| !unsaid.contains(&measurement.name));
        let scaling = scaling(measurement).filter(|_| options.scaled);
        let nodata = match nodata[at] {
            Some(_) if scaling.is_some() => {
                return Err(Error::Option {
                    option: "nodata",
                    problem: format!("`{name}` is scaled, and what is missing in it is NaN"),
                });
            }
            Some(Nodata(nodata)) => *nodata,
            None if scaling.is_some() => Some(Number::Float(f64::NAN)),
            None => stored,
        };
        let dtype = match dtypes[at].copied() {
            Some(dtype) if scaling.is_some() && !dtype.is_float() => {
                return Err(Error::Option {
                    option: "dtype",
                    problem: format!(
                        "`{name}` is scaled, and {dtype} holds no fractions; say float32 or float64"
                    ),
                });
            }
            Some(dtype) => dtype,
            None if scaling.is_some() => scaled_dtype(measurement.dtype),
            None => measurement.dtype,
        };
        if let Some(value) = nodata.filter(|value| !value.fits(dtype)) {
            return Err(Error::Option {
                option: "dtype",
                problem: format!(
                    "`{name}` as {dtype} cannot hold its nodata {value}; say another with `nodata`"
                ),
            });
        }
        variables.push(Variable {
            name: name.clone(),
            measurement,
            params: BandParams::new(name.clone(), dtype)
                .with_nodata(nodata)
                .with_resampling(resampling)
                .with_warp_scale(options.warp_scale)
                .with_overviews(options.overviews)
                .with_fuse(fuse)
                .with_scaling(scaling.unwrap_or_default()),
            extra: extra_dimension(product, measurement, options)?,
            scaled: scaling.is_some(),
            source_nodata: stored,
        });
    }
    check_extra_dimensions(&variables)?;
    Ok(variables)
}

/// What the document says that stored values stand for, if it does.
fn scaling(measurement: &Measurement) -> Option<Scaling> {
    match (measurement.scale_factor, measurement.add_offset) {
        (None, None) => None,
        (scale, offset) => Some(Scaling::Given {
            scale: scale.unwrap_or(1.0),
            offset: offset.unwrap_or(0.0),
        }),
    }
}

/// The type of scaled values: float32 of pixels of up to 16 bits, else float64;
/// floats stay what they are.
fn scaled_dtype(stored: DType) -> DType {
    if stored.is_float() {
        stored
    } else if stored.size() <= 2 {
        DType::Float32
    } else {
        DType::Float64
    }
}

fn resolve_measurements<'a>(
    product: &'a Product,
    names: Option<&[String]>,
) -> Result<Vec<(String, &'a Measurement)>> {
    let refuse = |problem: String| Error::Option {
        option: "measurements",
        problem,
    };
    let Some(names) = names else {
        if product.measurements().is_empty() {
            return Err(refuse(format!("product `{}` has none", product.name())));
        }
        let all = product.measurements().values();
        return Ok(all.map(|m| (m.name.clone(), m)).collect());
    };
    if names.is_empty() {
        return Err(refuse(
            "the list is empty; leave it out to load all of the product".into(),
        ));
    }
    let mut named: Vec<(String, &'a Measurement)> = Vec::with_capacity(names.len());
    for name in names {
        if named.iter().any(|(known, _)| known == name) {
            return Err(refuse(format!("`{name}` is named twice")));
        }
        named.push((name.clone(), measurement(product, name)?));
    }
    Ok(named)
}

/// A measurement by name, alias, or `asset.1` for the first band of an asset.
fn measurement<'a>(product: &'a Product, name: &str) -> Result<&'a Measurement> {
    match product.measurement(name) {
        Ok(measurement) => Ok(measurement),
        Err(error) => match name.strip_suffix(".1") {
            Some(asset) => Ok(product.measurement(asset).map_err(|_| error)?),
            None => Err(error.into()),
        },
    }
}

/// Options by measurement, brought to the variables.
struct Given<'a> {
    product: &'a Product,
    named: &'a [(String, &'a Measurement)],
}

impl Given<'_> {
    /// The value of each variable: by its name, by its measurement, else by `*`.
    fn each<'v, T>(
        &self,
        option: &'static str,
        values: &'v IndexMap<String, T>,
    ) -> Result<Vec<Option<&'v T>>> {
        let mut by_measurement: IndexMap<&str, &T> = IndexMap::new();
        for (name, value) in values.iter().filter(|(name, _)| *name != "*") {
            if let Some((_, measurement)) = self.named.iter().find(|(known, _)| known == name) {
                by_measurement.entry(&measurement.name).or_insert(value);
                continue;
            }
            let found = measurement(self.product, name).map_err(|error| Error::Option {
                option,
                problem: error.to_string(),
            })?;
            by_measurement.insert(&found.name, value);
        }
        let of = |(name, measurement): &(String, &Measurement)| {
            values
                .get(name)
                .or_else(|| by_measurement.get(measurement.name.as_str()).copied())
                .or_else(|| values.get("*"))
        };
        Ok(self.named.iter().map(of).collect())
    }
}

/// The extra dimension of a measurement, with the positions that the query selects.
fn extra_dimension<'a>(
    product: &'a Product,
    measurement: &Measurement,
    options: &LoadOptions,
) -> Result<Option<(&'a ExtraDimension, Vec<usize>)>> {
    let Some(name) = &measurement.extra_dim else {
        return Ok(None);
    };
    let dimension = &product.extra_dimensions()[name];
    let all = 0..dimension.values.len();
    let positions: Vec<usize> = match options.query.fields.get(name) {
        None => all.collect(),
        Some(test) => {
            let mut kept = Vec::new();
            for position in all {
                if selects(test, dimension.values[position].as_f64(), name)? {
                    kept.push(position);
                }
            }
            kept
        }
    };
    if positions.is_empty() {
        let values: Vec<String> = dimension.values.iter().map(Number::to_string).collect();
        return Err(Error::NoData {
            query: format!("{name} of product `{}`", product.name()),
            hint: format!("`{name}` has the values {}", values.join(", ")),
        });
    }
    Ok(Some((dimension, positions)))
}

/// Whether a coordinate passes a test.
fn selects(test: &FieldTest, value: f64, dimension: &str) -> Result<bool> {
    let number = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => Ok(*number),
        other => Err(Error::Unknown {
            kind: "coordinate",
            name: other.to_string(),
            place: format!("dimension `{dimension}`, whose values are numbers"),
            known: Vec::new(),
        }),
    };
    Ok(match test {
        FieldTest::Is(scalar) => (number(scalar)? - value).abs() <= f64::EPSILON * value.abs(),
        FieldTest::Between(low, high) => {
            let above = match low {
                Bound::Included(low) => value >= number(low)?,
                Bound::Excluded(low) => value > number(low)?,
                Bound::Unbounded => true,
            };
            let below = match high {
                Bound::Included(high) => value <= number(high)?,
                Bound::Excluded(high) => value < number(high)?,
                Bound::Unbounded => true,
            };
            above && below
        }
        FieldTest::AnyOf(tests) => {
            let mut any = false;
            for test in tests {
                any |= selects(test, value, dimension)?;
            }
            any
        }
        FieldTest::AllOf(tests) => {
            let mut all = true;
            for test in tests {
                all &= selects(test, value, dimension)?;
            }
            all
        }
        FieldTest::Not(test) => !selects(test, value, dimension)?,
        other => {
            return Err(Error::Unsupported {
                what: format!("selecting `{dimension}` by {other:?}"),
                instead: "a number, a range, or several of them select coordinates".into(),
            });
        }
    })
}

/// One cube has one coordinate of a name.
fn check_extra_dimensions(variables: &[Variable<'_>]) -> Result<()> {
    for variable in variables {
        let Some((dimension, _)) = &variable.extra else {
            continue;
        };
        let taken = ["time", "x", "y", "longitude", "latitude", "spatial_ref"];
        if taken.contains(&dimension.name.as_str()) {
            return Err(Error::Unsupported {
                what: format!("an extra dimension called `{}`", dimension.name),
                instead: format!(
                    "the cube has one of that name; load measurements other than `{}`",
                    variable.name
                ),
            });
        }
    }
    Ok(())
}

/// The near names of something that is not there, for messages.
pub(super) fn near(name: &str, known: &[String]) -> String {
    let near = near_names(name, known.iter().map(String::as_str));
    match near.first() {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    }
}
