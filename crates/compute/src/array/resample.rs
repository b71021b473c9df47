//! Groups by periods of time: `resample("time", "1MS")`.

use super::DataArray;
use super::group::Grouped;
use crate::coords::frequency::{DAY, Frequency, civil, midnight, parse_length};
use crate::coords::{Coord, CoordValues};
use crate::error::{Error, Result};
use crate::reduce::NO_GROUP;

/// A side of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Its start.
    Left,
    /// Its end.
    Right,
}

/// From where periods of a fixed length are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Midnight before the first date.
    #[default]
    StartDay,
    /// The first date.
    Start,
    /// The last date, backwards.
    End,
    /// Midnight after the last date, backwards.
    EndDay,
    /// 1970-01-01.
    Epoch,
    /// This instant: nanoseconds since the epoch, UTC.
    At(i64),
}

/// A period and how dates are counted into it, for [`DataArray::resample`].
///
/// ```
/// use datacube_compute::{Coord, Coords, DataArray, Resample, Side};
/// // 10 in the morning of 2022-01-31, and the midnight after.
/// let time = [1_643_623_200_000_000_000, 1_643_673_600_000_000_000];
/// let coords = Coords::from([("time", Coord::time("time", time))]);
/// let array = DataArray::from_values("a", &["time"], &[2], vec![1.0, 2.0], coords)?;
/// let ends = array.resample("time", "ME")?.sum()?;
/// assert_eq!(ends.coord("time")?.values().get(0).to_string(), "2022-01-31T00:00:00");
/// let starts = array.resample("time", Resample::new("ME").label(Side::Left))?.sum()?;
/// assert_eq!(starts.coord("time")?.values().get(0).to_string(), "2021-12-31T00:00:00");
/// # Ok::<(), datacube_compute::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Resample {
    period: String,
    closed: Option<Side>,
    label: Option<Side>,
    origin: Origin,
    offset: Option<String>,
}

impl Resample {
    /// Periods as pandas names them: a number and `MS`, `QS-DEC`, `YS` (from
    /// the first day of a month, quarter, year), `ME`, `QE-NOV`, `YE` (to the
    /// last), `SMS`, `SME` (half months), `W-SUN` (weeks to Sunday), `D`, `h`,
    /// `min`, `s`, `ms`, `us`, `ns`.
    pub fn new(period: impl Into<String>) -> Resample {
        Resample {
            period: period.into(),
            closed: None,
            label: None,
            origin: Origin::default(),
            offset: None,
        }
    }

    /// Which end belongs to a period: by default the right one for `ME`, `QE`,
    /// `YE`, `W` and origins at the end, else the left one.
    #[must_use]
    pub fn closed(mut self, side: Side) -> Resample {
        self.closed = Some(side);
        self
    }

    /// Which end labels a period; defaults as for [`Resample::closed`].
    #[must_use]
    pub fn label(mut self, side: Side) -> Resample {
        self.label = Some(side);
        self
    }

