//! What it costs to schedule functions that do nothing, beside dask.
//!
//! `cargo bench -p datacube-compute --bench tasks`: 1,000,000 functions by
//! `map`, 200,000 in chains, and 1,000,000 by `submit`; then, where
//! `DATACUBE_PYTHON` has dask.distributed, `tasks_dask.py` in the same run.
//! Ends with an error where a task takes 5 us or more, or where dask is not at
//! least 50 times slower.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::process::Command;
use std::time::{Duration, Instant};

use datacube_compute::{Client, Future, LocalCluster};

const TASKS: usize = 1_000_000;
const CHAINS: usize = 100;
const LINKS: usize = 2000;

/// The quickest of three runs, in microseconds a task.
fn best(tasks: usize, mut run: impl FnMut()) -> f64 {
    let times = (0..3).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    let best = times.min().unwrap_or(Duration::MAX);
    1e6 * best.as_secs_f64() / tasks as f64
}

fn main() {
    let cluster = LocalCluster::start().expect("a cluster");
    let client = Client::quiet(&cluster).expect("a client");
    let map = best(TASKS, || {
        let futures = client.map(0..TASKS, |i| i);
        let results = client.gather(&futures).expect("nothing fails");
        assert_eq!(results[TASKS - 1], TASKS - 1);
    });
    println!("map and gather    {map:6.3} us a task");
    let submit = best(TASKS, || {
        let futures: Vec<Future<usize>> = (0..TASKS).map(|i| client.submit(move || i)).collect();
        client.gather(&futures).expect("nothing fails");
    });
    println!("submit and gather {submit:6.3} us a task");
    let chain = best(CHAINS * LINKS, || {
        let mut ends: Vec<Future<usize>> = (0..CHAINS).map(|i| client.submit(move || i)).collect();
        for _ in 1..LINKS {
            for end in &mut ends {
                *end = client.submit_with(end.clone(), |before| *before + 1);
            }
        }
        let ends = client.gather(&ends).expect("nothing fails");
        assert_eq!(ends[0], LINKS - 1);
    });
    println!("chains            {chain:6.3} us a task");
    let slowest = map.max(submit).max(chain);
    assert!(slowest < 5.0, "{slowest} us a task");
    let Ok(python) = std::env::var("DATACUBE_PYTHON") else {
        println!("dask: not run, DATACUBE_PYTHON is not set");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/tasks_dask.py");
    let dask = Command::new(python)
        .arg(script)
        .output()
        .expect("Python starts");
    let text = String::from_utf8_lossy(&dask.stdout);
    assert!(
        dask.status.success(),
        "{}",
        String::from_utf8_lossy(&dask.stderr)
    );
    let dask: f64 = text.trim().parse().expect("the script prints one number");
    let ratio = dask / map;
    println!("dask.distributed  {dask:6.0} us a task: {ratio:.0} times as much");
    assert!(ratio >= 50.0, "{ratio}");
}
