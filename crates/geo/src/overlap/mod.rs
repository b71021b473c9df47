//! How one raster meets a grid: what to read, where to write, paste or warp.
//!
//! [`ReprojectInfo`] is decided once for a source and the whole destination,
//! without any pixel, and everything that must not depend on the chunking comes
//! from it: the scale that picks an overview, the decision to paste, and the
//! window that GDAL's approximation is anchored to. A chunk then only asks for
//! its part of the source ([`ReprojectInfo::restrict`]).

mod hull;
mod paste;

pub use paste::{Paste, PasteRule, Tie};

use crate::snap::maybe_int;
use crate::transform::PixelMap;
use crate::{Affine, Approximation, BoundingBox, GeoBox, GridTransform, PixelWindow, Result, Xy};
use hull::{Hull, hull};
use serde::{Deserialize, Serialize};

/// Scales this close to a whole number are whole.
const SCALE_TOLERANCE: f64 = 1e-3;

/// How a source raster meets a destination grid.
///
/// # Source
/// odc-geo 0.5.3, `compute_reproject_roi`. DIFFERENCE: the windows cover all
/// that the two share, also where edges bulge, at the antimeridian and around
/// poles; a paste is exact over its whole window, not only at its corner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReprojectInfo {
    transform: GridTransform,
    /// Source pixels that the destination may need, without any pad for a
    /// kernel.
    pub src_window: PixelWindow,
    /// Destination pixels that the source may touch. Empty when they do not
    /// meet.
    pub dst_window: PixelWindow,
    /// The part of the destination that ODC would warp onto, which GDAL's
    /// approximation is anchored to and its kernel scale is taken from. Never
    /// larger than `dst_window` but for a pixel or two, and possibly a little
    /// smaller.
    pub anchor: PixelWindow,
    /// Source pixels per destination pixel in the middle of the overlap, along
    /// the columns and rows of the source; above 1 the source is finer.
    pub scale: Xy,
    /// Set when the source can be copied instead of warped.
    pub paste: Option<Paste>,
}

impl ReprojectInfo {
    /// How `src` meets `dst`, with GDAL's approximation of positions.
    ///
    /// # Errors
    /// [`crate::Error::MissingCrs`] when only one of the two has a CRS;
    /// [`crate::Error::NoTransform`].
    pub fn new(src: &GeoBox, dst: &GeoBox, rule: PasteRule) -> Result<Self> {
        let forward = PixelMap::new(dst, src)?;
        let back = PixelMap::new(src, dst)?;
        let src_all = PixelWindow::full(src.shape());
        let dst_all = PixelWindow::full(dst.shape());
        let touched = |map: &PixelMap, from: &PixelWindow, onto: &PixelWindow| {
            hull(map, from).map(|h| h.window(onto, 0.0))
        };
        let mut dst_window = touched(&back, &src_all, &dst_all)?;
        let src_window = touched(&forward, &dst_window, &src_all)?;
        if src_window.is_empty() {
            dst_window = PixelWindow::default();
        }
        let anchor = anchor(&forward, &back, src, dst)?;
        let approximation = Approximation::Gdal {
            tolerance_px: Approximation::GDAL_TOLERANCE_PX,
            anchor: anchor.clone(),
        };
        let transform = GridTransform::with(dst, src, approximation)?;
        let scale = match transform.linear() {
            Some(a) => linear_scale(a),
            None => scale_in(&transform, &anchor, &dst_window)?,
        };
        let paste = transform
            .linear()
            .and_then(|a| Paste::decide(a, src.shape(), dst.shape(), rule));
        if let Some(paste) = &paste {
            return Ok(Self {
                src_window: paste.src_window(),
                dst_window: paste.dst_window.clone(),
                anchor,
                scale,
                paste: Some(paste.clone()),
                transform,
            });
        }
        Ok(Self {
            transform,
            src_window,
            dst_window,
            anchor,
            scale,
            paste,
        })
    }

    /// The same with another approximation of positions.
    ///
    /// # Errors
    /// As [`GridTransform::with`].
    pub fn with_approximation(mut self, approximation: Approximation) -> Result<Self> {
        self.transform = GridTransform::with(self.dst(), self.src(), approximation)?;
        Ok(self)
    }

    /// The map from destination to source pixels.
    #[must_use]
    pub fn transform(&self) -> &GridTransform {
        &self.transform
    }

    /// The source grid.
    #[must_use]
    pub fn src(&self) -> &GeoBox {
        self.transform.src()
    }

    /// The destination grid.
    #[must_use]
    pub fn dst(&self) -> &GeoBox {
        self.transform.dst()
    }

    /// Whether the map is one affine.
    #[must_use]
    pub fn is_linear(&self) -> bool {
        self.transform.linear().is_some()
    }

