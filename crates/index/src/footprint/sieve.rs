//! An area that the boxes of very many footprints are compared with.
//!
//! The bounds of each part of the area are divided into cells. On which side of the
//! outline a whole cell is, is found out when a box first touches it; boxes that touch
//! only cells of one side need no look at the outline.
#![allow(clippy::cast_precision_loss, reason = "few cells")]

use std::ops::Range;

use geo::Intersects;
use geo_types::Point;

use super::LonLatBox;
use super::area::{Area, Part};

/// Cells along each axis.
const N_CELLS: usize = 64;

/// Boxes that touch more cells are compared with the outline at once.
const MOST_CELLS: usize = 256;

/// Where a box is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Inside,
    Outside,
    /// An edge comes near.
    Edge,
}

/// An area, and what has been found out of it.
pub(crate) struct Sieve<'a> {
    parts: Vec<Cells<'a>>,
}

struct Cells<'a> {
    part: &'a Part,
    sides: Vec<Option<Side>>,
}

impl<'a> Sieve<'a> {
    /// Nothing is found out before it is asked for.
    pub(crate) fn new(area: &'a Area) -> Self {
        let cells = |part| Cells {
            part,
            sides: vec![None; N_CELLS * N_CELLS],
        };
        Sieve {
            parts: area.parts.iter().map(cells).collect(),
        }
    }

    /// Whether footprints with this box around them meet the area; `None` where the box
    /// alone does not tell.
    pub(crate) fn meets_box(&mut self, bounds: &LonLatBox) -> Option<bool> {
        let mut is_sure = true;
        for part in &mut self.parts {
            match part.meets_box(bounds) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_sure = false,
            }
        }
        is_sure.then_some(false)
    }
}

impl Cells<'_> {
    /// As [`Sieve::meets_box`]. Where no edge comes near the box, all of it is inside or
    /// all of it outside; where one does, a side that is all inside tells too.
    fn meets_box(&mut self, bounds: &LonLatBox) -> Option<bool> {
        let tolerance = bounds.tolerance().max(self.part.bounds.tolerance());
        let near = bounds.grown(tolerance);
        let mut is_sure = true;
        for shift in [0.0, 360.0, -360.0] {
            if !near.meets(&self.part.bounds, shift) {
                continue;
            }
            let moved = |b: LonLatBox| LonLatBox {
                west: b.west + shift,
                east: b.east + shift,
                ..b
            };
            match self.side_of(&moved(near)) {
                Side::Inside => return Some(true),
                Side::Outside => {}
                Side::Edge if self.has_a_side(&moved(*bounds), tolerance) => return Some(true),
                Side::Edge => is_sure = false,
            }
        }
        is_sure.then_some(false)
    }

    /// Whether all of a side of a box is inside: what the box is around has a point on
    /// each side.
    fn has_a_side(&mut self, b: &LonLatBox, tolerance: f64) -> bool {
        let sides = [
            (b.west, b.west, b.south, b.north),
            (b.east, b.east, b.south, b.north),
            (b.west, b.east, b.south, b.south),
            (b.west, b.east, b.north, b.north),
        ];
        sides.into_iter().any(|(west, east, south, north)| {
            let side = LonLatBox {
                west,
                south,
                east,
                north,
            };
            self.side_of(&side.grown(tolerance)) == Side::Inside
        })
    }

    /// Where a box is, by the cells that it touches, or else by the outline.
    fn side_of(&mut self, b: &LonLatBox) -> Side {
        self.side_by_cells(b)
            .unwrap_or_else(|| self.side_by_outline(b))
    }

    fn side_by_outline(&self, b: &LonLatBox) -> Side {
        if self.part.has_edge_near(b) {
            Side::Edge
        } else if self.part.shape.intersects(&Point::new(b.west, b.south)) {
            Side::Inside
        } else {
            Side::Outside
        }
    }

    /// `None` where cells do not tell.
    fn side_by_cells(&mut self, b: &LonLatBox) -> Option<Side> {
        let all = self.part.bounds;
        let (cols, is_beyond_x) = cells((b.west, b.east), (all.west, all.east))?;
        let (rows, is_beyond_y) = cells((b.south, b.north), (all.south, all.north))?;
        if cols.len() * rows.len() > MOST_CELLS {
            return None;
        }
        // What is beyond the bounds is outside.
        let mut found = (is_beyond_x || is_beyond_y).then_some(Side::Outside);
        for row in rows {
            for col in cols.clone() {
                let side = self.side_of_cell(row, col);
                if side == Side::Edge || found.is_some_and(|found| found != side) {
                    return None;
                }
                found = Some(side);
            }
        }
        found
    }

    fn side_of_cell(&mut self, row: usize, col: usize) -> Side {
        let at = row * N_CELLS + col;
        if let Some(side) = self.sides[at] {
            return side;
        }
        let b = self.part.bounds;
        let (width, height) = (cell_size(b.west, b.east), cell_size(b.south, b.north));
        let (west, south) = (b.west + col as f64 * width, b.south + row as f64 * height);
        let cell = LonLatBox {
            west,
            south,
            east: west + width,
            north: south + height,
        };
        let side = self.side_by_outline(&cell.grown(b.tolerance()));
        self.sides[at] = Some(side);
        side
    }
}

fn cell_size(low: f64, high: f64) -> f64 {
    (high - low) / N_CELLS as f64
}

/// The cells that a range touches of those that a longer one is divided into, and
/// whether it goes beyond them; `None` for what cannot be divided.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the number of cells"
)]
fn cells(range: (f64, f64), of: (f64, f64)) -> Option<(Range<usize>, bool)> {
    let size = cell_size(of.0, of.1);
    let last = N_CELLS as f64 - 1.0;
    let at = |value: f64| ((value - of.0) / size).floor().clamp(0.0, last) as usize;
    let is_beyond = range.0 < of.0 || range.1 > of.1;
    (size > 0.0).then(|| (at(range.0)..at(range.1) + 1, is_beyond))
}

#[cfg(test)]
mod tests {
    use geo::Translate;
    use geo_types::{Geometry, LineString, Polygon};

    use super::super::kit::{footprint, square};
    use super::*;

    /// What the box tells of a footprint is what the footprint tells, and of most it
    /// does tell.
    #[test]
    fn a_box_tells_of_what_is_well_inside_or_outside() {
        let hole = square(20.0, 0.0, 5.0).exterior().clone();
        let ring = Polygon::new(square(0.0, 0.0, 40.0).exterior().clone(), vec![hole]);
        let over = square(180.0, 10.0, 30.0);
        let (mut n, mut n_told) = (0, 0);
        for area in [
            Geometry::Polygon(ring),
            square(0.0, 0.0, 40.0).into(),
            over.into(),
            Point::new(3.0, 3.0).into(),
        ] {
            let area = Area::new(footprint(area));
            let mut sieve = Sieve::new(&area);
            for x in (-360..=360).step_by(3) {
                for y in (-60..=60).step_by(3) {
                    let slanted = Polygon::new(
                        LineString::from(vec![(0.0, 1.0), (1.4, 0.0), (0.0, -1.0), (-1.4, 0.0)]),
                        Vec::new(),
                    );
                    let shape = slanted.translate(f64::from(x) + 0.7, f64::from(y) + 0.7);
                    let other = footprint(shape);
                    let told = sieve.meets_box(&other.bounds());
                    let meets = area.meets(&other);
                    assert!(told.is_none_or(|told| told == meets), "{told:?} {other:?}");
                    n += 1;
                    n_told += usize::from(told.is_some());
                }
            }
        }
        assert!(n_told > n * 97 / 100, "{n_told} of {n}");
    }
}
