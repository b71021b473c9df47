//! An area that many footprints are compared with.
//!
//! Two shapes meet when an edge of one comes close to an edge of the other, or
//! else when one lies within the other, which one point of each tells. The
//! edges of the area are in an R-tree, so that the outline of a country costs
//! little more than a box. Boxes of very many footprints: [`super::sieve`].

use geo::{Distance, Euclidean, Intersects};
use geo_types::{Coord, Geometry, Line, LineString, Point};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::{Footprint, LonLatBox};

/// An area, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    footprint: Footprint,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) shape: Geometry<f64>,
    pub(super) bounds: LonLatBox,
    edges: Vec<Line<f64>>,
    tree: RTree<GeomWithData<Rectangle<[f64; 2]>, usize>>,
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
            Some(Part {
                shape: shape.clone(),
                bounds,
                edges,
                tree,
            })
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
}

impl Part {
    /// Whether an edge comes near a box, whose edges are those of longitude and latitude.
    pub(super) fn has_edge_near(&self, near: &LonLatBox) -> bool {
        let envelope = AABB::from_corners([near.west, near.south], [near.east, near.north]);
        let mut edges = self.tree.locate_in_envelope_intersecting(&envelope);
        edges.next().is_some()
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
    use geo_types::{MultiPolygon, Polygon};

    use super::super::kit::{footprint, square};
    use super::*;

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
