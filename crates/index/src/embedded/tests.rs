//! Random datasets and random queries: the same answers as in memory,
//! whichever way the search goes about it.

use datacube_geo::{Crs, Geometry};
use datacube_model::Location;
use futures::TryStreamExt;
use geo_types::Rect;
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::EmbeddedIndex;
use super::plan::Place;
use crate::catalog::{AddOptions, Index, IndexExt, InitOptions, Outline};
use crate::error::Result;
use crate::memory::MemoryIndex;
use crate::open::OpenOptions;
use crate::query::{ArchivedFilter, FieldTest, Order, Query, UriMatch};
use crate::resolve::Resolved;
use crate::testing::{Scene, product, simple_product};
use crate::time_range::{TimeRange, from_micros};

pub(crate) const PRODUCTS: [&str; 4] = ["a", "b", "c", "simple"];
const TEXTS: [&str; 4] = ["landsat-8", "landsat-9", "", "é'\"\\%"];
const NUMBERS: [f64; 8] = [0.0, -0.0, 0.1, 12.5, 100.0 / 3.0, -7.0, 1e-300, f64::MAX];

/// 2020-01-01 in microseconds.
const EPOCH_US: i64 = 1_577_836_800_000_000;
const HOUR_US: i64 = 3_600_000_000;

pub(crate) fn instant(hours: i64) -> Timestamp {
    from_micros(EPOCH_US + hours * HOUR_US)
}

fn a_place() -> impl Strategy<Value = (f64, f64, Option<&'static str>)> {
    prop_oneof![
        4 => (145.0..150.0, -38.0..-33.0).prop_map(|(lon, lat)| (lon, lat, None)),
        2 => (178.0..180.0, -20.0..-15.0).prop_map(|(lon, lat)| (lon, lat, Some("EPSG:32760"))),
        1 => (-180.0..-178.0, -20.0..-15.0).prop_map(|(lon, lat)| (lon, lat, Some("EPSG:32701"))),
        1 => (178.5..181.5, -20.0..-15.0).prop_map(|(lon, lat)| (lon, lat, Some("EPSG:4326"))),
        1 => (-180.0..180.0, 86.0..90.0).prop_map(|(lon, lat)| (lon, lat, Some("EPSG:3413"))),
    ]
}

/// A scene without its number, which makes the id.
pub(crate) fn a_scene() -> impl Strategy<Value = Scene> {
    let when = (
        0..2000_i64,
        prop_oneof![3 => Just(0_i64), 1 => 0..20_000_i64],
    );
    let values = (
        option::of(select(&TEXTS[..])),
        option::of(select(&TEXTS[..])),
        option::of(select(&NUMBERS[..])),
        option::of(-3..3_i64),
        option::of(any::<bool>()),
        option::of(0..2000_i64),
        option::of((0..5_i64, 0..5_i64)),
        option::of((0..2000_i64, 0..2000_i64)),
    );
    let places = vec((select(&PLACES[..]), prop::bool::weighted(0.2)), 0..3);
    let what = (
        select(&PRODUCTS[..]),
        a_place(),
        20.0..300.0,
        when,
        values,
        places,
    );
    what.prop_map(
        |(name, (lon, lat, crs), width, (begin, hours), values, places)| {
            let of = if name == "simple" {
                simple_product(name)
            } else {
                product(name)
            };
            let mut scene = Scene::new(&of, 0).at(lon, lat).width_km(width).time_range(
                &instant(begin).to_string(),
                &instant(begin + hours).to_string(),
            );
            if let Some(crs) = crs {
                scene = scene.crs(crs);
            }
            let (region, platform, cloud, path, is_day, processed, gsd, season) = values;
            let texts = [("odc:region_code", region), ("eo:platform", platform)];
            for (name, text) in texts
                .into_iter()
                .filter_map(|(name, text)| Some((name, text?)))
            {
                scene = scene.property(name, text);
            }
            if let Some(cloud) = cloud {
                scene = scene.property("eo:cloud_cover", cloud);
            }
            if let Some(path) = path {
                scene = scene.property("landsat:wrs_path", path);
            }
            if let Some(is_day) = is_day {
                scene = scene.property("is_day", is_day);
            }
            if let Some(processed) = processed {
                scene = scene.property("processed", instant(processed).to_string());
            }
            if let Some((low, more)) = gsd {
                scene = scene
                    .property("gsd_min", low)
                    .property("gsd_max", low + more);
            }
            let places = places.into_iter().map(|(uri, is_archived)| {
                let place = Location::new(uri);
                if is_archived {
                    place.archived_at(instant(0))
                } else {
                    place
                }
            });
            scene = scene.locations(places.collect());
            if let Some((begin, hours)) = season {
                scene = scene
                    .property("season_from", instant(begin).to_string())
                    .property("season_to", instant(begin + hours).to_string());
            }
            scene
        },
    )
}

