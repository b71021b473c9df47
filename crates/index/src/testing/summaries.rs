//! What is said of many datasets at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use datacube_geo::{Crs, Geometry};
use datacube_model::Dataset;
use futures::{StreamExt, TryStreamExt};
use geo_types::Rect;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Scene, fill, product, simple_product};
use crate::catalog::{Duplicates, Index, IndexExt, Outline};
use crate::error::{Error, Result};
use crate::query::{ArchivedFilter, FieldTest, Order, Query};
use crate::time_range::TimeRange;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn rect(west: f64, south: f64, east: f64, north: f64) -> Geometry {
    let rect = Rect::new((west, south), (east, north)).to_polygon();
    Geometry::new(rect, Some(Crs::wgs84())).expect("finite")
}

/// 700 scenes of three products, some archived.
async fn archive(index: &dyn Index) {
    let products = [product("a"), product("b"), simple_product("c")];
    let datasets: Vec<Dataset> = (0..700)
        .map(|n| {
            let of = &products[usize::try_from(n % 7 / 3).expect("few")];
            Scene::of_archive(of, n).dataset()
        })
        .collect();
    let archived: Vec<Uuid> = datasets.iter().step_by(10).map(Dataset::id).collect();
    fill(index, datasets).await;
    index
        .archive(&archived, at("2021-01-01T00:00:00Z"))
        .await
        .expect("written");
    index.add_product(&product("empty")).await.expect("new");
}

/// Queries of every shape.
fn queries() -> Vec<Query> {
    let area = || rect(120.0, -30.0, 135.0, -20.0);
    vec![
        Query::new(),
        Query::new().archived(ArchivedFilter::Any),
        Query::new().products(["a", "c", "empty"]),
        Query::new().time("2013-04-05".parse().expect("a day")),
        Query::new().geometry(area()),
        Query::new().geometry(rect(100.0, -60.0, 170.0, 0.0)),
        Query::new()
            .geometry(area())
            .time(TimeRange::since(at("2013-04-08T00:00:00Z")))
            .field("cloud_cover", FieldTest::at_most(50)),
        Query::new().field("cloud_cover", FieldTest::at_most(20)),
        Query::new().field("wrs_path", FieldTest::between(90, 92)),
        Query::new().field("region_code", "090084"),
        Query::new().products(["a", "b"]).limit(3),
        Query::new()
            .limit(5)
            .order_by(Order::descending("cloud_cover")),
        Query::new().ids([]),
        Query::new().product("empty"),
    ]
}

/// Everything that a query finds, whatever its limit.
async fn all_of(index: &dyn Index, query: &Query) -> Vec<Dataset> {
    let mut query = query.clone();
    query.limit = None;
    index.find(&query).await.expect("read")
}

pub(super) async fn datasets_are_counted_by_product(index: Arc<dyn Index>) {
    let index = &*index;
    archive(index).await;
    for query in queries() {
        let mut expected: BTreeMap<String, u64> = BTreeMap::new();
        for dataset in all_of(index, &query).await {
            *expected
                .entry(dataset.product().name().to_owned())
                .or_default() += 1;
        }
        let counts = index.count_by_product(&query).await.expect("read");
        assert_eq!(
            counts,
            expected.into_iter().collect::<Vec<_>>(),
            "{query:?}"
        );
    }
    let wrong = Query::new().field("cloud_cover", "high");
    assert!(index.count_by_product(&wrong).await.is_err());
    let error = index.count_by_product(&Query::new().product("d")).await;
    assert!(error.expect_err("unknown").is_not_found());
}

