//! What it costs to write down masked NDVI over 1,000,000 chunks, and to run
//! as many tasks that do nothing.
//!
//! `cargo bench -p datacube-compute --bench lazy`; ends with an error where
//! building takes 0.1 s or 50 MB or more.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use datacube_compute::{
    Attrs, ChunkSink, ChunkSource, Chunks, Coord, Coords, Cost, Cube, DataArray, Engine, Fetched,
    Job, LocalCluster, ReadStats, Region, SinkError, SourceError, optimize,
};
use datacube_model::DType;
use futures::FutureExt;
use futures::future::BoxFuture;

/// Counts the bytes that are allocated, and those that are held.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A source that has nothing to read.
#[derive(Debug)]
struct Nothing {
    name: &'static str,
    shape: Vec<usize>,
}

impl ChunkSource for Nothing {
    fn kind(&self) -> &'static str {
        "bench.nothing"
    }

    fn encode(&self) -> Result<Vec<u8>, SourceError> {
        Ok(self.name.as_bytes().to_vec())
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn dtype(&self) -> DType {
        DType::UInt16
    }

    fn project(&self, _: &Region) -> Cost {
        Cost::default()
    }

    fn fetch(&self, _: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>> {
        async { Ok(Fetched::local(())) }.boxed()
    }

    fn decode(&self, _: &Region, _: Fetched, out: &mut [u8]) -> Result<ReadStats, SourceError> {
        out.fill(1);
        Ok(ReadStats::default())
    }
}

struct Discard;

impl ChunkSink for Discard {
    fn write(&self, _: usize, _: &Region, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
}

/// 100 times of 100 by 100 chunks.
fn cube(chunk: usize) -> Cube {
    let shape = vec![100, 100 * chunk, 100 * chunk];
    let day = 86_400_000_000_000i64;
    let axis = |len: usize| (0..len).map(|i| i as f64 * 30.0).collect::<Vec<_>>();
    let coords = Coords::from([
        (
            "time",
            Coord::time("time", (0..100).map(|i| i * day).collect::<Vec<_>>()),
        ),
        ("y", Coord::float("y", axis(shape[1]))),
        ("x", Coord::float("x", axis(shape[2]))),
    ]);
    let flags = serde_json::json!({"cloud": {"bits": 3, "values": {"0": "no", "1": "yes"}}});
    let bands = ["red", "nir", "qa"].map(|name| {
        let attrs = Attrs::new()
            .with("nodata", 0)
            .with("flags_definition", flags.clone());
        let source = Arc::new(Nothing {
            name,
            shape: shape.clone(),
        });
        let chunks = Chunks::new([("time", 1), ("y", chunk), ("x", chunk)]);
        let dims = ["time", "y", "x"];
        (
            name,
            DataArray::from_source(name, &dims, coords.clone(), attrs, source, &chunks).unwrap(),
        )
    });
    Cube::new(bands).unwrap()
}

fn ndvi(cube: &Cube) -> DataArray {
    let mask = cube.get("qa").unwrap().make_mask("cloud=no");
    let clear = cube.where_(&mask);
    let (red, nir) = (clear.get("red").unwrap(), clear.get("nir").unwrap());
    ((nir - red) / (nir + red)).named("ndvi")
}

fn main() {
    let (allocated, held) = (
        ALLOCATED.load(Ordering::Relaxed),
        HELD.load(Ordering::Relaxed),
    );
    PEAK.store(held, Ordering::Relaxed);
    let start = Instant::now();
    let array = ndvi(&cube(1000));
    let built = start.elapsed();
    let bytes = ALLOCATED.load(Ordering::Relaxed) - allocated;
    let peak = PEAK.load(Ordering::Relaxed) - held;
    let start = Instant::now();
    let plan = optimize(&array.plan().unwrap()).unwrap();
    let optimized = start.elapsed();
    println!(
        "masked NDVI over {} chunks: built in {:.3} ms ({:.2} MB allocated, {:.2} MB at most at a time), {} nodes; optimised in {:.3} ms to {} nodes",
        array.chunks().n_chunks(),
        built.as_secs_f64() * 1e3,
        bytes as f64 / 1e6,
        peak as f64 / 1e6,
        array.plan().unwrap().nodes().len(),
        optimized.as_secs_f64() * 1e3,
        plan.nodes().len()
    );
    assert_eq!(array.chunks().n_chunks(), 1_000_000);
    assert!(
        built.as_secs_f64() < 0.1 && bytes < 50_000_000,
        "building costs too much"
    );

    let cluster = LocalCluster::start().unwrap();
    let reading = ndvi(&cube(1));
    let full = DataArray::from_values(
        "a",
        &["x"],
        &[1_000_000],
        vec![1u8; 1_000_000],
        Coords::new(),
    );
    let full = full.unwrap().rechunk(&Chunks::new([("x", 1)])).unwrap() + 1;
    for (what, array) in [("in memory", full), ("that read three bands", reading)] {
        let job = Job::new(array.plan().unwrap());
        let start = Instant::now();
        let report = cluster.run(&job, &Discard, &()).unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "{} tasks of one pixel {what}: {seconds:.2} s, {:.2} us a task on {} threads",
            report.tasks,
            seconds * 1e6 / report.tasks as f64,
            cluster.n_threads()
        );
    }
}
