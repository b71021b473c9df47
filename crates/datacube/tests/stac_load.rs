//! STAC items loaded without an index, beside odc-stac.

mod common;

use std::path::{Path, PathBuf};

use common::{items_of_corpus, python};
use datacube::geo::{Affine, Crs, GeoBox, Shape2d};
use datacube::model::stac::StacConfig;
use datacube::{Cube, Datacube, Error, HasGeoBox, LoadOptions, SourceOptions, stac};
use datacube_testkit::shared;
use serde_json::{Map, Value, json};
use stac::StacItems;

/// A load by odc-stac: which items, how, and whether its pixels are wanted.
struct Case {
    items: Vec<PathBuf>,
    options: Value,
    pixels: bool,
}

/// What odc-stac makes of `cases`, and the folder in which its pixels are.
fn odc_stac(cases: &[Case]) -> Option<(Vec<Value>, tempfile::TempDir)> {
    let mut command = python("load_items.py", &["odc.stac", "pystac", "rasterio", "dask"])?;
    let folder = tempfile::tempdir().expect("a folder");
    let request = folder.path().join("cases.json");
    let cases: Vec<Value> = cases
        .iter()
        .map(|case| json!({"items": case.items, "options": case.options, "pixels": case.pixels}))
        .collect();
    std::fs::write(&request, Value::from(cases).to_string()).expect("written");
    let output = command
        .arg(&request)
        .arg(folder.path())
        .output()
        .expect("Python runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let answers = serde_json::from_slice(&output.stdout).expect("JSON");
    Some((answers, folder))
}

fn open(items: &[PathBuf]) -> Result<StacItems, Error> {
    let places = items.iter().map(|path| path.to_string_lossy().into_owned());
    StacItems::open(places, &SourceOptions::default(), &StacConfig::default())
}

/// What a cube is, in the words of the script.
fn described(cube: &Cube) -> Value {
    let geobox = cube.geobox().expect("a grid");
    let t = geobox.affine();
    let times = match cube.coord("time").expect("time").values() {
        datacube::compute::CoordValues::Time(times) => times.clone(),
        other => panic!("{other:?}"),
    };
    let bands: serde_json::Map<String, Value> = cube
        .variables()
        .map(|(name, array)| {
            let nodata = array.attrs().nodata().map(|nodata| match nodata.as_f64() {
                nan if nan.is_nan() => json!("NaN"),
                number => json!(number),
            });
            (
                name.to_owned(),
                json!({"dtype": array.dtype().name(), "nodata": nodata}),
            )
        })
        .collect();
    json!({
        "crs": geobox.crs().map(Crs::to_wkt),
        "shape": [geobox.rows(), geobox.cols()],
        "transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        "times": times,
        "bands": bands,
    })
}

/// What differs between our cube and odc-stac's answer. `canonical` gives our name of a
/// band: odc-stac may call it by the name in `eo:bands` or as `asset.1`. By default it
/// takes the first band of some assets only, where ours takes all.
fn differences(ours: &Value, theirs: &Value, canonical: &dyn Fn(&str) -> String) -> Vec<String> {
    let mut found = Vec::new();
    let crs = |value: &Value| value["crs"].as_str().and_then(|text| Crs::parse(text).ok());
    if crs(ours) != crs(theirs) {
        found.push(format!("crs {} and {}", ours["crs"], theirs["crs"]));
    }
    if ours["shape"] != theirs["shape"] {
        found.push(format!("shape {} and {}", ours["shape"], theirs["shape"]));
    }
    let numbers = |value: &Value| -> Vec<f64> {
        let list = value["transform"].as_array().expect("six numbers");
        list.iter().filter_map(Value::as_f64).collect()
    };
    let (a, b) = (numbers(ours), numbers(theirs));
    let size = b[0].abs().max(b[1].abs());
    if a.iter().zip(&b).any(|(a, b)| (a - b).abs() > size * 1e-6) {
        found.push(format!("transform {a:?} and {b:?}"));
    }
    let times: Vec<i64> = theirs["times"]
        .as_array()
        .expect("times")
        .iter()
        .map(|text| {
            let text = format!("{}Z", text.as_str().expect("text"));
            let time: jiff::Timestamp = text.parse().expect("a time");
            i64::try_from(time.as_nanosecond()).expect("in range")
        })
        .collect();
    if ours["times"] != json!(times) {
        found.push(format!("times {} and {}", ours["times"], theirs["times"]));
    }
    let bands = |value: &Value| value["bands"].as_object().expect("bands").clone();
    let (ours, theirs) = (bands(ours), bands(theirs));
    for (name, theirs) in &theirs {
        let found_here = ours.get(name.as_str());
        match found_here.or_else(|| ours.get(canonical(name).as_str())) {
            None => found.push(format!("no band {name} among {}", ours.len())),
            Some(ours) if ours != theirs => found.push(format!("band {name} {ours} and {theirs}")),
            Some(_) => {}
        }
    }
    found
}

/// Where plans differ from odc-stac's: a part of the names of the files, how many loads,
/// and why. docs/CORRECTNESS.md has what is true of each.
const EXPLAINED: [(&str, usize, &str); 6] = [
    (
        "seaice_conc",
        95,
        "around a pole; there the pole is not seen, and most of the image is cut off",
    ),
    (
        "docs__examples__S3A_SL_2_LST",
        2,
        "a whole orbit; there it ends before the box that the item tells",
    ),
    (
        "stactools-packages+datacube/examples__item__item",
        1,
        "longitudes 0 to 358.6; there it is 1.5 degrees wide",
    ),
    (
        "LC08_L2SR_084024",
        1,
        "over the antimeridian; there the last column is missing",
    ),
    (
        "example-landsat8",
        1,
        "its two footprints are a quarter of the earth apart; there the other one is taken",
    ),
    (
        "example-catalog__landsat-8-l1",
        8,
        "their transforms are in the order of GDAL; there they are taken at their word",
    ),
];

fn s2_folder() -> Option<PathBuf> {
    shared("rasters").map(|folder| folder.join("s2_l2a_33T_120m"))
}

/// The six items of two tiles on three days.
fn s2_items(folder: &Path) -> Vec<PathBuf> {
    let mut items: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            path.join(path.file_name().expect("a name"))
                .with_extension("json")
        })
        .filter(|path| path.is_file())
        .collect();
    items.sort();
    assert_eq!(items.len(), 6);
    items
}

