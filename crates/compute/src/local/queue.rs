//! The queue between those who fetch and those who compute.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};

/// First in, first out; blocks who takes, never who puts.
#[derive(Debug)]
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue {
            state: Mutex::new(State {
                items: VecDeque::new(),
                closed: false,
            }),
            ready: Condvar::new(),
        }
    }

    /// Puts an item in; drops it if the queue is closed.
    pub(super) fn put(&self, item: T) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            drop(item);
            return;
        }
        state.items.push_back(item);
        drop(state);
        self.ready.notify_one();
    }

    /// The next item; waits for one. `None` once the queue is closed.
    pub(super) fn take(&self) -> Option<T> {
        let mut state = self.state.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Some(item);
            }
            if state.closed {
                return None;
            }
            self.ready.wait(&mut state);
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().items.is_empty()
    }

    /// Drops what is in it; takers get `None` from now on.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.ready.notify_all();
        drop(items);
    }
}
