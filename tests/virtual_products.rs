//! What recipes compute: aggregates, cleaned masks, and pixels that are reprojected
//! after they were computed. Against Python's datacube where there is one, and
//! against what the steps give by hand.

mod common;

use common::tiny;
use datacube::compute::{ReduceOp, Reduction};
use datacube::model::DType;
use datacube::virtual_product::VirtualProduct;
use datacube::{Cube, Datacube, HasGeoBox, LoadOptions, WarpScale};
use ndarray_npy::ReadNpyExt;
use serde_json::{Value, json};

fn recipe(document: &Value) -> VirtualProduct {
    VirtualProduct::from_document(document).unwrap_or_else(|error| panic!("{error}"))
}

/// By solar day, on the grid of the recipe.
fn options() -> LoadOptions {
    let mut options = tiny::options();
    options.query.product = None;
    options
}

/// The same without a grid.
fn natively() -> LoadOptions {
    let mut options = options().warp_scale(WarpScale::Unit);
    (options.output_crs, options.resolution, options.align) = (None, None, None);
    options
}

fn made(dc: &Datacube, document: &Value, options: &LoadOptions) -> Cube {
    recipe(document)
        .load(dc, options)
        .unwrap_or_else(|error| panic!("{document}: {error}"))
}

fn pixels(cube: &Cube, name: &str) -> Vec<f64> {
    let array = cube.get(name).expect("a variable").astype(DType::Float64);
    let array = array.compute().expect("computed");
    array.to_vec::<f64>().expect("pixels")
}

/// NaN is equal to NaN.
fn n_different(a: &[f64], b: &[f64], relative: f64) -> usize {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs
        .filter(|(a, b)| {
            let near = (*a - *b).abs() <= relative * a.abs().max(b.abs());
            !(near || a == b || a.is_nan() && b.is_nan())
        })
        .count()
}

fn clear(input: &Value, erosion: u32, dilation: u32, preserve: bool) -> Value {
    json!({
        "transform": "apply_mask", "mask_measurement_name": "qa", "preserve_dtype": preserve,
        "erosion": erosion, "dilation": dilation,
        "input": {
            "transform": "make_mask", "mask_measurement_name": "qa",
            "flags": {"cloud": "not_high_confidence"},
            "input": input,
        },
    })
}

fn ndvi() -> Value {
    json!({
        "transform": "expressions",
        "output": {
            "ndvi": {"formula": "(nir - red) / (nir + red)", "dtype": "float32", "nodata": -9},
        },
        "input": {"product": tiny::PRODUCT, "measurements": ["red", "nir"]},
    })
}

fn monthly(method: &str, input: &Value) -> Value {
    json!({
        "aggregate": "xarray_reduction", "method": method, "group_by": "month", "input": input,
    })
}

fn floats() -> Value {
    json!({
        "transform": "to_float",
        "input": {"product": tiny::PRODUCT, "measurements": ["red", "warmth"]},
    })
}

