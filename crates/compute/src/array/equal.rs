//! Whether arrays are the same, and pixels without gaps: what has to look.

use datacube_model::DType;

use super::run::Compute;
use super::{DataArray, align};
use crate::coords::Join;
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
        let (valid, each) = computed.valid_along(axis)?;
        computed.take(axis, how.kept(&valid, each))?.compute()
    }

    /// How many pixels are not NaN at each position of an axis of a computed
    /// array, and how many there are.
    pub(crate) fn valid_along(&self, axis: usize) -> Result<(Vec<usize>, usize)> {
        let len = self.shape()[axis];
        let each = self.size().checked_div(len).unwrap_or(0);
        if !self.dtype().is_float() {
            return Ok((vec![each; len], each));
        }
        let valid = self.notnull().compute()?;
        let valid = valid.values::<bool>()?;
        let lanes = valid.axis_iter(ndarray::Axis(axis));
        let count = |lane: ndarray::ArrayViewD<'_, bool>| lane.iter().filter(|&&is| is).count();
        Ok((lanes.map(count).collect(), each))
    }

    /// The array where `condition` holds, NaN elsewhere, without the labels at
    /// which it holds nowhere. Computes the condition, because the shape depends
    /// on it; the array stays lazy.
    ///
    /// # Errors
    /// A condition that is not bool; as [`DataArray::compute`].
    ///
    /// # Source
    /// xarray, `where` with `drop=True`.
    pub fn where_drop(&self, condition: &DataArray) -> Result<DataArray> {
        self.check()?;
        let both = align(&[self, condition], Join::Inner)?;
        let [array, condition] = both.as_slice() else {
            return Err(Error::Bug("two arrays were aligned".to_owned()));
        };
        let condition = condition.compute()?;
        let mut array = array.clone();
        let mut clipped = condition.clone();
        for (dim, index) in held_somewhere(&condition)? {
            if let Ok(axis) = array.axis(&dim) {
                array = array.take(axis, index.clone())?;
            }
            clipped = clipped.take(clipped.axis(&dim)?, index)?;
        }
        array.where_(&clipped).check().cloned()
    }

    /// This array, and the pixels of `other` where it is NaN or has no label.
    ///
    /// # Errors
    /// Labels that are there twice; types that do not go together.
    ///
    /// # Source
    /// xarray, `combine_first`.
    pub fn combine_first(&self, other: &DataArray) -> Result<DataArray> {
        let both = align(&[self, other], Join::Outer)?;
        let [first, second] = both.as_slice() else {
            return Err(Error::Bug("two arrays were aligned".to_owned()));
        };
        let combined = first.where_or(&first.notnull(), second);
        combined.check().cloned()
    }
}

impl DropNa {
    /// The positions that are kept, of so many valid pixels out of `each`.
    pub(crate) fn kept(self, valid: &[usize], each: usize) -> AxisIndex {
        let kept = valid.iter().enumerate().filter(|&(_, &valid)| match self {
            DropNa::Any => valid == each,
            DropNa::All => valid > 0 || each == 0,
        });
        AxisIndex::list(kept.map(|(position, _)| position).collect())
    }
}

/// Along each dimension of a computed condition the positions where it holds
/// anywhere.
pub(crate) fn held_somewhere(condition: &DataArray) -> Result<Vec<(String, AxisIndex)>> {
    let holds = condition.values::<bool>()?;
    let along = condition.dims().iter().enumerate().map(|(axis, dim)| {
        let lanes = holds.axis_iter(ndarray::Axis(axis)).enumerate();
        let kept = lanes.filter(|(_, lane)| lane.iter().any(|&holds| holds));
        let kept = kept.map(|(position, _)| position).collect();
        (dim.clone(), AxisIndex::list(kept))
    });
    Ok(along.collect())
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
