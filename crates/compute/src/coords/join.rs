//! Where the labels of one coordinate are in another, and joins of several.

use std::collections::HashMap;

use super::{Coord, CoordValue, CoordValues};
use crate::error::{Error, Result};

/// Which labels arrays are brought onto where they differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Join {
    /// Those that all have, in the order of the first: what arithmetic does.
    #[default]
    Inner,
    /// Those that one has at least, ascending; missing pixels are NaN.
    Outer,
    /// Those of the first.
    Left,
    /// Those of the last.
    Right,
    /// All have to have the same; an error otherwise.
    Exact,
}

/// A label that can be looked up: numbers are equal whatever their type.
#[derive(PartialEq, Eq, Hash)]
enum Key<'a> {
    Time(i64),
    Number(u64),
    Int(i64),
    Text(&'a str),
}

fn keys(values: &CoordValues, as_float: bool) -> Vec<Key<'_>> {
    // Minus zero is zero.
    let number = |value: f64| Key::Number((value + 0.0).to_bits());
    #[allow(clippy::cast_precision_loss, reason = "compared with float labels")]
    match values {
        CoordValues::Time(values) => values.iter().map(|&value| Key::Time(value)).collect(),
        CoordValues::Float(values) => values.iter().map(|&value| number(value)).collect(),
        CoordValues::Int(values) if as_float => {
            values.iter().map(|&value| number(value as f64)).collect()
        }
        CoordValues::Int(values) => values.iter().map(|&value| Key::Int(value)).collect(),
        CoordValues::Text(values) => values.iter().map(|value| Key::Text(value)).collect(),
    }
}

impl Coord {
    /// The position in this coordinate of each label of `wanted`, as pandas'
    /// `get_indexer`.
    ///
    /// # Errors
    /// A label that is here twice.
    pub(crate) fn positions_of(&self, name: &str, wanted: &Coord) -> Result<Vec<Option<usize>>> {
        let float = |coord: &Coord| matches!(coord.values(), CoordValues::Float(_));
        let as_float = float(self) || float(wanted);
        let mut places = HashMap::with_capacity(self.len());
        for (at, key) in keys(self.values(), as_float).into_iter().enumerate() {
            if places.insert(key, at).is_some() {
                return Err(Error::Invalid(format!(
                    "label {} is twice in coordinate `{name}`, so that other labels cannot be looked up in it; keep one of each with `isel`",
                    self.values().get(at)
                )));
            }
        }
        let keys = keys(wanted.values(), as_float);
        Ok(keys.iter().map(|key| places.get(key).copied()).collect())
    }

    /// The same coordinate with only the labels at `positions`.
    pub(crate) fn at(&self, positions: &[usize]) -> Coord {
        self.take(&crate::index::AxisIndex::list(positions.to_vec()))
    }

    /// The positions of the labels in ascending order, equal ones as they are;
    /// NaN at the end.
    pub(crate) fn ascending(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        match self.values() {
            CoordValues::Time(v) | CoordValues::Int(v) => order.sort_by_key(|&i| v[i]),
            CoordValues::Text(v) => order.sort_by(|&a, &b| v[a].cmp(&v[b])),
            CoordValues::Float(v) => order.sort_by(|&a, &b| {
                let by_value = v[a].partial_cmp(&v[b]);
                by_value.unwrap_or_else(|| v[a].is_nan().cmp(&v[b].is_nan()))
            }),
        }
        order
    }
}

/// The labels of dimension `dim` on which arrays with these coordinates meet.
///
/// # Errors
/// A label that a coordinate has twice, types of label that do not go together,
/// labels that differ if they have to be the same.
pub(crate) fn join(dim: &str, coords: &[&Coord], how: Join) -> Result<Coord> {
    let [first, rest @ ..] = coords else {
        return Err(Error::Bug("no coordinates to join".to_owned()));
    };
    if rest.iter().all(|other| first.same_labels(other)) {
        return Ok((*first).clone());
    }
    let mut joined = (*first).clone();
    match how {
        Join::Left => {}
        Join::Right => joined = rest.last().map_or(joined, |last| (*last).clone()),
        Join::Exact => {
            let differs = rest.iter().find(|other| !first.same_labels(other));
            let other = differs.copied().unwrap_or(first);
            return Err(super::misaligned("align", dim, first, other));
        }
        Join::Inner => {
            for other in rest {
                let found = other.positions_of(dim, &joined)?;
                // A label that is twice here would be matched twice.
                joined.positions_of(dim, &joined)?;
                let both: Vec<usize> = (0..joined.len()).filter(|&i| found[i].is_some()).collect();
                joined = joined.at(&both);
            }
        }
        Join::Outer => {
            for other in rest {
                let found = joined.positions_of(dim, other)?;
                let new = (0..other.len()).filter(|&i| found[i].is_none());
                joined = append(dim, &joined, other, new)?;
            }
            let order = joined.ascending();
            joined = joined.at(&order);
        }
    }
    Ok(joined)
}

