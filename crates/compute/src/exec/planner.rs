//! How a task is planned: from the region that it makes, down through what each node
//! wants, to one list of instructions.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::read::{Read, place};
use super::stage::{Body, Leaf, Maker, Origin, Stage};
use super::task::{From, Input, Instruction, Task};
use super::tiles::tiles;
use crate::index::AxisIndex;
use crate::program::layout::{Layout, Step};
use crate::reduce::{Geometry, Reduce};
use crate::region::{Region, c_strides};
use crate::regional::Regional;

/// How much a task does at a time. Its pixels do not depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Bytes of pixels that a reduction takes.
    pub(super) step_bytes: usize,
    /// Bytes of pixels or states for which a regional function is run, if its
    /// result can be made in parts.
    pub(super) tile_bytes: usize,
    /// Whether steps are fetched ahead.
    pub(super) ahead: bool,
}

impl Pace {
    /// Where there is memory.
    pub(super) const BRISK: Pace = Pace {
        step_bytes: 4 << 20,
        tile_bytes: 32 << 20,
        ahead: true,
    };
    /// Where there is not.
    pub(super) const MODEST: Pace = Pace {
        step_bytes: 64 << 10,
        tile_bytes: 1 << 20,
        ahead: false,
    };
}

/// Writes the instructions of a task.
pub(super) struct Planner {
    pub(super) pace: Pace,
    pub(super) reads: Vec<Read>,
    pub(super) instructions: Vec<Instruction>,
    pub(super) slots: Vec<usize>,
    pub(super) n_states: usize,
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

    /// The task that makes `region`, a chunk of the stage or a part of one.
    pub(super) fn plan(stage: &Arc<Stage>, region: Region, pace: Pace) -> Task {
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
}

fn ranges(region: &Region) -> Vec<AxisIndex> {
    region
        .ranges()
        .iter()
        .map(|range| AxisIndex::range(range.start, range.len(), 1))
        .collect()
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
