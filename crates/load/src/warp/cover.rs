//! What an output pixel covers of the source, for kernels that take areas.

use crate::warp::taps::EDGE_TOLERANCE;

/// The pixels that the range `low..high` of an axis covers, and how much of the
/// first and the last of them.
///
/// A range that hangs over the edge counts as if the pixel at the edge went on
/// beyond it, as GDAL has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cover {
    pub(crate) start: i32,
    pub(crate) end: i32,
    first: f64,
    last: f64,
}

impl Cover {
    /// `None` where the range meets no pixel of an axis of `n`. `a` and `b` are
    /// its ends, in any order.
    #[inline(always)]
    #[allow(
        clippy::cast_possible_truncation,
        reason = "clamped to 0..=n, which is an i32, before the cast"
    )]
    pub(crate) fn new(a: f64, b: f64, n: i32) -> Option<Self> {
        let (low, high) = if a > b { (b, a) } else { (a, b) };
        let size = f64::from(n);
        if !(high > -EDGE_TOLERANCE && low < size + EDGE_TOLERANCE) {
            return None;
        }
        let start = (low + EDGE_TOLERANCE).floor().max(0.0).min(size) as i32;
        let mut end = (high - EDGE_TOLERANCE).ceil().max(0.0).min(size) as i32;
        if start == end && end < n {
            end += 1;
        }
        (start < end).then(|| Cover {
            start,
            end,
            first: 1.0 - (low - f64::from(start)),
            last: 1.0 - (f64::from(end) - high),
        })
    }

    /// How much of `pixel` is covered; 1 for each pixel in between.
    #[inline(always)]
    pub(crate) fn weight(&self, pixel: i32) -> f64 {
        if pixel == self.start {
            if self.start + 1 == self.end {
                1.0
            } else {
                self.first
            }
        } else if pixel + 1 == self.end {
            self.last
        } else {
            1.0
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cover_weighs_parts_of_pixels() {
        let check = |a: f64, b: f64, expected: Option<(i32, Vec<f64>)>| {
            let found = Cover::new(a, b, 10).map(|c| {
                (
                    c.start,
                    (c.start..c.end).map(|pixel| c.weight(pixel)).collect(),
                )
            });
            assert_eq!(found, expected, "{a}..{b}");
        };
        check(2.25, 5.5, Some((2, vec![0.75, 1.0, 1.0, 0.5])));
        check(5.5, 2.25, Some((2, vec![0.75, 1.0, 1.0, 0.5])));
        check(3.0, 4.0, Some((3, vec![1.0])));
        check(3.000_000_000_01, 3.999_999_999_99, Some((3, vec![1.0])));
        check(3.2, 3.4, Some((3, vec![1.0])));
        check(3.5, 4.5, Some((3, vec![0.5, 0.5])));
        // Over the edge: the pixel at the edge goes on.
        check(-1.5, 1.5, Some((0, vec![2.5, 0.5])));
        check(8.5, 12.0, Some((8, vec![0.5, 3.0])));
        check(-2.0, -0.5, None);
        check(10.5, 12.0, None);
        check(f64::NAN, 2.0, None);
        check(1.0, f64::NAN, None);
        check(f64::NEG_INFINITY, f64::NEG_INFINITY, None);
    }
}
