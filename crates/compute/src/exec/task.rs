//! Tasks: one chunk of a stage, from what it will weigh to its pixels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datacube_model::DType;
use futures::future::BoxFuture;

use super::stage::{Body, Leaf, Origin, Stage};
use crate::buffer::{ALIGNMENT, Buffer, Pool, normalise_bool};
use crate::error::{Error, TaskFailure};
use crate::index::AxisIndex;
use crate::program::Port;
use crate::program::layout::{Layout, Step};
use crate::region::{Region, c_strides};
use crate::sink::{MemorySink, copy_strided};
use crate::source::{ChunkSource, Cost, Fetched, ReadStats, SourceError};

/// Pieces that a read is split into at most.
const MAX_PIECES: usize = 64;
/// What a request weighs beside the bytes that it brings.
const REQUEST_BYTES: u64 = 32 << 10;

/// One chunk of a stage, planned: nothing has been read.
#[derive(Debug)]
pub(crate) struct Task {
    stage: Arc<Stage>,
    /// The pixels that it makes.
    pub(crate) region: Region,
    reads: Vec<Read>,
    inputs: Vec<Input>,
}

/// Pixels of a source that are read into one buffer.
#[derive(Debug)]
struct Read {
    source: Arc<dyn ChunkSource>,
    /// The runs of positions along each axis; each product of runs is a piece.
    runs: Vec<Vec<Run>>,
}

/// Positions that follow each other, and where they go in the buffer.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    start: usize,
    len: usize,
    to: usize,
}

/// Where a leaf's pixels lie.
#[derive(Debug)]
struct Input {
    /// The read, or the array in memory.
    from: From,
    layout: Layout,
}

#[derive(Debug)]
enum From {
    Read(usize),
    Memory(usize),
}

/// What a task came to.
#[derive(Debug, Default)]
pub(crate) struct TaskStats {
    pub(crate) read: ReadStats,
    pub(crate) decode: Duration,
    pub(crate) program: Duration,
}

/// Why a task failed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// In a way that names the chunk.
    Task(TaskFailure),
    /// Otherwise.
    Error(Error),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

impl std::convert::From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Task(TaskFailure::Source(error))
    }
}

impl Task {
    /// The task that makes `region`, a chunk of the stage or a part of one.
    pub(crate) fn plan(stage: &Arc<Stage>, region: Region) -> Task {
        let mut reads: Vec<Read> = Vec::new();
        let mut sources: Vec<(usize, usize)> = Vec::new(); // leaf and read
        let all_positions: Vec<Vec<AxisIndex>> = stage
            .leaves
            .iter()
            .map(|leaf| leaf.view.positions(region.ranges()))
            .collect();
        for (number, leaf) in stage.leaves.iter().enumerate() {
            let Origin::Source(source) = &leaf.origin else {
                continue;
            };
            let read = Read::plan(source, &all_positions[number], leaf.dtype);
            match reads.iter_mut().position(|other| other.take_in(&read)) {
                Some(other) => sources.push((number, other)),
                None => {
                    reads.push(read);
                    sources.push((number, reads.len() - 1));
                }
            }
        }
        let inputs = stage
            .leaves
            .iter()
            .enumerate()
            .map(|(number, leaf)| {
                let positions = &all_positions[number];
                match &leaf.origin {
                    Origin::Source(_) => {
                        let read = sources.iter().find(|(leaf, _)| *leaf == number);
                        let read = read.expect("every source has a read").1;
                        let (shape, runs) = (reads[read].shape(), &reads[read].runs);
                        let layout = input_layout(leaf, positions, &region, &shape, |axis, at| {
                            place(&runs[axis], at)
                        });
                        Input {
                            from: From::Read(read),
                            layout,
                        }
                    }
                    Origin::Memory(array) => {
                        let layout =
                            input_layout(leaf, positions, &region, &array.shape, |_, at| at);
                        Input {
                            from: From::Memory(number),
                            layout,
                        }
                    }
                }
            })
            .collect();
        Task {
            stage: Arc::clone(stage),
            region,
            reads,
            inputs,
        }
    }

