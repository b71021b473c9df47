//! Groups along a dimension: `groupby("time.month")`.

use std::ops::{Add, Div, Mul, Sub};
use std::sync::Arc;

use datacube_model::DType;
use jiff::civil::DateTime;

use super::DataArray;
use super::reduce::{Reduction, reduced_attrs};
use super::regional::relabelled;
use crate::coords::frequency::{civil, midnight};
use crate::coords::{Coord, CoordValue, CoordValues, Coords};
use crate::error::{Error, Result};
use crate::index::AxisIndex;
use crate::ops;
use crate::plan::{Binary, Node};
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
    /// Where groups without pixels lie: for each label its group, if it has
    /// pixels.
    places: Option<Vec<Option<usize>>>,
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
                    .map(|date| midnight(date.date()))
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

    /// Groups by the number of each pixel's label among `values`.
    pub(super) fn grouped(
        &self,
        dim: &str,
        name: &str,
        labels: Vec<u32>,
        values: Coord,
    ) -> Result<Grouped> {
        let mut used = vec![false; values.len()];
        for &label in &labels {
            if let Some(used) = used.get_mut(label as usize) {
                *used = true;
            }
        }
        // Only groups with pixels are reduced; the others are gaps between them.
        let mut count = 0;
        let places: Vec<Option<usize>> = (used.iter())
            .map(|&used| {
                count += usize::from(used);
                used.then(|| count - 1)
            })
            .collect();
        let labels = labels.iter().map(|&label| {
            let place = places.get(label as usize).copied().flatten();
            place.map_or(Ok(NO_GROUP), u32::try_from)
        });
        let labels: Vec<u32> = labels
            .collect::<Result<_, _>>()
            .map_err(|_| Error::Invalid(format!("more groups than {}", u32::MAX)))?;
        Ok(Grouped {
            array: self.clone(),
            axis: self.axis(dim)?,
            groups: Groups::Labels {
                labels: labels.into(),
                count,
            },
            name: name.to_owned(),
            places: (count < values.len()).then_some(places),
            labels: values,
        })
    }
}

impl Grouped {
    /// What the pixels of each group come to.
    ///
    /// Where a group has no pixels, the result is NaN there, and integers and
    /// bools become floats.
    ///
    /// # Errors
    /// Options that do not belong to the reduction.
    pub fn reduce(&self, reduction: impl Into<Reduction>) -> Result<DataArray> {
        let reduction = reduction.into();
        let op = reduction.op();
        let array = &self.array;
        let mut roles = vec![Role::Keep; array.ndim()];
        roles[self.axis] = Role::Group(self.groups.clone());
        let reduce = reduction.of_roles(roles)?;
        let node = Node::regional(Regional::Reduce(reduce), vec![Arc::clone(array.node())])?;
        let dim = array.dims()[self.axis].clone();
        let axis = node.schema().shape.len() - array.ndim() + self.axis;
        let mut dims = node.schema().dims.to_vec();
        dims[axis] = self.name.clone();
        let shape = Arc::clone(&node.schema().shape);
        let axes = (0..shape.len()).map(Some).collect();
        let node = Node::broadcast(&node, axes, dims.into(), shape)?;
        let mut coords = relabelled(array.coords(), &dim, &self.name, self.labels.clone());
        if op == ReduceOp::Quantile {
            let parts = Coord::float("quantile", reduction.parts());
            coords = Coords::new()
                .with("quantile", parts)
                .merge(&coords, "combine")?;
        }
        let attrs = reduced_attrs(op, array, node.schema().dtype);
        let Some(places) = &self.places else {
            return Ok(array.with_node(node, coords, attrs));
        };
        let reduced = array.with_node(node, Coords::new(), attrs);
        let reduced = match reduced.dtype() {
            DType::Bool => ops::cast(&reduced, DType::Float64),
            _ => reduced,
        };
        reduced.gather(axis, places, coords, None)
    }

    /// The value below which the part `q` of each group's pixels lies, NaN left
    /// out: numpy's `linear` method. float64.
    ///
    /// # Errors
    /// A part outside 0 to 1.
    pub fn quantile(&self, q: f64) -> Result<DataArray> {
        self.quantiles([q])?
            .isel("quantile", 0)?
            .with_coord("quantile", Coord::scalar(CoordValue::Float(q)))
    }

    /// Several quantiles, along a first dimension `quantile`.
    ///
    /// # Errors
    /// As [`Grouped::quantile`].
    pub fn quantiles(&self, q: impl Into<Vec<f64>>) -> Result<DataArray> {
        self.reduce(Reduction::new(ReduceOp::Quantile).quantiles(q))
    }

    /// One value a group, such as its mean, repeated for each pixel of the
    /// group.
    fn spread(&self, groups: &DataArray) -> Result<DataArray> {
        groups.check()?;
        let dim = &self.array.dims()[self.axis];
        let (Groups::Labels { labels, .. }, false) = (&self.groups, *dim == self.name) else {
            return Err(Error::Invalid(format!(
                "periods of `{dim}` have no arithmetic with what they come to; group by a part of the date, such as `{dim}.month`"
            )));
        };
        let axis = groups.axis(&self.name)?;
        let own = groups.coords().index_of(&self.name).ok_or_else(|| {
            Error::Invalid(format!(
                "{} has no labels along `{}` to find groups by",
                groups.place(),
                self.name
            ))
        })?;
        let each = AxisIndex::list(labels.iter().map(|&label| label as usize).collect());
        let places = own.positions_of(&self.name, &self.labels.take(&each))?;
        let coords = groups.coords().without_dim(&self.name);
        let spread = groups.gather(axis, &places, coords, None)?;
        let spread = spread.rename(&[(&self.name, dim)])?;
        let labels = self.array.coords().index_of(dim);
        labels.map_or(Ok(spread.clone()), |labels| {
            spread.clone().with_coord(dim, labels.clone())
        })
    }
}

macro_rules! arithmetic {
    ($($trait:ident::$method:ident = $op:ident;)*) => {$(
        /// Each pixel with the value of its group: anomalies are
        /// `&months - &months.mean()?`.
        impl $trait<&DataArray> for &Grouped {
            type Output = DataArray;

            fn $method(self, groups: &DataArray) -> DataArray {
                self.array.defer(|| {
                    let spread = self.spread(groups)?;
                    let made = ops::binary(Binary::$op, &(&self.array).into(), &spread.into());
                    Ok(match self.array.name() {
                        Some(name) => made.named(name),
                        None => made,
                    })
                })
            }
        }
    )*};
}

arithmetic! {
    Add::add = Add;
    Sub::sub = Sub;
    Mul::mul = Mul;
    Div::div = Div;
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

pub(super) use reductions;

reductions! {
    Grouped:
    sum: Sum, prod: Prod, mean: Mean, min: Min, max: Max, var: Var, std: Std, count: Count,
    any: Any, all: All, first: First, last: Last, median: Median, mode: Mode,
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
