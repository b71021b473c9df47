//! `datacube-search`: the binary under its second name.

use std::process::Command;

use super::kit::{IDS, Kit, Said, binary, said};

fn search(kit: &Kit, arguments: &[&str]) -> Said {
    let link = kit.folder().join("datacube-search");
    if !link.exists() {
        std::os::unix::fs::symlink(binary(), &link).expect("linked");
    }
    let mut command = Command::new(link);
    command
        .env_clear()
        .arg("--index")
        .arg(&kit.url)
        .args(arguments);
    said(&command.output().expect("runs"))
}

pub(super) fn datasets_and_counts(kit: &Kit) {
    kit.filled();
    let csv = search(
        kit,
        &["-f", "csv", "datasets", "product = tiny", "time in 2020-05"],
    );
    assert_eq!(csv.status, 0, "{csv:?}");
    assert!(csv.err.contains("deprecated"), "{csv:?}");
    assert_eq!(csv.out.lines().count(), 2, "{csv:?}");
    assert!(csv.out.contains(IDS[2]), "{csv:?}");
    let pretty = search(kit, &["datasets", "time in 2020-05"]);
    assert!(pretty.out.starts_with("-[ 1 ]---"), "{pretty:?}");
    assert!(
        pretty.out.contains("platform         | landsat-8\n"),
        "{pretty:?}"
    );
    let counts = search(
        kit,
        &[
            "product-counts",
            "1 month",
            "product = tiny time in [2020-03, 2020-05]",
        ],
    );
    assert_eq!(
        counts.out,
        "tiny\n    2020-03-01: 2\n    2020-04-01: 0\n    2020-05-01: 1\n"
    );
    assert_eq!(search(kit, &["datasets", "cloud < 3"]).status, 1);
    assert_eq!(
        search(kit, &["product-counts", "1 moon", "time in 2020"]).status,
        2
    );
    assert_eq!(search(kit, &["fly"]).status, 2);
}
