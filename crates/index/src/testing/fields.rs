//! Search fields: classes, missing values, mistakes.

use std::sync::Arc;

use datacube_model::{MetadataType, Product};
use jiff::Timestamp;
use serde_json::json;

use super::{Scene, check, fill, metadata_type, product, product_of, refusal, simple_product};
use crate::catalog::{AddOptions, Index, IndexExt};
use crate::error::Error;
use crate::fields::FieldClass;
use crate::query::{FieldTest, Query};
use crate::time_range::TimeRange;

fn with(field: &str, test: impl Into<FieldTest>) -> Query {
    Query::new().field(field, test)
}

async fn fill_scenes(index: &dyn Index, scenes: &[&Scene]) {
    fill(index, scenes.iter().map(|scene| scene.dataset()).collect()).await;
}

/// Three scenes whose fields differ in all respects, in order.
fn three(given: &Arc<Product>) -> [Scene; 3] {
    [
        Scene::new(given, 1)
            .time("2020-01-01")
            .property("odc:region_code", "090084")
            .property("eo:platform", "landsat-8")
            .property("eo:cloud_cover", 12.5)
            .property("landsat:wrs_path", 90)
            .property("is_day", true)
            .property("processed", "2020-02-03T04:05:06.789Z")
            .property("gsd_min", 10)
            .property("gsd_max", 60)
            .property("season_from", "2020-01-01")
            .property("season_to", "2020-03-31"),
        Scene::new(given, 2)
            .time("2020-01-02")
            .property("odc:region_code", "091084")
            .property("eo:platform", "landsat-9")
            .property("eo:cloud_cover", 80)
            .property("landsat:wrs_path", 91)
            .property("is_day", false)
            .property("processed", "2020-02-04T00:00:00Z")
            .property("gsd_min", 30)
            .property("gsd_max", 30)
            .property("season_from", "2020-03-01")
            .property("season_to", "2020-06-30"),
        Scene::new(given, 3)
            .time("2020-01-03")
            .property("odc:region_code", "092084")
            .property("eo:platform", "sentinel-2a")
            .property("eo:cloud_cover", 0)
            .property("landsat:wrs_path", -92)
            .property("is_day", true)
            .property("processed", "2021-01-01T00:00:00Z")
            .property("gsd_min", 100.5)
            .property("gsd_max", 200)
            .property("season_from", "2021-01-01")
            .property("season_to", "2021-12-31"),
    ]
}

