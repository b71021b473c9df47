//! Documents with anything anywhere: they are read or refused with a reason,
//! and nothing panics.

use std::sync::Arc;

use datacube_model::{Dataset, FlagsDefinition, MetadataType, Product, match_product};
use proptest::prelude::*;
use serde_json::{Value, json};

fn product() -> Value {
    json!({
        "name": "ls8", "description": "x", "license": "CC-BY-4.0", "metadata_type": "eo3", "managed": false,
        "metadata": {"product": {"name": "ls8"}},
        "extra_dimensions": [{"name": "z", "values": [1, 2], "dtype": "float64", "units": "m"}],
        "load": {"crs": "EPSG:3577", "resolution": {"x": 30, "y": -30}, "align": {"x": 15, "y": 15}},
        "storage": {"crs": "EPSG:3577", "resolution": {"x": 30, "y": -30}, "tile_size": {"x": 1, "y": 1},
            "origin": {"x": 0, "y": 0}, "driver": "x", "dimension_order": ["y"], "chunking": {"x": 1}},
        "measurements": [{
            "name": "red", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["b4"], "scale_factor": 1,
            "add_offset": 0, "extra_dim": "z", "dims": ["y"],
            "spectral_definition": [{"wavelength": [1], "response": [1]}, {"wavelength": [], "response": []}],
            "flags_definition": {"cloud": {"bits": [3, 4], "values": {"0": "no", "1": true}, "description": "x"}},
        }],
    })
}

fn dataset() -> Value {
    json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": "944b3a38-0c42-5a6d-b4e8-4c0fdb67fbfc", "label": "x", "product": {"name": "ls8"}, "crs": "EPSG:32660",
        "geometry": {"type": "Polygon", "coordinates": [[[4e5, 4e6], [5e5, 4e6], [4e5, 5e6], [4e5, 4e6]]]},
        "grids": {"default": {"shape": [100, 200], "transform": [30, 0, 4e5, 0, -30, 5e6, 0, 0, 1]}},
        "measurements": {"red": {"path": "red.tif", "band": 1, "layer": "x", "grid": "default"}},
        "properties": {
            "datetime": "2020-01-01", "dtr:start_datetime": "2020-01-01", "dtr:end_datetime": "2020-01-02",
            "eo:platform": "x", "eo:cloud_cover": 1, "odc:region_code": "x", "odc:file_format": "GeoTIFF",
        },
        "lineage": {"level1": ["1505d39c-9a51-50cf-a5e1-53e0908fb691"], "source_datasets": {"a": {"id": "x"}}},
        "location": "s3://b/x.yaml", "locations": ["s3://b/x.yaml"], "accessories": {"x": {"path": "x"}},
    })
}

/// The pointers of every value below a document.
fn pointers(value: &Value, prefix: &str, out: &mut Vec<String>) {
    out.push(prefix.to_owned());
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        pointers(value, &format!("{prefix}/{key}"), out);
    }
}

/// What stands in for a value: `None` takes it away.
fn stand_in() -> impl Strategy<Value = Option<Value>> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3i64..70).prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |x| x.is_finite())
            .prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "x",
            "NaN",
            "default",
            "EPSG:4326",
            "EPSG:1",
            "2020-01-01",
            "Polygon",
            "Point",
            "z"
        ])
        .prop_map(Value::from),
    ];
    let value = scalar.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(
                ("[a-z]{0,4}|type|coordinates|bits|values|id|path", inner),
                0..4
            )
            .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    prop_oneof![1 => Just(None), 4 => value.prop_map(Some)]
}

fn changed(mut document: Value, changes: &[(prop::sample::Index, Option<Value>)]) -> Value {
    for (at, stand_in) in changes {
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        let pointer = at.get(&all);
        match stand_in {
            Some(value) => {
                *document.pointer_mut(pointer).expect("it was just listed") = value.clone()
            }
            None => {
                let Some((parent, key)) = pointer.rsplit_once('/') else {
                    continue;
                };
                match document.pointer_mut(parent) {
                    Some(Value::Object(map)) => {
                        drop(map.shift_remove(&key.replace("~1", "/").replace("~0", "~")))
                    }
                    Some(Value::Array(items)) => drop(items.pop()),
                    _ => {}
                }
            }
        }
    }
    document
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Option<Value>)>> {
    prop::collection::vec((any::<prop::sample::Index>(), stand_in()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn products_are_read_or_refused(changes in changes()) {
        let document = changed(product(), &changes);
        match Product::from_document(document.clone(), &MetadataType::builtin()) {
            Ok(product) => prop_assert_eq!(product.document(), &document),
            Err(errors) => prop_assert!(!errors.problems().is_empty() && !errors.to_string().is_empty()),
        }
    }

    #[test]
    fn datasets_are_read_or_refused(changes in changes()) {
        let mut whole = product();
        whole["measurements"][0].as_object_mut().expect("an object").remove("extra_dim");
        let product = Arc::new(Product::from_document(whole, &MetadataType::eo3()).expect("valid"));
        let mut base = dataset();
        base["lineage"].as_object_mut().expect("an object").remove("source_datasets");
        let document = changed(base, &changes);
        let _ = match_product(&document, std::slice::from_ref(&product));
        match Dataset::from_document(document.clone(), product, ["file:///a/b.yaml"]) {
            Ok(dataset) => {
                prop_assert_eq!(dataset.document(), &document);
                prop_assert!(dataset.time_range().0 <= dataset.center_time());
                prop_assert!(dataset.measurement_source("red").is_ok());
                prop_assert!(!dataset.extent().is_empty());
            }
            Err(errors) => prop_assert!(!errors.problems().is_empty() && !errors.to_string().is_empty()),
        }
    }

    #[test]
    fn metadata_types_are_read_or_refused(changes in changes()) {
        let document = changed(MetadataType::eo3().document().clone(), &changes);
        match MetadataType::from_document(document.clone()) {
            Ok(found) => {
                prop_assert_eq!(found.document(), &document);
                for field in found.fields().values() {
                    let _ = field.extract(&dataset());
                }
            }
            Err(errors) => prop_assert!(!errors.problems().is_empty()),
        }
    }

    #[test]
    fn flags_are_read_or_refused(changes in changes(), pixel in any::<u64>()) {
        let flags = product()["measurements"][0]["flags_definition"].clone();
        if let Ok(flags) = FlagsDefinition::from_document(changed(flags, &changes)) {
            let _ = flags.to_string();
            let conditions: Vec<_> =
                flags.mask_to_dict(pixel).into_iter().map(|(name, label)| (name.to_owned(), label.clone())).collect();
            for (name, label) in conditions {
                // What a pixel has, it passes, unless the label stands for several codes.
                if let Ok(test) = flags.create_mask_value(&[(&name, label)]) {
                    prop_assert!(test.matches(pixel) || flags.flags()[&name].single);
                }
            }
        }
    }
}
