//! LERC: numbers within a stated error, with a mask of those that are valid.

use datacube_model::DType;
use lerc_core::{DataType, PixelData};

use super::picture::Picture;
use crate::buffer::AlignedBytes;

/// Decodes a block into `out`.
///
/// What LERC marks as invalid becomes NaN in floating-point samples and 0 in
/// integers; where the last sample is alpha, LERC keeps it as the mask.
///
/// # Source
/// libtiff, `LERCPreDecode`.
pub(super) fn decode(
    input: &[u8],
    picture: Picture<'_>,
    limit: usize,
    out: &mut AlignedBytes,
) -> Result<(), String> {
    let damaged = |error: &dyn std::fmt::Display| format!("the LERC data is damaged ({error})");
    let info = lerc_reader::inspect_first(input).map_err(|error| damaged(&error))?;
    let rows = picture.check_size(info.height, info.width, limit)?;
    if dtype_of(info.data_type) != picture.dtype {
        return Err(format!(
            "it is LERC of {} samples, and the image has {}",
            info.data_type.name(),
            picture.dtype
        ));
    }
    // As many blobs as bands, or one whose pixels have several samples.
    let n_bands = lerc_reader::get_band_count(input).map_err(|error| damaged(&error))?;
    let stored = (info.depth as usize).saturating_mul(n_bands);
    let is_alpha_mask = picture.parameters.is_last_alpha && stored + 1 == picture.samples;
    if stored != picture.samples && !is_alpha_mask {
        return Err(format!(
            "it is LERC of {stored} samples a pixel, and the image has {}",
            picture.samples
        ));
    }
    let (_, bands, masks) = lerc_reader::decode_band_set(input)
        .map_err(|error| damaged(&error))?
        .into_parts();
    out.set_len(picture.bytes_of(rows));
    let pixels = Pixels {
        out: out.as_mut_slice(),
        size: picture.dtype.size(),
        stride: picture.samples,
        is_swapped: picture.is_swapped,
    };
    pixels.put(
        &bands,
        &masks,
        info.depth as usize,
        picture.dtype,
        is_alpha_mask,
    );
    Ok(())
}

/// Where decoded samples go, pixel by pixel.
struct Pixels<'a> {
    out: &'a mut [u8],
    size: usize,
    stride: usize,
    /// Whether bytes have to change places: libtiff swaps samples before they
    /// are compressed.
    is_swapped: bool,
}

impl Pixels<'_> {
    fn put(
        self,
        bands: &[PixelData],
        masks: &[Option<Vec<u8>>],
        depth: usize,
        dtype: DType,
        is_alpha_mask: bool,
    ) {
        let missing = match dtype {
            DType::Float32 => f32::NAN.to_ne_bytes().to_vec(),
            DType::Float64 => f64::NAN.to_ne_bytes().to_vec(),
            _ => vec![0; self.size],
        };
        let opaque = match dtype {
            DType::Float32 => 255_f32.to_ne_bytes().to_vec(),
            DType::Float64 => 255_f64.to_ne_bytes().to_vec(),
            // libtiff sets all bytes of an alpha sample that is valid to 255.
            _ => vec![255; self.size],
        };
        let pixel_bytes = self.size * self.stride;
        for (band_idx, (band, mask)) in bands.iter().zip(masks).enumerate() {
            let first = band_idx * depth * self.size;
            let samples = bytes_of(band).chunks_exact(depth * self.size);
            let pixels = self.out.chunks_exact_mut(pixel_bytes);
            for (at, (pixel, samples)) in pixels.zip(samples).enumerate() {
                let is_valid = mask.as_ref().is_none_or(|mask| mask[at] != 0);
                let target = &mut pixel[first..first + samples.len()];
                if is_valid {
                    target.copy_from_slice(samples);
                    if self.is_swapped {
                        target.chunks_exact_mut(self.size).for_each(<[u8]>::reverse);
                    }
                } else {
                    for sample in target.chunks_exact_mut(missing.len()) {
                        sample.copy_from_slice(&missing);
                    }
                }
                if is_alpha_mask {
                    let alpha = &mut pixel[pixel_bytes - self.size..];
                    if is_valid {
                        alpha.copy_from_slice(&opaque);
                    } else {
                        alpha.fill(0);
                    }
                }
            }
        }
    }
}

fn dtype_of(data_type: DataType) -> DType {
    match data_type {
        DataType::I8 => DType::Int8,
        DataType::U8 => DType::UInt8,
        DataType::I16 => DType::Int16,
        DataType::U16 => DType::UInt16,
        DataType::I32 => DType::Int32,
        DataType::U32 => DType::UInt32,
        DataType::F32 => DType::Float32,
        DataType::F64 => DType::Float64,
    }
}

fn bytes_of(pixels: &PixelData) -> &[u8] {
    match pixels {
        PixelData::I8(values) => bytemuck::cast_slice(values),
        PixelData::U8(values) => values,
        PixelData::I16(values) => bytemuck::cast_slice(values),
        PixelData::U16(values) => bytemuck::cast_slice(values),
        PixelData::I32(values) => bytemuck::cast_slice(values),
        PixelData::U32(values) => bytemuck::cast_slice(values),
        PixelData::F32(values) => bytemuck::cast_slice(values),
        PixelData::F64(values) => bytemuck::cast_slice(values),
    }
}
