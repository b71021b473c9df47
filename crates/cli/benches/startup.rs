//! How long the command takes to start, beside a program that does nothing.
//!
//! ```text
//! cargo bench -p datacube-cli --bench startup
//! ```

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 50;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = format!("sqlite:{}", folder.path().join("index.db").display());
    let datacube = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_datacube"));
        command.arg("--index").arg(&index).args(arguments);
        command
    };
    let made = datacube(&["system", "init"]).stdout(Stdio::null()).status();
    assert!(made.is_ok_and(|status| status.success()));
    for (name, command) in [
        ("true", Command::new("true")),
        ("datacube --version", datacube(&["--version"])),
        ("datacube product list", datacube(&["product", "list"])),
    ] {
        let (fastest, median) = times(command);
        println!("{name:<24} fastest {fastest:>10.2?}   median {median:>10.2?}");
    }
}

fn times(mut command: Command) -> (Duration, Duration) {
    command.stdout(Stdio::null());
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            assert!(command.status().is_ok_and(|status| status.success()));
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[0], times[RUNS / 2])
}
