//! Python's indexes are used, for what they were made for.

use datacube_geo::{Crs, Geometry};
use datacube_testkit::Cluster;
use geo_types::Rect;
use sqlx::{AssertSqlSafe, Executor};

use super::super::narrow::Narrow;
use super::scribe::Scribe;
use crate::catalog::{AddOptions, Index};
use crate::query::Query;
use crate::resolve::Resolved;
use crate::testing::{Scene, product};

/// How the server goes about a query.
async fn explained(scribe: &Scribe, query: &Query) -> String {
    let known = scribe.index.known().await.expect("read");
    let resolved = Resolved::new(query, &known.products()).expect("a right query");
    let mut statement = Narrow::new(&known, &resolved).in_order(None);
    statement.text = format!("EXPLAIN {}", statement.text);
    let mut connection = scribe.index.connection().await.expect("connected");
    // Few rows are read faster without; that it could is the question here.
    connection
        .execute(AssertSqlSafe(
            "SET enable_seqscan = off; SET enable_sort = on".to_owned(),
        ))
        .await
        .expect("set");
    let rows: Vec<(String,)> = statement
        .query()
        .persistent(false)
        .fetch_all(&mut *connection)
        .await
        .expect("explained");
    let lines: Vec<String> = rows.into_iter().map(|row| row.0).collect();
    lines.join("\n")
}

#[tokio::test]
async fn time_place_and_text_are_looked_up() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let scribe = Scribe::new(&cluster).await;
    let given = product("ls");
    scribe.add_product(&given).await.expect("added");
    let datasets = (0..300).map(|n| Scene::of_archive(&given, n).dataset());
    let options = AddOptions::default();
    scribe
        .add_datasets(datasets.collect(), &options)
        .await
        .expect("added");
    scribe.run("ANALYZE agdc.dataset".to_owned()).await;
    let of_ls = || Query::new().product("ls");
    let plan = explained(&scribe, &of_ls().time("2013-05".parse().expect("a month"))).await;
    assert!(plan.contains("dix_ls_lat_lon_time"), "{plan}");
    assert!(plan.contains("Index Cond"), "{plan}");
    let square = Rect::new((148.0, -36.0), (149.0, -35.0)).to_polygon();
    let area = Geometry::new(square, Some(Crs::wgs84())).expect("finite");
    let plan = explained(&scribe, &of_ls().geometry(area)).await;
    assert!(plan.contains("dix_ls_lat_lon_time"), "{plan}");
    assert!(plan.contains("Index Cond"), "{plan}");
    let plan = explained(&scribe, &of_ls().field("region_code", "090084")).await;
    assert!(
        plan.contains("dix_ls_region_code") && plan.contains("Index Cond"),
        "{plan}"
    );
    let plan = explained(&scribe, &of_ls().field("region_code", vec!["090084", "x"])).await;
    assert!(
        plan.contains("dix_ls_region_code") && plan.contains("Index Cond"),
        "{plan}"
    );
    // Nothing that they answer is asked.
    let plan = explained(&scribe, &of_ls().field("platform", "landsat-8")).await;
    assert!(!plan.contains("Index Cond"), "{plan}");
}
