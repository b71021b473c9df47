//! The spatial terms of a query, made into one polygon.
//!
//! A caller may give ranges of x and y, of longitude and latitude, or a
//! polygon; never a mixture. One range alone is a band: in degrees it goes round
//! the world, in a projected CRS as far as the CRS is meant for, and of the result
//! as far as there are datasets.

use datacube_geo::{BoundingBox, Crs, Geometry, Xy};

use crate::load_options::{CrsSpec, DatasetQuery, LonSpan, Span};
use crate::{Error, Result};

/// Where to search, and what of it to load.
#[derive(Debug, Clone)]
pub(crate) struct Region {
    /// The area, in the CRS in which it was given.
    pub(crate) polygon: Geometry,
    /// Whether only one axis was given, so that the datasets have to bound the other.
    pub(crate) is_band: bool,
}

/// The region that the terms of `query` name; `None` when they name none.
///
/// # Errors
/// [`Error::Option`] for terms that exclude each other, for one range in a
/// projected CRS, and for numbers that are no coordinates of the CRS.
pub(crate) fn resolve_region(query: &DatasetQuery) -> Result<Option<Region>> {
    let has_xy = query.x.is_some() || query.y.is_some();
    let has_lonlat = query.lon.is_some() || query.lat.is_some();
    let refuse = |option, problem: &str| {
        Err(Error::Option {
            option,
            problem: problem.into(),
        })
    };

    if let Some([west, south, east, north]) = query.bbox {
        if has_xy || has_lonlat || query.geopolygon.is_some() {
            return refuse(
                "bbox",
                "give either a box, a polygon or ranges, not several of them",
            );
        }
        let polygon = lonlat_polygon(west, east, (south, north).into())?;
        return Ok(Some(Region {
            polygon,
            is_band: false,
        }));
    }
    if let Some(polygon) = &query.geopolygon {
        if has_xy || has_lonlat {
            return refuse("geopolygon", "give either a polygon or ranges, not both");
        }
        if polygon.crs().is_none() {
            return refuse(
                "geopolygon",
                "it has no CRS; say in which one its coordinates are",
            );
        }
        if polygon.is_empty() {
            return refuse("geopolygon", "it is empty");
        }
        return Ok(Some(Region {
            polygon: polygon.clone(),
            is_band: false,
        }));
    }
    if has_xy && has_lonlat {
        return refuse("lon/lat", "give either x and y or lon and lat, not both");
    }
    if has_lonlat {
        let lon = query.lon.unwrap_or(LonSpan {
            west: -180.0,
            east: 180.0,
        });
        let lat = query.lat.unwrap_or(Span {
            low: -90.0,
            high: 90.0,
        });
        let polygon = lonlat_polygon(lon.west, lon.east, lat)?;
        let is_band = query.lon.is_none() || query.lat.is_none();
        return Ok(Some(Region { polygon, is_band }));
    }
    if !has_xy {
        if query.crs.is_some() {
            return refuse("crs", "it belongs to x and y, which are not given");
        }
        return Ok(None);
    }
    let crs = match &query.crs {
        Some(spec) => resolve_crs(spec)?,
        None => Crs::wgs84(),
    };
    if crs.is_geographic() {
        let x = query.x.unwrap_or(Span {
            low: -180.0,
            high: 180.0,
        });
        let y = query.y.unwrap_or(Span {
            low: -90.0,
            high: 90.0,
        });
        if x.low < -360.0 || x.high > 360.0 || y.low < -90.0 || y.high > 90.0 {
            return Err(Error::Option {
                option: "x/y",
                problem: format!(
                    "x {} to {}, y {} to {} are not degrees; if they are metres, say in which CRS \
                     with `crs`",
                    x.low, x.high, y.low, y.high
                ),
            });
        }
        let polygon = lonlat_polygon(x.low, x.high, y)?.assign_crs(Some(crs));
        return Ok(Some(Region {
            polygon,
            is_band: query.x.is_none() || query.y.is_none(),
        }));
    }
    let is_band = query.x.is_none() || query.y.is_none();
    let (x, y) = match (query.x, query.y) {
        (Some(x), Some(y)) => (x, y),
        (x, y) => {
            // The other axis goes as far as the CRS is meant for.
            let area = area_of(&crs)?;
            let all = |low: f64, high: f64| Span { low, high };
            (
                x.unwrap_or(all(area.left, area.right)),
                y.unwrap_or(all(area.bottom, area.top)),
            )
        }
    };
    let polygon = box_polygon((x.low, x.high), (y.low, y.high), crs)?;
    Ok(Some(Region { polygon, is_band }))
}

