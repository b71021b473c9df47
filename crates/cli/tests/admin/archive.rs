//! `dataset archive` and `restore`.

use super::kit::{IDS, Kit, UNKNOWN};

pub(super) fn archived_datasets_are_not_found_until_they_are_restored(kit: &Kit) {
    kit.filled();
    let id = IDS[0];
    let dry = kit.ok(&["dataset", "archive", "--dry-run", id]);
    assert_eq!(
        dry,
        format!("Would archive dataset: {id}\n1 dataset not archived (dry run)\n")
    );
    assert_eq!(kit.n_active(), 5);
    let done = kit.ok(&["dataset", "archive", id]);
    assert_eq!(
        done,
        format!("Archiving dataset: {id}\nCompleted dataset archival.\n")
    );
    assert_eq!(kit.n_active(), 4);
    let again = kit.ok(&["dataset", "archive", id]);
    assert_eq!(
        again,
        format!("Dataset was archived before: {id}\nCompleted dataset archival.\n")
    );
    let uri = kit.uri("scenes/1/odc-metadata.yaml");
    let dry = kit.ok(&["dataset", "restore", "--dry-run", id]);
    assert_eq!(
        dry,
        format!("would restore tiny {id} {uri}\n1 dataset not restored (dry run)\n")
    );
    assert_eq!(kit.n_active(), 4);
    let restored = kit.ok(&["dataset", "restore", id]);
    assert_eq!(
        restored,
        format!("restoring tiny {id} {uri}\n1 dataset restored\n")
    );
    let again = kit.ok(&["dataset", "restore", id]);
    assert_eq!(
        again,
        format!("Dataset is active: {id}\n0 datasets restored\n")
    );
    assert_eq!(kit.n_active(), 5);
}

pub(super) fn by_query_and_all(kit: &Kit) {
    kit.filled();
    let done = kit.ok(&[
        "dataset",
        "archive",
        "--query",
        "product = tiny time in 2020-05",
    ]);
    assert_eq!(
        done,
        format!(
            "Archiving dataset: {}\nCompleted dataset archival.\n",
            IDS[2]
        )
    );
    let none = kit.ok(&["dataset", "archive", "--query", "time in 1999"]);
    assert_eq!(none, "No datasets to archive\n");
    let said = kit.fails(1, &["dataset", "archive", "--query", "cloud < 3"]);
    assert!(said.err.contains("cloud_cover"), "{said:?}");
    let said = kit.fails(1, &["dataset", "archive", "--all"]);
    assert!(
        said.err.contains("All 4 datasets") && said.err.contains("--yes"),
        "{said:?}"
    );
    assert_eq!(kit.n_active(), 4);
    let done = kit.ok(&["dataset", "archive", "--all", "--yes"]);
    assert_eq!(done.lines().count(), 5, "{done}");
    assert_eq!(kit.n_active(), 0);
    assert!(
        kit.ok(&["dataset", "restore", "--all"])
            .ends_with("5 datasets restored\n")
    );
    assert_eq!(kit.n_active(), 5);
    kit.fails(2, &["dataset", "archive"]);
    kit.fails(2, &["dataset", "archive", "--all", IDS[0]]);
    kit.fails(2, &["dataset", "restore"]);
}

pub(super) fn derived_ones_follow(kit: &Kit) {
    kit.filled();
    let [one, two, _, mean, year] = IDS;
    let done = kit.ok(&["dataset", "archive", "-d", one]);
    for id in [one, mean, year] {
        assert!(
            done.contains(&format!("Archiving dataset: {id}\n")),
            "{done}"
        );
    }
    assert!(!done.contains(two), "{done}");
    assert_eq!(kit.n_active(), 2);
    assert!(
        kit.ok(&["dataset", "restore", one])
            .ends_with("1 dataset restored\n")
    );
    kit.ok(&["dataset", "archive", one]);
    // Archived a moment apart: within ten minutes, and not within no time at all.
    let narrow = [
        "dataset",
        "restore",
        "-d",
        "--derived-tolerance-seconds",
        "600",
        one,
    ];
    assert!(kit.ok(&narrow).ends_with("3 datasets restored\n"));
    assert_eq!(kit.n_active(), 5);
}

pub(super) fn unknown_ids_archive_nothing(kit: &Kit) {
    kit.filled();
    for verb in ["archive", "restore"] {
        let said = kit.fails(1, &["dataset", verb, IDS[0], UNKNOWN]);
        assert_eq!(said.err, format!("No dataset found with id: {UNKNOWN}\n"));
        assert_eq!(said.out, "");
        let said = kit.fails(2, &["dataset", verb, "x"]);
        assert!(said.err.contains("not a dataset id"), "{said:?}");
    }
    assert_eq!(kit.n_active(), 5);
}
