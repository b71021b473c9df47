//! The machine: runs the instructions of a task, step by step.

use std::time::{Duration, Instant};

use super::read::Read;
use super::stage::{Body, Maker};
use super::task::{From, Input, Instruction, Task};
use crate::buffer::{ALIGNMENT, Buffer, Pool};
use crate::error::{Error, TaskFailure};
use crate::program::Port;
use crate::program::layout::Layout;
use crate::reduce::{self, Accumulate, Geometry};
use crate::region::Region;
use crate::regional::{Block, Regional, Rows};
use crate::sink::{MemorySink, copy_strided};
use crate::source::{Fetched, ReadStats, SourceError};

/// What a task came to.
#[derive(Debug, Default)]
pub(crate) struct TaskStats {
    pub(crate) read: ReadStats,
    pub(crate) decode: Duration,
    pub(crate) program: Duration,
}

/// Why a task failed.
#[derive(Debug)]
pub(crate) enum Stop {
    /// In a way that names the chunk.
    Task(TaskFailure),
    /// Otherwise.
    Error(Error),
}

impl std::convert::From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

impl std::convert::From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Task(TaskFailure::Source(error))
    }
}

/// What a task holds between its steps.
#[derive(Default)]
pub(crate) struct Machine {
    slots: Vec<Option<Buffer>>,
    states: Vec<Option<Box<dyn Accumulate>>>,
    /// The results, in the order of the stage's outputs, unless they were
    /// written in place.
    pub(crate) outputs: Vec<Buffer>,
    pub(crate) stats: TaskStats,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// Where an output is written.
struct Target {
    ptr: *mut u8,
    layout: Layout,
    buffer: Option<Buffer>,
}

impl Machine {
    /// Runs one step of `task`, whose reads have brought `fetched`. Results go
    /// straight into `sink` where that is memory.
    pub(crate) fn step(
        &mut self,
        task: &Task,
        step: usize,
        fetched: Vec<Fetched>,
        pool: &Pool,
        sink: Option<&MemorySink>,
    ) -> Result<(), Stop> {
        self.slots.resize_with(task.slots.len(), || None);
        self.states.resize_with(task.n_states, || None);
        let mut fetched = fetched.into_iter();
        if self.read_in_place(task, &mut fetched, pool, sink)? {
            return Ok(());
        }
        for number in task.steps[step].clone() {
            let begun = Instant::now();
            let instruction = &task.instructions[number];
            if let Instruction::Read { read, slot } = instruction {
                let buffer = task.reads[*read].decode(&mut fetched, pool, &mut self.stats)?;
                self.slots[*slot] = Some(buffer);
                self.stats.decode += begun.elapsed();
            } else {
                self.run(task, instruction, pool, sink)?;
                self.stats.program += begun.elapsed();
            }
            for slot in &task.frees[number] {
                self.slots[*slot] = None;
            }
        }
        Ok(())
    }