    /// What will be read, and the memory that decoding needs at most.
    pub(crate) fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let mut scratch = 0;
        for read in &self.reads {
            for piece in read.pieces() {
                let projected = read.source.project(&piece.region);
                cost += projected;
                scratch = scratch.max(projected.scratch_bytes);
            }
        }
        cost.scratch_bytes = scratch;
        cost
    }

    /// Bytes of the buffers that inputs are decoded into.
    pub(crate) fn input_bytes(&self) -> u64 {
        self.reads.iter().map(|read| read.bytes() as u64).sum()
    }

    /// Bytes of the pixels that it makes.
    pub(crate) fn output_bytes(&self) -> u64 {
        let sizes = self.stage.outputs.iter().map(|output| output.dtype.size());
        (sizes.sum::<usize>() * self.region.len()) as u64
    }

    /// Bytes that the program needs besides.
    pub(crate) fn program_bytes(&self) -> u64 {
        match &self.stage.body {
            Body::Copy => 0,
            Body::Program(program) => program.scratch_bytes() as u64,
        }
    }

    /// The futures that bring what [`Task::compute`] needs, in its order.
    pub(crate) fn fetches(&self) -> Vec<BoxFuture<'static, Result<Fetched, SourceError>>> {
        let pieces = |read: &Read| {
            let source = Arc::clone(&read.source);
            read.pieces()
                .into_iter()
                .map(move |piece| source.fetch(&piece.region))
        };
        self.reads.iter().flat_map(pieces).collect()
    }

    /// Decodes what was fetched and computes the outputs: in place where `sink`
    /// is memory, else into buffers that are given back in the order of the
    /// stage's outputs.
    pub(crate) fn compute(
        &self,
        fetched: Vec<Fetched>,
        pool: &Pool,
        sink: Option<&MemorySink>,
        stats: &mut TaskStats,
    ) -> Result<Vec<Buffer>, Stop> {
        let targets = self.targets(pool, sink)?;
        let begun = Instant::now();
        let mut fetched = fetched.into_iter();
        if self.decode_in_place(&targets, &mut fetched, stats)? {
            stats.decode += begun.elapsed();
            return Ok(targets
                .into_iter()
                .filter_map(|target| target.buffer)
                .collect());
        }
        let mut decoded = Vec::with_capacity(self.reads.len());
        for read in &self.reads {
            decoded.push(read.decode(&mut fetched, pool, stats)?);
        }
        stats.decode += begun.elapsed();
        let begun = Instant::now();
        let inputs: Vec<Port<'_>> = self
            .inputs
            .iter()
            .map(|input| {
                let buffer: &Buffer = match input.from {
                    From::Read(read) => &decoded[read],
                    From::Memory(leaf) => match &self.stage.leaves[leaf].origin {
                        Origin::Memory(array) => &array.data,
                        Origin::Source(_) => unreachable!("planned from this leaf"),
                    },
                };
                Port {
                    ptr: buffer.raw(),
                    layout: &input.layout,
                }
            })
            .collect();
        let outputs: Vec<Port<'_>> = targets
            .iter()
            .map(|target| Port {
                ptr: target.ptr,
                layout: &target.layout,
            })
            .collect();
        match &self.stage.body {
            Body::Copy => {
                let size = self.stage.outputs[0].dtype.size();
                // SAFETY: the layouts were made for these buffers; the target
                // is ours alone.
                unsafe { copy(&inputs[0], &outputs[0], size) };
            }
            Body::Program(program) => {
                let mut scratch = pool.take(program.scratch_bytes())?;
                // SAFETY: ports in the order and of the types of the stage's
                // program, layouts made for these buffers, targets ours alone.
                unsafe { program.run(&inputs, &outputs, &mut scratch) }
                    .map_err(|message| Stop::Task(TaskFailure::Value(message.to_owned())))?;
            }
        }
        stats.program += begun.elapsed();
        Ok(targets
            .into_iter()
            .filter_map(|target| target.buffer)
            .collect())
    }

    fn targets(&self, pool: &Pool, sink: Option<&MemorySink>) -> Result<Vec<Target>, Stop> {
        let shape = self.region.shape();
        let mut targets = Vec::with_capacity(self.stage.outputs.len());
        for output in &self.stage.outputs {
            targets.push(match sink {
                Some(sink) => {
                    let window = sink.window(output.number, &self.region).ok_or_else(|| {
                        Error::Bug(format!(
                            "no place in memory for {} of {}",
                            self.region, output.name
                        ))
                    })?;
                    let layout = Layout::window(&shape, &window.strides);
                    Target {
                        ptr: window.ptr,
                        layout,
                        buffer: None,
                    }
                }
                None => {
                    let buffer = pool.take(self.region.len() * output.dtype.size())?;
                    let layout = Layout::contiguous(self.region.len());
                    Target {
                        ptr: buffer.raw(),
                        layout,
                        buffer: Some(buffer),
                    }
                }
            });
        }
        Ok(targets)
    }

    /// Decodes straight into the output where that is all there is to do, and
    /// the output's pixels lie as the source has to write them. Says whether it
    /// did.
    fn decode_in_place(
        &self,
        targets: &[Target],
        fetched: &mut impl Iterator<Item = Fetched>,
        stats: &mut TaskStats,
    ) -> Result<bool, Stop> {
        let ([read], [input], [target], Body::Copy) = (
            self.reads.as_slice(),
            self.inputs.as_slice(),
            targets,
            &self.stage.body,
        ) else {
            return Ok(false);
        };
        let pieces = read.pieces();
        let plain = pieces.len() == 1
            && input.layout.start_if_contiguous() == Some(0)
            && input.layout.len() == self.region.len()
            && pieces[0].region.len() == self.region.len();
        let Some(start) = target.layout.start_if_contiguous().filter(|_| plain) else {
            return Ok(false);
        };
        let size = self.stage.outputs[0].dtype.size();
        let ptr = target.ptr.wrapping_offset(start * size.cast_signed());
        if ptr.addr() % ALIGNMENT != 0 {
            return Ok(false);
        }
        // SAFETY: the target is contiguous, of this many pixels, initialised,
        // and ours alone.
        let out = unsafe { std::slice::from_raw_parts_mut(ptr, self.region.len() * size) };
        read.decode_piece(&pieces[0], fetched, out, stats)?;
        Ok(true)
    }
}

