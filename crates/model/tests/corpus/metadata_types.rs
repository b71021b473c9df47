//! Metadata types: what is taken, which fields they have, which are of EO3.

use std::collections::BTreeSet;

use datacube_model::MetadataType;
use serde_json::Value;

use crate::oracle::{compare, document, has_problem, oracle};
use crate::shared;

#[test]
fn metadata_types_are_taken_as_odc_takes_them() {
    let Some(folder) = shared::data("metadata") else {
        return;
    };
    let legacy = oracle(&folder, "postgres", "odc-metadata-type");
    let strict = oracle(&folder, "postgis", "odc-metadata-type");
    let mut differences = Vec::new();
    let (mut n_taken, mut n_eo3) = (0, 0);
    for (row, strict) in legacy.iter().zip(&strict) {
        assert_eq!(
            (&row["file"], &row["name"]),
            (&strict["file"], &strict["name"])
        );
        let found = MetadataType::from_document(document(&folder, row));
        differences.extend(compare(
            row,
            &found.as_ref().map(|_| ()).map_err(Clone::clone),
        ));
        let Ok(found) = found else { continue };
        n_taken += 1;
        // The oracle lists what the driver adds to every type as well.
        let listed: BTreeSet<&str> = row["search_fields"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let ours: BTreeSet<&str> = found.fields().keys().map(String::as_str).collect();
        let more: BTreeSet<&str> = listed.difference(&ours).copied().collect();
        assert!(
            ours.is_subset(&listed),
            "{}: {:?}",
            row["name"],
            ours.difference(&listed)
        );
        let native = [
            "creation_time",
            "indexed_by",
            "indexed_time",
            "metadata_doc",
            "metadata_type",
            "metadata_type_id",
            "product",
            "product_id",
            "uri",
            "id",
            "label",
            "format",
        ];
        assert!(
            more.iter().all(|name| native.contains(name)),
            "{}: {more:?}",
            row["name"]
        );
        // The PostGIS driver takes types of EO3 documents only.
        assert_eq!(
            found.is_eo3_compatible(),
            strict["ok"] == true,
            "{}: {:?}",
            row["name"],
            found.eo3_problems()
        );
        if let Some(error) = strict.get("error").and_then(Value::as_str) {
            assert!(
                has_problem(found.eo3_problems(), error),
                "{error}: {:?}",
                found.eo3_problems()
            );
        } else {
            n_eo3 += 1;
        }
    }
    eprintln!(
        "{} metadata types: {n_taken} taken, {n_eo3} of EO3",
        legacy.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!((legacy.len(), n_taken, n_eo3), (19, 19, 9));
}
