//! Whether what is given is what the index has, and where it differs: path by
//! path, in words.

use serde_json::Value;
use uuid::Uuid;

use crate::catalog::Added;
use crate::error::{Error, Kind, Result};

/// Refuses a definition that is not the one stored under its name.
pub(crate) fn same(kind: Kind, name: &str, stored: &Value, given: &Value) -> Result<Added> {
    if stored == given {
        return Ok(Added::AlreadyThere);
    }
    Err(Error::DifferentDefinition {
        kind,
        name: name.to_owned(),
        differences: differences(stored, given),
    })
}

/// Refuses a document that is not the one stored under its id.
pub(crate) fn same_dataset(id: Uuid, stored: &Value, given: &Value) -> Result<Added> {
    if stored == given {
        return Ok(Added::AlreadyThere);
    }
    Err(Error::DifferentDocument {
        id,
        differences: differences(stored, given),
    })
}

/// One line for each place where `given` is not what the index has.
fn differences(stored: &Value, given: &Value) -> Vec<String> {
    let mut out = Vec::new();
    compare("", stored, given, &mut out);
    out
}

fn compare(path: &str, stored: &Value, given: &Value, out: &mut Vec<String>) {
    match (stored, given) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = member(path, key);
                match b.get(key) {
                    Some(other) => compare(&path, value, other, out),
                    None => out.push(format!("{path}: {} in the index, not given", short(value))),
                }
            }
            for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                let path = member(path, key);
                out.push(format!("{path}: not in the index, {} given", short(value)));
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for (i, (x, y)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{i}]"), x, y, out);
            }
            if a.len() != b.len() {
                out.push(format!(
                    "{}: {} items in the index, {} given",
                    if path.is_empty() {
                        "the document"
                    } else {
                        path
                    },
                    a.len(),
                    b.len()
                ));
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let path = if path.is_empty() {
                "the document"
            } else {
                path
            };
            out.push(format!(
                "{path}: {} in the index, {} given",
                short(a),
                short(b)
            ));
        }
    }
}

fn member(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Object(map) => return format!("an object of {} keys", map.len()),
        Value::Array(items) => return format!("a list of {} items", items.len()),
        scalar => scalar.to_string(),
    };
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_is_told_with_its_path() {
        let stored = json!({"name": "ls8", "bands": [{"dtype": "int16"}, {}], "old": {"a": 1}});
        let given = json!({"bands": [{"dtype": "uint8"}], "name": "ls8", "new": [1, 2]});
        assert_eq!(
            differences(&stored, &given),
            [
                "bands[0].dtype: \"int16\" in the index, \"uint8\" given",
                "bands: 2 items in the index, 1 given",
                "old: an object of 1 keys in the index, not given",
                "new: not in the index, a list of 2 items given",
            ]
        );
        assert!(differences(&stored, &stored).is_empty());
    }

    #[test]
    fn long_values_are_cut_between_letters() {
        let given = json!("é".repeat(100));
        let text = differences(&json!(null), &given).join("");
        assert!(
            text.contains("the document: null in the index") && text.contains("..."),
            "{text}"
        );
    }
}
