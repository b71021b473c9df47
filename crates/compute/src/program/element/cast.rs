//! Conversions between pixel types.

use half::f16;

use super::Truth;

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
