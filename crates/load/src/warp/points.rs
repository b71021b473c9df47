//! Warps pixel by pixel, for grids that are rotated against each other or in
//! different CRSs.
//!
//! Where an output pixel lies in the source comes as two rows of coordinates,
//! which [`locate`] turns into places. A pixel all of whose taps are there is
//! computed at once; one at an edge, or with missing taps, by a slower function
//! of the same position and the same pixels. Which of the two it is depends on
//! the pixel alone.

use crate::warp::locate::{Covers, OUTSIDE, Places, Squares, extents};
use crate::warp::sample::Sample;
use crate::warp::separable::{is_missing, weigh};
use crate::warp::simd::widest;
use crate::warp::taps::{Cover, Filter, TapRule, cubic_weights, pixel_at, widened_radius};
use crate::warp::window::SourceWindow;

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

/// Memory for a row, kept from one to the next.
#[derive(Default)]
pub(crate) struct PointScratch {
    places: Places,
    squares: Squares,
    x: Vec<f64>,
    y: Vec<f64>,
    sums: Vec<f64>,
    rows: Covers,
    cols: Covers,
}

impl PointScratch {
    /// To be called for each source window, with the number of taps (x, y).
    pub(crate) fn start<T: Copy>(&mut self, src: &SourceWindow<'_, T>, n_taps: (usize, usize)) {
        self.squares
            .build(src, n_taps.1.saturating_sub(1), n_taps.0.saturating_sub(1));
    }
}

/// A place in a window; planning keeps windows within what `usize` counts.
#[inline(always)]
#[allow(
    clippy::cast_sign_loss,
    reason = "places of kind inside are not negative"
)]
fn at(place: i32) -> usize {
    place as usize
}

/// The source pixel at each position.
pub(crate) fn nearest<T: Sample>(
    src: &SourceWindow<'_, T>,
    scratch: &mut PointScratch,
    xs: &[f64],
    ys: &[f64],
    out: &mut [T],
    valid: &mut [u8],
) {
    scratch.places.nearest(src, xs, ys);
    look_up(src, &scratch.places, out, valid);
}

widest! {
    fn look_up<T: Sample>(
        src: &SourceWindow<'_, T>, places: &Places, out: &mut [T], valid: &mut [u8],
    ) {
        let (pixels, n_cols) = (src.pixels(), src.n_cols());
        let places = places.rows.iter().zip(&places.cols);
        // Negative when either is.
        let offset = |row: i32, col: i32| {
            let offset = at(row).wrapping_mul(n_cols).wrapping_add(at(col));
            if row | col >= 0 { (offset, 1) } else { (0, 0) }
        };
        let out = out.iter_mut().zip(valid).zip(places);
        match src.missing() {
            None => {
                for ((out, valid), (&row, &col)) in out {
                    let (at, is_there) = offset(row, col);
                    *out = pixels[at];
                    *valid = is_there;
                }
            }
            Some(missing) => {
                for ((out, valid), (&row, &col)) in out {
                    let (at, is_there) = offset(row, col);
                    *out = pixels[at];
                    *valid = is_there & (1 ^ missing[at]);
                }
            }
        }
    }
}

/// Runs `$inside` for each pixel all of whose taps are there and not missing,
/// `$slow` for each other one that may have a value. Both give an option.
macro_rules! each_place {
    (
        $src:ident, $scratch:ident, $xs:ident, $ys:ident, $out:ident, $valid:ident,
        inside($row:ident, $col:ident, $down:ident, $right:ident) $inside:block
        slow($x:ident, $y:ident) $slow:block
    ) => {
        let has_missing = $src.missing().is_some();
        let Places {
            rows,
            cols,
            down,
            right,
        } = &$scratch.places;
        let n = $out.len();
        let (rows, cols, down, right) = (&rows[..n], &cols[..n], &down[..n], &right[..n]);
        let ($xs, $ys, $valid) = (&$xs[..n], &$ys[..n], &mut $valid[..n]);
        for idx in 0..n {
            let (row, col) = (rows[idx], cols[idx]);
            let is_settled = row | col >= 0
                && !(has_missing && $scratch.squares.may_miss(at(row), at(col), 1, 1));
            let value = if is_settled {
                let ($row, $col, $down, $right) = (at(row), at(col), down[idx], right[idx]);
                $inside
            } else if row == OUTSIDE || col == OUTSIDE {
                None
            } else {
                let ($x, $y) = ($xs[idx], $ys[idx]);
                $slow
            };
            $valid[idx] = u8::from(value.is_some());
            if let Some(value) = value {
                $out[idx] = T::from_f64(value);
            }
        }
    };
}

