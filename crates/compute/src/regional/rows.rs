//! Parts of blocks of pixels, row by row.

use std::ops::Range;

use super::Block;
use crate::region::Region;

/// The pixels of a part of a block.
pub(crate) fn sub_block<'a>(block: &Block<'a>, part: &Region) -> std::borrow::Cow<'a, [u8]> {
    if *part == block.region {
        return block.pixels.into();
    }
    let size = block.dtype.size();
    let mut out = vec![0u8; part.len() * size];
    let Some(inner) = part.ranges().last() else {
        return block.pixels.into();
    };
    let row = inner.len() * size;
    if row > 0 {
        let from = Rows::new(&block.region, part);
        for (offset, out) in from.zip(out.chunks_exact_mut(row)) {
            out.copy_from_slice(&block.pixels[offset * size..][..row]);
        }
    }
    out.into()
}

/// Where the rows of a part of a region start in it, in C order.
pub(crate) struct Rows {
    strides: Vec<usize>,
    ranges: Vec<Range<usize>>,
    index: Vec<usize>,
    offset: usize,
    left: usize,
}

impl Rows {
    pub(crate) fn new(region: &Region, part: &Region) -> Rows {
        let strides = crate::region::c_strides(&region.shape());
        let offset = part
            .ranges()
            .iter()
            .zip(region.ranges())
            .zip(&strides)
            .map(|((part, whole), stride)| (part.start - whole.start) * stride)
            .sum();
        let outer = part.ndim().saturating_sub(1);
        let ranges = part.ranges()[..outer].to_vec();
        let left = if part.is_empty() {
            0
        } else {
            ranges.iter().map(ExactSizeIterator::len).product()
        };
        Rows {
            index: ranges.iter().map(|range| range.start).collect(),
            strides,
            ranges,
            offset,
            left,
        }
    }
}

impl Iterator for Rows {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.offset;
        for axis in (0..self.ranges.len()).rev() {
            self.index[axis] += 1;
            self.offset += self.strides[axis];
            if self.index[axis] < self.ranges[axis].end {
                break;
            }
            self.offset -= self.strides[axis] * self.ranges[axis].len();
            self.index[axis] = self.ranges[axis].start;
        }
        Some(at)
    }
}
