//! The sum of what an output pixel covers, each source pixel by the part of it
//! that lies in the output pixel.
//!
//! A source pixel that lies in several output pixels is shared among them by
//! area, so the sum over an image stays what it was, however the grids are
//! turned. An output pixel is the quadrilateral between its four corners.
//!
//! # Source
//! GDAL 3.12, `alg/gdalwarpkernel.cpp`, `GWKSumPreserving`, which clips source
//! pixels in the output grid; a part of an area is the same in both.

use crate::warp::cover::Margin;
use crate::warp::sample::Sample;
use crate::warp::window::SourceWindow;

/// Positions of the corners of a row of output pixels: one more than pixels.
#[derive(Clone, Copy)]
pub(crate) struct Mesh<'a> {
    pub(crate) top: (&'a [f64], &'a [f64]),
    pub(crate) bottom: (&'a [f64], &'a [f64]),
}

/// Parts of a source pixel smaller than this are rounding.
const LEAST_PART: f64 = 1e-10;

/// How much further outside an image than an upright pixel a slanted one may
/// reach that still touches it.
const SLANT: f64 = 4.0;

/// A quadrilateral clipped by four lines has at most eight corners.
const MOST_CORNERS: usize = 8;

/// A convex polygon.
#[derive(Clone, Copy)]
struct Polygon {
    points: [(f64, f64); MOST_CORNERS],
    len: usize,
}

impl Polygon {
    fn quad(points: [(f64, f64); 4]) -> Self {
        let mut all = [(0.0, 0.0); MOST_CORNERS];
        all[..4].copy_from_slice(&points);
        Polygon {
            points: all,
            len: 4,
        }
    }

    fn points(&self) -> &[(f64, f64)] {
        &self.points[..self.len]
    }

    fn push(&mut self, point: (f64, f64)) {
        // More corners come of a shape that is not convex, and are left out.
        if let Some(place) = self.points.get_mut(self.len) {
            *place = point;
            self.len += 1;
        }
    }

    /// The part in which `inside` (a distance from a line) is not negative.
    fn clipped(&self, inside: impl Fn((f64, f64)) -> f64) -> Self {
        let mut kept = Polygon {
            points: [(0.0, 0.0); MOST_CORNERS],
            len: 0,
        };
        let Some(&last) = self.points().last() else {
            return kept;
        };
        let (mut before, mut d0) = (last, inside(last));
        for &point in self.points() {
            let d1 = inside(point);
            if (d0 < 0.0) != (d1 < 0.0) {
                let t = d0 / (d0 - d1);
                kept.push((
                    before.0 + t * (point.0 - before.0),
                    before.1 + t * (point.1 - before.1),
                ));
            }
            if d1 >= 0.0 {
                kept.push(point);
            }
            (before, d0) = (point, d1);
        }
        kept
    }

    fn between_rows(&self, low: f64, high: f64) -> Self {
        self.clipped(|p| p.1 - low).clipped(|p| high - p.1)
    }

    fn between_cols(&self, low: f64, high: f64) -> Self {
        self.clipped(|p| p.0 - low).clipped(|p| high - p.0)
    }

    fn area(&self) -> f64 {
        let Some(&(x0, y0)) = self.points().first() else {
            return 0.0;
        };
        // From the first corner, for small areas far from the origin.
        let twice: f64 = self.points()[1..]
            .windows(2)
            .map(|pair| {
                let [(ax, ay), (bx, by)] = [pair[0], pair[1]].map(|(x, y)| (x - x0, y - y0));
                ax * by - bx * ay
            })
            .sum();
        (0.5 * twice).abs()
    }

    /// Ends along x and y; `None` where a corner is not known.
    fn bounds(&self) -> Option<((f64, f64), (f64, f64))> {
        let ends = |of: fn(&(f64, f64)) -> f64| {
            let values = self.points().iter().map(of);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.fold(f64::NEG_INFINITY, f64::max);
            (low, high)
        };
        let is_known = self
            .points()
            .iter()
            .all(|p| p.0.is_finite() && p.1.is_finite());
        is_known.then(|| (ends(|p| p.0), ends(|p| p.1)))
    }
}

/// The sums for a row of output pixels.
pub(crate) fn sum<T: Sample>(
    src: &SourceWindow<'_, T>,
    margin: Margin,
    mesh: Mesh<'_>,
    out: &mut [T],
    valid: &mut [u8],
) {
    for (idx, (out, valid)) in out.iter_mut().zip(valid).enumerate() {
        let corner = |(xs, ys): (&[f64], &[f64]), idx: usize| (xs[idx], ys[idx]);
        let quad = Polygon::quad([
            corner(mesh.top, idx),
            corner(mesh.top, idx + 1),
            corner(mesh.bottom, idx + 1),
            corner(mesh.bottom, idx),
        ]);
        let value = sum_over(src, margin, &quad);
        *valid = u8::from(value.is_some());
        if let Some(value) = value {
            *out = T::from_f64(value);
        }
    }
}

/// The pixels of an axis of `n` that a range meets; `None` where it reaches
/// further outside than `margin`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "clamped to 0..=n, which is an i32, before the cast"
)]
fn pixels_of((low, high): (f64, f64), margin: f64, n: i32) -> Option<(i32, i32)> {
    let size = f64::from(n);
    if low < -margin || high - size > margin {
        return None;
    }
    let start = low.floor().clamp(0.0, size) as i32;
    let end = high.ceil().clamp(0.0, size) as i32;
    (start < end).then_some((start, end))
}

