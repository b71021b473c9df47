//! Many documents in one text, of which some may be broken.
//!
//! A line of JSON ends where the line ends, and a YAML document where `---`
//! begins another: content may never have that at the start of a line (YAML
//! 1.2.2, 9.1.2). So what is broken in one document is no reason to lose
//! those after it.

use serde_json::Value;

use super::{Fault, LocatedDocument, Problem, json, name_of, parse_documents, part_uri, yaml};
use crate::error::Result;

/// Whether a text of that name holds one JSON document a line.
pub(super) fn is_lines(name: &str) -> bool {
    name.ends_with(".jsonl") || name.ends_with(".ndjson")
}

/// The documents of the lines that are not empty.
pub(super) fn lines(
    text: &str,
) -> impl Iterator<Item = Result<(Value, Vec<Problem>), Fault>> + use<'_> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let written = |(_, line): &(usize, &str)| !line.trim().is_empty();
    let lines = text.lines().enumerate().filter(written);
    lines.map(|(above, line)| json::parse(line).map_err(|fault| below(fault, above)))
}

/// The fault of a text with so many lines above it.
fn below(mut fault: Fault, above: usize) -> Fault {
    fault.line += above;
    // Some messages tell of a second place.
    let mut parts = fault.message.split("line ");
    let mut message = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        message.push_str("line ");
        match part[..digits].parse::<usize>() {
            Ok(line) => message.push_str(&(line + above).to_string()),
            Err(_) => message.push_str(&part[..digits]),
        }
        message.push_str(&part[digits..]);
    }
    fault.message = message;
    fault
}

/// Reads every document of a text, as [`parse_documents`] does, each with a
/// result of its own: one that is broken keeps no other from being read.
///
/// Each result comes with the address of its document, the broken ones
/// included; the errors tell line and column of the whole text.
pub fn parse_each(text: &str, uri: &str) -> Vec<(String, Result<LocatedDocument>)> {
    let name = name_of(uri);
    let parts: Vec<Result<(Value, Vec<Problem>), Fault>> = if is_lines(&name) {
        lines(text).collect()
    } else {
        let whole = match parse_documents(text, uri) {
            Ok(documents) => {
                let located = |document: LocatedDocument| (document.uri.clone(), Ok(document));
                return documents.into_iter().map(located).collect();
            }
            Err(error) => error,
        };
        let parts = yaml_parts(text);
        if name.ends_with(".json") || name.ends_with(".geojson") || parts.len() < 2 {
            return vec![(uri.to_owned(), Err(whole))];
        }
        parts
            .into_iter()
            .flat_map(|(above, part)| match yaml::parse(part) {
                Ok(documents) => documents.into_iter().map(Ok).collect(),
                Err(fault) => vec![Err(below(fault, above))],
            })
            .collect()
    };
    let several = parts.len() > 1;
    parts
        .into_iter()
        .enumerate()
        .map(|(part, parsed)| {
            let address = part_uri(uri, part, several);
            let located = match parsed {
                Ok((document, warnings)) => Ok(LocatedDocument {
                    uri: address.clone(),
                    document,
                    warnings,
                }),
                Err(fault) => Err(fault.at(uri)),
            };
            (address, located)
        })
        .collect()
}

/// The texts between the marks of a YAML stream, each with how many lines are
/// above it.
fn yaml_parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut above, mut offset) = (0, 0, 0);
    for (n_above, line) in text.split_inclusive('\n').enumerate() {
        let is_mark = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if is_mark && offset > start {
            // What stands before the first mark may be comments and directives alone.
            let is_content = |line: &str| !line.is_empty() && !line.starts_with(['#', '%']);
            let part = &text[start..offset];
            if part.lines().any(|line| is_content(line.trim_end())) {
                parts.push((above, part));
            }
            (start, above) = (offset, n_above);
        }
        offset += line.len();
    }
    parts.push((above, &text[start..]));
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// What each part is, in short: its `a`, or the line and column of its fault.
    fn read(text: &str, uri: &str) -> Vec<String> {
        let short = |(address, parsed): (String, Result<LocatedDocument>)| {
            let part = address.strip_prefix(uri).expect("it begins with the name");
            match parsed {
                Ok(located) => {
                    assert_eq!(located.uri, address);
                    format!("{part} {}", located.document["a"])
                }
                Err(error) => {
                    let text = error.to_string();
                    let text = text.strip_prefix(uri).expect("it begins with the name");
                    let place: Vec<&str> = text.splitn(4, ':').collect();
                    format!("{part} {}:{}", place[1], place[2])
                }
            }
        };
        parse_each(text, uri).into_iter().map(short).collect()
    }

    #[test]
    fn a_broken_document_leaves_the_others() {
        let text = "%YAML 1.2\n# all of them\n---\na: 1\n---\na: [1, 2\n---\n---\na: 'it''s\n  --- x'\n--- {a: 4}\n...\n---\na: \"\n";
        assert_eq!(
            read(text, "x.yaml"),
            [
                "#part=0 1",
                "#part=1 7:1",
                "#part=2 \"it's --- x\"",
                "#part=3 4",
                "#part=4 15:1"
            ]
        );
        let error = parse_each(text, "x.yaml").remove(1).1.expect_err("broken");
        assert!(error.to_string().contains("at line 6 column 4"), "{error}");
        assert_eq!(read("a: [\n", "x.yaml").len(), 1);
        assert_eq!(read("{\"a\": 1}\n---\n{\"a\": 2}", "x.json"), [" 2:1"]);
    }

    #[test]
    fn lines_are_documents_of_their_own() {
        let text = "{\"a\": 1}\n\n{\"a\": 2\n[]\r\n{\"a\": NaN}\n{\"a\": 4} {}\n";
        let expected = [
            "#part=0 1",
            "#part=1 3:7",
            "#part=2 null",
            "#part=3 \"NaN\"",
            "#part=4 6:10",
        ];
        assert_eq!(read(text, "x.jsonl"), expected);
        assert_eq!(read(text, "http://h/x.ndjson.gz"), expected);
        assert_eq!(read("{\"a\": 1}\n", "x.ndjson"), [" 1"]);
        let error = parse_documents(text, "x.jsonl").expect_err("not all are documents");
        assert!(error.to_string().starts_with("x.jsonl:3:7"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_whole_is_read_the_same(values in prop::collection::vec(any::<i32>(), 1..6)) {
            let documents: Vec<Value> = values.iter().map(|n| json!({"a": n})).collect();
            for (mark, uri) in [("---\n", "x.yaml"), ("", "x.jsonl")] {
                let text: String = documents.iter().map(|d| format!("{mark}{d}\n")).collect();
                let whole = parse_documents(&text, uri).expect("valid");
                let each: Vec<_> = parse_each(&text, uri);
                prop_assert_eq!(each.len(), whole.len());
                for ((address, parsed), located) in each.into_iter().zip(whole) {
                    prop_assert_eq!(&address, &located.uri);
                    prop_assert_eq!(parsed.expect("valid").document, located.document);
                }
            }
        }
    }
}
