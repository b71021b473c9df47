//! Pixels of any type as the widest of their kind, and results as pixels.

use datacube_model::DType;
use half::f16;

use super::state::Value;

/// Pixels of any type as the widest of their kind.
pub(super) trait Load: Sized {
    fn load(dtype: DType, pixels: &[u8], out: &mut [Self]);
}

macro_rules! load {
    ($wide:ty: $($dtype:ident($t:ty, $to:expr)),*) => {
        impl Load for $wide {
            fn load(dtype: DType, pixels: &[u8], out: &mut [Self]) {
                match dtype {
                    $(DType::$dtype => {
                        const SIZE: usize = size_of::<$t>();
                        let pixels = pixels.as_chunks::<SIZE>().0;
                        for (out, pixel) in out.iter_mut().zip(pixels) {
                            *out = $to(<$t>::from_ne_bytes(*pixel));
                        }
                    })*
                    _ => unreachable!("pixels of another kind"),
                }
            }
        }
    };
}

load!(f64: Float16(f16, f16::to_f64), Float32(f32, f64::from), Float64(f64, |x| x));
load!(i64: Bool(u8, |x| i64::from(x != 0)), Int8(i8, i64::from), Int16(i16, i64::from),
    Int32(i32, i64::from), Int64(i64, |x| x));
load!(u64: UInt8(u8, u64::from), UInt16(u16, u64::from), UInt32(u32, u64::from), UInt64(u64, |x| x));

/// Writes a result as a pixel of `dtype`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "integers come from pixels of this type, and floats are rounded once"
)]
pub(super) fn store(value: Value, dtype: DType, pixel: &mut [u8]) {
    macro_rules! put {
        ($value:expr) => {
            pixel.copy_from_slice(&$value.to_ne_bytes())
        };
    }
    match value {
        Value::Bool(value) => pixel[0] = u8::from(value),
        Value::Float(value) => match dtype {
            DType::Float16 => put!(f16::from_f64(value)),
            DType::Float32 => put!((value as f32)),
            DType::Float64 => put!(value),
            _ => unreachable!("no float is a result of integer type"),
        },
        Value::Int(value) => store_bits(value as u64, dtype, pixel),
        Value::UInt(value) => store_bits(value, dtype, pixel),
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "integers come from pixels of this type"
)]
fn store_bits(value: u64, dtype: DType, pixel: &mut [u8]) {
    match dtype.size() {
        1 => pixel[0] = value as u8,
        2 => pixel.copy_from_slice(&(value as u16).to_ne_bytes()),
        4 => pixel.copy_from_slice(&(value as u32).to_ne_bytes()),
        _ => pixel.copy_from_slice(&value.to_ne_bytes()),
    }
}