/// Where an output is written.
#[derive(Debug)]
struct Target {
    ptr: *mut u8,
    layout: Layout,
    buffer: Option<Buffer>,
}

/// A part of a read that is one region of the source.
#[derive(Debug)]
struct Piece {
    region: Region,
    /// Where its first pixel goes along each axis of the buffer.
    to: Vec<usize>,
}

impl Read {
    /// The positions of `source`, in few pieces: whole hulls, unless splitting
    /// an axis at its gaps takes less.
    fn plan(source: &Arc<dyn ChunkSource>, positions: &[AxisIndex], dtype: DType) -> Read {
        let dense: Vec<Vec<Run>> = positions
            .iter()
            .map(|index| {
                let hull = index.hull();
                vec![Run {
                    start: hull.start,
                    len: hull.len(),
                    to: 0,
                }]
            })
            .collect();
        let mut read = Read {
            source: Arc::clone(source),
            runs: dense,
        };
        for (axis, index) in positions.iter().enumerate() {
            if index.len().is_none_or(|len| read.runs[axis][0].len <= len) {
                continue;
            }
            let runs = runs_of(index);
            let pieces: usize = read.runs.iter().map(Vec::len).product();
            if runs.len() < 2 || pieces * runs.len() > MAX_PIECES {
                continue;
            }
            let before = read.weight(dtype);
            let whole = std::mem::replace(&mut read.runs[axis], runs);
            if read.weight(dtype) >= before {
                read.runs[axis] = whole;
            }
        }
        read
    }

