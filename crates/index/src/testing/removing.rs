//! What goes for good.

use std::sync::Arc;

use futures::TryStreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Scene, check, fill, found, product, simple_product};
use crate::catalog::{
    DeleteOptions, DeleteOutcome, Index, IndexExt, InitOptions, InitOutcome, PurgeOptions,
};
use crate::error::Error;
use crate::query::{ArchivedFilter, FieldTest, Query, UriMatch};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// Queries that find a scene, by each of the ways that an index may have.
fn ways_to(scene: &Scene) -> Vec<Query> {
    let uri = scene.dataset().uri().expect("it is somewhere").to_owned();
    let point = geo_types::Point::new(147.0, -35.0);
    let point = datacube_geo::Geometry::new(point, Some(datacube_geo::Crs::wgs84()));
    let any = || Query::new().archived(ArchivedFilter::Any);
    vec![
        any(),
        any().ids([scene.id()]),
        any().geometry(point.expect("finite")),
        any().uri(UriMatch::Exact(uri)),
        any().time("2020-01".parse().expect("a month")),
        any().field("region_code", "r"),
        any().field("wrs_path", 7),
        any().field("gsd", FieldTest::between(10, 30)),
        any().field("is_day", true),
        any().field("processed", "2020-03"),
        any().field("platform", "p"),
    ]
}

fn rich(of: &Arc<datacube_model::Product>, n: u64) -> Scene {
    Scene::new(of, n)
        .property("odc:region_code", "r")
        .property("eo:platform", "p")
        .property("landsat:wrs_path", 7)
        .property("gsd_min", 10.25)
        .property("gsd_max", 30.5)
        .property("is_day", true)
        .property("processed", "2020-03-04T05:06:07Z")
        .made_from("ard", &[Uuid::from_u128(1)])
}

pub(super) async fn purged_datasets_are_nowhere(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let (a, b, c) = (rich(&given, 1), rich(&given, 2), rich(&given, 3));
    fill(index, vec![a.dataset(), b.dataset(), c.dataset()]).await;
    let nobody = Uuid::from_u128(1);
    let when = at("2021-01-01T00:00:00Z");
    index.archive(&[a.id()], when).await.expect("written");
    let ids = [nobody, a.id(), b.id(), a.id()];
    let trial = PurgeOptions::default().dry_run(true);
    for options in [trial, PurgeOptions::default()] {
        let report = index.purge(&ids, &options).await.expect("written");
        assert_eq!(report.purged, [a.id()], "{options:?}");
        assert_eq!(report.active, [b.id()], "{options:?}");
        assert_eq!(report.unknown, [nobody, a.id()], "{options:?}");
        let n = index.check().await.expect("usable").n_datasets;
        assert_eq!(n, if options.dry_run { 3 } else { 2 });
    }
    let mut left = [b.id(), c.id()];
    left.sort();
    for query in ways_to(&a) {
        let expected: &[Uuid] = if query.ids.is_some() || !query.uris.is_empty() {
            &[]
        } else {
            &left
        };
        assert_eq!(found(index, &query).await, expected, "{query:?}");
    }
    assert_eq!(
        index.has(&[a.id(), b.id()]).await.expect("read"),
        [false, true]
    );
    let options = PurgeOptions::default().with_active(true);
    let report = index.purge(&[b.id(), c.id()], &options).await;
    assert_eq!(report.expect("written").purged, [b.id(), c.id()]);
    // They may come again, and be found again.
    fill(index, vec![c.dataset(), a.dataset()]).await;
    for query in ways_to(&c) {
        let n = found(index, &query).await.len();
        let expected = if query.ids.is_some() || !query.uris.is_empty() {
            1
        } else {
            2
        };
        assert_eq!(n, expected, "{query:?}");
    }
    let report = index.purge(&[], &options).await.expect("nothing to do");
    assert!(report.purged.is_empty() && report.unknown.is_empty());
}

