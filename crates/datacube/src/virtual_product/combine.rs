//! Products stacked in time or side by side: first their time steps, then their
//! pixels.
//!
//! All parts of a combination are laid on one time axis; where a part has nothing a
//! time step is empty and reads nothing. So stacking is a choice by time step, which
//! stays lazy and needs no copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use datacube_compute::{Coord, Coords, Cube, DataArray};
use datacube_geo::GeoBox;
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

/// What is computed on one grid.
pub(super) type OnGrid = (GeoBox, Axis);

#[derive(Debug, Clone)]
enum Part {
    /// As many groups as times; those without members are empty.
    Product {
        product: Arc<Product>,
        entries: Arc<Vec<Entry>>,
        groups: Vec<Group>,
        /// The grid of each entry, where something is computed on it.
        grids: Arc<Vec<GeoBox>>,
    },
    /// For each time which child has it; children have all times.
    Collate {
        sources: Vec<usize>,
        children: Vec<Axis>,
    },
    /// Children have all times.
    Juxtapose(Vec<Axis>),
    /// For each step of the input which time it is part of.
    Aggregate {
        input: Box<Axis>,
        groups: Vec<usize>,
    },
    /// For each time which of the grids its pixels are computed on; the inputs have
    /// all times.
    Reproject {
        sources: Vec<usize>,
        inputs: Vec<OnGrid>,
    },
}

impl Axis {
    /// Datasets in groups. `grids` are those of the datasets, or none.
    pub(super) fn product(
        product: Arc<Product>,
        entries: Vec<Entry>,
        groups: Vec<Group>,
        grids: Vec<GeoBox>,
    ) -> Self {
        Axis {
            times: groups.iter().map(|group| group.label).collect(),
            part: Part::Product {
                product,
                entries: Arc::new(entries),
                groups,
                grids: Arc::new(grids),
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

    /// The steps of `input` put together by their start: one time for each
    /// different one, in order.
    pub(super) fn aggregate(input: Axis, starts: &[Timestamp]) -> Self {
        let mut times = starts.to_vec();
        times.sort();
        times.dedup();
        let groups = starts
            .iter()
            .map(|start| times.partition_point(|time| time < start));
        Axis {
            part: Part::Aggregate {
                groups: groups.collect(),
                input: Box::new(input),
            },
            times,
        }
    }

    /// The steps of `input`, each on the grid that its datasets share. Steps whose
    /// grids are parts of one grid are computed on that one.
    ///
    /// # Errors
    /// [`Error::Recipe`] for a step whose datasets lie on grids that do not fit.
    pub(super) fn reproject(input: &Axis) -> Result<Self> {
        let mut grids: Vec<GeoBox> = Vec::new();
        let mut sources = Vec::with_capacity(input.times.len());
        for (position, time) in input.times.iter().enumerate() {
            let mut own: Option<GeoBox> = None;
            let mut misfit = None;
            input.each_grid(position, &mut |grid| match &own {
                None => own = Some(grid.clone()),
                Some(common) => match common.union(grid) {
                    Ok(union) => own = Some(union),
                    Err(_) => misfit = misfit.take().or_else(|| Some(grid.clone())),
                },
            });
            if let (Some(own), Some(other)) = (&own, misfit) {
                let name = |grid: &GeoBox| {
                    let crs = grid.crs().map_or("no CRS".to_owned(), ToString::to_string);
                    format!("{crs} with pixels of {}", grid.resolution().x)
                };
                return Err(Error::Recipe {
                    part: "reproject".into(),
                    problem: format!(
                        "the datasets of {time} lie on grids that do not fit, {} and {}, so \
                         nothing can be computed before they are reprojected; put `reproject` \
                         around the products, or `group_by: time` in them",
                        name(own),
                        name(&other)
                    ),
                });
            }
            let Some(own) = own else {
                // Nothing is read there, whatever the grid.
                sources.push(0);
                continue;
            };
            let fitting = grids.iter_mut().enumerate().find_map(|(number, grid)| {
                let union = grid.union(&own).ok()?;
                *grid = union;
                Some(number)
            });
            sources.push(fitting.unwrap_or_else(|| {
                grids.push(own);
                grids.len() - 1
            }));
        }
        let inputs = grids.into_iter().enumerate().map(|(number, grid)| {
            let positions = sources.iter().enumerate();
            let positions: Vec<Option<usize>> = positions
                .map(|(position, &source)| (source == number).then_some(position))
                .collect();
            (grid, input.select(&input.times, &positions))
        });
        Ok(Axis {
            times: input.times.clone(),
            part: Part::Reproject {
                inputs: inputs.collect(),
                sources,
            },
        })
    }

    /// Visits the grids of the datasets of a step.
    fn each_grid(&self, position: usize, visit: &mut dyn FnMut(&GeoBox)) {
        match &self.part {
            Part::Product { groups, grids, .. } => groups[position]
                .members
                .iter()
                .filter_map(|&member| grids.get(member))
                .for_each(visit),
            Part::Collate { sources, children } => {
                if let Some(child) = children.get(sources[position]) {
                    child.each_grid(position, visit);
                }
            }
            Part::Juxtapose(children) => {
                for child in children {
                    child.each_grid(position, visit);
                }
            }
            Part::Aggregate { input, groups } => {
                let steps = groups.iter().enumerate();
                for (step, _) in steps.filter(|(_, group)| **group == position) {
                    input.each_grid(step, visit);
                }
            }
            Part::Reproject { .. } => {}
        }
    }

    /// The same on other times: what was at each position, or nothing.
    fn select(&self, times: &[Timestamp], positions: &[Option<usize>]) -> Self {
        let part = match &self.part {
            Part::Product {
                product,
                entries,
                groups,
                grids,
            } => {
                let at = |(time, position): (&Timestamp, &Option<usize>)| Group {
                    label: *time,
                    members: position.map_or_else(Vec::new, |at| groups[at].members.clone()),
                };
                Part::Product {
                    product: product.clone(),
                    entries: entries.clone(),
                    groups: times.iter().zip(positions).map(at).collect(),
                    grids: grids.clone(),
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
            Part::Aggregate { input, groups } => {
                let mut steps: Vec<Option<usize>> = Vec::new();
                let mut labels = Vec::new();
                let mut of = Vec::new();
                for (number, (time, position)) in times.iter().zip(positions).enumerate() {
                    let before = steps.len();
                    let members = groups.iter().enumerate();
                    for (step, _) in members.filter(|(_, group)| Some(**group) == *position) {
                        steps.push(Some(step));
                        labels.push(input.times[step]);
                    }
                    if steps.len() == before {
                        steps.push(None);
                        labels.push(*time);
                    }
                    of.resize(steps.len(), number);
                }
                Part::Aggregate {
                    input: Box::new(input.select(&labels, &steps)),
                    groups: of,
                }
            }
            Part::Reproject { sources, inputs } => Part::Reproject {
                sources: positions
                    .iter()
                    .map(|at| at.map_or(0, |at| sources[at]))
                    .collect(),
                inputs: inputs
                    .iter()
                    .map(|(grid, input)| (grid.clone(), input.select(times, positions)))
                    .collect(),
            },
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
                ..
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

    pub(super) fn as_aggregate(&self) -> Option<(&Axis, &[usize])> {
        match &self.part {
            Part::Aggregate { input, groups } => Some((input, groups)),
            _ => None,
        }
    }

    pub(super) fn as_reproject(&self) -> Option<(&[usize], &[OnGrid])> {
        match &self.part {
            Part::Reproject { sources, inputs } => Some((sources, inputs)),
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
