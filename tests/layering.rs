//! Who may know whom: the picture of `docs/ARCHITECTURE.md`, kept true from `cargo metadata`.
//!
//! Whoever adds an arrow changes the picture, this table and the page in one
//! commit. Only what a crate is built from counts; its tests may use more.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Each package of the workspace with those of ours that it may be built from, bottom to top.
const ARROWS: &[(&str, &[&str])] = &[
    ("datacube-geo", &[]),
    ("datacube-model", &["datacube-geo"]),
    ("datacube-index", &["datacube-geo", "datacube-model"]),
    ("datacube-load", &["datacube-geo", "datacube-model"]),
    ("datacube-compute", &["datacube-model"]),
    // A page to watch a cluster on; beside the facade, which starts it.
    ("datacube-dashboard", &["datacube-compute"]),
    (
        "datacube",
        &[
            "datacube-geo",
            "datacube-model",
            "datacube-index",
            "datacube-load",
            "datacube-compute",
            "datacube-dashboard",
            // Behind a feature of the same name.
            "datacube-stac-geoparquet",
        ],
    ),
    ("datacube-cli", &["datacube"]),
    // The facade as one shared library.
    ("datacube-notebook", &["datacube"]),
    (
        "datacube-synth",
        &["datacube", "datacube-geo", "datacube-model"],
    ),
    // Tests use it; nothing is built from it.
    ("datacube-testkit", &[]),
    // Items to tables and back; it knows STAC only as JSON.
    ("datacube-stac-geoparquet", &[]),
    // It builds and starts the commands; it is built from none of them.
    ("xtask", &[]),
    ("datacube-workspace", &[]),
];

/// What a layer does not do, as the crates that would do it.
const WITHOUT: &[(&str, &str, &[&str])] = &[
    (
        "datacube-geo",
        "no IO",
        &["tokio", "futures", "sqlx", "object_store", "reqwest"],
    ),
    (
        "datacube-model",
        "no IO",
        &["tokio", "futures", "sqlx", "object_store", "reqwest"],
    ),
    (
        "datacube-index",
        "no pixels",
        &["object_store", "ndarray", "libdeflater", "zarrs"],
    ),
    ("datacube-load", "no index", &["sqlx"]),
    (
        "datacube-compute",
        "no files, no database, no CRSs",
        &["sqlx", "object_store", "geo", "proj-sys"],
    ),
    (
        "datacube-compute",
        "no web server: the engine stays light",
        &["axum", "hyper"],
    ),
    (
        "datacube-dashboard",
        "it shows what the engine tells",
        &["sqlx", "object_store", "reqwest", "datacube-load"],
    ),
    ("datacube", "SQL only in the index", &["sqlx"]),
    (
        "datacube-cli",
        "it parses and prints",
        &["sqlx", "object_store", "proj-sys", "zarrs"],
    ),
    (
        "xtask",
        "it starts at once",
        &["tokio", "sqlx", "object_store", "proj-sys", "zarrs"],
    ),
];

fn workspace() -> BTreeMap<String, Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo describes the workspace it is building");
    metadata
        .packages
        .into_iter()
        .map(|package| (package.name.to_string(), package))
        .collect()
}

/// Names of the crates that `package` is built from, tests aside.
fn built_from(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.as_str())
        .collect()
}

#[test]
fn every_arrow_is_in_the_picture() {
    let packages = workspace();
    let mut wrong = Vec::new();
    for (name, package) in &packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} is in no layer"));
            continue;
        };
        let ours = built_from(package)
            .into_iter()
            .filter(|other| packages.contains_key(*other));
        wrong.extend(
            ours.filter(|other| !allowed.contains(other))
                .map(|other| format!("{name} must not know {other}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_of_the_picture_exists() {
    let packages = workspace();
    let gone: Vec<&str> = ARROWS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !packages.contains_key(*name))
        .collect();
    assert!(
        gone.is_empty(),
        "in the picture and not in the workspace: {}",
        gone.join(", ")
    );
}

#[test]
fn a_layer_does_only_its_own_work() {
    let packages = workspace();
    let mut wrong = Vec::new();
    for (name, rule, unwanted) in WITHOUT {
        let Some(package) = packages.get(*name) else {
            continue;
        };
        let used = built_from(package);
        wrong.extend(
            unwanted
                .iter()
                .filter(|other| used.contains(*other))
                .map(|other| format!("{name} uses {other}, but: {rule}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
