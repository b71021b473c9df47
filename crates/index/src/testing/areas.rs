//! Footprints and areas.

use std::sync::Arc;

use datacube_geo::{Crs, CrsTransform, Geometry, Xy};
use geo_types::{Coord, LineString, MultiPolygon, Point, Polygon, Rect};

use super::{Scene, check, fill, found, product, refusal};
use crate::catalog::Index;
use crate::query::Query;

fn geometry(shape: impl Into<geo_types::Geometry<f64>>, crs: &str) -> Geometry {
    let crs = Crs::parse(crs).expect("a CRS");
    Geometry::new(shape, Some(crs)).expect("finite coordinates")
}

fn box_in(crs: &str, west: f64, south: f64, east: f64, north: f64) -> Query {
    let rect = Rect::new((west, south), (east, north)).to_polygon();
    Query::new().geometry(geometry(rect, crs))
}

fn lonlat_box(west: f64, south: f64, east: f64, north: f64) -> Query {
    box_in("EPSG:4326", west, south, east, north)
}

fn lonlat_point(lon: f64, lat: f64) -> Query {
    Query::new().geometry(geometry(Point::new(lon, lat), "EPSG:4326"))
}

async fn fill_scenes(index: &dyn Index, scenes: &[&Scene]) {
    fill(index, scenes.iter().map(|scene| scene.dataset()).collect()).await;
}

pub(super) async fn only_what_meets_the_area_is_found(index: Arc<dyn Index>) {
    let given = product("ls");
    let scene = Scene::new(&given, 1).at(147.0, -35.0).time("2020-01-01");
    let north = Scene::new(&given, 2).at(147.0, -33.0).time("2020-01-02");
    fill_scenes(&*index, &[&scene, &north]).await;
    check(&*index, lonlat_box(146.9, -35.1, 147.1, -34.9), &[&scene]).await;
    check(
        &*index,
        lonlat_box(140.0, -40.0, 150.0, -30.0),
        &[&scene, &north],
    )
    .await;
    check(&*index, lonlat_box(140.0, -40.0, 141.0, -30.0), &[]).await;
    // In the corner of the box around the turned square, but not in the square.
    let bounds = scene.dataset().lonlat_bounds().expect("on the earth");
    let (left, top) = (bounds.left, bounds.top);
    check(
        &*index,
        lonlat_box(left + 0.001, top - 0.01, left + 0.01, top - 0.001),
        &[],
    )
    .await;
    // Around everything, and inside of it.
    check(
        &*index,
        lonlat_box(-180.0, -90.0, 180.0, 90.0).limit(1),
        &[&scene],
    )
    .await;
    // A grid counts where there is no geometry: then the corner is covered.
    let whole = Scene::new(&given, 3).at(147.0, -35.0).without_geometry();
    fill_scenes(&*index, &[&whole]).await;
    let corner = lonlat_box(left + 0.001, top - 0.03, left + 0.03, top - 0.001);
    check(&*index, corner, &[&whole]).await;
}

