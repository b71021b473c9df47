//! One block of pixels, and its way into the bytes of a TIFF tile and back.
//!
//! Integers are differenced along the row (predictor 2), floats are split into
//! planes of bytes and then differenced (predictor 3, Adobe Photoshop TIFF
//! Technical Note 3), both of which make neighbouring pixels compress better;
//! then the block goes through deflate. Files are little-endian.

use std::cell::RefCell;

use bytemuck::Pod;
use datacube_model::DType;
use libdeflater::{CompressionLvl, Compressor, Decompressor};

use crate::export::gather::Pixels;

/// What TIFF calls the predictor of a pixel type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Predictor {
    None,
    Integer,
    Float,
}

impl Predictor {
    pub(super) fn of(dtype: DType) -> Self {
        if dtype.is_complex() {
            Predictor::None
        } else if dtype.is_float() {
            Predictor::Float
        } else {
            Predictor::Integer
        }
    }

    pub(super) fn tag_value(self) -> u16 {
        match self {
            Predictor::None => 1,
            Predictor::Integer => 2,
            Predictor::Float => 3,
        }
    }
}

/// Repeats the last column and row into the padding of an edge block, which
/// costs fewer bytes than a jump to nodata would.
///
/// `stride` is the width of the block in bytes, `size` that of a pixel.
pub(super) fn pad_edges(bytes: &mut [u8], stride: usize, size: usize, rows: usize, cols: usize) {
    let used = cols * size;
    if used < stride {
        for row in bytes.chunks_exact_mut(stride).take(rows) {
            for at in (used..stride).step_by(size) {
                row.copy_within(used - size..used, at);
            }
        }
    }
    for at in (rows * stride..bytes.len()).step_by(stride) {
        bytes.copy_within((rows - 1) * stride..rows * stride, at);
    }
}

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// The bytes of one TIFF tile: predictor, then zlib at `level`.
///
/// `block` is used up as scratch.
pub(super) fn encode(
    mut block: Pixels,
    dtype: DType,
    cols: usize,
    level: CompressionLvl,
) -> Vec<u8> {
    match (Predictor::of(dtype), dtype.size()) {
        (Predictor::None, _) => to_little_endian(block.bytes_mut(), dtype.size() / 2),
        (Predictor::Float, size) => split_planes(block.bytes_mut(), cols, size),
        (Predictor::Integer, 1) => difference::<u8>(block.of_type_mut(), cols),
        (Predictor::Integer, 2) => difference::<u16>(block.of_type_mut(), cols),
        (Predictor::Integer, 4) => difference::<u32>(block.of_type_mut(), cols),
        (Predictor::Integer, _) => difference::<u64>(block.of_type_mut(), cols),
    }
    if Predictor::of(dtype) == Predictor::Integer {
        to_little_endian(block.bytes_mut(), dtype.size());
    }
    COMPRESSOR.with_borrow_mut(|slot| {
        let wanted = level_number(level);
        let (_, compressor) = match slot {
            Some(held) if held.0 == wanted => held,
            _ => slot.insert((wanted, Compressor::new(level))),
        };
        let mut out = vec![0; compressor.zlib_compress_bound(block.bytes().len())];
        let n = compressor
            .zlib_compress(block.bytes(), &mut out)
            .expect("the buffer has the size that the compressor asked for");
        out.truncate(n);
        out
    })
}

