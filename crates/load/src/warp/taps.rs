//! Which source pixels one output pixel takes along one axis, and how much of
//! each.
//!
//! Every kernel here is a product of two one-dimensional ones, so a rule for
//! one axis says all. Weights are normalised to sum to 1 over the pixels that
//! the image has: what a kernel would take beyond the edge is left out.
//!
//! # Source
//! GDAL 3.12, `alg/gdalwarpkernel.cpp`: `GWKBilinearResample4Sample`,
//! `GWKCubicComputeWeights`, `GWKBSpline`, `GWKLanczosSinc`, `GWKResample`,
//! `GWKResampleOptimizedLanczos`, `GWKAverageOrModeComputeSourceCoords`.

use std::f64::consts::PI;
use std::ops::Range;

use crate::warp::cover::Cover;

/// How far outside an image a position may lie by rounding alone, in pixels.
pub(crate) const EDGE_TOLERANCE: f64 = 1e-10;

/// The pixel that holds position `x` of an axis of `n` pixels, if any does; a
/// position on the border of two pixels is in the one after it.
#[inline(always)]
pub(crate) fn pixel_at(x: f64, n: i32) -> Option<i32> {
    // False for NaN.
    if x >= 0.0 && x + EDGE_TOLERANCE <= f64::from(n) {
        // SAFETY: 0 <= x + 1e-10 <= n, and n is an `i32`.
        let pixel = unsafe { (x + EDGE_TOLERANCE).to_int_unchecked::<i32>() };
        Some(pixel.min(n - 1))
    } else {
        None
    }
}

/// The filters of which the support grows when an image is shrunk.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Filter {
    Bilinear,
    /// Catmull-Rom.
    Cubic,
    /// Cubic B-spline.
    CubicSpline,
    /// A sinc windowed by the middle of one three times as wide.
    Lanczos,
    /// A Gaussian of which half a pixel is the standard deviation, cut where
    /// it has fallen to 1 in 3,000. GDAL's warper has none.
    Gauss,
}

impl Filter {
    /// How far the filter reaches, in pixels, before it is widened.
    pub(crate) fn radius(self) -> f64 {
        match self {
            Filter::Bilinear => 1.0,
            Filter::Cubic | Filter::CubicSpline | Filter::Gauss => 2.0,
            Filter::Lanczos => 3.0,
        }
    }

    /// The filter's value at distance `x`. Both branches are computed, so that
    /// several distances can be at once.
    #[inline(always)]
    fn at(self, x: f64) -> f64 {
        let signed = x;
        let x = x.abs();
        match self {
            Filter::Bilinear => {
                let slope = 1.0 - x;
                if slope > 0.0 { slope } else { 0.0 }
            }
            Filter::Cubic => {
                let square = x * x;
                let near = square * (1.5 * x - 2.5) + 1.0;
                let far = square * (-0.5 * x + 2.5) - 4.0 * x + 2.0;
                let outer = if x <= 2.0 { far } else { 0.0 };
                if x <= 1.0 { near } else { outer }
            }
            Filter::CubicSpline => {
                let cube = |x: f64| if x > 0.0 { x * x * x } else { 0.0 };
                // GDAL does not end the spline after the position, where a
                // widened one may have one more tap, of at most -1/6 times the
                // scale cubed. It is followed, for users compare with it.
                (cube(2.0 - x) - 4.0 * cube(1.0 - x) - cube(signed - 2.0)) / 6.0
            }
            Filter::Lanczos => {
                let a = PI * x;
                if x == 0.0 {
                    1.0
                } else if x <= 3.0 {
                    a.sin() * (a / 3.0).sin() / (a * a / 3.0)
                } else {
                    0.0
                }
            }
            Filter::Gauss => {
                if x <= 2.0 {
                    (-2.0 * x * x).exp()
                } else {
                    0.0
                }
            }
        }
    }
}