fn a_time() -> impl Strategy<Value = TimeRange> {
    prop_oneof![
        (-100..2100_i64, 0..500_i64).prop_map(|(begin, hours)| {
            TimeRange::between(instant(begin), instant(begin + hours)).expect("in order")
        }),
        (-100..2100_i64).prop_map(|begin| TimeRange::since(instant(begin))),
        (-100..2100_i64).prop_map(|end| TimeRange::until(instant(end))),
    ]
}

fn an_area() -> impl Strategy<Value = Geometry> {
    let rect = |(x, y, width, height): (f64, f64, f64, f64), crs: &str| {
        let rect = Rect::new((x, y), (x + width, y + height)).to_polygon();
        Geometry::new(rect, Some(Crs::parse(crs).expect("a CRS"))).expect("finite")
    };
    prop_oneof![
        3 => (144.0..150.0, -39.0..-33.0, 0.0..3.0, 0.0..3.0).prop_map(move |b| rect(b, "EPSG:4326")),
        2 => (176.0..183.0, -21.0..-15.0, 0.0..3.0, 0.0..3.0).prop_map(move |b| rect(b, "EPSG:4326")),
        1 => (-184.0..-177.0, -21.0..-15.0, 0.0..3.0, 0.0..3.0).prop_map(move |b| rect(b, "EPSG:4326")),
        1 => (-180.0..180.0, 84.0..89.0, 0.0..90.0, 0.0..1.0).prop_map(move |b| rect(b, "EPSG:4326")),
        1 => (-4e5..3e5, -4e5..3e5, 1.0..2e5, 1.0..2e5).prop_map(move |b| rect(b, "EPSG:3413")),
        1 => (2e5..8e5, 5.8e6..6.4e6, 1.0..3e5, 1.0..3e5).prop_map(move |b| rect(b, "EPSG:32755")),
        1 => (7e5..9e5, 7.8e6..8.4e6, 1.0..3e5, 1.0..3e5).prop_map(move |b| rect(b, "EPSG:32760")),
    ]
}

/// A field and a test that fits it.
fn a_field_test() -> impl Strategy<Value = (&'static str, FieldTest)> {
    let text = || select(&TEXTS[..]).prop_map(FieldTest::from).boxed();
    let number = || {
        prop_oneof![
            select(&NUMBERS[..]).prop_map(FieldTest::from),
            select(&NUMBERS[..]).prop_map(FieldTest::at_most),
            select(&NUMBERS[..]).prop_map(FieldTest::more_than),
            (-5..5_i32, 0..5_i32).prop_map(|(low, more)| FieldTest::between(low, low + more)),
        ]
        .boxed()
    };
    let time = || a_time().prop_map(FieldTest::from).boxed();
    let leaf = prop_oneof![
        (Just("region_code"), vec(text(), 1..4)),
        (Just("platform"), vec(text(), 1..4)),
        (Just("cloud_cover"), vec(number(), 1..4)),
        (Just("wrs_path"), vec(number(), 1..4)),
        (Just("gsd"), vec(number(), 1..4)),
        (
            Just("is_day"),
            vec(any::<bool>().prop_map(FieldTest::from).boxed(), 1..2)
        ),
        (Just("processed"), vec(time(), 1..4)),
        (Just("season"), vec(time(), 1..4)),
        (Just("time"), vec(time(), 1..3)),
        (
            Just("product"),
            vec(
                select(&PRODUCTS[..]).prop_map(FieldTest::from).boxed(),
                1..3
            )
        ),
    ];
    (leaf, 0..5_u8).prop_map(|((field, mut tests), shape)| {
        let test = match shape {
            0 => FieldTest::AnyOf(tests),
            1 => FieldTest::AllOf(tests),
            2 => FieldTest::not(FieldTest::AnyOf(tests)),
            3 => FieldTest::AllOf(vec![
                tests.remove(0),
                FieldTest::not(FieldTest::AllOf(tests)),
            ]),
            _ => tests.remove(0),
        };
        (field, test)
    })
}

const PLACES: [&str; 6] = [
    "s3://a/1",
    "s3://a/12",
    "s3://a/%",
    "s3://a_/1",
    "https://h/é/1",
    "https://h/é",
];

fn a_place_to_find() -> impl Strategy<Value = UriMatch> {
    (select(&PLACES[..]), option::of(0..9_usize)).prop_map(|(uri, cut)| match cut {
        None => UriMatch::Exact(uri.to_owned()),
        Some(n_letters) => UriMatch::Prefix(uri.chars().take(n_letters).collect()),
    })
}

