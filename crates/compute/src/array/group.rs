//! Groups along a dimension: `groupby("time.month")`, `resample("time", "1MS")`,
//! `coarsen`.

use std::sync::Arc;

use datacube_model::DType;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::DataArray;
use super::reduce::{Reduction, reduced_attrs};
use super::regional::relabelled;
use crate::coords::{Coord, CoordValues};
use crate::error::{Error, Result};
use crate::ops::{self, promote};
use crate::plan::Node;
use crate::reduce::{Groups, NO_GROUP, ReduceOp, Role};
use crate::regional::Regional;

/// Parts of a date by which arrays are grouped.
const COMPONENTS: [&str; 9] = [
    "year",
    "month",
    "day",
    "hour",
    "dayofyear",
    "quarter",
    "season",
    "date",
    "weekday",
];

/// An array whose pixels along a dimension belong to groups.
#[derive(Clone, Debug)]
pub struct Grouped {
    array: DataArray,
    axis: usize,
    groups: Groups,
    /// Name of the dimension of groups, and their labels.
    name: String,
    labels: Coord,
    /// Whether a group can be without pixels.
    gaps: bool,
}

impl DataArray {
    /// Groups by a part of a date (`"time.month"`: year, month, day, hour,
    /// dayofyear, quarter, season, date, weekday), or by the values of a
    /// coordinate (`"orbit"`). Groups are in ascending order, seasons in
    /// alphabetical order as in xarray.
    ///
    /// # Errors
    /// No such coordinate or part of a date, or the misuse that the array
    /// carries.
    pub fn groupby(&self, by: &str) -> Result<Grouped> {
        self.check()?;
        if self.coords().get(by).is_none()
            && let Some((coord, part)) = by.split_once('.')
        {
            return self.groupby_date(coord, part);
        }
        let coord = self.coord(by)?;
        let Some(dim) = coord.dim() else {
            return Err(Error::Invalid(format!(
                "coordinate `{by}` is one value, so all pixels are one group; reduce without `groupby`"
            )));
        };
        let (labels, values) = match coord.values() {
            CoordValues::Time(values) => unique(values, |a, b| a.cmp(b), CoordValues::Time),
            CoordValues::Int(values) => unique(values, |a, b| a.cmp(b), CoordValues::Int),
            CoordValues::Float(values) => unique(values, |a, b| a.total_cmp(b), CoordValues::Float),
            CoordValues::Text(values) => unique(values, |a, b| a.cmp(b), CoordValues::Text),
        };
        self.grouped(dim, by, labels, Coord::new(by, values))
    }

    fn groupby_date(&self, name: &str, part: &str) -> Result<Grouped> {
        let coord = self.coord(name)?;
        let (Some(dim), CoordValues::Time(times)) = (coord.dim(), coord.values()) else {
            return Err(Error::Invalid(format!(
                "coordinate `{name}` has no dates along a dimension, so no `{part}`"
            )));
        };
        let dates: Vec<DateTime> = times
            .iter()
            .map(|&time| civil(time))
            .collect::<Result<_>>()?;
        let ints = |of: &dyn Fn(&DateTime) -> i64| {
            let values: Vec<i64> = dates.iter().map(of).collect();
            unique(&values, |a, b| a.cmp(b), CoordValues::Int)
        };
        let (labels, values) = match part {
            "year" => ints(&|date| i64::from(date.year())),
            "month" => ints(&|date| i64::from(date.month())),
            "day" => ints(&|date| i64::from(date.day())),
            "hour" => ints(&|date| i64::from(date.hour())),
            "dayofyear" => ints(&|date| i64::from(date.date().day_of_year())),
            "quarter" => ints(&|date| i64::from((date.month() - 1) / 3 + 1)),
            "weekday" => ints(&|date| i64::from(date.date().weekday().to_monday_zero_offset())),
            "season" => {
                let names: Vec<String> = (dates.iter())
                    .map(|date| season(date.month()).to_owned())
                    .collect();
                unique(&names, |a, b| a.cmp(b), CoordValues::Text)
            }
            "date" => {
                let days = (dates.iter())
                    .map(|date| nanoseconds(date.date()))
                    .collect::<Result<Vec<_>>>()?;
                unique(&days, |a, b| a.cmp(b), CoordValues::Time)
            }
            _ => {
                return Err(Error::unknown_name(
                    "part of a date",
                    part,
                    format!("`{name}`"),
                    COMPONENTS.iter().copied(),
                ));
            }
        };
        self.grouped(dim, part, labels, Coord::new(part, values))
    }

