//! Aggregates of recipes: statistics over the time steps of a period.

use datacube_compute::{Coord, Cube, DataArray, Index, ReduceOp, Reduction};
use datacube_model::DType;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value};

use super::recipe::{names, refuse, text};
use super::transform::{dtype, truth};
use crate::{Error, Result};

/// What makes one step of the result.
///
/// # Source
/// datacube-core, `datacube/virtual/transformations.py` (`year`, `fiscal_year`,
/// `month`, `week`, `day`, `earliest_time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Year,
    /// From July; named by the year in which it ends, and labelled by the start of
    /// that year.
    FiscalYear,
    Month,
    /// From Thursday, as numpy's weeks are.
    Week,
    Day,
    /// All steps together, labelled by the start of the first one's year.
    EarliestTime,
}

const PERIODS: [(&str, Period); 6] = [
    ("year", Period::Year),
    ("month", Period::Month),
    ("week", Period::Week),
    ("day", Period::Day),
    ("earliest_time", Period::EarliestTime),
    ("fiscal_year", Period::FiscalYear),
];

/// The methods of `xarray.DataArray` that are reductions.
const METHODS: [(&str, ReduceOp); 14] = [
    ("mean", ReduceOp::Mean),
    ("sum", ReduceOp::Sum),
    ("prod", ReduceOp::Prod),
    ("min", ReduceOp::Min),
    ("max", ReduceOp::Max),
    ("std", ReduceOp::Std),
    ("var", ReduceOp::Var),
    ("median", ReduceOp::Median),
    ("quantile", ReduceOp::Quantile),
    ("count", ReduceOp::Count),
    ("any", ReduceOp::Any),
    ("all", ReduceOp::All),
    ("argmin", ReduceOp::ArgMin),
    ("argmax", ReduceOp::ArgMax),
];

/// A statistic over time, and of which periods.
#[derive(Debug, Clone)]
pub(super) struct Aggregate {
    pub(super) period: Period,
    op: ReduceOp,
    reduction: Reduction,
    apply_to: Option<Vec<String>>,
    dtype: Option<DType>,
    keep_attrs: bool,
}

impl Aggregate {
    pub(super) fn parse(map: &Map<String, Value>) -> Result<Self> {
        let given = text(map, "aggregate")?;
        if !matches!(last(&given), "xarray_reduction" | "XarrayReduction") {
            return Err(Error::Unsupported {
                what: format!("the aggregate `{given}` of a recipe"),
                instead: "there is xarray_reduction; others are Python code".into(),
            });
        }
        let group_by = text(map, "group_by")?;
        let period = one_of(&PERIODS, last(&group_by))
            .ok_or_else(|| refuse("group_by", unknown(&group_by, &PERIODS)))?;
        if let Some(dim) = map.get("dim").filter(|dim| dim.as_str() != Some("time")) {
            return Err(refuse(
                "aggregate",
                format!("its `dim` is {dim}; the steps that are grouped lie along time"),
            ));
        }
        let method = text(map, "method")?;
        let op = one_of(&METHODS, &method)
            .ok_or_else(|| refuse("method", unknown(&method, &METHODS)))?;
        super::recipe::only(
            map,
            "aggregate",
            &[
                "aggregate",
                "input",
                "group_by",
                "dim",
                "method",
                "apply_to",
                "dtype",
                "skipna",
                "keep_attrs",
                "ddof",
                "min_count",
                "q",
            ],
        )?;
        Ok(Aggregate {
            period,
            op,
            reduction: reduction(op, &method, map)?,
            apply_to: names(map, "apply_to")?,
            dtype: dtype(map, "dtype")?,
            keep_attrs: truth(map, "keep_attrs", true)?,
        })
    }

    /// The statistic of each of `times`; `groups` is for each step of the input the
    /// number of its time.
    ///
    /// # Source
    /// datacube-core, `virtual/impl.py` (`Aggregate`) and `XarrayReduction`.
    /// DIFFERENCE: `dtype` converts the result; there it is announced and the
    /// result is of whatever type xarray gives.
    pub(super) fn apply(&self, cube: &Cube, groups: &[usize], times: &[Timestamp]) -> Result<Cube> {
        if let Some(names) = &self.apply_to {
            for name in names {
                cube.get(name)
                    .map_err(|error| refuse("apply_to", error.to_string()))?;
            }
            if let Some(other) = cube
                .names()
                .find(|name| !names.iter().any(|own| own == name))
            {
                return Err(refuse(
                    "apply_to",
                    format!(
                        "`{other}` is left out, and has steps of its own along time; leave it out \
                         of the input too, or aggregate it"
                    ),
                ));
            }
        }
        let numbers: Vec<i64> = groups
            .iter()
            .map(|&group| i64::try_from(group).unwrap_or(i64::MAX))
            .collect();
        let time = Coord::timestamps("time", times.iter().copied())?;
        let mut arrays = Vec::with_capacity(cube.len());
        for (name, array) in cube.variables() {
            let numbered = array
                .clone()
                .with_coord("time", Coord::int("time", numbers.clone()))?;
            let grouped = numbered.groupby("time")?.reduce(self.reduction.clone())?;
            let mut made = self.without_quantile(grouped)?;
            if let Some(dtype) = self.dtype {
                made = made.astype(dtype);
            }
            let mut attrs = made.attrs().clone();
            if self.keep_attrs {
                for (name, value) in array.attrs().iter() {
                    attrs.insert(name, value.clone());
                }
            }
            let made = made.with_coord("time", time.clone())?;
            arrays.push((name.to_owned(), made.named(name).with_attrs(attrs)));
        }
        Ok(Cube::new(arrays)?.with_attrs(cube.attrs().clone()))
    }

