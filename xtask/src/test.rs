//! `cargo xtask test` and the Python that some tests compare with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::run::{Step, cargo, command, root, target};
use crate::setup;

/// Names a Python with rasterio, rio-cogeo, xarray and zarr.
const PYTHON: &str = "DATACUBE_PYTHON";

/// Names the file to which a skipped test adds a line (`crates/testkit`).
const SKIPPED: &str = "DATACUBE_SKIPPED";

pub(crate) fn run(args: &[String]) -> Result<()> {
    setup::ensure()?;
    setup::ensure_database();
    let python = python();
    match &python {
        Some(python) => println!("Comparing with GDAL and xarray by {}", python.display()),
        None => println!(
            "Tests that compare with GDAL and xarray will be skipped: \
             set {PYTHON}, or run `cargo xtask python` first"
        ),
    }
    let skipped = target().join("skipped-tests.txt");
    // What an earlier run skipped.
    let _ = fs::remove_file(&skipped);
    let prepared = |step: Step| {
        let step = step.env(SKIPPED, &skipped);
        match &python {
            Some(python) => step.env(PYTHON, python),
            None => step,
        }
    };
    // A `--` before the arguments may stay: `cargo xtask test -- NAME`.
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);
    if !command("cargo").args(["nextest", "--version"]).works() {
        prepared(cargo().args(["test", "--workspace"]).args(args)).run()?;
    } else {
        prepared(cargo().args(["nextest", "run", "--workspace"]).args(args)).run()?;
        if args.is_empty() {
            // nextest runs no doc tests.
            prepared(cargo().args(["test", "--doc", "--workspace"])).run()?;
        }
    }
    tell_skipped(&skipped);
    Ok(())
}

/// Lists the tests that the harness counted as passed and that were skipped.
fn tell_skipped(list: &Path) {
    let text = fs::read_to_string(list).unwrap_or_default();
    let lines: BTreeSet<&str> = text.lines().collect();
    if lines.is_empty() {
        println!("No test was skipped.");
        return;
    }
    println!(
        "{} tests did not run, not passed, for want of something:",
        lines.len()
    );
    for line in lines {
        println!("  {line}");
    }
}

fn environment() -> PathBuf {
    target().join("python")
}

/// The Python to compare with, if there is one.
fn python() -> Option<PathBuf> {
    if let Some(python) = std::env::var_os(PYTHON) {
        return Some(python.into());
    }
    let python = environment().join("bin/python");
    python.exists().then_some(python)
}

/// Makes `target/python`.
pub(crate) fn make_python() -> Result<()> {
    let environment = environment();
    let requirements = root().join("tests/interop/requirements.txt");
    println!(
        "Making {} with the packages of {}",
        environment.display(),
        requirements.display()
    );
    command("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&environment)
        .run()
        .context("Debian has it in the package python3-venv")?;
    let installed = command(environment.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&requirements)
        .run();
    if installed.is_err() {
        // Half an environment would be taken for a whole one.
        std::fs::remove_dir_all(&environment)
            .with_context(|| format!("removing {}", environment.display()))?;
    }
    installed
}
