//! Spectral indices by name: `cube.index("NDVI")`.
//!
//! The definitions are the Awesome Spectral Indices, as data (`catalogue.json`,
//! MIT licence, made by `make_catalogue.py`): formulas over symbols such as `N`
//! for the near infrared. Which variable of a cube a symbol means is found by
//! its name, its `aliases` or `common_name` attribute ([`bands`]), or told.

mod bands;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use datacube_model::DType;
use indexmap::IndexMap;
use serde::Deserialize;

use crate::array::{DataArray, Operand};
use crate::attrs::Attrs;
use crate::cube::Cube;
use crate::error::{Error, Result};
use crate::expr::Expression;
use crate::value::Scalar;

/// A spectral index of the catalogue.
///
/// ```
/// use datacube_compute::SpectralIndex;
/// let evi = SpectralIndex::get("EVI")?;
/// assert_eq!(evi.long_name, "Enhanced Vegetation Index");
/// assert_eq!(evi.formula, "g * (N - R) / (N + C1 * R - C2 * B + L)");
/// let water = SpectralIndex::all().filter(|(_, index)| index.application_domain == "water");
/// assert!(water.count() > 20);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct SpectralIndex {
    /// What it is called in full.
    pub long_name: String,
    /// What it is for: `vegetation`, `water`, `burn`, `snow`, `urban`, `soil`,
    /// `clouds`, `radar` or `kernel`.
    pub application_domain: String,
    /// The formula, over symbols of bands and parameters.
    pub formula: String,
    /// The symbols in the formula: bands (`N`, `R`, ...) and parameters.
    pub bands: Vec<String>,
    /// Platforms that have all of its bands.
    pub platforms: Vec<String>,
    /// Where it was published.
    pub reference: String,
}

#[derive(Debug, Deserialize)]
struct Catalogue {
    source: String,
    bands: BTreeMap<String, bands::Band>,
    constants: BTreeMap<String, Constant>,
    indices: BTreeMap<String, SpectralIndex>,
}

#[derive(Debug, Deserialize)]
struct Constant {
    description: String,
    default: Option<f64>,
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        serde_json::from_str(include_str!("catalogue.json"))
            .expect("the catalogue is read by a test")
    })
}

impl SpectralIndex {
    /// The index of this short name, such as `NDVI`; letter case counts only
    /// where two differ in it.
    ///
    /// # Errors
    /// No index of that name; the message tells near ones.
    pub fn get(name: &str) -> Result<&'static SpectralIndex> {
        Ok(find(name)?.1)
    }

    /// All, by short name.
    pub fn all() -> impl Iterator<Item = (&'static str, &'static SpectralIndex)> {
        let indices = catalogue().indices.iter();
        indices.map(|(name, index)| (name.as_str(), index))
    }

    /// Version, origin and licence of the catalogue.
    pub fn source() -> &'static str {
        &catalogue().source
    }

    /// The parameters of the formula that are no bands, with their defaults;
    /// none where one has to be given.
    pub fn parameters(&self) -> IndexMap<&str, Option<f64>> {
        let constants = &catalogue().constants;
        let names = self.bands.iter().filter(|symbol| !bands::is_band(symbol));
        names
            .map(|name| {
                let constant = constants.get(name);
                (
                    name.as_str(),
                    constant.and_then(|constant| constant.default),
                )
            })
            .collect()
    }
}

fn find(name: &str) -> Result<(&'static str, &'static SpectralIndex)> {
    let indices = &catalogue().indices;
    if let Some((name, index)) = indices.get_key_value(name) {
        return Ok((name, index));
    }
    let mut alike = indices
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name));
    match (alike.next(), alike.next()) {
        (Some((name, index)), None) => Ok((name, index)),
        _ => {
            let known = indices.keys().map(String::as_str);
            Err(Error::unknown_name(
                "spectral index",
                name,
                "the catalogue",
                known,
            ))
        }
    }
}

