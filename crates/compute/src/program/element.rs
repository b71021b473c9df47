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

use half::f16;

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

macro_rules! integer {
    ($($t:ty: $signed:literal),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let quotient = self.wrapping_div(other);
                // Truncated; one less where the signs differ and something is left.
                let inexact = quotient.wrapping_mul(other) != self;
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let differ = $signed && ((self < 0) != (other < 0));
                if inexact && differ { quotient.wrapping_sub(1) } else { quotient }
            }
            #[inline(always)]
            fn modulo(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let rest = self.wrapping_rem(other);
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let differ = $signed && rest != 0 && ((rest < 0) != (other < 0));
                if differ { rest.wrapping_add(other) } else { rest }
            }
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                let (mut base, mut left, mut power) = (self, exponent as u64, 1 as Self);
                if exponent.fails_as_exponent() {
                    return 0;
                }
                while left > 0 {
                    if left & 1 == 1 {
                        power = power.wrapping_mul(base);
                    }
                    base = base.wrapping_mul(base);
                    left >>= 1;
                }
                power
            }
            #[inline(always)]
            fn fails_as_exponent(self) -> bool {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let negative = self < 0;
                negative
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                Ord::min(self, other)
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                Ord::max(self, other)
            }
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                self & other
            }
            #[inline(always)]
            fn or(self, other: Self) -> Self {
                self | other
            }
            #[inline(always)]
            fn xor(self, other: Self) -> Self {
                self ^ other
            }
            #[inline(always)]
            fn neg(self) -> Self {
                self.wrapping_neg()
            }
            #[inline(always)]
            fn not(self) -> Self {
                !self
            }
            #[inline(always)]
            fn abs(self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                if $signed && self < 0 { self.wrapping_neg() } else { self }
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                self as i64 as u64
            }
            #[inline(always)]
            fn is_inf(self) -> bool {
                false
            }
            #[inline(always)]
            fn sign(self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let negative = self < 0;
                if negative { (0 as $t).wrapping_sub(1) } else { Self::from(self > 0) }
            }
            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_rem(other) }
            }
            #[inline(always)]
            fn shift_left(self, by: Self) -> Self {
                u32::try_from(by).ok().and_then(|by| self.checked_shl(by)).unwrap_or(0)
            }
            #[inline(always)]
            fn shift_right(self, by: Self) -> Self {
                #[allow(unused_comparisons, reason = "the unsigned types come through here too")]
                let all_gone = if self < 0 { (0 as $t).wrapping_sub(1) } else { 0 };
                u32::try_from(by).ok().and_then(|by| self.checked_shr(by)).unwrap_or(all_gone)
            }
            undefined! { div(other); arctan2(other); hypot(other); sqrt(); exp(); log(); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians() }
        }
    )*};
}

integer!(i8: true, i16: true, i32: true, i64: true, u8: false, u16: false, u32: false, u64: false);

impl Element for Truth {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.or(other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn fails_as_exponent(self) -> bool {
        false
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.and(other)
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.or(other)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        Truth(self.0 & other.0)
    }
    #[inline(always)]
    fn or(self, other: Self) -> Self {
        Truth(self.0 | other.0)
    }
    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        Truth(self.0 ^ other.0)
    }
    #[inline(always)]
    fn not(self) -> Self {
        Truth(self.0 ^ 1)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        false
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.0.into()
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        false
    }
    undefined! {
        sub(other); div(other); floor_div(other); modulo(other); pow(other); fmod(other); arctan2(other);
        hypot(other); shift_left(other); shift_right(other); neg(); sqrt(); exp(); log(); sign(); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians()
    }
}

