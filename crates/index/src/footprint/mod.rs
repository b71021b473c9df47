//! Where something lies on the earth, in longitude and latitude.
//!
//! A footprint is kept *unwrapped*: the longitudes along an edge run on without
//! a jump, so a shape that crosses the antimeridian reaches from 170 to 190
//! degrees, and one around a pole is 360 degrees wide. Two footprints are
//! compared in all positions that differ by a whole turn, which makes the
//! antimeridian a meridian like any other.
//!
//! Comparing is on the plane of longitude and latitude, with [`TOLERANCE_DEG`]
//! to make up for curved edges having been drawn with finitely many points:
//! what truly meets is never missed.

mod area;
mod build;
mod sieve;
mod source;
mod wkb;

use datacube_geo::BoundingBox;
use geo::{BoundingRect, Translate};
use geo_types::{Geometry, Polygon};

pub(crate) use area::Area;
pub(crate) use build::{BuildError, Projector};
pub(crate) use sieve::Sieve;

/// How far a drawn edge may be from the true one, in degrees on the ground (about 11 m).
const EDGE_DEG: f64 = 1e-4;

/// Gaps up to this count as touching, in degrees on the ground.
const TOLERANCE_DEG: f64 = 1.1e-4;

/// The part of the earth that a dataset or a query covers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Footprint {
    /// Points, lines and polygons; the western end of each in [-180, 180).
    parts: Vec<Geometry<f64>>,
}

/// West, south, east and north in degrees; `east` may be beyond 180.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LonLatBox {
    pub(crate) west: f64,
    pub(crate) south: f64,
    pub(crate) east: f64,
    pub(crate) north: f64,
}

impl From<BoundingBox> for LonLatBox {
    fn from(bounds: BoundingBox) -> Self {
        LonLatBox {
            west: bounds.left,
            south: bounds.bottom,
            east: bounds.right,
            north: bounds.top,
        }
    }
}

impl LonLatBox {
    fn of(part: &Geometry<f64>) -> Option<Self> {
        let rect = part.bounding_rect()?;
        Some(LonLatBox {
            west: rect.min().x,
            south: rect.min().y,
            east: rect.max().x,
            north: rect.max().y,
        })
    }

    /// How far two shapes in these latitudes may be apart, in degrees of the plane.
    ///
    /// A degree of longitude is short near the poles, so an error of so many
    /// metres is more degrees there.
    fn tolerance(&self) -> f64 {
        let latitude = self.south.abs().max(self.north.abs()).min(89.5);
        TOLERANCE_DEG / latitude.to_radians().cos()
    }

    fn grown(&self, by: f64) -> Self {
        LonLatBox {
            west: self.west - by,
            south: self.south - by,
            east: self.east + by,
            north: self.north + by,
        }
    }

    fn meets(&self, other: &Self, shift: f64) -> bool {
        self.west + shift <= other.east
            && self.east + shift >= other.west
            && self.south <= other.north
            && self.north >= other.south
    }

    /// The same as one box or two within [-180, 180].
    pub(crate) fn wrapped(&self) -> Vec<LonLatBox> {
        if self.east - self.west >= 360.0 {
            return vec![LonLatBox {
                west: -180.0,
                east: 180.0,
                ..*self
            }];
        }
        let turn = ((self.west + 180.0) / 360.0).floor() * 360.0;
        let (west, east) = (self.west - turn, self.east - turn);
        if east <= 180.0 {
            return vec![LonLatBox {
                west,
                east,
                ..*self
            }];
        }
        vec![
            LonLatBox {
                west,
                east: 180.0,
                ..*self
            },
            LonLatBox {
                west: -180.0,
                east: east - 360.0,
                ..*self
            },
        ]
    }
}

impl Footprint {
    /// A footprint from shapes that are unwrapped already; `None` for nothing.
    fn new(parts: Vec<Geometry<f64>>) -> Option<Self> {
        let parts: Vec<_> = parts
            .into_iter()
            .filter_map(|part| {
                let west = LonLatBox::of(&part)?.west;
                let turns = -((west + 180.0) / 360.0).floor() * 360.0;
                Some(if turns == 0.0 {
                    part
                } else {
                    part.translate(turns, 0.0)
                })
            })
            .collect();
        if parts.is_empty() {
            None
        } else {
            Some(Footprint { parts })
        }
    }

    /// The shapes.
    pub(crate) fn parts(&self) -> &[Geometry<f64>] {
        &self.parts
    }

    /// The smallest box around everything; the western end in [-180, 180).
    ///
    /// For a footprint of several parts it is the narrowest one, which may
    /// cross the antimeridian.
    pub(crate) fn bounds(&self) -> LonLatBox {
        let mut boxes: Vec<LonLatBox> = self.parts.iter().filter_map(LonLatBox::of).collect();
        boxes.sort_by(|a, b| a.west.total_cmp(&b.west));
        let south = boxes.iter().map(|b| b.south).fold(f64::INFINITY, f64::min);
        let north = boxes
            .iter()
            .map(|b| b.north)
            .fold(f64::NEG_INFINITY, f64::max);
        // Begin at each part in turn and go east around the earth.
        let from = |first: usize| {
            let west = boxes[first].west;
            let east = boxes
                .iter()
                .map(|b| {
                    if b.west < west {
                        b.east + 360.0
                    } else {
                        b.east
                    }
                })
                .fold(west, f64::max);
            LonLatBox {
                west,
                south,
                east,
                north,
            }
        };
        let narrowest = (0..boxes.len())
            .map(from)
            .min_by(|a, b| (a.east - a.west).total_cmp(&(b.east - b.west)));
        narrowest.expect("a footprint has at least one part with points")
    }

