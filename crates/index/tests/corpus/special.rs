//! Footprints over the antimeridian and around the poles: found where they
//! are, and not where they are not.
//!
//! Where a footprint is, is asked of the outline in its own CRS, point by
//! point: nothing is carried over to degrees and cut there, as indexes do it.

use std::collections::HashSet;
use std::sync::Arc;

use datacube_geo::{Crs, Geometry, Xy};
use datacube_index::{AddOptions, Index, IndexExt, Query};
use datacube_model::{Dataset, Product};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::items::{dataset_of_item, item_of, product_of_items};
use crate::shared;
use crate::stores::Stores;

/// An EO3 dataset of a box in a CRS.
fn boxed(product: &Arc<Product>, crs: &str, [left, bottom, right, top]: [f64; 4]) -> Dataset {
    let ring = [
        [left, bottom],
        [right, bottom],
        [right, top],
        [left, top],
        [left, bottom],
    ];
    let document = json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": Uuid::new_v4(), "label": crs, "product": {"name": product.name()}, "crs": crs,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "grids": {"default": {
            "shape": [10, 10],
            "transform": [(right - left) / 10.0, 0, left, 0, (bottom - top) / 10.0, top, 0, 0, 1],
        }},
        "measurements": {},
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "lineage": {},
    });
    Dataset::from_document(document, Arc::clone(product), ["file:///x.yaml"])
        .unwrap_or_else(|errors| panic!("{errors}"))
}

/// Whether a place on Earth is in the outline, by the outline's own CRS.
fn covers(dataset: &Dataset, lon: f64, lat: f64) -> bool {
    let crs = dataset.crs();
    let extent = dataset.extent();
    let in_own = |lon: f64| -> bool {
        let there = Geometry::point(Xy::new(lon, lat), Some(Crs::wgs84())).expect("finite");
        there
            .to_crs(crs, None)
            .is_ok_and(|there| extent.contains(&there).expect("the same CRS"))
    };
    if crs.is_projected() {
        // Far from its middle a projection may lead back into the box.
        let near = dataset.lonlat_bounds().is_none_or(|b| {
            let away = (lon - b.center().x + 540.0).rem_euclid(360.0) - 180.0;
            away.abs() <= (b.span_x() / 2.0 + 30.0).max(60.0)
        });
        return near && in_own(lon);
    }
    [-360.0, 0.0, 360.0].iter().any(|turn| in_own(lon + turn))
}

/// The same all around the point, within a fiftieth of the footprint's size;
/// `None` on the edge.
fn clearly(dataset: &Dataset, lon: f64, lat: f64) -> Option<bool> {
    let here = covers(dataset, lon, lat);
    let bounds = dataset.lonlat_bounds().expect("on Earth");
    let edge = bounds.span_x().min(bounds.span_y()) / 50.0;
    // Near a pole a degree of longitude is short.
    let wide = (edge / lat.to_radians().cos().abs().max(0.01)).min(20.0);
    let steps = [-1.0, 0.0, 1.0];
    let around = steps
        .iter()
        .flat_map(|x| steps.map(|y| (x * wide, y * edge)));
    let same = around.into_iter().all(|(x, y)| {
        let lat = (lat + y).clamp(-90.0, 90.0);
        let lon = (lon + x + 540.0).rem_euclid(360.0) - 180.0;
        covers(dataset, lon, lat) == here
    });
    same.then_some(here)
}

/// Places all over the Earth, and more of them around each dataset.
fn places(datasets: &[Dataset]) -> Vec<(f64, f64)> {
    let mut places = Vec::new();
    for column in 0..24 {
        for row in 0..=18 {
            let lat = (f64::from(row) * 10.0 - 90.0).clamp(-89.99, 89.99);
            places.push((f64::from(column) * 15.0 - 179.9, lat));
        }
    }
    for dataset in datasets {
        let b = dataset.lonlat_bounds().expect("on Earth");
        for column in 0..7 {
            for row in 0..7 {
                // Not just on a corner.
                let part = |n: i32| f64::from(n) / 4.1 - 0.23;
                let lon = b.left + part(column) * b.span_x().min(360.0);
                let lat = b.bottom + part(row) * b.span_y();
                let lon = (lon + 540.0).rem_euclid(360.0) - 180.0;
                places.push((lon, lat.clamp(-89.99, 89.99)));
            }
        }
    }
    places
}

