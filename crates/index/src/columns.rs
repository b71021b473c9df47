//! What a field holds for a dataset: to be shown, and to be compared by.
//!
//! Lists of chosen fields, orders and groups of equals all read datasets
//! through a [`Column`], so that they mean the same in every index.

use std::sync::Arc;

use datacube_model::{Dataset, FieldValue, Number, Product};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::fields::{self, FieldClass, SearchFields};
use crate::footprint::{Footprint, LonLatBox};
use crate::query::Query;
use crate::record::{IndexedValue, sortable, system_value};
use crate::time_range::micros;

/// Fields that can be shown and ordered by, but not searched as such.
const SHOWN_ONLY: [&str; 2] = ["archived", "uri"];

/// One field of datasets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Id,
    Product,
    MetadataType,
    /// When it was archived.
    Archived,
    IndexedTime,
    /// The first active location.
    Uri,
    Time,
    Lat,
    Lon,
    /// A search field of the metadata types, or what they have in its place
    /// for every dataset (label, format, creation time).
    Stored(String),
}

/// A value as it is compared: of ranges first the lower end, then the upper.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    Text(String),
    /// Numbers as [`sortable`] integers, times in microseconds, booleans.
    Pair(i64, i64),
    Id(Uuid),
}

impl Column {
    /// The columns of those names in the products that a query is about.
    ///
    /// # Errors
    /// [`Error::UnknownField`] for a name that none of the products has.
    pub(crate) fn all(
        names: &[String],
        query: &Query,
        products: &[Arc<Product>],
    ) -> Result<Vec<Self>> {
        let scope = fields::scope(products, &query.products)?;
        names
            .iter()
            .map(|name| Self::named(name, query, products, &scope))
            .collect()
    }

    /// The column of a name whose values can be put in order.
    ///
    /// # Errors
    /// As [`Column::all`]; [`Error::InvalidQuery`] for objects, and where
    /// products disagree about what the field holds.
    pub(crate) fn to_order_by(
        name: &str,
        query: &Query,
        products: &[Arc<Product>],
    ) -> Result<Self> {
        let scope = fields::scope(products, &query.products)?;
        let column = Self::named(name, query, products, &scope)?;
        if let Column::Stored(name) = &column
            && let Some(FieldClass::Object) = fields::common_class(name, &scope)?
        {
            return Err(Error::invalid_query(format!(
                "`{name}` holds objects, which have no order; order by another field"
            )));
        }
        Ok(column)
    }

    fn named(
        name: &str,
        query: &Query,
        products: &[Arc<Product>],
        scope: &[&Arc<Product>],
    ) -> Result<Self> {
        Ok(match name {
            "id" => Column::Id,
            "product" => Column::Product,
            "metadata_type" => Column::MetadataType,
            "archived" => Column::Archived,
            "indexed_time" => Column::IndexedTime,
            "uri" => Column::Uri,
            "time" => Column::Time,
            "lat" => Column::Lat,
            "lon" => Column::Lon,
            _ => {
                let is_known = scope
                    .iter()
                    .any(|p| fields::class_in(p.metadata_type(), name).is_some());
                let is_native = fields::NATIVE.iter().any(|(native, _)| *native == name);
                if !is_known && !is_native {
                    let mut known = SearchFields::of(products, &query.products)?.names();
                    known.extend(SHOWN_ONLY.map(str::to_owned));
                    known.sort();
                    return Err(Error::UnknownField {
                        field: name.to_owned(),
                        products: query.products.clone(),
                        known,
                    });
                }
                Column::Stored(name.to_owned())
            }
        })
    }

    /// Whether the value to show is known without the document. Times are not
    /// among them: a document may have them finer than an index keeps them.
    pub(crate) fn is_told_by_rows(&self) -> bool {
        match self {
            Column::Id
            | Column::Product
            | Column::MetadataType
            | Column::Archived
            | Column::IndexedTime
            | Column::Uri => true,
            Column::Time | Column::Lat | Column::Lon | Column::Stored(_) => false,
        }
    }

    /// As [`Column::value`], of a column that [`Column::is_told_by_rows`].
    pub(crate) fn value_of_row(
        &self,
        id: Uuid,
        product: &Product,
        archived: Option<Timestamp>,
        indexed: Option<Timestamp>,
        uri: Option<&str>,
    ) -> Value {
        match self {
            Column::Id => id.to_string().into(),
            Column::Product => product.name().into(),
            Column::MetadataType => product.metadata_type().name().into(),
            Column::Archived => shown_time(archived),
            Column::IndexedTime => shown_time(indexed),
            Column::Uri => uri.into(),
            Column::Time | Column::Lat | Column::Lon | Column::Stored(_) => Value::Null,
        }
    }

