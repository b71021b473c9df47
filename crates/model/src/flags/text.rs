//! Requests as text, for the command line:
//! `qa_pixel: cloud=not_high_confidence, cloud_confidence=[low, medium]`.
//!
//! Labels stand as they are or in quotes; unquoted, `true`, `false`, `null` and
//! numbers are what they look like.

use std::fmt;
use std::str::FromStr;

use super::{Label, MaskExpression, MaskRequest};
use crate::Number;
use crate::error::{Error, Result};

impl FromStr for MaskExpression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut scan = Scan::new(text);
        let measurement = scan.measurement()?;
        Ok(MaskExpression {
            measurement,
            request: scan.request()?,
        })
    }
}

impl FromStr for MaskRequest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Scan::new(text).request()
    }
}

impl fmt::Display for MaskRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (flag, labels)) in self.conditions().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{}=", quoted(flag, false))?;
            match labels {
                [label] => f.write_str(&label_text(label))?,
                labels => write!(
                    f,
                    "[{}]",
                    labels.iter().map(label_text).collect::<Vec<_>>().join(", ")
                )?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for MaskExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(measurement) = &self.measurement {
            write!(f, "{}: ", quoted(measurement, false))?;
        }
        self.request.fmt(f)
    }
}

fn label_text(label: &Label) -> String {
    match label {
        Label::Text(text) => quoted(text, true),
        other => other.text(),
    }
}

/// The text as it is where that reads back, else in quotes.
fn quoted(text: &str, value: bool) -> String {
    let plain = !text.is_empty()
        && text.trim() == text
        && !text.contains([',', '=', ':', '[', ']', '"', '\'', '\\'])
        && (!value || matches!(bare_label(text), Label::Text(_)));
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// What an unquoted word means.
fn bare_label(word: &str) -> Label {
    match word {
        "true" | "True" | "TRUE" => return Label::Bool(true),
        "false" | "False" | "FALSE" => return Label::Bool(false),
        "null" | "None" => return Label::Null,
        _ => {}
    }
    if let Ok(value) = word.parse::<i64>() {
        return Label::from(value);
    }
    let digits = word.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match word.parse::<f64>() {
        Ok(value) if digits && value.is_finite() => Label::Number(Number::Float(value)),
        _ => Label::from(word),
    }
}

/// Reads a mask text from left to right.
struct Scan<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Scan {
            text,
            rest: text.trim_start(),
        }
    }

    fn expected<T>(&self, expected: &str) -> Result<T> {
        let position = self.text[..self.text.len() - self.rest.len()]
            .chars()
            .count()
            + 1;
        Err(Error::MaskSyntax {
            text: self.text.to_owned(),
            position,
            expected: expected.to_owned(),
        })
    }

    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    /// A quoted text, or an unquoted one up to one of `ends`, trimmed.
    fn word(&mut self, ends: &[char], expected: &str) -> Result<(String, bool)> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let end = self.rest.find(ends).unwrap_or(self.rest.len());
            let word = self.rest[..end].trim_end();
            if word.is_empty() {
                return self.expected(expected);
            }
            self.rest = &self.rest[end..];
            return Ok((word.to_owned(), false));
        };
        let mut word = String::new();
        let mut escaped = false;
        for (position, c) in self.rest.char_indices().skip(1) {
            if escaped {
                word.push(c);
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                self.rest = self.rest[position + 1..].trim_start();
                return Ok((word, true));
            } else {
                word.push(c);
            }
        }
        self.expected(&format!("a closing {quote} for this text"))
    }

    fn label(&mut self) -> Result<Label> {
        let (word, is_quoted) = self.word(&[',', ']', '[', '='], "a label")?;
        Ok(if is_quoted {
            Label::Text(word)
        } else {
            bare_label(&word)
        })
    }

    /// The name before a colon, if the text begins with one.
    fn measurement(&mut self) -> Result<Option<String>> {
        let start = self.rest;
        let (word, _) = self.word(&[':', '=', ','], "a measurement or a flag")?;
        if self.take(':') {
            return Ok(Some(word));
        }
        self.rest = start;
        Ok(None)
    }

    fn request(mut self) -> Result<MaskRequest> {
        let mut request = MaskRequest::new();
        if self.rest.is_empty() {
            return self.expected("a flag");
        }
        loop {
            let (flag, _) = self.word(&['=', ',', ':', '[', ']'], "a flag")?;
            if !self.take('=') {
                return self.expected("`=` and a label after the flag");
            }
            let mut labels = Vec::new();
            if self.take('[') {
                loop {
                    labels.push(self.label()?);
                    if self.take(']') {
                        break;
                    }
                    if !self.take(',') {
                        return self.expected("`,` or `]`");
                    }
                }
            } else {
                labels.push(self.label()?);
            }
            request = request.any_of(flag, labels);
            if self.rest.is_empty() {
                return Ok(request);
            }
            if !self.take(',') {
                return self.expected("`,` and the next flag");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: MaskRequest) {
        assert_eq!(text.parse::<MaskRequest>().expect(text), expected, "{text}");
    }

    #[test]
    fn text_becomes_a_request() {
        check(
            "cloud=high_confidence",
            MaskRequest::new().flag("cloud", "high_confidence"),
        );
        check(
            " nodata = false ,cloud_confidence=[ low,medium ] ",
            MaskRequest::new()
                .flag("nodata", false)
                .any_of("cloud_confidence", ["low", "medium"]),
        );
        check(
            "a=1, b=1.5, c=None",
            MaskRequest::new()
                .flag("a", 1)
                .flag("b", 1.5)
                .flag("c", Label::Null),
        );
        check("a=\"1\", b='x, y]', c=Land/Water (x)", {
            MaskRequest::new()
                .flag("a", "1")
                .flag("b", "x, y]")
                .flag("c", "Land/Water (x)")
        });
        let expression: MaskExpression = "qa_pixel: cloud=high".parse().expect("valid");
        assert_eq!(expression.measurement.as_deref(), Some("qa_pixel"));
        let expression: MaskExpression = "cloud=high".parse().expect("valid");
        assert_eq!(expression.measurement, None);
    }

    #[test]
    fn faults_have_a_place() {
        for (text, position) in [
            ("", 1),
            ("cloud", 6),
            ("cloud=", 7),
            ("cloud=a b=c", 10),
            ("cloud=[a, b", 12),
            ("cloud=[]", 8),
            ("cloud=a,", 9),
            ("cloud='a", 7),
            ("é=[a=]", 5),
        ] {
            match text.parse::<MaskRequest>() {
                Err(Error::MaskSyntax {
                    position: found, ..
                }) => assert_eq!(found, position, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn parse_of_print_is_the_request(
            conditions in prop::collection::vec(
                ("[a-z_:,= '\"\\\\-]{1,8}", prop::collection::vec("\\PC{1,8}|true|12|-1.5", 1..4)), 1..4,
            ),
            measurement in prop::option::of("[a-z:\"' ]{1,8}"),
        ) {
            let mut request = MaskRequest::new();
            for (flag, labels) in conditions {
                request = request.any_of(flag, labels);
            }
            let expression = MaskExpression { measurement, request };
            let text = expression.to_string();
            prop_assert_eq!(text.parse::<MaskExpression>().ok(), Some(expression), "{}", text);
        }
    }
}
