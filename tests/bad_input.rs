//! Mistakes that people make, each with a message that says what to do.
//!
//! What is asserted is what the reader needs in order to go on: the name that
//! was given, the names that are near, the place, the size, the way out.

#![allow(
    clippy::print_stdout,
    reason = "the messages, for --nocapture and failures"
)]

mod common;

use std::fs::OpenOptions;

use common::tiny;
use datacube::compute::Serial;
use datacube::{Datacube, Error, LoadOptions};

/// The message of a load that has to be refused.
fn refused(dc: &Datacube, options: LoadOptions) -> (Error, String) {
    match dc.load(options) {
        Ok(cube) => panic!("this should not load: {cube}"),
        Err(error) => {
            let message = error.to_string();
            (error, message)
        }
    }
}

/// A message has all of these in it, and nothing of the machine room.
fn assert_says(message: &str, expected: &[&str]) {
    for text in expected {
        assert!(message.contains(text), "`{text}` is not in: {message}");
    }
    for internal in [
        "Some(",
        "None",
        "Err(",
        "panicked",
        "RUST_BACKTRACE",
        "SELECT ",
    ] {
        assert!(
            !message.contains(internal),
            "`{internal}` has no place in: {message}"
        );
    }
}

#[test]
fn names_that_do_not_exist() {
    let (_folder, dc) = tiny::open();
    let base = tiny::options;
    let cases = [
        (
            "product",
            LoadOptions::new("tinny")
                .output_crs("EPSG:32755")
                .resolution(30.0),
            vec!["tinny", "tiny"],
        ),
        (
            "measurement",
            base().measurements(["redd"]),
            vec!["redd", "did you mean", "red", "nir", "qa"],
        ),
        (
            "resampling",
            base().resampling("bilinaer"),
            vec!["bilinaer", "bilinear"],
        ),
        (
            "resampling of",
            base().resampling([("redd", "cubic")]),
            vec!["redd", "red"],
        ),
        (
            "CRS code",
            base().output_crs("EPSG:327555"),
            vec!["EPSG:327555"],
        ),
        (
            "CRS text",
            base().output_crs("ESPG:32755"),
            vec!["ESPG:32755", "EPSG:"],
        ),
        (
            "group",
            base().group_by("solarday"),
            vec!["solarday", "solar_day"],
        ),
        ("chunks", base().chunks([("tmie", 1)]), vec!["tmie", "time"]),
        (
            "field",
            base().field("cloudcover", 10.0),
            vec!["cloudcover", "cloud_cover"],
        ),
    ];
    for (what, options, expected) in cases {
        let (_, message) = refused(&dc, options);
        println!("{what}: {message}");
        assert_says(&message, &expected);
    }
    let (error, _) = refused(&dc, LoadOptions::new("tinny"));
    assert!(error.is_not_found(), "{error:?}");
    assert!(!error.is_transient(), "{error:?}");
}

#[test]
fn flags_that_do_not_exist() {
    let (_folder, dc) = tiny::open();
    let lazy = dc.load(tiny::options().lazy()).expect("a lazy load");
    let qa = lazy.get("qa").expect("a variable");
    let red = lazy.get("red").expect("a variable");
    let message = |mask: datacube::DataArray| {
        // The operator itself never fails; what asks for pixels does.
        red.where_(&mask)
            .compute()
            .expect_err("a mask that cannot be made")
            .to_string()
    };
    assert_says(
        &message(qa.make_mask([("clowd", "high_confidence")])),
        &["clowd", "cloud", "cloud_confidence", "nodata"],
    );
    assert_says(
        &message(qa.make_mask([("cloud", "not_high_confidnce")])),
        &["not_high_confidnce", "not_high_confidence"],
    );
    assert_says(
        &message(red.make_mask([("cloud", true)])),
        &["red", "flags"],
    );
}

