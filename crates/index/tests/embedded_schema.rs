//! Files of an earlier schema are brought up to date; files that were cleared
//! are told from files that never were an index.

use std::path::Path;
use std::sync::Arc;

use datacube_index::testing::{Scene, product};
use datacube_index::{
    AddOptions, ArchivedFilter, EmbeddedIndex, Error, Index, IndexExt, InitOptions, InitOutcome,
    OpenOptions, Query, UriMatch, open, open_or_init,
};
use datacube_model::{Dataset, LineageDirection, Location};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

/// What the later migrations did, undone.
const BACK_TO_FIRST: &str = "
    DROP INDEX dataset_product_order;
    CREATE INDEX dataset_product_order
        ON dataset (product, center_us, id, begin_us, end_us, archived_us);
    DROP TABLE lineage;
    DROP TABLE home;
    DROP INDEX location_uri;
    DROP INDEX dataset_changed;
    ALTER TABLE dataset DROP COLUMN changed_us;
    DELETE FROM _sqlx_migrations WHERE version > 1;
    PRAGMA user_version = 1;
";

const FIRST: &str = include_str!("../../../migrations/sqlite/0001_index.sql");

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// Runs statements from outside.
async fn execute(path: &Path, statements: &'static str) {
    let mut connection =
        SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display()))
            .await
            .expect("SQLite opens the file");
    sqlx::raw_sql(statements)
        .execute(&mut connection)
        .await
        .expect("the statements run");
    connection.close().await.expect("it closes");
}

/// Tables with their columns, indexes and triggers.
async fn schema(path: &Path) -> Vec<(String, String, String)> {
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
        .await
        .expect("SQLite opens the file");
    let rows = sqlx::query_as(
        "SELECT s.type, s.name, coalesce(group_concat(c.name || ' ' || c.type || ' ' || \
             c.\"notnull\" || ' ' || c.pk, ', '), '') \
         FROM sqlite_schema AS s LEFT JOIN pragma_table_info(s.name) AS c \
         WHERE s.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         GROUP BY s.type, s.name ORDER BY s.type, s.name",
    )
    .fetch_all(&mut connection)
    .await
    .expect("the schema can be read");
    connection.close().await.expect("it closes");
    rows
}

/// Scenes with relations in both layouts, several locations, some archived.
async fn fill(index: &dyn Index) -> Vec<Uuid> {
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    let locations = vec![
        Location::new("s3://a/1.yaml"),
        Location::new("s3://b/1.yaml").archived_at(at("2021-01-01T00:00:00Z")),
    ];
    let mut datasets: Vec<Dataset> = (0..30_u64)
        .map(|n| {
            let sources = [Uuid::from_u128(n.into()), Uuid::from_u128(1000)];
            Scene::of_archive(&given, n)
                .made_from("ard", &sources)
                .locations(locations.clone())
                .dataset()
        })
        .collect();
    let mut document = Scene::new(&given, 99).document();
    document["lineage"] = json!({"source_datasets": {
        "ard1": {"id": Uuid::from_u128(7)}, "ard2": {"id": Uuid::from_u128(8)},
    }});
    let none = Vec::<Location>::new();
    datasets.push(Dataset::from_document(document, Arc::clone(&given), none).expect("it is right"));
    let ids: Vec<Uuid> = datasets.iter().map(Dataset::id).collect();
    let options = AddOptions::default().indexed_at(at("2021-05-05T00:00:00.000001Z"));
    let outcomes = index
        .add_datasets(datasets, &options)
        .await
        .expect("written");
    assert!(
        outcomes.iter().all(datacube_index::AddOutcome::is_added),
        "{outcomes:?}"
    );
    index
        .archive(&ids[..3], at("2022-02-02T00:00:00Z"))
        .await
        .expect("written");
    ids
}

#[tokio::test]
async fn files_of_the_first_schema_are_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, fresh) = (
        folder.path().join("index.db"),
        folder.path().join("first.db"),
    );
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    let ids = fill(&index).await;
    let query = Query::new().archived(ArchivedFilter::Any);
    let datasets = index.find(&query).await.expect("read");
    let lineage: Vec<_> = index.all_lineage().try_collect().await.expect("read");
    assert_eq!(lineage.len(), 62);
    index.close().await.expect("closed");
    let newest = schema(&path).await;
    execute(&path, BACK_TO_FIRST).await;
    // It is what the first version made.
    execute(&fresh, FIRST).await;
    assert_eq!(schema(&path).await, schema(&fresh).await);

    let index = open(&url(&path)).await.expect("it can be looked at");
    let error = index.find(&query).await.expect_err("it is old");
    assert!(
        matches!(
            error,
            Error::SchemaTooOld {
                found: 1,
                expected: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("system init"), "{error}");
    let outcome = index.init(&InitOptions::default()).await.expect("updated");
    assert_eq!(outcome, InitOutcome::Updated);
    assert_eq!(schema(&path).await, newest);
    assert_eq!(index.check().await.expect("usable").schema_version, 3);
    assert_eq!(index.find(&query).await.expect("read"), datasets);
    let brought_in: Vec<_> = index.all_lineage().try_collect().await.expect("read");
    assert_eq!(brought_in, lineage);
    let derived = index
        .lineage(&[Uuid::from_u128(1000)], LineageDirection::Derived, None)
        .await
        .expect("read");
    assert_eq!(derived.len(), 30);
    assert_eq!(
        index.last_change("ls").await.expect("read"),
        Some(at("2022-02-02T00:00:00Z"))
    );
    let by_place = query.uri(UriMatch::Prefix("s3://b/".to_owned()));
    assert_eq!(index.count(&by_place).await.expect("counted"), 30);
    // And it is used like any other.
    assert!(
        index
            .add_location(ids[30], "s3://c", true)
            .await
            .expect("written")
    );
    let report = index
        .purge(&ids[..3], &datacube_index::PurgeOptions::default())
        .await
        .expect("written");
    assert_eq!(report.purged, ids[..3]);
    let outcome = index.init(&InitOptions::default()).await.expect("there");
    assert_eq!(outcome, InitOutcome::Unchanged);
}

#[tokio::test]
async fn others_see_that_a_file_was_cleared_and_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let first = open_or_init(&url(&path)).await.expect("made");
    let second = open(&url(&path)).await.expect("opened");
    let ids = fill(&*first).await;
    assert_eq!(second.count(&Query::new()).await.expect("counted"), 28);
    let size = std::fs::metadata(&path).expect("it is there").len();
    first.clear().await.expect("written");
    for error in [
        second.count(&Query::new()).await.map(drop),
        second.products().await.map(drop),
        second.archive(&ids, Timestamp::now()).await.map(drop),
        second.check().await.map(drop),
    ] {
        let error = error.expect_err("nothing is there");
        assert!(matches!(error, Error::NotInitialised { .. }), "{error}");
    }
    // The other one makes it anew, with what it knew of products forgotten.
    let made = second.init(&InitOptions::default()).await.expect("made");
    assert_eq!(made, InitOutcome::Created);
    for index in [&first, &second] {
        assert!(index.products().await.expect("read").is_empty());
        assert_eq!(index.count(&Query::new()).await.expect("counted"), 0);
    }
    let given = product("other");
    first.add_product(&given).await.expect("new");
    assert_eq!(second.product_names().await.expect("read"), ["other"]);
    fill(&*second).await;
    assert_eq!(first.count(&Query::new()).await.expect("counted"), 28);
    drop((first, second));
    assert!(std::fs::metadata(&path).expect("it is there").len() <= 2 * size);
}