/// How an index is computed: bands, parameters and scale where they are not
/// found or not as wanted.
#[derive(Clone, Debug, Default)]
pub struct IndexOptions {
    bands: IndexMap<String, String>,
    params: IndexMap<String, Operand>,
    platform: Option<String>,
    scale: Option<(f64, f64)>,
}

impl IndexOptions {
    /// Bands by their names, parameters by their defaults, scaled as the
    /// attributes `scale_factor` and `add_offset` say.
    pub fn new() -> IndexOptions {
        IndexOptions::default()
    }

    /// Variable `variable` is what the formula calls `symbol`.
    #[must_use]
    pub fn band(mut self, symbol: impl Into<String>, variable: impl Into<String>) -> Self {
        self.bands.insert(symbol.into(), variable.into());
        self
    }

    /// Parameter `name` is this number, or this array: the kernels of kernel
    /// indices are arrays.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Operand>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// The variables are called by the band numbers of this platform, such as
    /// `sentinel2a` or `landsat8` (`B4`, `B04`, `SR_B4`, `band_4`), and the
    /// wavelengths in formulas are its.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// Integer pixels are `x * scale + offset`, whatever the attributes say.
    #[must_use]
    pub fn scale(mut self, scale: f64, offset: f64) -> Self {
        self.scale = Some((scale, offset));
        self
    }
}

impl Cube {
    /// The spectral index `name`, such as `NDVI` or `MNDWI`, over the bands of
    /// this cube, lazily; in a float type, with NaN where a band has no data.
    ///
    /// Integer bands are first made physical values: scaled as their attributes
    /// `scale_factor` and `add_offset` say, if they have them. Indices with
    /// constants in them (EVI, SAVI) need reflectances: without such attributes
    /// give the scale with [`Cube::index_with`].
    ///
    /// ```
    /// use datacube_compute::{Coords, Cube, DataArray};
    /// let band = |name: &str, values: Vec<u16>| {
    ///     DataArray::from_values(name, &["x"], &[2], values, Coords::new())
    /// };
    /// let cube = Cube::new([
    ///     ("nbart_red", band("nbart_red", vec![1000, 2])?),
    ///     ("nbart_nir", band("nbart_nir", vec![3000, 2])?),
    /// ])?;
    /// let ndvi = cube.index("NDVI")?.compute()?;
    /// assert_eq!(ndvi.to_vec::<f32>()?, [0.5, 0.0]);
    /// let error = cube.index("NDVY").unwrap_err().to_string();
    /// assert!(error.contains("NDVI"), "{error}");
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// No such index, a band that the cube does not have.
    pub fn index(&self, name: &str) -> Result<DataArray> {
        self.index_with(name, &IndexOptions::new())
    }

    /// As [`Cube::index`], with bands, parameters or scale given.
    ///
    /// # Errors
    /// As there; a parameter without a default that is not given.
    pub fn index_with(&self, name: &str, options: &IndexOptions) -> Result<DataArray> {
        self.check()?;
        let (name, index) = find(name)?;
        let unknown = options.bands.keys().chain(options.params.keys());
        if let Some(unknown) = unknown
            .into_iter()
            .find(|symbol| !index.bands.contains(symbol))
        {
            let symbols = index.bands.iter().map(String::as_str);
            let place = format!("index {name} = {}", index.formula);
            return Err(Error::unknown_name("symbol", unknown, place, symbols));
        }
        let mut variables: Vec<(String, DataArray)> = Vec::new();
        let mut params: Vec<(&str, Scalar)> = Vec::new();
        for symbol in &index.bands {
            match options.params.get(symbol) {
                Some(Operand::Array(array)) => variables.push((symbol.clone(), array.clone())),
                Some(Operand::Scalar(scalar)) => params.push((symbol, *scalar)),
                None if bands::is_band(symbol) => {
                    let variable = match options.bands.get(symbol) {
                        Some(variable) => variable.as_str(),
                        None => bands::find(self, symbol, options.platform.as_deref())
                            .ok_or_else(|| missing(self, name, index, symbol))?,
                    };
                    let band = physical(self.get(variable)?, options.scale);
                    variables.push((symbol.clone(), band));
                }
                None => {
                    let value = default(symbol, options.platform.as_deref())
                        .ok_or_else(|| no_default(name, symbol))?;
                    params.push((symbol, Scalar::Float(value)));
                }
            }
        }
        let formula = Expression::parse(&index.formula)?;
        let result = formula.apply_with(&Cube::new(variables)?, &params)?;
        let attrs = Attrs::new()
            .with("long_name", index.long_name.as_str())
            .with("units", "1")
            .with("formula", index.formula.as_str());
        let mut attrs = attrs;
        attrs.set_nodata(datacube_model::Number::Float(f64::NAN));
        Ok(result.with_attrs(attrs).named(name))
    }

