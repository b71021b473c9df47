//! What each function does to one pixel: numpy's semantics, in one place.
//!
//! The naive evaluator (`serial`) and the vector kernels (`kernel`) both call
//! these, so they can only differ in plumbing; `tests/promotion.rs` holds these
//! to numpy's own answers.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::cast_lossless,
    reason = "conversions between pixel types are what this file is about"
)]

mod cast;
mod float;
mod integer;

pub(crate) use cast::CastTo;

/// A bool in memory: one byte, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub(crate) struct Truth(pub(crate) u8);

impl From<bool> for Truth {
    #[inline(always)]
    fn from(value: bool) -> Self {
        Truth(u8::from(value))
    }
}

/// A pixel that can be computed with.
///
/// Functions that are not defined for a type (the square root of an integer)
/// are never asked for: [`Func::result`](crate::plan::Func::result) refuses.
pub(crate) trait Element: Copy + PartialOrd + 'static {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn floor_div(self, other: Self) -> Self;
    fn modulo(self, other: Self) -> Self;
    fn pow(self, exponent: Self) -> Self;
    /// Whether `x ** self` has no value.
    fn fails_as_exponent(self) -> bool;
    fn minimum(self, other: Self) -> Self;
    fn maximum(self, other: Self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    fn neg(self) -> Self;
    fn not(self) -> Self;
    fn abs(self) -> Self;
    fn sqrt(self) -> Self;
    fn exp(self) -> Self;
    fn log(self) -> Self;
    fn sign(self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    fn rint(self) -> Self;
    fn cbrt(self) -> Self;
    fn exp2(self) -> Self;
    fn expm1(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    fn log1p(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn arcsin(self) -> Self;
    fn arccos(self) -> Self;
    fn arctan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn degrees(self) -> Self;
    fn radians(self) -> Self;
    fn fmod(self, other: Self) -> Self;
    fn arctan2(self, other: Self) -> Self;
    fn hypot(self, other: Self) -> Self;
    fn shift_left(self, by: Self) -> Self;
    fn shift_right(self, by: Self) -> Self;
    fn is_nan(self) -> bool;
    fn is_inf(self) -> bool;
    /// The bits, sign-extended.
    fn bits(self) -> u64;
}

macro_rules! undefined {
    ($($name:ident($($arg:ident),*));* $(;)?) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            $(let _ = $arg;)*
            self
        }
    )*};
}

use undefined;

/// Comparison of a signed with an unsigned integer, exactly.
#[inline(always)]
pub(crate) fn compare_mixed(signed: i64, unsigned: u64) -> std::cmp::Ordering {
    if signed < 0 {
        std::cmp::Ordering::Less
    } else {
        (signed as u64).cmp(&unsigned)
    }
}

/// Runs code with `$t` as the Rust type of a [`DType`](datacube_model::DType)
/// that can be computed with; complex types take the last arm.
macro_rules! with_element {
    ($dtype:expr, $t:ident => $code:expr, complex => $complex:expr) => {{
        use datacube_model::DType;
        macro_rules! run {
            ($type:ty) => {{
                #[allow(dead_code, reason = "not every use names the type")]
                type $t = $type;
                $code
            }};
        }
        match $dtype {
            DType::Bool => run!($crate::program::element::Truth),
            DType::Int8 => run!(i8),
            DType::Int16 => run!(i16),
            DType::Int32 => run!(i32),
            DType::Int64 => run!(i64),
            DType::UInt8 => run!(u8),
            DType::UInt16 => run!(u16),
            DType::UInt32 => run!(u32),
            DType::UInt64 => run!(u64),
            DType::Float16 => run!(half::f16),
            DType::Float32 => run!(f32),
            DType::Float64 => run!(f64),
            DType::Complex64 | DType::Complex128 => $complex,
        }
    }};
}
pub(crate) use with_element;