/// The pixels of a tile that [`encode`] made.
pub(super) fn decode(encoded: &[u8], dtype: DType, cols: usize, len: usize) -> Pixels {
    let mut block = Pixels::zeroed(len);
    let n = DECOMPRESSOR
        .with_borrow_mut(|d| d.zlib_decompress(encoded, block.bytes_mut()))
        .expect("the spool holds what this process compressed");
    assert_eq!(n, len, "a block has one size");
    if Predictor::of(dtype) == Predictor::Integer {
        to_little_endian(block.bytes_mut(), dtype.size());
    }
    match (Predictor::of(dtype), dtype.size()) {
        (Predictor::None, _) => to_little_endian(block.bytes_mut(), dtype.size() / 2),
        (Predictor::Float, size) => join_planes(block.bytes_mut(), cols, size),
        (Predictor::Integer, 1) => accumulate::<u8>(block.of_type_mut(), cols),
        (Predictor::Integer, 2) => accumulate::<u16>(block.of_type_mut(), cols),
        (Predictor::Integer, 4) => accumulate::<u32>(block.of_type_mut(), cols),
        (Predictor::Integer, _) => accumulate::<u64>(block.of_type_mut(), cols),
    }
    block
}

fn level_number(level: CompressionLvl) -> i32 {
    (0..=12)
        .find(|&n| CompressionLvl::new(n) == Ok(level))
        .unwrap_or(-1)
}

/// Turns native words into little-endian ones, and back.
fn to_little_endian(bytes: &mut [u8], word: usize) {
    if cfg!(target_endian = "big") {
        for word in bytes.chunks_exact_mut(word) {
            word.reverse();
        }
    }
}

fn difference<T: Pod + num_traits::WrappingSub>(pixels: &mut [T], cols: usize) {
    for row in pixels.chunks_exact_mut(cols) {
        for at in (1..row.len()).rev() {
            row[at] = row[at].wrapping_sub(&row[at - 1]);
        }
    }
}

fn accumulate<T: Pod + num_traits::WrappingAdd>(pixels: &mut [T], cols: usize) {
    for row in pixels.chunks_exact_mut(cols) {
        for at in 1..row.len() {
            row[at] = row[at].wrapping_add(&row[at - 1]);
        }
    }
}

/// Gathers the most significant bytes of a row, then the next ones, and so on,
/// and differences the result.
fn split_planes(bytes: &mut [u8], cols: usize, size: usize) {
    let mut scratch = vec![0; cols * size];
    for row in bytes.chunks_exact_mut(cols * size) {
        for (col, pixel) in row.chunks_exact(size).enumerate() {
            for (place, &byte) in pixel.iter().enumerate() {
                scratch[significance(place, size) * cols + col] = byte;
            }
        }
        row.copy_from_slice(&scratch);
    }
    difference::<u8>(bytes, cols * size);
}

fn join_planes(bytes: &mut [u8], cols: usize, size: usize) {
    accumulate::<u8>(bytes, cols * size);
    let mut scratch = vec![0; cols * size];
    for row in bytes.chunks_exact_mut(cols * size) {
        scratch.copy_from_slice(row);
        for (col, pixel) in row.chunks_exact_mut(size).enumerate() {
            for (place, byte) in pixel.iter_mut().enumerate() {
                *byte = scratch[significance(place, size) * cols + col];
            }
        }
    }
}

/// 0 for the most significant byte of a native word, `size - 1` for the least.
fn significance(place: usize, size: usize) -> usize {
    if cfg!(target_endian = "big") {
        place
    } else {
        size - 1 - place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_the_trip() {
        for dtype in DType::ALL {
            let (rows, cols) = (5, 7);
            let len = rows * cols * dtype.size();
            let mut block = Pixels::zeroed(len);
            for (at, byte) in block.bytes_mut().iter_mut().enumerate() {
                *byte = u8::try_from((at * 37 + at / 11) % 251).expect("below 251");
            }
            let expected = block.bytes().to_vec();
            let encoded = encode(block, dtype, cols, CompressionLvl::default());
            assert_eq!(
                decode(&encoded, dtype, cols, len).bytes(),
                expected,
                "{dtype}"
            );
        }
    }

    #[test]
    fn padding_repeats_the_edge() {
        let mut bytes = [1, 2, 0, 3, 4, 0, 0, 0, 0];
        pad_edges(&mut bytes, 3, 1, 2, 2);
        assert_eq!(bytes, [1, 2, 2, 3, 4, 4, 3, 4, 4]);
    }
}