pub(super) async fn products_go_with_their_datasets(index: Arc<dyn Index>) {
    let index = &*index;
    let (a, b, empty) = (product("a"), product("b"), simple_product("empty"));
    index.add_product(&empty).await.expect("new");
    let of_a: Vec<Scene> = (0..3).map(|n| rich(&a, n)).collect();
    let of_b = rich(&b, 1).made_from("a", &[of_a[0].id()]);
    let datasets = of_a.iter().chain([&of_b]).map(Scene::dataset);
    fill(index, datasets.collect()).await;
    index
        .set_home(&[of_a[0].id(), of_b.id()], "dea", false)
        .await
        .expect("new");
    let names = ["a", "nothing", "empty", "empty"].map(str::to_owned);
    let shown = |outcomes: &[DeleteOutcome]| -> Vec<String> {
        outcomes
            .iter()
            .map(|outcome| match outcome {
                DeleteOutcome::Deleted { n_datasets } => format!("deleted {n_datasets}"),
                DeleteOutcome::Failed(Error::InUse { n_active, .. }) => {
                    format!("{n_active} active")
                }
                DeleteOutcome::Failed(error) if error.is_not_found() => "unknown".to_owned(),
                DeleteOutcome::Failed(error) => error.to_string(),
            })
            .collect()
    };
    let expected = ["3 active", "unknown", "deleted 0", "unknown"];
    let trial = DeleteOptions::default().dry_run(true);
    for options in [trial, DeleteOptions::default()] {
        let outcomes = index.delete_products(&names, &options).await;
        assert_eq!(shown(&outcomes.expect("written")), expected, "{options:?}");
        let left = index.product_names().await.expect("read");
        let expected: &[&str] = if options.dry_run {
            &["a", "b", "empty"]
        } else {
            &["a", "b"]
        };
        assert_eq!(left, expected);
    }
    let ids: Vec<Uuid> = of_a[..2].iter().map(Scene::id).collect();
    let when = at("2021-01-01T00:00:00Z");
    index.archive(&ids, when).await.expect("written");
    let only_a = &names[..1];
    let outcomes = index
        .delete_products(only_a, &DeleteOptions::default())
        .await;
    assert_eq!(shown(&outcomes.expect("written")), ["1 active"]);
    let options = DeleteOptions::default().with_active(true);
    let outcomes = index.delete_products(only_a, &options).await;
    assert_eq!(shown(&outcomes.expect("written")), ["deleted 3"]);
    assert!(index.product("a").await.is_err());
    for query in ways_to(&of_b) {
        check(index, query, &[&of_b]).await;
    }
    let lineage: Vec<_> = index.all_lineage().try_collect().await.expect("read");
    let mut expected = of_b.dataset().lineage().relations(of_b.id());
    expected.sort_by_key(|r| (r.classifier.clone(), r.source));
    assert_eq!(lineage, expected);
    let homes = index.homes(&[of_a[0].id(), of_b.id()]).await;
    assert_eq!(homes.expect("read"), [None, Some("dea".to_owned())]);
    // The name is free again.
    let again = simple_product("a");
    index.add_product(&again).await.expect("new");
    let scene = Scene::new(&again, 1);
    fill(index, vec![scene.dataset()]).await;
    check(index, Query::new().product("a"), &[&scene]).await;
}

pub(super) async fn a_cleared_index_can_be_made_again(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    let scene = rich(&given, 1);
    fill(index, vec![scene.dataset()]).await;
    index
        .set_home(&[scene.id()], "dea", false)
        .await
        .expect("new");
    index.clear().await.expect("written");
    for error in [
        index.check().await.map(drop),
        index.products().await.map(drop),
        index.find(&Query::new()).await.map(drop),
        index.clear().await,
    ] {
        let error = error.expect_err("nothing is there");
        assert!(matches!(error, Error::NotInitialised { .. }), "{error}");
    }
    let made = index.init(&InitOptions::default()).await.expect("made");
    assert_eq!(made, InitOutcome::Created);
    assert!(index.products().await.expect("read").is_empty());
    assert_eq!(index.homes(&[scene.id()]).await.expect("read"), [None]);
    let lineage: Vec<_> = index.all_lineage().try_collect().await.expect("read");
    assert!(lineage.is_empty());
    let again = index.init(&InitOptions::default()).await.expect("made");
    assert_eq!(again, InitOutcome::Unchanged);
    fill(index, vec![scene.dataset()]).await;
    for query in ways_to(&scene) {
        check(index, query, &[&scene]).await;
    }
}
