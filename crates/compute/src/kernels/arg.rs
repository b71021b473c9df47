//! Positions of the smallest and largest value along an axis.

use super::{Axis, Sample};
use crate::error::Result;

/// Position of the smallest value of each lane, -1 where there is none.
///
/// Of equal values the first counts. With `skipna` NaN is passed over, and a
/// lane of nothing but NaN has no position (xarray raises there); without, the
/// first NaN is the position, as in numpy.
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// numpy, `argmin` and `nanargmin`.
pub fn argmin<T: Sample>(src: &[T], axis: Axis, skipna: bool, out: &mut [i64]) -> Result<()> {
    axis.check("argmin", src.len(), out.len(), axis.lanes())?;
    positions(src, axis, skipna, out, |value, best| value < best);
    Ok(())
}

/// Position of the largest value of each lane, -1 where there is none; all
/// else as [`argmin`].
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// numpy, `argmax` and `nanargmax`.
pub fn argmax<T: Sample>(src: &[T], axis: Axis, skipna: bool, out: &mut [i64]) -> Result<()> {
    axis.check("argmax", src.len(), out.len(), axis.lanes())?;
    positions(src, axis, skipna, out, |value, best| value > best);
    Ok(())
}

fn positions<T: Sample>(
    src: &[T],
    axis: Axis,
    skipna: bool,
    out: &mut [i64],
    better: impl Fn(T, T) -> bool,
) {
    let inner = axis.inner;
    out.fill(-1);
    if axis.size() == 0 {
        return;
    }
    let mut best: Vec<T> = Vec::with_capacity(inner);
    let slabs = src.chunks_exact(axis.len * inner);
    for (slab, out) in slabs.zip(out.chunks_exact_mut(inner)) {
        best.clear();
        best.extend_from_slice(slab.get(..inner).unwrap_or(&[]));
        for (position, row) in (0i64..).zip(slab.chunks_exact(inner)) {
            for ((to, best), &value) in out.iter_mut().zip(&mut best).zip(row) {
                let take = if value.is_missing() {
                    !skipna && (*to < 0 || !best.is_missing())
                } else {
                    *to < 0 || (!best.is_missing() && better(value, *best))
                };
                if take {
                    *to = position;
                    *best = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_values_and_nan_as_asked() {
        let nan = f64::NAN;
        let src = [3.0, 1.0, 1.0, nan, 2.0, 0.0, nan, nan, nan];
        let axis = Axis::of(&[3, 3], 1);
        let mut out = [0; 3];
        argmin(&src, axis, true, &mut out).unwrap();
        assert_eq!(out, [1, 2, -1]);
        argmax(&src, axis, true, &mut out).unwrap();
        assert_eq!(out, [0, 1, -1]);
        argmin(&src, axis, false, &mut out).unwrap();
        assert_eq!(out, [1, 0, 0]);
        argmax(
            &[1u8, 4, 4, 0, 9, 9],
            Axis::of(&[3, 2], 0),
            true,
            &mut out[..2],
        )
        .unwrap();
        assert_eq!(out[..2], [2, 2]);
        argmax(&[2.0, nan, 5.0], Axis::of(&[3], 0), false, &mut out[..1]).unwrap();
        assert_eq!(out[0], 1);
        argmin::<f64>(&[], Axis::of(&[0, 2], 0), true, &mut out[..2]).unwrap();
        assert_eq!(out[..2], [-1, -1]);
    }
}
