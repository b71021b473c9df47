//! Search fields, and their values in a document.
//!
//! A range takes the least of the values that its lower paths lead to and the
//! greatest of those of its upper paths; what a path does not find is skipped.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Offset;
use crate::Number;
use crate::dataset::parse_time;
use crate::document::{DocPath, Problem, ProblemKind, number_of};

/// The type of a search field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FieldKind {
    /// Text; numbers and booleans are taken as they are written.
    String,
    /// A number.
    Numeric,
    /// A floating-point number.
    Double,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A time.
    Datetime,
    /// Any value.
    Object,
    /// From one number to another.
    NumericRange,
    /// From one floating-point number to another.
    DoubleRange,
    /// From one whole number to another.
    IntegerRange,
    /// From one time to another.
    DatetimeRange,
}

impl FieldKind {
    /// Every type.
    pub const ALL: [FieldKind; 11] = [
        FieldKind::String,
        FieldKind::Numeric,
        FieldKind::Double,
        FieldKind::Integer,
        FieldKind::Boolean,
        FieldKind::Datetime,
        FieldKind::Object,
        FieldKind::NumericRange,
        FieldKind::DoubleRange,
        FieldKind::IntegerRange,
        FieldKind::DatetimeRange,
    ];

    /// The name in a metadata type document.
    pub fn name(self) -> &'static str {
        match self {
            FieldKind::String => "string",
            FieldKind::Numeric => "numeric",
            FieldKind::Double => "double",
            FieldKind::Integer => "integer",
            FieldKind::Boolean => "boolean",
            FieldKind::Datetime => "datetime",
            FieldKind::Object => "object",
            FieldKind::NumericRange => "numeric-range",
            FieldKind::DoubleRange => "double-range",
            FieldKind::IntegerRange => "integer-range",
            FieldKind::DatetimeRange => "datetime-range",
        }
    }

    /// The type of a name; `float-range` is an old name of `numeric-range`,
    /// `any` one of `object`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "float-range" => Some(FieldKind::NumericRange),
            "any" => Some(FieldKind::Object),
            _ => FieldKind::ALL.into_iter().find(|kind| kind.name() == name),
        }
    }

    /// Whether values of the type have a begin and an end.
    pub fn is_range(self) -> bool {
        matches!(
            self,
            FieldKind::NumericRange
                | FieldKind::DoubleRange
                | FieldKind::IntegerRange
                | FieldKind::DatetimeRange
        )
    }
}

/// Where the value of a field is in a dataset document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSource {
    /// At the end of one path.
    Offset(Offset),
    /// Between the least value of some paths and the greatest of others.
    Range {
        /// Candidates of the lower end.
        min: Vec<Offset>,
        /// Candidates of the upper end.
        max: Vec<Offset>,
    },
}

/// A field by which datasets can be searched.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchField {
    /// The name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The type of its values.
    pub kind: FieldKind,
    /// Whether an index may keep the field ready for search; it can be
    /// searched all the same where not.
    pub indexed: bool,
    /// Where it is in a document.
    pub source: FieldSource,
}

/// The value of a search field.
///
/// Of a range at least one end is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// A number.
    Number(Number),
    /// True or false.
    Bool(bool),
    /// A time.
    Time(Timestamp),
    /// From one number to another, both included.
    NumberRange {
        /// The lower end.
        begin: Option<Number>,
        /// The upper end.
        end: Option<Number>,
    },
    /// From one time to another, both included.
    TimeRange {
        /// The lower end.
        begin: Option<Timestamp>,
        /// The upper end.
        end: Option<Timestamp>,
    },
    /// Any other value.
    Object(Value),
}

impl SearchField {
    /// The value of the field in a document.
    ///
    /// `None` when the document does not have it, or has null there.
    ///
    /// # Errors
    /// A value that is not of the field's type, as a problem of the document.
    pub fn extract(&self, document: &Value) -> Result<Option<FieldValue>, Problem> {
        self.extract_with(|offset| super::get_in(document, offset).map(Cow::Borrowed))
    }

