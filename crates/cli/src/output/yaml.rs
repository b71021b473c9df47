//! YAML of listings, as ODC writes it.
//!
//! Ids and times stand without quotes, so that `grep` and `awk` find them, and
//! ranges on one line (`{begin: ..., end: ...}`), as short lists do. Documents
//! are printed by the model, which quotes whatever any reader could mistake.

use anyhow::Result;
use serde_json::{Map, Value};

/// Beyond this width a list of plain values is written item by item.
const FLOW_WIDTH: usize = 96;

/// The row as YAML, with a line break at its end.
pub(super) fn text(row: &Map<String, Value>) -> Result<String> {
    let mut text = String::new();
    if row.is_empty() {
        text += "{}\n";
    } else {
        block_map(&mut text, row, 0, false)?;
    }
    Ok(text)
}

fn block_map(
    text: &mut String,
    map: &Map<String, Value>,
    indent: usize,
    mut is_after_dash: bool,
) -> Result<()> {
    for (key, value) in map {
        if !std::mem::take(&mut is_after_dash) {
            text.push_str(&" ".repeat(indent));
        }
        text.push_str(&scalar(&Value::String(key.clone()))?);
        text.push(':');
        nested(text, value, indent)?;
    }
    Ok(())
}

/// What stands behind `key:`.
fn nested(text: &mut String, value: &Value, indent: usize) -> Result<()> {
    match value {
        Value::Object(map) if !is_flow(value)? => {
            text.push('\n');
            block_map(text, map, indent + 2, false)
        }
        Value::Array(items) if !is_flow(value)? => {
            text.push('\n');
            block_list(text, items, indent)
        }
        plain => {
            text.push(' ');
            text.push_str(&flow(plain)?);
            text.push('\n');
            Ok(())
        }
    }
}

fn block_list(text: &mut String, items: &[Value], indent: usize) -> Result<()> {
    for item in items {
        text.push_str(&" ".repeat(indent));
        text.push_str("- ");
        match item {
            Value::Object(map) if !is_flow(item)? => block_map(text, map, indent + 2, true)?,
            plain => {
                text.push_str(&flow(plain)?);
                text.push('\n');
            }
        }
    }
    Ok(())
}

/// Whether the value is written on one line.
fn is_flow(value: &Value) -> Result<bool> {
    let is_plain = |value: &Value| !value.is_object() && !value.is_array();
    Ok(match value {
        Value::Object(map) => {
            let is_range = map.len() == 2 && map.contains_key("begin") && map.contains_key("end");
            map.is_empty() || is_range && map.values().all(is_plain)
        }
        Value::Array(items) => {
            items.is_empty() || items.iter().all(is_plain) && flow(value)?.len() <= FLOW_WIDTH
        }
        _ => true,
    })
}

fn flow(value: &Value) -> Result<String> {
    Ok(match value {
        Value::Object(map) => {
            let items = map
                .iter()
                .map(|(key, value)| {
                    let key = flow_scalar(&Value::String(key.clone()))?;
                    Ok(format!("{key}: {}", flow_item(value)?))
                })
                .collect::<Result<Vec<_>>>()?;
            format!("{{{}}}", items.join(", "))
        }
        Value::Array(items) => {
            let items = items.iter().map(flow_item).collect::<Result<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        plain => scalar(plain)?,
    })
}

fn flow_item(value: &Value) -> Result<String> {
    match value {
        Value::Object(_) | Value::Array(_) => flow(value),
        plain => flow_scalar(plain),
    }
}

/// A plain value inside brackets, where some characters end it.
fn flow_scalar(value: &Value) -> Result<String> {
    match value {
        Value::String(text) if text.contains([',', '[', ']', '{', '}']) => Ok(quoted(text)),
        plain => scalar(plain),
    }
}

/// A plain value, quoted where YAML would read it as something else.
fn scalar(value: &Value) -> Result<String> {
    match value {
        Value::String(text) if text.contains(char::is_control) || is_like_a_number(text) => {
            Ok(quoted(text))
        }
        plain => Ok(yaml_serde::to_string(plain)?.trim_end().to_owned()),
    }
}

/// Whether YAML 1.1 could take the text for a number: also `012`, `1_000`, `12:30`.
fn is_like_a_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits
            .chars()
            .all(|c| c.is_ascii_hexdigit() || matches!(c, '_' | '.' | ':' | 'x' | 'o' | '+'))
}

/// JSON's quotes are YAML's, too.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> String {
        text(value.as_object().expect("an object")).expect("written")
    }

    #[test]
    fn what_is_written_reads_back() {
        let rows = [
            json!({}),
            json!({"a": {"b": [{"c": 1, "d": [1, 2]}, {"e": {"f": null}}, [], {}, [[1, 2], [3]]]}}),
            json!({"0": "1", "yes": "no", "null": "null", "3.5": "~", "a: b": "# c", "": ""}),
            json!({"time": {"begin": "2020-01-01T00:00:00Z", "end": null}}),
            json!({"list": ["a, b", "[x]", "{", "'", "\"", "-", "- a", ": ", "1e3", "0x1f", "012"]}),
            json!({"text": "two\nlines\n", "tab": "\t", "space": " x ", "long": "w ".repeat(100)}),
            json!({"wide": vec!["0123456789"; 20], "numbers": [1.5, -2, 1e300, u64::MAX]}),
        ];
        for row in rows {
            let text = written(&row);
            let back: Value = yaml_serde::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!(back, row, "{text}");
        }
    }

    #[test]
    fn ids_and_times_have_no_quotes_and_ranges_one_line() {
        let row = json!({
            "id": "00000000-0000-4000-8000-000000000001",
            "region": "090084",
            "time": {"begin": "2020-03-01T10:00:00Z", "end": "2020-03-01T10:00:24Z"},
            "bands": [{"name": "red"}, {"name": "nir"}],
        });
        let expected = "\
id: 00000000-0000-4000-8000-000000000001
region: \"090084\"
time: {begin: 2020-03-01T10:00:00Z, end: 2020-03-01T10:00:24Z}
bands:
- name: red
- name: nir
";
        assert_eq!(written(&row), expected);
    }
}
