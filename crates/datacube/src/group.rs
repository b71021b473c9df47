//! Which datasets make one time step: by instant, by solar day, by a property, or
//! each its own.
//!
//! A satellite's pass is cut into scenes some seconds apart, and near the date
//! line a pass lies on two UTC days. Shifting each instant to mean solar time
//! at the scene brings what belongs together onto one calendar day.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use datacube_model::Dataset;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

use crate::{Error, Result};

/// How datasets are grouped into time steps.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum GroupBy {
    /// One step for each distinct instant (the default, as in ODC).
    #[default]
    Time,
    /// One step for each day in mean solar time at the scene.
    SolarDay,
    /// One step for each dataset, overlaps and all.
    None,
    /// One step for each value of a property of the datasets.
    Property(String),
    /// One step for each text that a function gives.
    Function(GroupFunction),
}

/// What a dataset is grouped by, as a function of the caller's.
#[derive(Clone)]
pub struct GroupFunction(Arc<dyn Fn(&Dataset) -> String + Send + Sync>);

impl fmt::Debug for GroupFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupFunction(...)")
    }
}

impl GroupBy {
    /// One step for each text that `key` gives.
    pub fn function(key: impl Fn(&Dataset) -> String + Send + Sync + 'static) -> Self {
        GroupBy::Function(GroupFunction(Arc::new(key)))
    }

    /// The text that a dataset is grouped by, where it is grouped by one.
    ///
    /// `property` looks up a property as text.
    pub(crate) fn value(
        &self,
        dataset: &Dataset,
        property: impl FnOnce(&str) -> Option<String>,
    ) -> Option<String> {
        match self {
            GroupBy::Property(name) => property(name),
            GroupBy::Function(function) => Some((function.0)(dataset)),
            _ => None,
        }
    }
}

impl fmt::Display for GroupBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GroupBy::Time => "time",
            GroupBy::SolarDay => "solar_day",
            GroupBy::None => "none",
            GroupBy::Property(name) => name,
            GroupBy::Function(_) => "a function",
        })
    }
}

/// `time`, `solar_day`, `none` or `id`; any other name is that of a property.
impl From<&str> for GroupBy {
    fn from(name: &str) -> Self {
        match name {
            "time" => GroupBy::Time,
            "solar_day" => GroupBy::SolarDay,
            "none" | "id" => GroupBy::None,
            property => GroupBy::Property(property.to_owned()),
        }
    }
}

impl From<String> for GroupBy {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<&String> for GroupBy {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

/// One output time step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The coordinate: the instant of the first member.
    pub label: Timestamp,
    /// Positions of the members in the list that was grouped, in fuse order.
    pub members: Vec<usize>,
}

/// What grouping looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupKey {
    /// When the dataset was acquired: half way between its start and end.
    pub instant: Timestamp,
    /// Where solar time is told, in degrees east, -180 to 180; `None` when unknown.
    pub longitude: Option<f64>,
    /// Breaks ties, so that the order never depends on the index.
    pub id: String,
    /// What [`GroupBy::Property`] and [`GroupBy::Function`] group by.
    pub value: Option<String>,
}

