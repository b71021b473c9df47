//! Shapes from one CRS to another.
//!
//! A straight edge is a curve after projection, so edges are cut into short
//! ones first. Towards longitude and latitude, neighbouring points that jump
//! over the antimeridian are put next to each other again, and a polygon around
//! a pole is closed along it.

use super::Geometry;
use super::lonlat;
use crate::{BoundingBox, Crs, CrsTransform, Error, Result, Xy};
use geo::CoordsIter;
use geo_types::{Coord, GeometryCollection, LineString, MultiPoint, Point, Polygon};

/// Pieces that the longer side of a shape is cut into, where nothing is said.
/// GeoBox footprints of odc-geo have as many.
const PIECES: f64 = 100.0;

impl Geometry {
    /// The shape with points added so that no edge is longer than
    /// `max_segment` CRS units. Points stay as they are, and so does all when
    /// `max_segment` is not a positive number.
    #[must_use]
    pub fn densify(&self, max_segment: f64) -> Self {
        if !(max_segment > 0.0 && max_segment.is_finite()) {
            return self.clone();
        }
        let shape = map_lines(self.geo(), &|line| densify_line(line, max_segment));
        Self::of(shape, self.crs().cloned())
    }

    /// The shape in another CRS, edges densified first.
    ///
    /// `max_segment` is the longest edge to leave, in units of the present CRS;
    /// `None` takes a hundredth of the longer side of the bounding box, and
    /// infinity leaves the edges alone. In a geographic CRS the result is in
    /// one piece: over the antimeridian it goes on past 180, around a pole it
    /// spans -180 to 180 and reaches the pole. The same CRS gives the shape
    /// back as it is.
    ///
    /// # Errors
    /// [`Error::MissingCrs`] in pixel coordinates; [`Error::NoTransform`];
    /// [`Error::PointsOutsideProjection`] when a point does not project (see
    /// [`Geometry::to_crs_lossy`]).
    pub fn to_crs(&self, crs: &Crs, max_segment: Option<f64>) -> Result<Self> {
        self.project(crs, max_segment, false)
    }

    /// As [`Geometry::to_crs`], but points that do not project are left out. A
    /// ring that has less than three points left disappears; the rest is an
    /// approximation of the part that can be shown.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn to_crs_lossy(&self, crs: &Crs, max_segment: Option<f64>) -> Result<Self> {
        self.project(crs, max_segment, true)
    }

    /// The box in another CRS around the shape and all that lies in it; `None` where
    /// nothing of it projects.
    ///
    /// A projected outline does not bound what it encloses where the shape holds a
    /// pole or lies over the antimeridian. There the shape is cut along both first,
    /// so the box reaches them. Points that do not project are left out.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn bounds_in(&self, crs: &Crs) -> Result<Option<BoundingBox>> {
        let outline = self.to_crs_lossy(crs, None)?.bounding_box();
        if crs.is_geographic() || self.crs() == Some(crs) {
            return Ok(outline);
        }
        let bounds = self.lonlat_bounds()?;
        let is_plain = |b: BoundingBox| b.span_x() < 360.0 && b.right <= 180.0;
        if bounds.is_none_or(is_plain) {
            return Ok(outline);
        }
        let cut = self.to_lonlat()?.split_antimeridian()?;
        let inside = cut.to_crs_lossy(crs, None)?.bounding_box();
        Ok(match (outline, inside) {
            (Some(outline), Some(inside)) => Some(outline.union(&inside)),
            (outline, inside) => outline.or(inside),
        })
    }

    fn project(&self, crs: &Crs, max_segment: Option<f64>, lossy: bool) -> Result<Self> {
        let Some(own) = self.crs() else {
            return Err(Error::MissingCrs {
                action: "project a geometry",
            });
        };
        if own == crs {
            return Ok(self.clone());
        }
        let transform = CrsTransform::new(own, crs)?;
        let max_segment = max_segment.unwrap_or_else(|| {
            self.bounding_box()
                .map_or(0.0, |b| b.span_x().max(b.span_y()) / PIECES)
        });
        let dense = self.densify(max_segment);
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) =
            dense.geo().coords_iter().map(|c| (c.x, c.y)).unzip();
        transform.transform(&mut xs, &mut ys)?;
        if !lossy {
            check(&dense, &xs, &transform)?;
        }
        let mut points = xs.into_iter().zip(ys).map(|(x, y)| Coord { x, y });
        let mut next = |n: usize| -> Vec<Coord<f64>> {
            points.by_ref().take(n).filter(|c| !c.x.is_nan()).collect()
        };
        let shape = rebuild(dense.geo(), &mut next);
        let shape = if crs.is_geographic() {
            lonlat::unwrap(&shape, &|p| self.has_pole(&transform, p))
        } else {
            shape
        };
        Ok(Self::of(shape, Some(crs.clone())))
    }

    /// Whether the pole at latitude `lat` lies inside, seen in our own CRS.
    fn has_pole(&self, transform: &CrsTransform, lat: f64) -> bool {
        use geo::Intersects;
        transform
            .inverse()
            .point(Xy::new(0.0, lat))
            .ok()
            .flatten()
            .is_some_and(|p| self.geo().intersects(&Point::new(p.x, p.y)))
    }
}

