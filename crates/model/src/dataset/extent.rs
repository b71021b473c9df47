//! Where a dataset has data, on the ground and in degrees.

use std::sync::OnceLock;

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry};
use indexmap::IndexMap;
use serde_json::Value;

use crate::document::{DocPath, Node, Problem, ProblemKind};

/// Where a dataset has data.
pub(super) struct Extent {
    pub(super) geometry: Geometry,
    /// What the degrees are of, where that is more than `geometry`.
    whole: Option<Geometry>,
    /// Projecting outlines takes longer than all else that is read of a
    /// document, so they are worked out when asked for.
    degrees: OnceLock<Degrees>,
}

/// An extent in degrees.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Degrees {
    /// `None` where there are no longitudes, as on another planet.
    pub(super) bounds: Option<BoundingBox>,
    pub(super) mid_longitude: Option<f64>,
}

impl Extent {
    /// The range of longitudes and latitudes; none on another planet, or in a
    /// CRS that PROJ cannot leave: the pixels are there all the same.
    pub(super) fn degrees(&self) -> Degrees {
        *self
            .degrees
            .get_or_init(|| self.work_out_degrees().unwrap_or_default())
    }

    fn work_out_degrees(&self) -> datacube_geo::Result<Degrees> {
        let whole = self.whole.as_ref().unwrap_or(&self.geometry);
        let bounds = whole.lonlat_bounds()?;
        let mid_longitude = match bounds {
            // Around a pole the middle of the range says nothing.
            Some(bounds) if bounds.span_x() >= 360.0 => self.geometry.mid_longitude()?,
            Some(bounds) => Some(in_world(bounds.center().x)),
            None => None,
        };
        Ok(Degrees {
            bounds,
            mid_longitude,
        })
    }
}

/// The extent: `geometry`, else the outline of the default grid; its degrees
/// are those of `geometry`, else of all grids together.
///
/// # Source
/// datacube-core, `datacube/index/eo3.py` (`eo3_grid_spatial`).
pub(super) fn read(
    geometry: Option<&Node<'_>>,
    crs: &Crs,
    grids: &IndexMap<String, GeoBox>,
) -> Option<Extent> {
    let valid = match geometry {
        Some(node) => polygons(node, crs)?,
        None => grids["default"].extent(),
    };
    let whole = if geometry.is_none() && grids.len() > 1 {
        let outlines: Vec<Geometry> = grids.values().map(GeoBox::extent).collect();
        Geometry::union(&outlines).ok().flatten()
    } else {
        None
    };
    Some(Extent {
        geometry: valid,
        whole,
        degrees: OnceLock::new(),
    })
}

/// A longitude between -180 and 180.
fn in_world(longitude: f64) -> f64 {
    if longitude > 180.0 {
        longitude - 360.0
    } else {
        longitude
    }
}

/// Reads `geometry`: a polygon or several, in the CRS of the document.
fn polygons(node: &Node<'_>, crs: &Crs) -> Option<Geometry> {
    node.map()?;
    let kind = node.require("type", "Polygon or MultiPolygon")?;
    if !matches!(kind.string()?, "Polygon" | "MultiPolygon") {
        kind.fault(ProblemKind::BadValue, "Polygon or MultiPolygon");
        return None;
    }
    // Positions of less than two numbers are caught here, with their place.
    let depth = if kind.value == "Polygon" { 2 } else { 3 };
    let coordinates = node.require("coordinates", "the coordinates of polygons")?;
    positions(coordinates.value, &coordinates.path, depth, node)?;
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

/// Checks lists of lists of positions, `depth` deep; a position is `[x, y]`,
/// maybe with a height.
fn positions(value: &Value, path: &DocPath, depth: usize, node: &Node<'_>) -> Option<()> {
    let fault = |expected: &str| {
        let problem = Problem::new(path.clone(), ProblemKind::WrongType, expected).found(value);
        node.report().problem(problem);
        None
    };
    let Some(items) = value.as_array() else {
        return fault(if depth == 0 {
            "a position, [x, y]"
        } else {
            "a list of positions"
        });
    };
    if depth == 0 {
        return if items.len() >= 2 && items.iter().all(Value::is_number) {
            Some(())
        } else {
            fault("a position, [x, y]")
        };
    }
    // Paths are made for the faulty item only: there may be a million positions.
    let wrong = |item: &Value| {
        depth == 1
            && !item
                .as_array()
                .is_some_and(|p| p.len() >= 2 && p.iter().all(Value::is_number))
    };
    for (index, item) in items
        .iter()
        .enumerate()
        .filter(|(_, item)| depth > 1 || wrong(item))
    {
        positions(item, &path.index(index), depth - 1, node)?;
    }
    Some(())
}