    fn run(
        &mut self,
        task: &Task,
        instruction: &Instruction,
        pool: &Pool,
        sink: Option<&MemorySink>,
    ) -> Result<(), Stop> {
        match instruction {
            Instruction::Read { .. } => Err(Error::Bug("a read is decoded".to_owned()).into()),
            Instruction::Program {
                maker,
                inputs,
                slot,
                len,
            } => {
                let Body::Program(program) = &maker.body else {
                    return Err(Error::Bug("a program that is none".to_owned()).into());
                };
                let targets = match slot {
                    Some(_) => vec![fresh(*len, maker.dtype.size(), pool)?],
                    None => targets(task, pool, sink)?,
                };
                let mut scratch = pool.take(program.scratch_bytes())?;
                {
                    let inputs: Vec<Port<'_>> = inputs
                        .iter()
                        .map(|input| self.port(input))
                        .collect::<Result<_, Error>>()?;
                    let outputs: Vec<Port<'_>> = targets.iter().map(Target::port).collect();
                    // SAFETY: ports in the order and of the types of the
                    // program, layouts made for these buffers, targets ours
                    // alone.
                    unsafe { program.run(&inputs, &outputs, &mut scratch) }
                        .map_err(|message| Stop::Task(TaskFailure::Value(message.to_owned())))?;
                }
                self.keep(*slot, targets);
                Ok(())
            }
            Instruction::Copy {
                input,
                size,
                slot,
                len,
            } => {
                let targets = match slot {
                    Some(_) => vec![fresh(*len, *size, pool)?],
                    None => targets(task, pool, sink)?,
                };
                // SAFETY: the layouts were made for these buffers; the target
                // is ours alone.
                unsafe { copy(&self.port(input)?, &targets[0].port(), *size) };
                self.keep(*slot, targets);
                Ok(())
            }
            Instruction::Begin { states, maker, out } => {
                let (Regional::Reduce(reduce) | Regional::Partial(reduce), shape) =
                    maker.regional()?
                else {
                    return Err(Error::Bug("a reduction that is none".to_owned()).into());
                };
                let geometry = Geometry::new(reduce, shape);
                let dtype = maker.leaves[0].dtype;
                self.states[*states] = Some(reduce::accumulators(geometry, dtype, out));
                Ok(())
            }
            Instruction::Take {
                states,
                input,
                size,
                region,
            } => {
                let mut taking = self.states[*states]
                    .take()
                    .ok_or_else(|| Error::Bug("no states".to_owned()))?;
                taking.take(region, self.pixels(input, region.len() * size)?);
                self.states[*states] = Some(taking);
                Ok(())
            }
            Instruction::EndBlock { states } => {
                self.states(*states)?.end_block();
                Ok(())
            }
            Instruction::Finish {
                states,
                words,
                slot,
            } => {
                let mut out = pool.take(task.slots[*slot])?;
                let finished = self.states[*states]
                    .take()
                    .ok_or_else(|| Error::Bug("no states".to_owned()))?;
                if *words {
                    let mut state_words = vec![0u64; out.len() / 8];
                    finished.write_words(&mut state_words);
                    for (word, out) in state_words.iter().zip(out.chunks_exact_mut(8)) {
                        out.copy_from_slice(&word.to_ne_bytes());
                    }
                } else {
                    finished
                        .finish(&mut out)
                        .map_err(|message| Stop::Task(TaskFailure::Value(message.to_owned())))?;
                }
                self.slots[*slot] = Some(out);
                Ok(())
            }
            Instruction::Run {
                maker,
                region,
                inputs,
                slot,
            } => {
                let mut out = pool.take(task.slots[*slot])?;
                self.run_regional(maker, region, inputs, &mut out)?;
                self.slots[*slot] = Some(out);
                Ok(())
            }
            Instruction::Place {
                part,
                from,
                whole,
                to,
                size,
            } => {
                if self.slots[*to].is_none() {
                    self.slots[*to] = Some(pool.take(task.slots[*to])?);
                }
                let pixels = self.slots[*from]
                    .take()
                    .ok_or_else(|| Error::Bug("a part was not made".to_owned()))?;
                let out = self.slots[*to]
                    .as_mut()
                    .ok_or_else(|| Error::Bug("no place for a part".to_owned()))?;
                let row = part.shape().last().copied().unwrap_or(1) * size;
                if row > 0 {
                    for (offset, row_pixels) in Rows::new(whole, part).zip(pixels.chunks_exact(row))
                    {
                        out[offset * size..][..row].copy_from_slice(row_pixels);
                    }
                }
                Ok(())
            }
            Instruction::Empty { slot } => {
                self.slots[*slot] = Some(pool.take(0)?);
                Ok(())
            }
            Instruction::Deliver { slot, size } => {
                let buffer = self.slots[*slot]
                    .take()
                    .ok_or_else(|| Error::Bug("a result was not made".to_owned()))?;
                match sink {
                    None => self.outputs.push(buffer),
                    Some(_) => {
                        let shape = task.region.shape();
                        let window = window(task, 0, sink)?;
                        // SAFETY: the window lies within the sink's memory and
                        // belongs to this task.
                        unsafe {
                            copy_strided(&buffer, &shape, *size, window.ptr, &window.strides);
                        }
                    }
                }
                Ok(())
            }
        }
    }

    fn run_regional(
        &self,
        maker: &Maker,
        region: &Region,
        inputs: &[Option<(Input, Region)>],
        out: &mut [u8],
    ) -> Result<(), Stop> {
        let Body::Regional { regional, shapes } = &maker.body else {
            return Err(Error::Bug("a regional function that is none".to_owned()).into());
        };
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let mut blocks = Vec::with_capacity(inputs.len());
        for (input, leaf) in inputs.iter().zip(&maker.leaves) {
            blocks.push(match input {
                None => None,
                Some((input, region)) => Some(Block {
                    dtype: leaf.dtype,
                    region: region.clone(),
                    pixels: self.pixels(input, region.len() * leaf.dtype.size())?,
                }),
            });
        }
        regional
            .run(&shapes, &blocks, region, out)
            .map_err(|message| Stop::Task(TaskFailure::Value(message)))
    }

    fn states(&mut self, number: usize) -> Result<&mut Box<dyn Accumulate>, Error> {
        self.states[number]
            .as_mut()
            .ok_or_else(|| Error::Bug("no states".to_owned()))
    }

    fn buffer<'a>(&'a self, from: &'a From) -> Result<&'a Buffer, Error> {
        match from {
            From::Memory(array) => Ok(&array.data),
            From::Slot(slot) => self.slots[*slot]
                .as_ref()
                .ok_or_else(|| Error::Bug(format!("slot {slot} is empty"))),
        }
    }

    fn port<'a>(&'a self, input: &'a Input) -> Result<Port<'a>, Error> {
        Ok(Port {
            ptr: self.buffer(&input.from)?.raw(),
            layout: &input.layout,
        })
    }

