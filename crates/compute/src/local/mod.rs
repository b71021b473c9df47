//! `LocalCluster`: all cores of this machine, in this process.
//!
//! Two kinds of threads share the work. A small tokio runtime fetches what
//! tasks need, in task order, ahead of the computing by a budget of bytes.
//! Worker threads decode and compute; they take what is ready and never wait
//! for a socket. Tasks are let in by the bytes that they will need, which are
//! known before they run.

mod builder;
mod gate;
mod job;
pub(crate) mod memory;
mod phases;
mod queue;
mod spill;
mod tasks;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use parking_lot::Mutex;

pub use builder::LocalClusterBuilder;
pub use memory::MemoryLimit;

use crate::buffer::Pool;
use crate::engine::{Engine, Job};
use crate::error::{Error, Result};
use crate::observe::{Observer, RunReport};
use crate::program::Simd;
use crate::repr::binary_bytes;
use crate::sink::ChunkSink;
use gate::Gate;
use job::Work;
use queue::Queue;

thread_local! {
    /// Whether this thread computes for a cluster.
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// Computes on all cores of this machine.
///
/// Dropping it, or [`close`](LocalCluster::close), ends its threads; jobs that
/// run then come back with an error.
///
/// ```
/// use datacube_compute::{Coords, DataArray, LocalCluster};
/// let cluster = LocalCluster::builder().n_workers(2).memory_limit("1GiB")?.start()?;
/// let array = DataArray::from_values("a", &["x"], &[3], vec![1.0, 4.0, 9.0], Coords::new())?;
/// assert_eq!(array.sqrt().compute_with(&cluster)?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
/// cluster.close();
/// # Ok::<(), datacube_compute::Error>(())
/// ```
pub struct LocalCluster {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    io: Mutex<Option<tokio::runtime::Runtime>>,
}

/// What the cluster's threads share.
struct Shared {
    name: String,
    n_workers: usize,
    threads_per_worker: usize,
    worker_memory: Option<u64>,
    queue: Queue<Work>,
    gate: Arc<Gate>,
    pool: Pool,
    simd: Simd,
    spill: spill::Spill,
    closed: AtomicBool,
}

impl LocalCluster {
    /// A cluster of all cores and all memory.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn start() -> Result<LocalCluster> {
        LocalCluster::builder().start()
    }

    /// Says how many workers, threads and how much memory.
    pub fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    /// Number of workers.
    pub fn n_workers(&self) -> usize {
        self.shared.n_workers
    }

    /// Threads of each worker.
    pub fn threads_per_worker(&self) -> usize {
        self.shared.threads_per_worker
    }

    /// Threads of all workers.
    pub fn n_threads(&self) -> usize {
        self.shared.n_threads()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    /// Gives memory that waits to be used again back to the system.
    pub fn clear_pool(&self) {
        self.shared.pool.clear();
    }

    /// Ends the cluster's threads, after the tasks that they are doing. Jobs
    /// that run come back with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.shared.queue.close();
        // Dropping a runtime within another one would panic.
        if let Some(io) = self.io.lock().take() {
            io.shutdown_background();
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let this = std::thread::current().id();
        for thread in threads {
            if thread.thread().id() != this {
                // A worker's panics are caught where they happen.
                let _ = thread.join();
            }
        }
        self.shared.pool.clear();
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn n_threads(&self) -> usize {
        self.n_workers * self.threads_per_worker
    }

    fn memory_limit(&self) -> Option<u64> {
        self.worker_memory
            .map(|bytes| bytes.saturating_mul(self.n_workers as u64))
    }

    fn work(self: &Arc<Self>, worker: usize) {
        IS_WORKER.set(true);
        while let Some(work) = self.queue.take() {
            work.run(self, worker);
        }
    }
}

impl Engine for LocalCluster {
    fn name(&self) -> String {
        format!("LocalCluster {}", self.shared.name)
    }

    fn memory_limit(&self) -> Option<u64> {
        self.shared.memory_limit()
    }

    fn run(&self, job: &Job, sink: &dyn ChunkSink, observer: &dyn Observer) -> Result<RunReport> {
        if IS_WORKER.get() {
            return Err(Error::Unsupported(
                "a task of a LocalCluster cannot compute on a LocalCluster itself; compute what it needs beforehand, or with the serial engine"
                    .to_owned(),
            ));
        }
        let io = self.io.lock().as_ref().map(|io| io.handle().clone());
        let io = io.ok_or_else(|| Error::Closed { name: self.name() })?;
        job::run(&self.shared, &io, job, sink, observer)
    }
}

/// `LocalCluster(default, workers=2, threads=2, memory=23.54 GiB)`.
impl fmt::Display for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = match self.shared.memory_limit() {
            Some(bytes) => binary_bytes(bytes),
            None => "unlimited".to_owned(),
        };
        write!(
            f,
            "LocalCluster({}, workers={}, threads={}, memory={memory}{})",
            self.shared.name,
            self.n_workers(),
            self.n_threads(),
            if self.is_closed() { ", closed" } else { "" }
        )
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
