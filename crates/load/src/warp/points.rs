//! Warps pixel by pixel, for grids that are rotated against each other or in
//! different CRSs.
//!
//! Where an output pixel lies in the source comes as two rows of coordinates.
//! Each pixel is computed by a function of its own position and of the source
//! pixels that it takes, and of nothing else.

use crate::warp::sample::Sample;
use crate::warp::separable::{is_missing, weigh};
use crate::warp::simd::widest;
use crate::warp::taps::{Cover, Filter, TapRule, cubic_weights, pixel_at, split};
use crate::warp::window::SourceWindow;

widest! {
    /// The source pixel at each position.
    pub(crate) fn nearest<T: Sample>(
        src: &SourceWindow<'_, T>, xs: &[f64], ys: &[f64], out: &mut [T], valid: &mut [u8],
    ) {
        let (n_rows, n_cols) = (src.full_rows(), src.full_cols());
        for (((&x, &y), out), valid) in xs.iter().zip(ys).zip(out).zip(valid) {
            *valid = 0;
            if let (Some(row), Some(col)) = (pixel_at(y, n_rows), pixel_at(x, n_cols))
                && let Some(at) = src.offset(row, col, 1, 1)
            {
                *out = src.pixels()[at];
                *valid = src.missing().map_or(1, |missing| 1 - missing[at]);
            }
        }
    }
}

widest! {
    /// Bilinear interpolation between four pixels.
    pub(crate) fn bilinear<T: Sample>(
        src: &SourceWindow<'_, T>, xs: &[f64], ys: &[f64], out: &mut [T], valid: &mut [u8],
    ) {
        for (((&x, &y), out), valid) in xs.iter().zip(ys).zip(out).zip(valid) {
            let value = bilinear_at(src, x, y);
            *valid = u8::from(value.is_some());
            if let Some(value) = value {
                *out = T::from_f64(value);
            }
        }
    }
}

/// The bilinear value at a position.
#[inline(always)]
fn bilinear_at<T: Sample>(src: &SourceWindow<'_, T>, x: f64, y: f64) -> Option<f64> {
    let (n_rows, n_cols) = (src.full_rows(), src.full_cols());
    let (row, col) = (pixel_at(y, n_rows)?, pixel_at(x, n_cols)?);
    let ((low_row, down), (low_col, right)) = (split(y), split(x));
    // Beyond the edge the pixel at the edge goes on.
    let (top, bottom) = (low_row.max(0), (low_row + 1).min(n_rows - 1));
    let (left, last) = (low_col.max(0), (low_col + 1).min(n_cols - 1));
    let (down_step, right_step) = (
        usize::from(bottom > top) * src.n_cols(),
        usize::from(last > left),
    );
    let at = src.offset(top, left, 1 + usize::from(bottom > top), 1 + right_step)?;
    let ends = [
        at,
        at + right_step,
        at + down_step,
        at + down_step + right_step,
    ];
    if let Some(missing) = src.missing()
        && ends.iter().fold(0, |any, &at| any | missing[at]) != 0
    {
        return bilinear_with_missing(src, x, y, row, col);
    }
    let [a, b, c, d] = ends.map(|at| src.pixels()[at].to_f64());
    let (up, leftward) = (1.0 - down, 1.0 - right);
    Some((a * leftward + b * right) * up + (c * leftward + d * right) * down)
}

/// As [`bilinear_at`], leaving out what is missing; nothing where the centre is.
#[cold]
fn bilinear_with_missing<T: Sample>(
    src: &SourceWindow<'_, T>,
    x: f64,
    y: f64,
    row: i32,
    col: i32,
) -> Option<f64> {
    if is_missing(src, row, col) {
        return None;
    }
    let (mut x_weights, mut y_weights) = ([0.0; 2], [0.0; 2]);
    let (left, n_x) = TapRule::Bilinear.taps(x, src.full_cols(), &mut x_weights);
    let (top, n_y) = TapRule::Bilinear.taps(y, src.full_rows(), &mut y_weights);
    weigh(
        src,
        (top, &y_weights[..n_y]),
        (left, &x_weights[..n_x]),
        LEAST_WEIGHT,
    )
}

/// What the pixels that are not missing have to weigh at least, of 1, for an
/// interpolated value.
///
/// # Source
/// GDAL, `alg/gdalwarpkernel.cpp`: `GWKBilinearResample4Sample`.
pub(crate) const LEAST_WEIGHT: f64 = 0.00001;

