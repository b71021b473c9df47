//! Periods of the calendar, such as `1 month`, and how they divide time.

use std::str::FromStr;

use datacube_index::TimeRange;
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use crate::{Error, Result};

/// More periods than this are refused: nobody reads them.
const MOST: usize = 100_000;

/// A length of time on the calendar of UTC.
///
/// ```
/// use datacube::Period;
///
/// let months = "1 month".parse::<Period>()?.divide(&"2020".parse()?)?;
/// assert_eq!(months.len(), 12);
/// # Ok::<(), datacube::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Period(Span);

impl FromStr for Period {
    type Err = Error;

    /// `1 day`, `2 weeks`, `6 months`, `1 year`; without a number it is one.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = || Error::Option {
            option: "period",
            problem: format!(
                "`{text}` is no period; expected one as `1 day`, `2 weeks`, `6 months` or `1 year`"
            ),
        };
        let trimmed = text.trim().to_lowercase();
        let split = trimmed
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(refuse)?;
        let (number, unit) = trimmed.split_at(split);
        let number: i32 = match number {
            "" => 1,
            digits => digits.parse().map_err(|_| refuse())?,
        };
        if !(1..=10_000).contains(&number) {
            return Err(refuse());
        }
        let unit = unit.trim();
        let span = match unit.strip_suffix('s').unwrap_or(unit) {
            "day" => number.days(),
            "week" => number.weeks(),
            "month" => number.months(),
            "year" => number.years(),
            _ => return Err(refuse()),
        };
        Ok(Period(span))
    }
}

impl Period {
    /// The periods that follow each other from the beginning of `range`; the
    /// last ends where the range does.
    ///
    /// # Errors
    /// [`Error::Option`] for a range without a beginning or an end, and for
    /// one of more than a hundred thousand periods.
    pub fn divide(&self, range: &TimeRange) -> Result<Vec<TimeRange>> {
        let refuse = |problem: String| Error::Option {
            option: "period",
            problem,
        };
        let (Some(begin), Some(end)) = (range.begin(), range.end()) else {
            return Err(refuse(
                "a time without beginning or end cannot be divided".into(),
            ));
        };
        let first = begin.to_zoned(TimeZone::UTC);
        let mut periods = Vec::new();
        let mut from = begin;
        while from <= end {
            if periods.len() == MOST {
                return Err(refuse(format!(
                    "there are more than {MOST} periods in {range}; choose a longer one"
                )));
            }
            // Counted from the first, so that the 31st is not lost to a February.
            let step =
                i64::try_from(periods.len() + 1).map_err(|error| refuse(error.to_string()))?;
            let next = self
                .0
                .checked_mul(step)
                .and_then(|span| first.checked_add(span))
                .map_err(|error| refuse(error.to_string()))?
                .timestamp();
            let whole = TimeRange::half_open(from, next)?;
            let Some(period) = whole.intersect(range) else {
                break;
            };
            periods.push(period);
            from = next;
        }
        Ok(periods)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(period: &str, range: TimeRange) -> Vec<String> {
        let period: Period = period.parse().expect("a period");
        period
            .divide(&range)
            .expect("divided")
            .iter()
            .map(|range| {
                range
                    .begin()
                    .expect("closed")
                    .strftime("%Y-%m-%d")
                    .to_string()
            })
            .collect()
    }

    #[test]
    fn the_last_period_is_there() {
        let range = TimeRange::parse_between("2022-01", "2022-02").expect("a range");
        assert_eq!(divided("1 month", range), ["2022-01-01", "2022-02-01"]);
        let january: TimeRange = "2022-01".parse().expect("a range");
        assert_eq!(divided("1 month", january), ["2022-01-01"]);
        assert_eq!(
            divided("2 weeks", january),
            ["2022-01-01", "2022-01-15", "2022-01-29"]
        );
    }

    #[test]
    fn periods_partition_the_range() {
        let range = TimeRange::parse_between("2019-12-31", "2021-02-28").expect("a range");
        for text in ["1 day", "week", "1 month", "5 months", "1 year"] {
            let period: Period = text.parse().expect("a period");
            let periods = period.divide(&range).expect("divided");
            assert_eq!(periods.first().and_then(TimeRange::begin), range.begin());
            assert_eq!(periods.last().and_then(TimeRange::end), range.end());
            for pair in periods.windows(2) {
                assert!(pair[0].intersect(&pair[1]).is_none(), "{text}: {pair:?}");
            }
        }
    }

    #[test]
    fn a_month_from_the_31st_returns_to_it() {
        let range = TimeRange::parse_between("2021-01-31", "2021-04-30").expect("a range");
        let expected = ["2021-01-31", "2021-02-28", "2021-03-31", "2021-04-30"];
        assert_eq!(divided("1 month", range), expected);
    }

    #[test]
    fn what_is_no_period_is_refused() {
        for text in [
            "",
            "7",
            "0 days",
            "1 fortnight",
            "-1 day",
            "month 1",
            "99999999999 days",
        ] {
            let error = text.parse::<Period>().expect_err(text).to_string();
            assert!(error.contains("1 day"), "{error}");
        }
        let age: TimeRange = TimeRange::parse_between("1000", "2999").expect("a range");
        let period: Period = "1 day".parse().expect("a period");
        assert!(period.divide(&age).is_err());
    }
}
