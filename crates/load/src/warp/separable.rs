//! Warps where output columns follow source columns and rows follow rows.
//!
//! That is the case when both grids are in one CRS and neither is rotated
//! against the other, which most loads are. Taps of each column and each row
//! are found once for a chunk; a row is then one weighted sum of source rows
//! (down) and one weighted sum along the result (across), both over contiguous
//! memory.
//!
//! Missing pixels are looked at afterwards: an output pixel none of whose taps
//! is missing keeps the fast result, the few others are computed again one by
//! one. So a pixel's value never depends on what else is in the window.

use crate::warp::sample::Sample;
use crate::warp::simd::widest;
use crate::warp::taps::{AxisTaps, Filter, Run};
use crate::warp::window::SourceWindow;

/// What the taps of a chunk are, on both axes.
#[derive(Default)]
pub(crate) struct Taps {
    pub(crate) x: AxisTaps,
    pub(crate) y: AxisTaps,
    /// Used instead of `x` and `y`, both at once, where either has no taps or a
    /// tap is missing; empty where there is no such second kernel.
    pub(crate) x_fallback: AxisTaps,
    pub(crate) y_fallback: AxisTaps,
    /// The source pixel that holds the centre, -1 outside. A pixel whose centre
    /// is missing stays missing, whatever its other taps. Empty for kernels
    /// that do not ask.
    pub(crate) x_centre: Vec<i32>,
    pub(crate) y_centre: Vec<i32>,
    /// What has to be there for a value.
    pub(crate) enough: Enough,
}

/// How much of what a kernel takes must not be missing for it to give a value.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Enough {
    /// The weights, of which all together are 1, sum up to more than this.
    weight: f64,
    /// Half of the pixels are there, whatever they weigh.
    half: bool,
}

impl Enough {
    /// Any pixel of any weight.
    pub(crate) const ANY: Enough = Enough {
        weight: 0.0,
        half: false,
    };
    /// # Source
    /// GDAL, `alg/gdalwarpkernel.cpp`: `GWKBilinearResample4Sample`.
    pub(crate) const INTERPOLATED: Enough = Enough {
        weight: 0.00001,
        half: false,
    };
    /// # Source
    /// GDAL, `alg/gdalwarpkernel.cpp`: `GWKResample`.
    pub(crate) const FILTERED: Enough = Enough {
        weight: 0.000001,
        half: false,
    };
    /// # Source
    /// GDAL, `alg/gdalwarpkernel.cpp`: `GWKResampleOptimizedLanczos`.
    pub(crate) const LANCZOS: Enough = Enough {
        weight: 0.000001,
        half: true,
    };

    /// What the filter asks for.
    pub(crate) fn of(filter: Filter) -> Self {
        match filter {
            Filter::Lanczos => Enough::LANCZOS,
            _ => Enough::FILTERED,
        }
    }
}

/// Memory for the rows in between.
#[derive(Default)]
pub(crate) struct RowScratch {
    sums: Vec<f64>,
    marks: Vec<u8>,
}

/// Computes one output row, the `row`th of the chunk, into `out`, and says in
/// `valid` (1 or 0) which pixels it has. `false`: it has none, and neither was
/// written.
pub(crate) fn row<T: Sample>(
    src: &SourceWindow<'_, T>,
    taps: &Taps,
    row: usize,
    scratch: &mut RowScratch,
    out: &mut [T],
    valid: &mut [u8],
) -> bool {
    let (first, weights) = taps.y.get(row);
    let has_fallback = taps.x_fallback.len() > 0;
    let (x, first, weights) = if weights.is_empty() && has_fallback {
        let (first, weights) = taps.y_fallback.get(row);
        (&taps.x_fallback, first, weights)
    } else {
        (&taps.x, first, weights)
    };
    if weights.is_empty() {
        return false;
    }
    let span = x.span();
    let n_span = usize::try_from(span.end - span.start).unwrap_or(0);
    if n_span == 0 && !has_fallback {
        return false;
    }

    valid.fill(0);
    let mut any_missing = false;
    if n_span > 0 {
        let Some(start) = src.offset(first, span.start, weights.len(), n_span) else {
            debug_assert!(
                false,
                "the window has every row and column that the taps ask for"
            );
            return false;
        };
        if let Some(missing) = src.missing() {
            scratch.marks.resize(n_span, 0);
            let marks = mark_columns(
                &missing[start..],
                src.n_cols(),
                weights.len(),
                &mut scratch.marks,
            );
            if marks == Marks::All && !has_fallback {
                return false;
            }
            any_missing = marks != Marks::None;
        }
        scratch.sums.resize(n_span, 0.0);
        down(
            &src.pixels()[start..],
            src.n_cols(),
            weights,
            &mut scratch.sums,
        );
        for run in x.runs() {
            across(&scratch.sums, x, run, span.start, out);
            valid[run.pixels.clone()].fill(1);
        }
    }

    // Columns where the first kernel has no taps, at the sides of the image.
    if has_fallback && std::ptr::eq(x, &taps.x) {
        for col in 0..out.len() {
            if taps.x.get(col).1.is_empty() && !taps.x_fallback.get(col).1.is_empty() {
                repair(src, taps, row, col, true, out, valid);
            }
        }
    }
    if any_missing {
        for col in 0..out.len() {
            let (start, weights) = x.get(col);
            if weights.is_empty() {
                continue;
            }
            let at = usize::try_from(start - span.start).expect("the span has every tap");
            if scratch.marks[at..at + weights.len()].contains(&1) {
                repair(src, taps, row, col, has_fallback, out, valid);
            }
        }
    }
    true
}

