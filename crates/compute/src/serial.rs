//! `Serial`: one thread, no cleverness, the oracle for all other engines.
//!
//! It runs a plan as it is written: chunk by chunk, node by node, each a whole
//! buffer, without optimising, fusing or sharing beyond a chunk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::engine::{Engine, Job, check_result_fits};
use crate::error::{Error, Result, TaskError, TaskFailure};
use crate::exec::guarded;
use crate::index::AxisIndex;
use crate::observe::{Event, Observer, RunReport};
use crate::plan::{Arg, Node, NodeRef, Op, Output, input_regions};
use crate::program::naive::{self, Failure, Operand};
use crate::region::{Region, c_strides};
use crate::regional::Block;
use crate::sink::{ChunkSink, sink_error};
use crate::source::Cost;

/// Computes on the calling thread, one chunk after the other.
#[derive(Debug)]
pub struct Serial {
    memory_limit: Option<u64>,
    io: std::sync::OnceLock<std::io::Result<tokio::runtime::Runtime>>,
}

impl Default for Serial {
    fn default() -> Self {
        Serial::new()
    }
}

impl Serial {
    /// Limited by the memory of the machine.
    pub fn new() -> Serial {
        Serial {
            memory_limit: crate::local::memory::total(),
            io: std::sync::OnceLock::new(),
        }
    }

    /// Limited to `bytes`, the result in memory included.
    #[must_use]
    pub fn with_memory_limit(mut self, bytes: u64) -> Serial {
        self.memory_limit = Some(bytes);
        self
    }

    /// Where sources wait for their stores.
    fn io(&self) -> Result<&tokio::runtime::Runtime> {
        let io = self.io.get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("datacube-serial-io")
                .enable_all()
                .build()
        });
        io.as_ref()
            .map_err(|error| Error::Unsupported(format!("cannot start a thread: {error}")))
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        // Dropping a runtime within another one would panic.
        if let Some(Ok(io)) = self.io.take() {
            io.shutdown_background();
        }
    }
}

impl Engine for Serial {
    fn name(&self) -> String {
        "serial".to_owned()
    }

    fn memory_limit(&self) -> Option<u64> {
        self.memory_limit
    }

    fn run(&self, job: &Job, sink: &dyn ChunkSink, observer: &dyn Observer) -> Result<RunReport> {
        let started = Instant::now();
        let plan = job.plan();
        check_result_fits(plan, sink.memory_bytes(plan), self.memory_limit)?;
        sink.begin(plan)
            .map_err(|error| sink_error("the result", &Region::whole(&[]), error))?;
        let held = |number: usize, region: &Region| sink.resumes() && sink.holds(number, region);
        let chunks = plan.outputs().iter().enumerate();
        let resumed = chunks
            .flat_map(|(number, output)| {
                let regions = (0..output.chunks().n_chunks()).map(|i| output.chunks().region_of(i));
                regions.filter(move |region| held(number, region))
            })
            .count();
        let all: usize = plan
            .outputs()
            .iter()
            .map(|output| output.chunks().n_chunks())
            .sum();
        let total = all - resumed;
        observer.event(&Event::JobStarted {
            tasks: total,
            projected: Cost::default(),
            exact: false,
            task_bytes: 0,
        });
        let mut report = RunReport {
            resumed,
            ..RunReport::default()
        };
        for (number, output) in plan.outputs().iter().enumerate() {
            for chunk in 0..output.chunks().n_chunks() {
                let region = output.chunks().region_of(chunk);
                if held(number, &region) {
                    continue;
                }
                if job.cancel_token().is_cancelled() {
                    return Err(Error::Cancelled {
                        done: report.tasks,
                        total,
                    });
                }
                let begun = Instant::now();
                let failed = |cause| {
                    Error::Task(Box::new(TaskError {
                        array: output.name().to_owned(),
                        chunk: output.chunks().index(chunk),
                        region: region.clone(),
                        cause,
                    }))
                };
                let mut tries = 0;
                let pixels = loop {
                    let task = report.tasks;
                    let made = guarded(|| self.chunk(output, &region, task, &mut report, observer));
                    let error = match made {
                        Ok(Ok(pixels)) => break pixels,
                        Ok(Err(Stop::Task(cause))) => failed(cause),
                        Ok(Err(Stop::Error(error))) => error,
                        Err(message) => failed(TaskFailure::Panic(message)),
                    };
                    if !job.again(error.is_transient(), tries) {
                        return Err(error);
                    }
                    tries += 1;
                };
                let written = Instant::now();
                guarded(|| sink.write(number, &region, &pixels))
                    .map_err(|message| failed(TaskFailure::Panic(message)))?
                    .map_err(|error| sink_error(output.name(), &region, error))?;
                report.write += written.elapsed();
                observer.event(&Event::TaskDone {
                    task: report.tasks,
                    array: output.name(),
                    region: &region,
                    worker: 0,
                    time: begun.elapsed(),
                });
                report.tasks += 1;
            }
        }
        report.wall = started.elapsed();
        observer.event(&Event::JobDone { report: &report });
        Ok(report)
    }
}

