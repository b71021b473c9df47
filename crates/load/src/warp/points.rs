//! Warps pixel by pixel, for grids that are rotated against each other or in
//! different CRSs.
//!
//! Where an output pixel lies in the source comes as two rows of coordinates,
//! which [`locate`] turns into places. A pixel all of whose taps are there is
//! computed at once; one at an edge, or with missing taps, by a slower function
//! of the same position and the same pixels. Which of the two it is depends on
//! the pixel alone.

use crate::warp::locate::{Covers, OUTSIDE, Places, Squares};
use crate::warp::sample::Sample;
use crate::warp::separable::{Enough, is_missing, weigh};
use crate::warp::simd::widest;
use crate::warp::taps::{TapRule, cubic_weights, pixel_at};
use crate::warp::window::SourceWindow;

/// Memory for a row, kept from one to the next.
#[derive(Default)]
pub(crate) struct PointScratch {
    pub(crate) places: Places,
    pub(crate) squares: Squares,
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) sums: Vec<f64>,
    pub(crate) rows: Covers,
    pub(crate) cols: Covers,
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
pub(crate) fn at(place: i32) -> usize {
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

pub(crate) use each_place;

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
        Enough::INTERPOLATED,
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
pub(crate) fn any_missing<T: Copy>(
    src: &SourceWindow<'_, T>,
    from: usize,
    rows: usize,
    cols: usize,
) -> bool {
    src.missing().is_some_and(|missing| {
        (0..rows).any(|row| missing[from + row * src.n_cols()..][..cols].contains(&1))
    })
}

/// The weighted sum of the pixels from `from` on, `N` columns and as many rows
/// as there are `y` weights.
#[inline(always)]
pub(crate) fn sum_taps<T: Sample, const N: usize>(
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
