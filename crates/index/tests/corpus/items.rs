//! STAC items that odc-stac reads.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use datacube_geo::{BoundingBox, Crs, Geometry};
use datacube_index::{AddOptions, AddOutcome, IndexExt, Query, TimeRange};
use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{Dataset, DocumentErrors, MetadataType, Product, parse_document};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::shared;
use crate::stores::Stores;

/// Items that odc-stac reads and that become no datasets: what is said of
/// them, how many there are, and why.
const REFUSED: &[(&str, usize, &str)] = &[(
    "expected a footprint",
    2,
    "they have neither a geometry nor grids: an index cannot say where they are, and odc-stac does \
     not have to",
)];

/// The document of an item: of a file, or of a list of items. It may have the
/// bare NaN that Python writes.
pub(crate) fn item_of(folder: &Path, file: &str, id: &str) -> Value {
    let path = folder.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let document = parse_document(&text, "x.json").unwrap_or_else(|error| panic!("{error}"));
    match document["features"].as_array() {
        Some(items) => {
            let found = items.iter().find(|item| item["id"] == id);
            found
                .unwrap_or_else(|| panic!("{file} has no item {id}"))
                .clone()
        }
        None => document,
    }
}

/// The one product of all items of these tests.
pub(crate) fn product_of_items() -> Arc<Product> {
    let product = json!({
        "name": "items", "description": "Items of the corpus", "metadata_type": "eo3",
        "metadata": {"product": {"name": "items"}},
    });
    Arc::new(Product::from_document(product, &MetadataType::eo3()).expect("a simple product"))
}

/// The dataset that an item becomes, of that product.
pub(crate) fn dataset_of_item(
    item: Value,
    product: &Arc<Product>,
    place: &str,
) -> Result<Dataset, DocumentErrors> {
    let item = StacItem::from_document(item)?;
    let mut document = item
        .dataset_document(None, &StacConfig::default())?
        .document;
    document["product"] = json!({"name": product.name()});
    Dataset::from_document(document, Arc::clone(product), [place])
}

/// A time of the oracle; what has no offset is UTC.
fn time(row: &Value, key: &str) -> Option<Timestamp> {
    let text = row[key].as_str()?;
    let parsed = text.parse().or_else(|_| format!("{text}Z").parse());
    Some(parsed.unwrap_or_else(|error| panic!("{text}: {error}")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_that_odc_stac_reads() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let rows = item_of(&folder, "oracle_odc-stac-0.5.3_parse_item.json", "");
    let rows: Vec<&Value> = rows
        .as_array()
        .expect("a list")
        .iter()
        .filter(|row| row["ok"] == true)
        .collect();
    assert_eq!(rows.len(), 793);
    let product = product_of_items();
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    let mut unexpected = Vec::new();
    // The same item may be in several files; the first counts.
    let mut datasets: BTreeMap<Uuid, (&Value, Dataset)> = BTreeMap::new();
    let mut n_again = 0;
    for row in rows {
        let (file, id) = (row["file"].as_str().expect("a path"), row["id"].as_str());
        let item = item_of(&folder, file, id.expect("an id"));
        match dataset_of_item(item, &product, &format!("file:///corpus/{file}")) {
            Ok(dataset) => {
                unexpected.extend(other_crs(row, &dataset));
                check_time(row, &dataset);
                n_again += usize::from(datasets.contains_key(&dataset.id()));
                datasets.entry(dataset.id()).or_insert((row, dataset));
            }
            Err(errors) => {
                let text = errors.to_string();
                match REFUSED.iter().find(|(words, ..)| text.contains(words)) {
                    Some((words, ..)) => *refused.entry((*words).to_owned()).or_default() += 1,
                    None => unexpected.push(format!("{file}: {text}")),
                }
            }
        }
    }
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    let expected: BTreeMap<String, usize> = REFUSED
        .iter()
        .map(|(words, n, _)| ((*words).to_owned(), *n))
        .collect();
    assert_eq!(refused, expected);
    let n_refused: usize = refused.values().sum();
    assert_eq!(datasets.len() + n_again + n_refused, 793);
    assert!(datasets.len() > 400, "{}", datasets.len());

    let stores = Stores::new();
    for kind in stores.kinds() {
        let index = stores.fresh(kind).await;
        index.add_product(&product).await.expect("added");
        let all: Vec<Dataset> = datasets
            .values()
            .map(|(_, dataset)| dataset.clone())
            .collect();
        for is_new in [true, false] {
            let outcomes = index
                .add_datasets(all.clone(), &AddOptions::default())
                .await;
            for (outcome, dataset) in outcomes.expect("written").iter().zip(&all) {
                let expected = match outcome {
                    AddOutcome::Added => is_new,
                    AddOutcome::AlreadyThere => !is_new,
                    AddOutcome::Failed(_) => false,
                };
                assert!(expected, "{kind:?} {dataset}: {outcome:?}");
            }
        }
        let mut n_elsewhere = 0;
        for (id, (row, dataset)) in &datasets {
            let back = index.dataset(*id).await.expect("it is there");
            assert_eq!(back.document(), dataset.document());
            assert_eq!(back.fields(), dataset.fields());
            // Where and when odc-stac has it.
            // By the outline: some items write the affine of their grids in another order.
            let mut query = Query::new().geometry(dataset.extent().clone());
            if let Some(when) = time(row, "datetime") {
                query = query.time(TimeRange::at(when));
            }
            let found = match index.find(&query).await {
                Ok(found) => found,
                // It is on Mars: the index keeps it, and no place on Earth finds it.
                Err(error) if dataset.crs().to_wkt().contains("Mars") => {
                    assert!(error.to_string().contains("Mars"), "{error}");
                    n_elsewhere += 1;
                    continue;
                }
                Err(error) => panic!("{dataset}: {error}"),
            };
            assert!(
                found.iter().any(|found| found.id() == *id),
                "{kind:?} {row}"
            );
            // Not on the other side of the earth, when it is on one side.
            let lonlat = dataset.lonlat_bounds().expect("on Earth");
            if lonlat.span_x() < 90.0 && lonlat.span_y() < 45.0 {
                let middle = lonlat.center();
                let (lon, lat) = (middle.x + 180.0, middle.y);
                let other = BoundingBox::new(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1);
                let other = Geometry::from_bbox(other, Some(Crs::wgs84())).expect("a box");
                let found = index.find(&Query::new().ids([*id]).geometry(other)).await;
                assert!(found.expect("read").is_empty(), "{kind:?} {row}");
            }
        }
        assert_eq!(n_elsewhere, 1, "of the corpus one item is on Mars");
        let n = index.count(&Query::new()).await.expect("counted");
        assert_eq!(n, datasets.len() as u64);
    }
}

fn check_time(row: &Value, dataset: &Dataset) {
    if let Some(when) = time(row, "datetime") {
        let (begin, end) = dataset.time_range();
        assert!(begin <= when && when <= end, "{begin} {end}: {row}");
    }
}

/// What is said where the CRS is not that of odc-stac.
fn other_crs(row: &Value, dataset: &Dataset) -> Option<String> {
    let text = row["crs"].as_str().filter(|_| row["has_proj"] == true)?;
    let is_same = match Crs::parse(text) {
        Ok(crs) => *dataset.crs() == crs,
        // Those without a code are cut short in the oracle.
        Err(_) => {
            let name = text.split('"').nth(1).unwrap_or_default();
            !name.is_empty() && dataset.crs().to_wkt().contains(name)
        }
    };
    (!is_same).then(|| {
        format!(
            "{} {}: {} and not {text}",
            row["file"],
            row["id"],
            dataset.crs()
        )
    })
}
