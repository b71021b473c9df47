//! Better datasets of one scene in the place of earlier ones.

use std::sync::Arc;
use std::time::Duration;

use datacube_model::Product;
use uuid::Uuid;

use super::{Scene, fill, found, outcome_names, product, simple_product};
use crate::catalog::{
    AddOptions, AddOutcome, Index, IndexExt, UpdateDatasetOptions, UpdateOutcome,
};
use crate::error::Error;
use crate::query::Query;

const LENIENCY: Duration = Duration::from_millis(500);

fn scene(of: &Arc<Product>, n: u64, maturity: &str) -> Scene {
    Scene::new(of, n)
        .time("2020-01-01T00:00:00Z")
        .property("odc:region_code", "090084")
        .property("dea:dataset_maturity", maturity)
}

async fn add(index: &dyn Index, scenes: &[&Scene]) -> Vec<AddOutcome> {
    let datasets = scenes.iter().map(|scene| scene.dataset()).collect();
    let options = AddOptions::default().archive_less_mature(LENIENCY);
    let outcomes = index.add_datasets(datasets, &options).await;
    outcomes.expect("the index can be written")
}

/// Checks which scenes are active.
async fn check_active(index: &dyn Index, scenes: &[&Scene]) {
    let mut expected: Vec<Uuid> = scenes.iter().map(|scene| scene.id()).collect();
    expected.sort();
    let mut active = found(index, &Query::new()).await;
    active.sort();
    assert_eq!(active, expected);
}

pub(super) async fn better_datasets_archive_lesser_ones(index: Arc<dyn Index>) {
    let index = &*index;
    // With search fields for region and maturity, and without one for the latter.
    for given in [simple_product("simple"), product("rich")] {
        index.add_product(&given).await.expect("new");
        let [nrt, interim, last] = [(1, "nrt"), (2, "interim"), (3, "FINAL")]
            .map(|(n, maturity)| scene(&given, n, maturity));
        let other = scene(&given, 4, "nrt").property("odc:region_code", "090085");
        let earlier = scene(&given, 5, "nrt").time("2019-12-31T23:59:59.4Z");
        let outcomes = add(index, &[&nrt, &other, &earlier]).await;
        assert_eq!(outcome_names(&outcomes), ["added"; 3]);
        check_active(index, &[&nrt, &other, &earlier]).await;
        assert_eq!(outcome_names(&add(index, &[&interim]).await), ["added"]);
        check_active(index, &[&interim, &other, &earlier]).await;
        assert_eq!(outcome_names(&add(index, &[&last]).await), ["added"]);
        check_active(index, &[&last, &other, &earlier]).await;
        // The same ones again change nothing, and the lesser does not come back.
        let outcomes = add(index, &[&last, &nrt]).await;
        assert_eq!(outcome_names(&outcomes), ["already there"; 2]);
        for lesser in [(6, "nrt"), (7, "interim"), (8, "final")] {
            let lesser = scene(&given, lesser.0, lesser.1);
            let outcomes = add(index, &[&lesser]).await;
            let AddOutcome::Failed(error) = &outcomes[0] else {
                panic!("{outcomes:?}")
            };
            assert!(
                matches!(error, Error::LessMature { existing, .. } if *existing == last.id()),
                "{error}"
            );
        }
        check_active(index, &[&last, &other, &earlier]).await;
        let archived = index.dataset(interim.id()).await.expect("there");
        assert!(archived.is_archived());
        index
            .archive(
                &[last.id(), other.id(), earlier.id()],
                archived.archived().expect("a time"),
            )
            .await
            .expect("written");
    }
}

