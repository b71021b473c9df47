//! Positions along one axis: what a user writes, and what a plan keeps.
//!
//! [`Index`] counts as numpy does, from the end when negative, with open ends
//! and steps. [`AxisIndex`] is the same resolved against a length: every
//! position it names exists, so plans of them cannot fail.

use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::chunks::AxisChunks;
use crate::error::{Error, Result};

/// Positions along a dimension, for `isel`; negative ones count from the end.
///
/// ```
/// use datacube_compute::Index;
/// let _: [Index; 4] = [1.into(), (2..10).into(), vec![0, 5, -1].into(), Index::step(None, None, -1)];
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Index {
    /// One position; the dimension goes away.
    At(i64),
    /// From `start` up to and without `stop`, every `step`; as Python's `slice`.
    Slice {
        /// First position; the first one in the direction of `step` if `None`.
        start: Option<i64>,
        /// Position to stop before; past the last one if `None`.
        stop: Option<i64>,
        /// Distance to the next position; negative walks backwards.
        step: i64,
    },
    /// These positions, in this order; may repeat.
    List(Vec<i64>),
}

impl Index {
    /// As Python's `slice(start, stop, step)`.
    pub fn step(start: Option<i64>, stop: Option<i64>, step: i64) -> Index {
        Index::Slice { start, stop, step }
    }

    /// The positions on an axis of `len` pixels; ranges are clipped to it, as
    /// numpy clips them.
    pub(crate) fn resolve(&self, dim: &str, len: usize) -> Result<AxisIndex> {
        let signed_len = i64::try_from(len).map_err(|_| Error::Bug(format!("axis of {len}")))?;
        let position = |index: i64| {
            let from_start = if index < 0 {
                index.saturating_add(signed_len)
            } else {
                index
            };
            usize::try_from(from_start)
                .ok()
                .filter(|&position| position < len)
                .ok_or_else(|| Error::IndexOutOfRange {
                    dim: dim.to_owned(),
                    index,
                    len,
                })
        };
        match self {
            Index::At(index) => Ok(AxisIndex::At(position(*index)?)),
            Index::List(list) => {
                let list = list
                    .iter()
                    .map(|&index| position(index))
                    .collect::<Result<Vec<_>>>()?;
                Ok(AxisIndex::list(list))
            }
            Index::Slice { step: 0, .. } => Err(Error::Invalid(format!(
                "a slice of step 0 along `{dim}`; give 1 or more, or -1"
            ))),
            Index::Slice { start, stop, step } => {
                Ok(resolve_slice(*start, *stop, *step, signed_len))
            }
        }
    }
}

/// Python's `slice.indices(len)`.
fn resolve_slice(start: Option<i64>, stop: Option<i64>, step: i64, len: i64) -> AxisIndex {
    let (lowest, highest) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let clip = |bound: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(len)
        } else {
            bound
        };
        bound.clamp(lowest, highest)
    };
    let start = start.map_or(if step > 0 { lowest } else { highest }, clip);
    let stop = stop.map_or(if step > 0 { highest } else { lowest }, clip);
    let distance = if step > 0 { stop - start } else { start - stop };
    let count = if distance <= 0 {
        0
    } else {
        (distance - 1) / step.saturating_abs() + 1
    };
    let as_usize = |value: i64| usize::try_from(value).unwrap_or(0);
    AxisIndex::range(
        as_usize(start),
        as_usize(count),
        isize::try_from(step).unwrap_or(isize::MAX),
    )
}

/// Positions beyond `i64::MAX` exist in no array; they resolve to an error.
macro_rules! index_from {
    ($($t:ty),*) => {$(
        impl From<$t> for Index {
            fn from(index: $t) -> Self {
                Index::At(i64::try_from(index).unwrap_or(i64::MAX))
            }
        }

        impl From<Vec<$t>> for Index {
            fn from(list: Vec<$t>) -> Self {
                Index::List(list.into_iter().map(|i| i64::try_from(i).unwrap_or(i64::MAX)).collect())
            }
        }

        impl<const N: usize> From<[$t; N]> for Index {
            fn from(list: [$t; N]) -> Self {
                list.to_vec().into()
            }
        }

        impl From<Range<$t>> for Index {
            fn from(range: Range<$t>) -> Self {
                let bound = |value| Some(i64::try_from(value).unwrap_or(i64::MAX));
                Index::step(bound(range.start), bound(range.end), 1)
            }
        }

        impl From<RangeInclusive<$t>> for Index {
            fn from(range: RangeInclusive<$t>) -> Self {
                let bound = |value: &$t| i64::try_from(*value).unwrap_or(i64::MAX);
                // Up to and with -1 is to the end, not up to 0.
                let stop = Some(bound(range.end())).filter(|&end| end != -1);
                let stop = stop.map(|end| end.saturating_add(1));
                Index::step(Some(bound(range.start())), stop, 1)
            }
        }

        impl From<RangeFrom<$t>> for Index {
            fn from(range: RangeFrom<$t>) -> Self {
                Index::step(Some(i64::try_from(range.start).unwrap_or(i64::MAX)), None, 1)
            }
        }

        impl From<RangeTo<$t>> for Index {
            fn from(range: RangeTo<$t>) -> Self {
                Index::step(None, Some(i64::try_from(range.end).unwrap_or(i64::MAX)), 1)
            }
        }
    )*};
}

