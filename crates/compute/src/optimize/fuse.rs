//! Fusion: elementwise chains become one program.
//!
//! Outputs on the same pixels that share something they read become one program
//! of several outputs, so that it is fetched and decoded once. On the way
//! constants are folded, conversions merged and tests of bits recognised.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::DType;

use super::rewrite::with_nodes;
use crate::error::{Error, Result};
use crate::exec::View;
use crate::plan::{Arg, Binary, Func, Node, NodeRef, Op, Plan, topological};
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
    if inputs.is_empty() {
        // Constants alone: the same everywhere, without a program.
        return roots.iter().map(constant_root).collect();
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
                let value = simplified(&mut builder, *func, args)?;
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
    if let [Arg::Const(value)] = outputs.as_slice() {
        return Ok(vec![Node::full(*value, roots[0].schema())?]);
    }
    let program = Arc::new(builder.finish(&outputs)?);
    let fused = Node::fused(program, inputs)?;
    if roots.len() == 1 {
        return Ok(vec![fused]);
    }
    (0..roots.len())
        .map(|output| Node::pick(&fused, output))
        .collect()
}

fn constant_root(root: &NodeRef) -> Result<NodeRef> {
    let mut values: HashMap<*const Node, Arg> = HashMap::new();
    for node in topological([root]) {
        let value = match node.op() {
            Op::Full(value) => *value,
            Op::Elementwise { func, args } => {
                let constants: Option<Vec<Const>> = operands(&node, args, &values)?
                    .into_iter()
                    .map(|arg| match arg {
                        Arg::Const(value) => Some(value),
                        Arg::Value(_) => None,
                    })
                    .collect();
                let folded = constants.and_then(|constants| naive::fold(*func, &constants));
                folded.ok_or_else(|| Error::Invalid(naive::NEGATIVE_POWER.to_owned()))?
            }
            other => return Err(Error::Bug(format!("{other:?} among constants"))),
        };
        values.insert(Arc::as_ptr(&node), Arg::Const(value));
    }
    match values.get(&Arc::as_ptr(root)) {
        Some(Arg::Const(value)) => Node::full(*value, root.schema()),
        _ => Err(Error::Bug("a constant without a value".to_owned())),
    }
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

/// The value of `func` of `args`, in fewer steps where the bits stay the same.
fn simplified(builder: &mut Builder, func: Func, args: Vec<Arg>) -> Result<Arg> {
    let constants: Option<Vec<Const>> = args
        .iter()
        .map(|arg| match arg {
            Arg::Const(value) => Some(*value),
            Arg::Value(_) => None,
        })
        .collect();
    if let Some(constants) = constants
        && let Some(value) = naive::fold(func, &constants)
    {
        return Ok(Arg::Const(value));
    }
    match (func, args.as_slice()) {
        (Func::Cast(to), [x]) if builder.dtype(*x) == to => return Ok(*x),
        (Func::Cast(to), [x]) => {
            if let Some(inner) = builder.get(*x)
                && let Func::Cast(through) = inner.func
                && let [from] = inner.args[..]
                && merges(builder.dtype(from), through, to)
            {
                return simplified(builder, func, vec![from]);
            }
        }
        (Func::Where, [Arg::Const(condition), yes, no]) => {
            return Ok(if condition.get::<bool>() { *yes } else { *no });
        }
        (Func::Where, [_, yes, no]) if yes == no => return Ok(*yes),
        (Func::Binary(Binary::Eq), [x, Arg::Const(value)])
        | (Func::Binary(Binary::Eq), [Arg::Const(value), x]) => {
            // `(x & mask) == value`
            if value.dtype().is_integer()
                && let Some(inner) = builder.get(*x)
                && inner.func == Func::Binary(Binary::And)
                && let [x, Arg::Const(mask)] | [Arg::Const(mask), x] = inner.args[..]
            {
                let test = Func::MaskTest {
                    mask: mask.bits(),
                    value: value.bits(),
                };
                return builder.step(test, vec![x]);
            }
        }
        _ => {}
    }
    builder.step(func, args)
}

/// Whether converting by way of `through` is the same as converting directly:
/// `through` holds every value of `from`, and the second conversion depends on
/// the value alone.
fn merges(from: DType, through: DType, to: DType) -> bool {
    let whole = |dtype: DType| dtype == DType::Bool || dtype.is_integer();
    let holds = match (from, through) {
        (DType::Bool, _) => true,
        (_, DType::Bool) => false,
        (from, through) => match (from.integer_range(), through.integer_range()) {
            (Some(from), Some(through)) => through.0 <= from.0 && from.1 <= through.1,
            (Some((low, high)), None) => {
                let digits = match through {
                    DType::Float16 => 11,
                    DType::Float32 => 24,
                    _ => 53,
                };
                let limit = 1i128 << digits;
                -limit <= low && high <= limit
            }
            (None, Some(_)) => false,
            (None, None) => through.size() >= from.size(),
        },
    };
    // A float becomes the nearest integer of a type, an integer wraps; half
    // precision is reached through single by some types and directly by others.
    let same_rule = whole(from) == whole(through) || !whole(to);
    holds && same_rule && to != DType::Float16
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
        .any(|node| matches!(node.op(), Op::Fused(_)));
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
        _ => super::rewrite::with_inputs(node, inputs),
    })
}