pub(super) async fn points_lines_and_several_polygons_are_areas(index: Arc<dyn Index>) {
    let given = product("ls");
    let west = Scene::new(&given, 1).at(120.0, -25.0).time("2020-01-01");
    let east = Scene::new(&given, 2).at(150.0, -25.0).time("2020-01-02");
    fill_scenes(&*index, &[&west, &east]).await;
    check(&*index, lonlat_point(120.0, -25.0), &[&west]).await;
    check(&*index, lonlat_point(135.0, -25.0), &[]).await;
    let line = LineString::from(vec![(119.0, -25.0), (151.0, -25.0)]);
    let line = geometry(line, "EPSG:4326");
    check(&*index, Query::new().geometry(line), &[&west, &east]).await;
    let rect = |lon: f64| Rect::new((lon - 0.1, -25.1), (lon + 0.1, -24.9)).to_polygon();
    let both = MultiPolygon(vec![rect(120.0), rect(150.0), rect(135.0)]);
    let both = Query::new().geometry(geometry(both, "EPSG:4326"));
    check(&*index, both.clone(), &[&west, &east]).await;
    check(
        &*index,
        both.time("2020-01-02".parse().expect("a day")),
        &[&east],
    )
    .await;
    let many: Vec<Polygon<f64>> = (0..200)
        .map(|n| rect(-100.0 + f64::from(n) * 0.1))
        .collect();
    let mut many = MultiPolygon(many);
    check(
        &*index,
        Query::new().geometry(geometry(many.clone(), "EPSG:4326")),
        &[],
    )
    .await;
    many.0.push(rect(150.0));
    check(
        &*index,
        Query::new().geometry(geometry(many, "EPSG:4326")),
        &[&east],
    )
    .await;
    // A ring around a scene, with a hole where the scene is.
    let hole = Rect::new((148.0, -27.0), (152.0, -23.0)).to_polygon();
    let outer = Rect::new((145.0, -30.0), (155.0, -20.0)).to_polygon();
    let ring = Polygon::new(outer.exterior().clone(), vec![hole.exterior().clone()]);
    check(
        &*index,
        Query::new().geometry(geometry(ring, "EPSG:4326")),
        &[],
    )
    .await;
}

pub(super) async fn an_area_may_be_in_any_crs(index: Arc<dyn Index>) {
    let given = product("ls");
    let scene = Scene::new(&given, 1).at(147.0, -35.0);
    let geographic = Scene::new(&given, 2)
        .at(147.0, -39.0)
        .crs("EPSG:4326")
        .time("2020-02-02");
    fill_scenes(&*index, &[&scene, &geographic]).await;
    for crs in [
        "EPSG:4326",
        "EPSG:32655",
        "EPSG:32654",
        "EPSG:3577",
        "EPSG:3857",
        "EPSG:4283",
        "EPSG:6933",
    ] {
        let to_crs = CrsTransform::new(&Crs::wgs84(), &Crs::parse(crs).expect("a CRS"));
        let to_crs = to_crs.expect("a transform");
        let place = |lon: f64, lat: f64| {
            to_crs
                .point(Xy::new(lon, lat))
                .expect("a transform")
                .expect("it projects")
        };
        let half = if crs == "EPSG:4326" || crs == "EPSG:4283" {
            0.01
        } else {
            1000.0
        };
        let around = |lon: f64, lat: f64| {
            let p = place(lon, lat);
            box_in(crs, p.x - half, p.y - half, p.x + half, p.y + half)
        };
        check(&*index, around(147.0, -35.0), &[&scene]).await;
        check(&*index, around(147.0, -39.0), &[&geographic]).await;
        check(&*index, around(147.0, -37.0), &[]).await;
        check(&*index, around(149.0, -35.0), &[]).await;
    }
    // The long edge of a wide box is straight in its own CRS and a curve here:
    // at its middle it lies some 70 km away from its chord.
    let albers = Crs::parse("EPSG:3577").expect("a CRS");
    let to_albers = CrsTransform::new(&Crs::wgs84(), &albers).expect("a transform");
    let p = to_albers
        .point(Xy::new(132.0, -28.0))
        .expect("a transform")
        .expect("it projects");
    let half = 1_500_000.0;
    let wide = box_in("EPSG:3577", p.x - half, p.y, p.x + half, p.y + 100_000.0);
    let south = Scene::new(&given, 3)
        .at(132.0, -29.0)
        .width_km(60.0)
        .time("2021-01-01");
    let on_edge = Scene::new(&given, 4)
        .at(132.0, -28.0)
        .width_km(60.0)
        .time("2021-01-02");
    fill_scenes(&*index, &[&south, &on_edge]).await;
    check(&*index, wide, &[&on_edge]).await;
}