    fn weight(&self, dtype: DType) -> u64 {
        self.pieces()
            .iter()
            .map(|piece| {
                let cost = self.source.project(&piece.region);
                cost.read_bytes
                    + cost.requests * REQUEST_BYTES
                    + (piece.region.len() * dtype.size()) as u64
            })
            .sum()
    }

    /// Grows to serve another read of the same source too, where one read of
    /// both takes no more pixels than two. Says whether it does.
    fn take_in(&mut self, other: &Read) -> bool {
        if !Arc::ptr_eq(&self.source, &other.source) {
            return false;
        }
        if self.runs == other.runs {
            return true;
        }
        let (Some(ours), Some(theirs)) = (self.single(), other.single()) else {
            return false;
        };
        let hull = ours.hull(&theirs);
        if hull.len() > ours.len() + theirs.len() {
            return false;
        }
        self.runs = hull
            .ranges()
            .iter()
            .map(|range| {
                vec![Run {
                    start: range.start,
                    len: range.len(),
                    to: 0,
                }]
            })
            .collect();
        true
    }

    /// The region, if it is only one.
    fn single(&self) -> Option<Region> {
        let one = self.runs.iter().all(|runs| runs.len() == 1);
        one.then(|| {
            let ranges = self
                .runs
                .iter()
                .map(|runs| runs[0].start..runs[0].start + runs[0].len);
            Region::new(ranges.collect::<Vec<_>>())
        })
    }

    /// Shape of the buffer.
    fn shape(&self) -> Vec<usize> {
        self.runs
            .iter()
            .map(|runs| runs.iter().map(|run| run.len).sum())
            .collect()
    }

    fn bytes(&self) -> usize {
        self.shape().iter().product::<usize>() * self.source.dtype().size()
    }

    fn pieces(&self) -> Vec<Piece> {
        let mut pieces = vec![(Vec::new(), Vec::new())];
        for runs in &self.runs {
            pieces = pieces
                .into_iter()
                .flat_map(|(ranges, to): (Vec<std::ops::Range<usize>>, Vec<usize>)| {
                    runs.iter().map(move |run| {
                        let mut ranges = ranges.clone();
                        let mut to = to.clone();
                        ranges.push(run.start..run.start + run.len);
                        to.push(run.to);
                        (ranges, to)
                    })
                })
                .collect();
        }
        pieces
            .into_iter()
            .map(|(ranges, to)| Piece {
                region: Region::new(ranges),
                to,
            })
            .collect()
    }

    fn decode(
        &self,
        fetched: &mut impl Iterator<Item = Fetched>,
        pool: &Pool,
        stats: &mut TaskStats,
    ) -> Result<Buffer, Stop> {
        let mut buffer = pool.take(self.bytes())?;
        let pieces = self.pieces();
        if let [piece] = pieces.as_slice() {
            self.decode_piece(piece, fetched, &mut buffer, stats)?;
            return Ok(buffer);
        }
        let strides = c_strides(&self.shape());
        let size = self.source.dtype().size();
        for piece in &pieces {
            let mut part = pool.take(piece.region.len() * size)?;
            self.decode_piece(piece, fetched, &mut part, stats)?;
            let offset: usize = piece
                .to
                .iter()
                .zip(&strides)
                .map(|(to, stride)| to * stride)
                .sum();
            let to = buffer.raw().wrapping_add(offset * size);
            // SAFETY: the runs of an axis add up to the buffer's shape, so each
            // piece has its own place within it.
            unsafe { copy_strided(&part, &piece.region.shape(), size, to, &strides) };
        }
        Ok(buffer)
    }

