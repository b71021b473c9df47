//! Rows of straight pieces: GDAL's approximate transformer, and the exact map.
//!
//! GDAL bisects each row of the image it warps onto until the middle of a piece
//! is close enough to the straight line between its ends, and interpolates. Its
//! choice of pieces depends on where the row starts and ends (the anchor), and
//! so do the positions, by up to the tolerance. Of a row only the pieces that
//! the window needs are followed down; all rows go down together, so that PROJ
//! gets its points in few calls.
//!
//! # Source
//! GDAL 3.10, `alg/gdaltransformer.cpp`, `GDALApproxTransform` and
//! `GDALApproxTransformInternal`.

use super::pixel_map::PixelMap;
use super::window::line;
use crate::{PixelWindow, Result};
use std::ops::Range;

/// GDAL does not bisect pieces of so few points.
const MIN_POINTS: usize = 5;

/// Positions of a window as pieces of rows.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    first_row: usize,
    /// Pieces of row `first_row + i` are `pieces[starts[i]..starts[i + 1]]`,
    /// from left to right, without gaps.
    starts: Vec<usize>,
    pieces: Vec<Piece>,
    /// Positions of the exact pieces, x and y apart.
    xs: Vec<f64>,
    ys: Vec<f64>,
}

/// Columns `cols` of a row.
#[derive(Clone, Debug)]
struct Piece {
    row: usize,
    cols: Range<usize>,
    kind: PieceKind,
}

#[derive(Clone, Debug)]
enum PieceKind {
    /// `start + slope * (column - origin)`, for x and y.
    Line {
        origin: usize,
        x: (f64, f64),
        y: (f64, f64),
    },
    /// Position of the first column in `Rows::xs` and `ys`.
    Exact { at: usize },
}

impl Rows {
    #[inline]
    pub(super) fn fill_row(&self, row: usize, cols: Range<usize>, xs: &mut [f64], ys: &mut [f64]) {
        let i = row - self.first_row;
        let pieces = &self.pieces[self.starts[i]..self.starts[i + 1]];
        let from = pieces.partition_point(|p| p.cols.end <= cols.start);
        for piece in &pieces[from..] {
            if piece.cols.start >= cols.end {
                break;
            }
            let start = piece.cols.start.max(cols.start);
            let end = piece.cols.end.min(cols.end);
            let out = start - cols.start..end - cols.start;
            let (xs, ys) = (&mut xs[out.clone()], &mut ys[out]);
            match piece.kind {
                PieceKind::Line { origin, x, y } => {
                    line((start - origin) as f64, x, y, xs, ys);
                }
                PieceKind::Exact { at } => {
                    let from = at + (start - piece.cols.start);
                    xs.copy_from_slice(&self.xs[from..from + (end - start)]);
                    ys.copy_from_slice(&self.ys[from..from + (end - start)]);
                }
            }
        }
    }
}

/// Every pixel of `window` through `map`.
pub(super) fn exact(map: &PixelMap, window: &PixelWindow) -> Result<Rows> {
    let mut out = Builder::new(window);
    for row in window.rows.clone() {
        out.exact(row, window.cols.clone());
    }
    out.finish(map)
}

/// The positions of `window` as GDAL finds them for the rows of `anchor`.
pub(super) fn gdal(
    map: &PixelMap,
    anchor: &PixelWindow,
    window: &PixelWindow,
    tolerance: f64,
) -> Result<Rows> {
    let mut out = Builder::new(window);
    let n = anchor.cols.len();
    let mut runs = Vec::new();
    for row in window.rows.clone() {
        let inside = anchor.rows.contains(&row);
        let within = if inside {
            window.cols.start.max(anchor.cols.start)..window.cols.end.min(anchor.cols.end)
        } else {
            0..0
        };
        if within.is_empty() {
            out.exact(row, window.cols.clone());
            continue;
        }
        out.exact(row, window.cols.start..within.start);
        out.exact(row, within.end..window.cols.end);
        if n <= MIN_POINTS {
            out.exact(row, within);
        } else {
            runs.push(row);
        }
    }
    let first = anchor.cols.start;
    let mut nodes = Points::default();
    for &row in &runs {
        for i in [0, (n - 1) / 2, n - 1] {
            nodes.push(row, first + i);
        }
    }
    nodes.map(map)?;
    let mut level: Vec<Run> = Vec::new();
    for (k, &row) in runs.iter().enumerate() {
        let [s, m, e] = [0, 1, 2].map(|i| nodes.get(3 * k + i));
        if s.ok() && m.ok() && e.ok() {
            level.push(Run {
                row,
                first,
                n,
                s,
                m,
                e,
            });
        } else {
            let cols = anchor.cols.clone();
            out.exact(row, clip(&cols, window));
        }
    }
    while !level.is_empty() {
        level = bisect(map, level, tolerance, window, &mut out)?;
    }
    out.finish(map)
}

/// A stretch of `n` pixels of a row with the exact positions of its first,
/// middle and last one.
struct Run {
    row: usize,
    first: usize,
    n: usize,
    s: Point,
    m: Point,
    e: Point,
}

