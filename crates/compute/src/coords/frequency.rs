//! Periods of time by their names in pandas: `1MS`, `QE-NOV`, `W`, `10D`, `6h`.
//!
//! A period is of a fixed length, or ends at anchors of the calendar: Sundays,
//! last days of months. Anchors are numbered, so that stepping over them is
//! arithmetic on whole numbers.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::error::{Error, Result};

/// Nanoseconds of a day.
pub(crate) const DAY: i64 = 86_400_000_000_000;

/// A period by which dates are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frequency {
    /// Of so many nanoseconds.
    Fixed(i64),
    /// From each anchor to the one that is `every` on.
    Anchored { every: i64, anchor: Anchor },
}

/// Days of the calendar at which periods start or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// One day of the week, counted from Monday.
    Week(i64),
    /// The first or the last day of each `cycle`-th month, one of which is
    /// `month`, counted from January.
    Month { cycle: i64, month: i64, end: bool },
    /// The first and the `day`-th of each month, or the `day`-th and the last.
    HalfMonth { day: i8, end: bool },
}

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// Names that pandas had before, and what they are called now.
const RENAMED: [(&str, &str); 8] = [
    ("M", "ME"),
    ("Q", "QE"),
    ("Y", "YE"),
    ("A", "YE"),
    ("SM", "SME"),
    ("L", "ms"),
    ("U", "us"),
    ("N", "ns"),
];

impl Frequency {
    /// The period that a text names.
    ///
    /// # Source
    /// pandas 3, `to_offset`; of what it names, business days are left out.
    pub(crate) fn parse(text: &str) -> Result<Frequency> {
        let bad = |why: &str| {
            Error::Invalid(format!(
                "`{text}` is no period{why}; give a number and MS, ME, QS-DEC, QE, YS, YE, SMS, SME, W-SUN, D, h, min, s, ms, us or ns, such as `1MS`, `QS-DEC`, `W`, `5D` or `6h`"
            ))
        };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, name) = text.split_at(digits);
        let every: i64 = match number {
            "" => 1,
            number => number.parse().map_err(|_| bad(""))?,
        };
        if every == 0 {
            return Err(bad(" of any length"));
        }
        let (unit, suffix) = match name.split_once('-') {
            Some((unit, suffix)) => (unit, Some(suffix)),
            None => (name, None),
        };
        if let Some((_, now)) = RENAMED.iter().find(|(old, _)| *old == unit) {
            return Err(bad(&format!(": `{unit}` is written `{now}`")));
        }
        let fixed = match unit {
            "D" => Some(DAY),
            "h" | "H" => Some(DAY / 24),
            "min" | "T" => Some(60_000_000_000),
            "s" | "S" => Some(1_000_000_000),
            "ms" => Some(1_000_000),
            "us" => Some(1000),
            "ns" => Some(1),
            _ => None,
        };
        if let Some(length) = fixed {
            if suffix.is_some() {
                return Err(bad(&format!(": `{unit}` has no anchor")));
            }
            let length = length
                .checked_mul(every)
                .filter(|&length| length < i64::MAX / 4);
            return length
                .map(Frequency::Fixed)
                .ok_or_else(|| bad(", it is too long"));
        }
        let index = |names: &[&str], default: i64| -> Result<i64> {
            let Some(suffix) = suffix else {
                return Ok(default);
            };
            let found = (0i64..).zip(names).find(|(_, name)| **name == suffix);
            found
                .map(|(at, _)| at)
                .ok_or_else(|| bad(&format!(": no anchor `{suffix}`")))
        };
        let months = |cycle: i64, default: i64, end: bool| -> Result<Anchor> {
            let month = index(&MONTHS, default)?;
            Ok(Anchor::Month { cycle, month, end })
        };
        let anchor = match unit {
            "MS" | "ME" if suffix.is_none() => months(1, 0, unit == "ME")?,
            "QS" => months(3, 0, false)?,
            "QE" => months(3, 11, true)?,
            "YS" | "AS" => months(12, 0, false)?,
            "YE" => months(12, 11, true)?,
            "W" => Anchor::Week(index(&WEEKDAYS, 6)?),
            "SMS" | "SME" => {
                let end = unit == "SME";
                let day: i8 = match suffix {
                    None => 15,
                    Some(suffix) => suffix.parse().map_err(|_| bad(""))?,
                };
                let least = if end { 1 } else { 2 };
                if !(least..=27).contains(&day) {
                    return Err(bad(&format!(": months are parted at days {least} to 27")));
                }
                Anchor::HalfMonth { day, end }
            }
            _ => return Err(bad("")),
        };
        if every > 1_000_000 {
            return Err(bad(", it is too long"));
        }
        Ok(Frequency::Anchored { every, anchor })
    }

    /// Whether its periods end with the day of an anchor, rather than begin.
    pub(crate) fn is_of_ends(self) -> bool {
        matches!(
            self,
            Frequency::Anchored {
                anchor: Anchor::Week(_) | Anchor::Month { end: true, .. },
                ..
            }
        )
    }
}

