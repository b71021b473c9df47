//! Order, limits, times, products, ids, streams.

use std::sync::Arc;

use datacube_model::Dataset;
use futures::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Scene, check, fill, found, product, refusal, simple_product};
use crate::catalog::Index;
use crate::query::{ArchivedFilter, FieldTest, Query};
use crate::time_range::TimeRange;

fn period(text: &str) -> TimeRange {
    text.parse().expect("a period")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

async fn fill_scenes(index: &dyn Index, scenes: &[Scene]) {
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
}

pub(super) async fn results_are_ordered_by_middle_and_id(index: Arc<dyn Index>) {
    let given = product("ls");
    let scene = |n, begin, end| Scene::new(&given, n).time_range(begin, end);
    let scenes = [
        // The middle is what counts: the first begins last.
        scene(0, "2020-01-05T00:00:00Z", "2020-01-05T00:00:00Z"),
        scene(1, "2020-01-01T00:00:00Z", "2020-01-31T00:00:00Z"),
        scene(2, "2019-12-01T00:00:00Z", "2020-01-01T00:00:00Z"),
    ];
    let ties: Vec<Scene> = (10..30)
        .map(|n| scene(n, "2021-01-01T00:00:00Z", "2021-01-01T00:00:00Z"))
        .collect();
    fill_scenes(&*index, &scenes).await;
    fill_scenes(&*index, &ties).await;
    check(
        &*index,
        Query::new().time(TimeRange::until(at("2020-12-31T00:00:00Z"))),
        &[&scenes[2], &scenes[0], &scenes[1]],
    )
    .await;
    let mut expected: Vec<Uuid> = ties.iter().map(Scene::id).collect();
    expected.sort();
    assert_eq!(
        found(&*index, &Query::new().time(period("2021"))).await,
        expected
    );
}

pub(super) async fn a_limit_keeps_the_earliest(index: Arc<dyn Index>) {
    let (a, b) = (product("a"), product("b"));
    let datasets: Vec<Dataset> = (0..600)
        .map(|n| Scene::of_archive(if n % 3 == 0 { &a } else { &b }, n).dataset())
        .collect();
    fill(&*index, datasets).await;
    let everything = found(&*index, &Query::new()).await;
    assert_eq!(everything.len(), 600);
    for limit in [0, 1, 31, 32, 33, 599, 600, 601] {
        let limited = found(&*index, &Query::new().limit(limit)).await;
        assert_eq!(limited, everything[..limit.min(600)], "{limit}");
    }
    let of_b = found(&*index, &Query::new().product("b").limit(50)).await;
    let all_of_b = found(&*index, &Query::new().product("b")).await;
    assert_eq!(of_b, all_of_b[..50]);
}

pub(super) async fn closed_time_ranges_meet_at_their_ends(index: Arc<dyn Index>) {
    let given = product("ls");
    let instant = Scene::new(&given, 1).time("2020-03-01T00:00:00Z");
    let last = Scene::new(&given, 2).time("2020-02-29T23:59:59.999999Z");
    let long = Scene::new(&given, 3).time_range("2020-01-01T00:00:00Z", "2020-01-31T23:59:59Z");
    fill_scenes(&*index, &[instant.clone(), last.clone(), long.clone()]).await;
    check(&*index, Query::new().time(period("2020-02")), &[&last]).await;
    check(&*index, Query::new().time(period("2020-03")), &[&instant]).await;
    check(&*index, Query::new().time(period("2020-01-31")), &[&long]).await;
    check(&*index, Query::new().time(period("2020-01-15")), &[&long]).await;
    check(&*index, Query::new().time(period("2019-12")), &[]).await;
    let edge = at("2020-03-01T00:00:00Z");
    check(
        &*index,
        Query::new().time(TimeRange::since(edge)),
        &[&instant],
    )
    .await;
    check(
        &*index,
        Query::new().time(TimeRange::until(edge)),
        &[&long, &last, &instant],
    )
    .await;
    check(&*index, Query::new().time(TimeRange::at(edge)), &[&instant]).await;
    let open = TimeRange::half_open(at("2020-02-01T00:00:00Z"), edge).expect("not empty");
    check(&*index, Query::new().time(open), &[&last]).await;
    let closed = TimeRange::between(at("2020-02-01T00:00:00Z"), edge).expect("in order");
    check(&*index, Query::new().time(closed), &[&last, &instant]).await;
    let several = Query::new().time(period("2020-03")).time(period("2020-01"));
    check(&*index, several, &[&long, &instant]).await;
    let gap = Query::new().time(period("2020-02-10")).time(period("2019"));
    check(&*index, gap, &[]).await;
}

pub(super) async fn long_datasets_are_found_far_from_their_middle(index: Arc<dyn Index>) {
    let (short, long) = (product("short"), product("long"));
    let daily: Vec<Scene> = (0..60)
        .map(|n| Scene::new(&short, n).time(&format!("2020-{:02}-{:02}", 1 + n / 28, 1 + n % 28)))
        .collect();
    let year = Scene::new(&long, 1).time_range("2020-01-01T00:00:00Z", "2020-12-31T23:59:59Z");
    let decade = Scene::new(&short, 99).time_range("2015-01-01T00:00:00Z", "2024-12-31T23:59:59Z");
    fill_scenes(&*index, &daily).await;
    fill_scenes(&*index, &[year.clone(), decade.clone()]).await;
    let new_year = Query::new().time(period("2020-01-01"));
    check(&*index, new_year, &[&daily[0], &decade, &year]).await;
    check(
        &*index,
        Query::new().time(period("2020-12-31")),
        &[&decade, &year],
    )
    .await;
    check(&*index, Query::new().time(period("2015-01-01")), &[&decade]).await;
    check(
        &*index,
        Query::new().time(period("2020-12-31")).product("long"),
        &[&year],
    )
    .await;
    check(&*index, Query::new().time(period("2014-12-31")), &[]).await;
}

pub(super) async fn products_are_merged_in_order(index: Arc<dyn Index>) {
    let products: Vec<_> = (0..20).map(|n| product(&format!("p{n:02}"))).collect();
    let datasets: Vec<Dataset> = (0..400)
        .map(|n| {
            let of = &products[usize::try_from(n * 7 % 20).expect("a small number")];
            Scene::of_archive(of, n).dataset()
        })
        .collect();
    fill(&*index, datasets.clone()).await;
    let mut in_order = datasets;
    in_order.sort_by_key(|dataset| (dataset.center_time(), dataset.id()));
    for n_products in [1, 2, 5, 16, 17, 19, 20] {
        let names: Vec<String> = products[..n_products]
            .iter()
            .map(|p| p.name().to_owned())
            .collect();
        let expected: Vec<Uuid> = in_order
            .iter()
            .filter(|dataset| names.iter().any(|name| name == dataset.product().name()))
            .map(Dataset::id)
            .collect();
        let query = Query::new().products(names);
        assert_eq!(
            found(&*index, &query).await,
            expected,
            "{n_products} products"
        );
        let some = found(&*index, &query.clone().time(period("2013-04")).limit(37)).await;
        let all = found(&*index, &query.time(period("2013-04"))).await;
        assert_eq!(some, all[..all.len().min(37)], "{n_products} products");
    }
}

pub(super) async fn ids_narrow_the_result(index: Arc<dyn Index>) {
    let given = product("ls");
    let scenes: Vec<Scene> = (0..5)
        .map(|n| Scene::new(&given, n).time(&format!("2020-01-0{}", 5 - n)))
        .collect();
    fill_scenes(&*index, &scenes).await;
    let ids = [
        scenes[1].id(),
        Uuid::from_u128(1),
        scenes[3].id(),
        scenes[3].id(),
    ];
    check(&*index, Query::new().ids(ids), &[&scenes[3], &scenes[1]]).await;
    check(
        &*index,
        Query::new().ids(ids).time(period("2020-01-02")),
        &[&scenes[3]],
    )
    .await;
    check(&*index, Query::new().ids(ids).limit(1), &[&scenes[3]]).await;
    check(&*index, Query::new().ids([]), &[]).await;
    check(&*index, Query::new().ids([Uuid::from_u128(1)]), &[]).await;
}

pub(super) async fn archived_datasets_are_found_when_asked_for(index: Arc<dyn Index>) {
    let given = product("ls");
    let scenes: Vec<Scene> = (0..4)
        .map(|n| Scene::new(&given, n).time(&format!("2020-01-0{}", n + 1)))
        .collect();
    fill_scenes(&*index, &scenes).await;
    let ids = [scenes[1].id(), scenes[2].id()];
    index
        .archive(&ids, at("2024-01-01T00:00:00Z"))
        .await
        .expect("written");
    let [a, b, c, d] = [&scenes[0], &scenes[1], &scenes[2], &scenes[3]];
    let query = Query::new().product("ls");
    check(&*index, query.clone(), &[a, d]).await;
    check(
        &*index,
        query.clone().archived(ArchivedFilter::Archived),
        &[b, c],
    )
    .await;
    check(
        &*index,
        query.clone().archived(ArchivedFilter::Any),
        &[a, b, c, d],
    )
    .await;
    check(&*index, query.clone().ids(ids), &[]).await;
    index.restore(&ids[..1]).await.expect("written");
    check(&*index, query, &[a, b, d]).await;
}

pub(super) async fn long_lists_are_searched(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..800)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    fill(&*index, datasets.clone()).await;
    let nobody = (0..40_000).map(Uuid::from_u128);
    let query = Query::new().ids(nobody.chain(datasets.iter().map(Dataset::id)));
    assert_eq!(found(&*index, &query).await.len(), 800);
    let codes: Vec<String> = (60_000..100_000).map(|n| format!("{n:06}")).collect();
    let query = Query::new().field("region_code", FieldTest::any_of(codes));
    let of_region: Vec<Uuid> = found(&*index, &query).await;
    let expected = datasets.iter().filter(|dataset| {
        let code = dataset
            .properties()
            .and_then(|p| p["odc:region_code"].as_str());
        code.is_some_and(|code| code < "100000")
    });
    let n_expected = expected.count();
    assert!(n_expected > 100);
    assert_eq!(of_region.len(), n_expected);
    let paths: Vec<i64> = (0..30_000).filter(|n| n % 2 == 0).collect();
    let query = Query::new().field("wrs_path", FieldTest::any_of(paths));
    let even = found(&*index, &query).await;
    let expected = datasets.iter().filter(|dataset| {
        let path = dataset
            .properties()
            .and_then(|p| p["landsat:wrs_path"].as_i64());
        path.is_some_and(|path| path % 2 == 0)
    });
    assert_eq!(even.len(), expected.count());
    let mut query = Query::new();
    for year in 1000..2013 {
        for month in [1, 3, 5] {
            query = query.time(period(&format!("{year}-{month:02}")));
        }
    }
    assert!(found(&*index, &query).await.is_empty());
    assert!(
        !found(&*index, &query.time(period("2013-05")))
            .await
            .is_empty()
    );
}

