//! Phases: a plan taken apart where something is made once and kept.
//!
//! Each phase is a plan of its own whose result goes to a store; the last one
//! makes the outputs. Stores are let go with the last phase that reads them.

use std::collections::HashMap;
use std::sync::Arc;

use super::Shared;
use super::spill::{Store, Stored};
use super::tasks::{Projection, TaskList};
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::optimize::{optimize_with, with_inputs, with_nodes};
use crate::plan::{Node, NodeRef, Op, Output, Plan};
use crate::sink::ChunkSink;

/// A part of a job.
pub(super) struct Phase {
    pub(super) tasks: TaskList,
    pub(super) projection: Projection,
    /// Where its result goes; none for the job's own.
    pub(super) store: Option<Arc<Store>>,
}

/// The phases of a plan, each checked to fit into `limit`; the last one writes to
/// `sink`, and may be cut into `parts`. What the sink holds already is left out.
///
/// # Errors
/// A task that does not fit; a defect of this crate.
pub(super) fn phases(
    shared: &Shared,
    plan: &Plan,
    together: bool,
    (sink, parts): (&dyn ChunkSink, Option<usize>),
    limit: Option<u64>,
) -> Result<Vec<Phase>> {
    let plan = optimize_with(plan, together)?;
    let in_place = sink.memory().is_some();
    let mut phases = Vec::new();
    for (plan, store) in split(&plan)? {
        let last = store.is_none();
        let parts = parts.filter(|_| last);
        let mut tasks = TaskList::new(&plan, shared.simd, parts)?;
        if last {
            tasks = tasks.without_held(sink);
        }
        let projection = tasks.project(in_place && last, limit)?;
        phases.push(Phase {
            tasks,
            projection,
            store,
        });
    }
    // Where nothing is left to be made, nothing has to be made for it.
    if phases.last().is_some_and(|last| last.tasks.len() == 0) {
        phases.drain(..phases.len() - 1);
    }
    Ok(phases)
}

fn split(plan: &Plan) -> Result<Vec<(Plan, Option<Arc<Store>>)>> {
    let mut phases = Vec::new();
    let mut made: HashMap<*const Node, NodeRef> = HashMap::new();
    let find = |made: &HashMap<*const Node, NodeRef>, node: &NodeRef| {
        let found = made.get(&Arc::as_ptr(node)).map(Arc::clone);
        found.ok_or_else(|| Error::Bug("a node before its inputs".to_owned()))
    };
    let names: Vec<&str> = plan.outputs().iter().map(Output::name).collect();
    for node in plan.nodes() {
        let inputs = (node.inputs().iter())
            .map(|input| find(&made, input))
            .collect::<Result<Vec<_>>>()?;
        let new = match node.op() {
            Op::Materialize => {
                let schema = node.schema();
                let what = match inputs[0].op() {
                    Op::Regional(regional) => regional.name().to_owned(),
                    _ => "array".to_owned(),
                };
                let step = phases.len() + 1;
                let name = format!("step {step} ({what}) of {}", names.join(", "));
                let output = Output::new(name.clone(), &inputs[0], schema.chunks.clone())?;
                let store = Store::new(name, &schema.shape, schema.dtype, schema.chunks.clone());
                phases.push((Plan::new(vec![output])?, Some(Arc::clone(&store))));
                let whole = ChunkGrid::whole(&schema.shape);
                Node::source(Arc::new(Stored(store)), Arc::clone(&schema.dims), whole)?
            }
            _ => with_inputs(&node, inputs)?,
        };
        made.insert(Arc::as_ptr(&node), new);
    }
    let last = with_nodes(plan, |node| find(&made, node))?;
    phases.push((last, None));
    Ok(phases)
}
