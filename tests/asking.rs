//! Every way of asking for a cube, on the small archive: what one way gives has to be
//! what another gives, or what follows from its pixels.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::tiny;
use datacube::compute::Serial;
use datacube::geo::{Crs, GridSpec, Resolution, Shape2d};
use datacube::model::DType;
use datacube::ndarray::ArrayViewMut2;
use datacube::virtual_product::{VirtualCatalog, VirtualProduct};
use datacube::{
    CalendarPeriod, Cube, Datacube, DatasetQuery, FuseFunction, GridWorkflow, GroupBy, HasGeoBox,
    LoadOptions, Nodata, SKIPPED_ATTR,
};

fn load(dc: &Datacube, options: LoadOptions) -> Cube {
    dc.load(options).unwrap_or_else(|error| panic!("{error}"))
}

fn pixels(cube: &Cube, name: &str) -> Vec<f64> {
    let array = cube.get(name).expect("a variable").astype(DType::Float64);
    array
        .compute()
        .expect("computed")
        .to_vec::<f64>()
        .expect("pixels")
}

/// Equal, NaN to NaN.
fn assert_same(a: &[f64], b: &[f64], what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let differ = a
        .iter()
        .zip(b)
        .filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()))
        .count();
    assert_eq!(differ, 0, "{what}: {differ} of {} pixels", a.len());
}

fn red() -> LoadOptions {
    tiny::options().measurements(["red"])
}

#[test]
fn a_spectral_index_finds_its_bands_by_their_aliases() {
    let (_folder, dc) = tiny::open();
    let measured = load(&dc, tiny::options().measurements(["red", "nir"]));
    let by_alias = load(&dc, tiny::options().measurements(["band_4", "band_5"]));
    let ndvi = |cube: &Cube| {
        let ndvi = cube.index("NDVI").unwrap_or_else(|error| panic!("{error}"));
        let ndvi = ndvi.astype(DType::Float64).compute().expect("computed");
        ndvi.to_vec::<f64>().expect("pixels")
    };
    let (measured, by_alias) = (ndvi(&measured), ndvi(&by_alias));
    assert!(
        measured
            .iter()
            .any(|value| value.is_finite() && *value != 0.0)
    );
    assert_same(&measured, &by_alias, "NDVI");
}

#[test]
fn fuse_functions_by_name_and_by_value() {
    let (_folder, dc) = tiny::open();
    let all = || red().group_by(GroupBy::function(|_| "all".into()));
    let each = load(
        &dc,
        red()
            .group_by("none")
            .like(load(&dc, all()).geobox().expect("a grid"))
            .clone_without_grid(),
    );
    let planes = pixels(&each, "red");
    let n = planes.len() / 5;
    let over = |pick: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        (0..n)
            .map(|at| (0..5).map(|plane| planes[plane * n + at]).fold(0.0, pick))
            .collect()
    };
    let first = |a: f64, b: f64| if a == 0.0 { b } else { a };
    let last = |a: f64, b: f64| if b == 0.0 { a } else { b };
    assert_same(&pixels(&load(&dc, all()), "red"), &over(&first), "first");
    assert_same(
        &pixels(&load(&dc, all().fuse("last_valid")), "red"),
        &over(&last),
        "last",
    );
    assert_same(
        &pixels(&load(&dc, all().fuse("max")), "red"),
        &over(&f64::max),
        "max",
    );
    // A function of the caller's gives what the built-in one gives.
    let mine = FuseFunction::new("mine", |mut dst: ArrayViewMut2<'_, u16>, src| {
        dst.zip_mut_with(&src, |dst, &src| *dst = (*dst).max(src));
    });
    let lazy = load(
        &dc,
        all().fuse(mine).chunks([("time", 1), ("y", 37), ("x", 41)]),
    );
    assert_same(&pixels(&lazy, "red"), &over(&f64::max), "a function");
    let message = lazy
        .plan()
        .and_then(|plan| plan.to_bytes())
        .expect_err("it cannot travel")
        .to_string();
    assert!(
        message.contains("`mine`") && message.contains("register_fuser"),
        "{message}"
    );
    let message = dc
        .load(all().fuse("lst_valid"))
        .expect_err("no such name")
        .to_string();
    assert!(message.contains("did you mean `last_valid`"), "{message}");
}

