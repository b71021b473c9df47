//! Search expressions of the command line.

use std::sync::Arc;

use super::{Scene, check, fill, product, simple_product};
use crate::catalog::{Index, IndexExt};
use crate::error::Error;

async fn finds(index: &dyn Index, text: &str, scenes: &[&Scene]) {
    let query = index
        .parse_query(text)
        .await
        .unwrap_or_else(|e| panic!("{text}: {e}"));
    check(index, query, scenes).await;
}

async fn refuses(index: &dyn Index, text: &str, place: usize, says: &str) {
    match index.parse_query(text).await {
        Err(Error::Expression {
            position, reason, ..
        }) => {
            assert_eq!(position, place, "{text}: {reason}");
            assert!(reason.contains(says), "{text}: {reason}");
        }
        other => panic!("{text}: {other:?}"),
    }
}

async fn three(index: &dyn Index) -> [Scene; 3] {
    let (ls8, ls9) = (product("ls8"), simple_product("ls9"));
    let scenes = [
        Scene::new(&ls8, 1)
            .time("2020-01-15T00:10:00Z")
            .at(147.0, -35.0)
            .property("eo:cloud_cover", 5)
            .property("eo:platform", "landsat-8")
            .property("is_day", true)
            .property("odc:region_code", "090084"),
        Scene::new(&ls8, 2)
            .time("2020-02-29T23:50:00Z")
            .at(150.0, -30.0)
            .property("eo:cloud_cover", 60)
            .property("eo:platform", "LANDSAT 8")
            .property("is_day", false)
            .property("odc:region_code", "091080"),
        Scene::new(&ls9, 3)
            .time("2021-06-01T00:10:00Z")
            .at(179.9, -17.0)
            .property("eo:cloud_cover", 20)
            .property("eo:platform", "landsat-9")
            .property("odc:region_code", "090084"),
    ];
    fill(index, scenes.iter().map(Scene::dataset).collect()).await;
    scenes
}

pub(super) async fn expressions_find_what_they_say(index: Arc<dyn Index>) {
    let i = &*index;
    let [a, b, c] = &three(i).await;
    finds(i, "", &[a, b, c]).await;
    finds(i, "product = ls8", &[a, b]).await;
    finds(i, "product=ls8 product=ls9", &[a, b, c]).await;
    finds(i, "product in [ls8, ls9]", &[a, b, c]).await;
    finds(i, "product != ls8", &[c]).await;
    finds(i, "time in 2020-01", &[a]).await;
    finds(i, "time = 2020", &[a, b]).await;
    finds(i, "time in [2020-02, 2021]", &[b, c]).await;
    finds(i, "time in 2020-01 time in 2021", &[a, c]).await;
    finds(i, "time < 2020-02", &[a, b]).await;
    finds(i, "time > 2020-02", &[b, c]).await;
    finds(i, "time > 2020-02-01 time < 2021-01", &[b]).await;
    finds(i, "cloud_cover in [0, 20]", &[a, c]).await;
    finds(i, "cloud_cover < 20", &[a]).await;
    finds(i, "cloud_cover <= 20", &[a, c]).await;
    finds(i, "cloud_cover = 5 cloud_cover = 60", &[a, b]).await;
    finds(i, "cloud_cover > 5 cloud_cover < 60", &[c]).await;
    finds(i, "cloud_cover != 60", &[a, c]).await;
    finds(i, "cloud_cover in [5, 20, 60]", &[a, b, c]).await;
    finds(i, "platform = landsat-8", &[a]).await;
    finds(i, "platform = \"LANDSAT 8\"", &[b]).await;
    finds(i, "platform in [landsat-8, landsat-9]", &[a, c]).await;
    finds(i, "platform not in [landsat-8, landsat-9]", &[b]).await;
    finds(i, "region_code = 090084", &[a, c]).await;
    finds(i, "is_day = true", &[a]).await;
    finds(
        i,
        "region_code = 090084 time in 2021 cloud_cover < 50",
        &[c],
    )
    .await;
    finds(i, &format!("id = {}", b.id()), &[b]).await;
    finds(i, &format!("id in [{}, {}]", c.id(), a.id()), &[a, c]).await;
    finds(i, "lat in [-36, -34]", &[a]).await;
    finds(i, "lat > -31 lat < -29", &[b]).await;
    finds(i, "lat in [-36, -34] lon in [149, 151]", &[]).await;
    finds(i, "lat = -35 lon = 147", &[a]).await;
    finds(i, "lon in [179, -179]", &[c]).await;
    finds(i, "lon in [146, 148] lon in [149.5, 150.5]", &[a, b]).await;
    finds(i, "creation_time in 2020-06", &[a, b, c]).await;
}

pub(super) async fn errors_point_at_the_place(index: Arc<dyn Index>) {
    let i = &*index;
    three(i).await;
    refuses(
        i,
        "product = ls8 cloud > 3",
        14,
        "did you mean `cloud_cover`",
    )
    .await;
    refuses(i, "clouds = 3", 0, "region_code").await;
    refuses(i, "product = ls7", 10, "ls8").await;
    refuses(i, "product > ls8", 0, "`=`").await;
    refuses(i, "product = ls8 product != ls8", 0, "no product").await;
    refuses(
        i,
        "product = ls9 is_day = true",
        14,
        "no search field `is_day`",
    )
    .await;
    refuses(i, "time in 2020-13", 8, "2020-02-29T10:30:00Z").await;
    refuses(i, "time in [2021, 2020]", 9, "exchange").await;
    refuses(i, "time > 2021 time < 2020", 12, "no time").await;
    refuses(i, "time != 2020", 0, "`in`").await;
    refuses(i, "cloud_cover = high", 14, "expected a number").await;
    refuses(i, "cloud_cover in [20, 0]", 16, "exchange").await;
    refuses(i, "platform < landsat-8", 0, "text").await;
    refuses(i, "is_day = maybe", 9, "`true` or `false`").await;
    refuses(i, "id = 123", 5, "UUID").await;
    refuses(i, "extra = 1", 0, "objects").await;
    refuses(i, "lat in [5, 3]", 8, "exchange").await;
    refuses(i, "lat > 5 lat < 3", 0, "no place").await;
    refuses(i, "lat = north", 6, "expected a number").await;
    refuses(i, "product ls8", 8, "`=`").await;
}
