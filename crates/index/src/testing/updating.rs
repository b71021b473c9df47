//! Definitions and datasets replaced by newer ones.

use std::sync::Arc;

use datacube_model::{Dataset, Location, MetadataType, Product, Verdict};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, check, fill, found, metadata_type, product};
use crate::catalog::{
    Index, IndexExt, LocationPolicy, UpdateDatasetOptions, UpdateOptions, UpdateOutcome,
};
use crate::error::Error;
use crate::query::{ArchivedFilter, FieldTest, Query};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn edited_type(edit: impl FnOnce(&mut Value)) -> MetadataType {
    let mut document = metadata_type().document().clone();
    edit(&mut document);
    MetadataType::from_document(document).expect("a right document")
}

fn edited_product(of: &Product, edit: impl FnOnce(&mut Value)) -> Product {
    let mut document = of.document().clone();
    edit(&mut document);
    Product::from_document(document, of.metadata_type()).expect("a right document")
}

/// `safe PATH` or `unsafe PATH` for each change.
fn shown(changes: &datacube_model::Changes) -> Vec<String> {
    changes
        .iter()
        .map(|change| match change.verdict {
            Verdict::Safe => format!("safe {}", change.path),
            Verdict::Unsafe { .. } => format!("unsafe {}", change.path),
        })
        .collect()
}

pub(super) async fn products_are_replaced_safely(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scene = Scene::new(&given, 1);
    fill(index, vec![scene.dataset()]).await;
    let same = index
        .update_product(&given, &UpdateOptions::default())
        .await
        .expect("nothing to do");
    assert!(same.changes.is_empty() && !same.written);
    let grown = edited_product(&given, |document| {
        document["description"] = json!("other words");
        let list = document["measurements"].as_array_mut().expect("a list");
        list[0]["aliases"] = json!(["band_4", "b4"]);
        list.push(json!({"name": "swir", "dtype": "uint16", "nodata": 0, "units": "1"}));
    });
    let trial = UpdateOptions::default().dry_run(true);
    let expected = [
        "safe description",
        "safe measurements[0].aliases",
        "safe measurements[2]",
    ];
    let tried = index.update_product(&grown, &trial).await.expect("safe");
    assert_eq!(shown(&tried.changes), expected);
    assert!(!tried.written);
    assert_eq!(*index.product("ls").await.expect("there"), *given);
    let done = index
        .update_product(&grown, &UpdateOptions::default())
        .await
        .expect("safe");
    assert_eq!(shown(&done.changes), expected);
    assert!(done.written);
    assert_eq!(*index.product("ls").await.expect("there"), grown);
    // A dataset that was there lacks the new measurement, and is still read.
    let back = index.dataset(scene.id()).await.expect("it is there");
    assert_eq!(back.document(), &scene.document());
    assert_eq!(**back.product(), grown);
    check(index, Query::new().product("ls"), &[&scene]).await;
}