/// Options onto a grid that is fixed: without those that would contradict it.
trait WithoutGrid {
    fn clone_without_grid(self) -> Self;
}

impl WithoutGrid for LoadOptions {
    fn clone_without_grid(mut self) -> Self {
        (self.output_crs, self.resolution, self.align) = (None, None, None);
        self
    }
}

#[test]
fn types_and_nodata_by_band() {
    let (_folder, dc) = tiny::open();
    let plain = load(&dc, tiny::options().measurements(["red", "slope"]));
    let options = tiny::options()
        .measurements(["red", "slope"])
        .dtype([("red", DType::Float32), ("*", DType::Int32)])
        .nodata([
            ("red", Nodata::from(-1.0)),
            ("slope", Nodata::from(-100_000_i64)),
        ]);
    let other = load(&dc, options);
    let red = other.get("red").expect("red");
    assert_eq!(
        (red.dtype(), other.get("slope").expect("slope").dtype()),
        (DType::Float32, DType::Int32)
    );
    assert_eq!(red.attrs().nodata().map(|n| n.as_f64()), Some(-1.0));
    for (name, before, after) in [("red", 0.0, -1.0), ("slope", -999.0, -100_000.0)] {
        let expected: Vec<f64> = pixels(&plain, name)
            .into_iter()
            .map(|value| if value == before { after } else { value })
            .collect();
        assert_same(&pixels(&other, name), &expected, name);
    }
    let message = dc
        .load(red_as(DType::UInt8).nodata(300_i64))
        .expect_err("too large")
        .to_string();
    assert!(
        message.contains("uint8 cannot hold its nodata 300"),
        "{message}"
    );
    // The same band twice under two names, each its own way.
    let twice = tiny::options()
        .measurements(["red", "band_4"])
        .dtype([("band_4", DType::Float64)]);
    let twice = load(&dc, twice);
    assert_eq!(
        twice.get("band_4").expect("an alias").dtype(),
        DType::Float64
    );
    assert_same(&pixels(&twice, "red"), &pixels(&twice, "band_4"), "twice");
}

#[test]
fn scale_and_offset_are_applied_on_request() {
    let (_folder, dc) = tiny::open();
    let nir = || tiny::options().measurements(["nir"]);
    let plain = load(&dc, nir());
    let attrs = plain.get("nir").expect("nir").attrs().clone();
    assert!(attrs.get("scale_factor").is_some() && attrs.get("add_offset").is_some());
    #[allow(clippy::cast_possible_truncation, reason = "as the loader rounds")]
    let expected: Vec<f64> = pixels(&plain, "nir")
        .into_iter()
        .map(|value| match value {
            0.0 => f64::NAN,
            value => f64::from((value * 0.0001 - 0.1) as f32),
        })
        .collect();
    let scaled = load(&dc, nir().scaled(true));
    assert_same(&pixels(&scaled, "nir"), &expected, "scaled");
    let array = scaled.get("nir").expect("nir");
    assert_eq!(array.dtype(), DType::Float32);
    assert!(array.attrs().get("scale_factor").is_none());
    let chunked = load(
        &dc,
        nir()
            .scaled(true)
            .chunks([("time", 1), ("y", 37), ("x", 41)]),
    );
    assert_same(&pixels(&chunked, "nir"), &expected, "scaled in chunks");
    // Kernels see scaled values, so nothing is rounded before.
    let double = nir().scaled(true).dtype(DType::Float64);
    assert_eq!(
        load(&dc, double).get("nir").expect("nir").dtype(),
        DType::Float64
    );
    for (refused, part) in [
        (nir().scaled(true).dtype(DType::Int32), "no fractions"),
        (nir().scaled(true).nodata(0_i64), "is NaN"),
    ] {
        let message = dc.load(refused).expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    }
}