pub(super) async fn every_class_of_field_is_compared(index: Arc<dyn Index>) {
    let scenes = three(&product("ls"));
    let [a, b, c] = &scenes;
    fill_scenes(&*index, &[a, b, c]).await;
    let i = &*index;
    for field in ["region_code", "platform"] {
        let value = |scene: &Scene| match field {
            "platform" => scene.dataset().properties().expect("some")["eo:platform"].clone(),
            _ => scene.dataset().properties().expect("some")["odc:region_code"].clone(),
        };
        let text = |scene: &Scene| value(scene).as_str().expect("text").to_owned();
        check(i, with(field, text(b)), &[b]).await;
        check(
            i,
            with(field, vec![text(c), text(a), "none".to_owned()]),
            &[a, c],
        )
        .await;
        check(i, with(field, FieldTest::not(text(a))), &[b, c]).await;
        check(i, with(field, FieldTest::not(vec![text(a), text(b)])), &[c]).await;
        check(i, with(field, "none"), &[]).await;
        check(i, with(field, Vec::<String>::new()), &[]).await;
        check(i, with(field, FieldTest::AllOf(Vec::new())), &[a, b, c]).await;
    }
    check(i, with("cloud_cover", 12.5), &[a]).await;
    check(i, with("cloud_cover", 0), &[c]).await;
    check(i, with("cloud_cover", 0.0..=12.5), &[a, c]).await;
    check(i, with("cloud_cover", FieldTest::less_than(12.5)), &[c]).await;
    check(i, with("cloud_cover", FieldTest::at_least(12.5)), &[a, b]).await;
    check(i, with("cloud_cover", vec![80.0, 0.0]), &[b, c]).await;
    check(i, with("cloud_cover", FieldTest::not(0.0..=20.0)), &[b]).await;
    let both =
        with("cloud_cover", FieldTest::more_than(0)).field("cloud_cover", FieldTest::less_than(80));
    check(i, both, &[a]).await;
    check(i, with("wrs_path", 91), &[b]).await;
    check(i, with("wrs_path", FieldTest::less_than(91)), &[a, c]).await;
    check(i, with("wrs_path", FieldTest::between(-92, 90)), &[a, c]).await;
    check(i, with("is_day", true), &[a, c]).await;
    check(i, with("is_day", FieldTest::not(true)), &[b]).await;
    let instant: Timestamp = "2020-02-03T04:05:06.789Z".parse().expect("a timestamp");
    check(i, with("processed", instant), &[a]).await;
    check(i, with("processed", "2020-02"), &[a, b]).await;
    check(i, with("processed", TimeRange::since(instant)), &[a, b, c]).await;
    check(
        i,
        with("processed", FieldTest::more_than("2020-02-03")),
        &[b, c],
    )
    .await;
    check(i, with("processed", FieldTest::more_than("2020")), &[c]).await;
    check(i, with("gsd", 30), &[a, b]).await;
    check(i, with("gsd", 60), &[a]).await;
    check(i, with("gsd", FieldTest::between(60, 101)), &[a, c]).await;
    check(i, with("gsd", FieldTest::more_than(60)), &[c]).await;
    check(i, with("gsd", FieldTest::less_than(10)), &[]).await;
    check(i, with("season", "2020-03"), &[a, b]).await;
    check(
        i,
        with("season", FieldTest::at_least("2020-06-30")),
        &[b, c],
    )
    .await;
    check(i, with("season", FieldTest::not("2020")), &[c]).await;
    // Several fields are all required.
    check(
        i,
        with("is_day", true).field("gsd", FieldTest::at_most(60)),
        &[a],
    )
    .await;
    check(
        i,
        with("region_code", "091084").field("platform", "landsat-8"),
        &[],
    )
    .await;
}

pub(super) async fn missing_values_pass_only_not(index: Arc<dyn Index>) {
    let given = product("ls");
    let bare = Scene::new(&given, 1).time("2020-01-01");
    let null = Scene::new(&given, 2)
        .time("2020-01-02")
        .property("odc:region_code", json!(null));
    let not_a_number = Scene::new(&given, 3)
        .time("2020-01-03")
        .property("eo:cloud_cover", "NaN");
    let open = Scene::new(&given, 4)
        .time("2020-01-04")
        .property("gsd_min", 50);
    let all = [&bare, &null, &not_a_number, &open];
    fill_scenes(&*index, &all).await;
    for (field, test) in [
        ("region_code", FieldTest::is("090084")),
        ("platform", FieldTest::any_of(["x", "y"])),
        ("cloud_cover", FieldTest::at_least(0)),
        (
            "cloud_cover",
            FieldTest::between(f64::NEG_INFINITY, f64::INFINITY),
        ),
        ("wrs_path", FieldTest::at_most(0)),
        ("is_day", FieldTest::is(false)),
        ("processed", FieldTest::is("2020")),
    ] {
        check(&*index, with(field, test.clone()), &[]).await;
        check(&*index, with(field, FieldTest::not(test.clone())), &all).await;
        check(
            &*index,
            with(field, FieldTest::not(FieldTest::not(test))),
            &[],
        )
        .await;
    }
    // A range without an end goes on.
    check(&*index, with("gsd", FieldTest::at_least(1e300)), &[&open]).await;
    check(&*index, with("gsd", FieldTest::less_than(50)), &[]).await;
}