/// Bilinear interpolation between four pixels.
pub(crate) fn bilinear<T: Sample>(
    src: &SourceWindow<'_, T>,
    scratch: &mut PointScratch,
    xs: &[f64],
    ys: &[f64],
    out: &mut [T],
    valid: &mut [u8],
) {
    scratch.places.taps(src, ((0, 1), (0, 1)), xs, ys);
    bilinear_places(src, scratch, xs, ys, out, valid);
}

widest! {
    fn bilinear_places<T: Sample>(
        src: &SourceWindow<'_, T>,
        scratch: &mut PointScratch,
        xs: &[f64],
        ys: &[f64],
        out: &mut [T],
        valid: &mut [u8],
    ) {
        let (pixels, n_cols) = (src.pixels(), src.n_cols());
        each_place!(
            src, scratch, xs, ys, out, valid,
            inside(row, col, down, right) {
                let from = row.wrapping_mul(n_cols).wrapping_add(col);
                let below = from.wrapping_add(n_cols);
                match (pair(pixels, from), pair(pixels, below)) {
                    (Some([a, b]), Some([c, d])) => {
                        let [a, b, c, d] = [a, b, c, d].map(T::to_f64);
                        Some(blend([a, b, c, d], down, right))
                    }
                    _ => None,
                }
            }
            slow(x, y) { bilinear_at(src, x, y) }
        );
    }
}

/// Two pixels side by side.
#[inline(always)]
fn pair<T: Sample>(pixels: &[T], from: usize) -> Option<[T; 2]> {
    pixels.get(from..)?.first_chunk().copied()
}

/// Four values, upper left, upper right, lower left, lower right, by how far
/// down and right the position is.
#[inline(always)]
fn blend([a, b, c, d]: [f64; 4], down: f64, right: f64) -> f64 {
    let (up, left) = (1.0 - down, 1.0 - right);
    (a * left + b * right) * up + (c * left + d * right) * down
}

/// The bilinear value at any position; nothing where the centre is missing.
#[inline(never)]
fn bilinear_at<T: Sample>(src: &SourceWindow<'_, T>, x: f64, y: f64) -> Option<f64> {
    let (row, col) = (pixel_at(y, src.full_rows())?, pixel_at(x, src.full_cols())?);
    if is_missing(src, row, col) {
        return None;
    }
    let (mut x_weights, mut y_weights) = ([0.0; 2], [0.0; 2]);
    let (left, n_x) = TapRule::Bilinear.taps(x, src.full_cols(), &mut x_weights);
    let (top, n_y) = TapRule::Bilinear.taps(y, src.full_rows(), &mut y_weights);
    // Whether or not its square is marked, a pixel without missing taps has to
    // give the same bits.
    if n_x == 2
        && n_y == 2
        && let Some(from) = src.offset(top, left, 2, 2)
    {
        let taps = [from, from + 1, from + src.n_cols(), from + src.n_cols() + 1];
        let missing = src.missing().unwrap_or(&[]);
        if taps
            .iter()
            .all(|&at| missing.get(at).is_none_or(|&missing| missing == 0))
        {
            let values = taps.map(|at| src.pixels()[at].to_f64());
            return Some(blend(values, y_weights[1], x_weights[1]));
        }
    }
    weigh(
        src,
        (top, &y_weights[..n_y]),
        (left, &x_weights[..n_x]),
        LEAST_WEIGHT,
    )
}

/// Cubic convolution over sixteen pixels; bilinear where the image does not have
/// all of them or one is missing, as GDAL does.
pub(crate) fn cubic<T: Sample>(
    src: &SourceWindow<'_, T>,
    scratch: &mut PointScratch,
    xs: &[f64],
    ys: &[f64],
    out: &mut [T],
    valid: &mut [u8],
) {
    scratch.places.taps(src, ((1, 2), (1, 2)), xs, ys);
    cubic_places(src, scratch, xs, ys, out, valid);
}

