//! Adding datasets to an index, and finding them again: the embedded index and
//! PostGIS, beside Python's datacube in the same run.
//!
//! The archive and the queries are those of `peer/bench_index.py`, by which the
//! same is measured of Python's datacube: 720 paths and rows over a continent,
//! each seen every 16 days. Each kind of search runs 100 random queries and
//! prints the median and the 99th percentile.
//!
//! ```text
//! cargo bench -p datacube-index -- [sqlite] [postgis] [peer] [N ...]
//! ```
//!
//! Without a name all three are measured, with 10,000 datasets each. PostGIS
//! runs where it is installed; the peer where `$DATACUBE_PYTHON` has datacube and
//! `bench_index.py` is beside the shared test material.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod limit;
mod peer;
mod queries;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use datacube_index::testing::{Scene, product_of};
use datacube_index::{
    AddOptions, AddOutcome, EmbeddedIndex, Index, InitOptions, OpenOptions, Outline, PostgisIndex,
    Query,
};
use datacube_model::{Dataset, MetadataType};
use datacube_testkit::Cluster;
use futures::{StreamExt, TryStreamExt};

/// As in the `datacube` command.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What [`peer`] calls it too.
const PRODUCT: &str = "ls8_c2l2";

const BATCH: usize = 2000;

/// Batches of parsed datasets that are there before they are added.
const BATCHES: usize = 8;

/// Documents are read and added end to end up to this number; rates do not change after it.
const MOST_PARSED: u64 = 10_000;

/// Times of one index: what was measured, and its value; rates in 1/s, searches
/// in ms at the median.
type Figures = BTreeMap<String, f64>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut sizes: Vec<u64> = arguments.iter().filter_map(|n| n.parse().ok()).collect();
    if sizes.is_empty() {
        sizes.push(10_000);
    }
    let is_named = |name: &str| arguments.iter().any(|argument| argument == name);
    let all = !["sqlite", "postgis", "peer"].into_iter().any(is_named);
    let wanted = |name: &str| all || is_named(name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let cluster = (wanted("postgis") || wanted("peer"))
        .then(Cluster::start)
        .flatten();
    for n in sizes {
        let mut ours = Vec::new();
        if wanted("sqlite") {
            ours.push(("sqlite", runtime.block_on(sqlite(n))));
        }
        if let Some(cluster) = cluster.as_ref().filter(|_| wanted("postgis")) {
            ours.push(("postgis", runtime.block_on(postgis(n, cluster))));
        }
        if let Some(cluster) = cluster.as_ref().filter(|_| wanted("peer"))
            && let Some(theirs) = peer::measure(n, cluster)
        {
            peer::compare(n, &theirs, &ours);
        }
    }
}

async fn sqlite(n_datasets: u64) -> Figures {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    println!("\n{n_datasets} datasets in one SQLite file");
    // With what is in its log still.
    let log = path.with_file_name("index.db-wal");
    let bytes = |path| std::fs::metadata(path).map_or(0, |file| file.len());
    let size = || bytes(&path) + bytes(&log);
    let mut figures = measure(n_datasets, &index, size).await;
    let other = EmbeddedIndex::open(&folder.path().join("other.db"), &OpenOptions::new())
        .await
        .expect("opened");
    parse_and_add(n_datasets, &other, &mut figures).await;
    figures
}

async fn postgis(n_datasets: u64, cluster: &Cluster) -> Figures {
    let url = cluster.database();
    let index = PostgisIndex::open(&url, &OpenOptions::new())
        .await
        .expect("opened");
    println!("\n{n_datasets} datasets in PostGIS");
    let name = name_of(&url);
    let size = || {
        // What a server does by itself a little later.
        cluster.sql(&name, "VACUUM ANALYZE");
        let size = cluster.sql(&name, "SELECT pg_database_size(current_database())");
        size.parse().expect("a number of bytes")
    };
    let mut figures = measure(n_datasets, &index, size).await;
    let other = cluster.database();
    let index = PostgisIndex::open(&other, &OpenOptions::new())
        .await
        .expect("opened");
    parse_and_add(n_datasets, &index, &mut figures).await;
    limit::measure(cluster, &name_of(&other));
    figures
}

/// The name of the database of an address.
fn name_of(url: &str) -> String {
    let name = url.trim_start_matches("postgresql:///").split('?').next();
    name.expect("a name").to_owned()
}