pub(super) async fn text_is_compared_letter_for_letter(index: Arc<dyn Index>) {
    let given = product("ls");
    let texts = [
        "plain",
        "Plain",
        "plain ",
        "",
        "100%",
        "it's",
        "\"quoted\"",
        "a\\b",
        "[\"a\"]",
        "é",
        "e\u{301}",
        "\u{1F6F0}",
        "null",
        "5",
        "5.0",
        "line\nbreak",
        "*",
        "?1",
        "'; DROP TABLE dataset; --",
    ];
    let scenes: Vec<Scene> = texts
        .iter()
        .zip(0_u64..)
        .map(|(text, n)| {
            Scene::new(&given, n)
                .property("odc:region_code", *text)
                .property("eo:platform", *text)
        })
        .collect();
    fill_scenes(&*index, &scenes.iter().collect::<Vec<_>>()).await;
    for (text, scene) in texts.iter().zip(&scenes) {
        for field in ["region_code", "platform"] {
            check(&*index, with(field, *text), &[scene]).await;
            check(&*index, with(field, vec![*text, "none"]), &[scene]).await;
        }
    }
    check(&*index, with("platform", "PLAIN"), &[]).await;
    // A number in a field of text is the text of the number.
    let number = Scene::new(&given, 99).property("odc:region_code", 90084);
    fill_scenes(&*index, &[&number]).await;
    check(&*index, with("region_code", "90084"), &[&number]).await;
}

pub(super) async fn what_every_dataset_has_is_a_field_too(index: Arc<dyn Index>) {
    let (ls, s2) = (product("ls"), simple_product("s2"));
    let a = Scene::new(&ls, 1).time_range("2020-01-01", "2020-01-31T00:00:00Z");
    let b = Scene::new(&s2, 2)
        .time("2020-02-01")
        .property("odc:processing_datetime", "2021-05-05T01:02:03Z")
        .property("odc:file_format", "NetCDF");
    for product in [&ls, &s2] {
        index.add_product(product).await.expect("added");
    }
    for (scene, when) in [(&a, "2024-01-01T00:00:00Z"), (&b, "2024-02-01T00:00:00Z")] {
        let options = AddOptions::default().indexed_at(when.parse().expect("a timestamp"));
        index
            .add_datasets(vec![scene.dataset()], &options)
            .await
            .expect("written");
    }
    let i = &*index;
    let label = b.dataset().label().expect("it has one").to_owned();
    check(i, with("label", label), &[&b]).await;
    check(i, with("format", "NetCDF"), &[&b]).await;
    check(i, with("format", FieldTest::not("NetCDF")), &[&a]).await;
    check(i, with("creation_time", "2021"), &[&b]).await;
    check(i, with("creation_time", "2020-06-01"), &[&a]).await;
    check(i, with("indexed_time", "2024-01"), &[&a]).await;
    check(
        i,
        with("indexed_time", FieldTest::more_than("2024-01")),
        &[&b],
    )
    .await;
    check(i, with("product", "ls"), &[&a]).await;
    check(i, with("product", FieldTest::not("ls")), &[&b]).await;
    check(i, with("product", "none"), &[]).await;
    check(i, with("metadata_type", "eo3"), &[&b]).await;
    check(
        i,
        with("metadata_type", vec!["eo3", "eo3_fields"]),
        &[&a, &b],
    )
    .await;
    check(i, with("time", "2020-01-15"), &[&a]).await;
    check(i, with("time", FieldTest::not("2020-01")), &[&b]).await;
    check(i, with("time", vec!["2020-01-31", "2020-02"]), &[&a, &b]).await;
}

