//! Datasets going in, coming out, being archived.

use std::sync::Arc;

use datacube_model::{Dataset, Location, Product};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{Scene, fill, found, metadata_type, outcome_names, product};
use crate::catalog::{AddOptions, AddOutcome, Added, Index, IndexExt};
use crate::error::Error;
use crate::query::{ArchivedFilter, Query};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

async fn add(index: &dyn Index, datasets: Vec<Dataset>) -> Vec<AddOutcome> {
    let outcomes = index.add_datasets(datasets, &AddOptions::default()).await;
    outcomes.expect("the index can be written")
}

pub(super) async fn what_goes_in_comes_out(index: Arc<dyn Index>) {
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    let datasets: Vec<Dataset> = (0..5)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    let when = at("2024-05-06T07:08:09.123456Z");
    let options = AddOptions::default().indexed_at(when);
    let outcomes = index
        .add_datasets(datasets.clone(), &options)
        .await
        .expect("written");
    assert!(outcomes.iter().all(AddOutcome::is_added), "{outcomes:?}");
    let nobody = Uuid::from_u128(1);
    let ids = [datasets[3].id(), nobody, datasets[0].id(), datasets[3].id()];
    let back = index.datasets(&ids).await.expect("read");
    let expected = |n: usize| Some(datasets[n].clone().with_indexed(Some(when)));
    assert_eq!(back, [expected(3), None, expected(0), expected(3)]);
    assert_eq!(
        index.has(&ids).await.expect("read"),
        [true, false, true, true]
    );
    assert_eq!(
        index.dataset(ids[0]).await.expect("it is there").product(),
        &given
    );
    assert!(index.datasets(&[]).await.expect("nothing").is_empty());
    assert!(add(&*index, Vec::new()).await.is_empty());
}

pub(super) async fn documents_keep_every_number_and_the_order_of_keys(index: Arc<dyn Index>) {
    let given = product("ls");
    let scene = Scene::new(&given, 1)
        .property(
            "z",
            json!([0.1 + 0.2, 1e-300, f64::MAX, f64::MIN_POSITIVE, -0.0, 1.0, 1]),
        )
        .property("y", json!({"b": u64::MAX, "a": i64::MIN, "c": 2.5e-8}))
        .property("x", "\u{1F30D} \"quoted\" back\\slash \u{2028} tab\t")
        .property("w", json!(null))
        .property("v", 0.123_456_789_012_345_68);
    fill(&*index, vec![scene.dataset()]).await;
    let back = index.dataset(scene.id()).await.expect("it is there");
    assert_eq!(back.document(), &scene.document());
    assert_eq!(back.document().to_string(), scene.document().to_string());
}

pub(super) async fn adding_twice_changes_nothing(index: Arc<dyn Index>) {
    let given = product("ls");
    let scenes: Vec<Scene> = (0..40).map(|n| Scene::of_archive(&given, n)).collect();
    let datasets: Vec<Dataset> = scenes.iter().map(Scene::dataset).collect();
    fill(&*index, datasets.clone()).await;
    index
        .archive(&[datasets[0].id()], at("2024-01-01T00:00:00Z"))
        .await
        .expect("written");
    let query = Query::new().archived(ArchivedFilter::Any);
    let before = index.find(&query).await.expect("read");
    let moved: Vec<Dataset> = datasets
        .iter()
        .map(|d| d.clone().with_locations(["s3://elsewhere/x.yaml"]))
        .collect();
    for again in [datasets.clone(), moved] {
        let outcomes = add(&*index, again).await;
        assert!(
            outcome_names(&outcomes)
                .iter()
                .all(|name| *name == "already there")
        );
    }
    assert_eq!(index.find(&query).await.expect("read"), before);
    let added = index
        .add_dataset(datasets[1].clone())
        .await
        .expect("the same");
    assert_eq!(added, Added::AlreadyThere);
}

pub(super) async fn another_document_under_an_id_is_refused(index: Arc<dyn Index>) {
    let given = product("ls");
    let scene = Scene::new(&given, 1).property("eo:cloud_cover", 10.0);
    fill(&*index, vec![scene.dataset()]).await;
    let changed = scene.clone().property("eo:cloud_cover", 20.0);
    let outcomes = add(
        &*index,
        vec![changed.dataset(), Scene::new(&given, 2).dataset()],
    )
    .await;
    assert_eq!(outcome_names(&outcomes), ["failed", "added"]);
    let AddOutcome::Failed(error) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(
        matches!(error, Error::DifferentDocument { id, .. } if *id == scene.id()),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("properties.eo:cloud_cover: 10.0 in the index, 20.0 given"),
        "{text}"
    );
    let back = index.dataset(scene.id()).await.expect("it is there");
    assert_eq!(back.document(), &scene.document());
    assert!(index.add_dataset(changed.dataset()).await.is_err());
}