#[test]
fn times_that_cannot_be() {
    let (_folder, dc) = tiny::open();
    let (_, message) = refused(&dc, tiny::options().time(("2020-03-01", "2020-02-01")));
    assert_says(&message, &["2020-03-01", "2020-02"]);
    assert!(
        message.contains("before") || message.contains("after"),
        "{message}"
    );
    let (_, message) = refused(&dc, tiny::options().time("2020-13"));
    assert_says(&message, &["2020-13"]);
    let (_, message) = refused(&dc, tiny::options().time("last week"));
    assert_says(&message, &["last week", "2020-02"]);
}

#[test]
fn nothing_there() {
    let (_folder, dc) = tiny::open();
    let (error, message) = refused(&dc, tiny::options().time("1999"));
    assert!(error.is_not_found(), "{error:?}");
    assert_says(&message, &["tiny", "1999", "2020-02-03", "2020-02-26"]);

    let (error, message) = refused(&dc, tiny::options().lon((10.0, 10.5)).lat((50.0, 50.5)));
    assert!(error.is_not_found(), "{error:?}");
    assert_says(&message, &["tiny", "149.9", "-35.2"]);

    // The axes swapped: no latitude has 149 degrees, so this can be no place.
    let (_, message) = refused(&dc, tiny::options().lon((-35.3, -35.1)).lat((149.8, 150.0)));
    assert_says(&message, &["149.8", "degrees"]);
    assert!(
        message.contains("latitude") || message.contains("lat "),
        "{message}"
    );

    let (_, message) = refused(&dc, tiny::options().field("platform", "landsat-9"));
    assert_says(&message, &["platform"]);
}

#[test]
fn pixels_of_thirty_degrees() {
    let (_folder, dc) = tiny::open();
    let (_, message) = refused(&dc, tiny::options().output_crs("EPSG:4326"));
    assert_says(&message, &["30", "EPSG:4326", "degree", "0.00027"]);
    // And the other way round: degrees where metres are meant.
    let (_, message) = refused(&dc, tiny::options().resolution(0.0003));
    assert_says(
        &message,
        &["0.0003", "EPSG:32755", "0.3 mm", "degrees", "33"],
    );
}

#[test]
fn a_grid_told_twice() {
    let (_folder, dc) = tiny::open();
    let cube = dc.load(tiny::options().lazy()).expect("a lazy load");
    let geobox = datacube::HasGeoBox::geobox(&cube).expect("its grid");
    let (_, message) = refused(&dc, tiny::options().like(geobox));
    assert_says(&message, &["like", "output_crs"]);
}

#[test]
fn more_than_memory() {
    let (folder, dc) = tiny::open();
    // Without its files the archive cannot be read at all: a refusal that
    // speaks of memory came before the first byte.
    for measurement in tiny::MEASUREMENTS {
        for scene in ["a1", "b1", "c1", "a2", "c2"] {
            std::fs::remove_file(tiny::file(folder.path(), scene, measurement)).expect("removed");
        }
    }
    let is_too_large =
        |error: &Error| matches!(error, Error::Compute(error) if error.is_too_large());
    let too_fine = tiny::options().align(0.0, 0.0).resolution(0.01);
    let (error, message) = refused(&dc, too_fine.clone());
    assert!(is_too_large(&error), "{error:?}");
    assert_says(&message, &["TiB", "nothing was read", "chunks"]);
    // Lazily it can be described; only computing all of it is refused, in the same way.
    let lazy = dc.load(too_fine.lazy()).expect("described, not read");
    let message = lazy.compute().expect_err("too large").to_string();
    assert_says(&message, &["TiB", "nothing was read"]);

    let small = dc.with_engine(std::sync::Arc::new(Serial::new().with_memory_limit(1000)));
    let (error, message) = refused(&small, tiny::options());
    assert!(is_too_large(&error), "{error:?}");
    assert_says(&message, &["1000 B", "nothing was read", "chunks"]);
}

