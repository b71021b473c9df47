//! The box, in pixels of one grid, around a window of another.
//!
//! The border of a window, mapped, is the border of its image, as long as the
//! map is smooth; how much it bends between samples follows from second
//! differences. Where the border jumps (antimeridian), fails to project, or has
//! points of the inside on its outside (half the world in UTM), the whole window
//! is sampled instead and the box padded by the largest step between
//! neighbours: more than needed, never less.

use crate::transform::PixelMap;
use crate::{BoundingBox, PixelWindow, Result, Xy};

/// Samples on a side of the border.
const PER_SIDE: usize = 17;
/// Samples on a side that tell whether the border is around the inside.
const PER_SIDE_PROBE: usize = 7;
/// Samples on a side where the whole window is looked at.
const PER_SIDE_INSIDE: usize = 33;
/// What a float may be off by when it should have been an integer.
const ROUNDING: f64 = 1e-6;

/// The box around an image, with what it may be short of.
pub(super) enum Hull {
    /// Nothing projects.
    Empty,
    Box {
        bounds: BoundingBox,
        /// How far the image may reach beyond the samples.
        slack: Xy,
    },
}

impl Hull {
    /// Pixels of `bounds` in the box, grown by `pad`.
    pub(super) fn window(&self, bounds: &PixelWindow, pad: f64) -> PixelWindow {
        let Self::Box { bounds: b, slack } = self else {
            return PixelWindow::default();
        };
        // No less than a pixel wide, so that rounding cannot lose it.
        let grow = slack.map(|s| s - ROUNDING);
        let b = b.buffered(grow.x, grow.y);
        let (low, high) = (b.bottom.min(b.top), b.top.max(b.bottom));
        let (left, right) = (b.left.min(b.right), b.right.max(b.left));
        let touched = PixelWindow::touching((low, high), (left, right), bounds.shape());
        if pad == 0.0 {
            return touched;
        }
        // Padded before it is clipped: a window just outside needs the edge.
        PixelWindow::touching(
            (low.floor() - pad, high.ceil() + pad),
            (left.floor() - pad, right.ceil() + pad),
            bounds.shape(),
        )
    }
}

/// The box around the image of `window` (its pixels' areas, not their centres).
pub(super) fn hull(map: &PixelMap, window: &PixelWindow) -> Result<Hull> {
    if window.is_empty() {
        return Ok(Hull::Empty);
    }
    if map.linear().is_some() {
        let samples = boundary(map, window, 2)?;
        return Ok(match samples.bounds() {
            None => Hull::Empty,
            Some(bounds) => Hull::Box {
                bounds,
                slack: Xy::new(0.0, 0.0),
            },
        });
    }
    let border = boundary(map, window, PER_SIDE)?;
    if let (Some(slack), Some(bounds)) = (border.bend(), border.bounds()) {
        let around = bounds.buffered(slack.x, slack.y);
        let probe = grid(map, window, PER_SIDE_PROBE)?;
        if probe.points().all(|p| around.contains_point(p)) {
            return Ok(Hull::Box { bounds, slack });
        }
    }
    let inside = grid(map, window, PER_SIDE_INSIDE)?;
    Ok(match inside.bounds() {
        None => Hull::Empty,
        Some(bounds) => Hull::Box {
            bounds,
            slack: inside.largest_step(),
        },
    })
}

/// Mapped points, in lines of `per_line`.
pub(super) struct Samples {
    xs: Vec<f64>,
    ys: Vec<f64>,
    per_line: usize,
}

/// The border of `window`: its four sides, `per_side` points each.
pub(super) fn boundary(map: &PixelMap, window: &PixelWindow, per_side: usize) -> Result<Samples> {
    let (top, bottom) = (window.rows.start as f64, window.rows.end as f64);
    let (left, right) = (window.cols.start as f64, window.cols.end as f64);
    let mut out = Samples {
        xs: Vec::with_capacity(4 * per_side),
        ys: Vec::with_capacity(4 * per_side),
        per_line: per_side,
    };
    for (a, b) in [
        ((left, top), (right, top)),
        ((right, top), (right, bottom)),
        ((right, bottom), (left, bottom)),
        ((left, bottom), (left, top)),
    ] {
        for i in 0..per_side {
            let t = i as f64 / (per_side - 1) as f64;
            out.xs.push(a.0 + (b.0 - a.0) * t);
            out.ys.push(a.1 + (b.1 - a.1) * t);
        }
    }
    map.apply(&mut out.xs, &mut out.ys)?;
    Ok(out)
}

/// All of `window`: `n` by `n` points, row by row.
fn grid(map: &PixelMap, window: &PixelWindow, n: usize) -> Result<Samples> {
    let at = |r: &std::ops::Range<usize>, i: usize| {
        r.start as f64 + r.len() as f64 * (i as f64 / (n - 1) as f64)
    };
    let mut out = Samples {
        xs: Vec::with_capacity(n * n),
        ys: Vec::with_capacity(n * n),
        per_line: n,
    };
    for i in 0..n {
        for j in 0..n {
            out.xs.push(at(&window.cols, j));
            out.ys.push(at(&window.rows, i));
        }
    }
    map.apply(&mut out.xs, &mut out.ys)?;
    Ok(out)
}

impl Samples {
    /// The box around the points that projected.
    pub(super) fn bounds(&self) -> Option<BoundingBox> {
        BoundingBox::from_points(self.points())
    }

    fn points(&self) -> impl Iterator<Item = Xy> + '_ {
        self.xs.iter().zip(&self.ys).map(|(x, y)| Xy::new(*x, *y))
    }

    /// How far the lines may bulge between samples; `None` where they fail or
    /// jump, so that nothing can be said.
    fn bend(&self) -> Option<Xy> {
        let mut most = Xy::new(0.0f64, 0.0f64);
        let lines = self
            .xs
            .chunks_exact(self.per_line)
            .zip(self.ys.chunks_exact(self.per_line));
        for (xs, ys) in lines {
            for (x, y) in xs.windows(3).zip(ys.windows(3)) {
                let d = Xy::new(x[0] - 2.0 * x[1] + x[2], y[0] - 2.0 * y[1] + y[2]);
                let length = (x[2] - x[0]).hypot(y[2] - y[0]);
                // NaN is not smooth either.
                let smooth = d.x.hypot(d.y) <= 0.25 * length + 1.0;
                if !smooth {
                    return None;
                }
                most = Xy::new(most.x.max(d.x.abs()), most.y.max(d.y.abs()));
            }
        }
        // A parabola rises by an eighth of its second difference; twice that,
        // and a pixel for the approximation of positions.
        Some(most.map(|d| d / 4.0 + 1.0))
    }

    /// The largest step between neighbours that both projected, per axis, and a
    /// pixel.
    fn largest_step(&self) -> Xy {
        let n = self.per_line;
        let mut most = Xy::new(0.0f64, 0.0f64);
        for k in 0..self.xs.len() {
            for other in [k + 1, k + n] {
                let same_line = other == k + n || other / n == k / n;
                if !same_line || other >= self.xs.len() {
                    continue;
                }
                let d = Xy::new(self.xs[other] - self.xs[k], self.ys[other] - self.ys[k]);
                if d.is_finite() {
                    most = Xy::new(most.x.max(d.x.abs()), most.y.max(d.y.abs()));
                }
            }
        }
        // At a horizon coordinates run away like a square root, by up to 2.4 of
        // the last steps that are still seen.
        let horizon = self.xs.iter().any(|x| x.is_nan());
        most.map(|d| if horizon { 2.5 * d } else { d } + 1.0)
    }
}
