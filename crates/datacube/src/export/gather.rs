//! Chunks in, blocks out: pixels come in boxes of any cut and any order, and
//! leave in the blocks of a file format, each when its last pixel has come.
//!
//! Memory holds the blocks that are filled in part. Where chunks are multiples
//! of blocks there are none, and pixels are copied once.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytemuck::Pod;
use rayon::prelude::*;

use super::error::{Error, Result};

/// Pixels whose bytes may be seen as any pixel type: they are 8-byte aligned.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    words: Vec<u64>,
    len: usize,
}

impl Pixels {
    pub(super) fn zeroed(len: usize) -> Self {
        Pixels {
            words: vec![0; len.div_ceil(8)],
            len,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[..self.len]
    }

    pub(super) fn of_type_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}

/// Copies the box of `shape` pixels of `size` bytes that begins at byte `src_at`
/// of one C-ordered array to byte `dst_at` of another; strides are in bytes.
pub(super) fn copy_box(
    src: (&[u8], usize, &[usize]),
    dst: (&mut [u8], usize, &[usize]),
    shape: &[usize],
    size: usize,
) {
    let (src, src_at, src_strides) = src;
    let (dst, dst_at, dst_strides) = dst;
    match shape {
        [] => dst[dst_at..dst_at + size].copy_from_slice(&src[src_at..src_at + size]),
        [n] => {
            let len = n * size;
            dst[dst_at..dst_at + len].copy_from_slice(&src[src_at..src_at + len]);
        }
        [n, rest @ ..] => {
            for i in 0..*n {
                copy_box(
                    (src, src_at + i * src_strides[0], &src_strides[1..]),
                    (dst, dst_at + i * dst_strides[0], &dst_strides[1..]),
                    rest,
                    size,
                );
            }
        }
    }
}

/// Bytes between neighbours along each axis of a C-ordered array.
pub(super) fn byte_strides(shape: &[usize], size: usize) -> Vec<usize> {
    let mut strides = vec![size; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    strides
}

/// An array cut into equal blocks; the last along an axis may stick out.
#[derive(Clone, Debug)]
pub(super) struct BlockGrid {
    shape: Vec<usize>,
    block: Vec<usize>,
}

impl BlockGrid {
    /// `shape` and `block` have the same number of axes, and no block is empty.
    pub(super) fn new(shape: Vec<usize>, block: Vec<usize>) -> Self {
        assert_eq!(
            shape.len(),
            block.len(),
            "a block has the axes of its array"
        );
        assert!(block.iter().all(|&n| n > 0), "a block has pixels");
        BlockGrid { shape, block }
    }

    fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.shape
            .iter()
            .zip(&self.block)
            .map(|(&n, &block)| n.div_ceil(block))
    }

    pub(super) fn n_blocks(&self) -> usize {
        self.counts().product()
    }

    /// The position of block `number` along each axis.
    pub(super) fn position(&self, mut number: usize) -> Vec<usize> {
        let counts: Vec<_> = self.counts().collect();
        let mut position = vec![0; counts.len()];
        for axis in (0..counts.len()).rev() {
            position[axis] = number % counts[axis];
            number /= counts[axis];
        }
        position
    }

    /// The pixels that block `number` holds, without what sticks out.
    pub(super) fn region(&self, number: usize) -> Vec<Range<usize>> {
        self.position(number)
            .into_iter()
            .zip(self.shape.iter().zip(&self.block))
            .map(|(at, (&n, &block))| at * block..((at + 1) * block).min(n))
            .collect()
    }

    /// The blocks that a region touches, in order.
    fn touching(&self, region: &[Range<usize>]) -> Vec<usize> {
        let mut numbers = vec![0];
        for ((range, &block), count) in region.iter().zip(&self.block).zip(self.counts()) {
            let along = range.start / block..range.end.div_ceil(block);
            numbers = numbers
                .iter()
                .flat_map(|&number| along.clone().map(move |at| number * count + at))
                .collect();
        }
        numbers
    }
}

/// Collects the pixels of one array into blocks.
#[derive(Debug)]
pub(super) struct Gather {
    grid: BlockGrid,
    /// One pixel: what the part of a block that sticks out is made of.
    fill: Vec<u8>,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    /// Blocks that wait for more pixels.
    partial: HashMap<usize, Partial>,
    /// How each block stands.
    blocks: Vec<Stand>,
}

/// How a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Pixels are missing.
    Open,
    /// All pixels have come.
    Done,
    /// An earlier run wrote it; its pixels may come again and are not taken.
    Before,
}

