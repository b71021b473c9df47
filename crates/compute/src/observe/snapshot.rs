//! A cluster at one moment, as plain values for pages, JSON and reports.

use serde::Serialize;

use super::{ErrorRecord, Footprint, JobSnapshot, LaneSnapshot, LayerSnapshot, StoreGauge};

/// A cluster at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClusterSnapshot {
    /// Its name.
    pub name: String,
    /// Its address, which has a meaning in this process only.
    pub address: String,
    /// `running` or `closed`.
    pub status: &'static str,
    /// Version of this crate.
    pub version: &'static str,
    /// When it started, in seconds since 1970.
    pub started: f64,
    /// Seconds since then.
    pub seconds: f64,
    /// CPU seconds of the process, over all threads.
    pub cpu_seconds: Option<f64>,
    /// Its workers.
    pub workers: Vec<WorkerSnapshot>,
    /// Its memory.
    pub memory: MemorySnapshot,
    /// Tasks by what they do.
    pub layers: Vec<LayerSnapshot>,
    /// Jobs that run or ran lately, the latest first.
    pub jobs: Vec<JobSnapshot>,
    /// What went wrong lately, the latest first.
    pub errors: Vec<ErrorRecord>,
    /// How much went wrong in all.
    pub n_errors: u64,
    /// Traffic with stores.
    pub stores: Vec<StoreGauge>,
    /// Where on earth the chunks lie.
    pub footprint: Option<Footprint>,
    /// Submitted functions that wait for a thread.
    pub ready_calls: u64,
}

/// A worker at one moment: some threads with a share of the memory.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkerSnapshot {
    /// Its number.
    pub id: usize,
    /// Its address.
    pub address: String,
    /// Its threads.
    pub threads: Vec<LaneSnapshot>,
    /// Its share of the memory limit; `None` for no limit.
    pub memory_limit: Option<u64>,
    /// Memory of the tasks that it has in hand, as projected before they began.
    pub memory: u64,
    /// Tasks that it has finished.
    pub done: u64,
}

/// The memory of a cluster at one moment, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct MemorySnapshot {
    /// What tasks and results may take together; `None` for no limit.
    pub limit: Option<u64>,
    /// What the whole process has in RAM.
    pub resident: Option<u64>,
    /// Chunk buffers in use.
    pub buffers: u64,
    /// Tasks that were let in, as projected.
    pub tasks: u64,
    /// Bytes among them that are being fetched or wait to be decoded.
    pub in_flight: u64,
    /// Tasks whose bytes are being fetched or wait to be decoded.
    pub fetching: u64,
    /// Results of running jobs.
    pub results: u64,
}

impl ClusterSnapshot {
    /// Tasks that were asked for, finished, and failed.
    pub fn tasks(&self) -> (u64, u64, u64) {
        self.layers.iter().fold((0, 0, 0), |sum, layer| {
            (
                sum.0 + layer.total,
                sum.1 + layer.done,
                sum.2 + layer.failed,
            )
        })
    }

    /// Tasks that threads are doing.
    pub fn executing(&self) -> usize {
        let lanes = self.workers.iter().flat_map(|worker| &worker.threads);
        lanes.filter(|lane| lane.layer.is_some()).count()
    }
}
