//! The scenes of a real archive go in and come back, found by what they say.

use std::path::Path;
use std::sync::Arc;

use datacube_geo::{BoundingBox, Crs, Geometry};
use datacube_index::{AddOptions, FieldTest, Index, IndexExt, Query, TimeRange};
use datacube_model::{Dataset, FieldValue, MetadataType, Product, parse_document};
use datacube_testkit::shared;
use uuid::Uuid;

use crate::stores::Stores;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn ids(index: &dyn Index, query: &Query) -> Vec<Uuid> {
    let found = index
        .find(query)
        .await
        .unwrap_or_else(|error| panic!("{query:?}: {error}"));
    assert_eq!(
        index.count(query).await.expect("counted"),
        found.len() as u64,
        "{query:?}"
    );
    found.iter().map(Dataset::id).collect()
}

fn area(bounds: BoundingBox, crs: &Crs) -> Geometry {
    Geometry::from_bbox(bounds, Some(crs.clone())).expect("a box")
}

/// What a dataset says of itself finds it, and gives back the same dataset.
pub(crate) async fn check_found_by_all_it_says(index: &dyn Index, dataset: &Dataset) {
    let id = dataset.id();
    let (begin, end) = dataset.time_range();
    let time = TimeRange::between(begin, end).expect("in order");
    let query = Query::new()
        .product(dataset.product().name())
        .time(time)
        .geometry(area(dataset.bounds(), dataset.crs()));
    assert!(ids(index, &query).await.contains(&id), "{dataset}");
    let instants = [
        TimeRange::at(begin),
        TimeRange::at(dataset.center_time()),
        TimeRange::at(end),
    ];
    for instant in instants {
        assert!(
            ids(index, &Query::new().time(instant)).await.contains(&id),
            "{dataset}"
        );
    }
    let inside = dataset.extent().centroid().expect("it covers something");
    let inside = Geometry::point(inside, Some(dataset.crs().clone())).expect("finite");
    if dataset.extent().contains(&inside).expect("the same CRS") {
        let query = Query::new().geometry(inside);
        assert!(ids(index, &query).await.contains(&id), "{dataset}");
    }
    // On the other side of the earth there is nothing of it.
    let bounds = dataset.lonlat_bounds().expect("it is on the earth");
    let middle = bounds.center();
    let (lon, lat) = (middle.x + 180.0, -middle.y);
    let antipode = BoundingBox::new(lon - 0.1, lat - 0.1, lon + 0.1, lat + 0.1);
    let query = Query::new().geometry(area(antipode, &Crs::wgs84()));
    assert!(!ids(index, &query).await.contains(&id), "{dataset}");
    for (name, value) in dataset.fields() {
        let test = match value {
            FieldValue::Text(text) => FieldTest::is(text.as_str()),
            FieldValue::Number(number) if !number.is_nan() => FieldTest::is(number.as_f64()),
            FieldValue::Bool(value) => FieldTest::is(*value),
            FieldValue::Time(instant) => FieldTest::is(*instant),
            _ => continue,
        };
        let query = Query::new()
            .product(dataset.product().name())
            .field(name, test);
        assert!(
            ids(index, &query).await.contains(&id),
            "{dataset} by {name}"
        );
    }
    let back = index.dataset(id).await.expect("it is there");
    assert_eq!(back.document(), dataset.document());
    assert_eq!(
        back.document().to_string(),
        dataset.document().to_string(),
        "keys in order"
    );
    assert_eq!(back.locations(), dataset.locations());
    assert_eq!(back.product(), dataset.product());
}

#[tokio::test]
async fn the_scenes_of_a_real_archive() {
    let Some(folder) = shared("goldens/e2e_l8ny18/eo3") else {
        return;
    };
    let product =
        parse_document(&read(&folder.join("product.yaml")), "product.yaml").expect("YAML");
    let product =
        Arc::new(Product::from_document(product, &MetadataType::eo3()).expect("a product"));
    let mut datasets = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let uri = path.display().to_string();
        if !uri.ends_with(".odc-metadata.yaml") {
            continue;
        }
        let document = parse_document(&read(&path), &uri).expect("YAML");
        let dataset = Dataset::from_document(document, Arc::clone(&product), [uri.as_str()]);
        datasets.push(dataset.unwrap_or_else(|errors| panic!("{uri}: {errors}")));
    }
    assert_eq!(datasets.len(), 19);
    let mut in_order: Vec<_> = datasets.iter().map(|d| (d.center_time(), d.id())).collect();
    in_order.sort();
    let in_order: Vec<Uuid> = in_order.into_iter().map(|(_, id)| id).collect();
    let stores = Stores::new();
    for kind in stores.kinds() {
        let index = stores.fresh(kind).await;
        index.add_product(&product).await.expect("added");
        for expected in [true, false] {
            let outcomes = index
                .add_datasets(datasets.clone(), &AddOptions::default())
                .await;
            for outcome in outcomes.expect("written") {
                assert_eq!(outcome.is_added(), expected, "{outcome:?}");
                assert!(!outcome.is_failed(), "{outcome:?}");
            }
        }
        assert_eq!(ids(&*index, &Query::new()).await, in_order);
        for dataset in &datasets {
            check_found_by_all_it_says(&*index, dataset).await;
        }
        let asked = async |text: &str| index.parse_query(text).await.expect("an expression");
        let path_13 = asked("product = l8_c1_l1_ny18 region_code = 013032").await;
        assert_eq!(ids(&*index, &path_13).await.len(), 8);
        // Two rows of one day, seen one after the other.
        let one_day = asked("time in 2018-04-28").await;
        assert_eq!(ids(&*index, &one_day).await.len(), 2);
        let spring = asked("time in [2018-03, 2018-05] platform = landsat-8").await;
        assert_eq!(ids(&*index, &spring).await.len(), 6);
        let new_york = asked("lat = 40.7 lon = -74.0").await;
        assert!(!ids(&*index, &new_york).await.is_empty());
        let perth = asked("lat = -31.9 lon = 115.9").await;
        assert!(ids(&*index, &perth).await.is_empty());
    }
}
