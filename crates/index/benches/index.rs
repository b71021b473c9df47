//! Adding datasets to the embedded index, and finding them again.
//!
//! The archive and the queries are those of `peer/bench_index.py`, by which the
//! same is measured of Python's datacube: 720 paths and rows over a continent,
//! each seen every 16 days. Each kind of search runs 100 random queries and
//! prints the median and the 99th percentile.
//!
//! ```text
//! cargo bench -p datacube-index -- [N ...]      # default: 10000 100000
//! ```

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::time::{Duration, Instant};

use datacube_geo::{BoundingBox, Crs, Geometry};
use datacube_index::testing::{Scene, product_of};
use datacube_index::{
    AddOptions, EmbeddedIndex, FieldTest, Index, IndexExt, InitOptions, OpenOptions, Query,
    TimeRange,
};
use datacube_model::{Dataset, MetadataType};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

const N_QUERIES: usize = 100;
const BATCH: usize = 1000;

fn main() {
    let sizes: Vec<u64> = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let sizes = if sizes.is_empty() {
        vec![10_000, 100_000]
    } else {
        sizes
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    for n in sizes {
        runtime.block_on(measure(n));
    }
}

async fn measure(n_datasets: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    let product = product_of("ls8_c2l2", &MetadataType::eo3());
    index.add_product(&product).await.expect("added");

    let mut in_adding = Duration::ZERO;
    let mut in_making = Duration::ZERO;
    let numbers: Vec<u64> = (0..n_datasets).collect();
    for batch in numbers.chunks(BATCH) {
        let started = Instant::now();
        let datasets: Vec<Dataset> = batch
            .iter()
            .map(|n| Scene::of_archive(&product, *n).dataset())
            .collect();
        in_making += started.elapsed();
        let started = Instant::now();
        let outcomes = index
            .add_datasets(datasets, &AddOptions::default())
            .await
            .expect("written");
        in_adding += started.elapsed();
        assert!(outcomes.iter().all(datacube_index::AddOutcome::is_added));
    }
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    println!("\n{n_datasets} datasets");
    println!(
        "  add parsed datasets  {:>9.0} / s   (documents made and parsed: {:.0} / s)",
        per_second(n_datasets, in_adding),
        per_second(n_datasets, in_making)
    );
    println!("  file                 {:>9.1} MB", to_f64(size) / 1e6);

    let mut random = Random(1);
    let years = (n_datasets / 720 * 16 / 365).max(1);
    let ids: Vec<_> = (0..N_QUERIES)
        .map(|_| Scene::of_archive(&product, random.below(n_datasets)).id())
        .collect();
    let mut kind = Kinds {
        index: &index,
        random,
        years,
    };
    kind.find("box_month", |r, years| {
        area(r, 0.3).time(days(r, years, 30))
    })
    .await;
    kind.find("box_all", |r, _| area(r, 0.3)).await;
    kind.find("region_year", |r, years| {
        area(r, 3.0).time(days(r, years, 365))
    })
    .await;
    kind.count("count_month", |r, years| {
        Query::new().time(days(r, years, 30))
    })
    .await;
    kind.count("count_box", |r, years| {
        area(r, 3.0).time(days(r, years, 365))
    })
    .await;
    kind.find("cloud_box", |r, years| {
        let query = area(r, 3.0).time(days(r, years, 365));
        query.field("cloud_cover", FieldTest::between(0, 10))
    })
    .await;
    kind.find("region_code", |r, _| {
        let (path, row) = (r.below(30), r.below(24));
        Query::new().field("region_code", format!("{:03}{:03}", 115 - path, 68 + row))
    })
    .await;
    kind.find("by_id", move |r, _| {
        let which = usize::try_from(r.below(100)).expect("a small number");
        Query::new().ids([ids[which]])
    })
    .await;
    kind.count("count_all", |_, _| Query::new()).await;
    kind.find("first_10", |_, _| Query::new().limit(10)).await;

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
        "  stream of everything {rate:>9.0} / s   (peak memory {:.0} MB)",
        peak_memory_mb()
    );
}

/// Runs queries of each kind.
struct Kinds<'a> {
    index: &'a EmbeddedIndex,
    random: Random,
    years: u64,
}

impl Kinds<'_> {
    async fn find(&mut self, name: &str, make: impl Fn(&mut Random, u64) -> Query) {
        let mut times = Vec::new();
        let mut n_found = 0;
        for i in 0..=N_QUERIES {
            let query = make(&mut self.random, self.years).product("ls8_c2l2");
            let started = Instant::now();
            let found = self.index.find(&query).await.expect("found");
            // The first is to warm up.
            if i > 0 {
                times.push(started.elapsed());
                n_found += found.len();
            }
        }
        report(name, times, n_found);
    }

    async fn count(&mut self, name: &str, make: impl Fn(&mut Random, u64) -> Query) {
        let mut times = Vec::new();
        let mut n_found = 0;
        for i in 0..=N_QUERIES {
            let query = make(&mut self.random, self.years).product("ls8_c2l2");
            let started = Instant::now();
            let n = self.index.count(&query).await.expect("counted");
            if i > 0 {
                times.push(started.elapsed());
                n_found += usize::try_from(n).expect("a count");
            }
        }
        report(name, times, n_found);
    }
}

fn report(name: &str, mut times: Vec<Duration>, n_found: usize) {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mean = to_f64(n_found as u64) / to_f64(times.len() as u64);
    println!(
        "  {name:<20} p50 {:>8.2} ms   p99 {:>8.2} ms   {mean:.1} results",
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100])
    );
}

fn area(random: &mut Random, degrees: f64) -> Query {
    let (lon, lat) = (115.0 + 35.0 * random.unit(), -40.0 + 27.0 * random.unit());
    let bounds = BoundingBox::new(lon, lat, lon + degrees, lat + degrees);
    Query::new().geometry(Geometry::from_bbox(bounds, Some(Crs::wgs84())).expect("a box"))
}

fn days(random: &mut Random, years: u64, n_days: u64) -> TimeRange {
    let start: Timestamp = "2013-04-01T00:00:00Z".parse().expect("a timestamp");
    let first = random.below((years * 365).saturating_sub(n_days).max(1));
    let after = |n_days: u64| {
        let hours = i64::try_from(n_days * 24).expect("a few years");
        start
            .checked_add(SignedDuration::from_hours(hours))
            .expect("in range")
    };
    TimeRange::between(after(first), after(first + n_days)).expect("in order")
}

/// xorshift64*.
///
/// # Source
/// S. Vigna, "An experimental exploration of Marsaglia's xorshift generators".
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn unit(&mut self) -> f64 {
        to_f64(self.next() >> 11) / to_f64(1 << 53)
    }
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
