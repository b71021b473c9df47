//! `datacube load --resume` after the process was killed: what was written is not
//! made again, and the result is that of a run that nobody interrupted.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};

use common::Archive;
use datacube_testkit::python;
use serde_json::Value;

/// A result of some hundred chunks, a part of them without a single pixel.
const NDVI: [&str; 23] = [
    "load",
    "tiny",
    "--group-by",
    "solar_day",
    "--resolution",
    "0.75",
    "--align",
    "0",
    "0",
    "--mask",
    "qa: nodata=false, cloud=not_high_confidence",
    "--expr",
    "ndvi=(nir-red)/(nir+red)",
    "--chunks",
    "time=1",
    "--chunks",
    "y=256",
    "--chunks",
    "x=256",
    "--workers",
    "1",
    "--json",
    "--output",
];

fn arguments<'a>(path: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&NDVI[..], &[path], more].concat()
}

/// Every file below a path, by its name, and its bytes.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    if path.is_file() {
        found.insert(String::new(), std::fs::read(path).expect("read"));
        return found;
    }
    for entry in std::fs::read_dir(path).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        for (below, bytes) in files(&entry.path()) {
            found.insert(format!("{name}/{below}"), bytes);
        }
    }
    found
}

/// Lines of the journal of what is being written, but the first.
fn noted(part: &Path) -> usize {
    let journal = std::fs::read(part.join("journal")).unwrap_or_default();
    let lines = journal.iter().filter(|byte| **byte == b'\n').count();
    lines.saturating_sub(1)
}

/// Lets a process write until `n` more blocks are noted, and kills it.
fn killed_after(mut writer: Child, part: &Path, n: usize) -> usize {
    let before = noted(part);
    while noted(part) < before + n {
        let ended = writer.try_wait().expect("it is ours");
        assert!(ended.is_none(), "it ended before it was killed: {ended:?}");
        std::thread::yield_now();
    }
    writer.kill().expect("it is ours");
    writer.wait().expect("it ends");
    noted(part)
}

#[test]
fn a_killed_run_is_gone_on_with() {
    let archive = Archive::indexed();
    for name in ["ndvi.zarr", "ndvi.tif"] {
        let whole = archive.text(&format!("whole-{name}"));
        let said = archive.run(&arguments(&whole, &[]));
        let summary: Value = serde_json::from_str(&said).expect("one object");
        let all = summary["chunks"].as_u64().expect("a number");
        assert_eq!(summary["chunks_resumed"], 0);

        let path = archive.text(name);
        let part = archive.path(&format!("{name}.part"));
        let resume = arguments(&path, &["--resume"]);
        let mut there = 0;
        for more in [&[][..], &["--resume"]] {
            let mut command = archive.command(&arguments(&path, more));
            let writer = command.stdout(Stdio::null()).spawn().expect("it runs");
            let now = killed_after(writer, &part, 5);
            assert!(now >= there + 5, "{there}, then {now} blocks");
            there = now;
        }
        assert!(!Path::new(&path).exists(), "it appears when it is complete");

        // Another job is told apart, and harms nothing.
        for (more, words) in [
            (&["--resampling", "*=cubic"][..], "another plan"),
            (&["--limit", "1"], "`"),
        ] {
            let differently = [&resume, more].concat();
            let (status, message) = archive.fail(&differently);
            assert_eq!(status, 1, "{message}");
            assert!(message.contains(&format!("{name}.part")), "{message}");
            assert!(message.contains(words), "{message}");
            assert!(message.contains("stays for another --resume"), "{message}");
        }
        assert_eq!(noted(&part), there);

        let said = archive.run(&resume);
        let summary: Value = serde_json::from_str(&said).expect("one object");
        let count = |name: &str| summary[name].as_u64().expect("a number");
        let (made, kept) = (count("chunks"), count("chunks_resumed"));
        assert_eq!(made + kept, all);
        assert!(kept > 0 && made < all, "{made} of {all} were made");
        assert!(
            files(Path::new(&path)) == files(Path::new(&whole)),
            "{name} is not what an uninterrupted run wrote"
        );
        assert!(!part.exists());
        let (_, message) = archive.fail(&resume);
        assert!(message.contains("--overwrite"), "{message}");
    }
    let cases = archive.path("cases.json");
    let case = serde_json::json!([{
        "cog": archive.path("ndvi.tif"), "zarr": archive.path("ndvi.zarr"), "variables": ["ndvi"],
    }]);
    std::fs::write(&cases, case.to_string()).expect("written");
    let modules = ["rasterio", "xarray", "zarr"];
    if let Some(mut command) = python("check_cube.py", &modules) {
        let status = command.arg(&cases).status().expect("it runs");
        assert!(status.success(), "check_cube.py found a difference");
    }
}

#[test]
fn what_was_left_is_begun_anew_unless_it_is_to_be_resumed() {
    let archive = Archive::indexed();
    let path = archive.text("ndvi.zarr");
    let part = archive.path("ndvi.zarr.part");
    let mut command = archive.command(&arguments(&path, &[]));
    let writer = command.stdout(Stdio::null()).spawn().expect("it runs");
    killed_after(writer, &part, 3);
    let output = archive.command(&arguments(&path, &[])).output();
    let output = output.expect("it runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{said}");
    assert!(said.contains("--resume would go on with it"), "{said}");
    assert!(Path::new(&path).exists() && !part.exists());
    let picture = archive.text("ndvi.png");
    let (_, message) = archive.fail(&arguments(&picture, &["--resume"]));
    assert!(message.contains(".tif or .zarr"), "{message}");
}