pub(super) async fn wrong_products_keep_no_other_from_being_added(index: Arc<dyn Index>) {
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    let unknown = product("ls9");
    let mut document = given.document().clone();
    document["measurements"][1]["nodata"] = 255.into();
    let changed = Product::from_document(document, &metadata_type()).expect("a right document");
    let changed = Arc::new(changed);
    let outcomes = add(
        &*index,
        vec![
            Scene::new(&unknown, 1).dataset(),
            Scene::new(&given, 2).dataset(),
            Scene::new(&changed, 3).dataset(),
            Scene::new(&given, 4).dataset(),
        ],
    )
    .await;
    assert_eq!(
        outcome_names(&outcomes),
        ["failed", "added", "failed", "added"]
    );
    let AddOutcome::Failed(error) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(
        error.is_not_found() && error.to_string().contains("`ls9`"),
        "{error}"
    );
    let AddOutcome::Failed(error) = &outcomes[2] else {
        panic!("{outcomes:?}")
    };
    assert!(
        error.to_string().contains("measurements[1].nodata"),
        "{error}"
    );
    assert_eq!(index.count(&Query::new()).await.expect("a count"), 2);
}

pub(super) async fn the_same_dataset_twice_in_a_batch_is_added_once(index: Arc<dyn Index>) {
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    let scene = Scene::new(&given, 1);
    let other = scene.clone().property("eo:cloud_cover", 1.0);
    let batch = vec![scene.dataset(), scene.dataset(), other.dataset()];
    let outcomes = add(&*index, batch).await;
    assert_eq!(
        outcome_names(&outcomes),
        ["added", "already there", "failed"]
    );
    assert_eq!(index.count(&Query::new()).await.expect("a count"), 1);
}

pub(super) async fn locations_are_kept_with_their_state(index: Arc<dyn Index>) {
    let given = product("ls");
    let locations = vec![
        Location::new("s3://first/odc-metadata.yaml"),
        Location::new("https://second/odc-metadata.yaml?a=b#part=3")
            .archived_at(at("2023-01-02T03:04:05.000006Z")),
        Location::new("/data/third/odc-metadata.yaml"),
    ];
    let scene = Scene::new(&given, 1).locations(locations);
    let none = Scene::new(&given, 2).locations(Vec::new());
    fill(&*index, vec![scene.dataset(), none.dataset()]).await;
    let back = index.dataset(scene.id()).await.expect("it is there");
    assert_eq!(back.locations(), scene.dataset().locations());
    assert_eq!(back.locations().len(), 3);
    assert_eq!(back.active_uris().count(), 2);
    let back = index.dataset(none.id()).await.expect("it is there");
    assert!(back.locations().is_empty());
}

pub(super) async fn the_archived_state_of_what_is_added_is_kept(index: Arc<dyn Index>) {
    let given = product("ls");
    let when = at("2023-01-02T03:04:05.000006Z");
    let archived = Scene::new(&given, 1).dataset().with_archived(Some(when));
    fill(
        &*index,
        vec![archived.clone(), Scene::new(&given, 2).dataset()],
    )
    .await;
    assert_eq!(index.count(&Query::new()).await.expect("a count"), 1);
    let back = index.dataset(archived.id()).await.expect("it is there");
    assert_eq!(back.archived(), Some(when));
}

pub(super) async fn large_batches_are_added_whole(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..1500)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    let first = datasets[..700].to_vec();
    fill(&*index, first).await;
    let outcomes = add(&*index, datasets.clone()).await;
    let names = outcome_names(&outcomes);
    assert!(names[..700].iter().all(|name| *name == "already there"));
    assert!(names[700..].iter().all(|name| *name == "added"));
    let mut expected: Vec<(Timestamp, Uuid)> = datasets
        .iter()
        .map(|dataset| (dataset.center_time(), dataset.id()))
        .collect();
    expected.sort_unstable();
    let expected: Vec<Uuid> = expected.into_iter().map(|(_, id)| id).collect();
    assert_eq!(found(&*index, &Query::new()).await, expected);
    assert_eq!(
        index.check().await.expect("it can be used").n_datasets,
        1500
    );
}

pub(super) async fn archiving_and_restoring_report_every_id(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..3).map(|n| Scene::new(&given, n).dataset()).collect();
    fill(&*index, datasets.clone()).await;
    let [a, b, c] = [datasets[0].id(), datasets[1].id(), datasets[2].id()];
    let nobody = Uuid::from_u128(1);
    let first = at("2024-01-01T00:00:00.000001Z");
    let report = index
        .archive(&[b, nobody, a, b], first)
        .await
        .expect("written");
    assert_eq!(report.changed, [b, a]);
    assert_eq!(report.unchanged, [b]);
    assert_eq!(report.unknown, [nobody]);
    let later = index
        .archive(&[a, c], at("2024-02-02T00:00:00Z"))
        .await
        .expect("written");
    assert_eq!((later.changed, later.unchanged), (vec![c], vec![a]));
    let archived = index.dataset(a).await.expect("it is there").archived();
    assert_eq!(archived, Some(first), "the first time counts");
    assert_eq!(index.count(&Query::new()).await.expect("a count"), 0);
    let report = index.restore(&[a, nobody, a]).await.expect("written");
    assert_eq!(report.changed, [a]);
    assert_eq!((report.unchanged, report.unknown), (vec![a], vec![nobody]));
    assert_eq!(found(&*index, &Query::new()).await, [a]);
    let archived = index.dataset(a).await.expect("it is there").archived();
    assert_eq!(archived, None);
    let report = index.archive(&[], first).await.expect("nothing to do");
    assert!(report.changed.is_empty() && report.unknown.is_empty());
}