/// Which member of a time step is laid on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FuseOrder {
    /// The earliest, of equals the one with the smallest id.
    #[default]
    TimeThenId,
    /// The one that was given first.
    AsGiven,
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
/// [`Error::Option`] naming a dataset whose longitude (for a solar day) or value
/// (for a property) is not known.
///
/// # Source
/// datacube-core, `Datacube.group_datasets`: groups are labelled by their first
/// dataset in the order (centre time, id) and sorted by label; odc-stac,
/// `_group_items`, for properties and the order as given. DIFFERENCE: groups by
/// property are sorted by label too, so that time always goes forward.
pub fn group_datasets(
    keys: &[GroupKey],
    group_by: &GroupBy,
    order: FuseOrder,
) -> Result<Vec<Group>> {
    let mut sorted: Vec<usize> = (0..keys.len()).collect();
    if order == FuseOrder::TimeThenId {
        sorted.sort_by(|&a, &b| {
            let (a, b) = (&keys[a], &keys[b]);
            (a.instant, &a.id).cmp(&(b.instant, &b.id))
        });
    }
    let unknown = |key: &GroupKey, problem: String| Error::Option {
        option: "group_by",
        problem: format!("dataset {} {problem}", key.id),
    };
    let mut groups: Vec<Group> = Vec::new();
    // Where the group of each key is, by what makes the key's group.
    let mut places: HashMap<GroupName<'_>, usize> = HashMap::new();
    for position in sorted {
        let key = &keys[position];
        let name = match group_by {
            GroupBy::None => GroupName::Position(position),
            GroupBy::Time => GroupName::Instant(key.instant),
            GroupBy::SolarDay => GroupName::Day(solar_day(
                key.instant,
                key.longitude.ok_or_else(|| {
                    let problem = "has no footprint, so its solar day is not known; group by \
                                   `time` or `none`";
                    unknown(key, problem.into())
                })?,
            )),
            GroupBy::Property(_) | GroupBy::Function(_) => {
                GroupName::Value(key.value.as_deref().ok_or_else(|| {
                    let problem = format!(
                        "has no property `{group_by}`; choose time, solar_day or none, or a \
                         property that all have"
                    );
                    unknown(key, problem)
                })?)
            }
        };
        match places.entry(name) {
            Entry::Occupied(place) => groups[*place.get()].members.push(position),
            Entry::Vacant(place) => {
                place.insert(groups.len());
                groups.push(Group {
                    label: key.instant,
                    members: vec![position],
                });
            }
        }
    }
    groups.sort_by_key(|group| group.label);
    Ok(groups)
}

/// What the members of a group share.
#[derive(PartialEq, Eq, Hash)]
enum GroupName<'a> {
    Position(usize),
    Instant(Timestamp),
    Day(Date),
    Value(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn key(time: &str, longitude: f64, id: u128) -> GroupKey {
        GroupKey {
            instant: time.parse().expect("a timestamp"),
            longitude: Some(longitude),
            id: Uuid::from_u128(id).to_string(),
            value: None,
        }
    }

    fn members(keys: &[GroupKey], group_by: GroupBy) -> Vec<Vec<usize>> {
        let groups = group_datasets(keys, &group_by, FuseOrder::TimeThenId).expect("grouped");
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
    fn what_is_not_known_is_named() {
        let mut keys = [key("2020-02-04T00:00:00Z", 0.0, 7)];
        keys[0].longitude = None;
        let refused = |group_by: &str| {
            let groups = group_datasets(&keys, &group_by.into(), FuseOrder::default());
            groups.unwrap_err().to_string()
        };
        let message = refused("solar_day");
        assert!(message.contains(&keys[0].id), "{message}");
        let message = refused("solar-day");
        assert!(message.contains("no property `solar-day`"), "{message}");
        assert!(message.contains("time, solar_day or none"), "{message}");
        assert!(group_datasets(&keys, &GroupBy::Time, FuseOrder::default()).is_ok());
    }

    #[test]
    fn properties_group_whatever_the_time() {
        let mut keys = [
            key("2020-02-04T00:00:00Z", 0.0, 3),
            key("2020-02-06T00:00:00Z", 0.0, 2),
            key("2020-02-05T00:00:00Z", 0.0, 1),
            key("2020-02-03T00:00:00Z", 0.0, 4),
        ];
        for (key, value) in keys.iter_mut().zip(["b", "a", "b", "b"]) {
            key.value = Some(value.to_owned());
        }
        let grouped = |order| {
            let groups = group_datasets(&keys, &"orbit".into(), order).expect("grouped");
            groups
                .into_iter()
                .map(|group| group.members)
                .collect::<Vec<_>>()
        };
        assert_eq!(grouped(FuseOrder::TimeThenId), [vec![3, 0, 2], vec![1]]);
        assert_eq!(grouped(FuseOrder::AsGiven), [vec![0, 2, 3], vec![1]]);
    }
}