macro_rules! float {
    ($($t:ty),*) => {$(
        impl Element for $t {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div(self, other: Self) -> Self {
                self / other
            }
            /// # Source
            /// numpy, `npy_floor_divide` and `npy_divmod` in `npy_math_internal.h.src`.
            #[inline(always)]
            fn floor_div(self, other: Self) -> Self {
                if other == 0.0 {
                    return self / other;
                }
                let rest = self % other;
                let mut quotient = (self - rest) / other;
                if rest != 0.0 && (other < 0.0) != (rest < 0.0) {
                    quotient -= 1.0;
                }
                if quotient == 0.0 {
                    return (0.0 as $t).copysign(self / other);
                }
                let floor = quotient.floor();
                if quotient - floor > 0.5 { floor + 1.0 } else { floor }
            }
            /// # Source
            /// numpy, `npy_remainder`, as above.
            #[inline(always)]
            fn modulo(self, other: Self) -> Self {
                let rest = self % other;
                if other == 0.0 || rest.is_nan() {
                    return rest;
                }
                if rest == 0.0 {
                    return (0.0 as $t).copysign(other);
                }
                if (other < 0.0) != (rest < 0.0) { rest + other } else { rest }
            }
            #[inline(always)]
            fn pow(self, exponent: Self) -> Self {
                self.powf(exponent)
            }
            #[inline(always)]
            fn fails_as_exponent(self) -> bool {
                false
            }
            #[inline(always)]
            fn minimum(self, other: Self) -> Self {
                if self < other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                if self > other || self.is_nan() { self } else { other }
            }
            #[inline(always)]
            fn neg(self) -> Self {
                -self
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn exp(self) -> Self {
                self.exp()
            }
            #[inline(always)]
            fn log(self) -> Self {
                self.ln()
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
            #[inline(always)]
            fn is_inf(self) -> bool {
                self.is_infinite()
            }
            #[inline(always)]
            fn sign(self) -> Self {
                if self > 0.0 {
                    1.0
                } else if self < 0.0 {
                    -1.0
                } else if self == 0.0 {
                    0.0
                } else {
                    self
                }
            }
            #[inline(always)]
            fn degrees(self) -> Self {
                self * (180.0 / (std::f64::consts::PI as $t))
            }
            #[inline(always)]
            fn radians(self) -> Self {
                self * ((std::f64::consts::PI as $t) / 180.0)
            }
            #[inline(always)]
            fn fmod(self, other: Self) -> Self {
                self % other
            }
            #[inline(always)]
            fn arctan2(self, other: Self) -> Self {
                self.atan2(other)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                self.hypot(other)
            }
            #[inline(always)]
            fn floor(self) -> Self {
                self.floor()
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                self.ceil()
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                self.trunc()
            }
            #[inline(always)]
            fn rint(self) -> Self {
                self.round_ties_even()
            }
            #[inline(always)]
            fn cbrt(self) -> Self {
                self.cbrt()
            }
            #[inline(always)]
            fn exp2(self) -> Self {
                self.exp2()
            }
            #[inline(always)]
            fn expm1(self) -> Self {
                self.exp_m1()
            }
            #[inline(always)]
            fn log2(self) -> Self {
                self.log2()
            }
            #[inline(always)]
            fn log10(self) -> Self {
                self.log10()
            }
            #[inline(always)]
            fn log1p(self) -> Self {
                self.ln_1p()
            }
            #[inline(always)]
            fn sin(self) -> Self {
                self.sin()
            }
            #[inline(always)]
            fn cos(self) -> Self {
                self.cos()
            }
            #[inline(always)]
            fn tan(self) -> Self {
                self.tan()
            }
            #[inline(always)]
            fn arcsin(self) -> Self {
                self.asin()
            }
            #[inline(always)]
            fn arccos(self) -> Self {
                self.acos()
            }
            #[inline(always)]
            fn arctan(self) -> Self {
                self.atan()
            }
            #[inline(always)]
            fn sinh(self) -> Self {
                self.sinh()
            }
            #[inline(always)]
            fn cosh(self) -> Self {
                self.cosh()
            }
            #[inline(always)]
            fn tanh(self) -> Self {
                self.tanh()
            }
            undefined! { and(other); or(other); xor(other); shift_left(other); shift_right(other); not() }
        }
    )*};
}

float!(f32, f64);

/// Functions of half precision by way of single precision.
macro_rules! half {
    ($($name:ident($($arg:ident),*));* $(;)?) => {$(
        #[inline(always)]
        fn $name(self $(, $arg: Self)*) -> Self {
            f16::from_f32(Element::$name(self.to_f32() $(, $arg.to_f32())*))
        }
    )*};
}

/// Half precision: each function in single precision, and rounded.
impl Element for f16 {
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() + other.to_f32())
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() - other.to_f32())
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() * other.to_f32())
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        f16::from_f32(self.to_f32() / other.to_f32())
    }
    #[inline(always)]
    fn floor_div(self, other: Self) -> Self {
        f16::from_f32(Element::floor_div(self.to_f32(), other.to_f32()))
    }
    #[inline(always)]
    fn modulo(self, other: Self) -> Self {
        f16::from_f32(Element::modulo(self.to_f32(), other.to_f32()))
    }
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        f16::from_f32(self.to_f32().powf(exponent.to_f32()))
    }
    #[inline(always)]
    fn fails_as_exponent(self) -> bool {
        false
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        if self < other || f16::is_nan(self) {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        if self > other || f16::is_nan(self) {
            self
        } else {
            other
        }
    }
    #[inline(always)]
    fn neg(self) -> Self {
        -self
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f16::from_bits(self.to_bits() & 0x7fff)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f16::from_f32(self.to_f32().sqrt())
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f16::from_f32(self.to_f32().exp())
    }
    #[inline(always)]
    fn log(self) -> Self {
        f16::from_f32(self.to_f32().ln())
    }
    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }
    #[inline(always)]
    fn bits(self) -> u64 {
        self.to_bits().into()
    }
    #[inline(always)]
    fn is_inf(self) -> bool {
        f16::is_infinite(self)
    }
    half! { sign(); fmod(other); arctan2(other); hypot(other); floor(); ceil(); trunc(); rint(); cbrt(); exp2(); expm1(); log2(); log10(); log1p(); sin(); cos(); tan(); arcsin(); arccos(); arctan(); sinh(); cosh(); tanh(); degrees(); radians() }
    undefined! { and(other); or(other); xor(other); shift_left(other); shift_right(other); not() }
}

