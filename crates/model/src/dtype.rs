//! Pixel types and the numbers that are written in documents.
//!
//! `DType` is shared by everything above this crate: products declare it, the
//! loader produces it, the lazy engine computes in it. `Number` keeps an
//! integer an integer, because a 64-bit nodata does not survive a trip
//! through `f64`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The type of one pixel, named as numpy names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// One byte, 0 or 1.
    Bool,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// Unsigned, 8 bits.
    UInt8,
    /// Unsigned, 16 bits.
    UInt16,
    /// Unsigned, 32 bits.
    UInt32,
    /// Unsigned, 64 bits.
    UInt64,
    /// IEEE 754 half precision.
    Float16,
    /// IEEE 754 single precision.
    Float32,
    /// IEEE 754 double precision.
    Float64,
    /// Two single-precision parts.
    Complex64,
    /// Two double-precision parts.
    Complex128,
}

impl DType {
    /// Every type, in the order of the enum.
    pub const ALL: [DType; 14] = [
        DType::Bool,
        DType::Int8,
        DType::Int16,
        DType::Int32,
        DType::Int64,
        DType::UInt8,
        DType::UInt16,
        DType::UInt32,
        DType::UInt64,
        DType::Float16,
        DType::Float32,
        DType::Float64,
        DType::Complex64,
        DType::Complex128,
    ];

    /// The numpy name, such as `uint16`.
    pub fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::Int8 => "int8",
            DType::Int16 => "int16",
            DType::Int32 => "int32",
            DType::Int64 => "int64",
            DType::UInt8 => "uint8",
            DType::UInt16 => "uint16",
            DType::UInt32 => "uint32",
            DType::UInt64 => "uint64",
            DType::Float16 => "float16",
            DType::Float32 => "float32",
            DType::Float64 => "float64",
            DType::Complex64 => "complex64",
            DType::Complex128 => "complex128",
        }
    }

    /// Bytes one pixel takes in memory.
    pub fn size(self) -> usize {
        match self {
            DType::Bool | DType::Int8 | DType::UInt8 => 1,
            DType::Int16 | DType::UInt16 | DType::Float16 => 2,
            DType::Int32 | DType::UInt32 | DType::Float32 => 4,
            DType::Int64 | DType::UInt64 | DType::Float64 | DType::Complex64 => 8,
            DType::Complex128 => 16,
        }
    }

    /// Whether this is a real floating-point type, so that NaN can be written.
    pub fn is_float(self) -> bool {
        matches!(self, DType::Float16 | DType::Float32 | DType::Float64)
    }

    /// Whether this is a signed or unsigned integer type (bool is not).
    pub fn is_integer(self) -> bool {
        self.integer_range().is_some()
    }

    /// Whether this is a complex type.
    pub fn is_complex(self) -> bool {
        matches!(self, DType::Complex64 | DType::Complex128)
    }

    /// The smallest and largest value of an integer type; `None` for all others.
    pub fn integer_range(self) -> Option<(i128, i128)> {
        let range = match self {
            DType::Int8 => (i8::MIN.into(), i8::MAX.into()),
            DType::Int16 => (i16::MIN.into(), i16::MAX.into()),
            DType::Int32 => (i32::MIN.into(), i32::MAX.into()),
            DType::Int64 => (i64::MIN.into(), i64::MAX.into()),
            DType::UInt8 => (0, u8::MAX.into()),
            DType::UInt16 => (0, u16::MAX.into()),
            DType::UInt32 => (0, u32::MAX.into()),
            DType::UInt64 => (0, u64::MAX.into()),
            _ => return None,
        };
        Some(range)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no pixel type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown dtype `{found}`; it has to be one of {}", DType::ALL.map(DType::name).join(", "))]
pub struct UnknownDType {
    /// The name that was met.
    pub found: String,
}

impl FromStr for DType {
    type Err = UnknownDType;

    fn from_str(name: &str) -> Result<Self, UnknownDType> {
        DType::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| UnknownDType {
                found: name.to_owned(),
            })
    }
}

/// A real number as a document or a file header states it.
///
/// Integers stay exact over the whole range of `i64` and `u64`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Number {
    /// An integer; `i128` holds every `i64` and `u64`.
    Int(i128),
    /// Anything else, NaN and infinities included.
    Float(f64),
}

impl Number {
    /// The nearest `f64`.
    #[allow(clippy::cast_precision_loss, reason = "that is what is asked for")]
    pub fn as_f64(self) -> f64 {
        match self {
            Number::Int(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    /// Whether the value is NaN.
    pub fn is_nan(self) -> bool {
        matches!(self, Number::Float(value) if value.is_nan())
    }

    /// Whether a pixel of `dtype` can hold exactly this value.
    ///
    /// For floating-point types any value that is finite in `dtype` counts, as
    /// numpy's `can_cast` check of a nodata does; so do NaN and infinities.
    pub fn fits(self, dtype: DType) -> bool {
        match (dtype.integer_range(), self) {
            (Some((low, high)), Number::Int(value)) => (low..=high).contains(&value),
            (Some((low, high)), Number::Float(value)) => {
                #[allow(clippy::cast_precision_loss, reason = "bounds need no exactness here")]
                let within = value >= low as f64 && value <= high as f64;
                value.fract() == 0.0 && within
            }
            (None, value) => match dtype {
                DType::Bool => matches!(value.as_f64(), 0.0 | 1.0),
                DType::Float16 => {
                    !value.as_f64().is_finite() || half::f16::from_f64(value.as_f64()).is_finite()
                }
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "whether it overflows is the question"
                )]
                DType::Float32 => {
                    !value.as_f64().is_finite() || (value.as_f64() as f32).is_finite()
                }
                _ => true,
            },
        }
    }
}

/// NaN equals NaN: a nodata is a marker, not a quantity.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (*self, *other) {
            (Number::Int(a), Number::Int(b)) => a == b,
            (a, b) => {
                let (a, b) = (a.as_f64(), b.as_f64());
                a == b || (a.is_nan() && b.is_nan())
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Int(value) => write!(f, "{value}"),
            Number::Float(value) => write!(f, "{value}"),
        }
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Float(value)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Int(value.into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Number::Int(value.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for dtype in DType::ALL {
            assert_eq!(dtype.name().parse(), Ok(dtype));
        }
        assert!(
            "float"
                .parse::<DType>()
                .unwrap_err()
                .to_string()
                .contains("float32")
        );
    }

    #[test]
    fn fits_knows_the_ends_of_a_type() {
        assert!(Number::Int(65535).fits(DType::UInt16));
        assert!(!Number::Int(-1).fits(DType::UInt16));
        assert!(!Number::Int(65536).fits(DType::UInt16));
        assert!(!Number::Float(f64::NAN).fits(DType::Int16));
        assert!(Number::Float(f64::NAN).fits(DType::Float32));
        assert!(Number::Int(i128::from(u64::MAX)).fits(DType::UInt64));
        assert!(!Number::Float(0.5).fits(DType::UInt8));
        // Written with fewer digits than it has, the largest float32 rounds to itself.
        assert!(Number::Float(-3.4028235e38).fits(DType::Float32));
        assert!(!Number::Float(3.5e38).fits(DType::Float32));
        assert!(Number::Float(65504.0).fits(DType::Float16));
        assert!(!Number::Float(65520.0).fits(DType::Float16));
    }
}
