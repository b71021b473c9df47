//! Shapes on the ground: points, lines and polygons with their CRS.
//!
//! A [`Geometry`] is an immutable value around the types of the `geo` crate.
//! All coordinates are finite. In longitude and latitude a shape over the
//! antimeridian goes on past 180 (175 to 185) and stays in one piece;
//! [`Geometry::split_antimeridian`] cuts it for formats that want it cut.

mod geojson;
mod lonlat;
mod ops;
mod project;

use crate::{BoundingBox, Crs, Error, Result, Xy};
use geo::{CoordsIter, HasDimensions, MapCoords};
use geo_types::{Coord, LineString, MultiPolygon, Point, Polygon};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A shape with its CRS; without one its coordinates are pixels. Immutable and
/// cheap to clone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Geometry {
    shape: Arc<geo_types::Geometry<f64>>,
    crs: Option<Crs>,
}

/// How a [`Geometry`] is serialised.
#[derive(Serialize, Deserialize)]
struct Wire {
    crs: Option<Crs>,
    shape: geo_types::Geometry<f64>,
}

impl From<Geometry> for Wire {
    fn from(g: Geometry) -> Self {
        Self {
            crs: g.crs,
            shape: Arc::unwrap_or_clone(g.shape),
        }
    }
}

impl TryFrom<Wire> for Geometry {
    type Error = Error;

    fn try_from(w: Wire) -> Result<Self> {
        Self::new(w.shape, w.crs)
    }
}

impl Geometry {
    /// A shape in `crs`, or in pixels where that is `None`.
    ///
    /// # Errors
    /// [`Error::InvalidGeometry`] when a coordinate is not finite.
    pub fn new(shape: impl Into<geo_types::Geometry<f64>>, crs: Option<Crs>) -> Result<Self> {
        let shape = simplest(shape.into());
        if let Some(c) = shape
            .coords_iter()
            .find(|c| !(c.x.is_finite() && c.y.is_finite()))
        {
            return Err(Error::InvalidGeometry {
                reason: format!("the coordinate ({}, {}) is not finite", c.x, c.y),
            });
        }
        Ok(Self {
            shape: Arc::new(shape),
            crs,
        })
    }

    /// For shapes whose coordinates are known to be finite.
    fn of(shape: impl Into<geo_types::Geometry<f64>>, crs: Option<Crs>) -> Self {
        Self {
            shape: Arc::new(simplest(shape.into())),
            crs,
        }
    }

    /// A point.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn point(p: Xy, crs: Option<Crs>) -> Result<Self> {
        Self::new(Point::new(p.x, p.y), crs)
    }

    /// A line through `points`.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn line(points: &[Xy], crs: Option<Crs>) -> Result<Self> {
        Self::new(ring(points), crs)
    }

    /// A polygon without holes; the ring is closed if it is not.
    ///
    /// # Errors
    /// As [`Geometry::new`], and for fewer than three points.
    pub fn polygon(exterior: &[Xy], crs: Option<Crs>) -> Result<Self> {
        if exterior.len() < 3 {
            return Err(Error::InvalidGeometry {
                reason: format!("a polygon needs three points, there are {}", exterior.len()),
            });
        }
        Self::new(Polygon::new(ring(exterior), Vec::new()), crs)
    }

    /// The rectangle of a bounding box.
    ///
    /// # Errors
    /// [`Error::InvalidBoundingBox`] when its edges are not finite or not in
    /// order.
    pub fn from_bbox(bbox: BoundingBox, crs: Option<Crs>) -> Result<Self> {
        let bbox = bbox.validate()?;
        Ok(Self::of(
            Polygon::new(ring(&bbox.corners()), Vec::new()),
            crs,
        ))
    }

    /// The CRS; `None` for pixel coordinates.
    #[must_use]
    pub fn crs(&self) -> Option<&Crs> {
        self.crs.as_ref()
    }

    /// The shape without its CRS.
    #[must_use]
    pub fn geo(&self) -> &geo_types::Geometry<f64> {
        &self.shape
    }

    /// The same coordinates said to be in another CRS. Nothing is projected;
    /// [`Geometry::to_crs`] does that.
    #[must_use]
    pub fn assign_crs(&self, crs: Option<Crs>) -> Self {
        Self {
            shape: self.shape.clone(),
            crs,
        }
    }

    /// The shape with every coordinate mapped by `f`, in the CRS `crs`.
    ///
    /// # Errors
    /// As [`Geometry::new`].
    pub fn map_coords(&self, crs: Option<Crs>, f: impl Fn(Xy) -> Xy) -> Result<Self> {
        let shape = self.shape.map_coords(|c| {
            let p = f(Xy::new(c.x, c.y));
            Coord { x: p.x, y: p.y }
        });
        Self::new(shape, crs)
    }

    /// Number of coordinates.
    #[must_use]
    pub fn n_coords(&self) -> usize {
        self.shape.coords_count()
    }

    /// The polygons in it, whatever they are nested in.
    #[must_use]
    pub fn polygons(&self) -> MultiPolygon<f64> {
        let mut out = Vec::new();
        collect_polygons(&self.shape, &mut out);
        MultiPolygon::new(out)
    }
}

/// A closed ring or an open line, as the points are.
fn ring(points: &[Xy]) -> LineString<f64> {
    points.iter().map(|p| Coord { x: p.x, y: p.y }).collect()
}

/// Single edges as lines, rectangles and triangles as polygons, and no empty
/// parts: fewer kinds of shape to think of, and none that the algorithms of
/// `geo` trip over.
fn simplest(shape: geo_types::Geometry<f64>) -> geo_types::Geometry<f64> {
    use geo_types::Geometry as G;
    match shape {
        G::Line(l) => G::LineString(l.into()),
        G::Rect(r) => G::Polygon(r.to_polygon()),
        G::Triangle(t) => G::Polygon(t.to_polygon()),
        G::Polygon(p) => G::Polygon(without_empty_rings(p)),
        G::MultiPolygon(mut m) => {
            m.0.retain(|p| !p.exterior().0.is_empty());
            G::MultiPolygon(m.into_iter().map(without_empty_rings).collect())
        }
        G::MultiLineString(mut m) => {
            m.0.retain(|l| !l.0.is_empty());
            G::MultiLineString(m)
        }
        G::GeometryCollection(c) => {
            let parts = c.into_iter().map(simplest);
            G::GeometryCollection(parts.filter(|g| !g.is_empty()).collect())
        }
        other => other,
    }
}

fn without_empty_rings(polygon: Polygon<f64>) -> Polygon<f64> {
    if polygon.interiors().iter().all(|r| !r.0.is_empty()) {
        return polygon;
    }
    let (exterior, mut interiors) = polygon.into_inner();
    interiors.retain(|r| !r.0.is_empty());
    Polygon::new(exterior, interiors)
}

fn collect_polygons(shape: &geo_types::Geometry<f64>, out: &mut Vec<Polygon<f64>>) {
    match shape {
        geo_types::Geometry::Polygon(p) => out.push(p.clone()),
        geo_types::Geometry::MultiPolygon(m) => out.extend(m.0.iter().cloned()),
        geo_types::Geometry::Rect(r) => out.push(r.to_polygon()),
        geo_types::Geometry::Triangle(t) => out.push(t.to_polygon()),
        geo_types::Geometry::GeometryCollection(c) => {
            for g in &c.0 {
                collect_polygons(g, out);
            }
        }
        _ => {}
    }
}

impl fmt::Debug for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Geometry")
            .field("crs", &self.crs)
            .field("shape", &self.shape)
            .finish()
    }
}
