//! Groups and windows of all variables: `cube.groupby("time.month")?.mean()`.

use std::ops::{Add, Div, Mul, Sub};

use super::Cube;
use crate::array::{Coarsened, DataArray, Grouped, Reduction, Resample, Rolling};
use crate::attrs::Attrs;
use crate::error::{Error, Result};
use crate::reduce::ReduceOp;

/// For each variable what it is as groups or windows, or the variable itself
/// where it lacks the dimension.
#[derive(Clone, Debug)]
struct Each<T> {
    attrs: Attrs,
    parts: Vec<(String, Part<T>)>,
}

#[derive(Clone, Debug)]
enum Part<T> {
    Along(T),
    Whole(DataArray),
}

impl<T> Each<T> {
    fn of(
        cube: &Cube,
        dims: &[&str],
        make: impl Fn(&DataArray, &[&str]) -> Result<T>,
    ) -> Result<Each<T>> {
        cube.check()?;
        for dim in dims {
            cube.len_of(dim)?;
        }
        let mut parts = Vec::with_capacity(cube.len());
        for (name, array) in cube.variables() {
            let own: Vec<&str> = (dims.iter().copied())
                .filter(|dim| array.axis(dim).is_ok())
                .collect();
            let part = if own.is_empty() {
                Part::Whole(array.clone())
            } else {
                Part::Along(make(array, &own)?)
            };
            parts.push((name.to_owned(), part));
        }
        Ok(Each {
            attrs: cube.attrs().clone(),
            parts,
        })
    }

    fn map(self, change: impl Fn(T) -> T) -> Each<T> {
        let parts = self.parts.into_iter().map(|(name, part)| match part {
            Part::Along(part) => (name, Part::Along(change(part))),
            whole => (name, whole),
        });
        Each {
            attrs: self.attrs,
            parts: parts.collect(),
        }
    }

    fn cube(&self, make: impl Fn(&str, &T) -> Result<DataArray>) -> Result<Cube> {
        let mut variables = Vec::with_capacity(self.parts.len());
        for (name, part) in &self.parts {
            let array = match part {
                Part::Along(part) => make(name, part)?,
                Part::Whole(array) => array.clone(),
            };
            variables.push((name.clone(), array));
        }
        Ok(Cube::new(variables)?.with_attrs(self.attrs.clone()))
    }
}

/// A cube whose pixels along a dimension belong to groups, from
/// [`Cube::groupby`] and [`Cube::resample`].
#[derive(Clone, Debug)]
pub struct CubeGrouped(Each<Grouped>);

/// Windows along a dimension of a cube, from [`Cube::rolling`].
#[derive(Clone, Debug)]
pub struct CubeRolling(Each<Rolling>);

/// Groups of neighbours in a cube, from [`Cube::coarsen`].
#[derive(Clone, Debug)]
pub struct CubeCoarsened(Each<Coarsened>);

impl Cube {
    /// Groups every variable by a part of a date or the values of a coordinate:
    /// see [`DataArray::groupby`].
    ///
    /// # Errors
    /// As there.
    pub fn groupby(&self, by: &str) -> Result<CubeGrouped> {
        let name = match by.split_once('.') {
            Some((name, _)) if self.coords().get(by).is_none() => name,
            _ => by,
        };
        let coord = self.coord(name)?;
        let dim = coord.dim().ok_or_else(|| {
            Error::Invalid(format!(
                "coordinate `{name}` is one value, so all pixels are one group; reduce without `groupby`"
            ))
        })?;
        let each = Each::of(self, &[dim], |array, _| array.groupby(by))?;
        Ok(CubeGrouped(each))
    }

    /// Groups every variable by periods along a dimension of dates: see
    /// [`DataArray::resample`].
    ///
    /// # Errors
    /// As there.
    pub fn resample(&self, dim: &str, by: impl Into<Resample>) -> Result<CubeGrouped> {
        let by = by.into();
        let each = Each::of(self, &[dim], |array, _| array.resample(dim, by.clone()))?;
        Ok(CubeGrouped(each))
    }

