//! `datacube load` through the real binary: outputs, masks, expressions, and what it refuses.

mod common;

use common::Archive;
use serde_json::Value;

const NDVI: [&str; 8] = [
    "load",
    "tiny",
    "--group-by",
    "solar_day",
    "--mask",
    "qa: nodata=false, cloud=not_high_confidence",
    "--expr",
    "ndvi=(nir-red)/(nir+red)",
];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

#[test]
fn ndvi_goes_to_every_output() {
    let archive = Archive::indexed();
    for name in ["ndvi.tif", "ndvi.png", "ndvi.zarr"] {
        let path = archive.text(name);
        let said = archive.run(&with(&NDVI, &["--output", &path]));
        assert!(said.contains("Wrote") && said.contains("ndvi"), "{said}");
        assert!(archive.path(name).exists());
        let (status, message) = archive.fail(&with(&NDVI, &["--output", &path]));
        assert_eq!(status, 1);
        assert!(message.contains("overwrite"), "{message}");
        archive.run(&with(&NDVI, &["--output", &path, "--overwrite"]));
    }
    let png = std::fs::read(archive.path("ndvi.png")).expect("read");
    assert!(png.starts_with(b"\x89PNG"));
}

#[test]
fn json_tells_what_it_took() {
    let archive = Archive::indexed();
    let path = archive.text("ndvi.tif");
    let said = archive.run(&with(&NDVI, &["--output", &path, "--json"]));
    let summary: Value = serde_json::from_str(&said).expect("one object");
    assert_eq!(summary["variables"], serde_json::json!(["ndvi"]));
    assert_eq!(summary["sizes"]["time"], 2);
    assert_eq!(summary["sizes"]["y"], 70);
    assert_eq!(summary["crs"], "EPSG:32655");
    for key in [
        "bytes_read",
        "requests",
        "chunks",
        "peak_memory",
        "output_bytes",
    ] {
        assert!(summary[key].as_u64().expect(key) > 0, "{key}: {summary}");
    }
    for phase in ["find", "build", "compute", "total"] {
        assert!(
            summary["seconds"][phase].as_f64().expect(phase) >= 0.0,
            "{summary}"
        );
    }
}

#[test]
fn what_is_larger_than_memory_is_written_under_the_limit() {
    const LIMIT: u64 = 160 << 20;
    let archive = Archive::indexed();
    for name in ["large.zarr", "large.tif"] {
        let path = archive.text(name);
        let arguments = [
            "load",
            "tiny",
            "--measurements",
            "red",
            "--group-by",
            "solar_day",
            "--resolution",
            "0.15",
            "--align",
            "0",
            "0",
            "--chunks",
            "time=1",
            "--chunks",
            "y=1024",
            "--chunks",
            "x=1024",
            "--memory-limit",
            "160MiB",
            "--json",
            "--output",
            &path,
        ];
        let summary: Value = serde_json::from_str(&archive.run(&arguments)).expect("one object");
        let size = |name: &str| summary["sizes"][name].as_u64().expect("a size");
        assert!(2 * size("time") * size("y") * size("x") > 2 * LIMIT);
        let peak = summary["peak_memory"].as_u64().expect("a number of bytes");
        assert!(peak < LIMIT, "{name}: {peak} bytes at most at a time");
    }
    let (_, message) = archive.fail(&["load", "tiny", "--memory-limit", "1MB"]);
    assert!(message.contains("give at least 160"), "{message}");
}

#[test]
fn explain_reads_nothing() {
    let archive = Archive::indexed();
    for band in ["red", "nir", "qa"] {
        std::fs::remove_file(archive.path(&format!("scenes/1/{band}.tif"))).expect("removed");
    }
    let plan = archive.run(&with(&NDVI, &["--explain"]));
    assert!(plan.contains("nir"), "{plan}");
}

#[test]
fn a_missing_file_is_named_or_left_out() {
    let archive = Archive::indexed();
    std::fs::remove_file(archive.path("scenes/3/red.tif")).expect("removed");
    let (status, message) = archive.fail(&NDVI);
    assert_eq!(status, 1);
    assert!(message.contains("scenes/3/red.tif"), "{message}");
    assert!(message.contains("000000000003"), "{message}");
    let path = archive.text("rest.tif");
    archive.run(&with(&NDVI, &["--skip-broken-datasets", "--output", &path]));
}

