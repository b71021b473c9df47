//! Fusion: elementwise chains become one program.
//!
//! Outputs on the same pixels that share something they read become one program
//! of several outputs, so that it is fetched and decoded once.

use std::collections::HashMap;
use std::sync::Arc;

use super::rewrite::with_nodes;
use crate::error::{Error, Result};
use crate::exec::View;
use crate::plan::{Arg, Node, NodeRef, Op, Plan, topological};
use crate::program::{Builder, naive};
use crate::value::Const;

/// The plan in which elementwise chains are fused.
///
/// # Errors
/// Only for a defect of this crate.
pub fn fuse(plan: &Plan) -> Result<Plan> {
    fuse_with(plan, true)
}

pub(super) fn fuse_with(plan: &Plan, together: bool) -> Result<Plan> {
    let plan = &below_regional(plan)?;
    let mut made: HashMap<(*const Node, usize), NodeRef> = HashMap::new();
    for group in groups(plan, together) {
        let roots: Vec<NodeRef> = group
            .iter()
            .map(|&number| Arc::clone(plan.outputs()[number].node()))
            .collect();
        for (&number, node) in group.iter().zip(fuse_group(&roots)?) {
            made.insert((Arc::as_ptr(plan.outputs()[number].node()), number), node);
        }
    }
    let mut number = 0;
    with_nodes(plan, |node| {
        let found = made.get(&(Arc::as_ptr(node), number)).map(Arc::clone);
        number += 1;
        found.ok_or_else(|| Error::Bug("an output in no group".to_owned()))
    })
}

/// What regional functions and stages read, fused.
fn below_regional(plan: &Plan) -> Result<Plan> {
    super::rewrite::rewrite(plan, |node, inputs| {
        if !matches!(node.op(), Op::Regional(_) | Op::Materialize) {
            return super::rewrite::with_inputs(node, inputs);
        }
        let mut fused = Vec::with_capacity(inputs.len());
        for input in inputs {
            fused.extend(fuse_group(&[input])?);
        }
        super::rewrite::with_inputs(node, fused)
    })
}

/// Outputs that are worth making together: on the same pixels, cut alike, and
/// with a source in common.
fn groups(plan: &Plan, together: bool) -> Vec<Vec<usize>> {
    let outputs = plan.outputs();
    let mut group: Vec<usize> = (0..outputs.len()).collect();
    if together {
        let mut first_reader: HashMap<*const Node, Vec<usize>> = HashMap::new();
        for (number, output) in outputs.iter().enumerate() {
            if output.schema().dtype.is_complex() {
                continue;
            }
            for leaf in leaves(output.node()) {
                let (_, below) = View::descend(&leaf);
                let readers = first_reader.entry(Arc::as_ptr(&below)).or_default();
                let like = readers.iter().copied().find(|&other: &usize| {
                    let other = &outputs[other];
                    other.chunks() == output.chunks() && other.schema().dims == output.schema().dims
                });
                match like {
                    Some(other) => {
                        let (from, to) = (group[number], group[other]);
                        for member in &mut group {
                            if *member == from {
                                *member = to;
                            }
                        }
                    }
                    None => readers.push(number),
                }
            }
        }
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); outputs.len()];
    for (number, group) in group.into_iter().enumerate() {
        members[group].push(number);
    }
    members.retain(|members| !members.is_empty());
    members
}

fn is_elementwise(node: &Node) -> bool {
    matches!(node.op(), Op::Elementwise { .. })
}

/// What the elementwise part of `root` reads; constants are not read.
fn leaves(root: &NodeRef) -> Vec<NodeRef> {
    let mut found = Vec::new();
    let mut waiting = vec![Arc::clone(root)];
    let mut seen = std::collections::HashSet::new();
    while let Some(node) = waiting.pop() {
        if !seen.insert(Arc::as_ptr(&node)) {
            continue;
        }
        if is_elementwise(&node) {
            waiting.extend(node.inputs().iter().rev().map(Arc::clone));
        } else if !matches!(node.op(), Op::Full(_)) {
            found.push(node);
        }
    }
    found
}

