//! What the threads that work for a job share: its tasks, where their chunks go,
//! who is told, and how it ends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Shared;
use crate::buffer::Buffer;
use crate::engine::{CancelToken, Job};
use crate::error::{Error, Result, TaskFailure};
use crate::exec::{Machine, Stage, Stop, Task, guarded};
use crate::local::gate::Pass;
use crate::local::spill::Room;
use crate::local::tasks::{TaskList, task_error};
use crate::observe::{Event, Observer, RunReport, StepKind};
use crate::region::Region;
use crate::sink::{ChunkSink, sink_error};
use crate::source::Fetched;

/// A job that runs.
pub(super) struct State<'a> {
    pub(super) tasks: TaskList,
    pub(super) sink: &'a dyn ChunkSink,
    pub(super) observer: &'a dyn Observer,
    pub(super) in_place: bool,
    /// Number of the first task in the job.
    pub(super) first: usize,
    pub(super) limit: Option<u64>,
    /// Next task for a [`Turn`].
    pub(super) next: AtomicUsize,
    pub(super) order: Option<Mutex<Order>>,
    pub(super) report: Mutex<RunReport>,
    pub(super) error: Mutex<Option<Error>>,
    pub(super) failed: AtomicBool,
    /// Used when the job fails or is cancelled: nobody starts anything more.
    pub(super) stop: CancelToken,
    pub(super) users: Mutex<usize>,
    pub(super) unused: Condvar,
    /// The job, for its retries.
    pub(super) asked: &'a Job,
    pub(super) io: tokio::runtime::Handle,
    /// Where what the job keeps lies, for what was spilled.
    pub(super) room: Arc<Room>,
}

/// Chunks that wait for their turn to be written.
#[derive(Default)]
pub(super) struct Order {
    pub(super) next: usize,
    pub(super) waiting: BTreeMap<usize, Finished>,
    pub(super) writing: bool,
}

/// A task whose pixels have been made.
pub(super) struct Finished {
    pub(super) stage: Arc<Stage>,
    pub(super) region: Region,
    pub(super) buffers: Vec<Buffer>,
    pub(super) pass: Option<Pass>,
    pub(super) worker: usize,
    pub(super) time: Duration,
}

/// A handle to a running job. The caller of [`run`](super::run) waits for the last one to
/// go.
pub(super) struct JobRef(pub(super) Arc<State<'static>>);

impl JobRef {
    pub(super) fn another(&self) -> JobRef {
        *self.0.users.lock() += 1;
        JobRef(Arc::clone(&self.0))
    }
}

impl Drop for JobRef {
    fn drop(&mut self) {
        let mut users = self.0.users.lock();
        *users -= 1;
        if *users == 0 {
            self.0.unused.notify_all();
        }
    }
}

/// Waits for the job's users to go, however the caller of [`run`](super::run) leaves.
pub(super) struct WaitForUsers<'a>(pub(super) &'a State<'static>);

impl Drop for WaitForUsers<'_> {
    fn drop(&mut self) {
        let mut users = self.0.users.lock();
        while *users > 0 {
            self.0.unused.wait(&mut users);
        }
    }
}

