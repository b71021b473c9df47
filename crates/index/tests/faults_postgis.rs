//! Servers that go away, in the middle of reading and of writing.

use std::time::Duration;

use datacube_index::testing::{Scene, product};
use datacube_index::{
    AddOptions, AddOutcome, Error, Index, IndexExt, Order, Query, open, open_or_init,
};
use datacube_model::Dataset;
use datacube_testkit::Cluster;
use futures::StreamExt;
use uuid::Uuid;

const TABLES: [&str; 7] = [
    "odc.dataset",
    "odc.dataset_search_string",
    "odc.dataset_search_num",
    "odc.dataset_search_datetime",
    "odc.spatial_4326",
    "odc.dataset_lineage",
    "datacube.dataset",
];

fn database_of(url: &str) -> &str {
    let rest = url.strip_prefix("postgresql:///").expect("on the socket");
    rest.split('?').next().unwrap_or(rest)
}

fn scenes(from: u64, n: u64) -> Vec<Dataset> {
    let given = product("ls");
    let dataset = |n: u64| {
        let scene = Scene::of_archive(&given, n);
        match n % 7 {
            0 => scene.made_from("level1", &[Uuid::from_u128(u128::from(n))]),
            _ => scene,
        }
    };
    (from..from + n).map(|n| dataset(n).dataset()).collect()
}

async fn fill(index: &dyn Index, datasets: Vec<Dataset>) {
    index
        .add_product(datasets[0].product())
        .await
        .expect("added");
    let n = datasets.len();
    let outcomes = index.add_datasets(datasets, &AddOptions::default()).await;
    let outcomes = outcomes.expect("written");
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_added()).count(),
        n
    );
}

fn crash(cluster: &mut Cluster) {
    // A checkpoint first: this server does not sync what it writes.
    cluster.sql("postgres", "CHECKPOINT");
    cluster.restart();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_go_on_in_their_order_after_restarts() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let index = open_or_init(&cluster.database())
        .await
        .expect("a new index");
    fill(&*index, scenes(0, 3000)).await;
    let queries = [
        Query::new(),
        Query::new()
            .product("ls")
            .order_by(Order::descending("cloud_cover")),
        Query::new().limit(2000),
    ];
    for query in queries {
        let calm: Vec<Uuid> = index
            .find(&query)
            .await
            .expect("read")
            .iter()
            .map(Dataset::id)
            .collect();
        assert!(calm.len() >= 2000, "{query:?}");
        let mut stream = index.search(&query);
        let mut seen = Vec::new();
        while let Some(dataset) = stream.next().await {
            seen.push(dataset.expect("it reads on").id());
            if seen.len() % 700 == 100 {
                crash(&mut cluster);
            }
        }
        assert_eq!(seen, calm, "{query:?}");
    }
    // So do what reads at once, and rows of values.
    crash(&mut cluster);
    assert_eq!(index.count(&Query::new()).await.expect("it reads"), 3000);
    let fields = ["id".to_owned(), "time".to_owned()];
    let query = Query::new();
    let mut rows = index.search_returning(&query, &fields);
    let mut n_rows = 0;
    while let Some(row) = rows.next().await {
        row.expect("it reads on");
        n_rows += 1;
        if n_rows == 150 {
            crash(&mut cluster);
        }
    }
    assert_eq!(n_rows, 3000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adding_while_the_server_crashes() {
    const BATCH: u64 = 500;
    const N_BATCHES: u64 = 12;
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let database = database_of(&url).to_owned();
    // Servers of tests forget what they said they had kept; this one must not.
    let keep = format!("ALTER DATABASE {database} SET synchronous_commit = on");
    cluster.sql("postgres", &keep);
    let index = open_or_init(&url).await.expect("a new index");
    index.add_product(&product("ls")).await.expect("added");
    let writer = {
        let index = open(&url).await.expect("opened");
        tokio::spawn(async move {
            let mut n_cut_off = 0;
            for nth in 0..N_BATCHES {
                // What a caller does who wants it done: again, while that may help.
                loop {
                    let batch = scenes(nth * BATCH, BATCH);
                    match index.add_datasets(batch, &AddOptions::default()).await {
                        Ok(outcomes) => {
                            assert!(!outcomes.iter().any(AddOutcome::is_failed), "{outcomes:?}");
                            break;
                        }
                        Err(error) => {
                            assert!(error.is_transient(), "{error}");
                            assert!(matches!(error, Error::Database { .. }), "{error:?}");
                            n_cut_off += 1;
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
            }
            n_cut_off
        })
    };
    let mut n_crashes = 0;
    while !writer.is_finished() {
        // In the middle of a statement that writes, as far as can be told.
        let busy = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' \
             AND pid <> pg_backend_pid() AND state <> 'idle' AND backend_xid IS NOT NULL"
        );
        if n_crashes < 6 && cluster.sql("postgres", &busy) != "0" {
            cluster.restart();
            n_crashes += 1;
            // Batches are whole or absent.
            let n = cluster.sql(&database, "SELECT count(*) FROM odc.dataset");
            let n: u64 = n.parse().expect("a number");
            assert_eq!(n % BATCH, 0, "{n} datasets");
            assert_eq!(
                index.count(&Query::new()).await.expect("it reads") % BATCH,
                0
            );
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let n_cut_off = writer.await.expect("the writer does not panic");
    assert!(
        n_crashes > 0 && n_cut_off > 0,
        "{n_crashes} crashes, {n_cut_off} seen"
    );
    check_all_there(&cluster, &*index, &url, N_BATCHES * BATCH).await;
    // And once more, of which nothing comes.
    let again = scenes(0, N_BATCHES * BATCH);
    let again = index.add_datasets(again, &AddOptions::default()).await;
    let again = again.expect("written");
    assert!(again.iter().all(|o| matches!(o, AddOutcome::AlreadyThere)));
    check_all_there(&cluster, &*index, &url, N_BATCHES * BATCH).await;
}

/// Every dataset with all of its rows, and no row of any other.
async fn check_all_there(cluster: &Cluster, index: &dyn Index, url: &str, n: u64) {
    assert_eq!(index.count(&Query::new()).await.expect("counted"), n);
    let database = database_of(url);
    for table in TABLES {
        let column = match table {
            "odc.dataset" | "datacube.dataset" => "id",
            "odc.dataset_lineage" => "derived_dataset_ref",
            _ => "dataset_ref",
        };
        let expected = match table {
            "odc.dataset_lineage" => n.div_ceil(7),
            _ => n,
        };
        let text = format!("SELECT count(DISTINCT {column}) FROM {table}");
        assert_eq!(
            cluster.sql(database, &text),
            expected.to_string(),
            "{table}"
        );
        let text = format!(
            "SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM odc.dataset)"
        );
        assert_eq!(cluster.sql(database, &text), "0", "{table}");
    }
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    assert_eq!(cluster.sql(database, locks), "0");
}