    /// Pixels that lie one after the other.
    fn pixels<'a>(&'a self, input: &'a Input, bytes: usize) -> Result<&'a [u8], Error> {
        let buffer = self.buffer(&input.from)?;
        let pixels = input.layout.len().max(1);
        let start = input.layout.start_if_contiguous().unwrap_or(0);
        let start = start.unsigned_abs() * (bytes / pixels);
        buffer
            .get(start..start + bytes)
            .ok_or_else(|| Error::Bug(format!("{bytes} bytes at {start} of {buffer:?}")))
    }

    fn keep(&mut self, slot: Option<usize>, targets: Vec<Target>) {
        let mut buffers = targets.into_iter().filter_map(|target| target.buffer);
        match slot {
            Some(slot) => self.slots[slot] = buffers.next(),
            None => self.outputs = buffers.collect(),
        }
    }

    /// Decodes straight into the output where that is all there is to do, and
    /// the output's pixels lie as the source has to write them. Says whether it
    /// did.
    fn read_in_place(
        &mut self,
        task: &Task,
        fetched: &mut impl Iterator<Item = Fetched>,
        pool: &Pool,
        sink: Option<&MemorySink>,
    ) -> Result<bool, Stop> {
        let (
            [read],
            [
                Instruction::Read { .. },
                Instruction::Copy {
                    input, slot: None, ..
                },
            ],
        ) = (task.reads.as_slice(), task.instructions.as_slice())
        else {
            return Ok(false);
        };
        let pieces = Read::pieces(read);
        let plain = pieces.len() == 1
            && input.layout.start_if_contiguous() == Some(0)
            && input.layout.len() == task.region.len()
            && pieces[0].region.len() == task.region.len();
        if !plain {
            return Ok(false);
        }
        let targets = targets(task, pool, sink)?;
        let target = &targets[0];
        let Some(start) = target.layout.start_if_contiguous() else {
            return Ok(false);
        };
        let size = task.stage.outputs[0].dtype.size();
        let ptr = target.ptr.wrapping_offset(start * size.cast_signed());
        if ptr.addr() % ALIGNMENT != 0 {
            return Ok(false);
        }
        let begun = Instant::now();
        // SAFETY: the target is contiguous, of this many pixels, initialised,
        // and ours alone.
        let out = unsafe { std::slice::from_raw_parts_mut(ptr, task.region.len() * size) };
        read.decode_piece(&pieces[0], fetched, out, &mut self.stats)?;
        self.keep(None, targets);
        self.stats.decode += begun.elapsed();
        Ok(true)
    }
}

impl Target {
    fn port(&self) -> Port<'_> {
        Port {
            ptr: self.ptr,
            layout: &self.layout,
        }
    }
}

/// A new buffer for `len` pixels.
fn fresh(len: usize, size: usize, pool: &Pool) -> Result<Target, Error> {
    let buffer = pool.take(len * size)?;
    Ok(Target {
        ptr: buffer.raw(),
        layout: Layout::contiguous(len),
        buffer: Some(buffer),
    })
}

fn window(
    task: &Task,
    output: usize,
    sink: Option<&MemorySink>,
) -> Result<crate::sink::Window, Error> {
    let output = &task.stage.outputs[output];
    let window = sink.and_then(|sink| sink.window(output.number, &task.region));
    window.ok_or_else(|| {
        Error::Bug(format!(
            "no place in memory for {} of {}",
            task.region, output.name
        ))
    })
}

/// Where the task's outputs go.
fn targets(task: &Task, pool: &Pool, sink: Option<&MemorySink>) -> Result<Vec<Target>, Error> {
    let shape = task.region.shape();
    let outputs = task.stage.outputs.iter().enumerate();
    outputs
        .map(|(number, output)| match sink {
            None => fresh(task.region.len(), output.dtype.size(), pool),
            Some(_) => {
                let window = window(task, number, sink)?;
                Ok(Target {
                    ptr: window.ptr,
                    layout: Layout::window(&shape, &window.strides),
                    buffer: None,
                })
            }
        })
        .collect()
}

/// Moves all pixels of a port to another.
///
/// # Safety
/// Both ports have to be valid for one number of pixels of `size` bytes, and
/// may not overlap.
unsafe fn copy(from: &Port<'_>, to: &Port<'_>, size: usize) {
    const PIXELS: usize = 1024;
    let n = to.layout.len();
    // SAFETY: what the caller vouches for.
    unsafe {
        if let Some(start) = to.layout.start_if_contiguous() {
            from.layout.gather(
                from.ptr,
                0,
                n,
                size,
                to.ptr.offset(start * size.cast_signed()),
            );
        } else if let Some(start) = from.layout.start_if_contiguous() {
            to.layout.scatter(
                from.ptr.offset(start * size.cast_signed()),
                0,
                n,
                size,
                to.ptr,
            );
        } else {
            let mut block = [[0u64; 2]; PIXELS];
            let block = block.as_mut_ptr().cast::<u8>();
            for start in (0..n).step_by(PIXELS) {
                let count = PIXELS.min(n - start);
                from.layout.gather(from.ptr, start, count, size, block);
                to.layout.scatter(block, start, count, size, to.ptr);
            }
        }
    }
}