impl State<'_> {
    /// Runs one step of a task.
    pub(super) fn step(
        &self,
        shared: &Shared,
        number: usize,
        task: &Task,
        (step, fetched): (usize, Vec<Fetched>),
        machine: &mut Machine,
        (worker, bytes): (usize, u64),
    ) -> Result<()> {
        let (stage, _) = self.tasks.get(number);
        let name = stage.name();
        let event = Event::TaskStarted {
            task: self.first + number,
            array: &name,
            worker,
            bytes,
        };
        let begun = Instant::now();
        let (decode, program) = (machine.stats.decode, machine.stats.program);
        let decoded = machine.stats.read.decoded_bytes;
        let made = guarded(|| {
            self.observer.event(&event);
            machine.step(task, step, fetched, &shared.pool, self.sink.memory())?;
            let (decode, program) = (
                machine.stats.decode.saturating_sub(decode),
                machine.stats.program.saturating_sub(program),
            );
            let decoded = machine.stats.read.decoded_bytes - decoded;
            if decoded > 0 {
                self.tell(number, &name, (StepKind::Decode, begun, decode), decoded);
            }
            let after = begun + decode;
            self.tell(number, &name, (StepKind::Compute, after, program), 0);
            Ok(())
        });
        match made {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Stop::Error(error))) => Err(error),
            Ok(Err(Stop::Task(cause))) => Err(task_error(stage, &task.region, cause)),
            Err(message) => {
                let cause = TaskFailure::Panic(message);
                Err(task_error(stage, &task.region, cause))
            }
        }
    }

    /// Does a task that fetches nothing.
    pub(super) fn do_task(&self, shared: &Shared, number: usize, task: &Task, worker: usize) {
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            let mut machine = Machine::default();
            let mut steps = (0..task.n_steps()).map(|step| (step, Vec::new()));
            let done = steps.try_for_each(|none| {
                if self.stop.is_cancelled() {
                    return Err(Error::Cancelled { done: 0, total: 0 });
                }
                self.step(shared, number, task, none, &mut machine, (worker, 0))
            });
            match done {
                _ if self.stop.is_cancelled() => return,
                Ok(()) => {
                    return self.finish(number, task, machine, (None, begun.elapsed()), worker);
                }
                Err(error) if self.asked.again(error.is_transient(), tries) => tries += 1,
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Hands over what a task has made.
    pub(super) fn finish(
        &self,
        number: usize,
        task: &Task,
        machine: Machine,
        (pass, time): (Option<Pass>, Duration),
        worker: usize,
    ) {
        let (stage, _) = self.tasks.get(number);
        let mut stats = machine.stats;
        let buffers = machine.outputs;
        {
            let mut report = self.report.lock();
            report.decode += stats.decode;
            report.program += stats.program;
            report.decoded_bytes += stats.read.decoded_bytes;
            report.blocks += stats.read.blocks;
            report.skipped.append(&mut stats.read.skipped);
        }
        let finished = Finished {
            stage: Arc::clone(stage),
            region: task.region.clone(),
            buffers,
            pass,
            worker,
            time,
        };
        match &self.order {
            None => self.write(number, finished),
            Some(order) => self.write_in_order(order, number, finished),
        }
    }

    /// Writes what has its turn; whoever is writing already goes on with it.
    pub(super) fn write_in_order(&self, order: &Mutex<Order>, number: usize, finished: Finished) {
        let mut waiting = order.lock();
        waiting.waiting.insert(number, finished);
        if waiting.writing {
            return;
        }
        waiting.writing = true;
        loop {
            let next = waiting.next;
            let Some(finished) = waiting.waiting.remove(&next) else {
                break;
            };
            waiting.next += 1;
            drop(waiting);
            if !self.stop.is_cancelled() {
                self.write(next, finished);
            }
            waiting = order.lock();
        }
        waiting.writing = false;
    }

    pub(super) fn write(&self, number: usize, finished: Finished) {
        let Finished {
            stage,
            region,
            buffers,
            pass,
            worker,
            time,
        } = finished;
        let begun = Instant::now();
        let bytes = buffers.iter().map(|buffer| buffer.len() as u64).sum();
        for (output, buffer) in stage.outputs.iter().zip(buffers) {
            match guarded(|| self.sink.write(output.number, &region, &buffer)) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return self.fail(sink_error(&output.name, &region, error)),
                Err(message) => {
                    return self.fail(task_error(&stage, &region, TaskFailure::Panic(message)));
                }
            }
        }
        drop(pass);
        let written = begun.elapsed();
        {
            let mut report = self.report.lock();
            report.write += written;
            report.tasks += 1;
        }
        let name = stage.name();
        let event = Event::TaskDone {
            task: self.first + number,
            array: &name,
            region: &region,
            worker,
            time: time + written,
        };
        let told = guarded(|| {
            if bytes > 0 {
                self.tell(number, &name, (StepKind::Write, begun, written), bytes);
            }
            self.tell_spills(number, &name);
            self.observer.event(&event);
        });
        if let Err(message) = told {
            self.fail(task_error(&stage, &region, TaskFailure::Panic(message)));
        }
    }

    /// Tells of a step: its kind, when it began, how long it took.
    pub(super) fn tell(
        &self,
        number: usize,
        array: &str,
        (kind, started, time): (StepKind, Instant, Duration),
        bytes: u64,
    ) {
        self.observer.event(&Event::TaskStep {
            task: self.first + number,
            array,
            kind,
            started,
            time,
            bytes,
        });
    }

    /// Tells of what was spilled and read back since it was told last.
    pub(super) fn tell_spills(&self, number: usize, array: &str) {
        for spilled in self.room.take_steps() {
            let step = (StepKind::Spill, spilled.begun, spilled.time);
            self.tell(number, array, step, spilled.bytes);
        }
    }

    /// Keeps the first error and stops the job.
    pub(super) fn fail(&self, error: Error) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            *self.error.lock() = Some(error);
        }
        self.stop.cancel();
    }
}
