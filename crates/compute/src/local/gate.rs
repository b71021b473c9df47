//! The gate that tasks pass by what they will weigh.
//!
//! A task is let in when its bytes fit beside those of the tasks that are in,
//! in the order of asking. One task is always let in, so that work goes on
//! whatever else holds memory; that it fits by itself is checked when its job
//! starts.
//!
//! Beyond a part of the limit, `pause`, no further task is let in until others have
//! left; and where a task has to wait while a thread is idle, what jobs keep is
//! spilled down to `spill`. dask measures what its workers hold; here it is known
//! from what was let in.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::spill::Room;

/// Counts bytes and lets tasks in.
#[derive(Debug)]
pub(super) struct Gate {
    limit: Option<u64>,
    /// Bytes that may be fetched and not yet decoded.
    fetch_limit: u64,
    /// Tasks that may be fetched and not yet decoded.
    fetch_tasks: usize,
    thresholds: Thresholds,
    /// What jobs keep, to be spilled.
    rooms: Mutex<Vec<Weak<Room>>>,
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
    /// What jobs keep for their later steps, which can be spilled.
    kept: u64,
}

/// Parts of the memory limit at which something is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    /// What jobs keep is spilled down to it, to let in a task for an idle thread.
    pub(super) spill: f64,
    /// No further task is let in.
    pub(super) pause: f64,
    /// Tasks that run at a time.
    pub(super) threads: usize,
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
    /// Whether it can be spilled.
    kept: bool,
}

impl Inside {
    /// A part of the memory that results leave of `limit`.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of memory needs no exactness"
    )]
    fn part(&self, limit: u64, part: f64) -> u64 {
        (limit.saturating_sub(self.held) as f64 * part) as u64
    }

    fn no_longer_fetching(&mut self, fetching: Option<u64>) {
        if let Some(bytes) = fetching {
            self.fetching -= bytes;
            self.fetching_tasks -= 1;
        }
    }
}

impl Gate {
    pub(super) fn new(
        limit: Option<u64>,
        fetch_limit: u64,
        fetch_tasks: usize,
        thresholds: Thresholds,
    ) -> Gate {
        Gate {
            limit,
            fetch_limit,
            fetch_tasks,
            thresholds,
            rooms: Mutex::default(),
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
            self.make_room(bytes).await;
            if let Some(pass) = self.try_admit(bytes, fetching) {
                return pass;
            }
            changed.await;
        }
    }

    /// Says where what a job keeps can be spilled.
    pub(super) fn watch(&self, room: &Arc<Room>) {
        let mut rooms = self.rooms.lock();
        rooms.retain(|room| room.strong_count() > 0);
        rooms.push(Arc::downgrade(room));
    }

    /// Bytes that have to be spilled for a task of `bytes`.
    fn to_spill(&self, bytes: u64) -> u64 {
        let inside = self.inside.lock();
        let Some(limit) = self
            .limit
            .filter(|_| inside.tasks < self.thresholds.threads)
        else {
            return 0;
        };
        let all = inside.kept + inside.bytes + bytes;
        if all <= inside.part(limit, self.thresholds.pause) {
            return 0;
        }
        let over = all.saturating_sub(inside.part(limit, self.thresholds.spill));
        over.min(inside.kept)
    }

    /// Spills what jobs keep, the least recently used first, for a task that
    /// would have to wait while a thread is idle.
    async fn make_room(&self, bytes: u64) {
        let over = self.to_spill(bytes);
        if over == 0 {
            return;
        }
        let kept = || self.inside.lock().kept;
        let goal = kept().saturating_sub(over);
        let rooms = self.rooms.lock().clone();
        for room in rooms.iter().filter_map(Weak::upgrade) {
            while kept() > goal {
                let room = Arc::clone(&room);
                // A disk that is full is told by the job that needs it.
                let spilled = tokio::task::spawn_blocking(move || room.spill_oldest()).await;
                if !matches!(spilled, Ok(Ok(true))) {
                    break;
                }
            }
        }
    }

    fn try_admit(self: &Arc<Self>, bytes: u64, fetching: Option<u64>) -> Option<Pass> {
        let mut inside = self.inside.lock();
        let fits = self.limit.is_none_or(|limit| {
            let inside_bytes = inside.kept + inside.bytes;
            inside.held + inside_bytes + bytes <= limit
                && inside_bytes <= inside.part(limit, self.thresholds.pause)
        }) && fetching.is_none_or(|fetching| {
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
            inside.held + inside.kept,
        )
    }

    /// Counts the results of a job that starts.
    pub(super) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.inside.lock().held += bytes;
        Held {
            gate: Arc::clone(self),
            bytes,
            kept: false,
        }
    }

    /// Counts what a job keeps.
    pub(super) fn keep(self: &Arc<Self>, bytes: u64) -> Held {
        self.inside.lock().kept += bytes;
        Held {
            gate: Arc::clone(self),
            bytes,
            kept: true,
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
        let mut inside = self.gate.inside.lock();
        match self.kept {
            true => inside.kept -= self.bytes,
            false => inside.held -= self.bytes,
        }
        drop(inside);
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DASKS: Thresholds = Thresholds {
        spill: 0.7,
        pause: 0.8,
        threads: 2,
    };

    #[test]
    fn beyond_pause_nobody_is_let_in() {
        let gate = Arc::new(Gate::new(Some(100), 50, 9, DASKS));
        let first = gate.try_admit(50, None).unwrap();
        let second = gate.try_admit(31, None).unwrap();
        assert!(gate.try_admit(1, None).is_none(), "81 of 100 are in");
        drop(first);
        let third = gate.try_admit(1, None).unwrap();
        drop((second, third));
        // Results are no part of what could get less.
        let held = gate.hold(90);
        let small = gate.try_admit(7, None).unwrap();
        assert!(gate.try_admit(1, None).is_some(), "7 of 10 are in");
        drop((held, small));
    }

    #[test]
    fn what_is_kept_makes_room_for_idle_threads() {
        let gate = Arc::new(Gate::new(Some(100), 50, 9, DASKS));
        let kept = gate.keep(60);
        assert_eq!(gate.to_spill(20), 0, "80 of 100");
        assert_eq!(gate.to_spill(30), 20, "down to 70");
        assert_eq!(gate.to_spill(200), 60, "no more than there is");
        let tasks = (gate.try_admit(5, None), gate.try_admit(5, None));
        assert_eq!(gate.to_spill(90), 0, "both threads are busy");
        drop((kept, tasks));
        let inside = gate.inside.lock();
        assert_eq!((inside.kept, inside.held, inside.bytes), (0, 0, 0));
    }

    #[test]
    fn bytes_decide() {
        let gate = Arc::new(Gate::new(Some(100), 50, 9, DASKS));
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
        let gate = Arc::new(Gate::new(None, 50, 2, DASKS));
        let mut first = gate.try_admit(60, Some(40)).unwrap();
        assert!(gate.try_admit(60, Some(40)).is_none());
        first.fetched();
        let _second = gate.try_admit(60, Some(40)).unwrap();
        let _third = gate.try_admit(60, Some(0)).unwrap();
        assert!(gate.try_admit(60, Some(0)).is_none(), "two at a time");
        assert!(gate.try_admit(60, None).is_some());
    }
}
