//! Arrays one after the other along an axis.

use std::sync::Arc;

use super::{Block, Rows};
use crate::chunks::{AxisChunks, ChunkGrid};
use crate::error::{Error, Result};
use crate::plan::Schema;
use crate::region::Region;

pub(super) fn schema(axis: usize, inputs: &[&Schema]) -> Result<Schema> {
    let first = inputs[0];
    let mut shape = first.shape.to_vec();
    let mut sizes: Vec<usize> = Vec::new();
    if axis >= shape.len() {
        return Err(Error::Bug(format!("axis {axis} of {shape:?}")));
    }
    shape[axis] = 0;
    for input in inputs {
        let alike = input.dims == first.dims
            && input.dtype == first.dtype
            && (input.shape.iter().enumerate())
                .all(|(other, &len)| other == axis || len == first.shape[other]);
        if !alike {
            return Err(Error::Bug(format!(
                "{:?} {:?} after {:?} {:?}",
                input.dims, input.shape, first.dims, first.shape
            )));
        }
        shape[axis] += input.shape[axis];
        sizes.extend(input.chunks.axes()[axis].sizes());
    }
    let mut axes = first.chunks.axes().to_vec();
    sizes.retain(|&size| size > 0);
    axes[axis] = if sizes.is_empty() {
        AxisChunks::whole(0)
    } else {
        AxisChunks::explicit(&sizes)
    };
    Ok(Schema {
        dims: Arc::clone(&first.dims),
        shape: shape.into(),
        dtype: first.dtype,
        chunks: ChunkGrid::new(axes),
    })
}

pub(super) fn wants(axis: usize, inputs: &[&[usize]], region: &Region) -> Vec<Option<Region>> {
    let wanted = &region.ranges()[axis];
    let mut before = 0;
    inputs
        .iter()
        .map(|shape| {
            let (start, end) = (before, before + shape[axis]);
            before = end;
            let part = wanted.start.max(start)..wanted.end.min(end);
            (!part.is_empty()).then(|| {
                let mut ranges = region.ranges().to_vec();
                ranges[axis] = part.start - start..part.end - start;
                Region::new(ranges)
            })
        })
        .collect()
}

pub(super) fn run(
    axis: usize,
    shapes: &[&[usize]],
    inputs: &[Option<Block<'_>>],
    region: &Region,
    out: &mut [u8],
) {
    let mut before = 0;
    for (shape, block) in shapes.iter().zip(inputs) {
        if let Some(block) = block {
            let mut ranges = block.region.ranges().to_vec();
            ranges[axis] = ranges[axis].start + before..ranges[axis].end + before;
            let place = Region::new(ranges);
            let size = block.dtype.size();
            let row = place.ranges()[place.ndim() - 1].len() * size;
            if row > 0 {
                let rows = Rows::new(region, &place);
                for (offset, pixels) in rows.zip(block.pixels.chunks_exact(row)) {
                    out[offset * size..][..row].copy_from_slice(pixels);
                }
            }
        }
        before += shape[axis];
    }
}
