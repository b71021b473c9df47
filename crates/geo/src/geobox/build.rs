//! Grids from a place and a pixel size.

use super::{GeoBox, MAX_SIDE};
use crate::snap::{snap_grid, snap_scale, split_float};
use crate::{Affine, BoundingBox, Crs, Error, Geometry, Resolution, Result, Shape2d, Xy};
use serde::{Deserialize, Serialize};

/// Part of a pixel by which a grid may fall short of what it should cover, so
/// that 29.9999 pixels are 30 and not 31.
const TOLERANCE_PX: f64 = 0.01;

/// Where pixel edges lie relative to the axes of the CRS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anchor {
    /// On multiples of the pixel size, so that an edge passes through zero.
    #[default]
    Edge,
    /// Half a pixel off, so that a pixel centre lies on zero.
    Center,
    /// Wherever the box starts: nothing is snapped (odc-geo's `tight`).
    Floating,
    /// This fraction of a pixel off, 0 to below 1.
    Offset(Xy),
}

impl Anchor {
    /// From ODC's `align`, which is in CRS units.
    ///
    /// # Errors
    /// [`Error::InvalidResolution`] when a pixel size is zero or not finite;
    /// [`Error::InvalidAnchor`] when `align` is not finite.
    pub fn from_align(align: Xy, resolution: Resolution) -> Result<Self> {
        let size = resolution.abs();
        check_size(resolution)?;
        if !align.is_finite() {
            return Err(Error::InvalidAnchor {
                x: align.x,
                y: align.y,
            });
        }
        let offset = Xy::new(
            (align.x / size.x).rem_euclid(1.0),
            (align.y / size.y).rem_euclid(1.0),
        );
        Ok(if offset == Xy::new(0.0, 0.0) {
            Self::Edge
        } else {
            Self::Offset(offset)
        })
    }

    /// Of a grid with this affine.
    pub(super) fn of(affine: &Affine) -> Self {
        const TOLERANCE: f64 = 1e-3;
        let Ok(inverse) = affine.inverse() else {
            return Self::Floating;
        };
        let offset = inverse.apply(Xy::new(0.0, 0.0)).map(|p| {
            let (_, part) = split_float(p);
            let part = if part < 0.0 { 1.0 + part } else { part };
            let part = if part.abs() < TOLERANCE { 0.0 } else { part };
            let part = snap_scale(part, TOLERANCE);
            if part >= 1.0 { 0.0 } else { part }
        });
        match (offset.x, offset.y) {
            (0.0, 0.0) => Self::Edge,
            (0.5, 0.5) => Self::Center,
            _ => Self::Offset(offset),
        }
    }

    /// Offsets to snap to; `None` when nothing is snapped.
    fn offsets(self) -> Result<Option<Xy>> {
        match self {
            Self::Edge => Ok(Some(Xy::new(0.0, 0.0))),
            Self::Center => Ok(Some(Xy::new(0.5, 0.5))),
            Self::Floating => Ok(None),
            Self::Offset(o) => {
                if (0.0..1.0).contains(&o.x) && (0.0..1.0).contains(&o.y) {
                    Ok(Some(o))
                } else {
                    Err(Error::InvalidAnchor { x: o.x, y: o.y })
                }
            }
        }
    }
}

/// How many pixels a box is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GridSize {
    /// As many as there are of this size.
    Resolution(Resolution),
    /// This many rows and columns; pixels become as large as they must.
    Shape(Shape2d),
    /// Square pixels, this many along the longer side.
    LongestSide(usize),
}

impl From<Resolution> for GridSize {
    fn from(r: Resolution) -> Self {
        Self::Resolution(r)
    }
}

impl From<Shape2d> for GridSize {
    fn from(s: Shape2d) -> Self {
        Self::Shape(s)
    }
}

