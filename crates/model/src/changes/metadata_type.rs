//! The rules for metadata types.

use serde_json::Value;

use super::compare::{differences, key_at, unknown};
use super::{Changes, Verdict};
use crate::document::DocPath;

/// What an update of a metadata type changes.
///
/// Safe are descriptions, new search fields and whether a field is indexed:
/// what could be searched before is found the same way.
pub fn metadata_type_changes(was: &Value, now: &Value) -> Changes {
    let mut out = Changes::default();
    below(&DocPath::root(), was, now, &mut out);
    out
}

/// As [`metadata_type_changes`], of a type that stands inside a product.
pub(super) fn below(path: &DocPath, was: &Value, now: &Value, out: &mut Changes) {
    let depth = path.steps().len();
    differences(
        path,
        Some(was),
        Some(now),
        &|path, was, now| judge(path, depth, was, now),
        out,
    );
}

fn judge(path: &DocPath, depth: usize, was: Option<&Value>, now: Option<&Value>) -> Verdict {
    let key = |level: usize| key_at(path, depth + level);
    let n_steps = path.steps().len() - depth;
    match (key(0), key(1), key(2), key(3)) {
        (Some("description"), ..) => Verdict::Safe,
        (Some("name"), ..) => Verdict::unsafe_because("a name is for good; add another type"),
        (Some("dataset"), Some("search_fields"), Some(name), None) if n_steps == 3 => {
            match (was, now) {
                (None, _) => Verdict::Safe,
                (_, None) => Verdict::unsafe_because(format!(
                    "searches for `{name}` would no longer be understood"
                )),
                _ => unknown(path),
            }
        }
        (Some("dataset"), Some("search_fields"), Some(_), Some("description" | "indexed")) => {
            Verdict::Safe
        }
        (Some("dataset"), Some("search_fields"), Some(name), Some("type")) => {
            Verdict::unsafe_because(format!(
                "the values of `{name}` would be compared as something else"
            ))
        }
        (
            Some("dataset"),
            Some("search_fields"),
            Some(name),
            Some("offset" | "min_offset" | "max_offset"),
        ) => Verdict::unsafe_because(format!(
            "the values of `{name}` would be taken from another place of the documents"
        )),
        (Some("dataset"), Some("search_fields"), None, None) if was.is_none() => Verdict::Safe,
        (Some("dataset"), Some(name), ..) if name != "search_fields" => Verdict::unsafe_because(
            format!("the `{name}` of datasets in the index would be looked for in another place"),
        ),
        _ => unknown(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn changes(edit: impl FnOnce(&mut Value)) -> Vec<String> {
        let was = crate::MetadataType::eo3().document().clone();
        let mut now = was.clone();
        edit(&mut now);
        let changes = metadata_type_changes(&was, &now);
        assert_eq!(
            changes.is_safe(),
            changes.unsafe_().next().is_none(),
            "{changes}"
        );
        changes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_same_changes_nothing() {
        assert!(changes(|_| {}).is_empty());
    }

    #[test]
    fn fields_may_come_but_not_go_or_move() {
        let fields = "/dataset/search_fields";
        let field = json!({"offset": ["properties", "eo:gsd"], "type": "double"});
        assert_eq!(
            changes(|now| now.pointer_mut(fields).expect("fields")["gsd"] = field),
            ["safe: dataset.search_fields.gsd: \
              {\"offset\":[\"properties\",\"eo:gsd\"],\"type\":\"double\"} is added"]
        );
        let gone = changes(|now| {
            let fields = now.pointer_mut(fields).expect("fields");
            fields
                .as_object_mut()
                .expect("an object")
                .remove("platform");
        });
        assert!(
            gone.len() == 1 && gone[0].starts_with("unsafe: dataset.search_fields.platform: "),
            "{gone:?}"
        );
        assert!(gone[0].contains("no longer be understood"), "{gone:?}");
        let moved = changes(|now| {
            now.pointer_mut(fields).expect("fields")["platform"]["offset"][1] = json!("platform");
        });
        assert_eq!(
            moved,
            [
                "unsafe: dataset.search_fields.platform.offset[1]: \"eo:platform\" becomes \
              \"platform\", because the values of `platform` would be taken from another place \
              of the documents"
            ]
        );
        let retyped = changes(|now| {
            now.pointer_mut(fields).expect("fields")["cloud_cover"]["type"] = json!("string");
        });
        assert!(retyped[0].starts_with("unsafe: "), "{retyped:?}");
    }

    #[test]
    fn words_may_change_and_places_may_not() {
        let words = changes(|now| {
            now["description"] = json!("other words");
            let fields = now.pointer_mut("/dataset/search_fields").expect("fields");
            fields["platform"]["description"] = json!("other words");
            fields["platform"]["indexed"] = json!(true);
        });
        assert!(words.len() == 3 && words.iter().all(|line| line.starts_with("safe: ")));
        let places = changes(|now| now["dataset"]["label"] = json!(["properties", "title"]));
        assert!(
            !places.is_empty() && places.iter().all(|line| line.starts_with("unsafe: ")),
            "{places:?}"
        );
        assert!(changes(|now| now["name"] = json!("eo4"))[0].starts_with("unsafe: name"));
        assert!(changes(|now| now["more"] = json!(1))[0].contains("no rule says"));
    }
}
