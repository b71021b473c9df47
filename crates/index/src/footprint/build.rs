//! From a shape in any CRS to a footprint in longitude and latitude.
//!
//! A straight edge of one CRS is a curve in another. Edges are halved until
//! the middle of each piece lies within [`EDGE_DEG`] of where the straight
//! piece has it; then the longitudes are unwrapped along the ring, which also
//! tells a ring around a pole from all others: it does not come back to the
//! longitude where it began.

use geo_types::{Coord, Geometry, LineString, Point, Polygon};

use super::{EDGE_DEG, Footprint, LonLatBox, rectangle};

/// An edge is halved at most so often.
const MAX_HALVINGS: usize = 8;

/// Steps of longitude above this are halved too: beyond 180 degrees nobody
/// could say which way around the edge goes.
const MAX_STEP_DEG: f64 = 60.0;

/// The number of samples along each side where edges do not project.
const N_SAMPLES: usize = 33;

/// Why there is no footprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BuildError {
    /// The shape has no points.
    Empty,
    /// No point of the shape has a longitude and latitude.
    OutsideProjection,
}

/// How points get to longitude and latitude.
pub(crate) enum Projector<'a> {
    /// They are in longitude and latitude.
    LonLat,
    /// By a function that turns x into longitude and y into latitude, degrees,
    /// and what it cannot place into NaN.
    Project(&'a dyn Fn(&mut [f64], &mut [f64])),
}

impl Footprint {
    /// The footprint of a shape.
    ///
    /// In longitude and latitude the plane decides: a polygon from -170 to 170
    /// is 340 degrees wide, and one from 170 to 190 crosses the antimeridian.
    pub(crate) fn build(
        shape: &Geometry<f64>,
        projector: &Projector<'_>,
    ) -> Result<Footprint, BuildError> {
        let mut simple = Vec::new();
        flatten(shape, &mut simple);
        if simple.is_empty() {
            return Err(BuildError::Empty);
        }
        let parts = match projector {
            Projector::LonLat => simple,
            Projector::Project(project) => simple
                .iter()
                .filter_map(|part| lonlat_part(part, *project))
                .collect(),
        };
        Footprint::new(parts).ok_or(BuildError::OutsideProjection)
    }
}

/// Points, lines and polygons, without those that have no points.
fn flatten(shape: &Geometry<f64>, into: &mut Vec<Geometry<f64>>) {
    let finite = |line: &LineString<f64>| {
        !line.0.is_empty() && line.0.iter().all(|c| c.x.is_finite() && c.y.is_finite())
    };
    match shape {
        Geometry::Point(point) if point.x().is_finite() && point.y().is_finite() => {
            into.push(shape.clone());
        }
        Geometry::Point(_) => {}
        Geometry::Line(line) => into.push(LineString::from(*line).into()),
        Geometry::LineString(line) if finite(line) => into.push(shape.clone()),
        Geometry::LineString(_) => {}
        Geometry::Polygon(polygon) if finite(polygon.exterior()) => into.push(shape.clone()),
        Geometry::Polygon(_) => {}
        Geometry::MultiPoint(points) => {
            points
                .iter()
                .for_each(|point| flatten(&(*point).into(), into));
        }
        Geometry::MultiLineString(lines) => {
            lines
                .iter()
                .for_each(|line| flatten(&line.clone().into(), into));
        }
        Geometry::MultiPolygon(polygons) => {
            polygons
                .iter()
                .for_each(|polygon| flatten(&polygon.clone().into(), into));
        }
        Geometry::GeometryCollection(shapes) => {
            shapes.iter().for_each(|shape| flatten(shape, into));
        }
        Geometry::Rect(rect) => into.push(rect.to_polygon().into()),
        Geometry::Triangle(triangle) => into.push(triangle.to_polygon().into()),
    }
}

fn lonlat_part(
    part: &Geometry<f64>,
    project: &dyn Fn(&mut [f64], &mut [f64]),
) -> Option<Geometry<f64>> {
    match part {
        Geometry::Point(point) => {
            let (mut x, mut y) = ([point.x()], [point.y()]);
            project(&mut x, &mut y);
            (x[0].is_finite() && y[0].is_finite()).then(|| Point::new(x[0], y[0]).into())
        }
        Geometry::LineString(line) => match curve(line, project) {
            Some(coords) => Some(LineString(unwrapped(coords)).into()),
            None => sampled_bounds(part, project),
        },
        Geometry::Polygon(polygon) => match curve(polygon.exterior(), project) {
            Some(coords) => Some(polygon_around(unwrapped(coords), polygon, project).into()),
            None => sampled_bounds(part, project),
        },
        _ => None,
    }
}