#[test]
fn recipes_give_what_pythons_give() {
    let modules = ["datacube", "scipy", "rasterio"];
    let Some(mut python) = datacube_testkit::python("virtual_products.py", &modules) else {
        return;
    };
    let (folder, dc) = tiny::open();
    let measured = json!({"product": tiny::PRODUCT, "measurements": ["red", "qa"]});
    let on_grid = json!({
        "output_crs": "EPSG:32755", "resolution": [-30, 30], "align": [15, 15],
        "group_by": "solar_day",
    });
    let native = json!({"group_by": "solar_day"});
    let albers = |resampling: &str, input: &Value| {
        json!({
            "reproject": {"output_crs": "EPSG:3577", "resolution": [-40, 40]},
            "resampling": resampling, "input": input,
        })
    };
    let median = json!({
        "aggregate": "xarray_reduction", "method": "median", "group_by": "week",
        "input": clear(&measured, 1, 2, false),
    });
    // (name, recipe, options of Python's `load`, relative tolerance)
    let cases = [
        ("monthly_mean", monthly("mean", &floats()), &on_grid, 1e-6),
        ("monthly_max", monthly("max", &measured), &on_grid, 0.0),
        ("monthly_std", monthly("std", &floats()), &on_grid, 1e-4),
        ("weekly_median", median, &on_grid, 0.0),
        ("eroded", clear(&measured, 2, 0, true), &on_grid, 0.0),
        ("dilated", clear(&measured, 0, 3, true), &on_grid, 0.0),
        ("both", clear(&measured, 2, 4, false), &on_grid, 0.0),
        ("ndvi_nearest", albers("nearest", &ndvi()), &native, 1e-6),
    ];
    let out = tempfile::tempdir().expect("a folder");
    let asked: serde_json::Map<String, Value> = cases
        .iter()
        .map(|(name, recipe, load, _)| {
            ((*name).to_owned(), json!({"recipe": recipe, "load": load}))
        })
        .collect();
    let recipes = out.path().join("recipes.json");
    std::fs::write(&recipes, Value::from(asked).to_string()).expect("written");
    let answer = python.arg(folder.path()).arg(&recipes).arg(out.path());
    let answer = answer.output().expect("Python runs");
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&answer.stdout).expect("a report");
    for (name, document, load, relative) in &cases {
        let options = if *load == &native {
            natively()
        } else {
            options()
        };
        let cube = made(&dc, document, &options);
        let theirs = &report[*name];
        let variables = theirs["variables"].as_object().expect("variables");
        assert!(cube.names().eq(variables.keys()), "{name}");
        let time = cube.coord("time").expect("time");
        let datacube::compute::CoordValues::Time(time) = time.values() else {
            panic!("{name}: {time:?}");
        };
        assert_eq!(json!(time), theirs["time"], "{name}");
        for (variable, dtype) in variables {
            let array = cube.get(variable).expect("a variable");
            assert_eq!(
                array.dtype().to_string(),
                dtype.as_str().expect("a type"),
                "{name}"
            );
            let file = out.path().join(format!("{name}.{variable}.npy"));
            let file = std::fs::File::open(file).expect("Python wrote it");
            let peer = ndarray::ArrayD::<f64>::read_npy(file).expect("an array");
            assert_eq!(array.shape(), peer.shape(), "{name} {variable}");
            let (ours, peer) = (pixels(&cube, variable), peer.into_raw_vec_and_offset().0);
            let differ = n_different(&ours, &peer, *relative);
            // What is reprojected differs where GDAL's approximate positions, found for
            // another window, tip a pixel over.
            let allowed = if *load == &native {
                ours.len() / 500
            } else {
                0
            };
            let first = ours
                .iter()
                .zip(&peer)
                .position(|(a, b)| n_different(&[*a], &[*b], *relative) > 0);
            let both = first.map(|at| (at, ours[at], peer[at]));
            eprintln!(
                "{name} {variable}: {differ} of {} differ, first {both:?}",
                ours.len()
            );
            assert!(
                differ <= allowed,
                "{name} {variable}: {differ} of {} differ, first {both:?}",
                ours.len()
            );
            let values = ours.iter().filter(|value| value.is_finite());
            let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), &value| {
                (low.min(value), high.max(value))
            });
            assert!(low < high, "{name} {variable} has something to differ in");
        }
    }
}

#[test]
fn an_aggregate_is_the_statistic_of_its_steps() {
    let (_folder, dc) = tiny::open();
    let steps = made(&dc, &floats(), &options());
    let red = steps.get("red").expect("red");
    let cube = made(
        &dc,
        &monthly("sum", &floats()),
        &options().chunks([("x", 40), ("y", 33)]),
    );
    assert_eq!(
        cube.get("red").expect("red").shape()[0],
        1,
        "all in February"
    );
    let by_hand = red.sum("time").expect("a sum").compute().expect("computed");
    let by_hand: Vec<f64> = by_hand
        .to_vec::<f32>()
        .expect("pixels")
        .into_iter()
        .map(f64::from)
        .collect();
    assert_eq!(n_different(&pixels(&cube, "red"), &by_hand, 0.0), 0);

    // An aggregate of an aggregate, with options of xarray's.
    let mut yearly = monthly("quantile", &{
        let mut daily = monthly("max", &floats());
        daily["group_by"] = "day".into();
        daily
    });
    yearly["group_by"] = "datacube.virtual.transformations.year".into();
    yearly["q"] = 0.25.into();
    yearly["dtype"] = "float32".into();
    let cube = made(&dc, &yearly, &options());
    let quantile = Reduction::new(ReduceOp::Quantile).quantiles([0.25]);
    let by_hand = red
        .reduce(quantile, "time")
        .expect("a quantile")
        .astype(DType::Float32);
    let by_hand = by_hand.astype(DType::Float64).compute().expect("computed");
    let by_hand = by_hand.to_vec::<f64>().expect("pixels");
    assert_eq!(cube.get("red").expect("red").dtype(), DType::Float32);
    assert_eq!(n_different(&pixels(&cube, "red"), &by_hand, 0.0), 0);

    // Stacked with another of the same label: two steps, each its own.
    let stacked = json!({"collate": [
        monthly("max", &floats()), monthly("min", &floats()),
    ], "index_measurement_name": "which"});
    let stacked = made(&dc, &stacked, &options());
    assert_eq!(pixels(&stacked, "which"), [0.0, 1.0]);
    for (step, method) in ["max", "min"].into_iter().enumerate() {
        let alone = made(&dc, &monthly(method, &floats()), &options());
        let step = stacked.isel("time", step..step + 1).expect("a step");
        assert_eq!(
            n_different(&pixels(&step, "warmth"), &pixels(&alone, "warmth"), 0.0),
            0
        );
    }
}

