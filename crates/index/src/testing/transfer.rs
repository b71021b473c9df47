//! Copies of an index, into it and out of it.

use std::sync::Arc;

use datacube_model::{Dataset, Location, Product};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{Scene, fill, product, simple_product};
use crate::catalog::{AddOptions, Index, IndexExt, InitOptions};
use crate::error::Error;
use crate::memory::MemoryIndex;
use crate::query::{ArchivedFilter, Query};
use crate::transfer::{CloneLineage, CloneOptions, CloneReport, clone_index};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

/// Two products, archived datasets, several locations, lineage and homes.
async fn furnish(index: &dyn Index) {
    let (rich, simple) = (product("rich"), simple_product("simple"));
    let locations = vec![
        Location::new("s3://a"),
        Location::new("s3://b").archived_at(at("2023-01-01T00:00:00Z")),
    ];
    let mut datasets: Vec<Dataset> = (0..25_u64)
        .map(|n| {
            let of = if n % 3 == 0 { &simple } else { &rich };
            let scene = Scene::of_archive(of, n).locations(locations.clone());
            scene
                .made_from("raw", &[Uuid::from_u128(n.into())])
                .dataset()
        })
        .collect();
    let derived = Scene::new(&rich, 99).made_from("ard", &[datasets[0].id()]);
    datasets.push(derived.dataset());
    for of in [&rich, &simple] {
        index.add_product(of).await.expect("new");
    }
    for (n, batch) in datasets.chunks(7).enumerate() {
        let hours = jiff::SignedDuration::from_hours(i64::try_from(n).expect("few"));
        let when = at("2022-01-01T00:00:00Z")
            .checked_add(hours)
            .expect("in time");
        let options = AddOptions::default().indexed_at(when);
        index
            .add_datasets(batch.to_vec(), &options)
            .await
            .expect("written");
    }
    let ids: Vec<Uuid> = datasets.iter().step_by(4).map(Dataset::id).collect();
    index
        .archive(&ids, at("2022-02-02T00:00:00.000001Z"))
        .await
        .expect("written");
    index.set_home(&ids[..2], "dea", false).await.expect("new");
    let remote = [Uuid::from_u128(3)];
    index.set_home(&remote, "usgs", false).await.expect("new");
}

/// Checks that one index holds what the other does.
async fn check_same(a: &dyn Index, b: &dyn Index, filter: ArchivedFilter) {
    let products = a.products().await.expect("read");
    assert_eq!(products, b.products().await.expect("read"));
    for product in products {
        // An index need not hold types that no product uses.
        let name = product.metadata_type().name();
        assert_eq!(
            a.metadata_type(name).await.expect("there"),
            b.metadata_type(name).await.expect("there")
        );
    }
    let query = Query::new().archived(filter);
    let datasets = a.find(&query).await.expect("read");
    assert_eq!(datasets, b.find(&query).await.expect("read"));
    let lineage: Vec<_> = a.all_lineage().try_collect().await.expect("read");
    let other: Vec<_> = b.all_lineage().try_collect().await.expect("read");
    assert_eq!(lineage, other);
    let ids: Vec<Uuid> = lineage
        .iter()
        .flat_map(|relation| [relation.derived, relation.source])
        .collect();
    assert_eq!(
        a.homes(&ids).await.expect("read"),
        b.homes(&ids).await.expect("read")
    );
}

async fn copy(from: &dyn Index, to: &dyn Index, options: &CloneOptions) -> CloneReport {
    let mut n_told = 0;
    let report = clone_index(from, to, options, &mut |_| n_told += 1).await;
    let report = report.expect("nothing contradicts");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    assert!(n_told > 1);
    report
}

pub(super) async fn a_copy_holds_the_same(index: Arc<dyn Index>) {
    let (source, target) = (MemoryIndex::new(), MemoryIndex::new());
    furnish(&source).await;
    let options = CloneOptions::default().batch_size(4).archived(true);
    let report = copy(&source, &*index, &options).await;
    assert_eq!(
        (report.products, report.datasets, report.relations),
        (2, 26, 26)
    );
    assert_eq!((report.metadata_types, report.homes), (1, 3));
    check_same(&source, &*index, ArchivedFilter::Any).await;
    // And out of it.
    copy(&*index, &target, &options).await;
    check_same(&source, &target, ArchivedFilter::Any).await;
    // Again changes nothing.
    let report = copy(&source, &*index, &options).await;
    assert_eq!(
        (report.products, report.datasets, report.relations),
        (0, 0, 0)
    );
    assert_eq!(
        (report.datasets_skipped, report.relations_skipped),
        (26, 26)
    );
    check_same(&source, &*index, ArchivedFilter::Any).await;
}

pub(super) async fn an_interrupted_copy_is_finished(index: Arc<dyn Index>) {
    let source = MemoryIndex::new();
    furnish(&source).await;
    let (rich, some) = (product("rich"), Query::new().limit(5));
    index.add_product(&rich).await.expect("new");
    let datasets = source.find(&some.product("rich")).await.expect("read");
    fill(&*index, datasets).await;
    let report = copy(&source, &*index, &CloneOptions::default()).await;
    assert_eq!((report.products, report.datasets_skipped), (1, 5));
    let query = Query::new();
    assert_eq!(
        index.count(&query).await.expect("a count"),
        source.count(&query).await.expect("a count")
    );
    let archived = query.archived(ArchivedFilter::Archived);
    assert_eq!(index.count(&archived).await.expect("a count"), 0);
}

pub(super) async fn lineage_is_copied_or_not(index: Arc<dyn Index>) {
    let source = MemoryIndex::new();
    furnish(&source).await;
    let n_relations = async || -> usize {
        let all: Vec<_> = index.all_lineage().try_collect().await.expect("read");
        all.len()
    };
    let skip = CloneOptions::default().lineage(CloneLineage::Skip);
    copy(&source, &*index, &skip).await;
    assert_eq!(n_relations().await, 0);
    index.clear().await.expect("written");
    index.init(&InitOptions::default()).await.expect("made");
    let only = CloneOptions::default()
        .lineage(CloneLineage::Only)
        .batch_size(10);
    let report = copy(&source, &*index, &only).await;
    assert_eq!((report.datasets, report.relations), (0, 26));
    assert!(index.products().await.expect("read").is_empty());
    assert_eq!(n_relations().await, 26);
}

pub(super) async fn other_definitions_stop_a_copy(index: Arc<dyn Index>) {
    let source = MemoryIndex::new();
    furnish(&source).await;
    let mut document = simple_product("simple").document().clone();
    document["measurements"][0]["nodata"] = json!(99);
    let other = Product::from_document(document, &datacube_model::MetadataType::eo3());
    let other = other.expect("a right document");
    index.add_product(&other).await.expect("new");
    let types = index.metadata_types().await.expect("read");
    let options = CloneOptions::default();
    let error = clone_index(&source, &*index, &options, &mut |_| {}).await;
    let error = error.expect_err("`simple` is another product there");
    assert!(
        matches!(error, Error::DifferentDefinition { .. })
            && error.to_string().contains("measurements[0].nodata"),
        "{error}"
    );
    // Not even the product that could be copied was.
    assert_eq!(index.product_names().await.expect("read"), ["simple"]);
    assert_eq!(index.metadata_types().await.expect("read"), types);
}
