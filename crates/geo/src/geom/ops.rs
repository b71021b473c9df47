//! Measuring shapes and combining them, on the plane of their CRS.

use super::Geometry;
use crate::{BoundingBox, Crs, Error, Result, Xy};
use geo::{
    Area, BooleanOps, BoundingRect, Buffer, Centroid, Contains, ConvexHull, HasDimensions,
    Intersects, Simplify,
};
use geo_types::{GeometryCollection, MultiLineString, MultiPoint, MultiPolygon, Point};

impl Geometry {
    /// The box around it; `None` when empty.
    #[must_use]
    pub fn bounding_box(&self) -> Option<BoundingBox> {
        let r = self.geo().bounding_rect()?;
        Some(BoundingBox::new(r.min().x, r.min().y, r.max().x, r.max().y))
    }

    /// Whether it has no points.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.geo().is_empty()
    }

    /// Area in square units of the CRS; zero for points and lines.
    #[must_use]
    pub fn area(&self) -> f64 {
        self.geo().unsigned_area()
    }

    /// Centre of mass; `None` when empty.
    #[must_use]
    pub fn centroid(&self) -> Option<Xy> {
        self.geo().centroid().map(|p| Xy::new(p.x(), p.y()))
    }

    /// The smallest convex polygon around it.
    #[must_use]
    pub fn convex_hull(&self) -> Self {
        Self::of(self.geo().convex_hull(), self.crs().cloned())
    }

    /// The shape grown by `distance` in CRS units with rounded corners, or
    /// shrunk by a negative one. A distance that is not finite changes nothing.
    #[must_use]
    pub fn buffer(&self, distance: f64) -> Self {
        if self.is_empty() || !distance.is_finite() {
            return self.clone();
        }
        let parts = Parts::of(self.geo()).without_flat_polygons();
        Self::of(parts.join().buffer(distance), self.crs().cloned())
    }

    /// Polygons and lines with points left out that deviate by less than
    /// `tolerance` CRS units.
    #[must_use]
    pub fn simplify(&self, tolerance: f64) -> Self {
        use geo_types::Geometry as G;
        let shape = match self.geo() {
            G::LineString(g) => G::LineString(g.simplify(tolerance)),
            G::MultiLineString(g) => G::MultiLineString(g.simplify(tolerance)),
            G::Polygon(g) => G::Polygon(g.simplify(tolerance)),
            G::MultiPolygon(g) => G::MultiPolygon(g.simplify(tolerance)),
            other => other.clone(),
        };
        Self::of(shape, self.crs().cloned())
    }

    /// Whether the two share a point.
    ///
    /// # Errors
    /// [`Error::CrsMismatch`] in different CRSs.
    pub fn intersects(&self, other: &Self) -> Result<bool> {
        self.same_crs(other, "intersect geometries")?;
        Ok(self.geo().intersects(other.geo()))
    }

    /// Whether `other` lies inside; sharing only the border is not inside.
    ///
    /// # Errors
    /// [`Error::CrsMismatch`] in different CRSs.
    pub fn contains(&self, other: &Self) -> Result<bool> {
        self.same_crs(other, "compare geometries")?;
        Ok(self.geo().contains(other.geo()))
    }

    /// What both cover: the common area, the lines and points of either inside
    /// the polygons of the other, and common points. Where two lines cross is
    /// not looked for.
    ///
    /// # Errors
    /// [`Error::CrsMismatch`] in different CRSs.
    pub fn intersection(&self, other: &Self) -> Result<Self> {
        self.same_crs(other, "intersect geometries")?;
        let (a, b) = (Parts::of(self.geo()), Parts::of(other.geo()));
        let out = Parts {
            polygons: if a.polygons.0.is_empty() || b.polygons.0.is_empty() {
                MultiPolygon::new(Vec::new())
            } else {
                a.polygons.intersection(&b.polygons)
            },
            lines: MultiLineString::new(
                [(&a, &b), (&b, &a)]
                    .into_iter()
                    .filter(|(l, p)| !l.lines.0.is_empty() && !p.polygons.0.is_empty())
                    .flat_map(|(l, p)| p.polygons.clip(&l.lines, false).0)
                    .collect(),
            ),
            points: MultiPoint::new(
                a.points
                    .iter()
                    .filter(|p| other.geo().intersects(*p))
                    .chain(
                        b.points
                            .iter()
                            .filter(|p| self.geo().intersects(*p) && !a.points.0.contains(p)),
                    )
                    .copied()
                    .collect(),
            ),
        };
        Ok(Self::of(out.join(), self.crs().cloned()))
    }

    /// All that any of `geometries` covers: polygons merged, lines and points
    /// gathered. `None` when there are none.
    ///
    /// # Errors
    /// [`Error::CrsMismatch`] when they are not all in one CRS.
    pub fn union<'a>(geometries: impl IntoIterator<Item = &'a Self>) -> Result<Option<Self>> {
        let mut first: Option<&Self> = None;
        let mut all = Parts::default();
        for g in geometries {
            first.get_or_insert(g).same_crs(g, "merge geometries")?;
            let parts = Parts::of(g.geo());
            all.polygons.0.extend(parts.polygons.0);
            all.lines.0.extend(parts.lines.0);
            all.points.0.extend(parts.points.0);
        }
        let Some(first) = first else {
            return Ok(None);
        };
        if all.polygons.0.len() > 1 {
            all.polygons = geo::unary_union(&all.polygons.0);
        }
        Ok(Some(Self::of(all.join(), first.crs().cloned())))
    }

    fn same_crs(&self, other: &Self, action: &'static str) -> Result<()> {
        if self.crs() == other.crs() {
            return Ok(());
        }
        let name = |c: Option<&Crs>| c.map_or_else(|| "pixels".to_owned(), ToString::to_string);
        Err(Error::CrsMismatch {
            action,
            left: name(self.crs()),
            right: name(other.crs()),
        })
    }
}

