//! A job on a cluster: fed by a task of the IO runtime, done by the workers.
//!
//! The caller of `run` waits until nobody holds the job any more. That is what
//! makes it sound for the job to borrow the caller's sink and observer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::try_join_all;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;
use super::gate::Pass;
use super::phases::phases;
use super::spill::Room;
use super::tasks::{Projection, TaskList, task_error};
use crate::buffer::Buffer;
use crate::client::CallTurn;
use crate::engine::{CancelToken, Job, check_result_fits};
use crate::error::{Error, Result, TaskFailure};
use crate::exec::{Machine, Stage, Stop, Task, guarded, panic_message};
use crate::observe::{Event, Observer, RunReport, StepKind};
use crate::region::Region;
use crate::sink::{ChunkSink, WriteOrder, sink_error};
use crate::source::Fetched;

/// How long a worker stays with one job before it looks for others.
const TURN: Duration = Duration::from_millis(20);

/// Time before something is fetched again, as often as it was tried.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Something for a worker to do.
pub(super) enum Work {
    /// A task, for whose next step the bytes have arrived.
    Ready(Arc<Running>),
    /// Tasks that fetch nothing, one after the other.
    Turn(Turn),
    /// Submitted functions, one after the other.
    Calls(CallTurn),
    /// The thread that takes it ends.
    Leave,
}

/// A task that has been let in.
pub(super) struct Running {
    job: JobRef,
    number: usize,
    task: Task,
    progress: Mutex<Progress>,
}

/// How far a task is.
struct Progress {
    machine: Machine,
    /// The step that is next.
    next: usize,
    /// What has been fetched for steps to come, each with the right to it.
    arrived: BTreeMap<usize, (Vec<Fetched>, Option<OwnedSemaphorePermit>)>,
    /// Whether a worker has it, or will.
    taken: bool,
    pass: Option<Pass>,
    time: Duration,
}

/// The right to compute tasks of a job one at a time.
pub(super) struct Turn {
    job: JobRef,
    /// Given back when the turn is over.
    _pass: Pass,
}

/// A job that runs.
struct State<'a> {
    tasks: TaskList,
    sink: &'a dyn ChunkSink,
    observer: &'a dyn Observer,
    in_place: bool,
    /// Number of the first task in the job.
    first: usize,
    limit: Option<u64>,
    /// Next task for a [`Turn`].
    next: AtomicUsize,
    order: Option<Mutex<Order>>,
    report: Mutex<RunReport>,
    error: Mutex<Option<Error>>,
    failed: AtomicBool,
    /// Used when the job fails or is cancelled: nobody starts anything more.
    stop: CancelToken,
    users: Mutex<usize>,
    unused: Condvar,
    /// How often what failed in passing is fetched again.
    retries: u32,
}

/// Chunks that wait for their turn to be written.
#[derive(Default)]
struct Order {
    next: usize,
    waiting: BTreeMap<usize, Finished>,
    writing: bool,
}

/// A task whose pixels have been made.
struct Finished {
    stage: Arc<Stage>,
    region: Region,
    buffers: Vec<Buffer>,
    pass: Option<Pass>,
    worker: usize,
    time: Duration,
}

