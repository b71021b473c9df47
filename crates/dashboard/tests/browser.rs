//! The dashboard in a browser, while 100,000 tasks are done.
//!
//! Needs Chromium and Node.js 20.10 or later; says so and passes where one is
//! missing. `DASHBOARD_SHOTS` names a folder to keep the screenshots in.

mod common;

use std::path::PathBuf;
use std::process::Command;

use datacube_dashboard::Dashboard;

/// The first of these programs that runs.
fn program(names: &[&str]) -> Option<String> {
    let runs = |name: &&&str| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    names.iter().find(runs).map(|name| (*name).to_owned())
}

#[test]
#[allow(clippy::print_stderr, reason = "a test says why it did nothing")]
fn pages_are_live_and_stay_small_under_load() {
    let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
    let (Some(chromium), Some(node)) = (chromium, program(&["node"])) else {
        eprintln!("skipped: there is no Chromium or no Node.js");
        return;
    };
    let (cluster, client) = common::cluster();
    let dashboard = Dashboard::options().port(0).start(&cluster).unwrap();
    let work = common::load(&client);
    let kept = std::env::var_os("DASHBOARD_SHOTS").map(PathBuf::from);
    let folder = tempfile::tempdir().unwrap();
    let shots = kept.unwrap_or_else(|| folder.path().to_owned());
    let output = Command::new(node)
        .args(["--experimental-websocket", "--no-warnings"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser.mjs"))
        .args([chromium.as_str(), dashboard.link()])
        .arg(&shots)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let seen: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| {
        seen[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name} of {seen}"))
    };
    assert_eq!(seen["live"], "live");
    assert!(number("later") > number("first"), "{seen}");
    assert!(number("rects") > 10 && number("rects") < 1500, "{seen}");
    assert!(number("nodes") < 6000, "{seen}");
    assert_eq!(seen["problems"].as_array().map(Vec::len), Some(0), "{seen}");
    assert!(number_of(&seen["without_script"]["tables"]) >= 2, "{seen}");
    assert_eq!(seen["without_script"]["live"], "updated when loaded");
    let has = |page: &str, part: &str| {
        let text = seen[page].as_str().unwrap_or_default();
        assert!(text.contains(part), "{part} on page {page}: {seen}");
    };
    has("map", "ndvi");
    has("errors", "<block 7> of red.tif is truncated");
    has("errors", "(1, 2, 2)");
    has("workers", "inproc://demo <1>/0");
    for shot in [
        "status-light",
        "status-dark",
        "map",
        "status-without-script",
    ] {
        let png = std::fs::read(shots.join(shot).with_extension("png")).unwrap();
        assert!(png.len() > 10_000, "{shot}: {} bytes", png.len());
    }
    work.cancel();
}

fn number_of(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or(0)
}