/// How many of the pixels under an output row are missing.
#[derive(Clone, Copy, PartialEq)]
enum Marks {
    None,
    Some,
    All,
}

/// Sets `marks` to 1 for each source column in which any of the rows is missing.
fn mark_columns(missing: &[u8], stride: usize, n_rows: usize, marks: &mut [u8]) -> Marks {
    marks.fill(0);
    let mut all = 1;
    for k in 0..n_rows {
        for (mark, &missing) in marks.iter_mut().zip(&missing[k * stride..]) {
            *mark |= missing;
            all &= missing;
        }
    }
    match (marks.iter().fold(0, |any, &mark| any | mark), all) {
        (0, _) => Marks::None,
        (_, 0) => Marks::Some,
        _ => Marks::All,
    }
}

widest! {
    /// The weighted sum of source rows: `sums[col] = sum(weights[k] * row k[col])`.
    fn down<T: Sample>(
        pixels: &[T], stride: usize, weights: &[f64], sums: &mut [f64],
    ) {
        let n = sums.len();
        let row = |k: usize| &pixels[k * stride..][..n];
        let done = match *weights {
            [w0] => {
                for (sum, &a) in sums.iter_mut().zip(row(0)) {
                    *sum = a.to_f64() * w0;
                }
                1
            }
            [w0, w1] => {
                for ((sum, &a), &b) in sums.iter_mut().zip(row(0)).zip(row(1)) {
                    *sum = a.to_f64() * w0 + b.to_f64() * w1;
                }
                2
            }
            [w0, w1, w2] => {
                let rows = sums.iter_mut().zip(row(0)).zip(row(1)).zip(row(2));
                for (((sum, &a), &b), &c) in rows {
                    *sum = a.to_f64() * w0 + b.to_f64() * w1 + c.to_f64() * w2;
                }
                3
            }
            [w0, w1, w2, w3, ..] => {
                let rows = sums.iter_mut().zip(row(0)).zip(row(1)).zip(row(2)).zip(row(3));
                for ((((sum, &a), &b), &c), &d) in rows {
                    *sum = a.to_f64() * w0 + b.to_f64() * w1 + c.to_f64() * w2 + d.to_f64() * w3;
                }
                4
            }
            [] => {
                sums.fill(0.0);
                0
            }
        };
        for (k, &weight) in weights.iter().enumerate().skip(done) {
            for (sum, &pixel) in sums.iter_mut().zip(row(k)) {
                *sum += pixel.to_f64() * weight;
            }
        }
    }
}

