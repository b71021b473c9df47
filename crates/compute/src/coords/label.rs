//! Selection by label: exact, nearest, from .. to, and periods of time.
//!
//! From .. to takes both ends in and works whichever way the coordinate runs
//! and whichever end is given first.
//! DIFFERENCE: xarray gives back nothing, silently, when the order of the ends
//! does not match a descending coordinate.

use std::ops::{RangeFrom, RangeInclusive, RangeToInclusive};

use super::Coord;
use super::finder::Finder;
use crate::error::Result;
use crate::index::AxisIndex;

/// One label, as a user writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum CoordLabel {
    /// A position.
    Float(f64),
    /// A whole number.
    Int(i64),
    /// A name, or a period of time: `2022`, `2022-01`, `2022-01-05T10:20`.
    Text(String),
    /// Nanoseconds since 1970-01-01T00:00:00 UTC.
    Time(i64),
}

/// Which labels of a dimension to take, for `sel`.
///
/// ```
/// use datacube_compute::Select;
/// let january: Select = "2022-01".into();                 // every time of the month
/// let spring: Select = ("2022-03", "2022-05").into();     // both months whole
/// let column: Select = Select::nearest(151_200.0);        // one pixel
/// let rows: Select = (6_090_000.0..=6_100_000.0).into();  // either way round
/// # let _ = (january, spring, column, rows);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// This label. A period of time takes all of its times.
    At(CoordLabel),
    /// The label nearest to this one.
    Nearest {
        /// The position or time.
        label: CoordLabel,
        /// How far away it may be: units of the coordinate, seconds for times.
        tolerance: Option<f64>,
    },
    /// The last label that is not above this one, as pandas' `method="pad"`.
    Pad {
        /// The position or time.
        label: CoordLabel,
        /// How far away it may be: units of the coordinate, seconds for times.
        tolerance: Option<f64>,
    },
    /// The first label that is not below this one, as pandas' `method="backfill"`.
    Backfill {
        /// The position or time.
        label: CoordLabel,
        /// How far away it may be: units of the coordinate, seconds for times.
        tolerance: Option<f64>,
    },
    /// All from the one to the other, both included; `None` is an open end.
    Between(Option<CoordLabel>, Option<CoordLabel>),
    /// These, in this order.
    Each(Vec<CoordLabel>),
}

impl Select {
    /// The nearest label, at whatever distance within the coordinate.
    pub fn nearest(label: impl Into<CoordLabel>) -> Select {
        Select::Nearest {
            label: label.into(),
            tolerance: None,
        }
    }

    /// The nearest label no farther than `tolerance`.
    pub fn nearest_within(label: impl Into<CoordLabel>, tolerance: f64) -> Select {
        Select::Nearest {
            label: label.into(),
            tolerance: Some(tolerance),
        }
    }

    /// The last label that is not above this one: the latest time until then.
    pub fn pad(label: impl Into<CoordLabel>) -> Select {
        Select::Pad {
            label: label.into(),
            tolerance: None,
        }
    }

    /// The first label that is not below this one: the earliest time from then.
    pub fn backfill(label: impl Into<CoordLabel>) -> Select {
        Select::Backfill {
            label: label.into(),
            tolerance: None,
        }
    }

    /// The positions in `coord`, which is the index `name`.
    pub(crate) fn resolve(&self, name: &str, coord: &Coord) -> Result<AxisIndex> {
        let finder = Finder { name, coord };
        match self {
            Select::At(label) => finder.at(label),
            Select::Nearest { label, tolerance } => finder.nearest(label, *tolerance),
            Select::Pad { label, tolerance } => finder.beside(label, *tolerance, true),
            Select::Backfill { label, tolerance } => finder.beside(label, *tolerance, false),
            Select::Between(from, to) => finder.between(from.as_ref(), to.as_ref()),
            Select::Each(labels) => {
                let mut positions = Vec::with_capacity(labels.len());
                for label in labels {
                    let index = finder.at(label)?;
                    positions.extend((0..index.len().unwrap_or(1)).map(|i| index.get(i)));
                }
                Ok(AxisIndex::list(positions))
            }
        }
    }
}

impl From<f64> for CoordLabel {
    fn from(value: f64) -> Self {
        CoordLabel::Float(value)
    }
}

impl From<i64> for CoordLabel {
    fn from(value: i64) -> Self {
        CoordLabel::Int(value)
    }
}

impl From<i32> for CoordLabel {
    fn from(value: i32) -> Self {
        CoordLabel::Int(value.into())
    }
}

impl From<&str> for CoordLabel {
    fn from(text: &str) -> Self {
        CoordLabel::Text(text.to_owned())
    }
}

impl From<String> for CoordLabel {
    fn from(text: String) -> Self {
        CoordLabel::Text(text)
    }
}

/// An instant outside 64 bits of nanoseconds becomes the first or last one.
impl From<jiff::Timestamp> for CoordLabel {
    fn from(timestamp: jiff::Timestamp) -> Self {
        let limit = if timestamp < jiff::Timestamp::UNIX_EPOCH {
            i64::MIN
        } else {
            i64::MAX
        };
        CoordLabel::Time(i64::try_from(timestamp.as_nanosecond()).unwrap_or(limit))
    }
}

