//! A stretch of time as a query states it: closed, in UTC, open at either end if wished.
//!
//! Both ends belong to the range, as in the Open Data Cube, and a dataset is
//! found when its own closed `[begin, end]` shares an instant with it. Times
//! are compared at the index's resolution of one microsecond; what is finer is
//! cut off. A date written in part, such as `2020-02`, means the whole of that
//! period: from its first instant to its last microsecond.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use crate::error::{Error, Result};

/// A closed range of instants; an end that is `None` is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    begin: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl TimeRange {
    /// From `begin` to `end`, both included.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] when `begin` is after `end`.
    pub fn between(begin: Timestamp, end: Timestamp) -> Result<Self> {
        if begin > end {
            return Err(Error::invalid_query(format!(
                "the time range begins at {begin}, after its end {end}; exchange the two"
            )));
        }
        Ok(TimeRange {
            begin: Some(begin),
            end: Some(end),
        })
    }

    /// From `begin` to the last microsecond before `end`.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] when nothing lies between the two.
    pub fn half_open(begin: Timestamp, end: Timestamp) -> Result<Self> {
        let last = from_micros(micros(end).saturating_sub(1));
        if begin > last {
            return Err(Error::invalid_query(format!(
                "the time range from {begin} until before {end} is empty"
            )));
        }
        Self::between(begin, last)
    }

    /// One instant.
    pub fn at(instant: Timestamp) -> Self {
        TimeRange {
            begin: Some(instant),
            end: Some(instant),
        }
    }

    /// `begin` and everything after it.
    pub fn since(begin: Timestamp) -> Self {
        TimeRange {
            begin: Some(begin),
            end: None,
        }
    }

    /// `end` and everything before it.
    pub fn until(end: Timestamp) -> Self {
        TimeRange {
            begin: None,
            end: Some(end),
        }
    }

    /// From the first instant of the period `first` to the last of `last`,
    /// each written as [`TimeRange::from_str`] reads it.
    ///
    /// # Errors
    /// [`Error::InvalidQuery`] for a text that is no time and for a reversed
    /// range.
    pub fn parse_between(first: &str, last: &str) -> Result<Self> {
        let begin: TimeRange = first.parse()?;
        let end: TimeRange = last.parse()?;
        match (begin.begin, end.end) {
            (Some(begin), Some(end)) if begin > end => Err(Error::invalid_query(format!(
                "the time range begins at {first}, after its end {last}; exchange the two"
            ))),
            (begin, end) => Ok(TimeRange { begin, end }),
        }
    }

    /// The first instant; `None` where the range has no beginning.
    pub fn begin(&self) -> Option<Timestamp> {
        self.begin
    }

    /// The last instant; `None` where the range has no end.
    pub fn end(&self) -> Option<Timestamp> {
        self.end
    }

    /// What both ranges share.
    pub fn intersect(&self, other: &TimeRange) -> Option<TimeRange> {
        let begin = self.begin.max(other.begin);
        let end = match (self.end, other.end) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        match (begin, end) {
            (Some(begin), Some(end)) if begin > end => None,
            (begin, end) => Some(TimeRange { begin, end }),
        }
    }

    /// The ends in microseconds since 1970, open ends as far as they go.
    pub(crate) fn micros(&self) -> (i64, i64) {
        (
            self.begin.map_or(i64::MIN, micros),
            self.end.map_or(i64::MAX, micros),
        )
    }
}

impl FromStr for TimeRange {
    type Err = Error;

    /// Reads one period: a year `2020`, a month `2020-02`, a day `2020-02-29`,
    /// or a day with a time (`2020-02-29T10`, `...T10:30`, `...T10:30:15`,
    /// `...T10:30:15.5`), in UTC unless an offset follows (`Z`, `+10:00`).
    ///
    /// What is left out makes the range longer: an hour without minutes is the
    /// whole hour, a second without a fraction the whole second, and one with
    /// a fraction that very instant.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::invalid_query(format!(
                "`{text}` is no time{why}; write it as 2020, 2020-02, 2020-02-29 or \
                 2020-02-29T10:30:00Z"
            ))
        };
        let (first, next) = parse_period(text.trim()).map_err(|why| refuse(&why))?;
        match next {
            None => Ok(TimeRange::at(first)),
            Some(next) => TimeRange::half_open(first, next),
        }
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.begin, self.end) {
            (Some(begin), Some(end)) if begin == end => write!(f, "{begin}"),
            (Some(begin), Some(end)) => write!(f, "{begin} to {end}"),
            (Some(begin), None) => write!(f, "since {begin}"),
            (None, Some(end)) => write!(f, "until {end}"),
            (None, None) => f.write_str("any time"),
        }
    }
}

