//! One submitted function: its state, its result, and who waits for it.

use std::any::Any;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::calls::{Calls, Run};
use crate::engine::CancelToken;
use crate::error::{CallError, CallFailure, Error, Result};
use crate::exec::guarded;
use crate::observe::{Layer, StepKind};

/// A function that can be tried more than once.
pub(super) type Attempt<T> = Box<dyn FnMut() -> Result<T, CallFailure> + Send>;

/// What is known about a call from the start.
pub(super) struct Head {
    pub(super) number: u64,
    /// Given by the caller; else made of the layer's name and the number.
    pub(super) key: Option<Box<str>>,
    pub(super) layer: Arc<Layer>,
    pub(super) priority: i32,
    pub(super) retries: u32,
    pub(super) calls: Arc<Calls>,
    pub(super) epoch: u64,
    /// Used when the call is cancelled while it runs.
    pub(super) stop: Option<CancelToken>,
    /// Whether it is a task; a job counts its own, and tells its own errors.
    pub(super) counted: bool,
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For inputs or for a thread.
    Waiting,
    Running,
    Ended,
}

/// A submitted function and its result.
pub(super) struct Cell<T> {
    pub(super) head: Head,
    /// Inputs that have not ended.
    missing: AtomicUsize,
    outcome: OnceLock<Result<T, Error>>,
    state: Mutex<State<T>>,
    ended: Condvar,
}

struct State<T> {
    phase: Phase,
    attempt: Option<Attempt<T>>,
    watchers: Vec<Box<dyn FnOnce() + Send>>,
    wakers: Vec<Waker>,
}

impl<T: Send + Sync + 'static> Cell<T> {
    pub(super) fn new(head: Head, attempt: Option<Attempt<T>>, inputs: usize) -> Arc<Cell<T>> {
        Arc::new(Cell {
            head,
            missing: AtomicUsize::new(inputs),
            outcome: OnceLock::new(),
            state: Mutex::new(State {
                phase: Phase::Waiting,
                attempt,
                watchers: Vec::new(),
                wakers: Vec::new(),
            }),
            ended: Condvar::new(),
        })
    }

    pub(super) fn key(&self) -> String {
        match &self.head.key {
            Some(key) => key.to_string(),
            None => format!("{}-{}", self.head.layer.name, self.head.number),
        }
    }

    pub(super) fn error(&self, tries: u32, cause: CallFailure) -> Error {
        Error::Call(Box::new(CallError {
            key: self.key(),
            tries,
            cause,
        }))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.head.epoch != self.head.calls.epoch()
    }

    /// Whether it has a result, or may come to one.
    pub(super) fn is_good(&self) -> bool {
        !self.is_lost() && !matches!(self.outcome.get(), Some(Err(_)))
    }

    pub(super) fn is_running(&self) -> bool {
        self.state.lock().phase == Phase::Running
    }

    /// The result, if it has ended.
    pub(super) fn outcome(&self) -> Option<&Result<T, Error>> {
        self.outcome.get()
    }

    /// Waits until it ends; `false` if that takes longer.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let mut state = self.state.lock();
        while state.phase != Phase::Ended {
            match deadline {
                None => self.ended.wait(&mut state),
                Some(deadline) => {
                    if self.ended.wait_until(&mut state, deadline).timed_out() {
                        return state.phase == Phase::Ended;
                    }
                }
            }
        }
        true
    }

    /// Calls `then` when it has ended: at once if it has.
    pub(super) fn on_end(&self, then: Box<dyn FnOnce() + Send>) {
        let mut state = self.state.lock();
        if state.phase == Phase::Ended {
            drop(state);
            then();
        } else {
            state.watchers.push(then);
        }
    }

    /// Wakes `waker` when it has ended; `false` if it has.
    pub(super) fn wake(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.phase == Phase::Ended {
            return false;
        }
        if !state.wakers.iter().any(|other| other.will_wake(waker)) {
            state.wakers.push(waker.clone());
        }
        true
    }

    /// Says that it runs, outside the workers' threads; `false` if it has ended.
    pub(super) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let waited = state.phase == Phase::Waiting;
        if waited {
            state.phase = Phase::Running;
        }
        waited
    }

    /// Ends it, unless it has ended; tells everybody who waits.
    pub(super) fn end(&self, outcome: Result<T, Error>) -> bool {
        let layer = &self.head.layer;
        let mut state = self.state.lock();
        if state.phase == Phase::Ended {
            return false;
        }
        match &outcome {
            _ if !self.head.counted => {}
            Ok(_) => layer.done(),
            Err(error) if error.is_cancelled() => layer.released(1),
            Err(error) => {
                layer.failed();
                let inherited = matches!(error, Error::Call(call)
                    if matches!(call.cause, CallFailure::Input(_) | CallFailure::Lost | CallFailure::Closed));
                if !inherited {
                    self.head.calls.monitor.error(error);
                }
            }
        }
        // Nobody else sets it: whoever does has seen the phase under the lock.
        let _ = self.outcome.set(outcome);
        state.phase = Phase::Ended;
        let attempt = state.attempt.take();
        let watchers = std::mem::take(&mut state.watchers);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.ended.notify_all();
        // What the function holds, inputs above all, goes before others start.
        drop(attempt);
        for waker in wakers {
            waker.wake();
        }
        for watcher in watchers {
            if let Err(message) = guarded(watcher) {
                let error = self.error(0, CallFailure::Panic(format!("in a callback: {message}")));
                self.head.calls.monitor.error(&error);
            }
        }
        true
    }

    /// Ends it without a result; a running function's is thrown away.
    pub(super) fn cancel(&self) {
        if self.end(Err(self.error(0, CallFailure::Cancelled)))
            && let Some(stop) = &self.head.stop
        {
            stop.cancel();
        }
    }

    pub(super) fn as_run(self: &Arc<Self>) -> Arc<dyn Run> {
        Arc::clone(self) as Arc<dyn Run>
    }

    pub(super) fn as_weak_run(self: &Arc<Self>) -> Weak<dyn Run> {
        let weak: Weak<Cell<T>> = Arc::downgrade(self);
        weak
    }

    /// Has it run even if nobody holds its future.
    pub(super) fn keep(self: &Arc<Self>) {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(self) as _;
        let (calls, number) = (Arc::clone(&self.head.calls), self.head.number);
        calls.keep(number, any);
        let calls = Arc::downgrade(&calls);
        self.on_end(Box::new(move || {
            if let Some(calls) = calls.upgrade() {
                calls.no_longer_keep(number);
            }
        }));
    }
}

