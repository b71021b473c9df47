//! CF grid-mapping attributes, as pyproj writes them (fixtures/cf/make.py).

use datacube_geo::Crs;
use serde_json::Value;

fn close(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (
                a.as_f64().unwrap_or(f64::NAN),
                b.as_f64().unwrap_or(f64::NAN),
            );
            (a - b).abs() <= 1e-9 * b.abs().max(1.0)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| close(a, b))
        }
        (a, b) => a == b,
    }
}

#[test]
fn attributes_are_those_of_pyproj() {
    let text = include_str!("fixtures/cf/cf.json");
    let fixture: Value = serde_json::from_str(text).expect("JSON");
    let cases = fixture["cases"].as_array().expect("a list");
    assert!(cases.len() > 40);
    let mut wrong = Vec::new();
    for case in cases {
        let text = case["crs"].as_str().expect("a CRS");
        let crs = Crs::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let mut got = crs.to_cf().unwrap_or_else(|e| panic!("{text}: {e}"));
        let wkt = got.shift_remove("crs_wkt").expect("crs_wkt");
        assert_eq!(wkt.as_str(), Some(crs.to_wkt()), "{text}");
        let want = case["cf"].as_object().expect("attributes");
        let keys: Vec<_> = got.keys().collect();
        if keys != want.keys().collect::<Vec<_>>() {
            wrong.push(format!(
                "{text}: {keys:?}\n   not {:?}",
                want.keys().collect::<Vec<_>>()
            ));
            continue;
        }
        for (key, value) in want {
            if !close(&got[key], value) {
                wrong.push(format!("{text}: {key} = {} not {value}", got[key]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
