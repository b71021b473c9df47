//! Where labels are in a coordinate.

use super::label::CoordLabel;
use super::time::{Period, parse_period};
use super::{Coord, CoordValues};
use crate::error::{Error, Result};
use crate::index::AxisIndex;

/// Finds labels in one coordinate.
pub(super) struct Finder<'a> {
    pub(super) name: &'a str,
    pub(super) coord: &'a Coord,
}

impl Finder<'_> {
    pub(super) fn at(&self, label: &CoordLabel) -> Result<AxisIndex> {
        let one = |position: Option<usize>, hint: &str| {
            position
                .map(AxisIndex::At)
                .ok_or_else(|| self.unknown(label, hint))
        };
        match self.coord.values() {
            CoordValues::Float(values) => {
                let wanted = self.as_f64(label)?;
                one(
                    values.iter().position(|&value| value == wanted),
                    "take the nearest with `Select::nearest`, or a range",
                )
            }
            CoordValues::Int(values) => {
                let wanted = self.as_f64(label)?;
                #[allow(clippy::cast_precision_loss, reason = "a label written as a float")]
                let found = values.iter().position(|&value| match label {
                    CoordLabel::Int(wanted) => value == *wanted,
                    _ => value as f64 == wanted,
                });
                one(found, "take the nearest with `Select::nearest`, or a range")
            }
            CoordValues::Text(values) => {
                let CoordLabel::Text(wanted) = label else {
                    return Err(self.wrong_type(label));
                };
                let found = values.iter().position(|value| value == wanted);
                found.map(AxisIndex::At).ok_or_else(|| {
                    Error::unknown_name(
                        "label",
                        wanted,
                        format!("coordinate `{}`", self.name),
                        values.iter().map(String::as_str),
                    )
                })
            }
            CoordValues::Time(values) => {
                let period = self.as_period(label)?;
                if period.instant
                    && let Some(position) = values.iter().position(|&value| value == period.start)
                {
                    return Ok(AxisIndex::At(position));
                }
                let within = |&value: &i64| (period.start..period.end).contains(&value);
                self.those(
                    values.iter().map(within),
                    label,
                    "take the nearest with `Select::nearest`",
                )
            }
        }
    }

    pub(super) fn between(
        &self,
        from: Option<&CoordLabel>,
        to: Option<&CoordLabel>,
    ) -> Result<AxisIndex> {
        let label = CoordLabel::Text(format!("{} to {}", bound_text(from), bound_text(to)));
        match self.coord.values() {
            CoordValues::Float(values) => {
                let (low, high) = self.float_bounds(from, to)?;
                let within = |&value: &f64| value >= low && value <= high;
                self.those(values.iter().map(within), &label, "none lies between")
            }
            CoordValues::Int(values) => {
                let (low, high) = self.float_bounds(from, to)?;
                #[allow(clippy::cast_precision_loss, reason = "bounds may be floats")]
                let within = |&value: &i64| value as f64 >= low && value as f64 <= high;
                self.those(values.iter().map(within), &label, "none lies between")
            }
            CoordValues::Time(values) => {
                let from = from.map(|label| self.as_period(label)).transpose()?;
                let to = to.map(|label| self.as_period(label)).transpose()?;
                let (from, to) = match (from, to) {
                    (Some(a), Some(b)) if b.start < a.start => (Some(b), Some(a)),
                    other => other,
                };
                let start = from.map_or(i64::MIN, |period| period.start);
                let end = to.map_or(i64::MAX, |period| period.end - 1);
                let within = |&value: &i64| value >= start && value <= end;
                self.those(values.iter().map(within), &label, "none lies between")
            }
            CoordValues::Text(values) => {
                let find = |label: Option<&CoordLabel>, open: usize| match label {
                    None => Ok(open),
                    Some(label) => self.at(label).map(|index| index.get(0)),
                };
                let last = values.len().saturating_sub(1);
                let (a, b) = (find(from, 0)?, find(to, last)?);
                let (low, high) = (a.min(b), a.max(b));
                self.those(
                    (0..values.len()).map(|i| i >= low && i <= high),
                    &label,
                    "it is empty",
                )
            }
        }
    }

    pub(super) fn float_bounds(
        &self,
        from: Option<&CoordLabel>,
        to: Option<&CoordLabel>,
    ) -> Result<(f64, f64)> {
        let a = from.map(|label| self.as_f64(label)).transpose()?;
        let b = to.map(|label| self.as_f64(label)).transpose()?;
        Ok(match (a, b) {
            (Some(a), Some(b)) => (a.min(b), a.max(b)),
            // With one end given, the direction of the coordinate says which side is meant.
            (a, b) => {
                let descending = match self.coord.values() {
                    CoordValues::Float(v) => v.len() > 1 && v[0] > v[v.len() - 1],
                    CoordValues::Int(v) => v.len() > 1 && v[0] > v[v.len() - 1],
                    _ => false,
                };
                let (low, high) = if descending { (b, a) } else { (a, b) };
                (
                    low.unwrap_or(f64::NEG_INFINITY),
                    high.unwrap_or(f64::INFINITY),
                )
            }
        })
    }

    /// The positions that match; none is an error that tells the range.
    pub(super) fn those(
        &self,
        matches: impl Iterator<Item = bool>,
        label: &CoordLabel,
        hint: &str,
    ) -> Result<AxisIndex> {
        let positions: Vec<usize> = matches
            .enumerate()
            .filter_map(|(i, matched)| matched.then_some(i))
            .collect();
        if positions.is_empty() {
            return Err(self.unknown(label, hint));
        }
        Ok(AxisIndex::list(positions))
    }

    pub(super) fn as_f64(&self, label: &CoordLabel) -> Result<f64> {
        #[allow(clippy::cast_precision_loss, reason = "compared with float labels")]
        match label {
            CoordLabel::Float(value) => Ok(*value),
            CoordLabel::Int(value) => Ok(*value as f64),
            CoordLabel::Text(_) | CoordLabel::Time(_) => Err(self.wrong_type(label)),
        }
    }

    pub(super) fn as_period(&self, label: &CoordLabel) -> Result<Period> {
        match label {
            CoordLabel::Time(at) => {
                Ok(Period { start: *at, end: at.saturating_add(1), instant: true })
            }
            CoordLabel::Text(text) => parse_period(text).ok_or_else(|| {
                Error::Invalid(format!(
                    "`{text}` is no time; write `2022`, `2022-01`, `2022-01-05` or `2022-01-05T10:20:30` for coordinate `{}`",
                    self.name
                ))
            }),
            CoordLabel::Float(_) | CoordLabel::Int(_) => Err(self.wrong_type(label)),
        }
    }

    pub(super) fn wrong_type(&self, label: &CoordLabel) -> Error {
        let expected = match self.coord.values() {
            CoordValues::Time(_) => "a time, such as `2022-01-05`",
            CoordValues::Float(_) | CoordValues::Int(_) => "a number",
            CoordValues::Text(_) => "a name",
        };
        Error::Invalid(format!(
            "label {} does not fit coordinate `{}`, whose labels are of type {}; give {expected}",
            bound_text(Some(label)),
            self.name,
            self.coord.values().type_name()
        ))
    }

    pub(super) fn unknown(&self, label: &CoordLabel, hint: &str) -> Error {
        Error::UnknownLabel {
            coord: self.name.to_owned(),
            label: bound_text(Some(label)),
            range: self.coord.range_text(),
            hint: hint.to_owned(),
        }
    }
}

fn bound_text(label: Option<&CoordLabel>) -> String {
    match label {
        None => "..".to_owned(),
        Some(CoordLabel::Float(value)) => value.to_string(),
        Some(CoordLabel::Int(value)) => value.to_string(),
        Some(CoordLabel::Text(text)) => text.clone(),
        Some(CoordLabel::Time(at)) => super::time::iso(*at),
    }
}
