//! What a product says about grids: hints for loading, and storage.

use datacube_geo::{Crs, Resolution, Xy};
use serde_json::{Map, Value};

use crate::document::{Node, Problem, ProblemKind};

/// The grid that a load uses where none is asked for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LoadHints {
    /// The CRS.
    pub crs: Crs,
    /// The pixel size, in units of the CRS.
    pub resolution: Resolution,
    /// Where pixel edges are: at multiples of the pixel size plus this, in
    /// units of the CRS.
    pub align: Option<Xy>,
}

/// How a product is, or was, stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Storage {
    /// The CRS.
    pub crs: Option<Crs>,
    /// The pixel size, in units of the CRS.
    pub resolution: Option<Resolution>,
    /// The size of a tile, in units of the CRS.
    pub tile_size: Option<Xy>,
    /// A corner of tile (0, 0), in units of the CRS.
    pub origin: Option<Xy>,
    /// The driver that reads the files.
    pub driver: Option<String>,
    /// Order of the dimensions in the files.
    pub dimension_order: Option<Vec<String>>,
    /// Chunk sizes in the files, by dimension.
    pub chunking: Option<Map<String, Value>>,
}

/// The fixed tiling of a product.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GridSpecification {
    /// The CRS.
    pub crs: Crs,
    /// The size of a tile, in units of the CRS.
    pub tile_size: Xy,
    /// The pixel size, in units of the CRS.
    pub resolution: Resolution,
    /// A corner of tile (0, 0), in units of the CRS.
    pub origin: Xy,
}

impl Storage {
    /// The grid for loading, where CRS and pixel size are given but no tiles.
    pub(super) fn load_hints(&self) -> Option<LoadHints> {
        match (&self.crs, self.resolution, self.tile_size) {
            (Some(crs), Some(resolution), None) => Some(LoadHints {
                crs: crs.clone(),
                resolution,
                align: None,
            }),
            _ => None,
        }
    }

    pub(super) fn grid_spec(&self) -> Option<GridSpecification> {
        Some(GridSpecification {
            crs: self.crs.clone()?,
            tile_size: self.tile_size?,
            resolution: self.resolution?,
            origin: self.origin.unwrap_or(Xy::new(0.0, 0.0)),
        })
    }
}

/// Reads `load`.
pub(super) fn hints(node: &Node<'_>) -> Option<LoadHints> {
    node.map()?;
    node.only_keys(&["crs", "resolution", "align"]);
    let crs = node
        .require("crs", "the CRS to load in, such as EPSG:3577")
        .and_then(|node| crs(&node));
    let resolution = node
        .require(
            "resolution",
            "the pixel size to load with, such as {x: 30, y: -30}",
        )
        .and_then(|node| resolution(&node));
    let align = node.get("align").map(|node| (pair(&node), node));
    let align = match align {
        None => None,
        Some((None, _)) => return None,
        Some((Some(align), node)) => {
            let steps = resolution?.abs();
            if !(0.0..steps.x).contains(&align.x) || !(0.0..steps.y).contains(&align.y) {
                node.fault(
                    ProblemKind::BadValue,
                    format!("from 0 to below the pixel size ({}, {})", steps.x, steps.y),
                );
                return None;
            }
            Some(align)
        }
    };
    Some(LoadHints {
        crs: crs?,
        resolution: resolution?,
        align,
    })
}

/// Reads `storage`.
pub(super) fn storage(node: &Node<'_>) -> Option<Storage> {
    node.map()?;
    node.only_keys(&[
        "crs",
        "resolution",
        "tile_size",
        "origin",
        "driver",
        "dimension_order",
        "chunking",
    ]);
    let tile_size = node.get("tile_size").and_then(|node| {
        let size = pair(&node)?;
        if size.x > 0.0 && size.y > 0.0 {
            return Some(size);
        }
        node.fault(ProblemKind::BadValue, "sizes above 0");
        None
    });
    Some(Storage {
        crs: node.get("crs").and_then(|node| crs(&node)),
        resolution: node.get("resolution").and_then(|node| resolution(&node)),
        tile_size,
        origin: node.get("origin").and_then(|node| pair(&node)),
        driver: node
            .get("driver")
            .and_then(|node| node.string().map(str::to_owned)),
        dimension_order: node.get("dimension_order").and_then(|node| node.strings()),
        chunking: node.get("chunking").and_then(|node| node.map().cloned()),
    })
}

