//! Results in orders of their own.

use std::sync::Arc;

use datacube_model::Dataset;
use serde_json::json;
use uuid::Uuid;

use super::{Scene, check, fill, found, product, refusal, simple_product};
use crate::catalog::Index;
use crate::error::Error;
use crate::query::{ArchivedFilter, FieldTest, Order, Query};

async fn fill_scenes(index: &dyn Index, scenes: &[Scene]) {
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
}

/// Checks both directions of an order: these scenes, then those without a
/// value, which are last in both.
async fn check_order(index: &dyn Index, field: &str, with: &[&Scene], without: &[&Scene]) {
    let all: Vec<&Scene> = with.iter().chain(without).copied().collect();
    check(index, Query::new().order_by(Order::ascending(field)), &all).await;
    let all: Vec<&Scene> = with.iter().rev().chain(without).copied().collect();
    check(index, Query::new().order_by(Order::descending(field)), &all).await;
}

pub(super) async fn every_field_orders_and_what_has_none_is_last(index: Arc<dyn Index>) {
    let given = product("ls");
    // Earlier ones have the greater numbers, so that time alone orders otherwise.
    let scene = |n: u64| {
        Scene::new(&given, n)
            .at(
                140.0 + 2.0 * f64::from(u32::try_from(n).expect("few")),
                -35.0,
            )
            .time(&format!("2020-01-{:02}T00:00:00Z", 28 - n))
    };
    let texts = ["", "A", "B", "a", "é", "\u{10000}"];
    let mut scenes: Vec<Scene> = (0..6_u64)
        .zip(texts)
        .map(|(n, text)| {
            #[allow(clippy::cast_precision_loss, reason = "few")]
            let x = n as f64;
            scene(n)
                .property("odc:region_code", text)
                .property("eo:platform", text)
                .property("eo:cloud_cover", x.mul_add(0.1, -0.25))
                .property("landsat:wrs_path", n * 1_000_000_007)
                .property(
                    "processed",
                    format!("2020-02-{:02}T00:00:00.000001Z", n + 1),
                )
                .property("gsd_min", 10.0)
                .property("gsd_max", 10.0 + x)
                .property("season_from", format!("2020-03-{:02}T00:00:00Z", n + 1))
                .property("season_to", "2020-12-01T00:00:00Z")
                .property(
                    "odc:processing_datetime",
                    format!("2020-06-{:02}T00:00:00Z", n + 1),
                )
                .property("odc:file_format", format!("F{n}"))
        })
        .collect();
    scenes.push(
        Scene::new(&given, 7)
            .at(160.0, -20.0)
            .time("2020-02-05T00:00:00Z"),
    );
    fill_scenes(&*index, &scenes).await;
    let with: Vec<&Scene> = scenes[..6].iter().collect();
    for field in [
        "region_code",
        "platform",
        "cloud_cover",
        "wrs_path",
        "processed",
        "gsd",
        "season",
    ] {
        check_order(&*index, field, &with, &[&scenes[6]]).await;
    }
    // These everything has.
    let mut by_creation = with.clone();
    by_creation.insert(1, &scenes[6]);
    check(
        &*index,
        Query::new()
            .order_by(Order::ascending("creation_time"))
            .order_by(Order::descending("time")),
        // The first and the last were made on the same day.
        &[&[&scenes[6], &scenes[0]], &with[1..]].concat(),
    )
    .await;
    let everything: Vec<&Scene> = with.iter().copied().chain([&scenes[6]]).collect();
    check_order(&*index, "lon", &everything, &[]).await;
    check_order(&*index, "format", &everything, &[]).await;
    let mut by_time: Vec<&Scene> = with.iter().rev().copied().collect();
    by_time.push(&scenes[6]);
    check_order(&*index, "time", &by_time, &[]).await;
    let mut by_id = everything.clone();
    by_id.sort_by_key(|scene| scene.id());
    check_order(&*index, "id", &by_id, &[]).await;
    let mut by_label = everything;
    by_label.sort_by_key(|scene| scene.document()["label"].to_string());
    check_order(&*index, "label", &by_label, &[]).await;
}