    /// Every path to the field.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = &Offset> {
        let (first, others): (_, [&[Offset]; 2]) = match &self.source {
            FieldSource::Offset(offset) => (Some(offset), [&[], &[]]),
            FieldSource::Range { min, max } => (None, [min, max]),
        };
        first.into_iter().chain(others.into_iter().flatten())
    }

    /// As [`Self::extract`], from whatever finds a value at an offset.
    pub(crate) fn extract_with<'d>(
        &self,
        find: impl Fn(&Offset) -> Option<Cow<'d, Value>>,
    ) -> Result<Option<FieldValue>, Problem> {
        let found = |offset: &Offset| find(offset).filter(|value| !value.is_null());
        match &self.source {
            FieldSource::Offset(offset) => found(offset)
                .map(|value| scalar(self.kind, offset, &value))
                .transpose(),
            FieldSource::Range { min, max } if self.kind == FieldKind::DatetimeRange => {
                let times = |offsets: &[Offset]| -> Result<Vec<Timestamp>, Problem> {
                    offsets
                        .iter()
                        .filter_map(|offset| Some(time(offset, &*found(offset)?)))
                        .collect()
                };
                let (begin, end) = (times(min)?.into_iter().min(), times(max)?.into_iter().max());
                Ok((begin.is_some() || end.is_some())
                    .then_some(FieldValue::TimeRange { begin, end }))
            }
            FieldSource::Range { min, max } => {
                let kind = match self.kind {
                    FieldKind::IntegerRange => FieldKind::Integer,
                    _ => FieldKind::Double,
                };
                let numbers = |offsets: &[Offset]| -> Result<Vec<Number>, Problem> {
                    offsets
                        .iter()
                        .filter_map(|offset| Some(number(kind, offset, &*found(offset)?)))
                        .collect()
                };
                let by_value = |a: &Number, b: &Number| a.as_f64().total_cmp(&b.as_f64());
                let begin = numbers(min)?.into_iter().min_by(by_value);
                let end = numbers(max)?.into_iter().max_by(by_value);
                Ok((begin.is_some() || end.is_some())
                    .then_some(FieldValue::NumberRange { begin, end }))
            }
        }
    }
}

fn wrong(offset: &Offset, value: &Value, expected: &str) -> Problem {
    Problem::new(
        DocPath::root().keys(offset),
        ProblemKind::WrongType,
        expected,
    )
    .found(value)
}