pub(super) async fn datasets_are_counted_through_time(index: Arc<dyn Index>) {
    let index = &*index;
    archive(index).await;
    let long =
        Scene::new(&product("a"), 9000).time_range("2013-04-02T00:00:00Z", "2014-01-01T00:00:00Z");
    fill(index, vec![long.dataset()]).await;
    let days: Vec<TimeRange> = (1..=20)
        .map(|day| format!("2013-04-{day:02}").parse().expect("a day"))
        .collect();
    let overlapping: Vec<TimeRange> = (0..30_i64)
        .map(|n| {
            let begin = at("2013-03-30T00:00:00Z")
                .checked_add(jiff::SignedDuration::from_hours(n * 11))
                .expect("in time");
            let end = begin
                .checked_add(jiff::SignedDuration::from_hours(200 + n * 37 % 90))
                .expect("in time");
            TimeRange::between(begin, end).expect("in order")
        })
        .chain([
            TimeRange::since(at("2013-04-10T00:00:00Z")),
            TimeRange::until(at("2013-04-03T12:00:00Z")),
            TimeRange::at(at("2013-04-03T00:10:00Z")),
            "1990".parse().expect("a year"),
        ])
        .collect();
    for query in queries() {
        let found = all_of(index, &query).await;
        for periods in [&days, &overlapping, &Vec::new()] {
            let expected: Vec<u64> = periods
                .iter()
                .map(|period| {
                    let meets = |dataset: &&Dataset| {
                        let (begin, end) = dataset.time_range();
                        period.begin().is_none_or(|first| end >= first)
                            && period.end().is_none_or(|last| begin <= last)
                    };
                    found.iter().filter(meets).count() as u64
                })
                .collect();
            let counts = index.count_through_time(&query, periods).await;
            assert_eq!(counts.expect("read"), expected, "{query:?}");
        }
    }
    let wrong = Query::new().field("cloud_cover", "high");
    assert!(index.count_through_time(&wrong, &days).await.is_err());
    assert!(index.count_through_time(&wrong, &[]).await.is_err());
}

pub(super) async fn equal_datasets_are_grouped(index: Arc<dyn Index>) {
    let index = &*index;
    let (a, b) = (product("a"), product("b"));
    let scene = |of, n: u64, region: &str, path: u64| {
        Scene::new(of, n)
            .at(120.0, -25.0)
            .time(&format!("2020-01-{:02}T00:00:00Z", 1 + n % 3))
            .property("odc:region_code", region)
            .property("landsat:wrs_path", path)
    };
    let scenes = [
        scene(&a, 0, "x", 1),
        scene(&a, 3, "x", 1),
        scene(&a, 6, "x", 2),
        scene(&a, 1, "y", 2),
        scene(&a, 4, "y", 2),
        scene(&b, 0, "x", 1),
        scene(&b, 1, "1", 3),
        Scene::new(&a, 9).at(120.0, -25.0),
        Scene::new(&a, 12).at(120.0, -25.0),
    ];
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    let archived = scene(&a, 30, "x", 1);
    fill(index, vec![archived.dataset()]).await;
    index
        .archive(&[archived.id()], at("2021-01-01T00:00:00Z"))
        .await
        .expect("written");
    let check = async |query: Query, fields: &[&str], expected: &[&[usize]]| {
        let fields: Vec<String> = fields.iter().map(|name| (*name).to_owned()).collect();
        let mut groups: Vec<Duplicates> = Vec::new();
        for numbers in expected {
            let mut ids: Vec<Uuid> = numbers.iter().map(|n| scenes[*n].id()).collect();
            ids.sort();
            let shown = index
                .search_returning(&Query::new().ids([ids[0]]), &fields)
                .try_collect::<Vec<_>>()
                .await
                .expect("read");
            let values = fields.iter().cloned().zip(shown[0].clone()).collect();
            groups.push(Duplicates::new(values, ids));
        }
        groups.sort_by(|a, b| a.ids.cmp(&b.ids));
        let found = index.duplicates(&query, &fields).await.expect("read");
        assert_eq!(found, groups, "{fields:?} {query:?}");
    };
    let near = || Query::new().geometry(rect(119.0, -26.0, 121.0, -24.0));
    for query in [Query::new(), near()] {
        check(
            query.clone(),
            &["region_code", "time"],
            &[&[0, 1, 2, 5], &[3, 4]],
        )
        .await;
        check(
            query.clone(),
            &["product", "region_code", "wrs_path"],
            &[&[0, 1], &[3, 4]],
        )
        .await;
        check(query.clone().product("b"), &["region_code"], &[]).await;
        check(
            query.clone().product("a").limit(1),
            &["wrs_path"],
            &[&[0, 1], &[2, 3, 4]],
        )
        .await;
        check(query, &["id"], &[]).await;
    }
    check(
        Query::new().product("a").field("wrs_path", 2),
        &["product"],
        &[&[2, 3, 4]],
    )
    .await;
    let error = index
        .duplicates(&Query::new(), &["region".to_owned()])
        .await
        .expect_err("no such field");
    assert!(matches!(error, Error::UnknownField { .. }), "{error}");
}