/// Why a chunk was not made.
enum Stop {
    Task(TaskFailure),
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::Error(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Value(message) => Stop::Task(TaskFailure::Value(message.to_owned())),
            Failure::Error(error) => Stop::Error(error),
        }
    }
}

type Part = (*const Node, Region);

impl Serial {
    /// The pixels of one chunk. Nodes wait on a stack of our own: plans can be
    /// long chains.
    fn chunk(
        &self,
        output: &Output,
        region: &Region,
        task: usize,
        report: &mut RunReport,
        observer: &dyn Observer,
    ) -> Result<Buffer, Stop> {
        let mut made: HashMap<Part, Vec<Buffer>> = HashMap::new();
        let mut stack = vec![(Arc::clone(output.node()), region.clone(), false)];
        while let Some((node, region, inputs_made)) = stack.pop() {
            let part = (Arc::as_ptr(&node), region.clone());
            if made.contains_key(&part) {
                continue;
            }
            let inputs = input_regions(&node, &region);
            if !inputs_made {
                let waiting: Vec<_> = inputs
                    .into_iter()
                    .map(|(input, region)| (input, region, false))
                    .collect();
                stack.push((node, region, true));
                stack.extend(waiting);
                continue;
            }
            let buffers = match node.op() {
                Op::Source(_) => vec![self.read(&node, &region, task, report, observer)?],
                _ => {
                    let begun = Instant::now();
                    let inputs: Vec<&[Buffer]> = inputs
                        .iter()
                        .map(|(input, region)| {
                            let made = made.get(&(Arc::as_ptr(input), region.clone()));
                            made.map(Vec::as_slice)
                                .ok_or_else(|| Error::Bug("an input was not made".to_owned()))
                        })
                        .collect::<Result<_>>()?;
                    let buffers = evaluate(&node, &region, &inputs)?;
                    report.program += begun.elapsed();
                    buffers
                }
            };
            made.insert(part, buffers);
        }
        let part = (Arc::as_ptr(output.node()), region.clone());
        let buffers = made.remove(&part).unwrap_or_default();
        buffers
            .into_iter()
            .next()
            .ok_or_else(|| Error::Bug("a chunk was not made".to_owned()).into())
    }

