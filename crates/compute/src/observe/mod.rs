//! Watching a job: events while it runs, and a report when it is done.

mod job;
mod layer;
mod monitor;
mod notebook;
pub(crate) mod process;
mod progress;
mod report;
mod ring;
mod snapshot;
mod span;

use std::fmt;
use std::time::{Duration, Instant};

pub use job::{JobSnapshot, JobState, MapSnapshot};
pub(crate) use layer::Layer;
pub use layer::{LayerSnapshot, Steps};
pub(crate) use monitor::set_lane;
pub use monitor::{ErrorRecord, Footprint, LaneSnapshot, Monitor, SpanCursor, StoreGauge};
pub use notebook::NotebookProgress;
pub use progress::ProgressBar;
pub(crate) use progress::call_bar;
pub use report::{PerformanceReport, Series, layer_colour, lines, step_colour, task_stream};
pub use snapshot::{ClusterSnapshot, MemorySnapshot, WorkerSnapshot};
pub use span::{Span, StepKind};

use crate::region::Region;
use crate::repr::binary_bytes;
use crate::source::Cost;

/// Is told what happens. Called from worker threads; should not wait.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// Watches nothing.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}

/// What can happen while a job runs.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The job fits, and starts.
    JobStarted {
        /// Tasks that it consists of.
        tasks: usize,
        /// What all of them will read; an estimate where `exact` is false.
        projected: Cost,
        /// Whether every task was asked, rather than a sample.
        exact: bool,
        /// Memory of the largest task.
        task_bytes: u64,
    },
    /// What a task needs has arrived.
    TaskFetched {
        /// Number of the task.
        task: usize,
        /// Bytes that were moved.
        bytes: u64,
        /// Requests that were made.
        requests: u64,
    },
    /// A stage consists of so many tasks; comes before any of them.
    StagePlanned {
        /// The arrays that it makes.
        array: &'a str,
        /// Tasks that make them.
        tasks: usize,
    },
    /// A worker's thread begins with a task; told on that thread.
    TaskStarted {
        /// Number of the task.
        task: usize,
        /// The arrays that it makes.
        array: &'a str,
        /// Worker that does it.
        worker: usize,
        /// Memory that it was let in with.
        bytes: u64,
    },
    /// A step of a task is over; told on the thread that did it.
    TaskStep {
        /// Number of the task.
        task: usize,
        /// The arrays that the task makes.
        array: &'a str,
        /// What was done.
        kind: StepKind,
        /// When it began.
        started: Instant,
        /// How long it took.
        time: Duration,
        /// Bytes that were moved.
        bytes: u64,
    },
    /// A task's chunks are written.
    TaskDone {
        /// Number of the task.
        task: usize,
        /// The arrays that it made.
        array: &'a str,
        /// Their pixels.
        region: &'a Region,
        /// Worker that did it.
        worker: usize,
        /// Time on the worker.
        time: Duration,
    },
    /// The job is over, well or not.
    JobDone {
        /// What it came to.
        report: &'a RunReport,
    },
}

/// What a job came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Tasks that were finished.
    pub tasks: usize,
    /// Tasks that were left out, because the sink had their chunks from an earlier
    /// job.
    pub resumed: usize,
    /// From start to end.
    pub wall: Duration,
    /// Sum over tasks of the time from the first request to the last byte.
    /// Tasks wait for bytes side by side, so it can exceed `wall`.
    pub fetch: Duration,
    /// Time of worker threads in decoding (decompression, warp, fuse).
    pub decode: Duration,
    /// Time of worker threads in arithmetic.
    pub program: Duration,
    /// Time of worker threads in the sink.
    pub write: Duration,
    /// Bytes that were fetched.
    pub read_bytes: u64,
    /// Requests that were made.
    pub requests: u64,
    /// Bytes after decompression.
    pub decoded_bytes: u64,
    /// Blocks that were decompressed.
    pub blocks: u64,
    /// Most memory in chunk buffers at one time.
    pub peak_pool_bytes: u64,
    /// Addresses of sources that were left out because they could not be read.
    pub skipped: Vec<String>,
}

/// `24 tasks in 1.20 s: read 12.3 MiB in 48 requests, ...`.
impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} tasks in {:.2} s: read {} in {} requests (waited {:.2} s), decoded {} in {:.2} s, computed {:.2} s, wrote {:.2} s; {} of buffers at most",
            self.tasks,
            self.wall.as_secs_f64(),
            binary_bytes(self.read_bytes),
            self.requests,
            self.fetch.as_secs_f64(),
            binary_bytes(self.decoded_bytes),
            self.decode.as_secs_f64(),
            self.program.as_secs_f64(),
            self.write.as_secs_f64(),
            binary_bytes(self.peak_pool_bytes)
        )?;
        if self.resumed > 0 {
            write!(f, "; {} more were there already", self.resumed)?;
        }
        if !self.skipped.is_empty() {
            write!(f, "; left out {} unreadable sources", self.skipped.len())?;
        }
        Ok(())
    }
}
