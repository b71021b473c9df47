//! Source positions of the pixels of one window, read row by row.
//!
//! This runs for every pixel of every warp: no allocation, no branch per pixel,
//! and each position straight from its column number, so that where a segment
//! starts changes nothing.

use super::lattice::Lattice;
use super::rows::Rows;
use crate::{Affine, PixelWindow};
use std::ops::Range;

/// Source pixel coordinates of the pixel centres of a destination window, made
/// by [`crate::GridTransform::window`]. Immutable; any number of threads may
/// read it.
#[derive(Clone, Debug)]
pub struct WindowTransform {
    window: PixelWindow,
    kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Linear(Affine),
    Lattice(Lattice),
    Rows(Rows),
}

impl WindowTransform {
    pub(super) fn new(window: PixelWindow, kind: Kind) -> Self {
        Self { window, kind }
    }

    /// The destination pixels that positions are known for.
    #[must_use]
    pub fn window(&self) -> &PixelWindow {
        &self.window
    }

    /// Writes the positions of the pixels `cols` of `row` to `xs` and `ys`: the
    /// source column and row of the pixel centre, continuous, NaN where it does
    /// not project. `row` and `cols` count from the origin of the destination
    /// grid.
    ///
    /// # Panics
    /// When the pixels are not all in [`WindowTransform::window`] or a slice is
    /// not as long as `cols`.
    #[inline]
    pub fn fill_row(&self, row: usize, cols: Range<usize>, xs: &mut [f64], ys: &mut [f64]) {
        assert!(
            self.window.rows.contains(&row)
                && self.window.cols.start <= cols.start
                && cols.end <= self.window.cols.end
                && xs.len() == cols.len()
                && ys.len() == cols.len(),
            "pixels of the window, and slices of their number"
        );
        match &self.kind {
            Kind::Linear(a) => {
                let y = row as f64 + 0.5;
                let (x0, y0) = (a.b * y + a.c, a.e * y + a.f);
                let first = cols.start as f64 + 0.5;
                line(first, (x0, a.a), (y0, a.d), xs, ys);
            }
            Kind::Lattice(lattice) => lattice.fill_row(row, cols, xs, ys),
            Kind::Rows(rows) => rows.fill_row(row, cols, xs, ys),
        }
    }
}

/// Writes `start + slope * t` for `t` = `first`, `first + 1`, ...
#[inline]
pub(super) fn line(
    first: f64,
    (x, dx): (f64, f64),
    (y, dy): (f64, f64),
    xs: &mut [f64],
    ys: &mut [f64],
) {
    for ((i, px), py) in (0i32..).zip(xs).zip(ys) {
        let t = first + f64::from(i);
        *px = x + dx * t;
        *py = y + dy * t;
    }
}
