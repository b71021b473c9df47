//! The area that many footprints cover together.
//!
//! Footprints come in one by one; now and then those that wait are merged, so
//! that no more is kept than the union and a few hundred shapes.

use datacube_geo::{Crs, Geometry, Xy};

use crate::error::{Error, Result};
use crate::footprint::Footprint;

/// Shapes that wait to be merged.
const WAITING: usize = 512;

/// An edge is at most so many degrees long when it is carried over to a CRS.
const MAX_EDGE_DEG: f64 = 1.0;

/// A union in the making, in longitude and latitude within a turn.
#[derive(Debug, Default)]
pub(crate) struct AreaUnion {
    shapes: Vec<Geometry>,
}

impl AreaUnion {
    /// Takes in a footprint.
    ///
    /// # Errors
    /// [`Error::Extent`] for a shape that cannot be merged.
    pub(crate) fn add(&mut self, footprint: &Footprint) -> Result<()> {
        for part in footprint.parts() {
            let shape = Geometry::new(part.clone(), Some(Crs::wgs84()));
            let shape = shape.and_then(|shape| shape.split_antimeridian());
            self.shapes.push(shape.map_err(failed)?);
        }
        if self.shapes.len() >= WAITING {
            self.merge()?;
        }
        Ok(())
    }

    fn merge(&mut self) -> Result<()> {
        if self.shapes.len() > 1 {
            let union = Geometry::union(&self.shapes).map_err(failed)?;
            self.shapes = union.into_iter().collect();
        }
        Ok(())
    }

    /// The union in a CRS; `None` for nothing, or for what has no place there.
    ///
    /// # Errors
    /// [`Error::Extent`] when it cannot be carried over.
    pub(crate) fn finish(mut self, crs: &Crs) -> Result<Option<Geometry>> {
        self.merge()?;
        let Some(union) = self.shapes.pop() else {
            return Ok(None);
        };
        let wgs84 = Crs::wgs84();
        let there = if *crs == wgs84 {
            // Overlays round to some 1e-8 degrees.
            let within = |p: Xy| Xy::new(snapped(p.x, 180.0), snapped(p.y, 90.0));
            union.map_coords(Some(wgs84), within).map_err(failed)?
        } else {
            union
                .to_crs_lossy(crs, Some(MAX_EDGE_DEG))
                .map_err(failed)?
        };
        Ok(Some(there).filter(|shape| !shape.is_empty()))
    }
}

/// A coordinate that is not beyond the limit, and on it where it is near it.
fn snapped(degrees: f64, limit: f64) -> f64 {
    const NEAR: f64 = 1e-7;
    if degrees.abs() > limit - NEAR {
        limit.copysign(degrees)
    } else {
        degrees
    }
}

fn failed(source: datacube_geo::Error) -> Error {
    Error::Extent {
        source: Box::new(source),
    }
}