    /// Whether the two do not meet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dst_window.is_empty() || self.src_window.is_empty()
    }

    /// The smaller of the two scales, by which reading may be reduced without
    /// losing detail on either axis.
    #[must_use]
    pub fn min_scale(&self) -> f64 {
        self.scale.x.min(self.scale.y)
    }

    /// How far a read may be reduced: the scale, floored to a whole number of
    /// at least one (2.8 gives 2, 2.9999 gives 3).
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1..=u32::MAX first"
    )]
    pub fn read_shrink(&self) -> usize {
        let scale = self.min_scale();
        if scale < 1.0 - SCALE_TOLERANCE {
            return 1;
        }
        let scale = maybe_int(scale, SCALE_TOLERANCE);
        scale.floor().clamp(1.0, f64::from(u32::MAX)) as usize
    }

    /// Source pixels that the destination pixels of `window` may need, with
    /// `pad` pixels more on each side for the reach of a kernel. Empty when
    /// `window` has no pixel that the source touches.
    ///
    /// # Errors
    /// [`crate::Error::NoTransform`] when this thread cannot set PROJ up.
    pub fn restrict(&self, window: &PixelWindow, pad: usize) -> Result<PixelWindow> {
        let window = window.intersect(&self.dst_window);
        if window.is_empty() {
            return Ok(PixelWindow::default());
        }
        if let Some(paste) = &self.paste {
            return Ok(paste.src_of(&window).pad(pad, self.src().shape()));
        }
        let all = PixelWindow::full(self.src().shape());
        Ok(hull(self.transform.map(), &window)?.window(&all, pad as f64))
    }

    /// The box, in continuous source pixels, around the destination pixels of
    /// `window`; not clipped to the source. `None` when none of them projects.
    ///
    /// # Errors
    /// As [`ReprojectInfo::restrict`].
    pub fn src_bounds(&self, window: &PixelWindow) -> Result<Option<BoundingBox>> {
        Ok(match hull(self.transform.map(), window)? {
            Hull::Empty => None,
            Hull::Box { bounds, .. } => Some(bounds),
        })
    }
}

/// Source pixels per destination pixel around a point of the destination, or
/// `None` where it does not project.
///
/// A linear map is fitted to the point and its four neighbours, and the scale
/// of its columns and rows taken out of it.
///
/// # Source
/// odc-geo 0.5.3, `get_scale_at_point`.
pub(crate) fn scale_at(transform: &GridTransform, p: Xy) -> Result<Option<Xy>> {
    let mut xs = [p.x - 1.0, p.x + 1.0, p.x, p.x];
    let mut ys = [p.y, p.y, p.y - 1.0, p.y + 1.0];
    transform.points(&mut xs, &mut ys)?;
    let fitted = Affine::new(
        (xs[1] - xs[0]) / 2.0,
        (xs[3] - xs[2]) / 2.0,
        0.0,
        (ys[1] - ys[0]) / 2.0,
        (ys[3] - ys[2]) / 2.0,
        0.0,
    );
    let scale = linear_scale(&fitted);
    Ok((scale.is_finite() && scale.x > 0.0 && scale.y > 0.0).then_some(scale))
}

/// Column and row scale of a linear map, without sign.
///
/// # Source
/// odc-geo 0.5.3, `decompose_rws`.
fn linear_scale(a: &Affine) -> Xy {
    let x = a.a.hypot(a.d);
    Xy::new(x, (a.determinant() / x).abs())
}

/// The scale in the middle of the anchor, else wherever the overlap projects;
/// (1, 1) when it does nowhere.
fn scale_in(transform: &GridTransform, anchor: &PixelWindow, all: &PixelWindow) -> Result<Xy> {
    let middle = |w: &PixelWindow| {
        Xy::new(
            (w.cols.start + w.cols.end) as f64 / 2.0,
            (w.rows.start + w.rows.end) as f64 / 2.0,
        )
    };
    let mut candidates = Vec::new();
    if !anchor.is_empty() {
        candidates.push(middle(anchor));
    }
    if !all.is_empty() {
        candidates.push(middle(all));
        let shape = all.shape();
        for i in 1..8 {
            for j in 1..8 {
                candidates.push(Xy::new(
                    all.cols.start as f64 + shape.cols as f64 * f64::from(j) / 8.0,
                    all.rows.start as f64 + shape.rows as f64 * f64::from(i) / 8.0,
                ));
            }
        }
    }
    for p in candidates {
        if let Some(scale) = scale_at(transform, p)? {
            return Ok(scale);
        }
    }
    Ok(Xy::new(1.0, 1.0))
}

/// The destination window that odc-geo computes, to the pixel.
///
/// # Source
/// odc-geo 0.5.3, `_relative_rois`, with `padding=1`.
fn anchor(forward: &PixelMap, back: &PixelMap, src: &GeoBox, dst: &GeoBox) -> Result<PixelWindow> {
    let per_side = if forward.linear().is_some() { 2 } else { 5 };
    let Some(b) = hull::boundary(forward, &PixelWindow::full(dst.shape()), per_side)?.bounds()
    else {
        return Ok(PixelWindow::default());
    };
    let b = b.round_out().buffered(1.0, 1.0);
    let needed = PixelWindow::touching((b.bottom, b.top), (b.left, b.right), src.shape());
    if needed.is_empty() {
        return Ok(PixelWindow::default());
    }
    let Some(b) = hull::boundary(back, &needed, per_side)?.bounds() else {
        return Ok(PixelWindow::default());
    };
    Ok(PixelWindow::touching(
        (b.bottom, b.top),
        (b.left, b.right),
        dst.shape(),
    ))
}
