//! Whether arrays are the same, and pixels without gaps: what has to look.

use datacube_model::DType;

use super::DataArray;
use super::run::Compute;
use crate::error::{Error, Result};
use crate::index::AxisIndex;

/// Which pixels along a dimension `dropna` drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DropNa {
    /// Those where one is NaN.
    #[default]
    Any,
    /// Those where all are NaN.
    All,
}

impl DataArray {
    /// Whether both have the same dimensions, coordinates and pixels; NaN
    /// equals NaN, names and attributes do not matter. Computes both, unless
    /// their plans are the same.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    ///
    /// # Source
    /// xarray, `equals`.
    pub fn equals(&self, other: &DataArray) -> Result<bool> {
        self.check()?;
        other.check()?;
        let same_coords = self.coords().len() == other.coords().len()
            && self.coords().iter().all(|(name, coord)| {
                other
                    .coords()
                    .get(name)
                    .is_some_and(|other| coord.same_labels(other))
            });
        if self.dims() != other.dims()
            || self.shape() != other.shape()
            || self.dtype() != other.dtype()
            || !same_coords
        {
            return Ok(false);
        }
        if std::sync::Arc::ptr_eq(self.node(), other.node()) {
            return Ok(true);
        }
        let (both, _) = Compute::new().arrays(&[self, other])?;
        let [a, b] = both.as_slice() else {
            return Err(Error::Bug("two arrays were asked for".to_owned()));
        };
        same_pixels(a, b)
    }

    /// Whether both are equal, and have the same name and attributes, their
    /// coordinates' included.
    ///
    /// # Errors
    /// As [`DataArray::compute`].
    ///
    /// # Source
    /// xarray, `identical`.
    pub fn identical(&self, other: &DataArray) -> Result<bool> {
        Ok(self.name() == other.name()
            && self.attrs() == other.attrs()
            && self.coords().iter().all(|(name, coord)| {
                other
                    .coords()
                    .get(name)
                    .is_some_and(|other| coord.attrs() == other.attrs())
            })
            && self.equals(other)?)
    }

    /// Without the labels along `dim` at which a pixel is NaN, or all are.
    /// Computes the array, because the shape depends on the pixels.
    ///
    /// # Errors
    /// No such dimension; as [`DataArray::compute`].
    ///
    /// # Source
    /// xarray, `dropna`.
    pub fn dropna(&self, dim: &str, how: DropNa) -> Result<DataArray> {
        self.check()?;
        let axis = self.axis(dim)?;
        let computed = self.compute()?;
        if !self.dtype().is_float() {
            return Ok(computed);
        }
        let missing = computed.isnull().compute()?;
        let missing = missing.values::<bool>()?;
        let lanes = missing.axis_iter(ndarray::Axis(axis));
        let kept = lanes.enumerate().filter(|(_, lane)| match how {
            DropNa::Any => !lane.iter().any(|&missing| missing),
            DropNa::All => lane.is_empty() || !lane.iter().all(|&missing| missing),
        });
        let kept = kept.map(|(position, _)| position).collect();
        computed.take(axis, AxisIndex::list(kept))?.compute()
    }
}

/// Whether two computed arrays of one type have the same pixels.
fn same_pixels(a: &DataArray, b: &DataArray) -> Result<bool> {
    if a.bytes()? == b.bytes()? {
        return Ok(true);
    }
    // Only floats differ in their bits and yet not in their values.
    macro_rules! same {
        ($t:ty) => {{
            let (a, b) = (a.values::<$t>()?, b.values::<$t>()?);
            a.iter()
                .zip(&b)
                .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
        }};
    }
    Ok(match a.dtype() {
        DType::Float16 => same!(half::f16),
        DType::Float32 => same!(f32),
        DType::Float64 => same!(f64),
        _ => false,
    })
}