/// One node for each root, of one program where there is anything to compute.
fn fuse_group(roots: &[NodeRef]) -> Result<Vec<NodeRef>> {
    if let [root] = roots
        && !is_elementwise(root)
    {
        return Ok(vec![Arc::clone(root)]);
    }
    let mut inputs: Vec<NodeRef> = Vec::new();
    for root in roots {
        for leaf in leaves(root) {
            if !inputs.iter().any(|known| Arc::ptr_eq(known, &leaf)) {
                inputs.push(leaf);
            }
        }
    }
    let mut builder = Builder::new(inputs.iter().map(|input| input.schema().dtype).collect());
    let mut values: HashMap<*const Node, Arg> = HashMap::new();
    for (number, input) in inputs.iter().enumerate() {
        let number =
            u32::try_from(number).map_err(|_| Error::Bug("4294967296 inputs".to_owned()))?;
        values.insert(Arc::as_ptr(input), Arg::Value(number));
    }
    for node in topological(roots) {
        match node.op() {
            Op::Elementwise { func, args } => {
                let args = operands(&node, args, &values)?;
                let value = builder.step(*func, args)?;
                values.insert(Arc::as_ptr(&node), value);
            }
            Op::Full(value) => {
                values
                    .entry(Arc::as_ptr(&node))
                    .or_insert(Arg::Const(*value));
            }
            _ => {}
        }
    }
    let outputs = roots
        .iter()
        .map(|root| values.get(&Arc::as_ptr(root)).copied())
        .collect::<Option<Vec<Arg>>>()
        .ok_or_else(|| Error::Bug("a root without a value".to_owned()))?;
    let program = Arc::new(builder.finish(&outputs)?);
    let fused = Node::fused(program, inputs)?;
    if roots.len() == 1 {
        return Ok(vec![fused]);
    }
    (0..roots.len())
        .map(|output| Node::pick(&fused, output))
        .collect()
}

fn operands(node: &Node, args: &[Arg], values: &HashMap<*const Node, Arg>) -> Result<Vec<Arg>> {
    args.iter()
        .map(|arg| match *arg {
            Arg::Const(value) => Ok(Arg::Const(value)),
            Arg::Value(input) => {
                let input = &node.inputs()[input as usize];
                let value = values.get(&Arc::as_ptr(input)).copied();
                value.ok_or_else(|| Error::Bug("an operand without a value".to_owned()))
            }
        })
        .collect()
}

/// The plan with its programs taken apart again, for a plan that comes
/// optimised already.
///
/// # Errors
/// Only for a defect of this crate.
pub fn unfuse(plan: &Plan) -> Result<Plan> {
    let fused = plan
        .nodes()
        .iter()
        .any(|node| matches!(node.op(), Op::Fused(_) | Op::Materialize));
    if !fused {
        return Ok(plan.clone());
    }
    let mut parts: HashMap<*const Node, Vec<NodeRef>> = HashMap::new();
    let mut alive: Vec<NodeRef> = Vec::new();
    super::rewrite::rewrite(plan, |node, inputs| match node.op() {
        Op::Fused(program) => {
            let mut values = inputs;
            for step in program.steps() {
                let mut operands: Vec<NodeRef> = Vec::new();
                let args: Vec<Arg> = step
                    .args
                    .iter()
                    .map(|arg| match *arg {
                        Arg::Value(value) => {
                            operands.push(Arc::clone(&values[value as usize]));
                            Arg::Value(u32::try_from(operands.len() - 1).unwrap_or(u32::MAX))
                        }
                        constant => constant,
                    })
                    .collect();
                // A function of constants alone is the same everywhere.
                let value = if operands.is_empty() {
                    let constants: Vec<Const> = args
                        .iter()
                        .filter_map(|arg| match arg {
                            Arg::Const(value) => Some(*value),
                            Arg::Value(_) => None,
                        })
                        .collect();
                    let folded = naive::fold(step.func, &constants)
                        .ok_or_else(|| Error::Invalid(naive::NEGATIVE_POWER.to_owned()))?;
                    Node::full(folded, node.schema())?
                } else {
                    Node::elementwise(step.func, args, operands)?
                };
                values.push(value);
            }
            let outputs: Vec<NodeRef> = program
                .outputs()
                .iter()
                .map(|&value| Arc::clone(&values[value as usize]))
                .collect();
            let first = Arc::clone(&outputs[0]);
            parts.insert(Arc::as_ptr(node), outputs);
            alive.push(Arc::clone(node));
            Ok(first)
        }
        Op::Pick(output) => {
            let parts = parts.get(&Arc::as_ptr(&node.inputs()[0]));
            parts
                .and_then(|parts| parts.get(*output))
                .map(Arc::clone)
                .ok_or_else(|| Error::Bug("an output of no program".to_owned()))
        }
        // What is made once is found anew.
        Op::Materialize => Ok(Arc::clone(&inputs[0])),
        _ => super::rewrite::with_inputs(node, inputs),
    })
}
