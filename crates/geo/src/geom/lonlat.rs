//! Longitude and latitude: keeping shapes in one piece over the antimeridian
//! and around the poles.
//!
//! Longitudes from PROJ are between -180 and 180, so a small shape at the
//! antimeridian comes back as one that spans the world. Neighbouring points of
//! a densified edge are never half a world apart; where they seem to be, the
//! line went over the antimeridian, and the rest of it is moved by a full turn.
//! A ring that is a full turn away from itself at its end went around a pole.
//!
//! What was longitude and latitude from the start is taken at its word: there a
//! long edge is a long edge. Only the parts of a shape that was cut at the
//! antimeridian (RFC 7946) are put together again.

use super::Geometry;
use super::project::map_lines;
use crate::{BoundingBox, Crs, Error, Result, Xy};
use geo::{BoundingRect, MapCoords};
use geo_types::{Coord, GeometryCollection, LineString, Point, Polygon};

/// Longitudes this close to the antimeridian are on it.
const ON_ANTIMERIDIAN: f64 = 1e-6;

impl Geometry {
    /// The shape in EPSG:4326, in one piece (see [`Geometry::to_crs`]); points
    /// that have no longitude are left out. A geographic CRS of another datum
    /// is converted too.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn to_lonlat(&self) -> Result<Self> {
        self.to_crs_lossy(&Crs::wgs84(), None)
    }

    /// The range of longitude and latitude; `None` when there is none.
    ///
    /// `left` is between -180 and 180. Over the antimeridian `right` goes past
    /// 180, up to 540, so that `left <= right`, the width is that of the shape,
    /// and [`BoundingBox::intersects_lonlat`] compares two of them. Around a
    /// pole it is -180 to 180 and reaches the pole. Coordinates of a geographic
    /// CRS are taken as they are, whatever its datum.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn lonlat_bounds(&self) -> Result<Option<BoundingBox>> {
        let Some(crs) = self.crs() else {
            return Err(Error::MissingCrs {
                action: "tell the longitudes of a geometry",
            });
        };
        let lonlat;
        let shape = if crs.is_geographic() {
            align_parts(self.geo())
        } else {
            lonlat = self.to_lonlat()?;
            lonlat.geo().clone()
        };
        let Some(rect) = shape.bounding_rect() else {
            return Ok(None);
        };
        let (left, right) = (rect.min().x, rect.max().x);
        let (bottom, top) = (rect.min().y, rect.max().y);
        if right - left >= 360.0 - ON_ANTIMERIDIAN {
            return Ok(Some(BoundingBox::new(-180.0, bottom, 180.0, top)));
        }
        let shift = shift_into_world(left);
        Ok(Some(BoundingBox::new(
            left + shift,
            bottom,
            right + shift,
            top,
        )))
    }

    /// The longitude that stands for the shape, -180 to 180: the middle of its
    /// range of longitudes, which is what ODC's solar day goes by, or the
    /// longitude of the centroid where the range is the whole world. `None`
    /// when empty.
    ///
    /// # Errors
    /// As [`Geometry::lonlat_bounds`].
    ///
    /// # Source
    /// datacube-core, `datacube/api/query.py`, `solar_day`. DIFFERENCE: a shape
    /// over the antimeridian has its middle there and not at longitude 0.
    pub fn mid_longitude(&self) -> Result<Option<f64>> {
        let Some(bounds) = self.lonlat_bounds()? else {
            return Ok(None);
        };
        let mut lon = bounds.center().x;
        if bounds.span_x() >= 360.0
            && let (Some(c), Some(crs)) = (self.centroid(), self.crs())
        {
            let centroid = Self::point(c, Some(crs.clone()))?.to_lonlat()?;
            lon = centroid.bounding_box().map_or(lon, |b| b.left);
        }
        Ok(Some(lon + shift_into_world(lon)))
    }

    /// The shape cut at the antimeridian, all longitudes between -180 and 180,
    /// as RFC 7946 wants it. In a CRS that is not geographic it stays as it is.
    ///
    /// # Errors
    /// None today; the signature leaves room for shapes that cannot be cut.
    pub fn split_antimeridian(&self) -> Result<Self> {
        let Some(bbox) = self.bounding_box() else {
            return Ok(self.clone());
        };
        let inside = bbox.left >= -180.0 && bbox.right <= 180.0;
        if inside || !self.crs().is_some_and(Crs::is_geographic) {
            return Ok(self.clone());
        }
        let first = ((bbox.left + 180.0) / 360.0).floor();
        let last = ((bbox.right + 180.0) / 360.0).ceil();
        let mut parts = Vec::new();
        let mut world = first;
        while world < last {
            let west = world * 360.0 - 180.0;
            let strip = BoundingBox::new(west, bbox.bottom - 1.0, west + 360.0, bbox.top + 1.0);
            let strip = Self::from_bbox(strip, self.crs().cloned())?;
            let part = self.intersection(&strip)?;
            if !part.is_empty() {
                let back = world * 360.0;
                parts.push(part.map_coords(self.crs().cloned(), |p| {
                    // Overlays round to some 1e-8 degrees.
                    Xy::new((p.x - back).clamp(-180.0, 180.0), p.y)
                })?);
            }
            world += 1.0;
        }
        Ok(Self::gather(parts, self.crs().cloned()))
    }

    /// The parts side by side, not merged: parts cut apart stay apart.
    fn gather(parts: Vec<Self>, crs: Option<Crs>) -> Self {
        use geo_types::{Geometry as G, MultiLineString, MultiPolygon};
        let polygons: Vec<Polygon<f64>> = parts.iter().flat_map(|p| p.polygons().0).collect();
        let mut lines = Vec::new();
        let mut rest = Vec::new();
        for part in &parts {
            match part.geo() {
                G::LineString(l) => lines.push(l.clone()),
                G::MultiLineString(m) => lines.extend(m.0.iter().cloned()),
                G::Polygon(_) | G::MultiPolygon(_) => {}
                other => rest.push(other.clone()),
            }
        }
        let shape = if rest.is_empty() && lines.is_empty() {
            G::MultiPolygon(MultiPolygon::new(polygons))
        } else if rest.is_empty() && polygons.is_empty() {
            G::MultiLineString(MultiLineString::new(lines))
        } else {
            let kept = parts.iter().map(|p| p.geo().clone()).collect();
            G::GeometryCollection(GeometryCollection::new_from(kept))
        };
        Self::of(shape, crs)
    }
}

