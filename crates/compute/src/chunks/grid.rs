//! The cuts of an array: chunks by number, by index and by region.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::AxisChunks;
use crate::region::Region;

/// How an array is cut into chunks: one [`AxisChunks`] for each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkGrid {
    axes: Vec<AxisChunks>,
}

impl ChunkGrid {
    /// The grid of these axes.
    pub fn new(axes: impl Into<Vec<AxisChunks>>) -> ChunkGrid {
        ChunkGrid { axes: axes.into() }
    }

    /// One chunk for the whole array.
    pub fn whole(shape: &[usize]) -> ChunkGrid {
        ChunkGrid {
            axes: shape.iter().map(|&len| AxisChunks::whole(len)).collect(),
        }
    }

    /// Chunks of `sizes` pixels.
    pub fn regular(shape: &[usize], sizes: &[usize]) -> ChunkGrid {
        let axes = shape
            .iter()
            .zip(sizes)
            .map(|(&len, &size)| AxisChunks::regular(len, size));
        ChunkGrid {
            axes: axes.collect(),
        }
    }

    /// The cuts along each axis.
    pub fn axes(&self) -> &[AxisChunks] {
        &self.axes
    }

    /// Pixels along each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::len).collect()
    }

    /// Number of chunks.
    pub fn n_chunks(&self) -> usize {
        self.axes.iter().map(AxisChunks::count).product()
    }

    /// Chunks along each axis.
    pub fn counts(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::count).collect()
    }

    /// Shape of the largest chunk.
    pub fn chunk_shape(&self) -> Vec<usize> {
        self.axes.iter().map(AxisChunks::max_size).collect()
    }

    /// Index along each axis of the chunk that is number `chunk` in C order.
    pub fn index(&self, chunk: usize) -> Vec<usize> {
        let mut rest = chunk;
        let mut index = vec![0; self.axes.len()];
        for (axis, chunks) in self.axes.iter().enumerate().rev() {
            let count = chunks.count().max(1);
            index[axis] = rest % count;
            rest /= count;
        }
        index
    }

    /// Number in C order of the chunk at `index`.
    pub fn number(&self, index: &[usize]) -> usize {
        self.axes
            .iter()
            .zip(index)
            .fold(0, |number, (axis, &i)| number * axis.count() + i)
    }

    /// The pixels of the chunk at `index`.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn region(&self, index: &[usize]) -> Region {
        assert_eq!(index.len(), self.axes.len(), "one index for each axis");
        Region::new(
            self.axes
                .iter()
                .zip(index)
                .map(|(axis, &i)| axis.range(i))
                .collect::<Vec<_>>(),
        )
    }

    /// The pixels of the chunk that is number `chunk` in C order.
    pub fn region_of(&self, chunk: usize) -> Region {
        self.region(&self.index(chunk))
    }

    /// The grid of an operation on two arrays of one shape: along each axis
    /// the finer of the two. Sources are random access, so no cut of the other
    /// has to be kept.
    pub(crate) fn finer(&self, other: &ChunkGrid) -> ChunkGrid {
        let axes = self.axes.iter().zip(&other.axes).map(|(a, b)| {
            if b.max_size() < a.max_size() {
                b.clone()
            } else {
                a.clone()
            }
        });
        ChunkGrid {
            axes: axes.collect(),
        }
    }
}

/// The largest chunk's shape, as dask shows it: `(1, 2048, 2048)`.
impl fmt::Display for ChunkGrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::repr::tuple(&self.chunk_shape()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_indices_agree() {
        let grid = ChunkGrid::regular(&[3, 10, 7], &[1, 4, 4]);
        assert_eq!(grid.counts(), [3, 3, 2]);
        for number in 0..grid.n_chunks() {
            assert_eq!(grid.number(&grid.index(number)), number);
        }
        assert_eq!(grid.region_of(17), Region::new(vec![2..3, 8..10, 4..7]));
        assert_eq!(ChunkGrid::whole(&[]).n_chunks(), 1);
        assert_eq!(ChunkGrid::whole(&[0, 4]).n_chunks(), 0);
    }

    #[test]
    fn a_million_chunks_are_three_axes() {
        let grid = ChunkGrid::regular(&[100, 100_000, 100_000], &[1, 1000, 1000]);
        assert_eq!(grid.n_chunks(), 1_000_000);
        assert!(size_of_val(grid.axes()) < 200);
    }
}
