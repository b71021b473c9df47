//! The tasks of a job, without a list of them, and whether they fit.

use std::sync::Arc;

use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result, TaskError, TaskFailure, TooLarge};
use crate::exec::{Stage, Task, Weight, guarded};
use crate::plan::Plan;
use crate::program::Simd;
use crate::region::Region;
use crate::repr::{binary_bytes, tuple};
use crate::sink::ChunkSink;
use crate::source::Cost;

/// Tasks that are asked what they will take before a job starts; of more, an
/// even sample is asked, and the others when their turn comes.
const ASKED: usize = 20_000;
/// A chunk is not shared among threads below this size.
const PART_BYTES: usize = 4 << 20;

/// The tasks of a job.
#[derive(Debug)]
pub(super) struct TaskList {
    groups: Vec<Group>,
    len: usize,
    /// Tasks that were left out.
    resumed: usize,
}

#[derive(Debug)]
struct Group {
    stage: Arc<Stage>,
    /// What each task makes: the stage's chunks, or parts of them.
    parts: ChunkGrid,
    /// Numbers of the parts that are to be made; all where there is no list.
    left: Option<Vec<usize>>,
    first: usize,
}

impl Group {
    fn count(&self) -> usize {
        let parts = || self.parts.n_chunks();
        self.left.as_ref().map_or_else(parts, Vec::len)
    }
}

/// What all tasks will take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Projection {
    pub(super) cost: Cost,
    /// Whether every task was asked.
    pub(super) exact: bool,
    /// Of the largest task.
    pub(super) task_bytes: u64,
}

impl TaskList {
    /// The tasks of an optimised plan; with `parts`, chunks are divided as far as it takes
    /// to give `threads` threads something to do.
    pub(super) fn new(plan: &Plan, simd: Simd, parts: Option<usize>) -> Result<TaskList> {
        let stages = Stage::all(plan, simd)?;
        let whole: usize = stages.iter().map(|stage| stage.chunks.n_chunks()).sum();
        let mut list = TaskList {
            groups: Vec::new(),
            len: 0,
            resumed: 0,
        };
        for stage in stages {
            let grid = match parts {
                Some(threads) if whole < threads => {
                    let size = stage.outputs.iter().map(|output| output.dtype.size()).sum();
                    divide(&stage.chunks, size, threads)
                }
                _ => stage.chunks.clone(),
            };
            let count = grid.n_chunks();
            list.groups.push(Group {
                stage: Arc::new(stage),
                parts: grid,
                left: None,
                first: list.len,
            });
            list.len += count;
        }
        Ok(list)
    }

    /// The tasks without those whose chunks `sink` holds already.
    pub(super) fn without_held(mut self, sink: &dyn ChunkSink) -> TaskList {
        if !sink.resumes() {
            return self;
        }
        self.len = 0;
        for group in &mut self.groups {
            let outputs = &group.stage.outputs;
            let left: Vec<usize> = (0..group.parts.n_chunks())
                .filter(|&part| {
                    let region = group.parts.region_of(part);
                    !outputs
                        .iter()
                        .all(|output| sink.holds(output.number, &region))
                })
                .collect();
            self.resumed += group.parts.n_chunks() - left.len();
            group.first = self.len;
            self.len += left.len();
            group.left = Some(left);
        }
        // Whoever looks for a task takes the last group that begins at or before it.
        self.groups.retain(|group| group.count() > 0);
        self
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Tasks that were left out because their chunks are there.
    pub(super) fn resumed(&self) -> usize {
        self.resumed
    }

    /// Whether any task has to fetch something.
    pub(super) fn reads(&self) -> bool {
        self.groups.iter().any(|group| group.stage.reads())
    }

    /// The arrays that each stage makes, and how many tasks make them.
    pub(super) fn stages(&self) -> impl Iterator<Item = (String, usize)> + '_ {
        let groups = self.groups.iter();
        groups.map(|group| (group.stage.name(), group.count()))
    }

    /// Stage and pixels of task `number`.
    pub(super) fn get(&self, number: usize) -> (&Arc<Stage>, Region) {
        let group = self.groups.partition_point(|group| group.first <= number) - 1;
        let group = &self.groups[group];
        let part = match &group.left {
            Some(left) => left[number - group.first],
            None => number - group.first,
        };
        (&group.stage, group.parts.region_of(part))
    }

    /// Task `number` and what it needs.
    ///
    /// # Errors
    /// A task that needs more than `limit` bytes, a source that panicked.
    pub(super) fn plan(
        &self,
        number: usize,
        in_place: bool,
        limit: Option<u64>,
    ) -> Result<(Task, Weight)> {
        let (stage, region) = self.get(number);
        let planned = guarded(|| {
            let mut task = Task::plan(stage, region.clone());
            let mut weight = task.weight(in_place);
            if limit.is_some_and(|limit| weight.bytes() > limit) {
                task = Task::plan_modestly(stage, region.clone());
                weight = task.weight(in_place);
            }
            (task, weight)
        });
        let (task, weight) =
            planned.map_err(|message| task_error(stage, &region, TaskFailure::Panic(message)))?;
        check(stage, &region, &weight, limit)?;
        Ok((task, weight))
    }

