//! Where datasets are, and finding them by that.

use std::sync::Arc;

use datacube_model::Location;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Scene, check, fill, product};
use crate::catalog::{Index, IndexExt};
use crate::query::{ArchivedFilter, Query, UriMatch};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// Checks where a dataset is: archived locations in brackets.
async fn check_places(index: &dyn Index, id: Uuid, expected: &[&str]) {
    let dataset = index.dataset(id).await.expect("it is there");
    let shown: Vec<String> = dataset
        .locations()
        .iter()
        .map(|location| match location.archived {
            Some(_) => format!("({})", location.uri),
            None => location.uri.clone(),
        })
        .collect();
    assert_eq!(shown, expected);
}

pub(super) async fn locations_come_go_and_change_places(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scene = Scene::new(&given, 1).locations(vec!["s3://a".into(), "s3://b".into()]);
    let other = Scene::new(&given, 2).locations(vec!["s3://a".into()]);
    fill(index, vec![scene.dataset(), other.dataset()]).await;
    let id = scene.id();
    let done = |changed: crate::Result<bool>| changed.expect("written");
    assert!(!done(index.add_location(id, "s3://a", false).await));
    assert!(!done(index.add_location(id, "s3://b", false).await));
    assert!(!done(index.add_location(id, "s3://a", true).await));
    check_places(index, id, &["s3://a", "s3://b"]).await;
    assert!(done(index.add_location(id, "s3://c", false).await));
    assert!(done(index.add_location(id, "s3://b", true).await));
    assert!(done(index.add_location(id, "s3://d", true).await));
    check_places(index, id, &["s3://d", "s3://b", "s3://a", "s3://c"]).await;
    let when = at("2021-02-03T04:05:06.000007Z");
    assert!(done(index.archive_location(id, "s3://d", when).await));
    let again = at("2022-01-01T00:00:00Z");
    assert!(!done(index.archive_location(id, "s3://d", again).await));
    assert!(!done(index.archive_location(id, "s3://x", when).await));
    check_places(index, id, &["(s3://d)", "s3://b", "s3://a", "s3://c"]).await;
    let dataset = index.dataset(id).await.expect("it is there");
    assert_eq!(dataset.locations()[0].archived, Some(when));
    assert_eq!(dataset.uri(), Some("s3://b"));
    assert!(done(index.restore_location(id, "s3://d").await));
    assert!(!done(index.restore_location(id, "s3://d").await));
    assert!(!done(index.restore_location(id, "s3://x").await));
    assert!(done(index.archive_location(id, "s3://c", when).await));
    assert!(done(index.add_location(id, "s3://c", false).await));
    assert!(done(index.remove_location(id, "s3://a").await));
    assert!(!done(index.remove_location(id, "s3://a").await));
    check_places(index, id, &["s3://d", "s3://b", "s3://c"]).await;
    for uri in ["s3://b", "s3://c", "s3://d"] {
        assert!(done(index.remove_location(id, uri).await));
    }
    check_places(index, id, &[]).await;
    check_places(index, other.id(), &["s3://a"]).await;
    let nobody = Uuid::from_u128(1);
    for error in [
        index.add_location(nobody, "s3://a", true).await,
        index.remove_location(nobody, "s3://a").await,
        index.archive_location(nobody, "s3://a", when).await,
        index.restore_location(nobody, "s3://a").await,
    ] {
        let error = error.expect_err("there is no such dataset");
        assert!(error.is_not_found(), "{error}");
    }
}

pub(super) async fn datasets_are_found_by_where_they_are(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let when = at("2021-01-01T00:00:00Z");
    let scene = |n: u64, places: &[&str]| {
        let locations = places.iter().map(|uri| Location::new(*uri)).collect();
        Scene::new(&given, n)
            .time(&format!("2020-01-{:02}T00:00:00Z", n + 1))
            .locations(locations)
    };
    let scenes = [
        scene(0, &["s3://bucket/a/1.yaml", "https://host/a/1.yaml"]),
        scene(1, &["s3://bucket/a/2.yaml"]),
        scene(2, &["s3://bucket/ab/1.yaml"]),
        scene(
            3,
            &[
                "s3://bucket/a%/1_.yaml",
                "s3://bucket/é/x",
                "S3://BUCKET/a/1.yaml",
            ],
        ),
        scene(4, &[]),
        scene(5, &["s3://bucket/a/\u{10ffff}", "s3://bucket/a/\u{d7ff}z"]),
    ];
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    let [s0, s1, s2, s3, _, s5] = &scenes;
    let exact = |uri: &str| Query::new().uri(UriMatch::Exact(uri.to_owned()));
    let prefix = |uri: &str| Query::new().uri(UriMatch::Prefix(uri.to_owned()));
    check(index, exact("s3://bucket/a/1.yaml"), &[s0]).await;
    check(index, exact("s3://bucket/a/"), &[]).await;
    check(index, exact("https://host/a/1.yaml"), &[s0]).await;
    check(index, prefix("s3://bucket/a/"), &[s0, s1, s5]).await;
    check(index, prefix("s3://bucket/a"), &[s0, s1, s2, s3, s5]).await;
    check(index, prefix("s3://bucket/a%/1_"), &[s3]).await;
    check(index, prefix("s3://bucket/_"), &[]).await;
    check(index, prefix("s3://bucket/é"), &[s3]).await;
    check(index, prefix("s3://bucket/a/\u{10ffff}"), &[s5]).await;
    check(index, prefix("s3://bucket/a/\u{d7ff}"), &[s5]).await;
    check(index, prefix("S3://"), &[s3]).await;
    // Everything that is somewhere.
    check(index, prefix(""), &[s0, s1, s2, s3, s5]).await;
    let either = exact("s3://bucket/a/2.yaml").uri(UriMatch::Prefix("s3://bucket/ab".to_owned()));
    check(index, either.clone(), &[s1, s2]).await;
    check(index, either.clone().limit(1), &[s1]).await;
    check(index, either.clone().product("ls").ids([s2.id()]), &[s2]).await;
    let february = "2020-02".parse().expect("a month");
    check(index, either.time(february), &[]).await;
    // Archived locations count where archived datasets are asked for.
    index
        .archive_location(s1.id(), "s3://bucket/a/2.yaml", when)
        .await
        .expect("written");
    check(index, exact("s3://bucket/a/2.yaml"), &[]).await;
    let any = exact("s3://bucket/a/2.yaml").archived(ArchivedFilter::Any);
    check(index, any, &[s1]).await;
    index.archive(&[s0.id()], when).await.expect("written");
    check(index, prefix("s3://bucket/a/"), &[s5]).await;
    let archived = prefix("s3://bucket/a/").archived(ArchivedFilter::Archived);
    check(index, archived, &[s0]).await;
}