pub(super) async fn a_stream_gives_everything_once(index: Arc<dyn Index>) {
    let (a, b) = (product("a"), simple_product("b"));
    let datasets: Vec<Dataset> = (0..3000)
        .map(|n| Scene::of_archive(if n % 2 == 0 { &a } else { &b }, n).dataset())
        .collect();
    fill(&*index, datasets.clone()).await;
    let mut expected: Vec<(Timestamp, Uuid)> = datasets
        .iter()
        .map(|dataset| (dataset.center_time(), dataset.id()))
        .collect();
    expected.sort_unstable();
    let mut stream = index.search(&Query::new());
    let mut given = Vec::new();
    while let Some(dataset) = stream.next().await {
        let dataset = dataset.expect("it reads");
        given.push((dataset.center_time(), dataset.id()));
    }
    assert_eq!(given, expected);
}

pub(super) async fn a_stream_may_be_dropped(index: Arc<dyn Index>) {
    let given = product("ls");
    let datasets: Vec<Dataset> = (0..300)
        .map(|n| Scene::of_archive(&given, n).dataset())
        .collect();
    fill(&*index, datasets).await;
    for _ in 0..50 {
        let mut stream = index.search(&Query::new());
        assert!(stream.next().await.is_some_and(|dataset| dataset.is_ok()));
    }
    let streams: Vec<_> = (0..20).map(|_| index.search(&Query::new())).collect();
    for mut stream in streams {
        assert!(stream.next().await.is_some_and(|dataset| dataset.is_ok()));
    }
    // Nothing is held that would keep a writer waiting.
    fill(&*index, vec![Scene::of_archive(&given, 300).dataset()]).await;
    let error = refusal(&*index, &Query::new().product("nobody")).await;
    assert!(error.is_not_found(), "{error}");
}
