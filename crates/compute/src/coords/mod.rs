//! Coordinates: the labels of pixels along a dimension.
//!
//! A coordinate lies on one dimension or on none (a scalar such as
//! `spatial_ref`). One that is named as its dimension is that dimension's index
//! and can be selected by label. Values are shared, so arrays of a cube hold
//! one copy.

mod finder;
pub(crate) mod frequency;
mod join;
mod label;
mod named;
mod near;
pub(crate) mod time;
mod values;

use std::sync::Arc;

pub use join::Join;
pub(crate) use join::join;
pub use label::{CoordLabel, Select};
pub use named::Coords;
pub(crate) use named::misaligned;
pub use values::{CoordValue, CoordValues};

use crate::attrs::Attrs;
use crate::error::{Error, Result};
use crate::index::AxisIndex;

/// Labels along one dimension, or one label of the whole array.
#[derive(Clone, Debug, PartialEq)]
pub struct Coord {
    dim: Option<String>,
    values: Arc<CoordValues>,
    attrs: Attrs,
}

impl Coord {
    /// Labels along `dim`.
    pub fn new(dim: impl Into<String>, values: CoordValues) -> Coord {
        Coord {
            dim: Some(dim.into()),
            values: Arc::new(values),
            attrs: Attrs::new(),
        }
    }

    /// Instants along `dim`: nanoseconds since 1970-01-01T00:00:00 UTC.
    pub fn time(dim: impl Into<String>, nanoseconds: impl Into<Vec<i64>>) -> Coord {
        Coord::new(dim, CoordValues::Time(nanoseconds.into()))
    }

    /// Instants along `dim`.
    ///
    /// # Errors
    /// An instant outside 1677 to 2262, which 64 bits of nanoseconds cannot hold.
    pub fn timestamps(
        dim: impl Into<String>,
        timestamps: impl IntoIterator<Item = jiff::Timestamp>,
    ) -> Result<Coord> {
        let nanoseconds = timestamps
            .into_iter()
            .map(|timestamp| {
                i64::try_from(timestamp.as_nanosecond()).map_err(|_| {
                    Error::Invalid(format!("{timestamp} is outside the years 1677 to 2262"))
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Coord::time(dim, nanoseconds))
    }

    /// Positions along `dim`.
    pub fn float(dim: impl Into<String>, values: impl Into<Vec<f64>>) -> Coord {
        Coord::new(dim, CoordValues::Float(values.into()))
    }

    /// Whole numbers along `dim`.
    pub fn int(dim: impl Into<String>, values: impl Into<Vec<i64>>) -> Coord {
        Coord::new(dim, CoordValues::Int(values.into()))
    }

    /// Names along `dim`.
    pub fn text<S: Into<String>>(
        dim: impl Into<String>,
        values: impl IntoIterator<Item = S>,
    ) -> Coord {
        Coord::new(
            dim,
            CoordValues::Text(values.into_iter().map(Into::into).collect()),
        )
    }

    /// One label of the whole array.
    pub fn scalar(value: impl Into<CoordValue>) -> Coord {
        let values = match value.into() {
            CoordValue::Time(value) => CoordValues::Time(vec![value]),
            CoordValue::Float(value) => CoordValues::Float(vec![value]),
            CoordValue::Int(value) => CoordValues::Int(vec![value]),
            CoordValue::Text(value) => CoordValues::Text(vec![value]),
        };
        Coord {
            dim: None,
            values: Arc::new(values),
            attrs: Attrs::new(),
        }
    }

    /// The same with these attributes.
    #[must_use]
    pub fn with_attrs(mut self, attrs: Attrs) -> Coord {
        self.attrs = attrs;
        self
    }

    /// The dimension; `None` for a scalar.
    pub fn dim(&self) -> Option<&str> {
        self.dim.as_deref()
    }

    /// The labels.
    pub fn values(&self) -> &CoordValues {
        &self.values
    }

    /// Attributes such as units.
    pub fn attrs(&self) -> &Attrs {
        &self.attrs
    }

    /// Number of labels; 1 for a scalar.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.values.len() == 0
    }

    /// The labels as positions; `None` for names.
    pub fn to_f64(&self) -> Option<Vec<f64>> {
        #[allow(
            clippy::cast_precision_loss,
            reason = "the nearest number is asked for"
        )]
        match &*self.values {
            CoordValues::Float(values) => Some(values.clone()),
            CoordValues::Time(values) | CoordValues::Int(values) => {
                Some(values.iter().map(|&value| value as f64).collect())
            }
            CoordValues::Text(_) => None,
        }
    }

    /// The same labels on another dimension, or on none.
    pub(crate) fn on(&self, dim: Option<String>) -> Coord {
        Coord {
            dim,
            ..self.clone()
        }
    }

    /// The labels of this coordinate and then those of another, if both are of
    /// one kind.
    pub(crate) fn followed_by(&self, next: &Coord) -> Option<Coord> {
        use CoordValues::{Float, Int, Text, Time};
        let values = match (&*self.values, &*next.values) {
            (Time(a), Time(b)) => Time([a.as_slice(), b].concat()),
            (Float(a), Float(b)) => Float([a.as_slice(), b].concat()),
            (Int(a), Int(b)) => Int([a.as_slice(), b].concat()),
            (Text(a), Text(b)) => Text([a.as_slice(), b].concat()),
            _ => return None,
        };
        Some(Coord {
            dim: self.dim.clone(),
            values: Arc::new(values),
            attrs: self.attrs.clone(),
        })
    }

    /// The labels that `index` names; one alone becomes a scalar.
    pub(crate) fn take(&self, index: &AxisIndex) -> Coord {
        let positions = 0..index.len().unwrap_or(1);
        let values = match &*self.values {
            CoordValues::Time(v) => CoordValues::Time(positions.map(|i| v[index.get(i)]).collect()),
            CoordValues::Float(v) => {
                CoordValues::Float(positions.map(|i| v[index.get(i)]).collect())
            }
            CoordValues::Int(v) => CoordValues::Int(positions.map(|i| v[index.get(i)]).collect()),
            CoordValues::Text(v) => {
                CoordValues::Text(positions.map(|i| v[index.get(i)].clone()).collect())
            }
        };
        let dim = if matches!(index, AxisIndex::At(_)) {
            None
        } else {
            self.dim.clone()
        };
        Coord {
            dim,
            values: Arc::new(values),
            attrs: self.attrs.clone(),
        }
    }

    /// Whether the labels are the same, whatever the attributes.
    pub fn same_labels(&self, other: &Coord) -> bool {
        self.dim == other.dim
            && (Arc::ptr_eq(&self.values, &other.values) || self.values == other.values)
    }

    /// Size, first and last label, for errors.
    pub(crate) fn range_text(&self) -> String {
        match self.len() {
            0 => "no labels".to_owned(),
            1 => format!("the one label {}", self.values.get(0)),
            n => format!(
                "{n} labels from {} to {}",
                self.values.get(0),
                self.values.get(n - 1)
            ),
        }
    }
}
