//! What arrays can do along a dimension and pixel by pixel, for all variables
//! of a cube at once.

use super::Cube;
use crate::array::{DataArray, DropNa, Gaps, Operand, Reindex, held_somewhere};
use crate::coords::Coord;
use crate::error::Result;
use crate::kernels::interp::InterpMethod;

macro_rules! along {
    ($($name:ident,)*) => {
        impl Cube {
            $(
                #[doc = concat!("Every variable that has `dim` as [`DataArray::", stringify!($name), "`] makes it.")]
                ///
                /// # Errors
                /// As there.
                pub fn $name(&self, dim: &str) -> Result<Cube> {
                    self.each_along(dim, |array| array.$name(dim))
                }
            )*
        }
    };
}

along! {
    argmin,
    argmax,
    idxmin,
    idxmax,
    cumsum,
    cumprod,
}

impl Cube {
    /// A quantile of every variable that has `dim`: see
    /// [`DataArray::quantile`].
    ///
    /// # Errors
    /// As there.
    pub fn quantile(&self, q: f64, dim: &str) -> Result<Cube> {
        self.each_along(dim, |array| array.quantile(q, dim))
    }

    /// Several quantiles of every variable that has `dim`: see
    /// [`DataArray::quantiles`].
    ///
    /// # Errors
    /// As there.
    pub fn quantiles(&self, q: &[f64], dim: &str) -> Result<Cube> {
        self.each_along(dim, |array| array.quantiles(q, dim))
    }

    /// NaN filled with the last pixel before it: see [`DataArray::ffill`].
    ///
    /// # Errors
    /// As there.
    pub fn ffill(&self, dim: &str, limit: Option<usize>) -> Result<Cube> {
        self.each_along(dim, |array| array.ffill(dim, limit))
    }

    /// NaN filled with the first pixel after it: see [`DataArray::bfill`].
    ///
    /// # Errors
    /// As there.
    pub fn bfill(&self, dim: &str, limit: Option<usize>) -> Result<Cube> {
        self.each_along(dim, |array| array.bfill(dim, limit))
    }

    /// NaN between valid pixels interpolated: see
    /// [`DataArray::interpolate_na`].
    ///
    /// # Errors
    /// As there.
    pub fn interpolate_na(&self, dim: &str, gaps: Gaps) -> Result<Cube> {
        self.each_along(dim, |array| array.interpolate_na(dim, gaps))
    }

    /// The pixels at other labels along `dim`: see [`DataArray::interp`].
    ///
    /// # Errors
    /// As there.
    pub fn interp(&self, dim: &str, labels: &Coord, method: InterpMethod) -> Result<Cube> {
        self.each_along(dim, |array| array.interp(dim, labels, method))
    }

    /// The pixels moved along `dim`, around its ends: see [`DataArray::roll`].
    ///
    /// # Errors
    /// As there.
    pub fn roll(&self, dim: &str, by: i64) -> Result<Cube> {
        self.each_along(dim, |array| array.roll(dim, by))
    }

    /// The pixels for the labels of `other` along all dimensions that both
    /// have: see [`DataArray::reindex_like`].
    ///
    /// # Errors
    /// As there.
    pub fn reindex_like(&self, other: &DataArray, how: Reindex) -> Result<Cube> {
        self.each(|_, array| array.reindex_like(other, how))
    }

    /// Without the labels along `dim` at which a variable is NaN somewhere, or
    /// all are everywhere. Computes the cube, because the shape depends on the
    /// pixels.
    ///
    /// # Errors
    /// No such dimension; as [`Cube::compute`].
    ///
    /// # Source
    /// xarray, `Dataset.dropna`.
    pub fn dropna(&self, dim: &str, how: DropNa) -> Result<Cube> {
        let len = self.len_of(dim)?;
        let computed = self.compute()?;
        let mut valid = vec![0; len];
        let mut all = 0;
        for (_, array) in computed.variables() {
            let Ok(axis) = array.axis(dim) else {
                continue;
            };
            let (own, each) = array.valid_along(axis)?;
            for (valid, own) in valid.iter_mut().zip(own) {
                *valid += own;
            }
            all += each;
        }
        computed.take(dim, &how.kept(&valid, all))?.compute()
    }

    /// Every variable where `condition` holds, NaN elsewhere, without the
    /// labels at which it holds nowhere. Computes the condition, because the
    /// shape depends on it; the cube stays lazy.
    ///
    /// # Errors
    /// A condition that is not bool; labels that differ from the cube's; as
    /// [`DataArray::compute`].
    ///
    /// # Source
    /// xarray, `Dataset.where` with `drop=True`.
    pub fn where_drop(&self, condition: &DataArray) -> Result<Cube> {
        self.check()?;
        let condition = condition.compute()?;
        let mut cube = self.clone();
        let mut clipped = condition.clone();
        for (dim, index) in held_somewhere(&condition)? {
            if cube.len_of(&dim).is_ok() {
                cube = cube.take(&dim, &index)?;
            }
            clipped = clipped.take(clipped.axis(&dim)?, index)?;
        }
        cube.where_(&clipped).check().cloned()
    }

    /// The values brought into `low ..= high`: see [`DataArray::clip`].
    #[must_use]
    pub fn clip(&self, low: impl Into<Operand>, high: impl Into<Operand>) -> Cube {
        let (low, high) = (low.into(), high.into());
        self.map(|_, array| array.clip(low.clone(), high.clone()))
    }

    /// Rounded to `decimals` places: see [`DataArray::round`].
    #[must_use]
    pub fn round(&self, decimals: i32) -> Cube {
        self.map(|_, array| array.round(decimals))
    }

    /// Whether a pixel is one of `values`: see [`DataArray::isin`].
    #[must_use]
    pub fn isin<S: Into<crate::value::Scalar>>(&self, values: impl IntoIterator<Item = S>) -> Cube {
        let values: Vec<crate::value::Scalar> = values.into_iter().map(Into::into).collect();
        self.map(|_, array| array.isin(values.iter().copied()))
    }
}