async fn found_at(index: &dyn Index, lon: f64, lat: f64) -> HashSet<Uuid> {
    let point = Geometry::point(Xy::new(lon, lat), Some(Crs::wgs84())).expect("finite");
    let found = index.find(&Query::new().geometry(point)).await;
    let found = found.unwrap_or_else(|error| panic!("{lon} {lat}: {error}"));
    found.iter().map(Dataset::id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn footprints_are_where_they_are() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let special = shared::json(&folder.join("special_geometry.json"));
    let product = product_of_items();
    let mut datasets: Vec<Dataset> = Vec::new();
    let mut seen = HashSet::new();
    let mut n_no_items = 0;
    for kind in ["antimeridian", "polar"] {
        for file in special[kind].as_array().expect("a list") {
            let file = file.as_str().expect("a path");
            let item = item_of(&folder, file, "");
            match dataset_of_item(item, &product, &format!("file:///corpus/{file}")) {
                Ok(dataset) if seen.insert(dataset.id()) => datasets.push(dataset),
                Ok(_) => {}
                Err(_) => n_no_items += 1,
            }
        }
    }
    assert!(datasets.len() >= 20, "{} datasets", datasets.len());
    assert_eq!(n_no_items, 0);
    let of_eo3 = antimeridian_of_eo3(&folder, &product, &special);
    let n_real = datasets.len() + of_eo3.len();
    datasets.extend(of_eo3);
    // None of the real ones has a pole in it.
    datasets.push(boxed(&product, "EPSG:3031", [-1e6, -1e6, 1e6, 1e6]));
    datasets.push(boxed(&product, "EPSG:3031", [-1.5e6, -2e5, 2e5, 1e6]));
    datasets.push(boxed(&product, "EPSG:3413", [-1e6, -1e6, 1e6, 1e6]));
    datasets.push(boxed(&product, "EPSG:3413", [-2e6, 1e5, 1e6, 1.2e6]));
    datasets.push(boxed(&product, "EPSG:32660", [7e5, 5e6, 9.5e5, 5.2e6]));
    datasets.push(boxed(&product, "EPSG:3832", [2.6e6, -3e6, 4e6, -1e6]));

    let places = places(&datasets);
    let truth: Vec<Vec<Option<bool>>> = places
        .iter()
        .map(|(lon, lat)| datasets.iter().map(|d| clearly(d, *lon, *lat)).collect())
        .collect();
    let n_inside = truth.iter().flatten().filter(|t| **t == Some(true)).count();
    let n_outside = truth
        .iter()
        .flatten()
        .filter(|t| **t == Some(false))
        .count();
    assert!(
        n_inside > 300 && n_outside > 10_000,
        "{n_inside} in, {n_outside} out"
    );

    let stores = Stores::new();
    let mut wrong = Vec::new();
    for kind in stores.kinds() {
        let index = stores.fresh(kind).await;
        index.add_product(&product).await.expect("added");
        let outcomes = index
            .add_datasets(datasets.clone(), &AddOptions::default())
            .await;
        assert!(
            outcomes
                .expect("written")
                .iter()
                .all(datacube_index::AddOutcome::is_added)
        );
        for ((lon, lat), truth) in places.iter().zip(&truth) {
            let found = found_at(&*index, *lon, *lat).await;
            for (dataset, truth) in datasets.iter().zip(truth) {
                let is_found = found.contains(&dataset.id());
                if truth.is_some_and(|truth| truth != is_found) {
                    let label = dataset.label().unwrap_or_default();
                    wrong.push(format!("{kind:?} {label} at {lon} {lat}: found {is_found}"));
                }
            }
        }
        // The poles themselves.
        let [south, north] = [n_real, n_real + 2].map(|nth| datasets[nth].id());
        for lon in [-180.0, -77.0, 0.0, 123.0, 180.0] {
            assert!(
                found_at(&*index, lon, -90.0).await.contains(&south),
                "{kind:?} {lon}"
            );
            assert!(
                found_at(&*index, lon, 90.0).await.contains(&north),
                "{kind:?} {lon}"
            );
        }
    }
    assert!(
        wrong.is_empty(),
        "{} places are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(40)].join("\n")
    );
}

/// The EO3 datasets over the antimeridian, under the product of the items.
fn antimeridian_of_eo3(
    folder: &std::path::Path,
    product: &Arc<Product>,
    special: &Value,
) -> Vec<Dataset> {
    let mut datasets = Vec::new();
    for file in special["antimeridian_eo3"].as_array().expect("a list") {
        let file = file.as_str().expect("a path");
        for mut document in crate::oracle::read(&folder.join(file)) {
            document["product"] = json!({"name": product.name()});
            let place = format!("file:///corpus/{file}");
            let dataset = Dataset::from_document(document, Arc::clone(product), [place]);
            datasets.push(dataset.unwrap_or_else(|errors| panic!("{errors}")));
        }
    }
    assert!(!datasets.is_empty());
    datasets
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_around_the_world_as_for_the_peers() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let product = product_of_items();
    let special = shared::json(&folder.join("special_geometry.json"));
    // A Landsat scene and a UTM grid: for the peers their boxes go from -180 to
    // 180 degrees, so that they are found at every longitude.
    let landsat = special["antimeridian"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .find(|file| file.contains("LT05_L2SR_087017"))
        .expect("it is in the corpus");
    let item = item_of(&folder, landsat, "");
    let landsat = dataset_of_item(item, &product, "file:///x.json");
    let mut datasets = vec![landsat.unwrap_or_else(|errors| panic!("{errors}"))];
    datasets.extend(antimeridian_of_eo3(&folder, &product, &special));
    let grid = datasets
        .iter()
        .position(|dataset| dataset.id().to_string().starts_with("f884df9b"))
        .expect("it is in the corpus");
    let stores = Stores::new();
    for kind in stores.kinds() {
        let index = stores.fresh(kind).await;
        index.add_product(&product).await.expect("added");
        let outcomes = index
            .add_datasets(datasets.clone(), &AddOptions::default())
            .await;
        assert!(
            outcomes
                .expect("written")
                .iter()
                .all(datacube_index::AddOutcome::is_added)
        );
        for (nth, lat, inside, outside) in [
            (0, 61.0, [-179.6, 179.99], [-170.0, 0.0]),
            (grid, -15.9, [-179.9, 179.0], [-170.0, 0.0]),
        ] {
            let id = datasets[nth].id();
            for lon in inside {
                let found = found_at(&*index, lon, lat).await;
                assert!(found.contains(&id), "{kind:?} {lon} {lat}");
            }
            for lon in outside.into_iter().chain([-90.0, 90.0, 170.0]) {
                let found = found_at(&*index, lon, lat).await;
                assert!(!found.contains(&id), "{kind:?} {lon} {lat}");
            }
        }
    }
}