/// Where a projected CRS is meant to be used, in its own units.
fn area_of(crs: &Crs) -> Result<BoundingBox> {
    let refuse = || Error::Option {
        option: "x/y",
        problem: format!(
            "only one of them is given, and {crs} does not say how far it goes in the other direction; give both"
        ),
    };
    let area = crs.area_of_use().ok_or_else(refuse)?;
    let area = Geometry::from_bbox(area, Some(Crs::wgs84()))?;
    // A pole at the edge of the area may have no place in the projection.
    let area = area.to_crs_lossy(crs, None)?;
    area.bounding_box()
        .filter(BoundingBox::is_finite)
        .ok_or_else(refuse)
}

/// The CRS that `spec` names.
pub(crate) fn resolve_crs(spec: &CrsSpec) -> Result<Crs> {
    match spec {
        CrsSpec::Text(text) => Ok(Crs::parse(text)?),
        CrsSpec::Crs(crs) => Ok(crs.clone()),
    }
}

/// A box in degrees; with `west > east` it crosses the antimeridian and goes on past 180.
fn lonlat_polygon(west: f64, east: f64, lat: Span) -> Result<Geometry> {
    let valid = west.is_finite() && east.is_finite() && west.abs() <= 360.0 && east.abs() <= 360.0;
    if !valid || !(-90.0..=90.0).contains(&lat.low) || !(-90.0..=90.0).contains(&lat.high) {
        return Err(Error::Option {
            option: "lon/lat",
            problem: format!(
                "lon {west} to {east}, lat {} to {} are not degrees",
                lat.low, lat.high
            ),
        });
    }
    let east = if east < west { east + 360.0 } else { east };
    box_polygon((west, east), (lat.low, lat.high), Crs::wgs84())
}

/// A rectangle; a range without extent becomes a point or a line of it.
fn box_polygon(x: (f64, f64), y: (f64, f64), crs: Crs) -> Result<Geometry> {
    let crs = Some(crs);
    let geometry = match (x.0 == x.1, y.0 == y.1) {
        (true, true) => Geometry::point(Xy { x: x.0, y: y.0 }, crs),
        (true, false) | (false, true) => {
            Geometry::line(&[Xy { x: x.0, y: y.0 }, Xy { x: x.1, y: y.1 }], crs)
        }
        (false, false) => Geometry::from_bbox(BoundingBox::from_ranges(x, y), crs),
    };
    Ok(geometry?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(query: &DatasetQuery) -> (BoundingBox, bool) {
        let region = resolve_region(query)
            .expect("a region")
            .expect("some region");
        (
            region.polygon.bounding_box().expect("not empty"),
            region.is_band,
        )
    }

    #[test]
    fn boxes_and_bands() {
        let query = DatasetQuery::new("p");
        let (bbox, is_band) = bounds(&query.clone().lon((143.0, 144.0)).lat((-37.0, -38.0)));
        assert_eq!(
            (bbox.left, bbox.bottom, bbox.right, bbox.top),
            (143.0, -38.0, 144.0, -37.0)
        );
        assert!(!is_band);
        let (bbox, is_band) = bounds(&query.clone().lat((-38.0, -37.0)));
        assert_eq!((bbox.left, bbox.right, is_band), (-180.0, 180.0, true));
        let (bbox, _) = bounds(&query.clone().lon((179.0, -179.0)).lat((0.0, 1.0)));
        assert_eq!((bbox.left, bbox.right), (179.0, 181.0));
        let (bbox, is_band) = bounds(&query.clone().bbox(143.0, -38.0, 144.0, -37.0));
        assert_eq!((bbox.left, bbox.top, is_band), (143.0, -37.0, false));
        // One axis in metres: the other is all of the UTM zone.
        let (bbox, is_band) = bounds(&query.clone().x((6e5, 6.1e5)).crs("EPSG:32755"));
        assert_eq!((bbox.left, bbox.right, is_band), (6e5, 6.1e5, true));
        assert!(bbox.bottom < 1.2e6 && bbox.top > 9.9e6, "{bbox}");
        assert!(resolve_region(&query).expect("no terms").is_none());
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let query = DatasetQuery::new("p");
        let fail = |query: DatasetQuery| resolve_region(&query).unwrap_err().to_string();
        let message = fail(query.clone().x((600_000.0, 610_000.0)).y((6e6, 6.1e6)));
        assert!(message.contains("say in which CRS"), "{message}");
        let message = fail(query.clone().x((0.0, 1.0)).lat((0.0, 1.0)));
        assert!(message.contains("not both"), "{message}");
        let message = fail(query.clone().bbox(1.0, 2.0, 3.0, 4.0).lon((1.0, 2.0)));
        assert!(message.contains("not several"), "{message}");
        let message = fail(query.clone().crs("EPSG:32655"));
        assert!(message.contains("not given"), "{message}");
        let message = fail(query.lon((143.0, 144.0)).lat((-100.0, 0.0)));
        assert!(message.contains("not degrees"), "{message}");
    }
}
