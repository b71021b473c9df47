//! The gate that tasks pass by what they will weigh.
//!
//! A task is let in when its bytes fit beside those of the tasks that are in,
//! in the order of asking. One task is always let in, so that work goes on
//! whatever else holds memory; that it fits by itself is checked when its job
//! starts.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Counts bytes and lets tasks in.
#[derive(Debug)]
pub(super) struct Gate {
    limit: Option<u64>,
    /// Bytes that may be fetched and not yet decoded.
    fetch_limit: u64,
    /// Tasks that may be fetched and not yet decoded.
    fetch_tasks: usize,
    inside: Mutex<Inside>,
    changed: Notify,
    /// Held by whoever asks; fair, so that a large task is not passed over.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Inside {
    tasks: usize,
    bytes: u64,
    fetching: u64,
    fetching_tasks: usize,
    /// Results of running jobs, which stay until they end.
    held: u64,
}

/// What a task has been let in with; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    bytes: u64,
    /// Bytes to be fetched; `None` once they are, or if there is nothing.
    fetching: Option<u64>,
}

/// Memory of a job's results; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Inside {
    fn no_longer_fetching(&mut self, fetching: Option<u64>) {
        if let Some(bytes) = fetching {
            self.fetching -= bytes;
            self.fetching_tasks -= 1;
        }
    }
}

impl Gate {
    pub(super) fn new(limit: Option<u64>, fetch_limit: u64, fetch_tasks: usize) -> Gate {
        Gate {
            limit,
            fetch_limit,
            fetch_tasks,
            inside: Mutex::default(),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until a task of `bytes`, `fetching` of them to be fetched, fits.
    pub(super) async fn admit(self: &Arc<Self>, bytes: u64, fetching: Option<u64>) -> Pass {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.changed.notified();
            if let Some(pass) = self.try_admit(bytes, fetching) {
                return pass;
            }
            changed.await;
        }
    }

    fn try_admit(self: &Arc<Self>, bytes: u64, fetching: Option<u64>) -> Option<Pass> {
        let mut inside = self.inside.lock();
        let fits = self
            .limit
            .is_none_or(|limit| inside.held + inside.bytes + bytes <= limit)
            && fetching.is_none_or(|fetching| {
                inside.fetching_tasks == 0
                    || (inside.fetching + fetching <= self.fetch_limit
                        && inside.fetching_tasks < self.fetch_tasks)
            });
        if inside.tasks > 0 && !fits {
            return None;
        }
        inside.tasks += 1;
        inside.bytes += bytes;
        inside.fetching += fetching.unwrap_or(0);
        inside.fetching_tasks += usize::from(fetching.is_some());
        Some(Pass {
            gate: Arc::clone(self),
            bytes,
            fetching,
        })
    }

    /// Bytes that were let in, bytes and tasks among them that are being
    /// fetched, and bytes of results.
    pub(super) fn usage(&self) -> (u64, u64, usize, u64) {
        let inside = self.inside.lock();
        (
            inside.bytes,
            inside.fetching,
            inside.fetching_tasks,
            inside.held,
        )
    }

    /// Counts the results of a job that starts.
    pub(super) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.inside.lock().held += bytes;
        Held {
            gate: Arc::clone(self),
            bytes,
        }
    }
}

impl Pass {
    /// Bytes that it was let in with.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was fetched is about to be decoded; more may be fetched.
    pub(super) fn fetched(&mut self) {
        self.gate
            .inside
            .lock()
            .no_longer_fetching(self.fetching.take());
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock();
        inside.tasks -= 1;
        inside.bytes -= self.bytes;
        inside.no_longer_fetching(self.fetching.take());
        drop(inside);
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.inside.lock().held -= self.bytes;
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide() {
        let gate = Arc::new(Gate::new(Some(100), 50, 9));
        let first = gate.try_admit(60, Some(10)).unwrap();
        assert!(gate.try_admit(60, None).is_none());
        let second = gate.try_admit(40, Some(40)).unwrap();
        assert!(gate.try_admit(0, Some(1)).is_none());
        drop(first);
        assert!(gate.try_admit(10, Some(10)).is_some());
        drop(second);
        let held = gate.hold(90);
        let large = gate.try_admit(95, None).expect("one task is always let in");
        assert!(gate.try_admit(1, None).is_none());
        drop((held, large));
        assert_eq!(gate.inside.lock().bytes, 0);
    }

    #[test]
    fn decoding_makes_room_for_fetching() {
        let gate = Arc::new(Gate::new(None, 50, 2));
        let mut first = gate.try_admit(60, Some(40)).unwrap();
        assert!(gate.try_admit(60, Some(40)).is_none());
        first.fetched();
        let _second = gate.try_admit(60, Some(40)).unwrap();
        let _third = gate.try_admit(60, Some(0)).unwrap();
        assert!(gate.try_admit(60, Some(0)).is_none(), "two at a time");
        assert!(gate.try_admit(60, None).is_some());
    }
}