    /// Windows of `size` pixels along a dimension of every variable: see
    /// [`DataArray::rolling`].
    ///
    /// # Errors
    /// As there.
    pub fn rolling(&self, dim: &str, size: usize) -> Result<CubeRolling> {
        let each = Each::of(self, &[dim], |array, _| array.rolling(dim, size))?;
        Ok(CubeRolling(each))
    }

    /// Groups of neighbours in every variable: see [`DataArray::coarsen`].
    ///
    /// # Errors
    /// As there.
    pub fn coarsen(&self, sizes: &[(&str, usize)]) -> Result<CubeCoarsened> {
        let dims: Vec<&str> = sizes.iter().map(|(dim, _)| *dim).collect();
        let each = Each::of(self, &dims, |array, own| {
            let own: Vec<(&str, usize)> = (sizes.iter().copied())
                .filter(|(dim, _)| own.contains(dim))
                .collect();
            array.coarsen(&own)
        })?;
        Ok(CubeCoarsened(each))
    }
}

impl CubeGrouped {
    /// What the pixels of each group come to: see [`Grouped::reduce`].
    ///
    /// # Errors
    /// As there.
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<Cube> {
        let reduction = reduction.into();
        self.0.cube(|_, part| part.reduce(reduction.clone()))
    }

    /// A quantile of each group: see [`Grouped::quantile`].
    ///
    /// # Errors
    /// As there.
    pub fn quantile(&self, q: f64) -> Result<Cube> {
        self.0.cube(|_, part| part.quantile(q))
    }
}

impl CubeRolling {
    /// Puts each pixel in the middle of its window rather than at its end.
    #[must_use]
    pub fn center(self) -> CubeRolling {
        CubeRolling(self.0.map(Rolling::center))
    }

    /// Windows of fewer pixels become NaN: see [`Rolling::min_periods`].
    #[must_use]
    pub fn min_periods(self, pixels: u64) -> CubeRolling {
        CubeRolling(self.0.map(|part| part.min_periods(pixels)))
    }

    /// What each window comes to: see [`Rolling::reduce`].
    ///
    /// # Errors
    /// As there.
    pub fn reduce(&self, op: ReduceOp) -> Result<Cube> {
        self.0.cube(|_, part| part.reduce(op))
    }
}

impl CubeCoarsened {
    /// What the pixels of each group come to: see [`Coarsened::reduce`].
    ///
    /// # Errors
    /// As there.
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<Cube> {
        let reduction = reduction.into();
        self.0.cube(|_, part| part.reduce(reduction.clone()))
    }
}

macro_rules! reductions {
    ($type:ident of $own:ident: $($name:ident: $op:ident,)*) => {
        impl $type {
            $(
                #[doc = concat!("As [`", stringify!($own), "::", stringify!($name), "`], of every variable.")]
                ///
                /// # Errors
                /// As there.
                pub fn $name(&self) -> Result<Cube> {
                    self.reduce(ReduceOp::$op)
                }
            )*
        }
    };
}

reductions! {
    CubeGrouped of Grouped:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, first: First, last: Last, median: Median, mode: Mode,
}

reductions! {
    CubeRolling of Rolling:
    sum: Sum, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
}

reductions! {
    CubeCoarsened of Coarsened:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, median: Median, mode: Mode,
}

macro_rules! arithmetic {
    ($($trait:ident::$method:ident;)*) => {$(
        /// Each pixel with the value of its group, variable by variable; those
        /// without the dimension stay as they are.
        impl $trait<&Cube> for &CubeGrouped {
            type Output = Cube;

            fn $method(self, groups: &Cube) -> Cube {
                let made = self.0.cube(|name, part| Ok(part.$method(groups.get(name)?)));
                made.unwrap_or_else(|error| groups.clone().with_error(error))
            }
        }
    )*};
}

arithmetic! {
    Add::add;
    Sub::sub;
    Mul::mul;
    Div::div;
}
