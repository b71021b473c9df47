//! `system`: init, check, info, clear.

use super::kit::Kit;

pub(super) fn init_is_idempotent(kit: &Kit) {
    let dry = kit.ok(&["system", "init", "--dry-run"]);
    assert_eq!(dry, "Would create the index.\n");
    kit.fails(1, &["system", "check"]);
    let all = [
        "system",
        "init",
        "--default-types",
        "--init-users",
        "--recreate-views",
        "--rebuild",
        "--lock-table",
    ];
    assert_eq!(kit.ok(&all), "Initialising database...\nCreated.\nDone.\n");
    let again = kit.ok(&["system", "init"]);
    assert_eq!(
        again,
        "Initialising database...\nAlready up to date.\nDone.\n"
    );
    let dry = kit.ok(&["system", "init", "-d"]);
    assert_eq!(dry, "The index is there and up to date.\n");
    kit.ok(&["system", "clear", "--yes"]);
    kit.ok(&["system", "init", "--no-default-types", "--no-init-users"]);
    assert_eq!(kit.ok(&["metadata", "list"]), "");
}

pub(super) fn check_tells_what_there_is(kit: &Kit) {
    let said = kit.fails(1, &["system", "check"]);
    assert!(said.out.contains("Valid connection:\tNO"), "{said:?}");
    assert!(said.err.contains("system init"), "{said:?}");
    kit.filled();
    let check = kit.ok(&["system", "check"]);
    let driver = if kit.is_server() { "postgis" } else { "sqlite" };
    for line in [
        concat!("Version:              ", env!("CARGO_PKG_VERSION")),
        &format!("Index Driver:         {driver}"),
        "Found by:             --index",
        "Skip broken datasets: False",
        "Datacube load limit:  none",
        "Products:             2",
        "Datasets:             5",
        "Writable:             yes",
        "Valid connection:\tYES",
    ] {
        assert!(check.lines().any(|found| found == line), "{line}: {check}");
    }
}

pub(super) fn info_in_every_format(kit: &Kit) {
    kit.with_products();
    let info = kit.json(&["system", "info", "-f", "json"]);
    assert_eq!(info["products"], 2);
    assert_eq!(info["datasets"], 0);
    assert_eq!(info["writable"], true);
    let types = info["metadata_types"].as_array().expect("a list");
    assert!(types.iter().any(|name| name == "eo3"), "{info}");
    let line = kit.json(&["system", "info", "-f", "jsonl"]);
    assert_eq!(line, info);
    let yaml = kit.ok(&["system", "info"]);
    assert!(yaml.contains("\nproducts: 2\n"), "{yaml}");
    let table = kit.ok(&["system", "info", "-f", "table"]);
    assert!(table.starts_with("NAME "), "{table}");
    let csv = kit.ok(&["system", "info", "-f", "csv"]);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.starts_with("version,driver,url,"), "{csv}");
}

pub(super) fn clear_asks_and_removes_everything(kit: &Kit) {
    kit.filled();
    let dry = kit.ok(&["system", "clear", "--dry-run"]);
    assert!(
        dry.starts_with("Would remove 2 products and 5 datasets from "),
        "{dry}"
    );
    let said = kit.fails(1, &["system", "clear"]);
    assert!(
        said.err.contains("--yes") && said.err.contains("nothing was done"),
        "{said:?}"
    );
    assert_eq!(kit.n_active(), 5);
    let done = kit.ok(&["system", "clear", "--yes"]);
    assert!(
        done.starts_with("Removed 2 products and 5 datasets from "),
        "{done}"
    );
    let said = kit.fails(1, &["product", "list"]);
    assert!(said.err.contains("system init"), "{said:?}");
    kit.with_products();
    assert_eq!(kit.n_active(), 0);
}

pub(super) fn an_unreachable_index_is_told(kit: &Kit) {
    let said = super::kit::said(
        &kit.command()
            .args(["-E", "nowhere", "system", "check"])
            .output()
            .expect("runs"),
    );
    assert_eq!(said.status, 1);
    assert!(said.err.contains("no environment `nowhere`"), "{said:?}");
    let text = "default: {db_url: 'sqlite:/no/such/folder/index.sqlite'}";
    let said = super::kit::said(
        &kit.command()
            .args(["-R", text, "product", "list"])
            .output()
            .expect("runs"),
    );
    assert_eq!(said.status, 1);
    assert!(said.err.contains("/no/such/folder"), "{said:?}");
    let said = super::kit::said(
        &kit.command()
            .args(["-R", text, "-C", "x.conf", "product", "list"])
            .output()
            .expect("runs"),
    );
    assert_eq!(said.status, 2, "{said:?}");
}
