//! What goes into the tables of `odc` for a dataset, as Python puts it there.
//!
//! The document gets the parts that Python's reader relies on (`extent`,
//! `grid_spatial`); every search field goes to the table of its type, whatever
//! the metadata type says about indexing. A missing text is a row with a null
//! and a missing number or time one with a range that has no ends: without
//! the row, Python would leave the dataset out where the field is listed.
//!
//! # Source
//! datacube-core 1.9.22, `datacube/index/eo3.py` (`prep_eo3`),
//! `datacube/drivers/postgis/{_api,_fields}.py` (`extract_dataset_fields`).

use datacube_model::{Dataset, FieldKind, FieldValue};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::sql::MAX_INDEXED_TEXT;
use crate::record::{IndexedValue, Record, system_value};
use crate::time_range::micros;

/// Rows of the three tables of search fields: name and value.
#[derive(Debug, Default)]
pub(super) struct SearchRows {
    pub(super) texts: Vec<(String, Option<String>)>,
    pub(super) numbers: Vec<(String, Option<f64>, Option<f64>)>,
    pub(super) times: Vec<(String, Option<i64>, Option<i64>)>,
}

impl SearchRows {
    /// The rows of a dataset.
    pub(super) fn of(dataset: &Dataset, record: &Record) -> Self {
        let metadata_type = dataset.product().metadata_type();
        let mut rows = SearchRows::default();
        for (name, offset) in [
            ("creation_time", "creation_dt"),
            ("format", "format"),
            ("label", "label"),
        ] {
            if metadata_type.field(name).is_some() {
                continue;
            }
            let found = metadata_type.system_value(offset, dataset.document());
            match found.and_then(|value| system_value(name, value)) {
                Some(IndexedValue::Time(begin, end)) => rows.time(name, Some(begin), Some(end)),
                Some(IndexedValue::Text(text)) => rows.text(name, Some(text)),
                _ if name == "creation_time" => rows.time(name, None, None),
                _ => rows.text(name, None),
            }
        }
        for (name, field) in metadata_type.fields() {
            match name.as_str() {
                "time" if field.kind == FieldKind::DatetimeRange => {
                    rows.time(name, Some(record.begin_us), Some(record.end_us));
                }
                "lat" | "lon" if field.kind.is_range() => {
                    if let Some(bounds) = dataset.lonlat_bounds() {
                        let (low, high) = if name == "lat" {
                            (bounds.bottom, bounds.top)
                        } else {
                            (bounds.left, bounds.right)
                        };
                        rows.number(name, Some(low), Some(high));
                    }
                }
                _ => rows.field(name, field.kind, dataset.field(name)),
            }
        }
        rows
    }

    fn field(&mut self, name: &str, kind: FieldKind, value: Option<&FieldValue>) {
        let end = |us: Option<Timestamp>| us.map(micros);
        match (kind, value) {
            (FieldKind::String, Some(FieldValue::Text(text))) => {
                self.text(name, Some(text.clone()));
            }
            (FieldKind::String, _) => self.text(name, None),
            (FieldKind::Numeric | FieldKind::Double | FieldKind::Integer, value) => match value {
                Some(FieldValue::Number(number)) => {
                    let number = number.as_f64();
                    // What is no number has no row.
                    if !number.is_nan() {
                        self.number(name, Some(number), Some(number));
                    }
                }
                _ => self.number(name, None, None),
            },
            (FieldKind::Boolean, Some(FieldValue::Bool(value))) => {
                let number = f64::from(u8::from(*value));
                self.number(name, Some(number), Some(number));
            }
            (FieldKind::Datetime, Some(FieldValue::Time(instant))) => {
                self.time(name, Some(micros(*instant)), Some(micros(*instant)));
            }
            (FieldKind::Datetime, _) => self.time(name, None, None),
            (_, Some(FieldValue::NumberRange { begin, end })) => {
                let ends = [begin, end].map(|end| end.as_ref().map(|n| n.as_f64()));
                if !ends.iter().flatten().any(|end| end.is_nan()) {
                    self.number(name, ends[0], ends[1]);
                }
            }
            (_, Some(FieldValue::TimeRange { begin, end: last })) => {
                self.time(name, end(*begin), end(*last));
            }
            // Python has no table for other types, nor for ranges without a value.
            _ => {}
        }
    }

    fn text(&mut self, name: &str, text: Option<String>) {
        // An entry of an index cannot be longer.
        let text = text.filter(|text| text.len() <= MAX_INDEXED_TEXT);
        self.texts.push((name.to_owned(), text));
    }

    fn number(&mut self, name: &str, low: Option<f64>, high: Option<f64>) {
        let finite = |end: Option<f64>| end.filter(|end| end.is_finite());
        let (low, high) = (finite(low), finite(high));
        let (low, high) = match (low, high) {
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            ends => ends,
        };
        self.numbers.push((name.to_owned(), low, high));
    }

    fn time(&mut self, name: &str, begin: Option<i64>, end: Option<i64>) {
        let (begin, end) = match (begin, end) {
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            ends => ends,
        };
        self.times.push((name.to_owned(), begin, end));
    }
}

/// The values of a record as `datacube.dataset.fields` has them.
pub(super) fn fields_of(record: &Record) -> String {
    let number = |value: f64| {
        if value.is_finite() {
            json!(value)
        } else {
            // As PostgreSQL reads it.
            json!(if value > 0.0 { "Infinity" } else { "-Infinity" })
        }
    };
    let values: Map<String, Value> = record
        .values
        .iter()
        .map(|(name, value)| {
            let value = match value {
                IndexedValue::Text(text) => json!(text),
                IndexedValue::Bool(value) => json!(value),
                IndexedValue::Number(low, high) => json!([number(*low), number(*high)]),
                IndexedValue::Time(low, high) => json!([low, high]),
            };
            (name.clone(), value)
        })
        .collect();
    Value::Object(values).to_string()
}