index_from!(i32, i64, usize);

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Self {
        Index::step(None, None, 1)
    }
}

/// Positions that exist along an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AxisIndex {
    /// One; the axis goes away.
    At(usize),
    /// `start`, `start + step`, ...
    Range {
        /// First position.
        start: usize,
        /// How many.
        len: usize,
        /// Distance between two; not 0.
        step: isize,
    },
    /// These, in this order.
    List(Arc<[usize]>),
}

impl AxisIndex {
    /// The whole of an axis.
    pub(crate) fn whole(len: usize) -> AxisIndex {
        AxisIndex::Range {
            start: 0,
            len,
            step: 1,
        }
    }

    /// A range in its one spelling: empty ones start at 0, single ones have step 1.
    pub(crate) fn range(start: usize, len: usize, step: isize) -> AxisIndex {
        match len {
            0 => AxisIndex::Range {
                start: 0,
                len: 0,
                step: 1,
            },
            1 => AxisIndex::Range {
                start,
                len: 1,
                step: 1,
            },
            _ => AxisIndex::Range { start, len, step },
        }
    }

    /// A list, as a range where it is one.
    pub(crate) fn list(list: Vec<usize>) -> AxisIndex {
        match list.as_slice() {
            [] => AxisIndex::range(0, 0, 1),
            [one] => AxisIndex::range(*one, 1, 1),
            [first, second, ..] => {
                let step = second.wrapping_sub(*first).cast_signed();
                let regular = step != 0
                    && list
                        .windows(2)
                        .all(|w| w[1].wrapping_sub(w[0]).cast_signed() == step);
                if regular {
                    AxisIndex::range(*first, list.len(), step)
                } else {
                    AxisIndex::List(list.into())
                }
            }
        }
    }

    /// How many positions; `None` where the axis goes away.
    pub fn len(&self) -> Option<usize> {
        match self {
            AxisIndex::At(_) => None,
            AxisIndex::Range { len, .. } => Some(*len),
            AxisIndex::List(list) => Some(list.len()),
        }
    }

    /// Whether it names no position.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// The position of the `i`-th pixel of the result.
    pub(crate) fn get(&self, i: usize) -> usize {
        match self {
            AxisIndex::At(at) => *at,
            AxisIndex::Range { start, step, .. } => {
                start.wrapping_add_signed(step.wrapping_mul(i.cast_signed()))
            }
            AxisIndex::List(list) => list[i],
        }
    }

    /// Whether every position of an axis of `axis_len` is named once, in order.
    pub(crate) fn is_whole(&self, axis_len: usize) -> bool {
        matches!(self, AxisIndex::Range { start: 0, len, step: 1 } if *len == axis_len)
            || (axis_len == 0 && self.is_empty())
    }

    /// Whether every position exists on an axis of `axis_len`.
    pub(crate) fn fits(&self, axis_len: usize) -> bool {
        match self {
            AxisIndex::At(at) => *at < axis_len,
            AxisIndex::Range { len: 0, .. } => true,
            AxisIndex::Range { step: 0, .. } => false,
            AxisIndex::Range { start, len, step } => {
                let last = i128::try_from(*start).unwrap_or(i128::MAX)
                    + i128::try_from(*len - 1)
                        .unwrap_or(i128::MAX)
                        .saturating_mul(*step as i128);
                *start < axis_len && usize::try_from(last).is_ok_and(|last| last < axis_len)
            }
            AxisIndex::List(list) => list.iter().all(|&at| at < axis_len),
        }
    }

    /// The positions of pixels `range` of the result, as an index of its own.
    pub(crate) fn part(&self, range: &Range<usize>) -> AxisIndex {
        match self {
            AxisIndex::At(at) => AxisIndex::At(*at),
            AxisIndex::Range { step, .. } => {
                AxisIndex::range(self.get(range.start), range.len(), *step)
            }
            AxisIndex::List(list) => AxisIndex::list(list[range.clone()].to_vec()),
        }
    }

    /// `self`, and of its result `then`.
    pub(crate) fn then(&self, then: &AxisIndex) -> AxisIndex {
        match (self, then) {
            (AxisIndex::At(at), _) => AxisIndex::At(*at),
            (_, AxisIndex::At(at)) => AxisIndex::At(self.get(*at)),
            (
                AxisIndex::Range { step, .. },
                AxisIndex::Range {
                    start,
                    len,
                    step: by,
                },
            ) => {
                if *len == 0 {
                    AxisIndex::range(0, 0, 1)
                } else {
                    AxisIndex::range(self.get(*start), *len, step.wrapping_mul(*by))
                }
            }
            (_, then) => {
                let len = then.len().unwrap_or(0);
                AxisIndex::list((0..len).map(|i| self.get(then.get(i))).collect())
            }
        }
    }

