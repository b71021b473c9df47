//! `system`, `product` and `dataset`, each with its failure, through the real binary.

mod common;

use common::{Archive, command};
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn system_init_is_idempotent_and_check_tells_what_there_is() {
    let archive = Archive::unindexed();
    let (status, message) = archive.fail(&["system", "check"]);
    assert_eq!(status, 1);
    assert!(message.contains("system init"), "{message}");
    assert!(archive.run(&["system", "init"]).contains("Created."));
    assert!(
        archive
            .run(&["system", "init"])
            .contains("Already up to date.")
    );
    let check = archive.run(&["system", "check"]);
    assert!(check.contains("Valid connection: YES"), "{check}");
    assert!(check.contains("index.sqlite"), "{check}");
}

#[test]
fn without_an_index_named_the_users_own_is_made() {
    let home = tempfile::tempdir().expect("a folder");
    let output = command(home.path())
        .args(["product", "list"])
        .output()
        .expect("runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        home.path()
            .join(".local/share/datacube/index.sqlite")
            .exists()
    );
}

#[test]
fn products_are_added_listed_and_shown() {
    let archive = Archive::unindexed();
    archive.run(&["system", "init"]);
    let product = archive.text("product.yaml");
    assert!(
        archive
            .run(&["product", "add", &product])
            .contains("Added product tiny")
    );
    assert!(
        archive
            .run(&["product", "add", &product])
            .contains("there already")
    );
    assert!(
        archive
            .run(&["product", "list"])
            .contains("Scenes made by a test")
    );
    let list = json(&archive.run(&["product", "list", "-f", "json"]));
    assert_eq!(list[0]["default_crs"], "EPSG:32655");
    let shown = archive.run(&["product", "show", "tiny"]);
    assert!(shown.contains("not_high_confidence"), "{shown}");
    let (status, message) = archive.fail(&["product", "show", "tinny"]);
    assert_eq!(status, 1);
    assert!(
        message.contains("tinny") && message.contains("tiny"),
        "{message}"
    );

    std::fs::write(archive.path("bad.yaml"), "name: bad\nmeasurements: 7\n").expect("written");
    let (status, message) = archive.fail(&["product", "add", &archive.text("bad.yaml")]);
    assert_eq!(status, 1);
    assert!(message.contains("measurements"), "{message}");
    let (_, message) = archive.fail(&["product", "add", "missing.yaml"]);
    assert!(message.contains("missing.yaml"), "{message}");
}

#[test]
fn datasets_are_added_once() {
    let archive = Archive::unindexed();
    archive.run(&["system", "init"]);
    let (_, message) = archive.fail(&["dataset", "add", &archive.text("scenes")]);
    assert!(message.contains("product add"), "{message}");
    archive.run(&["product", "add", &archive.text("product.yaml")]);
    let scenes = archive.text("scenes");
    let dry = archive.run(&["dataset", "add", "--dry-run", &scenes]);
    assert!(dry.contains("Would add 3 datasets"), "{dry}");
    let added = archive.run(&["dataset", "add", &scenes]);
    assert!(
        added.contains("Added 3 datasets, 0 were there already, 0 failed"),
        "{added}"
    );
    let again = archive.run(&["dataset", "add", &scenes]);
    assert!(
        again.contains("Added 0 datasets, 3 were there already, 0 failed"),
        "{again}"
    );
}

#[test]
fn a_bad_document_fails_the_command_and_not_the_others() {
    let archive = Archive::unindexed();
    archive.run(&["system", "init"]);
    archive.run(&["product", "add", &archive.text("product.yaml")]);
    std::fs::create_dir(archive.path("scenes/4")).expect("created");
    let broken = std::fs::read_to_string(archive.path("scenes/1/odc-metadata.yaml"))
        .expect("read")
        .replace("shape: [40, 50]", "shape: [40]");
    std::fs::write(archive.path("scenes/4/odc-metadata.yaml"), broken).expect("written");
    let (status, message) = archive.fail(&["dataset", "add", &archive.text("scenes")]);
    assert_eq!(status, 1);
    assert!(
        message.contains("scenes/4") && message.contains("shape"),
        "{message}"
    );
    assert_eq!(
        archive.run(&["dataset", "count", "--count-only"]).trim(),
        "3"
    );
}

#[test]
fn datasets_are_found_counted_and_described() {
    let archive = Archive::indexed();
    let found = archive.run(&["dataset", "search", "-f", "jsonl", "product = tiny"]);
    let ids: Vec<String> = found
        .lines()
        .map(|line| json(line)["id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
    assert!(
        ids[0].ends_with('1') && ids[1].ends_with('2') && ids[2].ends_with('3'),
        "{ids:?}"
    );

    let march = archive.run(&["dataset", "search", "-f", "csv", "time in 2020-03-17"]);
    assert_eq!(march.lines().count(), 2, "{march}");
    let counts = json(&archive.run(&["dataset", "count", "-f", "json"]));
    assert_eq!(counts[0]["count"], 3);
    let info = json(&archive.run(&["dataset", "info", "-f", "json", &ids[0]]));
    assert_eq!(info[0]["fields"]["platform"], "landsat-8");
    assert_eq!(info[0]["status"], "active");

    let (status, message) = archive.fail(&["dataset", "search", "cloud_cower < 20"]);
    assert_eq!(status, 1);
    assert!(message.contains("cloud_cover"), "{message}");
    let (_, message) = archive.fail(&["dataset", "info", "no-uuid"]);
    assert!(message.contains("not a dataset id"), "{message}");
    let (_, message) = archive.fail(&["dataset", "info", "00000000-0000-4000-8000-00000000000f"]);
    assert!(message.contains("missing"), "{message}");
    let (_, message) = archive.fail(&["dataset", "count", "tinny"]);
    assert!(message.contains("tiny"), "{message}");
}

#[test]
fn archived_datasets_are_not_found_until_they_are_restored() {
    let archive = Archive::indexed();
    let id = "00000000-0000-4000-8000-000000000001";
    assert!(
        archive
            .run(&["dataset", "archive", "--dry-run", id])
            .contains("would archive")
    );
    assert!(
        archive
            .run(&["dataset", "archive", id])
            .contains("archived")
    );
    assert_eq!(
        archive.run(&["dataset", "count", "--count-only"]).trim(),
        "2"
    );
    let all = ["dataset", "count", "--count-only", "--status", "all"];
    assert_eq!(archive.run(&all).trim(), "3");
    assert!(
        archive
            .run(&["dataset", "restore", id])
            .contains("restored")
    );
    assert_eq!(
        archive.run(&["dataset", "count", "--count-only"]).trim(),
        "3"
    );
    let unknown = "00000000-0000-4000-8000-00000000000f";
    let (status, message) = archive.fail(&["dataset", "archive", unknown]);
    assert_eq!(
        (status, message.contains("missing")),
        (1, true),
        "{message}"
    );
}

#[test]
fn usage_errors_are_told_apart() {
    let archive = Archive::unindexed();
    let (status, message) = archive.fail(&["dataset", "fly"]);
    assert_eq!(status, 2);
    assert!(message.contains("fly"), "{message}");
}