fn check(shape: &Geometry, xs: &[f64], transform: &CrsTransform) -> Result<()> {
    let failed = xs.iter().filter(|x| x.is_nan()).count();
    if failed == 0 {
        return Ok(());
    }
    let first = shape
        .geo()
        .coords_iter()
        .zip(xs)
        .find(|(_, x)| x.is_nan())
        .map_or((f64::NAN, f64::NAN), |(c, _)| (c.x, c.y));
    Err(Error::PointsOutsideProjection {
        failed,
        total: xs.len(),
        x: first.0,
        y: first.1,
        from: transform.from().to_string(),
        to: transform.to().to_string(),
    })
}

/// The same kind of shape with every line mapped.
pub(super) fn map_lines(
    shape: &geo_types::Geometry<f64>,
    f: &dyn Fn(&LineString<f64>) -> LineString<f64>,
) -> geo_types::Geometry<f64> {
    use geo_types::Geometry as G;
    let polygon =
        |p: &Polygon<f64>| Polygon::new(f(p.exterior()), p.interiors().iter().map(f).collect());
    match shape {
        G::Point(_) | G::MultiPoint(_) => shape.clone(),
        G::Line(l) => G::LineString(f(&(*l).into())),
        G::LineString(l) => G::LineString(f(l)),
        G::MultiLineString(m) => G::MultiLineString(m.0.iter().map(f).collect()),
        G::Polygon(p) => G::Polygon(polygon(p)),
        G::MultiPolygon(m) => G::MultiPolygon(m.0.iter().map(polygon).collect()),
        G::Rect(r) => G::Polygon(polygon(&r.to_polygon())),
        G::Triangle(t) => G::Polygon(polygon(&t.to_polygon())),
        G::GeometryCollection(c) => G::GeometryCollection(GeometryCollection::new_from(
            c.0.iter().map(|g| map_lines(g, f)).collect(),
        )),
    }
}

/// Cuts edges into equal pieces; the ends stay exactly where they were.
fn densify_line(line: &LineString<f64>, max_segment: f64) -> LineString<f64> {
    let mut out = Vec::with_capacity(line.0.len());
    out.extend(line.0.first().copied());
    for edge in line.lines() {
        let (a, b) = (edge.start, edge.end);
        let pieces = ((b.x - a.x).hypot(b.y - a.y) / max_segment).ceil();
        // A million points on one edge are a mistake of units, not precision.
        let pieces = pieces.clamp(1.0, 1e6);
        let mut i = 1.0;
        while i < pieces {
            let t = i / pieces;
            out.push(Coord {
                x: a.x + (b.x - a.x) * t,
                y: a.y + (b.y - a.y) * t,
            });
            i += 1.0;
        }
        out.push(b);
    }
    LineString::new(out)
}

/// The same kind of shape with the points of `next`, which gives those that are
/// left of the next `n`. Rings and lines without enough points are left out.
fn rebuild(
    shape: &geo_types::Geometry<f64>,
    next: &mut dyn FnMut(usize) -> Vec<Coord<f64>>,
) -> geo_types::Geometry<f64> {
    use geo_types::Geometry as G;
    match shape {
        G::Point(_) => match next(1).first() {
            Some(c) => G::Point(Point(*c)),
            None => G::MultiPoint(MultiPoint::new(Vec::new())),
        },
        G::MultiPoint(m) => G::MultiPoint(next(m.0.len()).into_iter().map(Point).collect()),
        G::LineString(l) => G::LineString(rebuild_line(l, next).unwrap_or_else(no_line)),
        G::MultiLineString(m) => {
            G::MultiLineString(m.0.iter().filter_map(|l| rebuild_line(l, next)).collect())
        }
        G::Polygon(p) => {
            G::Polygon(rebuild_polygon(p, next).unwrap_or_else(|| Polygon::new(no_line(), vec![])))
        }
        G::MultiPolygon(m) => G::MultiPolygon(
            m.0.iter()
                .filter_map(|p| rebuild_polygon(p, next))
                .collect(),
        ),
        G::GeometryCollection(c) => G::GeometryCollection(GeometryCollection::new_from(
            c.0.iter().map(|g| rebuild(g, next)).collect(),
        )),
        G::Line(_) | G::Rect(_) | G::Triangle(_) => {
            unreachable!("a Geometry has these as lines and polygons")
        }
    }
}

fn no_line() -> LineString<f64> {
    LineString::new(Vec::new())
}

fn rebuild_line(
    line: &LineString<f64>,
    next: &mut dyn FnMut(usize) -> Vec<Coord<f64>>,
) -> Option<LineString<f64>> {
    let points = next(line.0.len());
    (points.len() >= 2).then(|| LineString::new(points))
}

fn rebuild_polygon(
    polygon: &Polygon<f64>,
    next: &mut dyn FnMut(usize) -> Vec<Coord<f64>>,
) -> Option<Polygon<f64>> {
    let ring = |line: &LineString<f64>, next: &mut dyn FnMut(usize) -> Vec<Coord<f64>>| {
        let mut points = next(line.0.len());
        if points.first() != points.last() {
            points.extend(points.first().copied());
        }
        (points.len() >= 4).then(|| LineString::new(points))
    };
    let exterior = ring(polygon.exterior(), next);
    let interiors: Vec<_> = polygon
        .interiors()
        .iter()
        .filter_map(|r| ring(r, next))
        .collect();
    exterior.map(|e| Polygon::new(e, interiors))
}