#[test]
fn items_of_all_providers_plan_as_odc_stac_has_them() {
    let Some((folder, files)) = items_of_corpus() else {
        return;
    };
    // As they are, and those without a grid of their own on one that is asked for.
    let mut asked: Vec<(&str, LoadOptions)> = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for file in &files {
        let items = vec![folder.join(file)];
        asked.push((file, LoadOptions::default()));
        cases.push(Case {
            items: items.clone(),
            options: json!({}),
            pixels: false,
        });
        asked.push((
            file,
            LoadOptions::default()
                .output_crs("EPSG:6933")
                .resolution(5000.0),
        ));
        let options = json!({"crs": "EPSG:6933", "resolution": 5000});
        cases.push(Case {
            items,
            options,
            pixels: false,
        });
    }
    let Some((answers, _)) = odc_stac(&cases) else {
        return;
    };
    let (mut n_same, mut n_refused, mut n_more, mut n_empty) = (0, 0, 0, 0);
    let mut different = Vec::new();
    for ((file, options), (case, theirs)) in asked.iter().zip(cases.iter().zip(&answers)) {
        let items = open(&case.items);
        let ours = items
            .as_ref()
            .map_err(ToString::to_string)
            .and_then(|items| {
                let cube = items
                    .load(options.clone().lazy())
                    .map_err(|error| error.to_string())?;
                let canonical = |name: &str| {
                    let product = items.product();
                    let plain = name.strip_suffix(".1").unwrap_or(name);
                    let found = product
                        .measurement(name)
                        .or_else(|_| product.measurement(plain));
                    found.map_or(name.to_owned(), |measurement| measurement.name.clone())
                };
                if theirs["error"].is_string() {
                    return Ok(Vec::new());
                }
                // Ours under the names of their measurements too.
                let mut ours = described(&cube);
                let bands = ours["bands"].as_object_mut().expect("bands");
                for (name, band) in bands.clone() {
                    bands.entry(canonical(&name)).or_insert(band);
                }
                Ok(differences(&ours, theirs, &canonical))
            });
        match (ours, theirs["error"].as_str()) {
            (Ok(found), None) if found.is_empty() => n_same += 1,
            (Ok(found), None) => different.push(format!("{file}: {}", found.join("; "))),
            (Err(_), Some(_)) => n_refused += 1,
            // What odc-stac cannot place may be placed here.
            (Ok(_), Some(_)) => n_more += 1,
            // Without rasters there is a cube without variables.
            (Err(ours), None) if theirs["bands"].as_object().is_some_and(Map::is_empty) => {
                assert!(ours.contains("assets"), "{file}: {ours}");
                n_empty += 1;
            }
            (Err(ours), None) => different.push(format!("{file}: refused: {ours}")),
        }
    }
    for text in &different {
        eprintln!("{}", text.chars().take(400).collect::<String>());
    }
    eprintln!(
        "{n_same} loads plan alike, {n_more} only here, {n_refused} nowhere, {n_empty} have no \
         rasters, {} differ, of {}",
        different.len(),
        asked.len()
    );
    let count = |part: &str| different.iter().filter(|text| text.contains(part)).count();
    let found = EXPLAINED.map(|(part, ..)| (part, count(part)));
    assert_eq!(found, EXPLAINED.map(|(part, n, _)| (part, n)));
    let n_explained: usize = EXPLAINED.iter().map(|(_, n, _)| n).sum();
    assert_eq!(different.len(), n_explained);
    assert_eq!((n_same, n_empty), (600, 139));
}