    /// The value to show; null for none.
    pub(crate) fn value(&self, dataset: &Dataset) -> Value {
        match self {
            Column::Id
            | Column::Product
            | Column::MetadataType
            | Column::Archived
            | Column::IndexedTime
            | Column::Uri => self.value_of_row(
                dataset.id(),
                dataset.product(),
                dataset.archived(),
                dataset.indexed(),
                dataset.uri(),
            ),
            Column::Time => {
                let (begin, end) = dataset.time_range();
                json!({"begin": begin.to_string(), "end": end.to_string()})
            }
            Column::Lat | Column::Lon => {
                let name = if *self == Column::Lat { "lat" } else { "lon" };
                match (dataset.field(name), dataset.lonlat_bounds()) {
                    (Some(value), _) => shown(value),
                    (None, Some(bounds)) if *self == Column::Lat => {
                        json!({"begin": bounds.bottom, "end": bounds.top})
                    }
                    (None, Some(bounds)) => json!({"begin": bounds.left, "end": bounds.right}),
                    (None, None) => Value::Null,
                }
            }
            Column::Stored(name) => match dataset.field(name) {
                Some(value) => shown(value),
                None => offset_value(name, dataset).cloned().unwrap_or_default(),
            },
        }
    }

    /// The value to compare by.
    pub(crate) fn key(&self, dataset: &Dataset) -> Option<Key> {
        let bounds = match self {
            Column::Lat | Column::Lon => Footprint::of_dataset(dataset).map(|f| f.bounds()),
            _ => None,
        };
        self.key_within(dataset, bounds)
    }

    /// As [`Column::key`], for a dataset whose bounds are known.
    pub(crate) fn key_within(&self, dataset: &Dataset, bounds: Option<LonLatBox>) -> Option<Key> {
        let at = |instant: Timestamp| Key::Pair(micros(instant), micros(instant));
        let degrees = |low: f64, high: f64| Key::Pair(sortable(low + 0.0), sortable(high + 0.0));
        match self {
            Column::Id => Some(Key::Id(dataset.id())),
            Column::Product => Some(Key::Text(dataset.product().name().to_owned())),
            Column::MetadataType => {
                let name = dataset.product().metadata_type().name();
                Some(Key::Text(name.to_owned()))
            }
            Column::Archived => dataset.archived().map(at),
            Column::IndexedTime => dataset.indexed().map(at),
            Column::Uri => dataset.uri().map(|uri| Key::Text(uri.to_owned())),
            Column::Time => {
                let (begin, end) = dataset.time_range();
                Some(Key::Pair(micros(begin), micros(end).max(micros(begin))))
            }
            Column::Lat => bounds.map(|b| degrees(b.south, b.north)),
            Column::Lon => bounds.map(|b| degrees(b.west, b.east)),
            Column::Stored(name) => {
                let value = match dataset.field(name) {
                    Some(value) => IndexedValue::of(value),
                    None => system_value(name, offset_value(name, dataset)?),
                };
                value.map(|value| value.key())
            }
        }
    }
}

impl IndexedValue {
    /// The value to compare by.
    pub(crate) fn key(&self) -> Key {
        match self {
            IndexedValue::Text(text) => Key::Text(text.clone()),
            IndexedValue::Number(low, high) => Key::Pair(sortable(*low), sortable(*high)),
            IndexedValue::Time(low, high) => Key::Pair(*low, *high),
            IndexedValue::Bool(value) => Key::Pair((*value).into(), (*value).into()),
        }
    }
}

/// What a document has in the place that its type names for every dataset,
/// unless the type declares a search field of that name.
fn offset_value<'d>(name: &str, dataset: &'d Dataset) -> Option<&'d Value> {
    let metadata_type = dataset.product().metadata_type();
    let (_, offset) = fields::SYSTEM_OFFSETS
        .iter()
        .find(|(native, _)| *native == name)?;
    if metadata_type.field(name).is_some() {
        return None;
    }
    metadata_type.system_value(offset, dataset.document())
}

fn shown_time(time: Option<Timestamp>) -> Value {
    time.map(|time| time.to_string()).into()
}

fn shown_number(number: Number) -> Value {
    match number {
        Number::Int(value) => i64::try_from(value)
            .map(Value::from)
            .or_else(|_| u64::try_from(value).map(Value::from))
            .unwrap_or_else(|_| number.as_f64().into()),
        // What JSON cannot write becomes null.
        Number::Float(value) => value.into(),
    }
}

fn shown(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => text.as_str().into(),
        FieldValue::Number(number) => shown_number(*number),
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::Time(instant) => instant.to_string().into(),
        FieldValue::NumberRange { begin, end } => {
            json!({"begin": begin.map(shown_number), "end": end.map(shown_number)})
        }
        FieldValue::TimeRange { begin, end } => {
            json!({"begin": shown_time(*begin), "end": shown_time(*end)})
        }
        FieldValue::Object(value) => value.clone(),
        _ => Value::Null,
    }
}