#[derive(Debug)]
struct Partial {
    pixels: Pixels,
    missing: usize,
}

fn n_pixels(region: &[Range<usize>]) -> usize {
    region.iter().map(Range::len).product()
}

impl Gather {
    /// `fill` is one pixel in native bytes.
    pub(super) fn new(grid: BlockGrid, fill: Vec<u8>) -> Self {
        let progress = Progress {
            partial: HashMap::new(),
            blocks: vec![Stand::Open; grid.n_blocks()],
        };
        Gather {
            grid,
            fill,
            progress: Mutex::new(progress),
        }
    }

    pub(super) fn grid(&self) -> &BlockGrid {
        &self.grid
    }

    /// Says that an earlier run wrote block `number`.
    pub(super) fn was_written(&self, number: usize) {
        self.lock().blocks[number] = Stand::Before;
    }

    /// Whether any block was written by an earlier run.
    pub(super) fn resumes(&self) -> bool {
        self.lock().blocks.contains(&Stand::Before)
    }

    /// Whether all blocks that `region` touches are complete.
    pub(super) fn holds(&self, region: &[Range<usize>]) -> bool {
        let numbers = self.grid.touching(region);
        let progress = self.lock();
        let blocks = &progress.blocks;
        numbers.iter().all(|&number| blocks[number] != Stand::Open)
    }

    /// Takes the pixels of `region` (C order) and hands every block that is
    /// complete with them to `emit`, on all cores.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the region is not inside the array, `pixels` has
    /// not its size, or pixels come a second time; else what `emit` says.
    pub(super) fn add(
        &self,
        what: &str,
        region: &[Range<usize>],
        pixels: &[u8],
        emit: impl Fn(usize, Pixels) -> Result<()> + Sync,
    ) -> Result<()> {
        let size = self.fill.len();
        let inside = region.len() == self.grid.shape.len()
            && region
                .iter()
                .zip(&self.grid.shape)
                .all(|(r, &n)| r.start <= r.end && r.end <= n);
        if !inside || pixels.len() != n_pixels(region) * size {
            return Err(Error::invalid(
                format!("{what}{region:?}"),
                format!(
                    "its shape is {:?} with {size} bytes a pixel, and {} bytes came",
                    self.grid.shape,
                    pixels.len()
                ),
            ));
        }
        if pixels.is_empty() {
            return Ok(());
        }
        self.grid
            .touching(region)
            .into_par_iter()
            .try_for_each(|number| match self.take(what, number, region, pixels)? {
                Some(block) => emit(number, block),
                None => Ok(()),
            })
    }

    /// Moves what `region` has of one block into it; the block, if it is complete.
    fn take(
        &self,
        what: &str,
        number: usize,
        region: &[Range<usize>],
        pixels: &[u8],
    ) -> Result<Option<Pixels>> {
        let size = self.fill.len();
        let inside = self.grid.region(number);
        let part: Vec<Range<usize>> = inside
            .iter()
            .zip(region)
            .map(|(a, b)| a.start.max(b.start)..a.end.min(b.end))
            .collect();
        let shape: Vec<usize> = part.iter().map(Range::len).collect();
        let region_shape: Vec<usize> = region.iter().map(Range::len).collect();
        let src_strides = byte_strides(&region_shape, size);
        let dst_strides = byte_strides(&self.grid.block, size);
        let offset = |from: &[Range<usize>], strides: &[usize]| -> usize {
            part.iter()
                .zip(from)
                .zip(strides)
                .map(|((p, f), s)| (p.start - f.start) * s)
                .sum()
        };
        let (src_at, dst_at) = (offset(region, &src_strides), offset(&inside, &dst_strides));
        let copy = |block: &mut Pixels| {
            let src = (pixels, src_at, src_strides.as_slice());
            copy_box(src, (block.bytes_mut(), dst_at, &dst_strides), &shape, size);
        };
        let twice = || {
            Err(Error::invalid(
                format!("{what}{part:?}"),
                "these pixels have been written before",
            ))
        };

        let mut progress = self.lock();
        match progress.blocks[number] {
            Stand::Open => {}
            Stand::Done => return twice(),
            Stand::Before => return Ok(None),
        }
        if part == inside {
            if progress.partial.contains_key(&number) {
                return twice();
            }
            progress.blocks[number] = Stand::Done;
            drop(progress);
            let mut block = self.empty_block(&inside);
            copy(&mut block);
            return Ok(Some(block));
        }
        let partial = progress.partial.entry(number).or_insert_with(|| Partial {
            pixels: self.empty_block(&inside),
            missing: n_pixels(&inside),
        });
        let Some(missing) = partial.missing.checked_sub(n_pixels(&part)) else {
            return twice();
        };
        copy(&mut partial.pixels);
        partial.missing = missing;
        if missing > 0 {
            return Ok(None);
        }
        progress.blocks[number] = Stand::Done;
        Ok(progress
            .partial
            .remove(&number)
            .map(|partial| partial.pixels))
    }

