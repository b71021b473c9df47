//! Reductions over dimensions: `da.mean("time")`.

use std::sync::Arc;

use super::DataArray;
use crate::attrs::Attrs;
use crate::coords::{Coord, CoordValue};
use crate::error::{Error, Result};
use crate::plan::Node;
use crate::reduce::{Reduce, ReduceOp, Role};
use crate::regional::Regional;

/// Names of dimensions: one, several, or `..` for all.
#[derive(Clone, Debug)]
pub enum Dims {
    /// These.
    Named(Vec<String>),
    /// All of them.
    All,
}

impl From<&str> for Dims {
    fn from(dim: &str) -> Dims {
        Dims::Named(vec![dim.to_owned()])
    }
}

impl From<String> for Dims {
    fn from(dim: String) -> Dims {
        Dims::Named(vec![dim])
    }
}

impl From<&[&str]> for Dims {
    fn from(dims: &[&str]) -> Dims {
        Dims::Named(dims.iter().map(|&dim| dim.to_owned()).collect())
    }
}

impl<const N: usize> From<[&str; N]> for Dims {
    fn from(dims: [&str; N]) -> Dims {
        Dims::from(&dims[..])
    }
}

impl<const N: usize> From<&[&str; N]> for Dims {
    fn from(dims: &[&str; N]) -> Dims {
        Dims::from(&dims[..])
    }
}

impl From<std::ops::RangeFull> for Dims {
    fn from(_: std::ops::RangeFull) -> Dims {
        Dims::All
    }
}

/// A reduction and its options, for [`DataArray::reduce`].
///
/// ```
/// # use datacube_compute::{Coords, DataArray, Reduction, ReduceOp};
/// let a = DataArray::from_values("a", &["x"], &[3], vec![1.0, 2.0, 6.0], Coords::new())?;
/// let spread = a.reduce(Reduction::new(ReduceOp::Std).ddof(1), "x")?;
/// assert_eq!(spread.compute()?.to_vec::<f64>()?, [7f64.sqrt()]);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reduction {
    op: ReduceOp,
    skipna: Option<bool>,
    ddof: u32,
    min_count: u64,
    keepdims: bool,
    quantiles: Vec<f64>,
}

impl Reduction {
    /// `op` with xarray's defaults.
    pub fn new(op: ReduceOp) -> Reduction {
        Reduction {
            op,
            skipna: None,
            ddof: 0,
            min_count: 0,
            keepdims: false,
            quantiles: Vec::new(),
        }
    }

    /// Whether NaN is left out; by default it is. Integers have none.
    #[must_use]
    pub fn skipna(mut self, skipna: bool) -> Reduction {
        self.skipna = Some(skipna);
        self
    }

    /// What `var` and `std` take off the number of pixels; 0 by default.
    #[must_use]
    pub fn ddof(mut self, ddof: u32) -> Reduction {
        self.ddof = ddof;
        self
    }

    /// Sums and products of fewer pixels are NaN; 0 by default. Floats only.
    #[must_use]
    pub fn min_count(mut self, min_count: u64) -> Reduction {
        self.min_count = min_count;
        self
    }

    /// Leaves reduced dimensions in place, of length 1.
    #[must_use]
    pub fn keepdims(mut self) -> Reduction {
        self.keepdims = true;
        self
    }

    /// The parts of a quantile, each from 0 to 1.
    #[must_use]
    pub fn quantiles(mut self, quantiles: impl Into<Vec<f64>>) -> Reduction {
        self.quantiles = quantiles.into();
        self
    }

    pub(super) fn of_roles(&self, roles: Vec<Role>) -> Result<Reduce> {
        if let Some(wrong) = self.quantiles.iter().find(|q| !(0.0..=1.0).contains(*q)) {
            return Err(Error::Invalid(format!(
                "a quantile of {wrong}; give parts from 0 to 1"
            )));
        }
        if (self.op == ReduceOp::Quantile) == self.quantiles.is_empty() {
            return Err(Error::Invalid(
                "quantiles belong to the reduction `quantile`, at least one".to_owned(),
            ));
        }
        Ok(Reduce {
            skipna: self.skipna.unwrap_or(true),
            ddof: self.ddof,
            min_count: self.min_count,
            quantiles: self.quantiles.iter().map(|q| q.to_bits()).collect(),
            ..Reduce::new(self.op, roles)
        })
    }

    /// The parts of a quantile.
    pub(super) fn parts(&self) -> &[f64] {
        &self.quantiles
    }

    pub(super) fn op(&self) -> ReduceOp {
        self.op
    }
}

impl From<ReduceOp> for Reduction {
    fn from(op: ReduceOp) -> Reduction {
        Reduction::new(op)
    }
}

/// Attributes of what pixels come to.
pub(super) fn reduced_attrs(
    op: ReduceOp,
    array: &DataArray,
    dtype: datacube_model::DType,
) -> Attrs {
    let keeps_units = !matches!(
        op,
        ReduceOp::Prod
            | ReduceOp::Var
            | ReduceOp::Count
            | ReduceOp::Any
            | ReduceOp::All
            | ReduceOp::ArgMin
            | ReduceOp::ArgMax
    );
    Attrs::after_math(&[array.attrs()], dtype, keeps_units)
}

