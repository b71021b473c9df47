//! The grid of pixels that everything else is about.
//!
//! A [`GeoBox`] is a shape, an affine and a CRS: which pixels there are, and
//! where. It is a small value, made here ([`build`]), derived from another
//! ([`ops`], [`reproject`]) or cut into tiles ([`tiles`]). What it gives is what
//! odc-geo 0.5.3 gives, pixel for pixel.

mod build;
mod ops;
mod reproject;
mod tiles;

pub use build::{Anchor, GridSize};
pub use reproject::{OutputResolution, ToCrs};
pub use tiles::GeoboxTiles;

use crate::{Affine, BoundingBox, Crs, Error, Geometry, Resolution, Result, Shape2d, Xy};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A grid of pixels with its place on the ground: shape, affine, CRS. Immutable
/// and cheap to clone.
///
/// The affine is finite and can be inverted, so every pixel has a place and
/// every place a pixel coordinate. Without a CRS the place is not on any known
/// earth. Rotated and sheared grids are fine. A grid may be empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct GeoBox {
    shape: Shape2d,
    affine: Affine,
    crs: Option<Crs>,
}

#[derive(Deserialize)]
struct Wire {
    shape: Shape2d,
    affine: Affine,
    crs: Option<Crs>,
}

impl TryFrom<Wire> for GeoBox {
    type Error = Error;

    fn try_from(w: Wire) -> Result<Self> {
        Self::new(w.shape, w.affine, w.crs)
    }
}

/// More pixels on a side than any raster format can say.
pub(crate) const MAX_SIDE: usize = i32::MAX as usize;

impl GeoBox {
    /// A grid of `shape` pixels that `affine` maps into `crs`.
    ///
    /// # Errors
    /// [`Error::DegenerateAffine`] when the affine is not finite or has no
    /// inverse; [`Error::InvalidShape`] for more than 2,147,483,647 rows or
    /// columns.
    pub fn new(shape: Shape2d, affine: Affine, crs: Option<Crs>) -> Result<Self> {
        if shape.rows > MAX_SIDE || shape.cols > MAX_SIDE {
            return Err(Error::InvalidShape {
                rows: shape.rows as f64,
                cols: shape.cols as f64,
                reason: format!("a side of a raster has at most {MAX_SIDE} pixels"),
            });
        }
        if !affine.is_finite() {
            return Err(Error::DegenerateAffine { affine });
        }
        affine.inverse()?;
        Ok(Self { shape, affine, crs })
    }

    /// With an affine that is known to be fine.
    fn with(&self, shape: Shape2d, affine: Affine) -> Self {
        Self {
            shape,
            affine,
            crs: self.crs.clone(),
        }
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> Shape2d {
        self.shape
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.shape.cols
    }

    /// Whether there is no pixel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shape.is_empty()
    }

    /// Pixel coordinates to coordinates in the CRS.
    #[must_use]
    pub fn affine(&self) -> &Affine {
        &self.affine
    }

    /// Coordinates in the CRS to pixel coordinates.
    #[must_use]
    pub fn inverse_affine(&self) -> Affine {
        self.affine
            .inverse()
            .expect("a GeoBox is only made of an affine with an inverse")
    }

    /// The CRS, if it is known.
    #[must_use]
    pub fn crs(&self) -> Option<&Crs> {
        self.crs.as_ref()
    }

    /// The CRS.
    ///
    /// # Errors
    /// [`Error::MissingCrs`] when there is none; `action` says what it was
    /// needed for.
    pub fn require_crs(&self, action: &'static str) -> Result<&Crs> {
        self.crs.as_ref().ok_or(Error::MissingCrs { action })
    }

    /// Names of the dimensions, rows first; y and x without a CRS.
    #[must_use]
    pub fn dimensions(&self) -> [&'static str; 2] {
        self.crs.as_ref().map_or(["y", "x"], Crs::dimensions)
    }

    /// Pixel size with its direction, in CRS units.
    #[must_use]
    pub fn resolution(&self) -> Resolution {
        self.affine.resolution()
    }

    /// Whether rows and columns run along the axes of the CRS.
    #[must_use]
    pub fn is_axis_aligned(&self) -> bool {
        self.affine.is_axis_aligned()
    }

