//! Labels by their types.

use std::fmt;

use super::time;

/// The labels themselves.
#[derive(Clone, Debug)]
pub enum CoordValues {
    /// Instants: nanoseconds since 1970-01-01T00:00:00 UTC.
    Time(Vec<i64>),
    /// Positions, such as pixel centres.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Names.
    Text(Vec<String>),
}

/// One label.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordValue {
    /// Nanoseconds since 1970-01-01T00:00:00 UTC.
    Time(i64),
    /// A position.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// A name.
    Text(String),
}

impl CoordValues {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            CoordValues::Time(v) | CoordValues::Int(v) => v.len(),
            CoordValues::Float(v) => v.len(),
            CoordValues::Text(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The label at `index`.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, index: usize) -> CoordValue {
        match self {
            CoordValues::Time(v) => CoordValue::Time(v[index]),
            CoordValues::Float(v) => CoordValue::Float(v[index]),
            CoordValues::Int(v) => CoordValue::Int(v[index]),
            CoordValues::Text(v) => CoordValue::Text(v[index].clone()),
        }
    }

    /// The name that xarray gives the type.
    pub fn type_name(&self) -> &'static str {
        match self {
            CoordValues::Time(_) => "datetime64[ns]",
            CoordValues::Float(_) => "float64",
            CoordValues::Int(_) => "int64",
            CoordValues::Text(_) => "text",
        }
    }

    /// Bytes of memory.
    pub fn nbytes(&self) -> u64 {
        match self {
            CoordValues::Text(v) => v.iter().map(|text| text.len() as u64).sum(),
            other => 8 * other.len() as u64,
        }
    }

    /// Where the labels first differ.
    pub(crate) fn first_difference(&self, other: &CoordValues) -> Option<usize> {
        (0..self.len().min(other.len())).find(|&i| self.get(i) != other.get(i))
    }
}

/// NaN labels equal each other: what matters is whether the labels are the same.
impl PartialEq for CoordValues {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (CoordValues::Time(a), CoordValues::Time(b))
            | (CoordValues::Int(a), CoordValues::Int(b)) => a == b,
            (CoordValues::Float(a), CoordValues::Float(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b)
                        .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
            }
            (CoordValues::Text(a), CoordValues::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl From<f64> for CoordValue {
    fn from(value: f64) -> Self {
        CoordValue::Float(value)
    }
}

impl From<i64> for CoordValue {
    fn from(value: i64) -> Self {
        CoordValue::Int(value)
    }
}

impl From<&str> for CoordValue {
    fn from(value: &str) -> Self {
        CoordValue::Text(value.to_owned())
    }
}

impl fmt::Display for CoordValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoordValue::Time(value) => f.write_str(&time::iso(*value)),
            CoordValue::Float(value) => write!(f, "{value}"),
            CoordValue::Int(value) => write!(f, "{value}"),
            CoordValue::Text(value) => f.write_str(value),
        }
    }
}
