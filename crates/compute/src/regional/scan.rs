//! Scans: each pixel from those before it along an axis.

use datacube_model::DType;
use serde::{Deserialize, Serialize};

use super::Block;
use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::plan::Schema;
use crate::reduce::{Cumulate, ReduceOp};
use crate::region::{Region, c_strides};

/// A scan along one axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scan {
    /// What each pixel becomes.
    pub op: ScanOp,
    /// Along which axis.
    pub axis: usize,
    /// Whether NaN is left out of sums and products.
    pub skipna: bool,
}

/// What a scan makes of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScanOp {
    /// The sum up to it.
    CumSum,
    /// The product up to it.
    CumProd,
    /// Itself, or the last one before it that is not NaN, at most so far back.
    ForwardFill(Option<usize>),
    /// Itself, or the first one after it that is not NaN, at most so far on.
    BackwardFill(Option<usize>),
}

impl ScanOp {
    pub(super) fn name(self) -> &'static str {
        match self {
            ScanOp::CumSum => "cumsum",
            ScanOp::CumProd => "cumprod",
            ScanOp::ForwardFill(_) => "ffill",
            ScanOp::BackwardFill(_) => "bfill",
        }
    }

    fn result(self, dtype: DType) -> Option<DType> {
        match self {
            ScanOp::CumSum => ReduceOp::Sum.result(dtype),
            ScanOp::CumProd => ReduceOp::Prod.result(dtype),
            ScanOp::ForwardFill(_) | ScanOp::BackwardFill(_) => {
                (!dtype.is_complex()).then_some(dtype)
            }
        }
    }
}

impl Scan {
    pub(super) fn schema(&self, input: &Schema) -> Result<Schema> {
        let dtype = self.op.result(input.dtype).ok_or_else(|| Error::DType {
            operation: self.op.name().to_owned(),
            dtypes: vec![input.dtype],
            reason: "complex pixels are not computed with".to_owned(),
        })?;
        if self.axis >= input.shape.len() {
            return Err(Error::Bug(format!("{self:?} of {:?}", input.shape)));
        }
        let mut axes = input.chunks.axes().to_vec();
        axes[self.axis] = AxisChunks::whole(input.shape[self.axis]);
        Ok(Schema {
            dtype,
            chunks: ChunkGrid::new(axes),
            ..input.clone()
        })
    }

    pub(super) fn wants(&self, shape: &[usize], region: &Region) -> Region {
        let mut ranges = region.ranges().to_vec();
        let range = &ranges[self.axis];
        ranges[self.axis] = match self.op {
            _ if range.is_empty() => range.clone(),
            ScanOp::ForwardFill(Some(limit)) => range.start.saturating_sub(limit)..range.end,
            ScanOp::BackwardFill(limit) => {
                let limit = limit.unwrap_or(shape[self.axis]);
                range.start..range.end.saturating_add(limit).min(shape[self.axis])
            }
            _ => 0..range.end,
        };
        Region::new(ranges)
    }

    pub(super) fn run(&self, block: &Block<'_>, region: &Region, out: &mut [u8]) {
        let from = block.region.shape();
        let to = region.shape();
        let (from_strides, to_strides) = (c_strides(&from), c_strides(&to));
        let step = from_strides[self.axis];
        let skip = region.ranges()[self.axis].start - block.region.ranges()[self.axis].start;
        // Every other axis is the same in both.
        let lines: usize = to
            .iter()
            .enumerate()
            .filter(|(axis, _)| *axis != self.axis)
            .map(|(_, &len)| len)
            .product();
        let mut index = vec![0usize; to.len()];
        if region.is_empty() {
            return;
        }
        for _ in 0..lines {
            let place = |strides: &[usize]| -> usize {
                index
                    .iter()
                    .zip(strides)
                    .map(|(i, stride)| i * stride)
                    .sum()
            };
            let line = Line {
                from: place(&from_strides),
                from_step: step,
                len: from[self.axis],
                skip,
                to: place(&to_strides),
                to_step: to_strides[self.axis],
                count: to[self.axis],
            };
            self.line(&line, block, out);
            for axis in (0..to.len()).rev() {
                if axis == self.axis {
                    continue;
                }
                index[axis] += 1;
                if index[axis] < to[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }

    fn line(&self, line: &Line, block: &Block<'_>, out: &mut [u8]) {
        let size = block.dtype.size();
        let from = |i: usize| &block.pixels[(line.from + i * line.from_step) * size..][..size];
        let result = self.op.result(block.dtype).unwrap_or(block.dtype);
        let out_size = result.size();
        let mut put = |i: usize, write: &mut dyn FnMut(&mut [u8])| {
            if let Some(i) = i.checked_sub(line.skip).filter(|&i| i < line.count) {
                write(&mut out[(line.to + i * line.to_step) * out_size..][..out_size]);
            }
        };
        match self.op {
            ScanOp::CumSum | ScanOp::CumProd => {
                let product = self.op == ScanOp::CumProd;
                let mut state = Cumulate::new(product, block.dtype, self.skipna);
                for i in 0..line.len {
                    state.push(from(i));
                    put(i, &mut |pixel| state.write(pixel));
                }
            }
            ScanOp::ForwardFill(limit) => {
                let mut last: Option<usize> = None;
                for i in 0..line.len {
                    if !is_nan(block.dtype, from(i)) {
                        last = Some(i);
                    }
                    let near = last.filter(|last| limit.is_none_or(|limit| i - last <= limit));
                    put(i, &mut |pixel| {
                        pixel.copy_from_slice(from(near.unwrap_or(i)))
                    });
                }
            }
            ScanOp::BackwardFill(limit) => {
                let mut next: Option<usize> = None;
                for i in (0..line.len).rev() {
                    if !is_nan(block.dtype, from(i)) {
                        next = Some(i);
                    }
                    let near = next.filter(|next| limit.is_none_or(|limit| next - i <= limit));
                    put(i, &mut |pixel| {
                        pixel.copy_from_slice(from(near.unwrap_or(i)))
                    });
                }
            }
        }
    }
}

/// Pixels along the axis, in the block and in the result.
struct Line {
    from: usize,
    from_step: usize,
    len: usize,
    /// Pixels of the block before the first of the result.
    skip: usize,
    to: usize,
    to_step: usize,
    count: usize,
}

fn is_nan(dtype: DType, pixel: &[u8]) -> bool {
    match (dtype, pixel) {
        (DType::Float16, &[a, b]) => half::f16::from_ne_bytes([a, b]).is_nan(),
        (DType::Float32, &[a, b, c, d]) => f32::from_ne_bytes([a, b, c, d]).is_nan(),
        (DType::Float64, pixel) => pixel
            .try_into()
            .is_ok_and(|pixel| f64::from_ne_bytes(pixel).is_nan()),
        _ => false,
    }
}
