//! Positions of a row of output pixels turned into places in the source window.
//!
//! This is the part of a warp that is the same for every pixel, whatever is
//! there, so it is done for a whole row first: loops without branches that the
//! compiler turns into vector code. The kernels then look each place up.

use crate::warp::simd::widest;
use crate::warp::taps::EDGE_TOLERANCE;
use crate::warp::window::SourceWindow;

/// A place where nothing is: the position is not in the image.
pub(crate) const OUTSIDE: i32 = -1;

/// A place in the image of which some taps are not in it.
pub(crate) const EDGE: i32 = -2;

/// The places of a row of output pixels: counted from the window's first row
/// and column, or [`OUTSIDE`], or [`EDGE`].
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) rows: Vec<i32>,
    pub(crate) cols: Vec<i32>,
    /// How far past the centre of the tap at or before it the position is.
    pub(crate) down: Vec<f64>,
    pub(crate) right: Vec<f64>,
}

/// How one axis of a window lies in the image.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// Pixels of the image.
    full: i32,
    /// First pixel of the window, and how many it has.
    start: i32,
    len: i32,
}

/// The two axes of a window: rows and columns.
pub(crate) fn extents<T: Copy>(src: &SourceWindow<'_, T>) -> (Extent, Extent) {
    let side = |n: usize| i32::try_from(n).expect("a window is no larger than its image");
    let rows = Extent {
        full: src.full_rows(),
        start: src.row0(),
        len: side(src.n_rows()),
    };
    let cols = Extent {
        full: src.full_cols(),
        start: src.col0(),
        len: side(src.n_cols()),
    };
    (rows, cols)
}

impl Places {
    /// The source pixel at each position.
    pub(crate) fn nearest<T: Copy>(&mut self, src: &SourceWindow<'_, T>, xs: &[f64], ys: &[f64]) {
        let (row_axis, col_axis) = extents(src);
        self.rows.resize(ys.len(), OUTSIDE);
        self.cols.resize(xs.len(), OUTSIDE);
        holders(ys, row_axis, &mut self.rows);
        holders(xs, col_axis, &mut self.cols);
    }

    /// Where the taps around each position begin; `reach` is how many taps lie
    /// before and after the one at or before the position: (up, down) and
    /// (left, right).
    pub(crate) fn taps<T: Copy>(
        &mut self,
        src: &SourceWindow<'_, T>,
        reach: ((i32, i32), (i32, i32)),
        xs: &[f64],
        ys: &[f64],
    ) {
        let (row_axis, col_axis) = extents(src);
        self.rows.resize(ys.len(), OUTSIDE);
        self.cols.resize(xs.len(), OUTSIDE);
        self.down.resize(ys.len(), 0.0);
        self.right.resize(xs.len(), 0.0);
        around(ys, row_axis, reach.0, &mut self.rows, &mut self.down);
        around(xs, col_axis, reach.1, &mut self.cols, &mut self.right);
    }
}

widest! {
    /// The pixel of an axis that holds each position.
    fn holders<>(positions: &[f64], axis: Extent, places: &mut [i32]) {
        let (size, last) = (f64::from(axis.full), axis.full - 1);
        for (place, &x) in places.iter_mut().zip(positions) {
            let moved = x + EDGE_TOLERANCE;
            // False for NaN.
            let is_in_image = (x >= 0.0) & (moved <= size);
            let safe = if is_in_image { moved } else { 0.0 };
            // SAFETY: between 0 and the number of pixels, which is an `i32`.
            let pixel = unsafe { safe.to_int_unchecked::<i32>() };
            let at = (if pixel < last { pixel } else { last }).wrapping_sub(axis.start);
            let is_there = is_in_image & (at >= 0) & (at < axis.len);
            *place = if is_there { at } else { OUTSIDE };
        }
    }
}

