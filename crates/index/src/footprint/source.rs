//! Footprints of datasets and of query areas, through PROJ.

use datacube_geo::{Crs, CrsTransform, Geometry};
use datacube_model::Dataset;

use super::{Area, BuildError, Footprint, Projector};
use crate::error::{Error, Result};

impl Footprint {
    /// Where a dataset lies: its `geometry`, else the outlines of its grids.
    ///
    /// `None` where that has no longitude and latitude, as on another planet;
    /// such a dataset is found by everything but an area.
    pub(crate) fn of_dataset(dataset: &Dataset) -> Option<Footprint> {
        let default = place(dataset.extent())?;
        if dataset
            .document()
            .get("geometry")
            .is_some_and(|geometry| !geometry.is_null())
        {
            return Some(default);
        }
        // The other grids seldom reach beyond the default one.
        let bounds = dataset.bounds();
        let beyond = dataset
            .grids()
            .values()
            .filter(|grid| !bounds.contains(&grid.bounding_box()))
            .filter_map(|grid| place(&grid.extent()));
        let mut parts = default.parts;
        beyond.for_each(|footprint| parts.extend(footprint.parts));
        Footprint::new(parts)
    }

    fn of_query(geometry: &Geometry) -> Result<Footprint> {
        let Some(crs) = geometry.crs() else {
            return Err(Error::invalid_query(
                "the area has no CRS; give it one, such as EPSG:4326 for longitude and latitude",
            ));
        };
        match build(geometry, crs) {
            Ok(Ok(footprint)) => Ok(footprint),
            Ok(Err(BuildError::Empty)) => Err(Error::invalid_query(
                "the area is empty; leave it out to search everywhere",
            )),
            Ok(Err(BuildError::OutsideProjection)) => Err(Error::invalid_query(format!(
                "no point of the area has a longitude and latitude; are its coordinates in {crs}?"
            ))),
            Err(source) => Err(Error::invalid_query(format!(
                "the area cannot be carried from {crs} to longitude and latitude: {source}"
            ))),
        }
    }
}

impl Area {
    /// The area that a query asks for.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for an area without CRS, without points, or with
    /// none on the earth.
    pub(crate) fn of_query(geometry: &Geometry) -> Result<Area> {
        Footprint::of_query(geometry).map(Area::new)
    }
}

fn place(geometry: &Geometry) -> Option<Footprint> {
    build(geometry, geometry.crs()?).ok()?.ok()
}

fn build(geometry: &Geometry, crs: &Crs) -> datacube_geo::Result<Result<Footprint, BuildError>> {
    let transform = CrsTransform::new(crs, &Crs::wgs84())?;
    if transform.is_identity() {
        return Ok(Footprint::build(geometry.geo(), &Projector::LonLat));
    }
    let project = |x: &mut [f64], y: &mut [f64]| {
        // Setting up cannot fail any more; if it did, nothing would project.
        if transform.transform(x, y).is_err() {
            x.fill(f64::NAN);
        }
    };
    Ok(Footprint::build(
        geometry.geo(),
        &Projector::Project(&project),
    ))
}
