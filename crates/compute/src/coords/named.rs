//! Coordinates by name.

use indexmap::IndexMap;

use super::Coord;
use crate::error::{Error, Result};
use crate::index::AxisIndex;

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