impl<T: Send + Sync + 'static> Run for Cell<T> {
    fn run(self: Arc<Self>) {
        let attempt = {
            let mut state = self.state.lock();
            if state.phase != Phase::Waiting {
                return;
            }
            state.phase = Phase::Running;
            state.attempt.take()
        };
        let Some(mut attempt) = attempt else {
            return;
        };
        let head = &self.head;
        let monitor = &head.calls.monitor;
        let begun = Instant::now();
        monitor.begin(&head.layer, 0, begun);
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let failure = match guarded(&mut attempt) {
                Ok(Ok(value)) => break Ok(value),
                Ok(Err(failure)) => failure,
                Err(message) => CallFailure::Panic(message),
            };
            let again = matches!(failure, CallFailure::Panic(_) | CallFailure::Failed(_));
            if !again || tries > head.retries || self.outcome.get().is_some() {
                break Err(self.error(tries, failure));
            }
        };
        // Inputs are released before the result is announced.
        let over = guarded(move || drop(attempt));
        let time: Duration = begun.elapsed();
        monitor.step(&head.layer, StepKind::Compute, head.number, begun, time, 0);
        monitor.end();
        let outcome = match (outcome, over) {
            (Ok(_), Err(message)) => Err(self.error(tries, CallFailure::Panic(message))),
            (outcome, _) => outcome,
        };
        self.end(outcome);
    }

    fn input_ended(self: Arc<Self>) {
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            let run = self.as_run();
            self.head.calls.put(&[run], true);
        }
    }

    fn give_up(&self, why: CallFailure) {
        self.end(Err(self.error(0, why)));
    }

    fn priority(&self) -> i32 {
        self.head.priority
    }
}

/// Nobody wants it any more.
impl<T> Drop for Cell<T> {
    fn drop(&mut self) {
        if self.state.get_mut().phase != Phase::Ended && self.head.counted {
            self.head.layer.released(1);
        }
    }
}
