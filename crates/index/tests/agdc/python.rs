//! The legacy index beside Python's datacube 1.9.22, whose driver `postgres`
//! makes it and reads it too, through `tests/interop/index_agdc.py`.

use std::collections::{BTreeMap, BTreeSet};

use datacube_index::{ArchivedFilter, FieldTest, Index, IndexExt, Query, UriMatch, open};
use datacube_model::Dataset;
use datacube_testkit::Cluster;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{CONTENTS, DATASETS, database_of, within};

const SCRIPT: &str = "index_agdc.py";
const MODULES: [&str; 2] = ["datacube", "psycopg2"];

/// Runs the script; `None` where there is no such Python.
fn python(args: &[&str]) -> Option<Value> {
    let mut command = datacube_testkit::python(SCRIPT, &MODULES)?;
    let output = command.args(args).output().expect("Python can be run");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

fn sorted(ids: impl IntoIterator<Item = Uuid>) -> Value {
    let ids: BTreeSet<String> = ids.into_iter().map(|id| id.to_string()).collect();
    json!(ids)
}

async fn found(index: &dyn Index, query: Query) -> Value {
    let query = query.product("shared");
    let found = index.find(&query).await.expect("read");
    let n = index.count(&query).await.expect("counted");
    assert_eq!(n, found.len() as u64, "{query:?}");
    sorted(found.iter().map(Dataset::id))
}

#[tokio::test]
async fn both_find_the_same_in_what_python_made() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = cluster.database();
    let database = database_of(&url);
    let pythons = format!(
        "postgresql+psycopg2://postgres@/{database}?host={}",
        cluster.socket().display()
    );
    let Some(_) = python(&["make", &pythons]) else {
        return;
    };
    let before = cluster.sql(database, CONTENTS);
    // As Python's own configuration names it, with SQLAlchemy's driver.
    let index = open(&format!("{pythons}&driver=postgres")).await;
    let index = index.expect("a legacy index");
    let told = python(&["read", &pythons]).expect("it was there before");
    let names: BTreeSet<String> = index
        .metadata_types()
        .await
        .expect("read")
        .iter()
        .map(|found| found.name().to_owned())
        .collect();
    assert_eq!(told["metadata_types"], json!(names));
    let product = index.product("shared").await.expect("read");
    assert_eq!(told["product"], *product.document());

    let time = |text: &str| Query::new().time(text.parse().expect("a period"));
    let field = |name: &str, test: FieldTest| Query::new().field(name, test);
    let first_days = datacube_index::TimeRange::parse_between("2020-01-01", "2020-01-12");
    for (name, query) in [
        ("all", Query::new()),
        ("january", Query::new().time(first_days.expect("days"))),
        ("during", time("2020-02-11")),
        (
            "here",
            Query::new().geometry(within(143.8, 54.9, 144.0, 55.1)),
        ),
        (
            "here_in_january",
            Query::new()
                .geometry(within(143.8, 54.9, 144.0, 55.1))
                .time("2020-01".parse().expect("a month")),
        ),
        (
            "east_of_fiji",
            Query::new().geometry(within(179.99, -19.0, 180.0, -17.0)),
        ),
        ("region", field("region_code", "090084".into())),
        (
            "regions",
            field("region_code", vec!["090084", "fiji"].into()),
        ),
        ("platform", field("platform", "landsat-8".into())),
        ("label", field("label", "scene_2".into())),
        (
            "little_cloud",
            field("cloud_cover", FieldTest::between(0, 20)),
        ),
        ("archived", Query::new().archived(ArchivedFilter::Archived)),
        ("either", Query::new().archived(ArchivedFilter::Any)),
        (
            "at_a_uri",
            Query::new().uri(UriMatch::Exact("https://host/scene_0.json".to_owned())),
        ),
    ] {
        assert_eq!(found(&*index, query).await, told[name], "{name}");
    }
    // Where Python forgets those that have no value.
    let not_there = field("region_code", FieldTest::not("090084"));
    let ours: BTreeSet<String> =
        serde_json::from_value(found(&*index, not_there).await).expect("ids");
    let pythons_own: BTreeSet<String> =
        serde_json::from_value(told["not_region"].clone()).expect("ids");
    assert!(ours.is_superset(&pythons_own), "{ours:?} {pythons_own:?}");
    // Where it finds all products, archived ones too.
    let below = Query::new()
        .products(["shared", "other"])
        .archived(ArchivedFilter::Any)
        .uri(UriMatch::Prefix("file:///data/scene_".to_owned()));
    let below = index.find(&below).await.expect("read");
    assert_eq!(sorted(below.iter().map(Dataset::id)), told["below_a_uri"]);

    let counts: BTreeMap<String, u64> = index
        .count_by_product(&Query::new())
        .await
        .expect("counted")
        .into_iter()
        .collect();
    assert_eq!(json!(counts), told["count"]);
    let lineage: Vec<Value> = index
        .all_lineage()
        .map_ok(|r| json!([r.derived.to_string(), r.classifier, r.source.to_string()]))
        .try_collect()
        .await
        .expect("read");
    assert_eq!(json!(lineage), told["lineage"]);
    for id in DATASETS.iter().take(6) {
        let dataset = index.dataset(*id).await.expect("it is there");
        let key = id.to_string();
        let uris: Vec<&str> = dataset.active_uris().collect();
        assert_eq!(json!(uris), told["uris"][&key], "{key}");
        let indexed: Timestamp = told["indexed"][&key]
            .as_str()
            .and_then(|text| text.parse().ok())
            .expect("a time");
        assert_eq!(dataset.indexed(), Some(indexed));
        let stored = told["documents"][&key].as_object().expect("a document");
        let own = dataset.document().as_object().expect("a document");
        for (name, value) in own.iter().filter(|(name, _)| *name != "lineage") {
            assert_eq!(stored[name], *value, "{key}: {name}");
        }
        // What Python adds, and nothing else.
        let added: BTreeSet<&str> = stored
            .keys()
            .filter(|name| !own.contains_key(*name))
            .map(String::as_str)
            .collect();
        assert_eq!(added, BTreeSet::from(["extent", "grid_spatial"]), "{key}");
    }
    assert_eq!(
        cluster.sql(database, CONTENTS),
        before,
        "nothing was written"
    );
}