#[test]
fn what_is_computed_is_the_same_whatever_the_chunks() {
    let (_folder, dc) = tiny::open();
    let measured = json!({"product": tiny::PRODUCT, "measurements": ["red", "warmth", "qa"]});
    for resampling in ["nearest", "cubic", "average", "mode", "lanczos"] {
        let document = json!({
            "reproject": {"output_crs": "EPSG:3577", "resolution": [-75, 75], "align": [5, 20]},
            "resampling": resampling,
            "input": clear(&measured, 1, 2, true),
        });
        let whole = made(&dc, &document, &natively());
        let geobox = whole.geobox().expect("a grid");
        assert_eq!(
            (geobox.resolution().x, geobox.affine().c.rem_euclid(75.0)),
            (75.0, 20.0)
        );
        let lazy = natively().chunks([("time", 2), ("x", 23), ("y", 31)]);
        let lazy = made(&dc, &document, &lazy);
        assert!(!lazy.get("red").expect("red").is_computed());
        for name in ["red", "warmth"] {
            let (whole, cut) = (pixels(&whole, name), pixels(&lazy, name));
            assert_eq!(n_different(&whole, &cut, 0.0), 0, "{resampling} {name}");
        }
        // The plan can be sent.
        let plan = lazy.plan().expect("a plan");
        let codec = datacube::source_codec(dc.loader().clone());
        let sent = datacube::compute::Plan::from_bytes(&plan.to_bytes().expect("bytes"), &codec);
        let sent = sent.expect("the same plan");
        assert_eq!(
            sent.to_bytes().expect("bytes"),
            plan.to_bytes().expect("bytes")
        );
    }
}

#[test]
fn what_cannot_be_computed_says_why() {
    let (_folder, dc) = tiny::open();
    let check = |document: Value, expected: &[&str]| {
        let loaded = VirtualProduct::from_document(&document)
            .and_then(|recipe| recipe.load(&dc, &natively().group_by("solar_day")));
        let message = loaded.expect_err("refused").to_string();
        for part in expected {
            assert!(message.contains(part), "`{part}` in {message}");
        }
    };
    let mut wrong = monthly("mean", &floats());
    wrong["group_by"] = "decade".into();
    check(wrong, &["decade", "year, month, week"]);
    check(monthly("cumsum", &floats()), &["cumsum", "mean, sum"]);
    check(
        monthly("quantile", &floats()),
        &["q: it is missing", "0 to 1"],
    );
    let mut wrong = monthly("mean", &floats());
    wrong["ddof"] = 1.into();
    check(wrong, &["ddof", "mean"]);
    let mut wrong = monthly("mean", &floats());
    wrong["apply_to"] = json!(["red"]);
    check(wrong, &["warmth", "left out"]);
    check(
        json!({"aggregate": "geomedian", "method": "x", "group_by": "year", "input": floats()}),
        &["geomedian", "xarray_reduction"],
    );
    let reproject = |input: Value| {
        json!({
            "reproject": {"output_crs": "EPSG:3577", "resolution": [-40, 40]}, "input": input,
        })
    };
    check(
        reproject(json!({
            "transform": "to_float", "input": reproject(ndvi()),
        })),
        &["twice"],
    );
    // February holds both UTM zones.
    check(
        reproject(monthly("mean", &floats())),
        &["EPSG:32755", "EPSG:32756", "around the products"],
    );
    let mut wrong = reproject(ndvi());
    wrong["resampling"] = json!({"ndwi": "cubic"});
    check(wrong, &["ndwi", "ndvi"]);
}