/// The labels of `first`, then those of `second` at `positions`.
fn append(
    dim: &str,
    first: &Coord,
    second: &Coord,
    positions: impl Iterator<Item = usize>,
) -> Result<Coord> {
    let labels = (0..first.len())
        .map(|i| first.values().get(i))
        .chain(positions.map(|i| second.values().get(i)));
    Ok(Coord::of_labels(dim, labels)?.with_attrs(first.attrs().clone()))
}

impl Coord {
    /// Labels of one type along `dim`; whole numbers become positions where
    /// there is one that is not whole.
    ///
    /// # Errors
    /// Labels that do not go together, such as a name and a time.
    pub fn of_labels(dim: &str, labels: impl IntoIterator<Item = CoordValue>) -> Result<Coord> {
        let labels: Vec<CoordValue> = labels.into_iter().collect();
        let mixed = || {
            Error::Invalid(format!(
                "labels of several types for dimension `{dim}`: {}",
                labels
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))
        };
        let values = match labels.first() {
            None => CoordValues::Float(Vec::new()),
            Some(CoordValue::Time(_)) => {
                let times = labels.iter().map(|label| match label {
                    CoordValue::Time(value) => Some(*value),
                    _ => None,
                });
                CoordValues::Time(times.collect::<Option<Vec<_>>>().ok_or_else(mixed)?)
            }
            Some(CoordValue::Text(_)) => {
                let names = labels.iter().map(|label| match label {
                    CoordValue::Text(value) => Some(value.clone()),
                    _ => None,
                });
                CoordValues::Text(names.collect::<Option<Vec<_>>>().ok_or_else(mixed)?)
            }
            Some(CoordValue::Int(_) | CoordValue::Float(_)) => {
                let whole = labels.iter().map(|label| match label {
                    CoordValue::Int(value) => Some(*value),
                    _ => None,
                });
                #[allow(clippy::cast_precision_loss, reason = "beside positions")]
                let numbers = labels.iter().map(|label| match label {
                    CoordValue::Int(value) => Some(*value as f64),
                    CoordValue::Float(value) => Some(*value),
                    _ => None,
                });
                match whole.collect::<Option<Vec<_>>>() {
                    Some(whole) => CoordValues::Int(whole),
                    None => {
                        CoordValues::Float(numbers.collect::<Option<Vec<_>>>().ok_or_else(mixed)?)
                    }
                }
            }
        };
        Ok(Coord::new(dim, values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(how: Join, a: &[f64], b: &[f64], expected: &[f64]) {
        let joined = join("x", &[&Coord::float("x", a), &Coord::float("x", b)], how).unwrap();
        assert_eq!(joined, Coord::float("x", expected), "{how:?}");
    }

    #[test]
    fn joins() {
        let (a, b) = ([30.0, 20.0, 10.0], [20.0, 0.0, 30.0]);
        check(Join::Inner, &a, &b, &[30.0, 20.0]);
        check(Join::Outer, &a, &b, &[0.0, 10.0, 20.0, 30.0]);
        check(Join::Left, &a, &b, &a);
        check(Join::Right, &a, &b, &b);
        check(Join::Exact, &a, &a, &a);
        let (x, y) = (Coord::float("x", a), Coord::float("x", b));
        assert!(
            join("x", &[&x, &y], Join::Exact)
                .unwrap_err()
                .to_string()
                .contains("30")
        );
    }

    #[test]
    fn numbers_are_equal_whatever_their_type() {
        let whole = Coord::int("x", [1, 2, 3]);
        let found = whole
            .positions_of("x", &Coord::float("x", [3.0, 1.5, -0.0]))
            .unwrap();
        assert_eq!(found, [Some(2), None, None]);
        let twice = Coord::int("x", [1, 1]);
        assert!(
            twice
                .positions_of("x", &whole)
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        let text = Coord::text("x", ["a"]);
        assert_eq!(text.positions_of("x", &whole).unwrap(), [None; 3]);
        assert!(join("x", &[&whole, &text], Join::Outer).is_err());
    }
}