    fn grouped(&self, dim: &str, name: &str, labels: Vec<u32>, values: Coord) -> Result<Grouped> {
        let count = values.len();
        let used = |group: usize| labels.iter().any(|&label| label as usize == group);
        Ok(Grouped {
            array: self.clone(),
            axis: self.axis(dim)?,
            gaps: !(0..count).all(used),
            groups: Groups::Labels {
                labels: labels.into(),
                count,
            },
            name: name.to_owned(),
            labels: values,
        })
    }

    /// Groups by periods along a dimension of dates: `"1MS"`, `"QS-DEC"`,
    /// `"YS"`, `"5D"`, `"6h"`, `"30min"`, `"10s"`, as pandas writes them. Each
    /// period is labelled by its start; periods without dates are there too, and
    /// without a value.
    ///
    /// # Errors
    /// A dimension without dates, or dates that do not ascend, a period that
    /// cannot be read, or the misuse that the array carries.
    pub fn resample(&self, dim: &str, period: &str) -> Result<Grouped> {
        self.check()?;
        let axis = self.axis(dim)?;
        let times = match self.coords().index_of(dim).map(Coord::values) {
            Some(CoordValues::Time(times)) => times,
            _ => {
                return Err(Error::Invalid(format!(
                    "dimension `{dim}` of {} has no dates to resample by",
                    self.place()
                )));
            }
        };
        if !times.is_sorted() {
            return Err(Error::Invalid(format!(
                "the dates along `{dim}` do not ascend; sort them first"
            )));
        }
        let starts = match (times.first(), times.last()) {
            (Some(&first), Some(&last)) => periods(period, first, last)?,
            _ => Vec::new(),
        };
        let labels: Vec<u32> = (times.iter())
            .map(|time| {
                let after = starts.partition_point(|start| start <= time);
                u32::try_from(after.wrapping_sub(1)).unwrap_or(NO_GROUP)
            })
            .collect();
        debug_assert!(self.shape()[axis] == labels.len());
        self.grouped(dim, dim, labels, Coord::time(dim, starts))
    }

    /// Groups of neighbours: so many pixels along each of some dimensions come
    /// to one. What does not fill a group at the end is left out. Coordinates
    /// become the mean of their group.
    ///
    /// # Errors
    /// No such dimension, a group of no pixels or of more than there are, or the
    /// misuse that the array carries.
    pub fn coarsen(&self, sizes: &[(&str, usize)]) -> Result<Coarsened> {
        self.check()?;
        let mut roles = vec![Role::Keep; self.ndim()];
        for (dim, size) in sizes {
            let axis = self.axis(dim)?;
            let len = self.shape()[axis];
            if *size == 0 || *size > len {
                return Err(Error::Invalid(format!(
                    "groups of {size} pixels along `{dim}`, which has {len}"
                )));
            }
            roles[axis] = Role::Group(Groups::Every {
                size: *size,
                count: len / size,
            });
        }
        Ok(Coarsened {
            array: self.clone(),
            roles,
        })
    }
}

impl Grouped {
    /// What the pixels of each group come to.
    ///
    /// A group without pixels is NaN; sums, products and extremes of integers
    /// become floats where there is such a group.
    ///
    /// # Errors
    /// Options that do not belong to the reduction.
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<DataArray> {
        let mut reduction = reduction.into();
        let op = reduction.op();
        let mut array = self.array.clone();
        if self.gaps {
            let dtype = match op {
                ReduceOp::Sum | ReduceOp::Prod if !array.dtype().is_float() => DType::Float64,
                ReduceOp::Min
                | ReduceOp::Max
                | ReduceOp::First
                | ReduceOp::Last
                | ReduceOp::Mode => promote::masked(array.dtype())?,
                _ => array.dtype(),
            };
            array = ops::cast(&array, dtype);
            array.check()?;
            if matches!(op, ReduceOp::Sum | ReduceOp::Prod) {
                reduction = reduction.at_least(1);
            }
        }
        let mut roles = vec![Role::Keep; array.ndim()];
        roles[self.axis] = Role::Group(self.groups.clone());
        let mut reduce = reduction.of_roles(roles)?;
        // Nothing is the smallest of no pixels; NaN says so.
        reduce.empty_is_nan = self.gaps;
        let node = Node::regional(Regional::Reduce(reduce), vec![Arc::clone(array.node())])?;
        let dim = array.dims()[self.axis].clone();
        let leading = node.schema().shape.len() - array.ndim();
        let mut dims = node.schema().dims.to_vec();
        dims[leading + self.axis] = self.name.clone();
        let shape = Arc::clone(&node.schema().shape);
        let axes = (0..shape.len()).map(Some).collect();
        let node = Node::broadcast(&node, axes, dims.into(), shape)?;
        let coords = relabelled(array.coords(), &dim, &self.name, self.labels.clone());
        let attrs = reduced_attrs(op, &array, node.schema().dtype);
        Ok(array.with_node(node, coords, attrs))
    }
}

