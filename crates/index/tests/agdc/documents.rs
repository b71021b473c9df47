//! Documents, locations and lineage as they were given; what cannot be read.

use datacube_index::{Error, IndexExt, Query, open};
use datacube_model::{LineageDirection, LineageRelation};
use datacube_testkit::Cluster;
use futures::StreamExt;
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{DATASETS, ids, legacy, relations, within};

#[tokio::test]
async fn documents_come_back_as_they_were_given() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let index = open(&legacy(&cluster)).await.expect("a legacy index");
    let [first, second, third, fourth, ..] = DATASETS;
    let dataset = index.dataset(third).await.expect("it is there");
    let document = dataset.document();
    assert!(document.get("extent").is_none() && document.get("grid_spatial").is_none());
    assert_eq!(
        document["lineage"],
        json!({"ard1": [first.to_string()], "ard2": [second.to_string()]})
    );
    assert_eq!(dataset.lineage().iter().count(), 2);
    let plain = index.dataset(first).await.expect("it is there");
    assert_eq!(plain.document()["lineage"], json!({}));
    // The newest location is read first; the archived one keeps its place.
    let places = plain.locations();
    let uris: Vec<&str> = places.iter().map(|place| place.uri.as_str()).collect();
    assert_eq!(
        uris,
        [
            "https://host/scene_0.json",
            "s3://bucket/scene_0.json",
            "file:///data/scene_0.json"
        ]
    );
    assert_eq!(
        places.iter().map(|p| p.is_active()).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert!(plain.indexed().is_some());
    let archived = index.dataset(DATASETS[5]).await.expect("it is there");
    assert!(archived.archived().is_some());
    // What was made from what.
    let relation = |derived, classifier: &str, source| LineageRelation {
        classifier: classifier.to_owned(),
        derived,
        source,
    };
    let mut expected = vec![
        relation(third, "ard1", first),
        relation(third, "ard2", second),
        relation(fourth, "l1", third),
    ];
    let key = |r: &LineageRelation| (r.derived, r.classifier.clone(), r.source);
    expected.sort_by_key(key);
    assert_eq!(relations(&*index).await, expected);
    let walked = index
        .lineage(&[fourth], LineageDirection::Sources, None)
        .await;
    assert_eq!(walked.expect("read"), expected);
    let one = index
        .lineage(&[first], LineageDirection::Derived, Some(1))
        .await;
    assert_eq!(one.expect("read"), [relation(third, "ard1", first)]);
    assert_eq!(index.homes(&[first]).await.expect("read"), [None]);
    let there = index.has(&[first, Uuid::nil()]).await.expect("read");
    assert_eq!(there, [true, false]);
    assert!(index.last_change("shared").await.expect("read").is_some());
    let error = index
        .last_change("none")
        .await
        .expect_err("no such product");
    assert!(error.is_not_found(), "{error}");
}

#[tokio::test]
async fn what_the_model_does_not_read_is_named_and_not_left_out() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let index = open(&legacy(&cluster)).await.expect("a legacy index");
    let old = Uuid::from_u128(5);
    assert_eq!(index.product("old").await.expect("read").name(), "old");
    let told = |error: &Error| {
        let text = error.to_string();
        assert!(
            matches!(error, Error::Dataset { id, .. } if *id == old),
            "{text}"
        );
        for part in ["`old`", "before EO3", "driver=agdc"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    told(&index.dataset(old).await.expect_err("it is of before EO3"));
    let found: Vec<_> = index.search(&Query::new()).collect().await;
    let (right, wrong): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    assert_eq!(
        (right.len(), wrong.len()),
        (6, 1),
        "the stream goes on after it"
    );
    told(wrong[0].as_ref().expect_err("just sorted out"));
    // A limit counts what can be read.
    let found: Vec<_> = index.search(&Query::new().limit(3)).collect().await;
    assert_eq!(found.iter().filter(|item| item.is_ok()).count(), 3);
    // How many there are does not take reading them.
    assert_eq!(index.count(&Query::new()).await.expect("counted"), 7);
    let of_the_time = Query::new().time("1990-03-03".parse().expect("a day"));
    assert_eq!(index.count(&of_the_time).await.expect("counted"), 1);
    let elsewhere = Query::new().geometry(within(143.8, 54.9, 144.0, 55.1));
    assert_eq!(
        ids(&*index, &elsewhere).await.len(),
        4,
        "it is far from there"
    );
    let there = Query::new().geometry(within(149.1, -29.2, 149.2, -29.1));
    told(&index.find(&there).await.expect_err("it may be there"));
    told(&index.count(&there).await.expect_err("it may be there"));
}
