//! Which datasets make one time step: by instant, by solar day, by a property, or
//! each its own.
//!
//! A satellite's pass is cut into scenes some seconds apart, and near the date
//! line a pass lies on two UTC days. Shifting each instant to mean solar time
//! at the scene brings what belongs together onto one calendar day.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datacube_model::Dataset;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::Offset};

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
    Offset::UTC.to_datetime(shifted).date()
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
    let mut grouping = Grouping::new(group_by);
    for position in sorted {
        let key = &keys[position];
        let name = grouping.name(position, key.instant, key.longitude, key.value.as_deref());
        grouping.push(position, key.instant, name.map_err(|why| why.of(&key.id))?);
    }
    Ok(grouping.finish())
}

/// Time steps in the making, of datasets that come one by one.
#[derive(Debug)]
pub(crate) struct Grouping<'k> {
    group_by: &'k GroupBy,
    groups: Vec<Group>,
    /// Where the group of each name is.
    places: HashMap<GroupName<'k>, usize>,
    /// Neighbours in time are mostly of one group.
    latest: Option<(GroupName<'k>, usize)>,
}

/// Why it is not known what a dataset is grouped by.
#[derive(Debug)]
pub(crate) struct Ungrouped(String);

impl Ungrouped {
    pub(crate) fn of(self, id: &dyn fmt::Display) -> Error {
        Error::Option {
            option: "group_by",
            problem: format!("dataset {id} {}", self.0),
        }
    }
}

impl<'k> Grouping<'k> {
    pub(crate) fn new(group_by: &'k GroupBy) -> Self {
        Grouping {
            group_by,
            groups: Vec::new(),
            places: HashMap::new(),
            latest: None,
        }
    }

    /// The group that a dataset is of.
    pub(crate) fn name(
        &self,
        position: usize,
        instant: Timestamp,
        longitude: Option<f64>,
        value: Option<&'k str>,
    ) -> std::result::Result<GroupName<'k>, Ungrouped> {
        match self.group_by {
            GroupBy::None => Ok(GroupName::Position(position)),
            GroupBy::Time => Ok(GroupName::Instant(instant)),
            GroupBy::SolarDay => match longitude {
                Some(longitude) => Ok(GroupName::Day(solar_day(instant, longitude))),
                None => Err(Ungrouped(
                    "has no footprint, so its solar day is not known; group by `time` or `none`"
                        .into(),
                )),
            },
            by @ (GroupBy::Property(_) | GroupBy::Function(_)) => {
                value.map(GroupName::Value).ok_or_else(|| {
                    Ungrouped(format!(
                        "has no property `{by}`; choose time, solar_day or none, or a property \
                         that all have"
                    ))
                })
            }
        }
    }

    /// Puts a dataset after those of its group.
    pub(crate) fn push(&mut self, position: usize, instant: Timestamp, name: GroupName<'k>) {
        let place = self.place(name, instant);
        self.groups[place].members.push(position);
    }

    /// Puts a dataset where it belongs in its group, where positions are in the order of
    /// time.
    pub(crate) fn insert(&mut self, position: usize, instant: Timestamp, name: GroupName<'k>) {
        let place = self.place(name, instant);
        let group = &mut self.groups[place];
        let at = group.members.partition_point(|&other| other < position);
        group.members.insert(at, position);
        group.label = group.label.min(instant);
    }

    /// The place of a group, which is labelled `instant` if it is new.
    fn place(&mut self, name: GroupName<'k>, instant: Timestamp) -> usize {
        if let Some((known, place)) = self.latest
            && known == name
        {
            return place;
        }
        let place = *self.places.entry(name).or_insert(self.groups.len());
        if place == self.groups.len() {
            self.groups.push(Group {
                label: instant,
                members: Vec::new(),
            });
        }
        self.latest = Some((name, place));
        place
    }

    /// The time steps, sorted by label.
    pub(crate) fn finish(mut self) -> Vec<Group> {
        self.groups.sort_by_key(|group| group.label);
        self.groups
    }
}

/// What the members of a group share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum GroupName<'a> {
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
    fn what_comes_late_goes_where_it_belongs() {
        let keys: Vec<GroupKey> = (0..60_u32)
            .map(|n| {
                let (day, hour, minute) = (4 + n / 20, n % 20 + 4, n % 3);
                let time = format!("2020-02-{day:02}T{hour:02}:{minute:02}:00Z");
                key(&time, 143.0, n.into())
            })
            .collect();
        let by = GroupBy::SolarDay;
        let expected = group_datasets(&keys, &by, FuseOrder::TimeThenId).expect("grouped");
        for every in [2, 3, 7, 60] {
            let mut grouping = Grouping::new(&by);
            let is_late = |position: usize| position.is_multiple_of(every);
            for late in [false, true] {
                for (position, key) in keys.iter().enumerate() {
                    let name = grouping.name(position, key.instant, key.longitude, None);
                    let name = name.expect("it has a longitude");
                    match (is_late(position), late) {
                        (true, true) => grouping.insert(position, key.instant, name),
                        (false, false) => grouping.push(position, key.instant, name),
                        _ => {}
                    }
                }
            }
            assert_eq!(grouping.finish(), expected, "every {every}");
        }
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
