//! Labels of the smallest and largest pixels: `idxmin`, `idxmax`.

use datacube_model::DType;

use super::DataArray;
use crate::coords::{CoordValues, Coords};
use crate::error::{Error, Result};
use crate::plan::Binary;
use crate::{ops, reduce::ReduceOp};

impl DataArray {
    /// The label along `dim` of the smallest pixel, the first of equals;
    /// float64, NaN where all pixels are NaN. Times are seconds since
    /// 1970-01-01, and have it for their `units`.
    ///
    /// ```
    /// use datacube_compute::{Coord, Coords, DataArray};
    /// let coords = Coords::from([("x", Coord::int("x", [10, 20, 30]))]);
    /// let array = DataArray::from_values("a", &["x"], &[3], vec![5u8, 9, 9], coords)?;
    /// assert_eq!(array.idxmax("x")?.compute()?.to_vec::<f64>()?, [20.0]);
    /// # Ok::<(), datacube_compute::Error>(())
    /// ```
    ///
    /// # Errors
    /// No such dimension, no labels there, labels that are names.
    ///
    /// # Source
    /// xarray, `idxmin`. DIFFERENCE: times are numbers, since pixels are.
    pub fn idxmin(&self, dim: &str) -> Result<DataArray> {
        self.label_of(dim, ReduceOp::Min)
    }

    /// The label along `dim` of the largest pixel: see [`DataArray::idxmin`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Source
    /// xarray, `idxmax`.
    pub fn idxmax(&self, dim: &str) -> Result<DataArray> {
        self.label_of(dim, ReduceOp::Max)
    }

    fn label_of(&self, dim: &str, extreme: ReduceOp) -> Result<DataArray> {
        self.check()?;
        self.axis(dim)?;
        let coord = self.coords().index_of(dim).ok_or_else(|| {
            Error::Invalid(format!(
                "dimension `{dim}` of {} has no labels; `argmin` and `argmax` give positions",
                self.place()
            ))
        })?;
        let labels = coord.to_f64().ok_or_else(|| {
            Error::Invalid(format!(
                "the labels of `{dim}` are names, which no pixel can be; `argmin` and `argmax` give positions"
            ))
        })?;
        let mut attrs = coord.attrs().clone();
        let labels = if let CoordValues::Time(_) = coord.values() {
            attrs.insert("units", "seconds since 1970-01-01");
            labels.iter().map(|at| at / 1e9).collect()
        } else {
            labels
        };
        let own = Coords::new().with(dim, coord.clone());
        let labels = DataArray::from_values(dim, &[dim], &[labels.len()], labels, own)?;
        // The first label whose pixel is the extreme; NaN is none.
        let best = self.reduce(extreme, dim)?;
        let hit = ops::binary(Binary::Eq, &self.into(), &(&best).into());
        let labels = labels.broadcast_like(&hit)?.transpose(hit.dims())?;
        let found = labels.where_(&hit).first(dim)?;
        debug_assert_eq!(found.dtype(), DType::Float64);
        let found = found.with_attrs(attrs);
        Ok(match self.name() {
            Some(name) => found.named(name),
            None => found.without_name(),
        })
    }
}
