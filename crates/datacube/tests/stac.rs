//! Real STAC items into an index, found again, and out of it.

mod common;

use common::items_of_corpus;
use datacube::index::{Added, Query};
use datacube::model::stac::{ItemOptions, StacConfig, StacItem, item_document};
use datacube::{ConfigOptions, Datacube, DocumentOutcome, MatchOptions};
use futures::TryStreamExt;
use serde_json::json;

fn empty() -> Datacube {
    let options = ConfigOptions {
        index: Some("memory:".into()),
        ..ConfigOptions::default()
    };
    Datacube::create(options).expect("an index in memory").0
}

fn options() -> MatchOptions {
    MatchOptions {
        infer_products: true,
        ..MatchOptions::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

fn added(outcomes: &[DocumentOutcome]) -> usize {
    let new = |outcome: &&DocumentOutcome| matches!(outcome.result, Ok(Added::New));
    outcomes.iter().filter(new).count()
}

#[test]
fn every_item_that_odc_stac_parses_is_indexed_found_and_exported() {
    let Some((folder, files)) = items_of_corpus() else {
        return;
    };
    let (mut n, mut n_refused) = (0, 0);
    for file in &files {
        let dc = empty();
        let outcomes = dc
            .add_datasets([folder.join(file)], &options())
            .expect("an index");
        let [outcome] = outcomes.as_slice() else {
            panic!("{file}: {outcomes:?}")
        };
        assert!(outcome.location.starts_with("file:///"), "{outcome:?}");
        if let Err(error) = &outcome.result {
            // An item without a place on the ground.
            assert!(
                error.to_string().contains("geometry: expected a footprint"),
                "{file}: {error}"
            );
            n_refused += 1;
            continue;
        }
        let index = dc.index().clone();
        let all = block_on(async { index.search(&Query::new()).try_collect::<Vec<_>>().await });
        let [dataset] = all.expect("a search").try_into().expect("one dataset");
        if let Some(bounds) = dataset.lonlat_bounds() {
            let area =
                datacube::geo::Geometry::from_bbox(bounds, Some(datacube::geo::Crs::wgs84()));
            let query = Query::new().geometry(area.expect("a box"));
            let found = block_on(async { index.count(&query).await }).expect("counted");
            assert_eq!(found, 1, "{file} is not found where it is");
        }
        let item = item_document(&dataset, &ItemOptions::default().relative_assets(true));
        let back = StacItem::from_document(item).and_then(|item| {
            item.dataset_document(Some(dataset.product()), &StacConfig::default())
        });
        let back = back
            .unwrap_or_else(|error| panic!("{file}: {error}"))
            .document;
        assert_eq!(back["grids"], dataset.document()["grids"], "{file}");
        assert_eq!(
            back["measurements"],
            dataset.document()["measurements"],
            "{file}"
        );
        n += 1;
    }
    eprintln!(
        "{n} of {} files indexed, {n_refused} are nowhere",
        files.len()
    );
    assert!(n + n_refused == files.len() && n > 600, "{n} {n_refused}");
}

#[test]
fn a_bad_item_among_good_ones_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let item = |id: &str, collection: &str| {
        json!({
            "type": "Feature", "stac_version": "1.0.0", "id": id, "collection": collection, "links": [],
            "properties": {"datetime": "2020-01-01T00:00:00Z", "proj:epsg": 32655}, "geometry": null,
            "assets": {"red": {"href": "red.tif", "proj:shape": [10, 10], "proj:transform": [30, 0, 300000, 0, -30, 6000000]}},
        })
    };
    let mut broken = item("broken", "a");
    broken["properties"]["datetime"] = json!("yesterday");
    let mut other = item("other", "a");
    other["assets"]["red"]["proj:shape"] = json!([5, 5]);
    let documents = [
        ("1", item("one", "a")),
        ("2", broken),
        ("3", item("two", "b")),
        ("4", other),
    ];
    for (name, document) in documents {
        std::fs::write(
            folder.path().join(format!("{name}.json")),
            document.to_string(),
        )
        .expect("written");
    }
    let dc = empty();
    let outcomes = dc
        .add_datasets([folder.path()], &options())
        .expect("an index");
    assert_eq!((outcomes.len(), added(&outcomes)), (4, 3), "{outcomes:?}");
    let failed = outcomes
        .iter()
        .find(|outcome| outcome.result.is_err())
        .expect("the broken one");
    let error = failed.result.as_ref().unwrap_err().to_string();
    assert!(
        failed.location.ends_with("/2.json") && error.contains("properties.datetime"),
        "{error}"
    );
    let names: Vec<String> = dc
        .products()
        .expect("products")
        .iter()
        .map(|product| product.name().to_owned())
        .collect();
    assert_eq!(names, ["a", "b"]);
    // Again: nothing changes.
    let outcomes = dc
        .add_datasets([folder.path()], &options())
        .expect("an index");
    assert_eq!(added(&outcomes), 0, "{outcomes:?}");

    // Without leave to make products the name of the missing one is told.
    let dc = empty();
    let product = json!({"name": "scenes", "description": "x", "metadata_type": "eo3", "metadata": {"product": {"name": "scenes"}}, "measurements": []});
    let file = folder.path().join("product.yaml");
    std::fs::write(&file, product.to_string()).expect("written");
    dc.add_products(&file).expect("read");
    let lost = folder.path().join("5.json");
    std::fs::write(&lost, item("lost", "scene").to_string()).expect("written");
    let outcomes = dc
        .add_datasets([lost], &MatchOptions::default())
        .expect("an index");
    let error = outcomes[0].result.as_ref().unwrap_err().to_string();
    assert!(
        error.contains("no product `scene`") && error.contains("did you mean scenes"),
        "{error}"
    );
}