pub(super) async fn unsafe_changes_need_leave(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    fill(index, vec![Scene::new(&given, 1).dataset()]).await;
    let changed = edited_product(&given, |document| {
        document["measurements"][1]["nodata"] = json!(255);
        document["license"] = json!("CC-BY-4.0");
    });
    for dry_run in [false, true] {
        let options = UpdateOptions::default().dry_run(dry_run);
        let error = index.update_product(&changed, &options).await;
        let error = error.expect_err("unsafe");
        let Error::UnsafeChanges { changes, name, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(name, "ls");
        assert_eq!(
            shown(changes),
            ["unsafe measurements[1].nodata", "safe license"]
        );
        let text = error.to_string();
        assert!(
            text.contains("1 unsafe change") && text.contains("0 becomes 255, because"),
            "{text}"
        );
        assert_eq!(*index.product("ls").await.expect("there"), *given);
    }
    let options = UpdateOptions::default().allow_unsafe(true);
    let done = index.update_product(&changed, &options).await;
    assert!(done.expect("allowed").written);
    assert_eq!(*index.product("ls").await.expect("there"), changed);
    let error = index
        .update_product(&product("ls9"), &options)
        .await
        .expect_err("unknown");
    assert!(
        error.is_not_found() && error.to_string().contains("`ls9`"),
        "{error}"
    );
    let other = edited_type(|document| document["description"] = json!("other words"));
    let of_other = super::product_of("ls", &other);
    let error = index.update_product(&of_other, &options).await;
    let error = error.expect_err("the index has another type of that name");
    assert!(
        matches!(error, Error::DifferentDefinition { .. }),
        "{error}"
    );
    let unknown = edited_type(|document| document["name"] = json!("eo3_more"));
    let error = index
        .update_product(&super::product_of("ls", &unknown), &options)
        .await
        .expect_err("no such type");
    assert!(
        error.is_not_found() && error.to_string().contains("`eo3_more`"),
        "{error}"
    );
    assert_eq!(*index.product("ls").await.expect("there"), changed);
}

pub(super) async fn new_fields_find_what_is_there(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let other = super::simple_product("simple");
    let scenes: Vec<Scene> = (0..6_u64)
        .map(|n| {
            Scene::new(&given, n)
                .time(&format!("2020-01-{:02}T00:00:00Z", n + 1))
                .property("landsat:wrs_row", 80 + n / 2)
                .property("landsat:wrs_path", n)
        })
        .collect();
    let bystander = Scene::new(&other, 1).property("landsat:wrs_row", 80);
    let datasets = scenes.iter().chain([&bystander]).map(Scene::dataset);
    fill(index, datasets.collect()).await;
    let query = Query::new().field("wrs_row", 80);
    assert!(index.find(&query).await.is_err(), "there is no such field");
    let grown = edited_type(|document| {
        let fields = &mut document["dataset"]["search_fields"];
        fields["wrs_row"] = json!({
            "description": "row", "type": "integer", "offset": ["properties", "landsat:wrs_row"],
        });
        fields["wrs_path"]["indexed"] = json!(false);
    });
    let done = index
        .update_metadata_type(&grown, &UpdateOptions::default())
        .await
        .expect("safe");
    assert!(done.written && done.changes.len() == 2, "{}", done.changes);
    let stored = index.metadata_type(grown.name()).await.expect("there");
    assert_eq!(stored, grown);
    check(index, query.clone(), &[&scenes[0], &scenes[1]]).await;
    let query = query.field("wrs_path", FieldTest::at_least(1));
    check(index, query, &[&scenes[1]]).await;
    // Those that come later are found likewise.
    let grown_product = index.product("ls").await.expect("there");
    assert_eq!(grown_product.metadata_type(), &grown);
    let later = Scene::new(&grown_product, 9).property("landsat:wrs_row", 99);
    fill(index, vec![later.dataset()]).await;
    check(index, Query::new().field("wrs_row", 99), &[&later]).await;
    // Back again, which takes the field away.
    let error = index
        .update_metadata_type(&metadata_type(), &UpdateOptions::default())
        .await
        .expect_err("unsafe");
    assert!(matches!(error, Error::UnsafeChanges { .. }), "{error}");
    let options = UpdateOptions::default().allow_unsafe(true);
    let done = index.update_metadata_type(&metadata_type(), &options).await;
    assert!(done.expect("allowed").written);
    assert!(
        index
            .find(&Query::new().field("wrs_row", 80))
            .await
            .is_err()
    );
    let query = Query::new().field("wrs_path", FieldTest::between(2, 3));
    check(index, query, &[&scenes[2], &scenes[3]]).await;
}

pub(super) async fn moved_fields_are_read_anew(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scenes: Vec<Scene> = (0..4_u64)
        .map(|n| {
            Scene::new(&given, n)
                .time(&format!("2020-01-{:02}T00:00:00Z", n + 1))
                .property("odc:region_code", format!("r{n}"))
                .property("other_region", format!("r{}", 3 - n))
                .property("landsat:wrs_path", n)
        })
        .collect();
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    let moved = edited_type(|document| {
        let fields = &mut document["dataset"]["search_fields"];
        fields["region_code"]["offset"] = json!(["properties", "other_region"]);
    });
    let options = UpdateOptions::default().allow_unsafe(true);
    let trial = options.clone().dry_run(true);
    let tried = index.update_metadata_type(&moved, &trial).await;
    assert!(!tried.expect("allowed").written);
    let by_region = |region: &str| Query::new().field("region_code", region);
    check(index, by_region("r0"), &[&scenes[0]]).await;
    let done = index.update_metadata_type(&moved, &options).await;
    assert!(done.expect("allowed").written);
    for n in 0..4 {
        check(index, by_region(&format!("r{n}")), &[&scenes[3 - n]]).await;
    }
    // A type under which a dataset cannot be read changes nothing.
    let wrong = edited_type(|document| {
        let field = &mut document["dataset"]["search_fields"]["wrs_path"];
        *field = json!({
            "description": "path", "type": "datetime", "offset": ["properties", "odc:region_code"],
        });
    });
    let error = index
        .update_metadata_type(&wrong, &options)
        .await
        .expect_err("`r0` is no time");
    assert!(
        matches!(error, Error::Breaks { .. }) && error.to_string().contains("odc:region_code"),
        "{error}"
    );
    let stored = index.metadata_type(moved.name()).await.expect("there");
    assert_eq!(stored, moved);
    let query = Query::new().field("wrs_path", FieldTest::at_most(1));
    check(index, query, &[&scenes[0], &scenes[1]]).await;
    let unknown = edited_type(|document| document["name"] = json!("eo3_more"));
    let error = index.update_metadata_type(&unknown, &options).await;
    assert!(error.expect_err("unknown").is_not_found());
}

pub(super) async fn a_product_may_change_its_type(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scene = Scene::new(&given, 1).property("landsat:wrs_path", 90);
    fill(index, vec![scene.dataset()]).await;
    let of_eo3 = super::simple_product("ls");
    let error = index
        .update_product(&of_eo3, &UpdateOptions::default())
        .await
        .expect_err("unsafe");
    assert!(
        error.to_string().contains("rules of another type"),
        "{error}"
    );
    let options = UpdateOptions::default().allow_unsafe(true);
    let done = index.update_product(&of_eo3, &options).await;
    assert!(done.expect("allowed").written);
    let error = index.find(&Query::new().field("wrs_path", 90)).await;
    assert!(error.is_err(), "`eo3` has no such field");
    check(index, Query::new().field("metadata_type", "eo3"), &[&scene]).await;
    let done = index.update_product(&given, &options).await;
    assert!(done.expect("allowed").written);
    check(index, Query::new().field("wrs_path", 90), &[&scene]).await;
}

async fn update(
    index: &dyn Index,
    datasets: Vec<Dataset>,
    options: &UpdateDatasetOptions,
) -> Vec<UpdateOutcome> {
    let n_datasets = datasets.len();
    let outcomes = index.update_datasets(datasets, options).await;
    let outcomes = outcomes.expect("the index can be written");
    assert_eq!(outcomes.len(), n_datasets);
    outcomes
}

fn anything() -> UpdateDatasetOptions {
    UpdateDatasetOptions::default().allow_any(Vec::<String>::new())
}

pub(super) async fn datasets_are_found_by_what_they_are_now(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let before = Scene::new(&given, 1)
        .property("odc:region_code", "old")
        .property("landsat:wrs_path", 1)
        .property("gsd_min", 10.5)
        .property("gsd_max", 20.25)
        .property("is_day", true)
        .property("eo:cloud_cover", 10.0);
    let other = Scene::new(&given, 2).property("odc:region_code", "old");
    fill(index, vec![before.dataset(), other.dataset()]).await;
    let indexed = index.dataset(before.id()).await.expect("there").indexed();
    let after = before
        .clone()
        .property("odc:region_code", "new")
        .property("landsat:wrs_path", 2)
        .property("gsd_min", 30.0)
        .property("gsd_max", 30.0)
        .property("is_day", false)
        .property("eo:cloud_cover", 90.0)
        .at(10.0, 50.0)
        .time("2022-06-01T00:00:00Z");
    let outcomes = update(index, vec![after.dataset()], &anything()).await;
    assert!(outcomes[0].is_updated(), "{outcomes:?}");
    let back = index.dataset(before.id()).await.expect("it is there");
    assert_eq!(back, after.dataset().with_indexed(indexed));
    let area = |lon: f64, lat: f64| {
        let point = geo_types::Point::new(lon, lat);
        let point = datacube_geo::Geometry::new(point, Some(datacube_geo::Crs::wgs84()));
        Query::new().geometry(point.expect("finite"))
    };
    let day = |text: &str| Query::new().time(text.parse().expect("a period"));
    let field = |name: &str, test: FieldTest| Query::new().field(name, test);
    for (query, scenes) in [
        (Query::new(), vec![&other, &after]),
        (area(10.0, 50.0), vec![&after]),
        (area(147.0, -35.0), vec![&other]),
        (day("2022-06"), vec![&after]),
        (day("2020-01"), vec![&other]),
        (field("region_code", "new".into()), vec![&after]),
        (field("region_code", "old".into()), vec![&other]),
        (field("wrs_path", 2.into()), vec![&after]),
        (field("wrs_path", 1.into()), vec![]),
        (field("gsd", 15.into()), vec![]),
        (field("gsd", 30.into()), vec![&after]),
        (field("is_day", true.into()), vec![]),
        (field("is_day", false.into()), vec![&after]),
        (field("cloud_cover", FieldTest::at_least(50)), vec![&after]),
    ] {
        check(index, query, &scenes).await;
    }
}

pub(super) async fn every_dataset_of_an_update_has_its_outcome(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scenes: Vec<Scene> = (0..5)
        .map(|n| Scene::new(&given, n).property("eo:cloud_cover", 10.0))
        .collect();
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    let when = at("2021-01-01T00:00:00Z");
    index
        .archive(&[scenes[1].id()], when)
        .await
        .expect("written");
    let other_product = product("other");
    index.add_product(&other_product).await.expect("new");
    let clouds = |n: usize, cover: f64| scenes[n].clone().property("eo:cloud_cover", cover);
    let batch = vec![
        clouds(0, 20.0).dataset(),
        clouds(1, 20.0).dataset(),
        scenes[2].dataset(),
        clouds(3, 20.0).property("odc:region_code", "x").dataset(),
        Scene::new(&given, 77).dataset(),
        Scene::new(&other_product, 4)
            .with_id(scenes[4].id())
            .dataset(),
        clouds(0, 20.0).dataset(),
        clouds(0, 30.0).dataset(),
    ];
    let names = |outcomes: &[UpdateOutcome]| -> Vec<String> {
        let name = |outcome: &UpdateOutcome| match outcome {
            UpdateOutcome::Updated(changes) => format!("{} changes", changes.len()),
            UpdateOutcome::Unchanged => "unchanged".to_owned(),
            UpdateOutcome::Failed(_) => "failed".to_owned(),
        };
        outcomes.iter().map(name).collect()
    };
    let options = UpdateDatasetOptions::default().allow_any(["properties", "eo:cloud_cover"]);
    let expected = [
        "1 changes",
        "1 changes",
        "unchanged",
        "failed",
        "failed",
        "failed",
        "unchanged",
        "1 changes",
    ];
    let query = Query::new().archived(ArchivedFilter::Any);
    let before = index.find(&query).await.expect("read");
    let outcomes = update(index, batch.clone(), &options.clone().dry_run(true)).await;
    assert_eq!(names(&outcomes), expected);
    assert_eq!(index.find(&query).await.expect("read"), before);
    let outcomes = update(index, batch, &options).await;
    assert_eq!(names(&outcomes), expected);
    let error = |n: usize| match &outcomes[n] {
        UpdateOutcome::Failed(error) => error,
        other => panic!("{other:?}"),
    };
    let Error::UnsafeChanges { changes, .. } = error(3) else {
        panic!("{:?}", error(3))
    };
    assert_eq!(
        shown(changes),
        [
            "safe properties.eo:cloud_cover",
            "unsafe properties.odc:region_code"
        ]
    );
    assert!(error(4).is_not_found(), "{}", error(4));
    assert!(
        error(5)
            .to_string()
            .contains("cannot become one of `other`")
    );
    let cloudy = |cover: f64| {
        let query = Query::new().archived(ArchivedFilter::Any);
        query.field("cloud_cover", cover)
    };
    let mut others: Vec<Uuid> = vec![scenes[2].id(), scenes[3].id(), scenes[4].id()];
    others.sort();
    assert_eq!(found(index, &cloudy(10.0)).await, others);
    check(index, cloudy(20.0), &[&scenes[1]]).await;
    check(index, cloudy(30.0), &[&scenes[0]]).await;
    let archived = index.dataset(scenes[1].id()).await.expect("there");
    assert_eq!(archived.archived(), Some(when), "it stays archived");
    assert!(update(index, Vec::new(), &options).await.is_empty());
}

pub(super) async fn earlier_locations_stay_or_go(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let when = at("2021-01-01T00:00:00Z");
    let scene = |n, places: &[&str]| {
        let locations = places.iter().map(|uri| Location::new(*uri)).collect();
        Scene::new(&given, n).locations(locations)
    };
    for (n, policy, expected) in [
        (
            1,
            LocationPolicy::Keep,
            &["s3://new", "s3://b", "s3://a", "(s3://c)"][..],
        ),
        (
            2,
            LocationPolicy::Archive,
            &["s3://new", "s3://b", "(s3://a)", "(s3://c)"],
        ),
        (3, LocationPolicy::Forget, &["s3://new", "s3://b"]),
    ] {
        let before = scene(n, &["s3://a", "s3://b", "s3://c"]);
        fill(index, vec![before.dataset()]).await;
        let id = before.id();
        index
            .archive_location(id, "s3://c", when)
            .await
            .expect("written");
        let after = scene(n, &["s3://new", "s3://b"]);
        let options = UpdateDatasetOptions::default().locations(policy);
        for is_first in [true, false] {
            let outcomes = update(index, vec![after.dataset()], &options).await;
            match &outcomes[0] {
                UpdateOutcome::Updated(changes) => assert!(is_first && changes.is_empty()),
                other => assert!(!is_first, "{policy:?}: {other:?}"),
            }
            let back = index.dataset(id).await.expect("it is there");
            let places: Vec<String> = back
                .locations()
                .iter()
                .map(|place| match place.is_active() {
                    true => place.uri.clone(),
                    false => format!("({})", place.uri),
                })
                .collect();
            assert_eq!(places, expected, "{policy:?}");
        }
        // None given: they stay as they are.
        let nowhere = after.dataset().with_locations(Vec::<Location>::new());
        let outcomes = update(index, vec![nowhere], &options).await;
        assert!(
            matches!(outcomes[0], UpdateOutcome::Unchanged),
            "{outcomes:?}"
        );
    }
}

pub(super) async fn documents_restate_their_lineage(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let [a, b, c] = [1, 2, 3].map(Uuid::from_u128);
    let before = Scene::new(&given, 1).made_from("ard", &[a, b]);
    fill(index, vec![before.dataset()]).await;
    let said_elsewhere = datacube_model::LineageRelation {
        classifier: "other".to_owned(),
        derived: before.id(),
        source: c,
    };
    index
        .add_lineage(
            std::slice::from_ref(&said_elsewhere),
            &crate::LineageOptions::default(),
        )
        .await
        .expect("new");
    let after = Scene::new(&given, 1)
        .made_from("ard", &[b])
        .made_from("level1", &[a]);
    let outcomes = update(index, vec![after.dataset()], &anything()).await;
    assert!(outcomes[0].is_updated(), "{outcomes:?}");
    let known = async || {
        let direction = datacube_model::LineageDirection::Sources;
        index
            .lineage(&[before.id()], direction, None)
            .await
            .expect("read")
    };
    let mut expected = after.dataset().lineage().relations(before.id());
    expected.push(said_elsewhere);
    expected.sort_by_key(|r| (r.classifier.clone(), r.source));
    assert_eq!(known().await, expected);
    // What contradicts what others say is refused, with all else.
    let wrong = Scene::new(&given, 1)
        .made_from("ard", &[c])
        .property("eo:cloud_cover", 5.0);
    let outcomes = update(index, vec![wrong.dataset()], &anything()).await;
    let UpdateOutcome::Failed(error) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(matches!(error, Error::Lineage { .. }), "{error}");
    assert_eq!(known().await, expected);
    let back = index.dataset(before.id()).await.expect("it is there");
    assert_eq!(back.document(), &after.document());
}