fn scalar(kind: FieldKind, offset: &Offset, value: &Value) -> Result<FieldValue, Problem> {
    match kind {
        FieldKind::String => match value {
            Value::String(text) => Ok(FieldValue::Text(text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok(FieldValue::Text(value.to_string())),
            // Python writes lists and objects as text as well; as JSON they can at least be read again.
            _ => Ok(FieldValue::Text(value.to_string())),
        },
        FieldKind::Boolean => match value {
            Value::Bool(value) => Ok(FieldValue::Bool(*value)),
            Value::Number(number) if number.as_f64() == Some(0.0) => Ok(FieldValue::Bool(false)),
            Value::Number(number) if number.as_f64() == Some(1.0) => Ok(FieldValue::Bool(true)),
            _ => Err(wrong(offset, value, "true or false")),
        },
        FieldKind::Datetime => time(offset, value).map(FieldValue::Time),
        FieldKind::Object => Ok(FieldValue::Object(value.clone())),
        _ => number(kind, offset, value).map(FieldValue::Number),
    }
}

/// A number, also one that is written as text.
fn number(kind: FieldKind, offset: &Offset, value: &Value) -> Result<Number, Problem> {
    let found = match value {
        Value::String(text) => {
            let text = text.trim();
            let whole = text.parse::<i64>().map(Number::from).ok();
            whole.or_else(|| text.parse::<f64>().map(Number::from).ok())
        }
        other => number_of(other),
    };
    let integer = kind == FieldKind::Integer;
    match found {
        Some(Number::Float(value)) if integer && value.fract() == 0.0 && value.abs() < 9e15 =>
        {
            #[allow(clippy::cast_possible_truncation, reason = "whole and small")]
            Ok(Number::from(value as i64))
        }
        Some(Number::Float(_)) if integer => Err(wrong(offset, value, "a whole number")),
        Some(found) => Ok(found),
        None => Err(wrong(offset, value, "a number")),
    }
}

fn time(offset: &Offset, value: &Value) -> Result<Timestamp, Problem> {
    let expected = "a time such as 2022-01-21T15:40:10Z";
    match value {
        Value::String(text) => parse_time(text).map_err(|_| wrong(offset, value, expected)),
        _ => Err(wrong(offset, value, expected)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(kind: FieldKind) -> SearchField {
        let source = if kind.is_range() {
            FieldSource::Range {
                min: vec![vec!["a".into()], vec!["b".into()]],
                max: vec![vec!["b".into()], vec!["c".into()]],
            }
        } else {
            FieldSource::Offset(vec!["p".into(), "x".into()])
        };
        SearchField {
            name: "f".into(),
            description: String::new(),
            kind,
            indexed: true,
            source,
        }
    }

    fn check(kind: FieldKind, value: Value, expected: FieldValue) {
        let document = json!({"p": {"x": value}});
        assert_eq!(
            field(kind).extract(&document).expect("right type"),
            Some(expected)
        );
    }

    #[test]
    fn scalars() {
        check(FieldKind::String, json!("x"), FieldValue::Text("x".into()));
        check(
            FieldKind::String,
            json!(89080),
            FieldValue::Text("89080".into()),
        );
        check(
            FieldKind::Double,
            json!(3),
            FieldValue::Number(Number::Int(3)),
        );
        check(
            FieldKind::Double,
            json!("3.5"),
            FieldValue::Number(Number::Float(3.5)),
        );
        check(
            FieldKind::Integer,
            json!(3.0),
            FieldValue::Number(Number::Int(3)),
        );
        check(FieldKind::Boolean, json!(true), FieldValue::Bool(true));
        check(
            FieldKind::Object,
            json!({"a": 1}),
            FieldValue::Object(json!({"a": 1})),
        );
        assert_eq!(
            field(FieldKind::Double)
                .extract(&json!({"p": {"x": null}}))
                .expect("null"),
            None
        );
        assert_eq!(
            field(FieldKind::Double)
                .extract(&json!({"p": 3}))
                .expect("no such path"),
            None
        );
        let problem = field(FieldKind::Double)
            .extract(&json!({"p": {"x": "n/a"}}))
            .expect_err("text");
        assert_eq!(problem.to_string(), "p.x: expected a number, found \"n/a\"");
        assert!(
            field(FieldKind::Integer)
                .extract(&json!({"p": {"x": 3.5}}))
                .is_err()
        );
        assert!(
            field(FieldKind::Datetime)
                .extract(&json!({"p": {"x": 3.5}}))
                .is_err()
        );
    }

    #[test]
    fn ranges_take_the_least_and_the_greatest() {
        let range = |begin: i64, end: i64| FieldValue::NumberRange {
            begin: Some(begin.into()),
            end: Some(end.into()),
        };
        let of = |document: Value| {
            field(FieldKind::NumericRange)
                .extract(&document)
                .expect("numbers")
        };
        assert_eq!(of(json!({"a": 1, "b": 5, "c": 3})), Some(range(1, 5)));
        assert_eq!(of(json!({"b": 5})), Some(range(5, 5)));
        assert_eq!(
            of(json!({"a": 1})),
            Some(FieldValue::NumberRange {
                begin: Some(Number::Int(1)),
                end: None
            })
        );
        assert_eq!(of(json!({})), None);
        let times = field(FieldKind::DatetimeRange)
            .extract(&json!({"a": "2020-01-02", "b": "2020-01-01T12:00Z"}))
            .expect("times");
        let begin = Some("2020-01-01T12:00:00Z".parse().expect("time"));
        assert_eq!(times, Some(FieldValue::TimeRange { begin, end: begin }));
    }
}