impl BoundingBox {
    /// Whether two boxes of longitude and latitude share a point on the globe,
    /// where longitudes a full turn apart are the same.
    #[must_use]
    pub fn intersects_lonlat(&self, other: &Self) -> bool {
        if self.bottom > other.top || other.bottom > self.top {
            return false;
        }
        // The first copy of `other` that ends at or after our left edge.
        let turns = ((self.left - other.right) / 360.0).ceil();
        other.left + turns * 360.0 <= self.right
    }
}

/// Full turns, in degrees, that bring `lon` between -180 and 180.
fn shift_into_world(lon: f64) -> f64 {
    if (-180.0 - ON_ANTIMERIDIAN..180.0 - ON_ANTIMERIDIAN).contains(&lon) {
        0.0
    } else {
        -360.0 * ((lon + 180.0 + ON_ANTIMERIDIAN) / 360.0).floor()
    }
}

/// A shape of longitudes between -180 and 180, from a densified one, in one
/// piece. `has_pole` tells whether the pole at a latitude was inside before.
pub(super) fn unwrap(
    shape: &geo_types::Geometry<f64>,
    has_pole: &dyn Fn(f64) -> bool,
) -> geo_types::Geometry<f64> {
    let shape = unwrap_lines(shape, has_pole);
    let shape = align_parts(&shape);
    let Some(rect) = shape.bounding_rect() else {
        return shape;
    };
    shift(&shape, shift_into_world(rect.min().x))
}

