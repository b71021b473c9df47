//! Coordinates of a cube on a grid, and the grid back from the coordinates.
//!
//! As the Open Data Cube writes them: pixel centres with their units, and a
//! scalar `spatial_ref` that carries the CRS for those who open the result with
//! other tools. Slicing keeps coordinates right by itself, so the grid of a slice
//! is read back from them.

use datacube_compute::{Attrs, Coord, CoordValues, Coords, Cube, DataArray};
use datacube_geo::{Affine, Crs, GeoBox, Resolution, Shape2d};
use jiff::Timestamp;
use serde_json::Value;

use crate::{Error, Result};

/// Name of the coordinate that carries the CRS.
pub const GRID_MAPPING: &str = "spatial_ref";

/// The coordinates of `[time, y, x]` on `geobox`, one time for each step.
///
/// Spatial dimensions are `y`, `x`, or `latitude`, `longitude` in a geographic
/// CRS; values are pixel centres. On a rotated grid, where centres have no
/// separate x and y, they are pixel positions, counted from the outer edge.
///
/// # Errors
/// [`Error::Compute`] for times that 64 bits of nanoseconds cannot hold;
/// [`Error::Geo`] for a grid whose CRS cannot be described.
///
/// # Source
/// odc-geo `xr_coords` and datacube-core, `datacube/api/core.py`.
pub fn cube_coords(geobox: &GeoBox, times: &[Timestamp]) -> Result<Coords> {
    let [y_name, x_name] = geobox.dimensions();
    let time = Coord::timestamps("time", times.iter().copied())?;
    let (y, x) = spatial_coords(geobox)?;
    let mut coords = Coords::new()
        .with("time", time)
        .with(y_name, y)
        .with(x_name, x);
    if let Some(crs) = geobox.crs() {
        coords.insert(GRID_MAPPING, grid_mapping(geobox, crs)?);
    }
    Ok(coords)
}

fn spatial_coords(geobox: &GeoBox) -> Result<(Coord, Coord)> {
    let [y_name, x_name] = geobox.dimensions();
    if !geobox.is_axis_aligned() {
        let positions = |count: usize| {
            #[allow(
                clippy::cast_precision_loss,
                reason = "a side has less than 2^31 pixels"
            )]
            let values: Vec<f64> = (0..count).map(|index| index as f64 + 0.5).collect();
            values
        };
        let attrs = || Attrs::new().with("units", "pixel");
        return Ok((
            Coord::float(y_name, positions(geobox.rows())).with_attrs(attrs()),
            Coord::float(x_name, positions(geobox.cols())).with_attrs(attrs()),
        ));
    }
    let resolution = geobox.resolution();
    let units = geobox.crs().map(Crs::units);
    let attrs = |axis: usize, resolution: f64| {
        let mut attrs = Attrs::new();
        if let Some(units) = &units {
            attrs.insert("units", units[axis].clone());
        }
        attrs.insert("resolution", resolution);
        if let Some(crs) = geobox.crs() {
            attrs.insert("crs", crs.as_str());
        }
        attrs
    };
    Ok((
        Coord::float(y_name, geobox.y_centres()?).with_attrs(attrs(0, resolution.y)),
        Coord::float(x_name, geobox.x_centres()?).with_attrs(attrs(1, resolution.x)),
    ))
}

/// The scalar coordinate that describes the CRS by the CF conventions.
fn grid_mapping(geobox: &GeoBox, crs: &Crs) -> Result<Coord> {
    let mut attrs = Attrs::new();
    for (name, value) in crs.to_cf()? {
        attrs.insert(name, value);
    }
    attrs.insert("spatial_ref", crs.to_wkt());
    let affine = geobox.affine();
    let transform = [affine.c, affine.a, affine.b, affine.f, affine.d, affine.e];
    attrs.insert(
        "GeoTransform",
        transform.map(|value| value.to_string()).join(" "),
    );
    let code = i64::from(crs.epsg().unwrap_or(0));
    Ok(Coord::scalar(code).with_attrs(attrs))
}

/// The grid of something that has coordinates.
pub trait HasGeoBox {
    /// The grid of its last two dimensions.
    ///
    /// # Errors
    /// [`Error::Option`] when the CRS is missing, or the coordinates are no
    /// longer evenly spaced, as after picking single columns.
    fn geobox(&self) -> Result<GeoBox>;
}

impl HasGeoBox for Cube {
    fn geobox(&self) -> Result<GeoBox> {
        geobox_of(self.coords())
    }
}

impl HasGeoBox for DataArray {
    fn geobox(&self) -> Result<GeoBox> {
        geobox_of(self.coords())
    }
}

