//! Made once: what would be made again and again by who needs it.
//!
//! Tasks ask nodes for the regions that they need. Where many of them ask for
//! the same region, such as a mean over all pixels that every pixel is compared
//! with, it is made once, by tasks of its own, and kept until nobody reads it any
//! more. Which nodes these are is found by asking: a sample of the chunks of
//! each output says what it needs of each node below.
//!
//! A reduction of more than one canonical block is made as a tree: the states of
//! each block first, each by a task of its own, and then their sum.
//!
//! Operations within each other are made by calls within each other. Where a plan
//! has very many of them, one on the way is made first, whoever needs it, so that
//! no chain is too long to run.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::rewrite::{rewrite, with_inputs};
use crate::chunks::ChunkGrid;
use crate::error::Result;
use crate::plan::{Node, NodeRef, Op, Plan, input_regions, topological};
use crate::reduce::Geometry;
use crate::region::Region;
use crate::regional::Regional;

/// Chunks of an output that are asked what they need.
const ASKED: usize = 48;
/// How often a pixel may be made before it is worth keeping.
const OFTEN: f64 = 1.75;
/// Bytes of a chunk of what is kept.
const CHUNK_BYTES: usize = 16 << 20;
/// Bytes that a chunk of what is kept is made of.
const INPUT_BYTES: usize = 256 << 20;

/// Programs and regional functions within each other, of which the last is made
/// first. Engines refuse about twice as many.
const DEEP: usize = 96;

/// The plan in which what is needed often is made once.
///
/// # Errors
/// Only for a defect of this crate.
pub fn materialize(plan: &Plan) -> Result<Plan> {
    let plan = trees(plan)?;
    let mut kept: HashSet<*const Node> = HashSet::new();
    loop {
        let often = often(&plan, &kept);
        if often.is_empty() {
            break;
        }
        kept.extend(often);
    }
    deep(&plan, &mut kept);
    rewrite(&plan, |node, inputs| {
        let new = with_inputs(node, inputs)?;
        if kept.contains(&Arc::as_ptr(node)) {
            let grid = grid(&new);
            return Node::materialize(&new, grid);
        }
        Ok(new)
    })
}

/// Adds what has to be made first for no chain to be too long.
fn deep(plan: &Plan, kept: &mut HashSet<*const Node>) {
    // Outputs are made for themselves.
    let roots: HashSet<*const Node> = (plan.outputs().iter())
        .map(|output| Arc::as_ptr(output.node()))
        .collect();
    let mut depths: HashMap<*const Node, usize> = HashMap::new();
    for node in plan.nodes() {
        let below = node.inputs().iter();
        let below = below.map(|input| match Arc::as_ptr(input) {
            input if kept.contains(&input) => 0,
            input => depths.get(&input).copied().unwrap_or(0),
        });
        let below = below.max().unwrap_or(0);
        let (own, whole) = match node.op() {
            Op::Regional(_) => (1, true),
            // Of several outputs each is a node of its own.
            Op::Fused(program) => (1, program.outputs().len() == 1),
            _ => (0, false),
        };
        let address = Arc::as_ptr(&node);
        depths.insert(address, below + own);
        if below + own >= DEEP && whole && !roots.contains(&address) {
            kept.insert(address);
        }
    }
}

/// Reductions of several canonical blocks, as the states of each and their sum.
fn trees(plan: &Plan) -> Result<Plan> {
    rewrite(plan, |node, inputs| {
        let Op::Regional(Regional::Reduce(reduce)) = node.op() else {
            return with_inputs(node, inputs);
        };
        let input = Arc::clone(&inputs[0]);
        let schema = input.schema();
        let blocks = Geometry::new(reduce, &schema.shape).n_blocks();
        if !reduce.op.streams() || blocks < 2 {
            return with_inputs(node, inputs);
        }
        let (shape, dtype) = (schema.shape.to_vec(), schema.dtype);
        let partial = Node::regional(Regional::Partial(reduce.clone()), vec![input])?;
        let combine = Regional::Combine {
            reduce: reduce.clone(),
            shape,
            dtype,
        };
        Node::regional(combine, vec![partial])
    })
}

