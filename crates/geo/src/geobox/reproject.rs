//! The same place in another CRS.

use super::{Anchor, GeoBox, GridSize};
use crate::overlap::scale_at;
use crate::{BoundingBox, Crs, Error, GridTransform, Resolution, Result, Shape2d, Xy};
use serde::{Deserialize, Serialize};

/// How large pixels become in another CRS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputResolution {
    /// As large as they are where the units are the same, else [`Self::Fit`].
    #[default]
    Auto,
    /// Square, of about the size that the pixel in the middle has there.
    Fit,
    /// The same number of units, whatever the units.
    Same,
    /// This.
    Size(GridSize),
}

/// How [`GeoBox::to_crs`] lays out the new grid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToCrs {
    /// Pixel size; by default [`OutputResolution::Auto`].
    pub resolution: OutputResolution,
    /// Where pixel edges lie; by default on multiples of the pixel size.
    pub anchor: Anchor,
}

impl GeoBox {
    /// The axis-aligned grid in another CRS that covers this one.
    ///
    /// The outline is grown by 0.9 pixels first, so that kernels find support
    /// at the edges. The same CRS with the default options gives the grid
    /// itself.
    ///
    /// # Errors
    /// [`Error::MissingCrs`], [`Error::NoTransform`]; [`Error::InvalidGeometry`]
    /// when nothing of the grid can be shown in `crs`; those of
    /// [`GeoBox::from_bbox`].
    ///
    /// # Source
    /// odc-geo 0.5.3, `compute_output_geobox`.
    pub fn to_crs(&self, crs: &Crs, options: &ToCrs) -> Result<Self> {
        let own = self.require_crs("reproject a grid")?;
        let keeps_size = matches!(
            options.resolution,
            OutputResolution::Auto | OutputResolution::Same
        );
        if own == crs && keeps_size && options.anchor == Anchor::Edge {
            return Ok(self.clone());
        }
        let bbox = bounds(self.footprint(crs, 0.9, 100)?.bounding_box(), crs)?;
        let size = match options.resolution {
            OutputResolution::Size(size) => size,
            OutputResolution::Same => self.resolution().into(),
            OutputResolution::Auto if own.units() == crs.units() => self.resolution().into(),
            OutputResolution::Auto | OutputResolution::Fit => self.fitting_resolution(crs)?.into(),
        };
        Self::from_bbox(bbox, Some(crs.clone()), size, options.anchor)
    }

    /// Square pixels in `crs` of about the size of the pixel in the middle.
    fn fitting_resolution(&self, crs: &Crs) -> Result<Resolution> {
        let pixel = self.center_pixel()?;
        let bbox = bounds(pixel.extent().to_crs(crs, None)?.bounding_box(), crs)?;
        let one = Self::from_bbox(
            bbox,
            Some(crs.clone()),
            Shape2d::new(1, 1),
            Anchor::Floating,
        )?;
        // The box around a turned pixel is larger than the pixel.
        let transform = GridTransform::exact(&one, &pixel)?;
        let scale = scale_at(&transform, Xy::new(0.5, 0.5))?;
        let scale = scale.unwrap_or(Xy::new(1.0, 1.0));
        let size = one.resolution().abs();
        Ok(Resolution::square(
            (size.x / scale.x + size.y / scale.y) / 2.0,
        ))
    }
}

fn bounds(bbox: Option<BoundingBox>, crs: &Crs) -> Result<BoundingBox> {
    bbox.ok_or_else(|| Error::InvalidGeometry {
        reason: format!("no point of the grid can be shown in {crs}"),
    })
}