pub(super) async fn ties_are_in_the_usual_order_and_fields_add_up(index: Arc<dyn Index>) {
    let (a, b) = (product("a"), product("b"));
    let scenes: Vec<Scene> = (0..40)
        .map(|n| {
            Scene::of_archive(if n % 2 == 0 { &a } else { &b }, n * 7)
                .property("landsat:wrs_path", n % 5)
                .property("is_day", n % 3 == 0)
        })
        .collect();
    fill_scenes(&*index, &scenes).await;
    let usual = found(&*index, &Query::new()).await;
    let scene = |id: &Uuid| {
        let number = scenes.iter().position(|scene| scene.id() == *id);
        number.expect("it is one of them")
    };
    let mut expected = usual.clone();
    // Stable: what is equal stays as it was.
    expected.sort_by_key(|id| (scene(id) % 2, std::cmp::Reverse(scene(id) % 5)));
    let query = Query::new()
        .order_by(Order::ascending("product"))
        .order_by(Order::descending("wrs_path"));
    assert_eq!(found(&*index, &query).await, expected);
    let mut expected = usual;
    expected.sort_by_key(|id| scene(id) % 3 != 0);
    let query = Query::new()
        .order_by(Order::descending("is_day"))
        .order_by(Order::ascending("metadata_type"));
    assert_eq!(found(&*index, &query).await, expected);
}

pub(super) async fn a_limit_keeps_the_first_of_the_order(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..900)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    fill(&*index, datasets).await;
    for test in [None, Some(FieldTest::at_most(30))] {
        let mut query = Query::new().order_by(Order::descending("cloud_cover"));
        if let Some(test) = test {
            query = query.field("cloud_cover", test);
        }
        let all = found(&*index, &query).await;
        assert!(all.len() > 100);
        for limit in [0, 1, 33, 2000] {
            let n = limit.min(all.len());
            assert_eq!(found(&*index, &query.clone().limit(limit)).await, all[..n]);
        }
    }
}

pub(super) async fn states_and_places_order_too(index: Arc<dyn Index>) {
    let given = product("ls");
    let place = |uri: &str| vec![uri.into()];
    let scenes = [
        Scene::new(&given, 1).locations(place("s3://b")),
        Scene::new(&given, 2).locations(place("s3://a")),
        Scene::new(&given, 3).locations(Vec::new()),
    ];
    fill_scenes(&*index, &scenes).await;
    let [b, a, none] = &scenes;
    check_order(&*index, "uri", &[a, b], &[none]).await;
    let when = |text: &str| text.parse().expect("a timestamp");
    index
        .archive(&[b.id()], when("2021-01-01T00:00:00Z"))
        .await
        .expect("written");
    index
        .archive(&[none.id()], when("2020-01-01T00:00:00Z"))
        .await
        .expect("written");
    let query = Query::new()
        .archived(ArchivedFilter::Any)
        .order_by(Order::ascending("archived"));
    check(&*index, query, &[none, b, a]).await;
}

pub(super) async fn impossible_orders_are_refused(index: Arc<dyn Index>) {
    let (rich, simple) = (product("rich"), simple_product("simple"));
    let scenes = [
        Scene::new(&rich, 1).property("extra", json!({"a": 1})),
        Scene::new(&simple, 1),
    ];
    fill_scenes(&*index, &scenes).await;
    let by = |field: &str| Query::new().order_by(Order::ascending(field));
    let error = refusal(&*index, &by("cloud_cove")).await;
    assert!(
        matches!(&error, Error::UnknownField { .. })
            && error.to_string().contains("did you mean `cloud_cover`"),
        "{error}"
    );
    let error = refusal(&*index, &by("extra")).await;
    assert!(error.to_string().contains("objects"), "{error}");
    // What only one product has is no value of the other.
    check(
        &*index,
        by("wrs_path").order_by(Order::ascending("product")),
        &[&scenes[0], &scenes[1]],
    )
    .await;
    let error = refusal(&*index, &by("wrs_path").product("simple")).await;
    assert!(error.to_string().contains("product `simple`"), "{error}");
}