#[derive(Clone, Copy)]
struct Point {
    x: f64,
    y: f64,
}

impl Point {
    fn ok(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

/// Makes lines of the runs that are straight enough, and halves of the others;
/// returns the halves that are still to be looked at.
fn bisect(
    map: &PixelMap,
    level: Vec<Run>,
    tolerance: f64,
    window: &PixelWindow,
    out: &mut Builder,
) -> Result<Vec<Run>> {
    let mut nodes = Points::default();
    let mut split = Vec::new();
    for run in level {
        let mid = (run.n - 1) / 2;
        let length = (run.n - 1) as f64;
        let (dx, dy) = ((run.e.x - run.s.x) / length, (run.e.y - run.s.y) / length);
        let error = (run.s.x + dx * mid as f64 - run.m.x).abs()
            + (run.s.y + dy * mid as f64 - run.m.y).abs();
        if error <= tolerance {
            out.line(&run, (dx, dy), window);
            continue;
        }
        // Both halves, even if the window needs one only: a failure in either
        // makes both exact.
        let at = nodes.len();
        let halves = [mid > MIN_POINTS, run.n - mid > MIN_POINTS];
        if halves[0] {
            nodes.push(run.row, run.first + (mid - 1) / 2);
            nodes.push(run.row, run.first + mid - 1);
        }
        if halves[1] {
            nodes.push(run.row, run.first + mid + (run.n - mid - 1) / 2);
        }
        split.push((run, mid, halves, at));
    }
    nodes.map(map)?;
    let mut next = Vec::new();
    for (run, mid, halves, mut at) in split {
        let count = usize::from(halves[0]) * 2 + usize::from(halves[1]);
        let good = (at..at + count).all(|i| nodes.get(i).ok());
        let cols = [
            run.first..run.first + mid,
            run.first + mid..run.first + run.n,
        ];
        for (half, cols) in cols.into_iter().enumerate() {
            let wanted = clip(&cols, window);
            if wanted.is_empty() {
                at += usize::from(half == 0 && halves[0]) * 2;
                continue;
            }
            if !good || !halves[half] {
                out.exact(run.row, wanted);
                at += usize::from(half == 0 && halves[0]) * 2;
                continue;
            }
            let (s, m, e) = if half == 0 {
                at += 2;
                (run.s, nodes.get(at - 2), nodes.get(at - 1))
            } else {
                (run.m, nodes.get(at), run.e)
            };
            next.push(Run {
                row: run.row,
                first: cols.start,
                n: cols.len(),
                s,
                m,
                e,
            });
        }
    }
    Ok(next)
}

fn clip(cols: &Range<usize>, window: &PixelWindow) -> Range<usize> {
    let start = cols.start.max(window.cols.start);
    start..cols.end.min(window.cols.end).max(start)
}

/// Pixel centres on their way through the map.
#[derive(Default)]
struct Points {
    xs: Vec<f64>,
    ys: Vec<f64>,
}

impl Points {
    fn push(&mut self, row: usize, col: usize) {
        self.xs.push(col as f64 + 0.5);
        self.ys.push(row as f64 + 0.5);
    }

    fn len(&self) -> usize {
        self.xs.len()
    }

    fn get(&self, i: usize) -> Point {
        Point {
            x: self.xs[i],
            y: self.ys[i],
        }
    }

    fn map(&mut self, map: &PixelMap) -> Result<()> {
        map.apply(&mut self.xs, &mut self.ys)
    }
}

struct Builder {
    rows: Range<usize>,
    pieces: Vec<Piece>,
    points: Points,
}

impl Builder {
    fn new(window: &PixelWindow) -> Self {
        Self {
            rows: window.rows.clone(),
            pieces: Vec::new(),
            points: Points::default(),
        }
    }

    fn exact(&mut self, row: usize, cols: Range<usize>) {
        if cols.is_empty() {
            return;
        }
        let at = self.points.len();
        for col in cols.clone() {
            self.points.push(row, col);
        }
        self.pieces.push(Piece {
            row,
            cols,
            kind: PieceKind::Exact { at },
        });
    }

    fn line(&mut self, run: &Run, (dx, dy): (f64, f64), window: &PixelWindow) {
        let cols = clip(&(run.first..run.first + run.n), window);
        if !cols.is_empty() {
            self.pieces.push(Piece {
                row: run.row,
                cols,
                kind: PieceKind::Line {
                    origin: run.first,
                    x: (run.s.x, dx),
                    y: (run.s.y, dy),
                },
            });
        }
    }

    fn finish(mut self, map: &PixelMap) -> Result<Rows> {
        self.points.map(map)?;
        self.pieces.sort_unstable_by_key(|p| (p.row, p.cols.start));
        let mut starts = Vec::with_capacity(self.rows.len() + 1);
        let mut at = 0;
        for row in self.rows.clone() {
            starts.push(at);
            while self.pieces.get(at).is_some_and(|p| p.row == row) {
                at += 1;
            }
        }
        starts.push(at);
        Ok(Rows {
            first_row: self.rows.start,
            starts,
            pieces: self.pieces,
            xs: self.points.xs,
            ys: self.points.ys,
        })
    }
}
