//! Plans: what is to be computed, as plain data.
//!
//! A plan is an immutable graph of [`Node`]s without cycles, and the named
//! outputs that are wanted of it. It never lists chunks: "chunk (t, y, x) is
//! made so" is a rule that holds for all of them. Plans print, hash by content,
//! travel as bytes, and mean the same to every engine.

mod explain;
mod func;
mod key;
mod needs;
mod node;
mod wire;

use std::collections::HashSet;
use std::sync::Arc;

pub(crate) use explain::describe;
pub use func::{Arg, Binary, Func, Unary};
pub use key::Key;
pub(crate) use needs::input_regions;
pub use node::{MemoryArray, Node, NodeRef, Op, Schema};

use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};

/// What is to be computed: named outputs over a shared graph.
#[derive(Clone, Debug)]
pub struct Plan {
    outputs: Vec<Output>,
}

/// One array that a plan computes.
#[derive(Clone, Debug)]
pub struct Output {
    name: String,
    node: NodeRef,
    chunks: ChunkGrid,
}

impl Output {
    /// The array `node`, to be handed over cut as `chunks`.
    ///
    /// # Errors
    /// A grid of another shape.
    pub fn new(name: impl Into<String>, node: &NodeRef, chunks: ChunkGrid) -> Result<Output> {
        if chunks.shape() != *node.schema().shape {
            return Err(Error::Invalid(format!(
                "chunks of shape {} for an output of shape {}",
                crate::repr::tuple(&chunks.shape()),
                crate::repr::tuple(&node.schema().shape)
            )));
        }
        Ok(Output {
            name: name.into(),
            node: Arc::clone(node),
            chunks,
        })
    }

    /// Its name, for progress and errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What makes it.
    pub fn node(&self) -> &NodeRef {
        &self.node
    }

    /// The chunks in which it is handed over.
    pub fn chunks(&self) -> &ChunkGrid {
        &self.chunks
    }

    /// What its pixels are.
    pub fn schema(&self) -> &Schema {
        self.node.schema()
    }

    /// Bytes of all its pixels.
    pub fn nbytes(&self) -> u64 {
        let schema = self.schema();
        (schema.shape.iter().product::<usize>() * schema.dtype.size()) as u64
    }
}

impl Plan {
    /// The plan of these outputs.
    ///
    /// # Errors
    /// Two outputs of one name.
    pub fn new(outputs: Vec<Output>) -> Result<Plan> {
        let mut names = HashSet::new();
        if let Some(twice) = outputs
            .iter()
            .find(|output| !names.insert(output.name.as_str()))
        {
            return Err(Error::Invalid(format!(
                "two outputs are called `{}`",
                twice.name
            )));
        }
        Ok(Plan { outputs })
    }

    /// The arrays that it computes.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// Every node once, inputs before their users.
    pub fn nodes(&self) -> Vec<NodeRef> {
        topological(self.outputs.iter().map(Output::node))
    }

    /// Bytes of all outputs.
    pub fn nbytes(&self) -> u64 {
        self.outputs.iter().map(Output::nbytes).sum()
    }

    /// What it computes, as a hash of the content: equal plans have equal keys
    /// in every process.
    ///
    /// # Errors
    /// A source that cannot state its content.
    pub fn key(&self) -> Result<Key> {
        let mut hasher = blake3::Hasher::new_derive_key("datacube plan, version 1");
        for output in &self.outputs {
            hasher.update(&wire::encode(&(&output.name, &output.chunks))?);
            hasher.update(key::key_of(&output.node)?.as_bytes());
        }
        Ok(Key::of(&hasher))
    }
}

/// The key of one node.
///
/// # Errors
/// A source that cannot state its content.
pub fn node_key(node: &NodeRef) -> Result<Key> {
    key::key_of(node)
}

/// Every node below `roots` once, inputs before their users. Does not recurse:
/// plans can be long chains.
pub(crate) fn topological<'a>(roots: impl IntoIterator<Item = &'a NodeRef>) -> Vec<NodeRef> {
    let mut order = Vec::new();
    let mut seen: HashSet<*const Node> = HashSet::new();
    for root in roots {
        let mut stack = vec![(Arc::clone(root), false)];
        while let Some((node, inputs_done)) = stack.pop() {
            if inputs_done {
                order.push(node);
                continue;
            }
            if !seen.insert(Arc::as_ptr(&node)) {
                continue;
            }
            let inputs: Vec<NodeRef> = node.inputs().iter().rev().map(Arc::clone).collect();
            stack.push((node, true));
            stack.extend(inputs.into_iter().map(|input| (input, false)));
        }
    }
    order
}
