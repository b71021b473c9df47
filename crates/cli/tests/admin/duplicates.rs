//! `dataset find-duplicates`.

use super::kit::{IDS, Kit};

pub(super) fn equal_ones_are_grouped(kit: &Kit) {
    kit.filled();
    let find =
        |more: &[&str]| kit.json(&[&["dataset", "find-duplicates", "-f", "json"], more].concat());
    let all = find(&["region_code", "platform"]);
    assert_eq!(
        all,
        serde_json::json!([
            {"product": "mean", "region_code": "090084", "platform": "landsat-8", "ids": IDS[3..]},
            {"product": "tiny", "region_code": "090084", "platform": "landsat-8", "ids": IDS[..3]},
        ])
    );
    let one = find(&["region_code", "-p", "mean"]);
    assert_eq!(one.as_array().map(Vec::len), Some(1), "{one}");
    kit.ok(&["dataset", "archive", IDS[3]]);
    assert_eq!(find(&["region_code", "-p", "mean"]), serde_json::json!([]));
    let none = kit.ok(&["dataset", "find-duplicates", "region_code", "time"]);
    assert_eq!(none, "No potential duplicates found.\n");
    let csv = kit.ok(&["dataset", "find-duplicates", "-f", "csv", "region_code"]);
    let expected = format!(
        "product,region_code,ids\ntiny,090084,{} {} {}\n",
        IDS[0], IDS[1], IDS[2]
    );
    assert_eq!(csv, expected);
}

pub(super) fn mistakes_are_explained(kit: &Kit) {
    kit.filled();
    let said = kit.fails(1, &["dataset", "find-duplicates", "orbit"]);
    assert!(said.err.contains("orbit"), "{said:?}");
    let said = kit.fails(1, &["dataset", "find-duplicates", "orbit", "-p", "tiny"]);
    assert!(
        said.err.contains("orbit") && said.err.contains("tiny"),
        "{said:?}"
    );
    let said = kit.fails(1, &["dataset", "find-duplicates", "time", "-p", "tinny"]);
    assert!(said.err.contains("tiny"), "{said:?}");
    kit.fails(2, &["dataset", "find-duplicates"]);
}
