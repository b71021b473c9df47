//! Reductions: what many pixels come to.
//!
//! Each axis of the input is kept, reduced away, or grouped (months, bins): one
//! pixel of the result for each group. The order in which pixels are taken is
//! part of the meaning, so that the result does not depend on chunks, threads or
//! engines: in C order within a *canonical block*, a part of the reduced axes
//! that follows from their lengths alone, and block after block in C order. Where
//! the last axis is reduced, pixels go to eight lanes by their position, which
//! are put together in order; that is what lets the sum of a row use the whole
//! width of the machine.

mod cumulate;
mod exact;
mod geometry;
mod kind;
mod order;
mod pixels;
mod place;
mod planes;
mod run;
mod sliding;
mod state;
mod windows;

use std::sync::Arc;

use datacube_model::DType;
use serde::{Deserialize, Serialize};

pub(crate) use cumulate::Cumulate;
pub(crate) use geometry::Geometry;
pub(crate) use run::{Accumulate, accumulators, combine, reduce_whole, state_bytes, words};
pub(crate) use sliding::{Lanes, Slide, sliding, sliding_bytes};
pub(crate) use windows::{windows, windows_bytes};

use crate::error::{Error, Result};

/// What pixels come to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReduceOp {
    /// Their sum; 0 of none. Integers wrap.
    Sum,
    /// Their product; 1 of none. Integers wrap.
    Prod,
    /// Sum by number.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Mean square distance from the mean, with `ddof` taken off the number.
    Var,
    /// The root of [`ReduceOp::Var`].
    Std,
    /// How many are not NaN.
    Count,
    /// Whether one is not 0.
    Any,
    /// Whether none is 0.
    All,
    /// The first.
    First,
    /// The last.
    Last,
    /// Position of the smallest, the first of equals.
    ArgMin,
    /// Position of the largest, the first of equals.
    ArgMax,
    /// The middle one, or the mean of the middle two.
    Median,
    /// The values below which a part of them lies: numpy's `linear` method.
    Quantile,
    /// The one that is met most often, the smallest of equals.
    Mode,
}

impl ReduceOp {
    /// Its name, as xarray has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Mean => "mean",
            ReduceOp::Min => "min",
            ReduceOp::Max => "max",
            ReduceOp::Var => "var",
            ReduceOp::Std => "std",
            ReduceOp::Count => "count",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
            ReduceOp::First => "first",
            ReduceOp::Last => "last",
            ReduceOp::ArgMin => "argmin",
            ReduceOp::ArgMax => "argmax",
            ReduceOp::Median => "median",
            ReduceOp::Quantile => "quantile",
            ReduceOp::Mode => "mode",
        }
    }

    /// Whether pixels can be taken one by one, rather than all at a time.
    pub(crate) fn streams(self) -> bool {
        !matches!(self, ReduceOp::Median | ReduceOp::Quantile | ReduceOp::Mode)
    }

    /// Whether it depends on positions, and so is of one axis only.
    pub(crate) fn is_positional(self) -> bool {
        matches!(
            self,
            ReduceOp::First | ReduceOp::Last | ReduceOp::ArgMin | ReduceOp::ArgMax
        )
    }

    /// Type of the result, as numpy has it; `None` where it is not defined.
    pub(crate) fn result(self, dtype: DType) -> Option<DType> {
        if dtype.is_complex() {
            return None;
        }
        let float_or_double = if dtype.is_float() {
            dtype
        } else {
            DType::Float64
        };
        Some(match self {
            ReduceOp::Sum | ReduceOp::Prod => match dtype {
                dtype if dtype.is_float() => dtype,
                DType::UInt8 | DType::UInt16 | DType::UInt32 | DType::UInt64 => DType::UInt64,
                _ => DType::Int64,
            },
            ReduceOp::Mean | ReduceOp::Var | ReduceOp::Std | ReduceOp::Median => float_or_double,
            ReduceOp::Min | ReduceOp::Max | ReduceOp::First | ReduceOp::Last | ReduceOp::Mode => {
                dtype
            }
            ReduceOp::Quantile => DType::Float64,
            ReduceOp::Count | ReduceOp::ArgMin | ReduceOp::ArgMax => DType::Int64,
            ReduceOp::Any | ReduceOp::All => DType::Bool,
        })
    }
}

/// What becomes of an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// It stays.
    Keep,
    /// It goes away.
    Reduce,
    /// It becomes one pixel for each group.
    Group(Groups),
}

