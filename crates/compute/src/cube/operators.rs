//! Operators over all variables of a cube.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};

use super::Cube;
use crate::array::{DataArray, Operand};
use crate::error::Error;
use crate::ops;
use crate::plan::{Binary, Unary};
use crate::value::Scalar;

/// What can stand beside a cube: another cube of the same variables, or an
/// array or number that meets each of them.
#[derive(Clone, Debug)]
pub enum CubeOperand {
    /// Variables meet by name.
    Cube(Cube),
    /// The same for each variable.
    One(Operand),
}

impl From<Cube> for CubeOperand {
    fn from(cube: Cube) -> Self {
        CubeOperand::Cube(cube)
    }
}

impl From<&Cube> for CubeOperand {
    fn from(cube: &Cube) -> Self {
        CubeOperand::Cube(cube.clone())
    }
}

impl From<DataArray> for CubeOperand {
    fn from(array: DataArray) -> Self {
        CubeOperand::One(array.into())
    }
}

impl From<&DataArray> for CubeOperand {
    fn from(array: &DataArray) -> Self {
        CubeOperand::One(array.into())
    }
}

impl<S: Into<Scalar>> From<S> for CubeOperand {
    fn from(scalar: S) -> Self {
        CubeOperand::One(scalar.into().into())
    }
}

fn binary(op: Binary, cube: &Cube, other: &CubeOperand, swap: bool) -> Cube {
    let apply = |array: &DataArray, other: &Operand| {
        let array = Operand::from(array);
        if swap {
            ops::binary(op, other, &array)
        } else {
            ops::binary(op, &array, other)
        }
    };
    match other {
        CubeOperand::One(operand) => cube.map(|_, array| apply(array, operand)),
        CubeOperand::Cube(theirs) => {
            if let Some(error) = theirs.error() {
                return cube.clone().with_error(error.clone());
            }
            let mut names: Vec<&str> = cube.names().collect();
            let mut other_names: Vec<&str> = theirs.names().collect();
            names.sort_unstable();
            other_names.sort_unstable();
            if names != other_names {
                return cube.clone().with_error(Error::Invalid(format!(
                    "cannot {} cubes of different variables: {} and {}; `select` the common ones first",
                    op.verb(),
                    names.join(", "),
                    other_names.join(", ")
                )));
            }
            cube.map(|name, array| match theirs.get(name) {
                Ok(other) => apply(array, &other.into()),
                Err(error) => array.with_error(error),
            })
        }
    }
}

macro_rules! operators {
    ($($trait:ident::$method:ident = $op:ident;)*) => {$(
        impl<T: Into<CubeOperand>> $trait<T> for Cube {
            type Output = Cube;

            fn $method(self, other: T) -> Cube {
                binary(Binary::$op, &self, &other.into(), false)
            }
        }

        impl<T: Into<CubeOperand>> $trait<T> for &Cube {
            type Output = Cube;

            fn $method(self, other: T) -> Cube {
                binary(Binary::$op, self, &other.into(), false)
            }
        }

        operators!(@left $trait::$method = $op; bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);
    )*};
    (@left $trait:ident::$method:ident = $op:ident; $($scalar:ty),*) => {$(
        impl $trait<Cube> for $scalar {
            type Output = Cube;

            fn $method(self, other: Cube) -> Cube {
                binary(Binary::$op, &other, &self.into(), true)
            }
        }

        impl $trait<&Cube> for $scalar {
            type Output = Cube;

            fn $method(self, other: &Cube) -> Cube {
                binary(Binary::$op, other, &self.into(), true)
            }
        }
    )*};
}

operators! {
    Add::add = Add;
    Sub::sub = Sub;
    Mul::mul = Mul;
    Div::div = Div;
    Rem::rem = Mod;
    BitAnd::bitand = And;
    BitOr::bitor = Or;
    BitXor::bitxor = Xor;
}

macro_rules! unary_operators {
    ($($trait:ident::$method:ident = $op:ident;)*) => {$(
        impl $trait for Cube {
            type Output = Cube;

            fn $method(self) -> Cube {
                self.map(|_, array| ops::unary(Unary::$op, array))
            }
        }

        impl $trait for &Cube {
            type Output = Cube;

            fn $method(self) -> Cube {
                self.map(|_, array| ops::unary(Unary::$op, array))
            }
        }
    )*};
}

unary_operators! {
    Neg::neg = Neg;
    Not::not = Not;
}

macro_rules! methods {
    ($($name:ident = $op:ident: $doc:literal;)*) => {
        impl Cube {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(&self, other: impl Into<CubeOperand>) -> Cube {
                    binary(Binary::$op, self, &other.into(), false)
                }
            )*
        }
    };
}

methods! {
    eq = Eq: "Whether each variable equals `other`, pixel by pixel.";
    ne = Ne: "Whether each variable differs from `other`, pixel by pixel.";
    lt = Lt: "Whether each variable is below `other`, pixel by pixel.";
    le = Le: "Whether each variable is at most `other`, pixel by pixel.";
    gt = Gt: "Whether each variable is above `other`, pixel by pixel.";
    ge = Ge: "Whether each variable is at least `other`, pixel by pixel.";
}
