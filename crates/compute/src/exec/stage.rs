//! Stages: outputs that are made together, chunk by chunk.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::DType;

use super::view::View;
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::plan::{Arg, MemoryArray, Node, NodeRef, Op, Plan};
use crate::program::{Builder, Compiled, Program, Simd};
use crate::source::ChunkSource;

/// Some outputs of a plan that one pass over a chunk makes.
#[derive(Debug)]
pub(crate) struct Stage {
    /// What comes out.
    pub(crate) outputs: Vec<StageOutput>,
    /// The chunks; one task each.
    pub(crate) chunks: ChunkGrid,
    /// What is read.
    pub(super) leaves: Vec<Leaf>,
    pub(super) body: Body,
}

/// An output of a stage.
#[derive(Debug)]
pub(crate) struct StageOutput {
    /// Its number in the plan.
    pub(crate) number: usize,
    /// Its name.
    pub(crate) name: String,
    /// Type of its pixels.
    pub(crate) dtype: DType,
}

/// What is done with the leaves.
#[derive(Debug)]
pub(super) enum Body {
    /// The only leaf is the only output.
    Copy,
    /// One pass of a program.
    Program(Compiled),
}

/// An input of a stage: pixels that are read, and how they are looked at.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) origin: Origin,
    pub(super) view: View,
    pub(super) dtype: DType,
}

/// Where a leaf's pixels are.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// Made on demand.
    Source(Arc<dyn ChunkSource>),
    /// In memory.
    Memory(Arc<MemoryArray>),
}

impl Stage {
    /// The stages of an optimised plan, in the order of its outputs.
    pub(crate) fn all(plan: &Plan, simd: Simd) -> Result<Vec<Stage>> {
        let mut stages: Vec<Stage> = Vec::new();
        let mut fused: HashMap<*const Node, Vec<(usize, usize)>> = HashMap::new();
        let mut order: Vec<(NodeRef, Vec<(usize, usize)>)> = Vec::new();
        for (number, output) in plan.outputs().iter().enumerate() {
            let (root, pick) = match output.node().op() {
                Op::Pick(pick) => (Arc::clone(&output.node().inputs()[0]), *pick),
                _ => (Arc::clone(output.node()), 0),
            };
            // Only what is cut alike can be made together.
            let together = matches!(root.op(), Op::Fused(_)).then(|| Arc::as_ptr(&root));
            let same = together.and_then(|key| {
                let known = fused.get(&key)?;
                let first = &plan.outputs()[known[0].0];
                (first.chunks() == output.chunks()).then_some(key)
            });
            match same {
                Some(key) => {
                    fused.entry(key).or_default().push((number, pick));
                    let stage = order.iter_mut().find(|(root, _)| Arc::as_ptr(root) == key);
                    if let Some((_, outputs)) = stage {
                        outputs.push((number, pick));
                    }
                }
                None => {
                    if let Some(key) = together {
                        fused.insert(key, vec![(number, pick)]);
                    }
                    order.push((root, vec![(number, pick)]));
                }
            }
        }
        for (root, outputs) in order {
            stages.push(Stage::of(plan, &root, &outputs, simd)?);
        }
        Ok(stages)
    }

    fn of(plan: &Plan, root: &NodeRef, picks: &[(usize, usize)], simd: Simd) -> Result<Stage> {
        let outputs: Vec<StageOutput> = picks
            .iter()
            .map(|&(number, _)| {
                let output = &plan.outputs()[number];
                StageOutput {
                    number,
                    name: output.name().to_owned(),
                    dtype: output.schema().dtype,
                }
            })
            .collect();
        let chunks = plan.outputs()[picks[0].0].chunks().clone();
        let (leaves, body) = match root.op() {
            Op::Fused(program) => {
                let leaves = root.inputs().iter().map(leaf).collect::<Result<Vec<_>>>()?;
                let wanted: Vec<usize> = picks.iter().map(|&(_, pick)| pick).collect();
                let all = wanted.len() == program.outputs().len()
                    && wanted.iter().enumerate().all(|(i, &pick)| i == pick);
                let compiled = if all {
                    Compiled::new(program, simd)?
                } else {
                    Compiled::new(&some_outputs(program, &wanted)?, simd)?
                };
                (leaves, Body::Program(compiled))
            }
            Op::Full(value) => {
                let program = Builder::new(Vec::new()).finish(&[Arg::Const(*value)])?;
                (Vec::new(), Body::Program(Compiled::new(&program, simd)?))
            }
            _ => (vec![leaf(root)?], Body::Copy),
        };
        Ok(Stage {
            outputs,
            chunks,
            leaves,
            body,
        })
    }

    /// What errors and events call the stage: the names of its outputs.
    pub(crate) fn name(&self) -> String {
        self.outputs
            .iter()
            .map(|output| output.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Whether anything has to be fetched.
    pub(crate) fn reads(&self) -> bool {
        self.leaves
            .iter()
            .any(|leaf| matches!(leaf.origin, Origin::Source(_)))
    }
}

fn leaf(node: &NodeRef) -> Result<Leaf> {
    let (view, below) = View::descend(node);
    let origin = match below.op() {
        Op::Source(source) => Origin::Source(Arc::clone(source)),
        Op::Memory(array) => Origin::Memory(Arc::clone(array)),
        other => {
            return Err(Error::Bug(format!(
                "{other:?} in a plan that was optimised"
            )));
        }
    };
    Ok(Leaf {
        origin,
        view,
        dtype: node.schema().dtype,
    })
}

/// The program with only these outputs, in this order.
fn some_outputs(program: &Program, wanted: &[usize]) -> Result<Program> {
    let mut builder = Builder::new(program.inputs().to_vec());
    let mut values: Vec<Arg> = (0..program.inputs().len())
        .map(|input| Arg::Value(u32::try_from(input).unwrap_or(u32::MAX)))
        .collect();
    for step in program.steps() {
        let args = step.args.iter().map(|arg| match *arg {
            Arg::Value(value) => values[value as usize],
            constant => constant,
        });
        let value = builder.step(step.func, args.collect())?;
        values.push(value);
    }
    let outputs: Vec<Arg> = wanted
        .iter()
        .map(|&output| values[program.outputs()[output] as usize])
        .collect();
    builder.finish(&outputs)
}