    /// The smallest run of positions that holds all of them.
    pub(crate) fn hull(&self) -> Range<usize> {
        match self {
            AxisIndex::At(at) => *at..at + 1,
            AxisIndex::Range { len: 0, .. } => 0..0,
            AxisIndex::Range { start, len, .. } => {
                let last = self.get(len - 1);
                (*start).min(last)..(*start).max(last) + 1
            }
            AxisIndex::List(list) => {
                let low = list.iter().min().copied().unwrap_or(0);
                let high = list.iter().max().map_or(0, |high| high + 1);
                low..high
            }
        }
    }

    /// The cuts of the result, where the axis was cut as `chunks`: kept for a
    /// plain run and its mirror, else chunks of about as many source pixels.
    pub(crate) fn cut(&self, chunks: &AxisChunks) -> Option<AxisChunks> {
        match self {
            AxisIndex::At(_) => None,
            AxisIndex::Range {
                start,
                len,
                step: 1,
            } => Some(chunks.cut(*start, *len)),
            AxisIndex::Range { len, step: -1, .. } => {
                Some(chunks.cut(self.hull().start, *len).reversed())
            }
            AxisIndex::Range { len, step, .. } => {
                let size = chunks.max_size().div_ceil(step.unsigned_abs());
                Some(AxisChunks::regular(*len, size))
            }
            AxisIndex::List(list) => Some(AxisChunks::regular(list.len(), chunks.max_size())),
        }
    }
}

/// As Python writes an index: `3`, `2:9`, `::-1`, `[0, 4, 1]`.
impl fmt::Display for AxisIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 6;
        match self {
            AxisIndex::At(at) => write!(f, "{at}"),
            AxisIndex::Range {
                start,
                len,
                step: 1,
            } => write!(f, "{start}:{}", start + len),
            AxisIndex::Range { start, len, step } => {
                let stop = start.checked_add_signed(step * len.cast_signed());
                let stop = stop.map_or(String::new(), |stop| stop.to_string());
                write!(f, "{start}:{stop}:{step}")
            }
            AxisIndex::List(list) => {
                let shown: Vec<String> = list.iter().take(SHOWN).map(usize::to_string).collect();
                write!(f, "[{}", shown.join(", "))?;
                if list.len() > SHOWN {
                    write!(f, ", .. {} in all", list.len())?;
                }
                f.write_str("]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(index: &AxisIndex) -> Vec<usize> {
        (0..index.len().unwrap_or(1))
            .map(|i| index.get(i))
            .collect()
    }

    fn check(index: impl Into<Index>, len: usize, expected: &[usize]) {
        let index = index.into().resolve("x", len).unwrap();
        assert_eq!(positions(&index), expected);
        assert!(index.fits(len));
    }

    #[test]
    fn as_numpy_counts() {
        check(-1, 5, &[4]);
        check(1..3, 5, &[1, 2]);
        check(-2.., 5, &[3, 4]);
        check(..-1, 5, &[0, 1, 2, 3]);
        check(.., 3, &[0, 1, 2]);
        check(3..100, 5, &[3, 4]);
        check(7..9, 5, &[]);
        check(RangeInclusive::new(1, -1), 4, &[1, 2, 3]);
        check(Index::step(None, None, -1), 4, &[3, 2, 1, 0]);
        check(Index::step(Some(-2), None, -2), 6, &[4, 2, 0]);
        check(Index::step(None, None, 3), 8, &[0, 3, 6]);
        check(Index::step(Some(4), Some(1), 1), 8, &[]);
        check(vec![0, -1, 2], 5, &[0, 4, 2]);
        check(Index::step(None, None, i64::MIN), 4, &[3]);
    }

    #[test]
    fn outside() {
        let error = Index::At(-6).resolve("time", 5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "index -6 is out of bounds for dimension `time` of size 5"
        );
        assert!(Index::step(None, None, 0).resolve("x", 5).is_err());
        assert!(Index::List(vec![0, 5]).resolve("x", 5).is_err());
    }

    #[test]
    fn lists_that_are_ranges() {
        assert_eq!(AxisIndex::list(vec![4, 3, 2]), AxisIndex::range(4, 3, -1));
        assert_eq!(
            AxisIndex::list(vec![2, 2]),
            AxisIndex::List(vec![2, 2].into())
        );
        assert_eq!(AxisIndex::list(vec![7]), AxisIndex::range(7, 1, 1));
    }

    #[test]
    fn one_after_the_other() {
        let first = AxisIndex::range(10, 5, -2); // 10 8 6 4 2
        let second = AxisIndex::range(1, 2, 2); // of these the 1st and 3rd: 8 4
        assert_eq!(positions(&first.then(&second)), [8, 4]);
        let list = AxisIndex::list(vec![3, 0, 3]);
        assert_eq!(positions(&first.then(&list)), [4, 10, 4]);
        assert_eq!(positions(&list.then(&AxisIndex::range(2, 2, -1))), [3, 0]);
        assert_eq!(positions(&first.part(&(1..3))), [8, 6]);
        assert_eq!(first.hull(), 2..11);
        assert_eq!(first.to_string(), "10:0:-2");
        assert_eq!(AxisIndex::range(3, 4, -1).to_string(), "3::-1");
    }
}