    /// What the tasks will take.
    ///
    /// # Errors
    /// A task that needs more than `limit` bytes by itself, and the way out.
    pub(super) fn project(&self, in_place: bool, limit: Option<u64>) -> Result<Projection> {
        let mut projection = Projection {
            exact: self.len <= ASKED,
            ..Projection::default()
        };
        let step = if projection.exact {
            1.0
        } else {
            self.len as f64 / ASKED as f64
        };
        let asked = self.len.min(ASKED);
        for i in 0..asked {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an even sample of task numbers"
            )]
            let number = (i as f64 * step) as usize;
            let (_, weight) = self.plan(number, in_place, limit)?;
            projection.cost += weight.cost;
            projection.task_bytes = projection.task_bytes.max(weight.bytes());
        }
        if !projection.exact {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an estimate"
            )]
            let scale = |value: u64| (value as f64 * step) as u64;
            projection.cost.read_bytes = scale(projection.cost.read_bytes);
            projection.cost.requests = scale(projection.cost.requests);
        }
        Ok(projection)
    }
}

/// Refuses a task that cannot fit, in words that help.
fn check(stage: &Stage, region: &Region, weight: &Weight, limit: Option<u64>) -> Result<()> {
    let Some(limit) = limit.filter(|&limit| weight.bytes() > limit) else {
        return Ok(());
    };
    let shape = region.shape();
    let parts = [
        ("fetched", weight.fetched),
        ("decoding", weight.cost.scratch_bytes),
        ("inputs", weight.inputs),
        ("reductions", weight.states),
        ("results", weight.outputs),
        ("arithmetic", weight.program),
    ];
    let detail: Vec<String> = parts
        .iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(what, bytes)| format!("{what} {}", binary_bytes(*bytes)))
        .collect();
    Err(Error::TooLarge(Box::new(TooLarge {
        what: format!("one chunk of {}, {} pixels,", stage.name(), tuple(&shape)),
        needed: weight.bytes(),
        limit,
        detail: detail.join(", "),
        hint: format!(
            "Take smaller chunks, such as {}, or give the cluster more memory.",
            tuple(&smaller(shape, weight.bytes(), limit))
        ),
    })))
}

/// A failure with the chunk that it happened to.
pub(super) fn task_error(stage: &Stage, region: &Region, cause: TaskFailure) -> Error {
    let chunk = stage
        .chunks
        .axes()
        .iter()
        .zip(region.ranges())
        .map(|(axis, range)| axis.find(range.start))
        .collect();
    Error::Task(Box::new(TaskError {
        array: stage.name(),
        chunk,
        region: region.clone(),
        cause,
    }))
}

/// A chunk shape that would take no more than half the limit, by halving the
/// longest axis again and again.
fn smaller(mut shape: Vec<usize>, mut bytes: u64, limit: u64) -> Vec<usize> {
    while bytes > limit / 2 {
        let Some(longest) = shape.iter_mut().rev().max().filter(|len| **len > 1) else {
            break;
        };
        *longest = longest.div_ceil(2);
        bytes /= 2;
    }
    shape
}

/// The chunks divided along their outer axes until there are `wanted` of them,
/// or they get small. Pixels do not depend on it.
fn divide(chunks: &ChunkGrid, size: usize, wanted: usize) -> ChunkGrid {
    let mut grid = chunks.clone();
    while grid.n_chunks() > 0 && grid.n_chunks() < wanted {
        let shape = grid.chunk_shape();
        if shape.iter().product::<usize>() * size < 2 * PART_BYTES {
            break;
        }
        let Some(axis) = shape.iter().position(|&len| len > 1) else {
            break;
        };
        let axes = grid.axes().iter().enumerate().map(|(i, chunks)| {
            if i == axis {
                AxisChunks::regular(chunks.len(), shape[axis].div_ceil(2))
            } else {
                chunks.clone()
            }
        });
        grid = ChunkGrid::new(axes.collect::<Vec<_>>());
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_chunks_are_shared() {
        let whole = ChunkGrid::whole(&[4, 4000, 4000]);
        assert_eq!(divide(&whole, 2, 2).chunk_shape(), [2, 4000, 4000]);
        assert_eq!(divide(&whole, 2, 8).chunk_shape(), [1, 2000, 4000]);
        assert_eq!(divide(&whole, 2, 1000).chunk_shape(), [1, 1000, 4000]);
        assert_eq!(divide(&ChunkGrid::whole(&[10, 10]), 2, 8).n_chunks(), 1);
        assert_eq!(divide(&ChunkGrid::whole(&[0, 10]), 2, 8).n_chunks(), 0);
    }

    #[test]
    fn suggestions_halve_the_longest_axis() {
        assert_eq!(smaller(vec![1, 4096, 4096], 1000, 300), [1, 1024, 2048]);
        assert_eq!(smaller(vec![1], 1000, 3), [1]);
    }
}
