//! The project's own commands, run as `cargo xtask COMMAND`.
//!
//! This program only runs others and therefore depends on next to nothing: it
//! has to compile on a machine that does not have yet what the project needs.

#![allow(clippy::print_stdout, reason = "a command line tool talks to its user")]

mod demo;
mod run;
mod setup;
mod test;

use std::process::ExitCode;

use anyhow::{Result, bail};

const HELP: &str = "\
Commands of the datacube project.

Usage: cargo xtask COMMAND

  demo [FOLDER] [--release]
         The main job from nothing: makes a small archive of Landsat-like scenes,
         indexes it, loads a solar-day time series onto a UTM grid, masks clouds by
         their QA bits and computes NDVI. Leaves ndvi.tif (a Cloud Optimised GeoTIFF,
         one band a date), ndvi.png and true-colour.png in FOLDER (default:
         target/demo) and says what it did and how long each step took. The archive
         is kept and used again.

  test [ARGS...]
         Every test of the workspace, doc tests included; ARGS go to the test
         runner (cargo nextest where it is installed, else cargo test). Tests that
         compare with GDAL and xarray run where DATACUBE_PYTHON names a Python that
         has them, or after `cargo xtask python`; else they say that they are skipped.

  python
         Makes target/python, a virtual environment with the Python packages that
         those comparisons need.

  ci
         Everything that has to pass before a change lands: .ci/run.

demo and test install the Debian packages that building PROJ needs and that are
missing (a C++ compiler, cmake, make, the sqlite3 command), and say so first. Where
they may not, they say in one line what to install.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let Some((command, rest)) = args.split_first() else {
        println!("{HELP}");
        return Ok(());
    };
    if rest.iter().any(|arg| arg == "--help" || arg == "-h") && command != "test" {
        println!("{HELP}");
        return Ok(());
    }
    match command.as_str() {
        "demo" => demo::run(rest),
        "test" => test::run(rest),
        "python" => test::make_python(),
        "ci" => run::command("bash").arg(".ci/run").run(),
        "help" | "-h" | "--help" => {
            println!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}
