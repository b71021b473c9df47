//! The part of a source image that was read, addressed in pixels of the whole.
//!
//! Kernels compute positions, edges and weights in pixels of the whole image
//! and only turn them into indices at the last moment. So where the window
//! happens to begin cannot show in the result.

use datacube_geo::{PixelWindow, Shape2d};

/// A window of source pixels of which the shape of the whole is known.
#[derive(Clone, Copy)]
pub(crate) struct SourceWindow<'a, T> {
    pixels: &'a [T],
    /// 1 where a pixel is missing; `None` when none is.
    missing: Option<&'a [u8]>,
    row0: i32,
    col0: i32,
    n_rows: usize,
    n_cols: usize,
    full_rows: i32,
    full_cols: i32,
}

impl<'a, T: Copy> SourceWindow<'a, T> {
    /// `pixels` are those of `window`, in C order; `full` is the whole image.
    ///
    /// Both have to be smaller than 2^31 pixels a side, which planning checks.
    pub(crate) fn new(
        pixels: &'a [T],
        missing: Option<&'a [u8]>,
        window: &PixelWindow,
        full: Shape2d,
    ) -> Self {
        let side = |n: usize| i32::try_from(n).expect("planning refuses larger images");
        assert_eq!(
            pixels.len(),
            window.pixels(),
            "decoding gives the window's shape"
        );
        assert!(missing.is_none_or(|missing| missing.len() == pixels.len()));
        SourceWindow {
            pixels,
            missing,
            row0: side(window.rows.start),
            col0: side(window.cols.start),
            n_rows: window.rows.len(),
            n_cols: window.cols.len(),
            full_rows: side(full.rows),
            full_cols: side(full.cols),
        }
    }

    /// Rows of the whole image.
    #[inline(always)]
    pub(crate) fn full_rows(&self) -> i32 {
        self.full_rows
    }

    /// Columns of the whole image.
    #[inline(always)]
    pub(crate) fn full_cols(&self) -> i32 {
        self.full_cols
    }

    /// First row of the window.
    #[inline(always)]
    pub(crate) fn row0(&self) -> i32 {
        self.row0
    }

    /// Rows of the window.
    #[inline(always)]
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// First column of the window.
    #[inline(always)]
    pub(crate) fn col0(&self) -> i32 {
        self.col0
    }

    /// Pixels in one row of the window, and so from one row to the next.
    #[inline(always)]
    pub(crate) fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// All pixels of the window.
    #[inline(always)]
    pub(crate) fn pixels(&self) -> &'a [T] {
        self.pixels
    }

    /// 1 where a pixel is missing; `None` when none is.
    #[inline(always)]
    pub(crate) fn missing(&self) -> Option<&'a [u8]> {
        self.missing
    }

    /// The window's pixels of one row of the image, if the window has the row.
    #[inline(always)]
    pub(crate) fn row(&self, row: i32) -> Option<&'a [T]> {
        let start = self.row_start(row)?;
        self.pixels.get(start..start + self.n_cols)
    }

    /// As [`SourceWindow::row`], of the marks of missing pixels.
    #[inline(always)]
    pub(crate) fn missing_row(&self, row: i32) -> Option<&'a [u8]> {
        let start = self.row_start(row)?;
        self.missing?.get(start..start + self.n_cols)
    }

    /// Where a row of the image begins in `pixels`.
    #[inline(always)]
    fn row_start(&self, row: i32) -> Option<usize> {
        let row = usize::try_from(row - self.row0)
            .ok()
            .filter(|&row| row < self.n_rows)?;
        Some(row * self.n_cols)
    }

    /// Where the pixels of `rows` x `cols` from (`row`, `col`) on begin in
    /// `pixels`, if the window has all of them.
    #[inline(always)]
    pub(crate) fn offset(&self, row: i32, col: i32, rows: usize, cols: usize) -> Option<usize> {
        let (Ok(row), Ok(col)) = (
            usize::try_from(row - self.row0),
            usize::try_from(col - self.col0),
        ) else {
            return None;
        };
        (row + rows <= self.n_rows && col + cols <= self.n_cols).then(|| row * self.n_cols + col)
    }
}
