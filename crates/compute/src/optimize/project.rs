//! Projection: what no output needs is not read.
//!
//! Variables that nobody asks for are not in a plan to begin with. What is left
//! are inputs that turned out not to matter once functions were put together,
//! such as both bands of a choice whose condition is constant.

use std::sync::Arc;

use super::rewrite::{rewrite, with_inputs};
use crate::error::Result;
use crate::plan::{Node, Op, Plan};
use crate::program::Program;

/// The plan whose programs read only what they use.
///
/// # Errors
/// Only for a defect of this crate.
pub fn project(plan: &Plan) -> Result<Plan> {
    rewrite(plan, |node, inputs| {
        let Op::Fused(program) = node.op() else {
            return with_inputs(node, inputs);
        };
        let mut used = program.used_inputs();
        if !used.contains(&true)
            && let Some(first) = used.first_mut()
        {
            // The shape comes from an input, so one has to stay.
            *first = true;
        }
        if used.iter().all(|&used| used) {
            return with_inputs(node, inputs);
        }
        let kept = inputs.into_iter().zip(&used).filter(|(_, used)| **used);
        let kept = kept.map(|(input, _)| input).collect();
        let program: Program = program.with_inputs(&used);
        Node::fused(Arc::new(program), kept)
    })
}