/// Which group each position of an axis belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Groups {
    /// So many positions each, one group after the other.
    Every {
        /// Positions of a group.
        size: usize,
        /// How many groups.
        count: usize,
    },
    /// By position; [`NO_GROUP`] for none.
    Labels {
        /// The group of each position.
        labels: Arc<[u32]>,
        /// How many groups.
        count: usize,
    },
}

/// The label of a position that belongs to no group.
pub const NO_GROUP: u32 = u32::MAX;

impl Groups {
    /// How many groups.
    pub(crate) fn count(&self) -> usize {
        match self {
            Groups::Every { count, .. } | Groups::Labels { count, .. } => *count,
        }
    }

    /// The group of a position.
    pub(crate) fn of(&self, at: usize) -> Option<usize> {
        match self {
            Groups::Every { size, count } => Some(at / size).filter(|group| group < count),
            Groups::Labels { labels, .. } => match labels.get(at) {
                Some(&NO_GROUP) | None => None,
                Some(&label) => Some(label as usize),
            },
        }
    }

    fn fits(&self, len: usize) -> bool {
        match self {
            Groups::Every { size, count } => {
                *size > 0 && count.checked_mul(*size).is_some_and(|used| used <= len)
            }
            Groups::Labels { labels, count } => {
                labels.len() == len
                    && labels
                        .iter()
                        .all(|&label| label == NO_GROUP || (label as usize) < *count)
            }
        }
    }
}

/// A reduction of one array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reduce {
    /// What pixels come to.
    pub op: ReduceOp,
    /// For each axis of the input.
    pub roles: Vec<Role>,
    /// Whether NaN is left out.
    pub skipna: bool,
    /// Taken off the number in [`ReduceOp::Var`] and [`ReduceOp::Std`].
    pub ddof: u32,
    /// Sums and products of fewer are NaN.
    pub min_count: u64,
    /// Of [`ReduceOp::Quantile`]: bits of the parts, each 0 to 1, which become
    /// the first axis of the result.
    pub quantiles: Vec<u64>,
}

impl Reduce {
    /// `op` by these roles, NaN left out.
    pub(crate) fn new(op: ReduceOp, roles: Vec<Role>) -> Reduce {
        Reduce {
            op,
            roles,
            skipna: true,
            ddof: 0,
            min_count: 0,
            quantiles: Vec::new(),
        }
    }

    /// Checks that it can be done to an array, and says what type comes out.
    pub(crate) fn check(&self, shape: &[usize], dtype: DType) -> Result<DType> {
        let bad = |what: &str| Err(Error::Bug(format!("{what} in {self:?} of {shape:?}")));
        if self.roles.len() != shape.len() {
            return bad("roles of another number of axes");
        }
        let pixels = shape
            .iter()
            .try_fold(16usize, |all, &len| all.checked_mul(len.max(1)));
        if pixels.is_none() {
            return bad("more pixels than there can be");
        }
        for (role, &len) in self.roles.iter().zip(shape) {
            if let Role::Group(groups) = role
                && !groups.fits(len)
            {
                return bad("groups that do not fit");
            }
        }
        let reduced = self.roles.iter().filter(|role| **role != Role::Keep);
        if self.op.is_positional() && reduced.count() > 1 {
            return bad("positions along several axes");
        }
        let parts = self.quantiles.iter().map(|&bits| f64::from_bits(bits));
        if (self.op == ReduceOp::Quantile) == self.quantiles.is_empty()
            || parts.into_iter().any(|q| !(0.0..=1.0).contains(&q))
        {
            return bad("quantiles");
        }
        self.op.result(dtype).ok_or_else(|| Error::DType {
            operation: self.op.name().to_owned(),
            dtypes: vec![dtype],
            reason: "complex pixels are not computed with".to_owned(),
        })
    }

    /// Axes of the result that are not of the input: of several quantiles.
    pub(crate) fn leading(&self) -> usize {
        usize::from(self.op == ReduceOp::Quantile)
    }

    /// Shape of the result.
    pub(crate) fn out_shape(&self, shape: &[usize]) -> Vec<usize> {
        let mut out = Vec::new();
        if self.leading() == 1 {
            out.push(self.quantiles.len());
        }
        for (role, &len) in self.roles.iter().zip(shape) {
            match role {
                Role::Keep => out.push(len),
                Role::Reduce => {}
                Role::Group(groups) => out.push(groups.count()),
            }
        }
        out
    }
}
