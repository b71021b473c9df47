//! Where on an output grid a scene can have pixels.
//!
//! Asked of documents, which round, so the answers err on the side of too much:
//! a scene that is looked at in vain costs a header, a scene that is not looked
//! at costs its pixels.

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry, PixelWindow, Xy};

/// How long a degree is, about.
pub(super) const METRES_PER_DEGREE: f64 = 111_320.0;

/// The longest piece of an outline that is projected as if it were straight.
pub(super) const LONGEST_PIECE_METRES: f64 = 100_000.0;

/// Where an outline is so many times as wide as its area, it may not bound it.
const MUCH_WIDER: f64 = 1.5;

/// The output pixels that an area may touch, in whatever CRS it is.
///
/// Errs on the side of too much: the whole grid where it cannot be told, as for
/// an area that has no CRS or of which a point does not project. Empty when the
/// two are certainly apart.
pub fn footprint_window(extent: &Geometry, dst: &GeoBox) -> PixelWindow {
    let whole = PixelWindow::full(dst.shape());
    let projected = match (extent.crs(), dst.crs()) {
        (None, None) => Ok(extent.clone()),
        (Some(from), Some(to)) if from == to => Ok(extent.clone()),
        (Some(from), Some(to)) => {
            let unit = if from.is_geographic() {
                METRES_PER_DEGREE
            } else {
                from.unit_in_metres()
            };
            let side = extent
                .bounding_box()
                .map_or(0.0, |b| b.span_x().max(b.span_y()));
            extent.to_crs(to, Some((side / 100.0).min(LONGEST_PIECE_METRES / unit)))
        }
        _ => return whole,
    };
    let Ok(projected) = projected else {
        return whole;
    };
    let to_pixel = dst.inverse_affine();
    if projected.is_empty() {
        return PixelWindow::new(0..0, 0..0);
    }
    let enclosed = match enclosed_bounds(extent, &projected) {
        Ok(bounds) => bounds,
        Err(_) => return whole,
    };
    // Longitudes repeat, and an extent over the antimeridian goes on past 180.
    let is_geographic = dst.crs().is_some_and(Crs::is_geographic);
    let turns: &[f64] = if is_geographic {
        &[-360.0, 0.0, 360.0]
    } else {
        &[0.0]
    };
    let mut window = PixelWindow::new(0..0, 0..0);
    for turn in turns {
        let moved = projected.map_coords(None, |p| to_pixel.apply(Xy::new(p.x + turn, p.y)));
        let Some(bounds) = moved.ok().and_then(|moved| moved.bounding_box()) else {
            return whole;
        };
        if !bounds.is_finite() {
            return whole;
        }
        window = window.union(&padded(bounds, dst));
    }
    match enclosed {
        Some(bounds) => window.union(&padded(bounds.transform(&to_pixel), dst)),
        None => window,
    }
}

/// The box around all of an area where its outline, `projected`, may not bound it: over
/// a pole and over the antimeridian, where the outline lies at both ends of the map.
///
/// Told by its size, which costs nothing: there it is much wider than the area.
fn enclosed_bounds(
    extent: &Geometry,
    projected: &Geometry,
) -> datacube_geo::Result<Option<BoundingBox>> {
    let side_metres = |area: &Geometry| {
        let side = area.bounding_box().map(|b| b.span_x().max(b.span_y()))?;
        let crs = area.crs()?;
        Some(if crs.is_geographic() {
            side * METRES_PER_DEGREE
        } else {
            side * crs.unit_in_metres()
        })
    };
    let to = projected.crs().filter(|crs| !crs.is_geographic());
    match (to, side_metres(extent), side_metres(projected)) {
        (Some(to), Some(before), Some(after)) if after > MUCH_WIDER * before => {
            extent.bounds_in(to)
        }
        _ => Ok(None),
    }
}

/// The output pixels that a raster on the grid `src` may give.
///
/// As [`footprint_window`], of the grid's whole area. This is the one to use
/// where the grid is known: an extent of valid data may be drawn inside it.
pub fn coverage_window(src: &GeoBox, dst: &GeoBox) -> PixelWindow {
    if src.crs() != dst.crs() {
        return match (src.crs(), dst.crs()) {
            (Some(_), Some(_)) => footprint_window(&src.extent(), dst),
            _ => PixelWindow::full(dst.shape()),
        };
    }
    let to_pixel = dst.inverse_affine() * *src.affine();
    let bounds = BoundingBox::from_affine(src.shape(), &to_pixel);
    if bounds.is_finite() {
        padded(bounds, dst)
    } else {
        PixelWindow::full(dst.shape())
    }
}

/// The pixels that `bounds`, in pixels of `dst`, touches, and two more on each
/// side: documents round, and lines are not quite straight.
fn padded(bounds: BoundingBox, dst: &GeoBox) -> PixelWindow {
    let grown = bounds.buffered(2.0, 2.0);
    // In pixels the y axis points down, so `bottom` is the lower number.
    PixelWindow::touching(
        (grown.bottom, grown.top),
        (grown.left, grown.right),
        dst.shape(),
    )
}
