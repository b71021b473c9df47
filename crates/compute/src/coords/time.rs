//! Instants and the periods that texts name: `2022-01` is all of January.
//!
//! Everything is UTC and 64 bits of nanoseconds, as numpy's `datetime64[ns]`.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// A stretch of time that a text names: from `start` up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    /// Nanoseconds since the epoch, UTC.
    pub(crate) start: i64,
    /// Nanoseconds since the epoch, UTC.
    pub(crate) end: i64,
    /// Whether the text states seconds or finer, and so an instant.
    pub(crate) instant: bool,
}

/// `2022-01-21T15:40:10.123`.
pub(crate) fn iso(nanoseconds: i64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into())
        .map(|timestamp| timestamp.to_zoned(TimeZone::UTC).datetime().to_string())
        .unwrap_or_else(|_| format!("{nanoseconds} ns"))
}

/// Whether it is the first instant of a day.
pub(crate) fn is_midnight(nanoseconds: i64) -> bool {
    nanoseconds.rem_euclid(86_400_000_000_000) == 0
}

/// `2022`, `2022-01`, `2022-01-21`, `2022-01-21T15`, `...:40`, `...:10.123`,
/// with a blank for the `T` and a `Z` at the end allowed.
pub(crate) fn parse_period(text: &str) -> Option<Period> {
    let text = text.trim().trim_end_matches(['Z', 'z']);
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year: i16 = number(parts.next()?, 4)?;
    let month: Option<i8> = parts
        .next()
        .map(|text| number(text, 2))
        .map_or(Some(None), |x| x.map(Some))?;
    let day: Option<i8> = parts
        .next()
        .map(|text| number(text, 2))
        .map_or(Some(None), |x| x.map(Some))?;
    if parts.next().is_some() || (time.is_some() && day.is_none()) {
        return None;
    }
    let first = Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
    let start = first.at(0, 0, 0, 0);
    let Some(time) = time else {
        let span = match (month, day) {
            (None, _) => Span::new().years(1),
            (_, None) => Span::new().months(1),
            _ => Span::new().days(1),
        };
        return period(start, start.checked_add(span).ok()?, false);
    };
    parse_time(start, time)
}

fn parse_time(day: DateTime, time: &str) -> Option<Period> {
    let mut parts = time.split(':');
    let hour: i64 = number(parts.next()?, 2)?;
    let minute = parts.next();
    let second = parts.next();
    if parts.next().is_some() || hour > 23 {
        return None;
    }
    let minutes: i64 = minute.map_or(Some(0), |text| number(text, 2))?;
    let (seconds, fraction) = match second.map(|text| text.split_once('.').unwrap_or((text, ""))) {
        Some((seconds, fraction)) => (number::<i64>(seconds, 2)?, fraction),
        None => (0, ""),
    };
    if minutes > 59 || seconds > 59 || fraction.len() > 9 {
        return None;
    }
    let nanos: i64 = if fraction.is_empty() {
        0
    } else {
        format!("{fraction:0<9}").parse().ok()?
    };
    let start = day
        .checked_add(SignedDuration::new(
            hour * 3600 + minutes * 60 + seconds,
            nanos.try_into().ok()?,
        ))
        .ok()?;
    let length = match (minute, second, fraction.len()) {
        (None, ..) => SignedDuration::from_hours(1),
        (_, None, _) => SignedDuration::from_mins(1),
        (.., digits) => {
            SignedDuration::from_nanos(10_i64.pow(9 - u32::try_from(digits).unwrap_or(9)))
        }
    };
    period(start, start.checked_add(length).ok()?, second.is_some())
}

fn period(start: DateTime, end: DateTime, instant: bool) -> Option<Period> {
    let nanoseconds = |datetime: DateTime| {
        let timestamp = datetime.to_zoned(TimeZone::UTC).ok()?.timestamp();
        i64::try_from(timestamp.as_nanosecond()).ok()
    };
    Some(Period {
        start: nanoseconds(start)?,
        end: nanoseconds(end)?,
        instant,
    })
}

/// Digits only, and not more than `width` of them.
fn number<T: std::str::FromStr>(text: &str, width: usize) -> Option<T> {
    let digits =
        !text.is_empty() && text.len() <= width && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, start: &str, end: &str, instant: bool) {
        let period = parse_period(text).unwrap_or_else(|| panic!("{text} is a period"));
        assert_eq!(iso(period.start), start, "{text}");
        assert_eq!(iso(period.end), end, "{text}");
        assert_eq!(period.instant, instant, "{text}");
    }

    #[test]
    fn periods() {
        check("2022", "2022-01-01T00:00:00", "2023-01-01T00:00:00", false);
        check(
            "2024-02",
            "2024-02-01T00:00:00",
            "2024-03-01T00:00:00",
            false,
        );
        check(
            "2022-12-31",
            "2022-12-31T00:00:00",
            "2023-01-01T00:00:00",
            false,
        );
        check(
            "2022-01-05T10",
            "2022-01-05T10:00:00",
            "2022-01-05T11:00:00",
            false,
        );
        check(
            "2022-01-05 23:59",
            "2022-01-05T23:59:00",
            "2022-01-06T00:00:00",
            false,
        );
        check(
            "2022-01-05T10:20:30Z",
            "2022-01-05T10:20:30",
            "2022-01-05T10:20:31",
            true,
        );
        check(
            "2022-01-05T10:20:30.123",
            "2022-01-05T10:20:30.123",
            "2022-01-05T10:20:30.124",
            true,
        );
    }

    #[test]
    fn no_periods() {
        for text in [
            "",
            "x",
            "2022-13",
            "2022-02-30",
            "2022-1-1T25",
            "2022T10",
            "20220",
            "2022-01-01T00:60",
            "-1",
        ] {
            assert_eq!(parse_period(text), None, "{text}");
        }
    }
}
