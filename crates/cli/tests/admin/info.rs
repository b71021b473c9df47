//! `dataset info`.

use super::kit::{IDS, Kit, UNKNOWN};

pub(super) fn datasets_are_described(kit: &Kit) {
    kit.filled();
    let info = kit.json(&["dataset", "info", "-f", "json", IDS[0]]);
    let keys: Vec<&String> = info[0].as_object().expect("an object").keys().collect();
    let expected = ["id", "product", "status", "indexed", "location", "fields"];
    assert_eq!(keys, expected);
    assert_eq!(info[0]["fields"]["platform"], "landsat-8");
    assert_eq!(info[0]["fields"]["cloud_cover"], 12.5);
    assert_eq!(info[0]["fields"]["time"]["begin"], "2020-03-01T10:00:00Z");
    assert_eq!(info[0]["location"], kit.uri("scenes/1/odc-metadata.yaml"));
    let yaml = kit.ok(&["dataset", "info", IDS[0], IDS[1]]);
    assert!(
        yaml.starts_with(&format!("id: {}\nproduct: tiny\nstatus: active\n", IDS[0])),
        "{yaml}"
    );
    assert!(yaml.contains(&format!("\n---\nid: {}\n", IDS[1])), "{yaml}");
    let csv = kit.ok(&["dataset", "info", "-f", "csv", IDS[0]]);
    assert_eq!(
        csv,
        format!(
            "id,status,product,location\n{},active,tiny,{}\n",
            IDS[0],
            kit.uri("scenes/1/odc-metadata.yaml")
        )
    );
}

pub(super) fn sources_and_derived_are_shown(kit: &Kit) {
    kit.filled();
    let [one, two, _, mean, year] = IDS;
    let info = kit.json(&["dataset", "info", "--show-sources", "-f", "json", year]);
    let sources = &info[0]["sources"]["mean"];
    assert_eq!(sources["id"], mean);
    assert_eq!(sources["product"], "mean");
    assert_eq!(sources["sources"]["tiny1"]["id"], one);
    assert_eq!(sources["sources"]["tiny2"]["id"], two);
    let shallow = [
        "dataset",
        "info",
        "--show-sources",
        "--max-depth",
        "1",
        "-f",
        "json",
        year,
    ];
    let shallow = kit.json(&shallow);
    assert_eq!(
        shallow[0]["sources"]["mean"]["sources"],
        serde_json::Value::Null
    );
    let info = kit.json(&["dataset", "info", "--show-derived", "-f", "json", one]);
    assert_eq!(info[0]["derived"][0]["id"], mean);
    assert_eq!(info[0]["derived"][0]["derived"][0]["id"], year);
}

pub(super) fn missing_ones_are_counted(kit: &Kit) {
    kit.filled();
    let other = UNKNOWN.replace("0f", "0e");
    let said = kit.fails(2, &["dataset", "info", UNKNOWN, IDS[0], &other]);
    assert_eq!(said.err, format!("{UNKNOWN} missing\n{other} missing\n"));
    assert!(said.out.contains(IDS[0]), "{said:?}");
    let said = kit.fails(2, &["dataset", "info", "no-uuid"]);
    assert!(said.err.contains("not a dataset id"), "{said:?}");
    kit.fails(2, &["dataset", "info"]);
}