    /// One quantile is no dimension.
    fn without_quantile(&self, array: DataArray) -> Result<DataArray> {
        match self.op {
            ReduceOp::Quantile => Ok(array.isel("quantile", Index::from(0))?),
            _ => Ok(array),
        }
    }
}

impl Period {
    /// For each of `times` the start of its period.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a time outside the calendar.
    pub(super) fn starts(self, times: &[Timestamp]) -> Result<Vec<Timestamp>> {
        let first = times.first().map(|time| date(*time));
        let start = |time: &Timestamp| -> std::result::Result<Timestamp, jiff::Error> {
            let day = date(*time);
            let start = match self {
                Period::Year => Date::new(day.year(), 1, 1)?,
                Period::FiscalYear => Date::new(day.year() + i16::from(day.month() > 6), 1, 1)?,
                Period::Month => Date::new(day.year(), day.month(), 1)?,
                Period::Week => {
                    // Days since Thursday, the first day of 1970.
                    let since = (day.weekday().to_monday_zero_offset() + 4) % 7;
                    day.checked_sub(i32::from(since).days())?
                }
                Period::Day => day,
                Period::EarliestTime => Date::new(first.unwrap_or(day).year(), 1, 1)?,
            };
            Ok(start.to_zoned(TimeZone::UTC)?.timestamp())
        };
        let starts = times
            .iter()
            .map(start)
            .collect::<std::result::Result<_, _>>();
        starts.map_err(|error| refuse("group_by", error.to_string()))
    }
}

fn date(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

fn reduction(op: ReduceOp, method: &str, map: &Map<String, Value>) -> Result<Reduction> {
    let mut reduction = Reduction::new(op);
    let belongs = |key: &str, methods: &[ReduceOp]| match methods.contains(&op) {
        true => Ok(()),
        false => Err(refuse(
            "aggregate",
            format!("`{key}` is nothing that `{method}` knows"),
        )),
    };
    let whole = |key: &str, value: &Value| {
        value
            .as_u64()
            .ok_or_else(|| refuse(key, format!("it is {value}; expected a number of pixels")))
    };
    if map.get("skipna").is_some_and(|skip| !skip.is_null()) {
        reduction = reduction.skipna(truth(map, "skipna", true)?);
    }
    if let Some(value) = map.get("ddof") {
        belongs("ddof", &[ReduceOp::Std, ReduceOp::Var])?;
        let ddof = u32::try_from(whole("ddof", value)?);
        reduction = reduction.ddof(ddof.map_err(|_| refuse("ddof", format!("it is {value}")))?);
    }
    if let Some(value) = map.get("min_count").filter(|value| !value.is_null()) {
        belongs("min_count", &[ReduceOp::Sum, ReduceOp::Prod])?;
        reduction = reduction.min_count(whole("min_count", value)?);
    }
    match map.get("q") {
        Some(value) => {
            belongs("q", &[ReduceOp::Quantile])?;
            let part = value.as_f64().filter(|part| (0.0..=1.0).contains(part));
            let wrong = || {
                refuse(
                    "q",
                    format!("it is {value}; expected one number from 0 to 1"),
                )
            };
            reduction = reduction.quantiles([part.ok_or_else(wrong)?]);
        }
        None if op == ReduceOp::Quantile => {
            return Err(refuse("q", "it is missing; expected a number from 0 to 1"));
        }
        None => {}
    }
    Ok(reduction)
}

/// The last part of a dotted name: Python's functions may be named in full.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

fn one_of<T: Copy>(known: &[(&str, T)], name: &str) -> Option<T> {
    let found = known.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value)
}

fn unknown<T>(name: &str, known: &[(&str, T)]) -> String {
    let known: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    format!("there is no `{name}`; there are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_start_where_python_says() {
        let times: Vec<Timestamp> = [
            "2019-06-30T10:00:00Z",
            "2020-01-02T00:12:31Z",
            "2020-02-03T00:12:31Z",
            "2020-02-05T00:00:00Z",
            "2020-02-06T23:00:00Z",
            "2020-07-01T00:00:00Z",
            "1969-12-31T23:00:00Z",
        ]
        .map(|text| text.parse().expect("a time"))
        .to_vec();
        // Those of datacube 1.9.22, but of `fiscal_year`, which fails there.
        let check = |name: &str, expected: [&str; 7]| {
            let period = one_of(&PERIODS, name).expect("a period");
            let starts = period.starts(&times).expect("starts");
            let days: Vec<String> = starts.iter().map(|at| date(*at).to_string()).collect();
            assert_eq!(days, expected, "{name}");
        };
        check(
            "year",
            [
                "2019-01-01",
                "2020-01-01",
                "2020-01-01",
                "2020-01-01",
                "2020-01-01",
                "2020-01-01",
                "1969-01-01",
            ],
        );
        check(
            "month",
            [
                "2019-06-01",
                "2020-01-01",
                "2020-02-01",
                "2020-02-01",
                "2020-02-01",
                "2020-07-01",
                "1969-12-01",
            ],
        );
        check(
            "week",
            [
                "2019-06-27",
                "2020-01-02",
                "2020-01-30",
                "2020-01-30",
                "2020-02-06",
                "2020-06-25",
                "1969-12-25",
            ],
        );
        check(
            "day",
            [
                "2019-06-30",
                "2020-01-02",
                "2020-02-03",
                "2020-02-05",
                "2020-02-06",
                "2020-07-01",
                "1969-12-31",
            ],
        );
        check("earliest_time", ["2019-01-01"; 7]);
        check(
            "fiscal_year",
            [
                "2019-01-01",
                "2020-01-01",
                "2020-01-01",
                "2020-01-01",
                "2020-01-01",
                "2021-01-01",
                "1970-01-01",
            ],
        );
    }
}