/// The Lanczos weights of six pixels around a position that is `fraction` past
/// the third one.
///
/// `sin(pi (k - f))` and `sin(pi/3 (k - f))` follow from those of `f` alone, so
/// one sine is computed and not twelve.
#[inline(always)]
fn lanczos_weights(fraction: f64, weights: &mut [f64]) {
    // Of k = -2..=3: (-1)^k, sin(pi/3 k) and cos(pi/3 k).
    const HALF_ROOT: f64 = 0.866_025_403_784_438_6;
    const TURNS: [(f64, f64, f64); 6] = [
        (1.0, -HALF_ROOT, -0.5),
        (-1.0, -HALF_ROOT, 0.5),
        (1.0, 0.0, 1.0),
        (-1.0, HALF_ROOT, 0.5),
        (1.0, HALF_ROOT, -0.5),
        (-1.0, 0.0, -1.0),
    ];
    let third = (PI / 3.0 * fraction).sin();
    // The angle is less than a right one.
    let third_cos = (1.0 - third * third).sqrt();
    let whole = (3.0 - 4.0 * third * third) * third;
    for ((k, weight), (sign, sin, cos)) in (-2i32..).zip(weights.iter_mut()).zip(TURNS) {
        let x = f64::from(k) - fraction;
        let waves = -sign * whole * (sin * third_cos - cos * third);
        *weight = if x == 0.0 {
            1.0
        } else {
            waves * (3.0 / (PI * PI)) / (x * x)
        };
    }
}

/// A rule that turns a position on an axis into taps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TapRule {
    /// Two pixels, linear between their centres.
    Bilinear,
    /// Four pixels; no taps where the image does not have all of them.
    Cubic,
    /// A filter widened by 1 / `scale`, which is at most 1.
    Widened { filter: Filter, scale: f64 },
}

impl TapRule {
    /// The most taps that a position can get.
    pub(crate) fn max_taps(self) -> usize {
        match self {
            TapRule::Bilinear => 2,
            TapRule::Cubic => 4,
            TapRule::Widened { .. } => {
                let (before, after) = self.sides();
                before + 1 + after
            }
        }
    }

    /// How many taps lie before and after the one at or before a position.
    pub(crate) fn sides(self) -> (usize, usize) {
        match self {
            TapRule::Bilinear => (0, 1),
            TapRule::Cubic => (1, 2),
            TapRule::Widened { filter, scale } => {
                let radius = widened_radius(filter, scale);
                (radius - 1, radius)
            }
        }
    }

    /// The weights, not normalised, of all taps of a widened filter around a
    /// position that is `fraction` past a pixel's centre, and their sum.
    ///
    /// `weights` has as many places as the filter has taps.
    #[inline(always)]
    pub(crate) fn widened(self, fraction: f64, weights: &mut [f64]) -> f64 {
        let TapRule::Widened { filter, scale } = self else {
            return 0.0;
        };
        if filter == Filter::Lanczos && scale >= 1.0 {
            lanczos_weights(fraction, weights);
        } else {
            // Half of the taps lie at or before the position; of an odd number
            // as many lie before it as after it.
            #[allow(clippy::cast_precision_loss, reason = "fewer taps than pixels")]
            let first = 1.0 - (weights.len() / 2) as f64 - fraction;
            for (tap, weight) in (0u32..).zip(weights.iter_mut()) {
                *weight = filter.at((first + f64::from(tap)) * scale);
            }
        }
        weights.iter().fold(0.0, |sum, weight| sum + weight)
    }

