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
    /// Results of running jobs, which stay until they end.
    held: u64,
}

/// What a task has been let in with; given back when dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    bytes: u64,
    fetching: u64,
}

/// Memory of a job's results; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    gate: Arc<Gate>,
    bytes: u64,
}

impl Gate {
    pub(super) fn new(limit: Option<u64>, fetch_limit: u64) -> Gate {
        Gate {
            limit,
            fetch_limit,
            inside: Mutex::default(),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until a task of `bytes`, `fetching` of them to be fetched, fits.
    pub(super) async fn admit(self: &Arc<Self>, bytes: u64, fetching: u64) -> Pass {
        let _turn = self.turn.lock().await;
        loop {
            let changed = self.changed.notified();
            if let Some(pass) = self.try_admit(bytes, fetching) {
                return pass;
            }
            changed.await;
        }
    }

    fn try_admit(self: &Arc<Self>, bytes: u64, fetching: u64) -> Option<Pass> {
        let mut inside = self.inside.lock();
        let fits = self
            .limit
            .is_none_or(|limit| inside.held + inside.bytes + bytes <= limit)
            && (inside.fetching == 0 || inside.fetching + fetching <= self.fetch_limit);
        if inside.tasks > 0 && !fits {
            return None;
        }
        inside.tasks += 1;
        inside.bytes += bytes;
        inside.fetching += fetching;
        Some(Pass {
            gate: Arc::clone(self),
            bytes,
            fetching,
        })
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
    /// What was fetched is about to be decoded; more may be fetched.
    pub(super) fn fetched(&mut self) {
        self.gate.inside.lock().fetching -= self.fetching;
        self.fetching = 0;
        self.gate.changed.notify_waiters();
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock();
        inside.tasks -= 1;
        inside.bytes -= self.bytes;
        inside.fetching -= self.fetching;
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
        let gate = Arc::new(Gate::new(Some(100), 50));
        let first = gate.try_admit(60, 10).unwrap();
        assert!(gate.try_admit(60, 0).is_none());
        let second = gate.try_admit(40, 40).unwrap();
        assert!(gate.try_admit(0, 1).is_none());
        drop(first);
        assert!(gate.try_admit(10, 10).is_some());
        drop(second);
        let held = gate.hold(90);
        let large = gate.try_admit(95, 0).expect("one task is always let in");
        assert!(gate.try_admit(1, 0).is_none());
        drop((held, large));
        assert_eq!(gate.inside.lock().bytes, 0);
    }

    #[test]
    fn decoding_makes_room_for_fetching() {
        let gate = Arc::new(Gate::new(None, 50));
        let mut first = gate.try_admit(60, 40).unwrap();
        assert!(gate.try_admit(60, 40).is_none());
        first.fetched();
        assert!(gate.try_admit(60, 40).is_some());
    }
}
