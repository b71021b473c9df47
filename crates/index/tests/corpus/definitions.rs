//! Metadata types and products that the reference took.

use std::collections::BTreeSet;
use std::sync::Arc;

use datacube_geo::Crs;
use datacube_index::{Added, Error, Index, Query, UpdateOptions};
use datacube_model::{MetadataType, Product, parse_document, to_yaml};
use futures::TryStreamExt;
use serde_json::{Value, json};

use crate::oracle::{document, metadata_types, oracle};
use crate::shared;
use crate::stores::{Kind, Stores};

/// Fields of ODC's own that no search here returns, and why.
const WITHOUT: [(&str, &str); 4] = [
    (
        "indexed_by",
        "who wrote is the database's affair; files know no users",
    ),
    ("metadata_doc", "a dataset is given whole by `search`"),
    (
        "metadata_type_id",
        "names are told, not numbers of one database",
    ),
    ("product_id", "names are told, not numbers of one database"),
];

/// The driver of the reference that holds what an index of this kind does.
fn driver(kind: Kind) -> &'static str {
    match kind {
        // Where Python reads along, its rules are kept: only types of EO3.
        Kind::Postgis => "postgis",
        Kind::Memory | Kind::Sqlite => "postgres",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metadata_type_that_the_reference_took() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let stores = Stores::new();
    for kind in stores.kinds() {
        let rows = oracle(&folder, driver(kind), "odc-metadata-type");
        let mut n_taken = 0;
        for row in &rows {
            let given = MetadataType::from_document(document(&folder, row));
            let given = given.unwrap_or_else(|errors| panic!("{}: {errors}", row["file"]));
            let index = stores.fresh(kind).await;
            // One that is built in may be another in the corpus: it is put in its place.
            if row["note"] == "validated only (name preloaded)" && row["ok"] == true {
                let allow = UpdateOptions::default().allow_unsafe(true);
                index
                    .update_metadata_type(&given, &allow)
                    .await
                    .expect("replaced");
            } else if row["ok"] == true {
                assert_eq!(
                    index.add_metadata_type(&given).await.expect("added"),
                    Added::New
                );
            } else {
                let error = index.add_metadata_type(&given).await;
                let error = error.expect_err("the reference refused it");
                assert!(matches!(error, Error::Unsupported { .. }), "{error}");
                assert!(error.to_string().contains("EO3"), "{error}");
                continue;
            }
            n_taken += 1;
            check_type(&*index, &given, row).await;
        }
        let expected = if kind == Kind::Postgis { 9 } else { 19 };
        assert_eq!((rows.len(), n_taken), (19, expected), "{kind:?}");
    }
}

