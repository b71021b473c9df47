//! Shapes: GeoJSON, projection with bulging edges, the antimeridian, poles.

mod common;

use datacube_geo::{BoundingBox, Crs, Error, GeoBox, Geometry, Shape2d, Xy};
use proptest::prelude::*;
use serde_json::{Value, json};

fn crs(text: &str) -> Option<Crs> {
    Some(Crs::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")))
}

fn rectangle(bbox: [f64; 4], text: &str) -> Geometry {
    let [l, b, r, t] = bbox;
    Geometry::from_bbox(BoundingBox::new(l, b, r, t), crs(text)).expect("valid")
}

fn bounds(g: &Geometry) -> BoundingBox {
    g.bounding_box().expect("not empty")
}

fn lonlat(g: &Geometry) -> BoundingBox {
    g.lonlat_bounds().expect("a CRS").expect("not empty")
}

#[test]
fn geojson_there_and_back() {
    for value in [
        json!({"type": "Point", "coordinates": [1.0, 2.0]}),
        json!({"type": "LineString", "coordinates": [[0.0, 0.0], [1.0, 5.0]]}),
        json!({"type": "Polygon", "coordinates": [
            [[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 0.0]],
            [[5.0, 1.0], [8.0, 1.0], [8.0, 4.0], [5.0, 1.0]]]}),
        json!({"type": "MultiPolygon", "coordinates": [
            [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]],
            [[[5.0, 0.0], [6.0, 0.0], [6.0, 1.0], [5.0, 0.0]]]]}),
    ] {
        let g = Geometry::from_geojson(&value, crs("EPSG:4326")).expect("GeoJSON");
        assert_eq!(g.to_geojson(), value);
        let feature = json!({"type": "Feature", "properties": {}, "geometry": value});
        assert_eq!(
            Geometry::from_geojson(&feature, crs("EPSG:4326")).expect("a feature"),
            g
        );
        let all = json!({"type": "FeatureCollection", "features": [feature, feature]});
        let two = Geometry::from_geojson(&all, None).expect("features");
        assert_eq!(two.n_coords(), 2 * g.n_coords());
        let text = serde_json::to_string(&g).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Geometry>(&text).expect("a geometry"),
            g
        );
    }
}

#[test]
fn what_is_no_geometry_is_refused() {
    for value in [
        json!(null),
        json!({"type": "Polygon"}),
        json!({"type": "Circle", "coordinates": []}),
        json!({"type": "Point", "coordinates": [1.0]}),
        json!({"type": "Point", "coordinates": ["NaN", 1.0]}),
        json!({"type": "Feature", "properties": {}, "geometry": null}),
        json!({"type": "FeatureCollection", "features": []}),
    ] {
        let error = Geometry::from_geojson(&value, None).expect_err("no geometry");
        assert!(
            matches!(error, Error::InvalidGeometry { .. }),
            "{value}: {error}"
        );
    }
    assert!(Geometry::point(Xy::new(f64::NAN, 0.0), None).is_err());
    assert!(Geometry::polygon(&[Xy::new(0.0, 0.0), Xy::new(1.0, 0.0)], None).is_err());
    assert!(Geometry::from_bbox(BoundingBox::new(1.0, 0.0, 0.0, 1.0), None).is_err());
    // Rings of too few points are no error of ours to make a panic of.
    let thin = json!({"type": "Polygon", "coordinates": [[[0.0, 0.0], [1.0, 1.0]]]});
    if let Ok(g) = Geometry::from_geojson(&thin, crs("EPSG:4326")) {
        let _ = g.to_crs(&Crs::parse("EPSG:3857").expect("known"), None);
    }
    let empty = json!({"type": "Polygon", "coordinates": []});
    let g = Geometry::from_geojson(&empty, crs("EPSG:32655")).expect("empty");
    assert!(g.is_empty() && g.bounding_box().is_none());
    assert_eq!(g.lonlat_bounds().expect("a CRS"), None);
    assert_eq!(g.mid_longitude().expect("a CRS"), None);
}

