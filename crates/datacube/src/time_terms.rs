//! Time terms of a query: text, instants and pairs of them, as ODC reads them.
//!
//! A text names a period: `2022-02` is all of February. As the start of a range
//! it stands for the period's first instant, as the end for its last. A
//! `Timestamp` is an instant and nothing more.

use datacube_index::TimeRange;
use jiff::Timestamp;
use jiff::civil::Date;

use crate::Result;

/// One end of a time range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeBound {
    /// `2022`, `2022-02`, `2022-02-05`, `2022-02-05T10:30`, with or without a zone (UTC without).
    Text(String),
    /// An instant.
    Instant(Timestamp),
}

impl TimeBound {
    /// What the bound covers: a period, or one instant.
    fn range(&self) -> Result<TimeRange> {
        match self {
            TimeBound::Text(text) => Ok(text.parse()?),
            TimeBound::Instant(instant) => Ok(TimeRange::at(*instant)),
        }
    }
}

impl From<&str> for TimeBound {
    fn from(text: &str) -> Self {
        TimeBound::Text(text.to_owned())
    }
}

impl From<String> for TimeBound {
    fn from(text: String) -> Self {
        TimeBound::Text(text)
    }
}

impl From<Timestamp> for TimeBound {
    fn from(instant: Timestamp) -> Self {
        TimeBound::Instant(instant)
    }
}

impl From<Date> for TimeBound {
    fn from(date: Date) -> Self {
        TimeBound::Text(date.to_string())
    }
}

/// What a caller gave for `time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeTerm {
    /// One period, or one instant.
    Single(TimeBound),
    /// From the start of one to the end of the other; `None` is open.
    Range(Option<TimeBound>, Option<TimeBound>),
}

impl<T: Into<TimeBound>> From<T> for TimeTerm {
    fn from(bound: T) -> Self {
        TimeTerm::Single(bound.into())
    }
}

impl<S: Into<TimeBound>, E: Into<TimeBound>> From<(S, E)> for TimeTerm {
    fn from((start, end): (S, E)) -> Self {
        TimeTerm::Range(Some(start.into()), Some(end.into()))
    }
}

impl TimeTerm {
    /// The instants that the term covers; `None` when both ends are open.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for a text that is no time and for
    /// a range whose end lies before its start.
    ///
    /// # Source
    /// datacube-core, `datacube/api/query.py`, `_time_to_search_dims`.
    /// DIFFERENCE: an open end is open, not 1970 or today.
    pub fn resolve(&self) -> Result<Option<TimeRange>> {
        let (start, end) = match self {
            TimeTerm::Single(bound) => return bound.range().map(Some),
            TimeTerm::Range(start, end) => (start, end),
        };
        let begin = start
            .as_ref()
            .map(TimeBound::range)
            .transpose()?
            .and_then(|r| r.begin());
        let end = end
            .as_ref()
            .map(TimeBound::range)
            .transpose()?
            .and_then(|r| r.end());
        Ok(match (begin, end) {
            (Some(begin), Some(end)) => Some(TimeRange::between(begin, end)?),
            (Some(begin), None) => Some(TimeRange::since(begin)),
            (None, Some(end)) => Some(TimeRange::until(end)),
            (None, None) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(term: impl Into<TimeTerm>, start: Option<&str>, end: Option<&str>) {
        let range = term
            .into()
            .resolve()
            .expect("a time")
            .expect("a bounded range");
        let text = |instant: Option<Timestamp>| instant.map(|instant| instant.to_string());
        assert_eq!(text(range.begin()).as_deref(), start);
        assert_eq!(text(range.end()).as_deref(), end);
    }

    #[test]
    fn a_text_is_the_whole_period() {
        check(
            "2022-02",
            Some("2022-02-01T00:00:00Z"),
            Some("2022-02-28T23:59:59.999999Z"),
        );
    }

    #[test]
    fn a_range_ends_with_its_last_period() {
        let start = Some("2022-01-01T00:00:00Z");
        check(
            ("2022-01", "2022-02"),
            start,
            Some("2022-02-28T23:59:59.999999Z"),
        );
        let instant: Timestamp = "2022-02-01T00:00:00Z".parse().expect("a timestamp");
        check(("2022-01", instant), start, Some("2022-02-01T00:00:00Z"));
    }

    #[test]
    fn open_ends() {
        let open = |start: Option<&str>, end: Option<&str>| {
            TimeTerm::Range(start.map(Into::into), end.map(Into::into))
        };
        check(
            open(None, Some("2022")),
            None,
            Some("2022-12-31T23:59:59.999999Z"),
        );
        check(open(Some("2022"), None), Some("2022-01-01T00:00:00Z"), None);
        assert_eq!(open(None, None).resolve().expect("a time"), None);
    }

    #[test]
    fn a_reversed_range_says_what_to_do() {
        let message = TimeTerm::from(("2022-03", "2022-01"))
            .resolve()
            .unwrap_err()
            .to_string();
        assert!(message.contains("exchange"), "{message}");
    }
}
