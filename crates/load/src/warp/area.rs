//! Kernels that take the source pixels between two corners together: root mean
//! square, largest, smallest, quantiles.
//!
//! As with `average`, what an output pixel covers is the box between its
//! upper-left and its lower-right corner. Only the root mean square weighs
//! source pixels by how much of them is covered; to the others a pixel is in
//! or not.
//!
//! # Source
//! GDAL, `alg/gdalwarpkernel.cpp`, `GWKAverageOrModeThread`.

use std::cmp::Ordering;

use crate::warp::cover::{Corners, Cover, Margin};
use crate::warp::sample::Sample;
use crate::warp::window::SourceWindow;

/// What becomes of the pixels that an output pixel covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// The root of the area-weighted mean of squares.
    RootMeanSquare,
    Largest,
    Smallest,
    /// The value at so many quarters of the ordered ones; of two that it lies
    /// between, the lower one.
    Quarter(u8),
}

/// Memory for the values under one output pixel.
pub(crate) type Values<T> = Vec<T>;

/// One value for each output pixel of a row, from what lies between its corners.
#[allow(clippy::too_many_arguments, reason = "a row of a warp takes so much")]
pub(crate) fn reduce<T: Sample>(
    src: &SourceWindow<'_, T>,
    reduction: Reduction,
    margin: Margin,
    corners: Corners<'_>,
    values: &mut Values<T>,
    out: &mut [T],
    valid: &mut [u8],
) {
    for (idx, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
        let value = margin
            .covers(&corners, idx, src.full_rows(), src.full_cols())
            .and_then(|(y, x)| match reduction {
                Reduction::RootMeanSquare => root_mean_square(src, &y, &x),
                Reduction::Largest => extreme(src, &y, &x, Ordering::Greater),
                Reduction::Smallest => extreme(src, &y, &x, Ordering::Less),
                Reduction::Quarter(quarters) => quantile(src, &y, &x, quarters, values),
            });
        *valid = u8::from(value.is_some());
        if let Some(value) = value {
            *out = value;
        }
    }
}

/// Calls `take` with each covered pixel that is not missing, and its place.
/// `None` where the window has not all of them.
#[inline(always)]
fn each<T: Sample>(
    src: &SourceWindow<'_, T>,
    y: &Cover,
    x: &Cover,
    mut take: impl FnMut(T, i32, i32),
) -> Option<()> {
    let n_rows = usize::try_from(y.end - y.start).ok()?;
    let n_cols = usize::try_from(x.end - x.start).ok()?;
    let mut from = src.offset(y.start, x.start, n_rows, n_cols)?;
    for row in y.start..y.end {
        let pixels = src.pixels().get(from..from + n_cols)?;
        match src.missing() {
            None => {
                for (col, &pixel) in (x.start..x.end).zip(pixels) {
                    take(pixel, row, col);
                }
            }
            Some(missing) => {
                let missing = missing.get(from..from + n_cols)?;
                for ((col, &pixel), &missing) in (x.start..x.end).zip(pixels).zip(missing) {
                    if missing == 0 {
                        take(pixel, row, col);
                    }
                }
            }
        }
        from += src.n_cols();
    }
    Some(())
}

fn root_mean_square<T: Sample>(src: &SourceWindow<'_, T>, y: &Cover, x: &Cover) -> Option<T> {
    let (mut sum, mut weight) = (0.0, 0.0);
    each(src, y, x, |pixel, row, col| {
        let value = pixel.to_f64();
        let part = y.weight(row) * x.weight(col);
        sum += value * value * part;
        weight += part;
    })?;
    (weight > 0.0).then(|| T::from_f64((sum / weight).sqrt()))
}

fn extreme<T: Sample>(
    src: &SourceWindow<'_, T>,
    y: &Cover,
    x: &Cover,
    wanted: Ordering,
) -> Option<T> {
    let mut best: Option<T> = None;
    each(src, y, x, |pixel, _, _| {
        if best.is_none_or(|best| pixel.partial_cmp(&best) == Some(wanted)) {
            best = Some(pixel);
        }
    })?;
    best
}

fn quantile<T: Sample>(
    src: &SourceWindow<'_, T>,
    y: &Cover,
    x: &Cover,
    quarters: u8,
    values: &mut Values<T>,
) -> Option<T> {
    values.clear();
    each(src, y, x, |pixel, _, _| values.push(pixel))?;
    // The place of the quantile among n values is n * q - 1, rounded up.
    let place = (values.len() * usize::from(quarters))
        .div_ceil(4)
        .checked_sub(1)?;
    let order = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(Ordering::Equal);
    let (_, value, _) = values.select_nth_unstable_by(place, order);
    Some(*value)
}

#[cfg(test)]
mod tests {
    use datacube_geo::{PixelWindow, Shape2d};

    use super::*;

    fn of<T: Sample>(reduction: Reduction, pixels: &[T], missing: Option<&[u8]>) -> Option<T> {
        let shape = Shape2d {
            rows: 2,
            cols: pixels.len() / 2,
        };
        let src = SourceWindow::new(pixels, missing, &PixelWindow::full(shape), shape);
        let corners = Corners {
            left: &[0.0],
            top: &[0.0],
            right: &[shape.cols as f64],
            bottom: &[2.0],
        };
        let mut out = [pixels[0]];
        let mut valid = [9];
        let margin = Margin::new(0.5, 0.5);
        let values = &mut Vec::new();
        reduce(
            &src, reduction, margin, corners, values, &mut out, &mut valid,
        );
        (valid[0] == 1).then_some(out[0])
    }

    #[test]
    fn quantiles_are_values_of_the_source() {
        let pixels = [8u8, 1, 2, 7, 3, 6, 5, 4];
        assert_eq!(of(Reduction::Quarter(1), &pixels, None), Some(2));
        assert_eq!(of(Reduction::Quarter(2), &pixels, None), Some(4));
        assert_eq!(of(Reduction::Quarter(3), &pixels, None), Some(6));
        let missing = [0, 1, 1, 1, 1, 1, 1, 0];
        for quarters in 1..=2 {
            let found = of(Reduction::Quarter(quarters), &pixels, Some(&missing));
            assert_eq!(found, Some(4));
        }
        assert_eq!(of(Reduction::Quarter(3), &pixels, Some(&missing)), Some(8));
        assert_eq!(of(Reduction::Quarter(2), &pixels, Some(&[1; 8])), None);
    }

    #[test]
    fn extremes_are_exact_past_what_a_double_holds() {
        let pixels = [i64::MAX - 1, i64::MAX, i64::MIN + 1, i64::MIN];
        assert_eq!(of(Reduction::Largest, &pixels, None), Some(i64::MAX));
        assert_eq!(of(Reduction::Smallest, &pixels, None), Some(i64::MIN));
        assert_eq!(
            of(Reduction::Largest, &pixels, Some(&[0, 1, 0, 0])),
            Some(i64::MAX - 1)
        );
    }

    #[test]
    fn the_root_mean_square_is_rounded_once() {
        assert_eq!(
            of(Reduction::RootMeanSquare, &[3u8, 4, 3, 4], None),
            Some(4)
        );
        assert_eq!(
            of(Reduction::RootMeanSquare, &[3.0f64, 4.0, 3.0, 4.0], None),
            Some(12.5f64.sqrt())
        );
    }
}
