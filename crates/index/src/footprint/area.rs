//! An area that many footprints are compared with.
//!
//! Two shapes meet when an edge of one comes close to an edge of the other, or
//! else when one lies within the other, which one point of each tells. The
//! edges of the area are in an R-tree, so that the outline of a country costs
//! little more than a box.

use geo::{Distance, Euclidean, Intersects};
use geo_types::{Coord, Geometry, Line, LineString, Point};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::{Footprint, LonLatBox};

/// An area, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    footprint: Footprint,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
struct Part {
    shape: Geometry<f64>,
    bounds: LonLatBox,
    edges: Vec<Line<f64>>,
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
    /// A box well inside, if one was found.
    inside: Option<LonLatBox>,
}

impl Area {
    /// The area that a footprint covers.
    pub(crate) fn new(footprint: Footprint) -> Self {
        let part = |shape: &Geometry<f64>| {
            let edges = edges(shape);
            let boxed = edges.iter().enumerate().map(|(i, edge)| {
                let ends = ([edge.start.x, edge.start.y], [edge.end.x, edge.end.y]);
                GeomWithData::new(Rectangle::from_corners(ends.0, ends.1), i)
            });
            let tree = RTree::bulk_load(boxed.collect());
            let bounds = LonLatBox::of(shape)?;
            let mut part = Part {
                shape: shape.clone(),
                bounds,
                edges,
                tree,
                inside: None,
            };
            part.inside = part.find_inside();
            Some(part)
        };
        let parts = footprint.parts.iter().filter_map(part).collect();
        Area { footprint, parts }
    }

    /// The same as a footprint.
    pub(crate) fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// Whether the two share a point, or nearly do.
    pub(crate) fn meets(&self, footprint: &Footprint) -> bool {
        footprint.parts.iter().any(|shape| {
            let Some(bounds) = LonLatBox::of(shape) else {
                return false;
            };
            self.parts.iter().any(|part| part.meets(shape, &bounds))
        })
    }

    /// Whether footprints with this box around them meet the area; `None` where the box
    /// alone does not tell.
    pub(crate) fn meets_box(&self, bounds: &LonLatBox) -> Option<bool> {
        let mut is_sure = true;
        for part in &self.parts {
            match part.meets_box(bounds) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_sure = false,
            }
        }
        is_sure.then_some(false)
    }
}

/// How much of its width and height a box keeps in the search for one that is inside.
const SHRUNK: [f64; 8] = [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.35, 0.2];

impl Part {
    /// The largest box around the middle, of a few sizes, that no edge comes near.
    fn find_inside(&self) -> Option<LonLatBox> {
        let b = &self.bounds;
        let (x, y) = ((b.west + b.east) / 2.0, (b.south + b.north) / 2.0);
        if !self.shape.intersects(&Point::new(x, y)) {
            return None;
        }
        let mut shrunk = SHRUNK.iter().map(|share| {
            let (dx, dy) = (share * (b.east - x), share * (b.north - y));
            LonLatBox {
                west: x - dx,
                south: y - dy,
                east: x + dx,
                north: y + dy,
            }
        });
        shrunk.find(|b| !self.has_edge_near(&b.grown(b.tolerance())))
    }

    fn has_edge_near(&self, near: &LonLatBox) -> bool {
        let envelope = AABB::from_corners([near.west, near.south], [near.east, near.north]);
        let mut edges = self.tree.locate_in_envelope_intersecting(&envelope);
        edges.next().is_some()
    }

    /// As [`Area::meets_box`]. Where no edge comes near the box, all of it is inside or
    /// all of it outside; where one does, a side that is all inside tells too.
    fn meets_box(&self, bounds: &LonLatBox) -> Option<bool> {
        let tolerance = bounds.tolerance().max(self.bounds.tolerance());
        let near = bounds.grown(tolerance);
        let shifts = [0.0, 360.0, -360.0];
        let shifts = shifts
            .into_iter()
            .filter(|shift| near.meets(&self.bounds, *shift));
        let mut is_sure = true;
        for shift in shifts {
            let moved = LonLatBox {
                west: near.west + shift,
                east: near.east + shift,
                ..near
            };
            let contains = |other: &LonLatBox| {
                other.west <= moved.west
                    && other.east >= moved.east
                    && other.south <= moved.south
                    && other.north >= moved.north
            };
            if self.inside.as_ref().is_some_and(contains) {
                return Some(true);
            }
            if self.has_edge_near(&moved) {
                if self.has_a_side(bounds, shift, tolerance) {
                    return Some(true);
                }
                is_sure = false;
            } else if self.shape.intersects(&Point::new(moved.west, moved.south)) {
                return Some(true);
            }
        }
        is_sure.then_some(false)
    }