pub(super) async fn extents_hold_what_is_found(index: Arc<dyn Index>) {
    let index = &*index;
    archive(index).await;
    for query in queries() {
        let found = all_of(index, &query).await;
        let ends = found.iter().map(Dataset::time_range);
        let expected = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let extent = index.temporal_extent(&query).await.expect("read");
        let extent = extent.map(|range| (range.begin(), range.end()));
        let expected = expected.map(|(begin, end)| (Some(begin), Some(end)));
        assert_eq!(extent, expected, "{query:?}");
        for crs in ["EPSG:4326", "EPSG:3577"] {
            let crs = Crs::parse(crs).expect("a CRS");
            let extent = index.spatial_extent(&query, &crs).await.expect("read");
            let Some(extent) = extent else {
                assert!(found.is_empty(), "{query:?}");
                continue;
            };
            assert_eq!(extent.crs(), Some(&crs));
            let shapes: Vec<Geometry> = found
                .iter()
                .map(|dataset| dataset.extent().to_crs(&crs, None).expect("it projects"))
                .collect();
            let union = Geometry::union(&shapes).expect("one CRS").expect("some");
            let ratio = extent.area() / union.area();
            assert!((ratio - 1.0).abs() < 1e-3, "{query:?} {crs}: {ratio}");
            let common = extent.intersection(&union).expect("one CRS").area();
            assert!(
                (common / union.area() - 1.0).abs() < 1e-3,
                "{query:?} {crs}"
            );
        }
    }
    assert!(
        index
            .temporal_extent(&Query::new().product("x"))
            .await
            .is_err()
    );
}

pub(super) async fn extents_are_cut_at_the_antimeridian(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("fiji");
    let scenes = [
        Scene::new(&given, 1).at(179.9, -17.0).crs("EPSG:32760"),
        Scene::new(&given, 2).at(-179.9, -17.0).crs("EPSG:32701"),
    ];
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    let extent = index
        .spatial_extent(&Query::new(), &Crs::wgs84())
        .await
        .expect("read")
        .expect("there is one");
    let bounds = extent.bounding_box().expect("it has points");
    assert!((bounds.left, bounds.right) == (-180.0, 180.0), "{bounds:?}");
    // Some two degrees of it, not all around the earth.
    assert!(extent.area() < 6.0, "{}", extent.area());
    assert_eq!(index.spatial_indexes().await.expect("read"), [Crs::wgs84()]);
}

pub(super) async fn outlines_are_those_of_the_documents(index: Arc<dyn Index>) {
    let index = &*index;
    let product = product("p");
    let places = [(147.0, -35.0), (179.6, -17.0), (-179.9, 60.0)];
    let mut datasets = Vec::new();
    for (n, (longitude, latitude)) in (0..).zip(places) {
        let day = 20 - n;
        let scene = Scene::new(&product, n).at(longitude, latitude);
        let (begin, end) = (
            format!("2020-01-{day}T00:00:00.000001Z"),
            format!("2020-01-{day}T00:00:10.000004Z"),
        );
        datasets.push(scene.time_range(&begin, &end).dataset());
    }
    let polar = Scene::new(&product, 5).at(10.0, 89.9).crs("EPSG:3413");
    datasets.push(polar.dataset());
    // More than one page of them.
    datasets.extend((10..1500).map(|n| Scene::new(&product, n).dataset()));
    fill(index, datasets).await;
    for query in [
        Query::new(),
        Query::new().limit(3),
        Query::new().product("p"),
    ] {
        let found: Vec<Outline> = index.outlines(&query).try_collect().await.expect("read");
        let datasets: Vec<Dataset> = index.search(&query).try_collect().await.expect("read");
        let expected: Vec<Outline> = datasets.iter().map(Outline::of).collect();
        assert_eq!(found, expected);
    }
    let wide = index.outlines(&Query::new()).try_filter(|outline| {
        let is_wide = outline.bounds.is_some_and(|bounds| bounds.right > 180.0);
        std::future::ready(is_wide)
    });
    assert!(wide.count().await >= 2);
    let unknown = Query::new().product("q");
    let refused: Result<Vec<Outline>> = index.outlines(&unknown).try_collect().await;
    assert!(refused.is_err());
}