/// The uppermost nodes that are made often and not kept yet.
fn often(plan: &Plan, kept: &HashSet<*const Node>) -> Vec<*const Node> {
    let mut roots: Vec<(NodeRef, ChunkGrid)> = Vec::new();
    for output in plan.outputs() {
        let node = match output.node().op() {
            Op::Pick(_) => &output.node().inputs()[0],
            _ => output.node(),
        };
        let known = roots
            .iter()
            .any(|(root, chunks)| Arc::ptr_eq(root, node) && chunks == output.chunks());
        if !known {
            roots.push((Arc::clone(node), output.chunks().clone()));
        }
    }
    let nodes = plan.nodes();
    let regional = |node: &NodeRef| matches!(node.op(), Op::Regional(_));
    if !nodes.iter().any(regional) {
        return Vec::new();
    }
    for node in nodes
        .iter()
        .filter(|node| kept.contains(&Arc::as_ptr(node)))
    {
        roots.push((Arc::clone(node), grid(node)));
    }
    // Pixels that are asked of each node, and that it asks for itself.
    let mut asked: HashMap<*const Node, (f64, f64)> = HashMap::new();
    for (root, chunks) in &roots {
        let count = chunks.n_chunks();
        let sample = count.min(ASKED);
        #[allow(clippy::cast_precision_loss, reason = "a share of chunks")]
        let each = count as f64 / sample.max(1) as f64;
        for i in 0..sample {
            ask(
                root,
                chunks.region_of(i * count / sample),
                each,
                kept,
                &mut asked,
            );
        }
    }
    let mut found: Vec<&NodeRef> = Vec::new();
    // Users come after their inputs.
    for node in nodes.iter().rev() {
        let (Op::Regional(regional), Some((own, inputs))) =
            (node.op(), asked.get(&Arc::as_ptr(node)))
        else {
            continue;
        };
        #[allow(clippy::cast_precision_loss, reason = "compared with a ratio")]
        let pixels = |node: &NodeRef| node.schema().shape.iter().product::<usize>().max(1) as f64;
        let all: f64 = node.inputs().iter().map(&pixels).sum();
        let times = (own / pixels(node)).max(inputs / all);
        let partial = matches!(regional, Regional::Partial(_));
        if (times >= OFTEN || partial) && !kept.contains(&Arc::as_ptr(node)) {
            found.push(node);
        }
    }
    // What is below another one is asked less once that is kept.
    let below: HashSet<*const Node> = found
        .iter()
        .flat_map(|node| topological(node.inputs()))
        .map(|node| Arc::as_ptr(&node))
        .collect();
    let uppermost = found.iter().map(|node| Arc::as_ptr(node));
    uppermost.filter(|node| !below.contains(node)).collect()
}

/// Adds up what one region of a root asks of the nodes below it.
fn ask(
    root: &NodeRef,
    region: Region,
    each: f64,
    kept: &HashSet<*const Node>,
    asked: &mut HashMap<*const Node, (f64, f64)>,
) {
    let mut seen: HashSet<(*const Node, Region)> = HashSet::new();
    let mut waiting = vec![(Arc::clone(root), region)];
    while let Some((node, region)) = waiting.pop() {
        let address = Arc::as_ptr(&node);
        if !seen.insert((address, region.clone())) {
            continue;
        }
        if kept.contains(&address) && !Arc::ptr_eq(&node, root) {
            continue;
        }
        let inputs = input_regions(&node, &region);
        #[allow(clippy::cast_precision_loss, reason = "a count of pixels")]
        if matches!(node.op(), Op::Regional(_)) {
            let (own, below) = asked.entry(address).or_default();
            *own += each * region.len() as f64;
            let sum: usize = inputs.iter().map(|(_, region)| region.len()).sum();
            *below += each * sum as f64;
        }
        waiting.extend(inputs);
    }
}

/// The chunks in which a node is made and kept.
fn grid(node: &NodeRef) -> ChunkGrid {
    let schema = node.schema();
    let Op::Regional(regional) = node.op() else {
        return schema.chunks.clone();
    };
    let shapes: Vec<&[usize]> = (node.inputs().iter())
        .map(|input| &*input.schema().shape)
        .collect();
    let mut sizes = schema.shape.to_vec();
    if matches!(regional, Regional::Partial(_)) {
        sizes[0] = 1;
    }
    loop {
        let out = sizes.iter().product::<usize>() * schema.dtype.size();
        let first: Vec<_> = sizes.iter().map(|&size| 0..size).collect();
        let inputs: usize = (regional.wants(&shapes, &Region::new(first)).iter())
            .zip(node.inputs())
            .filter_map(|(want, input)| Some(want.as_ref()?.len() * input.schema().dtype.size()))
            .sum();
        let streams = matches!(regional, Regional::Reduce(reduce) if reduce.op.streams())
            || matches!(regional, Regional::Partial(_));
        if out <= CHUNK_BYTES && (streams || inputs <= INPUT_BYTES) {
            break;
        }
        let axis = (0..sizes.len())
            .filter(|&axis| sizes[axis] > 1 && regional.chunked(axis))
            .max_by_key(|&axis| sizes[axis]);
        match axis {
            Some(axis) => sizes[axis] = sizes[axis].next_power_of_two() / 2,
            None => break,
        }
    }
    ChunkGrid::regular(&schema.shape, &sizes)
}