/// Groups of neighbours, from [`DataArray::coarsen`].
#[derive(Clone, Debug)]
pub struct Coarsened {
    array: DataArray,
    roles: Vec<Role>,
}

impl Coarsened {
    /// What the pixels of each group come to.
    ///
    /// # Errors
    /// Options that do not belong to the reduction, or one that needs positions
    /// along several dimensions.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "means of coordinates"
    )]
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<DataArray> {
        let reduction = reduction.into();
        let op = reduction.op();
        let grouped = self
            .roles
            .iter()
            .filter(|role| **role != Role::Keep)
            .count();
        if op.is_positional() && grouped != 1 {
            return Err(Error::Invalid(format!(
                "`{}` over {grouped} dimensions; coarsen one",
                op.name()
            )));
        }
        let array = &self.array;
        let reduce = reduction.of_roles(self.roles.clone())?;
        let node = Node::regional(Regional::Reduce(reduce), vec![Arc::clone(array.node())])?;
        let mut coords = array.coords().clone();
        for (axis, role) in self.roles.iter().enumerate() {
            let Role::Group(Groups::Every { size, count }) = role else {
                continue;
            };
            let dim = &array.dims()[axis];
            let along: Vec<(String, Coord)> = (coords.iter())
                .filter(|(_, coord)| coord.dim() == Some(dim))
                .map(|(name, coord)| (name.to_owned(), coord.clone()))
                .collect();
            for (name, coord) in along {
                let values = match coord.values() {
                    CoordValues::Float(values) => CoordValues::Float(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| few.iter().sum::<f64>() / *size as f64)
                            .collect(),
                    ),
                    CoordValues::Time(values) => CoordValues::Time(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| {
                                let sum: i128 = few.iter().map(|&at| i128::from(at)).sum();
                                (sum / *size as i128) as i64
                            })
                            .collect(),
                    ),
                    CoordValues::Int(values) => CoordValues::Float(
                        (values.chunks_exact(*size).take(*count))
                            .map(|few| few.iter().map(|&at| at as f64).sum::<f64>() / *size as f64)
                            .collect(),
                    ),
                    CoordValues::Text(_) => {
                        coords.remove(&name);
                        continue;
                    }
                };
                coords.insert(
                    name,
                    Coord::new(dim, values).with_attrs(coord.attrs().clone()),
                );
            }
        }
        let attrs = reduced_attrs(op, array, node.schema().dtype);
        Ok(array.with_node(node, coords, attrs))
    }
}

macro_rules! reductions {
    ($type:ident: $($name:ident: $op:ident,)*) => {
        impl $type {
            $(
                #[doc = concat!("The `", stringify!($name), "` of each group.")]
                ///
                /// # Errors
                #[doc = concat!("As [`", stringify!($type), "::reduce`].")]
                pub fn $name(&self) -> Result<DataArray> {
                    self.reduce(ReduceOp::$op)
                }
            )*
        }
    };
}

reductions! {
    Grouped:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, first: First, last: Last, median: Median, mode: Mode,
}

reductions! {
    Coarsened:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, median: Median, mode: Mode,
}

/// The number of each value among the different ones, in order.
fn unique<T: Clone + PartialEq>(
    values: &[T],
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
    coord: impl Fn(Vec<T>) -> CoordValues,
) -> (Vec<u32>, CoordValues) {
    let mut known = values.to_vec();
    known.sort_by(&order);
    known.dedup_by(|a, b| order(a, b).is_eq());
    let number = |value: &T| known.partition_point(|other| order(other, value).is_lt());
    let labels = (values.iter())
        .map(|value| u32::try_from(number(value)).unwrap_or(NO_GROUP))
        .collect();
    (labels, coord(known))
}

fn season(month: i8) -> &'static str {
    match month {
        12 | 1 | 2 => "DJF",
        3..=5 => "MAM",
        6..=8 => "JJA",
        _ => "SON",
    }
}

fn civil(time: i64) -> Result<DateTime> {
    let instant = Timestamp::from_nanosecond(i128::from(time))
        .map_err(|error| Error::Bug(error.to_string()))?;
    Ok(instant.to_zoned(TimeZone::UTC).datetime())
}

