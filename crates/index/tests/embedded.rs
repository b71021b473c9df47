//! The embedded index keeps the contract, and its file what was written.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datacube_index::testing::{self, Scene, product};
use datacube_index::{
    AddOptions, EmbeddedIndex, Error, Index, IndexExt, InitOptions, InitOutcome, OpenOptions,
    Query, open, open_or_init,
};
use datacube_model::Dataset;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn fresh(folder: &TempDir, name: &str) -> Arc<dyn Index> {
    open_or_init(&url(&folder.path().join(name)))
        .await
        .expect("a new index")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn scenes(n: u64) -> Vec<Dataset> {
    let given = product("ls");
    (0..n)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect()
}

async fn fill(index: &dyn Index, datasets: Vec<Dataset>) {
    index
        .add_product(datasets[0].product())
        .await
        .expect("added");
    index
        .add_datasets(datasets, &AddOptions::default())
        .await
        .expect("written");
}

/// A statement from outside, as another program would send it.
async fn execute(path: &Path, statement: &'static str) {
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display()))
            .await
            .expect("SQLite opens the file");
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .expect("the statement runs");
    connection.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let folder = folder();
    let n = std::sync::atomic::AtomicUsize::new(0);
    testing::run_all(|| {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(format!("{n}.db"));
        async move { open_or_init(&url(&path)).await.expect("a new index") }
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_in_the_next_process() {
    let folder = folder();
    let path = folder.path().join("index.db");
    let datasets = scenes(50);
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    assert_eq!(
        index.init(&InitOptions::default()).await.expect("made"),
        InitOutcome::Created
    );
    fill(&index, datasets.clone()).await;
    let before = index.find(&Query::new()).await.expect("read");
    index.close().await.expect("closed");
    assert!(
        !folder.path().join("index.db-wal").exists(),
        "the log was moved into the file"
    );
    let index = open(&url(&path)).await.expect("opened");
    assert_eq!(index.find(&Query::new()).await.expect("read"), before);
    assert_eq!(
        index.init(&InitOptions::default()).await.expect("there"),
        InitOutcome::Unchanged
    );
}

#[tokio::test]
async fn nothing_is_there_before_init() {
    let folder = folder();
    let path = folder.path().join("deep/er/index.db");
    let index = open(&url(&path)).await.expect("an address is enough");
    for error in [
        index.products().await.expect_err("nothing is there"),
        index.check().await.expect_err("nothing is there"),
        index
            .count(&Query::new())
            .await
            .expect_err("nothing is there"),
        index
            .find(&Query::new())
            .await
            .expect_err("nothing is there"),
        index
            .add_datasets(scenes(1), &AddOptions::default())
            .await
            .expect_err("nothing is there"),
    ] {
        assert!(
            matches!(error, Error::NotInitialised { .. }) && error.is_not_found(),
            "{error}"
        );
        assert!(error.to_string().contains("system init"), "{error}");
    }
    assert!(
        !path.exists() && !folder.path().join("deep").exists(),
        "looking makes nothing"
    );
    let outcome = index
        .init(&InitOptions::default().default_types(false))
        .await
        .expect("made");
    assert_eq!(outcome, InitOutcome::Created);
    assert!(index.metadata_types().await.expect("read").is_empty());
    assert_eq!(
        index.init(&InitOptions::default()).await.expect("made"),
        InitOutcome::Updated
    );
    assert_eq!(index.metadata_types().await.expect("read").len(), 3);
}

#[tokio::test]
async fn an_index_that_another_process_makes_is_seen() {
    let folder = folder();
    let path = folder.path().join("index.db");
    let early = open(&url(&path)).await.expect("an address is enough");
    assert!(early.products().await.is_err());
    let other = open_or_init(&url(&path)).await.expect("made");
    fill(&*other, scenes(3)).await;
    assert_eq!(
        early.product_names().await.expect("it is there now"),
        ["ls"]
    );
    assert_eq!(early.count(&Query::new()).await.expect("read"), 3);
    // And definitions that come later, too.
    other.add_product(&product("later")).await.expect("added");
    assert_eq!(early.product_names().await.expect("read"), ["later", "ls"]);
    assert_eq!(
        early
            .count(&Query::new().product("later"))
            .await
            .expect("read"),
        0
    );
}

#[tokio::test]
async fn other_files_are_refused_and_left_alone() {
    let folder = folder();
    let check = async |path: &Path, says: &str| {
        let before = std::fs::read(path).ok();
        let error = match open(&url(path)).await {
            Ok(_) => panic!("{} was opened", path.display()),
            Err(error) => error,
        };
        assert!(matches!(error, Error::NotAnIndex { .. }), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        let error = open_or_init(&url(path)).await.expect_err("it is no index");
        assert!(matches!(error, Error::NotAnIndex { .. }), "{error}");
        assert_eq!(std::fs::read(path).ok(), before, "it is as it was");
    };
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "not a database at all").expect("written");
    check(&text, "not a SQLite file").await;
    let short = folder.path().join("short.txt");
    std::fs::write(&short, "x").expect("written");
    check(&short, "not a SQLite file").await;
    let damaged = folder.path().join("damaged.db");
    let mut bytes = b"SQLite format 3\0".to_vec();
    bytes.extend([7; 4000]);
    std::fs::write(&damaged, bytes).expect("written");
    check(&damaged, "not a SQLite file").await;
    let foreign = folder.path().join("foreign.db");
    execute(&foreign, "CREATE TABLE mine (x)").await;
    check(&foreign, "another program").await;
    let claimed = folder.path().join("claimed.db");
    execute(
        &claimed,
        "PRAGMA application_id = 1196444487; CREATE TABLE gpkg_contents (x)",
    )
    .await;
    check(&claimed, "another program").await;
    check(folder.path(), "folder").await;
    // An empty file is no index yet, and may become one.
    let empty = folder.path().join("empty.db");
    std::fs::write(&empty, "").expect("written");
    let index = open(&url(&empty)).await.expect("nothing is there yet");
    assert!(matches!(
        index.check().await,
        Err(Error::NotInitialised { .. })
    ));
    assert_eq!(
        index.init(&InitOptions::default()).await.expect("made"),
        InitOutcome::Created
    );
}

#[tokio::test]
async fn newer_and_older_schemas_are_told_apart() {
    let folder = folder();
    let path = folder.path().join("newer.db");
    drop(fresh(&folder, "newer.db").await);
    execute(&path, "PRAGMA user_version = 99").await;
    for error in [
        open(&url(&path)).await.expect_err("it is newer"),
        open_or_init(&url(&path)).await.expect_err("it is newer"),
    ] {
        assert!(
            matches!(error, Error::SchemaTooNew { found: 99, .. }),
            "{error}"
        );
        assert!(error.to_string().contains("newer datacube"), "{error}");
    }
    let path = folder.path().join("older.db");
    drop(fresh(&folder, "older.db").await);
    execute(&path, "PRAGMA user_version = 0").await;
    let index = open(&url(&path))
        .await
        .expect("it can be brought up to date");
    let error = index.check().await.expect_err("it is older");
    assert!(
        matches!(error, Error::SchemaTooOld { found: 0, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("system init"), "{error}");
}

#[tokio::test]
async fn reading_only_changes_nothing() {
    let folder = folder();
    let path = folder.path().join("index.db");
    let datasets = scenes(20);
    let index = fresh(&folder, "index.db").await;
    fill(&*index, datasets.clone()).await;
    let read_only = open(&format!("{}?mode=ro", url(&path)))
        .await
        .expect("opened");
    assert_eq!(read_only.count(&Query::new()).await.expect("read"), 20);
    assert!(!read_only.check().await.expect("it can be read").writable);
    let ids = [datasets[0].id()];
    for error in [
        read_only
            .add_product(&product("x"))
            .await
            .expect_err("read only"),
        read_only.restore(&ids).await.expect_err("read only"),
        read_only
            .add_datasets(scenes(1), &AddOptions::default())
            .await
            .expect_err("read only"),
    ] {
        assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        assert!(!error.is_transient(), "{error}");
    }
    assert_eq!(
        read_only
            .init(&InitOptions::default())
            .await
            .expect("nothing to do"),
        InitOutcome::Unchanged
    );
    let missing = folder.path().join("missing.db");
    let read_only = OpenOptions::new()
        .read_only(true)
        .open(&url(&missing))
        .await
        .expect("opened");
    assert!(read_only.init(&InitOptions::default()).await.is_err());
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_file_without_permission_to_write_can_be_read() {
    let folder = folder();
    let path = folder.path().join("locked/index.db");
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    fill(&index, scenes(5)).await;
    index.close().await.expect("closed");
    let parent = path.parent().expect("a folder");
    set_read_only(&path, true);
    set_read_only(parent, true);
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        set_read_only(parent, false);
        datacube_testkit::skip("this user may write to every file, permissions or not");
        return;
    }
    let index = open(&url(&path)).await.expect("opened");
    assert_eq!(index.count(&Query::new()).await.expect("read"), 5);
    let error = index
        .add_product(&product("x"))
        .await
        .expect_err("it cannot be written");
    assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("permission"), "{error}");
    set_read_only(parent, false);
}

fn set_read_only(path: &Path, read_only: bool) {
    use std::os::unix::fs::PermissionsExt;
    let mode = match (read_only, path.is_dir()) {
        (true, true) => 0o555,
        (true, false) => 0o444,
        (false, true) => 0o755,
        (false, false) => 0o644,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_waits_for_another_and_gives_up_in_time() {
    let folder = folder();
    let path = folder.path().join("index.db");
    fill(&*fresh(&folder, "index.db").await, scenes(5)).await;
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .expect("SQLite opens the file");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("it writes");
    let options = OpenOptions::new().busy_timeout(Duration::from_millis(300));
    let hasty = options.open(&url(&path)).await.expect("opened");
    // Reading goes on.
    assert_eq!(hasty.count(&Query::new()).await.expect("read"), 5);
    let started = Instant::now();
    let error = hasty
        .add_product(&product("x"))
        .await
        .expect_err("it is locked");
    assert!(
        matches!(error, Error::Locked { .. }) && error.is_transient(),
        "{error}"
    );
    assert!(
        started.elapsed() >= Duration::from_millis(250),
        "{:?}",
        started.elapsed()
    );
    // One that waits longer gets its turn.
    let patient = open(&url(&path)).await.expect("opened");
    let (given, waiting) = (product("y"), Arc::clone(&patient));
    let task = tokio::spawn(async move { waiting.add_product(&given).await });
    tokio::time::sleep(Duration::from_millis(400)).await;
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut other)
        .await
        .expect("it ends");
    task.await.expect("no panic").expect("its turn came");
    assert_eq!(patient.product_names().await.expect("read"), ["ls", "y"]);
    hasty
        .add_product(&product("z"))
        .await
        .expect("nobody writes any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_write_leaves_nothing() {
    let folder = folder();
    let index = fresh(&folder, "index.db").await;
    fill(&*index, scenes(1)).await;
    for n in 0..20_u64 {
        let options = AddOptions::default();
        let adding = index.add_datasets(scenes(2000), &options);
        // Given up somewhere on the way.
        let _ = tokio::time::timeout(Duration::from_millis(5 * n), adding).await;
        let count = index.count(&Query::new()).await.expect("read");
        assert!(count == 1 || count == 2000, "{count} datasets");
        if count == 2000 {
            break;
        }
    }
    let outcomes = index
        .add_datasets(scenes(2000), &AddOptions::default())
        .await
        .expect("written");
    assert!(!outcomes.iter().any(datacube_index::AddOutcome::is_failed));
    assert_eq!(index.count(&Query::new()).await.expect("read"), 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_make_the_same_index_at_once() {
    for _ in 0..5 {
        let folder = folder();
        let path = folder.path().join("new/index.db");
        let tasks = (0..6_u64).map(|n| {
            let url = url(&path);
            tokio::spawn(async move {
                let index = open_or_init(&url).await.expect("made by somebody");
                let given = product("ls");
                index.add_product(&given).await.expect("added by somebody");
                let dataset = Scene::of_archive(&given, n).dataset();
                index.add_dataset(dataset).await.expect("added");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("no panic");
        }
        let index = open(&url(&path)).await.expect("it is there");
        assert_eq!(index.count(&Query::new()).await.expect("read"), 6);
        assert_eq!(index.metadata_types().await.expect("read").len(), 4);
    }
}

#[tokio::test]
async fn documents_that_cannot_be_read_are_named() {
    let folder = folder();
    let path = folder.path().join("index.db");
    fill(&*fresh(&folder, "index.db").await, scenes(3)).await;
    execute(&path, "UPDATE document SET text = '{' WHERE dataset = 2").await;
    let index = open(&url(&path)).await.expect("opened");
    let error = index.find(&Query::new()).await.expect_err("one is broken");
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("dataset number 2"), "{error}");
    assert_eq!(
        index
            .count(&Query::new())
            .await
            .expect("counting reads no document"),
        3
    );
}

#[tokio::test]
async fn the_tree_rounds_outward() {
    let folder = folder();
    let path = folder.path().join("index.db");
    fill(&*fresh(&folder, "index.db").await, scenes(500)).await;
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .expect("SQLite opens the file");
    let (inside, n): (i64, i64) = sqlx::query_as(
        "SELECT sum(b.west <= d.west AND b.east >= d.east AND b.south <= d.south AND \
                    b.north >= d.north AND b.first <= d.begin_us / 864e9 AND \
                    b.last >= d.end_us / 864e9), count(*) \
         FROM dataset d JOIN footprint_box b ON b.key = 2 * d.key",
    )
    .fetch_one(&mut connection)
    .await
    .expect("it reads");
    assert_eq!((inside, n), (500, 500));
    let checks: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check")
        .fetch_all(&mut connection)
        .await
        .expect("it reads");
    assert_eq!(checks, [("ok".to_owned(),)]);
}
