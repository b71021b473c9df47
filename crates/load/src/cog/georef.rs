//! From pixels to world coordinates: the GeoTIFF tags as an affine.
//!
//! Which tag wins, how a negative scale is read and where the half pixel of a
//! "point" raster goes is as in GDAL, because users compare with it.

use datacube_geo::Affine;

use super::ifd::Ifd;
use super::tags;
use crate::error::Result;

/// Where the pixels are, as far as the model tags say.
#[derive(Debug)]
pub(crate) enum Placement {
    /// At an affine.
    Affine(Affine),
    /// By so many ground control points, which no affine follows from.
    Gcps(usize),
    /// The tags say nothing.
    Nowhere,
}

/// Reads the model tags. `is_point` is whether the key GTRasterType says that
/// coordinates are of pixel centres.
///
/// # Source
/// GDAL, `GTiffDataset::LoadGeoreferencingAndPamIfNeeded`.
pub(crate) fn placement(ifd: &Ifd, is_point: bool) -> Result<Placement> {
    let scale = ifd.floats(tags::MODEL_PIXEL_SCALE)?.unwrap_or_default();
    let tiepoints = ifd.floats(tags::MODEL_TIEPOINT)?.unwrap_or_default();
    let matrix = ifd.floats(tags::MODEL_TRANSFORMATION)?.unwrap_or_default();
    let affine = if let [x_scale, y_scale, ..] = scale[..]
        && x_scale != 0.0
        && y_scale != 0.0
    {
        match tiepoints[..] {
            [col, row, _, x, y, _, ..] => {
                // DIFFERENCE from the GeoTIFF specification: a negative scale is
                // read as a slip, and the raster as north-up all the same.
                let (a, e) = (x_scale, -y_scale.abs());
                Some(Affine {
                    a,
                    b: 0.0,
                    c: x - col * a,
                    d: 0.0,
                    e,
                    f: y - row * e,
                })
            }
            _ => None,
        }
    } else if let [a, b, _, c, d, e, _, f, ..] = matrix[..]
        && matrix.len() == 16
    {
        Some(Affine { a, b, c, d, e, f })
    } else {
        None
    };
    let Some(mut affine) = affine else {
        return Ok(match tiepoints.len() / 6 {
            0 => Placement::Nowhere,
            n_gcps => Placement::Gcps(n_gcps),
        });
    };
    if is_point {
        affine.c -= 0.5 * affine.a + 0.5 * affine.b;
        affine.f -= 0.5 * affine.d + 0.5 * affine.e;
    }
    Ok(Placement::Affine(affine))
}
