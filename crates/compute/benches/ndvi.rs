//! Masked NDVI on pixels in memory, beside numpy and dask's threads in the same
//! run.
//!
//! `cargo bench -p datacube-compute --bench ndvi`; numpy and dask are those of
//! `$DATACUBE_PYTHON`, else of `python3`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::process::Command;
use std::time::{Duration, Instant};

use datacube_compute::{
    Attrs, ChunkSink, Chunks, Coords, DataArray, Engine, Job, LocalCluster, MemorySink, Region,
    SinkError,
};

const ROWS: usize = 4096;
const COLS: usize = 4096;
const SECONDS: f64 = 2.0;

/// Takes chunks and forgets them: what is measured is the computing, into
/// buffers of the pool.
struct Discard;

impl ChunkSink for Discard {
    fn write(&self, _: usize, _: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        std::hint::black_box(pixels);
        Ok(())
    }
}

fn band(name: &str, seed: u64, value: impl Fn(u64) -> u16) -> DataArray {
    let mut x = seed;
    let pixels: Vec<u16> = (0..ROWS * COLS)
        .map(|_| {
            x = x
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            value(x >> 33)
        })
        .collect();
    DataArray::from_values(name, &["y", "x"], &[ROWS, COLS], pixels, Coords::new()).unwrap()
}

fn best(run: impl Fn()) -> f64 {
    let mut best = Duration::MAX;
    let end = Instant::now() + Duration::from_secs_f64(SECONDS);
    while Instant::now() < end || best == Duration::MAX {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed());
    }
    (ROWS * COLS) as f64 / 1e6 / best.as_secs_f64()
}

/// What the peers take, in Mpixel/s.
struct Peers {
    numpy: String,
    whole: f64,
    blocks: f64,
    /// dask's version, rate and rows a chunk.
    dask: Option<(String, f64, u64)>,
}

fn peers(threads: usize) -> Option<Peers> {
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ndvi_numpy.py");
    let args = [
        script,
        &ROWS.to_string(),
        &COLS.to_string(),
        &SECONDS.to_string(),
        &threads.to_string(),
    ];
    let out = Command::new(python).args(args).output().ok()?;
    let found: serde_json::Value = serde_json::from_slice(&out.stdout).ok()?;
    let dask = || {
        let version = found["dask"].as_str()?.to_owned();
        Some((
            version,
            found["dask_rate"].as_f64()?,
            found["dask_rows"].as_u64()?,
        ))
    };
    Some(Peers {
        numpy: found["numpy"].as_str()?.to_owned(),
        whole: found["whole"].as_f64()?,
        blocks: found["blocks"].as_f64()?,
        dask: dask(),
    })
}

fn main() {
    let small = |x: u64| u16::try_from(x % 10_000).unwrap_or(0);
    let bits = |x: u64| [0, 8, 16, 64, 128][usize::try_from(x % 5).unwrap_or(0)];
    let (red, nir) = (band("red", 1, small), band("nir", 2, small));
    let flags = serde_json::json!({
        "nodata": {"bits": 0, "values": {"0": false, "1": true}},
        "cloud": {"bits": 3, "values": {"0": "no", "1": "yes"}},
        "shadow": {"bits": 4, "values": {"0": "no", "1": "yes"}},
        "water": {"bits": 7, "values": {"0": "no", "1": "yes"}},
    });
    let qa = band("qa", 3, bits).with_attrs(Attrs::new().with("flags_definition", flags));
    let mask = qa.make_mask("nodata=false, cloud=no, shadow=no, water=no");
    let (red, nir) = (red.where_(&mask), nir.where_(&mask));
    let ndvi = ((&nir - &red) / (&nir + &red)).named("ndvi");
    let chunks = |rows: usize| {
        let array = ndvi.rechunk(&Chunks::new([("y", rows)])).unwrap();
        Job::new(array.plan().unwrap())
    };
    println!("{}", ndvi.explain().unwrap());

    let one = LocalCluster::builder()
        .n_workers(1)
        .threads_per_worker(1)
        .start()
        .unwrap();
    let all = LocalCluster::start().unwrap();
    let mut rows = Vec::new();
    for chunk in [16, 64, 256, 1024, 4096] {
        let job = chunks(chunk);
        let rate = best(|| {
            one.run(&job, &Discard, &()).unwrap();
        });
        rows.push((
            format!("1 thread, chunks of {chunk} rows, buffers reused"),
            rate,
        ));
    }
    let job = chunks(256);
    rows.push((
        "1 thread, to a new array in memory".to_owned(),
        best(|| {
            one.run(&job, &MemorySink::new(), &()).unwrap();
        }),
    ));
    rows.push((
        format!("{} threads, buffers reused", all.n_threads()),
        best(|| {
            all.run(&job, &Discard, &()).unwrap();
        }),
    ));
    rows.push((
        format!("{} threads, to a new array in memory", all.n_threads()),
        best(|| {
            all.run(&job, &MemorySink::new(), &()).unwrap();
        }),
    ));
    let peers = peers(all.n_threads());
    println!("masked NDVI, {ROWS} x {COLS} pixels of uint16 in memory");
    if let Some(peers) = &peers {
        let Peers {
            numpy,
            whole,
            blocks,
            ..
        } = peers;
        println!("{whole:9.0} Mpixel/s  numpy {numpy}, 1 thread, whole arrays");
        println!("{blocks:9.0} Mpixel/s  numpy {numpy}, 1 thread, blocks of 16 rows");
        if let Some((version, rate, rows)) = &peers.dask {
            println!(
                "{rate:9.0} Mpixel/s  dask {version}, {} threads, chunks of {rows} rows, to a new array",
                all.n_threads()
            );
        }
    } else {
        println!("no numpy to compare with: set DATACUBE_PYTHON");
    }
    for (what, rate) in rows {
        let times = |peer: &str, of: f64| format!("{:5.1} x {peer}  ", rate / of);
        let numpy = peers.as_ref().map(|peers| times("numpy", peers.whole));
        let dask = peers
            .as_ref()
            .and_then(|peers| peers.dask.as_ref())
            .map(|(_, of, _)| times("dask", *of));
        println!(
            "{rate:9.0} Mpixel/s  {}{}{what}",
            numpy.unwrap_or_default(),
            dask.unwrap_or_default()
        );
    }
}
