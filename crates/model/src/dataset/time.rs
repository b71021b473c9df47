//! Times in documents.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::document::{DocPath, Node, Problem, ProblemKind};
use crate::error::{Error, Result};
use crate::metadata_type::{FieldSource, MetadataType, Offset, get_in};

/// Reads a time as documents write it: `2016-05-12 23:50:23.054165Z` and the
/// other forms of ISO 8601, dates and months alone, and the form of mail
/// headers. Without an offset it is UTC. Below a microsecond nothing is kept,
/// as in ODC.
///
/// ```
/// let time = datacube_model::parse_time("2016-05-12 23:50:23.0541659")?;
/// assert_eq!(time.to_string(), "2016-05-12T23:50:23.054165Z");
/// # Ok::<(), datacube_model::Error>(())
/// ```
///
/// # Errors
/// [`Error::InvalidTime`].
///
/// # Source
/// datacube-core, `datacube/utils/dates.py` (`parse_time`).
pub fn parse_time(text: &str) -> Result<Timestamp> {
    let trimmed = text.trim();
    iso(trimmed)
        .or_else(|| partial(trimmed))
        .or_else(|| {
            jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(trimmed)
                .ok()
        })
        .and_then(whole_microseconds)
        .ok_or_else(|| Error::InvalidTime {
            found: text.to_owned(),
        })
}

fn iso(text: &str) -> Option<Timestamp> {
    let mut text = text.replace('/', "-");
    for zone in ["UTC", "GMT"] {
        if let Some(rest) = text.strip_suffix(zone) {
            text = format!("{}Z", rest.trim_end());
        }
    }
    // A space may stand between the time and its offset.
    if let Some((time, offset)) = text.rsplit_once(' ')
        && offset.starts_with(['+', '-', 'Z', 'z'])
    {
        text = format!("{time}{offset}");
    }
    // Fractions are cut at nine digits.
    if let Some(start) = text.find(['.', ',']) {
        let n_digits = text[start + 1..]
            .bytes()
            .take_while(u8::is_ascii_digit)
            .count();
        if n_digits > 9 {
            text.replace_range(start + 10..start + 1 + n_digits, "");
        }
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    text.parse::<DateTime>().ok().and_then(utc)
}

/// A month or a year alone.
fn partial(text: &str) -> Option<Timestamp> {
    let (year, month) = text.split_once(['-', '/']).unwrap_or((text, "01"));
    if year.len() != 4 || month.len() != 2 {
        return None;
    }
    let date = Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()?;
    utc(date.to_datetime(jiff::civil::Time::midnight()))
}

fn utc(time: DateTime) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(time).ok()
}

fn whole_microseconds(time: Timestamp) -> Option<Timestamp> {
    let nanoseconds = time.as_nanosecond();
    Timestamp::from_nanosecond(nanoseconds - nanoseconds.rem_euclid(1000)).ok()
}

/// The middle between two times, in whole microseconds towards the first.
pub(super) fn middle(begin: Timestamp, end: Timestamp) -> Timestamp {
    let half = (end.as_microsecond() - begin.as_microsecond()).div_euclid(2);
    Timestamp::from_microsecond(begin.as_microsecond() + half).expect("it lies between two times")
}