pub(super) async fn the_antimeridian_is_crossed(index: Arc<dyn Index>) {
    let given = product("ls");
    let fiji = Scene::new(&given, 1)
        .at(179.9, -17.0)
        .crs("EPSG:32760")
        .time("2020-01-01");
    let beyond = Scene::new(&given, 2)
        .at(-179.9, -17.0)
        .crs("EPSG:32701")
        .time("2020-01-02");
    let east = Scene::new(&given, 3).at(-177.5, -17.0).time("2020-01-03");
    let west = Scene::new(&given, 4).at(177.5, -17.0).time("2020-01-04");
    let plane = Scene::new(&given, 5)
        .at(180.0, -10.0)
        .crs("EPSG:4326")
        .time("2020-01-05");
    let far = Scene::new(&given, 6).at(0.0, -17.0).time("2020-01-06");
    fill_scenes(&*index, &[&fiji, &beyond, &east, &west, &plane, &far]).await;
    let [south, north] = [-17.1, -16.9];
    let near = |from: f64, to: f64| lonlat_box(from, south, to, north);
    // The same box said in three ways.
    for turn in [-360.0, 0.0, 360.0] {
        let box_over = near(179.0 + turn, 181.0 + turn);
        check(&*index, box_over, &[&fiji, &beyond]).await;
    }
    check(&*index, near(179.95, 179.99), &[&fiji, &beyond]).await;
    check(&*index, near(-179.99, -179.95), &[&fiji, &beyond]).await;
    check(&*index, near(-178.0, -177.0), &[&east]).await;
    check(&*index, near(182.0, 183.0), &[&east]).await;
    check(&*index, near(177.0, 178.0), &[&west]).await;
    check(&*index, near(177.0, 183.0), &[&fiji, &beyond, &east, &west]).await;
    check(&*index, near(-1.0, 1.0), &[&far]).await;
    check(&*index, near(10.0, 170.0), &[]).await;
    check(&*index, near(-170.0, -10.0), &[]).await;
    // From -179 east to 179 is the whole world but two degrees.
    check(&*index, near(-178.8, 176.0), &[&east, &far]).await;
    check(
        &*index,
        near(-180.0, 180.0),
        &[&fiji, &beyond, &east, &west, &far],
    )
    .await;
    check(&*index, lonlat_box(180.3, -10.1, 180.4, -9.9), &[&plane]).await;
    check(&*index, lonlat_box(-179.7, -10.1, -179.6, -9.9), &[&plane]).await;
    check(&*index, lonlat_box(179.6, -10.1, 179.7, -9.9), &[&plane]).await;
    // An area in a projection that knows no antimeridian.
    let utm = box_in("EPSG:32760", 800_000.0, 8_110_000.0, 840_000.0, 8_120_000.0);
    check(&*index, utm, &[&fiji, &beyond]).await;
    // An area that was cut at the antimeridian.
    let part = |from: f64, to: f64| Rect::new((from, south), (to, north)).to_polygon();
    let cut = MultiPolygon(vec![part(179.5, 180.0), part(-180.0, -179.5)]);
    let cut = Query::new().geometry(geometry(cut, "EPSG:4326"));
    check(&*index, cut, &[&fiji, &beyond]).await;
}

