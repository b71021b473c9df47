//! What is made once and read by many: kept in memory as far as there is room,
//! and in files beyond that, the least recently used first.
//!
//! A store takes the chunks of one array and is a source of them afterwards. Its
//! file goes with it, however the job ends.

mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::gate::{Gate, Held};
use crate::error::Result;
pub(in crate::local) use store::{Store, Stored};

/// Where what does not fit into memory goes, and from when on.
#[derive(Clone, Debug)]
pub(super) struct Spill {
    /// Where files are made; the system's directory for temporary files if
    /// nobody says otherwise.
    pub(super) directory: PathBuf,
    /// The part of the memory limit that what is kept may take.
    pub(super) target: f64,
    /// The part that is spilled down to for a task that has to wait.
    pub(super) spill: f64,
    /// The part beyond which no task is let in.
    pub(super) pause: f64,
    /// Bytes that may be in files at a time.
    pub(super) limit: Option<u64>,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill {
            directory: std::env::temp_dir(),
            target: 0.6,
            spill: 0.7,
            pause: 0.8,
            limit: None,
        }
    }
}

/// Memory and files for the stores of one job.
pub(super) struct Room {
    spill: Spill,
    gate: Arc<Gate>,
    /// Bytes that may be kept in memory.
    memory: u64,
    used: AtomicU64,
    in_files: AtomicU64,
    recent: Mutex<Recent>,
    /// What was written and read back since somebody was told.
    steps: Mutex<Vec<Spilled>>,
}

/// The chunks in memory in the order of their last use.
#[derive(Default)]
struct Recent {
    uses: u64,
    order: BTreeMap<u64, (Weak<Store>, usize)>,
}

/// A chunk that was written to a file, or read back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spilled {
    pub(super) begun: Instant,
    pub(super) time: Duration,
    pub(super) bytes: u64,
}

impl Room {
    /// Room for what a job keeps: `memory` bytes, the rest in files.
    pub(super) fn new(spill: &Spill, gate: &Arc<Gate>, memory: u64) -> Arc<Room> {
        let room = Arc::new(Room {
            spill: spill.clone(),
            gate: Arc::clone(gate),
            memory,
            used: AtomicU64::new(0),
            in_files: AtomicU64::new(0),
            recent: Mutex::default(),
            steps: Mutex::default(),
        });
        gate.watch(&room);
        room
    }

    /// Notes the use of a chunk in memory that was used last at `before`.
    fn used_now(&self, before: Option<u64>, store: &Arc<Store>, number: usize) -> u64 {
        let mut recent = self.recent.lock();
        if let Some(before) = before {
            recent.order.remove(&before);
        }
        recent.uses += 1;
        let now = recent.uses;
        recent.order.insert(now, (Arc::downgrade(store), number));
        now
    }

    /// Moves the chunk that was used least recently to its file; `false` where
    /// there is none.
    ///
    /// # Errors
    /// A disk that is full, or the limit of what may be spilled.
    pub(super) fn spill_oldest(&self) -> Result<bool> {
        loop {
            let oldest = self.recent.lock().order.pop_first();
            let Some((used, (store, number))) = oldest else {
                return Ok(false);
            };
            if let Some(store) = store.upgrade()
                && store.spill(self, number, used)?
            {
                return Ok(true);
            }
        }
    }

    /// What was written and read back since this was asked last.
    pub(super) fn take_steps(&self) -> Vec<Spilled> {
        std::mem::take(&mut *self.steps.lock())
    }

    fn note(&self, begun: Instant, bytes: u64) {
        self.steps.lock().push(Spilled {
            begun,
            time: begun.elapsed(),
            bytes,
        });
    }

    /// Takes memory, if there is room.
    fn take(&self, bytes: u64) -> Option<Held> {
        let fits = |used: u64| (used + bytes <= self.memory).then_some(used + bytes);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(self.gate.keep(bytes))
    }

    fn take_file(&self, bytes: u64) -> Result<(), u64> {
        let limit = self.spill.limit.unwrap_or(u64::MAX);
        let fits = |used: u64| used.checked_add(bytes).filter(|&used| used <= limit);
        self.in_files
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map(|_| ())
    }
}
