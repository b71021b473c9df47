//! Text and shapes from anywhere: an answer or an error, never a crash.

use datacube_geo::{Anchor, Crs, GeoBox, Geometry, Resolution, Xy};
use proptest::prelude::*;
use serde_json::{Value, json};

fn seeds() -> Vec<String> {
    let mut out: Vec<String> = [
        "EPSG:32655",
        "+proj=utm +zone=55 +datum=WGS84",
        "urn:ogc:def:crs:EPSG::4326",
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    for code in [32655, 4326, 3577, 7405] {
        let crs = Crs::from_epsg(code).expect("known");
        out.push(crs.to_wkt().to_owned());
        out.push(crs.to_wkt1_gdal().expect("WKT1"));
        out.push(crs.to_projjson().expect("PROJJSON").to_string());
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn damaged_crs_text_is_an_answer_or_an_error(
        seed in 0usize..15,
        edits in prop::collection::vec((0.0..1.0f64, any::<char>(), 0usize..3), 1..6),
    ) {
        let mut text: Vec<char> = seeds()[seed].chars().collect();
        for (at, c, kind) in edits {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
            let at = (at * text.len() as f64) as usize;
            match kind {
                0 if !text.is_empty() => { text.remove(at.min(text.len() - 1)); }
                1 => text.truncate(at),
                _ => text.insert(at.min(text.len()), c),
            }
        }
        let text: String = text.into_iter().collect();
        match Crs::parse(&text) {
            Ok(crs) => {
                prop_assert_eq!(Crs::parse(crs.as_str()).expect("its own text"), crs.clone());
                let _ = crs.to_cf();
                let _ = crs.check_resolution(Resolution::square(30.0));
            }
            Err(e) => prop_assert!(e.to_string().len() < 2000, "{}", e.to_string().len()),
        }
    }

    #[test]
    fn any_text_is_an_answer_or_an_error(text in "\\PC{0,60}") {
        let _ = Crs::parse(&text);
    }

    #[test]
    fn any_ring_goes_through(
        points in prop::collection::vec((-200.0..200.0f64, -100.0..100.0f64), 0..12),
        code in prop_oneof![Just(4326u32), Just(3031), Just(32601), Just(3857), Just(6933)],
    ) {
        let coordinates: Vec<Value> = points.iter().map(|(x, y)| json!([x, y])).collect();
        let ring = json!({"type": "Polygon", "coordinates": [coordinates]});
        let Ok(g) = Geometry::from_geojson(&ring, Some(Crs::wgs84())) else { return Ok(()) };
        let to = Crs::from_epsg(code).expect("known");
        let _ = g.to_crs(&to, None);
        let Ok(there) = g.to_crs_lossy(&to, None) else { return Ok(()) };
        let _ = there.lonlat_bounds();
        let _ = there.mid_longitude();
        let _ = there.split_antimeridian();
        let _ = there.intersection(&there.buffer(10.0));
        let _ = Geometry::union([&there, &there.convex_hull()]);
        let _ = GeoBox::from_polygon(&g, Resolution::square(1.0), &to, Anchor::Edge);
        let back = there.to_lonlat().expect("a CRS");
        if let Some(b) = back.bounding_box() {
            prop_assert!(b.is_finite());
        }
    }
}

#[test]
fn deep_nesting_is_an_error() {
    for unit in ["A[", "PROJCS[\"a\",", "{\"type\":", "BOUNDCRS[SOURCECRS["] {
        assert!(Crs::parse(&unit.repeat(20_000)).is_err(), "{unit}");
    }
    assert!(Crs::parse(&"+proj=pipeline ".repeat(10_000)).is_err());
}

#[test]
fn far_away_numbers_are_not_a_crash() {
    let to = Crs::from_epsg(32655).expect("known");
    for v in [1e18, 1e300, -1e300, f64::MAX] {
        let g = Geometry::polygon(
            &[Xy::new(0.0, 0.0), Xy::new(v, 0.0), Xy::new(v, v)],
            Some(Crs::from_epsg(3857).expect("known")),
        );
        let Ok(g) = g else { continue };
        let _ = g.to_crs_lossy(&to, None);
        let _ = g.to_crs_lossy(&to, Some(1e-3));
        let _ = g.lonlat_bounds();
        let _ = g.mid_longitude();
    }
}