impl GeoBox {
    /// The grid that covers `bbox`, up to a hundredth of a pixel.
    ///
    /// A box without extent gets one pixel where the size is a
    /// [`GridSize::Resolution`].
    ///
    /// # Errors
    /// [`Error::InvalidBoundingBox`], [`Error::InvalidResolution`],
    /// [`Error::InvalidAnchor`] for numbers that are not finite or not in
    /// range; [`Error::InvalidShape`] for a grid with no or with more than
    /// 2,147,483,647 rows or columns.
    ///
    /// # Source
    /// odc-geo 0.5.3, `GeoBox.from_bbox`.
    pub fn from_bbox(
        bbox: BoundingBox,
        crs: Option<Crs>,
        size: impl Into<GridSize>,
        anchor: Anchor,
    ) -> Result<Self> {
        let bbox = bbox.validate()?;
        let snap = anchor.offsets()?;
        let resolution = match size.into() {
            GridSize::Resolution(r) => r,
            GridSize::LongestSide(n) => {
                let longest = bbox.span_x().max(bbox.span_y());
                no_zero(longest, longest, n, n)?;
                Resolution::square(longest / n as f64)
            }
            GridSize::Shape(shape) => {
                no_zero(bbox.span_x(), bbox.span_y(), shape.rows, shape.cols)?;
                let resolution = Resolution::new(
                    bbox.span_x() / shape.cols as f64,
                    -bbox.span_y() / shape.rows as f64,
                );
                let (x, y) = match snap {
                    None => (bbox.left, bbox.top),
                    Some(o) => (
                        snap_grid(bbox.left, bbox.right, resolution.x, Some(o.x), TOLERANCE_PX).0,
                        snap_grid(bbox.bottom, bbox.top, resolution.y, Some(o.y), TOLERANCE_PX).0,
                    ),
                };
                return Self::new(shape, Affine::from_origin(x, y, resolution), crs);
            }
        };
        check_size(resolution)?;
        let axis = |low, high, step, offset| snap_grid(low, high, step, offset, TOLERANCE_PX);
        let (x, cols) = axis(bbox.left, bbox.right, resolution.x, snap.map(|o| o.x));
        let (y, rows) = axis(bbox.bottom, bbox.top, resolution.y, snap.map(|o| o.y));
        let shape = shape_of(rows, cols, resolution, &bbox)?;
        Self::new(shape, Affine::from_origin(x, y, resolution), crs)
    }

    /// The grid in `crs` that covers `geometry`, its edges densified before
    /// they are projected, so that their bulge is covered too.
    ///
    /// # Errors
    /// Those of [`Geometry::to_crs`] and [`GeoBox::from_bbox`];
    /// [`Error::InvalidGeometry`] for an empty geometry.
    ///
    /// # Source
    /// odc-geo 0.5.3, `GeoBox.from_geopolygon`. DIFFERENCE: there only the
    /// vertices are projected, which loses what lies beyond a straight line
    /// between them.
    pub fn from_polygon(
        geometry: &Geometry,
        size: impl Into<GridSize>,
        crs: &Crs,
        anchor: Anchor,
    ) -> Result<Self> {
        let bbox =
            geometry
                .to_crs(crs, None)?
                .bounding_box()
                .ok_or_else(|| Error::InvalidGeometry {
                    reason: "an empty geometry covers no grid".to_owned(),
                })?;
        Self::from_bbox(bbox, Some(crs.clone()), size, anchor)
    }
}

fn check_size(resolution: Resolution) -> Result<()> {
    let size = resolution.abs();
    if size.is_finite() && size.x > 0.0 && size.y > 0.0 {
        return Ok(());
    }
    Err(Error::InvalidResolution {
        resolution,
        reason: "both pixel sizes must be finite and not zero".to_owned(),
    })
}

fn no_zero(span_x: f64, span_y: f64, rows: usize, cols: usize) -> Result<()> {
    let reason = if rows == 0 || cols == 0 {
        "a grid without pixels has no pixel size"
    } else if span_x <= 0.0 || span_y <= 0.0 {
        "a box without extent cannot be divided into pixels; give a resolution instead"
    } else {
        return Ok(());
    };
    Err(Error::InvalidShape {
        rows: rows as f64,
        cols: cols as f64,
        reason: reason.to_owned(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "compared with the largest side first, and at least one"
)]
fn shape_of(rows: f64, cols: f64, resolution: Resolution, bbox: &BoundingBox) -> Result<Shape2d> {
    if rows <= MAX_SIDE as f64 && cols <= MAX_SIDE as f64 {
        return Ok(Shape2d::new(rows as usize, cols as usize));
    }
    Err(Error::InvalidShape {
        rows,
        cols,
        reason: format!(
            "a side of a raster has at most {MAX_SIDE} pixels, and {bbox} at a resolution of \
             {resolution} has more; are both in the units of the CRS?"
        ),
    })
}
