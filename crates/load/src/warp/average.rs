//! The area-weighted mean, pixel by pixel.

use crate::warp::cover::{Corners, Margin};
use crate::warp::locate::{Covers, Squares, extents};
use crate::warp::points::{PointScratch, any_missing, at};
use crate::warp::sample::Sample;
use crate::warp::simd::widest;
use crate::warp::window::SourceWindow;

/// The area-weighted mean of the source pixels between two corners.
pub(crate) fn average<T: Sample>(
    src: &SourceWindow<'_, T>,
    margin: Margin,
    corners: Corners<'_>,
    scratch: &mut PointScratch,
    out: &mut [T],
    valid: &mut [u8],
) {
    let PointScratch {
        rows,
        cols,
        squares,
        ..
    } = scratch;
    let (row_axis, col_axis) = extents(src);
    rows.find(row_axis, margin.y, corners.top, corners.bottom);
    cols.find(col_axis, margin.x, corners.left, corners.right);
    average_places(src, squares, rows, cols, out, valid);
}

widest! {
    fn average_places<T: Sample>(
        src: &SourceWindow<'_, T>,
        squares: &Squares,
        rows: &Covers,
        cols: &Covers,
        out: &mut [T],
        valid: &mut [u8],
    ) {
        let (pixels, n_cols) = (src.pixels(), src.n_cols());
        let has_missing = src.missing().is_some();
        let n = out.len();
        let (tops, lefts) = (&rows.starts[..n], &cols.starts[..n]);
        let (heights, widths) = (&rows.counts[..n], &cols.counts[..n]);
        let [y0, y1, y2] = [0, 1, 2].map(|tap: usize| &rows.weights[tap][..n]);
        let [x0, x1, x2] = [0, 1, 2].map(|tap: usize| &cols.weights[tap][..n]);
        let valid = &mut valid[..n];
        for idx in 0..n {
            let (height, width) = (heights[idx], widths[idx]);
            if height == 0 || width == 0 {
                valid[idx] = 0;
                continue;
            }
            let (top, left) = (at(tops[idx]), at(lefts[idx]));
            let (y, x) = ([y0[idx], y1[idx], y2[idx]], [x0[idx], x1[idx], x2[idx]]);
            let from = top.wrapping_mul(n_cols).wrapping_add(left);
            let may_miss = || squares.may_miss(top, left, at(height), at(width));
            let value = if has_missing && may_miss() {
                average_some(src, from, (at(height), y), (at(width), x))
            } else if height <= 3 && width <= 3 {
                average_nine(pixels, from, n_cols, y, x)
            } else {
                average_many(pixels, from, n_cols, (at(height), y), (at(width), x))
            };
            valid[idx] = u8::from(value.is_some());
            if let Some(value) = value {
                out[idx] = T::from_f64(value);
            }
        }
    }
}

/// The mean over up to three by three pixels. Those that weigh nothing may lie
/// anywhere, or not be there.
#[inline(always)]
fn average_nine<T: Sample>(
    pixels: &[T],
    from: usize,
    n_cols: usize,
    y: [f64; 3],
    x: [f64; 3],
) -> Option<f64> {
    // Four columns, because four numbers are computed at once.
    let row = |row: usize| {
        let from = from.wrapping_add(n_cols.wrapping_mul(row));
        pixels.get(from..).and_then(<[T]>::first_chunk::<4>)
    };
    let weights = [x[0], x[1], x[2], 0.0];
    let sum = match [row(0), row(1), row(2)] {
        [Some(&a), Some(&b), Some(&c)] => sum_twelve([a, b, c], y, weights),
        // Near the window's last pixel.
        _ => {
            let zero = <T as bytemuck::Zeroable>::zeroed();
            let pixel = |at: usize| pixels.get(at).copied().unwrap_or(zero);
            let row = |row: usize| [0, 1, 2, 3].map(|col: usize| pixel(from + row * n_cols + col));
            sum_twelve([0, 1, 2].map(row), y, weights)
        }
    };
    Some(sum / ((x[0] + x[1] + x[2]) * (y[0] + y[1] + y[2])))
}

/// The weighted sum of three rows of four pixels.
#[inline(always)]
fn sum_twelve<T: Sample>(rows: [[T; 4]; 3], y: [f64; 3], x: [f64; 4]) -> f64 {
    let mut sums = [0.0; 4];
    for (row, y_weight) in rows.into_iter().zip(y) {
        for ((sum, pixel), x_weight) in sums.iter_mut().zip(row).zip(x) {
            // Nothing times infinity is not nothing.
            let counts = !T::IS_FLOAT || (x_weight > 0.0 && y_weight > 0.0);
            *sum += if counts {
                pixel.to_f64() * y_weight
            } else {
                0.0
            };
        }
    }
    (sums[0] * x[0] + sums[2] * x[2]) + (sums[1] * x[1] + sums[3] * x[3])
}

/// The weight of one of `n` pixels, as [`Covers`] has them.
#[inline(always)]
fn weight_of(idx: usize, n: usize, weights: [f64; 3]) -> f64 {
    match idx {
        0 => weights[0],
        1 if n == 2 => weights[1],
        idx if idx + 1 == n => weights[2],
        _ => 1.0,
    }
}

/// What `n` pixels weigh together.
#[inline(always)]
fn weigh_all(n: usize, weights: [f64; 3]) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "pixels of an image")]
    let between = n.saturating_sub(3) as f64;
    weights[0] + weights[1] + weights[2] + between
}

/// The mean over any number of pixels.
#[inline(always)]
fn average_many<T: Sample>(
    pixels: &[T],
    from: usize,
    n_cols: usize,
    (n_y, y): (usize, [f64; 3]),
    (n_x, x): (usize, [f64; 3]),
) -> Option<f64> {
    let mut sum = 0.0;
    for row in 0..n_y {
        let pixels = pixels.get(from + row * n_cols..)?.get(..n_x)?;
        let row_sum = match pixels {
            [first, between @ .., last] => {
                let tail = weight_of(n_x - 1, n_x, x);
                let head = first.to_f64() * x[0];
                between.iter().fold(head, |sum, v| sum + v.to_f64()) + last.to_f64() * tail
            }
            _ => pixels.first()?.to_f64(),
        };
        sum += row_sum * weight_of(row, n_y, y);
    }
    Some(sum / (weigh_all(n_x, x) * weigh_all(n_y, y)))
}

/// The mean over the pixels that are not missing.
#[inline(never)]
fn average_some<T: Sample>(
    src: &SourceWindow<'_, T>,
    from: usize,
    (n_y, y): (usize, [f64; 3]),
    (n_x, x): (usize, [f64; 3]),
) -> Option<f64> {
    let (pixels, n_cols) = (src.pixels(), src.n_cols());
    if !any_missing(src, from, n_y, n_x) {
        return if n_y <= 3 && n_x <= 3 {
            average_nine(pixels, from, n_cols, y, x)
        } else {
            average_many(pixels, from, n_cols, (n_y, y), (n_x, x))
        };
    }
    let missing = src.missing()?;
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in 0..n_y {
        let from = from + row * n_cols;
        let row_weight = weight_of(row, n_y, y);
        for col in 0..n_x {
            if missing[from + col] == 0 {
                let part = row_weight * weight_of(col, n_x, x);
                sum += pixels[from + col].to_f64() * part;
                weight += part;
            }
        }
    }
    (weight > 0.0).then(|| sum / weight)
}
