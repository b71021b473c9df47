//! Products stacked in time or side by side: first their time steps, then their
//! pixels.
//!
//! All parts of a combination are laid on one time axis; where a part has nothing a
//! time step is empty and reads nothing. So stacking is a choice by time step, which
//! stays lazy and needs no copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use datacube_compute::{Coord, Coords, Cube, DataArray};
use datacube_model::Product;
use jiff::Timestamp;

use crate::group::Group;
use crate::load::Entry;
use crate::{Error, Result};

/// The datasets of a part of a recipe along its time axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    times: Vec<Timestamp>,
    part: Part,
}

#[derive(Debug, Clone)]
enum Part {
    /// As many groups as times; those without members are empty.
    Product {
        product: Arc<Product>,
        entries: Arc<Vec<Entry>>,
        groups: Vec<Group>,
    },
    /// For each time which child has it; children have all times.
    Collate {
        sources: Vec<usize>,
        children: Vec<Axis>,
    },
    /// Children have all times.
    Juxtapose(Vec<Axis>),
}

impl Axis {
    pub(super) fn product(product: Arc<Product>, entries: Vec<Entry>, groups: Vec<Group>) -> Self {
        Axis {
            times: groups.iter().map(|group| group.label).collect(),
            part: Part::Product {
                product,
                entries: Arc::new(entries),
                groups,
            },
        }
    }

    /// All times of all children, in order; of equal times the first child's first.
    pub(super) fn collate(children: Vec<Axis>) -> Self {
        let mut all: Vec<(Timestamp, usize, usize)> = Vec::new();
        for (child, axis) in children.iter().enumerate() {
            let times = axis.times.iter().enumerate();
            all.extend(times.map(|(position, time)| (*time, child, position)));
        }
        all.sort();
        let times: Vec<Timestamp> = all.iter().map(|(time, ..)| *time).collect();
        let expanded = children.iter().enumerate().map(|(child, axis)| {
            let positions = all
                .iter()
                .map(|&(_, of, position)| (of == child).then_some(position));
            axis.select(&times, &positions.collect::<Vec<_>>())
        });
        Axis {
            part: Part::Collate {
                sources: all.iter().map(|(_, child, _)| *child).collect(),
                children: expanded.collect(),
            },
            times,
        }
    }

    /// The times that all children have.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a child that has a time twice: it cannot be told which
    /// of the two lies beside the others.
    pub(super) fn juxtapose(children: Vec<Axis>) -> Result<Self> {
        let mut places: Vec<BTreeMap<Timestamp, usize>> = Vec::with_capacity(children.len());
        for axis in &children {
            let mut of = BTreeMap::new();
            for (position, time) in axis.times.iter().enumerate() {
                if of.insert(*time, position).is_some() {
                    return Err(Error::Recipe {
                        part: "juxtapose".into(),
                        problem: format!(
                            "a part has {time} twice; group it by `time` or `solar_day`"
                        ),
                    });
                }
            }
            places.push(of);
        }
        let first = places
            .first()
            .map(|first| first.keys().copied().collect::<Vec<_>>());
        let mut times = first.unwrap_or_default();
        times.retain(|time| places.iter().all(|of| of.contains_key(time)));
        let aligned = children.iter().zip(&places).map(|(axis, of)| {
            let positions: Vec<Option<usize>> =
                times.iter().map(|time| of.get(time).copied()).collect();
            axis.select(&times, &positions)
        });
        Ok(Axis {
            part: Part::Juxtapose(aligned.collect()),
            times,
        })
    }

    /// The same on other times: what was at each position, or nothing.
    fn select(&self, times: &[Timestamp], positions: &[Option<usize>]) -> Self {
        let part = match &self.part {
            Part::Product {
                product,
                entries,
                groups,
            } => {
                let at = |(time, position): (&Timestamp, &Option<usize>)| Group {
                    label: *time,
                    members: position.map_or_else(Vec::new, |at| groups[at].members.clone()),
                };
                Part::Product {
                    product: product.clone(),
                    entries: entries.clone(),
                    groups: times.iter().zip(positions).map(at).collect(),
                }
            }
            Part::Collate { sources, children } => Part::Collate {
                sources: positions
                    .iter()
                    .map(|at| at.map_or(0, |at| sources[at]))
                    .collect(),
                children: children
                    .iter()
                    .map(|child| child.select(times, positions))
                    .collect(),
            },
            Part::Juxtapose(children) => Part::Juxtapose(
                children
                    .iter()
                    .map(|child| child.select(times, positions))
                    .collect(),
            ),
        };
        Axis {
            times: times.to_vec(),
            part,
        }
    }

