//! `datacube raster info` through the real binary: what it says of files, several
//! at once, good and bad.

mod common;

use std::path::{Path, PathBuf};

use common::{Archive, command};
use serde_json::{Value, json};

/// Small files that GDAL wrote, with what GDAL reads of them.
fn fixtures(folder: &str) -> (PathBuf, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../load/tests/fixtures")
        .join(folder);
    let text = std::fs::read_to_string(folder.join("expected.json")).expect("it is here");
    (folder, serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn a_file_is_described() {
    let archive = Archive::unindexed();
    let said = archive.run(&["raster", "info", "scenes/1/red.tif"]);
    let lines = [
        "driver: GTiff",
        "rows: 40",
        "cols: 50",
        "crs: EPSG:32655",
        "affine: [30.0, 0.0, 600015.0, 0.0, -30.0, 6100005.0]",
        "resolution: [30.0, 30.0]",
        "left: 600015.0",
        "bottom: 6098805.0",
        "right: 601515.0",
        "top: 6100005.0",
        "compression: deflate",
        "interleave: band",
        "mask: null",
        "description: red",
        "dtype: uint16",
        "nodata: 0",
        "color: gray",
    ];
    for line in lines {
        let is_said = said
            .lines()
            .any(|said| said.trim_start_matches(['-', ' ']) == line);
        assert!(is_said, "{line}\n{said}");
    }
    // No index was made or asked for.
    assert!(!archive.path("index.sqlite").exists());
}

#[test]
fn a_table_has_a_line_for_each_file() {
    let archive = Archive::unindexed();
    let files = ["scenes/1/red.tif", "scenes/2/qa.tif"];
    let said = archive.run(&["raster", "info", "-f", "table", files[0], files[1]]);
    let lines: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert_eq!(lines[0][..3], ["ROWS", "COLS", "BANDS"]);
    assert_eq!(
        lines[1][..7],
        ["40", "50", "1", "uint16", "0", "EPSG:32655", "30"]
    );
    assert_eq!(lines[2][4], "1", "nodata of the second");
    assert_eq!(lines[2].last(), Some(&files[1]));
}

/// One bad file is told of, is the exit status, and stops nothing.
#[test]
fn checksums_are_gdals() {
    for (folder, refused) in [("tiff", "complex.tif"), ("codecs", "jpeg_cmyk.tif")] {
        let (folder, expected) = fixtures(folder);
        let files = expected["files"].as_object().expect("by file");
        // Refused by name; halves are told as they are, and GDAL widens them.
        let left_out = [refused, "fax_rle.tif", "float16_p3.tif"];
        let good: Vec<&String> = files
            .keys()
            .filter(|name| !left_out.contains(&name.as_str()))
            .collect();
        let output = command(&folder)
            .args([
                "raster",
                "info",
                "--checksum",
                "-f",
                "json",
                refused,
                "nowhere.tif",
            ])
            .args(&good)
            .output()
            .expect("the binary runs");
        let complaints = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(complaints.lines().count(), 2, "{complaints}");
        assert!(complaints.contains(refused), "{complaints}");
        assert!(complaints.contains("not supported"), "{complaints}");
        assert!(complaints.contains("nowhere.tif"), "{complaints}");

        let found: Value = serde_json::from_slice(&output.stdout).expect("one array");
        let found = found.as_array().expect("one array");
        assert_eq!(found.len(), good.len());
        for (name, found) in good.into_iter().zip(found) {
            let gdal = &files[name];
            assert!(
                found["file"]
                    .as_str()
                    .expect("text")
                    .ends_with(name.as_str())
            );
            assert_eq!(found["sha256"], gdal["bands"][0], "{name}");
            assert_eq!(
                json!([found["rows"], found["cols"]]),
                gdal["shape"],
                "{name}"
            );
            assert_eq!(found["bands"][0]["dtype"], gdal["dtype"], "{name}");
            let count = |value: &Value| value.as_array().expect("a list").len();
            assert_eq!(count(&found["bands"]), count(&gdal["bands"]), "{name}");
            assert_eq!(
                count(&found["overviews"]),
                count(&gdal["overviews"]),
                "{name}"
            );
            if gdal.get("mask").is_some() {
                assert_eq!(found["mask"], "internal", "{name}");
            }
        }
    }
}

#[test]
fn what_is_no_raster_is_an_error_with_its_name() {
    let archive = Archive::unindexed();
    let (status, message) = archive.fail(&["raster", "info", "product.yaml"]);
    assert_eq!(status, 1);
    assert!(message.contains("product.yaml"), "{message}");
    let (status, message) = archive.fail(&["raster", "info"]);
    assert_eq!(status, 2);
    assert!(message.contains("<FILES>"), "{message}");
}

/// What a load wrote is read back, and a Zarr array holds what a GeoTIFF does.
#[test]
fn both_formats_of_a_load_hold_the_same() {
    let archive = Archive::indexed();
    let mut found = Vec::new();
    for (output, raster) in [("red.tif", "red.tif"), ("red.zarr", "red.zarr/red")] {
        let path = archive.text(output);
        let load = ["load", "tiny", "--measurements", "red", "--output"];
        archive.run(&[&load[..], &[path.as_str()]].concat());
        let said = archive.run(&["raster", "info", "--checksum", "-f", "json", raster]);
        let said: Value = serde_json::from_str(&said).expect("one array");
        found.push(said[0].clone());
    }
    let [tiff, zarr] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (&tiff["driver"], &zarr["driver"]),
        (&json!("GTiff"), &json!("Zarr"))
    );
    for same in ["sha256", "rows", "cols", "crs", "affine", "bounds"] {
        assert_eq!(tiff[same], zarr[same], "{same}");
        assert!(!zarr[same].is_null(), "{same}");
    }
    let (tiff, zarr) = (&tiff["bands"], &zarr["bands"]);
    assert_eq!(tiff.as_array().map(Vec::len), zarr.as_array().map(Vec::len));
    assert_eq!(tiff[0]["nodata"], zarr[0]["nodata"]);
}