/// A handle to a running job. The caller of [`run`] waits for the last one to
/// go.
struct JobRef(Arc<State<'static>>);

impl JobRef {
    fn another(&self) -> JobRef {
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

/// Waits for the job's users to go, however the caller of [`run`] leaves.
struct WaitForUsers<'a>(&'a State<'static>);

impl Drop for WaitForUsers<'_> {
    fn drop(&mut self) {
        let mut users = self.0.users.lock();
        while *users > 0 {
            self.0.unused.wait(&mut users);
        }
    }
}

pub(super) fn run(
    shared: &Arc<Shared>,
    io: &tokio::runtime::Handle,
    job: &Job,
    sink: &dyn ChunkSink,
    observer: &dyn Observer,
) -> Result<RunReport> {
    let started = Instant::now();
    let plan = job.plan();
    let in_place = sink.memory().is_some();
    let held = sink.memory_bytes(plan);
    check_result_fits(plan, held, shared.memory_limit())?;
    let limit = shared.memory_limit().map(|limit| limit - held);
    let parts = sink.takes_parts().then(|| shared.n_threads());
    let fit = |together| phases(shared, plan, together, (sink, parts), limit);
    let mut phases = match fit(true) {
        // What shares a read may fit one by one.
        Err(Error::TooLarge(_)) => fit(false)?,
        other => other?,
    };
    sink.begin(plan)
        .map_err(|error| sink_error("the result", &Region::whole(&[]), error))?;
    let total = phases.iter().map(|phase| phase.tasks.len()).sum();
    let mut projected = Projection {
        exact: true,
        ..Projection::default()
    };
    for phase in &phases {
        projected.cost += phase.projection.cost;
        projected.exact &= phase.projection.exact;
        projected.task_bytes = projected.task_bytes.max(phase.projection.task_bytes);
    }
    observer.event(&Event::JobStarted {
        tasks: total,
        projected: projected.cost,
        exact: projected.exact,
        task_bytes: projected.task_bytes,
    });
    for (array, tasks) in phases.iter().flat_map(|phase| phase.tasks.stages()) {
        observer.event(&Event::StagePlanned {
            array: &array,
            tasks,
        });
    }
    if shared.pool.used() == 0 {
        shared.pool.reset_peak();
    }
    let _held = shared.gate.hold(held);
    let room = Room::new(
        &shared.spill,
        &shared.gate,
        room_for_kept(shared, limit, projected.task_bytes),
    );
    let mut report = RunReport {
        resumed: phases.iter().map(|phase| phase.tasks.resumed()).sum(),
        ..RunReport::default()
    };
    let mut outcome = Ok(());
    phases.reverse();
    while let Some(phase) = phases.pop() {
        let first = report.tasks;
        let count = phase.tasks.len();
        let store = phase.store;
        let running = match &store {
            Some(store) => {
                store.open(&room);
                Target {
                    sink: store,
                    in_place: false,
                    first,
                }
            }
            None => Target {
                sink,
                in_place,
                first,
            },
        };
        let begun = (phase.tasks, phase.projection.task_bytes);
        outcome = run_phase(
            shared,
            io,
            job,
            begun,
            running,
            (observer, limit),
            &mut report,
        );
        // A phase that was stopped is not whole, and nothing can follow it.
        if outcome.is_err() || report.tasks < first + count {
            break;
        }
    }
    drop(phases);
    report.wall = started.elapsed();
    report.peak_pool_bytes = shared.pool.peak();
    observer.event(&Event::JobDone { report: &report });
    outcome?;
    if report.tasks == total {
        return Ok(report);
    }
    if job.cancel_token().is_cancelled() {
        return Err(Error::Cancelled {
            done: report.tasks,
            total,
        });
    }
    if shared.closed.load(Ordering::SeqCst) {
        return Err(Error::Closed {
            name: format!("LocalCluster {}", shared.name),
        });
    }
    Err(Error::Bug(format!(
        "{} of {total} tasks were done",
        report.tasks
    )))
}

/// Memory for what a job keeps between its phases: a part of the limit, as long
/// as every task still fits beside it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of memory needs no exactness"
)]
fn room_for_kept(shared: &Shared, limit: Option<u64>, task_bytes: u64) -> u64 {
    match limit {
        Some(limit) => {
            let part = (limit as f64 * shared.spill.target) as u64;
            part.min(limit.saturating_sub(task_bytes))
        }
        None if shared.spill.target == 0.0 => 0,
        None => u64::MAX / 2,
    }
}

/// Where a phase's chunks go.
struct Target<'a> {
    sink: &'a dyn ChunkSink,
    in_place: bool,
    /// Number of its first task in the job.
    first: usize,
}

