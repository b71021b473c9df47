//! The whole house on 19 real Landsat scenes, against what Python's datacube made of them.
//!
//! Documents are added to a SQLite index, found, grouped by solar day, warped
//! onto grids in UTM, Albers and geographic coordinates, fused, masked and turned
//! into NDVI, as the goldens were. `average` is no part of that: Python's datacube
//! decimates before it averages, so the mean is checked against GDAL's warp from
//! full resolution and against the mean written out (`fixtures/l8ny18_average`).

#![allow(
    clippy::print_stdout,
    reason = "how far a case agrees, for --nocapture and failures"
)]

mod common;

use common::agreement::Agreement;
use common::golden::{self, Golden};
use common::{fixture, l8ny18, shared_data};
use datacube::compute::CoordValues;
use datacube::{Cube, Datacube, LoadOptions, WarpScale};
use ndarray::{Array3, Axis, Ix3};

/// How many of the pixels have to agree, as agreed for this work.
const SHARE: f64 = 0.995;

/// Loads one case as the golden was loaded.
fn load(dc: &Datacube, case: &Golden, warp_scale: WarpScale) -> Cube {
    let (x, y) = case.resolution;
    let mut options = LoadOptions::new(l8ny18::PRODUCT)
        .measurements(["red", "nir", "bqa"])
        .output_crs(case.output_crs.as_str())
        .resolution_xy(x, y)
        .warp_scale(warp_scale)
        .group_by("solar_day");
    options.resampling = case.resampling.iter().cloned().collect();
    dc.load(options)
        .unwrap_or_else(|error| panic!("{}: {error}", case.name))
}

fn band(cube: &Cube, name: &str) -> Array3<u16> {
    let array = cube.get(name).expect("a measurement that was asked for");
    let pixels = array
        .to_array::<u16>()
        .expect("an eager load has pixels of the product's type");
    pixels.into_dimensionality::<Ix3>().expect("time, y, x")
}

/// Dimensions, time labels and pixel centres.
fn assert_coordinates(cube: &Cube, case: &Golden) {
    let [rows, cols] = &case.dimensions;
    for name in ["red", "nir", "bqa"] {
        let array = cube.get(name).expect("a measurement that was asked for");
        assert_eq!(array.dims(), ["time", rows, cols], "{}: {name}", case.name);
    }
    match cube
        .coords()
        .get("time")
        .expect("a time coordinate")
        .values()
    {
        CoordValues::Time(labels) => assert_eq!(*labels, case.times(), "{}: times", case.name),
        other => panic!("{}: times are {}", case.name, other.type_name()),
    }
    let (y, x) = case.centres();
    let pixel = case.resolution.0;
    for (name, centres) in [(rows, y), (cols, x)] {
        let ours = cube
            .coords()
            .get(name)
            .and_then(datacube::compute::Coord::to_f64);
        let ours = ours.unwrap_or_else(|| panic!("{}: no numbers along {name}", case.name));
        assert_eq!(ours.len(), centres.len(), "{}: size of {name}", case.name);
        for (ours, theirs) in ours.iter().zip(&centres) {
            let off = (ours - theirs).abs();
            assert!(
                off < 1e-9 * pixel,
                "{}: {name} {ours}, wanted {theirs}",
                case.name
            );
        }
    }
}