/// Conversion of one pixel, as numpy's `astype`; floats that an integer cannot
/// hold become the nearest that it can, NaN becomes 0.
pub(crate) trait CastTo<D> {
    fn cast(self) -> D;
}

macro_rules! cast_numbers {
    ($($from:ty => $($to:ty),*;)*) => {$($(
        impl CastTo<$to> for $from {
            #[inline(always)]
            fn cast(self) -> $to {
                self as $to
            }
        }
    )*)*};
}

cast_numbers! {
    i8 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    i16 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    i32 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    i64 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    u8 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    u16 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    u32 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    u64 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    f32 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
    f64 => i8, i16, i32, i64, u8, u16, u32, u64, f32, f64;
}

macro_rules! cast_others {
    ($($t:ty),*) => {$(
        impl CastTo<Truth> for $t {
            #[inline(always)]
            fn cast(self) -> Truth {
                (self != 0 as $t).into()
            }
        }
        impl CastTo<$t> for Truth {
            #[inline(always)]
            fn cast(self) -> $t {
                self.0 as $t
            }
        }
        impl CastTo<$t> for f16 {
            #[inline(always)]
            fn cast(self) -> $t {
                self.to_f32() as $t
            }
        }
    )*};
}

cast_others!(i8, i16, i32, i64, u8, u16, u32, u64, f32, f64);

macro_rules! cast_to_half {
    ($($t:ty),*) => {$(
        impl CastTo<f16> for $t {
            #[inline(always)]
            fn cast(self) -> f16 {
                // By way of single precision, as numpy does.
                f16::from_f32(self as f32)
            }
        }
    )*};
}

cast_to_half!(i8, i16, i32, i64, u8, u16, u32, u64, f32);

impl CastTo<f16> for f64 {
    #[inline(always)]
    fn cast(self) -> f16 {
        f16::from_f64(self)
    }
}

impl CastTo<f16> for f16 {
    #[inline(always)]
    fn cast(self) -> f16 {
        self
    }
}

impl CastTo<f16> for Truth {
    #[inline(always)]
    fn cast(self) -> f16 {
        f16::from_f32(self.0.into())
    }
}

impl CastTo<Truth> for f16 {
    #[inline(always)]
    fn cast(self) -> Truth {
        (self.to_f32() != 0.0).into()
    }
}

impl CastTo<Truth> for Truth {
    #[inline(always)]
    fn cast(self) -> Truth {
        self
    }
}

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
