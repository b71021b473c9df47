//! Tasks: one chunk of a stage, from what it will weigh to the instructions that
//! make its pixels.
//!
//! A task asks the nodes below it for the regions that they have to give, and
//! they ask those below them, down to what is read. What comes of it is one list
//! of instructions over numbered buffers: read, run a program, take pixels into
//! the states of a reduction, drop what nobody needs any more. So what a task
//! holds at most is known by walking the list, and it can be run in steps, each
//! of which needs only its own bytes to have arrived: a reduction over time
//! fetches, decodes and takes a few dates, and then the next.

use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::planner::{Pace, Planner};
use super::read::Read;
use super::stage::{Maker, Stage};
use crate::plan::MemoryArray;
use crate::program::layout::Layout;
use crate::region::Region;
use crate::source::{Cost, Fetched, SourceError};

pub(crate) use super::machine::{Stop, TaskStats};

/// One chunk of a stage, planned: nothing has been read.
#[derive(Debug)]
pub(crate) struct Task {
    pub(super) stage: Arc<Stage>,
    /// The pixels that it makes.
    pub(crate) region: Region,
    pub(super) reads: Vec<Read>,
    pub(super) instructions: Vec<Instruction>,
    /// After each instruction, the slots that nobody needs any more.
    pub(super) frees: Vec<Vec<usize>>,
    /// The instructions of each step: reads first.
    pub(super) steps: Vec<Range<usize>>,
    /// Bytes of each slot.
    pub(super) slots: Vec<usize>,
    pub(super) n_states: usize,
    pub(super) weight: Weight,
    /// Steps whose bytes may be there at a time.
    pub(super) ahead: usize,
}

/// What a task needs while it is in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weight {
    /// What it reads in all, and the most that decoding needs besides.
    pub(crate) cost: Cost,
    /// Bytes that are there at a time between fetching and decoding.
    pub(crate) fetched: u64,
    /// Buffers for what is read and for what functions leave to others.
    pub(crate) inputs: u64,
    /// States of reductions, and what other regional functions need besides.
    pub(crate) states: u64,
    pub(crate) outputs: u64,
    pub(crate) program: u64,
}

impl Weight {
    /// Bytes at most at one time.
    pub(crate) fn bytes(&self) -> u64 {
        self.fetched
            + self.cost.scratch_bytes
            + self.inputs
            + self.states
            + self.outputs
            + self.program
    }
}

/// What a task does, one after the other. Buffers are slots by number.
#[derive(Debug)]
pub(super) enum Instruction {
    /// Decodes what was fetched.
    Read { read: usize, slot: usize },
    /// Runs a program, into a slot or into the outputs.
    Program {
        maker: Arc<Maker>,
        inputs: Vec<Input>,
        slot: Option<usize>,
        len: usize,
    },
    /// Copies pixels, into a slot or into the output.
    Copy {
        input: Input,
        size: usize,
        slot: Option<usize>,
        len: usize,
    },
    /// Makes the states of a reduction's part `out`.
    Begin {
        states: usize,
        maker: Arc<Maker>,
        out: Region,
    },
    /// Takes pixels into states.
    Take {
        states: usize,
        input: Input,
        size: usize,
        region: Region,
    },
    /// Ends a canonical block.
    EndBlock { states: usize },
    /// Writes what states came to, or the states themselves.
    Finish {
        states: usize,
        words: bool,
        slot: usize,
    },
    /// Runs a regional function on whole blocks.
    Run {
        maker: Arc<Maker>,
        region: Region,
        inputs: Vec<Option<(Input, Region)>>,
        slot: usize,
    },
    /// Puts a part where it belongs.
    Place {
        part: Region,
        from: usize,
        whole: Region,
        to: usize,
        size: usize,
    },
    /// A slot without pixels.
    Empty { slot: usize },
    /// A slot is the output.
    Deliver { slot: usize, size: usize },
}

/// Where the pixels of an input lie.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) from: From,
    pub(super) layout: Layout,
}

#[derive(Clone, Debug)]
pub(super) enum From {
    Slot(usize),
    Memory(Arc<MemoryArray>),
}

impl Task {
    /// The task that makes `region`, a chunk of the stage or a part of one.
    pub(crate) fn plan(stage: &Arc<Stage>, region: Region) -> Task {
        Planner::plan(stage, region, Pace::BRISK)
    }

    /// As [`Task::plan`], in smaller pieces that need less memory at a time.
    pub(crate) fn plan_modestly(stage: &Arc<Stage>, region: Region) -> Task {
        Planner::plan(stage, region, Pace::MODEST)
    }

    /// What it needs, results that stay where they are written not included.
    pub(crate) fn weight(&self, in_place: bool) -> Weight {
        Weight {
            outputs: if in_place { 0 } else { self.weight.outputs },
            ..self.weight
        }
    }

    /// Steps whose bytes may be there at a time.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead
    }

    /// Number of steps.
    pub(crate) fn n_steps(&self) -> usize {
        self.steps.len()
    }

    fn step_reads(&self, step: usize) -> impl Iterator<Item = &Read> {
        self.instructions[self.steps[step].clone()]
            .iter()
            .filter_map(|instruction| match instruction {
                Instruction::Read { read, .. } => Some(&self.reads[*read]),
                _ => None,
            })
    }

    pub(super) fn step_bytes(&self, step: usize) -> u64 {
        self.step_reads(step)
            .flat_map(|read| {
                let pieces = read.pieces().into_iter();
                pieces.map(|piece| read.source.project(&piece.region).read_bytes)
            })
            .sum()
    }

    /// The futures that bring what a step needs, in its order.
    pub(crate) fn fetches(
        &self,
        step: usize,
    ) -> Vec<BoxFuture<'static, Result<Fetched, SourceError>>> {
        let pieces = |read: &Read| {
            let source = Arc::clone(&read.source);
            read.pieces()
                .into_iter()
                .map(move |piece| source.fetch(&piece.region))
        };
        self.step_reads(step).flat_map(pieces).collect()
    }
}