fn red_as(dtype: DType) -> LoadOptions {
    red().dtype(dtype)
}

#[test]
fn properties_lie_along_time() {
    let (_folder, dc) = tiny::open();
    let cube = load(
        &dc,
        red().with_properties(["eo:cloud_cover", "eo:platform"]),
    );
    let cover = cube.get("eo_cloud_cover").expect("a number");
    assert_eq!(cover.dims(), ["time"]);
    // Of each day the mean: that of a1 and b1, then c1, a2, c2.
    assert_eq!(
        cover.to_vec::<f64>().expect("numbers"),
        [5.0, 20.0, 30.0, 40.0]
    );
    let platform = cube.coord("eo_platform").expect("a text").values();
    assert_eq!(platform.get(0).to_string(), "landsat-8");
    let message = dc
        .load(red().with_properties(["eo:cluod_cover"]))
        .expect_err("unknown")
        .to_string();
    assert!(message.contains("did you mean eo:cloud_cover"), "{message}");
    // By a property: the platform is one step, cloud covers are five.
    let steps = |name: &str| {
        load(&dc, red().group_by(name))
            .get("red")
            .expect("red")
            .shape()[0]
    };
    assert_eq!(
        (steps("eo:platform"), steps("eo:cloud_cover"), steps("id")),
        (1, 5, 5)
    );
}

#[test]
fn what_cannot_be_read_is_told_and_left_out() {
    let (folder, dc) = tiny::open();
    std::fs::remove_file(tiny::file(folder.path(), "a1", "red")).expect("it was there");
    assert!(dc.load(red()).is_err());
    let (cube, report) = dc
        .load_with_report(red().fail_on_error(false))
        .expect("loaded");
    let skipped = cube.attrs().get(SKIPPED_ATTR).expect("told").to_string();
    assert!(
        skipped.contains("a1/red.tif") && skipped.contains("00000000-0000-4000-8000-000000000000"),
        "{skipped}"
    );
    assert!(!report.skipped.is_empty());
    // Somewhere else it is there.
    let from = tiny::file(folder.path(), "a2", "red")
        .to_string_lossy()
        .into_owned();
    let patched = red().patch_url_with(move |_, uri| {
        Ok(if uri.ends_with("a1/red.tif") {
            format!("file://{from}")
        } else {
            uri.to_owned()
        })
    });
    assert!(
        dc.load(patched)
            .expect("patched")
            .attrs()
            .get(SKIPPED_ATTR)
            .is_none()
    );
    let refused = red().patch_url_with(|_, uri| Err(format!("no token for {uri}").into()));
    let message = dc.load(refused).expect_err("refused").to_string();
    assert!(
        message.contains("patch_url") && message.contains("no token"),
        "{message}"
    );
}

#[test]
fn a_load_can_be_ended_early() {
    let (_folder, dc) = tiny::open();
    // One task after the other, so that it is known how far it came.
    let dc = dc.with_engine(Arc::new(Serial::new()));
    let ended = red().progress_until(|_, total| {
        assert!(total > 1);
        ControlFlow::Break(())
    });
    let message = dc.load(ended).expect_err("ended").to_string();
    assert!(message.contains("cancelled after 1 of"), "{message}");
    assert!(dc.load(red()).is_ok(), "the next load is not touched");
}