async fn check_type(index: &dyn Index, given: &MetadataType, row: &Value) {
    let stored = index
        .metadata_type(given.name())
        .await
        .expect("it is there");
    assert_eq!(stored.document(), given.document());
    let text = to_yaml(stored.document());
    let again = parse_document(&text, "x.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    let again = MetadataType::from_document(again).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        index.add_metadata_type(&again).await.expect("the same"),
        Added::AlreadyThere
    );
    let updated = index
        .update_metadata_type(&again, &UpdateOptions::default())
        .await;
    let updated = updated.expect("nothing to do");
    assert!(
        updated.changes.is_empty() && !updated.written,
        "{updated:?}"
    );

    // Its fields can be searched for, and are those that the oracle lists.
    let product = json!({
        "name": "of_that_type", "description": "x", "metadata_type": given.name(),
        "metadata": {"product": {"name": "of_that_type"}},
    });
    let product = Product::from_document(product, given).expect("a simple product");
    index.add_product(&product).await.expect("added");
    let listed: BTreeSet<&str> = row["search_fields"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let without = |name: &&str| WITHOUT.iter().any(|(known, _)| known == name);
    let names: Vec<String> = listed
        .iter()
        .filter(|name| !without(name))
        .map(|name| (*name).to_owned())
        .collect();
    let query = Query::new().product("of_that_type");
    let rows: Vec<Vec<Value>> = index
        .search_returning(&query, &names)
        .try_collect()
        .await
        .unwrap_or_else(|error| panic!("{}: {error}", row["file"]));
    assert!(rows.is_empty());
    for (name, _) in WITHOUT {
        assert!(
            listed.contains(name),
            "{name} is no field of the oracle; mend the table"
        );
        let asked: Result<Vec<Vec<Value>>, Error> = index
            .search_returning(&query, &[name.to_owned()])
            .try_collect()
            .await;
        // Unless the type has a field of its own by that name.
        assert_eq!(asked.is_err(), given.field(name).is_none(), "{name}");
    }
    let own: BTreeSet<&str> = given.fields().keys().map(String::as_str).collect();
    assert!(own.is_subset(&listed), "{:?}", own.difference(&listed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_product_that_the_reference_took() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let stores = Stores::new();
    let types = metadata_types(&folder);
    for kind in stores.kinds() {
        let rows = oracle(&folder, driver(kind), "odc-product");
        let mut there: Vec<Arc<dyn Index>> = Vec::new();
        let mut n_taken = 0;
        for row in &rows {
            let given = Product::from_document(document(&folder, row), &types);
            if row["ok"] != true {
                // It is no product, or none for PostGIS.
                if let Ok(given) = given {
                    let index = stores_first(&mut there, &stores, kind).await;
                    let error = index.add_product(&given).await;
                    let error = error.expect_err("the reference refused it");
                    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
                }
                continue;
            }
            let given = given.unwrap_or_else(|errors| panic!("{}: {errors}", row["file"]));
            n_taken += 1;
            let index = added_somewhere(&given, &mut there, &stores, kind).await;
            check_product(&*index, &given, row, &types).await;
        }
        let expected = if kind == Kind::Postgis { 109 } else { 262 };
        assert_eq!((rows.len(), n_taken), (265, expected), "{kind:?}");
        assert!(there.len() < 8, "{} indexes", there.len());
    }
}

async fn stores_first(
    there: &mut Vec<Arc<dyn Index>>,
    stores: &Stores,
    kind: Kind,
) -> Arc<dyn Index> {
    if there.is_empty() {
        there.push(stores.fresh(kind).await);
    }
    Arc::clone(&there[0])
}

/// Adds it to the first index that has no other of that name.
async fn added_somewhere(
    given: &Product,
    there: &mut Vec<Arc<dyn Index>>,
    stores: &Stores,
    kind: Kind,
) -> Arc<dyn Index> {
    for index in there.iter() {
        match index.add_product(given).await {
            Ok(_) => return Arc::clone(index),
            Err(Error::DifferentDefinition { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let index = stores.fresh(kind).await;
    // A type of the corpus may have the name of one that is built in.
    if index
        .metadata_type(given.metadata_type().name())
        .await
        .is_ok()
    {
        let allow = UpdateOptions::default().allow_unsafe(true);
        let replaced = index
            .update_metadata_type(given.metadata_type(), &allow)
            .await;
        replaced.expect("no product uses it yet");
    }
    assert_eq!(index.add_product(given).await.expect("added"), Added::New);
    there.push(Arc::clone(&index));
    index
}

async fn check_product(index: &dyn Index, given: &Product, row: &Value, types: &[MetadataType]) {
    let stored = index.product(given.name()).await.expect("it is there");
    assert_eq!(stored.document(), given.document());
    let names: Vec<&str> = stored.measurements().keys().map(String::as_str).collect();
    assert_eq!(json!(names), row["measurements"], "{}", row["file"]);
    assert_eq!(json!(stored.metadata_type().name()), row["metadata_type"]);
    assert_eq!(
        json!(stored.metadata_type().is_eo3_compatible()),
        row["is_eo3"]
    );
    let hints = stored.load_hints();
    let crs = row["default_crs"]
        .as_str()
        .map(|text| Crs::parse(text).expect("a CRS"));
    assert_eq!(
        hints.as_ref().map(|hints| hints.crs.clone()),
        crs,
        "{}",
        row["file"]
    );
    let resolution = hints.map(|hints| json!([hints.resolution.y, hints.resolution.x]));
    assert_eq!(
        json!(resolution),
        row["default_resolution"],
        "{}",
        row["file"]
    );

    let text = to_yaml(stored.document());
    let again = parse_document(&text, "x.yaml").unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(&again, given.document());
    let again = Product::from_document(again, &types.to_vec());
    let again = again.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        index.add_product(&again).await.expect("the same"),
        Added::AlreadyThere
    );
    let updated = index
        .update_product(&again, &UpdateOptions::default())
        .await;
    let updated = updated.expect("nothing to do");
    assert!(
        updated.changes.is_empty() && !updated.written,
        "{updated:?}"
    );
}
