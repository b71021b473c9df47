//! Masked NDVI on pixels in memory, beside numpy, dask's threads and what the
//! memory can do, in the same run.
//!
//! Everything is measured in rounds and the best is taken: a machine that other
//! work shares is at times twice as fast as at others.
//!
//! `cargo bench -p datacube-compute --bench ndvi`; numpy and dask are those of
//! `$DATACUBE_PYTHON`, else of `python3`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::process::Command;
use std::time::{Duration, Instant};

use datacube_compute::{
    Attrs, Buffer, ChunkSink, Chunks, Coords, DataArray, Engine, Job, LocalCluster, MemorySink,
    Region, SinkError,
};

const ROWS: usize = 4096;
const COLS: usize = 4096;
/// For each case, in so many rounds.
const SECONDS: f64 = 3.0;
const ROUNDS: u32 = 6;

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

/// Something to be measured, and its best time.
struct Case<'a> {
    what: String,
    run: Box<dyn Fn() + 'a>,
    best: Duration,
}

impl<'a> Case<'a> {
    fn new(what: impl Into<String>, run: impl Fn() + 'a) -> Case<'a> {
        Case {
            what: what.into(),
            run: Box::new(run),
            best: Duration::MAX,
        }
    }

    fn measure(&mut self) {
        let end = Instant::now() + Duration::from_secs_f64(SECONDS / f64::from(ROUNDS));
        while Instant::now() < end {
            let start = Instant::now();
            (self.run)();
            self.best = self.best.min(start.elapsed());
        }
    }

    /// In Mpixel/s.
    fn rate(&self) -> f64 {
        (ROWS * COLS) as f64 / 1e6 / self.best.as_secs_f64()
    }
}

/// Reads three bands, one after the other, and does nothing else.
fn read(bands: &[Buffer; 3], threads: usize) {
    let part = bands[0].len() / threads;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for band in bands {
                    let (_, words, _) =
                        // SAFETY: any bytes are integers.
                        unsafe { band[thread * part..][..part].align_to::<u64>() };
                    std::hint::black_box(words.iter().fold(0, |sum, word| sum ^ word));
                }
            });
        }
    });
}

/// What the peers take, in Mpixel/s.
#[derive(Default)]
struct Peers {
    numpy: String,
    whole: f64,
    blocks: f64,
    /// dask's version, rate and rows a chunk.
    dask: Option<(String, f64, u64)>,
}

impl Peers {
    /// The better of two measurements.
    fn best(self, other: Option<Peers>) -> Peers {
        let other = other.unwrap_or_default();
        let dask = match (self.dask, other.dask) {
            (Some(a), Some(b)) if b.1 > a.1 => Some(b),
            (a, b) => a.or(b),
        };
        Peers {
            numpy: self.numpy,
            whole: self.whole.max(other.whole),
            blocks: self.blocks.max(other.blocks),
            dask,
        }
    }
}

fn measure_peers(threads: usize) -> Option<Peers> {
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/ndvi_numpy.py");
    let args = [
        script,
        &ROWS.to_string(),
        &COLS.to_string(),
        &(SECONDS / f64::from(ROUNDS)).to_string(),
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
    let threads = all.n_threads();
    let jobs = [16, 64, 256, 1024, 4096].map(|rows| (rows, chunks(rows)));
    let bands: [Buffer; 3] =
        std::array::from_fn(|_| Buffer::from_slice(&vec![1u16; ROWS * COLS]).unwrap());
    let (one, all, bands) = (&one, &all, &bands);
    let mut cases: Vec<Case<'_>> = Vec::new();
    for (rows, job) in &jobs {
        cases.push(Case::new(
            format!("1 thread, chunks of {rows} rows, buffers reused"),
            move || drop(one.run(job, &Discard, &()).unwrap()),
        ));
    }
    let job = &jobs[2].1;
    cases.push(Case::new("1 thread, to a new array in memory", move || {
        one.run(job, &MemorySink::new(), &()).unwrap();
    }));
    cases.push(Case::new(
        format!("{threads} threads, buffers reused"),
        move || drop(all.run(job, &Discard, &()).unwrap()),
    ));
    cases.push(Case::new(
        format!("{threads} threads, to a new array in memory"),
        move || drop(all.run(job, &MemorySink::new(), &()).unwrap()),
    ));
    let mut limits = [1, threads].map(|threads| {
        let plural = if threads == 1 { "" } else { "s" };
        let what = format!("the memory: {threads} thread{plural} that only read the 3 bands");
        Case::new(what, move || read(bands, threads))
    });
    let mut peers: Option<Peers> = None;
    for _ in 0..ROUNDS {
        for case in cases.iter_mut().chain(&mut limits) {
            case.measure();
        }
        peers = match (peers, measure_peers(threads)) {
            (Some(known), again) => Some(known.best(again)),
            (None, first) => first,
        };
    }
    println!("masked NDVI, {ROWS} x {COLS} pixels of uint16 in memory");
    for limit in &limits {
        println!("{:9.0} Mpixel/s  {}", limit.rate(), limit.what);
    }
    let mut beside: Vec<(&str, f64)> = Vec::new();
    if let Some(peers) = &peers {
        let Peers { numpy, .. } = peers;
        let line = |rate: f64, what: String| println!("{rate:9.0} Mpixel/s  {what}");
        line(
            peers.whole,
            format!("numpy {numpy}, 1 thread, whole arrays"),
        );
        line(
            peers.blocks,
            format!("numpy {numpy}, 1 thread, blocks of 16 rows"),
        );
        beside.push(("numpy in blocks", peers.blocks));
        if let Some((version, rate, rows)) = &peers.dask {
            let how = format!("{threads} threads, chunks of {rows} rows, to a new array");
            line(*rate, format!("dask {version}, {how}"));
            beside.push(("dask", *rate));
        }
    } else {
        println!("no numpy to compare with: set DATACUBE_PYTHON");
    }
    for case in &cases {
        let rate = case.rate();
        print!("{rate:9.0} Mpixel/s");
        for (peer, of) in &beside {
            print!("  {:5.1} x {peer}", rate / of);
        }
        println!("  {}", case.what);
    }
}
