//! Where a dataset has data, on the ground and in degrees.

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry};
use indexmap::IndexMap;

use crate::document::{Node, Problem, ProblemKind};

/// Where a dataset has data.
pub(super) struct Extent {
    pub(super) geometry: Geometry,
    pub(super) lonlat: Option<BoundingBox>,
    pub(super) mid_longitude: Option<f64>,
}

/// The extent: `geometry`, else the outline of the default grid; its degrees
/// are those of `geometry`, else of all grids together.
///
/// # Source
/// datacube-core, `datacube/index/eo3.py` (`eo3_grid_spatial`).
pub(super) fn read(
    document: &Node<'_>,
    geometry: Option<&Node<'_>>,
    crs: &Crs,
    grids: &IndexMap<String, GeoBox>,
) -> Option<Extent> {
    let (valid, place) = match geometry {
        Some(node) => (polygons(node, crs)?, node.clone()),
        None => (grids["default"].extent(), document.get("grids")?),
    };
    let all = if geometry.is_none() && grids.len() > 1 {
        let outlines: Vec<Geometry> = grids.values().map(GeoBox::extent).collect();
        Geometry::union(&outlines)
            .ok()
            .flatten()
            .unwrap_or_else(|| valid.clone())
    } else {
        valid.clone()
    };
    let degrees = all.lonlat_bounds().and_then(|bounds| {
        let spans_world = bounds.is_some_and(|bounds| bounds.right - bounds.left >= 360.0);
        let middle = if spans_world {
            valid.mid_longitude()?
        } else {
            all.mid_longitude()?
        };
        Ok((bounds, middle))
    });
    let (lonlat, mid_longitude) = match degrees {
        Ok(degrees) => degrees,
        // Another planet, or a CRS that PROJ cannot leave: the pixels are there all the same.
        Err(datacube_geo::Error::NoTransform { .. }) => (None, None),
        Err(error) => {
            let problem = Problem::new(
                place.path,
                ProblemKind::BadValue,
                "coordinates that have a longitude and a latitude",
            );
            document
                .report()
                .problem(problem.found_text("others").cause(error));
            return None;
        }
    };
    Some(Extent {
        geometry: valid,
        lonlat,
        mid_longitude,
    })
}

/// Reads `geometry`: a polygon or several, in the CRS of the document.
fn polygons(node: &Node<'_>, crs: &Crs) -> Option<Geometry> {
    node.map()?;
    let kind = node.require("type", "Polygon or MultiPolygon")?;
    if !matches!(kind.string()?, "Polygon" | "MultiPolygon") {
        kind.fault(ProblemKind::BadValue, "Polygon or MultiPolygon");
        return None;
    }
    match Geometry::from_geojson(node.value, Some(crs.clone())) {
        Ok(geometry) if geometry.is_empty() => {
            node.fault(
                ProblemKind::BadValue,
                "a polygon with coordinates; leave `geometry` out where there is none",
            );
            None
        }
        Ok(geometry) => Some(geometry),
        Err(error) => {
            let problem = Problem::new(
                node.path.key("coordinates"),
                ProblemKind::BadValue,
                "the coordinates of polygons",
            );
            let found = node.get("coordinates");
            let problem = match &found {
                Some(found) => problem.found(found.value),
                None => problem,
            };
            node.report().problem(problem.cause(error));
            None
        }
    }
}
