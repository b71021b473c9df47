//! The threads of a cluster: how many there are, and who they work for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::Shared;
use super::job::Work;
use crate::observe::set_lane;

/// How many threads there should be, and which numbers are free.
///
/// Threads are numbered from 0; thread `n` belongs to worker
/// `n / threads_per_worker`. Whoever is told to leave gives its number to one
/// whose number is no longer wanted.
#[derive(Debug)]
pub(super) struct Workers {
    n_workers: AtomicUsize,
    pub(super) threads_per_worker: usize,
    vacant: Mutex<Vec<usize>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Workers {
    pub(super) fn new(threads_per_worker: usize) -> Workers {
        Workers {
            n_workers: AtomicUsize::new(0),
            threads_per_worker,
            vacant: Mutex::default(),
            handles: Mutex::default(),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.n_workers.load(Ordering::Relaxed)
    }

    pub(super) fn n_threads(&self) -> usize {
        self.count() * self.threads_per_worker
    }

    pub(super) fn take_handles(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.handles.lock())
    }

    /// Starts threads, or tells some to leave, until there are `wanted` workers.
    pub(super) fn scale(&self, shared: &Arc<Shared>, wanted: usize) -> std::io::Result<()> {
        let mut handles = self.handles.lock();
        let before = self.n_threads();
        let after = wanted * self.threads_per_worker;
        self.n_workers.store(wanted, Ordering::Relaxed);
        for thread in before..after {
            let shared = Arc::clone(shared);
            let worker = thread / self.threads_per_worker;
            let number = thread % self.threads_per_worker;
            let handle = std::thread::Builder::new()
                .name(format!("datacube-{}-{worker}.{number}", shared.name))
                .spawn(move || shared.workers.work(&shared, thread))?;
            handles.push(handle);
        }
        drop(handles);
        for _ in after..before {
            shared.queue.put(Work::Leave);
        }
        Ok(())
    }

    fn work(&self, shared: &Arc<Shared>, thread: usize) {
        super::IS_WORKER.set(true);
        let mut thread = thread;
        set_lane(thread / self.threads_per_worker, thread);
        while let Some(work) = shared.queue.take() {
            if thread >= self.n_threads()
                && let Some(free) = self.vacant.lock().pop()
            {
                thread = free;
                set_lane(thread / self.threads_per_worker, thread);
            }
            if matches!(work, Work::Leave) {
                if thread < self.n_threads() {
                    self.vacant.lock().push(thread);
                }
                return;
            }
            work.run(shared, thread / self.threads_per_worker);
        }
    }
}
