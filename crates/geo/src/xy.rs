//! Pairs that say which axis comes first.
//!
//! Most wrong results in raster code are a swapped pair. An [`Xy`] is (x, y),
//! a [`Shape2d`] is (rows, columns), a [`Resolution`] is (x, y) with signs;
//! none converts into another by accident.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A pair in x, y order: a point, a shift, a scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Xy<T = f64> {
    /// Along the columns: easting or longitude in a CRS, column in pixels.
    pub x: T,
    /// Along the rows: northing or latitude in a CRS, row in pixels.
    pub y: T,
}

impl<T> Xy<T> {
    /// Pairs `x` with `y`.
    pub const fn new(x: T, y: T) -> Self {
        Self { x, y }
    }

    /// The pair with `f` applied to both.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Xy<U> {
        Xy {
            x: f(self.x),
            y: f(self.y),
        }
    }
}

impl Xy<f64> {
    /// Whether neither value is NaN or infinite.
    #[must_use]
    pub fn is_finite(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

impl<T> From<(T, T)> for Xy<T> {
    fn from((x, y): (T, T)) -> Self {
        Self { x, y }
    }
}

impl<T: fmt::Display> fmt::Display for Xy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.x, self.y)
    }
}

/// The size of a grid in pixels, rows first as in an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape2d {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
}

impl Shape2d {
    /// A grid of `rows` by `cols` pixels.
    #[must_use]
    pub const fn new(rows: usize, cols: usize) -> Self {
        Self { rows, cols }
    }

    /// Number of pixels; saturates where the product does not fit a `usize`.
    #[must_use]
    pub const fn pixels(self) -> usize {
        self.rows.saturating_mul(self.cols)
    }

    /// Whether there is no pixel.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.rows == 0 || self.cols == 0
    }
}

impl From<(usize, usize)> for Shape2d {
    /// From (rows, columns).
    fn from((rows, cols): (usize, usize)) -> Self {
        Self { rows, cols }
    }
}

impl fmt::Display for Shape2d {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.rows, self.cols)
    }
}

/// Pixel size and direction in CRS units: how far x and y move when the column
/// and the row grow by one. `y` is negative for the usual north-up image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// CRS units per column.
    pub x: f64,
    /// CRS units per row, normally negative.
    pub y: f64,
}

impl Resolution {
    /// Signed pixel size, x first.
    #[must_use]
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// North-up square pixels: `square(30.0)` is (30, -30).
    #[must_use]
    pub const fn square(size: f64) -> Self {
        Self { x: size, y: -size }
    }

    /// Pixel sizes without direction.
    #[must_use]
    pub const fn abs(self) -> Xy {
        Xy::new(self.x.abs(), self.y.abs())
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.x, self.y)
    }
}
