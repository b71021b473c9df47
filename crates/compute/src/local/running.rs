//! What a cluster, its clients and those who watch it share.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::gate::Gate;
use super::job::{self, Work};
use super::queue::Queue;
use super::workers::Workers;
use crate::buffer::Pool;
use crate::client::{CallTurn, Calls};
use crate::copies::Copied;
use crate::engine::{CancelToken, Engine, Job, forget_default_engine};
use crate::error::{Error, Result};
use crate::observe::{
    ClusterSnapshot, MemorySnapshot, Monitor, Observer, RunReport, WorkerSnapshot, process,
};
use crate::program::Simd;
use crate::repr::binary_bytes;
use crate::sink::ChunkSink;

/// A running cluster.
pub(crate) struct Core {
    shared: Arc<Shared>,
    calls: Arc<Calls>,
    io: Mutex<Option<tokio::runtime::Runtime>>,
    dashboard: Mutex<Option<String>>,
    /// Stops the jobs that run, for a restart.
    jobs: Mutex<Vec<Weak<CancelToken>>>,
    started: SystemTime,
    copied: Copied,
}

/// What the cluster's threads share.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) workers: Workers,
    pub(super) limit: Option<u64>,
    pub(super) queue: Queue<Work>,
    pub(super) gate: Arc<Gate>,
    pub(super) pool: Pool,
    pub(super) simd: Simd,
    pub(super) spill: super::spill::Spill,
    pub(super) closed: AtomicBool,
    pub(super) monitor: Arc<Monitor>,
}

impl Shared {
    pub(super) fn n_threads(&self) -> usize {
        self.workers.n_threads()
    }

    pub(super) fn memory_limit(&self) -> Option<u64> {
        self.limit
    }
}

