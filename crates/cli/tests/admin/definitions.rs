//! `metadata` and `product`.

use super::kit::{Kit, TINY};

const MINE: &str = r#"
name: mine
description: A type of one's own
dataset:
  id: [id]
  sources: [lineage]
  label: [label]
  creation_dt: [properties, "odc:processing_datetime"]
  measurements: [measurements]
  format: [properties, "odc:file_format"]
  search_fields:
    platform:
      description: Platform code
      offset: [properties, "eo:platform"]
      indexed: false
    time:
      description: Acquisition time range
      type: datetime-range
      min_offset: [[properties, "dtr:start_datetime"], [properties, datetime]]
      max_offset: [[properties, "dtr:end_datetime"], [properties, datetime]]
"#;

pub(super) fn metadata_types_are_added_listed_and_shown(kit: &Kit) {
    kit.ok(&["system", "init"]);
    let file = kit.write("mine.yaml", MINE);
    let dry = kit.ok(&["metadata", "add", "--dry-run", &file]);
    assert_eq!(dry, "Would add \"mine\"\n");
    let added = kit.ok(&["metadata", "add", "--allow-exclusive-lock", &file]);
    assert_eq!(added, "Adding \"mine\" DONE\n");
    for arguments in [["metadata", "add", &file], ["metadata", "add", &file]] {
        assert_eq!(kit.ok(&arguments), "\"mine\" is there already, unchanged\n");
    }
    let listed = kit.ok(&["metadata", "list"]);
    let line = listed.lines().find(|line| line.starts_with("mine"));
    assert!(
        line.is_some_and(|line| line.ends_with("  A type of one's own")),
        "{listed}"
    );
    let shown = kit.json(&["metadata", "show", "-f", "json", "mine"]);
    assert_eq!(
        shown["dataset"]["search_fields"]["platform"]["indexed"],
        false
    );
    let all = kit.ok(&["metadata", "show"]);
    assert!(
        all.contains("\n---\n") && all.contains("name: mine\n"),
        "{all}"
    );
    let rows = kit.json(&["metadata", "list", "-f", "json"]);
    let names = rows
        .as_array()
        .expect("rows")
        .iter()
        .map(|row| &row["name"]);
    assert!(names.clone().any(|name| name == "eo3"), "{rows}");

    let said = kit.fails(1, &["metadata", "show", "mien", "eo3"]);
    assert!(
        said.err.contains("no metadata type `mien`") && said.err.contains("mine"),
        "{said:?}"
    );
    assert!(
        said.out.contains("name: eo3"),
        "the known ones are shown: {said:?}"
    );
    let other = kit.write("other.yaml", &MINE.replace("Platform code", "Another"));
    for dry_run in [&["metadata", "add", "-d"][..], &["metadata", "add"]] {
        let said = kit.fails(1, &[dry_run, &[&other]].concat());
        assert!(said.err.contains("another definition"), "{said:?}");
    }
    let bad = kit.write("bad.yaml", "name: bad\n---\nname: good\n");
    let said = kit.fails(1, &["metadata", "add", &bad]);
    assert!(
        said.err.contains("bad") && said.err.contains("#part=1"),
        "{said:?}"
    );
}

