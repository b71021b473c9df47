//! Which pixels of the input a part of a reduction's result takes, in which
//! blocks and in which order.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "lists of runs, often of one"
)]

use std::ops::Range;

use super::{Reduce, Role};
use crate::region::Region;

/// Pixels of a canonical block at most; part of the meaning of reductions.
const BLOCK: usize = 1 << 20;
/// Lanes of a reduction along the last axis; part of the meaning too.
pub(super) const LANES: usize = 8;

/// A reduction and the shape that it reduces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry<'a> {
    pub(crate) reduce: &'a Reduce,
    pub(crate) shape: &'a [usize],
}

/// What becomes of a position along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) enum Along<'a> {
    /// It is itself, counted from `start`, and pixels lie `stride` apart.
    Keep { start: usize, stride: usize },
    /// It does not matter.
    Reduce,
    /// Its group, within the groups wanted.
    Group {
        groups: &'a super::Groups,
        wanted: (usize, usize),
        stride: usize,
    },
}

impl Along<'_> {
    /// Where a position goes; `None` if to no pixel that is wanted.
    pub(super) fn place(&self, at: usize) -> Option<usize> {
        match *self {
            Along::Keep { start, stride } => Some((at - start) * stride),
            Along::Reduce => Some(0),
            Along::Group {
                groups,
                wanted,
                stride,
            } => groups
                .of(at)
                .filter(|group| (wanted.0..wanted.1).contains(group))
                .map(|group| (group - wanted.0) * stride),
        }
    }
}