impl Core {
    pub(super) fn new(
        shared: Arc<Shared>,
        io: tokio::runtime::Runtime,
        n_workers: usize,
    ) -> std::io::Result<Arc<Core>> {
        let monitor = Arc::clone(&shared.monitor);
        let core = Arc::new_cyclic(|core: &Weak<Core>| {
            let core = core.clone();
            // Turns are handed to the workers as jobs' tasks are.
            let give = move |turn: CallTurn| {
                if let Some(core) = core.upgrade() {
                    core.shared.queue.put(Work::Calls(turn));
                }
            };
            Core {
                shared,
                calls: Calls::new(monitor, Box::new(give)),
                io: Mutex::new(Some(io)),
                dashboard: Mutex::new(None),
                jobs: Mutex::default(),
                started: SystemTime::now(),
                copied: Copied::here(),
            }
        });
        core.calls
            .set_threads(n_workers * core.threads_per_worker());
        if let Err(error) = core.shared.workers.scale(&core.shared, n_workers) {
            core.close();
            return Err(error);
        }
        Ok(core)
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn address(&self) -> String {
        format!("inproc://{}", self.shared.name)
    }

    pub(crate) fn calls(&self) -> &Arc<Calls> {
        &self.calls
    }

    pub(crate) fn monitor(&self) -> &Monitor {
        &self.shared.monitor
    }

    pub(crate) fn n_workers(&self) -> usize {
        self.shared.workers.count()
    }

    pub(crate) fn threads_per_worker(&self) -> usize {
        self.shared.workers.threads_per_worker
    }

    pub(crate) fn n_threads(&self) -> usize {
        self.shared.n_threads()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn clear_pool(&self) {
        self.shared.pool.clear();
    }

    pub(crate) fn dashboard_link(&self) -> Option<String> {
        self.dashboard.lock().clone()
    }

    pub(crate) fn set_dashboard_link(&self, link: Option<String>) {
        *self.dashboard.lock() = link;
    }

    pub(super) fn closed_error(&self) -> Error {
        Error::Closed {
            name: Engine::name(self),
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        self.copied.check("the cluster")?;
        if self.is_closed() {
            Err(self.closed_error())
        } else {
            Ok(())
        }
    }

    pub(super) fn scale(&self, n_workers: usize) -> Result<()> {
        self.check_open()?;
        if n_workers == 0 {
            return Err(Error::Invalid(
                "a cluster cannot be scaled to no worker; close it instead".to_owned(),
            ));
        }
        self.calls
            .set_threads(n_workers * self.threads_per_worker());
        self.shared
            .workers
            .scale(&self.shared, n_workers)
            .map_err(|error| Error::Unsupported(format!("cannot start a thread: {error}")))
    }

    /// Stops every job and gives up every result of a submitted function.
    pub(crate) fn restart(&self) -> Result<()> {
        self.check_open()?;
        for token in self.jobs.lock().drain(..).filter_map(|job| job.upgrade()) {
            token.cancel();
        }
        self.calls.restart();
        self.shared.pool.clear();
        Ok(())
    }

    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        if self.copied.is_elsewhere() {
            // The locks of this copy do not wake the threads that would be waited for.
            return;
        }
        self.shared.queue.close();
        self.calls.close();
        // Dropping a runtime within another one would panic.
        if let Some(io) = self.io.lock().take() {
            io.shutdown_background();
        }
        let this = std::thread::current().id();
        for thread in self.shared.workers.take_handles() {
            if thread.thread().id() != this {
                // A worker's panics are caught where they happen.
                let _ = thread.join();
            }
        }
        self.shared.pool.clear();
        let core: *const Core = self;
        forget_default_engine(|engine| std::ptr::addr_eq(Arc::as_ptr(engine), core));
    }

    pub(crate) fn memory(&self) -> MemorySnapshot {
        let (tasks, in_flight, fetching, results) = self.shared.gate.usage();
        MemorySnapshot {
            limit: self.shared.limit,
            resident: process::resident_bytes(),
            buffers: self.shared.pool.used(),
            tasks,
            in_flight,
            fetching: fetching as u64,
            results,
        }
    }

    pub(crate) fn snapshot(&self) -> ClusterSnapshot {
        let monitor = self.monitor();
        let (errors, n_errors) = monitor.errors();
        let lanes = monitor.lanes(self.n_threads());
        let n_workers = self.n_workers();
        let share = self
            .shared
            .limit
            .map(|bytes| bytes / n_workers.max(1) as u64);
        let workers = lanes.chunks(self.threads_per_worker()).enumerate();
        ClusterSnapshot {
            name: self.shared.name.clone(),
            address: self.address(),
            status: if self.is_closed() {
                "closed"
            } else {
                "running"
            },
            version: env!("CARGO_PKG_VERSION"),
            started: self
                .started
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |time| time.as_secs_f64()),
            seconds: Instant::now().duration_since(monitor.epoch()).as_secs_f64(),
            cpu_seconds: process::cpu_time().map(|time| time.as_secs_f64()),
            workers: workers
                .map(|(id, threads)| WorkerSnapshot {
                    id,
                    address: format!("{}/{id}", self.address()),
                    threads: threads.to_vec(),
                    memory_limit: share,
                    memory: threads.iter().map(|thread| thread.bytes).sum(),
                    done: threads.iter().map(|thread| thread.done).sum(),
                })
                .collect(),
            memory: self.memory(),
            layers: monitor.layers(),
            jobs: monitor.jobs(),
            errors,
            n_errors,
            stores: monitor.stores(),
            footprint: monitor.footprint(),
            ready_calls: self.calls.waiting() as u64,
        }
    }

    pub(crate) fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LocalCluster({}, '{}', workers={}, threads={}, memory={}{})",
            self.shared.name,
            self.address(),
            self.n_workers(),
            self.n_threads(),
            self.shared
                .limit
                .map_or_else(|| "unlimited".to_owned(), binary_bytes),
            if self.is_closed() { ", closed" } else { "" }
        )
    }
}

impl Engine for Core {
    fn name(&self) -> String {
        format!("LocalCluster {}", self.shared.name)
    }

    fn memory_limit(&self) -> Option<u64> {
        self.shared.limit
    }

    fn run(&self, job: &Job, sink: &dyn ChunkSink, observer: &dyn Observer) -> Result<RunReport> {
        self.copied.check("the cluster")?;
        if super::IS_WORKER.get() {
            return Err(Error::Unsupported(
                "a task of a LocalCluster cannot compute on a LocalCluster itself; compute what it needs beforehand, or with the serial engine"
                    .to_owned(),
            ));
        }
        let io = self.io.lock().as_ref().map(|io| io.handle().clone());
        let io = io.ok_or_else(|| self.closed_error())?;
        let token = Arc::new(job.cancel_token().clone());
        {
            let mut jobs = self.jobs.lock();
            jobs.retain(|job| job.strong_count() > 0);
            jobs.push(Arc::downgrade(&token));
        }
        let watch = self.shared.monitor.watch_job(job.plan(), observer);
        let result = job::run(&self.shared, &io, job, sink, &watch);
        watch.finish(&result);
        result
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe(f)
    }
}
