//! Whether two values mean the same, and the places where they do not.

use serde_json::{Map, Value};

use super::{Changes, Verdict};
use crate::document::{DocPath, Step};

/// Decides about one place where two documents differ.
pub(super) type Judge<'j> = &'j dyn Fn(&DocPath, Option<&Value>, Option<&Value>) -> Verdict;

/// Whether two values mean the same.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => {
            let integers = |n: &serde_json::Number| {
                n.as_i64()
                    .map(i128::from)
                    .or_else(|| n.as_u64().map(i128::from))
            };
            match (integers(x), integers(y)) {
                (Some(x), Some(y)) => x == y,
                _ => x.as_f64() == y.as_f64(),
            }
        }
        (Value::String(x), Value::String(y)) => {
            x == y || special(x).is_some_and(|x| Some(x) == special(y))
        }
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y))
        }
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len()
                && x.iter()
                    .all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        (a, b) => a == b,
    }
}

/// Numbers that JSON and YAML write as words.
fn special(text: &str) -> Option<&'static str> {
    let lower = text.trim().to_ascii_lowercase();
    let (sign, rest) = match lower.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", lower.strip_prefix('+').unwrap_or(&lower)),
    };
    match (sign, rest.trim_start_matches('.')) {
        (_, "nan") => Some("nan"),
        ("", "inf" | "infinity") => Some("inf"),
        ("-", "inf" | "infinity") => Some("-inf"),
        _ => None,
    }
}

/// The keys of both objects: those of the first, then what is new.
pub(super) fn keys_of_both<'a>(
    was: &'a Map<String, Value>,
    now: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a str> {
    let new = now.keys().filter(|key| !was.contains_key(*key));
    was.keys().chain(new).map(String::as_str)
}

/// Every place below `path` where the two differ, each judged by itself.
///
/// Objects are compared key by key and lists item by item.
pub(super) fn differences(
    path: &DocPath,
    was: Option<&Value>,
    now: Option<&Value>,
    judge: Judge<'_>,
    out: &mut Changes,
) {
    match (was, now) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for key in keys_of_both(a, b) {
                differences(&path.key(key), a.get(key), b.get(key), judge, out);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                differences(&path.index(index), a.get(index), b.get(index), judge, out);
            }
        }
        (Some(a), Some(b)) if same(a, b) => {}
        (None, None) => {}
        (was, now) => {
            let verdict = judge(path, was, now);
            out.push(path, was, now, verdict);
        }
    }
}

/// One change at `path` where the two differ anywhere below it.
pub(super) fn whole(
    path: &DocPath,
    was: Option<&Value>,
    now: Option<&Value>,
    verdict: Verdict,
    out: &mut Changes,
) {
    let is_same = match (was, now) {
        (Some(a), Some(b)) => same(a, b),
        (a, b) => a.is_none() && b.is_none(),
    };
    if !is_same {
        out.push(path, was, now, verdict);
    }
}

/// The key of a step; `None` for an index.
pub(super) fn key_at(path: &DocPath, depth: usize) -> Option<&str> {
    match path.steps().get(depth)? {
        Step::Key(key) => Some(key),
        Step::Index(_) => None,
    }
}

/// What no rule knows.
pub(super) fn unknown(path: &DocPath) -> Verdict {
    let key = key_at(path, path.steps().len().saturating_sub(1)).unwrap_or("it");
    Verdict::unsafe_because(format!("no rule says that a change of `{key}` is harmless"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_by_meaning() {
        for (a, b, expected) in [
            (json!(1), json!(1.0), true),
            (json!(0), json!(-0.0), true),
            (
                json!(9_007_199_254_740_993_i64),
                json!(9_007_199_254_740_992_i64),
                false,
            ),
            (json!(u64::MAX), json!(-1), false),
            (json!("NaN"), json!(".nan"), true),
            (json!("nan"), json!("NaN"), true),
            (json!("Inf"), json!("infinity"), true),
            (json!("Inf"), json!("-Inf"), false),
            (json!("nano"), json!("NaN"), false),
            (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}), true),
            (json!([1, 2]), json!([2, 1]), false),
            (json!("1"), json!(1), false),
            (json!(null), json!({}), false),
        ] {
            assert_eq!(same(&a, &b), expected, "{a} {b}");
        }
    }
}
