//! A rectangle of whole pixels: what to read, where to write.
//!
//! Half-open ranges, rows first. Empty windows are ordinary values; two
//! windows that do not meet intersect in an empty one.

use crate::Shape2d;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// A rectangle of whole pixels, `rows` by `cols`, ends excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelWindow {
    /// Rows, from the top.
    pub rows: Range<usize>,
    /// Columns, from the left.
    pub cols: Range<usize>,
}

impl PixelWindow {
    /// From ranges of rows and columns.
    #[must_use]
    pub const fn new(rows: Range<usize>, cols: Range<usize>) -> Self {
        Self { rows, cols }
    }

    /// The whole of an image of `shape`.
    #[must_use]
    pub const fn full(shape: Shape2d) -> Self {
        Self::new(0..shape.rows, 0..shape.cols)
    }

    /// The pixels that the continuous ranges touch, clipped to `bounds`.
    ///
    /// `y` and `x` are (low, high) in pixel coordinates; NaN and reversed
    /// ranges touch nothing.
    #[must_use]
    pub fn touching(y: (f64, f64), x: (f64, f64), bounds: Shape2d) -> Self {
        let rows = touching(y, bounds.rows);
        let cols = touching(x, bounds.cols);
        Self::new(rows, cols)
    }

    /// Height and width.
    #[must_use]
    pub fn shape(&self) -> Shape2d {
        Shape2d::new(self.rows.len(), self.cols.len())
    }

    /// Number of pixels.
    #[must_use]
    pub fn pixels(&self) -> usize {
        self.shape().pixels()
    }

    /// Whether there is no pixel in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() || self.cols.is_empty()
    }

    /// The pixels in both windows.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(
            intersect(&self.rows, &other.rows),
            intersect(&self.cols, &other.cols),
        )
    }

    /// The smallest window around both; an empty window adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return other.clone();
        }
        if other.is_empty() {
            return self.clone();
        }
        Self::new(
            self.rows.start.min(other.rows.start)..self.rows.end.max(other.rows.end),
            self.cols.start.min(other.cols.start)..self.cols.end.max(other.cols.end),
        )
    }

    /// Whether all pixels of `other` are in this window.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.is_empty() || self.intersect(other) == *other
    }

    /// Whether the pixel is in this window.
    #[must_use]
    pub fn contains_pixel(&self, row: usize, col: usize) -> bool {
        self.rows.contains(&row) && self.cols.contains(&col)
    }

    /// The window grown by `pad` pixels on each side and clipped to `bounds`.
    /// An empty window stays empty.
    #[must_use]
    pub fn pad(&self, pad: usize, bounds: Shape2d) -> Self {
        if self.is_empty() {
            return self.clone();
        }
        let grow = |r: &Range<usize>, n: usize| {
            r.start.saturating_sub(pad).min(n)..r.end.saturating_add(pad).min(n)
        };
        Self::new(grow(&self.rows, bounds.rows), grow(&self.cols, bounds.cols))
    }

    /// The window that covers this one in an image reduced `factor` times.
    ///
    /// # Panics
    /// When `factor` is zero.
    #[must_use]
    pub fn scale_down(&self, factor: usize) -> Self {
        let scale = |r: &Range<usize>| r.start / factor..r.end.div_ceil(factor);
        Self::new(scale(&self.rows), scale(&self.cols))
    }

    /// The window that this one stands for in an image `factor` times as
    /// large, clipped to `bounds`.
    #[must_use]
    pub fn scale_up(&self, factor: usize, bounds: Shape2d) -> Self {
        let scale = |r: &Range<usize>, n: usize| {
            r.start.saturating_mul(factor).min(n)..r.end.saturating_mul(factor).min(n)
        };
        Self::new(
            scale(&self.rows, bounds.rows),
            scale(&self.cols, bounds.cols),
        )
    }

    /// The window grown to whole blocks of `block` and clipped to `bounds`.
    ///
    /// # Panics
    /// When a side of `block` is zero.
    #[must_use]
    pub fn align(&self, block: Shape2d, bounds: Shape2d) -> Self {
        let align = |r: &Range<usize>, b: usize, n: usize| {
            (r.start / b * b).min(n)..(r.end.div_ceil(b).saturating_mul(b)).min(n)
        };
        Self::new(
            align(&self.rows, block.rows, bounds.rows),
            align(&self.cols, block.cols, bounds.cols),
        )
    }

    /// This window counted from the upper-left pixel of `outer`, clipped to it.
    #[must_use]
    pub fn relative_to(&self, outer: &Self) -> Self {
        let inner = self.intersect(outer);
        let shift = |r: &Range<usize>, by: usize| r.start.max(by) - by..r.end.max(by) - by;
        Self::new(
            shift(&inner.rows, outer.rows.start),
            shift(&inner.cols, outer.cols.start),
        )
    }

    /// This window moved down and right by (`rows`, `cols`).
    #[must_use]
    pub fn shifted(&self, rows: usize, cols: usize) -> Self {
        Self::new(
            self.rows.start + rows..self.rows.end + rows,
            self.cols.start + cols..self.cols.end + cols,
        )
    }
}

impl fmt::Display for PixelWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rows {}..{}, columns {}..{}",
            self.rows.start, self.rows.end, self.cols.start, self.cols.end
        )
    }
}

fn intersect(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=n before the cast"
)]
fn touching((low, high): (f64, f64), n: usize) -> Range<usize> {
    if low.is_nan() || high.is_nan() || low > high {
        return 0..0;
    }
    let start = low.floor().clamp(0.0, n as f64) as usize;
    let end = high.ceil().clamp(0.0, n as f64) as usize;
    start..end.max(start)
}
