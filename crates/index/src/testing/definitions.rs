//! Metadata types and products.

use std::sync::Arc;

use datacube_model::{MetadataType, Product};

use super::{metadata_type, product, product_of};
use crate::catalog::{Added, Index, IndexExt, InitOptions, InitOutcome};
use crate::error::{Error, Kind};
use crate::query::Query;

pub(super) async fn a_new_index_has_the_built_in_types_and_nothing_else(index: Arc<dyn Index>) {
    let types = index.metadata_types().await.expect("a list");
    let names: Vec<&str> = types.iter().map(MetadataType::name).collect();
    // One that is shared with Python has those that Python can do with.
    let is_shared = index.check().await.expect("it can be used").driver == "postgis";
    let expected: &[&str] = if is_shared {
        &["eo3"]
    } else {
        &["eo", "eo3", "telemetry"]
    };
    assert_eq!(names, expected);
    for built_in in MetadataType::builtin() {
        if expected.contains(&built_in.name()) {
            let there = index.metadata_type(built_in.name()).await;
            assert_eq!(there.expect("it is there"), built_in);
        }
    }
    assert!(index.products().await.expect("a list").is_empty());
    assert_eq!(index.count(&Query::new()).await.expect("a count"), 0);
    assert!(index.find(&Query::new()).await.expect("a list").is_empty());
    let info = index.check().await.expect("it can be used");
    assert!(info.writable);
    assert_eq!((info.n_products, info.n_datasets), (0, 0));
    assert_eq!(info.url, index.url());
}

pub(super) async fn init_twice_changes_nothing(index: Arc<dyn Index>) {
    index.add_product(&product("ls")).await.expect("added");
    let outcome = index
        .init(&InitOptions::default())
        .await
        .expect("it was ready");
    assert_eq!(outcome, InitOutcome::Unchanged);
    assert_eq!(index.product_names().await.expect("a list"), ["ls"]);
}

pub(super) async fn metadata_types_are_added_once(index: Arc<dyn Index>) {
    let given = metadata_type();
    assert_eq!(
        index.add_metadata_type(&given).await.expect("new"),
        Added::New
    );
    assert_eq!(
        index.add_metadata_type(&given).await.expect("the same"),
        Added::AlreadyThere
    );
    assert_eq!(
        index
            .metadata_type(given.name())
            .await
            .expect("it is there"),
        given
    );
    let mut document = given.document().clone();
    document["dataset"]["search_fields"]["platform"]["description"] = "changed".into();
    let changed = MetadataType::from_document(document).expect("a right document");
    let error = index
        .add_metadata_type(&changed)
        .await
        .expect_err("it differs");
    assert!(
        matches!(
            error,
            Error::DifferentDefinition {
                kind: Kind::MetadataType,
                ..
            }
        ),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("dataset.search_fields.platform.description"),
        "{text}"
    );
    assert_eq!(
        index
            .metadata_type(given.name())
            .await
            .expect("it is there"),
        given
    );
}

pub(super) async fn products_are_added_once(index: Arc<dyn Index>) {
    for name in ["b", "a", "c"] {
        assert_eq!(
            index.add_product(&product(name)).await.expect("new"),
            Added::New
        );
    }
    assert_eq!(
        index.add_product(&product("a")).await.expect("the same"),
        Added::AlreadyThere
    );
    assert_eq!(
        index.product_names().await.expect("a list"),
        ["a", "b", "c"]
    );
    assert_eq!(
        *index.product("b").await.expect("it is there"),
        *product("b")
    );
    let mut document = product("a").document().clone();
    document["measurements"][0]["dtype"] = "int16".into();
    let changed = Product::from_document(document, &metadata_type()).expect("a right document");
    let error = index.add_product(&changed).await.expect_err("it differs");
    let text = error.to_string();
    assert!(
        text.contains("measurements[0].dtype: \"uint16\" in the index, \"int16\" given"),
        "{text}"
    );
    assert_eq!(
        *index.product("a").await.expect("it is there"),
        *product("a")
    );
}

pub(super) async fn a_product_brings_its_metadata_type(index: Arc<dyn Index>) {
    let given = product("ls");
    index.add_product(&given).await.expect("new");
    assert_eq!(
        index
            .metadata_type("eo3_fields")
            .await
            .expect("it came along"),
        metadata_type()
    );
    let mut document = metadata_type().document().clone();
    document["description"] = "another".into();
    let other = MetadataType::from_document(document).expect("a right document");
    let error = index
        .add_product(&product_of("s2", &other))
        .await
        .expect_err("the type differs");
    assert!(
        matches!(
            error,
            Error::DifferentDefinition {
                kind: Kind::MetadataType,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(index.product_names().await.expect("a list"), ["ls"]);
}

pub(super) async fn unknown_names_are_told_with_near_ones(index: Arc<dyn Index>) {
    let error = index.product("ls8").await.expect_err("nothing is there");
    assert!(
        error.is_not_found() && error.to_string().contains("no product yet"),
        "{error}"
    );
    index.add_product(&product("ls8_c2l2")).await.expect("new");
    let error = index.product("ls8_c2l").await.expect_err("another name");
    assert!(
        error.is_not_found() && error.to_string().contains("ls8_c2l2"),
        "{error}"
    );
    let error = index.metadata_type("eo33").await.expect_err("another name");
    assert!(
        error.is_not_found() && error.to_string().contains("eo3"),
        "{error}"
    );
    let error = index
        .dataset(uuid::Uuid::nil())
        .await
        .expect_err("nothing is there");
    assert!(error.is_not_found(), "{error}");
    let error = index
        .find(&Query::new().product("ls8_c2l"))
        .await
        .expect_err("another name");
    assert!(
        error.is_not_found() && error.to_string().contains("ls8_c2l2"),
        "{error}"
    );
}