/// The bytes of a variable, and those that odc-stac wrote of it.
fn pixels(cube: &Cube, name: &str, folder: &Path, case: usize) -> (Vec<f64>, Vec<f64>) {
    let array = cube
        .get(name)
        .expect("a variable")
        .astype(datacube::model::DType::Float64);
    let ours = array
        .compute()
        .expect("computed")
        .to_vec::<f64>()
        .expect("pixels");
    let bytes = std::fs::read(folder.join(format!("{case}-{name}.bin"))).expect("pixels");
    let theirs: Vec<f64> = match cube.get(name).expect("a variable").dtype().name() {
        "uint8" => bytes.iter().map(|&byte| f64::from(byte)).collect(),
        "uint16" => bytes
            .chunks_exact(2)
            .map(|b| f64::from(u16::from_le_bytes([b[0], b[1]])))
            .collect(),
        "float32" => bytes
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
            .collect(),
        other => panic!("{other}"),
    };
    (ours, theirs)
}

fn geobox_json(geobox: &GeoBox) -> Value {
    let t = geobox.affine();
    json!({
        "shape": [geobox.rows(), geobox.cols()],
        "transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        "crs": geobox.crs().map(ToString::to_string),
    })
}

#[test]
fn sentinel_2_pixels_are_those_of_odc_stac() {
    let Some(folder) = s2_folder() else {
        return;
    };
    let items = s2_items(&folder);
    let affine = Affine::from_origin(
        4_650_000.0,
        2_520_000.0,
        datacube::geo::Resolution::square(200.0),
    );
    let laea = Crs::parse("EPSG:3035").expect("a CRS");
    let europe = GeoBox::new(Shape2d::new(300, 400), affine, Some(laea)).expect("a grid");
    let bbox = [15.0, 45.2, 15.4, 45.6];
    let scl = json!({"scl": "nearest", "*": "bilinear"});
    let base = || LoadOptions::default().measurements(["red", "nir", "scl"]);
    let cases: Vec<(&str, Value, LoadOptions)> = vec![
        (
            "native, solar day",
            json!({"bands": ["red", "nir", "scl"], "groupby": "solar_day"}),
            base().group_by("solar_day"),
        ),
        (
            "every item by itself",
            json!({"bands": ["red"], "groupby": "id"}),
            base().measurements(["red"]).group_by("id"),
        ),
        (
            "a property",
            json!({"bands": ["red"], "groupby": "platform"}),
            base().measurements(["red"]).group_by("platform"),
        ),
        (
            "the first band of an asset, and twice under two names",
            json!({"bands": ["red.1", "red"], "groupby": "solar_day"}),
            base().measurements(["red.1", "red"]).group_by("solar_day"),
        ),
        (
            "another grid, bilinear",
            json!({"bands": ["red", "scl"], "groupby": "solar_day", "geobox": geobox_json(&europe), "resampling": scl}),
            base()
                .measurements(["red", "scl"])
                .group_by("solar_day")
                .geobox(europe.clone())
                .resampling([("scl", "nearest"), ("*", "bilinear")]),
        ),
        (
            "as floats",
            json!({"bands": ["red"], "groupby": "solar_day", "geobox": geobox_json(&europe), "dtype": "float32"}),
            base()
                .measurements(["red"])
                .group_by("solar_day")
                .geobox(europe)
                .dtype(datacube::model::DType::Float32),
        ),
        (
            "a box in degrees, where the tiles' own pixels stay",
            json!({"bands": ["red"], "bbox": bbox}),
            base()
                .measurements(["red"])
                .bbox(bbox[0], bbox[1], bbox[2], bbox[3]),
        ),
        (
            "one tile, anchored otherwise",
            json!({"bands": ["red"], "crs": "EPSG:32633", "resolution": 120, "anchor": "center"}),
            base()
                .measurements(["red"])
                .output_crs("EPSG:32633")
                .resolution(120.0)
                .anchor(datacube::geo::Anchor::Center),
        ),
    ];
    let requests: Vec<Case> = cases
        .iter()
        .map(|(_, options, _)| Case {
            items: items.clone(),
            options: options.clone(),
            pixels: true,
        })
        .collect();
    let Some((answers, written)) = odc_stac(&requests) else {
        return;
    };
    let ours = open(&items).expect("items");
    for (number, ((what, _, options), theirs)) in cases.into_iter().zip(&answers).enumerate() {
        assert!(theirs["error"].is_null(), "{what}: {theirs}");
        let cube = ours
            .load(options.lazy())
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let mut found = differences(&described(&cube), theirs, &|name| name.to_owned());
        // There in the order of items or of values, here in that of time.
        let other_order = matches!(what, "a property" | "every item by itself");
        found.retain(|text| !(other_order && text.starts_with("times")));
        assert!(found.is_empty(), "{what}: {found:?}");
        let names: Vec<String> = cube.names().map(str::to_owned).collect();
        for name in names {
            let (ours, theirs) = pixels(&cube, &name, written.path(), number);
            assert_eq!(ours.len(), theirs.len(), "{what}: {name}");
            let plane = cube.geobox().expect("a grid").shape().pixels();
            if other_order {
                let sum = |values: &[f64]| values.iter().sum::<f64>();
                assert_eq!(sum(&ours), sum(&theirs), "{what}");
                continue;
            }
            let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            let n = ours
                .iter()
                .zip(&theirs)
                .filter(|(a, b)| same(**a, **b))
                .count();
            let share = n as f64 / ours.len() as f64;
            eprintln!(
                "{what}: {name}: {n} of {} pixels equal ({plane} a plane)",
                ours.len()
            );
            let close = ours
                .iter()
                .zip(&theirs)
                .filter(|(a, b)| same(**a, **b) || (*a - *b).abs() <= 1.0)
                .count() as f64
                / ours.len() as f64;
            assert!(close > 0.999, "{what}: {name}: {close}");
            let exact = !what.contains("bilinear") || name == "scl";
            assert!(!exact || share > 0.9999, "{what}: {name}: {share}");
        }
    }
}

