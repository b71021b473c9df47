//! Pixels as text, as numpy prints them.

use datacube_model::DType;
use half::f16;

use crate::plan::MemoryArray;

/// One pixel.
pub(super) fn pixel(array: &MemoryArray, index: usize) -> String {
    macro_rules! show {
        ($t:ty) => {
            array.data.as_pixels::<$t>()[index].to_string()
        };
    }
    match array.dtype {
        DType::Bool => {
            if array.data[index] == 0 {
                "False".to_owned()
            } else {
                "True".to_owned()
            }
        }
        DType::Int8 => show!(i8),
        DType::Int16 => show!(i16),
        DType::Int32 => show!(i32),
        DType::Int64 => show!(i64),
        DType::UInt8 => show!(u8),
        DType::UInt16 => show!(u16),
        DType::UInt32 => show!(u32),
        DType::UInt64 => show!(u64),
        DType::Float16 => float(array.data.as_pixels::<f16>()[index].to_f64()),
        DType::Float32 => float(array.data.as_pixels::<f32>()[index].into()),
        DType::Float64 => float(array.data.as_pixels::<f64>()[index]),
        DType::Complex64 => {
            let pixels = array.data.as_pixels::<f32>();
            format!(
                "{}{:+}j",
                float(pixels[2 * index].into()),
                pixels[2 * index + 1]
            )
        }
        DType::Complex128 => {
            let pixels = array.data.as_pixels::<f64>();
            format!("{}{:+}j", float(pixels[2 * index]), pixels[2 * index + 1])
        }
    }
}

/// Four digits, as xarray shows floats in one line.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "inf".to_owned()
        } else {
            "-inf".to_owned()
        };
    }
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..8.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 8"
    )]
    let decimals = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if !text.contains('.') {
        return format!("{text}.0");
    }
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') {
        format!("{trimmed}0")
    } else {
        trimmed.to_owned()
    }
}

/// The first and the last few pixels: `0.51 0.48 .. nan 0.22`.
pub(super) fn ends(array: &MemoryArray, each: usize) -> String {
    let n: usize = array.shape.iter().product();
    let show = |range: std::ops::Range<usize>| {
        range.map(|i| pixel(array, i)).collect::<Vec<_>>().join(" ")
    };
    if n <= 2 * each {
        show(0..n)
    } else {
        format!("{} ... {}", show(0..each), show(n - each..n))
    }
}

/// The array in brackets, long axes shortened in the middle.
pub(super) fn block(array: &MemoryArray) -> String {
    const EDGE: usize = 3;
    fn level(array: &MemoryArray, axis: usize, offset: usize, indent: usize, out: &mut String) {
        if axis == array.shape.len() {
            out.push_str(&pixel(array, offset));
            return;
        }
        let len = array.shape[axis];
        let stride: usize = array.shape[axis + 1..].iter().product();
        let last = axis + 1 == array.shape.len();
        let separator = if last {
            ", ".to_owned()
        } else {
            format!(",\n{}", " ".repeat(indent + 1))
        };
        out.push('[');
        let mut first = true;
        for i in 0..len {
            let shown = len <= 2 * EDGE + 1 || i < EDGE || i >= len - EDGE;
            if shown || i == EDGE {
                if !first {
                    out.push_str(&separator);
                }
                first = false;
                if shown {
                    level(array, axis + 1, offset + i * stride, indent + 1, out);
                } else {
                    out.push_str("...");
                }
            }
        }
        out.push(']');
    }
    let mut out = String::new();
    level(array, 0, 0, 0, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;

    #[test]
    fn floats_in_four_digits() {
        for (value, text) in [
            (0.512_345, "0.5123"),
            (1.0, "1.0"),
            (1234.567, "1235.0"),
            (12.5, "12.5"),
            (-0.0, "0.0"),
            (2.75e-5, "2.750e-5"),
            (0.000_275, "0.000275"),
            (1e9, "1.000e9"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn blocks_are_shortened() {
        let values: Vec<u8> = (0..20).collect();
        let data = Buffer::from_slice(&values).unwrap();
        let array = MemoryArray::new(DType::UInt8, vec![2, 10], data).unwrap();
        assert_eq!(
            block(&array),
            "[[0, 1, 2, ..., 7, 8, 9],\n [10, 11, 12, ..., 17, 18, 19]]"
        );
        assert_eq!(ends(&array, 2), "0 1 ... 18 19");
    }
}
