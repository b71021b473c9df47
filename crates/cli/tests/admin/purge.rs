//! `dataset purge`.

use super::kit::{IDS, Kit, UNKNOWN};

fn n_all(kit: &Kit) -> String {
    kit.ok(&["dataset", "count", "--count-only", "--status", "all"])
}

pub(super) fn only_archived_ones_go(kit: &Kit) {
    kit.filled();
    let said = kit.fails(1, &["dataset", "purge", "--yes", IDS[0]]);
    assert_eq!(
        said.out,
        "0 of 1 datasets purged\nCompleted dataset purge.\n"
    );
    assert!(
        said.err.contains(IDS[0]) && said.err.contains("--force"),
        "{said:?}"
    );
    kit.ok(&["dataset", "archive", IDS[0], IDS[1]]);
    let dry = kit.ok(&["dataset", "purge", "--dry-run", IDS[0]]);
    assert_eq!(
        dry,
        format!(
            "Would purge dataset: {}\n1 dataset not purged (dry run)\n",
            IDS[0]
        )
    );
    assert_eq!(n_all(kit), "5\n");
    let done = kit.ok(&["dataset", "purge", "--yes", IDS[0]]);
    assert_eq!(done, "1 of 1 datasets purged\nCompleted dataset purge.\n");
    assert_eq!(n_all(kit), "4\n");
    let done = kit.ok(&["dataset", "purge", "--all", "--yes"]);
    assert_eq!(done, "1 of 1 datasets purged\nCompleted dataset purge.\n");
    assert_eq!(
        kit.ok(&["dataset", "purge", "--all"]),
        "No datasets to purge\n"
    );
    assert_eq!((n_all(kit).as_str(), kit.n_active()), ("3\n", 3));
}

pub(super) fn forced_ones_go_too(kit: &Kit) {
    kit.filled();
    let done = kit.ok(&["dataset", "purge", "--force", IDS[3], IDS[4]]);
    assert_eq!(done, "2 of 2 datasets purged\nCompleted dataset purge.\n");
    assert_eq!(kit.n_active(), 3);
}

pub(super) fn scripts_have_to_say_yes(kit: &Kit) {
    kit.filled();
    kit.ok(&["dataset", "archive", IDS[0]]);
    let said = kit.fails(1, &["dataset", "purge", IDS[0]]);
    assert!(
        said.err.contains("--yes") && said.err.contains("DATACUBE_YES"),
        "{said:?}"
    );
    let said = kit.fails(1, &["dataset", "purge", "--yes", UNKNOWN, IDS[0]]);
    assert_eq!(said.err, format!("No dataset found with id: {UNKNOWN}\n"));
    assert_eq!(n_all(kit), "5\n");
    let output = kit
        .command()
        .args(["--index", &kit.url, "dataset", "purge", IDS[0]])
        .env("DATACUBE_YES", "1")
        .output()
        .expect("runs");
    assert_eq!(super::kit::said(&output).status, 0);
    assert_eq!(n_all(kit), "4\n");
    kit.fails(2, &["dataset", "purge"]);
}
