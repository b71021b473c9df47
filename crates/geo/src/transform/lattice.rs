//! Square cells with a surface of second order each.
//!
//! The destination is divided into cells of [`CELL`] pixels from its origin. In
//! a cell, nine exact positions (corners, edge middles, centre) define x and y
//! as polynomials of second order in column and row; sixteen more, between
//! them, tell how wrong those are. A cell that is not good enough is divided
//! into four, down to [`LEAF`] pixels, which are exact. Cells know nothing of
//! each other or of the window, so any window gives the same numbers.
//!
//! The error of such a surface falls with the third power of the cell size: at
//! 30 m a cell of 128 pixels is right to a millionth of a pixel, which costs 25
//! exact points for 16384 pixels.

use super::pixel_map::PixelMap;
use crate::{PixelWindow, Result, Shape2d};
use std::ops::Range;

/// Side of a cell in pixels.
const CELL: usize = 128;
/// Cells up to this side are computed pixel by pixel instead of being divided.
const LEAF: usize = 8;
/// Cells up to this side in which no sample projects are given up.
const GIVE_UP: usize = 32;
/// Samples on a side: the nine nodes and the points between them.
const SAMPLES: usize = 5;

/// The cells that a window touches.
#[derive(Clone, Debug)]
pub(super) struct Lattice {
    /// Cell row and column of the first cell.
    origin: (usize, usize),
    n_cols: usize,
    cells: Vec<Cell>,
}

/// Pixels `rows` by `cols` of the destination.
#[derive(Clone, Debug)]
struct Cell {
    rows: Range<usize>,
    cols: Range<usize>,
    kind: CellKind,
}

#[derive(Clone, Debug)]
enum CellKind {
    Surface(Box<Surface>),
    /// Row by row.
    Exact {
        xs: Box<[f64]>,
        ys: Box<[f64]>,
    },
    Outside,
    Divided(Vec<Cell>),
}

/// Coefficients of x and y, `[i][j]` that of `column^i * row^j`, both counted in
/// pixels from the first of the cell.
#[derive(Clone, Debug)]
struct Surface {
    x: [[f64; 3]; 3],
    y: [[f64; 3]; 3],
}

impl Lattice {
    pub(super) fn new(
        map: &PixelMap,
        shape: Shape2d,
        window: &PixelWindow,
        tolerance: f64,
    ) -> Result<Self> {
        let rows = window.rows.start / CELL..window.rows.end.div_ceil(CELL);
        let cols = window.cols.start / CELL..window.cols.end.div_ceil(CELL);
        let mut cells = Vec::with_capacity(rows.len() * cols.len());
        for r in rows.clone() {
            for c in cols.clone() {
                let rows = r * CELL..((r + 1) * CELL).min(shape.rows);
                let cols = c * CELL..((c + 1) * CELL).min(shape.cols);
                cells.push(Cell::new(map, rows, cols, tolerance)?);
            }
        }
        Ok(Self {
            origin: (rows.start, cols.start),
            n_cols: cols.len(),
            cells,
        })
    }

    #[inline]
    pub(super) fn fill_row(&self, row: usize, cols: Range<usize>, xs: &mut [f64], ys: &mut [f64]) {
        let first = (row / CELL - self.origin.0) * self.n_cols;
        let mut col = cols.start;
        while col < cols.end {
            let cell = &self.cells[first + (col / CELL - self.origin.1)];
            let end = cell.cols.end.min(cols.end);
            let out = col - cols.start..end - cols.start;
            cell.fill_row(row, col..end, &mut xs[out.clone()], &mut ys[out]);
            col = end;
        }
    }
}

impl Cell {
    fn new(map: &PixelMap, rows: Range<usize>, cols: Range<usize>, tolerance: f64) -> Result<Self> {
        let done = |kind| {
            Ok(Self {
                rows: rows.clone(),
                cols: cols.clone(),
                kind,
            })
        };
        let side = rows.len().max(cols.len());
        if side <= LEAF {
            return done(CellKind::exact(map, &rows, &cols)?);
        }
        let samples = Samples::new(map, &rows, &cols)?;
        if samples.all_fail() {
            if side <= GIVE_UP {
                return done(CellKind::Outside);
            }
        } else if let Some(surface) = samples.surface(tolerance) {
            return done(CellKind::Surface(Box::new(
                surface.in_pixels(rows.len(), cols.len()),
            )));
        }
        let halves = |r: &Range<usize>| {
            let middle = r.start + r.len().div_ceil(2);
            [r.start..middle, middle..r.end]
        };
        let mut parts = Vec::with_capacity(4);
        for r in halves(&rows) {
            for c in halves(&cols) {
                if !(r.is_empty() || c.is_empty()) {
                    parts.push(Self::new(map, r.clone(), c, tolerance)?);
                }
            }
        }
        done(CellKind::Divided(parts))
    }

    #[inline]
    fn fill_row(&self, row: usize, cols: Range<usize>, xs: &mut [f64], ys: &mut [f64]) {
        let (r, c) = (row - self.rows.start, cols.start - self.cols.start);
        match &self.kind {
            CellKind::Surface(s) => s.fill_row(r, c, xs, ys),
            CellKind::Exact { xs: ex, ys: ey } => {
                let at = r * self.cols.len() + c;
                xs.copy_from_slice(&ex[at..at + xs.len()]);
                ys.copy_from_slice(&ey[at..at + ys.len()]);
            }
            CellKind::Outside => {
                xs.fill(f64::NAN);
                ys.fill(f64::NAN);
            }
            CellKind::Divided(parts) => fill_parts(parts, row, cols, xs, ys),
        }
    }
}