pub(super) fn metadata_types_are_updated(kit: &Kit) {
    kit.ok(&["system", "init"]);
    kit.ok(&["metadata", "add", &kit.write("mine.yaml", MINE)]);
    let safe = kit.write("safe.yaml", &MINE.replace("A type of one's own", "Mine"));
    let dry = kit.run(&["metadata", "update", "-d", &safe]);
    assert_eq!(
        dry.out,
        "Can update \"mine\": 0 unsafe changes, 1 safe changes\n"
    );
    assert!(dry.err.contains("safe: description"), "{dry:?}");
    assert_eq!(kit.ok(&["metadata", "update", &safe]), "Updated \"mine\"\n");
    assert_eq!(
        kit.ok(&["metadata", "update", &safe]),
        "\"mine\" is unchanged\n"
    );
    assert!(kit.ok(&["metadata", "list"]).contains("  Mine\n"));

    let risky = MINE.replace("eo:platform", "eo:instrument");
    let risky = kit.write("risky.yaml", &risky);
    let dry = kit.fails(1, &["metadata", "update", "--dry-run", &risky]);
    assert_eq!(
        dry.out,
        "Cannot update \"mine\": 1 unsafe changes, 1 safe changes\n"
    );
    let place = "unsafe: dataset.search_fields.platform.offset";
    assert!(dry.err.contains(place), "{dry:?}");
    let said = kit.fails(1, &["metadata", "update", &risky]);
    assert!(
        said.out.starts_with("Failed to update \"mine\""),
        "{said:?}"
    );
    assert!(said.err.contains("--allow-unsafe"), "{said:?}");
    let allowed = kit.ok(&["metadata", "update", "--allow-unsafe", &risky]);
    assert_eq!(allowed, "Updated \"mine\"\n");
    let unknown = kit.write("unknown.yaml", &MINE.replace("name: mine", "name: yours"));
    let said = kit.fails(1, &["metadata", "update", &unknown]);
    assert!(said.err.contains("yours"), "{said:?}");
}

pub(super) fn products_are_added_listed_and_shown(kit: &Kit) {
    kit.ok(&["system", "init"]);
    let tiny = kit.write("tiny.yaml", TINY);
    assert_eq!(
        kit.ok(&["product", "add", "-d", &tiny]),
        "Would add \"tiny\"\n"
    );
    assert_eq!(kit.ok(&["product", "list"]), "");
    assert_eq!(kit.ok(&["product", "add", &tiny]), "Adding \"tiny\" DONE\n");
    let again = kit.ok(&["product", "add", &tiny]);
    assert_eq!(again, "\"tiny\" is there already, unchanged\n");
    assert_eq!(
        kit.ok(&["product", "list"]),
        "tiny  Scenes of tiny made by a test\n"
    );
    let rows = kit.json(&["product", "list", "-f", "json"]);
    assert_eq!(rows[0]["crs"], "EPSG:32655");
    assert_eq!(rows[0]["resolution"]["y"], -30.0);
    assert_eq!(rows[0]["license"], "CC-BY-4.0");
    assert_eq!(rows[0]["spatial_dimensions"][0], "y");
    for format in ["tab", "table", "csv", "yaml", "jsonl", "default"] {
        let listed = kit.ok(&["product", "list", "-f", format]);
        assert!(listed.contains("tiny"), "{format}: {listed}");
    }
    let csv = kit.ok(&["product", "list", "-f", "csv"]);
    assert!(csv.starts_with("name,description,"), "{csv}");
    let shown = kit.ok(&["product", "show", "tiny"]);
    assert!(shown.contains("not_high_confidence"), "{shown}");
    assert_eq!(
        kit.json(&["product", "show", "-f", "json", "tiny"])["name"],
        "tiny"
    );
    let said = kit.fails(1, &["product", "show", "tinny"]);
    assert!(
        said.err.contains("tinny") && said.err.contains("tiny"),
        "{said:?}"
    );
    assert_eq!(said.out, "");

    let bad = kit.write("bad.yaml", "name: bad\nmeasurements: 7\n");
    let said = kit.fails(1, &["product", "add", &bad, &tiny]);
    assert!(said.err.contains("measurements"), "{said:?}");
    assert!(said.out.contains("\"tiny\" is there already"), "{said:?}");
    let said = kit.fails(1, &["product", "add", "missing.yaml"]);
    assert!(said.err.contains("missing.yaml"), "{said:?}");
    assert_eq!(kit.fails(2, &["product", "add"]).out, "");
}

