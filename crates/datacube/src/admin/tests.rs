//! The awaited half of every pair does what the blocking half does.

use std::sync::Arc;

use datacube_index::{
    AddOptions, CloneOptions, DeleteOptions, Index, InitOptions, LineageOptions, MemoryIndex,
    PurgeOptions, Query, UpdateDatasetOptions, UpdateOptions,
};
use datacube_model::lineage::{LineageDirection, LineageRelation};
use uuid::Uuid;

use crate::{ConfigOptions, Datacube, DefinitionOptions, MatchOptions};

const PRODUCT: &str = "
name: tiny
description: Scenes made by a test
metadata_type: eo3
metadata: {product: {name: tiny}}
measurements: [{name: red, dtype: uint16, nodata: 0, units: '1'}]
";

const ID: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001);
const SOURCE: Uuid = Uuid::from_u128(2);

fn dataset(cloud: u8) -> String {
    format!(
        "
$schema: https://schemas.opendatacube.org/dataset
id: {ID}
product: {{name: tiny}}
crs: EPSG:32655
grids: {{default: {{shape: [4, 5], transform: [30, 0, 600015, 0, -30, 6100005, 0, 0, 1]}}}}
measurements: {{red: {{path: red.tif}}}}
properties: {{datetime: 2020-03-01, 'odc:processing_datetime': 2020-03-02, 'eo:cloud_cover': {cloud}}}
lineage: {{}}
"
    )
}

async fn empty() -> Datacube {
    let index = MemoryIndex::new();
    index.init(&InitOptions::default()).await.expect("ready");
    Datacube::with_index(Arc::new(index))
}

/// Every call with an effect, blocking or awaited; what each said.
async fn run(dc: &Datacube, folder: &std::path::Path, is_async: bool) -> Vec<String> {
    let product = folder.join("product.yaml");
    let scene = folder.join("x.odc-metadata.yaml");
    std::fs::write(&product, PRODUCT).expect("written");
    std::fs::write(&scene, dataset(1)).expect("written");
    let mut said = Vec::new();
    macro_rules! call {
        ($name:ident / $awaited:ident ($($arg:expr),*)) => {{
            let answer = if is_async {
                dc.$awaited($($arg),*).await
            } else {
                dc.$name($($arg),*)
            };
            said.push(format!("{} {answer:?}", stringify!($name)));
        }};
    }
    let add = DefinitionOptions::default();
    call!(add_products_with / add_products_with_async(&product, &add.dry_run(true)));
    call!(add_products_with / add_products_with_async(&product, &add));
    call!(add_metadata_types / add_metadata_types_async(&product, &add));
    call!(metadata_type / metadata_type_async("eo3"));
    call!(update_products / update_products_async(&product, &UpdateOptions::default()));
    call!(update_metadata_types / update_metadata_types_async(&product, &UpdateOptions::default()));
    dc.add_datasets([&scene], &MatchOptions::default())
        .expect("added");
    std::fs::write(&scene, dataset(2)).expect("written");
    let options = UpdateDatasetOptions::default()
        .allow_any(["properties"])
        .into();
    let (sender, outcomes) = std::sync::mpsc::channel();
    let report = move |outcome| sender.send(outcome).expect("the test listens");
    call!(update_datasets_with / update_datasets_with_async(vec![scene.clone()], &options, report));
    said.extend(
        outcomes
            .iter()
            .map(|outcome| format!("{:?}", outcome.result)),
    );

    let query = Query::new();
    let fields = ["cloud_cover".to_owned()];
    call!(count_by_product / count_by_product_async(&query));
    call!(
        count_through_time / count_through_time_async(&query, &["2020".parse().expect("a year")])
    );
    call!(temporal_extent / temporal_extent_async(&query));
    call!(spatial_extent / spatial_extent_async(&query, &crate::geo::Crs::wgs84()));
    call!(duplicates / duplicates_async(&query, &fields));
    call!(products_with_fields / products_with_fields_async(&fields, &[]));
    call!(add_location / add_location_async(ID, "file:///a", true));
    call!(archive_location / archive_location_async(ID, "file:///a", jiff::Timestamp::UNIX_EPOCH));
    call!(restore_location / restore_location_async(ID, "file:///a"));
    call!(remove_location / remove_location_async(ID, "file:///a"));
    let relation = LineageRelation {
        classifier: "ard".to_owned(),
        derived: ID,
        source: SOURCE,
    };
    call!(add_lineage / add_lineage_async(&[relation], &LineageOptions::default()));
    call!(lineage / lineage_async(&[ID], LineageDirection::Sources, None));
    call!(lineage_tree / lineage_tree_async(ID, LineageDirection::Sources, Some(1)));
    call!(remove_lineage / remove_lineage_async(&[ID], LineageDirection::Sources, None));
    call!(users / users_async());
    call!(spatial_indexes / spatial_indexes_async());
    call!(purge / purge_async(&[ID, SOURCE], &PurgeOptions::default().with_active(true)));
    call!(delete_products / delete_products_async(&["tiny".to_owned()], &DeleteOptions::default()));
    call!(clear / clear_async());
    said
}