/// Microseconds since 1970, finer parts cut off towards the past.
pub(crate) fn micros(instant: Timestamp) -> i64 {
    let whole = instant.as_microsecond();
    // `as_microsecond` cuts towards zero.
    if instant.subsec_nanosecond() % 1_000 < 0 {
        whole - 1
    } else {
        whole
    }
}

/// The instant of a count of microseconds, held within what can be told.
pub(crate) fn from_micros(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// The first instant of the period, and of the one after it (none for an instant).
fn parse_period(text: &str) -> Result<(Timestamp, Option<Timestamp>), String> {
    let (date_text, time_text) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text[at + 1..].trim())),
        None => (text, None),
    };
    let (date, day_span) = parse_date(date_text)?;
    let Some(time_text) = time_text else {
        let start = date.to_datetime(Time::midnight());
        return Ok((instant(start, 0)?, Some(instant(add(start, day_span)?, 0)?)));
    };
    if date_text.len() != 10 {
        return Err(": a time of day needs a whole date before it".to_owned());
    }
    let (clock, offset_seconds) = split_offset(time_text)?;
    let (time, span) = parse_clock(clock)?;
    let start = date.to_datetime(time);
    let first = instant(start, offset_seconds)?;
    let next = span
        .map(|span| instant(add(start, span)?, offset_seconds))
        .transpose()?;
    Ok((first, next))
}

fn parse_date(text: &str) -> Result<(Date, Span), String> {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |part: &str, digits: usize| -> Result<i16, String> {
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(String::new());
        }
        part.parse().map_err(|_| String::new())
    };
    let small = |part: &str| -> Result<i8, String> {
        i8::try_from(number(part, 2)?).map_err(|_| String::new())
    };
    let (year, month, day, span) = match parts.as_slice() {
        [year] => (number(year, 4)?, 1, 1, 1.year()),
        [year, month] => (number(year, 4)?, small(month)?, 1, 1.month()),
        [year, month, day] => (number(year, 4)?, small(month)?, small(day)?, 1.day()),
        _ => return Err(String::new()),
    };
    let date = Date::new(year, month, day).map_err(|_| ": there is no such day".to_owned())?;
    Ok((date, span))
}

/// The time of day, and how long a period its precision means.
fn parse_clock(text: &str) -> Result<(Time, Option<Span>), String> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let mut parts = [0_i8; 3];
    let mut n_parts = 0;
    for part in whole.split(':') {
        if n_parts == 3 || part.len() != 2 || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(String::new());
        }
        parts[n_parts] = part.parse().map_err(|_| String::new())?;
        n_parts += 1;
    }
    let nanoseconds = match fraction {
        None => 0,
        Some(digits) => {
            if n_parts != 3 || digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(String::new());
            }
            let nine: String = digits.chars().chain("000000000".chars()).take(9).collect();
            nine.parse().map_err(|_| String::new())?
        }
    };
    let [hour, minute, second] = parts;
    let time = Time::new(hour, minute, second, nanoseconds)
        .map_err(|_| ": there is no such time of day".to_owned())?;
    let span = match (n_parts, fraction) {
        (1, _) => Some(1.hour()),
        (2, _) => Some(1.minute()),
        (_, None) => Some(1.second()),
        (_, Some(_)) => None,
    };
    Ok((time, span))
}

/// Splits `10:30+10:00` into the clock and the offset in seconds, east positive.
fn split_offset(text: &str) -> Result<(&str, i64), String> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Ok((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Ok((text, 0));
    };
    let (clock, offset) = text.split_at(at);
    let (sign, digits) = offset.split_at(1);
    let digits = digits.replace(':', "");
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(": its offset should look like +10:00".to_owned());
    }
    let hours: i64 = digits[..2].parse().map_err(|_| String::new())?;
    let minutes: i64 = if digits.len() == 4 {
        digits[2..].parse().map_err(|_| String::new())?
    } else {
        0
    };
    if hours > 23 || minutes > 59 {
        return Err(": its offset is more than a day".to_owned());
    }
    let seconds = hours * 3600 + minutes * 60;
    Ok((clock, if sign == "-" { -seconds } else { seconds }))
}

