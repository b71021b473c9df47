//! Relations between datasets, and where datasets are at home.

use std::sync::Arc;

use datacube_model::LineageDirection::{Derived, Sources};
use datacube_model::{LineageDirection, LineageRelation};
use futures::TryStreamExt;
use uuid::Uuid;

use super::{Scene, fill, outcome_names, product};
use crate::catalog::{AddOptions, AddOutcome, Index, LineageOptions, PurgeOptions};
use crate::error::Error;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn relation(derived: u128, classifier: &str, source: u128) -> LineageRelation {
    LineageRelation {
        classifier: classifier.to_owned(),
        derived: id(derived),
        source: id(source),
    }
}

/// Checks the relations that lead away from a dataset.
async fn check_walk(
    index: &dyn Index,
    ids: &[u128],
    direction: LineageDirection,
    depth: Option<usize>,
    expected: &[(u128, &str, u128)],
) {
    let ids: Vec<Uuid> = ids.iter().map(|n| id(*n)).collect();
    let found = index.lineage(&ids, direction, depth).await.expect("read");
    let expected: Vec<LineageRelation> = expected
        .iter()
        .map(|(derived, classifier, source)| relation(*derived, classifier, *source))
        .collect();
    assert_eq!(found, expected, "{ids:?} {direction:?} {depth:?}");
}

async fn everything(index: &dyn Index) -> Vec<LineageRelation> {
    index.all_lineage().try_collect().await.expect("read")
}

async fn add(index: &dyn Index, relations: &[LineageRelation]) -> crate::Result<(u64, u64, u64)> {
    let report = index
        .add_lineage(relations, &LineageOptions::default())
        .await?;
    Ok((report.added, report.updated, report.unchanged))
}

/// ```text
/// 1 <- 2 <- 4 <- 5
/// 1 <- 3 <- 4
/// ```
fn diamond() -> Vec<LineageRelation> {
    vec![
        relation(2, "level1", 1),
        relation(3, "level1", 1),
        relation(4, "ard", 2),
        relation(4, "ancillary", 3),
        relation(5, "cloud", 4),
    ]
}

pub(super) async fn relations_are_walked_level_by_level(index: Arc<dyn Index>) {
    let index = &*index;
    assert_eq!(add(index, &diamond()).await.expect("no cycle"), (5, 0, 0));
    assert_eq!(add(index, &diamond()).await.expect("the same"), (0, 0, 5));
    assert_eq!(add(index, &[]).await.expect("nothing"), (0, 0, 0));
    let all = [
        (2, "level1", 1),
        (3, "level1", 1),
        (4, "ancillary", 3),
        (4, "ard", 2),
        (5, "cloud", 4),
    ];
    check_walk(index, &[5], Sources, None, &all).await;
    check_walk(index, &[1], Derived, None, &all).await;
    check_walk(index, &[5], Sources, Some(0), &[]).await;
    check_walk(index, &[5], Sources, Some(1), &all[4..]).await;
    check_walk(index, &[5], Sources, Some(2), &all[2..]).await;
    check_walk(index, &[1], Derived, Some(1), &all[..2]).await;
    check_walk(index, &[4], Derived, None, &all[4..]).await;
    check_walk(index, &[2, 5, 2], Sources, Some(1), &[all[0], all[4]]).await;
    check_walk(index, &[1], Sources, None, &[]).await;
    check_walk(index, &[], Sources, None, &[]).await;
    let mut sorted = diamond();
    sorted.sort_by_key(|r| (r.derived, r.classifier.clone(), r.source));
    assert_eq!(everything(index).await, sorted);
}