widest! {
    /// The first of the taps around each position of an axis, `reach.0` pixels
    /// before the one at or before it to `reach.1` after, and how far past that
    /// one's centre the position is.
    fn around<>(
        positions: &[f64],
        axis: Extent,
        reach: (i32, i32),
        places: &mut [i32],
        fractions: &mut [f64],
    ) {
        let size = f64::from(axis.full);
        // The pixels that may be the one at or before a position.
        let least = axis.start.max(0) + reach.0;
        let most = (axis.start + axis.len).min(axis.full) - 1 - reach.1;
        let origin = axis.start + reach.0;
        let outputs = places.iter_mut().zip(fractions);
        for ((place, fraction), &x) in outputs.zip(positions) {
            let is_in_image = (x >= 0.0) & (x + EDGE_TOLERANCE <= size);
            let safe = if is_in_image { x } else { 0.5 };
            let low = (safe - 0.5).floor();
            // SAFETY: between -1 and the number of pixels, which is an `i32`.
            let pixel = unsafe { low.to_int_unchecked::<i32>() };
            let has_all = (pixel >= least) & (pixel <= most);
            let found = if has_all { pixel.wrapping_sub(origin) } else { EDGE };
            *place = if is_in_image { found } else { OUTSIDE };
            *fraction = safe - 0.5 - low;
        }
    }
}

/// One axis of what output pixels cover.
#[derive(Default)]
pub(crate) struct Covers {
    /// First pixel, in the window.
    pub(crate) starts: Vec<i32>,
    /// Number of pixels; 0 where the pixel covers none that can be used.
    pub(crate) counts: Vec<i32>,
    /// How much of the first three pixels is covered; of more than three, of
    /// the first, of one in between, and of the last.
    pub(crate) weights: [Vec<f64>; 3],
}

impl Covers {
    /// What the ranges between `a` and `b` cover of `axis`. As `Cover`, with the
    /// margin, for a whole row.
    pub(crate) fn find(&mut self, axis: Extent, margin: f64, a: &[f64], b: &[f64]) {
        let n = a.len();
        self.starts.resize(n, 0);
        self.counts.resize(n, 0);
        let [first, second, third] = &mut self.weights;
        for weights in [&mut *first, &mut *second, &mut *third] {
            weights.resize(n, 0.0);
        }
        ranges(axis, margin, a, b, &mut self.starts, &mut self.counts);
        weights(
            axis,
            a,
            b,
            (&self.starts, &self.counts),
            first,
            second,
            third,
        );
    }
}

widest! {
    /// First pixel and number of pixels of each range.
    fn ranges<>(
        axis: Extent, margin: f64, a: &[f64], b: &[f64], starts: &mut [i32], counts: &mut [i32],
    ) {
        let size = f64::from(axis.full);
        let end = axis.start + axis.len;
        for ((start, count), (&a, &b)) in starts.iter_mut().zip(counts).zip(a.iter().zip(b)) {
            let low = if a > b { b } else { a };
            let high = if a > b { a } else { b };
            // False for NaN, of which one may have hidden behind the other.
            let is_near = (low >= -margin) & (high - size <= margin) & (a <= f64::MAX);
            let meets = is_near & (high > -EDGE_TOLERANCE) & (low < size + EDGE_TOLERANCE);
            let (low, high) = (if meets { low } else { 0.0 }, if meets { high } else { 0.0 });
            let (from, to) = ((low + EDGE_TOLERANCE).floor(), (high - EDGE_TOLERANCE).ceil());
            let clamp = |x: f64| {
                let x = if x > 0.0 { x } else { 0.0 };
                if x < size { x } else { size }
            };
            // SAFETY: clamped to the number of pixels, which is an `i32`.
            let from = unsafe { clamp(from).to_int_unchecked::<i32>() };
            // SAFETY: as before.
            let to = unsafe { clamp(to).to_int_unchecked::<i32>() };
            let to = to.wrapping_add(i32::from((from == to) & (to < axis.full)));
            let is_read = (from >= axis.start) & (to <= end);
            *start = from.wrapping_sub(axis.start);
            *count = if meets & is_read { to.wrapping_sub(from) } else { 0 };
        }
    }
}

