//! Single values: a user's scalar, a typed constant of a plan, and the Rust
//! types that pixels have.

use std::fmt;

use datacube_model::{DType, Number};
use half::f16;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A number as a user writes it beside an array.
///
/// It is weak, as Python's numbers are in numpy 2: it takes the type of the
/// array, and only its kind (bool, integer, float) can widen the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Bool(value) => write!(f, "{value}"),
            Scalar::Int(value) => write!(f, "{value}"),
            Scalar::Float(value) => write!(f, "{value:?}"),
        }
    }
}

macro_rules! scalar_from {
    ($variant:ident($inner:ty): $($from:ty),*) => {$(
        impl From<$from> for Scalar {
            fn from(value: $from) -> Self {
                Scalar::$variant(<$inner>::from(value))
            }
        }
    )*};
}

scalar_from!(Bool(bool): bool);
scalar_from!(Int(i128): i8, i16, i32, i64, u8, u16, u32, u64);
scalar_from!(Float(f64): f32, f64, f16);

impl From<Number> for Scalar {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(value) => Scalar::Int(value),
            Number::Float(value) => Scalar::Float(value),
        }
    }
}

/// A value of a pixel type, by its bits: NaNs are equal to themselves, and the
/// two zeros differ, so that plans compare and hash by content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Const {
    dtype: DType,
    bits: u64,
}

impl Const {
    /// The pixel `value`.
    pub fn new<T: Pixel>(value: T) -> Const {
        Const {
            dtype: T::DTYPE,
            bits: value.to_bits64(),
        }
    }

    /// NaN of a floating-point type; 0 of all others.
    pub(crate) fn nan(dtype: DType) -> Const {
        match dtype {
            DType::Float16 => Const::new(f16::NAN),
            DType::Float32 => Const::new(f32::NAN),
            DType::Float64 => Const::new(f64::NAN),
            dtype => Const { dtype, bits: 0 },
        }
    }

    /// `scalar` as a pixel of `dtype`, as numpy converts a Python number.
    ///
    /// # Errors
    /// An integer outside the type's range; a complex type.
    pub(crate) fn of(scalar: Scalar, dtype: DType) -> Result<Const> {
        #[allow(clippy::cast_precision_loss, reason = "as Python's float()")]
        let float = match scalar {
            Scalar::Bool(value) => f64::from(u8::from(value)),
            Scalar::Int(value) => value as f64,
            Scalar::Float(value) => value,
        };
        let int = || match scalar {
            Scalar::Bool(value) => Ok(i128::from(value)),
            Scalar::Int(value) => Ok(value),
            Scalar::Float(value) => Err(Error::Bug(format!("{value} as a constant of {dtype}"))),
        };
        macro_rules! int {
            ($t:ty) => {{
                let value = int()?;
                <$t>::try_from(value)
                    .map(Const::new)
                    .map_err(|_| Error::ScalarOutOfRange { value, dtype })
            }};
        }
        match dtype {
            DType::Bool => Ok(Const::new(int()? != 0)),
            DType::Int8 => int!(i8),
            DType::Int16 => int!(i16),
            DType::Int32 => int!(i32),
            DType::Int64 => int!(i64),
            DType::UInt8 => int!(u8),
            DType::UInt16 => int!(u16),
            DType::UInt32 => int!(u32),
            DType::UInt64 => int!(u64),
            DType::Float16 => Ok(Const::new(f16::from_f64(float))),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "rounding is what is asked for"
            )]
            DType::Float32 => Ok(Const::new(float as f32)),
            DType::Float64 => Ok(Const::new(float)),
            DType::Complex64 | DType::Complex128 => Err(complex(dtype)),
        }
    }

    /// The pixel type.
    pub fn dtype(self) -> DType {
        self.dtype
    }

    /// The value's bits, zero-extended.
    pub(crate) fn bits(self) -> u64 {
        self.bits
    }

    /// The value, of whose type `T` has to be.
    pub(crate) fn get<T: Pixel>(self) -> T {
        debug_assert_eq!(T::DTYPE, self.dtype);
        T::from_bits64(self.bits)
    }

    /// Whether `bits` can be a value of `dtype`, for constants from a wire.
    pub(crate) fn is_valid(self) -> bool {
        let width = 8 * self.dtype.size();
        !self.dtype.is_complex()
            && (width == 64 || self.bits >> width == 0)
            && (self.dtype != DType::Bool || self.bits <= 1)
    }
}

