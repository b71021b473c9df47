//! What is written of a dataset, made from it.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::{Dataset, Product};
use serde_json::Value;

use super::definitions::Definitions;
use crate::catalog::Added;
use crate::differences::same;
use crate::error::{Error, Kind, Result};
use crate::record::{IndexedValue, Record, sortable};

/// The unit of time in the R*Tree: ten days.
const BOX_TIME_US: f64 = 864e9;

/// A time in the units of the R*Tree.
#[allow(
    clippy::cast_precision_loss,
    reason = "the tree rounds outward to 32 bits anyway"
)]
pub(super) fn box_time(us: i64) -> f64 {
    us as f64 / BOX_TIME_US
}

/// A dataset with everything that will be written of it.
pub(super) struct Row {
    pub(super) dataset: Dataset,
    pub(super) product: i64,
    pub(super) record: Record,
    pub(super) text: String,
    pub(super) fields: String,
    pub(super) footprint: Option<Vec<u8>>,
    /// Values of fields that their type calls indexed.
    pub(super) indexed: Vec<(i64, IndexedValue)>,
}

impl Row {
    /// How long the time range is.
    pub(super) fn length_us(&self) -> i64 {
        self.record.end_us - self.record.begin_us
    }
}

/// The rows of datasets, or why there is none.
pub(super) fn make_rows(
    datasets: Vec<Dataset>,
    known: &Definitions,
) -> Vec<(Dataset, Result<Row>)> {
    // Datasets of a batch share their product; comparing it once is enough.
    let mut checked: HashMap<*const Product, i64> = HashMap::new();
    datasets
        .into_iter()
        .map(|dataset| {
            let product = Arc::as_ptr(dataset.product());
            let key = match checked.get(&product) {
                Some(key) => Ok(*key),
                None => check_product(dataset.product(), known),
            };
            let row = key.and_then(|key| {
                checked.insert(product, key);
                make_row(&dataset, key, known)
            });
            (dataset, row)
        })
        .collect()
}

/// The key of a product that the index has in the same definition.
fn check_product(given: &Arc<Product>, known: &Definitions) -> Result<i64> {
    let (key, stored) = known.product(given.name())?;
    if !Arc::ptr_eq(stored, given) {
        let added = same(
            Kind::Product,
            given.name(),
            stored.document(),
            given.document(),
        )?;
        debug_assert_eq!(added, Added::AlreadyThere);
    }
    Ok(*key)
}

pub(super) fn make_row(dataset: &Dataset, product: i64, known: &Definitions) -> Result<Row> {
    let record = Record::of(dataset);
    let metadata_type = dataset.product().metadata_type();
    let mut fields = String::with_capacity(256);
    let mut indexed = Vec::new();
    for (name, value) in &record.values {
        let key = known.extra.fields.get(name).ok_or_else(|| Error::Dataset {
            id: record.id,
            reason: format!("its search field `{name}` is not known to the index"),
            source: None,
        })?;
        let separator = if fields.is_empty() { '{' } else { ',' };
        fields.push(separator);
        fields.push_str(&format!("\"{key}\":{}", json_of(value)));
        if metadata_type.field(name).is_some_and(|field| field.indexed) {
            indexed.push((*key, value.clone()));
        }
    }
    fields.push_str(if fields.is_empty() { "{}" } else { "}" });
    Ok(Row {
        dataset: dataset.clone(),
        product,
        text: dataset.document().to_string(),
        fields,
        footprint: record
            .footprint
            .as_ref()
            .map(|footprint| footprint.to_wkb()),
        indexed,
        record,
    })
}

/// A value as `dataset.fields` has it: what has two ends as a list of both.
fn json_of(value: &IndexedValue) -> String {
    match value {
        IndexedValue::Text(text) => Value::from(text.as_str()).to_string(),
        IndexedValue::Bool(value) => i64::from(*value).to_string(),
        IndexedValue::Number(low, high) => json_pair(sortable(*low), sortable(*high)),
        IndexedValue::Time(low, high) => json_pair(*low, *high),
    }
}

/// Two ends as a JSON list, or the one number that both are.
fn json_pair(low: i64, high: i64) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("[{low},{high}]")
    }
}