/// The line in longitude and latitude with as many points as its curvature
/// needs; `None` where a point does not project.
fn curve(
    line: &LineString<f64>,
    project: &dyn Fn(&mut [f64], &mut [f64]),
) -> Option<Vec<Coord<f64>>> {
    let projected = |coords: &[Coord<f64>]| -> Option<Vec<Coord<f64>>> {
        let mut x: Vec<f64> = coords.iter().map(|c| c.x).collect();
        let mut y: Vec<f64> = coords.iter().map(|c| c.y).collect();
        project(&mut x, &mut y);
        let all_finite = x.iter().chain(&y).all(|v| v.is_finite());
        all_finite.then(|| {
            x.iter()
                .zip(&y)
                .map(|(x, y)| Coord { x: *x, y: *y })
                .collect()
        })
    };
    let mut src = line.0.clone();
    let mut dst = projected(&src)?;
    // Whether the edge after a point may still need halving.
    let mut open = vec![true; src.len()];
    for halving in 0..MAX_HALVINGS {
        let edges: Vec<usize> = (0..src.len().saturating_sub(1))
            .filter(|i| open[*i])
            .collect();
        if edges.is_empty() {
            break;
        }
        // A curve that is symmetric about the middle may pass through it; the
        // first look is at the quarters as well.
        let fractions: &[f64] = if halving == 0 {
            &[0.5, 0.25, 0.75]
        } else {
            &[0.5]
        };
        let tested: Vec<Coord<f64>> = edges
            .iter()
            .flat_map(|&i| fractions.iter().map(move |&t| (i, t)))
            .map(|(i, t)| between(src[i], src[i + 1], t))
            .collect();
        let tested_dst = projected(&tested)?;
        let n_tested = fractions.len();
        let mut next_src = Vec::with_capacity(src.len() + edges.len());
        let mut next_dst = Vec::with_capacity(src.len() + edges.len());
        let mut next_open = Vec::with_capacity(src.len() + edges.len());
        let mut edge = 0;
        for i in 0..src.len() {
            next_src.push(src[i]);
            next_dst.push(dst[i]);
            if edges.get(edge) != Some(&i) {
                next_open.push(false);
                continue;
            }
            let first = edge * n_tested;
            edge += 1;
            let is_straight = step(dst[i].x, dst[i + 1].x).abs() <= MAX_STEP_DEG
                && fractions.iter().enumerate().all(|(k, &t)| {
                    deviation(dst[i], dst[i + 1], t, tested_dst[first + k]) <= EDGE_DEG
                });
            next_open.push(!is_straight);
            if !is_straight {
                next_src.push(tested[first]);
                next_dst.push(tested_dst[first]);
                next_open.push(true);
            }
        }
        (src, dst, open) = (next_src, next_dst, next_open);
    }
    Some(dst)
}

fn between(a: Coord<f64>, b: Coord<f64>, t: f64) -> Coord<f64> {
    Coord {
        x: a.x + (b.x - a.x) * t,
        y: a.y + (b.y - a.y) * t,
    }
}

/// The way from one longitude to another, the short way round.
fn step(from: f64, to: f64) -> f64 {
    let step = to - from;
    if (-180.0..=180.0).contains(&step) {
        step
    } else {
        step - 360.0 * (step / 360.0).round()
    }
}

/// How far `met` is from the point at `t` on the straight line, in degrees on the ground.
fn deviation(a: Coord<f64>, b: Coord<f64>, t: f64, met: Coord<f64>) -> f64 {
    let straight = Coord {
        x: a.x + step(a.x, b.x) * t,
        y: a.y + (b.y - a.y) * t,
    };
    let east = step(straight.x, met.x) * met.y.to_radians().cos();
    east.hypot(met.y - straight.y)
}

fn unwrapped(mut coords: Vec<Coord<f64>>) -> Vec<Coord<f64>> {
    let Some(first) = coords.first() else {
        return coords;
    };
    let (mut last_raw, mut last) = (first.x, first.x);
    for coord in &mut coords {
        last += step(last_raw, coord.x);
        last_raw = coord.x;
        coord.x = last;
    }
    coords
}

