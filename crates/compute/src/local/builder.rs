//! How many workers and threads, and how much memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::gate::{Gate, Thresholds};
use super::memory::MemoryLimit;
use super::queue::Queue;
use super::running::Core;
use super::spill::Spill;
use super::workers::Workers;
use super::{LocalCluster, Shared};
use crate::buffer::Pool;
use crate::error::{Error, Result};
use crate::observe::Monitor;
use crate::program::Simd;

/// Threads that fetch.
const IO_THREADS: usize = 2;
/// Bytes that are fetched ahead, unless told otherwise.
const FETCH_AHEAD: u64 = 256 << 20;
/// Tasks that are fetched ahead at most, or 16 for each thread.
const FETCH_TASKS: usize = 64;
/// Unused buffers that are kept.
const POOL_KEEPS: u64 = 1 << 30;

/// Options of a [`LocalCluster`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct LocalClusterBuilder {
    n_workers: Option<usize>,
    threads_per_worker: Option<usize>,
    memory_limit: MemoryLimit,
    total_memory_limit: Option<MemoryLimit>,
    fetch_ahead: Option<u64>,
    name: Option<String>,
    spill: Spill,
}

impl LocalClusterBuilder {
    pub(super) fn new() -> LocalClusterBuilder {
        LocalClusterBuilder::default()
    }

    /// Number of workers. By default as dask: on up to 4 cores one for each,
    /// else the smallest divisor of the cores that is not below their root.
    pub fn n_workers(mut self, workers: usize) -> Self {
        self.n_workers = Some(workers);
        self
    }

    /// Threads of each worker. By default the cores divided by the workers.
    pub fn threads_per_worker(mut self, threads: usize) -> Self {
        self.threads_per_worker = Some(threads);
        self
    }

    /// Memory of each worker: `"2GiB"`, `"0.5"` (of the machine), `"auto"` (the
    /// default: a share by threads), `"none"`, or a [`MemoryLimit`]. Tasks are
    /// let in while what they will need fits into that of all workers together.
    ///
    /// # Errors
    /// A text that is no limit.
    pub fn memory_limit<L>(mut self, limit: L) -> Result<Self>
    where
        L: TryInto<MemoryLimit>,
        Error: From<L::Error>,
    {
        self.memory_limit = limit.try_into()?;
        self.total_memory_limit = None;
        Ok(self)
    }

    /// Memory of all workers together, instead of [`Self::memory_limit`] of
    /// each; written alike, with `"auto"` for all memory of the machine.
    ///
    /// # Errors
    /// A text that is no limit.
    pub fn total_memory_limit<L>(mut self, limit: L) -> Result<Self>
    where
        L: TryInto<MemoryLimit>,
        Error: From<L::Error>,
    {
        self.total_memory_limit = Some(limit.try_into()?);
        Ok(self)
    }

    /// Bytes that may be fetched ahead of the computing; 256 MiB by default.
    pub fn fetch_ahead(mut self, bytes: u64) -> Self {
        self.fetch_ahead = Some(bytes);
        self
    }

    /// Its name in messages; numbered by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where what a job keeps goes beyond the memory that it may take: files that
    /// are removed with the job. By default the system's directory for
    /// temporary files.
    pub fn local_directory(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.spill.directory = directory.into();
        self
    }

    /// The part of the memory limit that what a job keeps for its own later
    /// steps may take; beyond it the least recently used is spilled, 0 to 1; 0.6 by
    /// default, as dask's `target`.
    pub fn memory_target(mut self, part: f64) -> Self {
        self.spill.target = part.clamp(0.0, 1.0);
        self
    }

    /// The part of the memory limit down to which what a job keeps is spilled, the
    /// least recently used first, when a thread would be idle because no task can
    /// be let in beside it, 0 to 1; 0.7 by default, as dask's `spill`.
    pub fn memory_spill(mut self, part: f64) -> Self {
        self.spill.spill = part.clamp(0.0, 1.0);
        self
    }

    /// The part of the memory limit beyond which no further task is let in until
    /// others have ended, 0 to 1; 0.8 by default, as dask's `pause`. One task is
    /// always let in. There is no `terminate`: what a task needs is known before.
    pub fn memory_pause(mut self, part: f64) -> Self {
        self.spill.pause = part.clamp(0.0, 1.0);
        self
    }

    /// Bytes that may be spilled at a time; no limit by default.
    pub fn max_spill(mut self, bytes: u64) -> Self {
        self.spill.limit = Some(bytes);
        self
    }

