//! Operators and the functions of two operands.
//!
//! Every combination of array, reference to an array and scalar works; the
//! scalars are weak (see [`Scalar`]).

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Rem, Sub};

use super::DataArray;
use crate::ops;
use crate::plan::{Binary, Unary};
use crate::value::Scalar;

/// What can stand beside an array: another array or a number.
#[derive(Clone, Debug)]
pub enum Operand {
    /// An array.
    Array(DataArray),
    /// A number.
    Scalar(Scalar),
}

impl From<DataArray> for Operand {
    fn from(array: DataArray) -> Self {
        Operand::Array(array)
    }
}

impl From<&DataArray> for Operand {
    fn from(array: &DataArray) -> Self {
        Operand::Array(array.clone())
    }
}

impl<S: Into<Scalar>> From<S> for Operand {
    fn from(scalar: S) -> Self {
        Operand::Scalar(scalar.into())
    }
}

/// Methods of two operands.
macro_rules! binary_methods {
    ($($name:ident = $op:ident: $doc:literal;)*) => {
        impl DataArray {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(&self, other: impl Into<Operand>) -> DataArray {
                    ops::binary(Binary::$op, &self.into(), &other.into())
                }
            )*
        }
    };
}

pub(super) use binary_methods;

binary_methods! {
    floor_div = FloorDiv: "The floor of the quotient; 0 where an integer is divided by 0.";
    pow = Pow: "`self ** other`.";
    minimum = Minimum: "The smaller of both; NaN where one of them is.";
    maximum = Maximum: "The larger of both; NaN where one of them is.";
    eq = Eq: "Whether both are equal, pixel by pixel.";
    ne = Ne: "Whether both differ, pixel by pixel.";
    lt = Lt: "Whether `self < other`, pixel by pixel.";
    le = Le: "Whether `self <= other`, pixel by pixel.";
    gt = Gt: "Whether `self > other`, pixel by pixel.";
    ge = Ge: "Whether `self >= other`, pixel by pixel.";
}

impl DataArray {
    /// The values brought into `low ..= high`; NaN stays.
    #[must_use]
    pub fn clip(&self, low: impl Into<Operand>, high: impl Into<Operand>) -> DataArray {
        self.maximum(low).minimum(high)
    }
}

macro_rules! operators {
    ($($trait:ident::$method:ident = $op:ident;)*) => {$(
        impl<T: Into<Operand>> $trait<T> for DataArray {
            type Output = DataArray;

            fn $method(self, other: T) -> DataArray {
                ops::binary(Binary::$op, &self.into(), &other.into())
            }
        }

        impl<T: Into<Operand>> $trait<T> for &DataArray {
            type Output = DataArray;

            fn $method(self, other: T) -> DataArray {
                ops::binary(Binary::$op, &self.into(), &other.into())
            }
        }

        operators!(@left $trait::$method = $op; bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);
    )*};
    (@left $trait:ident::$method:ident = $op:ident; $($scalar:ty),*) => {$(
        impl $trait<DataArray> for $scalar {
            type Output = DataArray;

            fn $method(self, other: DataArray) -> DataArray {
                ops::binary(Binary::$op, &self.into(), &other.into())
            }
        }

        impl $trait<&DataArray> for $scalar {
            type Output = DataArray;

            fn $method(self, other: &DataArray) -> DataArray {
                ops::binary(Binary::$op, &self.into(), &other.into())
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
        impl $trait for DataArray {
            type Output = DataArray;

            fn $method(self) -> DataArray {
                ops::unary(Unary::$op, &self)
            }
        }

        impl $trait for &DataArray {
            type Output = DataArray;

            fn $method(self) -> DataArray {
                ops::unary(Unary::$op, self)
            }
        }
    )*};
}

unary_operators! {
    Neg::neg = Neg;
    Not::not = Not;
}