/// NDVI of the pixels that are neither fill nor cloud: its mean for each day, and the mask.
fn assert_ndvi(cube: &Cube, case: &Golden) {
    let get = |name: &str| {
        cube.get(name)
            .expect("a measurement that was asked for")
            .clone()
    };
    let clear = get("bqa").make_mask([("fill", false), ("cloud", false)]);
    let (red, nir) = (get("red").where_(&clear), get("nir").where_(&clear));
    let ndvi = ((&nir - &red) / (&nir + &red))
        .compute()
        .expect("NDVI can be computed");
    let ndvi = ndvi
        .to_array::<f32>()
        .expect("16-bit pixels give 32-bit floats where masked");
    let ndvi = ndvi.into_dimensionality::<Ix3>().expect("time, y, x");

    let theirs = case.band::<f32>("ndvi");
    let found = Agreement::of("ndvi", &ndvi.view(), &theirs.view(), None, 1e-3);
    println!("{}: {found}", case.name);
    found.assert_mask_on(SHARE);
    for (day, (plane, &(valid, mean))) in ndvi.axis_iter(Axis(0)).zip(&case.ndvi_by_day).enumerate()
    {
        let seen: Vec<f64> = plane
            .iter()
            .filter(|value| !value.is_nan())
            .map(|&value| f64::from(value))
            .collect();
        #[allow(clippy::cast_precision_loss, reason = "counts of pixels are small")]
        let (ours, count) = (
            seen.iter().sum::<f64>() / seen.len() as f64,
            seen.len() as f64,
        );
        assert!(
            (ours - mean).abs() <= 1e-3,
            "{}: mean NDVI of day {day} is {ours}, wanted {mean}",
            case.name
        );
        #[allow(clippy::cast_precision_loss, reason = "counts of pixels are small")]
        let wanted = valid as f64;
        assert!(
            (count - wanted).abs() <= (1.0 - SHARE) * wanted,
            "{}: {count} clear pixels on day {day}, wanted {wanted}",
            case.name
        );
    }
}

/// One case: coordinates, three measurements, masked NDVI.
fn check(name: &str) {
    let Some(shared) = shared_data() else {
        return;
    };
    let case = golden::case(&shared, name);
    let (_folder, dc) = l8ny18::open(&shared);
    let cube = load(&dc, &case, WarpScale::Unit);
    assert_coordinates(&cube, &case);
    for (measurement, nodata) in [("red", 0.0), ("nir", 0.0), ("bqa", 1.0)] {
        let method = case.resampling_of(measurement);
        let (ours, theirs) = (band(&cube, measurement), case.band::<u16>(measurement));
        let found = Agreement::of(measurement, &ours.view(), &theirs.view(), Some(nodata), 1.0);
        println!("{name}: {found}");
        match method {
            "nearest" => found.assert_equal_on(SHARE),
            _ => found.assert_within_on(SHARE),
        }
        found.assert_mask_on(SHARE);
    }
    assert_ndvi(&cube, &case);
}

#[test]
fn utm_nearest() {
    check("bbox_all__utm_3000_nearest");
}

#[test]
fn utm_bilinear() {
    check("bbox_all__utm_3000_bilinear_qa_nearest");
}

#[test]
fn utm_three_times_finer_bilinear() {
    check("bbox_all__utm_1000_bilinear_qa_nearest");
}

#[test]
fn albers_nearest() {
    check("bbox_all__albers5070_3000_nearest");
}

#[test]
fn albers_cubic() {
    check("bbox_all__albers5070_3000_cubic_qa_nearest");
}

#[test]
fn geographic_nearest() {
    check("bbox_all__ll_0.03_nearest");
}

/// Every case of the goldens is one of the tests here, or the average below.
#[test]
fn no_case_is_left_out() {
    let Some(shared) = shared_data() else {
        return;
    };
    let source = include_str!("landsat_l8ny18.rs");
    for case in golden::cases(&shared) {
        let name = format!("\"{}\"", case.name);
        assert!(
            source.contains(&name),
            "{} is checked by no test",
            case.name
        );
    }
}

#[test]
fn average_and_mode_are_over_all_pixels() {
    let name = "bbox_all__utm_9000_average_qa_mode";
    let Some(shared) = shared_data() else {
        return;
    };
    let case = golden::case(&shared, name);
    let (_folder, dc) = l8ny18::open(&shared);
    let cube = load(&dc, &case, WarpScale::Auto);
    assert_coordinates(&cube, &case);

    let file = fixture("l8ny18_average/average.npz");
    for (measurement, telling, nodata, tolerance) in [
        ("red", "mean:red", 0.0, 1.0),
        ("nir", "mean:nir", 0.0, 1.0),
        ("red", "gdal:red", 0.0, 1.0),
        ("nir", "gdal:nir", 0.0, 1.0),
        ("bqa", "gdal:bqa", 1.0, 0.0),
    ] {
        let (ours, theirs) = (
            band(&cube, measurement),
            golden::read_npz::<u16>(&file, telling),
        );
        let found = Agreement::of(
            telling,
            &ours.view(),
            &theirs.view(),
            Some(nodata),
            tolerance,
        );
        println!("{name}: {found}");
        found.assert_within_on(SHARE);
        found.assert_mask_on(SHARE);
    }
}