fn shift(shape: &geo_types::Geometry<f64>, by: f64) -> geo_types::Geometry<f64> {
    if by == 0.0 {
        return shape.clone();
    }
    shape.map_coords(|c| Coord {
        x: c.x + by,
        y: c.y,
    })
}

fn unwrap_lines(
    shape: &geo_types::Geometry<f64>,
    has_pole: &dyn Fn(f64) -> bool,
) -> geo_types::Geometry<f64> {
    use geo_types::Geometry as G;
    match shape {
        G::Polygon(p) => G::Polygon(unwrap_polygon(p, has_pole)),
        G::MultiPolygon(m) => {
            G::MultiPolygon(m.0.iter().map(|p| unwrap_polygon(p, has_pole)).collect())
        }
        G::GeometryCollection(c) => G::GeometryCollection(GeometryCollection::new_from(
            c.0.iter().map(|g| unwrap_lines(g, has_pole)).collect(),
        )),
        other => map_lines(other, &|l| LineString::new(unwrap_points(&l.0))),
    }
}

/// The points with longitudes that never jump by more than half a turn.
fn unwrap_points(points: &[Coord<f64>]) -> Vec<Coord<f64>> {
    let mut out = Vec::with_capacity(points.len());
    let mut turn = 0.0;
    let mut last: Option<f64> = None;
    for c in points {
        if let Some(last) = last {
            let jump = c.x - last;
            if jump > 180.0 {
                turn -= 360.0;
            } else if jump < -180.0 {
                turn += 360.0;
            }
        }
        last = Some(c.x);
        out.push(Coord {
            x: c.x + turn,
            y: c.y,
        });
    }
    out
}

fn unwrap_polygon(polygon: &Polygon<f64>, has_pole: &dyn Fn(f64) -> bool) -> Polygon<f64> {
    let exterior = unwrap_ring(polygon.exterior(), has_pole);
    let centre = middle(&exterior);
    let interiors = polygon
        .interiors()
        .iter()
        .map(|r| {
            let ring = unwrap_ring(r, has_pole);
            let turns = ((centre - middle(&ring)) / 360.0).round();
            let moved = ring.0.iter().map(|c| Coord {
                x: c.x + 360.0 * turns,
                y: c.y,
            });
            LineString::new(moved.collect())
        })
        .collect();
    Polygon::new(exterior, interiors)
}

fn middle(line: &LineString<f64>) -> f64 {
    line.bounding_rect().map_or(0.0, |r| r.center().x)
}

fn unwrap_ring(ring: &LineString<f64>, has_pole: &dyn Fn(f64) -> bool) -> LineString<f64> {
    let mut points = unwrap_points(&ring.0);
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else {
        return ring.clone();
    };
    let turn = last.x - first.x;
    if turn.abs() < 180.0 {
        return LineString::new(points);
    }
    let pole = if has_pole(90.0) {
        90.0
    } else if has_pole(-90.0) {
        -90.0
    } else {
        // A ring around a pole that is in a hole of the polygon.
        90f64.copysign(points.iter().map(|c| c.y).sum())
    };
    if turn < 0.0 {
        points.reverse();
    }
    LineString::new(close_at_pole(&points, pole))
}

/// A ring from -180 to 180 and over the pole, from points that go once around
/// it eastward.
fn close_at_pole(points: &[Coord<f64>], pole: f64) -> Vec<Coord<f64>> {
    let start = points[0].x;
    let cut = 180.0 + 360.0 * ((start - 180.0) / 360.0).ceil();
    let at = (1..points.len())
        .find(|&i| points[i - 1].x <= cut && points[i].x > cut)
        .unwrap_or(points.len() - 1);
    let (a, b) = (points[at - 1], points[at]);
    let t = if b.x > a.x {
        (cut - a.x) / (b.x - a.x)
    } else {
        0.0
    };
    let lat = a.y + (b.y - a.y) * t.clamp(0.0, 1.0);
    let corner = |x: f64, y: f64| Coord { x, y };
    let mut out = vec![corner(-180.0, lat)];
    // The last point is the first again, a turn on.
    out.extend(
        points[at..points.len() - 1]
            .iter()
            .map(|c| corner(c.x - cut - 180.0, c.y)),
    );
    out.extend(points[..at].iter().map(|c| corner(c.x + 180.0 - cut, c.y)));
    out.push(corner(180.0, lat));
    out.push(corner(180.0, pole));
    out.push(corner(-180.0, pole));
    out.push(corner(-180.0, lat));
    out
}