fn an_order() -> impl Strategy<Value = Order> {
    const FIELDS: [&str; 19] = [
        "region_code",
        "platform",
        "cloud_cover",
        "wrs_path",
        "is_day",
        "processed",
        "gsd",
        "season",
        "time",
        "id",
        "product",
        "metadata_type",
        "label",
        "creation_time",
        "lat",
        "lon",
        "archived",
        "uri",
        "indexed_time",
    ];
    (select(&FIELDS[..]), any::<bool>()).prop_map(|(field, descending)| Order {
        field: field.to_owned(),
        descending,
    })
}

pub(crate) fn a_query() -> impl Strategy<Value = Query> {
    let beside = (
        prop_oneof![4 => Just(Vec::new()), 1 => vec(a_place_to_find(), 1..3)],
        prop_oneof![1 => Just(Vec::new()), 1 => vec(an_order(), 1..4)],
    );
    let usual = a_usual_query();
    (usual, beside).prop_map(|(mut query, (uris, order))| {
        query.uris = uris;
        query.order = order;
        query
    })
}

fn a_usual_query() -> impl Strategy<Value = Query> {
    (
        vec(select(&PRODUCTS[..]), 0..3),
        vec(a_time(), 0..3),
        option::weighted(0.4, an_area()),
        vec(a_field_test(), 0..3),
        select(
            &[
                ArchivedFilter::Active,
                ArchivedFilter::Archived,
                ArchivedFilter::Any,
            ][..],
        ),
        option::weighted(0.3, 0..20_usize),
    )
        .prop_map(|(products, times, area, fields, archived, limit)| {
            let mut query = Query::new().products(products).archived(archived);
            query.times = times;
            query.geometry = area;
            query.limit = limit;
            fields
                .into_iter()
                .fold(query, |query, (field, test)| query.field(field, test))
        })
}

/// Compares what both say of all that a query finds.
async fn compare_summaries(memory: &MemoryIndex, embedded: &EmbeddedIndex, query: &Query) {
    fn same<T: std::fmt::Debug + PartialEq>(a: Result<T>, b: Result<T>, query: &Query) {
        match (a, b) {
            (Ok(a), Ok(b)) => assert_eq!(a, b, "{query:?}"),
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "{query:?}"),
            (a, b) => panic!("{query:?}: {a:?} and {b:?}"),
        }
    }
    let periods: Vec<TimeRange> = [(0, 300), (300, 600), (450, 900), (1500, 1500)]
        .iter()
        .map(|(begin, end)| TimeRange::between(instant(*begin), instant(*end)).expect("in order"))
        .collect();
    let apart = &periods[..2];
    for periods in [apart, &periods] {
        let a = memory.count_through_time(query, periods).await;
        same(a, embedded.count_through_time(query, periods).await, query);
    }
    let a = memory.count_by_product(query).await;
    same(a, embedded.count_by_product(query).await, query);
    let a = memory.temporal_extent(query).await;
    same(a, embedded.temporal_extent(query).await, query);
    let a: Result<Vec<Outline>> = memory.outlines(query).try_collect().await;
    same(a, embedded.outlines(query).try_collect().await, query);
    for fields in [
        &["region_code", "platform"][..],
        &["gsd"],
        &["cloud_cover", "product"],
        &["uri"],
    ] {
        let fields: Vec<String> = fields.iter().map(|name| (*name).to_owned()).collect();
        let a = memory.duplicates(query, &fields).await;
        same(a, embedded.duplicates(query, &fields).await, query);
    }
}