/// A shape sorted by dimension.
struct Parts {
    polygons: MultiPolygon<f64>,
    lines: MultiLineString<f64>,
    points: MultiPoint<f64>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            polygons: MultiPolygon::new(Vec::new()),
            lines: MultiLineString::new(Vec::new()),
            points: MultiPoint::new(Vec::new()),
        }
    }
}

impl Parts {
    fn of(shape: &geo_types::Geometry<f64>) -> Self {
        let mut out = Self::default();
        out.add(shape);
        out
    }

    fn add(&mut self, shape: &geo_types::Geometry<f64>) {
        use geo_types::Geometry as G;
        match shape {
            G::Point(p) => self.points.0.push(*p),
            G::MultiPoint(m) => self.points.0.extend(m.0.iter().copied()),
            G::Line(l) => self.lines.0.push((*l).into()),
            G::LineString(l) => self.lines.0.push(l.clone()),
            G::MultiLineString(m) => self.lines.0.extend(m.0.iter().cloned()),
            G::Polygon(p) => self.polygons.0.push(p.clone()),
            G::MultiPolygon(m) => self.polygons.0.extend(m.0.iter().cloned()),
            G::Rect(r) => self.polygons.0.push(r.to_polygon()),
            G::Triangle(t) => self.polygons.0.push(t.to_polygon()),
            G::GeometryCollection(c) => c.0.iter().for_each(|g| self.add(g)),
        }
    }

    /// With polygons that have no area as the lines or points that they are:
    /// buffering them as polygons is a panic in `i_overlay`.
    fn without_flat_polygons(mut self) -> Self {
        let polygons = std::mem::take(&mut self.polygons.0);
        for polygon in polygons {
            if polygon.unsigned_area() > 0.0 {
                self.polygons.0.push(polygon);
                continue;
            }
            let line = polygon.into_inner().0;
            match line.0.first() {
                Some(first) if line.0.iter().all(|c| c == first) => {
                    self.points.0.push(Point(*first));
                }
                Some(_) => self.lines.0.push(line),
                None => {}
            }
        }
        self
    }

    /// The simplest shape that holds all parts.
    fn join(mut self) -> geo_types::Geometry<f64> {
        let mut out: Vec<geo_types::Geometry<f64>> = Vec::new();
        match self.polygons.0.len() {
            0 => {}
            1 => out.extend(self.polygons.0.pop().map(Into::into)),
            _ => out.push(self.polygons.into()),
        }
        match self.lines.0.len() {
            0 => {}
            1 => out.extend(self.lines.0.pop().map(Into::into)),
            _ => out.push(self.lines.into()),
        }
        match self.points.0.len() {
            0 => {}
            1 => out.extend(self.points.0.pop().map(|p: Point<f64>| p.into())),
            _ => out.push(self.points.into()),
        }
        if out.len() == 1 {
            out.remove(0)
        } else {
            geo_types::Geometry::GeometryCollection(GeometryCollection::new_from(out))
        }
    }
}
