//! Filters that are widened where an image is shrunk, pixel by pixel.

use crate::warp::locate::{OUTSIDE, Places};
use crate::warp::points::{PointScratch, any_missing, at, each_place, sum_taps};
use crate::warp::sample::Sample;
use crate::warp::separable::{Enough, is_missing, weigh};
use crate::warp::simd::widest;
use crate::warp::taps::{Filter, TapRule, pixel_at, split};
use crate::warp::window::SourceWindow;

/// A filter widened by 1 / scale on each axis; scales are (x, y).
#[allow(clippy::too_many_arguments, reason = "a row of a warp takes so much")]
pub(crate) fn widened<T: Sample>(
    src: &SourceWindow<'_, T>,
    filter: Filter,
    scales: (f64, f64),
    scratch: &mut PointScratch,
    xs: &[f64],
    ys: &[f64],
    out: &mut [T],
    valid: &mut [u8],
) {
    let rules = (
        TapRule::Widened {
            filter,
            scale: scales.0,
        },
        TapRule::Widened {
            filter,
            scale: scales.1,
        },
    );
    let sides = |rule: TapRule| {
        let side = |n: usize| i32::try_from(n).unwrap_or(i32::MAX / 4);
        let (before, after) = rule.sides();
        (side(before), side(after))
    };
    scratch
        .places
        .taps(src, (sides(rules.1), sides(rules.0)), xs, ys);
    scratch.x.resize(rules.0.max_taps(), 0.0);
    scratch.y.resize(rules.1.max_taps(), 0.0);
    match rules.0.max_taps() {
        2 => widened_2(src, rules, scratch, xs, ys, out, valid),
        4 => widened_4(src, rules, scratch, xs, ys, out, valid),
        6 => widened_6(src, rules, scratch, xs, ys, out, valid),
        8 => widened_8(src, rules, scratch, xs, ys, out, valid),
        10 => widened_10(src, rules, scratch, xs, ys, out, valid),
        12 => widened_12(src, rules, scratch, xs, ys, out, valid),
        _ => widened_any(src, rules, scratch, xs, ys, out, valid),
    }
}

macro_rules! widened_by {
    ($($name:ident $n:literal),*) => {$(
        widest! {
            fn $name<T: Sample>(
                src: &SourceWindow<'_, T>,
                rules: (TapRule, TapRule),
                scratch: &mut PointScratch,
                xs: &[f64],
                ys: &[f64],
                out: &mut [T],
                valid: &mut [u8],
            ) {
                let n_cols = src.n_cols();
                each_place!(
                    src, scratch, xs, ys, out, valid,
                    inside(row, col, down, right) {
                        let mut x = [0.0; $n];
                        let x_sum = rules.0.widened(right, &mut x);
                        let y_sum = rules.1.widened(down, &mut scratch.y);
                        sum_taps(src.pixels(), row * n_cols + col, n_cols, &scratch.y, &x)
                            .map(|sum| sum / (x_sum * y_sum))
                    }
                    slow(x, y) {
                        let PointScratch { x: x_taps, y: y_taps, .. } = scratch;
                        match widened_parts(src, rules, x_taps, y_taps, x, y) {
                            Parts::Value(value) => value,
                            Parts::All { from, down, right } => {
                                let mut x = [0.0; $n];
                                let x_sum = rules.0.widened(right, &mut x);
                                let y_sum = rules.1.widened(down, y_taps);
                                sum_taps(src.pixels(), from, n_cols, y_taps, &x)
                                    .map(|sum| sum / (x_sum * y_sum))
                            }
                        }
                    }
                );
            }
        }
    )*};
}
widened_by!(widened_2 2, widened_4 4, widened_6 6, widened_8 8, widened_10 10, widened_12 12);

widest! {
    /// Filters so wide that a loop of their own pays no more.
    fn widened_any<T: Sample>(
        src: &SourceWindow<'_, T>,
        rules: (TapRule, TapRule),
        scratch: &mut PointScratch,
        xs: &[f64],
        ys: &[f64],
        out: &mut [T],
        valid: &mut [u8],
    ) {
        let n_cols = src.n_cols();
        each_place!(
            src, scratch, xs, ys, out, valid,
            inside(row, col, down, right) {
                let PointScratch { x, y, sums, .. } = scratch;
                let scale = rules.0.widened(right, x) * rules.1.widened(down, y);
                Some(sum_any(src.pixels(), row * n_cols + col, n_cols, y, x, sums) / scale)
            }
            slow(x, y) {
                let PointScratch { x: x_taps, y: y_taps, sums, .. } = scratch;
                match widened_parts(src, rules, x_taps, y_taps, x, y) {
                    Parts::Value(value) => value,
                    Parts::All { from, down, right } => {
                        let scale =
                            rules.0.widened(right, x_taps) * rules.1.widened(down, y_taps);
                        Some(sum_any(src.pixels(), from, n_cols, y_taps, x_taps, sums) / scale)
                    }
                }
            }
        );
    }
}

#[inline(always)]
fn sum_any<T: Sample>(
    pixels: &[T],
    from: usize,
    n_cols: usize,
    y: &[f64],
    x: &[f64],
    sums: &mut Vec<f64>,
) -> f64 {
    sums.clear();
    sums.resize(x.len(), 0.0);
    for (row, &weight) in y.iter().enumerate() {
        let pixels = &pixels[from + row * n_cols..][..x.len()];
        for (sum, pixel) in sums.iter_mut().zip(pixels) {
            *sum += pixel.to_f64() * weight;
        }
    }
    sums.iter()
        .zip(x)
        .fold(0.0, |sum, (value, weight)| sum + value * weight)
}

/// What a widened filter finds at a position that was not settled at once.
enum Parts {
    /// All taps after all: the square had a missing pixel elsewhere.
    All { from: usize, down: f64, right: f64 },
    /// Some taps; this is the value, if there is one.
    Value(Option<f64>),
}

#[inline(never)]
fn widened_parts<T: Sample>(
    src: &SourceWindow<'_, T>,
    (x_rule, y_rule): (TapRule, TapRule),
    x_weights: &mut [f64],
    y_weights: &mut [f64],
    x: f64,
    y: f64,
) -> Parts {
    let centre = pixel_at(y, src.full_rows()).zip(pixel_at(x, src.full_cols()));
    if centre.is_none_or(|(row, col)| is_missing(src, row, col)) {
        return Parts::Value(None);
    }
    // Whether or not its square is marked, a pixel without missing taps has to
    // give the same bits.
    let ((row, down), (col, right)) = (split(y), split(x));
    let start = |rule: TapRule, at: i32| Some(at - i32::try_from(rule.sides().0).ok()?);
    let full = start(y_rule, row).zip(start(x_rule, col));
    let (rows, cols) = (y_rule.max_taps(), x_rule.max_taps());
    if let Some((top, left)) = full
        && let Some(from) = src.offset(top, left, rows, cols)
        && !any_missing(src, from, rows, cols)
    {
        return Parts::All { from, down, right };
    }
    let (top, n_y) = y_rule.taps(y, src.full_rows(), y_weights);
    let (left, n_x) = x_rule.taps(x, src.full_cols(), x_weights);
    let (y, x) = ((top, &y_weights[..n_y]), (left, &x_weights[..n_x]));
    let enough = match x_rule {
        TapRule::Widened { filter, .. } => Enough::of(filter),
        _ => Enough::FILTERED,
    };
    Parts::Value(weigh(src, y, x, enough))
}