pub(super) async fn products_without_a_field_are_left_out(index: Arc<dyn Index>) {
    let (ls, s2) = (product("ls"), simple_product("s2"));
    let a = Scene::new(&ls, 1)
        .property("landsat:wrs_path", 90)
        .time("2020-01-01");
    let b = Scene::new(&s2, 2)
        .property("landsat:wrs_path", 90)
        .time("2020-01-02");
    fill_scenes(&*index, &[&a, &b]).await;
    check(&*index, with("wrs_path", 90), &[&a]).await;
    check(&*index, with("wrs_path", FieldTest::not(91)), &[&a]).await;
    check(&*index, with("wrs_path", 90).products(["ls", "s2"]), &[&a]).await;
    let error = refusal(&*index, &with("wrs_path", 90).product("s2")).await;
    assert!(
        matches!(&error, Error::UnknownField { field, .. } if field == "wrs_path"),
        "{error}"
    );
    // One field of each: no product has both.
    check(
        &*index,
        with("wrs_path", 90).field("instrument", "MSI"),
        &[],
    )
    .await;
}

pub(super) async fn wrong_fields_and_types_are_refused(index: Arc<dyn Index>) {
    let i = &*index;
    let error = refusal(i, &with("cloud_cover", 5)).await;
    assert!(
        error.to_string().contains("no product to search yet"),
        "{error}"
    );
    fill_scenes(i, &[&Scene::new(&product("ls"), 1)]).await;
    let error = refusal(i, &with("clod_cover", 5)).await;
    let text = error.to_string();
    assert!(text.contains("did you mean `cloud_cover`"), "{text}");
    assert!(
        text.contains("region_code") && text.contains("wrs_path") && text.contains("label"),
        "{text}"
    );
    let error = refusal(i, &with("cloud_cover", "low")).await;
    assert!(matches!(&error, Error::WrongFieldType { .. }), "{error}");
    assert!(error.to_string().contains("holds numbers"), "{error}");
    assert!(
        refusal(i, &with("platform", 8))
            .await
            .to_string()
            .contains("holds text")
    );
    assert!(
        refusal(i, &with("platform", 1..=8))
            .await
            .to_string()
            .contains("holds text")
    );
    assert!(
        refusal(i, &with("is_day", "yes"))
            .await
            .to_string()
            .contains("true or false")
    );
    assert!(
        refusal(i, &with("processed", "soon"))
            .await
            .to_string()
            .contains("no time")
    );
    assert!(
        refusal(i, &with("extra", "x"))
            .await
            .to_string()
            .contains("objects")
    );
    assert!(
        refusal(i, &with("lat", 5))
            .await
            .to_string()
            .contains("geometry")
    );
    let reversed = with("cloud_cover", FieldTest::between(5, 1));
    assert!(refusal(i, &reversed).await.to_string().contains("exchange"));
    assert!(
        refusal(i, &with("cloud_cover", f64::NAN))
            .await
            .to_string()
            .contains("NaN")
    );
    let nested = FieldTest::not(vec!["a"]);
    assert!(
        refusal(i, &with("gsd", nested))
            .await
            .to_string()
            .contains("holds numbers")
    );
    // Products that disagree about a field cannot be searched by it together.
    let mut document = metadata_type().document().clone();
    document["name"] = "other".into();
    document["dataset"]["search_fields"]["cloud_cover"]["type"] = "string".into();
    let other = MetadataType::from_document(document).expect("a right document");
    let other = product_of("other", &other);
    fill_scenes(
        i,
        &[&Scene::new(&other, 1).property("eo:cloud_cover", "low")],
    )
    .await;
    let error = refusal(i, &with("cloud_cover", 5)).await;
    assert!(
        error
            .to_string()
            .contains("numbers in product `ls` and text in product `other`"),
        "{error}"
    );
    let query = with("cloud_cover", "low").product("other");
    assert_eq!(i.count(&query).await.expect("one product"), 1);
    let fields = i
        .search_fields(&["ls".to_owned()])
        .await
        .expect("a product");
    assert_eq!(fields.class("cloud_cover"), Some(FieldClass::Number));
    assert_eq!(fields.class("nothing"), None);
    assert!(i.search_fields(&["none".to_owned()]).await.is_err());
}