pub(super) async fn chosen_fields_are_returned(index: Arc<dyn Index>) {
    let index = &*index;
    let (rich, simple) = (product("rich"), simple_product("simple"));
    let first = Scene::new(&rich, 1)
        .property("odc:region_code", "x")
        .property("eo:cloud_cover", 12.5)
        .property("landsat:wrs_path", 90)
        .property("is_day", true)
        .property("processed", "2020-02-03T04:05:06.5Z")
        .property("gsd_min", 10)
        .property("extra", json!({"a": [1]}))
        .time_range("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    let second = Scene::new(&simple, 1)
        .time("2020-03-01T00:00:00Z")
        .property("eo:cloud_cover", 7)
        .locations(Vec::new());
    fill(index, vec![first.dataset(), second.dataset()]).await;
    let when = at("2021-01-01T00:00:00Z");
    index.archive(&[second.id()], when).await.expect("written");
    let names = [
        "id",
        "product",
        "metadata_type",
        "uri",
        "archived",
        "time",
        "region_code",
        "cloud_cover",
        "wrs_path",
        "is_day",
        "processed",
        "gsd",
        "extra",
        "format",
        "creation_time",
        "label",
    ];
    let names: Vec<String> = names.map(str::to_owned).to_vec();
    let query = Query::new().archived(ArchivedFilter::Any);
    let rows: Vec<Vec<Value>> = index
        .search_returning(&query, &names)
        .try_collect()
        .await
        .expect("read");
    let expected = json!([
        [
            first.id(), "rich", "eo3_fields", "s3://archive/rich/1/odc-metadata.yaml", null,
            {"begin": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"}, "x", 12.5, 90, true,
            "2020-02-03T04:05:06.5Z", {"begin": 10, "end": null}, {"a": [1]}, "GeoTIFF",
            "2020-06-01T00:00:00Z", first.document()["label"],
        ],
        [
            second.id(), "simple", "eo3", null, "2021-01-01T00:00:00Z",
            {"begin": "2020-03-01T00:00:00Z", "end": "2020-03-01T00:00:00Z"}, null, 7, null, null,
            null, null, null, "GeoTIFF", "2020-06-01T00:00:00Z", second.document()["label"],
        ],
    ]);
    let mut rows = json!(rows);
    // Written as the document has it, or as a time.
    for row in rows.as_array_mut().expect("rows") {
        let time = row[14]
            .as_str()
            .and_then(|text| datacube_model::parse_time(text).ok());
        row[14] = json!(time.expect("a time").to_string());
    }
    assert_eq!(rows, expected);
    let limited = query.order_by(Order::descending("time")).limit(1);
    let rows: Vec<Vec<Value>> = index
        .search_returning(&limited, &names[..1])
        .try_collect()
        .await
        .expect("read");
    assert_eq!(json!(rows), json!([[second.id()]]));
    let unknown = vec!["id".to_owned(), "clouds".to_owned()];
    let error = index
        .search_returning(&Query::new(), &unknown)
        .try_collect::<Vec<_>>()
        .await
        .expect_err("no such field");
    assert!(
        matches!(error, Error::UnknownField { .. }) && error.to_string().contains("`clouds`"),
        "{error}"
    );
}

pub(super) async fn products_know_their_last_change(index: Arc<dyn Index>) {
    let index = &*index;
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    let last = async || index.last_change("ls").await.expect("read");
    assert_eq!(last().await, None);
    let scenes = [Scene::new(&given, 1), Scene::new(&given, 2)];
    let when = at("2020-05-06T07:08:09.123456Z");
    for (n, scene) in scenes.iter().enumerate() {
        let earlier = jiff::SignedDuration::from_hours(i64::try_from(n).expect("few"));
        let options =
            crate::AddOptions::default().indexed_at(when.checked_sub(earlier).expect("in time"));
        index
            .add_datasets(vec![scene.dataset()], &options)
            .await
            .expect("written");
    }
    assert_eq!(last().await, Some(when));
    let mut before = Timestamp::now();
    let id = scenes[1].id();
    for step in 0..5 {
        match step {
            0 => drop(index.archive(&[id], when).await.expect("written")),
            1 => drop(index.restore(&[id]).await.expect("written")),
            2 => drop(
                index
                    .add_location(id, "s3://x", true)
                    .await
                    .expect("written"),
            ),
            3 => drop(index.remove_location(id, "s3://x").await.expect("written")),
            _ => {
                let changed = scenes[1].clone().property("eo:cloud_cover", 3.0);
                let options = crate::UpdateDatasetOptions::default().allow_any(["properties"]);
                let outcomes = index
                    .update_datasets(vec![changed.dataset()], &options)
                    .await
                    .expect("written");
                assert!(outcomes[0].is_updated());
            }
        }
        let changed = last().await.expect("it has datasets");
        let after = Timestamp::now();
        // Clocks of servers are near; times are kept to the microsecond.
        let slack = jiff::SignedDuration::from_millis(1);
        assert!(
            changed >= before.checked_sub(slack).expect("in time")
                && changed <= after.checked_add(slack).expect("in time"),
            "step {step}: {before} {changed} {after}"
        );
        before = changed;
    }
    let error = index.last_change("x").await.expect_err("unknown");
    assert!(error.is_not_found());
}
