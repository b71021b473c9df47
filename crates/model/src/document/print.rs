//! Documents as text, such that reading the text gives the document again.
//!
//! The YAML is for people: block style, short lists of numbers on one line,
//! long text as a block. A string is quoted whenever a reader of YAML 1.1 or
//! 1.2 could take it for anything but a string.

use std::fmt::Write as _;

use serde_json::Value;

/// The document as indented JSON, with a line break at the end.
pub fn to_json(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The document as YAML in block style, with a line break at the end.
pub fn to_yaml(document: &Value) -> String {
    let mut out = String::new();
    match document {
        Value::Object(map) if !map.is_empty() => block(&mut out, document, 0, true),
        Value::Array(items) if !items.is_empty() && !is_flow(items) => {
            block(&mut out, document, 0, true)
        }
        _ => {
            inline(&mut out, document);
            out.push('\n');
        }
    }
    out
}

/// A list short enough, and plain enough, for one line.
fn is_flow(items: &[Value]) -> bool {
    items.len() <= 9
        && items
            .iter()
            .all(|item| matches!(item, Value::Number(_) | Value::Bool(_)))
}

/// Writes a non-empty object or list; `fresh` when the cursor already stands
/// at the column of `indent`.
fn block(out: &mut String, value: &Value, indent: usize, mut fresh: bool) {
    let mut start = |out: &mut String| {
        if !std::mem::take(&mut fresh) {
            pad(out, indent);
        }
    };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                start(out);
                scalar(out, key);
                out.push(':');
                match value {
                    // A list under a key starts at the key's own column.
                    Value::Array(items) if !items.is_empty() && !is_flow(items) => {
                        out.push('\n');
                        block(out, value, indent, false);
                    }
                    Value::Object(map) if !map.is_empty() => {
                        out.push('\n');
                        block(out, value, indent + 2, false);
                    }
                    _ => {
                        out.push(' ');
                        leaf(out, value, indent + 2);
                    }
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                start(out);
                out.push_str("- ");
                match item {
                    Value::Array(inner) if !inner.is_empty() && !is_flow(inner) => {
                        block(out, item, indent + 2, true)
                    }
                    Value::Object(map) if !map.is_empty() => block(out, item, indent + 2, true),
                    _ => leaf(out, item, indent + 2),
                }
            }
        }
        _ => unreachable!("only objects and lists are written as blocks"),
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a value that fits behind its key, and the line break after it.
fn leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::String(text) if is_block_text(text) => {
            out.push_str(if text.ends_with('\n') { "|\n" } else { "|-\n" });
            for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
                if !line.is_empty() {
                    pad(out, indent);
                    out.push_str(line);
                }
                out.push('\n');
            }
        }
        _ => {
            inline(out, value);
            out.push('\n');
        }
    }
}

/// Text of several lines that a literal block can hold unchanged.
fn is_block_text(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && body
            .chars()
            .all(|c| c == '\n' || (is_printable(c) && c != '\t'))
        && body.lines().all(|line| !line.ends_with(' '))
}

fn inline(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) => scalar(out, text),
        Value::Array(items) => {
            out.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ");
                }
                inline(out, item);
            }
            out.push(']');
        }
        Value::Object(_) => out.push_str("{}"),
    }
}

/// Writes a string: plain where that is safe, else in single quotes where it
/// has only printable characters, else in double quotes.
fn scalar(out: &mut String, text: &str) {
    if is_safe_plain(text) {
        out.push_str(text);
    } else if !text.is_empty() && text.chars().all(|c| is_printable(c) && c != '\t') {
        out.push('\'');
        for c in text.chars() {
            if c == '\'' {
                out.push('\'');
            }
            out.push(c);
        }
        out.push('\'');
    } else {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if is_printable(c) => out.push(c),
                c => {
                    let _ = match u32::from(c) {
                        code @ 0..=0xff => write!(out, "\\x{code:02X}"),
                        code @ 0x100..=0xffff => write!(out, "\\u{code:04X}"),
                        code => write!(out, "\\U{code:08X}"),
                    };
                }
            }
        }
        out.push('"');
    }
}

/// Whether YAML allows the character unescaped, on one line.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// Words, names, paths and the like: starts with a letter, `_` or `/`, holds
/// nothing that means something in YAML, and is no word with a meaning.
fn is_safe_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_' || c == '/');
    let rest = text
        .chars()
        .all(|c| c.is_alphanumeric() || "_-./+()%<>=@ ".contains(c) || c == ':');
    first
        && rest
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "null"
                | "true"
                | "false"
                | "yes"
                | "no"
                | "on"
                | "off"
                | "y"
                | "n"
                | "inf"
                | "infinity"
        )
}
