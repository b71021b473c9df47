//! Windows: each pixel from those around it.
//!
//! A window is a set of places around a pixel; what lies there is reduced, in C
//! order of the places. Places outside the array are missing, as NaN is. Long
//! windows along one axis slide: see `reduce/sliding.rs`.

use datacube_model::DType;
use serde::{Deserialize, Serialize};

use super::{Block, sub_block};
use crate::error::{Error, Result};
use crate::plan::Schema;
use crate::reduce::{self, Reduce, ReduceOp, Role};
use crate::region::{Region, c_strides};

/// Places of a window at most.
const MAX_PLACES: usize = 1 << 20;

/// Places from which on a window along one axis slides.
const SLIDES: usize = 8;

/// A reduction of what lies around each pixel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The places around a pixel.
    pub footprint: Footprint,
    /// What they come to.
    pub op: ReduceOp,
    /// Taken off the number in variances.
    pub ddof: u32,
    /// Results of fewer places that have a value are NaN; of bool and integers
    /// 0.
    pub min_periods: u64,
}

/// Places around a pixel, along each axis of the array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Footprint {
    /// So many before it and after it.
    Box(Vec<(usize, usize)>),
    /// At most `radius` away, counted over the last two axes.
    Disk {
        /// Pixels.
        radius: usize,
    },
}

impl Footprint {
    /// How far it reaches before and after a pixel along each axis.
    pub(crate) fn reach(&self, ndim: usize) -> Vec<(usize, usize)> {
        match self {
            Footprint::Box(reach) => reach.clone(),
            Footprint::Disk { radius } => (0..ndim)
                .map(|axis| {
                    if axis + 2 >= ndim {
                        (*radius, *radius)
                    } else {
                        (0, 0)
                    }
                })
                .collect(),
        }
    }

    /// The places, in C order, one after the other.
    fn places(&self, ndim: usize) -> Vec<isize> {
        let reach = self.reach(ndim);
        let each = |(before, after): &(usize, usize)| before + after + 1;
        let count: usize = reach.iter().map(each).product();
        let limit = match self {
            Footprint::Disk { radius } => Some((radius * radius).cast_signed()),
            Footprint::Box(_) => None,
        };
        let mut places = Vec::new();
        let mut place: Vec<isize> = (reach.iter())
            .map(|(before, _)| -before.cast_signed())
            .collect();
        for _ in 0..count {
            let near = place.iter().map(|at| at * at).sum::<isize>();
            if limit.is_none_or(|limit| near <= limit) {
                places.extend_from_slice(&place);
            }
            for (at, (before, after)) in place.iter_mut().zip(&reach).rev() {
                *at += 1;
                if *at <= after.cast_signed() {
                    break;
                }
                *at = -before.cast_signed();
            }
        }
        places
    }

    /// The axis along which alone it reaches, and how far, if that is far.
    fn slides(&self) -> Option<(usize, usize, usize)> {
        let Footprint::Box(reach) = self else {
            return None;
        };
        let mut wide = (reach.iter().enumerate()).filter(|(_, reach)| **reach != (0, 0));
        let (axis, (before, after)) = wide.next()?;
        let size = before + after + 1;
        (wide.next().is_none() && size >= SLIDES).then_some((axis, *before, size))
    }
}

