//! A database with the legacy index that Python made, and what all tests ask.

use datacube_geo::{Crs, Geometry};
use datacube_index::{Index, IndexExt, Query};
use datacube_model::{Dataset, LineageRelation};
use datacube_testkit::Cluster;
use futures::TryStreamExt;
use geo_types::Rect;
use uuid::Uuid;

const FIXTURE: &str = include_str!("../fixtures/agdc.sql");

/// The scenes of the product `shared` by their numbers (the sixth is archived),
/// and that of `other`.
pub(crate) const DATASETS: [Uuid; 7] = [
    Uuid::from_u128(0xaa42_0c7f_33a8_578d_865d_f148_6906_2ae6),
    Uuid::from_u128(0x19c5_27e0_a13f_528d_aa60_3194_9791_0db5),
    Uuid::from_u128(0x0a37_18a6_c66e_5f3b_bfe8_0755_16ed_8d7a),
    Uuid::from_u128(0xcd0e_5ac0_d5fc_560a_a56e_ec42_b03c_8cb8),
    Uuid::from_u128(0x684c_0556_ed77_5f1e_924e_22ab_acb6_e0e6),
    Uuid::from_u128(0x2f3c_6195_786d_57a3_8248_3e3c_cf51_f01a),
    Uuid::from_u128(0x0af9_c3c6_8135_5187_b93e_2b71_bf86_b386),
];

/// Tells everything that there is.
pub(crate) const CONTENTS: &str = "SELECT md5((SELECT string_agg(d::text, ',' ORDER BY id) \
        FROM agdc.dataset AS d) || (SELECT string_agg(l::text, ',' ORDER BY id) \
        FROM agdc.dataset_location AS l) || (SELECT string_agg(s::text, ',' ORDER BY s) \
        FROM agdc.dataset_source AS s) || (SELECT string_agg(t::text, ',' ORDER BY id) \
        FROM agdc.dataset_type AS t) || (SELECT string_agg(m::text, ',' ORDER BY id) \
        FROM agdc.metadata_type AS m)), count(*) FROM pg_class";

/// The address of a new database with the legacy index, without a driver.
pub(crate) fn database(cluster: &Cluster) -> String {
    let url = cluster.database();
    cluster.sql(
        database_of(&url),
        "DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY \
         ARRAY['agdc_user', 'agdc_ingest', 'agdc_manage', 'agdc_admin'] LOOP \
         IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN \
         EXECUTE format('CREATE ROLE %I', name); END IF; END LOOP; END $$",
    );
    cluster.sql(database_of(&url), FIXTURE);
    url
}

/// The name of the database in an address.
pub(crate) fn database_of(url: &str) -> &str {
    let rest = url.trim_start_matches("postgresql:///");
    rest.split('?').next().expect("split gives at least one")
}

/// As [`database`], with the driver in its address.
pub(crate) fn legacy(cluster: &Cluster) -> String {
    format!("{}&driver=agdc", database(cluster))
}

/// The ids that a query finds; checks that counting agrees.
pub(crate) async fn ids(index: &dyn Index, query: &Query) -> Vec<Uuid> {
    let found = index
        .find(query)
        .await
        .unwrap_or_else(|e| panic!("{query:?}: {e}"));
    let n = index.count(query).await.expect("counted");
    assert_eq!(n, found.len() as u64, "the count of {query:?}");
    found.iter().map(Dataset::id).collect()
}

/// Of both products that can be read.
pub(crate) fn readable() -> Query {
    Query::new().products(["shared", "other"])
}

/// A box of degrees.
pub(crate) fn within(west: f64, south: f64, east: f64, north: f64) -> Geometry {
    let area = Rect::new((west, south), (east, north)).to_polygon();
    Geometry::new(area, Some(Crs::wgs84())).expect("finite")
}

/// All relations.
pub(crate) async fn relations(index: &dyn Index) -> Vec<LineageRelation> {
    index.all_lineage().try_collect().await.expect("read")
}
