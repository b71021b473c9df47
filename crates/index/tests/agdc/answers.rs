//! The same answers as from the index in memory, and all of them.

use datacube_geo::Crs;
use datacube_index::{
    AddOptions, ArchivedFilter, FieldTest, Index, IndexExt, MemoryIndex, Order, Query,
    UpdateOptions, UriMatch, open,
};
use datacube_testkit::Cluster;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;
use uuid::Uuid;

use crate::fixture::{DATASETS, database_of, ids, legacy, readable, within};

/// Questions of every kind.
fn questions() -> Vec<Query> {
    let time = |text: &str| text.parse().expect("a period");
    let here = within(143.8, 54.9, 144.0, 55.1);
    let field = |name: &str, test: FieldTest| readable().field(name, test);
    let exact = |uri: &str| readable().uri(UriMatch::Exact(uri.to_owned()));
    let prefix = |uri: &str| readable().uri(UriMatch::Prefix(uri.to_owned()));
    let mut all = vec![
        readable(),
        Query::new().product("shared"),
        readable().time(time("2020-01")),
        readable().time(time("2020-01-15")),
        // The one that Python takes for the next day.
        readable().time(time("2020-03-31")),
        readable().time(time("2020-04-01")),
        readable().time(time("2020-02-11")),
        readable().time(time("2019")).time(time("2020-02-12")),
        readable().geometry(here.clone()),
        readable().geometry(here.clone()).time(time("2020-01")),
        readable().geometry(within(-180.0, -19.0, -179.99, -17.0)),
        readable().geometry(within(179.0, -19.0, 181.0, -17.0)),
        readable().geometry(
            here.to_crs(&Crs::from_epsg(32655).expect("UTM"), None)
                .expect("near"),
        ),
        field("region_code", "090084".into()),
        // A number in one document.
        field("region_code", "90".into()),
        field("region_code", vec!["fiji", "x", "90"].into()),
        field("region_code", FieldTest::not("090084")),
        field("platform", "landsat-8".into()),
        field("cloud_cover", FieldTest::between(0, 20)),
        // Text in one document.
        field("cloud_cover", FieldTest::at_least(33.5)),
        field("cloud_cover", FieldTest::not(FieldTest::at_least(1))),
        field("label", "scene_2".into()),
        field("format", "GeoTIFF".into()),
        field("creation_time", "2020-06".into()),
        field("product", "other".into()),
        field("metadata_type", "eo3".into()),
        readable().archived(ArchivedFilter::Any),
        readable().archived(ArchivedFilter::Archived),
        exact("https://host/scene_0.json"),
        exact("s3://bucket/scene_0.json"),
        exact("s3://bucket/scene_0.json").archived(ArchivedFilter::Any),
        prefix("file:///data/scene_"),
        prefix("fil"),
        readable().ids([DATASETS[1], DATASETS[3], Uuid::nil()]),
        readable().limit(2),
    ];
    for name in [
        "region_code",
        "cloud_cover",
        "time",
        "lat",
        "label",
        "uri",
        "id",
    ] {
        all.push(readable().order_by(Order::descending(name)));
        all.push(readable().order_by(Order::ascending(name)).limit(3));
    }
    all
}

#[tokio::test]
async fn it_answers_as_the_index_in_memory() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let index = open(&legacy(&cluster)).await.expect("a legacy index");
    let memory = MemoryIndex::new();
    let replace = UpdateOptions::default().allow_unsafe(true);
    for product in index.products().await.expect("read") {
        // Python has its own words for the built-in types.
        let metadata_type = product.metadata_type();
        let replaced = memory.update_metadata_type(metadata_type, &replace).await;
        replaced.expect("it is built in");
        if product.name() != "old" {
            memory.add_product(&product).await.expect("added");
        }
    }
    let everything = readable().archived(ArchivedFilter::Any);
    let datasets = index.find(&everything).await.expect("all can be read");
    assert_eq!(datasets.len(), 7);
    let options = AddOptions::default().keep_indexed(true);
    let added = memory.add_datasets(datasets.clone(), &options).await;
    assert!(
        added
            .expect("added")
            .iter()
            .all(|outcome| outcome.is_added())
    );
    let mut n_found = 0;
    for query in questions() {
        let expected = ids(&memory, &query).await;
        n_found += expected.len();
        assert_eq!(ids(&*index, &query).await, expected, "{query:?}");
        assert_eq!(
            index.count_by_product(&query).await.expect("counted"),
            memory.count_by_product(&query).await.expect("counted"),
            "{query:?}"
        );
        assert_eq!(
            index.temporal_extent(&query).await.expect("read"),
            memory.temporal_extent(&query).await.expect("read"),
            "{query:?}"
        );
    }
    assert!(n_found > 80, "the questions have answers: {n_found}");
    let columns = [
        "id",
        "time",
        "region_code",
        "cloud_cover",
        "uri",
        "indexed_time",
    ];
    let columns = columns.map(str::to_owned);
    let returned = async |index: &dyn Index| -> Vec<Vec<Value>> {
        let found = index.search_returning(&everything, &columns);
        found.try_collect().await.expect("read")
    };
    assert_eq!(returned(&*index).await, returned(&memory).await);
    let by_region = ["region_code".to_owned()];
    let same = index
        .duplicates(&everything, &by_region)
        .await
        .expect("read");
    assert_eq!(same.len(), 1);
    assert_eq!(
        same,
        memory
            .duplicates(&everything, &by_region)
            .await
            .expect("read")
    );
    let periods: Vec<_> = ["2020-01", "2020-02", "2020-03"]
        .iter()
        .map(|text| text.parse().expect("a month"))
        .collect();
    assert_eq!(
        index
            .count_through_time(&readable(), &periods)
            .await
            .expect("counted"),
        [3, 1, 2]
    );
    let everywhere = index.spatial_extent(&readable(), &Crs::wgs84()).await;
    assert!(everywhere.expect("read").is_some());
}

#[tokio::test]
async fn a_stream_survives_the_server() {
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let url = legacy(&cluster);
    // Many more of one of them, so that there is a second page.
    cluster.sql(
        database_of(&url),
        "INSERT INTO agdc.dataset (id, metadata_type_ref, dataset_type_ref, metadata) \
         SELECT id, metadata_type_ref, dataset_type_ref, \
             jsonb_set(metadata, '{id}', to_jsonb(id::text)) \
         FROM (SELECT md5(n::text)::uuid AS id, metadata_type_ref, dataset_type_ref, metadata \
               FROM agdc.dataset, generate_series(1, 2000) AS n \
               WHERE metadata ->> 'label' = 'scene_1') AS more",
    );
    let index = open(&url).await.expect("a legacy index");
    let expected = ids(&*index, &readable()).await;
    assert_eq!(expected.len(), 2006);
    let mut found = index.search(&readable());
    let mut seen = Vec::new();
    for _ in 0..700 {
        let dataset = found.next().await.expect("there are more").expect("read");
        seen.push(dataset.id());
    }
    cluster.restart();
    while let Some(dataset) = found.next().await {
        seen.push(dataset.expect("read").id());
    }
    assert_eq!(seen, expected);
}