/// Reads a CRS, with the reason of the geodesy where it is not understood.
pub(crate) fn crs(node: &Node<'_>) -> Option<Crs> {
    let text = node.string()?;
    match Crs::parse(text.trim()) {
        Ok(crs) => Some(crs),
        Err(error) => {
            let expected = "a coordinate reference system, such as EPSG:32655 or WKT";
            node.report()
                .problem(node.problem(ProblemKind::BadValue, expected).cause(error));
            None
        }
    }
}

fn resolution(node: &Node<'_>) -> Option<Resolution> {
    let size = pair(node)?;
    if size.x == 0.0 || size.y == 0.0 {
        node.fault(ProblemKind::BadValue, "pixel sizes other than 0");
        return None;
    }
    Some(Resolution {
        x: size.x,
        y: size.y,
    })
}

/// Reads `{x, y}`, or the same as `{longitude, latitude}`.
///
/// ODC takes the one that goes with the CRS, and drops hints that have the
/// other without a word.
fn pair(node: &Node<'_>) -> Option<Xy> {
    node.map()?;
    let names = if node.get("longitude").is_some() || node.get("latitude").is_some() {
        ["longitude", "latitude"]
    } else {
        ["x", "y"]
    };
    for (key, value) in node.entries() {
        if !names.contains(&key) {
            let expected = "x and y, or longitude and latitude";
            let problem = Problem::new(value.path, ProblemKind::UnknownKey, expected);
            node.report()
                .problem(problem.found_text(format!("the key `{key}`")));
        }
    }
    let [x, y] = names.map(|name| {
        let node = node.require(name, "a number, in units of the CRS")?;
        let value = node.f64()?;
        if value.is_finite() {
            return Some(value);
        }
        node.fault(ProblemKind::BadValue, "a finite number");
        None
    });
    Some(Xy { x: x?, y: y? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{faults, minimal, read};
    use super::*;

    fn hints_of(key: &str, value: Value) -> Option<LoadHints> {
        let mut document = minimal();
        document[key] = value;
        read(document).expect("valid").load_hints()
    }

    #[test]
    fn hints_come_from_load_or_from_storage_without_tiles() {
        let hints = hints_of(
            "load",
            json!({"crs": "EPSG:3577", "resolution": {"x": 30, "y": -30}, "align": {"x": 15, "y": 0}}),
        )
        .expect("given");
        assert_eq!((hints.resolution.x, hints.resolution.y), (30.0, -30.0));
        assert_eq!(hints.align, Some(Xy::new(15.0, 0.0)));
        assert_eq!(hints.crs.epsg(), Some(3577));
        let grid = json!({"crs": "EPSG:4326", "resolution": {"latitude": -0.1, "longitude": 0.2}});
        let hints = hints_of("storage", grid.clone()).expect("given");
        assert_eq!((hints.resolution.x, hints.resolution.y), (0.2, -0.1));
        let mut tiled = grid;
        tiled["tile_size"] = json!({"latitude": 1, "longitude": 2});
        assert_eq!(hints_of("storage", tiled.clone()), None);
        let mut document = minimal();
        document["storage"] = tiled;
        let spec = read(document).expect("valid").grid_spec().expect("tiled");
        assert_eq!(
            (spec.tile_size, spec.origin),
            (Xy::new(2.0, 1.0), Xy::new(0.0, 0.0))
        );
        assert_eq!(read(minimal()).expect("valid").load_hints(), None);
    }

    #[test]
    fn every_fault_is_named() {
        let check = |key: &str, value: Value, expected: &[&str]| {
            assert_eq!(
                faults(|document| document[key] = value.clone()),
                expected,
                "{value}"
            );
        };
        check(
            "load",
            json!({"resolution": {"x": 1, "lat": 2}}),
            &["load.crs", "load.resolution.lat", "load.resolution.y"],
        );
        check(
            "load",
            json!({"crs": "EPSG:99999", "resolution": {"x": 0, "y": 1}}),
            &["load.crs", "load.resolution"],
        );
        check(
            "load",
            json!({"crs": "EPSG:3577", "resolution": {"x": 10, "y": -10}, "align": {"x": 10, "y": 0}}),
            &["load.align"],
        );
        check(
            "storage",
            json!({"tile_size": {"x": 0, "y": 1}, "tiles": 1}),
            &["storage.tiles", "storage.tile_size"],
        );
        let mut document = minimal();
        document["load"] = json!({"crs": "EPSG:99999", "resolution": {"x": 1, "y": 1}});
        let errors = read(document).expect_err("no such CRS");
        assert!(errors.problems()[0].cause.is_some());
    }
}