/// The shape with its parts moved by full turns so that they lie together,
/// where they span more than half the world now and less then.
fn align_parts(shape: &geo_types::Geometry<f64>) -> geo_types::Geometry<f64> {
    use geo_types::Geometry as G;
    let parts: Vec<G<f64>> = match shape {
        G::MultiPolygon(m) => m.0.iter().cloned().map(G::Polygon).collect(),
        G::MultiLineString(m) => m.0.iter().cloned().map(G::LineString).collect(),
        G::MultiPoint(m) => m.0.iter().copied().map(G::Point).collect(),
        G::GeometryCollection(c) => c.0.iter().map(align_parts).collect(),
        _ => return shape.clone(),
    };
    let ranges: Vec<(f64, f64)> = parts
        .iter()
        .map(|p| {
            p.bounding_rect()
                .map_or((0.0, 0.0), |r| (r.min().x, r.max().x))
        })
        .collect();
    let Some(shifts) = turns_together(&ranges) else {
        return match shape {
            G::GeometryCollection(_) => G::GeometryCollection(GeometryCollection::new_from(parts)),
            _ => shape.clone(),
        };
    };
    let mut moved = parts.iter().zip(shifts).map(|(p, by)| shift(p, by));
    match shape {
        G::MultiPolygon(_) => {
            G::MultiPolygon(moved.filter_map(|g| Polygon::try_from(g).ok()).collect())
        }
        G::MultiLineString(_) => {
            G::MultiLineString(moved.filter_map(|g| LineString::try_from(g).ok()).collect())
        }
        G::MultiPoint(_) => G::MultiPoint(moved.filter_map(|g| Point::try_from(g).ok()).collect()),
        _ => G::GeometryCollection(GeometryCollection::new_from(moved.by_ref().collect())),
    }
}

/// Shifts that put ranges of longitude on the shorter side of the widest gap
/// between them; `None` where they are best left alone.
fn turns_together(ranges: &[(f64, f64)]) -> Option<Vec<f64>> {
    let left = ranges.iter().map(|r| r.0).fold(f64::INFINITY, f64::min);
    let right = ranges.iter().map(|r| r.1).fold(f64::NEG_INFINITY, f64::max);
    if ranges.len() < 2 || right - left <= 180.0 {
        return None;
    }
    let mut sorted: Vec<(f64, f64)> = ranges
        .iter()
        .map(|(a, b)| {
            let start = a.rem_euclid(360.0);
            (start, start + (b - a))
        })
        .collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut origin = sorted[0].0;
    let mut end = sorted[0].1;
    let mut widest = f64::NEG_INFINITY;
    for (start, stop) in sorted.iter().skip(1) {
        if start - end > widest {
            widest = start - end;
            origin = *start;
        }
        end = end.max(*stop);
    }
    if sorted[0].0 + 360.0 - end > widest {
        origin = sorted[0].0;
    }
    let starts = ranges
        .iter()
        .map(|(a, _)| origin + (a - origin).rem_euclid(360.0));
    let shifts: Vec<f64> = starts
        .zip(ranges)
        .map(|(s, (a, _))| ((s - a) / 360.0).round() * 360.0)
        .collect();
    let span = ranges
        .iter()
        .zip(&shifts)
        .map(|((_, b), by)| b + by - origin)
        .fold(0.0, f64::max);
    (span <= 180.0).then_some(shifts)
}
