//! A command that ends leaves one file: no log beside it.

use std::process::Stdio;

use crate::archive::Archive;
use crate::kit::{IDS, Kit};

fn files(kit: &Kit) -> Vec<String> {
    let folder = std::fs::read_dir(kit.folder()).expect("read");
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| name.contains(".sqlite"))
        .collect();
    names.sort();
    names
}

#[test]
fn every_command_leaves_one_file() {
    let kit = Kit::sqlite();
    kit.filled();
    assert_eq!(files(&kit), ["index.sqlite"]);
    let scenes = kit.path("scenes");
    let tiny = kit.path("tiny.yaml");
    let other = format!("sqlite:{}", kit.path("other.sqlite"));
    let succeeding: [&[&str]; 20] = [
        &["system", "init"],
        &["system", "check"],
        &["system", "info"],
        &["metadata", "list"],
        &["metadata", "show", "eo3"],
        &["product", "list"],
        &["product", "show", "tiny"],
        &["product", "update", &tiny],
        &["dataset", "add", &scenes],
        &["dataset", "update", &scenes],
        &["dataset", "info", "--show-sources", IDS[0]],
        &["dataset", "search", "-f", "json"],
        &["dataset", "count"],
        &["dataset", "uri-search", "file://"],
        &["dataset", "find-duplicates", "time", "-p", "tiny"],
        &["dataset", "archive", IDS[0]],
        &["dataset", "restore", IDS[0]],
        &["dataset", "archive", IDS[1]],
        &["dataset", "purge", "--yes", IDS[1]],
        &["spindex", "list"],
    ];
    for arguments in succeeding {
        kit.ok(arguments);
        assert_eq!(files(&kit), ["index.sqlite"], "{arguments:?}");
    }
    let failing: [&[&str]; 5] = [
        &["product", "show", "none"],
        &["product", "add", "missing.yaml"],
        &["dataset", "add", "missing.yaml"],
        &["dataset", "search", "nothing = 1"],
        &["user", "list"],
    ];
    for arguments in failing {
        let said = kit.run(arguments);
        assert_ne!(said.status, 0, "{arguments:?}");
        assert_eq!(files(&kit), ["index.sqlite"], "{arguments:?}");
    }
    // Both of two that are open at once.
    let mut command = kit.command();
    command.args(["--index", &other, "system", "init"]);
    assert!(
        command
            .stdout(Stdio::null())
            .status()
            .expect("it runs")
            .success()
    );
    let mut command = kit.command();
    command.args(["--index", &other, "system", "clone", &kit.url]);
    assert!(
        command
            .stdout(Stdio::null())
            .status()
            .expect("it runs")
            .success()
    );
    assert_eq!(files(&kit), ["index.sqlite", "other.sqlite"]);
    kit.ok(&["system", "clear", "--yes"]);
    assert_eq!(files(&kit), ["index.sqlite", "other.sqlite"]);
}

#[test]
fn a_reader_who_has_enough_leaves_one_file() {
    let archive = Archive::new(Kit::sqlite(), 2500);
    archive.complete();
    let kit = &archive.kit;
    let mut command = kit.command();
    command
        .args(["--index", &kit.url, "dataset", "search", "-f", "csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut search = command.spawn().expect("the binary runs");
    // As `head` does: a little is read, then nobody listens.
    let mut out = search.stdout.take().expect("piped");
    let mut some = [0; 100];
    std::io::Read::read_exact(&mut out, &mut some).expect("it prints");
    drop(out);
    let output = search.wait_with_output().expect("it ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    assert_eq!(files(kit), ["index.sqlite"]);
    archive.check_whole(None);
    assert_eq!(files(kit), ["index.sqlite"], "nor does the library");
}
