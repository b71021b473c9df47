//! The kinds of search that are measured, with random places and times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datacube_geo::{BoundingBox, Crs, Geometry};
use datacube_index::testing::Scene;
use datacube_index::{FieldTest, Index, IndexExt, Query, TimeRange};
use datacube_model::Product;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use super::{Figures, PRODUCT, to_f64};

const N_QUERIES: usize = 100;

/// Runs every kind of search on an index of `n_datasets`.
pub(crate) async fn run(
    index: &dyn Index,
    product: &Arc<Product>,
    n_datasets: u64,
    figures: &mut Figures,
) {
    let mut random = Random(1);
    let years = (n_datasets / 720 * 16 / 365).max(1);
    let ids: Vec<_> = (0..N_QUERIES)
        .map(|_| Scene::of_archive(product, random.below(n_datasets)).id())
        .collect();
    let mut kind = Kinds {
        index,
        random,
        years,
        figures,
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
    kind.ids("ids_box", |r, years| area(r, 3.0).time(days(r, years, 365)))
        .await;
    kind.count("count_all", |_, _| Query::new()).await;
    kind.find("first_10", |_, _| Query::new().limit(10)).await;
}

/// Runs queries of each kind.
struct Kinds<'a> {
    index: &'a dyn Index,
    random: Random,
    years: u64,
    figures: &'a mut Figures,
}

impl Kinds<'_> {
    async fn find(&mut self, name: &str, make: impl Fn(&mut Random, u64) -> Query) {
        let mut times = Vec::new();
        let mut n_found = 0;
        for i in 0..=N_QUERIES {
            let query = make(&mut self.random, self.years).product(PRODUCT);
            let started = Instant::now();
            let found = self.index.find(&query).await.expect("found");
            // The first is to warm up.
            if i > 0 {
                times.push(started.elapsed());
                n_found += found.len();
            }
        }
        self.figures
            .insert(name.to_owned(), report(name, times, n_found));
    }

    async fn ids(&mut self, name: &str, make: impl Fn(&mut Random, u64) -> Query) {
        let fields = ["id".to_owned()];
        let mut times = Vec::new();
        let mut n_found = 0;
        for i in 0..=N_QUERIES {
            let query = make(&mut self.random, self.years).product(PRODUCT);
            let started = Instant::now();
            let rows = self.index.search_returning(&query, &fields);
            let found: Vec<_> = rows.try_collect().await.expect("found");
            if i > 0 {
                times.push(started.elapsed());
                n_found += found.len();
            }
        }
        self.figures
            .insert(name.to_owned(), report(name, times, n_found));
    }

    async fn count(&mut self, name: &str, make: impl Fn(&mut Random, u64) -> Query) {
        let mut times = Vec::new();
        let mut n_found = 0;
        for i in 0..=N_QUERIES {
            let query = make(&mut self.random, self.years).product(PRODUCT);
            let started = Instant::now();
            let n = self.index.count(&query).await.expect("counted");
            if i > 0 {
                times.push(started.elapsed());
                n_found += usize::try_from(n).expect("a count");
            }
        }
        self.figures
            .insert(name.to_owned(), report(name, times, n_found));
    }
}

/// Prints a line; gives the median in ms.
fn report(name: &str, mut times: Vec<Duration>, n_found: usize) -> f64 {
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let mean = to_f64(n_found as u64) / to_f64(times.len() as u64);
    println!(
        "  {name:<20} p50 {:>8.2} ms   p99 {:>8.2} ms   {mean:.1} results",
        ms(times[times.len() / 2]),
        ms(times[times.len() * 99 / 100])
    );
    ms(times[times.len() / 2])
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