#[test]
fn progress_is_heard_and_one_axis_is_enough() {
    let (_folder, dc) = tiny::open();
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = heard.clone();
    let whole = load(
        &dc,
        red().progress(move |done, total| {
            assert!(done <= total);
            hears.fetch_add(1, Ordering::Relaxed);
        }),
    );
    assert!(heard.load(Ordering::Relaxed) > 0);
    // A band of latitudes is as wide as the datasets in it, in degrees and in metres.
    let all = whole.geobox().expect("a grid");
    let (low, high) = (
        all.bounding_box().bottom + 600.0,
        all.bounding_box().bottom + 1200.0,
    );
    let band = load(&dc, red().y((low, high)).crs("EPSG:32755"))
        .geobox()
        .expect("a grid");
    assert!((20..24).contains(&band.rows()), "{:?}", band.shape());
    assert!(
        (150..=all.cols()).contains(&band.cols()),
        "{:?} {:?}",
        band.shape(),
        all.shape()
    );
    let band = load(&dc, red().lat((-35.205, -35.2)))
        .geobox()
        .expect("a grid");
    assert!(
        band.rows() < 30 && band.cols() <= all.cols() + 12,
        "{:?}",
        band.shape()
    );
}

#[test]
fn tiles_make_the_whole() {
    let (_folder, dc) = tiny::open();
    let crs = Crs::from_epsg(32755).expect("a CRS");
    let grid = GridSpec::new(crs, Shape2d::new(64, 64), Resolution::square(30.0)).expect("a grid");
    let grid = grid.with_origin(datacube::geo::Xy::new(15.0, 15.0));
    let work = GridWorkflow::new(&dc, grid);
    let cells = work
        .list_cells(DatasetQuery::new(tiny::PRODUCT), "solar_day")
        .expect("cells");
    assert!(cells.len() > 4, "{}", cells.len());
    let sum = |values: Vec<f64>| values.iter().sum::<f64>();
    let mut total = 0.0;
    let wanted = || LoadOptions::new(tiny::PRODUCT).measurements(["red"]);
    for tile in cells.values() {
        let cube = work.load(tile, wanted()).expect("loaded");
        assert_eq!(cube.get("red").expect("red").shape(), tile.shape());
        total += sum(pixels(&cube, "red"));
        let steps: usize = tile
            .split_by_time(CalendarPeriod::Month)
            .iter()
            .map(|(_, part)| part.shape()[0])
            .sum();
        assert_eq!(
            (steps, tile.split(1).len()),
            (tile.shape()[0], tile.shape()[0])
        );
    }
    // A tile is a grid of its own, so GDAL's approximate positions are others: of
    // pixels between two UTM zones a few take a neighbour.
    let whole = sum(pixels(&load(&dc, red()), "red"));
    assert!(
        (total - whole).abs() < 1e-4 * whole,
        "{total}, not about {whole}"
    );
    let refused = work.load(
        &cells.values().next().expect("a tile").clone(),
        red().group_by("time"),
    );
    assert!(refused.unwrap_err().to_string().contains("group_by"));
}

const NDVI: &str = "
    transform: expressions
    output:
        ndvi: {formula: (nir - red) / (nir + red), dtype: float32}
        red: red
        high: {formula: nir > 16000}
    input:
        transform: apply_mask
        mask_measurement_name: qa
        preserve_dtype: false
        input:
            transform: make_mask
            mask_measurement_name: qa
            flags: {cloud: not_high_confidence, nodata: false}
            input: {product: tiny, measurements: [red, nir, qa]}
";

