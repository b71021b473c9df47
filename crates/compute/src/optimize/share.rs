//! Shared sub-plans: what is the same is one node.
//!
//! Two loads of the same pixels, the mask that several bands use, a sum written
//! twice: all become one node, by content, so that they are done once a chunk.

use std::collections::HashMap;
use std::sync::Arc;

use super::rewrite::{rewrite, with_inputs};
use crate::error::Result;
use crate::index::AxisIndex;
use crate::plan::{Arg, Func, Node, NodeRef, Op, Plan};
use crate::program::Program;
use crate::value::Const;

/// The plan in which equal nodes are one.
///
/// # Errors
/// Only for a defect of this crate.
pub fn share(plan: &Plan) -> Result<Plan> {
    let mut known = Known::default();
    rewrite(plan, |node, inputs| {
        Ok(known.one(with_inputs(node, inputs)?))
    })
}

/// The nodes that have been met, by content.
#[derive(Default)]
pub(super) struct Known(HashMap<Content, NodeRef>);

impl Known {
    /// The node, or the one of the same content that was met before. Its inputs
    /// have to be such nodes.
    pub(super) fn one(&mut self, node: NodeRef) -> NodeRef {
        let content = Content::of(&node);
        Arc::clone(self.0.entry(content).or_insert(node))
    }
}

/// What a node is, apart from where it lies in memory.
#[derive(PartialEq, Eq, Hash)]
struct Content {
    operation: Operation,
    inputs: Vec<*const Node>,
    dims: Arc<[String]>,
    shape: Arc<[usize]>,
}

#[derive(PartialEq, Eq, Hash)]
enum Operation {
    /// Kind and bytes; the address for a source that cannot state its content.
    Source(&'static str, Result<Vec<u8>, *const ()>),
    /// Pixels in memory are the same only if they are one array: comparing
    /// them would cost what sharing saves.
    Memory(*const ()),
    Full(Const),
    Slice(Vec<AxisIndex>),
    Broadcast(Vec<Option<usize>>),
    Rechunk(crate::chunks::ChunkGrid),
    Elementwise(Func, Vec<Arg>),
    Fused(Arc<Program>),
    Pick(usize),
    Regional(crate::regional::Regional),
    Materialize(crate::chunks::ChunkGrid),
}

impl Content {
    fn of(node: &NodeRef) -> Content {
        let schema = node.schema();
        let operation = match node.op() {
            Op::Source(source) => Operation::Source(
                source.kind(),
                source
                    .encode()
                    .map_err(|_| Arc::as_ptr(source).cast::<()>()),
            ),
            Op::Memory(array) => Operation::Memory(Arc::as_ptr(array).cast()),
            Op::Full(value) => Operation::Full(*value),
            Op::Slice(index) => Operation::Slice(index.clone()),
            Op::Broadcast(axes) => Operation::Broadcast(axes.clone()),
            Op::Rechunk => Operation::Rechunk(schema.chunks.clone()),
            Op::Elementwise { func, args } => Operation::Elementwise(*func, args.clone()),
            Op::Fused(program) => Operation::Fused(Arc::clone(program)),
            Op::Pick(output) => Operation::Pick(*output),
            Op::Regional(regional) => Operation::Regional(regional.clone()),
            Op::Materialize => Operation::Materialize(schema.chunks.clone()),
        };
        Content {
            operation,
            inputs: node.inputs().iter().map(Arc::as_ptr).collect(),
            dims: Arc::clone(&schema.dims),
            shape: Arc::clone(&schema.shape),
        }
    }
}