/// Runs one phase and adds what it came to; leaves early if the job is stopped.
fn run_phase(
    shared: &Arc<Shared>,
    io: &tokio::runtime::Handle,
    job: &Job,
    (tasks, task_bytes): (TaskList, u64),
    running: Target<'_>,
    (observer, limit): (&dyn Observer, Option<u64>),
    report: &mut RunReport,
) -> Result<()> {
    let total = tasks.len();
    let state = Arc::new(State {
        tasks,
        sink: running.sink,
        observer,
        in_place: running.in_place,
        first: running.first,
        limit,
        next: AtomicUsize::new(0),
        order: (running.sink.order() == WriteOrder::Chunks).then(Mutex::default),
        report: Mutex::new(std::mem::take(report)),
        error: Mutex::new(None),
        failed: AtomicBool::new(false),
        stop: CancelToken::new(),
        users: Mutex::new(1),
        unused: Condvar::new(),
        retries: job.retries(),
    });
    // SAFETY: only lifetimes change. `sink` and `observer` are used through a
    // `JobRef` alone, and `WaitForUsers` keeps this function from returning or
    // unwinding before the last of those is gone.
    let state: Arc<State<'static>> =
        unsafe { std::mem::transmute::<Arc<State<'_>>, Arc<State<'static>>>(state) };
    let over = CancelToken::new();
    {
        let wait = WaitForUsers(&state);
        let feeder = JobRef(Arc::clone(&state));
        let watched = (job.cancel_token().clone(), state.stop.clone(), over.clone());
        io.spawn(async move {
            let (cancel, stop, over) = watched;
            tokio::select! {
                () = cancel.cancelled() => stop.cancel(),
                () = over.cancelled() => {}
            }
        });
        let feeding = Arc::clone(shared);
        if state.tasks.reads() {
            io.spawn(feed(feeding, feeder));
        } else {
            io.spawn(give_turns(feeding, feeder, total, task_bytes));
        }
        drop(wait);
    }
    over.cancel();
    *report = std::mem::take(&mut *state.report.lock());
    let failed = state.error.lock().take();
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Plans tasks in order, lets them in, and fetches what they need.
async fn feed(shared: Arc<Shared>, job: JobRef) {
    for number in 0..job.0.tasks.len() {
        if job.0.stop.is_cancelled() {
            return;
        }
        let (task, weight) = match job.0.tasks.plan(number, job.0.in_place, job.0.limit) {
            Ok(planned) => planned,
            Err(error) => return job.0.fail(error),
        };
        let pass = tokio::select! {
            pass = shared.gate.admit(weight.bytes(), Some(weight.fetched)) => pass,
            () = job.0.stop.cancelled() => return,
        };
        let running = Arc::new(Running {
            job: job.another(),
            number,
            task,
            progress: Mutex::new(Progress {
                machine: Machine::default(),
                next: 0,
                arrived: BTreeMap::new(),
                taken: false,
                pass: Some(pass),
                time: Duration::ZERO,
            }),
        });
        if running.task.n_steps() == 1 {
            tokio::spawn(fetch(Arc::clone(&shared), running, 0, None));
        } else {
            tokio::spawn(fetch_steps(Arc::clone(&shared), running));
        }
    }
}

/// Fetches what the steps of a task need, as far ahead as it was let in with.
async fn fetch_steps(shared: Arc<Shared>, running: Arc<Running>) {
    let ahead = Arc::new(Semaphore::new(running.task.ahead()));
    for step in 0..running.task.n_steps() {
        let permit = tokio::select! {
            permit = Arc::clone(&ahead).acquire_owned() => permit.ok(),
            () = running.job.0.stop.cancelled() => return,
        };
        tokio::spawn(fetch(
            Arc::clone(&shared),
            Arc::clone(&running),
            step,
            permit,
        ));
    }
}

/// Fetches what one step of a task needs and hands it to the workers.
async fn fetch(
    shared: Arc<Shared>,
    work: Arc<Running>,
    step: usize,
    permit: Option<OwnedSemaphorePermit>,
) {
    let begun = Instant::now();
    let fetches = async {
        let mut tries = 0;
        loop {
            match try_join_all(work.task.fetches(step)).await {
                Err(error) if error.is_transient() && tries < work.job.0.retries => {
                    tries += 1;
                    tokio::time::sleep(RETRY_PAUSE * tries).await;
                }
                outcome => break outcome,
            }
        }
    };
    let fetching = std::panic::AssertUnwindSafe(fetches).catch_unwind();
    let outcome = tokio::select! {
        outcome = fetching => outcome,
        () = work.job.0.stop.cancelled() => return,
    };
    let cause = match outcome {
        Ok(Ok(fetched)) => {
            let bytes = fetched.iter().map(|fetched| fetched.bytes).sum();
            let requests = fetched.iter().map(|fetched| fetched.requests).sum();
            {
                let mut report = work.job.0.report.lock();
                report.fetch += begun.elapsed();
                report.read_bytes += bytes;
                report.requests += requests;
            }
            let event = Event::TaskFetched {
                task: work.job.0.first + work.number,
                bytes,
                requests,
            };
            let told = guarded(|| {
                let state = &work.job.0;
                let name = state.tasks.get(work.number).0.name();
                let time = begun.elapsed();
                state.tell(work.number, &name, (StepKind::Fetch, begun, time), bytes);
                state.observer.event(&event);
            });
            if let Err(message) = told {
                TaskFailure::Panic(message)
            } else {
                let mut progress = work.progress.lock();
                progress.arrived.insert(step, (fetched, permit));
                let ready = progress.next == step && !progress.taken;
                progress.taken |= ready;
                drop(progress);
                if ready {
                    shared.queue.put(Work::Ready(work));
                }
                return;
            }
        }
        Ok(Err(error)) => TaskFailure::Source(error),
        Err(payload) => TaskFailure::Panic(panic_message(&*payload)),
    };
    let (stage, region) = work.job.0.tasks.get(work.number);
    work.job.0.fail(task_error(stage, &region, cause));
}

/// Lets workers take tasks that fetch nothing, as many at a time as fit.
async fn give_turns(shared: Arc<Shared>, job: JobRef, total: usize, task_bytes: u64) {
    for _ in 0..shared.n_threads().min(total) {
        let pass = tokio::select! {
            pass = shared.gate.admit(task_bytes, None) => pass,
            () = job.0.stop.cancelled() => return,
        };
        if job.0.next.load(Ordering::Relaxed) >= total {
            return;
        }
        shared.queue.put(Work::Turn(Turn {
            job: job.another(),
            _pass: pass,
        }));
    }
}

impl Work {
    pub(super) fn run(self, shared: &Arc<Shared>, worker: usize) {
        match self {
            Work::Ready(running) => running.run(shared, worker),
            Work::Turn(turn) => {
                let begun = Instant::now();
                let state = &turn.job.0;
                while !state.stop.is_cancelled() {
                    let number = state.next.fetch_add(1, Ordering::Relaxed);
                    if number >= state.tasks.len() {
                        return;
                    }
                    match state.tasks.plan(number, state.in_place, state.limit) {
                        Ok((task, _)) => state.do_task(shared, number, &task, worker),
                        Err(error) => state.fail(error),
                    }
                    if begun.elapsed() > TURN && !shared.queue.is_empty() {
                        shared.queue.put(Work::Turn(turn));
                        return;
                    }
                }
            }
            Work::Calls(turn) => {
                if let Some(turn) = turn.run(TURN, || !shared.queue.is_empty()) {
                    shared.queue.put(Work::Calls(turn));
                }
            }
            Work::Leave => {}
        }
    }
}

impl Running {
    /// Runs the steps for which everything has arrived.
    fn run(self: Arc<Self>, shared: &Shared, worker: usize) {
        let state = &self.job.0;
        let last = self.task.n_steps() - 1;
        let mut progress = self.progress.lock();
        let mut machine = std::mem::take(&mut progress.machine);
        loop {
            let step = progress.next;
            let Some((fetched, permit)) = progress.arrived.remove(&step) else {
                progress.machine = machine;
                progress.taken = false;
                return;
            };
            if step == last
                && let Some(pass) = &mut progress.pass
            {
                pass.fetched();
            }
            let bytes = progress.pass.as_ref().map_or(0, Pass::bytes);
            drop(progress);
            if state.stop.is_cancelled() {
                return;
            }
            let begun = Instant::now();
            if !state.step(
                shared,
                self.number,
                &self.task,
                (step, fetched),
                &mut machine,
                (worker, bytes),
            ) {
                return;
            }
            drop(permit);
            progress = self.progress.lock();
            progress.time += begun.elapsed();
            progress.next += 1;
            if step == last {
                let (pass, time) = (progress.pass.take(), progress.time);
                drop(progress);
                state.finish(self.number, &self.task, machine, (pass, time), worker);
                return;
            }
        }
    }
}

impl State<'_> {
    /// Runs one step of a task; says whether it went well.
    fn step(
        &self,
        shared: &Shared,
        number: usize,
        task: &Task,
        (step, fetched): (usize, Vec<Fetched>),
        machine: &mut Machine,
        (worker, bytes): (usize, u64),
    ) -> bool {
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
            Ok(Ok(())) => return true,
            Ok(Err(Stop::Error(error))) => self.fail(error),
            Ok(Err(Stop::Task(cause))) => self.fail(task_error(stage, &task.region, cause)),
            Err(message) => {
                self.fail(task_error(stage, &task.region, TaskFailure::Panic(message)));
            }
        }
        false
    }

    /// Does a task that fetches nothing.
    fn do_task(&self, shared: &Shared, number: usize, task: &Task, worker: usize) {
        let begun = Instant::now();
        let mut machine = Machine::default();
        for step in 0..task.n_steps() {
            let stopped = self.stop.is_cancelled();
            let none = (step, Vec::new());
            if stopped || !self.step(shared, number, task, none, &mut machine, (worker, 0)) {
                return;
            }
        }
        self.finish(number, task, machine, (None, begun.elapsed()), worker);
    }

    /// Hands over what a task has made.
    fn finish(
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
    fn write_in_order(&self, order: &Mutex<Order>, number: usize, finished: Finished) {
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

    fn write(&self, number: usize, finished: Finished) {
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
            self.observer.event(&event);
        });
        if let Err(message) = told {
            self.fail(task_error(&stage, &region, TaskFailure::Panic(message)));
        }
    }

    /// Tells of a step: its kind, when it began, how long it took.
    fn tell(
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

    /// Keeps the first error and stops the job.
    fn fail(&self, error: Error) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            *self.error.lock() = Some(error);
        }
        self.stop.cancel();
    }
}