/// The time range of a document: that of the field `time` of its metadata
/// type, or of `datetime` and `dtr:*` in `properties` where the type has no
/// such field.
pub(super) fn read(
    document: &Node<'_>,
    metadata_type: &MetadataType,
) -> Option<(Timestamp, Timestamp)> {
    let property = |name: &str| vec!["properties".to_owned(), name.to_owned()];
    let (begins, ends) = match metadata_type.field("time").map(|field| &field.source) {
        Some(FieldSource::Range { min, max }) => (min.clone(), max.clone()),
        Some(FieldSource::Offset(offset)) => (vec![offset.clone()], vec![offset.clone()]),
        None => (
            vec![property("dtr:start_datetime"), property("datetime")],
            vec![property("dtr:end_datetime"), property("datetime")],
        ),
    };
    let mut right = true;
    let mut times = |offsets: &[Offset]| -> Vec<(Timestamp, Offset)> {
        let mut found = Vec::new();
        for offset in offsets {
            match get_in(document.value, offset) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if parse_time(text).is_ok() => {
                    found.extend(parse_time(text).ok().map(|time| (time, offset.clone())));
                }
                Some(value) => {
                    right = false;
                    let path = DocPath::root().keys(offset);
                    // `datetime` may stand in both lists.
                    let known = document
                        .report()
                        .problems()
                        .iter()
                        .any(|problem| problem.path == path);
                    if !known {
                        let problem = Problem::new(
                            path,
                            ProblemKind::BadValue,
                            "a time such as 2022-01-21T15:40:10Z",
                        );
                        document.report().problem(problem.found(value));
                    }
                }
            }
        }
        found
    };
    let (begins, ends) = (times(&begins), times(&ends));
    if !right {
        return None;
    }
    // The first of each list are the ends proper; those after them stand in where they are missing.
    if let (Some((begin, _)), Some((end, offset))) = (begins.first(), ends.first())
        && begin > end
    {
        return reversed(document, offset, *begin, *end);
    }
    let begin = begins.iter().map(|(time, _)| *time).min();
    let end = ends.iter().max_by_key(|(time, _)| *time);
    match (begin, end) {
        (Some(begin), Some((end, offset))) if begin > *end => {
            reversed(document, offset, begin, *end)
        }
        (Some(begin), Some((end, _))) => Some((begin, *end)),
        (Some(only), None) => Some((only, only)),
        (None, Some((only, _))) => Some((*only, *only)),
        (None, None) => {
            let path = DocPath::root().keys(&["properties", "datetime"]);
            let expected = "when the dataset was acquired, such as 2022-01-21T15:40:10Z";
            document
                .report()
                .problem(Problem::new(path, ProblemKind::Missing, expected));
            None
        }
    }
}

fn reversed<T>(
    document: &Node<'_>,
    offset: &Offset,
    begin: Timestamp,
    end: Timestamp,
) -> Option<T> {
    let path = DocPath::root().keys(offset);
    let problem = Problem::new(
        path,
        ProblemKind::Conflict,
        format!("a time that is not before the begin, {begin}"),
    );
    document
        .report()
        .problem(problem.found_text(end.to_string()));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        match parse_time(text) {
            Ok(time) => assert_eq!(time.to_string(), expected, "{text}"),
            Err(_) => assert_eq!("", expected, "{text}"),
        }
    }

    #[test]
    fn forms_in_use_are_read() {
        check("2016-05-12 23:50:23.054165Z", "2016-05-12T23:50:23.054165Z");
        check("2019-10-21 15:54:01+00:00", "2019-10-21T15:54:01Z");
        check("2019-10-21 15:54:01 +0200", "2019-10-21T13:54:01Z");
        check("2019-10-07T20:19:19.218290", "2019-10-07T20:19:19.21829Z");
        check("2020-06-30T12:00Z", "2020-06-30T12:00:00Z");
        check("20180101T004644Z", "2018-01-01T00:46:44Z");
        check("2018-01-01T00:46:44 UTC", "2018-01-01T00:46:44Z");
        check("2018/01/02", "2018-01-02T00:00:00Z");
        check("2018-02", "2018-02-01T00:00:00Z");
        check("2018", "2018-01-01T00:00:00Z");
        check(
            "1969-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999999Z",
        );
        check(
            "2018-01-01T00:00:00.123456789123Z",
            "2018-01-01T00:00:00.123456Z",
        );
        check("Mon, 01 Jan 2018 00:46:44 GMT", "2018-01-01T00:46:44Z");
        check(" 2018-01-01 ", "2018-01-01T00:00:00Z");
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "yesterday",
            "2018-13",
            "2018-02-30",
            "2018-01-01T25:00Z",
            "12:00",
            "-",
            "1.5",
            "2018-1-1",
        ] {
            check(text, "");
        }
    }

    #[test]
    fn the_middle_is_floored() {
        let time = |microsecond| Timestamp::from_microsecond(microsecond).expect("in range");
        assert_eq!(middle(time(0), time(3)), time(1));
        assert_eq!(middle(time(-3), time(0)), time(-2));
        assert_eq!(middle(time(5), time(5)), time(5));
    }
}