pub(super) async fn contradictions_are_refused_as_a_whole(index: Arc<dyn Index>) {
    let index = &*index;
    add(index, &diamond()).await.expect("no cycle");
    let before = everything(index).await;
    for (wrong, words) in [
        (vec![relation(1, "x", 5)], "was itself made from it"),
        (vec![relation(9, "x", 9)], "was itself made from it"),
        (
            vec![relation(9, "x", 8), relation(8, "x", 9)],
            "was itself made from it",
        ),
        (
            vec![
                relation(1, "x", 7),
                relation(7, "y", 6),
                relation(6, "z", 4),
            ],
            "was itself made from it",
        ),
        (
            vec![relation(9, "x", 5), relation(4, "other", 2)],
            "as `ard`, not as `other`",
        ),
        (
            vec![relation(9, "x", 5), relation(9, "y", 5)],
            "as `x`, not as `y`",
        ),
    ] {
        let error = add(index, &wrong).await.expect_err("it contradicts");
        assert!(
            matches!(error, Error::Lineage { .. }) && error.to_string().contains(words),
            "{error}"
        );
        assert_eq!(everything(index).await, before, "{wrong:?}");
    }
    let new = [
        relation(4, "other", 2),
        relation(9, "x", 5),
        relation(5, "cloud", 4),
    ];
    let trial = LineageOptions::default().allow_updates(true).dry_run(true);
    let report = index.add_lineage(&new, &trial).await.expect("allowed");
    assert_eq!((report.added, report.updated, report.unchanged), (1, 1, 1));
    assert_eq!(everything(index).await, before);
    let options = LineageOptions::default().allow_updates(true);
    let report = index.add_lineage(&new, &options).await.expect("allowed");
    assert_eq!((report.added, report.updated, report.unchanged), (1, 1, 1));
    check_walk(
        index,
        &[4],
        Sources,
        Some(1),
        &[(4, "ancillary", 3), (4, "other", 2)],
    )
    .await;
    check_walk(index, &[5], Derived, None, &[(9, "x", 5)]).await;
}

pub(super) async fn relations_are_removed_along_a_walk(index: Arc<dyn Index>) {
    let index = &*index;
    add(index, &diamond()).await.expect("no cycle");
    let remove = async |n, direction, depth| {
        let removed = index.remove_lineage(&[id(n)], direction, depth).await;
        removed.expect("written")
    };
    assert_eq!(remove(77, Sources, None).await, 0);
    assert_eq!(remove(4, Sources, Some(1)).await, 2);
    check_walk(index, &[5], Sources, None, &[(5, "cloud", 4)]).await;
    check_walk(
        index,
        &[1],
        Derived,
        None,
        &[(2, "level1", 1), (3, "level1", 1)],
    )
    .await;
    // What closed a cycle before does not any more.
    add(index, &[relation(1, "x", 5)]).await.expect("no cycle");
    assert_eq!(remove(2, Sources, None).await, 3);
    assert_eq!(everything(index).await, [relation(3, "level1", 1)]);
    assert_eq!(remove(1, Derived, None).await, 1);
    assert!(everything(index).await.is_empty());
}

pub(super) async fn what_documents_say_is_recorded(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let remote = id(1);
    let level1 = Scene::new(&given, 1).made_from("telemetry", &[remote]);
    let ard = Scene::new(&given, 2).made_from("level1", &[level1.id()]);
    let summary = Scene::new(&given, 3).made_from("ard", &[ard.id(), level1.id()]);
    // Derived before what they are made from, and across two batches.
    fill(index, vec![summary.dataset(), level1.dataset()]).await;
    fill(index, vec![ard.dataset()]).await;
    let mut expected = Vec::new();
    for scene in [&level1, &ard, &summary] {
        expected.extend(scene.dataset().lineage().relations(scene.id()));
    }
    expected.sort_by_key(|r| (r.derived, r.classifier.clone(), r.source));
    let walked = index.lineage(&[summary.id()], Sources, None).await;
    assert_eq!(walked.expect("read"), expected);
    let walked = index.lineage(&[remote], Derived, None).await;
    assert_eq!(walked.expect("read"), expected);
    assert_eq!(everything(index).await, expected);
    // Without leave nothing is recorded, and what is there is not added to.
    let quiet = Scene::new(&given, 4).made_from("ard", &[ard.id()]);
    let options = AddOptions::default().with_lineage(false);
    for n_added in [1, 0] {
        let outcomes = index.add_datasets(vec![quiet.dataset()], &options).await;
        let outcomes = outcomes.expect("written");
        let added = outcomes.iter().filter(|outcome| outcome.is_added());
        assert_eq!(added.count(), n_added);
    }
    assert_eq!(everything(index).await, expected);
    let outcomes = index
        .add_datasets(vec![quiet.dataset()], &AddOptions::default())
        .await
        .expect("written");
    assert_eq!(outcome_names(&outcomes), ["already there"]);
    assert_eq!(everything(index).await, expected);
}