impl fmt::Display for Const {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        macro_rules! show {
            ($t:ty) => {
                write!(f, "{}", self.get::<$t>())
            };
        }
        match self.dtype {
            DType::Bool => show!(bool),
            DType::Int8 => show!(i8),
            DType::Int16 => show!(i16),
            DType::Int32 => show!(i32),
            DType::Int64 => show!(i64),
            DType::UInt8 => show!(u8),
            DType::UInt16 => show!(u16),
            DType::UInt32 => show!(u32),
            DType::UInt64 => show!(u64),
            DType::Float16 => show!(f16),
            DType::Float32 => show!(f32),
            DType::Float64 => show!(f64),
            DType::Complex64 | DType::Complex128 => write!(f, "{:#x}", self.bits),
        }
    }
}

/// The answer to complex pixels.
pub(crate) fn complex(dtype: DType) -> Error {
    Error::Unsupported(format!(
        "{dtype} can be loaded and written, but not computed with; load amplitude and phase, or real and imaginary part, as separate measurements"
    ))
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that pixels have in memory.
///
/// Sealed: a buffer of a type's size has to be a valid array of it.
pub trait Pixel:
    Copy + PartialEq + fmt::Debug + fmt::Display + Send + Sync + 'static + sealed::Sealed
{
    /// Its name in documents and plans.
    const DTYPE: DType;

    #[doc(hidden)]
    fn to_bits64(self) -> u64;

    #[doc(hidden)]
    fn from_bits64(bits: u64) -> Self;
}

macro_rules! pixel_int {
    ($($t:ty as $unsigned:ty = $dtype:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Pixel for $t {
            const DTYPE: DType = DType::$dtype;

            #[allow(clippy::cast_sign_loss, clippy::cast_lossless, reason = "bits, not numbers")]
            fn to_bits64(self) -> u64 {
                self as $unsigned as u64
            }

            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_possible_wrap,
                reason = "bits, not numbers"
            )]
            fn from_bits64(bits: u64) -> Self {
                bits as $unsigned as $t
            }
        }
    )*};
}

pixel_int!(
    i8 as u8 = Int8,
    i16 as u16 = Int16,
    i32 as u32 = Int32,
    i64 as u64 = Int64,
    u8 as u8 = UInt8,
    u16 as u16 = UInt16,
    u32 as u32 = UInt32,
    u64 as u64 = UInt64
);

impl sealed::Sealed for bool {}
impl Pixel for bool {
    const DTYPE: DType = DType::Bool;

    fn to_bits64(self) -> u64 {
        self.into()
    }

    fn from_bits64(bits: u64) -> Self {
        bits != 0
    }
}

macro_rules! pixel_float {
    ($($t:ty as $bits:ty = $dtype:ident),*) => {$(
        impl sealed::Sealed for $t {}
        impl Pixel for $t {
            const DTYPE: DType = DType::$dtype;

            fn to_bits64(self) -> u64 {
                self.to_bits().into()
            }

            #[allow(clippy::cast_possible_truncation, reason = "bits, not numbers")]
            fn from_bits64(bits: u64) -> Self {
                <$t>::from_bits(bits as $bits)
            }
        }
    )*};
}

pixel_float!(
    f16 as u16 = Float16,
    f32 as u32 = Float32,
    f64 as u64 = Float64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_keep_their_bits() {
        assert_eq!(Const::new(-1i16).bits(), 0xffff);
        assert_eq!(Const::new(-1i16).get::<i16>(), -1);
        assert_ne!(Const::new(0.0f32), Const::new(-0.0f32));
        assert_eq!(Const::nan(DType::Float64), Const::nan(DType::Float64));
        assert_eq!(
            Const::of(300.into(), DType::Float16).unwrap().to_string(),
            "300"
        );
        assert!(
            Const::of(300.into(), DType::UInt8)
                .unwrap_err()
                .to_string()
                .contains("300")
        );
        assert!(Const::of(1.into(), DType::Complex64).is_err());
        assert!(
            !Const {
                dtype: DType::UInt8,
                bits: 256
            }
            .is_valid()
        );
    }
}