    /// Whether all of a side of a box is inside: what the box is around has a point on
    /// each side.
    fn has_a_side(&self, b: &LonLatBox, shift: f64, tolerance: f64) -> bool {
        let (west, east) = (b.west + shift, b.east + shift);
        let sides = [
            (west, west, b.south, b.north),
            (east, east, b.south, b.north),
            (west, east, b.south, b.south),
            (west, east, b.north, b.north),
        ];
        sides.into_iter().any(|(west, east, south, north)| {
            let side = LonLatBox {
                west,
                south,
                east,
                north,
            };
            !self.has_edge_near(&side.grown(tolerance))
                && self.shape.intersects(&Point::new(west, south))
        })
    }

    fn meets(&self, shape: &Geometry<f64>, bounds: &LonLatBox) -> bool {
        let tolerance = self.bounds.tolerance().min(bounds.tolerance());
        let near = bounds.grown(tolerance);
        let shifts = [0.0, 360.0, -360.0];
        shifts
            .into_iter()
            .filter(|shift| near.meets(&self.bounds, *shift))
            .any(|shift| {
                self.edges_meet(shape, shift, tolerance) || self.one_is_within(shape, shift)
            })
    }

    fn edges_meet(&self, shape: &Geometry<f64>, shift: f64, tolerance: f64) -> bool {
        edges(shape).into_iter().any(|edge| {
            let moved = |c: Coord<f64>| Coord {
                x: c.x + shift,
                y: c.y,
            };
            let edge = Line::new(moved(edge.start), moved(edge.end));
            let low = [
                edge.start.x.min(edge.end.x) - tolerance,
                edge.start.y.min(edge.end.y) - tolerance,
            ];
            let high = [
                edge.start.x.max(edge.end.x) + tolerance,
                edge.start.y.max(edge.end.y) + tolerance,
            ];
            self.tree
                .locate_in_envelope_intersecting(&AABB::from_corners(low, high))
                .any(|near| Euclidean.distance(&self.edges[near.data], &edge) <= tolerance)
        })
    }

    /// Whether one lies within the other, given that no edges meet.
    fn one_is_within(&self, shape: &Geometry<f64>, shift: f64) -> bool {
        let within = |a: Option<Point<f64>>, shift: f64, b: &Geometry<f64>| {
            a.is_some_and(|a| b.intersects(&Point::new(a.x() + shift, a.y())))
        };
        within(first_point(shape), shift, &self.shape)
            || within(first_point(&self.shape), -shift, shape)
    }
}

/// Every edge; a point is one without length.
fn edges(shape: &Geometry<f64>) -> Vec<Line<f64>> {
    let of_line = |line: &LineString<f64>| -> Vec<Line<f64>> {
        match line.0.as_slice() {
            [only] => vec![Line::new(*only, *only)],
            _ => line.lines().collect(),
        }
    };
    match shape {
        Geometry::Point(point) => vec![Line::new(point.0, point.0)],
        Geometry::LineString(line) => of_line(line),
        Geometry::Polygon(polygon) => {
            let rings = std::iter::once(polygon.exterior()).chain(polygon.interiors());
            rings.flat_map(of_line).collect()
        }
        other => unreachable!("a footprint has no part like {other:?}"),
    }
}