    /// Puts the weights for position `x` of an axis of `n` pixels into
    /// `weights`, and returns the first pixel and the number of weights.
    ///
    /// `x` is inside the axis, as [`pixel_at`] says; `weights` has room for
    /// [`TapRule::max_taps`].
    #[inline(always)]
    pub(crate) fn taps(self, x: f64, n: i32, weights: &mut [f64]) -> (i32, usize) {
        match self {
            TapRule::Bilinear => {
                let (low, fraction) = split(x);
                if low < 0 {
                    weights[0] = 1.0;
                    (0, 1)
                } else if low + 1 >= n {
                    weights[0] = 1.0;
                    (low, 1)
                } else {
                    weights[0] = 1.0 - fraction;
                    weights[1] = fraction;
                    (low, 2)
                }
            }
            TapRule::Cubic => {
                let (low, fraction) = split(x);
                if low < 1 || low + 2 >= n {
                    return (low, 0);
                }
                weights[..4].copy_from_slice(&cubic_weights(fraction));
                (low - 1, 4)
            }
            TapRule::Widened { filter, scale } => {
                let (low, fraction) = split(x);
                let (before, after) = self.sides();
                let side = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
                let distance = |pixel: i32| (f64::from(pixel - low) - fraction) * scale;
                let mut first = low.saturating_sub(side(before)).max(0);
                let mut last = low.saturating_add(side(after)).min(n - 1);
                if filter == Filter::Lanczos {
                    // It is asked how many of the taps are there, so those count
                    // that lie within.
                    while first < last && distance(first) < -filter.radius() {
                        first += 1;
                    }
                    while first < last && distance(last) > filter.radius() {
                        last -= 1;
                    }
                }
                let mut sum = 0.0;
                let mut count = 0;
                for pixel in first..=last {
                    let weight = filter.at(distance(pixel));
                    weights[count] = weight;
                    sum += weight;
                    count += 1;
                }
                let inverse = 1.0 / sum;
                for weight in &mut weights[..count] {
                    *weight *= inverse;
                }
                (first, count)
            }
        }
    }
}

/// The pixel whose centre is at or before `x`, and how far past it `x` is.
///
/// `x` is within an axis, so the pixel is -1 at the least.
#[inline(always)]
pub(crate) fn split(x: f64) -> (i32, f64) {
    let low = (x - 0.5).floor();
    // SAFETY: `x` is within an axis of fewer than 2^31 pixels.
    let pixel = unsafe { low.to_int_unchecked::<i32>() };
    (pixel, x - 0.5 - low)
}

/// Catmull-Rom weights of the four pixels around a position that is `fraction`
/// past the second one.
#[inline(always)]
pub(crate) fn cubic_weights(fraction: f64) -> [f64; 4] {
    let half = 0.5 * fraction;
    let triple = 3.0 * fraction;
    let half_square = half * fraction;
    [
        half * (-1.0 + fraction * (2.0 - fraction)),
        1.0 + half_square * (-5.0 + triple),
        half * (1.0 + fraction * (4.0 - triple)),
        half_square * (-1.0 + fraction),
    ]
}

/// How many pixels to each side a widened filter reaches.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive whole number; the cast saturates"
)]
pub(crate) fn widened_radius(filter: Filter, scale: f64) -> usize {
    if scale < 1.0 {
        (filter.radius() / scale).ceil() as usize
    } else {
        filter.radius() as usize
    }
}

/// Taps of a range of output pixels along one axis.
#[derive(Default)]
pub(crate) struct AxisTaps {
    /// First source pixel of each output pixel.
    starts: Vec<i32>,
    /// Where each output pixel's weights begin in `weights`; one more at the end.
    offsets: Vec<usize>,
    weights: Vec<f64>,
    span: Range<i32>,
    runs: Vec<Run>,
    /// Weights of the runs that shift, tap by tap: `[tap][output pixel]`.
    planar: Vec<f64>,
}

/// A run of output pixels whose taps lie alike.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    /// The output pixels, counted from the first of the range.
    pub(crate) pixels: Range<usize>,
    /// `Some` where each output pixel's taps are those of the one before moved
    /// by one source pixel: how many taps, and where their weights begin.
    pub(crate) shift: Option<(usize, usize)>,
}

/// Shorter runs than this are not worth a loop of their own.
const SHORTEST_SHIFT: usize = 8;

