//! The columns of a table: found in the items that it is to hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde_json::{Map, Value};

use crate::row;
use crate::{Error, Result};

/// The zone of times, as an offset: names of zones would need a table of them.
pub(crate) const UTC: &str = "+00:00";

/// What the values of a column are.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Null,
    Bool,
    Int,
    Float,
    Text,
    Time,
    List(Box<Kind>),
    /// Keys in the order in which they were met first.
    Struct(Vec<(String, Kind)>),
    /// JSON as text: what has no one type.
    Json,
}

/// The columns of a table of items.
///
/// They are found by looking at every item once ([`Columns::see`]), which needs
/// no more memory than the columns take.
#[derive(Clone, Debug)]
pub struct Columns {
    row: Kind,
    n_items: usize,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            row: Kind::Struct(Vec::new()),
            n_items: 0,
        }
    }
}

impl Columns {
    /// Takes an item into account.
    ///
    /// # Errors
    /// [`Error::Item`] for what is no item.
    pub fn see(&mut self, item: &Value) -> Result<()> {
        let row = row::of_item(item, self.n_items)?;
        self.n_items += 1;
        let Kind::Struct(columns) = &mut self.row else {
            unreachable!("a row is a structure")
        };
        for (key, value) in &row {
            let found = if row::is_time(key) {
                time(value)
            } else {
                kind(value)
            };
            add(columns, key, found);
        }
        Ok(())
    }

    /// The columns of these items.
    ///
    /// # Errors
    /// As [`Columns::see`].
    pub fn of<'a>(items: impl IntoIterator<Item = &'a Value>) -> Result<Self> {
        let mut columns = Columns::default();
        items.into_iter().try_for_each(|item| columns.see(item))?;
        Ok(columns)
    }

    /// The columns as Arrow has them, without the geometry, and the paths of
    /// those of JSON text.
    pub(crate) fn fields(&self) -> Result<(Fields, Vec<String>)> {
        let Some(Kind::Struct(columns)) = settled(&self.row) else {
            return Err(Error::Layout {
                problem: "there are no items".into(),
            });
        };
        let mut json = Vec::new();
        Ok((fields(&columns, "", &mut json), json))
    }

    /// A row with all that is not of its column's type as JSON text.
    pub(crate) fn encode(&self, row: Map<String, Value>) -> Value {
        match settled(&self.row) {
            Some(kind) => encode(Value::Object(row), &kind),
            None => Value::Object(row),
        }
    }
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(number) if number.is_i64() => Kind::Int,
        Value::Number(number) if number.is_u64() => Kind::Json,
        Value::Number(_) => Kind::Float,
        Value::String(_) => Kind::Text,
        Value::Array(items) => {
            let inner = items.iter().map(kind).reduce(merge).unwrap_or(Kind::Null);
            // A list has no place for something that is not there.
            let holes = items.iter().any(Value::is_null);
            if holes {
                Kind::Json
            } else {
                Kind::List(Box::new(inner))
            }
        }
        Value::Object(map) => {
            let mut fields = Vec::new();
            map.iter()
                .for_each(|(key, value)| add(&mut fields, key, kind(value)));
            Kind::Struct(fields)
        }
    }
}

/// A time where the text is one that the column can hold to the last digit.
fn time(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) if time.as_nanosecond() % 1000 == 0 => Kind::Time,
            _ => Kind::Text,
        },
        other => kind(other),
    }
}

fn add(fields: &mut Vec<(String, Kind)>, key: &str, found: Kind) {
    match fields.iter_mut().find(|(name, _)| name == key) {
        Some((_, known)) => *known = merge(std::mem::replace(known, Kind::Null), found),
        None => fields.push((key.to_owned(), found)),
    }
}

fn merge(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Null, other) | (other, Kind::Null) => other,
        (a, b) if a == b => a,
        (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
        (Kind::Time, Kind::Text) | (Kind::Text, Kind::Time) => Kind::Text,
        (Kind::List(a), Kind::List(b)) => Kind::List(Box::new(merge(*a, *b))),
        (Kind::Struct(mut a), Kind::Struct(b)) => {
            b.into_iter()
                .for_each(|(key, kind)| add(&mut a, &key, kind));
            Kind::Struct(a)
        }
        _ => Kind::Json,
    }
}

/// The kind as it can be written: without columns that are never there, and
/// without structures of no fields, which Parquet has none of.
fn settled(kind: &Kind) -> Option<Kind> {
    Some(match kind {
        Kind::Null => return None,
        Kind::List(inner) => match settled(inner) {
            Some(inner) => Kind::List(Box::new(inner)),
            None => Kind::List(Box::new(Kind::Text)),
        },
        Kind::Struct(fields) => {
            let fields: Vec<(String, Kind)> = fields
                .iter()
                .filter_map(|(name, kind)| Some((name.clone(), settled(kind)?)))
                .collect();
            if fields.is_empty() {
                Kind::Json
            } else {
                Kind::Struct(fields)
            }
        }
        other => other.clone(),
    })
}

fn fields(columns: &[(String, Kind)], path: &str, json: &mut Vec<String>) -> Fields {
    columns
        .iter()
        .map(|(name, kind)| {
            let path = format!("{path}/{}", escaped(name));
            Field::new(name, data_type(kind, &path, json), true)
        })
        .collect()
}

/// A key in a path, as JSON pointers have it.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn data_type(kind: &Kind, path: &str, json: &mut Vec<String>) -> DataType {
    match kind {
        Kind::Null | Kind::Text => DataType::Utf8,
        Kind::Bool => DataType::Boolean,
        Kind::Int => DataType::Int64,
        Kind::Float => DataType::Float64,
        Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        Kind::List(inner) => {
            let inner = data_type(inner, &format!("{path}/*"), json);
            DataType::List(Arc::new(Field::new("item", inner, true)))
        }
        Kind::Struct(columns) => DataType::Struct(fields(columns, path, json)),
        Kind::Json => {
            json.push(path.to_owned());
            DataType::Utf8
        }
    }
}

fn encode(value: Value, kind: &Kind) -> Value {
    match (value, kind) {
        (Value::Null, _) => Value::Null,
        (value, Kind::Json) => Value::String(value.to_string()),
        (Value::Array(items), Kind::List(inner)) => {
            items.into_iter().map(|item| encode(item, inner)).collect()
        }
        (Value::Object(map), Kind::Struct(columns)) => {
            let known: BTreeMap<&str, &Kind> = columns
                .iter()
                .map(|(name, kind)| (name.as_str(), kind))
                .collect();
            map.into_iter()
                .filter_map(|(key, value)| {
                    let kind = known.get(key.as_str())?;
                    Some((key, encode(value, kind)))
                })
                .collect()
        }
        (value, _) => value,
    }
}

/// Puts what was written as JSON text back; `path` is where `value` stands.
pub(crate) fn decode(value: &mut Value, path: &str, json: &[String]) {
    if json.is_empty() {
        return;
    }
    if let Value::String(text) = value {
        if json.iter().any(|known| known == path)
            && let Ok(parsed) = serde_json::from_str(text)
        {
            *value = parsed;
        }
        return;
    }
    let below = |path: &str| json.iter().any(|known| known.starts_with(path));
    if !below(&format!("{path}/")) {
        return;
    }
    match value {
        Value::Array(items) => {
            let path = format!("{path}/*");
            items.iter_mut().for_each(|item| decode(item, &path, json));
        }
        Value::Object(map) => {
            for (key, value) in map {
                decode(value, &format!("{path}/{}", escaped(key)), json);
            }
        }
        _ => {}
    }
}