/// As [`LEAST_WEIGHT`], of a widened filter.
///
/// # Source
/// GDAL, `alg/gdalwarpkernel.cpp`: `GWKResample`.
pub(crate) const LEAST_WEIGHT_WIDENED: f64 = 0.000001;

widest! {
    /// Cubic convolution over sixteen pixels; bilinear where the image does not
    /// have all of them or one is missing, as GDAL does.
    pub(crate) fn cubic<T: Sample>(
        src: &SourceWindow<'_, T>, xs: &[f64], ys: &[f64], out: &mut [T], valid: &mut [u8],
    ) {
        for (((&x, &y), out), valid) in xs.iter().zip(ys).zip(out).zip(valid) {
            let value = cubic_at(src, x, y);
            *valid = u8::from(value.is_some());
            if let Some(value) = value {
                *out = T::from_f64(value);
            }
        }
    }
}

/// The cubic value at a position.
#[inline(always)]
fn cubic_at<T: Sample>(src: &SourceWindow<'_, T>, x: f64, y: f64) -> Option<f64> {
    let (n_rows, n_cols) = (src.full_rows(), src.full_cols());
    let (_, _) = (pixel_at(y, n_rows)?, pixel_at(x, n_cols)?);
    let ((row, down), (col, right)) = (split(y), split(x));
    if row < 1 || row + 2 >= n_rows || col < 1 || col + 2 >= n_cols {
        return bilinear_at(src, x, y);
    }
    let at = src.offset(row - 1, col - 1, 4, 4)?;
    let stride = src.n_cols();
    if let Some(missing) = src.missing()
        && (0..4).any(|k| missing[at + k * stride..][..4].contains(&1))
    {
        return bilinear_at(src, x, y);
    }
    let (y_weights, x_weights) = (cubic_weights(down), cubic_weights(right));
    let mut sums = [0.0; 4];
    for (k, weight) in y_weights.into_iter().enumerate() {
        let pixels: &[T; 4] = src.pixels()[at + k * stride..].first_chunk()?;
        for (sum, pixel) in sums.iter_mut().zip(pixels) {
            *sum += pixel.to_f64() * weight;
        }
    }
    let [a, b, c, d] = sums;
    let [wa, wb, wc, wd] = x_weights;
    Some(a * wa + b * wb + c * wc + d * wd)
}

/// Weights of one pixel's taps, kept from pixel to pixel.
#[derive(Default)]
pub(crate) struct TapScratch {
    x: Vec<f64>,
    y: Vec<f64>,
    sums: Vec<f64>,
}

widest! {
    /// A filter widened by 1 / scale on each axis.
    pub(crate) fn widened<T: Sample>(
        src: &SourceWindow<'_, T>,
        filter: Filter,
        scales: (f64, f64),
        scratch: &mut TapScratch,
        xs: &[f64],
        ys: &[f64],
        out: &mut [T],
        valid: &mut [u8],
    ) {
        let (x_rule, y_rule) = (
            TapRule::Widened { filter, scale: scales.0 },
            TapRule::Widened { filter, scale: scales.1 },
        );
        scratch.x.resize(x_rule.max_taps(), 0.0);
        scratch.y.resize(y_rule.max_taps(), 0.0);
        for (((&x, &y), out), valid) in xs.iter().zip(ys).zip(out).zip(valid) {
            let value = widened_at(src, x_rule, y_rule, scratch, x, y);
            *valid = u8::from(value.is_some());
            if let Some(value) = value {
                *out = T::from_f64(value);
            }
        }
    }
}

#[inline(always)]
fn widened_at<T: Sample>(
    src: &SourceWindow<'_, T>,
    x_rule: TapRule,
    y_rule: TapRule,
    scratch: &mut TapScratch,
    x: f64,
    y: f64,
) -> Option<f64> {
    let (n_rows, n_cols) = (src.full_rows(), src.full_cols());
    let (centre_row, centre_col) = (pixel_at(y, n_rows)?, pixel_at(x, n_cols)?);
    let (top, n_y) = y_rule.taps(y, n_rows, &mut scratch.y);
    let (left, n_x) = x_rule.taps(x, n_cols, &mut scratch.x);
    let (y_weights, x_weights) = (&scratch.y[..n_y], &scratch.x[..n_x]);
    let at = src.offset(top, left, n_y, n_x)?;
    let stride = src.n_cols();
    if let Some(missing) = src.missing()
        && (0..n_y).any(|k| missing[at + k * stride..][..n_x].contains(&1))
    {
        if is_missing(src, centre_row, centre_col) {
            return None;
        }
        return weigh(
            src,
            (top, y_weights),
            (left, x_weights),
            LEAST_WEIGHT_WIDENED,
        );
    }
    scratch.sums.clear();
    scratch.sums.resize(n_x, 0.0);
    for (k, &weight) in y_weights.iter().enumerate() {
        let pixels = &src.pixels()[at + k * stride..][..n_x];
        for (sum, pixel) in scratch.sums.iter_mut().zip(pixels) {
            *sum += pixel.to_f64() * weight;
        }
    }
    Some(
        scratch
            .sums
            .iter()
            .zip(x_weights)
            .fold(0.0, |sum, (value, weight)| sum + value * weight),
    )
}

