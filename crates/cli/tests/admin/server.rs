//! `spindex` and `user`: what only a server has.

use super::kit::Kit;

pub(super) fn spatial_indexes(kit: &Kit) {
    kit.filled();
    assert_eq!(kit.ok(&["spindex", "list"]), "EPSG:4326\n");
    let said = kit.fails(1, &["spindex", "create", "99999"]);
    assert!(
        said.err
            .contains("99999 cannot be converted to a valid CRS"),
        "{said:?}"
    );
    let said = kit.fails(1, &["spindex", "update", "3577"]);
    assert_eq!(said.out, "Nothing to update!\n");
    assert_eq!(said.err, "No spatial index for crs 3577 exists: skipping\n");
    kit.fails(1, &["spindex", "drop", "3577"]);
    for verb in ["create", "update", "drop"] {
        kit.fails(2, &["spindex", verb]);
    }
    if !kit.is_server() {
        let said = kit.fails(1, &["spindex", "create", "EPSG:3577"]);
        assert!(said.err.contains("areas in any CRS are found"), "{said:?}");
        return;
    }
    let dry = kit.ok(&["spindex", "create", "-d", "3577"]);
    assert_eq!(dry, "Would create a spatial index for EPSG:3577\n");
    let made = kit.ok(&["spindex", "create", "3577", "EPSG:32655", "--init-users"]);
    assert!(
        made.starts_with("Spatial indexes created for: 3577,32655\n"),
        "{made}"
    );
    let listed = kit.ok(&["spindex", "list"]);
    let mut crses: Vec<&str> = listed.lines().collect();
    crses.sort_unstable();
    assert_eq!(crses, ["EPSG:32655", "EPSG:3577", "EPSG:4326"]);
    let updated = kit.ok(&["spindex", "update", "3577", "-p", "tiny"]);
    assert_eq!(
        updated,
        "3 extents checked and updated in 1 spatial indexes\n"
    );
    let again = kit.ok(&["spindex", "create", "-u", "3577"]);
    assert!(
        again.ends_with("5 extents checked and updated in spatial indexes\n"),
        "{again}"
    );
    let said = kit.fails(1, &["spindex", "drop", "3577"]);
    assert!(said.err.contains("--yes"), "{said:?}");
    let dropped = kit.ok(&["spindex", "drop", "-f", "3577"]);
    assert_eq!(dropped, "Deleting spatial index for CRS epsg:3577: Done\n");
    let dropped = kit.ok(&["spindex", "drop", "--yes", "32655"]);
    assert_eq!(dropped, "Deleting spatial index for CRS epsg:32655: Done\n");
    assert_eq!(kit.ok(&["spindex", "list"]), "EPSG:4326\n");
}

pub(super) fn users(kit: &Kit) {
    kit.ok(&["system", "init"]);
    kit.fails(2, &["user", "create", "king", "x"]);
    kit.fails(2, &["user", "grant", "user"]);
    kit.fails(2, &["user", "delete"]);
    if !kit.is_server() {
        for arguments in [
            &["user", "list"][..],
            &["user", "create", "user", "ann"],
            &["user", "grant", "manage", "ann"],
            &["user", "delete", "--yes", "ann"],
        ] {
            let said = kit.fails(1, arguments);
            assert!(
                said.err.contains("does not have users of its own"),
                "{said:?}"
            );
        }
        return;
    }
    // Roles are of the whole server: names of our own.
    let name = format!("ann{}", std::process::id());
    let dry = kit.ok(&["user", "create", "user", &name, "-d"]);
    assert_eq!(dry, format!("Would create user {name} as user\n"));
    let line = kit.ok(&[
        "user",
        "create",
        "user",
        &name,
        "--description",
        "Ann of the test",
    ]);
    let parts: Vec<&str> = line.trim_end().split(':').collect();
    assert_eq!(
        (parts.len(), parts[2], parts[3]),
        (5, "*", name.as_str()),
        "{line}"
    );
    assert!(parts[4].len() >= 12, "{line}");
    kit.fails(1, &["user", "create", "user", &name]);
    // One row for each role that a user has, the least first.
    let roles = || {
        let list = kit.json(&["user", "list", "-f", "json"]);
        let rows = list.as_array().expect("rows").clone();
        rows.into_iter()
            .filter(|row| row["user"] == name.as_str())
            .map(|row| (row["role"].clone(), row["description"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(roles(), [("user".into(), "Ann of the test".into())]);
    let csv = kit.ok(&["user", "list", "-f", "csv"]);
    assert!(csv.starts_with("role,user,description\n"), "{csv}");
    kit.ok(&["user", "grant", "manage", &name]);
    assert_eq!(roles().pop().expect("listed").0, "manage");
    kit.fails(1, &["user", "grant", "admin", "nobody_of_that_name"]);
    let said = kit.fails(1, &["user", "delete", &name]);
    assert!(said.err.contains("--yes"), "{said:?}");
    kit.ok(&["user", "delete", "--yes", &name]);
    assert_eq!(roles(), []);
    kit.fails(1, &["user", "delete", "--yes", &name]);
}
