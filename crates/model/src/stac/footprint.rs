//! Where an item has data, in the CRS of its grids.
//!
//! Items say so in longitude and latitude. Over the antimeridian they do it in
//! three ways: cut into parts (as they should), on past 180 degrees, or with an
//! edge that jumps from one side of the map to the other. All three become one
//! shape on the ground.

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry, Xy};
use serde_json::Value;

use super::grids;
use crate::document::{Node, Problem, ProblemKind};

/// Longer edges are curves in most projections and are cut; the edges of a
/// scene are straight on its own grid, where its corners were taken.
const LONGEST_EDGE_DEGREES: f64 = 5.0;

/// The side of the box around a footprint without area, in degrees.
const POINT_SIZE: f64 = 1e-5;

/// The footprint in longitude and latitude; over the antimeridian it goes on past 180.
///
/// The `grid` tells a footprint around most of the world from one that jumps.
pub(super) fn lonlat(item: &Node<'_>, grid: Option<&GeoBox>) -> Option<Geometry> {
    let node = item.get("geometry").filter(|node| !node.value.is_null())?;
    let warn = |kind, expected: &str, cause: Option<datacube_geo::Error>| {
        let problem = node.problem(kind, expected);
        let problem = match cause {
            Some(cause) => problem.cause(cause),
            None => problem,
        };
        note(&node, problem, grid.is_some());
    };
    let geometry = match Geometry::from_geojson(node.value, Some(Crs::wgs84())) {
        Ok(geometry) => geometry,
        Err(error) => {
            warn(ProblemKind::BadValue, "a GeoJSON geometry", Some(error));
            return None;
        }
    };
    let Some(bounds) = geometry.bounding_box() else {
        warn(ProblemKind::BadValue, "a geometry with coordinates", None);
        return None;
    };
    let in_range = |b: &BoundingBox| {
        b.bottom >= -90.5 && b.top <= 90.5 && b.left >= -360.5 && b.right <= 540.5
    };
    let swapped = BoundingBox::new(bounds.bottom, bounds.left, bounds.top, bounds.right);
    let geometry = if in_range(&bounds) {
        geometry
    } else if in_range(&swapped) {
        let expected = "the longitude before the latitude; they are taken the other way round";
        node.report()
            .warning(node.problem(ProblemKind::BadValue, expected));
        let swap = geometry.map_coords(geometry.crs().cloned(), |p| Xy::new(p.y, p.x));
        swap.ok()?
    } else {
        let expected = "longitudes and latitudes, in degrees";
        warn(ProblemKind::BadValue, expected, None);
        return None;
    };
    let jumps = geometry.polygons().iter().any(|polygon| {
        let edges = polygon.exterior().lines();
        edges
            .into_iter()
            .any(|line| (180.0..359.0).contains(&(line.end.x - line.start.x).abs()))
    });
    if !jumps {
        return Some(in_one_piece(&geometry));
    }
    let unwrapped = geometry.map_coords(geometry.crs().cloned(), |p| {
        if p.x < 0.0 {
            Xy::new(p.x + 360.0, p.y)
        } else {
            p
        }
    });
    let unwrapped = unwrapped.ok()?;
    let wide = grid
        .and_then(|grid| grid.geographic_extent().ok()?.lonlat_bounds().ok()?)
        .is_some_and(|bounds| bounds.span_x() > 180.0);
    let east_before_west = item.get("bbox").and_then(|node| {
        Some((
            node.value.get(0)?.as_f64()?,
            node.value.get(node.value.as_array()?.len() / 2)?.as_f64()?,
        ))
    });
    let says_wide = east_before_west.is_some_and(|(left, right)| right - left > 180.0);
    // Nothing but the grid can tell for sure; a box as wide as the world is
    // what careless programs write for a scene that jumps.
    if wide || (grid.is_none() && says_wide && unwrapped.bounding_box()?.span_x() > 90.0) {
        return Some(geometry);
    }
    Some(unwrapped)
}

/// Parts that were cut at the antimeridian, side by side: the western one goes on past 180.
fn in_one_piece(geometry: &Geometry) -> Geometry {
    let Ok(Some(bounds)) = geometry.lonlat_bounds() else {
        return geometry.clone();
    };
    if bounds.right <= 180.0 || geometry.bounding_box().is_some_and(|own| own.right > 180.0) {
        return geometry.clone();
    }
    geometry
        .map_coords(geometry.crs().cloned(), |p| {
            if p.x < bounds.left - 1e-6 {
                Xy::new(p.x + 360.0, p.y)
            } else {
                p
            }
        })
        .unwrap_or_else(|_| geometry.clone())
}

/// A remark where grids stand in for the footprint, a fault where nothing does.
fn note(node: &Node<'_>, problem: Problem, harmless: bool) {
    if harmless {
        node.report().warning(problem);
    } else {
        node.report().problem(problem);
    }
}

/// The footprint as polygons in `crs`; `None` where the outline of the grid has to do.
pub(super) fn in_crs(
    item: &Node<'_>,
    lonlat: Option<&Geometry>,
    crs: &Crs,
    grid: &GeoBox,
) -> Option<Value> {
    let projected = projected(item, lonlat, crs);
    let own = item
        .get("properties")
        .and_then(|node| node.get("proj:geometry"))
        .filter(|node| is_native(node, crs, grid, projected.as_ref()));
    // As it was written, so that a document that was exported comes back the same.
    if let Some(own) = own {
        return (*own.value != grid.extent().to_geojson()).then(|| own.value.clone());
    }
    let geometry = polygons(&projected?)?;
    (!is_outline(&geometry, grid)).then(|| geometry.to_geojson())
}

