//! Reductions as regional functions: their chunks, what they need, and the
//! states of their blocks.

use std::ops::Range;

use super::{Block, sub_block};
use crate::chunks::{AxisChunks, ChunkGrid};
use crate::plan::Schema;
use crate::reduce::{self, Geometry, Reduce, Role};
use crate::region::Region;

/// Dimensions and chunks of a reduction's result. Groups are made together.
pub(super) fn reduced(reduce: &Reduce, input: &Schema) -> (Vec<String>, ChunkGrid) {
    let mut dims = Vec::new();
    let mut axes = Vec::new();
    if reduce.leading() == 1 {
        dims.push("quantile".to_owned());
        axes.push(AxisChunks::whole(reduce.quantiles.len()));
    }
    for (axis, role) in reduce.roles.iter().enumerate() {
        match role {
            Role::Reduce => continue,
            Role::Keep => axes.push(input.chunks.axes()[axis].clone()),
            Role::Group(groups) => axes.push(AxisChunks::whole(groups.count())),
        }
        dims.push(input.dims[axis].clone());
    }
    (dims, ChunkGrid::new(axes))
}

pub(super) fn hull(runs: &[Vec<Range<usize>>], shape: &[usize]) -> Region {
    let ranges = runs
        .iter()
        .zip(shape)
        .map(|(runs, _)| match (runs.first(), runs.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        });
    Region::new(ranges.collect::<Vec<_>>())
}

/// The states of the canonical blocks that `region` names.
pub(super) fn partial(
    reduce: &Reduce,
    shape: &[usize],
    block: &Block<'_>,
    region: &Region,
    out: &mut [u8],
) {
    let geometry = Geometry::new(reduce, shape);
    let ranges = region.ranges();
    let kept = Region::new(ranges[1..ranges.len() - 1].to_vec());
    let each = kept.len() * reduce::words();
    let mut words = vec![0u64; each];
    for (number, out) in ranges[0].clone().zip(out.chunks_exact_mut(8 * each.max(1))) {
        let mut states = reduce::accumulators(geometry, block.dtype, &kept);
        let part = Region::new(geometry.block(number)).intersect(&block.region);
        if !part.is_empty() {
            let pixels = sub_block(block, &part);
            states.take(&part, &pixels);
        }
        states.end_block();
        states.write_words(&mut words);
        for (word, out) in words.iter().zip(out.chunks_exact_mut(8)) {
            out.copy_from_slice(&word.to_ne_bytes());
        }
    }
}
