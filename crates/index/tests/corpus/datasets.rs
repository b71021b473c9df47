//! EO3 datasets that the reference indexed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use datacube_index::{
    AddOptions, AddOutcome, Error, Index, IndexExt, MemoryIndex, UpdateDatasetOptions,
    UpdateOutcome,
};
use datacube_model::{
    Dataset, MetadataType, Product, match_product, parse_document, to_json, to_yaml,
};
use serde_json::{Value, json};

use crate::facts::{Difference, differences};
use crate::oracle::{document, files, metadata_types, oracle, read};
use crate::scenes::check_found_by_all_it_says;
use crate::shared;
use crate::stores::Stores;

/// Rows that are refused here, and why: the end of the file, and the reason.
const REFUSED: &[(&str, &str)] = &[(
    "wo_ds_with_lineage.odc-metadata.yaml",
    "its sources are written out within it; the legacy driver refuses that, too, and the PostGIS \
     driver did not look, for a dataset of that id was there already",
)];

/// Facts that are others here: the beginning of the id, what, and why.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "f884df9b",
        "extent_lonlat",
        "it crosses the antimeridian, where the oracle's box goes around the world the other way; \
         here it goes on beyond 180 degrees",
    ),
    (
        "1505d39c",
        "native_bounds",
        "its grid is sheared, and the oracle takes two of the corners only",
    ),
    (
        "2aa69fcf",
        "search.gqa",
        "it is NaN, which can be compared with nothing: a search returns it as no value",
    ),
];