widest! {
    /// The weighted sums along `sums`, whose first element is source column
    /// `col0`, for one run of output pixels.
    fn across<T: Sample>(
        sums: &[f64], axis: &AxisTaps, run: &Run, col0: i32, out: &mut [T],
    ) {
        let at = |col: i32| usize::try_from(col - col0).expect("the span has every tap");
        let pixels = run.pixels.clone();
        let Some((n_taps, planar)) = run.shift else {
            for idx in pixels {
                let (start, weights) = axis.get(idx);
                out[idx] = T::from_f64(dot(&sums[at(start)..][..weights.len()], weights));
            }
            return;
        };
        let start = at(axis.get(pixels.start).0);
        let n = pixels.len();
        let out = &mut out[pixels];
        let tap = |k: usize| (&sums[start + k..][..n], axis.planar(run, planar, k));
        match n_taps {
            1 => {
                let (a, wa) = tap(0);
                for ((out, a), wa) in out.iter_mut().zip(a).zip(wa) {
                    *out = T::from_f64(a * wa);
                }
            }
            2 => {
                let ((a, wa), (b, wb)) = (tap(0), tap(1));
                for ((((out, a), wa), b), wb) in out.iter_mut().zip(a).zip(wa).zip(b).zip(wb) {
                    *out = T::from_f64(a * wa + b * wb);
                }
            }
            3 => {
                let ((a, wa), (b, wb), (c, wc)) = (tap(0), tap(1), tap(2));
                for idx in 0..n {
                    out[idx] = T::from_f64(a[idx] * wa[idx] + b[idx] * wb[idx] + c[idx] * wc[idx]);
                }
            }
            4 => {
                let ((a, wa), (b, wb), (c, wc), (d, wd)) = (tap(0), tap(1), tap(2), tap(3));
                for idx in 0..n {
                    out[idx] = T::from_f64(
                        a[idx] * wa[idx] + b[idx] * wb[idx] + c[idx] * wc[idx] + d[idx] * wd[idx],
                    );
                }
            }
            _ => {
                for (idx, out) in out.iter_mut().enumerate() {
                    let (start, weights) = axis.get(run.pixels.start + idx);
                    *out = T::from_f64(dot(&sums[at(start)..][..weights.len()], weights));
                }
            }
        }
    }
}

/// The weighted sum, added from the left.
#[inline(always)]
fn dot(values: &[f64], weights: &[f64]) -> f64 {
    match (values, weights) {
        ([a], [wa]) => a * wa,
        ([a, b], [wa, wb]) => a * wa + b * wb,
        ([a, values @ ..], [wa, weights @ ..]) => values
            .iter()
            .zip(weights)
            .fold(a * wa, |sum, (value, weight)| sum + value * weight),
        _ => 0.0,
    }
}

/// Computes one output pixel alone, leaving out the source pixels that are
/// missing.
fn repair<T: Sample>(
    src: &SourceWindow<'_, T>,
    taps: &Taps,
    row: usize,
    col: usize,
    fallback: bool,
    out: &mut [T],
    valid: &mut [u8],
) {
    valid[col] = 0;
    if let (Some(&y), Some(&x)) = (taps.y_centre.get(row), taps.x_centre.get(col))
        && is_missing(src, y, x)
    {
        return;
    }
    let (y, x) = if fallback {
        (&taps.y_fallback, &taps.x_fallback)
    } else {
        (&taps.y, &taps.x)
    };
    if let Some(value) = weigh(src, y.get(row), x.get(col), taps.enough) {
        out[col] = T::from_f64(value);
        valid[col] = 1;
    }
}

/// Whether the source pixel is missing; one that was not read is.
#[inline(always)]
pub(crate) fn is_missing<T: Copy>(src: &SourceWindow<'_, T>, row: i32, col: i32) -> bool {
    let Some(at) = src.offset(row, col, 1, 1) else {
        return true;
    };
    src.missing().is_some_and(|missing| missing[at] != 0)
}

/// The weighted mean of the pixels that are not missing, if they are enough.
pub(crate) fn weigh<T: Sample>(
    src: &SourceWindow<'_, T>,
    (row, row_weights): (i32, &[f64]),
    (col, col_weights): (i32, &[f64]),
    enough: Enough,
) -> Option<f64> {
    let at = src.offset(row, col, row_weights.len(), col_weights.len())?;
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut n_missing = 0;
    for (k, &row_weight) in row_weights.iter().enumerate() {
        let at = at + k * src.n_cols();
        let pixels = &src.pixels()[at..][..col_weights.len()];
        match src.missing() {
            None => {
                for (pixel, col_weight) in pixels.iter().zip(col_weights) {
                    sum += pixel.to_f64() * (row_weight * col_weight);
                    weight += row_weight * col_weight;
                }
            }
            Some(missing) => {
                let missing = &missing[at..][..col_weights.len()];
                for ((pixel, col_weight), &missing) in pixels.iter().zip(col_weights).zip(missing) {
                    if missing == 0 {
                        sum += pixel.to_f64() * (row_weight * col_weight);
                        weight += row_weight * col_weight;
                    } else {
                        n_missing += 1;
                    }
                }
            }
        }
    }
    let n = row_weights.len() * col_weights.len();
    let is_enough = weight > enough.weight && !(enough.half && n - n_missing < n / 2);
    is_enough.then(|| sum / weight)
}
