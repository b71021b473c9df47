//! Computing all variables in one job, and formulas over them.

use super::Cube;
use crate::array::{Compute, DataArray, in_background};
use crate::engine::Engine;
use crate::error::Result;
use crate::expr::Expression;

impl Cube {
    /// The cube in memory, computed by the default engine on all cores.
    ///
    /// # Errors
    /// A misuse that the cube carries, a result that does not fit into memory,
    /// a source that failed.
    pub fn compute(&self) -> Result<Cube> {
        Ok(Compute::new().cube(self)?.0)
    }

    /// The cube in memory, computed by `engine`.
    ///
    /// # Errors
    /// As [`Cube::compute`].
    pub fn compute_with(&self, engine: &dyn Engine) -> Result<Cube> {
        Ok(Compute::new().engine(engine).cube(self)?.0)
    }

    /// The cube in memory, without blocking. Dropping the future cancels the
    /// job.
    ///
    /// # Errors
    /// As [`Cube::compute`].
    pub async fn compute_async(&self) -> Result<Cube> {
        let cube = self.clone();
        Ok(in_background(move |compute| compute.cube(&cube)).await?.0)
    }

    /// As [`Cube::compute`], by the name that dask gives it.
    ///
    /// # Errors
    /// As [`Cube::compute`].
    pub fn persist(&self) -> Result<Cube> {
        self.compute()
    }

    /// A formula over the variables, such as `ndvi = (nir - red) / (nir + red)`:
    /// see [`Expression`].
    ///
    /// # Errors
    /// A formula that cannot be read or applied; the message points at the
    /// place.
    pub fn eval(&self, formula: &str) -> Result<DataArray> {
        Expression::parse(formula)?.apply(self)
    }
}
