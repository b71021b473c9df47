//! The most frequent value along an axis.

use super::sorter::Wanted;
use super::{Axis, Sample, Sorter};
use crate::error::Result;

/// The most frequent value of each lane; the smallest of several that are
/// equally frequent.
///
/// With `skipna` NaN is left out, and a lane of nothing but NaN has NaN;
/// without, a lane with a NaN has NaN. Values equal to `nodata` are left out
/// too; a lane of nothing else has `nodata`. A lane without any value has
/// `nodata`, else NaN, which in an integer is 0.
///
/// # Errors
/// Slices whose sizes do not fit the axis.
///
/// # Source
/// scipy, `stats.mode` (`nan_policy` "omit" and "propagate").
pub fn mode<T: Sample>(
    src: &[T],
    axis: Axis,
    skipna: bool,
    nodata: Option<T>,
    out: &mut [T],
    scratch: &mut Sorter<T>,
) -> Result<()> {
    axis.check("mode", src.len(), out.len(), axis.lanes())?;
    let missing = T::of_f64(f64::NAN);
    scratch.each(src, axis, Wanted::All, |lane, sorted| {
        let Some(to) = out.get_mut(lane) else { return };
        if !skipna && sorted.count() < axis.len {
            *to = missing;
            return;
        }
        let mut best = (0, nodata.unwrap_or(missing));
        let mut run = 0;
        for rank in 0..sorted.count() {
            let value = sorted.at(rank);
            run = if rank > 0 && sorted.at(rank - 1) == value {
                run + 1
            } else {
                1
            };
            if run > best.0 && nodata != Some(value) {
                best = (run, value);
            }
        }
        *to = best.1;
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_of_the_most_frequent() {
        let src = [3u8, 1, 3, 1, 2, 0, 0, 0, 7, 9, 0, 0, 0, 0, 0];
        let axis = Axis::of(&[3, 5], 1);
        let mut out = [0; 3];
        mode(&src, axis, true, None, &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out, [1, 0, 0]);
        mode(&src, axis, true, Some(0), &mut out, &mut Sorter::new()).unwrap();
        assert_eq!(out, [1, 7, 0]);

        let nan = f32::NAN;
        let mut out = [0.0f32];
        let axis = Axis::of(&[4], 0);
        mode(
            &[nan, nan, 2.0, nan],
            axis,
            true,
            None,
            &mut out,
            &mut Sorter::new(),
        )
        .unwrap();
        assert_eq!(out, [2.0]);
        mode(
            &[nan, nan, 2.0, nan],
            axis,
            false,
            None,
            &mut out,
            &mut Sorter::new(),
        )
        .unwrap();
        assert!(out[0].is_nan());
    }
}
