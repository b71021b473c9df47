//! Several processes on one file: nothing is lost, doubled or torn.
//!
//! The other processes are this test program again, told by an environment
//! variable what to do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use datacube_index::testing::{Scene, product};
use datacube_index::{AddOptions, Query, open, open_or_init};
use sqlx::{Connection, SqliteConnection};

const N_DATASETS: u64 = 2000;
const BATCH: usize = 100;

/// What a child does: adds [`N_DATASETS`] datasets from `first` on, by batches.
async fn add(url: &str, first: u64) {
    let index = open_or_init(url).await.expect("made by somebody");
    let given = product("ls");
    index.add_product(&given).await.expect("added by somebody");
    let numbers: Vec<u64> = (first..first + N_DATASETS).collect();
    for batch in numbers.chunks(BATCH) {
        let datasets = batch
            .iter()
            .map(|n| Scene::of_archive(&given, *n).dataset())
            .collect();
        let outcomes = index
            .add_datasets(datasets, &AddOptions::default())
            .await
            .expect("written");
        assert!(
            !outcomes.iter().any(datacube_index::AddOutcome::is_failed),
            "{outcomes:?}"
        );
    }
}

#[tokio::test]
#[ignore = "the other tests run it as a process of its own"]
async fn child() {
    let task = std::env::var("DATACUBE_TEST_TASK").expect("what to do");
    let (first, url) = task.split_once(' ').expect("a number and a URL");
    add(url, first.parse().expect("a number")).await;
}

fn spawn(url: &str, first: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("DATACUBE_TEST_TASK", format!("{first} {url}"))
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("a process")
}

async fn is_sound(path: &Path) {
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url)
        .await
        .expect("SQLite opens the file");
    for (statement, expected) in [
        ("PRAGMA integrity_check", "ok"),
        ("SELECT count(*) || '' FROM pragma_foreign_key_check", "0"),
        ("SELECT rtreecheck('footprint_box')", "ok"),
        // Every dataset has all of its rows.
        (
            "SELECT count(*) || '' FROM dataset AS d WHERE \
             NOT EXISTS (SELECT 1 FROM document WHERE dataset = d.key) OR \
             NOT EXISTS (SELECT 1 FROM location WHERE dataset = d.key) OR \
             NOT EXISTS (SELECT 1 FROM footprint_box WHERE key = 2 * d.key) OR \
             NOT EXISTS (SELECT 1 FROM search_text WHERE dataset = d.key)",
            "0",
        ),
    ] {
        let (answer,): (String,) = sqlx::query_as(statement)
            .fetch_one(&mut connection)
            .await
            .expect("it reads");
        assert_eq!(answer, expected, "{statement}");
    }
}

#[tokio::test]
async fn processes_that_write_the_same_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let url = format!("sqlite:{}", path.display());
    // Two of the same datasets, one that overlaps them by half; the file is
    // made by whoever comes first.
    let children = [0, 0, N_DATASETS / 2].map(|first| spawn(&url, first));
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let index = open(&url).await.expect("it is there");
    let n = index.count(&Query::new()).await.expect("counted");
    assert_eq!(n, N_DATASETS + N_DATASETS / 2);
    is_sound(&path).await;
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let url = format!("sqlite:{}", path.display());
    for at_least in [1, 500, 1200] {
        let mut writer = spawn(&url, 0);
        let index = open(&url).await.expect("an address is enough");
        // Killed on its way, between two commits or within one.
        while index.count(&Query::new()).await.unwrap_or(0) < at_least {
            let ended = writer.try_wait().expect("it is ours");
            assert!(ended.is_none(), "it ended before it could be killed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        writer.kill().expect("it can be killed");
        writer.wait().expect("it ends");
        let n = index.count(&Query::new()).await.expect("counted");
        assert_eq!(n % BATCH as u64, 0, "{n} datasets");
        assert!(n < N_DATASETS, "it was killed on its way");
        is_sound(&path).await;
    }
    add(&url, 0).await;
    let index = open(&url).await.expect("it is there");
    assert_eq!(
        index.count(&Query::new()).await.expect("counted"),
        N_DATASETS
    );
}