fn add(start: DateTime, span: Span) -> Result<DateTime, String> {
    start
        .checked_add(span)
        .map_err(|_| ": it is out of range".to_owned())
}

fn instant(civil: DateTime, offset_seconds: i64) -> Result<Timestamp, String> {
    let utc = civil
        .to_zoned(TimeZone::UTC)
        .map_err(|_| ": it is out of range".to_owned())?
        .timestamp();
    utc.checked_sub(offset_seconds.seconds())
        .map_err(|_| ": it is out of range".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, begin: &str, end: &str) {
        let range: TimeRange = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
        let stamp = |t: &str| t.parse::<Timestamp>().expect("a timestamp in a test");
        assert_eq!(range.begin(), Some(stamp(begin)), "{text}");
        assert_eq!(range.end(), Some(stamp(end)), "{text}");
    }

    #[test]
    fn a_partial_date_is_the_whole_period() {
        check(
            "2020",
            "2020-01-01T00:00:00Z",
            "2020-12-31T23:59:59.999999Z",
        );
        check(
            "2020-02",
            "2020-02-01T00:00:00Z",
            "2020-02-29T23:59:59.999999Z",
        );
        check(
            "2021-12",
            "2021-12-01T00:00:00Z",
            "2021-12-31T23:59:59.999999Z",
        );
        check(
            "2020-02-29",
            "2020-02-29T00:00:00Z",
            "2020-02-29T23:59:59.999999Z",
        );
        check(
            "2020-02-29T10",
            "2020-02-29T10:00:00Z",
            "2020-02-29T10:59:59.999999Z",
        );
        check(
            "2020-02-29 10:30",
            "2020-02-29T10:30:00Z",
            "2020-02-29T10:30:59.999999Z",
        );
        check(
            "2020-02-29T10:30:15Z",
            "2020-02-29T10:30:15Z",
            "2020-02-29T10:30:15.999999Z",
        );
        check(
            "2020-02-29T10:30:15.5Z",
            "2020-02-29T10:30:15.5Z",
            "2020-02-29T10:30:15.5Z",
        );
        check(
            "2020-03-01T08:30+10:00",
            "2020-02-29T22:30:00Z",
            "2020-02-29T22:30:59.999999Z",
        );
        check(
            "1969-12-31T23:59:59-0130",
            "1970-01-01T01:29:59Z",
            "1970-01-01T01:29:59.999999Z",
        );
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "",
            "20",
            "2020-13",
            "2020-02-30",
            "2020-2",
            "yesterday",
            "2020-02-29T25",
            "2020T10",
            "2020-02-29T10:30:15.",
            "2020-02-29T1:2",
            "2020-02-29T10+1:00:00",
            "2020-02-29-01",
            "-2020",
        ] {
            let error = text.parse::<TimeRange>().expect_err(text);
            assert!(
                error.to_string().contains("2020-02-29T10:30:00Z"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn reversed_ranges_are_refused() {
        let error = TimeRange::parse_between("2021", "2020").expect_err("reversed");
        assert!(error.to_string().contains("exchange"), "{error}");
        assert!(TimeRange::parse_between("2020", "2020").is_ok());
        let t: Timestamp = "2020-01-01T00:00:00Z".parse().expect("a timestamp");
        assert!(TimeRange::half_open(t, t).is_err());
        assert!(TimeRange::between(t, t).is_ok());
    }

    #[test]
    fn micros_go_down_before_1970_too() {
        let t = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        assert_eq!(micros(t("1970-01-01T00:00:00.0000019Z")), 1);
        assert_eq!(micros(t("1969-12-31T23:59:59.9999999Z")), -1);
        assert_eq!(micros(t("1969-12-31T23:59:59.999999Z")), -1);
        assert_eq!(micros(t("1969-12-31T23:59:58.9999985Z")), -1_000_002);
        assert_eq!(from_micros(i64::MAX), Timestamp::MAX);
    }

    #[test]
    fn intersections_keep_open_ends() {
        let a: TimeRange = "2020".parse().expect("a year");
        let b = TimeRange::since("2020-06-01T00:00:00Z".parse().expect("a timestamp"));
        let both = a.intersect(&b).expect("they meet");
        assert_eq!((both.begin(), both.end()), (b.begin(), a.end()));
        let before = TimeRange::until("2019-06-01T00:00:00Z".parse().expect("a timestamp"));
        assert_eq!(a.intersect(&before), None);
    }
}
