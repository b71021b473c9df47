//! Coordinates: the labels of pixels along a dimension.
//!
//! A coordinate lies on one dimension or on none (a scalar such as
//! `spatial_ref`). One that is named as its dimension is that dimension's index
//! and can be selected by label. Values are shared, so arrays of a cube hold
//! one copy.

pub(crate) mod frequency;
mod join;
mod label;
mod near;
pub(crate) mod time;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

pub use join::Join;
pub(crate) use join::join;
pub use label::{CoordLabel, Select};

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

/// Coordinates by name, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coords(IndexMap<String, Coord>);

impl Coords {
    /// None.
    pub fn new() -> Coords {
        Coords::default()
    }

    /// Also `name`.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, coord: Coord) -> Coords {
        self.0.insert(name.into(), coord);
        self
    }

    /// Sets `name`.
    pub fn insert(&mut self, name: impl Into<String>, coord: Coord) {
        self.0.insert(name.into(), coord);
    }

    /// Takes `name` out.
    pub fn remove(&mut self, name: &str) -> Option<Coord> {
        self.0.shift_remove(name)
    }

    /// The coordinate of that name.
    pub fn get(&self, name: &str) -> Option<&Coord> {
        self.0.get(name)
    }

    /// The index of a dimension: the coordinate that is named as it.
    pub fn index_of(&self, dim: &str) -> Option<&Coord> {
        self.0.get(dim).filter(|coord| coord.dim() == Some(dim))
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Coord)> {
        self.0.iter().map(|(name, coord)| (name.as_str(), coord))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The coordinates after `dim` was indexed.
    pub(crate) fn take(&self, dim: &str, index: &AxisIndex) -> Coords {
        self.iter()
            .map(|(name, coord)| {
                let taken = if coord.dim() == Some(dim) {
                    coord.take(index)
                } else {
                    coord.clone()
                };
                (name.to_owned(), taken)
            })
            .collect()
    }

    /// The coordinates that do not lie on `dim`.
    pub(crate) fn without_dim(&self, dim: &str) -> Coords {
        let kept = self.iter().filter(|(_, coord)| coord.dim() != Some(dim));
        Coords(
            kept.map(|(name, coord)| (name.to_owned(), coord.clone()))
                .collect(),
        )
    }

    /// Checks that every coordinate fits the dimension that it lies on.
    pub(crate) fn check(&self, dims: &[impl AsRef<str>], shape: &[usize]) -> Result<()> {
        for (name, coord) in self.iter() {
            let Some(dim) = coord.dim() else { continue };
            let Some(axis) = dims.iter().position(|d| d.as_ref() == dim) else {
                return Err(Error::unknown_name(
                    "dimension",
                    dim,
                    format!("the array that coordinate `{name}` is for"),
                    dims.iter().map(AsRef::as_ref),
                ));
            };
            if coord.len() != shape[axis] {
                return Err(Error::Invalid(format!(
                    "coordinate `{name}` has {} labels, but dimension `{dim}` has {} pixels",
                    coord.len(),
                    shape[axis]
                )));
            }
        }
        Ok(())
    }

    /// The coordinates of an operation's result: indexes have to agree, other
    /// coordinates that differ are dropped, as xarray drops them.
    pub(crate) fn merge(&self, other: &Coords, operation: &'static str) -> Result<Coords> {
        let mut merged = self.clone();
        for (name, theirs) in other.iter() {
            let Some(ours) = self.get(name) else {
                merged.insert(name, theirs.clone());
                continue;
            };
            if ours.same_labels(theirs) {
                continue;
            }
            let index = ours.dim() == Some(name) && theirs.dim() == Some(name);
            if !index {
                merged.remove(name);
                continue;
            }
            return Err(misaligned(operation, name, ours, theirs));
        }
        Ok(merged)
    }
}

pub(crate) fn misaligned(
    operation: &'static str,
    dim: &str,
    ours: &Coord,
    theirs: &Coord,
) -> Error {
    let sizes = if ours.len() == theirs.len() {
        format!("both have {} labels", ours.len())
    } else {
        format!("{} and {} labels", ours.len(), theirs.len())
    };
    let first = match ours.values().first_difference(theirs.values()) {
        Some(at) => format!(
            "; the first difference is at {at}: {} and {}",
            ours.values().get(at),
            theirs.values().get(at)
        ),
        None => "; the shorter one is the beginning of the longer".to_owned(),
    };
    Error::Misaligned {
        operation,
        dim: dim.to_owned(),
        difference: sizes + &first,
    }
}

impl FromIterator<(String, Coord)> for Coords {
    fn from_iter<I: IntoIterator<Item = (String, Coord)>>(coords: I) -> Self {
        Coords(coords.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, Coord); N]> for Coords {
    fn from(coords: [(&str, Coord); N]) -> Self {
        coords
            .into_iter()
            .map(|(name, coord)| (name.to_owned(), coord))
            .collect()
    }
}
