//! Undoes what predictors did, row by row, in place.
//!
//! Samples are in native byte order when horizontal differences are summed up.
//! The bytes that the floating-point predictor laid out are always most
//! significant first, whatever the file's order.

use bytemuck::Pod;
use num_traits::WrappingAdd;

/// Sums up horizontal differences in one row of samples of `size` bytes, each
/// `stride` samples after the one it builds on.
pub(super) fn undo_horizontal(row: &mut [u8], size: usize, stride: usize) {
    match size {
        1 => accumulate::<u8>(row, stride),
        2 => accumulate::<u16>(bytemuck::cast_slice_mut(row), stride),
        4 => accumulate::<u32>(bytemuck::cast_slice_mut(row), stride),
        8 => accumulate::<u64>(bytemuck::cast_slice_mut(row), stride),
        _ => unreachable!("checked when the image was opened"),
    }
}

fn accumulate<T: Pod + WrappingAdd>(row: &mut [T], stride: usize) {
    match stride {
        1 => accumulate_by::<T, 1>(row),
        2 => accumulate_by::<T, 2>(row),
        3 => accumulate_by::<T, 3>(row),
        4 => accumulate_by::<T, 4>(row),
        _ => {
            for i in stride..row.len() {
                row[i] = row[i].wrapping_add(&row[i - stride]);
            }
        }
    }
}

/// With the sums in registers.
fn accumulate_by<T: Pod + WrappingAdd, const N: usize>(row: &mut [T]) {
    let mut sums = [T::zeroed(); N];
    for pixel in row.as_chunks_mut::<N>().0 {
        for (sum, sample) in sums.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(sample);
            *sample = *sum;
        }
    }
}

/// Turns one row of `size`-byte floating-point samples, stored as differences
/// of bytes with all the most significant ones first, into native samples.
///
/// `planes` is scratch of any length.
///
/// # Source
/// Adobe Photoshop TIFF technical note 3; libtiff, `fpAcc`.
pub(super) fn undo_floating_point(
    row: &mut [u8],
    size: usize,
    stride: usize,
    planes: &mut Vec<u8>,
) {
    accumulate::<u8>(row, stride);
    planes.clear();
    planes.extend_from_slice(row);
    match size {
        2 => join::<2>(planes, row, |bytes| u16::from_be_bytes(bytes).to_ne_bytes()),
        4 => join::<4>(planes, row, |bytes| u32::from_be_bytes(bytes).to_ne_bytes()),
        8 => join::<8>(planes, row, |bytes| u64::from_be_bytes(bytes).to_ne_bytes()),
        _ => unreachable!("checked when the image was opened"),
    }
}

fn join<const SIZE: usize>(
    planes: &[u8],
    row: &mut [u8],
    to_native: impl Fn([u8; SIZE]) -> [u8; SIZE],
) {
    let n_samples = planes.len() / SIZE;
    let planes: [&[u8]; SIZE] = std::array::from_fn(|i| &planes[i * n_samples..][..n_samples]);
    for (i, sample) in row.as_chunks_mut::<SIZE>().0.iter_mut().enumerate() {
        *sample = to_native(std::array::from_fn(|byte| planes[byte][i]));
    }
}

/// Reverses the bytes of each sample of `size` bytes.
pub(super) fn swap_bytes(samples: &mut [u8], size: usize) {
    match size {
        2 => swap::<2>(samples),
        4 => swap::<4>(samples),
        8 => swap::<8>(samples),
        _ => {}
    }
}

fn swap<const SIZE: usize>(samples: &mut [u8]) {
    for sample in samples.as_chunks_mut::<SIZE>().0 {
        sample.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizontal_sums_wrap_for_every_stride() {
        let check = |stride: usize| {
            let values: [u16; 12] = [1, 65000, 3, 7, 60000, 2, 9, 9, 1000, 5, 1, 65535];
            let mut stored = values;
            for i in (stride..12).rev() {
                stored[i] = values[i].wrapping_sub(values[i - stride]);
            }
            undo_horizontal(bytemuck::cast_slice_mut(&mut stored), 2, stride);
            assert_eq!(stored, values, "stride {stride}");
        };
        (1..=6).for_each(check);
    }

    #[test]
    fn floating_point_bytes_come_together() {
        let values = [1.5_f32, -2.25, 1e30, 0.0];
        let mut stored = [0_u8; 16];
        for (i, value) in values.iter().enumerate() {
            for (plane, byte) in value.to_be_bytes().into_iter().enumerate() {
                stored[plane * 4 + i] = byte;
            }
        }
        for i in (1..16).rev() {
            stored[i] = stored[i].wrapping_sub(stored[i - 1]);
        }
        undo_floating_point(&mut stored, 4, 1, &mut Vec::new());
        let decoded: Vec<f32> = stored
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_ne_bytes(b))
            .collect();
        assert_eq!(decoded, values);
    }

    #[test]
    fn swapping() {
        let mut bytes = [1, 2, 3, 4];
        swap_bytes(&mut bytes, 2);
        assert_eq!(bytes, [2, 1, 4, 3]);
        swap_bytes(&mut bytes, 4);
        assert_eq!(bytes, [3, 4, 1, 2]);
        swap_bytes(&mut bytes, 1);
        assert_eq!(bytes, [3, 4, 1, 2]);
    }
}
