//! `dataset count`.

use super::kit::{IDS, Kit};

pub(super) fn by_product(kit: &Kit) {
    kit.filled();
    let counts = kit.ok(&["dataset", "count"]);
    assert_eq!(
        counts,
        "product: mean\ncount: 2\n---\nproduct: tiny\ncount: 3\n"
    );
    assert_eq!(kit.ok(&["dataset", "count", "--count-only"]), "5\n");
    let csv = kit.ok(&["dataset", "count", "-f", "csv", "tiny"]);
    assert_eq!(csv, "product,count\ntiny,3\n");
    kit.ok(&["dataset", "archive", IDS[0]]);
    for (status, expected) in [("active", "4\n"), ("archived", "1\n"), ("all", "5\n")] {
        let count = kit.ok(&["dataset", "count", "--count-only", "--status", status]);
        assert_eq!(count, expected, "{status}");
    }
    let query = [
        "dataset",
        "count",
        "-f",
        "json",
        "--query",
        "time in 2020-05",
        "--query",
        "cloud_cover < 20",
    ];
    assert_eq!(
        kit.json(&query),
        serde_json::json!([{"product": "tiny", "count": 1}])
    );
    let none = kit.json(&[
        "dataset",
        "count",
        "-f",
        "json",
        "mean",
        "--query",
        "time in 1999",
    ]);
    assert_eq!(none, serde_json::json!([{"product": "mean", "count": 0}]));
}

pub(super) fn through_time(kit: &Kit) {
    kit.filled();
    let count = |period: &str, query: &str| {
        kit.ok(&[
            "dataset", "count", "-f", "csv", "--period", period, "--query", query, "tiny",
        ])
    };
    // ODC leaves out the last period of each of these.
    assert_eq!(
        count("1 month", "time in [2020-03,2020-05]"),
        "product,time,count\ntiny,2020-03-01,2\ntiny,2020-04-01,0\ntiny,2020-05-01,1\n"
    );
    assert_eq!(
        count("1 month", "time in 2020-03"),
        "product,time,count\ntiny,2020-03-01,2\n"
    );
    // From the first dataset on, where the range is open.
    assert_eq!(
        count("2 months", "time > 2020-02"),
        "product,time,count\ntiny,2020-03-01,2\ntiny,2020-05-01,1\n"
    );
    let both = kit.ok(&[
        "dataset",
        "count",
        "--period",
        "1 year",
        "--query",
        "time in 2020",
    ]);
    assert_eq!(
        both,
        "product: mean\ntime: 2020-01-01\ncount: 2\n---\n\
         product: tiny\ntime: 2020-01-01\ncount: 3\n"
    );
}

pub(super) fn mistakes_are_explained(kit: &Kit) {
    kit.filled();
    let said = kit.fails(1, &["dataset", "count", "tinny"]);
    assert!(said.err.contains("tiny"), "{said:?}");
    let said = kit.fails(1, &["dataset", "count", "--period", "1 month"]);
    assert!(said.err.contains("time in 2020"), "{said:?}");
    let query = ["--query", "time in 2020"];
    let said = kit.fails(
        1,
        &[&["dataset", "count", "--period", "1 moon"], &query[..]].concat(),
    );
    assert!(said.err.contains("1 moon"), "{said:?}");
    let both = ["dataset", "count", "--count-only", "--period", "1 month"];
    kit.fails(2, &[&both[..], &query[..]].concat());
    let said = kit.fails(1, &["dataset", "count", "--query", "time >"]);
    assert!(said.err.contains('^'), "{said:?}");
}
