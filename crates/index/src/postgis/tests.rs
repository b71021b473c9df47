//! Random datasets and random queries: the same answers as in memory, whoever
//! wrote the rows and whatever of our own is there.

use datacube_model::Dataset;
use datacube_testkit::Cluster;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::PostgisIndex;
use crate::catalog::{AddOptions, Index, IndexExt, InitOptions};
use crate::embedded::tests::{PRODUCTS, a_query, a_scene, instant};
use crate::memory::MemoryIndex;
use crate::open::OpenOptions;
use crate::query::Query;
use crate::testing::{Scene, product, simple_product};

/// As if Python had written every row and nobody had looked at it since.
const FORGET_ROWS: &str = "UPDATE datacube.dataset SET is_derived = FALSE, place = NULL, \
     fields = NULL, footprint = NULL, document = NULL";

/// As Python leaves a database.
const FORGET_ALL: &str = "SET client_min_messages = warning; DROP SCHEMA datacube CASCADE";

async fn opened(url: &str) -> PostgisIndex {
    PostgisIndex::open(url, &OpenOptions::new())
        .await
        .expect("opened")
}

async fn same_answers(memory: &MemoryIndex, index: &PostgisIndex, queries: &[Query], what: &str) {
    for query in queries {
        match (memory.find(query).await, index.find(query).await) {
            (Ok(a), Ok(b)) => {
                let ids = |list: &[Dataset]| -> Vec<_> { list.iter().map(Dataset::id).collect() };
                assert_eq!(ids(&a), ids(&b), "{what}: {query:?}");
                assert_eq!(a, b, "{what}: {query:?}");
                let n = index.count(query).await.expect("counted");
                assert_eq!(n, a.len() as u64, "{what}: {query:?}");
            }
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "{what}: {query:?}"),
            (a, b) => panic!("{what}: {query:?}: {a:?} and {b:?}"),
        }
    }
}

/// Python's tables have room for one active location of a dataset.
fn in_one_place(dataset: Dataset) -> Dataset {
    let only: Vec<String> = dataset.active_uris().take(1).map(str::to_owned).collect();
    dataset.with_locations(only)
}

async fn compare(
    cluster: &Cluster,
    scenes: Vec<Scene>,
    archived: &[bool],
    queries: &[Query],
    without_our_own: bool,
) {
    let url = cluster.database();
    let database = url
        .trim_start_matches("postgresql:///")
        .split('?')
        .next()
        .expect("a name")
        .to_owned();
    let index = opened(&url).await;
    index.init(&InitOptions::default()).await.expect("made");
    let memory = MemoryIndex::new();
    let when = instant(50_000);
    let datasets: Vec<Dataset> = (0_u128..)
        .zip(scenes)
        .map(|(n, scene)| {
            let id = uuid::Uuid::from_u128(n * 0x1234_5678_9abc);
            let dataset = scene.with_id(id).dataset();
            if without_our_own {
                in_one_place(dataset)
            } else {
                dataset
            }
        })
        .collect();
    let to_archive: Vec<_> = datasets
        .iter()
        .zip(archived)
        .filter(|(_, archive)| **archive)
        .map(|(d, _)| d.id())
        .collect();
    let both: [&dyn Index; 2] = [&memory, &index];
    for index in both {
        for name in PRODUCTS {
            let of = if name == "simple" {
                simple_product(name)
            } else {
                product(name)
            };
            index.add_product(&of).await.expect("added");
        }
        let options = AddOptions::default().indexed_at(when);
        let added = index.add_datasets(datasets.clone(), &options).await;
        added.expect("written");
        index.archive(&to_archive, when).await.expect("written");
    }
    same_answers(&memory, &index, queries, "our own rows").await;
    cluster.sql(&database, FORGET_ROWS);
    let reader = opened(&format!("{url}&mode=ro")).await;
    same_answers(&memory, &reader, queries, "Python's rows, read only").await;
    same_answers(&memory, &index, queries, "Python's rows, made our own").await;
    let n_strangers = "SELECT count(*) FROM datacube.dataset WHERE NOT is_derived";
    assert_eq!(cluster.sql(&database, n_strangers), "0");
    if without_our_own {
        cluster.sql(&database, FORGET_ALL);
        let reader = opened(&format!("{url}&mode=ro")).await;
        same_answers(&memory, &reader, queries, "Python's database").await;
    }
}

#[test]
fn a_database_answers_as_memory_does() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let config = Config {
        cases: 12,
        max_shrink_iters: 60,
        ..Config::default()
    };
    let given = (
        vec(a_scene(), 1..60),
        vec(prop::bool::weighted(0.2), 60),
        vec(a_query(), 25),
        any::<bool>(),
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    type Given = (Vec<Scene>, Vec<bool>, Vec<Query>, bool);
    let run = |(scenes, archived, queries, without_our_own): Given| {
        let compared = compare(&cluster, scenes, &archived, &queries, without_our_own);
        runtime.block_on(compared);
        Ok(())
    };
    if let Err(error) = TestRunner::new(config).run(&given, run) {
        panic!("{error}");
    }
}
