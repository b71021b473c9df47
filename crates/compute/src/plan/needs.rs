//! Which part of its inputs a part of a node is made of.

use std::sync::Arc;

use super::node::{Node, NodeRef, Op};
use crate::index::AxisIndex;
use crate::region::Region;

/// Which part of each input a part of a node is made of.
pub(crate) fn input_regions(node: &Node, region: &Region) -> Vec<(NodeRef, Region)> {
    let inputs = node.inputs();
    match node.op() {
        Op::Slice(index) => {
            let mut ranges = region.ranges().iter();
            let hull = index
                .iter()
                .map(|index| match index {
                    AxisIndex::At(_) => index.hull(),
                    _ => ranges.next().map_or(0..0, |range| index.part(range).hull()),
                })
                .collect::<Vec<_>>();
            vec![(Arc::clone(&inputs[0]), Region::new(hull))]
        }
        Op::Broadcast(axes) => {
            let mut ranges = vec![0..0; inputs[0].schema().shape.len()];
            for (axis, range) in axes.iter().zip(region.ranges()) {
                if let Some(axis) = axis {
                    ranges[*axis] = range.clone();
                }
            }
            vec![(Arc::clone(&inputs[0]), Region::new(ranges))]
        }
        Op::Regional(regional) => {
            let shapes: Vec<&[usize]> = inputs.iter().map(|input| &*input.schema().shape).collect();
            let wants = regional.wants(&shapes, region).into_iter().zip(inputs);
            wants
                .filter_map(|(region, input)| Some((Arc::clone(input), region?)))
                .collect()
        }
        _ => inputs
            .iter()
            .map(|input| (Arc::clone(input), region.clone()))
            .collect(),
    }
}