    /// From where periods of a fixed length (`D` and shorter) are counted.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Resample {
        self.origin = origin;
        self
    }

    /// What is added to the origin, such as `6h` or `-3D`.
    #[must_use]
    pub fn offset(mut self, length: impl Into<String>) -> Resample {
        self.offset = Some(length.into());
        self
    }

    /// The period of each of these dates, which ascend, and the labels of all.
    fn bins(&self, times: &[i64]) -> Result<(Vec<u32>, Vec<i64>)> {
        let frequency = Frequency::parse(&self.period)?;
        let offset = self.offset.as_deref().map(parse_length).transpose()?;
        let fixed = matches!(frequency, Frequency::Fixed(_));
        if !fixed && (offset.is_some() || self.origin != Origin::StartDay) {
            return Err(Error::Invalid(format!(
                "periods of `{}` start where the calendar says; an offset or origin is for `D`, `h` and shorter",
                self.period
            )));
        }
        let backwards = matches!(self.origin, Origin::End | Origin::EndDay);
        let by_default = if frequency.is_of_ends() || backwards {
            Side::Right
        } else {
            Side::Left
        };
        let closed = self.closed.unwrap_or(by_default);
        let label = self.label.unwrap_or(by_default);
        let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
            return Ok((Vec::new(), Vec::new()));
        };
        let mut starts = match frequency {
            Frequency::Fixed(length) => {
                self.fixed(length, offset.unwrap_or(0), closed, first, last)?
            }
            Frequency::Anchored { every, anchor } => {
                let number = |time: i64| Ok::<_, Error>(anchor.not_after(civil(time)?.date()));
                let from = match closed {
                    Side::Left => number(first)?,
                    // The day of an anchor itself belongs to the period before.
                    Side::Right => number(day_before(first)?)? - (every - 1),
                };
                let to = number(last)? + every;
                let numbers = (from..=to).step_by(usize::try_from(every).unwrap_or(1));
                let days = numbers.map(|number| midnight(anchor.day(number)?));
                days.collect::<Result<Vec<_>>>()?
            }
        };
        // Periods that end with a day end with its last instant.
        let late = if frequency.is_of_ends() && closed == Side::Right {
            DAY - 1
        } else {
            0
        };
        if frequency.is_of_ends() && starts.len() > 2 && starts[starts.len() - 2] + late > last {
            starts.pop();
        }
        let inner = &starts[1..];
        let labels = times.iter().map(|&time| {
            let bin = inner.partition_point(|&end| match closed {
                Side::Left => end <= time,
                Side::Right => end + late < time,
            });
            u32::try_from(bin)
                .ok()
                .filter(|_| bin < inner.len())
                .unwrap_or(NO_GROUP)
        });
        let labels = labels.collect();
        let named = match label {
            Side::Left => starts[..inner.len()].to_vec(),
            Side::Right => inner.to_vec(),
        };
        Ok((labels, named))
    }

    /// Edges of periods of so many nanoseconds around the dates.
    ///
    /// # Source
    /// pandas 3, `_adjust_dates_anchored`.
    fn fixed(
        &self,
        length: i64,
        offset: i64,
        closed: Side,
        first: i64,
        last: i64,
    ) -> Result<Vec<i64>> {
        let outside = || {
            Error::Invalid(format!(
                "periods of `{}` reach outside the years 1677 to 2262",
                self.period
            ))
        };
        let origin = match self.origin {
            Origin::StartDay => first.div_euclid(DAY) * DAY,
            Origin::Start => first,
            Origin::Epoch => 0,
            Origin::At(time) => time,
            Origin::End | Origin::EndDay => {
                let end = match self.origin {
                    Origin::End => last,
                    _ => last + (-last).rem_euclid(DAY),
                };
                let periods = (end - first).div_euclid(length) + i64::from(closed == Side::Left);
                end - periods * length
            }
        };
        // Counted backwards, the first date is where the counting ends.
        let first = match self.origin {
            Origin::End | Origin::EndDay => origin,
            _ => first,
        };
        let origin = origin.checked_add(offset).ok_or_else(outside)?;
        let past = |time: i64| {
            let past = (i128::from(time) - i128::from(origin)).rem_euclid(i128::from(length));
            i64::try_from(past).unwrap_or(0)
        };
        let (before, after) = (past(first), past(last));
        let start = match closed {
            Side::Right if before == 0 => first.checked_sub(length),
            _ => first.checked_sub(before),
        };
        let end = match closed {
            Side::Right if after == 0 => Some(last),
            _ => last.checked_add(length - after),
        };
        let (start, end) = (start.ok_or_else(outside)?, end.ok_or_else(outside)?);
        let count = (end - start) / length + 1;
        if count > i64::from(u32::MAX / 2) {
            return Err(Error::Invalid(format!(
                "{count} periods of `{}`; give a longer one",
                self.period
            )));
        }
        Ok((0..count).map(|number| start + number * length).collect())
    }
}

impl From<&str> for Resample {
    fn from(period: &str) -> Resample {
        Resample::new(period)
    }
}

impl From<String> for Resample {
    fn from(period: String) -> Resample {
        Resample::new(period)
    }
}

impl From<&String> for Resample {
    fn from(period: &String) -> Resample {
        Resample::new(period)
    }
}

fn day_before(time: i64) -> Result<i64> {
    time.checked_sub(DAY)
        .ok_or_else(|| Error::Invalid("dates before the year 1678".to_owned()))
}

impl DataArray {
    /// Groups by periods along a dimension of dates: `"1MS"`, `"QS-DEC"`,
    /// `"ME"`, `"W"`, `"5D"`, `"6h"`, as pandas writes them; [`Resample`] says
    /// which end of a period belongs to it and labels it. Periods without dates
    /// are there too, and without a value.
    ///
    /// # Errors
    /// A dimension without dates, or dates that do not ascend, a period that
    /// cannot be read, or the misuse that the array carries.
    ///
    /// # Source
    /// xarray, `resample`; pandas 3, `TimeGrouper`.
    pub fn resample(&self, dim: &str, by: impl Into<Resample>) -> Result<Grouped> {
        self.check()?;
        let by = by.into();
        self.axis(dim)?;
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
        let (labels, named) = by.bins(times)?;
        self.grouped(dim, dim, labels, Coord::time(dim, named))
    }
}