    /// Boxes within [-180, 180] that together hold every part.
    pub(crate) fn boxes(&self) -> Vec<LonLatBox> {
        self.bounds().wrapped()
    }

    /// Boxes within [-180, 180] for every part, grown by the tolerance: what
    /// may meet this footprint meets one of them.
    pub(crate) fn search_boxes(&self) -> Vec<LonLatBox> {
        self.parts
            .iter()
            .filter_map(LonLatBox::of)
            .flat_map(|bounds| bounds.grown(bounds.grown(0.01).tolerance()).wrapped())
            .collect()
    }

    /// As [`Footprint::search_boxes`] around everything: one box or two.
    pub(crate) fn search_bounds(&self) -> Vec<LonLatBox> {
        let bounds = self.bounds();
        bounds.grown(bounds.grown(0.01).tolerance()).wrapped()
    }
}

fn rectangle(bounds: LonLatBox) -> Polygon<f64> {
    let LonLatBox {
        west,
        south,
        east,
        north,
    } = bounds;
    geo_types::Rect::new((west, south), (east, north)).to_polygon()
}

#[cfg(test)]
mod kit {
    //! Footprints for tests.

    use geo_types::{Geometry, Polygon, Rect};

    use super::{Footprint, Projector};

    pub(super) fn footprint(shape: impl Into<Geometry<f64>>) -> Footprint {
        Footprint::build(&shape.into(), &Projector::LonLat).expect("points")
    }

    pub(super) fn square(x: f64, y: f64, half: f64) -> Polygon<f64> {
        Rect::new((x - half, y - half), (x + half, y + half)).to_polygon()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn box_of(west: f64, south: f64, east: f64, north: f64) -> Footprint {
        let polygon = rectangle(LonLatBox {
            west,
            south,
            east,
            north,
        });
        Footprint::new(vec![polygon.into()]).expect("it has points")
    }

    fn check(a: [f64; 4], b: [f64; 4], meet: bool) {
        let (fa, fb) = (
            box_of(a[0], a[1], a[2], a[3]),
            box_of(b[0], b[1], b[2], b[3]),
        );
        assert_eq!(Area::new(fa.clone()).meets(&fb), meet, "{a:?} {b:?}");
        assert_eq!(Area::new(fb.clone()).meets(&fa), meet, "{b:?} {a:?}");
        let candidates = fa
            .search_boxes()
            .iter()
            .any(|query| fb.boxes().iter().any(|stored| query.meets(stored, 0.0)));
        assert!(candidates || !meet, "not a candidate: {a:?} {b:?}");
    }

    #[test]
    fn the_antimeridian_is_a_meridian_like_any_other() {
        check([170.0, 0.0, 190.0, 10.0], [-175.0, 5.0, -172.0, 6.0], true);
        check([170.0, 0.0, 190.0, 10.0], [-169.0, 5.0, -160.0, 6.0], false);
        check([170.0, 0.0, 180.0, 10.0], [-180.0, 5.0, -172.0, 6.0], true);
        check([170.0, 0.0, 190.0, 10.0], [175.0, 5.0, 200.0, 6.0], true);
        check([200.0, 0.0, 210.0, 10.0], [-160.0, 5.0, -155.0, 6.0], true);
        check([-180.0, -90.0, 180.0, 90.0], [179.0, 5.0, 181.0, 6.0], true);
        check([-190.0, 0.0, -170.0, 1.0], [170.0, 0.5, 171.0, 1.0], true);
        check([-191.0, 0.0, -170.0, 1.0], [168.0, 0.5, 169.5, 1.0], true);
        check([-190.0, 0.0, -170.0, 1.0], [0.0, 0.5, 1.0, 1.0], false);
        check([-10.0, 60.0, 350.0, 90.0], [-20.0, 70.0, -15.0, 75.0], true);
        check([0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0], true);
        check([0.0, 0.0, 1.0, 1.0], [1.001, 0.0, 2.0, 2.0], false);
    }

    #[test]
    fn a_box_is_wrapped_into_one_turn() {
        let wrapped = |west, east| -> Vec<(f64, f64)> {
            let bounds = LonLatBox {
                west,
                east,
                south: 0.0,
                north: 1.0,
            };
            bounds.wrapped().iter().map(|b| (b.west, b.east)).collect()
        };
        assert_eq!(wrapped(10.0, 20.0), [(10.0, 20.0)]);
        assert_eq!(wrapped(170.0, 190.0), [(170.0, 180.0), (-180.0, -170.0)]);
        assert_eq!(wrapped(370.0, 380.0), [(10.0, 20.0)]);
        assert_eq!(wrapped(-200.0, -190.0), [(160.0, 170.0)]);
        assert_eq!(wrapped(-200.0, 170.0), [(-180.0, 180.0)]);
    }

    #[test]
    fn bounds_of_several_parts_are_the_narrowest() {
        let part = |west, east| {
            Geometry::from(rectangle(LonLatBox {
                west,
                south: 0.0,
                east,
                north: 1.0,
            }))
        };
        let split = Footprint::new(vec![part(170.0, 180.0), part(-180.0, -175.0)]).expect("points");
        let bounds = split.bounds();
        assert_eq!((bounds.west, bounds.east), (170.0, 185.0));
        let apart = Footprint::new(vec![part(-10.0, -5.0), part(20.0, 30.0)]).expect("points");
        assert_eq!((apart.bounds().west, apart.bounds().east), (-10.0, 30.0));
    }
}