#[test]
fn a_recipe_gives_what_its_steps_give() {
    let (_folder, dc) = tiny::open();
    let recipe = VirtualProduct::from_yaml(NDVI).expect("a recipe");
    let mut options = tiny::options();
    options.query.product = None;
    let cube = recipe.load(&dc, &options).expect("loaded");
    let by_hand = load(&dc, tiny::options().measurements(["red", "nir", "qa"]));
    let clear = by_hand.get("qa").expect("flags").make_mask([
        ("cloud", datacube::model::Label::from("not_high_confidence")),
        ("nodata", false.into()),
    ]);
    let bands = by_hand
        .drop_variables(&["qa"])
        .expect("bands")
        .mask_invalid_data()
        .where_(&clear);
    let ndvi = bands.eval("(nir - red) / (nir + red)").expect("a formula");
    let ndvi = ndvi
        .compute()
        .expect("computed")
        .to_vec::<f32>()
        .expect("pixels");
    let ndvi: Vec<f64> = ndvi.into_iter().map(f64::from).collect();
    assert_same(&pixels(&cube, "ndvi"), &ndvi, "ndvi");
    assert_eq!(cube.get("high").expect("a truth").dtype(), DType::Bool);

    // Stacked: the year in two halves is the year.
    let stacked = VirtualProduct::from_yaml(
        "
collate:
  - {product: tiny, measurements: [red], time: [2020-02-15, 2020-03]}
  - {product: tiny, measurements: [red], time: [2020-02-01, 2020-02-14]}
index_measurement_name: part
",
    );
    let region = |options: LoadOptions| options.lon((149.93, 149.97)).lat((-35.215, -35.185));
    let mut options = region(tiny::options());
    options.query.product = None;
    let stacked = stacked
        .expect("a recipe")
        .load(&dc, &options.clone().lazy())
        .expect("lazy");
    let whole = load(&dc, region(red()));
    assert_same(&pixels(&stacked, "red"), &pixels(&whole, "red"), "collate");
    assert_eq!(
        stacked.coord("time").expect("time").values(),
        whole.coord("time").expect("time").values()
    );
    assert_eq!(pixels(&stacked, "part"), [1.0, 1.0, 0.0, 0.0]);

    // Side by side: where both have a time step.
    let beside = VirtualProduct::from_yaml(
        "
juxtapose:
  - {product: tiny, measurements: [red]}
  - transform: rename
    measurement_names: {red: later}
    input: {product: tiny, measurements: [red], time: 2020-02-19}
",
    );
    let beside = beside
        .expect("a recipe")
        .load(&dc, &options)
        .expect("loaded");
    assert_eq!(beside.get("red").expect("red").shape()[0], 1);
    assert_same(
        &pixels(&beside, "red"),
        &pixels(&beside, "later"),
        "juxtapose",
    );
}

#[test]
fn recipes_that_cannot_be_followed_say_why() {
    let (_folder, dc) = tiny::open();
    let check = |yaml: &str, expected: &[&str]| {
        let loaded = VirtualProduct::from_yaml(yaml).and_then(|recipe| {
            let mut options = tiny::options();
            options.query.product = None;
            recipe.load(&dc, &options)
        });
        let message = loaded.expect_err("refused").to_string();
        for part in expected {
            assert!(message.contains(part), "`{part}` in {message}");
        }
    };
    check("{}", &["expected one of product, transform"]);
    check("{product: tiny, collate: []}", &["product and collate"]);
    check(
        "{transform: gaussian, input: {product: tiny}}",
        &["`gaussian`", "make_mask, apply_mask"],
    );
    check(
        "{transform: select, measurement_names: [redd], input: {product: tiny}}",
        &["redd", "red"],
    );
    check(
        "{transform: apply_mask, mask_measurement_name: qa, input: {product: tiny}}",
        &["uint16", "make_mask"],
    );
    check(
        "{transform: expressions, output: {a: {formula: red +}}, input: {product: tiny}}",
        &["red +"],
    );
    check(
        "{collate: [{product: tiny, measurements: [red]}, {product: tiny, measurements: [nir]}]}",
        &["red", "nir"],
    );
    check(
        "{product: tiny, measurements: [red], cloudcover: 3}",
        &["cloudcover", "cloud_cover"],
    );
    let catalog = VirtualCatalog::from_yaml(
        "products: {ndvi: {recipe: {product: tiny}}}
transforms: {floats: {recipe: {transform: to_float}}}",
    );
    let catalog = catalog.expect("a catalogue");
    assert_eq!(catalog.names().collect::<Vec<_>>(), ["ndvi", "floats"]);
    let floats = catalog
        .transform("floats", &serde_json::json!({"product": "tiny"}))
        .expect("applied");
    assert_eq!(floats.products(), ["tiny"]);
    let message = catalog.product("ndiv").expect_err("unknown").to_string();
    assert!(message.contains("did you mean ndvi"), "{message}");
}
