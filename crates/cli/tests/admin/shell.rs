//! What all commands share: help, logs, completions, the manual.

use super::kit::{IDS, Kit, Scene, said};

#[test]
fn usage_errors_are_told_apart() {
    let kit = Kit::sqlite();
    for arguments in [
        &["dataset", "fly"][..],
        &["product", "list", "--colour"],
        &[],
    ] {
        let said = kit.fails(2, arguments);
        assert!(said.err.contains("Usage:"), "{said:?}");
    }
    let said = kit.fails(2, &["dataset", "serch"]);
    assert!(said.err.contains("search"), "{said:?}");
}

#[test]
fn every_command_has_help() {
    let kit = Kit::sqlite();
    let groups: [(&str, &[&str]); 6] = [
        ("system", &["init", "check", "info", "clone", "clear"]),
        ("user", &["list", "grant", "create", "delete"]),
        ("metadata", &["add", "update", "show", "list"]),
        ("product", &["add", "update", "delete", "list", "show"]),
        (
            "dataset",
            &[
                "add",
                "update",
                "info",
                "search",
                "uri-search",
                "count",
                "archive",
                "restore",
                "purge",
                "find-duplicates",
            ],
        ),
        ("spindex", &["create", "list", "update", "drop"]),
    ];
    for (group, commands) in groups {
        for command in commands {
            let help = kit.ok(&[group, command, "-h"]);
            assert!(
                help.contains(&format!("Usage: datacube {group} {command}")),
                "{help}"
            );
            assert!(
                help.lines().all(|line| line.chars().count() <= 100),
                "{help}"
            );
        }
    }
}

#[test]
fn completions_know_the_commands() {
    let kit = Kit::sqlite();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = kit.ok(&["completions", shell]);
        assert!(script.contains("find-duplicates"), "{shell}");
    }
    kit.fails(2, &["completions", "command.com"]);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let kit = Kit::sqlite();
    let first = kit.ok(&["man"]);
    assert!(first.contains(".TH datacube 1"), "{first}");
    kit.ok(&["man", &kit.path("man1")]);
    for page in [
        "datacube.1",
        "datacube-dataset.1",
        "datacube-dataset-find-duplicates.1",
    ] {
        assert!(kit.folder().join("man1").join(page).exists(), "{page}");
    }
    kit.write("file", "");
    let said = kit.fails(1, &["man", &kit.path("file/man1")]);
    assert!(said.err.contains("file/man1"), "{said:?}");
}

#[test]
fn log_lines_go_where_they_are_wanted() {
    let kit = Kit::sqlite();
    kit.with_products();
    let scene = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    kit.ok(&["dataset", "add", &scene]);
    let log = kit.path("add.log");
    let said = kit.run(&["-v", "--log-file", &log, "dataset", "add", &scene]);
    assert_eq!(said.status, 0);
    let line = format!("INFO Dataset {} is already in the index", IDS[0]);
    assert!(said.err.contains(&line), "{said:?}");
    let logged = std::fs::read_to_string(&log).expect("written");
    // Each is written at its own moment.
    let without_time = |text: &str| text.split_once(',').expect("a time").1[4..].to_owned();
    assert_eq!(without_time(&logged), without_time(&said.err));
    let parts: Vec<&str> = logged.split(' ').collect();
    assert!(
        parts[0].starts_with("20") && parts[2].parse::<u32>().is_ok(),
        "{logged}"
    );
    let said = kit.run(&["-v", "dataset", "add", &scene]);
    assert!(said.err.contains(&line), "without a file, too: {said:?}");
    let quiet = kit.run(&["dataset", "add", &scene]);
    assert_eq!(quiet.err, "");
    let said = kit.fails(
        1,
        &["--log-file", "/no/such/folder/x.log", "product", "list"],
    );
    assert!(
        said.err.contains("--log-file /no/such/folder/x.log"),
        "{said:?}"
    );
}

#[test]
fn queries_are_logged_when_asked_for() {
    let kit = Kit::sqlite();
    kit.with_products();
    let said = kit.run(&["--log-queries", "product", "list"]);
    assert!(said.err.to_lowercase().contains("select"), "{said:?}");
    let said = kit.run(&["-vv", "product", "list"]);
    assert!(!said.err.to_lowercase().contains("select"), "{said:?}");
}

#[test]
fn without_an_index_named_the_users_own_is_made() {
    let kit = Kit::sqlite();
    let run = |arguments: &[&str]| said(&kit.command().args(arguments).output().expect("runs"));
    // Checking makes nothing.
    assert_eq!(run(&["system", "check"]).status, 1);
    let own = kit.folder().join(".local/share/datacube/index.sqlite");
    assert!(!own.exists());
    assert_eq!(run(&["product", "list"]).status, 0);
    assert!(own.exists());
    let check = run(&["system", "check"]);
    assert!(
        check.out.contains("default: nothing is configured"),
        "{check:?}"
    );
}

