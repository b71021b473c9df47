//! Which datasets make one time step: by instant, by solar day, or each its own.
//!
//! A satellite's pass is cut into scenes some seconds apart, and near the date
//! line a pass lies on two UTC days. Shifting each instant to mean solar time
//! at the scene brings what belongs together onto one calendar day.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use uuid::Uuid;

use crate::{Error, Result};

/// How datasets are grouped into time steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum GroupBy {
    /// One step for each distinct centre time (the default, as in ODC).
    #[default]
    Time,
    /// One step for each day in mean solar time at the scene.
    SolarDay,
    /// One step for each dataset, overlaps and all.
    None,
}

impl GroupBy {
    const NAMES: [(&'static str, GroupBy); 3] = [
        ("time", GroupBy::Time),
        ("solar_day", GroupBy::SolarDay),
        ("none", GroupBy::None),
    ];
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES
            .iter()
            .find(|(_, value)| value == self)
            .map(|(name, _)| *name);
        f.write_str(name.expect("every variant has a name"))
    }
}

impl FromStr for GroupBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| Error::Option {
                option: "group_by",
                problem: format!("`{text}` is not a way to group; choose time, solar_day or none"),
            })
    }
}

/// One output time step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The coordinate: the centre time of the first member.
    pub label: Timestamp,
    /// Positions of the members in the list that was grouped, in fuse order: (centre time, id).
    pub members: Vec<usize>,
}

/// What grouping looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GroupKey {
    /// Half way between the dataset's start and end.
    pub center_time: Timestamp,
    /// Middle of the footprint, in degrees east, -180 to 180; `None` when unknown.
    pub longitude: Option<f64>,
    /// Breaks ties, so that the order never depends on the index.
    pub id: Uuid,
}

/// The calendar day of `instant` in mean solar time at `longitude`.
///
/// The earth turns 15 degrees an hour, so each degree east adds 240 s.
///
/// `longitude` is in degrees, east positive. The shift is truncated to whole
/// seconds toward zero.
///
/// # Source
/// datacube-core, `datacube/api/query.py`, `solar_day`.
pub fn solar_day(instant: Timestamp, longitude: f64) -> Date {
    #[allow(clippy::cast_possible_truncation, reason = "a float cast saturates")]
    let offset = SignedDuration::from_secs((longitude * 240.0) as i64);
    let shifted = instant.checked_add(offset).unwrap_or(instant);
    shifted.to_zoned(TimeZone::UTC).date()
}

/// The time steps that `keys` make, sorted by label; members in fuse order.
///
/// # Errors
/// [`Error::Dataset`] when a solar day is asked for and a dataset's longitude is not known.
///
/// # Source
/// datacube-core, `Datacube.group_datasets`: groups are labelled by their first
/// dataset in the order (centre time, id) and sorted by label.
pub fn group_datasets(keys: &[GroupKey], group_by: GroupBy) -> Result<Vec<Group>> {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by_key(|&position| (keys[position].center_time, keys[position].id));
    let new_group = |position: usize| Group {
        label: keys[position].center_time,
        members: vec![position],
    };

    let mut groups: Vec<Group> = match group_by {
        GroupBy::None => order.into_iter().map(new_group).collect(),
        GroupBy::Time => {
            let mut groups: Vec<Group> = Vec::new();
            for position in order {
                match groups.last_mut() {
                    Some(last) if last.label == keys[position].center_time => {
                        last.members.push(position);
                    }
                    _ => groups.push(new_group(position)),
                }
            }
            groups
        }
        GroupBy::SolarDay => {
            let mut days: BTreeMap<Date, Group> = BTreeMap::new();
            for position in order {
                let key = &keys[position];
                let longitude = key.longitude.ok_or_else(|| Error::Dataset {
                    dataset: key.id,
                    problem: "it has no footprint, so its solar day is not known; group by \
                              `time` or `none`"
                        .into(),
                })?;
                days.entry(solar_day(key.center_time, longitude))
                    .and_modify(|group| group.members.push(position))
                    .or_insert_with(|| new_group(position));
            }
            days.into_values().collect()
        }
    };
    groups.sort_by_key(|group| group.label);
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(time: &str, longitude: f64, id: u128) -> GroupKey {
        GroupKey {
            center_time: time.parse().expect("a timestamp"),
            longitude: Some(longitude),
            id: Uuid::from_u128(id),
        }
    }

    fn members(keys: &[GroupKey], group_by: GroupBy) -> Vec<Vec<usize>> {
        let groups = group_datasets(keys, group_by).expect("grouped");
        groups.into_iter().map(|group| group.members).collect()
    }

    #[test]
    fn a_pass_over_midnight_is_one_solar_day() {
        // Eastern Australia: 10 in the morning of the 4th is midnight UTC.
        let keys = [
            key("2020-02-04T00:00:12Z", 143.8, 1),
            key("2020-02-03T23:59:48Z", 143.9, 2),
            key("2020-02-04T23:59:48Z", 143.9, 3),
        ];
        assert_eq!(members(&keys, GroupBy::SolarDay), [vec![1, 0], vec![2]]);
        assert_eq!(members(&keys, GroupBy::Time), [vec![1], vec![0], vec![2]]);
    }

    #[test]
    fn equal_times_are_ordered_by_id() {
        let keys = [
            key("2020-02-04T00:00:00Z", 10.0, 9),
            key("2020-02-04T00:00:00Z", 10.0, 3),
        ];
        assert_eq!(members(&keys, GroupBy::Time), [vec![1, 0]]);
        assert_eq!(members(&keys, GroupBy::SolarDay), [vec![1, 0]]);
        assert_eq!(members(&keys, GroupBy::None), [vec![1], vec![0]]);
    }

    #[test]
    fn the_shift_is_cut_to_whole_seconds_toward_zero() {
        // -0.003 degrees is -0.72 s, which is no shift at all.
        let instant: Timestamp = "2020-02-04T00:00:00Z".parse().expect("a timestamp");
        assert_eq!(solar_day(instant, -0.003).to_string(), "2020-02-04");
        assert_eq!(solar_day(instant, -0.005).to_string(), "2020-02-03");
    }

    #[test]
    fn an_unknown_longitude_is_named() {
        let mut keys = [key("2020-02-04T00:00:00Z", 0.0, 7)];
        keys[0].longitude = None;
        let message = group_datasets(&keys, GroupBy::SolarDay)
            .unwrap_err()
            .to_string();
        assert!(message.contains(&keys[0].id.to_string()), "{message}");
        assert!(group_datasets(&keys, GroupBy::Time).is_ok());
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let message = "solar-day".parse::<GroupBy>().unwrap_err().to_string();
        assert!(message.contains("time, solar_day or none"), "{message}");
    }
}
