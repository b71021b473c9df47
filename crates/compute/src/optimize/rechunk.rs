//! Re-chunk at the source: chunk grids leave the graph.
//!
//! Sources make any region, so the chunks of an intermediate mean nothing: what
//! the consumer wants is asked of the source directly, and no pixels are moved
//! from one cut to another. Only outputs keep their grid.

use std::sync::Arc;

use super::rewrite::{rewrite, with_inputs};
use crate::chunks::ChunkGrid;
use crate::error::Result;
use crate::plan::{Node, Op, Plan};

/// The plan without grids but those of its outputs.
///
/// # Errors
/// Only for a defect of this crate.
pub fn rechunk(plan: &Plan) -> Result<Plan> {
    rewrite(plan, |node, inputs| {
        let schema = node.schema();
        let whole = ChunkGrid::whole(&schema.shape);
        match node.op() {
            _ if inputs.is_empty() && schema.chunks == whole => Ok(Arc::clone(node)),
            Op::Source(source) => Node::source(Arc::clone(source), Arc::clone(&schema.dims), whole),
            Op::Memory(array) => Node::memory(Arc::clone(array), Arc::clone(&schema.dims), whole),
            Op::Full(value) => {
                let mut like = schema.clone();
                like.chunks = whole;
                Node::full(*value, &like)
            }
            Op::Rechunk => Ok(Arc::clone(&inputs[0])),
            _ => with_inputs(node, inputs),
        }
    })
}