/// The polygon of an unwrapped exterior, with the holes of `src`.
fn polygon_around(
    mut exterior: Vec<Coord<f64>>,
    src: &Polygon<f64>,
    project: &dyn Fn(&mut [f64], &mut [f64]),
) -> Polygon<f64> {
    close_around_pole(&mut exterior);
    let exterior = LineString(exterior);
    let Some(bounds) = LonLatBox::of(&exterior.clone().into()) else {
        return Polygon::new(exterior, Vec::new());
    };
    let holes = src
        .interiors()
        .iter()
        .filter_map(|hole| {
            let mut hole = unwrapped(curve(hole, project)?);
            // A hole around a pole is left out: the footprint then covers too
            // much rather than too little.
            if winds_around_pole(&hole) {
                return None;
            }
            let west = hole.iter().map(|c| c.x).fold(f64::INFINITY, f64::min);
            let turns = ((west - bounds.west) / 360.0).floor() * 360.0;
            hole.iter_mut().for_each(|c| c.x -= turns);
            Some(LineString(hole))
        })
        .collect();
    Polygon::new(exterior, holes)
}

fn winds_around_pole(ring: &[Coord<f64>]) -> bool {
    match (ring.first(), ring.last()) {
        (Some(first), Some(last)) => (last.x - first.x).abs() > 180.0,
        _ => false,
    }
}

/// Leads a ring that goes once around the earth along the pole that it encloses.
fn close_around_pole(ring: &mut Vec<Coord<f64>>) {
    if !winds_around_pole(ring) {
        return;
    }
    let (first, last) = (ring[0], ring[ring.len() - 1]);
    #[allow(clippy::cast_precision_loss, reason = "a count of vertices")]
    let mean = ring.iter().map(|c| c.y).sum::<f64>() / ring.len() as f64;
    let pole = if mean < 0.0 { -90.0 } else { 90.0 };
    ring.push(Coord { x: last.x, y: pole });
    ring.push(Coord {
        x: first.x,
        y: pole,
    });
    ring.push(first);
}

/// A box around what does project, for a shape whose edge does not: the rim of
/// a full disc as a geostationary satellite sees it lies in space.
fn sampled_bounds(
    part: &Geometry<f64>,
    project: &dyn Fn(&mut [f64], &mut [f64]),
) -> Option<Geometry<f64>> {
    let area = LonLatBox::of(part)?;
    let n = N_SAMPLES;
    #[allow(clippy::cast_precision_loss, reason = "a few samples")]
    let at = |low: f64, high: f64, i: usize| low + (high - low) * (i as f64 + 0.5) / n as f64;
    let (mut x, mut y): (Vec<f64>, Vec<f64>) = (0..n * n)
        .map(|i| {
            (
                at(area.west, area.east, i % n),
                at(area.south, area.north, i / n),
            )
        })
        .unzip();
    project(&mut x, &mut y);
    let (mut lon, mut lat) = (Vec::new(), Vec::new());
    for (x, y) in x
        .into_iter()
        .zip(y)
        .filter(|(x, y)| x.is_finite() && y.is_finite())
    {
        lon.push(x.rem_euclid(360.0));
        lat.push(y);
    }
    if lon.is_empty() {
        return None;
    }
    // The samples lie on a circle; the box is what the widest gap leaves.
    lon.sort_by(f64::total_cmp);
    let last = lon.len() - 1;
    let mut west = lon[0];
    let mut widest = lon[0] + 360.0 - lon[last];
    for pair in lon.windows(2) {
        if pair[1] - pair[0] > widest {
            (west, widest) = (pair[1], pair[1] - pair[0]);
        }
    }
    let (south, north) = lat
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
            (low.min(*y), high.max(*y))
        });
    // What lies between the outermost sample and the rim.
    #[allow(clippy::cast_precision_loss, reason = "a few samples")]
    let margin = (360.0 - widest).max(north - south) / (n as f64 / 2.0);
    let bounds = LonLatBox {
        west: west - margin,
        east: west + 360.0 - widest + margin,
        south: (south - margin).max(-90.0),
        north: (north + margin).min(90.0),
    };
    Some(rectangle(bounds).into())
}

#[cfg(test)]
mod tests {
    use geo_types::polygon;

    use super::super::Area;
    use super::*;

    /// Spherical north polar azimuthal equidistant, 1 unit = 1 degree from the pole.
    fn polar(x: &mut [f64], y: &mut [f64]) {
        for (x, y) in x.iter_mut().zip(y.iter_mut()) {
            let (lon, lat) = (x.atan2(-*y).to_degrees(), 90.0 - x.hypot(*y));
            (*x, *y) = if lat > 0.0 {
                (lon, lat)
            } else {
                (f64::NAN, f64::NAN)
            };
        }
    }

