//! The type that kernels compute in, where source and output have different ones.

use datacube_geo::Shape2d;
use datacube_model::DType;

use crate::buffer::PixelBuffer;
use crate::error::Result;
use crate::fuse::convert;
use crate::warp::Sample;

/// The type that a kernel computes in, where source and output differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Working {
    /// The source's; results are rounded and clamped on the way out.
    Source,
    /// The output's, which holds every value of the source.
    Output,
    /// `f64`: whole source values give fractions of an output that can hold
    /// them.
    Double,
}

/// Which type a kernel computes in.
pub(super) fn working_type(src: DType, out: DType, keeps_values: bool) -> Working {
    if src == out || keeps_values {
        return Working::Source;
    }
    let holds = match (src.integer_range(), out.integer_range()) {
        (Some(src), Some(out)) => src.0 >= out.0 && src.1 <= out.1,
        (Some(_), None) => match out {
            DType::Float64 => src.size() <= 4,
            DType::Float32 => src.size() <= 2,
            DType::Float16 => src.size() <= 1,
            _ => false,
        },
        (None, None) => src.is_float() && out.is_float() && src.size() <= out.size(),
        (None, Some(_)) => false,
    };
    match holds {
        true => Working::Output,
        false if out.is_float() => Working::Double,
        false => Working::Source,
    }
}

/// `pixels` in another type, in `buffer`.
pub(super) fn converted_to<'a, S: Sample, W: Sample>(
    pixels: &[S],
    buffer: &'a mut PixelBuffer,
) -> Result<&'a mut [W]> {
    let shape = Shape2d {
        rows: 1,
        cols: pixels.len(),
    };
    buffer.reset(W::DTYPE, shape)?;
    let converted = buffer
        .as_slice_mut::<W>()
        .expect("the buffer was given this type");
    for (converted, &pixel) in converted.iter_mut().zip(pixels) {
        *converted = convert(pixel);
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_compute_in_a_type_that_loses_nothing() {
        let check = |src, out, expected| {
            assert_eq!(working_type(src, out, false), expected, "{src} to {out}");
            assert_eq!(working_type(src, out, true), Working::Source);
        };
        check(DType::UInt8, DType::UInt8, Working::Source);
        check(DType::UInt8, DType::Int16, Working::Output);
        check(DType::Int16, DType::UInt16, Working::Source);
        check(DType::UInt16, DType::Float32, Working::Output);
        check(DType::Int32, DType::Float32, Working::Double);
        check(DType::Float64, DType::Float32, Working::Double);
        check(DType::Float32, DType::Int16, Working::Source);
        check(DType::Int64, DType::Float64, Working::Double);
    }
}
