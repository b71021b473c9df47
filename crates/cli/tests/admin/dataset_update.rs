//! `dataset update`.

use super::kit::{IDS, Kit, Scene};

const UNCHANGED: &str =
    "00000000-0000-4000-8000-00000000000a is unchanged\n1 successful, 0 failed\n";

pub(super) fn safe_changes_are_made(kit: &Kit) {
    kit.filled();
    // One with lineage, unchanged: ODC refuses it.
    let unchanged = kit.ok(&["dataset", "update", &kit.path("scenes/a/odc-metadata.yaml")]);
    assert_eq!(unchanged, UNCHANGED);
    let path = kit.path("scenes/1/odc-metadata.yaml");
    let text = std::fs::read_to_string(&path).expect("read");
    std::fs::write(
        &path,
        format!("{text}accessories: {{thumb: {{path: t.jpg}}}}\n"),
    )
    .expect("written");
    let dry = kit.run(&["dataset", "update", "--dry-run", &path]);
    assert_eq!(dry.status, 0, "{dry:?}");
    assert_eq!(
        dry.out,
        format!(
            "Can update {}: 0 unsafe changes, 1 safe changes\n1 successful, 0 failed\n",
            IDS[0]
        )
    );
    let done = kit.ok(&["dataset", "update", &path]);
    assert_eq!(
        done,
        format!("Updated {}\n1 successful, 0 failed\n", IDS[0])
    );
    let again = kit.ok(&["dataset", "update", &path]);
    assert_eq!(
        again,
        format!("{} is unchanged\n1 successful, 0 failed\n", IDS[0])
    );
}

pub(super) fn unsafe_changes_are_refused_and_explained(kit: &Kit) {
    kit.filled();
    let cloudy = Scene {
        cloud: "99",
        ..Scene::new(IDS[0], "2020-03-01T10:00:00Z")
    };
    let path = kit.scene("scenes/1", &cloudy);
    let dry = kit.fails(1, &["dataset", "update", "--dry-run", &path]);
    assert_eq!(
        dry.out,
        format!(
            "Cannot update {}: 1 unsafe changes, 0 safe changes\n0 successful, 1 failed\n",
            IDS[0]
        )
    );
    assert!(
        dry.err
            .contains("properties.eo:cloud_cover: 12.5 becomes 99"),
        "{dry:?}"
    );
    let said = kit.fails(1, &["dataset", "update", &path]);
    assert!(said.out.starts_with("Failed to update"), "{said:?}");
    let clear = [
        "dataset",
        "count",
        "--count-only",
        "--query",
        "cloud_cover < 20",
    ];
    assert_eq!(kit.ok(&clear), "5\n");
    let allow = "properties.eo:cloud_cover";
    let done = kit.ok(&["dataset", "update", "--allow-any", allow, &path]);
    assert_eq!(
        done,
        format!("Updated {}\n1 successful, 0 failed\n", IDS[0])
    );
    assert_eq!(kit.ok(&clear), "4\n", "it is found by its new value");
    for key in ["collection", "assets.red.href"] {
        let said = kit.fails(2, &["dataset", "update", "--allow-any", key, &path]);
        assert!(said.err.contains(key), "{said:?}");
    }
}

pub(super) fn locations_are_dealt_with(kit: &Kit) {
    kit.filled();
    let moved = kit.scene("moved/1", &Scene::new(IDS[0], "2020-03-01T10:00:00Z"));
    let (old, new) = (
        kit.uri("scenes/1/odc-metadata.yaml"),
        kit.uri("moved/1/odc-metadata.yaml"),
    );
    kit.ok(&["dataset", "update", &moved]);
    let info = |key: &str| kit.json(&["dataset", "info", "-f", "json", IDS[0]])[0][key].clone();
    assert_eq!(info("locations"), serde_json::json!([new, old]));
    let policy = ["dataset", "update", "--location-policy", "archive"];
    kit.ok(&[&policy[..], &[&moved]].concat());
    assert_eq!(info("location"), new);
    assert_eq!(info("archived_locations"), serde_json::json!([old]));
    let policy = ["dataset", "update", "--location-policy", "forget"];
    kit.ok(&[&policy[..], &[&moved]].concat());
    assert_eq!(
        (info("location"), info("archived_locations")),
        (new.into(), ().into())
    );
    kit.fails(
        2,
        &["dataset", "update", "--location-policy", "burn", &moved],
    );
}

pub(super) fn what_is_not_there_fails(kit: &Kit) {
    kit.with_products();
    let path = kit.scene("one", &Scene::new(IDS[0], "2020-03-01"));
    let nameless = kit.write("nameless.yaml", "label: no id\n");
    let said = kit.fails(1, &["dataset", "update", &path, &nameless]);
    assert_eq!(said.out, "0 successful, 2 failed\n");
    assert!(
        said.err.contains(&format!("no dataset `{}`", IDS[0])),
        "{said:?}"
    );
    assert!(said.err.contains("nameless.yaml"), "{said:?}");
    kit.fails(2, &["dataset", "update"]);
}
