//! What an index keeps of a dataset beside its document, to find it by.
//!
//! Made from the dataset in one place, so that every index compares the same
//! values: times in whole microseconds, numbers as doubles, footprints in
//! longitude and latitude.

use datacube_model::{Dataset, FieldValue};
use serde_json::Value;
use uuid::Uuid;

use crate::fields;
use crate::footprint::Footprint;
use crate::time_range::micros;

/// The searchable side of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) product: String,
    pub(crate) begin_us: i64,
    pub(crate) end_us: i64,
    pub(crate) footprint: Option<Footprint>,
    /// By name, in order.
    pub(crate) values: Vec<(String, IndexedValue)>,
}

/// A value as it is compared; ranges are closed, and a single value is a range
/// whose ends are equal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum IndexedValue {
    Text(String),
    Number(f64, f64),
    Time(i64, i64),
    Bool(bool),
}

impl Record {
    /// The record of a dataset.
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let product = dataset.product();
        let metadata_type = product.metadata_type();
        let (begin, end) = dataset.time_range();
        let (begin_us, end_us) = (micros(begin), micros(end));
        let mut values: Vec<(String, IndexedValue)> = metadata_type
            .fields()
            .keys()
            .filter(|name| !fields::is_reserved(name))
            .filter_map(|name| Some((name.clone(), IndexedValue::of(dataset.field(name)?)?)))
            .collect();
        for (name, offset) in fields::SYSTEM_OFFSETS {
            if metadata_type.field(name).is_some() {
                continue;
            }
            let found = metadata_type.system_value(offset, dataset.document());
            if let Some(value) = found.and_then(|value| system_value(name, value)) {
                values.push((name.to_owned(), value));
            }
        }
        values.sort_by(|a, b| a.0.cmp(&b.0));
        Record {
            id: dataset.id(),
            product: product.name().to_owned(),
            begin_us,
            end_us: end_us.max(begin_us),
            footprint: Footprint::of_dataset(dataset),
            values,
        }
    }

    /// The middle of the time range, by which datasets are ordered.
    pub(crate) fn center_us(&self) -> i64 {
        self.begin_us + (self.end_us - self.begin_us) / 2
    }

    /// The value of a field.
    pub(crate) fn value(&self, name: &str) -> Option<&IndexedValue> {
        let at = self
            .values
            .binary_search_by(|(own, _)| own.as_str().cmp(name))
            .ok()?;
        Some(&self.values[at].1)
    }
}

/// A number as an integer that is in the same order.
///
/// For storage that keeps integers exactly but not doubles. Zero should be
/// positive.
///
/// # Source
/// IEEE 754, section 5.10 (totalOrder), as `f64::total_cmp` does it.
pub(crate) fn sortable(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

impl IndexedValue {
    /// The value to compare; `None` for what cannot be compared: objects, and NaN.
    pub(crate) fn of(value: &FieldValue) -> Option<Self> {
        let number = |value: f64| {
            if value.is_nan() {
                None
            } else {
                Some(value + 0.0)
            }
        };
        match value {
            FieldValue::Text(text) => Some(IndexedValue::Text(text.clone())),
            FieldValue::Bool(value) => Some(IndexedValue::Bool(*value)),
            FieldValue::Number(value) => {
                let value = number(value.as_f64())?;
                Some(IndexedValue::Number(value, value))
            }
            FieldValue::Time(instant) => {
                let us = micros(*instant);
                Some(IndexedValue::Time(us, us))
            }
            FieldValue::NumberRange { begin, end } => {
                let low = begin.map_or(Some(f64::NEG_INFINITY), |begin| number(begin.as_f64()))?;
                let high = end.map_or(Some(f64::INFINITY), |end| number(end.as_f64()))?;
                Some(IndexedValue::Number(low, high))
            }
            FieldValue::TimeRange { begin, end } => Some(IndexedValue::Time(
                begin.map_or(i64::MIN, micros),
                end.map_or(i64::MAX, micros),
            )),
            _ => None,
        }
    }
}

/// The value of a field that every document has at a place of its type.
pub(crate) fn system_value(name: &str, value: &Value) -> Option<IndexedValue> {
    let text = value.as_str()?;
    if name == "creation_time" {
        let instant = datacube_model::parse_time(text).ok()?;
        return Some(IndexedValue::Time(micros(instant), micros(instant)));
    }
    Some(IndexedValue::Text(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sortable_integers_are_in_the_order_of_the_numbers() {
        let numbers = [
            f64::NEG_INFINITY,
            f64::MIN,
            -1.5,
            -1.0,
            -1e-300,
            -f64::from_bits(1),
            0.0,
            f64::from_bits(1),
            1e-300,
            1.0,
            1.0_f64.next_up(),
            2.0,
            f64::MAX,
            f64::INFINITY,
        ];
        let sorted: Vec<i64> = numbers.iter().map(|number| sortable(*number)).collect();
        assert!(sorted.is_sorted_by(|a, b| a < b), "{sorted:?}");
        assert_eq!(sortable(0.0), 0);
    }
}