impl<'a> Geometry<'a> {
    pub(crate) fn new(reduce: &'a Reduce, shape: &'a [usize]) -> Geometry<'a> {
        Geometry { reduce, shape }
    }

    /// Lanes of each pixel.
    pub(super) fn lanes(&self) -> usize {
        match self.reduce.roles.last() {
            Some(Role::Reduce) => LANES,
            _ => 1,
        }
    }

    /// Extents of the canonical blocks along each axis of the input: axes that
    /// stay or are grouped are whole; the outermost reduced axes are cut first.
    pub(crate) fn block_shape(&self) -> Vec<usize> {
        let mut extents = self.shape.to_vec();
        let reduced: Vec<usize> = (0..extents.len())
            .filter(|&axis| self.reduce.roles[axis] == Role::Reduce)
            .collect();
        let mut total: usize = reduced.iter().map(|&axis| extents[axis].max(1)).product();
        for &axis in &reduced {
            if total <= BLOCK {
                break;
            }
            let rest = total / extents[axis];
            extents[axis] = (BLOCK / rest).max(1);
            total = rest * extents[axis];
        }
        extents
    }

    /// Number of canonical blocks.
    pub(crate) fn n_blocks(&self) -> usize {
        self.block_counts().iter().product()
    }

    fn block_counts(&self) -> Vec<usize> {
        self.block_shape()
            .iter()
            .zip(self.shape)
            .map(|(&extent, &len)| len.div_ceil(extent.max(1)).max(1))
            .collect()
    }

    /// Ranges of canonical block `number` along each axis of the input.
    pub(crate) fn block(&self, number: usize) -> Vec<Range<usize>> {
        let extents = self.block_shape();
        let counts = self.block_counts();
        let mut ranges = vec![0..0; extents.len()];
        let mut rest = number;
        for axis in (0..extents.len()).rev() {
            let start = rest % counts[axis] * extents[axis];
            rest /= counts[axis];
            ranges[axis] = start..(start + extents[axis]).min(self.shape[axis]);
        }
        ranges
    }

    /// The part of the result that stays or is grouped: without the axis of
    /// quantiles.
    fn wanted<'r>(&self, out: &'r Region) -> impl Iterator<Item = &'r Range<usize>> {
        out.ranges()[self.reduce.leading()..].iter()
    }

    /// What becomes of each axis for the part `out` of the result, whose pixels
    /// lie in C order.
    pub(super) fn along(&self, out: &Region) -> Vec<Along<'a>> {
        let ranges: Vec<&Range<usize>> = self.wanted(out).collect();
        let mut strides = vec![1usize; ranges.len()];
        for i in (0..ranges.len().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * ranges[i + 1].len();
        }
        let mut next = 0;
        self.reduce
            .roles
            .iter()
            .map(|role| {
                let mut kept = || {
                    next += 1;
                    (ranges[next - 1], strides[next - 1])
                };
                match role {
                    Role::Reduce => Along::Reduce,
                    Role::Keep => {
                        let (range, stride) = kept();
                        Along::Keep {
                            start: range.start,
                            stride,
                        }
                    }
                    Role::Group(groups) => {
                        let (range, stride) = kept();
                        Along::Group {
                            groups,
                            wanted: (range.start, range.end),
                            stride,
                        }
                    }
                }
            })
            .collect()
    }

    /// The runs of positions along each axis that `out` takes. Grouped axes may
    /// have several.
    pub(crate) fn runs(&self, out: &Region) -> Vec<Vec<Range<usize>>> {
        let mut wanted = self.wanted(out);
        self.reduce
            .roles
            .iter()
            .zip(self.shape)
            .map(|(role, &len)| match role {
                Role::Reduce => vec![0..len],
                Role::Keep => vec![wanted.next().cloned().unwrap_or(0..0)],
                Role::Group(groups) => {
                    let wanted = wanted.next().cloned().unwrap_or(0..0);
                    let mut runs: Vec<Range<usize>> = Vec::new();
                    for at in 0..len {
                        if groups.of(at).is_some_and(|group| wanted.contains(&group)) {
                            match runs.last_mut() {
                                Some(run) if run.end == at => run.end += 1,
                                _ => runs.push(at..at + 1),
                            }
                        }
                    }
                    if runs.is_empty() {
                        runs.push(0..0);
                    }
                    runs
                }
            })
            .collect()
    }

    /// The parts of the input that `out` takes of canonical block `number`, in
    /// order: each of at most `pixels` pixels, or one position of every axis that
    /// does not stay.
    pub(crate) fn steps(&self, out: &Region, number: usize, pixels: usize) -> Vec<Region> {
        let block = self.block(number);
        let mut runs = self.runs(out);
        let folds = |axis: usize| self.reduce.roles[axis] != Role::Keep;
        // Several runs along an axis keep C order only where what is outside of
        // it goes by one position at a time, or not at all.
        for (axis, runs) in runs.iter_mut().enumerate() {
            let outer = (0..axis).any(|outer| folds(outer) && self.shape[outer] > 1);
            if runs.len() > 1 && outer {
                *runs = vec![runs[0].start..runs[runs.len() - 1].end];
            }
        }
        for (runs, block) in runs.iter_mut().zip(&block) {
            for run in runs {
                *run = run.start.max(block.start)
                    ..run.end.min(block.end).max(run.start.max(block.start));
            }
        }
        let longest = |runs: &[Range<usize>]| runs.iter().map(Range::len).max().unwrap_or(0);
        let mut total: usize = runs.iter().map(|runs| longest(runs)).product();
        for (axis, runs) in runs.iter_mut().enumerate() {
            if total <= pixels {
                break;
            }
            let len = longest(runs);
            if !folds(axis) || len <= 1 {
                continue;
            }
            let rest = total / len;
            let extent = (pixels / rest).max(1);
            *runs = runs
                .iter()
                .flat_map(|run| {
                    let end = run.end;
                    (run.clone())
                        .step_by(extent)
                        .map(move |start| start..(start + extent).min(end))
                })
                .collect();
            total = rest * extent;
        }
        let mut regions: Vec<Vec<Range<usize>>> = vec![Vec::new()];
        for runs in &runs {
            regions = regions
                .into_iter()
                .flat_map(|ranges| {
                    runs.iter().map(move |run| {
                        let mut ranges = ranges.clone();
                        ranges.push(run.clone());
                        ranges
                    })
                })
                .collect();
        }
        regions
            .into_iter()
            .map(Region::new)
            .filter(|region| !region.is_empty())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Groups, ReduceOp};
    use super::*;

    fn positions(steps: &[Region], axes: &[usize]) -> Vec<Vec<usize>> {
        // Every position of the axes in the order of the steps.
        let mut all = Vec::new();
        for step in steps {
            let ranges: Vec<_> = axes
                .iter()
                .map(|&axis| step.ranges()[axis].clone())
                .collect();
            let mut rows = vec![Vec::new()];
            for range in ranges {
                rows = rows
                    .into_iter()
                    .flat_map(|row: Vec<usize>| {
                        range.clone().map(move |at| {
                            let mut row = row.clone();
                            row.push(at);
                            row
                        })
                    })
                    .collect();
            }
            all.extend(rows);
        }
        all
    }

    #[test]
    fn steps_of_any_size_keep_c_order() {
        let labels: Vec<u32> = vec![0, 1, 0, 2, 1, 0];
        let grouped = Role::Group(Groups::Labels {
            labels: labels.into(),
            count: 3,
        });
        let cases = [
            (
                vec![Role::Reduce, Role::Keep, Role::Reduce],
                vec![5, 4, 6],
                vec![1..3],
            ),
            (
                vec![grouped.clone(), Role::Keep],
                vec![6, 4],
                vec![0..2, 0..4],
            ),
            (vec![Role::Reduce, grouped], vec![5, 6], vec![0..1]),
        ];
        for (roles, shape, out) in cases {
            let reduce = Reduce::new(ReduceOp::Sum, roles);
            let geometry = Geometry::new(&reduce, &shape);
            let out = Region::new(out);
            let folds: Vec<usize> = (0..shape.len())
                .filter(|&axis| reduce.roles[axis] != Role::Keep)
                .collect();
            for pixels in [1, 2, 3, 7, 20, 1000] {
                let steps = geometry.steps(&out, 0, pixels);
                let order = positions(&steps, &folds);
                assert!(order.is_sorted(), "{reduce:?} {pixels}: {order:?}");
                let mut once = order.clone();
                once.dedup();
                assert_eq!(once, order);
            }
        }
    }

    #[test]
    fn outer_axes_are_cut_first() {
        let reduce = Reduce::new(
            ReduceOp::Sum,
            vec![Role::Reduce, Role::Reduce, Role::Reduce],
        );
        let shape = [10, 4000, 4000];
        let geometry = Geometry::new(&reduce, &shape);
        assert_eq!(geometry.block_shape(), [1, 262, 4000]);
        assert_eq!(geometry.n_blocks(), 160);
        assert_eq!(geometry.block(17), [1..2, 262..524, 0..4000]);
        assert_eq!(geometry.block(159), [9..10, 3930..4000, 0..4000]);
        let small = [10, 30, 40];
        assert_eq!(Geometry::new(&reduce, &small).n_blocks(), 1);
    }
}
