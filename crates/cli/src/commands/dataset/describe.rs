//! A dataset in words, in the order in which ODC prints it.

use datacube::model::{Dataset, FieldValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::output::{self, Row};

/// What is known of a dataset.
pub(super) fn describe(dataset: &Dataset) -> Row {
    let mut row = Row::new();
    row.insert("id".into(), dataset.id().to_string().into());
    row.insert("product".into(), dataset.product().name().into());
    row.insert("status".into(), status(dataset).into());
    row.insert(
        "indexed".into(),
        dataset.indexed().map(|time| time.to_string()).into(),
    );
    let active: Vec<&str> = dataset.active_uris().collect();
    match active.as_slice() {
        [] => row.insert("location".into(), Value::Null),
        [only] => row.insert("location".into(), (*only).into()),
        several => row.insert("locations".into(), json!(several)),
    };
    let archived: Vec<&str> = dataset
        .locations()
        .iter()
        .filter(|location| !location.is_active())
        .map(|location| location.uri.as_str())
        .collect();
    if !archived.is_empty() {
        row.insert("archived_locations".into(), json!(archived));
    }
    let fields: Map<String, Value> = dataset
        .fields()
        .iter()
        .map(|(name, value)| (name.clone(), field_json(value)))
        .collect();
    row.insert("fields".into(), fields.into());
    row
}

/// What a table or CSV has room for.
pub(super) fn summarise(dataset: &Dataset) -> Row {
    let mut row = Row::new();
    row.insert("id".into(), dataset.id().to_string().into());
    row.insert("product".into(), dataset.product().name().into());
    row.insert("status".into(), status(dataset).into());
    row.insert("time".into(), dataset.center_time().to_string().into());
    row.insert("location".into(), dataset.uri().into());
    row
}

fn status(dataset: &Dataset) -> &'static str {
    if dataset.is_archived() {
        "archived"
    } else {
        "active"
    }
}

/// A field as documents have it; ranges as `{begin, end}`.
pub(crate) fn field_json(value: &FieldValue) -> Value {
    let time = |time: &Timestamp| Value::from(time.to_string());
    match value {
        FieldValue::Text(text) => text.clone().into(),
        FieldValue::Number(number) => output::number_json(*number),
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::Time(instant) => time(instant),
        FieldValue::NumberRange { begin, end } => {
            json!({ "begin": begin.map(output::number_json), "end": end.map(output::number_json) })
        }
        FieldValue::TimeRange { begin, end } => {
            json!({ "begin": begin.as_ref().map(time), "end": end.as_ref().map(time) })
        }
        FieldValue::Object(value) => value.clone(),
        other => format!("{other:?}").into(),
    }
}
