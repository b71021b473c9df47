//! One job as it is watched: how far it is, and on which chunks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use crate::chunks::AxisChunks;
use crate::plan::Plan;
use crate::region::Region;
use crate::visualize::PlanGraph;

/// Rows and columns of a map of chunks at most; neighbours are put together.
const MAP_SIZE: usize = 48;

/// A job that runs, or ran lately.
pub(crate) struct JobRecord {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) begun: Instant,
    pub(super) tasks: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) map: Option<ChunkMap>,
    pub(super) graph: PlanGraph,
    pub(super) end: Mutex<Option<(Instant, JobState)>>,
}

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Tasks are being done.
    Running,
    /// All is written.
    Done,
    /// A task failed, or it did not fit.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobRecord {
    pub(super) fn new(id: u64, plan: &Plan) -> JobRecord {
        let names: Vec<&str> = plan.outputs().iter().map(|output| output.name()).collect();
        let more = names.len().saturating_sub(4);
        let mut name = names[..names.len() - more].join(", ");
        if more > 0 {
            name.push_str(&format!(" and {more} more"));
        }
        JobRecord {
            id,
            name,
            begun: Instant::now(),
            tasks: AtomicU64::new(0),
            done: AtomicU64::new(0),
            map: ChunkMap::new(plan),
            graph: PlanGraph::new(plan),
            end: Mutex::new(None),
        }
    }

    pub(super) fn task_done(&self, arrays: &str, region: &Region) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if let Some(map) = &self.map {
            let arrays = 1 + arrays.matches(", ").count() as u64;
            map.add(region, arrays);
        }
    }
}

/// The chunks of a job's outputs along y and x, and how much of each is done.
#[derive(Debug)]
pub(crate) struct ChunkMap {
    dims: [String; 2],
    /// Where cells begin along y and x, and where the last one ends.
    edges: [Vec<usize>; 2],
    /// Planes of pixels that lie over each other: times and variables.
    planes: u64,
    done: Box<[AtomicU64]>,
    failed: Box<[AtomicBool]>,
}

/// A map of chunks at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MapSnapshot {
    /// Names of the two dimensions: rows first.
    pub dims: [String; 2],
    /// Where cells begin along each of them, in pixels, and where the last one
    /// ends.
    pub edges: [Vec<usize>; 2],
    /// How much of each cell is done, in rows: 0 to 100, and 255 where a task
    /// failed.
    pub percent: Vec<u8>,
}