    /// The box around the grid, in its CRS.
    #[must_use]
    pub fn bounding_box(&self) -> BoundingBox {
        BoundingBox::from_affine(self.shape, &self.affine)
    }

    /// The outline of the grid, in its CRS.
    #[must_use]
    pub fn extent(&self) -> Geometry {
        let (rows, cols) = (self.shape.rows as f64, self.shape.cols as f64);
        let corners = [(0.0, 0.0), (0.0, rows), (cols, rows), (cols, 0.0)]
            .map(|(x, y)| self.affine.apply(Xy::new(x, y)));
        Geometry::polygon(&corners, self.crs.clone())
            .expect("the affine is finite, and so is the shape")
    }

    /// The outline of the grid in another CRS, its sides cut into at least
    /// `pieces` edges (100 serves well) and the grid grown by `buffer` pixels
    /// first. Points that do not project are left out.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn footprint(&self, crs: &Crs, buffer: f64, pieces: usize) -> Result<Geometry> {
        self.require_crs("tell the footprint of a grid")?;
        let mut extent = self.extent();
        if buffer != 0.0 {
            let size = self.resolution().abs();
            extent = extent.buffer(buffer * size.x.max(size.y));
        }
        let bbox = self.bounding_box();
        let step = bbox.span_x().max(bbox.span_y()) / pieces.max(1) as f64;
        extent.to_crs_lossy(crs, Some(step))
    }

    /// The outline in longitude and latitude (EPSG:4326), in one piece even
    /// over the antimeridian.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`].
    pub fn geographic_extent(&self) -> Result<Geometry> {
        if self.crs.as_ref().is_some_and(Crs::is_geographic) {
            return Ok(self.extent());
        }
        self.footprint(&Crs::wgs84(), 0.0, 100)
    }

    /// x of the pixel centres, one per column.
    ///
    /// # Errors
    /// [`Error::Rotated`] when columns are not along the y axis.
    pub fn x_centres(&self) -> Result<Vec<f64>> {
        self.centres(self.shape.cols, self.affine.a, self.affine.c)
    }

    /// y of the pixel centres, one per row.
    ///
    /// # Errors
    /// [`Error::Rotated`] when rows are not along the x axis.
    pub fn y_centres(&self) -> Result<Vec<f64>> {
        self.centres(self.shape.rows, self.affine.e, self.affine.f)
    }

    fn centres(&self, n: usize, step: f64, start: f64) -> Result<Vec<f64>> {
        if !self.is_axis_aligned() {
            return Err(Error::Rotated {
                action: "list the coordinates",
                affine: self.affine,
            });
        }
        // In the order of odc-geo's sum, so that the last bit agrees.
        let first = start + step / 2.0;
        Ok((0..n).map(|i| i as f64 * step + first).collect())
    }

    /// Where pixel edges lie relative to the axes of the CRS.
    ///
    /// # Source
    /// odc-geo 0.5.3, `extract_anchor`.
    #[must_use]
    pub fn anchor(&self) -> Anchor {
        Anchor::of(&self.affine)
    }

    /// A shape in any CRS, in the pixel coordinates of this grid. Edges are
    /// densified before they are projected. One without a CRS is in pixels
    /// already.
    ///
    /// # Errors
    /// [`Error::MissingCrs`] when the grid has none; those of
    /// [`Geometry::to_crs`].
    pub fn to_pixels(&self, geometry: &Geometry) -> Result<Geometry> {
        if geometry.crs().is_none() {
            return Ok(geometry.clone());
        }
        let crs = self.require_crs("bring a geometry into pixels")?;
        let inverse = self.inverse_affine();
        geometry
            .to_crs(crs, None)?
            .map_coords(None, |p| inverse.apply(p))
    }
}

impl Eq for GeoBox {}

impl Hash for GeoBox {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shape.hash(state);
        for v in self.affine.to_array() {
            // Zero and minus zero are equal.
            (v + 0.0).to_bits().hash(state);
        }
        self.crs.hash(state);
    }
}

impl fmt::Display for GeoBox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.resolution();
        write!(f, "{} pixels of {size}", self.shape)?;
        match &self.crs {
            Some(crs) => write!(f, " in {crs}, {}", self.bounding_box()),
            None => write!(f, ", {}", self.bounding_box()),
        }
    }
}
