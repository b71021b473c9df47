//! `LocalCluster`: all cores of this machine, in this process.
//!
//! Two kinds of threads share the work. A small tokio runtime fetches what
//! tasks need, in task order, ahead of the computing by a budget of bytes.
//! Worker threads decode and compute; they take what is ready and never wait
//! for a socket. Tasks are let in by the bytes that they will need, which are
//! known before they run.
//!
//! What dask's cluster has and this one has no use for: processes, ports and
//! protocols (workers are threads of this process and share its memory, so
//! nothing is copied or pickled between them), nannies (a panic is caught where
//! it happens), adaptive scaling (threads that have nothing to do cost
//! nothing), waiting for workers (they are there when `start` comes back).

mod builder;

mod gate;
mod job;
pub(crate) mod memory;
mod phases;
mod queue;
mod running;
mod spill;
mod tasks;
mod workers;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

pub use builder::LocalClusterBuilder;
pub use memory::MemoryLimit;
pub(crate) use running::Core;
use running::Shared;

use crate::engine::{Engine, Job};
use crate::error::Result;
use crate::observe::{ClusterSnapshot, Monitor, Observer, PerformanceReport, RunReport};
use crate::sink::ChunkSink;

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
/// let cluster = LocalCluster::new().n_workers(2).memory_limit("1GiB")?.start()?;
/// let array = DataArray::from_values("a", &["x"], &[3], vec![1.0, 4.0, 9.0], Coords::new())?;
/// assert_eq!(array.sqrt().compute_with(&cluster)?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
/// cluster.close();
/// # Ok::<(), datacube_compute::Error>(())
/// ```
pub struct LocalCluster {
    core: Arc<Core>,
}

impl LocalCluster {
    /// Says how many workers, threads and how much memory; ends with
    /// [`start`](LocalClusterBuilder::start).
    #[allow(
        clippy::new_ret_no_self,
        reason = "LocalCluster(n_workers=...) of dask, in which every argument may be left out"
    )]
    pub fn new() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    /// A cluster of all cores and all memory.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn start() -> Result<LocalCluster> {
        LocalCluster::new().start()
    }

    /// As [`LocalCluster::new`].
    pub fn builder() -> LocalClusterBuilder {
        LocalClusterBuilder::new()
    }

    fn from_core(core: Arc<Core>) -> LocalCluster {
        LocalCluster { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Its name: numbered unless given.
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// `inproc://` and the name: it means something in this process only.
    pub fn scheduler_address(&self) -> String {
        self.core.address()
    }

    /// Number of workers.
    pub fn n_workers(&self) -> usize {
        self.core.n_workers()
    }

    /// Threads of each worker.
    pub fn threads_per_worker(&self) -> usize {
        self.core.threads_per_worker()
    }

    /// Threads of all workers.
    pub fn n_threads(&self) -> usize {
        self.core.n_threads()
    }

    /// Changes the number of workers. Threads that are no longer wanted end
    /// after the task that they are doing. The memory limit of the cluster
    /// stays what it was and is shared by the workers that there are then: more
    /// workers do not bring more memory on one machine.
    ///
    /// # Errors
    /// No worker at all, a cluster that is closed, threads that the system
    /// refuses.
    pub fn scale(&self, n_workers: usize) -> Result<()> {
        self.core.scale(n_workers)
    }

    /// Everything there is to know about it now: workers, memory, tasks, jobs,
    /// errors. What dask calls `scheduler_info`.
    pub fn scheduler_info(&self) -> ClusterSnapshot {
        self.core.snapshot()
    }

    /// What happens on it, for pages and reports.
    pub fn monitor(&self) -> &Monitor {
        self.core.monitor()
    }

    /// A handle for whoever watches it; does not keep it open.
    pub fn watch(&self) -> ClusterWatch {
        ClusterWatch(Arc::clone(&self.core))
    }

    /// Where its dashboard is, if one was started.
    pub fn dashboard_link(&self) -> Option<String> {
        self.core.dashboard_link()
    }

    /// Says where its dashboard is; for whoever started one.
    pub fn set_dashboard_link(&self, link: Option<String>) {
        self.core.set_dashboard_link(link);
    }

    /// Writes one HTML file on what happens from now until the guard is
    /// dropped.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn performance_report(
        &self,
        path: impl AsRef<std::path::Path>,
    ) -> Result<PerformanceReport> {
        PerformanceReport::start(&self.core, path.as_ref())
    }

    /// How a notebook shows it: a table, with workers to unfold.
    pub fn to_html(&self) -> String {
        crate::repr::cluster_html(&self.scheduler_info(), self.dashboard_link().as_deref())
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    /// Gives memory that waits to be used again back to the system.
    pub fn clear_pool(&self) {
        self.core.clear_pool();
    }

    /// Ends the cluster's threads, after the tasks that they are doing. Jobs
    /// that run come back with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.core.close();
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.close();
    }
}

/// Looks at a cluster without keeping it open.
#[derive(Clone, Debug)]
pub struct ClusterWatch(Arc<Core>);

impl ClusterWatch {
    /// Everything there is to know about it now.
    pub fn snapshot(&self) -> ClusterSnapshot {
        self.0.snapshot()
    }

    /// What happens on it.
    pub fn monitor(&self) -> &Monitor {
        self.0.monitor()
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Says where its dashboard is.
    pub fn set_dashboard_link(&self, link: Option<String>) {
        self.0.set_dashboard_link(link);
    }
}

impl Engine for LocalCluster {
    fn name(&self) -> String {
        Engine::name(&*self.core)
    }

    fn memory_limit(&self) -> Option<u64> {
        self.core.memory_limit()
    }

    fn run(&self, job: &Job, sink: &dyn ChunkSink, observer: &dyn Observer) -> Result<RunReport> {
        self.core.run(job, sink, observer)
    }
}

/// `LocalCluster(default, 'inproc://default', workers=2, threads=2, memory=23.54 GiB)`.
impl fmt::Display for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.describe(f)
    }
}

impl fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
