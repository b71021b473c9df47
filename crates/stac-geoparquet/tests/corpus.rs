//! Real items through a file and back.

use datacube_stac_geoparquet::{Error, read_items, write_items};
use datacube_testkit::shared;
use serde_json::{Value, json};

/// A document without what a table does not keep: keys that are `null`, the
/// difference between 1 and 1.0, and spellings of a time.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key.clone(), meaning(value)))
            .collect(),
        Value::Array(items) => items.iter().map(meaning).collect(),
        Value::Number(number) => json!(number.as_f64()),
        Value::String(text) => text
            .parse::<jiff::Timestamp>()
            .map_or_else(|_| value.clone(), |time| json!(time.to_string())),
        other => other.clone(),
    }
}

fn corpus() -> Option<Vec<Value>> {
    let folder = shared("metadata")?.join("stac-item");
    let mut items = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(item) =
                serde_json::from_str::<Value>(&std::fs::read_to_string(path).expect("text"))
            {
                items.push(item);
            }
        }
    }
    Some(items)
}

#[test]
fn real_items_come_back_as_they_were() {
    let Some(items) = corpus() else { return };
    // One table of each project, as they are made in practice, and one of all.
    let usable: Vec<Value> = items
        .into_iter()
        .filter(|item| item["properties"].is_object())
        .collect();
    let mut n = 0;
    for group in usable
        .chunk_by(|a, b| a["collection"] == b["collection"])
        .chain([usable.as_slice()])
    {
        let mut file = Vec::new();
        // Some of the corpus are broken on purpose.
        let mut good = Vec::new();
        for item in group {
            match write_items(std::slice::from_ref(item), Vec::new()) {
                Ok(_) => good.push(item.clone()),
                Err(Error::Item { .. }) => {}
                Err(error) => panic!("{}: {error}", item["id"]),
            }
        }
        let group = good;
        if group.is_empty() {
            continue;
        }
        let written = write_items(&group, &mut file).expect("items");
        assert_eq!(written, group.len());
        let back: Vec<Value> = read_items(bytes::Bytes::from(file))
            .expect("a table")
            .collect::<Result<_, _>>()
            .expect("items");
        assert_eq!(back.len(), group.len());
        for (before, after) in group.iter().zip(&back) {
            // What every item has to have is there afterwards.
            let mut expected = before.clone();
            for (key, empty) in [("links", json!([])), ("assets", json!({}))] {
                if expected[key].is_null() {
                    expected[key] = empty;
                }
            }
            let mut wrong = Vec::new();
            differences("", &meaning(&expected), &meaning(after), &mut wrong);
            assert!(wrong.is_empty(), "{}:\n{}", before["id"], wrong.join("\n"));
            n += 1;
        }
    }
    eprintln!("{n} items through a file");
    assert!(n > 1200, "{n}");
}

#[test]
fn what_is_no_item_or_table_is_refused() {
    let error = write_items(&[json!({"id": "x"})], Vec::new()).unwrap_err();
    assert!(
        matches!(&error, Error::Item { item, .. } if item == "x"),
        "{error}"
    );
    let bad = json!({"id": "x", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [[1, 2]]}});
    assert!(
        write_items(&[bad], Vec::new())
            .unwrap_err()
            .to_string()
            .contains("item x: geometry")
    );
    assert!(matches!(
        write_items(&[], Vec::new()),
        Err(Error::Layout { .. })
    ));
    assert!(read_items(bytes::Bytes::from_static(b"PAR1 not")).is_err());
}

/// The places at which two documents differ.
fn differences(path: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))) {
                differences(&format!("{path}.{key}"), &a[key], &b[key], out);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (index, (a, b)) in x.iter().zip(y).enumerate() {
                differences(&format!("{path}[{index}]"), a, b, out);
            }
        }
        _ if a == b => {}
        _ => out.push(format!("{path}: {a} -> {b}")),
    }
}