    /// Starts the threads.
    ///
    /// # Errors
    /// No workers or threads, or threads that the system refuses.
    pub fn start(self) -> Result<LocalCluster> {
        static NUMBER: AtomicU64 = AtomicU64::new(1);

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (n_workers, threads_per_worker) = shape(cores, self.n_workers, self.threads_per_worker);
        if n_workers == 0 || threads_per_worker == 0 {
            return Err(Error::Invalid(
                "a cluster needs at least one worker of one thread".to_owned(),
            ));
        }
        if let MemoryLimit::Fraction(fraction) =
            self.total_memory_limit.unwrap_or(self.memory_limit)
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            return Err(Error::Invalid(format!(
                "a memory limit of {fraction} of the memory; give more than 0 and up to 1"
            )));
        }
        let name = self
            .name
            .unwrap_or_else(|| format!("{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let limit = match self.total_memory_limit {
            Some(limit) => limit.total_bytes(),
            None => self
                .memory_limit
                .per_worker(threads_per_worker, cores)
                .map(|bytes| bytes.saturating_mul(n_workers as u64)),
        };
        let quarter = limit.map_or(u64::MAX, |limit| limit / 4);
        let fetch_ahead = self.fetch_ahead.unwrap_or(FETCH_AHEAD.min(quarter));
        let refused =
            |error: std::io::Error| Error::Unsupported(format!("cannot start a thread: {error}"));
        let io = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(IO_THREADS)
            .thread_name(format!("datacube-io-{name}"))
            .enable_all()
            .build()
            .map_err(refused)?;
        let shared = Arc::new(Shared {
            name,
            workers: Workers::new(threads_per_worker),
            limit,
            queue: Queue::new(),
            gate: Arc::new(Gate::new(
                limit,
                fetch_ahead,
                FETCH_TASKS.max(16 * n_workers * threads_per_worker),
                Thresholds {
                    spill: self.spill.spill,
                    pause: self.spill.pause,
                    threads: n_workers * threads_per_worker,
                },
            )),
            pool: Pool::new(POOL_KEEPS.min(quarter)),
            simd: Simd::detect(),
            spill: self.spill,
            closed: false.into(),
            monitor: Arc::new(Monitor::new()),
        });
        let core = Core::new(shared, io, n_workers).map_err(refused)?;
        Ok(LocalCluster::from_core(core))
    }
}

/// Workers and threads for `cores`.
///
/// # Source
/// dask.distributed, `deploy/utils.py` (`nprocesses_nthreads`) and `local.py`.
fn shape(cores: usize, workers: Option<usize>, threads: Option<usize>) -> (usize, usize) {
    match (workers, threads) {
        (Some(workers), Some(threads)) => (workers, threads),
        (Some(0), None) | (None, Some(0)) => (0, 0),
        (Some(workers), None) => (workers, cores.div_ceil(workers)),
        (None, Some(threads)) => ((cores / threads).max(1), threads),
        (None, None) if cores <= 4 => (cores, 1),
        (None, None) => {
            let workers = (1..=cores)
                .find(|workers| cores.is_multiple_of(*workers) && workers * workers >= cores)
                .unwrap_or(cores);
            (workers, cores / workers)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daskss_shapes() {
        for (cores, expected) in [
            (1, (1, 1)),
            (4, (4, 1)),
            (8, (4, 2)),
            (16, (4, 4)),
            (32, (8, 4)),
            (96, (12, 8)),
            (7, (7, 1)),
        ] {
            assert_eq!(shape(cores, None, None), expected, "{cores}");
        }
        assert_eq!(shape(8, Some(3), None), (3, 3));
        assert_eq!(shape(8, None, Some(3)), (2, 3));
        assert_eq!(shape(2, None, Some(3)), (1, 3));
    }

    #[test]
    fn a_total_is_shared_by_the_workers() {
        let limit = |builder: LocalClusterBuilder| {
            let cluster = builder.n_workers(3).threads_per_worker(1).start().unwrap();
            let info = cluster.scheduler_info();
            (info.workers[0].memory_limit, info.memory.limit)
        };
        let each = LocalCluster::builder().memory_limit("300MB").unwrap();
        assert_eq!(limit(each), (Some(300_000_000), Some(900_000_000)));
        let together = LocalCluster::builder().total_memory_limit("300MB").unwrap();
        assert_eq!(limit(together), (Some(100_000_000), Some(300_000_000)));
        let half_over = LocalCluster::builder()
            .total_memory_limit(MemoryLimit::Fraction(1.5))
            .unwrap();
        assert!(half_over.start().is_err());
    }

    #[test]
    fn refused() {
        assert!(LocalCluster::builder().n_workers(0).start().is_err());
        assert!(LocalCluster::builder().memory_limit("much").is_err());
        let half_over = LocalCluster::builder()
            .memory_limit(MemoryLimit::Fraction(1.5))
            .unwrap();
        assert!(half_over.start().is_err());
    }
}