pub(super) async fn a_batch_is_taken_in_its_order(index: Arc<dyn Index>) {
    let index = &*index;
    let given = simple_product("simple");
    index.add_product(&given).await.expect("new");
    let [nrt, interim, last] =
        [(1, "nrt"), (2, "interim"), (3, "final")].map(|(n, maturity)| scene(&given, n, maturity));
    // Times that meet within the leniency, from either side.
    let late = scene(&given, 4, "nrt").time("2020-01-01T00:00:00.5Z");
    let too_late = scene(&given, 5, "nrt").time("2020-01-01T00:00:00.500001Z");
    let long = scene(&given, 6, "nrt").time_range("2019-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let outcomes = add(index, &[&nrt, &last, &interim]).await;
    assert_eq!(outcome_names(&outcomes), ["added", "added", "failed"]);
    check_active(index, &[&last]).await;
    let outcomes = add(index, &[&late, &too_late, &long]).await;
    assert_eq!(outcome_names(&outcomes), ["failed", "added", "failed"]);
    check_active(index, &[&last, &too_late]).await;
    // Without the wish nothing is compared.
    fill(index, vec![late.dataset(), long.dataset()]).await;
    check_active(index, &[&last, &too_late, &late, &long]).await;
    let best = scene(&given, 9, "final").time("2020-06-01T00:00:00Z");
    assert_eq!(outcome_names(&add(index, &[&best]).await), ["added"]);
    check_active(index, &[&last, &too_late, &late, &best]).await;
}

pub(super) async fn what_cannot_be_compared_is_not_added(index: Arc<dyn Index>) {
    let index = &*index;
    let given = simple_product("simple");
    index.add_product(&given).await.expect("new");
    let plain = Scene::new(&given, 1).property("odc:region_code", "x");
    let nowhere = Scene::new(&given, 2).property("dea:dataset_maturity", "final");
    let odd = scene(&given, 3, "draft");
    let outcomes = add(index, &[&plain, &nowhere, &odd]).await;
    for (outcome, words) in outcomes.iter().zip(["maturity", "region", "`draft`"]) {
        let AddOutcome::Failed(error) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(error.to_string().contains(words), "{error}");
    }
    check_active(index, &[]).await;
    // One that is there and does not say stands in the way of its scene only.
    fill(index, vec![odd.dataset(), nowhere.dataset()]).await;
    let good = scene(&given, 4, "final");
    let outcomes = add(
        index,
        &[&good, &good.clone().property("odc:region_code", "y")],
    )
    .await;
    assert_eq!(outcome_names(&outcomes), ["failed", "added"]);
    let AddOutcome::Failed(error) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert!(error.to_string().contains(&odd.id().to_string()), "{error}");
    // Archived ones do not take part.
    let archived = scene(&given, 5, "nrt");
    let when = "2021-01-01T00:00:00Z".parse().expect("a timestamp");
    let options = AddOptions::default().archive_less_mature(LENIENCY);
    let dataset = archived.dataset().with_archived(Some(when));
    let outcomes = index.add_datasets(vec![dataset], &options).await;
    assert_eq!(outcome_names(&outcomes.expect("written")), ["added"]);
}

pub(super) async fn updates_archive_lesser_ones_too(index: Arc<dyn Index>) {
    let index = &*index;
    let given = simple_product("simple");
    let (a, b) = (scene(&given, 1, "nrt"), scene(&given, 2, "nrt"));
    fill(index, vec![a.dataset(), b.dataset()]).await;
    let options = UpdateDatasetOptions::default()
        .allow_any(["properties"])
        .archive_less_mature(LENIENCY);
    let better = |of: &Scene, maturity: &str| {
        let better = of.clone().property("dea:dataset_maturity", maturity);
        vec![better.dataset()]
    };
    let trial = options.clone().dry_run(true);
    for options in [&trial, &options] {
        let outcomes = index.update_datasets(better(&b, "interim"), options).await;
        assert!(outcomes.expect("written")[0].is_updated());
        if options.dry_run {
            check_active(index, &[&a, &b]).await;
        } else {
            check_active(index, &[&b]).await;
        }
    }
    // An archived one archives nothing.
    let outcomes = index.update_datasets(better(&a, "final"), &options).await;
    assert!(outcomes.expect("written")[0].is_updated());
    check_active(index, &[&b]).await;
    index.restore(&[a.id()]).await.expect("written");
    let outcomes = index.update_datasets(better(&b, "nrt"), &options).await;
    let UpdateOutcome::Failed(error) = &outcomes.expect("written")[0] else {
        panic!("it is less mature than the other")
    };
    assert!(matches!(error, Error::LessMature { .. }), "{error}");
    let batch = [better(&a, "nrt"), better(&b, "final")].concat();
    let outcomes = index
        .update_datasets(batch, &options)
        .await
        .expect("written");
    assert!(
        outcomes[0].is_failed() && outcomes[1].is_failed(),
        "{outcomes:?}"
    );
    check_active(index, &[&a, &b]).await;
}