macro_rules! select_from {
    ($($label:ty),*) => {$(
        impl From<$label> for Select {
            fn from(label: $label) -> Self {
                Select::At(label.into())
            }
        }
        impl From<($label, $label)> for Select {
            fn from((from, to): ($label, $label)) -> Self {
                Select::Between(Some(from.into()), Some(to.into()))
            }
        }
        impl From<RangeInclusive<$label>> for Select {
            fn from(range: RangeInclusive<$label>) -> Self {
                let (from, to) = range.into_inner();
                Select::Between(Some(from.into()), Some(to.into()))
            }
        }
        impl From<RangeFrom<$label>> for Select {
            fn from(range: RangeFrom<$label>) -> Self {
                Select::Between(Some(range.start.into()), None)
            }
        }
        impl From<RangeToInclusive<$label>> for Select {
            fn from(range: RangeToInclusive<$label>) -> Self {
                Select::Between(None, Some(range.end.into()))
            }
        }
        impl From<Vec<$label>> for Select {
            fn from(labels: Vec<$label>) -> Self {
                Select::Each(labels.into_iter().map(Into::into).collect())
            }
        }
    )*};
}

select_from!(f64, i64, i32, &str, String, jiff::Timestamp);

#[cfg(test)]
mod tests {
    use super::super::time::parse_period;
    use super::*;

    fn resolve(coord: &Coord, select: impl Into<Select>) -> Result<Vec<usize>> {
        let index = select.into().resolve("c", coord)?;
        Ok((0..index.len().unwrap_or(1))
            .map(|i| index.get(i))
            .collect())
    }

    fn times() -> Coord {
        let texts = [
            "2021-12-31T23:59:59",
            "2022-01-05T15:40:10.123",
            "2022-01-21T15:40:10",
            "2022-03-01",
        ];
        let at = |text: &&str| parse_period(text).unwrap().start;
        Coord::time("time", texts.iter().map(at).collect::<Vec<_>>())
    }

    #[test]
    fn floats_either_way_round() {
        let down = Coord::float("y", vec![105.0, 75.0, 45.0, 15.0]);
        let up = Coord::float("y", vec![15.0, 45.0, 75.0, 105.0]);
        for select in [(40.0, 80.0), (80.0, 40.0)] {
            assert_eq!(resolve(&down, select).unwrap(), [1, 2]);
            assert_eq!(resolve(&up, select).unwrap(), [1, 2]);
        }
        assert_eq!(resolve(&down, 75.0..).unwrap(), [1, 2, 3]);
        assert_eq!(resolve(&down, ..=75.0).unwrap(), [0, 1]);
        assert_eq!(resolve(&up, 75.0..).unwrap(), [2, 3]);
        assert_eq!(resolve(&down, 45.0).unwrap(), [2]);
        assert_eq!(resolve(&down, Select::nearest(61.0)).unwrap(), [1]);
        assert_eq!(resolve(&down, Select::nearest(60.0)).unwrap(), [1]);
        assert_eq!(resolve(&down, Select::nearest(119.0)).unwrap(), [0]);
        assert_eq!(resolve(&down, vec![15.0, 105.0]).unwrap(), [3, 0]);
    }

    #[test]
    fn float_errors_tell_the_range() {
        let y = Coord::float("y", vec![105.0, 75.0, 45.0, 15.0]);
        for select in [
            Select::At(50.0.into()),
            Select::nearest(150.0),
            (200.0, 300.0).into(),
        ] {
            let error = resolve(&y, select).unwrap_err();
            assert!(error.is_not_found());
            assert!(
                error.to_string().contains("4 labels from 105 to 15"),
                "{error}"
            );
        }
        assert!(resolve(&y, Select::nearest_within(150.0, 50.0)).is_ok());
        assert!(resolve(&y, Select::nearest_within(50.0, 1.0)).is_err());
        assert!(
            resolve(&y, "2022")
                .unwrap_err()
                .to_string()
                .contains("give a number")
        );
    }

    #[test]
    fn periods_of_time() {
        let time = times();
        assert_eq!(resolve(&time, "2022-01").unwrap(), [1, 2]);
        assert_eq!(resolve(&time, "2022-01-05").unwrap(), [1]);
        assert_eq!(resolve(&time, "2021").unwrap(), [0]);
        assert_eq!(resolve(&time, ("2022-01-21", "2022-03")).unwrap(), [2, 3]);
        assert_eq!(resolve(&time, ("2022-03", "2022-01-21")).unwrap(), [2, 3]);
        assert_eq!(resolve(&time, "2022-01-06"..).unwrap(), [2, 3]);
        assert_eq!(resolve(&time, Select::nearest("2022-01-20")).unwrap(), [2]);
        assert_eq!(resolve(&time, Select::nearest("1999")).unwrap(), [0]);
        let one = Select::from("2022-01-21T15:40:10")
            .resolve("time", &time)
            .unwrap();
        assert_eq!(one, AxisIndex::At(2));
        let whole_day = Select::from("2022-03-01").resolve("time", &time).unwrap();
        assert_eq!(whole_day, AxisIndex::range(3, 1, 1));
        let error = resolve(&time, "2023").unwrap_err().to_string();
        assert!(
            error.contains("from 2021-12-31T23:59:59 to 2022-03-01T00:00:00"),
            "{error}"
        );
        assert!(
            resolve(&time, "soon")
                .unwrap_err()
                .to_string()
                .contains("`2022-01-05`")
        );
    }

    #[test]
    fn names() {
        let band = Coord::text("band", ["red", "green", "nir"]);
        assert_eq!(resolve(&band, "green").unwrap(), [1]);
        assert_eq!(resolve(&band, ("green", "nir")).unwrap(), [1, 2]);
        assert_eq!(resolve(&band, vec!["nir", "red"]).unwrap(), [2, 0]);
        assert!(
            resolve(&band, "gren")
                .unwrap_err()
                .to_string()
                .contains("did you mean green")
        );
    }
}