    fn read(
        &self,
        node: &NodeRef,
        region: &Region,
        task: usize,
        report: &mut RunReport,
        observer: &dyn Observer,
    ) -> Result<Buffer, Stop> {
        let Op::Source(source) = node.op() else {
            return Err(Error::Bug("reading what is no source".to_owned()).into());
        };
        let dtype = source.dtype();
        let mut out = Buffer::zeroed(region.len() * dtype.size())?;
        if region.is_empty() {
            return Ok(out);
        }
        let begun = Instant::now();
        // Waits on a channel, so that it works within another runtime too.
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let fetch = source.fetch(region);
        self.io()?.spawn(async move {
            let result = fetch.await;
            let _ = sender.send(result);
        });
        let fetched = receiver
            .recv()
            .map_err(|_| Stop::Task(TaskFailure::Panic("while fetching".to_owned())))?
            .map_err(|error| Stop::Task(TaskFailure::Source(error)))?;
        report.fetch += begun.elapsed();
        report.read_bytes += fetched.bytes;
        report.requests += fetched.requests;
        observer.event(&Event::TaskFetched {
            task,
            bytes: fetched.bytes,
            requests: fetched.requests,
        });
        let begun = Instant::now();
        let stats = source
            .decode(region, fetched, &mut out)
            .map_err(|error| Stop::Task(TaskFailure::Source(error)))?;
        crate::buffer::normalise_bool(dtype, &mut out);
        report.decode += begun.elapsed();
        report.decoded_bytes += stats.decoded_bytes;
        report.blocks += stats.blocks;
        report.skipped.extend(stats.skipped);
        Ok(out)
    }
}

/// The pixels of a part of a node, from those of its inputs; several buffers
/// for a node of several outputs.
fn evaluate(node: &Node, region: &Region, inputs: &[&[Buffer]]) -> Result<Vec<Buffer>, Stop> {
    let schema = node.schema();
    let n = region.len();
    let size = schema.dtype.size();
    match node.op() {
        Op::Source(_) => Err(Error::Bug("a source is read, not computed".to_owned()).into()),
        Op::Memory(array) => {
            let positions: Vec<AxisIndex> = region
                .ranges()
                .iter()
                .map(|range| AxisIndex::range(range.start, range.len(), 1))
                .collect();
            let axes: Vec<Option<usize>> = (0..positions.len()).map(Some).collect();
            Ok(vec![gather(
                &array.data,
                &array.shape,
                size,
                &region.shape(),
                &axes,
                &positions,
            )?])
        }
        Op::Full(value) => {
            let mut out = Buffer::zeroed(n * size)?;
            for pixel in out.chunks_exact_mut(size) {
                copy_bits(value.bits(), pixel);
            }
            Ok(vec![out])
        }
        Op::Slice(index) => {
            let source = &input_regions(node, region)[0].1;
            let mut ranges = region.ranges().iter();
            let mut axes = Vec::new();
            let mut positions = Vec::new();
            let mut kept = 0;
            for (index, hull) in index.iter().zip(source.ranges()) {
                let part = match index {
                    AxisIndex::At(_) => {
                        axes.push(None);
                        index.clone()
                    }
                    _ => {
                        axes.push(Some(kept));
                        kept += 1;
                        ranges
                            .next()
                            .map_or(AxisIndex::range(0, 0, 1), |range| index.part(range))
                    }
                };
                let back = |at: usize| at - hull.start;
                positions.push(match part.len() {
                    None => AxisIndex::At(back(part.get(0))),
                    Some(len) => AxisIndex::list((0..len).map(|i| back(part.get(i))).collect()),
                });
            }
            Ok(vec![gather(
                &inputs[0][0],
                &source.shape(),
                size,
                &region.shape(),
                &axes,
                &positions,
            )?])
        }
        Op::Broadcast(axes) => {
            let source = &input_regions(node, region)[0].1;
            let mut from = vec![None; source.ndim()];
            for (to, axis) in axes.iter().enumerate() {
                if let Some(axis) = axis {
                    from[*axis] = Some(to);
                }
            }
            let positions: Vec<AxisIndex> = source
                .shape()
                .iter()
                .map(|&len| AxisIndex::whole(len))
                .collect();
            Ok(vec![gather(
                &inputs[0][0],
                &source.shape(),
                size,
                &region.shape(),
                &from,
                &positions,
            )?])
        }
        Op::Rechunk | Op::Materialize => Ok(vec![copy_of(&inputs[0][0])?]),
        Op::Pick(output) => Ok(vec![copy_of(&inputs[0][*output])?]),
        Op::Regional(regional) => {
            let shapes: Vec<&[usize]> = (node.inputs().iter())
                .map(|input| &*input.schema().shape)
                .collect();
            let mut given = inputs.iter();
            let blocks: Vec<Option<Block<'_>>> = (regional.wants(&shapes, region).into_iter())
                .zip(node.inputs())
                .map(|(part, input)| {
                    Some(Block {
                        dtype: input.schema().dtype,
                        region: part?,
                        pixels: &given.next()?[0],
                    })
                })
                .collect();
            let mut out = Buffer::zeroed(n * size)?;
            if n > 0 {
                regional
                    .run(&shapes, &blocks, region, &mut out)
                    .map_err(|message| Stop::Task(TaskFailure::Value(message)))?;
            }
            Ok(vec![out])
        }
        Op::Elementwise { func, args } => {
            let operands: Vec<Operand<'_>> = args
                .iter()
                .map(|arg| match *arg {
                    Arg::Const(value) => Operand::Const(value),
                    Arg::Value(input) => {
                        let dtype = node.inputs()[input as usize].schema().dtype;
                        Operand::Pixels(dtype, &inputs[input as usize][0])
                    }
                })
                .collect();
            Ok(vec![naive::apply(*func, &operands, n)?])
        }
        Op::Fused(program) => {
            let n_inputs = program.inputs().len();
            let mut values: Vec<Buffer> = Vec::with_capacity(program.steps().len());
            for step in program.steps() {
                let operands: Vec<Operand<'_>> = step
                    .args
                    .iter()
                    .map(|arg| match *arg {
                        Arg::Const(value) => Operand::Const(value),
                        Arg::Value(value) => {
                            let dtype = program.dtype(value);
                            let value = value as usize;
                            match value.checked_sub(n_inputs) {
                                None => Operand::Pixels(dtype, &inputs[value][0]),
                                Some(step) => Operand::Pixels(dtype, &values[step]),
                            }
                        }
                    })
                    .collect();
                let value = naive::apply(step.func, &operands, n)?;
                values.push(value);
            }
            let outputs = program.outputs().iter().map(|&value| {
                let value = value as usize;
                match value.checked_sub(n_inputs) {
                    None => copy_of(&inputs[value][0]),
                    Some(step) => copy_of(&values[step]),
                }
            });
            Ok(outputs.collect::<Result<Vec<_>>>()?)
        }
    }
}