    fn square(x: f64, y: f64, half: f64) -> Geometry<f64> {
        polygon![
            (x: x - half, y: y - half), (x: x + half, y: y - half),
            (x: x + half, y: y + half), (x: x - half, y: y + half),
        ]
        .into()
    }

    fn meets(a: &Footprint, b: &Footprint) -> bool {
        Area::new(a.clone()).meets(b)
    }

    fn lonlat(shape: &Geometry<f64>) -> Footprint {
        Footprint::build(shape, &Projector::LonLat).expect("it has points")
    }

    fn polar_footprint(shape: &Geometry<f64>) -> Footprint {
        Footprint::build(shape, &Projector::Project(&polar)).expect("it projects")
    }

    #[test]
    fn a_ring_around_the_pole_covers_the_pole() {
        let cap = polar_footprint(&square(0.0, 0.0, 10.0));
        let bounds = cap.bounds();
        assert!(
            (bounds.east - bounds.west - 360.0).abs() < 1e-9,
            "{bounds:?}"
        );
        assert_eq!(bounds.north, 90.0);
        for lon in [-179.0, -90.0, 0.0, 45.0, 180.0] {
            assert!(meets(&cap, &lonlat(&Point::new(lon, 89.0).into())), "{lon}");
            assert!(meets(&cap, &lonlat(&Point::new(lon, 90.0).into())), "{lon}");
            assert!(
                !meets(&cap, &lonlat(&Point::new(lon, 70.0).into())),
                "{lon}"
            );
        }
        // The corners reach further south than the middles of the sides.
        assert!(meets(&cap, &lonlat(&Point::new(45.0, 77.0).into())));
        assert!(!meets(&cap, &lonlat(&Point::new(0.0, 77.0).into())));
    }

    #[test]
    fn edges_follow_their_curve() {
        // A side of this square bulges north between its corners.
        let beside = polar_footprint(&square(0.0, -20.0, 10.0));
        let bounds = beside.bounds();
        assert!((bounds.north - 80.0).abs() < 1e-3, "{bounds:?}");
        assert!(meets(&beside, &lonlat(&Point::new(0.0, 79.99).into())));
        assert!(!meets(&beside, &lonlat(&Point::new(0.0, 80.01).into())));
    }

    #[test]
    fn a_shape_across_the_antimeridian_stays_whole() {
        let crossing = polar_footprint(&square(0.0, 20.0, 5.0));
        let bounds = crossing.bounds();
        assert!(
            bounds.west > 150.0 && bounds.east > 180.0 && bounds.east < 210.0,
            "{bounds:?}"
        );
        assert!(meets(&crossing, &lonlat(&Point::new(-179.0, 70.0).into())));
        assert!(meets(&crossing, &lonlat(&Point::new(179.0, 70.0).into())));
        assert!(!meets(&crossing, &lonlat(&Point::new(0.0, 70.0).into())));
    }

    #[test]
    fn what_partly_does_not_project_keeps_a_box() {
        let half_in_space = polar_footprint(&square(0.0, -80.0, 30.0));
        assert!(meets(
            &half_in_space,
            &lonlat(&Point::new(0.0, 20.0).into())
        ));
        assert!(!meets(
            &half_in_space,
            &lonlat(&Point::new(180.0, 20.0).into())
        ));
        let lost = Footprint::build(&square(0.0, -200.0, 5.0), &Projector::Project(&polar));
        assert_eq!(lost, Err(BuildError::OutsideProjection));
        let empty = Geometry::MultiPolygon(geo_types::MultiPolygon(Vec::new()));
        assert_eq!(
            Footprint::build(&empty, &Projector::LonLat),
            Err(BuildError::Empty)
        );
    }

    #[test]
    fn holes_stay_open() {
        let Geometry::Polygon(outer) = square(0.0, 30.0, 10.0) else {
            panic!("a polygon")
        };
        let Geometry::Polygon(hole) = square(0.0, 30.0, 5.0) else {
            panic!("a polygon")
        };
        let ring = Polygon::new(outer.exterior().clone(), vec![hole.exterior().clone()]);
        let footprint = polar_footprint(&ring.into());
        assert!(!meets(&footprint, &lonlat(&Point::new(180.0, 60.0).into())));
        assert!(meets(&footprint, &lonlat(&Point::new(180.0, 68.0).into())));
    }
}