#[test]
fn configuration_files_are_honoured() {
    let kit = Kit::sqlite();
    kit.with_products();
    let text = format!(
        "[default]\ndb_url: sqlite:/nowhere/x\n\n[dev]\ndb_url: {}\n",
        kit.url
    );
    let file = kit.write("my.conf", &text);
    let run = |arguments: &[&str]| said(&kit.command().args(arguments).output().expect("runs"));
    let listed = run(&[
        "-C",
        "absent.conf",
        "-C",
        &file,
        "-E",
        "dev",
        "product",
        "list",
    ]);
    assert_eq!(listed.status, 0, "{listed:?}");
    assert!(listed.out.contains("tiny"), "{listed:?}");
    let check = run(&["--config-file", &file, "--env", "dev", "system", "check"]);
    assert!(check.out.contains("environment dev"), "{check:?}");
    let listed = run(&["--config-text", &text, "-E", "dev", "product", "list"]);
    assert!(listed.out.contains("tiny"), "{listed:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let kit = Kit::sqlite();
    kit.filled();
    let script = format!(
        "'{}' --index '{}' dataset search | head -n 1",
        super::kit::binary().display(),
        kit.url
    );
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .output()
        .expect("runs");
    assert_eq!(said(&output).err, "");
}

/// Every option of every command of datacube-core 1.9.22, from its click tree.
const OPTIONS_OF_ODC: [(&str, &str); 26] = [
    (
        "dataset add",
        "--product -p --dtype -t --exclude-product -x --auto-add-lineage --no-auto-add-lineage \
         --verify-lineage --no-verify-lineage --dry-run --ignore-lineage --archive-less-mature \
         --asset-absolute-paths --asset-relative-paths --workers",
    ),
    (
        "dataset update",
        "--allow-any --dry-run --location-policy --archive-less-mature --asset-absolute-paths \
         --asset-relative-paths",
    ),
    (
        "dataset info",
        "--show-sources --show-derived -f --max-depth",
    ),
    ("dataset search", "--limit -f"),
    ("dataset uri-search", "--search-mode"),
    ("dataset count", "--count-only --period --status --query -f"),
    (
        "dataset archive",
        "--archive-derived -d --dry-run --all --query",
    ),
    (
        "dataset restore",
        "--restore-derived -d --dry-run --derived-tolerance-seconds --all",
    ),
    ("dataset purge", "--dry-run --all --force"),
    ("dataset find-duplicates", "--product -p -f"),
    (
        "metadata add",
        "--allow-exclusive-lock --forbid-exclusive-lock",
    ),
    (
        "metadata update",
        "--allow-unsafe --forbid-unsafe --allow-exclusive-lock --forbid-exclusive-lock --dry-run \
         -d",
    ),
    ("metadata show", "-f"),
    (
        "product add",
        "--allow-exclusive-lock --forbid-exclusive-lock",
    ),
    (
        "product update",
        "--allow-unsafe --forbid-unsafe --allow-exclusive-lock --forbid-exclusive-lock --dry-run \
         -d",
    ),
    ("product delete", "--force --dry-run -d"),
    ("product list", "-f"),
    ("product show", "-f"),
    (
        "spindex create",
        "--init-users --no-init-users --update -u --no-update",
    ),
    ("spindex update", "--product -p --dataset -d"),
    ("spindex drop", "--force -f --no-force"),
    (
        "system init",
        "--default-types --no-default-types --init-users --no-init-users --recreate-views \
         --no-recreate-views --rebuild --no-rebuild --lock-table --no-lock-table",
    ),
    (
        "system clone",
        "--batch-size --skip-lineage --no-skip-lineage --lineage-only --no-lineage-only",
    ),
    ("user list", "-f"),
    ("user create", "--description --passwd-stdin"),
    (
        "system check",
        "--verbose -v --log-file --env -E --config --config-file -C --raw-config --config-text -R \
         --log-queries",
    ),
];

#[test]
fn every_option_of_odc_is_known() {
    let kit = Kit::sqlite();
    for (command, options) in OPTIONS_OF_ODC {
        for option in options.split_whitespace() {
            let words: Vec<&str> = command.split(' ').chain([option]).collect();
            let said = kit.run(&words);
            assert!(!said.err.contains("unexpected argument"), "{said:?}");
        }
    }
}