fn geobox_of(coords: &Coords) -> Result<GeoBox> {
    let refuse = |problem: String| Error::Option {
        option: "geobox",
        problem,
    };
    let mapping = coords
        .get(GRID_MAPPING)
        .ok_or_else(|| refuse(format!("no coordinate `{GRID_MAPPING}` tells the CRS")))?;
    let text = |name: &str| mapping.attrs().get(name).and_then(Value::as_str);
    let wkt = text("crs_wkt")
        .or_else(|| text("spatial_ref"))
        .ok_or_else(|| refuse(format!("`{GRID_MAPPING}` has no attribute `crs_wkt`")))?;
    let crs = match mapping.values() {
        CoordValues::Int(codes) if codes.first().is_some_and(|code| *code > 0) => {
            Crs::parse(&format!("EPSG:{}", codes[0]))?
        }
        _ => Crs::parse(wkt)?,
    };
    let axis = |name: &str| -> Result<(Vec<f64>, Option<f64>, bool)> {
        let coord = coords
            .get(name)
            .ok_or_else(|| refuse(format!("no coordinate `{name}`")))?;
        let values = coord
            .to_f64()
            .ok_or_else(|| refuse(format!("`{name}` has no numbers")))?;
        let resolution = coord.attrs().get("resolution").and_then(Value::as_f64);
        let in_pixels = coord.attrs().get("units").and_then(Value::as_str) == Some("pixel");
        Ok((values, resolution, in_pixels))
    };
    let [y_name, x_name] = crs.dimensions();
    let (y, y_resolution, in_pixels) = axis(y_name)?;
    let (x, x_resolution, _) = axis(x_name)?;
    let shape = Shape2d::new(y.len(), x.len());
    if in_pixels {
        let affine = text("GeoTransform")
            .and_then(parse_geotransform)
            .ok_or_else(|| {
                refuse(format!(
                    "`{GRID_MAPPING}` has no readable attribute `GeoTransform`"
                ))
            })?;
        let (col, row) = (x.first().copied(), y.first().copied());
        let origin = Affine::translation(col.unwrap_or(0.5) - 0.5, row.unwrap_or(0.5) - 0.5);
        return Ok(GeoBox::new(shape, affine * origin, Some(crs))?);
    }
    let step = |name: &str, values: &[f64], stated: Option<f64>| -> Result<f64> {
        match (values, stated) {
            ([], _) => Err(refuse(format!("`{name}` is empty"))),
            ([_], Some(stated)) => Ok(stated),
            ([_], None) => Err(refuse(format!(
                "`{name}` has one value and no `resolution`"
            ))),
            ([first, .., last], stated) => {
                #[allow(
                    clippy::cast_precision_loss,
                    reason = "a side has less than 2^31 pixels"
                )]
                let intervals = (values.len() - 1) as f64;
                let mean = (last - first) / intervals;
                let tolerance = mean.abs() * 1e-3;
                let is_even = values
                    .windows(2)
                    .all(|pair| (pair[1] - pair[0] - mean).abs() <= tolerance);
                if !is_even || mean == 0.0 {
                    return Err(refuse(format!("`{name}` is not evenly spaced")));
                }
                // The stated size is exact where the mean of differences is not quite.
                Ok(stated
                    .filter(|stated| (stated - mean).abs() <= tolerance)
                    .unwrap_or(mean))
            }
        }
    };
    let resolution = Resolution {
        x: step(x_name, &x, x_resolution)?,
        y: step(y_name, &y, y_resolution)?,
    };
    let left = x[0] - resolution.x / 2.0;
    let top = y[0] - resolution.y / 2.0;
    Ok(GeoBox::new(
        shape,
        Affine::from_origin(left, top, resolution),
        Some(crs),
    )?)
}

/// GDAL's order: `c a b f d e`.
fn parse_geotransform(text: &str) -> Option<Affine> {
    let numbers: Vec<f64> = text
        .split_whitespace()
        .map(str::parse)
        .collect::<std::result::Result<_, _>>()
        .ok()?;
    let [c, a, b, f, d, e] = numbers.try_into().ok()?;
    Some(Affine { a, b, c, d, e, f })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_comes_back_from_the_coordinates() {
        let utm = Crs::from_epsg(32655).expect("a code that PROJ knows");
        let cases = [
            (
                Affine::from_origin(600_015.0, 6_100_005.0, Resolution::square(30.0)),
                utm.clone(),
            ),
            (
                Affine::from_origin(143.66, -37.45, Resolution::square(0.000_27)),
                Crs::wgs84(),
            ),
            (
                Affine {
                    a: 25.0,
                    b: 5.0,
                    c: 600_000.0,
                    d: 5.0,
                    e: -25.0,
                    f: 6_100_000.0,
                },
                utm,
            ),
        ];
        for (affine, crs) in cases {
            let geobox = GeoBox::new(Shape2d::new(5, 7), affine, Some(crs)).expect("a grid");
            let coords = cube_coords(&geobox, &[Timestamp::UNIX_EPOCH]).expect("coordinates");
            let back = geobox_of(&coords).expect("a grid");
            assert_eq!(back.shape(), geobox.shape());
            assert_eq!(back.crs(), geobox.crs());
            let (a, b) = (back.affine(), geobox.affine());
            for (got, expected) in [
                (a.a, b.a),
                (a.b, b.b),
                (a.c, b.c),
                (a.d, b.d),
                (a.e, b.e),
                (a.f, b.f),
            ] {
                assert!(
                    (got - expected).abs() < 1e-9 * expected.abs().max(1.0),
                    "{a:?} {b:?}"
                );
            }
        }
    }
}