/// The product that the oracle used for a dataset: that of a repository, or
/// one made for the document. A few products are kept out of the corpus; one
/// made for the document takes their place, of a metadata type that has the
/// fields that the oracle found.
fn product_of(folder: &Path, types: &[MetadataType], row: &Value, document: &Value) -> Product {
    let name = row["product"].as_str().expect("a name");
    if let Some(repo) = row["product_from_repo"].as_str() {
        // The same document of several repositories is in the corpus once only.
        let everywhere = folder.join("odc-product");
        let own = everywhere.join(repo);
        let own = if own.is_dir() {
            files(&own)
        } else {
            Vec::new()
        };
        let mut found = own
            .into_iter()
            .chain(files(&everywhere))
            .flat_map(|path| read(&path));
        if let Some(found) = found.find(|product| product["name"] == name) {
            return Product::from_document(found, &types.to_vec())
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
    let has_all = |found: &&MetadataType| {
        let mut wanted = row["search"].as_object().into_iter().flatten();
        wanted.all(|(name, _)| name == "label" || found.field(name).is_some())
    };
    let metadata_type = types.iter().find(has_all).expect("the corpus has the type");
    let measurements: Vec<Value> = document["measurements"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| json!({"name": name, "dtype": "int16", "nodata": -999, "units": "1"}))
        .collect();
    let product = json!({
        "name": name, "description": name, "metadata_type": metadata_type.name(),
        "metadata": {"product": {"name": name}}, "measurements": measurements,
    });
    Product::from_document(product, &types.to_vec()).expect("a simple product")
}

/// The dataset of a row; `None` where it is one of [`REFUSED`].
fn dataset_of(folder: &Path, types: &[MetadataType], row: &Value) -> Option<Dataset> {
    let document = document(folder, row);
    let product = Arc::new(product_of(folder, types, row, &document));
    let product = match_product(&document, &[product]).unwrap_or_else(|error| panic!("{error}"));
    let file = row["file"].as_str().expect("a path");
    let place = format!("file:///corpus/{file}");
    let is_refused = REFUSED.iter().any(|(end, _)| file.ends_with(end));
    match Dataset::from_document(document, product, [place]) {
        Ok(_) if is_refused => panic!("{file} is refused no more; take it out of the table"),
        Ok(dataset) => Some(dataset),
        Err(_) if is_refused => None,
        Err(errors) => panic!("{file}: {errors}"),
    }
}

/// An index that has no other product of that name, and no such dataset.
async fn room_for(
    dataset: &Dataset,
    there: &mut Vec<Arc<dyn Index>>,
    stores: &Stores,
    kind: crate::stores::Kind,
) -> Arc<dyn Index> {
    for index in there.iter() {
        match index.add_product(dataset.product()).await {
            Ok(_) if !index.has(&[dataset.id()]).await.expect("read")[0] => {
                return Arc::clone(index);
            }
            Ok(_) | Err(Error::DifferentDefinition { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let index = stores.fresh(kind).await;
    index.add_product(dataset.product()).await.expect("added");
    there.push(Arc::clone(&index));
    index
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dataset_that_the_reference_indexed() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let stores = Stores::new();
    let types = metadata_types(&folder);
    let rows = oracle(&folder, "postgis", "eo3-dataset");
    let legacy = oracle(&folder, "postgres", "eo3-dataset");
    assert_eq!((rows.len(), legacy.len()), (35, 35));
    let datasets: Vec<Option<Dataset>> = rows
        .iter()
        .map(|row| dataset_of(&folder, &types, row))
        .collect();
    let mut unexpected = Vec::new();
    let mut met = BTreeSet::new();
    for kind in stores.kinds() {
        let mut there: Vec<Arc<dyn Index>> = Vec::new();
        let mut n_indexed = 0;
        for ((row, legacy), dataset) in rows.iter().zip(&legacy).zip(&datasets) {
            assert_eq!((&row["file"], &row["id"]), (&legacy["file"], &legacy["id"]));
            assert_eq!(row["ok"], true);
            let Some(dataset) = dataset else {
                assert_eq!(legacy["ok"], false, "refused by us and the legacy driver");
                continue;
            };
            let index = room_for(dataset, &mut there, &stores, kind).await;
            check_comes_and_goes(&*index, dataset).await;
            check_found_by_all_it_says(&*index, dataset).await;
            n_indexed += 1;
            for row in [row, legacy] {
                for difference in differences(&*index, row).await {
                    let Difference { id, what, text } = difference;
                    let id = id.to_string();
                    let known = OTHERS
                        .iter()
                        .position(|(start, of, _)| id.starts_with(start) && *of == what);
                    match known {
                        Some(nth) => drop(met.insert(nth)),
                        None => unexpected.push(format!("{kind:?} {} {id}: {text}", row["file"])),
                    }
                }
            }
        }
        assert_eq!(n_indexed, 34, "{kind:?}");
        assert!(there.len() < 8, "{} indexes", there.len());
    }
    unexpected.sort();
    unexpected.dedup();
    assert!(
        unexpected.is_empty(),
        "{} facts differ and are in no table:\n{}",
        unexpected.len(),
        unexpected.join("\n")
    );
    assert_eq!(
        met.len(),
        OTHERS.len(),
        "some of the table are as in the oracle"
    );
}

/// Adds it, twice; takes it out as text, and brings that in again.
async fn check_comes_and_goes(index: &dyn Index, dataset: &Dataset) {
    let options = AddOptions::default();
    let add = async |index: &dyn Index, dataset: &Dataset| {
        let outcomes = index.add_datasets(vec![dataset.clone()], &options).await;
        outcomes.expect("written").remove(0)
    };
    let outcome = add(index, dataset).await;
    assert!(outcome.is_added(), "{dataset}: {outcome:?}");
    let outcome = add(index, dataset).await;
    assert!(
        matches!(outcome, AddOutcome::AlreadyThere),
        "{dataset}: {outcome:?}"
    );
    let update = UpdateDatasetOptions::default();
    let updated = index.update_datasets(vec![dataset.clone()], &update).await;
    let updated = updated.expect("written");
    assert!(
        matches!(updated[0], UpdateOutcome::Unchanged),
        "{dataset}: {updated:?}"
    );

    let stored = index.dataset(dataset.id()).await.expect("it is there");
    for (text, name) in [
        (to_yaml(stored.document()), "x.yaml"),
        (to_json(stored.document()), "x.json"),
    ] {
        let again = parse_document(&text, name).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(&again, dataset.document(), "{name}");
        let places = dataset.locations().to_vec();
        let again = Dataset::from_document(again, Arc::clone(dataset.product()), places);
        let again = again.unwrap_or_else(|errors| panic!("{errors}"));
        let outcome = add(index, &again).await;
        assert!(
            matches!(outcome, AddOutcome::AlreadyThere),
            "{dataset}: {outcome:?}"
        );
        // And elsewhere it is what it was.
        let other = MemoryIndex::new();
        other.add_product(again.product()).await.expect("added");
        assert!(add(&other, &again).await.is_added());
        let there = other.dataset(dataset.id()).await.expect("it is there");
        assert_eq!(there.document(), dataset.document());
        assert_eq!(there.fields(), stored.fields());
        assert_eq!(there.locations(), stored.locations());
    }
}
