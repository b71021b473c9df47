//! `dataset search` and `uri-search`.

use serde_json::Value;

use super::kit::{IDS, Kit};

pub(super) fn every_format_has_the_same_datasets(kit: &Kit) {
    kit.filled();
    let search = |format: &str| kit.ok(&["dataset", "search", "-f", format, "product = tiny"]);
    let expected = &IDS[..3];
    let array: Value = serde_json::from_str(&search("json")).expect("JSON");
    let ids: Vec<&str> = array
        .as_array()
        .expect("an array")
        .iter()
        .map(|row| row["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, expected);
    let lines: Vec<Value> = search("jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(Value::from(lines), array);
    let csv = search("csv");
    assert_eq!(csv.lines().next(), Some("id,status,product,location"));
    let ids: Vec<&str> = csv
        .lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(ids, expected);
    let yaml = kit.ok(&["dataset", "search", "product = tiny"]);
    let ids: Vec<&str> = yaml
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    assert_eq!(ids, expected);
    let table = search("table");
    assert!(table.starts_with("ID  "), "{table}");
    let ids: Vec<&str> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(ids, expected);

    let none = kit.run(&["dataset", "search", "-f", "json", "time in 1999"]);
    assert_eq!((none.status, none.out.as_str()), (0, "[]\n"));
    assert_eq!(none.err, "no datasets match\n");
}

pub(super) fn fields_and_order_are_chosen(kit: &Kit) {
    kit.filled();
    let rows = kit.ok(&[
        "dataset",
        "search",
        "-f",
        "csv",
        "--fields",
        "product,id,cloud_cover",
        "--order-by",
        "product",
        "--order-by",
        "-time",
        "--limit",
        "3",
    ]);
    let expected = format!(
        "product,id,cloud_cover\nmean,{},12.5\nmean,{},12.5\ntiny,{},12.5\n",
        IDS[4], IDS[3], IDS[2]
    );
    assert_eq!(rows, expected);
    kit.ok(&["dataset", "archive", IDS[2]]);
    let archived = kit.ok(&[
        "dataset", "search", "--status", "archived", "--fields", "id", "-f", "csv",
    ]);
    assert_eq!(archived, format!("id\n{}\n", IDS[2]));
    let several = kit.ok(&[
        "dataset",
        "search",
        "--fields",
        "id",
        "-f",
        "csv",
        "product = tiny",
        "time in 2020-03-01",
    ]);
    assert_eq!(several, format!("id\n{}\n{}\n", IDS[0], IDS[1]));
}

pub(super) fn mistakes_are_explained(kit: &Kit) {
    kit.filled();
    for (expression, expected) in [
        ("cloud_cower < 20", "cloud_cover"),
        ("time in [2020", "^"),
        ("product = tinny", "tiny"),
        ("time = yesterday", "yesterday"),
    ] {
        let said = kit.fails(1, &["dataset", "search", expression]);
        assert!(said.err.contains(expected), "{said:?}");
        assert_eq!(said.out, "", "{said:?}");
    }
    let said = kit.fails(
        1,
        &["dataset", "search", "--order-by", "cloud", "product = tiny"],
    );
    assert!(said.err.contains("cloud_cover"), "{said:?}");
    let said = kit.fails(
        1,
        &["dataset", "search", "--fields", "cloud", "product = tiny"],
    );
    assert!(said.err.contains("cloud_cover"), "{said:?}");
    kit.fails(2, &["dataset", "search", "--limit", "many"]);
    kit.fails(2, &["dataset", "search", "-f", "xml"]);
}

pub(super) fn by_location(kit: &Kit) {
    kit.filled();
    let first = kit.uri("scenes/1/odc-metadata.yaml");
    let line = |n: usize, product: &str, folder: &str| {
        format!(
            "Dataset <id={} product={product} location={}>\n",
            IDS[n],
            kit.uri(&format!("scenes/{folder}/odc-metadata.yaml"))
        )
    };
    let search =
        |mode: &str, path: &str| kit.run(&["dataset", "uri-search", "--search-mode", mode, path]);
    assert_eq!(search("exact", &first).out, line(0, "tiny", "1"));
    assert_eq!(search("guess", &first).out, line(0, "tiny", "1"));
    assert_eq!(
        search("guess", &kit.path("scenes/a")).out,
        line(3, "mean", "a")
    );
    let prefix = kit.ok(&["dataset", "uri-search", &kit.path("scenes")]);
    assert_eq!(prefix.lines().count(), 5, "{prefix}");
    let relative = kit.ok(&["dataset", "uri-search", "scenes/3/"]);
    assert_eq!(relative, line(2, "tiny", "3"));
    let none = search("exact", &kit.path("scenes"));
    assert_eq!((none.status, none.out.as_str()), (0, ""));
    assert!(none.err.contains("not found"), "{none:?}");
    let json = kit.json(&["dataset", "uri-search", "-f", "json", &first]);
    assert_eq!(json[0]["id"], IDS[0]);
    kit.fails(2, &["dataset", "uri-search"]);
    kit.fails(2, &["dataset", "uri-search", "--search-mode", "fuzzy", "x"]);
}
