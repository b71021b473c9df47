//! Functions of one and of two pixels as types, which loops are compiled for.

use super::loops::{Map1, Map2};
use crate::program::element::{CastTo, Element, Truth, compare_mixed};

macro_rules! ops1 {
    ($($name:ident = $method:ident;)*) => {$(
        pub(super) struct $name;
        impl<T: Element> Map1<T, T> for $name {
            #[inline(always)]
            fn f(a: T) -> T {
                a.$method()
            }
        }
    )*};
}

ops1! {
    Neg = neg; Not = not; Abs = abs; Sqrt = sqrt; Exp = exp; Log = log; Sign = sign; Floor = floor; Ceil = ceil; Trunc = trunc; Rint = rint; Cbrt = cbrt; Exp2 = exp2; Expm1 = expm1; Log2 = log2; Log10 = log10; Log1p = log1p; Sin = sin; Cos = cos; Tan = tan; Arcsin = arcsin; Arccos = arccos; Arctan = arctan; Sinh = sinh; Cosh = cosh; Tanh = tanh; Degrees = degrees; Radians = radians;
}

pub(super) struct IsNan;
impl<T: Element> Map1<T, Truth> for IsNan {
    #[inline(always)]
    fn f(a: T) -> Truth {
        a.is_nan().into()
    }
}

pub(super) struct NotNan;
impl<T: Element> Map1<T, Truth> for NotNan {
    #[inline(always)]
    fn f(a: T) -> Truth {
        (!a.is_nan()).into()
    }
}

pub(super) struct IsInf;
impl<T: Element> Map1<T, Truth> for IsInf {
    #[inline(always)]
    fn f(a: T) -> Truth {
        a.is_inf().into()
    }
}

pub(super) struct IsFinite;
impl<T: Element> Map1<T, Truth> for IsFinite {
    #[inline(always)]
    fn f(a: T) -> Truth {
        (!a.is_nan() && !a.is_inf()).into()
    }
}

pub(super) struct Cast;
impl<S: CastTo<D>, D> Map1<S, D> for Cast {
    #[inline(always)]
    fn f(a: S) -> D {
        a.cast()
    }
}

macro_rules! ops2 {
    ($($name:ident = $method:ident;)*) => {$(
        pub(super) struct $name;
        impl<T: Element> Map2<T, T, T> for $name {
            #[inline(always)]
            fn f(a: T, b: T) -> T {
                a.$method(b)
            }
        }
    )*};
}

ops2! {
    Add = add; Sub = sub; Mul = mul; Div = div; FloorDiv = floor_div; Mod = modulo; Pow = pow;
    Minimum = minimum; Maximum = maximum; And = and; Or = or; Xor = xor;
    Fmod = fmod; Arctan2 = arctan2; Hypot = hypot; ShiftLeft = shift_left; ShiftRight = shift_right;
}

/// Comparisons, and the same of a signed with an unsigned 64-bit integer.
macro_rules! compare {
    ($($name:ident, $mixed:ident: $op:tt, $ordering:ident;)*) => {$(
        pub(super) struct $name;
        impl<T: Element> Map2<T, T, Truth> for $name {
            #[inline(always)]
            fn f(a: T, b: T) -> Truth {
                (a $op b).into()
            }
        }
        pub(super) struct $mixed;
        impl Map2<i64, u64, Truth> for $mixed {
            #[inline(always)]
            fn f(a: i64, b: u64) -> Truth {
                compare_mixed(a, b).$ordering().into()
            }
        }
    )*};
}

compare! {
    Eq, MixedEq: ==, is_eq;
    Ne, MixedNe: !=, is_ne;
    Lt, MixedLt: <, is_lt;
    Le, MixedLe: <=, is_le;
    Gt, MixedGt: >, is_gt;
    Ge, MixedGe: >=, is_ge;
}

/// A pixel from the bits of a constant.
pub(super) trait Word: Copy {
    fn of_bits(bits: u64) -> Self;
}

/// Bits that can be tested.
pub(super) trait MaskWord: Word {
    fn test(self, mask: Self, value: Self) -> Truth;
}

macro_rules! words {
    ($($t:ty),*) => {$(
        impl Word for $t {
            #[inline(always)]
            #[allow(clippy::cast_possible_truncation, clippy::cast_lossless, reason = "bits of that size")]
            fn of_bits(bits: u64) -> Self {
                bits as $t
            }
        }
        impl MaskWord for $t {
            #[inline(always)]
            fn test(self, mask: Self, value: Self) -> Truth {
                (self & mask == value).into()
            }
        }
    )*};
}

words!(u8, u16, u32, u64);

impl Word for f32 {
    #[inline(always)]
    fn of_bits(bits: u64) -> Self {
        <f32 as crate::value::Pixel>::from_bits64(bits)
    }
}

impl Word for f64 {
    #[inline(always)]
    fn of_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }
}
