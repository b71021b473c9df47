//! Composites over all bands of a cube, and variables along a dimension.

use datacube_model::DType;

use super::Cube;
use crate::array::{DataArray, concat};
use crate::attrs::Attrs;
use crate::coords::{Coord, CoordValues};
use crate::error::{Error, Result};
use crate::kernels::geomedian::Geomedian;
use crate::regional::{Bits, GEOMEDIAN_STATS, Kernel};

/// The deviations and the count, by the names that odc-algo gives them.
const STATS: [(&str, &str); GEOMEDIAN_STATS] = [
    ("smad", "Spectral (cosine) median absolute deviation"),
    ("emad", "Euclidean median absolute deviation"),
    ("bcmad", "Bray-Curtis median absolute deviation"),
    ("count", "Number of valid dates"),
];

impl Cube {
    /// The geometric median of all variables over `dim`, with the median
    /// absolute deviations `smad`, `emad`, `bcmad` (float32) and the `count`
    /// (uint16) of dates that are valid in every band. Each pixel's dates are
    /// read once for all of them, tile by tile.
    ///
    /// Bands keep their types; missing is `nodata`, or NaN in floats. Without
    /// `options`, floats are iterated to 0.0001 and integers to a tenth.
    ///
    /// # Errors
    /// Bands of different types or nodata, no such dimension.
    ///
    /// # Source
    /// odc-algo 1.2.2, `geomedian_with_mads`. DIFFERENCE: a date counts as
    /// missing where a band is `nodata` whatever scale and offset are; there,
    /// only if both are given.
    pub fn geomedian_with_mads(&self, dim: &str, options: Option<Geomedian>) -> Result<Cube> {
        self.check()?;
        let arrays: Vec<&DataArray> = self.variables().map(|(_, array)| array).collect();
        let Some((first, others)) = arrays.split_first() else {
            return Err(Error::Invalid(
                "the geometric median of a cube without variables".to_owned(),
            ));
        };
        let axis = first.axis(dim)?;
        for other in others {
            let differs = other.dims() != first.dims()
                || other.dtype() != first.dtype()
                || other.attrs().nodata().map(|x| x.as_f64().to_bits())
                    != first.attrs().nodata().map(|x| x.as_f64().to_bits());
            if differs {
                return Err(Error::Invalid(format!(
                    "{} and {} differ in dimensions, type or nodata, and have no geometric median together; `select` the bands that go together",
                    first.place(),
                    other.place()
                )));
            }
        }
        let float = first.dtype().is_float();
        let options = options.unwrap_or_else(|| {
            if float {
                Geomedian::new()
            } else {
                Geomedian::scaled(1.0, 0.0)
            }
        });
        let nodata = options.nodata.or_else(|| {
            let nodata = first.attrs().nodata()?;
            (!nodata.is_nan()).then(|| nodata.as_f64())
        });
        let kernel = Kernel::Geomedian {
            axis,
            numbers: [options.eps, options.scale, options.offset].map(Bits::from),
            max_iterations: options.max_iterations,
            nodata: nodata.map(Bits::from),
        };
        let node = first.kernel(kernel, others)?;
        let left = first
            .coords()
            .iter()
            .filter(|(_, coord)| coord.dim() != Some(dim));
        let coords = left
            .map(|(name, coord)| (name.to_owned(), coord.clone()))
            .collect();
        let all = first.with_node(node, coords, Attrs::new());
        let mut variables: Vec<(String, DataArray)> = Vec::new();
        for (at, (name, band)) in self.variables().enumerate() {
            let median = all.plane(at)?;
            let median = if float {
                let typed = median.astype(band.dtype());
                typed.with_attrs(band.attrs().after_where(band.dtype()))
            } else {
                let marker = nodata.map_or(0i64.into(), datacube_model::Number::from);
                let whole = median.from_float(band.dtype(), marker, 1.0, 0.0);
                whole.with_attrs(band.attrs().clone())
            };
            variables.push((name.to_owned(), median));
        }
        for (at, (name, long_name)) in STATS.iter().enumerate() {
            let stat = all.plane(arrays.len() + at)?;
            let stat = if *name == "count" {
                stat.astype(DType::UInt16)
            } else {
                stat.astype(DType::Float32)
            };
            let attrs = Attrs::new()
                .with("long_name", *long_name)
                .with("units", "1");
            variables.push(((*name).to_owned(), stat.with_attrs(attrs)));
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }

    /// The geometric median of all variables over `dim`, alone: see
    /// [`Cube::geomedian_with_mads`].
    ///
    /// # Errors
    /// As there.
    pub fn geomedian(&self, dim: &str, options: Option<Geomedian>) -> Result<Cube> {
        let all = self.geomedian_with_mads(dim, options)?;
        all.select(&self.names().collect::<Vec<_>>())
    }

    /// [`DataArray::percentile`] of every variable.
    ///
    /// # Errors
    /// As there.
    pub fn percentile(&self, dim: &str, quantiles: &[f64]) -> Result<Cube> {
        let mut variables = Vec::with_capacity(self.len());
        for (name, array) in self.variables() {
            variables.push((name, array.percentile(dim, quantiles)?));
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }

    /// All variables as one array along a new first dimension, labelled with
    /// their names, in their common type; those that lack a dimension repeat.
    ///
    /// # Errors
    /// A cube without variables.
    ///
    /// # Source
    /// xarray, `Dataset.to_array`.
    pub fn to_array(&self, dim: &str) -> Result<DataArray> {
        self.check()?;
        let mut like = self.variables().map(|(_, array)| array.clone());
        let first = like
            .next()
            .ok_or_else(|| Error::Invalid(format!("no variables to put along `{dim}`")))?;
        let like = like.try_fold(first, |like, array| like.broadcast_like(&array))?;
        let mut arrays = Vec::with_capacity(self.len());
        for (name, array) in self.variables() {
            let full = array.broadcast_like(&like)?.transpose(like.dims())?;
            arrays.push(full.with_coord(dim, Coord::scalar(name))?);
        }
        let stacked = concat(&arrays.iter().collect::<Vec<_>>(), dim)?;
        Ok(stacked.without_name())
    }
}

impl DataArray {
    /// The pixels along `dim` as variables of a cube, named by its labels.
    ///
    /// # Errors
    /// No such dimension, no labels there, two of one name.
    ///
    /// # Source
    /// xarray, `to_dataset(dim=..)`.
    pub fn to_cube(&self, dim: &str) -> Result<Cube> {
        self.check()?;
        let axis = self.axis(dim)?;
        let labels = self.coords().index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of {} has no labels to name variables by",
                self.place()
            ))
        })?;
        let names: Vec<String> = match labels.values() {
            CoordValues::Text(names) => names.clone(),
            other => (0..other.len())
                .map(|at| other.get(at).to_string())
                .collect(),
        };
        let mut variables = Vec::with_capacity(names.len());
        for (at, name) in names.into_iter().enumerate() {
            let taken = self.take(axis, crate::index::AxisIndex::At(at))?;
            variables.push((name, taken.drop_coords(&[dim])?));
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs().clone()))
    }
}
