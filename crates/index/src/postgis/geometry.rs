//! Geometries on their way to PostGIS, as EWKB.
//!
//! A footprint goes out as it is kept, unwrapped; a place is the diagonal of a
//! box in longitude, latitude, time and product; an extent is what Python's
//! spatial indexes hold, cut at the antimeridian.
//!
//! # Source
//! PostGIS manual, "OpenGIS WKB and WKT", extended forms.

use datacube_geo::{Crs, Geometry};
use datacube_model::Dataset;
use geo::{BooleanOps, Translate};
use geo_types::{LineString, MultiPolygon, Polygon, Rect};

use crate::footprint::{Footprint, LonLatBox};

/// The SRID of longitude and latitude.
pub(super) const LONLAT: i16 = 4326;

const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;
const LINE: u32 = 2;
const POLYGON: u32 = 3;
const MULTI_POLYGON: u32 = 6;

/// The unit of time in a place: ten days.
const PLACE_TIME_US: f64 = 864e9;

/// Times that are open at an end, in that unit; a 32-bit float holds it.
const FAR: f64 = 1e9;

#[allow(
    clippy::cast_precision_loss,
    reason = "the index rounds outward to 32 bits anyway"
)]
fn place_time(us: i64) -> f64 {
    match us {
        i64::MIN => -FAR,
        i64::MAX => FAR,
        us => us as f64 / PLACE_TIME_US,
    }
}

/// The place of something, or where to look for it.
pub(super) fn place(bounds: &LonLatBox, times: (i64, i64), products: (i16, i16)) -> Vec<u8> {
    let mut out = Vec::with_capacity(80);
    header(LINE | HAS_Z | HAS_M, Some(LONLAT), &mut out);
    count(2, &mut out);
    let low = [
        bounds.west,
        bounds.south,
        place_time(times.0),
        products.0.into(),
    ];
    let high = [
        bounds.east,
        bounds.north,
        place_time(times.1),
        products.1.into(),
    ];
    for value in low.into_iter().chain(high) {
        out.extend(value.to_le_bytes());
    }
    out
}

/// A footprint, with its SRID.
pub(super) fn outline(footprint: &Footprint) -> Vec<u8> {
    let wkb = footprint.to_wkb();
    let kind = u32::from_le_bytes([wkb[1], wkb[2], wkb[3], wkb[4]]);
    let mut out = Vec::with_capacity(wkb.len() + 4);
    header(kind, Some(LONLAT), &mut out);
    out.extend(&wkb[5..]);
    out
}

/// The extent of a dataset for the spatial index of a CRS; `None` where it has
/// none there.
///
/// In longitude and latitude that is the footprint, cut at the antimeridian.
pub(super) fn extent(dataset: &Dataset, footprint: &Footprint, srid: i16) -> Option<Vec<u8>> {
    let polygons = if srid == LONLAT {
        cut_at_the_antimeridian(footprint)
    } else {
        let crs = Crs::from_epsg(u32::try_from(srid).ok()?).ok()?;
        let lonlat_like = srid == 3857;
        let moved = if lonlat_like {
            let cut = cut_at_the_antimeridian(footprint);
            let cut = Geometry::new(cut, Some(Crs::wgs84())).ok()?;
            cut.to_crs(&crs, None).ok()?
        } else {
            dataset.extent().to_crs(&crs, None).ok()?
        };
        polygons_of(moved.geo())
    };
    let is_whole = polygons
        .0
        .iter()
        .flat_map(|p| p.exterior().0.iter())
        .all(|c| c.x.is_finite() && c.y.is_finite());
    (!polygons.0.is_empty() && is_whole).then(|| multi_polygon(&polygons, srid))
}

fn polygons_of(shape: &geo_types::Geometry<f64>) -> MultiPolygon<f64> {
    match shape {
        geo_types::Geometry::Polygon(polygon) => MultiPolygon(vec![polygon.clone()]),
        geo_types::Geometry::MultiPolygon(polygons) => polygons.clone(),
        _ => MultiPolygon(Vec::new()),
    }
}

fn cut_at_the_antimeridian(footprint: &Footprint) -> MultiPolygon<f64> {
    let mut out = Vec::new();
    for part in footprint.parts() {
        let geo_types::Geometry::Polygon(polygon) = part else {
            continue;
        };
        let east = polygon
            .exterior()
            .0
            .iter()
            .map(|c| c.x)
            .fold(f64::NEG_INFINITY, f64::max);
        if east <= 180.0 {
            out.push(polygon.clone());
            continue;
        }
        for turn in 0..2_u8 {
            let west = -180.0 + 360.0 * f64::from(turn);
            let window = Rect::new((west, -90.0), (west + 360.0, 90.0)).to_polygon();
            let piece = polygon.intersection(&window);
            out.extend(piece.translate(-360.0 * f64::from(turn), 0.0).0);
        }
    }
    MultiPolygon(out)
}

fn multi_polygon(polygons: &MultiPolygon<f64>, srid: i16) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    header(MULTI_POLYGON, Some(srid), &mut out);
    count(polygons.0.len(), &mut out);
    for polygon in &polygons.0 {
        write_polygon(polygon, &mut out);
    }
    out
}

fn write_polygon(polygon: &Polygon<f64>, out: &mut Vec<u8>) {
    header(POLYGON, None, out);
    count(1 + polygon.interiors().len(), out);
    let ring = |line: &LineString<f64>, out: &mut Vec<u8>| {
        count(line.0.len(), out);
        for c in &line.0 {
            out.extend(c.x.to_le_bytes());
            out.extend(c.y.to_le_bytes());
        }
    };
    ring(polygon.exterior(), out);
    for hole in polygon.interiors() {
        ring(hole, out);
    }
}

fn header(kind: u32, srid: Option<i16>, out: &mut Vec<u8>) {
    out.push(1);
    match srid {
        Some(srid) => {
            out.extend((kind | HAS_SRID).to_le_bytes());
            out.extend(i32::from(srid).to_le_bytes());
        }
        None => out.extend(kind.to_le_bytes()),
    }
}

fn count(n: usize, out: &mut Vec<u8>) {
    let n = u32::try_from(n).expect("a document of 4e9 vertices does not fit in memory");
    out.extend(n.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footprint::Projector;

    fn footprint(west: f64, east: f64) -> Footprint {
        let shape = Rect::new((west, 10.0), (east, 20.0)).to_polygon().into();
        Footprint::build(&shape, &Projector::LonLat).expect("it has points")
    }

    #[test]
    fn outlines_read_back_as_footprints() {
        let given = footprint(170.0, 190.0);
        assert_eq!(Footprint::from_wkb(&outline(&given)), Some(given));
    }

    #[test]
    fn what_crosses_the_antimeridian_is_cut_there() {
        let cut = cut_at_the_antimeridian(&footprint(170.0, 190.0));
        let mut spans: Vec<(f64, f64)> = cut
            .0
            .iter()
            .map(|p| {
                let xs = || p.exterior().0.iter().map(|c| c.x);
                (
                    xs().fold(f64::INFINITY, f64::min),
                    xs().fold(f64::NEG_INFINITY, f64::max),
                )
            })
            .collect();
        spans.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(spans, [(-180.0, -170.0), (170.0, 180.0)]);
        assert_eq!(cut_at_the_antimeridian(&footprint(10.0, 20.0)).0.len(), 1);
    }
}