#[test]
fn pixels_have_no_longitude_and_crs_do_not_mix() {
    let pixels = Geometry::from_bbox(BoundingBox::new(0.0, 0.0, 1.0, 1.0), None).expect("valid");
    assert!(matches!(
        pixels.lonlat_bounds(),
        Err(Error::MissingCrs { .. })
    ));
    assert!(matches!(
        pixels.to_crs(&Crs::wgs84(), None),
        Err(Error::MissingCrs { .. })
    ));
    let a = rectangle([0.0, 0.0, 1.0, 1.0], "EPSG:4326");
    let b = rectangle([0.0, 0.0, 1.0, 1.0], "EPSG:3857");
    assert!(matches!(a.intersects(&b), Err(Error::CrsMismatch { .. })));
    assert!(matches!(
        a.intersection(&pixels),
        Err(Error::CrsMismatch { .. })
    ));
    assert!(Geometry::union([&a, &b]).is_err());
    assert_eq!(Geometry::union([]).expect("nothing"), None);
}

#[test]
fn shapes_combine() {
    let a = rectangle([0.0, 0.0, 10.0, 10.0], "EPSG:3577");
    let b = rectangle([5.0, 5.0, 15.0, 12.0], "EPSG:3577");
    let apart = rectangle([20.0, 0.0, 21.0, 1.0], "EPSG:3577");
    assert!(a.intersects(&b).expect("one CRS") && !a.intersects(&apart).expect("one CRS"));
    assert!((a.intersection(&b).expect("one CRS").area() - 25.0).abs() < 1e-6);
    assert!(a.intersection(&apart).expect("one CRS").is_empty());
    let all = Geometry::union([&a, &b, &apart])
        .expect("one CRS")
        .expect("some");
    assert!(
        (all.area() - (100.0 + 70.0 - 25.0 + 1.0)).abs() < 1e-6,
        "{}",
        all.area()
    );
    assert!(
        a.contains(&rectangle([1.0, 1.0, 2.0, 2.0], "EPSG:3577"))
            .expect("one CRS")
    );
    assert!(!a.contains(&b).expect("one CRS"));
    let line = Geometry::line(&[Xy::new(-5.0, 5.0), Xy::new(5.0, 5.0)], crs("EPSG:3577"));
    let inside = a.intersection(&line.expect("valid")).expect("one CRS");
    assert_eq!(bounds(&inside), BoundingBox::new(0.0, 5.0, 5.0, 5.0));
    let point = Geometry::point(Xy::new(3.0, 3.0), crs("EPSG:3577")).expect("valid");
    assert_eq!(a.intersection(&point).expect("one CRS"), point);
    assert_eq!(a.centroid(), Some(Xy::new(5.0, 5.0)));
    let round = a.buffer(1.0);
    assert!(
        round.area() > 140.0 && round.area() < 144.0,
        "{}",
        round.area()
    );
    assert!((a.buffer(-1.0).area() - 64.0).abs() < 1e-6);
}

#[test]
fn what_does_not_project_is_an_error_or_left_out() {
    // Beyond what a geostationary satellite sees.
    let geos = Crs::parse("+proj=geos +h=35785831 +lon_0=140.7 +ellps=WGS84").expect("known");
    let half = rectangle([100.0, -20.0, 260.0, 20.0], "EPSG:4326");
    let error = half.to_crs(&geos, None).expect_err("behind the horizon");
    assert!(error.to_string().contains("to_crs_lossy"), "{error}");
    let seen = half.to_crs_lossy(&geos, None).expect("a part");
    assert!(!seen.is_empty() && bounds(&seen).is_finite());
    let behind = rectangle([-50.0, -5.0, -30.0, 5.0], "EPSG:4326");
    assert!(
        behind
            .to_crs_lossy(&geos, None)
            .expect("nothing")
            .is_empty()
    );
}

