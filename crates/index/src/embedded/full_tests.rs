//! A disk that is full, as the one who holds the index meets it.

use datacube_model::Dataset;

use super::EmbeddedIndex;
use crate::catalog::{AddOptions, AddOutcome, Index, InitOptions, UpdateDatasetOptions};
use crate::error::Error;
use crate::open::OpenOptions;
use crate::query::Query;
use crate::testing::{Scene, product};

/// Lets the file have no more pages than it has, and so many.
async fn limit(index: &EmbeddedIndex, n_more: i64) {
    let connections = index.connections().await.expect("open");
    let mut connection = index.writer(&connections).await.expect("it may be written");
    let n_pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *connection)
        .await
        .expect("read");
    let pragma = format!("PRAGMA max_page_count = {}", n_pages + n_more);
    sqlx::raw_sql(sqlx::AssertSqlSafe(pragma))
        .execute(&mut *connection)
        .await
        .expect("set");
}

fn scenes(from: u64, n: u64) -> Vec<Dataset> {
    let given = product("ls");
    (from..from + n)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect()
}

fn check(index: &EmbeddedIndex, error: &Error) {
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert!(!error.is_transient(), "trying again helps nobody");
    let text = error.to_string();
    let path = index.path().display().to_string();
    for words in [
        "no space left",
        &path,
        "nothing of this change was kept",
        "free some space",
    ] {
        assert!(text.contains(words), "`{words}` is not in {text}");
    }
}

#[tokio::test]
async fn a_full_disk_takes_nothing_of_a_batch() {
    let folder = tempfile::tempdir().expect("a folder");
    let index = EmbeddedIndex::open(folder.path().join("i.db"), &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    index.add_product(&product("ls")).await.expect("added");
    let options = AddOptions::default();
    let there = scenes(0, 50);
    index
        .add_datasets(there.clone(), &options)
        .await
        .expect("written");
    let all = Query::new();
    // At the first row, at some row of the first chunk, and in a later chunk.
    for n_more in [0, 3, 20, 60] {
        limit(&index, n_more).await;
        let error = index
            .add_datasets(scenes(50, 3000), &options)
            .await
            .expect_err("the disk is full");
        check(&index, &error);
        assert_eq!(index.count(&all).await.expect("it reads"), 50);
        assert_eq!(
            index.has(&[scenes(50, 1)[0].id()]).await.expect("it reads"),
            [false]
        );
        // What needs no more space can be written.
        let again = index
            .add_datasets(there.clone(), &options)
            .await
            .expect("nothing to do");
        assert!(
            again.iter().all(|o| matches!(o, AddOutcome::AlreadyThere)),
            "{again:?}"
        );
        let ids: Vec<_> = there.iter().map(Dataset::id).collect();
        let now = jiff::Timestamp::now();
        index.archive(&ids, now).await.expect("marked in place");
        index.restore(&ids).await.expect("marked in place");
    }
    // Nor of other changes.
    limit(&index, 0).await;
    let large = "x".repeat(200_000);
    let larger = Scene::of_archive(&product("ls"), 0)
        .property("note", large.as_str())
        .dataset();
    let update = UpdateDatasetOptions::default().allow_any(["properties"]);
    let error = index.update_datasets(vec![larger.clone()], &update).await;
    check(&index, &error.expect_err("the disk is full"));
    let back = index
        .datasets(&[larger.id()])
        .await
        .expect("it reads")
        .remove(0);
    assert_eq!(back.expect("it is there").document(), there[0].document());
    let connections = index.connections().await.expect("open");
    let mut connection = index.writer(&connections).await.expect("it may be written");
    let sound: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut *connection)
        .await
        .expect("it reads");
    assert_eq!(sound, "ok");
    drop(connection);
    drop(connections);
    // With room again the same call succeeds; the limit ends with the connection.
    index.close().await.expect("closed");
    let outcomes = index
        .add_datasets(scenes(50, 3000), &options)
        .await
        .expect("written");
    assert!(outcomes.iter().all(AddOutcome::is_added));
    assert_eq!(index.count(&all).await.expect("it reads"), 3050);
}