fn copy_of(buffer: &Buffer) -> Result<Buffer> {
    Buffer::from_slice::<u8>(buffer)
}

fn copy_bits(bits: u64, pixel: &mut [u8]) {
    let len = pixel.len();
    let bytes = bits.to_ne_bytes();
    let bytes = if cfg!(target_endian = "big") {
        &bytes[8 - len..]
    } else {
        &bytes[..len]
    };
    pixel.copy_from_slice(bytes);
}

/// Picks pixels one by one: each axis of `from` follows the axis of the result
/// that `axes` names, or none, by way of `positions`.
fn gather(
    from: &Buffer,
    from_shape: &[usize],
    size: usize,
    shape: &[usize],
    axes: &[Option<usize>],
    positions: &[AxisIndex],
) -> Result<Buffer> {
    let strides = c_strides(from_shape);
    let n: usize = shape.iter().product();
    let mut out = Buffer::zeroed(n * size)?;
    let mut index = vec![0usize; shape.len()];
    for pixel in out.chunks_exact_mut(size) {
        let mut offset = 0;
        for ((axis, position), stride) in axes.iter().zip(positions).zip(&strides) {
            offset += position.get(axis.map_or(0, |axis| index[axis])) * stride;
        }
        pixel.copy_from_slice(&from[offset * size..][..size]);
        for at in (0..shape.len()).rev() {
            index[at] += 1;
            if index[at] < shape[at] {
                break;
            }
            index[at] = 0;
        }
    }
    Ok(out)
}