#[test]
fn footprints_over_the_antimeridian_stay_in_one_piece() {
    // UTM zone 60 south: from 177.9 E to some 180.5 E.
    let scene = rectangle(
        [600_000.0, 8_000_000.0, 900_000.0, 8_200_000.0],
        "EPSG:32760",
    );
    let g = scene.to_lonlat().expect("projects");
    let b = bounds(&g);
    assert!(b.left > 177.0 && b.right > 180.0 && b.right < 182.0, "{b}");
    assert_eq!(lonlat(&scene), b);
    let mid = scene.mid_longitude().expect("a CRS").expect("not empty");
    assert!((179.0..180.0).contains(&mid), "{mid}");
    // Zone 1 north, mostly to the east of it: its middle is at -179.
    let scene = rectangle(
        [100_000.0, 1_000_000.0, 500_000.0, 1_200_000.0],
        "EPSG:32601",
    );
    let b = lonlat(&scene);
    assert!(b.left > 179.0 && b.left < 180.0 && b.right > 182.0, "{b}");
    let mid = scene.mid_longitude().expect("a CRS").expect("not empty");
    assert!((-180.0..-178.0).contains(&mid), "{mid}");

    // Cut in two for GeoJSON, both within -180 to 180; the area stays.
    let whole = scene.to_lonlat().expect("projects");
    let cut = whole.split_antimeridian().expect("geographic");
    let b = bounds(&cut);
    assert!(b.left >= -180.0 && b.right <= 180.0, "{b}");
    assert_eq!(cut.polygons().0.len(), 2);
    assert!((cut.area() - whole.area()).abs() < 1e-6);
    // And put together again.
    assert!((lonlat(&cut).left - lonlat(&scene).left).abs() < 1e-6);
    assert!((lonlat(&cut).right - lonlat(&scene).right).abs() < 1e-6);
    let mid_cut = cut.mid_longitude().expect("a CRS").expect("not empty");
    assert!((mid_cut - mid).abs() < 1e-6);
    // What does not cross is not touched.
    let plain = rectangle([10.0, 10.0, 20.0, 20.0], "EPSG:4326");
    assert_eq!(plain.split_antimeridian().expect("geographic"), plain);
}

#[test]
fn longitudes_compare_around_the_globe() {
    let fiji = BoundingBox::new(175.0, -20.0, 185.0, -10.0);
    let east = BoundingBox::new(-178.0, -15.0, -177.0, -12.0);
    let west = BoundingBox::new(170.0, -15.0, 176.0, -12.0);
    let away = BoundingBox::new(0.0, -15.0, 10.0, -12.0);
    let world = BoundingBox::new(-180.0, -90.0, 180.0, 90.0);
    for (a, b, want) in [
        (fiji, east, true),
        (fiji, west, true),
        (fiji, away, false),
        (east, west, false),
        (world, fiji, true),
        (world, away, true),
        (fiji, BoundingBox::new(175.0, 0.0, 185.0, 10.0), false),
    ] {
        assert_eq!(a.intersects_lonlat(&b), want, "{a} / {b}");
        assert_eq!(b.intersects_lonlat(&a), want, "{b} / {a}");
    }
}

#[test]
fn footprints_around_a_pole_reach_it() {
    let polar = rectangle([-1e6, -5e5, 8e5, 9e5], "EPSG:3031");
    let b = lonlat(&polar);
    assert_eq!((b.left, b.bottom, b.right), (-180.0, -90.0, 180.0));
    assert!(b.top < -75.0, "{b}");
    let g = polar.to_lonlat().expect("projects");
    let inside = |lon: f64, lat: f64| {
        let p = Geometry::point(Xy::new(lon, lat), crs("EPSG:4326")).expect("valid");
        g.intersects(&p).expect("one CRS")
    };
    for lon in [-179.0, -90.0, 0.0, 45.0, 179.0] {
        assert!(inside(lon, -89.0), "{lon}");
        assert!(!inside(lon, -70.0), "{lon}");
    }
    let north = rectangle([-1e6, -1e6, 1e6, 1e6], "EPSG:3413");
    assert_eq!(lonlat(&north).top, 90.0);
    assert!(north.mid_longitude().expect("a CRS").is_some());
    // Beside the pole: an ordinary box, over the antimeridian or not.
    let beside = rectangle([2e5, 3e5, 9e5, 8e5], "EPSG:3031");
    let b = lonlat(&beside);
    assert!(b.span_x() < 90.0 && b.bottom > -88.0, "{b}");
    let beside = rectangle([-3e5, -9e5, 4e5, -2e5], "EPSG:3031");
    let b = lonlat(&beside);
    assert!(
        b.left < 180.0 && b.right > 180.0 && b.span_x() < 150.0,
        "{b}"
    );
}