fn nanoseconds(date: Date) -> Result<i64> {
    let outside = || Error::Invalid(format!("{date} is outside the years 1677 to 2262"));
    let instant = date
        .to_zoned(TimeZone::UTC)
        .map_err(|_| outside())?
        .timestamp();
    i64::try_from(instant.as_nanosecond()).map_err(|_| outside())
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Starts of the periods from that of `first` to that of `last`.
///
/// # Source
/// pandas, `DataFrame.resample` with `closed` and `label` of `left` and
/// `origin="start_day"`.
fn periods(text: &str, first: i64, last: i64) -> Result<Vec<i64>> {
    let bad = || {
        Error::Invalid(format!(
            "`{text}` is no period; give a number and MS, QS-DEC, YS, D, h, min or s, such as `1MS`, `QS-DEC`, `5D` or `6h`"
        ))
    };
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: i64 = if number.is_empty() {
        1
    } else {
        number.parse().map_err(|_| bad())?
    };
    if number == 0 {
        return Err(bad());
    }
    let (unit, anchor) = match unit.split_once('-') {
        Some((unit, anchor)) => {
            let anchor = MONTHS.iter().position(|&month| month == anchor);
            (unit, Some(anchor.ok_or_else(bad)?))
        }
        None => (unit, None),
    };
    let day = civil(first)?.date();
    let of_months = |every: i64, anchor: usize| -> Result<Vec<i64>> {
        // Months since year 0, back to one that a period starts in.
        let cycle = every.min(12);
        let month = i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
        let anchor = i64::try_from(anchor).unwrap_or(0);
        let mut start = month - (month - anchor).rem_euclid(cycle);
        let mut starts = Vec::new();
        loop {
            let year = i16::try_from(start.div_euclid(12)).map_err(|_| bad())?;
            let month = i8::try_from(start.rem_euclid(12) + 1).map_err(|_| bad())?;
            let at = nanoseconds(Date::new(year, month, 1).map_err(|_| bad())?)?;
            if at > last && !starts.is_empty() {
                return Ok(starts);
            }
            starts.push(at);
            start += every.saturating_mul(number);
        }
    };
    let of_length = |span: Span| -> Result<Vec<i64>> {
        let step = span
            .total((
                jiff::Unit::Nanosecond,
                jiff::SpanRelativeTo::days_are_24_hours(),
            ))
            .map_err(|_| bad())?;
        #[allow(clippy::cast_possible_truncation, reason = "whole nanoseconds")]
        let step = (step as i64).checked_mul(number).ok_or_else(bad)?;
        let origin = nanoseconds(day)?;
        let mut start = origin + (first - origin).div_euclid(step) * step;
        let mut starts = Vec::new();
        while start <= last {
            starts.push(start);
            start = start.checked_add(step).ok_or_else(bad)?;
        }
        Ok(starts)
    };
    match unit {
        "MS" if anchor.is_none() => of_months(1, 0),
        "QS" => of_months(3, anchor.unwrap_or(0)),
        "YS" | "AS" => of_months(12, anchor.unwrap_or(0)),
        "D" if anchor.is_none() => of_length(1.day()),
        "h" | "H" if anchor.is_none() => of_length(1.hour()),
        "min" | "T" if anchor.is_none() => of_length(1.minute()),
        "s" | "S" if anchor.is_none() => of_length(1.second()),
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(period: &str, first: &str, last: &str) -> Vec<String> {
        let time = |text: &str| nanoseconds(text.parse().unwrap()).unwrap();
        let starts = periods(period, time(first), time(last)).unwrap();
        let text = |&start: &i64| civil(start).unwrap().date().to_string();
        starts.iter().map(text).collect()
    }

    #[test]
    fn periods_start_as_in_pandas() {
        assert_eq!(
            starts("1MS", "2022-01-30", "2022-03-20"),
            ["2022-01-01", "2022-02-01", "2022-03-01"]
        );
        assert_eq!(
            starts("QS-DEC", "2022-01-30", "2022-04-20"),
            ["2021-12-01", "2022-03-01"]
        );
        assert_eq!(
            starts("2QS", "2022-02-01", "2022-09-01"),
            ["2022-01-01", "2022-07-01"]
        );
        assert_eq!(starts("YS", "2022-01-30", "2022-12-31"), ["2022-01-01"]);
        assert_eq!(
            starts("YS-JUL", "2022-01-30", "2022-12-31"),
            ["2021-07-01", "2022-07-01"]
        );
        assert_eq!(
            starts("10D", "2022-01-30", "2022-02-20"),
            ["2022-01-30", "2022-02-09", "2022-02-19"]
        );
        for wrong in ["", "0D", "month", "MS-JAN", "3", "QS-XYZ"] {
            assert!(periods(wrong, 0, 0).is_err(), "{wrong}");
        }
    }
}