fn sum_over<T: Sample>(src: &SourceWindow<'_, T>, margin: Margin, quad: &Polygon) -> Option<f64> {
    let (x_ends, y_ends) = quad.bounds()?;
    let (left, right) = pixels_of(x_ends, SLANT * margin.x, src.full_cols())?;
    let (top, bottom) = pixels_of(y_ends, SLANT * margin.y, src.full_rows())?;
    let n_cols = usize::try_from(right - left).ok()?;
    let mut from = src.offset(top, left, usize::try_from(bottom - top).ok()?, n_cols)?;
    let is_upright = {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at: usize| quad.points[at]);
        a.1 == b.1 && b.0 == c.0 && c.1 == d.1 && d.0 == a.0
    };
    let overlap = |(low, high): (f64, f64), pixel: i32| {
        let at = f64::from(pixel);
        (high.min(at + 1.0) - low.max(at)).max(0.0)
    };
    let mut sum = 0.0;
    let mut found = false;
    for row in top..bottom {
        let at = f64::from(row);
        let strip = if is_upright {
            *quad
        } else {
            quad.between_rows(at, at + 1.0)
        };
        let height = overlap(y_ends, row);
        let pixels = src.pixels().get(from..from + n_cols)?;
        let missing = src.missing().and_then(|m| m.get(from..from + n_cols));
        from += src.n_cols();
        let Some((ends, _)) = strip.bounds().filter(|_| strip.len > 2) else {
            continue;
        };
        for (idx, (col, &pixel)) in (left..right).zip(pixels).enumerate() {
            let at = f64::from(col);
            if at >= ends.1 || at + 1.0 <= ends.0 || missing.is_some_and(|m| m[idx] != 0) {
                continue;
            }
            let part = if is_upright {
                height * overlap(x_ends, col)
            } else {
                strip.between_cols(at, at + 1.0).area()
            };
            if part > LEAST_PART {
                sum += pixel.to_f64() * part;
                found = true;
            }
        }
    }
    found.then_some(sum)
}

#[cfg(test)]
mod tests {
    use datacube_geo::{PixelWindow, Shape2d};

    use super::*;

    const SHAPE: Shape2d = Shape2d { rows: 12, cols: 14 };

    fn image() -> Vec<f64> {
        (0..SHAPE.rows * SHAPE.cols)
            .map(|idx| ((idx * 37) % 101) as f64)
            .collect()
    }

    /// All output pixels of a grid turned by `angle` and scaled, over the image.
    fn sums(angle: f64, scale: f64) -> f64 {
        let pixels = image();
        let src = SourceWindow::new(&pixels, None, &PixelWindow::full(SHAPE), SHAPE);
        let n = 40;
        let at = |row: usize, col: usize| {
            let (x, y) = ((col as f64 - 20.0) * scale, (row as f64 - 20.0) * scale);
            let (sin, cos) = angle.sin_cos();
            (7.0 + x * cos - y * sin, 6.0 + x * sin + y * cos)
        };
        let mut total = 0.0;
        for row in 0..n {
            let line = |row: usize| -> (Vec<f64>, Vec<f64>) { (0..=n).map(|c| at(row, c)).unzip() };
            let (top, bottom) = (line(row), line(row + 1));
            let mesh = Mesh {
                top: (&top.0, &top.1),
                bottom: (&bottom.0, &bottom.1),
            };
            let (mut out, mut valid) = (vec![0.0; n], vec![0; n]);
            let margin = Margin { x: 100.0, y: 100.0 };
            sum(&src, margin, mesh, &mut out, &mut valid);
            let pairs = out.iter().zip(&valid);
            total += pairs
                .filter(|pair| *pair.1 == 1)
                .map(|pair| pair.0)
                .sum::<f64>();
        }
        total
    }

    #[test]
    fn a_sum_is_kept_however_the_grid_is_turned() {
        let expected: f64 = image().iter().sum();
        for angle in [0.0, 0.1, 0.7, 1.55, 2.9] {
            for scale in [0.83, 1.0, 2.4, 5.1] {
                let found = sums(angle, scale);
                assert!(
                    (found - expected).abs() < 1e-8 * expected,
                    "{angle} {scale}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn what_is_not_known_has_no_sum() {
        let pixels = image();
        let src = SourceWindow::new(&pixels, None, &PixelWindow::full(SHAPE), SHAPE);
        let margin = Margin { x: 2.0, y: 2.0 };
        let sum = |quad| sum_over(&src, margin, &Polygon::quad(quad));
        let nan = f64::NAN;
        assert_eq!(sum([(0.0, 0.0), (1.0, 0.0), (nan, 1.0), (0.0, 1.0)]), None);
        // As far outside as a projection that broke down would put it.
        assert_eq!(sum([(0.0, 0.0), (1e9, 0.0), (1e9, 1.0), (0.0, 1.0)]), None);
        assert_eq!(
            sum([(-1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (-1.0, 1.0)]),
            None
        );
        // Only what is in the image counts.
        let half = sum([(-0.5, 0.0), (0.5, 0.0), (0.5, 1.0), (-0.5, 1.0)]);
        assert_eq!(half, Some(0.5 * pixels[0]));
    }
}