#[test]
fn a_file_that_is_missing() {
    let (folder, dc) = tiny::open();
    let path = tiny::file(folder.path(), "b1", "nir");
    std::fs::remove_file(&path).expect("removed");
    let (error, message) = refused(&dc, tiny::options());
    assert!(error.is_not_found(), "{error:?}");
    assert!(!error.is_transient(), "{error:?}");
    // The file, the dataset, the measurement.
    assert_says(
        &message,
        &["b1/nir.tif", "00000000-0000-4000-8000-000000000001", "nir"],
    );
    // What does not need the file is not hindered by it.
    dc.load(tiny::options().measurements(["red", "qa"]))
        .expect("other measurements");
    dc.load(tiny::options().time("2020-02-10"))
        .expect("other days");
}

#[test]
fn a_file_that_is_cut_off() {
    let (folder, dc) = tiny::open();
    let path = tiny::file(folder.path(), "c1", "warmth");
    let whole = std::fs::metadata(&path).expect("a file").len();
    for length in [0, 3, 100, whole / 2, whole - 1] {
        OpenOptions::new()
            .write(true)
            .open(&path)
            .expect("a file")
            .set_len(length)
            .expect("cut");
        let (error, message) = refused(&dc, tiny::options().measurements(["warmth"]));
        println!("{length} of {whole} bytes: {message}");
        assert!(!error.is_not_found(), "{length} bytes: {error:?}");
        assert_says(
            &message,
            &["c1/warmth.tif", "00000000-0000-4000-8000-000000000002"],
        );
    }
}

#[test]
fn broken_files_are_left_out_on_request_and_told() {
    let (folder, dc) = tiny::open();
    let whole = dc
        .load(tiny::options().measurements(["red"]))
        .expect("all files are there");
    std::fs::write(tiny::file(folder.path(), "b1", "red"), b"not a TIFF").expect("overwritten");
    let (_, message) = refused(&dc, tiny::options().measurements(["red"]));
    assert_says(&message, &["b1/red.tif"]);

    let options = tiny::options()
        .measurements(["red"])
        .skip_broken_datasets(true);
    let lazy = dc.load(options.lazy()).expect("a lazy load");
    let (cube, report) = datacube::compute::Compute::new()
        .cube(&lazy)
        .expect("the rest");
    let skipped = report.skipped.join("\n");
    assert_says(
        &skipped,
        &["b1/red.tif", "00000000-0000-4000-8000-000000000001"],
    );
    assert_eq!(report.skipped.len(), 1, "{skipped}");

    let [ours, theirs] = [&cube, &whole].map(|cube| {
        cube.get("red")
            .and_then(|red| red.to_array::<u16>())
            .expect("pixels")
    });
    for (day, (left, all)) in ours.outer_iter().zip(theirs.outer_iter()).enumerate() {
        let valid = |plane: &ndarray::ArrayViewD<'_, u16>| {
            plane.iter().filter(|&&value| value != 0).count()
        };
        if day == 0 {
            assert!(
                valid(&left) < valid(&all),
                "the scene is missing on its day"
            );
            assert!(valid(&left) > 0, "the other scene of the day is there");
        } else {
            assert_eq!(left, all, "day {day} has nothing to do with it");
        }
    }
}

#[test]
fn documents_that_cannot_be_indexed() {
    let (folder, dc) = tiny::open();
    let path = folder.path().join("other.odc-metadata.json");
    std::fs::write(
        &path,
        r#"{"id": "not-a-uuid", "product": {"name": "tiny"}}"#,
    )
    .expect("written");
    let outcomes = dc
        .add_datasets([folder.path()], &datacube::MatchOptions::default())
        .expect("the good ones are not stopped by the bad one");
    let bad: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| {
            let error = outcome.result.as_ref().err()?;
            Some(format!("{}: {error}", outcome.location))
        })
        .collect();
    assert_eq!((outcomes.len(), bad.len()), (6, 1), "{bad:?}");
    assert_says(&bad[0], &["other.odc-metadata.json", "id", "not-a-uuid"]);

    let outcomes = dc
        .add_datasets(["/no/such/file.yaml"], &datacube::MatchOptions::default())
        .expect("other paths would not be stopped by this one");
    let [outcome] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    let error = outcome
        .result
        .as_ref()
        .expect_err("a path that is not there");
    assert_says(
        &error.to_string(),
        &["/no/such/file.yaml", "no such file or folder"],
    );
}