#[tokio::test]
async fn awaited_is_blocking() {
    let folder = tempfile::tempdir().expect("a folder");
    let blocking = run(&empty().await, folder.path(), false).await;
    let awaited = run(&empty().await, folder.path(), true).await;
    assert_eq!(blocking, awaited);
    let text = blocking.join("\n");
    for expected in [
        "add_products_with Ok([DocumentOutcome",
        "count_by_product Ok([(\"tiny\", 1)])",
        "count_through_time Ok([1])",
        "duplicates Ok([])",
        "add_location Ok(true)",
        "remove_location Ok(true)",
        "remove_lineage Ok(1)",
        "users Err",
        "clear Ok(())",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn an_index_is_copied_into_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let open = |name: &str| {
        let index = Some(url(name));
        let options = ConfigOptions {
            index,
            ..ConfigOptions::default()
        };
        Datacube::create(options).expect("created").0
    };
    let (from, to) = (open("from"), open("to"));
    let (product, scene) = (
        folder.path().join("p.yaml"),
        folder.path().join("x.odc-metadata.yaml"),
    );
    std::fs::write(&product, PRODUCT).expect("written");
    std::fs::write(&scene, dataset(1)).expect("written");
    from.add_products(&product).expect("read");
    let options = MatchOptions {
        add: AddOptions::default().with_lineage(false),
        ..MatchOptions::default()
    };
    from.add_datasets([&scene], &options).expect("read");
    let source = || ConfigOptions {
        index: Some(url("from")),
        ..ConfigOptions::default()
    };
    let copy = |dry_run| {
        let options = CloneOptions::default().dry_run(dry_run);
        let report = to.clone_from_index(source(), &options, |_| {});
        let report = report.expect("copied");
        (report.products, report.datasets, report.datasets_skipped)
    };
    assert_eq!(copy(true), (1, 1, 0));
    assert_eq!(copy(false), (1, 1, 0));
    assert_eq!(copy(false), (0, 0, 1), "again changes nothing");
    assert_eq!(
        to.datasets(&[ID]).expect("read")[0]
            .as_ref()
            .map(|dataset| dataset.document().clone()),
        from.datasets(&[ID]).expect("read")[0]
            .as_ref()
            .map(|dataset| dataset.document().clone()),
    );
    // The same name for something else stops the copy, and tells why.
    let other = PRODUCT.replace("dtype: uint16", "dtype: int16");
    std::fs::write(&product, other).expect("written");
    let third = open("third");
    third.add_products(&product).expect("read");
    let refused = third.clone_from_index(source(), &CloneOptions::default(), |_| {});
    let message = refused.expect_err("a conflict").to_string();
    assert!(message.contains("measurements[0].dtype"), "{message}");
}
