//! `dataset add`.

use std::io::Write;
use std::process::{Command, Stdio};

use super::kit::{IDS, Kit, Scene};

pub(super) fn datasets_are_added_once(kit: &Kit) {
    kit.ok(&["system", "init"]);
    let scene = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    let said = kit.fails(1, &["dataset", "add", &scene]);
    assert!(said.err.contains("product add"), "{said:?}");
    kit.with_products();
    let dry = kit.ok(&["dataset", "add", "--dry-run", &scene]);
    assert_eq!(
        dry,
        "Would add 1 datasets, 0 were there already, 0 failed\n"
    );
    assert_eq!(kit.n_active(), 0);
    let added = kit.run(&["dataset", "add", &scene]);
    assert_eq!(
        added.out,
        "Added 1 datasets, 0 were there already, 0 failed\n"
    );
    assert_eq!(added.err, "", "nothing is drawn in a pipe");
    let again = kit.ok(&["dataset", "add", "--workers", "2", &scene]);
    assert_eq!(again, "Added 0 datasets, 1 were there already, 0 failed\n");
    let said = kit.fails(1, &["dataset", "add", "missing.yaml"]);
    assert!(said.err.contains("missing.yaml"), "{said:?}");
    kit.fails(2, &["dataset", "add"]);
    kit.fails(2, &["dataset", "add", "--workers", "0", &scene]);
}

pub(super) fn a_bad_document_fails_the_command_and_not_the_others(kit: &Kit) {
    kit.with_products();
    kit.scene("scenes/1", &Scene::new(IDS[0], "2020-03-01"));
    let good = kit.scene("scenes/2", &Scene::new(IDS[1], "2020-03-02"));
    let text = std::fs::read_to_string(&good).expect("read");
    kit.write(
        "scenes/3/odc-metadata.yaml",
        &text.replace("[40, 50]", "[40]"),
    );
    kit.write("scenes/4/odc-metadata.yaml", "id: [");
    let said = kit.fails(1, &["dataset", "add", &kit.path("scenes")]);
    assert_eq!(
        said.out,
        "Added 2 datasets, 0 were there already, 2 failed\n"
    );
    assert!(
        said.err.contains("scenes/3") && said.err.contains("shape"),
        "{said:?}"
    );
    assert!(said.err.contains("scenes/4"), "{said:?}");
    assert_eq!(kit.n_active(), 2);
    // Another document under the same id is a failure, too.
    kit.write(
        "other/odc-metadata.yaml",
        &text.replace("landsat-8", "landsat-9"),
    );
    let said = kit.fails(1, &["dataset", "add", &kit.path("other")]);
    assert!(said.err.contains("another document"), "{said:?}");
}

/// Thousands are written by several batches at once, where the index can do that.
pub(super) fn each_of_many_documents_is_told_once(kit: &Kit) {
    const DOCUMENTS: usize = 4500;

    kit.with_products();
    let one = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    let one = std::fs::read_to_string(&one).expect("read");
    let numbered = |n: usize| one.replace(IDS[0], &format!("00000000-0000-4000-8000-{n:012x}"));
    let mut documents: Vec<String> = (0..DOCUMENTS).map(numbered).collect();
    documents[10] = documents[10].replace("[40, 50]", "[40]");
    documents.push(numbered(0));
    documents.push(numbered(1).replace("landsat-8", "landsat-9"));
    let many = kit.write("many.yaml", &documents.join("\n---\n"));

    let said = kit.fails(1, &["dataset", "add", &many]);
    assert_eq!(
        said.out,
        "Added 4499 datasets, 1 were there already, 2 failed\n"
    );
    let told = |problem: &str| said.err.matches(problem).count();
    assert_eq!(
        (told("shape"), told("another document")),
        (1, 1),
        "{said:?}"
    );
    assert_eq!(kit.n_active(), 4499);
    let again = kit.fails(1, &["dataset", "add", &many]);
    assert_eq!(
        again.out,
        "Added 0 datasets, 4500 were there already, 2 failed\n"
    );
}