macro_rules! reductions {
    ($($(#[$doc:meta])* $name:ident: $op:ident,)*) => {
        impl DataArray {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// No such dimension, or the misuse that the array carries.
                pub fn $name(&self, dims: impl Into<Dims>) -> Result<DataArray> {
                    self.reduce(ReduceOp::$op, dims)
                }
            )*
        }
    };
}

reductions! {
    /// Sum of the pixels along `dims` that are not NaN; 0 of none. Integers
    /// become 64 bits wide, and wrap.
    sum: Sum,
    /// Product of the pixels along `dims` that are not NaN; 1 of none.
    prod: Prod,
    /// Mean of the pixels along `dims` that are not NaN; NaN of none. Of
    /// integers float64.
    mean: Mean,
    /// The smallest along `dims` that is not NaN.
    min: Min,
    /// The largest along `dims` that is not NaN.
    max: Max,
    /// Variance along `dims`, NaN left out, divided by the number of pixels;
    /// for `ddof` see [`Reduction`].
    var: Var,
    /// Standard deviation along `dims`, as [`DataArray::var`].
    std: Std,
    /// How many pixels along `dims` are not NaN: int64.
    count: Count,
    /// Whether one pixel along `dims` is not 0. NaN is not 0.
    any: Any,
    /// Whether no pixel along `dims` is 0.
    all: All,
    /// The first pixel along a dimension that is not NaN.
    first: First,
    /// The last pixel along a dimension that is not NaN.
    last: Last,
    /// Position along a dimension of the smallest pixel, the first of equals:
    /// int64. A line of NaN alone fails when computed.
    argmin: ArgMin,
    /// Position along a dimension of the largest pixel, as
    /// [`DataArray::argmin`].
    argmax: ArgMax,
    /// The middle pixel along `dims`, NaN left out; the mean of the middle two.
    median: Median,
    /// The pixel met most often along `dims`, the smallest of equals.
    mode: Mode,
}

impl DataArray {
    /// What the pixels along `dims` come to.
    ///
    /// # Errors
    /// No such dimension, options that do not belong to the reduction, or the
    /// misuse that the array carries.
    pub fn reduce(
        &self,
        reduction: impl Into<Reduction>,
        dims: impl Into<Dims>,
    ) -> Result<DataArray> {
        let reduction = reduction.into();
        self.check()?;
        let axes = self.axes(&dims.into())?;
        if reduction.op.is_positional() && axes.len() != 1 {
            return Err(Error::Invalid(format!(
                "`{}` over {} dimensions; name one of {}",
                reduction.op.name(),
                axes.len(),
                self.dims().join(", ")
            )));
        }
        let roles = (0..self.ndim()).map(|axis| match axes.contains(&axis) {
            true => Role::Reduce,
            false => Role::Keep,
        });
        let reduce = reduction.of_roles(roles.collect())?;
        let node = Node::regional(Regional::Reduce(reduce), vec![Arc::clone(self.node())])?;
        let mut coords = self.coords().clone();
        for &axis in &axes {
            coords = coords.without_dim(&self.dims()[axis]);
        }
        let attrs = reduced_attrs(reduction.op, self, node.schema().dtype);
        let mut reduced = self.with_node(node, coords, attrs);
        if reduction.op == ReduceOp::Quantile {
            let labels = Coord::float("quantile", reduction.quantiles.clone());
            reduced = reduced.with_coord("quantile", labels)?;
        }
        if reduction.keepdims {
            let leading = reduced.ndim() + axes.len() - self.ndim();
            let mut next = leading;
            let mut places: Vec<Option<usize>> = (0..leading).map(Some).collect();
            let mut dims = reduced.dims()[..leading].to_vec();
            let mut shape = reduced.shape()[..leading].to_vec();
            for axis in 0..self.ndim() {
                let kept = !axes.contains(&axis);
                places.push(kept.then_some(next));
                next += usize::from(kept);
                dims.push(self.dims()[axis].clone());
                shape.push(if kept { self.shape()[axis] } else { 1 });
            }
            let node = Node::broadcast(reduced.node(), places, dims.into(), shape.into())?;
            let (coords, attrs) = (reduced.coords().clone(), reduced.attrs().clone());
            reduced = reduced.with_node(node, coords, attrs);
        }
        Ok(reduced)
    }

    /// The value below which the part `q` of the pixels along `dims` lies, NaN
    /// left out: numpy's `linear` method. float64.
    ///
    /// # Errors
    /// A part outside 0 to 1, no such dimension, or the misuse that the array
    /// carries.
    pub fn quantile(&self, q: f64, dims: impl Into<Dims>) -> Result<DataArray> {
        let reduction = Reduction::new(ReduceOp::Quantile).quantiles([q]);
        let all = self.reduce(reduction, dims)?;
        all.isel("quantile", 0)?
            .with_coord("quantile", Coord::scalar(CoordValue::Float(q)))
    }

    /// Several quantiles, along a first dimension `quantile`.
    ///
    /// # Errors
    /// As [`DataArray::quantile`].
    pub fn quantiles(&self, q: impl Into<Vec<f64>>, dims: impl Into<Dims>) -> Result<DataArray> {
        self.reduce(Reduction::new(ReduceOp::Quantile).quantiles(q), dims)
    }

    /// The axes of some dimensions, in axis order.
    pub(crate) fn axes(&self, dims: &Dims) -> Result<Vec<usize>> {
        let mut axes = match dims {
            Dims::All => (0..self.ndim()).collect(),
            Dims::Named(names) => (names.iter())
                .map(|name| self.axis(name))
                .collect::<Result<Vec<_>>>()?,
        };
        axes.sort_unstable();
        axes.dedup();
        Ok(axes)
    }
}