#[test]
fn a_box_in_another_crs_holds_what_the_outline_encloses() {
    let cylindrical = crs("EPSG:6933").expect("a CRS");
    let bounds_in = |g: &Geometry| g.bounds_in(&cylindrical).expect("known").expect("a box");
    // The antimeridian and the south pole in EPSG:6933.
    let (edge, pole) = (17_367_530.445, -7_342_230.136);
    // A polar image: the pole is nowhere near its outline.
    let ice = rectangle(
        [-3_950_000.0, -3_950_000.0, 3_950_000.0, 4_350_000.0],
        "EPSG:3031",
    );
    let b = bounds_in(&ice);
    assert!((b.left + edge).abs() < 1.0 && (b.right - edge).abs() < 1.0);
    assert!(
        (b.bottom - pole).abs() < 1.0 && b.top > -5_000_000.0,
        "{b:?}"
    );
    let outline = ice.to_crs(&cylindrical, None).expect("it projects");
    assert!(bounds(&outline).bottom > -6_000_000.0, "{outline:?}");
    // A scene over the antimeridian lies at both ends of the map, and reaches them.
    let scene = rectangle([179.0, -17.0, 181.0, -16.0], "EPSG:4326");
    let b = bounds_in(&scene);
    assert!((b.left + edge).abs() < 1.0 && (b.right - edge).abs() < 1.0);
    // Anywhere else it is the box of the outline.
    let plain = rectangle([300_000.0, 6e6, 400_000.0, 6.1e6], "EPSG:32655");
    let outline = plain.to_crs(&cylindrical, None).expect("it projects");
    assert_eq!(bounds_in(&plain), bounds(&outline));
    // What does not project is left out; of nothing there is no box.
    let nowhere = rectangle([3e8, 3e8, 3.1e8, 3.1e8], "EPSG:32655");
    assert_eq!(nowhere.bounds_in(&cylindrical).expect("known"), None);
}

#[test]
fn the_world_is_the_world() {
    for (bbox, text) in [
        ([-180.0, -90.0, 180.0, 90.0], "EPSG:4326"),
        ([-20_037_508.0, -2e7, 20_037_508.0, 2e7], "EPSG:3857"),
        (
            [-17_367_530.4, -7_314_540.0, 17_367_530.4, 7_314_540.0],
            "EPSG:6933",
        ),
    ] {
        let b = lonlat(&rectangle(bbox, text));
        assert!(
            (b.left + 180.0).abs() < 1e-3 && (b.right - 180.0).abs() < 1e-3,
            "{text}: {b}"
        );
    }
}

/// Real items over the antimeridian and near the poles: every vertex is in the
/// range of longitudes, and the range is as small as the shape.
#[test]
fn special_footprints_of_real_items() {
    let Some(file) = common::shared("metadata/special_geometry.json") else {
        return;
    };
    let read = |path: &std::path::Path| -> Value {
        let text = std::fs::read_to_string(path).expect("readable");
        serde_json::from_str(&text).expect("JSON")
    };
    let lists = read(&file);
    let root = file.parent().expect("a folder").to_owned();
    let mut crossing = 0;
    let mut n = 0;
    for list in ["antimeridian", "polar"] {
        for path in lists[list].as_array().expect("a list") {
            let path = root.join(path.as_str().expect("a path"));
            let item = read(&path);
            let g = Geometry::from_geojson(&item["geometry"], crs("EPSG:4326")).expect("GeoJSON");
            let b = lonlat(&g);
            assert!(
                (-180.0..180.0).contains(&b.left) && b.span_x() <= 360.0,
                "{b}"
            );
            for p in g
                .polygons()
                .iter()
                .flat_map(|p| p.exterior().coords().copied())
            {
                let vertex = BoundingBox::new(p.x, p.y, p.x, p.y).buffered(1e-9, 1e-9);
                assert!(
                    b.intersects_lonlat(&vertex),
                    "{b} lacks {p:?}: {}",
                    path.display()
                );
            }
            n += 1;
            if item["geometry"]["type"] == "MultiPolygon" {
                crossing += 1;
                assert!(
                    b.right > 180.0 && b.span_x() < 10.0,
                    "{b}: {}",
                    path.display()
                );
                let mid = g.mid_longitude().expect("a CRS").expect("not empty");
                assert!((-180.0..-170.0).contains(&mid), "{mid}");
            }
        }
    }
    assert!(n > 20 && crossing > 0, "{n} items, {crossing} cut in two");
}