#[test]
fn items_are_loaded_through_an_index_in_memory_too() {
    let Some(folder) = s2_folder() else {
        return;
    };
    let items = open(&s2_items(&folder)).expect("items");
    assert_eq!(items.len(), 6);
    let dc = Datacube::from_items(&items).expect("an index");
    let name = items.product().name().to_owned();
    let options = || {
        LoadOptions::new(&name)
            .measurements(["red"])
            .output_crs("EPSG:32633")
            .resolution(1200.0)
            .group_by("solar_day")
    };
    let direct = items.load(options()).expect("loaded");
    let through = dc.load(options()).expect("loaded");
    assert_eq!(direct.get("red").expect("red").shape()[0], 3);
    let one_day = dc.load(options().time("2023-08-13")).expect("loaded");
    assert_eq!(one_day.get("red").expect("red").shape()[0], 1);
    // The default bounds differ (image and footprint), the pixels in both do not.
    let on = through.geobox().expect("a grid");
    let red = |cube: &Cube| {
        cube.get("red")
            .expect("red")
            .to_vec::<u16>()
            .expect("pixels")
    };
    let again = items
        .load(
            LoadOptions::default()
                .measurements(["red"])
                .group_by("solar_day")
                .geobox(on),
        )
        .expect("loaded");
    assert_eq!(red(&again), red(&through));
}

#[test]
fn what_cannot_be_loaded_is_told() {
    let check = |items: Value, options: LoadOptions, expected: &[&str]| {
        let message = stac::load([items], options)
            .expect_err("refused")
            .to_string();
        for part in expected {
            assert!(message.contains(part), "`{part}` in {message}");
        }
    };
    let item = json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "one", "collection": "c", "links": [], "geometry": null,
        "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:epsg": 32655},
        "assets": {"red": {"href": "red.tif", "type": "image/tiff", "proj:shape": [10, 10], "proj:transform": [30, 0, 3e5, 0, -30, 6e6]}},
    });
    let options = LoadOptions::default;
    check(
        json!({"type": "FeatureCollection", "features": []}),
        options(),
        &["items", "there is none"],
    );
    check(
        json!([item, {"type": "Catalog"}]),
        options(),
        &["no STAC item", "Catalog"],
    );
    check(
        item.clone(),
        options().measurements(["redd"]),
        &["redd", "red"],
    );
    check(
        item.clone(),
        options().field("cloud_cover", 10.0),
        &["cloud_cover", "predicate"],
    );
    check(item.clone(), options().time("2021"), &["leave none"]);
    check(
        item.clone(),
        options().resampling([("nir", "cubic")]),
        &["resampling", "nir", "red"],
    );
    check(
        item.clone(),
        options().lazy().progress(|_, _| {}),
        &["progress", "observer"],
    );
    // A relative address, and nothing says where it starts.
    check(item, options(), &["red"]);
}
