//! GeoJSON in and out.

use super::Geometry;
use crate::{Crs, Error, Result};
use geo_types::GeometryCollection;
use serde_json::Value;

impl Geometry {
    /// From GeoJSON: a geometry, a feature, or a collection of features (then
    /// all of their geometries).
    ///
    /// RFC 7946 coordinates are longitude and latitude on WGS 84; EO3 documents
    /// use the same form for other CRSs, so the caller says which. Heights are
    /// dropped.
    ///
    /// # Errors
    /// [`Error::InvalidGeometry`] for what is not GeoJSON, has no geometry, or
    /// has coordinates that are not finite.
    pub fn from_geojson(value: &Value, crs: Option<Crs>) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidGeometry { reason };
        let parsed = serde_json::from_value::<geojson::GeoJson>(value.clone())
            .map_err(|e| invalid(format!("not GeoJSON: {e}")))?;
        let shapes: Vec<geo_types::Geometry<f64>> = match parsed {
            geojson::GeoJson::Geometry(g) => vec![convert(g)?],
            geojson::GeoJson::Feature(f) => {
                f.geometry.into_iter().map(convert).collect::<Result<_>>()?
            }
            geojson::GeoJson::FeatureCollection(c) => c
                .features
                .into_iter()
                .filter_map(|f| f.geometry)
                .map(convert)
                .collect::<Result<_>>()?,
        };
        let mut shapes = shapes;
        match shapes.len() {
            0 => Err(invalid("the GeoJSON has no geometry".to_owned())),
            1 => Self::new(shapes.remove(0), crs),
            _ => Self::new(
                geo_types::Geometry::GeometryCollection(GeometryCollection::new_from(shapes)),
                crs,
            ),
        }
    }

    /// As a GeoJSON geometry, coordinates as they are. For RFC 7946 bring it to
    /// EPSG:4326 and [`Geometry::split_antimeridian`] first.
    #[must_use]
    pub fn to_geojson(&self) -> Value {
        Value::from(&geojson::GeometryValue::from(self.geo()))
    }
}

fn convert(geometry: geojson::Geometry) -> Result<geo_types::Geometry<f64>> {
    geo_types::Geometry::try_from(geometry).map_err(|e| Error::InvalidGeometry {
        reason: format!("not a geometry: {e}"),
    })
}