pub(super) async fn poles_are_covered(index: Arc<dyn Index>) {
    let given = product("ls");
    let pole = Scene::new(&given, 1)
        .at(0.0, 90.0)
        .crs("EPSG:3413")
        .width_km(500.0)
        .time("2020-01-01");
    let beside = Scene::new(&given, 2)
        .at(-45.0, 85.0)
        .crs("EPSG:3413")
        .width_km(300.0)
        .time("2020-01-02");
    let south = Scene::new(&given, 3)
        .at(0.0, -90.0)
        .crs("EPSG:3031")
        .width_km(500.0)
        .time("2020-01-03");
    fill_scenes(&*index, &[&pole, &beside, &south]).await;
    for lon in [-179.0, -91.0, 0.0, 44.0, 135.0, 180.0] {
        check(&*index, lonlat_point(lon, 89.5), &[&pole]).await;
        check(&*index, lonlat_point(lon, -89.5), &[&south]).await;
        check(&*index, lonlat_point(lon, 60.0), &[]).await;
    }
    check(
        &*index,
        lonlat_box(-180.0, 80.0, 180.0, 90.0),
        &[&pole, &beside],
    )
    .await;
    check(&*index, lonlat_point(-45.0, 85.0), &[&beside]).await;
    check(&*index, lonlat_point(135.0, 85.0), &[]).await;
    let arctic = box_in("EPSG:3413", -100_000.0, -100_000.0, 100_000.0, 100_000.0);
    check(&*index, arctic, &[&pole]).await;
    let antarctic = box_in("EPSG:3031", -100_000.0, -100_000.0, 100_000.0, 100_000.0);
    check(&*index, antarctic, &[&south]).await;
}

pub(super) async fn impossible_areas_are_refused(index: Arc<dyn Index>) {
    fill_scenes(&*index, &[&Scene::new(&product("ls"), 1)]).await;
    let no_crs = Geometry::new(Point::new(1.0, 2.0), None).expect("finite");
    let error = refusal(&*index, &Query::new().geometry(no_crs)).await;
    assert!(error.to_string().contains("no CRS"), "{error}");
    let empty = geometry(MultiPolygon::<f64>(Vec::new()), "EPSG:4326");
    let error = refusal(&*index, &Query::new().geometry(empty)).await;
    assert!(error.to_string().contains("empty"), "{error}");
    let nowhere = Polygon::new(
        LineString(vec![
            Coord { x: 1e7, y: 1e7 },
            Coord { x: 2e7, y: 1e7 },
            Coord { x: 2e7, y: 2e7 },
        ]),
        Vec::new(),
    );
    // Far outside of what a geostationary satellite sees of the earth.
    let disc = "+proj=geos +h=35785831 +lon_0=140.7 +sweep=y +datum=WGS84 +units=m";
    let error = refusal(&*index, &Query::new().geometry(geometry(nowhere, disc))).await;
    assert!(
        error.to_string().contains("longitude and latitude"),
        "{error}"
    );
}

pub(super) async fn areas_and_times_go_together(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<_> = (0..2160)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    fill(&*index, datasets.clone()).await;
    let area = geometry(
        Rect::new((130.0, -25.0), (133.0, -22.0)).to_polygon(),
        "EPSG:4326",
    );
    let query = Query::new()
        .geometry(area)
        .time("2013-04".parse().expect("a month"));
    let ids = found(&*index, &query).await;
    let begin: jiff::Timestamp = "2013-04-01T00:00:00Z".parse().expect("a timestamp");
    let end: jiff::Timestamp = "2013-05-01T00:00:00Z".parse().expect("a timestamp");
    let world = found(&*index, &Query::new()).await;
    let mut n_expected = 0;
    for dataset in &datasets {
        let bounds = dataset.lonlat_bounds().expect("on the earth");
        let in_time = (begin..end).contains(&dataset.center_time());
        let near = bounds.left <= 133.0
            && bounds.right >= 130.0
            && bounds.bottom <= -22.0
            && bounds.top >= -25.0;
        let is_found = ids.contains(&dataset.id());
        // Its box meets the area, and its square does where its middle is near.
        assert!(!is_found || (in_time && near), "{dataset:?}");
        let middle = bounds.center();
        let inside = (130.0..133.0).contains(&middle.x) && (-25.0..-22.0).contains(&middle.y);
        assert!(is_found || !(in_time && inside), "{dataset:?}");
        n_expected += usize::from(in_time && inside);
    }
    assert!(n_expected > 0 && ids.len() >= n_expected && ids.len() < world.len());
}