impl AxisTaps {
    /// Starts over, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.starts.clear();
        self.weights.clear();
        self.runs.clear();
        self.planar.clear();
        self.span = 0..0;
        self.offsets.clear();
        self.offsets.push(0);
    }

    /// Adds the next output pixel; no weights where it takes nothing.
    pub(crate) fn push(&mut self, start: i32, weights: &[f64]) {
        self.starts.push(start);
        self.weights.extend_from_slice(weights);
        self.offsets.push(self.weights.len());
    }

    /// Adds the next output pixel, which takes what `cover` covers.
    pub(crate) fn push_cover(&mut self, cover: Option<Cover>) {
        if let Some(cover) = cover {
            let from = self.weights.len();
            let mut sum = 0.0;
            for pixel in cover.start..cover.end {
                let weight = cover.weight(pixel).max(0.0);
                self.weights.push(weight);
                sum += weight;
            }
            let inverse = 1.0 / sum;
            for weight in &mut self.weights[from..] {
                *weight *= inverse;
            }
        }
        self.starts.push(cover.map_or(0, |cover| cover.start));
        self.offsets.push(self.weights.len());
    }

    /// First source pixel and weights of output pixel `idx`.
    #[inline(always)]
    pub(crate) fn get(&self, idx: usize) -> (i32, &[f64]) {
        (
            self.starts[idx],
            &self.weights[self.offsets[idx]..self.offsets[idx + 1]],
        )
    }

    /// Number of output pixels.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The source pixels that any output pixel takes; empty when none does.
    pub(crate) fn span(&self) -> Range<i32> {
        self.span.clone()
    }

    /// The runs, which cover every output pixel that has taps.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The weights of tap `tap` of all pixels of a run that shifts.
    #[inline(always)]
    pub(crate) fn planar(&self, run: &Run, offset: usize, tap: usize) -> &[f64] {
        let n = run.pixels.len();
        &self.planar[offset + tap * n..][..n]
    }

    /// Finds the span and the runs, once all output pixels are in.
    pub(crate) fn finish(&mut self) {
        let n = self.len();
        self.span = (0..n)
            .map(|idx| self.get(idx))
            .filter(|(_, weights)| !weights.is_empty())
            .map(|(start, weights)| {
                let n_taps = i32::try_from(weights.len()).expect("fewer taps than pixels");
                start..start + n_taps
            })
            .reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
            .unwrap_or(0..0);
        let count = |taps: &Self, idx: usize| taps.offsets[idx + 1] - taps.offsets[idx];
        let mut idx = 0;
        while idx < n {
            let n_taps = count(self, idx);
            if n_taps == 0 {
                idx += 1;
                continue;
            }
            let mut end = idx + 1;
            while end < n
                && count(self, end) == n_taps
                && self.starts[end] == self.starts[end - 1] + 1
            {
                end += 1;
            }
            if end - idx >= SHORTEST_SHIFT {
                let offset = self.planar.len();
                for tap in 0..n_taps {
                    for pixel in idx..end {
                        self.planar.push(self.weights[self.offsets[pixel] + tap]);
                    }
                }
                self.runs.push(Run {
                    pixels: idx..end,
                    shift: Some((n_taps, offset)),
                });
            } else {
                match self.runs.last_mut() {
                    Some(run) if run.shift.is_none() && run.pixels.end == idx => {
                        run.pixels.end = end;
                    }
                    _ => self.runs.push(Run {
                        pixels: idx..end,
                        shift: None,
                    }),
                }
            }
            idx = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(rule: TapRule, x: f64, n: i32) -> (i32, Vec<f64>) {
        let mut weights = vec![f64::NAN; rule.max_taps()];
        let (start, count) = rule.taps(x, n, &mut weights);
        weights.truncate(count);
        (start, weights)
    }

    #[test]
    fn a_position_on_a_border_is_in_the_next_pixel() {
        assert_eq!(pixel_at(2.0, 5), Some(2));
        assert_eq!(pixel_at(1.999_999_999_95, 5), Some(2));
        assert_eq!(pixel_at(1.99, 5), Some(1));
        assert_eq!(pixel_at(0.0, 5), Some(0));
        assert_eq!(pixel_at(-1e-12, 5), None);
        assert_eq!(pixel_at(4.999_999_999_8, 5), Some(4));
        assert_eq!(pixel_at(4.999_999_999_95, 5), None);
        assert_eq!(pixel_at(5.0, 5), None);
        assert_eq!(pixel_at(f64::NAN, 5), None);
        assert_eq!(pixel_at(f64::INFINITY, 5), None);
    }

    #[test]
    fn bilinear_repeats_the_edge() {
        assert_eq!(taps(TapRule::Bilinear, 2.75, 5), (2, vec![0.75, 0.25]));
        assert_eq!(taps(TapRule::Bilinear, 0.25, 5), (0, vec![1.0]));
        assert_eq!(taps(TapRule::Bilinear, 4.75, 5), (4, vec![1.0]));
        assert_eq!(taps(TapRule::Bilinear, 0.5, 1), (0, vec![1.0]));
    }

    #[test]
    fn cubic_needs_all_four() {
        assert_eq!(taps(TapRule::Cubic, 2.5, 5), (1, vec![0.0, 1.0, 0.0, 0.0]));
        assert_eq!(
            taps(TapRule::Cubic, 3.0, 6).1,
            vec![-0.0625, 0.5625, 0.5625, -0.0625]
        );
        assert!(taps(TapRule::Cubic, 1.49, 6).1.is_empty());
        assert!(!taps(TapRule::Cubic, 1.5, 6).1.is_empty());
        assert!(taps(TapRule::Cubic, 4.5, 6).1.is_empty());
    }

    #[test]
    fn widened_filters_sum_to_one_and_stay_inside() {
        for filter in [
            Filter::Bilinear,
            Filter::Cubic,
            Filter::CubicSpline,
            Filter::Lanczos,
            Filter::Gauss,
        ] {
            for scale in [1.0, 0.85, 0.5, 0.27, 0.011] {
                for x in [0.0, 0.3, 5.5, 29.99] {
                    let rule = TapRule::Widened { filter, scale };
                    let (start, weights) = taps(rule, x, 30);
                    assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                    assert!(start >= 0 && weights.len() <= 30);
                }
            }
        }
        // Not widened, it is the plain kernel.
        let unit = TapRule::Widened {
            filter: Filter::Cubic,
            scale: 1.0,
        };
        for (a, b) in taps(unit, 3.2, 9)
            .1
            .iter()
            .zip(taps(TapRule::Cubic, 3.2, 9).1)
        {
            assert!((a - b).abs() < 1e-12);
        }
    }

    #[test]
    fn lanczos_of_one_sine_is_that_of_twelve() {
        let rule = TapRule::Widened {
            filter: Filter::Lanczos,
            scale: 1.0,
        };
        assert_eq!(rule.sides(), (2, 3));
        for fraction in [0.0, 1e-9, 0.25, 0.5, 0.999] {
            let mut quick = [0.0; 6];
            rule.widened(fraction, &mut quick);
            for (k, weight) in (-2..).zip(quick) {
                let slow = Filter::Lanczos.at(f64::from(k) - fraction);
                assert!((weight - slow).abs() < 1e-12, "{fraction} {k}");
            }
        }
    }

    #[test]
    fn runs_tell_shifts_from_the_rest() {
        let mut axis = AxisTaps::default();
        axis.clear();
        axis.push(0, &[]);
        axis.push(0, &[1.0]);
        for col in 0..10 {
            axis.push(col, &[0.25, 0.75]);
        }
        axis.push(9, &[1.0]);
        axis.finish();
        assert_eq!(axis.span(), 0..11);
        let shift: Vec<_> = axis
            .runs()
            .iter()
            .map(|run| (run.pixels.clone(), run.shift))
            .collect();
        assert_eq!(shift, [(1..2, None), (2..12, Some((2, 0))), (12..13, None)]);
        assert_eq!(axis.planar(&axis.runs()[1], 0, 1), [0.75; 10]);
    }
}