pub(super) async fn documents_that_contradict_are_not_added(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let (a, b, c) = (id(0xa), id(0xb), id(0xc));
    let scene = |n, own, source| {
        Scene::new(&given, n)
            .with_id(own)
            .made_from("x", &[source])
            .dataset()
    };
    index.add_product(&given).await.expect("new");
    // In one batch, the last closes the circle; itself; and twice.
    let double = Scene::new(&given, 5)
        .made_from("x", &[a])
        .made_from("y", &[a]);
    let batch = vec![
        scene(1, a, b),
        scene(2, b, c),
        scene(3, c, a),
        scene(4, id(0xd), id(0xd)),
        double.dataset(),
        Scene::new(&given, 6).dataset(),
    ];
    let outcomes = index
        .add_datasets(batch, &AddOptions::default())
        .await
        .expect("written");
    assert_eq!(
        outcome_names(&outcomes),
        ["added", "added", "failed", "failed", "failed", "added"]
    );
    for outcome in &outcomes[2..5] {
        let AddOutcome::Failed(error) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(matches!(error, Error::Lineage { .. }), "{error}");
    }
    assert_eq!(everything(index).await.len(), 2);
    // And in another one.
    let outcomes = index
        .add_datasets(vec![scene(3, c, a)], &AddOptions::default())
        .await
        .expect("written");
    assert_eq!(outcome_names(&outcomes), ["failed"]);
    assert!(!index.has(&[c]).await.expect("read")[0]);
}

pub(super) async fn purging_removes_what_a_dataset_says_of_itself(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let source = Scene::new(&given, 1).made_from("raw", &[id(1)]);
    let derived = Scene::new(&given, 2).made_from("ard", &[source.id()]);
    fill(index, vec![source.dataset(), derived.dataset()]).await;
    index
        .set_home(&[source.id(), derived.id()], "dea", false)
        .await
        .expect("written");
    let options = PurgeOptions::default().with_active(true);
    let report = index.purge(&[source.id()], &options).await;
    assert_eq!(report.expect("written").purged, [source.id()]);
    assert_eq!(
        everything(index).await,
        derived.dataset().lineage().relations(derived.id())
    );
    let homes = index.homes(&[source.id(), derived.id()]).await;
    assert_eq!(homes.expect("read"), [None, Some("dea".to_owned())]);
    fill(index, vec![source.dataset()]).await;
    assert_eq!(everything(index).await.len(), 2);
}

pub(super) async fn datasets_have_homes(index: Arc<dyn Index>) {
    let index = &*index;
    let known = async |ids: &[u128]| -> Vec<Option<String>> {
        let ids: Vec<Uuid> = ids.iter().map(|n| id(*n)).collect();
        index.homes(&ids).await.expect("read")
    };
    let some = |home: &str| Some(home.to_owned());
    assert_eq!(known(&[1, 2]).await, [None, None]);
    let set = index.set_home(&[id(1), id(2), id(1)], "dea", false).await;
    assert_eq!(set.expect("new"), 2);
    let set = index.set_home(&[id(2), id(3)], "dea", false).await;
    assert_eq!(set.expect("one is new"), 1);
    assert_eq!(
        known(&[3, 9, 1, 3]).await,
        [some("dea"), None, some("dea"), some("dea")]
    );
    let error = index
        .set_home(&[id(4), id(1)], "usgs", false)
        .await
        .expect_err("another home is noted");
    assert!(
        matches!(error, Error::Lineage { .. }) && error.to_string().contains("`dea`"),
        "{error}"
    );
    assert_eq!(known(&[4, 1]).await, [None, some("dea")]);
    let set = index.set_home(&[id(4), id(1)], "usgs", true).await;
    assert_eq!(set.expect("allowed"), 2);
    assert_eq!(
        known(&[4, 1, 2]).await,
        [some("usgs"), some("usgs"), some("dea")]
    );
    let cleared = index.clear_homes(&[id(1), id(8), id(2)]).await;
    assert_eq!(cleared.expect("written"), 2);
    assert_eq!(known(&[1, 2, 4]).await, [None, None, some("usgs")]);
}