/// The footprint in longitude and latitude, in another CRS.
fn projected(item: &Node<'_>, lonlat: Option<&Geometry>, crs: &Crs) -> Option<Geometry> {
    let lonlat = lonlat?;
    if lonlat.crs() == Some(crs) {
        return Some(lonlat.clone());
    }
    let projected = lonlat
        .to_crs(crs, Some(LONGEST_EDGE_DEGREES))
        .or_else(|_| lonlat.to_crs_lossy(crs, Some(LONGEST_EDGE_DEGREES / 10.0)));
    match projected {
        Ok(projected) => Some(projected),
        Err(error) => {
            let node = item.get("geometry")?;
            let expected = "a footprint that can be shown in the CRS of the grids";
            let problem = node.problem(ProblemKind::BadValue, expected);
            node.report().warning(problem.cause(error));
            None
        }
    }
}

/// The polygons of a shape, joined where they touch.
fn polygons(geometry: &Geometry) -> Option<Geometry> {
    let parts: Vec<Geometry> = geometry
        .polygons()
        .0
        .into_iter()
        .filter_map(|polygon| Geometry::new(polygon, geometry.crs().cloned()).ok())
        .collect();
    let joined = match parts.as_slice() {
        [] => return None,
        [only] => only.clone(),
        parts => Geometry::union(parts)
            .ok()
            .flatten()
            .unwrap_or_else(|| geometry.clone()),
    };
    let usable = joined.area() > 0.0 && joined.bounding_box().is_some_and(|bbox| bbox.is_finite());
    usable.then_some(joined)
}

/// Whether a footprint says no more than the grid does.
fn is_outline(geometry: &Geometry, grid: &GeoBox) -> bool {
    let outline = grid.extent();
    let (Some(a), Some(b)) = (geometry.bounding_box(), outline.bounding_box()) else {
        return false;
    };
    let tolerance = 1e-9 * (b.span_x() + b.span_y());
    let near = |a: f64, b: f64| (a - b).abs() <= tolerance;
    near(a.left, b.left)
        && near(a.right, b.right)
        && near(a.bottom, b.bottom)
        && near(a.top, b.top)
        && (geometry.area() - outline.area()).abs() <= 1e-9 * outline.area()
}

/// Whether `proj:geometry` is a footprint in `crs`: it lies on the grid, or
/// where the other footprint is.
fn is_native(node: &Node<'_>, crs: &Crs, grid: &GeoBox, other: Option<&Geometry>) -> bool {
    let kind = node.value["type"].as_str().unwrap_or_default();
    let Ok(geometry) = Geometry::from_geojson(node.value, Some(crs.clone())) else {
        return false;
    };
    let Some(own) = geometry.bounding_box() else {
        return false;
    };
    let there = |other: BoundingBox| own.intersects(&other);
    let other = other.and_then(Geometry::bounding_box);
    matches!(kind, "Polygon" | "MultiPolygon")
        && geometry.area() > 0.0
        && (there(grid.bounding_box()) || other.is_some_and(there))
}

/// One pixel, or `proj:shape` of them, around an item that has no grid.
///
/// # Source
/// odc-stac, `_mdtools.py` (`mk_1x1_geobox`). DIFFERENCE: the box is around the
/// footprint in the CRS of the item and not in degrees, and `proj:bbox` goes
/// before the footprint.
pub(super) fn stand_in(
    item: &Node<'_>,
    lonlat: Option<&Geometry>,
    crs: Option<&Crs>,
) -> Option<GeoBox> {
    let properties = item.get("properties")?;
    let own = crs
        .and_then(|crs| Some((grids::bbox(&properties.get("proj:bbox")?)?, crs.clone())))
        .map(|([left, bottom, right, top], crs)| (BoundingBox::new(left, bottom, right, top), crs));
    let (bbox, crs) = match own {
        Some(found) => found,
        None => {
            let from_bbox = || {
                let [left, bottom, right, top] = grids::bbox(&item.get("bbox")?)?;
                Geometry::from_bbox(
                    BoundingBox::new(left, bottom, right, top),
                    Some(Crs::wgs84()),
                )
                .ok()
            };
            let lonlat = lonlat.cloned().or_else(from_bbox)?;
            let projected = crs.and_then(|crs| {
                let projected = lonlat.to_crs(crs, Some(LONGEST_EDGE_DEGREES)).ok()?;
                Some((projected.bounding_box()?, crs.clone()))
            });
            match projected {
                Some(found) => found,
                None => (lonlat.bounding_box()?, Crs::wgs84()),
            }
        }
    };
    let size = if crs.is_geographic() { POINT_SIZE } else { 1.0 };
    let grow = |span: f64| if span > 0.0 { 0.0 } else { size / 2.0 };
    let bbox = bbox.buffered(grow(bbox.span_x()), grow(bbox.span_y()));
    let shape = datacube_geo::Shape2d::new(1, 1);
    let affine =
        datacube_geo::Affine::new(bbox.span_x(), 0.0, bbox.left, 0.0, -bbox.span_y(), bbox.top);
    GeoBox::new(shape, affine, Some(crs)).ok()
}
