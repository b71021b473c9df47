//! The parts in which a task makes what takes much memory at a time.

use super::stage::{Body, Maker};
use crate::reduce::{self, Geometry};
use crate::region::Region;
use crate::regional::Regional;

/// Parts are not made smaller than this along an axis.
const TILE_EDGE: usize = 32;

/// The parts in which a region of a regional function's result is made.
pub(super) fn tiles(maker: &Maker, region: &Region, tile_bytes: usize) -> Vec<Region> {
    let Body::Regional { regional, shapes } = &maker.body else {
        return vec![region.clone()];
    };
    let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    // States of blocks are made block by block.
    let blocks = matches!(regional, Regional::Partial(_));
    let bytes = |region: &Region| match regional {
        Regional::Reduce(reduce) if reduce.op.streams() => {
            let geometry = Geometry::new(reduce, shapes[0]);
            reduce::state_bytes(geometry, maker.leaves[0].dtype, region.len())
        }
        Regional::Partial(reduce) => {
            let geometry = Geometry::new(reduce, shapes[0]);
            let dtype = maker.leaves[0].dtype;
            reduce::state_bytes(geometry, dtype, region.len() / reduce::words())
        }
        _ => regional
            .wants(&shapes, region)
            .iter()
            .zip(&maker.leaves)
            .filter_map(|(want, leaf)| Some(want.as_ref()?.len() * leaf.dtype.size()))
            .sum(),
    };
    let mut done = Vec::new();
    let mut open = vec![region.clone()];
    while let Some(part) = open.pop() {
        let longest = if blocks && part.ranges()[0].len() > 1 {
            Some(0)
        } else if bytes(&part) <= tile_bytes {
            None
        } else {
            (0..part.ndim())
                .filter(|&axis| regional.splits(axis) && part.ranges()[axis].len() > TILE_EDGE)
                .max_by_key(|&axis| part.ranges()[axis].len())
        };
        let Some(axis) = longest else {
            done.push(part);
            continue;
        };
        let range = part.ranges()[axis].clone();
        // Halves of a power of two, so that parts end where blocks of files do.
        let half = range.len().next_power_of_two() / 2;
        let mut ranges = part.ranges().to_vec();
        ranges[axis] = range.start + half..range.end;
        open.push(Region::new(ranges.clone()));
        ranges[axis] = range.start..range.start + half;
        open.push(Region::new(ranges));
    }
    done
}