/// Fills both indexes alike and compares what they say to each query.
async fn compare(
    scenes: Vec<Scene>,
    archived: &[bool],
    queries: &[Query],
    max_candidates: i64,
    pass: usize,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let mut embedded = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    embedded.max_candidates = max_candidates;
    embedded.sort_pass = pass;
    embedded.init(&InitOptions::default()).await.expect("made");
    let memory = MemoryIndex::new();
    let when = instant(50_000);
    let datasets: Vec<_> = (0_u64..)
        .zip(scenes)
        .map(|(n, scene)| {
            scene.with_id(uuid::Uuid::new_v5(
                &uuid::Uuid::NAMESPACE_OID,
                &n.to_le_bytes(),
            ))
        })
        .map(|scene| scene.dataset())
        .collect();
    let to_archive: Vec<_> = datasets
        .iter()
        .zip(archived)
        .filter(|(_, archive)| **archive)
        .map(|(d, _)| d.id())
        .collect();
    let indexes: [&dyn Index; 2] = [&memory, &embedded];
    for index in indexes {
        for name in PRODUCTS {
            let of = if name == "simple" {
                simple_product(name)
            } else {
                product(name)
            };
            index.add_product(&of).await.expect("added");
        }
        let options = AddOptions::default().indexed_at(when);
        index
            .add_datasets(datasets.clone(), &options)
            .await
            .expect("written");
        index.archive(&to_archive, when).await.expect("written");
    }
    for query in queries {
        let in_memory = memory.find(query).await;
        let in_file = embedded.find(query).await;
        match (in_memory, in_file) {
            (Ok(a), Ok(b)) => {
                let ids = |list: &[datacube_model::Dataset]| -> Vec<_> {
                    list.iter().map(datacube_model::Dataset::id).collect()
                };
                assert_eq!(ids(&a), ids(&b), "{query:?}");
                assert_eq!(a, b, "{query:?}");
                let n = a.len() as u64;
                assert_eq!(memory.count(query).await.expect("counted"), n, "{query:?}");
                assert_eq!(
                    embedded.count(query).await.expect("counted"),
                    n,
                    "{query:?}"
                );
            }
            (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string(), "{query:?}"),
            (a, b) => panic!("{query:?}: {a:?} and {b:?}"),
        }
        compare_summaries(&memory, &embedded, query).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_file_answers_as_memory_does(
        scenes in vec(a_scene(), 1..80),
        archived in vec(prop::bool::weighted(0.2), 80),
        queries in vec(a_query(), 40),
        max_candidates in select(&[0_i64, 6, 20_000][..]),
        pass in select(&[1_usize, 7, 1000][..]),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(compare(scenes, &archived, &queries, max_candidates, pass));
    }
}

/// How SQLite would go about the first step of a walk, a later one, and outlines of all
/// of it.
async fn explained(index: &EmbeddedIndex, query: &Query) -> Vec<String> {
    let known = index.current_definitions().await.expect("read");
    let resolved = Resolved::new(query, &known.product_list()).expect("a right query");
    let mut connection = index.reader().await.expect("a connection");
    let products = resolved.products.as_ref().map(|names| {
        names
            .iter()
            .map(|name| known.product(name).expect("it is there").0)
            .collect()
    });
    let walk = index
        .walk(&mut connection, &resolved, products)
        .await
        .expect("read");
    let after = Place {
        center_us: 5,
        id: uuid::Uuid::nil(),
        key: 1,
    };
    let mut lines = Vec::new();
    for mut statement in [
        walk.statement(&resolved, &known, None, 10),
        walk.statement(&resolved, &known, Some(after), 10),
        walk.outlines(&resolved, &known),
    ] {
        statement.text.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows: Vec<(i64, i64, i64, String)> = statement
            .query()
            .fetch_all(&mut *connection)
            .await
            .expect("explained");
        lines.extend(rows.into_iter().map(|(_, _, _, line)| line));
    }
    lines
}

#[tokio::test]
async fn every_walk_follows_an_index_and_sorts_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("index.db");
    let index = EmbeddedIndex::open(&path, &OpenOptions::new())
        .await
        .expect("opened");
    index.init(&InitOptions::default()).await.expect("made");
    let names: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    for name in &names {
        index.add_product(&product(name)).await.expect("added");
    }
    let time: TimeRange = "2020-03".parse().expect("a month");
    let area = Rect::new((140.0, -40.0), (141.0, -39.0)).to_polygon();
    let area = Geometry::new(area, Some(Crs::wgs84())).expect("finite");
    for (query, expected, n_arms) in [
        (Query::new(), "USING COVERING INDEX dataset_order (", 1),
        (
            Query::new().product("p1").time(time),
            "USING COVERING INDEX dataset_product_order (",
            1,
        ),
        (
            Query::new().products(&names[..5]),
            "USING COVERING INDEX dataset_product_order (",
            5,
        ),
        (
            Query::new().products(&names[..20]),
            "USING COVERING INDEX dataset_order (",
            1,
        ),
        (
            Query::new().product("p1").geometry(area),
            "USING INDEX dataset_product_order (",
            1,
        ),
    ] {
        let lines = explained(&index, &query).await;
        let searches: Vec<&String> = lines
            .iter()
            .filter(|line| line.starts_with("SEARCH d "))
            .collect();
        assert_eq!(searches.len(), 3 * n_arms, "{query:?}: {lines:#?}");
        let (steps, outlines) = searches.split_at(2 * n_arms);
        // The order of each product has the boxes; that over all has not.
        let at_last = match expected.contains("dataset_product_order") {
            true => "USING COVERING INDEX dataset_product_order (",
            false => "USING INDEX dataset_order (",
        };
        assert!(
            steps.iter().all(|line| line.contains(expected))
                && outlines.iter().all(|line| line.contains(at_last)),
            "{query:?}: {lines:#?}"
        );
        assert!(
            !lines.iter().any(|line| line.contains("SCAN d")),
            "{query:?}: {lines:#?}"
        );
        assert!(
            !lines.iter().any(|line| line.contains("TEMP B-TREE")),
            "{query:?}: {lines:#?}"
        );
    }
}
