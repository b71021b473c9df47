//! `system clone`.

use super::kit::{IDS, Kit};

pub(super) fn into_another_index(kit: &Kit) {
    kit.filled();
    kit.ok(&["dataset", "archive", IDS[2]]);
    let copy = Kit::sqlite();
    let said = copy.fails(1, &["system", "clone", &kit.url]);
    assert!(said.err.contains("system init"), "{said:?}");
    copy.ok(&["system", "init"]);
    let dry = copy.ok(&["system", "clone", "--dry-run", &kit.url]);
    assert!(
        dry.contains("2 products") && dry.contains("4 datasets"),
        "{dry}"
    );
    assert_eq!(copy.ok(&["product", "list"]), "");
    let done = copy.ok(&["system", "clone", "--batch-size", "2", &kit.url]);
    assert!(
        done.contains("2 products") && done.contains("4 datasets"),
        "{done}"
    );
    let again = copy.ok(&["system", "clone", &kit.url]);
    assert!(
        again.contains("0 products") && again.contains("0 datasets"),
        "{again}"
    );
    let ids = [
        "dataset",
        "search",
        "--fields",
        "id,uri,product",
        "-f",
        "csv",
    ];
    assert_eq!(copy.ok(&ids), kit.ok(&ids));
    let info = copy.json(&["dataset", "info", "--show-sources", "-f", "json", IDS[3]]);
    assert_eq!(info[0]["sources"]["tiny1"]["id"], IDS[0]);
    let done = copy.ok(&["system", "clone", "--archived", &kit.url]);
    assert!(done.contains("1 dataset"), "{done}");
    let status = ["dataset", "count", "--count-only", "--status", "archived"];
    assert_eq!(copy.ok(&status), "1\n");
}

pub(super) fn options_and_mistakes(kit: &Kit) {
    kit.filled();
    let copy = Kit::sqlite();
    copy.ok(&["system", "init"]);
    let both = [
        "system",
        "clone",
        "--skip-lineage",
        "--lineage-only",
        &kit.url,
    ];
    copy.fails(1, &both);
    copy.ok(&["system", "clone", "--skip-lineage", &kit.url]);
    let info = copy.json(&["dataset", "info", "--show-sources", "-f", "json", IDS[3]]);
    assert_eq!(info[0]["sources"], serde_json::json!({}));
    copy.ok(&["system", "clone", "--lineage-only", &kit.url]);
    let info = copy.json(&["dataset", "info", "--show-sources", "-f", "json", IDS[3]]);
    assert_eq!(info[0]["sources"]["tiny1"]["id"], IDS[0]);
    let said = copy.fails(1, &["system", "clone", "nowhere"]);
    assert!(said.err.contains("nowhere"), "{said:?}");
    copy.fails(2, &["system", "clone"]);
    copy.fails(2, &["system", "clone", "--batch-size", "0", &kit.url]);
    // By the name of an environment.
    let text = format!(
        "default: {{db_url: '{}'}}\nsource: {{db_url: '{}'}}\n",
        copy.url, kit.url
    );
    let output = copy
        .command()
        .args(["-R", &text, "system", "clone", "source"])
        .output();
    assert_eq!(super::kit::said(&output.expect("runs")).status, 0);
}
