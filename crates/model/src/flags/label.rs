//! The labels of flag values, compared as Python compares them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::Number;
use crate::document::number_of;

/// What a code of a flag means: any scalar that a document can hold.
///
/// Equality is Python's: `false == 0 == 0.0` and `true == 1`, but text equals
/// only text.
#[derive(Clone, Debug)]
pub enum Label {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
}

impl Label {
    pub(crate) fn from_value(value: &Value) -> Option<Label> {
        match value {
            Value::Null => Some(Label::Null),
            Value::Bool(value) => Some(Label::Bool(*value)),
            Value::Number(_) => number_of(value).map(Label::Number),
            Value::String(text) => Some(Label::Text(text.clone())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The label as a document holds it.
    pub fn to_value(&self) -> Value {
        match self {
            Label::Null => Value::Null,
            Label::Bool(value) => Value::Bool(*value),
            Label::Number(Number::Int(value)) => i64::try_from(*value)
                .map(Value::from)
                .or_else(|_| u64::try_from(*value).map(Value::from))
                .unwrap_or_else(|_| Value::from(Number::Int(*value).as_f64())),
            Label::Number(Number::Float(value)) => Value::from(*value),
            Label::Text(text) => Value::String(text.clone()),
        }
    }

    /// The label without quotes.
    pub fn text(&self) -> String {
        match self {
            Label::Null => "null".to_owned(),
            Label::Bool(value) => value.to_string(),
            Label::Number(value) => value.to_string(),
            Label::Text(text) => text.clone(),
        }
    }

    fn as_number(&self) -> Option<Number> {
        match self {
            Label::Bool(value) => Some(Number::Int((*value).into())),
            Label::Number(value) => Some(*value),
            Label::Null | Label::Text(_) => None,
        }
    }
}

impl PartialEq for Label {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Label::Null, Label::Null) => true,
            (Label::Text(a), Label::Text(b)) => a == b,
            _ => {
                matches!((self.as_number(), other.as_number()), (Some(a), Some(b)) if a == b && !a.is_nan())
            }
        }
    }
}

/// Text stands in quotes, everything else as it is.
impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Text(text) => write!(f, "{text:?}"),
            other => f.write_str(&other.text()),
        }
    }
}

impl From<bool> for Label {
    fn from(value: bool) -> Self {
        Label::Bool(value)
    }
}

impl From<i32> for Label {
    fn from(value: i32) -> Self {
        Label::Number(Number::from(i64::from(value)))
    }
}

impl From<i64> for Label {
    fn from(value: i64) -> Self {
        Label::Number(Number::from(value))
    }
}

impl From<f64> for Label {
    fn from(value: f64) -> Self {
        Label::Number(Number::from(value))
    }
}

impl From<&str> for Label {
    fn from(value: &str) -> Self {
        Label::Text(value.to_owned())
    }
}

impl From<String> for Label {
    fn from(value: String) -> Self {
        Label::Text(value)
    }
}

impl Serialize for Label {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        Label::from_value(&value).ok_or_else(|| {
            serde::de::Error::custom("a label is a string, a number, true, false or null")
        })
    }
}
