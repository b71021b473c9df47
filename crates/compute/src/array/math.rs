//! Mathematical functions pixel by pixel, numpy's by their names.
//!
//! Integers of one byte are worked out in float16, of two in float32, wider
//! ones in float64, as numpy does; floats keep their type.

use super::operators::binary_methods;
use super::{DataArray, Operand};
use crate::ops;
use crate::plan::{Binary, Unary};

macro_rules! unary {
    ($($name:ident = $op:ident: $doc:literal;)*) => {
        impl DataArray {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(&self) -> DataArray {
                    ops::unary(Unary::$op, self)
                }
            )*
        }
    };
}

unary! {
    sin = Sin: "Sine of radians.";
    cos = Cos: "Cosine of radians.";
    tan = Tan: "Tangent of radians.";
    arcsin = Arcsin: "The angle of a sine, in radians; NaN outside -1 to 1.";
    arccos = Arccos: "The angle of a cosine, in radians; NaN outside -1 to 1.";
    arctan = Arctan: "The angle of a tangent, in radians.";
    sinh = Sinh: "Hyperbolic sine.";
    cosh = Cosh: "Hyperbolic cosine.";
    tanh = Tanh: "Hyperbolic tangent.";
    degrees = Degrees: "Radians as degrees.";
    radians = Radians: "Degrees as radians.";
    cbrt = Cbrt: "Cube root.";
    exp2 = Exp2: "`2 ** x`.";
    expm1 = Expm1: "`e ** x - 1`, exact near 0.";
    log2 = Log2: "Logarithm to base 2.";
    log10 = Log10: "Logarithm to base 10.";
    log1p = Log1p: "`log(1 + x)`, exact near 0.";
    floor = Floor: "The whole number at or below; integers stay.";
    ceil = Ceil: "The whole number at or above; integers stay.";
    trunc = Trunc: "The whole number at or nearer to zero; integers stay.";
    rint = Rint: "The nearest whole number, the even one of two, as a float.";
    sign = Sign: "-1, 0 or 1 as the pixel is negative, zero or positive; NaN stays.";
    isinf = IsInf: "Whether a pixel is an infinity; never for integers.";
    isfinite = IsFinite: "Whether a pixel is neither NaN nor an infinity; always for integers.";
}

binary_methods! {
    arctan2 = Arctan2: "The angle of the point `(other, self)`, in radians: `self` is y.";
    hypot = Hypot: "`sqrt(self ** 2 + other ** 2)`, without overflow on the way.";
    fmod = Fmod: "What the division truncated towards zero leaves, with the sign of `self`; `%` has that of the divisor. 0 for an integer divisor of 0.";
    shift_left = ShiftLeft: "The bits moved up by `other`, of integers; 0 where all leave.";
    shift_right = ShiftRight: "The bits moved down by `other`, of integers; the sign alone where all leave.";
}

impl DataArray {
    /// `x * x`.
    #[must_use]
    pub fn square(&self) -> DataArray {
        self * self
    }

    /// `1 / x`.
    ///
    /// DIFFERENCE: of integers in float64, where numpy gives integers, and so 0
    /// for all but 1 and -1.
    #[must_use]
    pub fn reciprocal(&self) -> DataArray {
        1.0 / self
    }

    /// The quotient rounded down, and what it leaves: `(self // other, self % other)`.
    #[must_use]
    pub fn divmod(&self, other: impl Into<Operand>) -> (DataArray, DataArray) {
        let other = other.into();
        (self.floor_div(other.clone()), self % other)
    }

    /// Rounded to `decimals` places, halves to the even neighbour; a negative
    /// number rounds to tens, hundreds and so on. Keeps the type.
    ///
    /// # Source
    /// numpy, `round`.
    #[must_use]
    pub fn round(&self, decimals: i32) -> DataArray {
        let dtype = self.dtype();
        if !dtype.is_float() {
            if decimals >= 0 {
                return self.clone();
            }
            let wide = self.astype(datacube_model::DType::Float64);
            return wide.round(decimals).astype(dtype);
        }
        let ten = 10f64.powi(decimals.saturating_abs());
        match decimals {
            0 => self.rint(),
            1.. => (self * ten).rint() / ten,
            _ => (self / ten).rint() * ten,
        }
    }

    /// Whether both are true, where all but 0 is true (NaN too).
    #[must_use]
    pub fn logical_and(&self, other: impl Into<Operand>) -> DataArray {
        self.ne(0) & truth(other.into())
    }

    /// Whether one of both is true, where all but 0 is true (NaN too).
    #[must_use]
    pub fn logical_or(&self, other: impl Into<Operand>) -> DataArray {
        self.ne(0) | truth(other.into())
    }

    /// Whether exactly one of both is true, where all but 0 is true (NaN too).
    #[must_use]
    pub fn logical_xor(&self, other: impl Into<Operand>) -> DataArray {
        self.ne(0) ^ truth(other.into())
    }

    /// Whether the pixel is 0 or false.
    #[must_use]
    pub fn logical_not(&self) -> DataArray {
        self.eq(0)
    }

    /// `value` where a pixel is NaN; integers stay. Keeps name, coordinates and
    /// attributes.
    ///
    /// # Source
    /// xarray, `fillna`.
    #[must_use]
    pub fn fillna(&self, value: impl Into<Operand>) -> DataArray {
        let filled = self.where_or(&self.notnull(), value);
        if filled.error().is_none() && self.attrs().nodata().is_some_and(|x| x.is_nan()) {
            // There may be none any more, but NaN still means missing.
            return filled.with_attrs(self.attrs().clone());
        }
        filled
    }

    /// Whether a pixel is one of `values`; NaN is none of them.
    ///
    /// # Source
    /// xarray, `isin`.
    #[must_use]
    pub fn isin<S: Into<crate::value::Scalar>>(
        &self,
        values: impl IntoIterator<Item = S>,
    ) -> DataArray {
        let any = values
            .into_iter()
            .map(|value| self.eq(value.into()))
            .reduce(|any, hit| any | hit);
        any.unwrap_or_else(|| self.ne(self.clone()) & false)
    }
}

fn truth(operand: Operand) -> Operand {
    match operand {
        Operand::Array(array) => array.ne(0).into(),
        Operand::Scalar(scalar) => Operand::Scalar(crate::value::Scalar::Bool(match scalar {
            crate::value::Scalar::Bool(value) => value,
            crate::value::Scalar::Int(value) => value != 0,
            crate::value::Scalar::Float(value) => value != 0.0,
        })),
    }
}
