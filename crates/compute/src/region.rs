//! `Region`: a box of pixels, one half-open range per axis.
//!
//! What a task writes, what a source is asked for and what an error names are
//! all regions, in the axis order of the array that they belong to.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A box of pixels: one half-open range for each axis, in axis order.
///
/// A region of no axes is the single pixel of a 0-dimensional array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region(Vec<Range<usize>>);

impl Region {
    /// The box of these ranges; a range that ends before it starts is empty.
    pub fn new(ranges: impl Into<Vec<Range<usize>>>) -> Region {
        let mut ranges = ranges.into();
        for range in &mut ranges {
            range.end = range.end.max(range.start);
        }
        Region(ranges)
    }

    /// All pixels of an array.
    pub fn whole(shape: &[usize]) -> Region {
        Region(shape.iter().map(|&len| 0..len).collect())
    }

    /// The ranges, in axis order.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// Number of axes.
    pub fn ndim(&self) -> usize {
        self.0.len()
    }

    /// Pixels along each axis.
    pub fn shape(&self) -> Vec<usize> {
        self.0.iter().map(ExactSizeIterator::len).collect()
    }

    /// Pixels in the box.
    pub fn len(&self) -> usize {
        self.0.iter().map(ExactSizeIterator::len).product()
    }

    /// Whether it holds no pixel.
    pub fn is_empty(&self) -> bool {
        self.0.iter().any(Range::is_empty)
    }

    /// Whether every pixel lies within an array of `shape`.
    pub fn fits(&self, shape: &[usize]) -> bool {
        self.0.len() == shape.len()
            && self
                .0
                .iter()
                .zip(shape)
                .all(|(range, &len)| range.end <= len)
    }

    /// Whether `other` lies within this box.
    pub fn contains(&self, other: &Region) -> bool {
        self.ndim() == other.ndim()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.start <= b.start && b.end <= a.end)
    }

    /// The part that both have; empty where they do not meet.
    pub fn intersect(&self, other: &Region) -> Region {
        Region::new(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(a, b)| a.start.max(b.start)..a.end.min(b.end))
                .collect::<Vec<_>>(),
        )
    }

    /// The smallest box that holds both.
    pub fn hull(&self, other: &Region) -> Region {
        Region(
            self.0
                .iter()
                .zip(&other.0)
                .map(|(a, b)| a.start.min(b.start)..a.end.max(b.end))
                .collect(),
        )
    }
}

/// As a subscript: `[0:1, 0:2048, 2048:4096]`.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, range) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{}:{}", range.start, range.end)?;
        }
        f.write_str("]")
    }
}

impl From<Vec<Range<usize>>> for Region {
    fn from(ranges: Vec<Range<usize>>) -> Self {
        Region::new(ranges)
    }
}

/// Elements between neighbours along each axis of a C-ordered array.
pub(crate) fn c_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes() {
        let a = Region::new(vec![0..4, 2..6]);
        let b = Region::new(vec![3..9, 0..3]);
        assert_eq!(a.intersect(&b), Region::new(vec![3..4, 2..3]));
        assert_eq!(a.hull(&b), Region::new(vec![0..9, 0..6]));
        assert_eq!(a.len(), 16);
        assert!(a.intersect(&Region::new(vec![5..9, 0..3])).is_empty());
        assert!(a.contains(&a.intersect(&b)));
        assert_eq!(a.to_string(), "[0:4, 2:6]");
        assert_eq!(Region::whole(&[]).len(), 1);
        assert_eq!(c_strides(&[2, 3, 4]), [12, 4, 1]);
    }
}
