//! Who may do what: nobody writes, the least role reads, and what is in other
//! tables is pointed to.

use datacube_geo::Crs;
use datacube_index::{
    AddOptions, DeleteOptions, Error, IndexExt, InitOptions, LineageOptions, PurgeOptions, Schema,
    UpdateDatasetOptions, UpdateOptions, open, open_or_init,
};
use datacube_model::{LineageDirection, LineageRelation};
use datacube_testkit::Cluster;
use jiff::Timestamp;

use crate::fixture::{
    CONTENTS, DATASETS, database, database_of, ids, legacy, readable, relations, within,
};

#[tokio::test]
async fn nothing_is_written() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = legacy(&cluster);
    let index = open(&url).await.expect("a legacy index");
    let before = cluster.sql(database_of(&url), CONTENTS);
    let dataset = index.dataset(DATASETS[0]).await.expect("it is there");
    let (id, when, uri) = (dataset.id(), Timestamp::now(), "s3://a/b");
    let product = dataset.product().as_ref().clone();
    let metadata_type = product.metadata_type().clone();
    let relation = [LineageRelation {
        classifier: "x".to_owned(),
        derived: id,
        source: DATASETS[1],
    }];
    let index = &*index;
    let none: Vec<String> = Vec::new();
    let update = UpdateOptions::default().allow_unsafe(true);
    let errors = [
        index.init(&InitOptions::default()).await.err(),
        index.clear().await.err(),
        index.add_metadata_type(&metadata_type).await.err(),
        index
            .update_metadata_type(&metadata_type, &update)
            .await
            .err(),
        index.add_product(&product).await.err(),
        index.update_product(&product, &update).await.err(),
        index
            .delete_products(&["shared".to_owned()], &DeleteOptions::default())
            .await
            .err(),
        index
            .add_datasets(vec![dataset.clone()], &AddOptions::default())
            .await
            .err(),
        index
            .update_datasets(vec![dataset], &UpdateDatasetOptions::default())
            .await
            .err(),
        index.archive(&[id], when).await.err(),
        index.restore(&[id]).await.err(),
        index
            .purge(&[id], &PurgeOptions::default().with_active(true))
            .await
            .err(),
        index.add_location(id, uri, true).await.err(),
        index.remove_location(id, uri).await.err(),
        index.archive_location(id, uri, when).await.err(),
        index.restore_location(id, uri).await.err(),
        index
            .add_lineage(&relation, &LineageOptions::default())
            .await
            .err(),
        index
            .remove_lineage(&[id], LineageDirection::Sources, None)
            .await
            .err(),
        index.set_home(&[id], "home", true).await.err(),
        index.clear_homes(&[id]).await.err(),
        index.create_spatial_index(&Crs::wgs84()).await.err(),
        index.update_spatial_index(&[], &none, &[]).await.err(),
        index.drop_spatial_index(&Crs::wgs84()).await.err(),
        index.create_user("user", "ann", "secret", None).await.err(),
        index.grant("user", &["ann".to_owned()]).await.err(),
        index.delete_users(&["ann".to_owned()]).await.err(),
    ];
    for (nth, error) in errors.into_iter().enumerate() {
        let error = error.unwrap_or_else(|| panic!("method {nth} wrote"));
        assert!(matches!(error, Error::ReadOnly { .. }), "{nth}: {error}");
        let text = error.to_string();
        assert!(
            text.contains("`agdc`") && text.contains("system clone"),
            "{text}"
        );
    }
    assert_eq!(cluster.sql(database_of(&url), CONTENTS), before);
    let info = index.check().await.expect("it is there");
    assert_eq!((info.driver, info.writable), ("agdc", false));
    assert_eq!((info.n_products, info.n_datasets), (3, 8));
}

#[tokio::test]
async fn the_least_role_is_enough() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let url = legacy(&cluster);
    let database = database_of(&url);
    cluster.sql(database, "CREATE ROLE reader LOGIN; CREATE ROLE nobody LOGIN; GRANT agdc_user TO reader; COMMENT ON ROLE reader IS 'reads'");
    let open_as =
        async |user: &str| open(&format!("{}&driver=agdc", cluster.url(database, user))).await;
    let index = open_as("reader").await.expect("it may read");
    assert_eq!(ids(&*index, &readable()).await.len(), 6);
    let area = readable().geometry(within(143.8, 54.9, 144.0, 55.1));
    assert_eq!(ids(&*index, &area).await.len(), 4);
    assert_eq!(index.check().await.expect("read").n_datasets, 8);
    assert_eq!(relations(&*index).await.len(), 3);
    let users = index.users().await.expect("listed");
    let reader = users
        .iter()
        .find(|user| user.name == "reader")
        .expect("listed");
    assert_eq!(
        (reader.role.as_str(), reader.description.as_deref()),
        ("user", Some("reads"))
    );
    let index = open_as("nobody").await.expect("it may connect");
    let error = index.products().await.expect_err("it may not read");
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
}

#[tokio::test]
async fn the_other_tables_are_pointed_to() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let other = |error: Error, wanted: Schema, found: Option<Schema>, advice: &str| {
        let text = error.to_string();
        assert!(text.contains(advice), "{text}");
        let Error::OtherSchema {
            wanted: w,
            found: f,
            ..
        } = error
        else {
            panic!("{text}")
        };
        assert_eq!((w, f), (wanted, found), "{text}");
    };
    // Neither.
    let empty = cluster.database();
    let error = open(&format!("{empty}&driver=agdc"))
        .await
        .expect_err("nothing is there");
    other(error, Schema::Agdc, None, "driver=postgis");
    // Only the legacy one: found without being named, and not instead of another.
    let url = database(&cluster);
    let index = open(&url).await.expect("a legacy index");
    assert_eq!(index.check().await.expect("it is there").driver, "agdc");
    let postgis = open(&format!("{url}&driver=postgis"))
        .await
        .expect("an address is enough");
    let error = postgis.products().await.expect_err("that is not there");
    other(
        error,
        Schema::Odc,
        Some(Schema::Agdc),
        "index_driver: postgres",
    );
    // Both, side by side.
    let postgis = open_or_init(&format!("{url}&driver=postgis"))
        .await
        .expect("made");
    assert_eq!(
        postgis.check().await.expect("it is there").driver,
        "postgis"
    );
    let plain = open(&url).await.expect("an index");
    assert_eq!(plain.check().await.expect("it is there").driver, "postgis");
    let index = open(&format!("{url}&driver=agdc"))
        .await
        .expect("a legacy index");
    assert_eq!(ids(&*index, &readable()).await.len(), 6);
    // Only the other.
    let made = cluster.database();
    open_or_init(&made).await.expect("made");
    let error = open(&format!("{made}&driver=legacy"))
        .await
        .expect_err("that is not there");
    other(
        error,
        Schema::Agdc,
        Some(Schema::Odc),
        "index_driver: postgis",
    );
    let error = open(&format!("{made}&driver=oracle"))
        .await
        .expect_err("no such driver");
    assert!(matches!(error, Error::InvalidUrl { .. }), "{error}");
}