fn first_point(shape: &Geometry<f64>) -> Option<Point<f64>> {
    match shape {
        Geometry::Point(point) => Some(*point),
        Geometry::LineString(line) => line.0.first().map(|c| Point(*c)),
        Geometry::Polygon(polygon) => polygon.exterior().0.first().map(|c| Point(*c)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use geo::Translate;
    use geo_types::{MultiPolygon, Polygon, Rect};

    use super::super::Projector;
    use super::*;

    fn footprint(shape: impl Into<Geometry<f64>>) -> Footprint {
        Footprint::build(&shape.into(), &Projector::LonLat).expect("points")
    }

    fn square(x: f64, y: f64, half: f64) -> Polygon<f64> {
        Rect::new((x - half, y - half), (x + half, y + half)).to_polygon()
    }

    fn check(a: impl Into<Geometry<f64>>, b: impl Into<Geometry<f64>>, meet: bool) {
        let (a, b) = (footprint(a), footprint(b));
        assert_eq!(Area::new(a.clone()).meets(&b), meet, "{a:?} {b:?}");
        assert_eq!(Area::new(b.clone()).meets(&a), meet, "{b:?} {a:?}");
    }

    #[test]
    fn shapes_meet_at_edges_or_within_each_other() {
        check(square(0.0, 0.0, 2.0), square(1.0, 1.0, 2.0), true);
        check(square(0.0, 0.0, 2.0), square(0.0, 0.0, 1.0), true);
        check(square(0.0, 0.0, 2.0), square(4.0, 0.0, 2.0), true);
        check(square(0.0, 0.0, 2.0), square(4.1, 0.0, 2.0), false);
        check(square(0.0, 0.0, 2.0), Point::new(1.0, 1.0), true);
        check(square(0.0, 0.0, 2.0), Point::new(2.0, 1.0), true);
        check(square(0.0, 0.0, 2.0), Point::new(3.0, 1.0), false);
        check(Point::new(3.0, 1.0), Point::new(3.0, 1.0), true);
        check(Point::new(3.0, 1.0), Point::new(3.0, 1.1), false);
        let line = |a, b| LineString::from(vec![a, b]);
        check(
            line((0.0, 0.0), (2.0, 2.0)),
            line((0.0, 2.0), (2.0, 0.0)),
            true,
        );
        check(
            line((0.0, 0.0), (2.0, 2.0)),
            line((0.0, 2.0), (0.9, 1.1)),
            false,
        );
        check(line((-9.0, 0.1), (9.0, 0.2)), square(0.0, 0.0, 2.0), true);
        check(line((-1.0, 0.1), (1.0, 0.2)), square(0.0, 0.0, 2.0), true);
        // A square of no size is a point.
        check(square(0.0, 0.0, 0.0), square(0.0, 0.0, 2.0), true);
        check(square(3.0, 0.0, 0.0), square(0.0, 0.0, 2.0), false);
    }

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
            for x in (-360..=360).step_by(3) {
                for y in (-60..=60).step_by(3) {
                    let slanted = Polygon::new(
                        LineString::from(vec![(0.0, 1.0), (1.4, 0.0), (0.0, -1.0), (-1.4, 0.0)]),
                        Vec::new(),
                    );
                    let shape = slanted.translate(f64::from(x) + 0.7, f64::from(y) + 0.7);
                    let other = footprint(shape);
                    let told = area.meets_box(&other.bounds());
                    let meets = area.meets(&other);
                    assert!(told.is_none_or(|told| told == meets), "{told:?} {other:?}");
                    n += 1;
                    n_told += usize::from(told.is_some());
                }
            }
        }
        assert!(n_told > n * 97 / 100, "{n_told} of {n}");
    }

    #[test]
    fn a_hole_is_not_part_of_it() {
        let hole = square(0.0, 0.0, 5.0).exterior().clone();
        let ring = Polygon::new(square(0.0, 0.0, 9.0).exterior().clone(), vec![hole]);
        check(ring.clone(), square(0.0, 0.0, 4.0), false);
        check(ring.clone(), square(0.0, 0.0, 6.0), true);
        check(ring.clone(), square(0.0, 0.0, 20.0), true);
        check(
            ring,
            MultiPolygon(vec![square(0.0, 0.0, 4.0), square(7.0, 0.0, 1.0)]),
            true,
        );
    }

    #[test]
    fn an_outline_of_many_edges() {
        let circle = |radius: f64, n: u32| {
            let points = (0..n).map(|i| f64::from(i) * std::f64::consts::TAU / f64::from(n));
            let ring = points
                .map(|t| (radius * t.cos(), radius * t.sin()))
                .collect();
            Polygon::new(ring, Vec::new())
        };
        let country = circle(20.0, 20_000);
        check(country.clone(), square(0.0, 0.0, 1.0), true);
        check(country.clone(), square(19.5, 0.0, 1.0), true);
        check(country.clone(), square(16.0, 16.0, 1.0), false);
        check(country, circle(30.0, 5000), true);
    }
}
