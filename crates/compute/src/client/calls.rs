//! Submitted functions that wait for a thread, and the turns in which the
//! workers take them.
//!
//! A turn is the right to run functions one after the other for a while; the
//! workers' queue holds turns and not functions, so that a million functions
//! cost it nothing. What a function made possible comes before what waited all
//! along: depth first, so that results are used while they are there.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::copies::{Copied, OtherCopy};
use crate::error::CallFailure;
use crate::observe::Monitor;

/// A function that can be run: a future's other side.
pub(super) trait Run: Send + Sync {
    /// Runs it, unless it was cancelled meanwhile.
    fn run(self: Arc<Self>);

    /// One of its inputs has ended.
    fn input_ended(self: Arc<Self>);

    /// It will not be run.
    fn give_up(&self, why: CallFailure);

    /// Higher ones come first.
    fn priority(&self) -> i32;
}

type Give = Box<dyn Fn(CallTurn) + Send + Sync>;

/// The submitted functions of a cluster.
pub(crate) struct Calls {
    pub(super) monitor: Arc<Monitor>,
    ready: Mutex<Ready>,
    threads: AtomicUsize,
    /// Hands a turn to the workers.
    give: Give,
    numbers: AtomicU64,
    /// Counts restarts; results of an earlier one are lost.
    epoch: AtomicU64,
    closed: AtomicBool,
    copied: Copied,
    /// Futures that have a key which says what they compute.
    known: Mutex<HashMap<String, Weak<dyn Any + Send + Sync>>>,
    /// Futures that run whether or not anybody holds them.
    kept: Mutex<HashMap<u64, Arc<dyn Any + Send + Sync>>>,
}

#[derive(Default)]
struct Ready {
    waiting: BTreeMap<Reverse<i32>, VecDeque<Weak<dyn Run>>>,
    len: usize,
    /// Turns that were given and have not ended.
    turns: usize,
    /// Turns among them whose thread is inside a function, perhaps for long.
    busy: usize,
}

/// The right to run submitted functions for a while.
pub(crate) struct CallTurn {
    calls: Arc<Calls>,
    /// Whether it counts as busy.
    busy: bool,
}

impl Calls {
    pub(crate) fn new(monitor: Arc<Monitor>, give: Give) -> Arc<Calls> {
        Arc::new(Calls {
            monitor,
            ready: Mutex::default(),
            threads: AtomicUsize::new(1),
            give,
            numbers: AtomicU64::new(1),
            epoch: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            copied: Copied::here(),
            known: Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// Threads that may run functions side by side.
    pub(crate) fn set_threads(&self, threads: usize) {
        self.threads.store(threads, Ordering::Relaxed);
    }

    /// Functions that wait for a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.ready.lock().len
    }

    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Functions that can run now; those that others made possible `first`.
    pub(super) fn put(self: &Arc<Self>, calls: &[Arc<dyn Run>], first: bool) {
        if self.closed.load(Ordering::SeqCst) {
            for call in calls {
                call.give_up(CallFailure::Closed);
            }
            return;
        }
        if let Err(error) = self.copied.check("the cluster") {
            let error: Arc<OtherCopy> = Arc::new(error);
            for call in calls {
                call.give_up(CallFailure::Failed(error.clone()));
            }
            return;
        }
        let turns = {
            let mut ready = self.ready.lock();
            for call in calls {
                let bucket = ready.waiting.entry(Reverse(call.priority())).or_default();
                if first {
                    bucket.push_front(Arc::downgrade(call));
                } else {
                    bucket.push_back(Arc::downgrade(call));
                }
            }
            ready.len += calls.len();
            let wanted = (ready.len + ready.busy).min(self.threads.load(Ordering::Relaxed));
            let turns = wanted.saturating_sub(ready.turns);
            ready.turns += turns;
            turns
        };
        for _ in 0..turns {
            (self.give)(CallTurn {
                calls: Arc::clone(self),
                busy: false,
            });
        }
        // Closed between the look and the entry: nobody will come for them.
        if self.closed.load(Ordering::SeqCst) {
            self.give_all_up(&CallFailure::Closed);
        }
    }

    /// The next function for a turn; `busy` if it comes from another one.
    fn next(&self, busy: bool) -> Option<Weak<dyn Run>> {
        let mut ready = self.ready.lock();
        ready.busy -= usize::from(busy);
        let next = loop {
            let Some(mut bucket) = ready.waiting.first_entry() else {
                break None;
            };
            match bucket.get_mut().pop_front() {
                Some(call) => break Some(call),
                None => {
                    bucket.remove();
                }
            }
        };
        match next {
            Some(_) => {
                ready.len -= 1;
                ready.busy += 1;
            }
            // Decided under the lock, so that no function is put in unseen.
            None => ready.turns -= 1,
        }
        next
    }

    fn give_all_up(&self, why: &CallFailure) {
        let waiting = {
            let mut ready = self.ready.lock();
            ready.len = 0;
            std::mem::take(&mut ready.waiting)
        };
        for call in waiting.into_values().flatten() {
            if let Some(call) = call.upgrade() {
                call.give_up(why.clone());
            }
        }
        let kept = std::mem::take(&mut *self.kept.lock());
        drop(kept);
        self.known.lock().clear();
    }

    /// Gives up every result, had or to come.
    pub(crate) fn restart(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.give_all_up(&CallFailure::Lost);
    }

    /// No function runs any more.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.give_all_up(&CallFailure::Closed);
    }

    /// The future of this key and type if somebody holds it and it is `usable`,
    /// else the one that `make` makes; and whether it was made.
    pub(super) fn known<C: Any + Send + Sync>(
        &self,
        key: &str,
        usable: impl FnOnce(&C) -> bool,
        make: impl FnOnce() -> Arc<C>,
    ) -> (Arc<C>, bool) {
        let mut known = self.known.lock();
        let held = known.get(key).and_then(Weak::upgrade);
        let held = held.and_then(|held| held.downcast::<C>().ok());
        if let Some(held) = held.filter(|held| usable(held)) {
            return (held, false);
        }
        let made = make();
        let any: Arc<dyn Any + Send + Sync> = made.clone();
        known.insert(key.to_owned(), Arc::downgrade(&any));
        // Keys whose futures are gone are cleared out now and then.
        if known.len().is_power_of_two() {
            known.retain(|_, held| held.strong_count() > 0);
        }
        (made, true)
    }

    pub(super) fn keep(&self, number: u64, call: Arc<dyn Any + Send + Sync>) {
        self.kept.lock().insert(number, call);
    }

    pub(super) fn no_longer_keep(&self, number: u64) {
        let kept = self.kept.lock().remove(&number);
        drop(kept);
    }
}

impl CallTurn {
    /// Runs functions until none waits, or until `turn` is over and `others`
    /// says that somebody else waits for the thread: then it gives itself back.
    pub(crate) fn run(mut self, turn: Duration, others: impl Fn() -> bool) -> Option<CallTurn> {
        let begun = Instant::now();
        while let Some(call) = self.calls.next(self.busy) {
            self.busy = true;
            if let Some(call) = call.upgrade() {
                call.run();
                if begun.elapsed() > turn && others() {
                    return Some(self);
                }
            }
        }
        None
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