    /// Short names of the indices whose bands this cube has, and whose
    /// parameters have defaults.
    pub fn available_indices(&self) -> Vec<&'static str> {
        let possible = |index: &SpectralIndex| {
            index.bands.iter().all(|symbol| {
                if bands::is_band(symbol) {
                    bands::find(self, symbol, None).is_some()
                } else {
                    default(symbol, None).is_some()
                }
            })
        };
        let all = SpectralIndex::all().filter(|(_, index)| possible(index));
        all.map(|(name, _)| name).collect()
    }
}

/// A band as physical values in a float type.
fn physical(band: &DataArray, scale: Option<(f64, f64)>) -> DataArray {
    let dtype = match band.dtype() {
        float if float.is_float() => float,
        small if small.size() <= 2 => DType::Float32,
        _ => DType::Float64,
    };
    let number = |name: &str| band.attrs().get(name).and_then(serde_json::Value::as_f64);
    let (scale, offset) = match scale {
        Some(scale) if !band.dtype().is_float() => scale,
        _ if band.dtype().is_float() => (1.0, 0.0),
        _ => (
            number("scale_factor").unwrap_or(1.0),
            number("add_offset").unwrap_or(0.0),
        ),
    };
    band.to_float(scale, offset, dtype)
}

fn default(symbol: &str, platform: Option<&str>) -> Option<f64> {
    let constant = catalogue().constants.get(symbol)?;
    constant.default.or_else(|| {
        let band = symbol.strip_prefix("lambda")?;
        bands::wavelength(band, platform?)
    })
}

fn missing(cube: &Cube, name: &str, index: &SpectralIndex, symbol: &str) -> Error {
    Error::Invalid(format!(
        "index {name} = {} needs {}, which is none of the variables {}; load it, or name it with `IndexOptions::band(\"{symbol}\", ..)`",
        index.formula,
        bands::describe(symbol),
        cube.names().collect::<Vec<_>>().join(", ")
    ))
}

fn no_default(name: &str, symbol: &str) -> Error {
    let description = catalogue().constants.get(symbol).map_or_else(
        || "a kernel of two bands, or another array".to_owned(),
        |constant| constant.description.clone(),
    );
    Error::Invalid(format!(
        "index {name} needs `{symbol}` ({description}), which has no default; give it with `IndexOptions::param(\"{symbol}\", ..)`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_formula_reads_and_its_symbols_are_known() {
        assert!(SpectralIndex::all().count() >= 280);
        for (name, index) in SpectralIndex::all() {
            let formula =
                Expression::parse(&index.formula).unwrap_or_else(|e| panic!("{name}: {e}"));
            for symbol in formula.variables() {
                assert!(
                    index.bands.iter().any(|known| known == symbol),
                    "{name}: {symbol}"
                );
                let kernel = symbol.starts_with('k') && symbol.len() == 3;
                let known = bands::is_band(symbol) || catalogue().constants.contains_key(symbol);
                assert!(known || kernel, "{name}: {symbol}");
            }
        }
    }

    #[test]
    fn names_in_other_case_are_found_where_one_is_meant() {
        assert_eq!(find("ndvi").unwrap().0, "NDVI");
        assert!(SpectralIndex::get("NDVX").unwrap_err().is_not_found());
    }
}