#[test]
fn a_truncated_file_is_named() {
    let archive = Archive::indexed();
    let path = archive.path("scenes/3/red.tif");
    let bytes = std::fs::read(&path).expect("read");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    let (_, message) = archive.fail(&NDVI);
    assert!(message.contains("scenes/3/red.tif"), "{message}");
}

#[test]
fn mistakes_say_what_to_do() {
    let archive = Archive::indexed();
    let cases: [(&[&str], &[&str]); 13] = [
        (&["load", "tinny"], &["tinny", "tiny"]),
        (
            &["load", "tiny", "--measurements", "redd"],
            &["redd", "red"],
        ),
        (
            &["load", "tiny", "--mask", "qa: clowd=high_confidence"],
            &["clowd", "cloud"],
        ),
        (
            &["load", "tiny", "--mask", "qa: cloud=maybe"],
            &["maybe", "not_high_confidence"],
        ),
        (
            &[
                "load",
                "tiny",
                "--output-crs",
                "EPSG:99999",
                "--resolution",
                "30",
            ],
            &["99999"],
        ),
        (
            &["load", "tiny", "--resampling", "bilinaer"],
            &["bilinaer", "bilinear"],
        ),
        (
            &["load", "tiny", "--resampling", "rde=cubic"],
            &["rde", "red"],
        ),
        (
            &["load", "tiny", "--time", "2021", "2020"],
            &["2021", "2020"],
        ),
        (
            &["load", "tiny", "--time", "1999"],
            &["other times", "2020-03-01"],
        ),
        (
            &["load", "tiny", "--lon", "10", "11", "--lat", "50", "51"],
            &["elsewhere", "longitude"],
        ),
        (
            &[
                "load",
                "tiny",
                "--output-crs",
                "EPSG:4326",
                "--resolution",
                "30",
            ],
            &["30 degrees"],
        ),
        (&["load", "tiny", "--expr", "x=(nir-red"], &["x=(nir-red"]),
        (
            &["load", "tiny", "--output", "x.jpg"],
            &[".tif, .png or .zarr"],
        ),
    ];
    for (arguments, expected) in cases {
        let (status, message) = archive.fail(arguments);
        assert_eq!(status, 1, "{message}");
        for part in expected {
            assert!(message.contains(part), "{arguments:?}: {message}");
        }
    }
}

#[test]
fn files_that_are_something_else_are_told() {
    let archive = Archive::indexed();
    let file = |name: &str, content: &[u8]| {
        std::fs::write(archive.path(name), content).expect("a file");
        archive.text(name)
    };
    let picture = file("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\r");
    let text = file("notes.yaml", b"---\nname: notes\n");
    let folder = archive.text("scenes");
    let cases: [(&[&str], &str); 6] = [
        (&["product", "add", &picture], "not text in UTF-8"),
        (&["product", "add", &folder], "it is a folder"),
        (&["dataset", "add", &picture], "not text in UTF-8"),
        (
            &["load", "tiny", "--geopolygon", &picture],
            "not text in UTF-8",
        ),
        (
            &["load", "tiny", "--like", &text],
            "begins with \"---\\nname\", as no TIFF does",
        ),
        (&["load", "tiny", "--like", &picture], "it is a PNG file"),
    ];
    for (arguments, expected) in cases {
        let (_, message) = archive.fail(arguments);
        assert!(message.contains(expected), "{arguments:?}: {message}");
        let path = arguments.last().expect("a path");
        assert_eq!(message.matches(path).count(), 1, "{message}");
    }
}

#[test]
fn a_result_larger_than_memory_is_refused_before_anything_is_read() {
    let archive = Archive::indexed();
    let arguments = [
        "load",
        "tiny",
        "--resolution",
        "0.01",
        "--align",
        "0",
        "0",
        "--memory-limit",
        "1GiB",
    ];
    let (status, message) = archive.fail(&arguments);
    assert_eq!(status, 1);
    assert!(
        message.contains("GiB") && message.contains("chunk"),
        "{message}"
    );
}
