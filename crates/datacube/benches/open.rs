//! How long it takes until an archive of very many datasets is one lazy cube, from an
//! index in one file: ready to be computed, with not a pixel read.
//!
//! ```text
//! cargo bench -p datacube --bench open -- [N ...]
//! ```
//!
//! A million without a number. The archive is that of the index's benchmark: 720 paths
//! and rows over Australia, each seen every 16 days; the grid is the continent at 30 m,
//! the time steps are solar days, the chunks of 2048 pixels. Filling the index takes
//! minutes; where `DATACUBE_BENCH_FOLDER` names a folder, the index stays there and is
//! opened the next time.
//!
//! Beside it: Python's datacube takes 145 s for the lazy arrays of 2,000 datasets, 36
//! tiles and 3 bands, that is 72 ms a dataset (reference numbers of this project, same
//! machine).
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datacube::index::testing::{Scene, product_of};
use datacube::index::{AddOptions, AddOutcome, EmbeddedIndex, Index, InitOptions, OpenOptions};
use datacube::model::{Dataset, MetadataType};
use datacube::{Cube, Datacube, LoadOptions};
use datacube_geo::{Affine, Crs, GeoBox, Shape2d};

/// As in the `datacube` command.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const PRODUCT: &str = "ls8_c2l2";
const BATCH: usize = 1000;
const ROUNDS: usize = 5;

/// The continent at 30 m, in Albers.
fn grid() -> GeoBox {
    let affine = Affine {
        a: 30.0,
        b: 0.0,
        c: -2e6,
        d: 0.0,
        e: -30.0,
        f: -1e6,
    };
    let crs = Crs::from_epsg(3577).expect("known");
    GeoBox::new(Shape2d::new(130_000, 140_000), affine, Some(crs)).expect("sound")
}

/// An index of `n` datasets at `path`, unless it is there.
async fn fill(path: &Path, n: u64) {
    let index = EmbeddedIndex::open(path, &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    let product = product_of(PRODUCT, &MetadataType::eo3());
    index.add_product(&product).await.expect("added");
    let numbers: Vec<u64> = (0..n).collect();
    for batch in numbers.chunks(BATCH) {
        let datasets: Vec<Dataset> = batch
            .iter()
            .map(|number| Scene::of_archive(&product, *number).dataset())
            .collect();
        let outcomes = index.add_datasets(datasets, &AddOptions::default()).await;
        assert!(outcomes.expect("written").iter().all(AddOutcome::is_added));
    }
}

fn open(path: &Path) -> Datacube {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let options = OpenOptions::new().read_only(true);
    let index = runtime
        .block_on(EmbeddedIndex::open(path, &options))
        .expect("opened");
    Datacube::with_index(Arc::new(index))
}

fn load(dc: &Datacube) -> Cube {
    let options = LoadOptions::new(PRODUCT)
        .like(grid())
        .group_by("solar_day")
        .chunks([("x", 2048), ("y", 2048)]);
    dc.load(options).expect("a lazy cube")
}

fn measure(path: &Path, n: u64) {
    let dc = open(path);
    let mut seconds = Vec::new();
    let mut shape = String::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let cube = load(&dc);
        seconds.push(begin.elapsed().as_secs_f64());
        shape = format!("{:?}", cube.get("red").expect("a band").shape());
    }
    let first = seconds[0];
    seconds.sort_by(f64::total_cmp);
    let median = seconds[ROUNDS / 2];
    println!("{n} datasets as one lazy cube of {shape}");
    println!(
        "  {first:.3} s the first time, {median:.3} s at the median of {ROUNDS}; {:.2} us a dataset",
        median * 1e6 / n as f64
    );
}

fn main() {
    let mut sizes: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    if sizes.is_empty() {
        sizes.push(1_000_000);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let kept = std::env::var_os("DATACUBE_BENCH_FOLDER").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(folder.path());
    for n in sizes {
        let path = folder.join(format!("open-{n}.db"));
        if !path.exists() {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(fill(&path, n));
        }
        measure(&path, n);
    }
}
