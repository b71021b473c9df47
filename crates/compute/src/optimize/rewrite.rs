//! Rebuilding a plan bottom-up, without recursion.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::plan::{Node, NodeRef, Op, Output, Plan};

/// The plan with every node as `build` makes it from its new inputs.
pub(super) fn rewrite(
    plan: &Plan,
    mut build: impl FnMut(&NodeRef, Vec<NodeRef>) -> Result<NodeRef>,
) -> Result<Plan> {
    let mut made: HashMap<*const Node, NodeRef> = HashMap::new();
    for node in plan.nodes() {
        let inputs = node
            .inputs()
            .iter()
            .map(|input| find(&made, input))
            .collect::<Result<_>>()?;
        let new = build(&node, inputs)?;
        made.insert(Arc::as_ptr(&node), new);
    }
    with_nodes(plan, |node| find(&made, node))
}

/// The plan whose outputs are made by other nodes.
pub(crate) fn with_nodes(
    plan: &Plan,
    mut node: impl FnMut(&NodeRef) -> Result<NodeRef>,
) -> Result<Plan> {
    let outputs = plan.outputs().iter().map(|output| {
        Output::new(
            output.name(),
            &node(output.node())?,
            output.chunks().clone(),
        )
    });
    Plan::new(outputs.collect::<Result<Vec<_>>>()?)
}

fn find(made: &HashMap<*const Node, NodeRef>, node: &NodeRef) -> Result<NodeRef> {
    let found = made.get(&Arc::as_ptr(node)).map(Arc::clone);
    found.ok_or_else(|| Error::Bug("a node before its inputs".to_owned()))
}

/// The same operation on other inputs; the node itself if they are its own.
pub(crate) fn with_inputs(node: &NodeRef, inputs: Vec<NodeRef>) -> Result<NodeRef> {
    let same = node
        .inputs()
        .iter()
        .zip(&inputs)
        .all(|(own, new)| Arc::ptr_eq(own, new));
    if same {
        return Ok(Arc::clone(node));
    }
    let schema = node.schema();
    match node.op() {
        Op::Source(_) | Op::Memory(_) | Op::Full(_) => Ok(Arc::clone(node)),
        Op::Slice(index) => Node::slice(&inputs[0], index.clone()),
        Op::Broadcast(axes) => Node::broadcast(
            &inputs[0],
            axes.clone(),
            Arc::clone(&schema.dims),
            Arc::clone(&schema.shape),
        ),
        Op::Rechunk => Node::rechunk(&inputs[0], schema.chunks.clone()),
        Op::Elementwise { func, args } => Node::elementwise(*func, args.clone(), inputs),
        Op::Fused(program) => Node::fused(Arc::clone(program), inputs),
        Op::Pick(output) => Node::pick(&inputs[0], *output),
        Op::Regional(regional) => Node::regional(regional.clone(), inputs),
        Op::Materialize => Node::materialize(&inputs[0], schema.chunks.clone()),
    }
}