impl ChunkMap {
    fn new(plan: &Plan) -> Option<ChunkMap> {
        let first = plan
            .outputs()
            .iter()
            .find(|output| output.schema().shape.len() >= 2)?;
        let last_two = |shape: &[usize]| shape[shape.len() - 2..].to_vec();
        let (dims, shape) = (&first.schema().dims, &first.schema().shape);
        let dims = [dims[dims.len() - 2].clone(), dims[dims.len() - 1].clone()];
        let axes = first.chunks().axes();
        let edges = [&axes[axes.len() - 2], &axes[axes.len() - 1]].map(edges_of);
        let planes = plan.outputs().iter().filter_map(|output| {
            let other = &output.schema().shape;
            let same = other.len() >= 2 && last_two(other) == last_two(shape);
            same.then(|| other[..other.len() - 2].iter().product::<usize>() as u64)
        });
        let planes = planes.sum();
        let cells = (edges[0].len() - 1) * (edges[1].len() - 1);
        Some(ChunkMap {
            dims,
            edges,
            planes,
            done: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            failed: (0..cells).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// Cells that `region` touches, with the pixels of it that lie in each.
    fn cells(&self, region: &Region, mut each: impl FnMut(usize, u64)) {
        let ranges = region.ranges();
        let [.., rows, cols] = ranges else {
            return;
        };
        let planes: usize = ranges[..ranges.len() - 2]
            .iter()
            .map(ExactSizeIterator::len)
            .product();
        let touched = |edges: &[usize], range: &std::ops::Range<usize>| {
            let from = edges.partition_point(|&edge| edge <= range.start);
            let to = edges.partition_point(|&edge| edge < range.end);
            from.saturating_sub(1)..to.min(edges.len() - 1)
        };
        let common = |edges: &[usize], cell: usize, range: &std::ops::Range<usize>| {
            edges[cell + 1]
                .min(range.end)
                .saturating_sub(edges[cell].max(range.start))
        };
        let width = self.edges[1].len() - 1;
        for row in touched(&self.edges[0], rows) {
            for col in touched(&self.edges[1], cols) {
                let pixels =
                    common(&self.edges[0], row, rows) * common(&self.edges[1], col, cols) * planes;
                each(row * width + col, pixels as u64);
            }
        }
    }

    fn add(&self, region: &Region, arrays: u64) {
        self.cells(region, |cell, pixels| {
            self.done[cell].fetch_add(pixels * arrays, Ordering::Relaxed);
        });
    }

    pub(super) fn fail(&self, region: &Region) {
        self.cells(region, |cell, _| {
            self.failed[cell].store(true, Ordering::Relaxed);
        });
    }

    pub(super) fn snapshot(&self) -> MapSnapshot {
        let width = self.edges[1].len() - 1;
        let len = |edges: &[usize], cell: usize| (edges[cell + 1] - edges[cell]) as u64;
        let percent = (0..self.done.len()).map(|cell| {
            if self.failed[cell].load(Ordering::Relaxed) {
                return 255;
            }
            let (row, col) = (cell / width, cell % width);
            let all = len(&self.edges[0], row) * len(&self.edges[1], col) * self.planes;
            let done = self.done[cell].load(Ordering::Relaxed).min(all);
            u8::try_from(100 * done / all.max(1)).unwrap_or(100)
        });
        MapSnapshot {
            dims: self.dims.clone(),
            edges: self.edges.clone(),
            percent: percent.collect(),
        }
    }
}

/// Edges of the chunks, some of them put together.
fn edges_of(axis: &AxisChunks) -> Vec<usize> {
    let count = axis.count();
    let together = count.div_ceil(MAP_SIZE).max(1);
    let mut edges: Vec<usize> = (0..count)
        .step_by(together)
        .map(|chunk| axis.range(chunk).start)
        .collect();
    edges.push(axis.len());
    if edges.len() < 2 {
        edges.push(axis.len());
    }
    edges
}

/// How a job stands at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobSnapshot {
    /// Its number on this cluster.
    pub id: u64,
    /// What it computes.
    pub name: String,
    /// How it stands.
    pub state: JobState,
    /// Seconds from the cluster's start to the job's.
    pub begun: f64,
    /// Seconds that it has taken.
    pub seconds: f64,
    /// Tasks that it consists of; 0 before they are counted.
    pub tasks: u64,
    /// Tasks that were finished.
    pub done: u64,
    /// Its chunks along y and x; `None` where its results have no two axes.
    pub map: Option<MapSnapshot>,
}

impl JobRecord {
    pub(super) fn snapshot(self: &Arc<Self>, epoch: Instant) -> JobSnapshot {
        let end = *self.end.lock();
        JobSnapshot {
            id: self.id,
            name: self.name.clone(),
            state: end.map_or(JobState::Running, |(_, state)| state),
            begun: (self.begun - epoch).as_secs_f64(),
            seconds: end
                .map_or_else(|| self.begun.elapsed(), |(at, _)| at - self.begun)
                .as_secs_f64(),
            tasks: self.tasks.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            map: self.map.as_ref().map(ChunkMap::snapshot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::DataArray;
    use crate::chunks::Chunks;
    use crate::coords::Coords;

    fn map(shape: &[usize; 3], chunks: &Chunks) -> ChunkMap {
        let pixels = vec![0u8; shape.iter().product()];
        let array =
            DataArray::from_values("a", &["time", "y", "x"], shape, pixels, Coords::new()).unwrap();
        ChunkMap::new(&array.rechunk(chunks).unwrap().plan().unwrap()).unwrap()
    }

    #[test]
    fn cells_fill_as_regions_are_done() {
        let map = map(&[2, 5, 6], &Chunks::new([("time", 1), ("y", 3), ("x", 3)]));
        assert_eq!(map.edges, [vec![0, 3, 5], vec![0, 3, 6]]);
        assert_eq!(map.snapshot().percent, [0, 0, 0, 0]);
        map.add(&Region::new(vec![0..1, 0..3, 0..3]), 1);
        map.add(&Region::new(vec![0..2, 3..5, 3..6]), 1);
        assert_eq!(map.snapshot().percent, [50, 0, 0, 100]);
        // A region over several cells counts in each.
        map.add(&Region::new(vec![1..2, 0..5, 0..6]), 1);
        assert_eq!(map.snapshot().percent, [100, 50, 50, 100]);
        map.fail(&Region::new(vec![0..1, 0..3, 3..6]));
        assert_eq!(map.snapshot().percent, [100, 255, 50, 100]);
    }

    #[test]
    fn many_chunks_share_cells() {
        let map = map(&[1, 500, 7], &Chunks::new([("y", 1)]));
        assert!(map.edges[0].len() - 1 <= MAP_SIZE, "{:?}", map.edges);
        assert_eq!(map.edges[1], [0, 7]);
        map.add(&Region::new(vec![0..1, 0..500, 0..7]), 1);
        assert!(map.snapshot().percent.iter().all(|&percent| percent == 100));
    }
}
