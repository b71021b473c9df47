//! What the server can do at best: the same rows of Python's schema, copied
//! from tables beside it, without a client and without this program's tables.
//!
//! Every dataset is some dozen rows there with some eighty index entries,
//! ranges in GiST indexes among them. No writer that fills this schema with as
//! many connections can be faster than this, on the same cores.

use std::thread;
use std::time::{Duration, Instant};

use datacube_testkit::Cluster;

/// The tables, and the column that names the dataset.
const TABLES: [(&str, &str); 5] = [
    ("dataset", "id"),
    ("dataset_search_string", "dataset_ref"),
    ("dataset_search_num", "dataset_ref"),
    ("dataset_search_datetime", "dataset_ref"),
    ("spatial_4326", "dataset_ref"),
];

/// Copies the rows of an index that was just filled, deletes them, and times
/// how they are inserted again, by one connection and by one for each core.
pub(crate) fn measure(cluster: &Cluster, database: &str) {
    let count = cluster.sql(database, "SELECT count(*) FROM odc.dataset");
    let n_datasets: u32 = count.parse().expect("a number");
    for (table, _) in TABLES {
        let copy = format!("CREATE UNLOGGED TABLE copy_{table} AS SELECT * FROM odc.{table}");
        cluster.sql(database, &copy);
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for n_connections in [1, cores.max(2)] {
        cluster.sql(database, "TRUNCATE odc.dataset CASCADE; ANALYZE");
        let started = Instant::now();
        let parts = thread::scope(|scope| {
            let shares: Vec<_> = (0..n_connections)
                .map(|share| {
                    scope.spawn(move || insert_again(cluster, database, share, n_connections))
                })
                .collect();
            let shares = shares.into_iter().map(|share| share.join());
            shares.map(|times| times.expect("inserted")).next()
        });
        let all = started.elapsed();
        let parts: Vec<String> = TABLES
            .iter()
            .zip(parts.unwrap_or_default())
            .map(|((table, _), time)| {
                let own = f64::from(n_datasets) / n_connections as f64;
                format!("{table} {:.0}", time.as_secs_f64() * 1e6 / own)
            })
            .collect();
        println!(
            "  limit of the server  {:>9.0} / s   ({n_connections} connections; \
             us of each dataset: {})",
            f64::from(n_datasets) / all.as_secs_f64(),
            parts.join(", ")
        );
    }
}

/// Inserts the datasets of one share of many again; the time of each table.
fn insert_again(cluster: &Cluster, database: &str, share: usize, of: usize) -> Vec<Duration> {
    let insert = |(table, dataset): (&str, &str)| {
        let started = Instant::now();
        cluster.sql(
            database,
            &format!(
                "BEGIN; SET LOCAL datacube.in_step = 'on'; \
                 INSERT INTO odc.{table} SELECT * FROM copy_{table} \
                 WHERE abs(hashtext({dataset}::text)::bigint) % {of} = {share}; COMMIT"
            ),
        );
        started.elapsed()
    };
    TABLES.into_iter().map(insert).collect()
}
