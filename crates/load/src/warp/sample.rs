//! The arithmetic of pixel types: to a `f64` and back as GDAL does it.
//!
//! Kernels compute in `f64` as GDAL's warper does, so that integer results are
//! the same number and not merely a near one, and write back through
//! [`Sample::from_f64`]: half up, then clamped to the type.

use half::f16;

use crate::buffer::Pixel;

/// A pixel type that kernels can compute with.
pub(crate) trait Sample: Pixel {
    /// Whether there is a NaN.
    const IS_FLOAT: bool = false;

    /// The value; 64-bit integers past 2^53 are rounded.
    fn to_f64(self) -> f64;

    /// The nearest value of this type, halves upwards, clamped at its ends.
    fn from_f64(value: f64) -> Self;

    /// Whether this is NaN.
    fn is_nan(self) -> bool;

    /// A neighbouring value: what a computed pixel becomes where it would
    /// otherwise look like nodata.
    ///
    /// # Source
    /// GDAL, `alg/gdalwarpkernel.cpp`, `AvoidNoData`.
    fn beside(self) -> Self;
}

macro_rules! small_integer {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to the type's range just before"
            )]
            fn from_f64(value: f64) -> Self {
                let (low, high) = (f64::from(<$type>::MIN), f64::from(<$type>::MAX));
                let value = (value + 0.5).floor();
                // Written so that NaN becomes `low`, and in one instruction each.
                let value = if value > low { value } else { low };
                let value = if value < high { value } else { high };
                // SAFETY: `value` is not NaN and within the type's range, which
                // is within that of `i32` or, for the widest, of `i64`.
                unsafe { value.to_int_unchecked::<Wide<$type>>() as $type }
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }

            #[inline(always)]
            fn beside(self) -> Self {
                if self == <$type>::MIN { self + 1 } else { self - 1 }
            }
        }
    )*};
}

/// The type that a clamped `f64` is converted through on its way to `T`.
type Wide<T> = <T as Widened>::Wide;

trait Widened {
    type Wide;
}

macro_rules! widened {
    ($($type:ty => $wide:ty),*) => {$(
        impl Widened for $type {
            type Wide = $wide;
        }
    )*};
}
widened!(i8 => i32, u8 => i32, i16 => i32, u16 => i32, i32 => i32, u32 => i64);
small_integer!(i8, u8, i16, u16, i32, u32);

macro_rules! large_integer {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            #[inline(always)]
            #[allow(clippy::cast_precision_loss, reason = "GDAL computes in double too")]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the cast saturates"
            )]
            fn from_f64(value: f64) -> Self {
                (value + 0.5).floor() as $type
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }

            #[inline(always)]
            fn beside(self) -> Self {
                if self == <$type>::MIN { self + 1 } else { self - 1 }
            }
        }
    )*};
}
large_integer!(i64, u64);

impl Sample for f16 {
    const IS_FLOAT: bool = true;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f16::to_f64(self)
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        f16::from_f64(value)
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f16::is_nan(self)
    }

    fn beside(self) -> Self {
        if self == f16::MAX {
            return f16::from_bits(self.to_bits() - 1);
        }
        match self.to_bits() {
            // Both zeros: the smallest number above.
            0 | 0x8000 => f16::from_bits(1),
            bits if bits & 0x8000 == 0 => f16::from_bits(bits + 1),
            bits => f16::from_bits(bits - 1),
        }
    }
}

impl Sample for f32 {
    const IS_FLOAT: bool = true;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "rounding to the type is what is asked"
    )]
    fn from_f64(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }

    #[inline(always)]
    fn beside(self) -> Self {
        if self == f32::MAX {
            self.next_down()
        } else {
            self.next_up()
        }
    }
}

impl Sample for f64 {
    const IS_FLOAT: bool = true;

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }

    #[inline(always)]
    fn beside(self) -> Self {
        if self == f64::MAX {
            self.next_down()
        } else {
            self.next_up()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_up_and_ends_hold() {
        let check = |value: f64, i16_: i16, u8_: u8| {
            assert_eq!(
                (i16::from_f64(value), u8::from_f64(value)),
                (i16_, u8_),
                "{value}"
            );
        };
        check(0.5, 1, 1);
        check(-0.5, 0, 0);
        check(-0.51, -1, 0);
        check(-1.5, -1, 0);
        check(254.5, 255, 255);
        check(1e9, i16::MAX, 255);
        check(-1e9, i16::MIN, 0);
        check(f64::NAN, i16::MIN, 0);
        check(f64::INFINITY, i16::MAX, 255);
        assert_eq!(u32::from_f64(4294967294.7), u32::MAX);
        assert_eq!(i32::from_f64(-2147483648.4), i32::MIN);
        assert_eq!(i64::from_f64(1e30), i64::MAX);
        assert_eq!(u64::from_f64(-3.0), 0);
    }

    #[test]
    fn beside_is_another_value_of_the_type() {
        assert_eq!((0u8.beside(), 7u8.beside()), (1, 6));
        assert_eq!(
            (i16::MIN.beside(), (-999i16).beside()),
            (i16::MIN + 1, -1000)
        );
        assert!((-9999f32).beside() > -9999.0 && (-9999f32).beside() < -9998.9);
        assert_eq!(f32::MAX.beside(), f32::MAX.next_down());
        assert!(f16::from_f32(-9999.0).beside() > f16::from_f32(-9999.0));
        assert_eq!(f16::from_bits(0x8000).beside(), f16::from_bits(1));
    }
}
