//! Exact points between two CRSs, through PROJ.
//!
//! The value is a pair of CRSs; what PROJ needs to work with lives in each
//! thread's own cache, so it can be cloned and used from any thread.

use crate::proj;
use crate::{Crs, Error, Result, Xy};
use serde::{Deserialize, Serialize};

/// Maps points from one CRS to another, exactly, x before y.
///
/// What PROJ cannot map becomes NaN, in both coordinates. Longitudes come out
/// between -180 and 180.
///
/// ```
/// use datacube_geo::{Crs, CrsTransform, Xy};
/// let t = CrsTransform::new(&Crs::parse("EPSG:32655")?, &Crs::wgs84())?;
/// let p = t.point(Xy::new(500_000.0, 0.0))?.expect("on the central meridian");
/// assert!((p.x - 147.0).abs() < 1e-9 && p.y.abs() < 1e-9);
/// # Ok::<(), datacube_geo::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrsTransform {
    from: Crs,
    to: Crs,
}

impl CrsTransform {
    /// The transform of coordinates in `from` to coordinates in `to`.
    ///
    /// # Errors
    /// [`Error::NoTransform`] when PROJ knows no operation between the two.
    pub fn new(from: &Crs, to: &Crs) -> Result<Self> {
        let out = Self {
            from: from.clone(),
            to: to.clone(),
        };
        // Here rather than at the first point.
        out.transform(&mut [], &mut [])?;
        Ok(out)
    }

    /// The CRS of the input.
    #[must_use]
    pub fn from(&self) -> &Crs {
        &self.from
    }

    /// The CRS of the output.
    #[must_use]
    pub fn to(&self) -> &Crs {
        &self.to
    }

    /// The transform the other way.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self {
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }

    /// Whether both CRSs are the same, so that points stay as they are.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.from == self.to
    }

    /// Maps points in place. Takes as many as the shorter slice has; those that
    /// do not project become NaN.
    ///
    /// # Errors
    /// [`Error::NoTransform`] when this thread cannot set PROJ up; after a
    /// successful [`CrsTransform::new`] that means no memory.
    pub fn transform(&self, xs: &mut [f64], ys: &mut [f64]) -> Result<()> {
        if self.is_identity() {
            return Ok(());
        }
        proj::with(|proj| {
            let operation = proj.operation(self.from.key(), self.to.key())?;
            proj.transform(operation, xs, ys);
            Ok(())
        })
        .and_then(|r| r)
        .map_err(|reason| Error::NoTransform {
            from: self.from.to_string(),
            to: self.to.to_string(),
            reason,
        })
    }

    /// Maps one point; `None` if it does not project.
    ///
    /// # Errors
    /// As [`CrsTransform::transform`].
    pub fn point(&self, p: Xy) -> Result<Option<Xy>> {
        let (mut x, mut y) = ([p.x], [p.y]);
        self.transform(&mut x, &mut y)?;
        let p = Xy::new(x[0], y[0]);
        Ok(p.is_finite().then_some(p))
    }
}
