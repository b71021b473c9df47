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

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::read::{Read, place};
use super::stage::{Body, Leaf, Maker, Origin, Stage};
use crate::index::AxisIndex;
use crate::plan::MemoryArray;
use crate::program::layout::{Layout, Step};
use crate::reduce::{self, Geometry, Reduce};
use crate::region::{Region, c_strides};
use crate::regional::Regional;
use crate::source::{Cost, Fetched, SourceError};

pub(crate) use super::machine::{Stop, TaskStats};

/// How much a task does at a time. Its pixels do not depend on it.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// Bytes of pixels that a reduction takes.
    step_bytes: usize,
    /// Bytes of pixels or states for which a regional function is run, if its
    /// result can be made in parts.
    tile_bytes: usize,
    /// Whether steps are fetched ahead.
    ahead: bool,
}

/// Where there is memory.
const BRISK: Pace = Pace {
    step_bytes: 4 << 20,
    tile_bytes: 32 << 20,
    ahead: true,
};
/// Where there is not.
const MODEST: Pace = Pace {
    step_bytes: 64 << 10,
    tile_bytes: 1 << 20,
    ahead: false,
};
/// Bytes that the steps of one task fetch ahead.
const AHEAD_BYTES: u64 = 32 << 20;
/// Steps that one task fetches ahead.
const AHEAD_STEPS: usize = 16;
/// Parts are not made smaller than this along an axis.
const TILE_EDGE: usize = 32;

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
    weight: Weight,
    /// Steps whose bytes may be there at a time.
    ahead: usize,
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
        Task::at_pace(stage, region, BRISK)
    }

    /// As [`Task::plan`], in smaller pieces that need less memory at a time.
    pub(crate) fn plan_modestly(stage: &Arc<Stage>, region: Region) -> Task {
        Task::at_pace(stage, region, MODEST)
    }

    fn at_pace(stage: &Arc<Stage>, region: Region, pace: Pace) -> Task {
        let mut planner = Planner::new(pace);
        let maker = &stage.maker;
        let want = ranges(&region);
        match &maker.body {
            Body::Copy => {
                let leaves: Vec<&Leaf> = maker.leaves.iter().collect();
                let input = planner.inputs(&leaves, &want).remove(0);
                planner.instructions.push(Instruction::Copy {
                    input,
                    size: maker.dtype.size(),
                    slot: None,
                    len: region.len(),
                });
            }
            Body::Program(_) => {
                let leaves: Vec<&Leaf> = maker.leaves.iter().collect();
                let inputs = planner.inputs(&leaves, &want);
                planner.instructions.push(Instruction::Program {
                    maker: Arc::clone(maker),
                    inputs,
                    slot: None,
                    len: region.len(),
                });
            }
            Body::Regional { .. } => {
                let slot = planner.regional(maker, &region);
                let size = maker.dtype.size();
                planner
                    .instructions
                    .push(Instruction::Deliver { slot, size });
            }
        }
        planner.finish(stage, region)
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

    fn step_bytes(&self, step: usize) -> u64 {
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

fn ranges(region: &Region) -> Vec<AxisIndex> {
    region
        .ranges()
        .iter()
        .map(|range| AxisIndex::range(range.start, range.len(), 1))
        .collect()
}

/// Writes the instructions of a task.
struct Planner {
    pace: Pace,
    reads: Vec<Read>,
    instructions: Vec<Instruction>,
    slots: Vec<usize>,
    n_states: usize,
    /// What has been made, by who makes it and which positions.
    made: HashMap<(*const Maker, Vec<AxisIndex>), usize>,
}

impl Planner {
    fn new(pace: Pace) -> Planner {
        Planner {
            pace,
            reads: Vec::new(),
            instructions: Vec::new(),
            slots: Vec::new(),
            n_states: 0,
            made: HashMap::new(),
        }
    }

    fn slot(&mut self, bytes: usize) -> usize {
        self.slots.push(bytes);
        self.slots.len() - 1
    }

    /// Where the pixels of some inputs lie at the positions `want`, along each
    /// axis of who reads them. What one of them reads serves the others too,
    /// where that takes no more pixels.
    fn inputs(&mut self, leaves: &[&Leaf], want: &[AxisIndex]) -> Vec<Input> {
        let shape: Vec<usize> = want.iter().map(|index| index.len().unwrap_or(1)).collect();
        let positions: Vec<Vec<AxisIndex>> = leaves
            .iter()
            .map(|leaf| leaf.view.positions(want))
            .collect();
        let mut reads: Vec<Read> = Vec::new();
        let mut read_of = vec![0; leaves.len()];
        for (number, leaf) in leaves.iter().enumerate() {
            if let Origin::Source(source) = &leaf.origin {
                let read = Read::plan(source, &positions[number], leaf.dtype);
                read_of[number] = match reads.iter_mut().position(|other| other.take_in(&read)) {
                    Some(other) => other,
                    None => {
                        reads.push(read);
                        reads.len() - 1
                    }
                };
            }
        }
        // Nested work first, so that what is read is decoded when it is needed.
        let made: Vec<Option<(usize, Vec<AxisIndex>)>> = leaves
            .iter()
            .zip(&positions)
            .map(|(leaf, positions)| match &leaf.origin {
                Origin::Made(maker) => Some(self.make(maker, positions)),
                _ => None,
            })
            .collect();
        let slots: Vec<usize> = reads.iter().map(|read| self.slot(read.bytes())).collect();
        let inputs = leaves
            .iter()
            .zip(made)
            .enumerate()
            .map(|(number, (leaf, made))| {
                let index = &positions[number];
                let layout = |buffer: &[usize], at: &dyn Fn(usize, usize) -> usize| {
                    input_layout(leaf, index, &shape, buffer, at)
                };
                match (&leaf.origin, made) {
                    (Origin::Memory(array), _) => Input {
                        from: From::Memory(Arc::clone(array)),
                        layout: layout(&array.shape, &|axis, i| index[axis].get(i)),
                    },
                    (Origin::Made(_), Some((slot, held))) => {
                        let buffer: Vec<usize> =
                            held.iter().map(|held| held.len().unwrap_or(1)).collect();
                        let layout = layout(&buffer, &|axis, i| {
                            let same = held[axis].len() == index[axis].len()
                                && held[axis].get(0) == index[axis].get(0)
                                && held[axis] == index[axis];
                            if same || index[axis].len().is_none() && buffer[axis] == 1 {
                                i
                            } else {
                                index[axis].get(i) - held[axis].get(0)
                            }
                        });
                        Input {
                            from: From::Slot(slot),
                            layout,
                        }
                    }
                    _ => {
                        let read = &reads[read_of[number]];
                        let layout = layout(&read.shape(), &|axis, i| {
                            place(&read.runs[axis], index[axis].get(i))
                        });
                        Input {
                            from: From::Slot(slots[read_of[number]]),
                            layout,
                        }
                    }
                }
            })
            .collect();
        for (read, slot) in reads.into_iter().zip(slots) {
            self.reads.push(read);
            self.instructions.push(Instruction::Read {
                read: self.reads.len() - 1,
                slot,
            });
        }
        inputs
    }

    /// A slot with what `maker` makes at `positions`, and which positions it
    /// holds: these, or all between the first and the last.
    fn make(&mut self, maker: &Arc<Maker>, positions: &[AxisIndex]) -> (usize, Vec<AxisIndex>) {
        let want: Vec<AxisIndex> = match &maker.body {
            Body::Regional { .. } => positions
                .iter()
                .map(|index| {
                    let hull = index.hull();
                    AxisIndex::range(hull.start, hull.len(), 1)
                })
                .collect(),
            _ => positions
                .iter()
                .map(|index| match index {
                    AxisIndex::At(at) => AxisIndex::range(*at, 1, 1),
                    other => other.clone(),
                })
                .collect(),
        };
        let key = (Arc::as_ptr(maker), want.clone());
        if let Some(slot) = self.made.get(&key) {
            return (*slot, want);
        }
        let len: usize = want.iter().map(|index| index.len().unwrap_or(1)).product();
        let slot = match &maker.body {
            Body::Regional { .. } => {
                let ranges: Vec<Range<usize>> = want.iter().map(AxisIndex::hull).collect();
                self.regional(maker, &Region::new(ranges))
            }
            Body::Program(_) | Body::Copy => {
                let leaves: Vec<&Leaf> = maker.leaves.iter().collect();
                let mut inputs = self.inputs(&leaves, &want);
                let slot = self.slot(len * maker.dtype.size());
                self.instructions.push(match maker.body {
                    Body::Copy => Instruction::Copy {
                        input: inputs.remove(0),
                        size: maker.dtype.size(),
                        slot: Some(slot),
                        len,
                    },
                    _ => Instruction::Program {
                        maker: Arc::clone(maker),
                        inputs,
                        slot: Some(slot),
                        len,
                    },
                });
                slot
            }
        };
        self.made.insert(key, slot);
        (slot, want)
    }

    /// The pixels of `region` of an input, one after the other.
    fn block(&mut self, leaf: &Leaf, region: &Region) -> Input {
        let input = self.inputs(&[leaf], &ranges(region)).remove(0);
        let plain = input.layout.len() == region.len()
            && (input.layout.start_if_contiguous().is_some() || region.is_empty());
        if plain {
            return input;
        }
        let size = leaf.dtype.size();
        let slot = self.slot(region.len() * size);
        self.instructions.push(Instruction::Copy {
            input,
            size,
            slot: Some(slot),
            len: region.len(),
        });
        Input {
            from: From::Slot(slot),
            layout: Layout::contiguous(region.len()),
        }
    }

    /// A slot with `region` of what a regional function makes.
    fn regional(&mut self, maker: &Arc<Maker>, region: &Region) -> usize {
        let size = maker.dtype.size();
        let whole = self.slot(region.len() * size);
        if region.is_empty() {
            self.instructions.push(Instruction::Empty { slot: whole });
            return whole;
        }
        let tiles = tiles(maker, region, self.pace.tile_bytes);
        let alone = tiles.len() == 1;
        for tile in &tiles {
            let slot = if alone {
                whole
            } else {
                self.slot(tile.len() * size)
            };
            self.tile(maker, tile, slot);
            if !alone {
                self.instructions.push(Instruction::Place {
                    part: tile.clone(),
                    from: slot,
                    whole: region.clone(),
                    to: whole,
                    size,
                });
            }
        }
        whole
    }

    fn tile(&mut self, maker: &Arc<Maker>, tile: &Region, slot: usize) {
        let Body::Regional { regional, shapes } = &maker.body else {
            return;
        };
        let shape = &shapes[0];
        match regional {
            Regional::Reduce(reduce) if reduce.op.streams() => {
                let blocks = 0..Geometry::new(reduce, shape).n_blocks();
                self.stream(maker, reduce, shape, (tile, blocks), false, slot);
            }
            Regional::Partial(reduce) => {
                let ranges = tile.ranges();
                let out = Region::new(ranges[1..ranges.len() - 1].to_vec());
                let blocks = ranges[0].clone();
                self.stream(maker, reduce, shape, (&out, blocks), true, slot);
            }
            _ => {
                let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
                let wants = regional.wants(&shapes, tile);
                let inputs = wants
                    .into_iter()
                    .zip(&maker.leaves)
                    .map(|(want, leaf)| {
                        let want = want?;
                        Some((self.block(leaf, &want), want))
                    })
                    .collect();
                self.instructions.push(Instruction::Run {
                    maker: Arc::clone(maker),
                    region: tile.clone(),
                    inputs,
                    slot,
                });
            }
        }
    }

    /// A reduction that takes its input step by step.
    fn stream(
        &mut self,
        maker: &Arc<Maker>,
        reduce: &Reduce,
        shape: &[usize],
        (out, blocks): (&Region, Range<usize>),
        words: bool,
        slot: usize,
    ) {
        let geometry = Geometry::new(reduce, shape);
        let states = self.n_states;
        self.n_states += 1;
        self.instructions.push(Instruction::Begin {
            states,
            maker: Arc::clone(maker),
            out: out.clone(),
        });
        let leaf = &maker.leaves[0];
        let size = leaf.dtype.size();
        for number in blocks {
            for region in geometry.steps(out, number, self.pace.step_bytes / size) {
                let input = self.block(leaf, &region);
                self.instructions.push(Instruction::Take {
                    states,
                    input,
                    size,
                    region,
                });
            }
            self.instructions.push(Instruction::EndBlock { states });
        }
        self.instructions.push(Instruction::Finish {
            states,
            words,
            slot,
        });
    }

    fn finish(self, stage: &Arc<Stage>, region: Region) -> Task {
        let frees = self.frees();
        let steps = self.steps();
        let (inputs, states) = self.peak(&frees);
        let mut cost = Cost::default();
        let mut scratch = 0;
        for read in &self.reads {
            for piece in read.pieces() {
                let projected = read.source.project(&piece.region);
                cost += projected;
                scratch = scratch.max(projected.scratch_bytes);
            }
        }
        cost.scratch_bytes = scratch;
        let program = self
            .instructions
            .iter()
            .map(|instruction| match instruction {
                Instruction::Program { maker, .. } => maker.program_bytes(),
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        // A result that is delivered from its slot is counted there.
        let delivered = match self.instructions.last() {
            Some(Instruction::Deliver { slot, .. }) => self.slots[*slot],
            _ => 0,
        };
        let sizes = stage.outputs.iter().map(|output| output.dtype.size());
        let outputs = sizes.sum::<usize>() * region.len();
        let ahead = self.pace.ahead;
        let mut task = Task {
            stage: Arc::clone(stage),
            region,
            reads: self.reads,
            instructions: self.instructions,
            frees,
            steps,
            slots: self.slots,
            n_states: self.n_states,
            weight: Weight {
                cost,
                fetched: 0,
                inputs: inputs as u64,
                states: states as u64,
                outputs: outputs.saturating_sub(delivered) as u64,
                program: program as u64,
            },
            ahead: 1,
        };
        let bytes: Vec<u64> = (0..task.steps.len())
            .map(|step| task.step_bytes(step))
            .collect();
        let held = |ahead: usize| bytes.windows(ahead).map(|few| few.iter().sum()).max();
        let most = if ahead {
            AHEAD_STEPS.min(bytes.len())
        } else {
            1
        };
        task.ahead = (1..=most)
            .rev()
            .find(|&ahead| ahead == 1 || held(ahead).is_none_or(|held: u64| held <= AHEAD_BYTES))
            .unwrap_or(1);
        task.weight.fetched = held(task.ahead).unwrap_or(0);
        task
    }

    /// The slots that nobody needs after each instruction.
    fn frees(&self) -> Vec<Vec<usize>> {
        let mut last: Vec<usize> = vec![0; self.slots.len()];
        for (number, instruction) in self.instructions.iter().enumerate() {
            let mut use_input = |input: &Input| {
                if let From::Slot(slot) = input.from {
                    last[slot] = number;
                }
            };
            match instruction {
                Instruction::Program { inputs, .. } => inputs.iter().for_each(use_input),
                Instruction::Copy { input, .. } | Instruction::Take { input, .. } => {
                    use_input(input);
                }
                Instruction::Run { inputs, .. } => {
                    inputs
                        .iter()
                        .flatten()
                        .for_each(|(input, _)| use_input(input));
                }
                Instruction::Place { from, .. } => last[*from] = number,
                Instruction::Deliver { slot, .. } => last[*slot] = number,
                _ => {}
            }
        }
        let mut frees = vec![Vec::new(); self.instructions.len()];
        for (slot, &number) in last.iter().enumerate() {
            if let Some(frees) = frees.get_mut(number) {
                frees.push(slot);
            }
        }
        frees
    }

    /// Reads go with what follows them up to the next reads.
    fn steps(&self) -> Vec<Range<usize>> {
        let is_read = |number: usize| matches!(self.instructions[number], Instruction::Read { .. });
        let mut steps = Vec::new();
        let mut start = 0;
        for number in 1..self.instructions.len() {
            if is_read(number) && !is_read(number - 1) && (start..number).any(is_read) {
                steps.push(start..number);
                start = number;
            }
        }
        steps.push(start..self.instructions.len());
        steps
    }

    /// Bytes of slots, and of states and whatever else regional functions need,
    /// where both together are most.
    fn peak(&self, frees: &[Vec<usize>]) -> (usize, usize) {
        let mut live = vec![false; self.slots.len()];
        let mut states = vec![0usize; self.n_states];
        let (mut held, mut stated) = (0usize, 0usize);
        let mut most = (0, 0);
        for (number, instruction) in self.instructions.iter().enumerate() {
            let mut besides = 0;
            let made = match instruction {
                Instruction::Read { slot, .. }
                | Instruction::Finish { slot, .. }
                | Instruction::Empty { slot }
                | Instruction::Place { to: slot, .. } => Some(*slot),
                Instruction::Program { slot, .. } | Instruction::Copy { slot, .. } => *slot,
                Instruction::Run {
                    maker,
                    region,
                    inputs,
                    slot,
                } => {
                    let pixels = inputs.iter().flatten().map(|(_, region)| region.len());
                    besides = maker.scratch_bytes(pixels.sum(), region.len());
                    Some(*slot)
                }
                Instruction::Begin {
                    states: number,
                    maker,
                    out,
                } => {
                    states[*number] = maker.scratch_bytes(0, out.len());
                    stated += states[*number];
                    None
                }
                _ => None,
            };
            if let Some(slot) = made
                && !live[slot]
            {
                live[slot] = true;
                held += self.slots[slot];
            }
            if held + stated + besides > most.0 + most.1 {
                most = (held, stated + besides);
            }
            if let Instruction::Finish { states: number, .. } = instruction {
                stated -= std::mem::take(&mut states[*number]);
            }
            for &slot in &frees[number] {
                if std::mem::take(&mut live[slot]) {
                    held -= self.slots[slot];
                }
            }
        }
        most
    }
}

/// The parts in which a region of a regional function's result is made.
fn tiles(maker: &Maker, region: &Region, tile_bytes: usize) -> Vec<Region> {
    let Body::Regional { regional, shapes } = &maker.body else {
        return vec![region.clone()];
    };
    let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
    // States of blocks are made block by block.
    let blocks = matches!(regional, Regional::Partial(_));
    let bytes = |region: &Region| match regional {
        Regional::Reduce(reduce) if reduce.op.streams() => {
            let geometry = Geometry::new(reduce, shapes[0]);
            reduce::state_bytes(geometry, maker.leaves[0].dtype, region.len())
        }
        Regional::Partial(reduce) => {
            let geometry = Geometry::new(reduce, shapes[0]);
            let dtype = maker.leaves[0].dtype;
            reduce::state_bytes(geometry, dtype, region.len() / reduce::words())
        }
        _ => regional
            .wants(&shapes, region)
            .iter()
            .zip(&maker.leaves)
            .filter_map(|(want, leaf)| Some(want.as_ref()?.len() * leaf.dtype.size()))
            .sum(),
    };
    let mut done = Vec::new();
    let mut open = vec![region.clone()];
    while let Some(part) = open.pop() {
        let longest = if blocks && part.ranges()[0].len() > 1 {
            Some(0)
        } else if bytes(&part) <= tile_bytes {
            None
        } else {
            (0..part.ndim())
                .filter(|&axis| regional.splits(axis) && part.ranges()[axis].len() > TILE_EDGE)
                .max_by_key(|&axis| part.ranges()[axis].len())
        };
        let Some(axis) = longest else {
            done.push(part);
            continue;
        };
        let range = part.ranges()[axis].clone();
        // Halves of a power of two, so that parts end where blocks of files do.
        let half = range.len().next_power_of_two() / 2;
        let mut ranges = part.ranges().to_vec();
        ranges[axis] = range.start + half..range.end;
        open.push(Region::new(ranges.clone()));
        ranges[axis] = range.start..range.start + half;
        open.push(Region::new(ranges));
    }
    done
}

/// Where the pixels that a region of `shape` looks at lie in a buffer, whose
/// places along an axis are those of the region's pixels by way of `at`.
fn input_layout(
    leaf: &Leaf,
    positions: &[AxisIndex],
    shape: &[usize],
    buffer: &[usize],
    at: &dyn Fn(usize, usize) -> usize,
) -> Layout {
    let strides = c_strides(buffer);
    let mut base = 0;
    let mut steps: Vec<Step> = shape.iter().map(|_| Step::By(0)).collect();
    if shape.contains(&0) {
        return Layout::new(0, shape, steps);
    }
    for (axis, (view, index)) in leaf.view.axes.iter().zip(positions).enumerate() {
        let at = |i: usize| (at(axis, i) * strides[axis]).cast_signed();
        base += at(0);
        let (Some(out), Some(len)) = (view.out, index.len()) else {
            continue;
        };
        let from_first = |i: usize| at(i) - at(0);
        let by = if len > 1 { from_first(1) } else { 0 };
        let uniform = match index {
            AxisIndex::Range { .. } => from_first(len - 1) == by * (len - 1).cast_signed(),
            _ => false,
        };
        steps[out] = if uniform {
            Step::By(by)
        } else {
            Step::To((0..len).map(from_first).collect())
        };
    }
    Layout::new(base, shape, steps)
}