widest! {
    /// How much of each range's pixels is covered.
    fn weights<>(
        axis: Extent,
        a: &[f64],
        b: &[f64],
        found: (&[i32], &[i32]),
        first: &mut [f64],
        second: &mut [f64],
        third: &mut [f64],
    ) {
        let weights = first.iter_mut().zip(second).zip(third);
        let ranges = a.iter().zip(b).zip(found.0.iter().zip(found.1));
        for (((first, second), third), ((&a, &b), (&start, &count))) in weights.zip(ranges) {
            let low = if a > b { b } else { a };
            let high = if a > b { a } else { b };
            let from = start.wrapping_add(axis.start);
            let head = 1.0 - (low - f64::from(from));
            let tail = 1.0 - (f64::from(from.wrapping_add(count)) - high);
            *first = if count == 1 { 1.0 } else { head };
            let inner = if count == 2 { tail } else { 1.0 };
            *second = if count == 1 { 0.0 } else { inner };
            *third = if count > 2 { tail } else { 0.0 };
        }
    }
}

/// Which parts of a window have missing pixels, by squares.
///
/// A kernel asks once for the square that its first tap is in, and looks at
/// single pixels only where the answer is yes.
#[derive(Default)]
pub(crate) struct Squares {
    n_cols: usize,
    marks: Vec<u8>,
    /// How many taps down and right of the first one the marks are good for.
    reach: (usize, usize),
}

/// The side of a square is 2 to this power.
const SQUARE: usize = 4;

/// Kernels that reach further look at their taps: they have so many anyway.
const FURTHEST: usize = 64;

impl Squares {
    /// Marks the squares from which taps that reach `rows` down and `cols` right
    /// of the first one meet a missing pixel.
    pub(crate) fn build<T: Copy>(&mut self, src: &SourceWindow<'_, T>, rows: usize, cols: usize) {
        let side = 1 << SQUARE;
        let n_rows = src.n_rows().div_ceil(side);
        self.n_cols = src.n_cols().div_ceil(side);
        self.reach = (rows.min(FURTHEST), cols.min(FURTHEST));
        let (rows, cols) = self.reach;
        self.marks.clear();
        self.marks.resize(n_rows * self.n_cols, 0);
        let Some(missing) = src.missing() else { return };
        if src.n_cols() == 0 {
            return;
        }
        for (row, missing) in missing.chunks_exact(src.n_cols()).enumerate() {
            let marks = &mut self.marks[(row / side) * self.n_cols..][..self.n_cols];
            for (mark, missing) in marks.iter_mut().zip(missing.chunks(side)) {
                *mark |= missing.iter().fold(0, |any, &missing| any | missing);
            }
        }
        // A tap may lie in a later square than the first one.
        let (down, right) = (rows.div_ceil(side), cols.div_ceil(side));
        for row in 0..n_rows {
            for col in 0..self.n_cols {
                let rows = row..(row + down + 1).min(n_rows);
                let cols = col..(col + right + 1).min(self.n_cols);
                let any = rows.into_iter().any(|row| {
                    self.marks[row * self.n_cols..][cols.clone()]
                        .iter()
                        .any(|&mark| mark & 1 != 0)
                });
                // In the second bit, so that the first stays what it was.
                self.marks[row * self.n_cols + col] |= u8::from(any) << 1;
            }
        }
    }

    /// Whether one of `n_rows` x `n_cols` taps, the first of which is at this
    /// place, may be missing.
    #[inline(always)]
    pub(crate) fn may_miss(&self, row: usize, col: usize, n_rows: usize, n_cols: usize) -> bool {
        n_rows > self.reach.0 + 1
            || n_cols > self.reach.1 + 1
            || self
                .marks
                .get((row >> SQUARE) * self.n_cols + (col >> SQUARE))
                .is_none_or(|&mark| mark > 1)
    }
}

#[cfg(test)]
mod tests {
    use datacube_geo::{PixelWindow, Shape2d};

    use super::*;
    use crate::warp::cover::Cover;
    use crate::warp::taps::{pixel_at, split};

