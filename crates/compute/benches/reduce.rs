//! Reductions over 100 dates in memory, beside dask's threads in the same run.
//!
//! `cargo bench -p datacube-compute --bench reduce`; dask is that of
//! `$DATACUBE_PYTHON`, else of `python3`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::process::Command;
use std::time::{Duration, Instant};

use datacube_compute::{Chunks, Coords, DataArray, LocalCluster, Result};

const DATES: usize = 100;
const ROWS: usize = 512;
const COLS: usize = 512;
const THREADS: usize = 2;
const SECONDS: f64 = 2.0;

fn best(mut run: impl FnMut()) -> f64 {
    let mut best = Duration::MAX;
    let end = Instant::now() + Duration::from_secs_f64(SECONDS);
    while Instant::now() < end || best == Duration::MAX {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    best.as_secs_f64()
}

fn dask() -> Option<serde_json::Value> {
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/reduce_dask.py");
    let sizes = [DATES, ROWS, COLS, THREADS].map(|size| size.to_string());
    let out = Command::new(python)
        .arg(script)
        .args(sizes)
        .arg(SECONDS.to_string())
        .output()
        .ok()?;
    serde_json::from_slice(&out.stdout).ok()
}

fn main() -> Result<()> {
    let mut x = 1u64;
    let pixels: Vec<f32> = (0..DATES * ROWS * COLS)
        .map(|_| {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = (x >> 40) as f32 / (1u64 << 24) as f32;
            if value < 0.1 { f32::NAN } else { value }
        })
        .collect();
    let shape = [DATES, ROWS, COLS];
    let array = DataArray::from_values("a", &["time", "y", "x"], &shape, pixels, Coords::new())?;
    let chunks = Chunks::new([("time", DATES), ("y", 256), ("x", 256)]);
    let array = array.rechunk(&chunks)?;
    let cluster = LocalCluster::builder()
        .n_workers(THREADS)
        .threads_per_worker(1)
        .start()?;
    let cases = [
        ("median", array.median("time")?),
        ("mean", array.mean("time")?),
        ("std", array.std("time")?),
        ("mean_all", array.mean(..)?),
        ("anomaly", (&array - &array.mean("time")?).max(..)?),
        ("rolling", array.rolling("time", 5)?.mean()?.max("time")?),
    ];
    let beside = dask();
    match &beside {
        Some(found) => println!(
            "{DATES} x {ROWS} x {COLS} float32, {THREADS} threads, beside dask {}",
            found["dask"]
        ),
        None => println!("{DATES} x {ROWS} x {COLS} float32, {THREADS} threads; no dask found"),
    }
    for (name, lazy) in cases {
        let ours = best(|| {
            let computed = lazy.compute_with(&cluster);
            std::hint::black_box(computed.expect("it fits, and nothing is read"));
        });
        let rate = (DATES * ROWS * COLS) as f64 / 1e6 / ours;
        let theirs = beside.as_ref().and_then(|found| found[name].as_f64());
        let theirs = theirs.map_or(String::new(), |theirs| {
            format!("  dask {:9.1} ms  {:6.1} x", theirs * 1e3, theirs / ours)
        });
        println!(
            "{name:10} {:9.1} ms {rate:9.1} Mpixel/s{theirs}",
            ours * 1e3
        );
    }
    Ok(())
}