/// The one EO3 dataset of the corpus that lies over the antimeridian, by its
/// grid (datacube-core, integration_tests/data/dataset_add/datasets_eo3.yml).
#[test]
fn an_eo3_grid_over_the_antimeridian() {
    let affine = datacube_geo::Affine::new(30.0, 0.0, 618_285.0, 0.0, -30.0, -1_642_485.0);
    let g = GeoBox::new(Shape2d::new(7811, 7691), affine, crs("EPSG:32660")).expect("valid");
    let b = lonlat(&g.extent());
    assert!(b.left > 178.0 && b.right > 180.0 && b.right < 181.0, "{b}");
    let mid = g
        .extent()
        .mid_longitude()
        .expect("a CRS")
        .expect("not empty");
    assert!(
        (179.0..180.0).contains(&mid),
        "not the other side of the earth: {mid}"
    );
}

proptest! {
    /// Densifying moves nothing and leaves no long edge.
    #[test]
    fn densify_leaves_short_edges(
        points in prop::collection::vec((-1e6..1e6f64, -1e6..1e6f64), 3..9),
        step in 1e3..1e6f64,
    ) {
        let points: Vec<Xy> = points.into_iter().map(Xy::from).collect();
        let g = Geometry::polygon(&points, crs("EPSG:3577")).expect("valid");
        let d = g.densify(step);
        let geo_types::Geometry::Polygon(p) = d.geo() else { panic!("a polygon") };
        for e in p.exterior().lines() {
            prop_assert!((e.end.x - e.start.x).hypot(e.end.y - e.start.y) <= step * (1.0 + 1e-9));
        }
        prop_assert_eq!(d.bounding_box(), g.bounding_box());
        prop_assert!((d.area() - g.area()).abs() <= 1e-6 * g.area().max(1.0));
        prop_assert_eq!(g.densify(0.0), g.clone());
        prop_assert_eq!(g.densify(f64::NAN), g);
    }

    /// A shape anywhere on the globe has a box of longitudes that is not wider
    /// than it must be, whatever the CRS it comes from.
    #[test]
    fn longitudes_are_as_wide_as_the_shape(lon in -180.0..180.0f64, lat in -75.0..75.0f64) {
        let utm = Crs::utm_for(lon, lat).expect("within UTM");
        let t = datacube_geo::CrsTransform::new(&Crs::wgs84(), &utm).expect("an operation");
        let p = t.point(Xy::new(lon, lat)).expect("PROJ").expect("projects");
        let scene = BoundingBox::new(p.x - 9e4, p.y - 9e4, p.x + 9e4, p.y + 9e4);
        let scene = Geometry::from_bbox(scene, Some(utm)).expect("valid");
        let b = scene.lonlat_bounds().expect("a CRS").expect("not empty");
        let width = 2.4 * 9e4 / (111_000.0 * (lat.abs() + 1.0).to_radians().cos());
        prop_assert!(b.span_x() > 0.5 && b.span_x() < width + 1.0, "{} at {}", b, lat);
        prop_assert!((-180.0..180.0).contains(&b.left));
        prop_assert!(b.intersects_lonlat(&BoundingBox::new(lon, lat, lon, lat)));
        let mid = scene.mid_longitude().expect("a CRS").expect("not empty");
        let off = (mid - lon + 180.0).rem_euclid(360.0) - 180.0;
        prop_assert!(off.abs() < 0.5 + width / 20.0, "{} for {} at {}", mid, lon, lat);
    }
}

#[test]
fn a_grid_knows_its_footprint() {
    let affine = datacube_geo::Affine::new(30.0, 0.0, 600_000.0, 0.0, -30.0, 6_100_000.0);
    let g = GeoBox::new(Shape2d::new(1000, 1500), affine, crs("EPSG:32755")).expect("valid");
    let f = g.footprint(&Crs::wgs84(), 0.0, 100).expect("projects");
    assert!(f.n_coords() > 300);
    let wide = g.footprint(&Crs::wgs84(), 10.0, 100).expect("projects");
    assert!(bounds(&wide).contains(&bounds(&f)) && wide.area() > f.area());
}
