//! Reductions of all variables: `cube.median("time")`.

use super::Cube;
use crate::array::{Dims, Reduction};
use crate::error::{Error, Result};
use crate::reduce::ReduceOp;

impl Cube {
    /// What the pixels of each variable along `dims` come to; a variable
    /// without one of them is reduced along the others.
    ///
    /// # Errors
    /// A dimension that no variable has, or the misuse that the cube carries.
    pub fn reduce(&self, reduction: impl Into<Reduction>, dims: impl Into<Dims>) -> Result<Cube> {
        self.check()?;
        let (reduction, dims) = (reduction.into(), dims.into());
        if let Dims::Named(names) = &dims {
            let known = self.dims();
            if let Some(name) = names.iter().find(|name| !known.contains_key(*name)) {
                return Err(Error::unknown_name(
                    "dimension",
                    name,
                    "this cube",
                    known.keys().map(String::as_str),
                ));
            }
        }
        let mut reduced = Vec::with_capacity(self.len());
        for (name, array) in self.variables() {
            let own = match &dims {
                Dims::All => Dims::All,
                Dims::Named(names) => Dims::Named(
                    (names.iter())
                        .filter(|name| array.dims().contains(name))
                        .cloned()
                        .collect(),
                ),
            };
            let untouched = matches!(&own, Dims::Named(names) if names.is_empty());
            let array = if untouched {
                array.clone()
            } else {
                array.reduce(reduction.clone(), own)?
            };
            reduced.push((name.to_owned(), array));
        }
        Ok(Cube::new(reduced)?.with_attrs(self.attrs().clone()))
    }
}

macro_rules! reductions {
    ($($name:ident: $op:ident,)*) => {
        impl Cube {
            $(
                #[doc = concat!("Each variable as [`DataArray::", stringify!($name), "`](crate::DataArray::", stringify!($name), ") makes it.")]
                ///
                /// # Errors
                /// As [`Cube::reduce`].
                pub fn $name(&self, dims: impl Into<Dims>) -> Result<Cube> {
                    self.reduce(ReduceOp::$op, dims)
                }
            )*
        }
    };
}

reductions! {
    sum: Sum,
    prod: Prod,
    mean: Mean,
    min: Min,
    max: Max,
    var: Var,
    std: Std,
    count: Count,
    any: Any,
    all: All,
    first: First,
    last: Last,
    median: Median,
    mode: Mode,
}