    fn empty_block(&self, inside: &[Range<usize>]) -> Pixels {
        let n_block: usize = self.grid.block.iter().product();
        let mut block = Pixels::zeroed(n_block * self.fill.len());
        if n_pixels(inside) < n_block && self.fill.iter().any(|&byte| byte != 0) {
            for pixel in block.bytes_mut().chunks_exact_mut(self.fill.len()) {
                pixel.copy_from_slice(&self.fill);
            }
        }
        block
    }

    /// Pixels that have not come yet, of the blocks in `numbers`.
    pub(super) fn missing(&self, numbers: Range<usize>) -> usize {
        let progress = self.lock();
        numbers
            .filter(|&number| progress.blocks[number] == Stand::Open)
            .map(|number| match progress.partial.get(&number) {
                Some(partial) => partial.missing,
                None => n_pixels(&self.grid.region(number)),
            })
            .sum()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // Nothing in here panics half-way through a change.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands over a 3 x 5 x 7 array in boxes of `chunk`; gives it back block by block.
    fn round_trip(chunk: [usize; 3], block: [usize; 3]) {
        let shape = [3, 5, 7];
        let n: usize = shape.iter().product();
        let source: Vec<u8> = (1..=n).map(|i| u8::try_from(i).expect("105")).collect();
        let strides = byte_strides(&shape, 1);
        let gather = Gather::new(BlockGrid::new(shape.to_vec(), block.to_vec()), vec![255]);
        let result = Mutex::new(vec![0u8; n]);
        let chunks = BlockGrid::new(shape.to_vec(), chunk.to_vec());
        for number in (0..chunks.n_blocks()).rev() {
            let region = chunks.region(number);
            let lens: Vec<_> = region.iter().map(Range::len).collect();
            let mut pixels = vec![0; n_pixels(&region)];
            let at: usize = region.iter().zip(&strides).map(|(r, s)| r.start * s).sum();
            copy_box(
                (&source, at, &strides),
                (&mut pixels, 0, &byte_strides(&lens, 1)),
                &lens,
                1,
            );
            gather
                .add("x", &region, &pixels, |number, block_pixels| {
                    let inside = gather.grid().region(number);
                    let lens: Vec<_> = inside.iter().map(Range::len).collect();
                    let at: usize = inside.iter().zip(&strides).map(|(r, s)| r.start * s).sum();
                    let block_strides = byte_strides(&block, 1);
                    let mut result = result.lock().unwrap();
                    copy_box(
                        (block_pixels.bytes(), 0, &block_strides),
                        (&mut result, at, &strides),
                        &lens,
                        1,
                    );
                    let outside = block_pixels
                        .bytes()
                        .iter()
                        .filter(|&&pixel| pixel == 255)
                        .count();
                    assert_eq!(outside, block_pixels.bytes().len() - n_pixels(&inside));
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(result.into_inner().unwrap(), source);
        assert_eq!(gather.missing(0..gather.grid().n_blocks()), 0);
        assert!(
            gather
                .add("x", &[0..1, 0..1, 0..1], &[0], |_, _| Ok(()))
                .is_err()
        );
    }

    #[test]
    fn any_cut_gives_the_same_blocks() {
        for chunk in [[1, 1, 1], [3, 5, 7], [2, 2, 3], [1, 5, 2]] {
            for block in [[1, 1, 1], [3, 5, 7], [2, 4, 4], [1, 3, 5], [4, 8, 8]] {
                round_trip(chunk, block);
            }
        }
    }

    #[test]
    fn a_scalar_is_one_block() {
        let gather = Gather::new(BlockGrid::new(vec![], vec![]), vec![0; 2]);
        let seen = Mutex::new(Vec::new());
        gather
            .add("s", &[], &[7, 8], |number, pixels| {
                seen.lock().unwrap().push((number, pixels.bytes().to_vec()));
                Ok(())
            })
            .unwrap();
        assert_eq!(seen.into_inner().unwrap(), [(0, vec![7, 8])]);
    }
}