pub(super) fn products_are_chosen(kit: &Kit) {
    kit.with_products();
    let scene = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    for arguments in [["-p", "mean"], ["--dtype", "mean"], ["-x", "tiny"]] {
        let said = kit.fails(1, &["dataset", "add", arguments[0], arguments[1], &scene]);
        assert!(said.out.contains("1 failed"), "{said:?}");
    }
    let said = kit.fails(1, &["dataset", "add", "-p", "tinny", &scene]);
    assert!(said.err.contains("tiny"), "{said:?}");
    kit.ok(&["dataset", "add", "-t", "tiny", "-x", "mean", &scene]);
    assert_eq!(kit.n_active(), 1);
}

pub(super) fn lineage_is_recorded_or_not(kit: &Kit) {
    kit.with_products();
    let lineage = format!("{{level1: [{}]}}", IDS[0]);
    let derived = Scene {
        lineage: &lineage,
        ..Scene::new(IDS[1], "2020-03-02")
    };
    let path = kit.scene("derived", &derived);
    let said = kit.fails(1, &["dataset", "add", "--no-auto-add-lineage", &path]);
    assert!(said.err.contains(IDS[0]), "{said:?}");
    assert_eq!(kit.n_active(), 0);
    kit.ok(&[
        "dataset",
        "add",
        "--auto-add-lineage",
        "--no-verify-lineage",
        &path,
    ]);
    let info = kit.json(&["dataset", "info", "--show-sources", "-f", "json", IDS[1]]);
    assert_eq!(info[0]["sources"]["level1"]["id"], IDS[0]);
    let ignored = Scene {
        lineage: &lineage,
        ..Scene::new(IDS[2], "2020-03-03")
    };
    let path = kit.scene("ignored", &ignored);
    kit.ok(&["dataset", "add", "--ignore-lineage", &path]);
    let info = kit.json(&["dataset", "info", "--show-sources", "-f", "json", IDS[2]]);
    assert_eq!(info[0]["sources"], serde_json::json!({}));
}

pub(super) fn less_mature_datasets_are_archived(kit: &Kit) {
    kit.with_products();
    let of = |id, maturity, folder: &str| {
        let scene = Scene {
            maturity,
            ..Scene::new(id, "2020-03-01T10:00:00Z")
        };
        kit.scene(folder, &scene)
    };
    let nrt = of(IDS[0], "nrt", "nrt");
    let interim = of(IDS[1], "interim", "interim");
    let fin = of(IDS[2], "final", "final");
    kit.ok(&["dataset", "add", &nrt]);
    kit.ok(&["dataset", "add", "--archive-less-mature", &interim]);
    let status = |id| kit.json(&["dataset", "info", "-f", "json", id])[0]["status"].clone();
    assert_eq!(
        (status(IDS[0]), status(IDS[1])),
        ("archived".into(), "active".into())
    );
    kit.ok(&["dataset", "add", "--archive-less-mature=1000", &fin]);
    assert_eq!(
        (status(IDS[1]), status(IDS[2])),
        ("archived".into(), "active".into())
    );
    let late = of(super::kit::UNKNOWN, "nrt", "late");
    let said = kit.fails(1, &["dataset", "add", "--archive-less-mature", &late]);
    assert!(said.err.contains(IDS[2]), "{said:?}");
}

pub(super) fn compressed_documents_are_read(kit: &Kit) {
    kit.with_products();
    let path = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    let text = std::fs::read(&path).expect("read");
    let file = std::fs::File::create(kit.path("one.odc-metadata.yaml.gz")).expect("created");
    let gzip = Command::new("gzip")
        .arg("-c")
        .stdin(Stdio::piped())
        .stdout(file)
        .spawn();
    let Ok(mut gzip) = gzip else {
        datacube_testkit::skip("there is no gzip");
        return;
    };
    let mut stdin = gzip.stdin.take().expect("piped");
    stdin.write_all(&text).expect("written");
    drop(stdin);
    assert!(gzip.wait().expect("ends").success());
    let added = kit.ok(&["dataset", "add", &kit.path("one.odc-metadata.yaml.gz")]);
    assert_eq!(added, "Added 1 datasets, 0 were there already, 0 failed\n");
}
