//! A task that has been let in: its bytes are fetched, its steps are run, and it is
//! begun anew when it fails and may be tried again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::try_join_all;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::state::JobRef;
use super::{Shared, Work};
use crate::engine::CancelToken;
use crate::error::TaskFailure;
use crate::exec::{Machine, Task, guarded, panic_message};
use crate::local::gate::Pass;
use crate::local::tasks::task_error;
use crate::observe::{Event, StepKind};
use crate::source::Fetched;

/// Time before something is tried again, as often as it was tried.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A task that has been let in.
pub(in crate::local) struct Running {
    job: JobRef,
    number: usize,
    task: Task,
    /// How often it has failed.
    tries: AtomicU32,
    /// Used when the task is begun anew: what is still fetched for this one is not
    /// wanted.
    over: CancelToken,
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

impl Running {
    /// Has the steps of a task fetched; it has failed so many times before.
    pub(super) fn start(
        shared: &Arc<Shared>,
        job: JobRef,
        number: usize,
        task: Task,
        (tries, pass): (u32, Option<Pass>),
    ) {
        let running = Arc::new(Running {
            job,
            number,
            task,
            tries: AtomicU32::new(tries),
            over: CancelToken::new(),
            progress: Mutex::new(Progress {
                machine: Machine::default(),
                next: 0,
                arrived: BTreeMap::new(),
                taken: false,
                pass,
                time: Duration::ZERO,
            }),
        });
        if running.task.n_steps() == 1 {
            tokio::spawn(fetch(Arc::clone(shared), running, 0, None));
        } else {
            tokio::spawn(fetch_steps(Arc::clone(shared), running));
        }
    }

    /// Whether the task is tried again after a failure, and how often it has
    /// failed by then.
    fn again(&self, transient: bool) -> Option<u32> {
        let job = self.job.0.asked;
        let more = |tries: u32| job.again(transient, tries).then_some(tries + 1);
        let before = self
            .tries
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more);
        before.ok().map(|tries| tries + 1)
    }

    /// Begins the task anew, with what it was let in with: a step that failed has
    /// used up its bytes and left the states of the task half-way.
    fn start_again(&self, shared: &Arc<Shared>, tries: u32) {
        let pass = {
            let mut progress = self.progress.lock();
            // Under the lock, so that nothing arrives for it any more.
            self.over.cancel();
            progress.arrived.clear();
            progress.pass.take()
        };
        let (job, number, shared) = (self.job.another(), self.number, Arc::clone(shared));
        self.job.0.io.spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE * tries) => {}
                () = job.0.stop.cancelled() => return,
            }
            match job.0.tasks.plan(number, job.0.in_place, job.0.limit) {
                Ok((task, _)) => Running::start(&shared, job, number, task, (tries, pass)),
                Err(error) => job.0.fail(error),
            }
        });
    }

    /// Runs the steps for which everything has arrived.
    pub(super) fn run(self: Arc<Self>, shared: &Arc<Shared>, worker: usize) {
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
            if let Err(error) = state.step(
                shared,
                self.number,
                &self.task,
                (step, fetched),
                &mut machine,
                (worker, bytes),
            ) {
                return match self.again(error.is_transient()) {
                    Some(tries) => self.start_again(shared, tries),
                    None => state.fail(error),
                };
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

/// Fetches what the steps of a task need, as far ahead as it was let in with.
async fn fetch_steps(shared: Arc<Shared>, running: Arc<Running>) {
    let ahead = Arc::new(Semaphore::new(running.task.ahead()));
    for step in 0..running.task.n_steps() {
        let permit = tokio::select! {
            permit = Arc::clone(&ahead).acquire_owned() => permit.ok(),
            () = running.job.0.stop.cancelled() => return,
            () = running.over.cancelled() => return,
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
        loop {
            let attempt = async { try_join_all(work.task.fetches(step)).await };
            let outcome = std::panic::AssertUnwindSafe(attempt).catch_unwind().await;
            let again = match &outcome {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => work.again(error.is_transient()),
                Err(_) => work.again(false),
            };
            match again {
                Some(tries) => tokio::time::sleep(RETRY_PAUSE * tries).await,
                None => break outcome,
            }
        }
    };
    let outcome = tokio::select! {
        outcome = fetches => outcome,
        () = work.job.0.stop.cancelled() => return,
        () = work.over.cancelled() => return,
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
                state.tell_spills(work.number, &name);
                state.observer.event(&event);
            });
            if let Err(message) = told {
                TaskFailure::Panic(message)
            } else {
                let mut progress = work.progress.lock();
                if work.over.is_cancelled() {
                    return;
                }
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
