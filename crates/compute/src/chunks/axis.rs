//! The cuts along one axis.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The cuts along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AxisChunks {
    len: usize,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Rule {
    /// `first` pixels, then `size` each, then what is left.
    Regular { first: usize, size: usize },
    /// Where each chunk starts, and the end of the last.
    Offsets(Arc<[usize]>),
}

impl AxisChunks {
    /// Chunks of `size` pixels; the last may be shorter. A size of 0 means 1.
    pub fn regular(len: usize, size: usize) -> AxisChunks {
        AxisChunks::with_first(len, size, size)
    }

    /// One chunk for the whole axis.
    pub fn whole(len: usize) -> AxisChunks {
        AxisChunks::regular(len, len)
    }

    /// Chunks of `size` pixels after a first one of `first`.
    pub(crate) fn with_first(len: usize, first: usize, size: usize) -> AxisChunks {
        // One spelling for each grid, so that equal cuts are equal values.
        let mut first = first.clamp(1, len.max(1));
        let mut size = size.clamp(1, len.max(1));
        if first >= len {
            first = len.max(1);
            size = first;
        } else if len - first <= size {
            size = first.max(len - first);
        }
        AxisChunks {
            len,
            rule: Rule::Regular { first, size },
        }
    }

    /// Chunks of exactly these sizes; empty ones are left out.
    pub fn explicit(sizes: &[usize]) -> AxisChunks {
        let sizes: Vec<usize> = sizes.iter().copied().filter(|&size| size > 0).collect();
        let len = sizes.iter().sum();
        if let [first, rest @ ..] = sizes.as_slice() {
            let size = rest.first().copied().unwrap_or(*first);
            let regular = AxisChunks::with_first(len, *first, size.max(*first));
            if regular.sizes().eq(sizes.iter().copied()) {
                return regular;
            }
        } else {
            return AxisChunks::whole(0);
        }
        let mut offsets = Vec::with_capacity(sizes.len() + 1);
        let mut offset = 0;
        offsets.push(0);
        for size in sizes {
            offset += size;
            offsets.push(offset);
        }
        AxisChunks {
            len,
            rule: Rule::Offsets(offsets.into()),
        }
    }

    /// Pixels along the axis.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the axis has no pixel.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of chunks; 0 on an empty axis.
    pub fn count(&self) -> usize {
        match &self.rule {
            _ if self.len == 0 => 0,
            Rule::Regular { first, size } => 1 + (self.len - first).div_ceil(*size),
            Rule::Offsets(offsets) => offsets.len() - 1,
        }
    }

    /// The pixels of chunk `index`.
    ///
    /// # Panics
    /// When there is no such chunk.
    pub fn range(&self, index: usize) -> Range<usize> {
        assert!(index < self.count(), "chunk {index} of {}", self.count());
        match &self.rule {
            Rule::Regular { first, size } => {
                let start = if index == 0 {
                    0
                } else {
                    first + (index - 1) * size
                };
                let end = first + index * size;
                start..end.min(self.len)
            }
            Rule::Offsets(offsets) => offsets[index]..offsets[index + 1],
        }
    }

    /// The chunk that holds `pixel`.
    pub fn find(&self, pixel: usize) -> usize {
        match &self.rule {
            Rule::Regular { first, .. } if pixel < *first => 0,
            Rule::Regular { first, size } => 1 + (pixel - first) / size,
            Rule::Offsets(offsets) => offsets.partition_point(|&offset| offset <= pixel) - 1,
        }
    }

    /// The longest chunk; 0 on an empty axis.
    pub fn max_size(&self) -> usize {
        match &self.rule {
            _ if self.len == 0 => 0,
            Rule::Regular { first, size } => {
                let rest = (self.len - first).min(*size);
                rest.max(*first)
            }
            Rule::Offsets(offsets) => offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0),
        }
    }

    /// The size of each chunk.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.count()).map(|index| self.range(index).len())
    }

    /// The cuts that remain of `start .. start + len` (step 1).
    pub(crate) fn cut(&self, start: usize, len: usize) -> AxisChunks {
        if len == 0 {
            return AxisChunks::whole(0);
        }
        match &self.rule {
            Rule::Regular { size, .. } => {
                let head = self.range(self.find(start));
                AxisChunks::with_first(len, head.end - start, (*size).max(head.len()))
            }
            Rule::Offsets(_) => {
                let end = start + len;
                let sizes: Vec<usize> = (self.find(start)..=self.find(end - 1))
                    .map(|index| {
                        let range = self.range(index);
                        range.end.min(end) - range.start.max(start)
                    })
                    .collect();
                AxisChunks::explicit(&sizes)
            }
        }
    }

    /// The same cuts seen from the other end.
    pub(crate) fn reversed(&self) -> AxisChunks {
        let mut sizes: Vec<usize> = self.sizes().collect();
        sizes.reverse();
        AxisChunks::explicit(&sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(axis: &AxisChunks, sizes: &[usize]) {
        assert_eq!(axis.sizes().collect::<Vec<_>>(), sizes, "{axis:?}");
        assert_eq!(axis.count(), sizes.len());
        assert_eq!(axis.max_size(), sizes.iter().copied().max().unwrap_or(0));
        assert_eq!(axis.len(), sizes.iter().sum::<usize>());
        for index in 0..axis.count() {
            for pixel in axis.range(index) {
                assert_eq!(axis.find(pixel), index);
            }
        }
        assert_eq!(
            *axis,
            AxisChunks::explicit(sizes),
            "one spelling for equal cuts"
        );
    }

    #[test]
    fn axis_rules() {
        check(&AxisChunks::regular(10, 4), &[4, 4, 2]);
        check(&AxisChunks::regular(8, 4), &[4, 4]);
        check(&AxisChunks::regular(3, 100), &[3]);
        check(&AxisChunks::whole(7), &[7]);
        check(&AxisChunks::whole(0), &[]);
        check(&AxisChunks::explicit(&[3, 1, 4]), &[3, 1, 4]);
        check(&AxisChunks::with_first(10, 1, 4), &[1, 4, 4, 1]);
        check(&AxisChunks::with_first(5, 1, 4), &[1, 4]);
        check(&AxisChunks::with_first(4, 1, 9), &[1, 3]);
    }

    #[test]
    fn cuts_keep_their_place() {
        let axis = AxisChunks::regular(10, 4);
        check(&axis.cut(0, 10), &[4, 4, 2]);
        check(&axis.cut(3, 6), &[1, 4, 1]);
        check(&axis.cut(5, 2), &[2]);
        check(&axis.cut(5, 0), &[]);
        check(&axis.reversed(), &[2, 4, 4]);
        check(&axis.cut(3, 6).cut(2, 4), &[3, 1]);
        check(&AxisChunks::explicit(&[3, 1, 4]).cut(2, 4), &[1, 1, 2]);
    }
}
