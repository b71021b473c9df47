//! The rules for datasets.

use serde_json::Value;

use super::compare::differences;
use super::{Changes, Verdict};
use crate::document::{DocPath, Step};

/// What an update of a dataset changes.
///
/// A document may get new keys at its root; what it said before stays, except
/// at and below the places in `allow_any`: `["properties", "eo:cloud_cover"]`,
/// or an empty one for everything. Items of lists are named by their number.
pub fn dataset_changes(was: &Value, now: &Value, allow_any: &[Vec<String>]) -> Changes {
    let mut out = Changes::default();
    let judge = |path: &DocPath, was: Option<&Value>, _: Option<&Value>| {
        let is_new_at_root = was.is_none() && path.steps().len() == 1;
        if is_new_at_root || allow_any.iter().any(|allowed| is_below(path, allowed)) {
            Verdict::Safe
        } else {
            Verdict::unsafe_because(format!(
                "a document keeps what it said; allow changes of `{path}` if this one is meant"
            ))
        }
    };
    differences(&DocPath::root(), Some(was), Some(now), &judge, &mut out);
    out
}

/// Whether `path` is at or below `allowed`.
fn is_below(path: &DocPath, allowed: &[String]) -> bool {
    path.steps().len() >= allowed.len()
        && path
            .steps()
            .iter()
            .zip(allowed)
            .all(|(step, name)| match step {
                Step::Key(key) => key == name,
                Step::Index(index) => index.to_string() == *name,
            })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(now: &Value, allow: &[&[&str]], expected: &[&str]) {
        let was = json!({
            "id": "x",
            "properties": {"eo:cloud_cover": 10, "datetime": "2020-01-01"},
            "lineage": {"ard": ["a", "b"]},
        });
        let allow: Vec<Vec<String>> = allow
            .iter()
            .map(|path| path.iter().map(|key| (*key).to_owned()).collect())
            .collect();
        let found: Vec<String> = dataset_changes(&was, now, &allow)
            .iter()
            .map(|change| {
                let name = if change.is_safe() { "safe" } else { "unsafe" };
                format!("{name} {}", change.path)
            })
            .collect();
        assert_eq!(found, expected, "{now}");
    }

    #[test]
    fn documents_may_be_extended_at_their_root() {
        let properties = json!({"datetime": "2020-01-01", "eo:cloud_cover": 10.0});
        let lineage = json!({"ard": ["a", "b"]});
        let same = json!({"lineage": lineage, "id": "x", "properties": properties});
        check(&same, &[], &[]);
        let mut more = same.clone();
        more["location"] = json!("s3://x");
        more["properties"]["more"] = json!(1);
        check(&more, &[], &["unsafe properties.more", "safe location"]);
        let less = json!({"id": "x", "properties": properties});
        check(&less, &[], &["unsafe lineage"]);
    }

    #[test]
    fn what_is_allowed_may_change() {
        let now = json!({
            "id": "x",
            "properties": {"eo:cloud_cover": 11, "datetime": "2021-01-01"},
            "lineage": {"ard": ["a", "c", "d"]},
        });
        check(
            &now,
            &[&["properties", "eo:cloud_cover"], &["lineage", "ard", "1"]],
            &[
                "safe properties.eo:cloud_cover",
                "unsafe properties.datetime",
                "safe lineage.ard[1]",
                "unsafe lineage.ard[2]",
            ],
        );
        check(
            &now,
            &[&["properties"], &["lineage"]],
            &[
                "safe properties.eo:cloud_cover",
                "safe properties.datetime",
                "safe lineage.ard[1]",
                "safe lineage.ard[2]",
            ],
        );
        let all = dataset_changes(&json!({"id": 1, "a": 2}), &json!({"id": 2}), &[Vec::new()]);
        assert!(all.len() == 2 && all.is_safe(), "{all}");
    }
}
