//! What the server can do at best: the same rows of Python's schema, copied
//! from tables beside it, without a client and without this program's tables.
//!
//! Every dataset is some dozen rows there with some eighty index entries,
//! ranges in GiST indexes among them. No writer that fills this schema with one
//! connection can be faster than this.

use std::time::{Duration, Instant};

use datacube_testkit::Cluster;

const TABLES: [&str; 5] = [
    "dataset",
    "dataset_search_string",
    "dataset_search_num",
    "dataset_search_datetime",
    "spatial_4326",
];

/// Copies the rows of an index that was just filled, deletes them, and times
/// how they are inserted again.
pub(crate) fn measure(cluster: &Cluster, database: &str) {
    let count = cluster.sql(database, "SELECT count(*) FROM odc.dataset");
    let n_datasets: u32 = count.parse().expect("a number");
    for table in TABLES {
        let copy = format!("CREATE UNLOGGED TABLE copy_{table} AS SELECT * FROM odc.{table}");
        cluster.sql(database, &copy);
    }
    cluster.sql(database, "TRUNCATE odc.dataset CASCADE; ANALYZE");
    let mut all = Duration::ZERO;
    let mut parts = Vec::new();
    for table in TABLES {
        let started = Instant::now();
        cluster.sql(
            database,
            &format!(
                "BEGIN; SET LOCAL datacube.in_step = 'on'; \
                 INSERT INTO odc.{table} SELECT * FROM copy_{table}; COMMIT"
            ),
        );
        all += started.elapsed();
        let us = started.elapsed().as_secs_f64() * 1e6 / f64::from(n_datasets);
        parts.push(format!("{table} {us:.0}"));
    }
    println!(
        "  limit of the server  {:>9.0} / s   (us of each dataset: {})",
        f64::from(n_datasets) / all.as_secs_f64(),
        parts.join(", ")
    );
}
