//! Questions about flags, written down before the definition is known.
//!
//! A [`MaskRequest`] holds names and labels only, so that it can be typed on a
//! command line and sent in a plan. With a definition it becomes a
//! [`MaskTest`]: all of its clauses have to pass, each of which is a list of
//! alternatives. All conditions of one label each fall together into a single
//! mask and value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Conjunction, FlagsDefinition, Label, MaskValue};
use crate::Number;
use crate::error::{Error, Result};

/// Conditions on flags that all have to hold; each allows one label or more.
///
/// ```
/// use datacube_model::MaskRequest;
/// let typed: MaskRequest = "cloud=not_high_confidence, cloud_confidence=[none, low], nodata=false".parse()?;
/// let built = MaskRequest::new()
///     .flag("cloud", "not_high_confidence")
///     .any_of("cloud_confidence", ["none", "low"])
///     .flag("nodata", false);
/// assert_eq!(typed, built);
/// # Ok::<(), datacube_model::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskRequest {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Condition {
    flag: String,
    labels: Vec<Label>,
}

impl MaskRequest {
    /// The request that every pixel meets.
    pub fn new() -> Self {
        MaskRequest::default()
    }

    /// Adds: `flag` has this label.
    #[must_use]
    pub fn flag(self, flag: impl Into<String>, label: impl Into<Label>) -> Self {
        self.any_of(flag, [label])
    }

    /// Adds: `flag` has one of these labels. Without labels no pixel passes.
    #[must_use]
    pub fn any_of<L: Into<Label>>(
        mut self,
        flag: impl Into<String>,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        let labels = labels.into_iter().map(Into::into).collect();
        self.conditions.push(Condition {
            flag: flag.into(),
            labels,
        });
        self
    }

    /// Flag and labels of every condition.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &[Label])> {
        self.conditions
            .iter()
            .map(|condition| (condition.flag.as_str(), condition.labels.as_slice()))
    }

    /// The test of bits that the request means under a definition.
    ///
    /// A label of several codes stands for any of them. A word that looks like
    /// a number or a boolean also finds the label that is the same text.
    ///
    /// # Errors
    /// [`Error::UnknownFlag`], [`Error::UnknownFlagValue`], and
    /// [`Error::ContradictingFlags`] where conditions of one label each cannot
    /// hold together.
    pub fn resolve(&self, flags: &FlagsDefinition) -> Result<MaskTest> {
        let mut all = Conjunction::default();
        let mut clauses = Vec::new();
        for Condition { flag: name, labels } in &self.conditions {
            let flag = flags.flag(name)?;
            let mut alternatives: Vec<MaskValue> = Vec::new();
            for label in labels {
                let mut codes = flag.codes(label);
                if codes.is_empty() && !matches!(label, Label::Text(_)) {
                    codes = flag.codes(&Label::Text(label.text()));
                }
                if codes.is_empty() {
                    return Err(flag.unknown_value(name, label));
                }
                for code in codes {
                    let test = flag.test(code);
                    if !alternatives.contains(&test) {
                        alternatives.push(test);
                    }
                }
            }
            match alternatives.as_slice() {
                [only] => all.add(format!("{name}={}", labels[0]), *only)?,
                _ => clauses.push(alternatives),
            }
        }
        if all.test.mask != 0 {
            clauses.insert(0, vec![all.test]);
        }
        Ok(MaskTest { clauses })
    }
}

/// A request as a test of bits: a pixel passes when in every clause at least
/// one alternative matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaskTest {
    clauses: Vec<Vec<MaskValue>>,
}

impl MaskTest {
    /// The clauses; the first one has a single alternative where conditions
    /// of one label were asked for.
    pub fn clauses(&self) -> &[Vec<MaskValue>] {
        &self.clauses
    }

    /// The one mask and value that this test is, where no clause has
    /// alternatives.
    pub fn as_single(&self) -> Option<MaskValue> {
        match self.clauses.as_slice() {
            [] => Some(MaskValue::default()),
            [clause] if clause.len() == 1 => Some(clause[0]),
            _ => None,
        }
    }

    /// Whether a pixel passes; a negative one is given sign-extended.
    pub fn matches(&self, pixel: u64) -> bool {
        self.clauses
            .iter()
            .all(|clause| clause.iter().any(|test| test.matches(pixel)))
    }
}

/// A request and the measurement that carries the flags:
/// `qa_pixel: cloud=not_high_confidence, cloud_confidence=[low, medium]`.
///
/// Without the part before the colon, the measurement is left to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MaskExpression {
    /// The measurement, where it is named.
    pub measurement: Option<String>,
    /// The conditions.
    pub request: MaskRequest,
}

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
        for (position, condition) in self.conditions.iter().enumerate() {
            let comma = if position > 0 { ", " } else { "" };
            write!(f, "{comma}{}=", quoted(&condition.flag, false))?;
            match condition.labels.as_slice() {
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
        && !(value && !matches!(bare_label(text), Label::Text(_)));
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
    use serde_json::json;

    use super::super::tests::qa_pixel;
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

    #[test]
    fn requests_resolve() {
        let flags = qa_pixel();
        let resolve = |text: &str| text.parse::<MaskRequest>().expect(text).resolve(&flags);
        let single = resolve("cloud=not_high_confidence, nodata=false")
            .expect("known")
            .as_single();
        assert_eq!(single, Some(MaskValue { mask: 9, value: 0 }));
        let test = resolve("cloud_confidence=[low, medium], nodata=0").expect("known");
        assert_eq!(test.as_single(), None);
        assert_eq!(test.clauses().len(), 2);
        for (pixel, passes) in [
            (0x100, true),
            (0x200, true),
            (0x300, false),
            (0x000, false),
            (0x101, false),
        ] {
            assert_eq!(test.matches(pixel), passes, "{pixel:#x}");
        }
        assert_eq!(
            MaskRequest::new().resolve(&flags).expect("all").as_single(),
            Some(MaskValue::default())
        );
        let nothing = MaskRequest::new()
            .any_of("cloud", Vec::<Label>::new())
            .resolve(&flags)
            .expect("none");
        assert!(!nothing.matches(0) && nothing.as_single().is_none());
        assert!(resolve("cloud=maybe").is_err());
        assert!(resolve("cloud_confidence=low, cloud_confidence=high").is_err());
    }

    #[test]
    fn labels_of_several_codes_mean_any_of_them() {
        let flags = FlagsDefinition::from_document(json!({
            "qa": {"bits": [0, 1, 2], "values": {"0": "unused", "1": "x", "2": "unused", "3": "1"}}
        }))
        .expect("valid");
        let test = "qa=unused"
            .parse::<MaskRequest>()
            .expect("valid")
            .resolve(&flags)
            .expect("known");
        assert!(test.matches(0) && test.matches(2) && !test.matches(1));
        let test = "qa=1"
            .parse::<MaskRequest>()
            .expect("valid")
            .resolve(&flags)
            .expect("the text 1");
        assert_eq!(test.as_single(), Some(MaskValue { mask: 7, value: 3 }));
        assert!(matches!(
            flags.create_mask_value(&[("qa", "unused".into())]),
            Err(Error::AmbiguousFlagValue { codes, .. }) if codes == [0, 2]
        ));
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
