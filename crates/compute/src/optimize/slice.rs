//! Slicing reaches the source: slices and broadcasts move down to the leaves.
//!
//! A function of a slice is the slice of the function, so nothing is computed
//! or read that a slice throws away. What is left stands directly above leaves:
//! at most one slice, then at most one broadcast.

use std::collections::HashMap;
use std::sync::Arc;

use super::rewrite::with_nodes;
use crate::error::{Error, Result};
use crate::exec::View;
use crate::index::AxisIndex;
use crate::plan::{Node, NodeRef, Op, Plan};
use crate::regional::Regional;

/// The plan with slices and broadcasts above leaves only.
///
/// # Errors
/// Only for a defect of this crate.
pub fn slice(plan: &Plan) -> Result<Plan> {
    let mut made: Made = HashMap::new();
    with_nodes(plan, |node| {
        let schema = node.schema();
        let root = Wanted {
            node: Arc::clone(node),
            view: View::identity(&schema.shape),
            dims: Arc::clone(&schema.dims),
            shape: Arc::clone(&schema.shape),
        };
        make(root, &mut made)
    })
}

/// A node as it is looked at.
#[derive(Clone)]
struct Wanted {
    node: NodeRef,
    view: View,
    dims: Arc<[String]>,
    shape: Arc<[usize]>,
}

/// What has been made, by node and the way it is looked at.
type Made = HashMap<(*const Node, View, Arc<[String]>, Arc<[usize]>), NodeRef>;

impl Wanted {
    fn find<'a>(&self, made: &'a Made) -> Option<&'a NodeRef> {
        made.get(&self.key())
    }

    fn key(&self) -> (*const Node, View, Arc<[String]>, Arc<[usize]>) {
        let node = Arc::as_ptr(&self.node);
        (
            node,
            self.view.clone(),
            Arc::clone(&self.dims),
            Arc::clone(&self.shape),
        )
    }
}

/// Makes what is wanted and all that it needs; waits on a stack of its own.
fn make(root: Wanted, made: &mut Made) -> Result<NodeRef> {
    let mut stack = vec![(root.clone(), false)];
    while let Some((wanted, inputs_made)) = stack.pop() {
        if wanted.find(made).is_some() {
            continue;
        }
        let inputs = inputs_of(&wanted);
        if !inputs_made {
            stack.push((wanted, true));
            stack.extend(inputs.into_iter().map(|input| (input, false)));
            continue;
        }
        let inputs = inputs
            .iter()
            .map(|input| {
                let input = input.find(made).map(Arc::clone);
                input.ok_or_else(|| Error::Bug("a node before its inputs".to_owned()))
            })
            .collect::<Result<Vec<_>>>()?;
        let node = build(&wanted, inputs)?;
        made.insert(wanted.key(), node);
    }
    root.find(made)
        .map(Arc::clone)
        .ok_or_else(|| Error::Bug("a plan without its root".to_owned()))
}

fn inputs_of(wanted: &Wanted) -> Vec<Wanted> {
    let node = &wanted.node;
    let below = |input: &NodeRef, view: View| Wanted {
        node: Arc::clone(input),
        view,
        ..wanted.clone()
    };
    match node.op() {
        Op::Slice(index) => vec![below(&node.inputs()[0], wanted.view.through_slice(index))],
        Op::Broadcast(axes) => {
            let input = &node.inputs()[0];
            let view = wanted
                .view
                .through_broadcast(axes, input.schema().shape.len());
            vec![below(input, view)]
        }
        Op::Regional(regional) => {
            let (pushed, _) = split(regional, wanted);
            (node.inputs().iter())
                .map(|input| sliced(regional, input, &pushed))
                .collect()
        }
        Op::Materialize => vec![whole(&node.inputs()[0])],
        _ => node
            .inputs()
            .iter()
            .map(|input| below(input, wanted.view.clone()))
            .collect(),
    }
}

/// All of a node.
fn whole(node: &NodeRef) -> Wanted {
    let schema = node.schema();
    Wanted {
        node: Arc::clone(node),
        view: View::identity(&schema.shape),
        dims: Arc::clone(&schema.dims),
        shape: Arc::clone(&schema.shape),
    }
}

/// What of a view of a regional function can be asked of its input, by axes of
/// the input, and what is left to be looked at above.
fn split(regional: &Regional, wanted: &Wanted) -> (Vec<Option<AxisIndex>>, View) {
    let mut rest = wanted.view.clone();
    let mut pushed = Vec::new();
    for (axis, out) in regional.free_axes(wanted.node.inputs()[0].schema().shape.len()) {
        pushed.resize(axis + 1, None);
        let view = &mut rest.axes[out];
        let (index, left) = match (&view.index, view.out) {
            (AxisIndex::At(at), _) => (AxisIndex::range(*at, 1, 1), AxisIndex::At(0)),
            (index, None) => (AxisIndex::range(index.get(0), 1, 1), AxisIndex::At(0)),
            (index, Some(_)) => (index.clone(), AxisIndex::whole(index.len().unwrap_or(1))),
        };
        pushed[axis] = Some(index);
        view.index = left;
    }
    (pushed, rest)
}

/// The part of a regional function's input that `pushed` leaves.
fn sliced(regional: &Regional, input: &NodeRef, pushed: &[Option<AxisIndex>]) -> Wanted {
    let mut wanted = whole(input);
    if matches!(regional, Regional::Concat { .. }) {
        return wanted;
    }
    let mut shape = wanted.shape.to_vec();
    for (axis, index) in pushed.iter().enumerate() {
        if let Some(index) = index {
            shape[axis] = index.len().unwrap_or(1);
            wanted.view.axes[axis].index = index.clone();
        }
    }
    wanted.shape = shape.into();
    wanted
}

fn build(wanted: &Wanted, inputs: Vec<NodeRef>) -> Result<NodeRef> {
    let node = &wanted.node;
    match node.op() {
        Op::Source(_) | Op::Memory(_) => wanted.view.show(node, &wanted.dims, &wanted.shape),
        Op::Full(value) => {
            let like = crate::plan::Schema {
                dims: Arc::clone(&wanted.dims),
                shape: Arc::clone(&wanted.shape),
                dtype: value.dtype(),
                chunks: crate::chunks::ChunkGrid::whole(&wanted.shape),
            };
            Node::full(*value, &like)
        }
        Op::Slice(_) | Op::Broadcast(_) | Op::Rechunk => inputs
            .into_iter()
            .next()
            .ok_or_else(|| Error::Bug("a slice of nothing".to_owned())),
        Op::Elementwise { func, args } => Node::elementwise(*func, args.clone(), inputs),
        Op::Regional(regional) => {
            let (_, rest) = split(regional, wanted);
            let node = Node::regional(regional.clone(), inputs)?;
            rest.show(&node, &wanted.dims, &wanted.shape)
        }
        Op::Materialize => {
            let node = Node::materialize(&inputs[0], node.schema().chunks.clone())?;
            wanted.view.show(&node, &wanted.dims, &wanted.shape)
        }
        Op::Fused(_) | Op::Pick(_) => Err(Error::Bug(
            "slices move down before functions are fused".to_owned(),
        )),
    }
}