/// Fills another empty index with new documents, which are read on all cores
/// while those before them are written, as `datacube dataset add` does it.
async fn parse_and_add(n_datasets: u64, index: &dyn Index, figures: &mut Figures) {
    index.init(&InitOptions::default()).await.expect("made");
    let product = product_of(PRODUCT, &MetadataType::eo3());
    index.add_product(&product).await.expect("added");
    let n_datasets = n_datasets.min(MOST_PARSED);
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let how = AddOptions::default();
    let started = Instant::now();
    let numbers: Vec<u64> = (0..n_datasets).collect();
    let mut written = futures::stream::iter(numbers.chunks(BATCH))
        .map(|batch| {
            let (batch, product) = (batch.to_vec(), product.clone());
            tokio::task::spawn_blocking(move || -> Vec<Dataset> {
                let of = |n| Scene::of_archive(&product, n).dataset();
                batch.into_iter().map(of).collect()
            })
        })
        .buffered(n_cores)
        .map(|datasets| index.add_datasets(datasets.expect("parsed"), &how))
        .buffered(index.writers());
    while let Some(outcomes) = written.next().await {
        assert!(outcomes.expect("written").iter().all(AddOutcome::is_added));
    }
    let rate = per_second(n_datasets, started.elapsed());
    println!("  parse and add        {rate:>9.0} / s   ({n_datasets} into an empty index)");
    figures.insert("parse_and_add".to_owned(), rate);
}

/// Fills an empty index and searches it; `size` tells its bytes.
async fn measure(n_datasets: u64, index: &dyn Index, size: impl Fn() -> u64) -> Figures {
    let mut figures = Figures::new();
    index.init(&InitOptions::default()).await.expect("made");
    let product = product_of(PRODUCT, &MetadataType::eo3());
    index.add_product(&product).await.expect("added");

    let mut in_adding = Duration::ZERO;
    let mut in_making = Duration::ZERO;
    let numbers: Vec<u64> = (0..n_datasets).collect();
    let how = AddOptions::default();
    // Memory holds few batches, however many there are.
    for several in numbers.chunks(BATCH * BATCHES) {
        let started = Instant::now();
        let batches: Vec<Vec<Dataset>> = several
            .chunks(BATCH)
            .map(|batch| {
                let of = |n: &u64| Scene::of_archive(&product, *n).dataset();
                batch.iter().map(of).collect()
            })
            .collect();
        in_making += started.elapsed();
        let started = Instant::now();
        let mut written = futures::stream::iter(batches)
            .map(|batch| index.add_datasets(batch, &how))
            .buffered(index.writers());
        while let Some(outcomes) = written.next().await {
            let outcomes = outcomes.expect("written");
            assert!(outcomes.iter().all(AddOutcome::is_added));
        }
        in_adding += started.elapsed();
    }
    let rate = per_second(n_datasets, in_adding);
    println!(
        "  add parsed datasets  {rate:>9.0} / s   (documents made and parsed: {:.0} / s)",
        per_second(n_datasets, in_making)
    );
    figures.insert("bulk_add".to_owned(), rate);
    println!("  size                 {:>9.1} MB", to_f64(size()) / 1e6);

    let before = peak_memory_mb();
    queries::run(index, &product, n_datasets, &mut figures).await;

    let started = Instant::now();
    let query = Query::new();
    let mut stream = index.search(&query);
    let mut n_read = 0;
    while let Some(dataset) = stream.next().await {
        dataset.expect("it reads");
        n_read += 1;
    }
    assert_eq!(n_read, n_datasets);
    let rate = per_second(n_datasets, started.elapsed());
    println!(
        "  stream of everything {rate:>9.0} / s   (peak memory {before:.0} MB before the searches, \
         {:.0} MB after)",
        peak_memory_mb()
    );
    let started = Instant::now();
    let outlines: Vec<Outline> = index
        .outlines(&query)
        .try_collect()
        .await
        .expect("it reads");
    assert_eq!(outlines.len() as u64, n_datasets);
    let took = started.elapsed();
    println!(
        "  outlines of everything {:>7.0} / s   ({:.2} s)",
        per_second(n_datasets, took),
        took.as_secs_f64()
    );
    figures
}

#[allow(clippy::cast_precision_loss, reason = "for reports and random numbers")]
fn to_f64(n: u64) -> f64 {
    n as f64
}

fn per_second(n: u64, time: Duration) -> f64 {
    to_f64(n) / time.as_secs_f64()
}

/// As Linux tells it; zero elsewhere.
fn peak_memory_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap_or_default();
    let kib: u64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    to_f64(kib) / 1024.0
}