    fn decode_piece(
        &self,
        piece: &Piece,
        fetched: &mut impl Iterator<Item = Fetched>,
        out: &mut [u8],
        stats: &mut TaskStats,
    ) -> Result<(), Stop> {
        let fetched = fetched
            .next()
            .ok_or_else(|| Error::Bug("fewer things were fetched than asked for".to_owned()))?;
        stats
            .read
            .merge(self.source.decode(&piece.region, fetched, out)?);
        normalise_bool(self.source.dtype(), out);
        Ok(())
    }
}

/// The positions in ascending runs, each once.
fn runs_of(index: &AxisIndex) -> Vec<Run> {
    let mut positions: Vec<usize> = (0..index.len().unwrap_or(1))
        .map(|i| index.get(i))
        .collect();
    positions.sort_unstable();
    positions.dedup();
    let mut runs: Vec<Run> = Vec::new();
    for (to, position) in positions.into_iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.start + run.len == position => run.len += 1,
            _ => runs.push(Run {
                start: position,
                len: 1,
                to,
            }),
        }
    }
    runs
}

/// Where a position of the source is in the buffer.
fn place(runs: &[Run], position: usize) -> usize {
    let run = runs.partition_point(|run| run.start <= position);
    let run = &runs[run.saturating_sub(1)];
    run.to + position.wrapping_sub(run.start)
}

/// Where the pixels that a region looks at lie in a buffer of `shape`, whose
/// places along an axis are those of positions by way of `place`.
fn input_layout(
    leaf: &Leaf,
    positions: &[AxisIndex],
    region: &Region,
    shape: &[usize],
    place: impl Fn(usize, usize) -> usize,
) -> Layout {
    let strides = c_strides(shape);
    let region_shape = region.shape();
    let mut base = 0;
    let mut steps: Vec<Step> = region_shape.iter().map(|_| Step::By(0)).collect();
    if region.is_empty() {
        return Layout::new(0, &region_shape, steps);
    }
    for (axis, (view, index)) in leaf.view.axes.iter().zip(positions).enumerate() {
        let at = |i: usize| (place(axis, index.get(i)) * strides[axis]).cast_signed();
        base += at(0);
        let (Some(out), Some(len)) = (view.out, index.len()) else {
            continue;
        };
        let from_first = |i: usize| at(i) - at(0);
        let by = if len > 1 { from_first(1) } else { 0 };
        let uniform = match index {
            AxisIndex::Range { .. } => from_first(len - 1) == by * (len - 1).cast_signed(),
            _ => false,
        };
        steps[out] = if uniform {
            Step::By(by)
        } else {
            Step::To((0..len).map(from_first).collect())
        };
    }
    Layout::new(base, &region_shape, steps)
}

/// Moves all pixels of a port to another.
///
/// # Safety
/// Both ports have to be valid for one number of pixels of `size` bytes, and
/// may not overlap.
unsafe fn copy(from: &Port<'_>, to: &Port<'_>, size: usize) {
    const PIXELS: usize = 1024;
    let n = to.layout.len();
    // SAFETY: what the caller vouches for.
    unsafe {
        if let Some(start) = to.layout.start_if_contiguous() {
            from.layout.gather(
                from.ptr,
                0,
                n,
                size,
                to.ptr.offset(start * size.cast_signed()),
            );
        } else if let Some(start) = from.layout.start_if_contiguous() {
            to.layout.scatter(
                from.ptr.offset(start * size.cast_signed()),
                0,
                n,
                size,
                to.ptr,
            );
        } else {
            let mut block = [[0u64; 2]; PIXELS];
            let block = block.as_mut_ptr().cast::<u8>();
            for start in (0..n).step_by(PIXELS) {
                let count = PIXELS.min(n - start);
                from.layout.gather(from.ptr, start, count, size, block);
                to.layout.scatter(block, start, count, size, to.ptr);
            }
        }
    }
}
