//! Pixel coordinates of one grid to those of another, exactly.
//!
//! Through the affine of the first, PROJ, and the inverse affine of the second;
//! in one CRS the three are one affine. Longitudes are brought to the turn in
//! which the second grid lies, so that a grid from 170 to 190 and one from -180
//! to 180 find each other.

use super::CrsTransform;
use crate::{Affine, GeoBox, Result};

/// An exact map from pixel coordinates of one grid to those of another.
#[derive(Clone, Debug)]
pub(crate) enum PixelMap {
    /// Same CRS.
    Linear(Affine),
    /// Different CRSs, or longitudes that need more than one turn.
    Projected(Box<Projected>),
}

#[derive(Clone, Debug)]
pub(crate) struct Projected {
    from: Affine,
    transform: CrsTransform,
    to: Affine,
    /// Latitudes of the first grid beyond the poles by rounding are the poles.
    clamp_latitude: bool,
    /// Middle longitude of the second grid; points come out within half a turn
    /// of it.
    middle: Option<f64>,
}

impl PixelMap {
    /// From pixels of `from` to pixels of `to`.
    ///
    /// # Errors
    /// [`crate::Error::MissingCrs`] when only one of the two has a CRS;
    /// [`crate::Error::NoTransform`].
    pub(crate) fn new(from: &GeoBox, to: &GeoBox) -> Result<Self> {
        let inverse = to.inverse_affine();
        if from.crs().is_none() && to.crs().is_none() {
            return Ok(Self::Linear(inverse * *from.affine()));
        }
        let a = from.require_crs("map pixels to another grid")?;
        let b = to.require_crs("map pixels from another grid")?;
        if a == b {
            if !a.is_geographic() {
                return Ok(Self::Linear(inverse * *from.affine()));
            }
            if let Some(turn) = only_turn(from, to) {
                let moved = Affine::translation(turn, 0.0) * *from.affine();
                return Ok(Self::Linear(inverse * moved));
            }
        }
        Ok(Self::Projected(Box::new(Projected {
            from: *from.affine(),
            transform: CrsTransform::new(a, b)?,
            to: inverse,
            clamp_latitude: a.is_geographic(),
            middle: b.is_geographic().then(|| to.bounding_box().center().x),
        })))
    }

    /// The affine, if that is all there is to it.
    pub(crate) fn linear(&self) -> Option<&Affine> {
        match self {
            Self::Linear(a) => Some(a),
            Self::Projected(_) => None,
        }
    }

    /// Maps points in place; those that do not project become NaN.
    pub(crate) fn apply(&self, xs: &mut [f64], ys: &mut [f64]) -> Result<()> {
        match self {
            Self::Linear(a) => a.apply_all(xs, ys),
            Self::Projected(p) => p.apply(xs, ys)?,
        }
        Ok(())
    }
}

impl Projected {
    fn apply(&self, xs: &mut [f64], ys: &mut [f64]) -> Result<()> {
        self.from.apply_all(xs, ys);
        if self.clamp_latitude {
            for y in ys.iter_mut() {
                if y.abs() > 90.0 && y.abs() < 90.0 + 1e-6 {
                    *y = 90f64.copysign(*y);
                }
            }
        }
        self.transform.transform(xs, ys)?;
        if let Some(middle) = self.middle {
            for x in xs.iter_mut() {
                let off = *x - middle;
                if off.abs() > 180.0 {
                    *x -= 360.0 * (off / 360.0).round();
                }
            }
        }
        self.to.apply_all(xs, ys);
        Ok(())
    }
}

/// Degrees to add to the longitudes of `from` so that it meets `to`; `None` when
/// it meets more than one copy of it around the globe.
fn only_turn(from: &GeoBox, to: &GeoBox) -> Option<f64> {
    let (a, b) = (from.bounding_box(), to.bounding_box());
    // Copies that share only an edge do not count.
    let slack = 1e-9;
    let first = ((b.left - a.right + slack) / 360.0).ceil();
    let last = ((b.right - a.left - slack) / 360.0).floor();
    if last > first {
        return None;
    }
    if last == first {
        return Some(360.0 * first);
    }
    // They do not meet at all; the nearest copy is as good as any.
    Some(360.0 * ((b.center().x - a.center().x) / 360.0).round())
}