    pub(super) fn times(&self) -> &[Timestamp] {
        &self.times
    }

    pub(super) fn as_product(&self) -> Option<(&Product, &[Entry], &[Group])> {
        match &self.part {
            Part::Product {
                product,
                entries,
                groups,
            } => Some((product, entries, groups)),
            _ => None,
        }
    }

    pub(super) fn as_collate(&self) -> Option<(&[usize], &[Axis])> {
        match &self.part {
            Part::Collate { sources, children } => Some((sources, children)),
            _ => None,
        }
    }

    pub(super) fn as_juxtapose(&self) -> Option<&[Axis]> {
        match &self.part {
            Part::Juxtapose(children) => Some(children),
            _ => None,
        }
    }
}

/// Each time step from the cube that has it. `index_name` is the name of a variable
/// `[time]` that says which.
pub(super) fn collate(
    cubes: &[Cube],
    sources: &[usize],
    times: &[Timestamp],
    index_name: Option<&str>,
) -> Result<Cube> {
    let refuse = |problem: String| Error::Recipe {
        part: "collate".into(),
        problem,
    };
    let Some((first, rest)) = cubes.split_first() else {
        return Err(refuse("it has no children".into()));
    };
    let time = Coord::timestamps("time", times.iter().copied())?;
    let coords = || Coords::new().with("time", time.clone());
    let shape = [sources.len()];
    let mut arrays: Vec<(String, DataArray)> = Vec::with_capacity(first.len());
    for (name, array) in first.variables() {
        let mut result = array.clone();
        for (number, cube) in rest.iter().enumerate() {
            let other = cube.get(name).map_err(|_| {
                refuse(format!(
                    "all children need the same measurements; `{name}` is in the first and not \
                     in number {}, which has {}",
                    number + 2,
                    cube.names().collect::<Vec<_>>().join(", ")
                ))
            })?;
            if other.dtype() != array.dtype() || cube.len() != first.len() {
                return Err(refuse(format!(
                    "`{name}` is {} of {} in the first child and {} of {} in number {}; make them \
                     alike with `expressions` or `select`",
                    array.dtype(),
                    first.len(),
                    other.dtype(),
                    cube.len(),
                    number + 2
                )));
            }
            let is_other: Vec<bool> = sources.iter().map(|&source| source == number + 1).collect();
            let is_other = DataArray::from_values("source", &["time"], &shape, is_other, coords())?;
            result = result.where_or(&!is_other, other);
        }
        let result = result.named(name).with_attrs(array.attrs().clone());
        arrays.push((name.to_owned(), result));
    }
    if let Some(name) = index_name {
        if arrays.iter().any(|(known, _)| known == name) {
            return Err(refuse(format!("`{name}` is a measurement already")));
        }
        let index: Vec<i8> = sources
            .iter()
            .map(|&source| i8::try_from(source))
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| refuse("it has more than 128 children".into()))?;
        let array = DataArray::from_values(name, &["time"], &shape, index, coords())?;
        arrays.push((name.to_owned(), array));
    }
    Ok(Cube::new(arrays)?.with_attrs(first.attrs().clone()))
}

/// The variables of all cubes.
pub(super) fn juxtapose(cubes: &[Cube]) -> Result<Cube> {
    let mut arrays: Vec<(String, DataArray)> = Vec::new();
    for (name, array) in cubes.iter().flat_map(Cube::variables) {
        if arrays.iter().any(|(known, _)| known == name) {
            return Err(Error::Recipe {
                part: "juxtapose".into(),
                problem: format!(
                    "two children have a measurement `{name}`; give one another name with `rename`"
                ),
            });
        }
        arrays.push((name.to_owned(), array.clone()));
    }
    let attrs = cubes.first().map(|cube| cube.attrs().clone());
    Ok(Cube::new(arrays)?.with_attrs(attrs.unwrap_or_default()))
}
