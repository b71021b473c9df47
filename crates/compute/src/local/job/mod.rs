//! A job on a cluster: fed by a task of the IO runtime, done by the workers.
//!
//! The caller of `run` waits until nobody holds the job any more. That is what
//! makes it sound for the job to borrow the caller's sink and observer.

mod running;
mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Shared;
use super::gate::Pass;
use super::phases::phases;
use super::spill::Room;
use super::tasks::{Projection, TaskList};
use crate::client::CallTurn;
use crate::engine::{CancelToken, Job, check_result_fits};
use crate::error::{Error, Result};
use crate::observe::{Event, Observer, RunReport};
use crate::region::Region;
use crate::sink::{ChunkSink, WriteOrder, sink_error};
use running::Running;
use state::{JobRef, State, WaitForUsers};

/// How long a worker stays with one job before it looks for others.
const TURN: Duration = Duration::from_millis(20);

/// Something for a worker to do.
pub(in crate::local) enum Work {
    /// A task, for whose next step the bytes have arrived.
    Ready(Arc<Running>),
    /// Tasks that fetch nothing, one after the other.
    Turn(Turn),
    /// Submitted functions, one after the other.
    Calls(CallTurn),
    /// The thread that takes it ends.
    Leave,
}

/// The right to compute tasks of a job one at a time.
pub(in crate::local) struct Turn {
    job: JobRef,
    /// Given back when the turn is over.
    _pass: Pass,
}

pub(in crate::local) fn run(
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
                    room: &room,
                    in_place: false,
                    first,
                }
            }
            None => Target {
                sink,
                room: &room,
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
    room: &'a Arc<Room>,
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
        asked: job,
        io: io.clone(),
        room: Arc::clone(running.room),
    });
    // SAFETY: only lifetimes change. `sink`, `observer` and `asked` are used through a
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
        Running::start(&shared, job.another(), number, task, (0, Some(pass)));
    }
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
    pub(in crate::local) fn run(self, shared: &Arc<Shared>, worker: usize) {
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
