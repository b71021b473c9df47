//! Stages: outputs that are made together, chunk by chunk.

use std::collections::HashMap;
use std::sync::Arc;

use datacube_model::DType;

use super::view::View;
use crate::chunks::ChunkGrid;
use crate::error::{Error, Result};
use crate::plan::{Arg, MemoryArray, Node, NodeRef, Op, Plan};
use crate::program::{Builder, Compiled, Program, Simd};
use crate::regional::Regional;
use crate::source::ChunkSource;

/// Some outputs of a plan that one pass over a chunk makes.
#[derive(Debug)]
pub(crate) struct Stage {
    /// What comes out.
    pub(crate) outputs: Vec<StageOutput>,
    /// The chunks; one task each.
    pub(crate) chunks: ChunkGrid,
    /// What makes them.
    pub(super) maker: Arc<Maker>,
}

/// What makes an array of what it reads.
#[derive(Debug)]
pub(super) struct Maker {
    /// What is read.
    pub(super) leaves: Vec<Leaf>,
    pub(super) body: Body,
    /// Type of the pixels that come out; of the first output.
    pub(super) dtype: DType,
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
    /// A function of regions.
    Regional {
        regional: Regional,
        /// Shapes of its inputs.
        shapes: Vec<Vec<usize>>,
    },
}

impl Maker {
    /// The regional function, and the shape of its first input.
    pub(super) fn regional(&self) -> Result<(&Regional, &[usize])> {
        match &self.body {
            Body::Regional { regional, shapes } => Ok((regional, &shapes[0])),
            _ => Err(Error::Bug("no regional function".to_owned())),
        }
    }

    /// Bytes that a program needs besides its inputs and outputs.
    pub(super) fn program_bytes(&self) -> usize {
        match &self.body {
            Body::Program(program) => program.scratch_bytes(),
            _ => 0,
        }
    }

    /// Bytes that a regional function needs besides, for `out` pixels of
    /// `pixels`.
    pub(super) fn scratch_bytes(&self, pixels: usize, out: usize) -> usize {
        match (&self.body, self.leaves.first()) {
            (Body::Regional { regional, shapes }, Some(leaf)) => {
                let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
                regional.scratch_bytes(&shapes, leaf.dtype, pixels, out)
            }
            _ => 0,
        }
    }

    /// Whether anything below has to be fetched.
    fn reads(&self) -> bool {
        self.leaves.iter().any(|leaf| match &leaf.origin {
            Origin::Source(_) => true,
            Origin::Memory(_) => false,
            Origin::Made(maker) => maker.reads(),
        })
    }
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
    /// Made by other work of the same task.
    Made(Arc<Maker>),
}

/// Makers that have been met, and how to make others.
struct Makers {
    simd: Simd,
    known: HashMap<*const Node, Arc<Maker>>,
}

/// Regional functions within each other; each is a call deep.
const MAX_DEPTH: usize = 200;

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
        let mut makers = Makers {
            simd,
            known: HashMap::new(),
        };
        for (root, outputs) in order {
            stages.push(Stage::of(plan, &root, &outputs, &mut makers)?);
        }
        Ok(stages)
    }

    fn of(
        plan: &Plan,
        root: &NodeRef,
        picks: &[(usize, usize)],
        makers: &mut Makers,
    ) -> Result<Stage> {
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
        let simd = makers.simd;
        let maker = match root.op() {
            Op::Fused(program) => {
                let leaves = makers.leaves(root.inputs(), 0)?;
                let wanted: Vec<usize> = picks.iter().map(|&(_, pick)| pick).collect();
                let all = wanted.len() == program.outputs().len()
                    && wanted.iter().enumerate().all(|(i, &pick)| i == pick);
                let compiled = if all {
                    Compiled::new(program, simd)?
                } else {
                    Compiled::new(&some_outputs(program, &wanted)?, simd)?
                };
                Arc::new(Maker {
                    leaves,
                    body: Body::Program(compiled),
                    dtype: outputs[0].dtype,
                })
            }
            Op::Full(value) => {
                let program = Builder::new(Vec::new()).finish(&[Arg::Const(*value)])?;
                Arc::new(Maker {
                    leaves: Vec::new(),
                    body: Body::Program(Compiled::new(&program, simd)?),
                    dtype: outputs[0].dtype,
                })
            }
            Op::Regional(_) => makers.maker(root, 0)?,
            _ => Arc::new(Maker {
                leaves: vec![makers.leaf(root, 0)?],
                body: Body::Copy,
                dtype: outputs[0].dtype,
            }),
        };
        Ok(Stage {
            outputs,
            chunks,
            maker,
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
        self.maker.reads()
    }
}

impl Makers {
    fn leaves(&mut self, nodes: &[NodeRef], depth: usize) -> Result<Vec<Leaf>> {
        nodes.iter().map(|node| self.leaf(node, depth)).collect()
    }

    fn leaf(&mut self, node: &NodeRef, depth: usize) -> Result<Leaf> {
        let (view, below) = View::descend(node);
        let origin = match below.op() {
            Op::Source(source) => Origin::Source(Arc::clone(source)),
            Op::Memory(array) => Origin::Memory(Arc::clone(array)),
            Op::Full(_) | Op::Fused(_) | Op::Regional(_) => {
                Origin::Made(self.maker(&below, depth + 1)?)
            }
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

    /// What makes a node that is no leaf.
    fn maker(&mut self, node: &NodeRef, depth: usize) -> Result<Arc<Maker>> {
        if let Some(maker) = self.known.get(&Arc::as_ptr(node)) {
            return Ok(Arc::clone(maker));
        }
        if depth > MAX_DEPTH {
            return Err(Error::Unsupported(format!(
                "more than {MAX_DEPTH} reductions, windows or the like within each other; compute some on the way, with `persist`"
            )));
        }
        let leaves = self.leaves(node.inputs(), depth)?;
        let body = match node.op() {
            Op::Fused(program) => Body::Program(Compiled::new(program, self.simd)?),
            Op::Full(value) => {
                let program = Builder::new(Vec::new()).finish(&[Arg::Const(*value)])?;
                Body::Program(Compiled::new(&program, self.simd)?)
            }
            Op::Regional(regional) => Body::Regional {
                regional: regional.clone(),
                shapes: (node.inputs().iter())
                    .map(|input| input.schema().shape.to_vec())
                    .collect(),
            },
            other => return Err(Error::Bug(format!("{other:?} makes nothing"))),
        };
        let maker = Arc::new(Maker {
            leaves,
            body,
            dtype: node.schema().dtype,
        });
        self.known.insert(Arc::as_ptr(node), Arc::clone(&maker));
        Ok(maker)
    }
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
