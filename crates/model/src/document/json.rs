//! JSON text as documents, as `serde_json` reads it and with what Python adds.

use std::cell::RefCell;

use serde::de::DeserializeSeed;
use serde_json::Value;

use super::yaml::{Budget, Link, Tree};
use super::{Fault, Problem};

/// Reads one JSON document.
///
/// The bare words `NaN`, `Infinity` and `-Infinity`, which Python writes and
/// JSON does not know, are read as strings.
pub(super) fn parse(text: &str) -> Result<(Value, Vec<Problem>), Fault> {
    read(text).or_else(|fault| match quote_specials(text) {
        Some(quoted) => read(&quoted).map_err(|_| fault),
        None => Err(fault),
    })
}

fn read(text: &str) -> Result<(Value, Vec<Problem>), Fault> {
    let budget = Budget::of(text);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let repeated = RefCell::default();
    let tree = Tree {
        text,
        budget: &budget,
        merge: false,
        at: &Link::Root,
        repeated: &repeated,
    };
    let value = tree
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value
        .map(|value| (value, repeated.take()))
        .map_err(|error| {
            let full = error.to_string();
            let place = format!(" at line {} column {}", error.line(), error.column());
            Fault {
                line: error.line().max(1),
                column: error.column().max(1),
                message: full.strip_suffix(&place).unwrap_or(&full).to_owned(),
            }
        })
}

/// The text with Python's bare words quoted, when it has any.
fn quote_specials(text: &str) -> Option<String> {
    const WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut found = false;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = if in_string {
            None
        } else {
            WORDS.into_iter().find(|word| rest.starts_with(word))
        };
        let taken = match (word, c) {
            (Some(word), _) => {
                found = true;
                out.extend(["\"", word, "\""]);
                rest = &rest[word.len()..];
                continue;
            }
            (None, '\\') if in_string => {
                c.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8)
            }
            (None, _) => c.len_utf8(),
        };
        if c == '"' {
            in_string = !in_string;
        }
        let (head, tail) = rest.split_at(taken);
        out.push_str(head);
        rest = tail;
    }
    found.then_some(out)
}
