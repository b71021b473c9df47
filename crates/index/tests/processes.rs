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

/// What a child does: adds `n` datasets from `first` on, by batches.
async fn add(url: &str, first: u64, n: u64) {
    let index = open_or_init(url).await.expect("made by somebody");
    let given = product("ls");
    index.add_product(&given).await.expect("added by somebody");
    let numbers: Vec<u64> = (first..first + n).collect();
    for batch in numbers.chunks(BATCH) {
        let datasets = batch
            .iter()
            .map(|number| Scene::of_archive(&given, *number).dataset())
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
    let words: Vec<&str> = task.splitn(3, ' ').collect();
    let [first, n, url] = words[..] else {
        panic!("two numbers and a URL, not `{task}`")
    };
    let number = |text: &str| text.parse().expect("a number");
    add(url, number(first), number(n)).await;
}

fn spawn(url: &str, first: u64, n: u64) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "child", "--nocapture"])
        .env("DATACUBE_TEST_TASK", format!("{first} {n} {url}"))
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
    let children = [0, 0, N_DATASETS / 2].map(|first| spawn(&url, first, N_DATASETS));
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    let index = open(&url).await.expect("it is there");
    let n = index.count(&Query::new()).await.expect("counted");
    assert_eq!(n, N_DATASETS + N_DATASETS / 2);
    is_sound(&path).await;
}

/// What the system tells one file from another by.
fn number_of(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.ino())
}

#[tokio::test]
async fn another_process_does_not_take_an_open_index_for_a_closed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let log = folder.path().join("index.db-wal");
    let url = format!("sqlite:{}", path.display());
    add(&url, 0, 100).await;
    let index = open(&url).await.expect("it is there");
    let given = product("ls");
    let batch = |from: u64| -> Vec<_> {
        let of = |n| Scene::of_archive(&given, n).dataset();
        (from..from + 100).map(of).collect()
    };
    let options = AddOptions::default();
    index
        .add_datasets(batch(100), &options)
        .await
        .expect("written");
    // Whatever opens and closes the file in this process, our locks stay.
    let other = open_or_init(&url).await.expect("it is there");
    assert_eq!(other.count(&Query::new()).await.expect("counted"), 200);
    other.close().await.expect("closed");
    let before = number_of(&log);
    assert!(before.is_some(), "what is open for writing has a log");
    // A process that comes and goes is not the last one.
    let mut child = spawn(&url, 0, 100);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(number_of(&log), before, "the log was taken away");
    index
        .add_datasets(batch(200), &options)
        .await
        .expect("written");
    let mut child = spawn(&url, 300, 100);
    assert!(child.wait().expect("it ends").success());
    assert_eq!(index.count(&Query::new()).await.expect("counted"), 400);
    is_sound(&path).await;
}

#[tokio::test]
async fn a_killed_writer_leaves_whole_batches() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let url = format!("sqlite:{}", path.display());
    let mut n = 0;
    for at_least in [1, 500, 1200] {
        // More than it can add before it is killed, between two commits or within one.
        let mut writer = spawn(&url, 0, 1_000_000);
        let index = open(&url).await.expect("an address is enough");
        while index.count(&Query::new()).await.unwrap_or(0) < at_least {
            let ended = writer.try_wait().expect("it is ours");
            assert!(ended.is_none(), "it failed: {ended:?}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        writer.kill().expect("it can be killed");
        writer.wait().expect("it ends");
        let before = n;
        n = index.count(&Query::new()).await.expect("counted");
        assert!(n >= before.max(at_least), "{n} datasets, {before} before");
        assert_eq!(n % BATCH as u64, 0, "{n} datasets");
        is_sound(&path).await;
    }
    // What was left of the file takes more, and what it holds is what was given.
    let all = n + BATCH as u64;
    add(&url, 0, all).await;
    let index = open(&url).await.expect("it is there");
    assert_eq!(index.count(&Query::new()).await.expect("counted"), all);
    is_sound(&path).await;
}
