//! Counters of the tasks that do the same thing to different chunks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::span::StepKind;

/// Threads share a cell only from this many on.
pub(super) const CELLS: usize = 16;

/// Tasks of one name: the chunks of a stage, or calls of one function.
pub(crate) struct Layer {
    pub(crate) id: u32,
    pub(crate) name: String,
    total: AtomicU64,
    cells: [Cell; CELLS],
}

/// What one thread counts; on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Cell {
    done: AtomicU64,
    failed: AtomicU64,
    released: AtomicU64,
    nanos: [AtomicU64; StepKind::ALL.len()],
    bytes: [AtomicU64; StepKind::ALL.len()],
}

/// The counters of a layer at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerSnapshot {
    /// Its number in [`super::Span::layer`].
    pub id: u32,
    /// What its tasks are called.
    pub name: String,
    /// Tasks that were asked for.
    pub total: u64,
    /// Tasks that were finished.
    pub done: u64,
    /// Tasks that failed.
    pub failed: u64,
    /// Tasks that nobody wanted any more before they were finished.
    pub released: u64,
    /// Seconds of all threads, by kind.
    pub seconds: Steps<f64>,
    /// Bytes that were moved, by kind.
    pub bytes: Steps<u64>,
}

/// A number for each kind of step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Steps<T> {
    /// Waiting for bytes.
    pub fetch: T,
    /// Decoding.
    pub decode: T,
    /// Arithmetic and submitted functions.
    pub compute: T,
    /// Handing over.
    pub write: T,
    /// To disk and back.
    pub spill: T,
}

impl<T> Steps<T> {
    fn from_fn(mut of: impl FnMut(StepKind) -> T) -> Steps<T> {
        Steps {
            fetch: of(StepKind::Fetch),
            decode: of(StepKind::Decode),
            compute: of(StepKind::Compute),
            write: of(StepKind::Write),
            spill: of(StepKind::Spill),
        }
    }
}

impl Layer {
    pub(super) fn new(id: u32, name: String) -> Layer {
        Layer {
            id,
            name,
            total: AtomicU64::new(0),
            cells: Default::default(),
        }
    }

    pub(crate) fn add_total(&self, tasks: u64) {
        self.total.fetch_add(tasks, Ordering::Relaxed);
    }

    fn cell(&self) -> &Cell {
        &self.cells[super::monitor::thread_number() % CELLS]
    }

    pub(crate) fn done(&self) {
        self.cell().done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.cell().failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn released(&self, tasks: u64) {
        self.cell().released.fetch_add(tasks, Ordering::Relaxed);
    }

    pub(super) fn step(&self, kind: StepKind, nanos: u64, bytes: u64) {
        let cell = self.cell();
        cell.nanos[kind.number()].fetch_add(nanos, Ordering::Relaxed);
        cell.bytes[kind.number()].fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> LayerSnapshot {
        let sum = |of: &dyn Fn(&Cell) -> &AtomicU64| -> u64 {
            let counts = self.cells.iter();
            counts.map(|cell| of(cell).load(Ordering::Relaxed)).sum()
        };
        LayerSnapshot {
            id: self.id,
            name: self.name.clone(),
            total: self.total.load(Ordering::Relaxed),
            done: sum(&|cell| &cell.done),
            failed: sum(&|cell| &cell.failed),
            released: sum(&|cell| &cell.released),
            seconds: Steps::from_fn(|kind| {
                let nanos = sum(&|cell| &cell.nanos[kind.number()]);
                Duration::from_nanos(nanos).as_secs_f64()
            }),
            bytes: Steps::from_fn(|kind| sum(&|cell| &cell.bytes[kind.number()])),
        }
    }
}