impl Window {
    pub(super) fn name(&self) -> &'static str {
        self.op.name()
    }

    /// What a window's places come to, as a reduction of one axis.
    fn reduce(&self) -> Reduce {
        Reduce {
            ddof: self.ddof,
            ..Reduce::new(self.op, vec![Role::Reduce])
        }
    }

    pub(super) fn schema(&self, input: &Schema) -> Result<Schema> {
        let ndim = input.shape.len();
        let fits = match &self.footprint {
            Footprint::Box(reach) => reach.len() == ndim,
            Footprint::Disk { .. } => ndim >= 2,
        };
        let streams = self.op.streams() && !self.op.is_positional();
        let reach = self.footprint.reach(ndim);
        let places = reach.iter().try_fold(1usize, |all, (before, after)| {
            let along = before.checked_add(*after)?.checked_add(1)?;
            all.checked_mul(along).filter(|&all| all <= MAX_PLACES)
        });
        if places.is_none() {
            return Err(Error::Unsupported(format!(
                "windows of more than {MAX_PLACES} places ({:?})",
                self.footprint
            )));
        }
        if !fits || !streams {
            return Err(Error::Bug(format!("{self:?} of {:?}", input.shape)));
        }
        let dtype = self.reduce().check(&[1], input.dtype)?;
        Ok(Schema {
            dtype,
            ..input.clone()
        })
    }

    pub(super) fn wants(&self, shape: &[usize], region: &Region) -> Region {
        let reach = self.footprint.reach(shape.len());
        let ranges = region.ranges().iter().zip(&reach).zip(shape);
        let ranges = ranges.map(|((range, (before, after)), &len)| {
            if range.is_empty() {
                range.clone()
            } else {
                range.start.saturating_sub(*before)..range.end.saturating_add(*after).min(len)
            }
        });
        Region::new(ranges.collect::<Vec<_>>())
    }

    /// Memory that [`Window::run`] takes for pixels of `dtype` of an array of
    /// `shape`.
    pub(super) fn scratch_bytes(&self, shape: &[usize], dtype: DType) -> usize {
        let reduce = self.reduce();
        if let Some((axis, _, size)) = self.footprint.slides() {
            let inner = shape.iter().skip(axis + 1).product();
            return reduce::sliding_bytes(&reduce, dtype, size, inner);
        }
        let reach = self.footprint.reach(shape.len());
        let places: usize = reach.iter().map(|(b, a)| b + a + 1).product();
        // A vector that grows is at times held twice, the second of twice the size.
        let places = 3 * places * shape.len() * size_of::<isize>();
        reduce::windows_bytes(&reduce, dtype) + places
    }

    /// Windows along `axis`, of which `before` pixels lie before their own.
    fn slide(
        &self,
        (axis, before, size): (usize, usize, usize),
        block: &Block<'_>,
        region: &Region,
        out: &mut [u8],
    ) {
        let reduce = self.reduce();
        let result = reduce.op.result(block.dtype).unwrap_or(block.dtype);
        let mut ranges = region.ranges().to_vec();
        let want = ranges[axis].clone();
        let have = block.region.ranges()[axis].clone();
        ranges[axis] = have.clone();
        let pixels = sub_block(block, &Region::new(ranges));
        let shape = region.shape();
        let lanes = reduce::Lanes {
            pixels: &pixels,
            outer: shape[..axis].iter().product(),
            inner: shape[axis + 1..].iter().product(),
            have,
            want,
        };
        let slide = reduce::Slide {
            before,
            size,
            min_periods: self.min_periods,
        };
        reduce::sliding(&reduce, block.dtype, slide, lanes.inner).run(&lanes, result, out);
    }

    /// Row after row of the result, a piece at a time, takes all of its places
    /// before the next, so that what is kept of a window stays in the cache.
    pub(super) fn run(&self, block: &Block<'_>, region: &Region, out: &mut [u8]) {
        if let Some(slides) = self.footprint.slides() {
            return self.slide(slides, block, region, out);
        }
        let reduce = self.reduce();
        let result = reduce.op.result(block.dtype).unwrap_or(block.dtype);
        let size = block.dtype.size();
        let mut states = reduce::windows(&reduce, block.dtype);
        let places = self.footprint.places(region.ndim());
        let strides = c_strides(&block.region.shape());
        let Some((inner, outer)) = region.ranges().split_last() else {
            states.begin(1);
            states.push_row(0, block.pixels);
            states.finish(self.min_periods, result, out);
            return;
        };
        let inside = &block.region.ranges()[outer.len()];
        let width = inner.len() * result.size();
        let mut index: Vec<usize> = outer.iter().map(|range| range.start).collect();
        for out in out.chunks_exact_mut(width.max(1)) {
            let pieces = inner.clone().step_by(states.most());
            let most = states.most() * result.size();
            for (start, out) in pieces.zip(out.chunks_mut(most)) {
                let end = start + out.len() / result.size();
                states.begin(end - start);
                for place in places.chunks_exact(region.ndim()) {
                    // Where the row of this place is, if it lies in the array.
                    let row = (index.iter().zip(place))
                        .zip(block.region.ranges().iter().zip(&strides))
                        .try_fold(0, |row, ((&at, &by), (range, stride))| {
                            let at = at.checked_add_signed(by)?;
                            range
                                .contains(&at)
                                .then(|| row + (at - range.start) * stride)
                        });
                    let by = place[outer.len()];
                    let shifted = |at: usize| at.saturating_add_signed(by);
                    let from = shifted(start).max(inside.start)..shifted(end).min(inside.end);
                    let Some(row) = row.filter(|_| !from.is_empty()) else {
                        continue;
                    };
                    let at = from.start.saturating_add_signed(-by) - start;
                    let pixels = row + from.start - inside.start;
                    states.push_row(at, &block.pixels[pixels * size..][..from.len() * size]);
                }
                states.finish(self.min_periods, result, out);
            }
            for axis in (0..outer.len()).rev() {
                index[axis] += 1;
                if index[axis] < outer[axis].end {
                    break;
                }
                index[axis] = outer[axis].start;
            }
        }
    }
}