fn fill_parts(parts: &[Cell], row: usize, cols: Range<usize>, xs: &mut [f64], ys: &mut [f64]) {
    for part in parts.iter().filter(|p| p.rows.contains(&row)) {
        let start = part.cols.start.max(cols.start);
        let end = part.cols.end.min(cols.end);
        if start < end {
            let out = start - cols.start..end - cols.start;
            part.fill_row(row, start..end, &mut xs[out.clone()], &mut ys[out]);
        }
    }
}

impl CellKind {
    fn exact(map: &PixelMap, rows: &Range<usize>, cols: &Range<usize>) -> Result<Self> {
        let n = rows.len() * cols.len();
        let (mut xs, mut ys) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for row in rows.clone() {
            for col in cols.clone() {
                xs.push(col as f64 + 0.5);
                ys.push(row as f64 + 0.5);
            }
        }
        map.apply(&mut xs, &mut ys)?;
        if xs.iter().all(|x| x.is_nan()) {
            return Ok(Self::Outside);
        }
        Ok(Self::Exact {
            xs: xs.into(),
            ys: ys.into(),
        })
    }
}

/// Exact positions at `SAMPLES` by `SAMPLES` points from the first pixel centre
/// of a cell to its last.
struct Samples {
    xs: [f64; SAMPLES * SAMPLES],
    ys: [f64; SAMPLES * SAMPLES],
}

impl Samples {
    fn new(map: &PixelMap, rows: &Range<usize>, cols: &Range<usize>) -> Result<Self> {
        let at = |r: &Range<usize>, i: usize| {
            r.start as f64 + 0.5 + (r.len() - 1) as f64 * (i as f64 / (SAMPLES - 1) as f64)
        };
        let mut out = Self {
            xs: [0.0; SAMPLES * SAMPLES],
            ys: [0.0; SAMPLES * SAMPLES],
        };
        for i in 0..SAMPLES {
            for j in 0..SAMPLES {
                out.xs[i * SAMPLES + j] = at(cols, j);
                out.ys[i * SAMPLES + j] = at(rows, i);
            }
        }
        map.apply(&mut out.xs, &mut out.ys)?;
        Ok(out)
    }

    fn all_fail(&self) -> bool {
        self.xs.iter().all(|x| x.is_nan())
    }

    /// The surface through every other sample, if it is within half the
    /// tolerance of the rest: between samples it may be a little worse.
    fn surface(&self, tolerance: f64) -> Option<Surface> {
        let surface = Surface {
            x: surface(&self.xs),
            y: surface(&self.ys),
        };
        for i in 0..SAMPLES {
            for j in 0..SAMPLES {
                let k = i * SAMPLES + j;
                let (u, v) = (j as f64 / 4.0, i as f64 / 4.0);
                let ex = (evaluate(&surface.x, u, v) - self.xs[k]).abs();
                let ey = (evaluate(&surface.y, u, v) - self.ys[k]).abs();
                // NaN is not good enough either.
                if !(ex <= 0.5 * tolerance && ey <= 0.5 * tolerance) {
                    return None;
                }
            }
        }
        Some(surface)
    }
}

/// Coefficients over the unit square, `[i][j]` that of `u^i * v^j`, `u` along
/// the columns.
fn surface(values: &[f64; SAMPLES * SAMPLES]) -> [[f64; 3]; 3] {
    let mut along_u = [[0.0; 3]; 3];
    for (j, row) in along_u.iter_mut().enumerate() {
        let at = 2 * j * SAMPLES;
        *row = parabola(values[at], values[at + 2], values[at + 4]);
    }
    let mut out = [[0.0; 3]; 3];
    for (i, c) in out.iter_mut().enumerate() {
        *c = parabola(along_u[0][i], along_u[1][i], along_u[2][i]);
    }
    out
}

/// Coefficients of the parabola through values at 0, 1/2 and 1.
fn parabola(a: f64, b: f64, c: f64) -> [f64; 3] {
    [a, -3.0 * a + 4.0 * b - c, 2.0 * (a - 2.0 * b + c)]
}

fn evaluate(s: &[[f64; 3]; 3], u: f64, v: f64) -> f64 {
    let c = |i: usize| s[i][0] + v * (s[i][1] + v * s[i][2]);
    c(0) + u * (c(1) + u * c(2))
}

impl Surface {
    /// From coefficients over the unit square to coefficients over pixels.
    fn in_pixels(mut self, rows: usize, cols: usize) -> Self {
        // A cell of one row or column is flat along it.
        let per_pixel = |n: usize| if n > 1 { 1.0 / (n - 1) as f64 } else { 0.0 };
        let (u, v) = (per_pixel(cols), per_pixel(rows));
        for s in [&mut self.x, &mut self.y] {
            for (i, scale_u) in [1.0, u, u * u].into_iter().enumerate() {
                for (j, scale_v) in [1.0, v, v * v].into_iter().enumerate() {
                    s[i][j] *= scale_u * scale_v;
                }
            }
        }
        self
    }

    /// Row `row` of the cell from its column `col` on.
    #[inline]
    fn fill_row(&self, row: usize, col: usize, xs: &mut [f64], ys: &mut [f64]) {
        let v = row as f64;
        let at =
            |s: &[[f64; 3]; 3]| [0, 1, 2].map(|i: usize| s[i][0] + v * (s[i][1] + v * s[i][2]));
        let (x, y) = (at(&self.x), at(&self.y));
        let first = i32::try_from(col).expect("a column of a cell");
        for ((i, px), py) in (first..).zip(xs).zip(ys) {
            let u = f64::from(i);
            *px = x[0] + u * (x[1] + u * x[2]);
            *py = y[0] + u * (y[1] + u * y[2]);
        }
    }
}
