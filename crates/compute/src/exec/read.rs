//! Reads: the pixels of a source that a task wants, in few pieces.

use std::sync::Arc;

use datacube_model::DType;

use super::task::{Stop, TaskStats};
use crate::buffer::{Buffer, Pool, normalise_bool};
use crate::error::Error;
use crate::index::AxisIndex;
use crate::region::{Region, c_strides};
use crate::sink::copy_strided;
use crate::source::{ChunkSource, Fetched};

/// Pieces that a read is split into at most.
const MAX_PIECES: usize = 64;
/// What a request weighs beside the bytes that it brings.
const REQUEST_BYTES: u64 = 32 << 10;

/// Pixels of a source that are read into one buffer.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) source: Arc<dyn ChunkSource>,
    /// The runs of positions along each axis; each product of runs is a piece.
    pub(super) runs: Vec<Vec<Run>>,
}

/// Positions that follow each other, and where they go in the buffer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    start: usize,
    len: usize,
    to: usize,
}

/// A part of a read that is one region of the source.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) region: Region,
    /// Where its first pixel goes along each axis of the buffer.
    to: Vec<usize>,
}

impl Read {
    /// The positions of `source`, in few pieces: whole hulls, unless splitting
    /// an axis at its gaps takes less.
    pub(super) fn plan(
        source: &Arc<dyn ChunkSource>,
        positions: &[AxisIndex],
        dtype: DType,
    ) -> Read {
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
    pub(super) fn take_in(&mut self, other: &Read) -> bool {
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
    pub(super) fn shape(&self) -> Vec<usize> {
        self.runs
            .iter()
            .map(|runs| runs.iter().map(|run| run.len).sum())
            .collect()
    }

    pub(super) fn bytes(&self) -> usize {
        self.shape().iter().product::<usize>() * self.source.dtype().size()
    }

    pub(super) fn pieces(&self) -> Vec<Piece> {
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

    pub(super) fn decode(
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

    pub(super) fn decode_piece(
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
pub(super) fn place(runs: &[Run], position: usize) -> usize {
    let run = runs.partition_point(|run| run.start <= position);
    let run = &runs[run.saturating_sub(1)];
    run.to + position.wrapping_sub(run.start)
}