    /// A window of rows 2..8 and columns 3..12 of an image of 9 x 13.
    fn window(pixels: &[u8]) -> SourceWindow<'_, u8> {
        let window = PixelWindow::new(2..8, 3..12);
        SourceWindow::new(pixels, None, &window, Shape2d { rows: 9, cols: 13 })
    }

    fn positions() -> (Vec<f64>, Vec<f64>) {
        let mut xs: Vec<f64> = (-20..160).map(|i| f64::from(i) / 10.0).collect();
        xs.extend([
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e300,
            -1e-11,
            13.0,
            12.999_999_999_95,
        ]);
        let ys = xs.iter().map(|x| x * 0.7 - 0.01).collect();
        (xs, ys)
    }

    #[test]
    fn places_are_those_of_the_single_functions() {
        let pixels = [0; 54];
        let src = window(&pixels);
        let (xs, ys) = positions();
        let mut places = Places::default();
        places.nearest(&src, &xs, &ys);
        for idx in 0..xs.len() {
            let expected = pixel_at(ys[idx], 9)
                .zip(pixel_at(xs[idx], 13))
                .filter(|(row, col)| (2..8).contains(row) && (3..12).contains(col))
                .map(|(row, col)| (row - 2, col - 3));
            let found = (places.rows[idx].min(places.cols[idx]) >= 0)
                .then_some((places.rows[idx], places.cols[idx]));
            assert_eq!(found, expected, "{} {}", xs[idx], ys[idx]);
        }
        places.taps(&src, ((1, 2), (1, 2)), &xs, &ys);
        for (idx, &x) in xs.iter().enumerate() {
            if pixel_at(x, 13).is_none() {
                assert_eq!(places.cols[idx], OUTSIDE, "{x}");
                continue;
            }
            let (col, right) = split(x);
            let inside = (4..10).contains(&col);
            assert_eq!(places.cols[idx], if inside { col - 4 } else { EDGE }, "{x}");
            assert_eq!(places.right[idx], right);
        }
    }

    #[test]
    fn covers_are_those_of_the_single_function() {
        let pixels = [0; 54];
        let src = window(&pixels);
        let (xs, _) = positions();
        for width in [0.0, 0.3, 1.0, -2.7] {
            let ends: Vec<f64> = xs.iter().map(|x| x + width).collect();
            let mut found = Covers::default();
            found.find(extents(&src).1, 2.0, &xs, &ends);
            for (idx, (&a, &b)) in xs.iter().zip(&ends).enumerate() {
                let near = |x: f64| (-2.0..=15.0).contains(&x);
                let expected = Cover::new(a, b, 13)
                    .filter(|cover| near(a) && near(b) && cover.start >= 3 && cover.end <= 12);
                let Some(cover) = expected else {
                    assert_eq!(found.counts[idx], 0, "{a}..{b}");
                    continue;
                };
                assert_eq!(found.starts[idx], cover.start - 3);
                assert_eq!(found.counts[idx], cover.end - cover.start);
                let n = cover.end - cover.start;
                for (tap, weights) in (0..n.min(3)).zip(&found.weights) {
                    let pixel = if n > 3 && tap == 2 {
                        cover.end - 1
                    } else {
                        cover.start + tap
                    };
                    assert_eq!(weights[idx], cover.weight(pixel), "{a}..{b} tap {tap}");
                }
            }
        }
    }

    #[test]
    fn squares_know_of_every_missing_tap() {
        let (rows, cols) = (70, 53);
        let mut missing = vec![0; rows * cols];
        missing[20 * cols + 37] = 1;
        let pixels = vec![0u8; rows * cols];
        let shape = Shape2d { rows, cols };
        let src = SourceWindow::new(&pixels, Some(&missing), &PixelWindow::full(shape), shape);
        for reach in [1, 3, 20] {
            let mut squares = Squares::default();
            squares.build(&src, reach, reach);
            for row in 0..rows {
                for col in 0..cols {
                    let meets = row <= 20 && 20 <= row + reach && col <= 37 && 37 <= col + reach;
                    let may_miss = squares.may_miss(row, col, reach + 1, reach + 1);
                    assert!(!meets || may_miss, "{row} {col} {reach}");
                }
            }
            assert!(!squares.may_miss(69, 52, 2, 2) && !squares.may_miss(40, 37, 2, 2));
            assert!(squares.may_miss(69, 52, reach + 2, 1));
        }
    }
}