impl Anchor {
    /// The number of the last anchor that is not after a date.
    pub(crate) fn not_after(self, date: Date) -> i64 {
        let months = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
        let last = date.day() == date.days_in_month();
        match self {
            Anchor::Week(weekday) => (day_number(date) - week_start(weekday)).div_euclid(7),
            Anchor::Month { cycle, month, end } => {
                let since = months - month;
                let within = end && since.rem_euclid(cycle) == 0 && !last;
                since.div_euclid(cycle) - i64::from(within)
            }
            Anchor::HalfMonth { day, end: false } => 2 * months + i64::from(date.day() >= day),
            Anchor::HalfMonth { day, end: true } => {
                2 * months + i64::from(last) - i64::from(date.day() < day)
            }
        }
    }

    /// The day of an anchor.
    pub(crate) fn day(self, number: i64) -> Result<Date> {
        let outside = || Error::Invalid("periods outside the years 1677 to 2262".to_owned());
        let month = |months: i64, day: Option<i8>| {
            let year = i16::try_from(months.div_euclid(12)).map_err(|_| outside())?;
            let month = i8::try_from(months.rem_euclid(12) + 1).map_err(|_| outside())?;
            let first = Date::new(year, month, 1).map_err(|_| outside())?;
            match day {
                Some(day) => Date::new(year, month, day).map_err(|_| outside()),
                None => Ok(first.last_of_month()),
            }
        };
        match self {
            Anchor::Week(weekday) => {
                let day = number.checked_mul(7).map(|days| days + week_start(weekday));
                let at = day
                    .and_then(|day| day.checked_mul(DAY))
                    .ok_or_else(outside)?;
                Ok(civil(at)?.date())
            }
            Anchor::Month {
                cycle,
                month: first,
                end,
            } => month(number * cycle + first, (!end).then_some(1)),
            Anchor::HalfMonth { day, end } => {
                let second = number.rem_euclid(2) == 1;
                let day = match (second, end) {
                    (false, false) => Some(1),
                    (true, true) => None,
                    _ => Some(day),
                };
                month(number.div_euclid(2), day)
            }
        }
    }
}

/// The day of the epoch's week, counted from the epoch.
fn week_start(weekday: i64) -> i64 {
    // The epoch was a Thursday.
    weekday - 3
}

/// Days since the epoch.
fn day_number(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    i64::from((date - epoch).get_days())
}

/// A length of time: an optional sign, a number and a unit, such as `6h`.
pub(crate) fn parse_length(text: &str) -> Result<i64> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    match Frequency::parse(rest) {
        Ok(Frequency::Fixed(length)) => Ok(sign * length),
        _ => Err(Error::Invalid(format!(
            "`{text}` is no length of time; give a number and D, h, min, s, ms, us or ns, such as `6h` or `-3D`"
        ))),
    }
}

/// An instant as date and time of UTC.
pub(crate) fn civil(time: i64) -> Result<DateTime> {
    let instant = Timestamp::from_nanosecond(i128::from(time))
        .map_err(|error| Error::Bug(error.to_string()))?;
    Ok(instant.to_zoned(TimeZone::UTC).datetime())
}

/// The first instant of a day.
pub(crate) fn midnight(date: Date) -> Result<i64> {
    let outside = || Error::Invalid(format!("{date} is outside the years 1677 to 2262"));
    let instant = date
        .to_zoned(TimeZone::UTC)
        .map_err(|_| outside())?
        .timestamp();
    i64::try_from(instant.as_nanosecond()).map_err(|_| outside())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_lies_between_its_anchors() {
        for name in [
            "MS", "ME", "QS-DEC", "QE-NOV", "YS-JUL", "YE", "W", "W-WED", "SMS", "SME-10",
        ] {
            let Frequency::Anchored { anchor, .. } = Frequency::parse(name).unwrap() else {
                panic!("{name} has no anchors");
            };
            for day in -800..800 {
                let date = civil(day * DAY).unwrap().date();
                let number = anchor.not_after(date);
                let (own, next) = (anchor.day(number).unwrap(), anchor.day(number + 1).unwrap());
                assert!(own <= date && date < next, "{name} {date}: {own} to {next}");
                assert_eq!(anchor.not_after(own), number, "{name} {own}");
            }
        }
    }

    #[test]
    fn names_and_what_is_none() {
        assert_eq!(Frequency::parse("6h").unwrap(), Frequency::Fixed(DAY / 4));
        assert!(Frequency::parse("QE").unwrap().is_of_ends());
        assert!(!Frequency::parse("SME").unwrap().is_of_ends());
        assert_eq!(parse_length("-2D").unwrap(), -2 * DAY);
        for (wrong, why) in [
            ("", "`` is no period"),
            ("0D", "length"),
            ("month", "MS"),
            ("MS-JAN", "is no period"),
            ("3", "is no period"),
            ("QS-XYZ", "no anchor `XYZ`"),
            ("W-JAN", "no anchor `JAN`"),
            ("1M", "written `ME`"),
            ("SME-30", "27"),
            ("D-MON", "no anchor"),
            ("99999999999999D", "too long"),
        ] {
            let message = Frequency::parse(wrong).unwrap_err().to_string();
            assert!(message.contains(why), "{wrong}: {message}");
        }
        assert!(parse_length("1MS").unwrap_err().to_string().contains("6h"));
    }
}