/// Upper-left and lower-right corners of a row of output pixels, in source
/// pixels.
#[derive(Clone, Copy)]
pub(crate) struct Corners<'a> {
    pub(crate) left: &'a [f64],
    pub(crate) top: &'a [f64],
    pub(crate) right: &'a [f64],
    pub(crate) bottom: &'a [f64],
}

/// How far outside the image the corners of an output pixel may lie, in source
/// pixels, for it to be computed.
///
/// Beyond that the position is more likely nonsense, from where a projection
/// breaks down, than a very large pixel.
///
/// # Source
/// GDAL, `alg/gdalwarpkernel.cpp`, `nXMargin` in `GWKAverageOrModeThread`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Margin {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

impl Margin {
    /// For an output that has `scale` pixels to one source pixel.
    pub(crate) fn new(x_scale: f64, y_scale: f64) -> Self {
        let side = |scale: f64| 2.0 * (1.0 / scale).ceil().max(1.0);
        Margin {
            x: side(x_scale),
            y: side(y_scale),
        }
    }

    #[inline(always)]
    pub(crate) fn cover(margin: f64, a: f64, b: f64, n: i32) -> Option<Cover> {
        let inside = |x: f64| x >= -margin && x - f64::from(n) <= margin;
        if inside(a) && inside(b) {
            Cover::new(a, b, n)
        } else {
            None
        }
    }

    /// The source pixels that output pixel `idx` covers.
    #[inline(always)]
    pub(crate) fn covers(
        self,
        corners: &Corners<'_>,
        idx: usize,
        n_rows: i32,
        n_cols: i32,
    ) -> Option<(Cover, Cover)> {
        let y = Margin::cover(self.y, corners.top[idx], corners.bottom[idx], n_rows)?;
        let x = Margin::cover(self.x, corners.left[idx], corners.right[idx], n_cols)?;
        Some((y, x))
    }
}

widest! {
    /// The area-weighted mean of the source pixels between two corners.
    pub(crate) fn average<T: Sample>(
        src: &SourceWindow<'_, T>,
        margin: Margin,
        corners: Corners<'_>,
        out: &mut [T],
        valid: &mut [u8],
    ) {
        for (idx, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
            let value = margin
                .covers(&corners, idx, src.full_rows(), src.full_cols())
                .and_then(|(y, x)| average_over(src, &y, &x));
            *valid = u8::from(value.is_some());
            if let Some(value) = value {
                *out = T::from_f64(value);
            }
        }
    }
}

#[inline(always)]
fn average_over<T: Sample>(src: &SourceWindow<'_, T>, y: &Cover, x: &Cover) -> Option<f64> {
    let n_rows = usize::try_from(y.end - y.start).ok()?;
    let n_cols = usize::try_from(x.end - x.start).ok()?;
    let mut at = src.offset(y.start, x.start, n_rows, n_cols)?;
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in y.start..y.end {
        let row_weight = y.weight(row);
        let pixels = &src.pixels()[at..][..n_cols];
        match src.missing() {
            None => {
                for (col, pixel) in (x.start..).zip(pixels) {
                    let part = (row_weight * x.weight(col)).max(0.0);
                    sum += pixel.to_f64() * part;
                    weight += part;
                }
            }
            Some(missing) => {
                for ((col, pixel), &missing) in (x.start..).zip(pixels).zip(&missing[at..]) {
                    if missing == 0 {
                        let part = (row_weight * x.weight(col)).max(0.0);
                        sum += pixel.to_f64() * part;
                        weight += part;
                    }
                }
            }
        }
        at += src.n_cols();
    }
    (weight > 0.0).then(|| sum / weight)
}