pub(super) fn products_are_updated(kit: &Kit) {
    kit.filled();
    let safe = kit.write("safe.yaml", &TINY.replace("CC-BY-4.0", "CC0-1.0"));
    let dry = kit.ok(&["product", "update", "-d", &safe]);
    assert_eq!(
        dry,
        "Can update \"tiny\": 0 unsafe changes, 1 safe changes\n"
    );
    assert!(kit.ok(&["product", "show", "tiny"]).contains("CC-BY-4.0"));
    let updated = kit.ok(&["product", "update", "--forbid-exclusive-lock", &safe]);
    assert_eq!(updated, "Updated \"tiny\"\n");
    assert!(kit.ok(&["product", "show", "tiny"]).contains("CC0-1.0"));

    let text = TINY.replace("dtype: uint16, nodata: 0", "dtype: int16, nodata: 0");
    let risky = kit.write("risky.yaml", &text);
    let dry = kit.fails(1, &["product", "update", "--dry-run", &risky]);
    assert!(
        dry.out
            .starts_with("Cannot update \"tiny\": 1 unsafe changes"),
        "{dry:?}"
    );
    let said = kit.fails(1, &["product", "update", "--forbid-unsafe", &risky, &safe]);
    assert!(
        said.err.contains("unsafe: measurements[0].dtype"),
        "{said:?}"
    );
    assert!(
        said.out.contains("\"tiny\" is unchanged"),
        "the others are done: {said:?}"
    );
    let allowed = kit.ok(&["product", "update", "--allow-unsafe", &risky]);
    assert_eq!(allowed, "Updated \"tiny\"\n");
    assert_eq!(kit.n_active(), 5);
    let unknown = kit.write("u.yaml", &TINY.replace("tiny", "none"));
    assert!(
        kit.fails(1, &["product", "update", &unknown])
            .err
            .contains("none")
    );
}

pub(super) fn products_are_deleted(kit: &Kit) {
    kit.filled();
    let said = kit.fails(1, &["product", "delete", "tiny"]);
    assert!(said.err.contains("--yes"), "{said:?}");
    let said = kit.fails(1, &["product", "delete", "--yes", "tiny"]);
    assert!(said.err.contains("3 active datasets"), "{said:?}");
    assert_eq!(
        said.out,
        "0 out of 1 products successfully deleted.\nCompleted product deletion.\n"
    );
    let said = kit.fails(1, &["product", "delete", "--yes", "tinny"]);
    assert!(said.err.contains("tiny"), "{said:?}");
    let dry = kit.ok(&["product", "delete", "--force", "--dry-run", "tiny"]);
    assert_eq!(
        dry,
        "Would delete \"tiny\" and 3 datasets\n1 products not deleted (dry run)\n"
    );
    assert_eq!(kit.n_active(), 5);
    // As in ODC, a script that says --force is not asked.
    let done = kit.ok(&["product", "delete", "--force", "tiny"]);
    assert_eq!(
        done,
        "Deleted \"tiny\" and 3 datasets\n1 out of 1 products successfully deleted.\n\
         Completed product deletion.\n"
    );
    assert_eq!(kit.n_active(), 2);
    kit.ok(&["dataset", "archive", "--all", "--yes"]);
    kit.ok(&["product", "delete", "--yes", "mean"]);
    assert_eq!(kit.ok(&["product", "list"]), "");
}

pub(super) fn files_that_hold_nothing_fail(kit: &Kit) {
    kit.ok(&["system", "init"]);
    let empty = kit.write("empty.yaml", "# nothing\n");
    for group in ["metadata", "product"] {
        for verb in ["add", "update"] {
            let said = kit.fails(1, &[group, verb, &empty]);
            assert!(said.err.contains("empty.yaml"), "{said:?}");
        }
    }
    let broken = kit.write("broken.json", "{\"name\": ");
    let said = kit.fails(1, &["product", "add", &broken]);
    assert!(said.err.contains("broken.json"), "{said:?}");
}