widest! {
    fn cubic_places<T: Sample>(
        src: &SourceWindow<'_, T>,
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
                let (y, x) = (cubic_weights(down), cubic_weights(right));
                let from = row.wrapping_mul(n_cols).wrapping_add(col);
                sum_taps(src.pixels(), from, n_cols, &y, &x)
            }
            slow(x, y) { cubic_at(src, x, y) }
        );
    }
}

/// The cubic value at any position.
#[inline(never)]
fn cubic_at<T: Sample>(src: &SourceWindow<'_, T>, x: f64, y: f64) -> Option<f64> {
    let (mut x_weights, mut y_weights) = ([0.0; 4], [0.0; 4]);
    let (left, n_x) = TapRule::Cubic.taps(x, src.full_cols(), &mut x_weights);
    let (top, n_y) = TapRule::Cubic.taps(y, src.full_rows(), &mut y_weights);
    if n_x == 4
        && n_y == 4
        && let Some(from) = src.offset(top, left, 4, 4)
        && !any_missing(src, from, 4, 4)
    {
        return sum_taps(src.pixels(), from, src.n_cols(), &y_weights, &x_weights);
    }
    bilinear_at(src, x, y)
}

/// Whether one of `rows` x `cols` pixels from `from` on is missing.
fn any_missing<T: Copy>(src: &SourceWindow<'_, T>, from: usize, rows: usize, cols: usize) -> bool {
    src.missing().is_some_and(|missing| {
        (0..rows).any(|row| missing[from + row * src.n_cols()..][..cols].contains(&1))
    })
}

/// The weighted sum of the pixels from `from` on, `N` columns and as many rows
/// as there are `y` weights.
#[inline(always)]
fn sum_taps<T: Sample, const N: usize>(
    pixels: &[T],
    from: usize,
    n_cols: usize,
    y: &[f64],
    x: &[f64; N],
) -> Option<f64> {
    let mut sums = [0.0; N];
    let mut from = from;
    for &weight in y {
        let row: &[T; N] = pixels.get(from..)?.first_chunk()?;
        for (sum, pixel) in sums.iter_mut().zip(row) {
            *sum += pixel.to_f64() * weight;
        }
        from = from.wrapping_add(n_cols);
    }
    // Two sums at a time, always the same ones.
    let (mut even, mut odd) = (0.0, 0.0);
    for (pair, weights) in sums.chunks_exact(2).zip(x.chunks_exact(2)) {
        even += pair[0] * weights[0];
        odd += pair[1] * weights[1];
    }
    Some(even + odd)
}

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
    let radius = |scale| i32::try_from(widened_radius(filter, scale)).unwrap_or(i32::MAX / 4);
    let (x, y) = (radius(scales.0), radius(scales.1));
    scratch.places.taps(src, ((y - 1, y), (x - 1, x)), xs, ys);
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
    let (top, n_y) = y_rule.taps(y, src.full_rows(), y_weights);
    let (left, n_x) = x_rule.taps(x, src.full_cols(), x_weights);
    let Some(from) = src.offset(top, left, n_y, n_x) else {
        return Parts::Value(None);
    };
    let has_all = n_y == y_rule.max_taps() && n_x == x_rule.max_taps();
    if has_all && !any_missing(src, from, n_y, n_x) {
        let (down, right) = (crate::warp::taps::split(y).1, crate::warp::taps::split(x).1);
        return Parts::All { from, down, right };
    }
    let (y, x) = ((top, &y_weights[..n_y]), (left, &x_weights[..n_x]));
    Parts::Value(weigh(src, y, x, LEAST_WEIGHT_WIDENED))
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

    /// About how many source pixels (x, y) an output pixel covers; one that
    /// covers more than that is not asked for in one go.
    pub(crate) fn most_taps(self) -> (usize, usize) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive whole numbers; the cast saturates"
        )]
        let side = |margin: f64| margin as usize + 2;
        (side(self.x), side(self.y))
    }

    /// What the range between `a` and `b` covers of an axis of `n` pixels.
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
