//! Waiting for several futures: all, some, as they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::future::{Future, Status};
use crate::error::Result;

/// When [`wait`] comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// When all have ended.
    #[default]
    AllCompleted,
    /// When one has.
    FirstCompleted,
}

/// What [`wait`] found.
#[derive(Debug)]
pub struct DoneAndNotDone<T: Send + Sync + 'static> {
    /// Those that have ended, well or not.
    pub done: Vec<Future<T>>,
    /// The others.
    pub not_done: Vec<Future<T>>,
}

/// Waits for futures, at most for `timeout`.
///
/// Unlike dask's it is no error when the time is over: look at `not_done`.
pub fn wait<T: Send + Sync + 'static>(
    futures: &[Future<T>],
    timeout: impl Into<Option<Duration>>,
    when: ReturnWhen,
) -> DoneAndNotDone<T> {
    let deadline = timeout.into().map(|timeout| Instant::now() + timeout);
    match when {
        ReturnWhen::AllCompleted => {
            for future in futures {
                if !future.wait_until(deadline) {
                    break;
                }
            }
        }
        ReturnWhen::FirstCompleted => {
            if !futures.iter().any(Future::done) {
                let mut ended = as_completed(futures.iter().cloned());
                ended.next_until(deadline);
            }
        }
    }
    let (done, not_done) = futures.iter().cloned().partition(Future::done);
    DoneAndNotDone { done, not_done }
}

/// The results of futures, in their order.
///
/// # Errors
/// The first error among them.
pub fn gather<T: Clone + Send + Sync + 'static>(futures: &[Future<T>]) -> Result<Vec<T>> {
    futures.iter().map(Future::result).collect()
}

/// The results of those futures that have one, in their order.
pub fn gather_or_skip<T: Clone + Send + Sync + 'static>(futures: &[Future<T>]) -> Vec<T> {
    futures
        .iter()
        .filter_map(|future| future.result().ok())
        .collect()
}

/// Gives futures in the order in which they end.
///
/// ```
/// # use datacube_compute::{Client, as_completed};
/// let client = Client::local()?;
/// let futures = client.map(1..=3, |i| i * i);
/// let mut sum = 0;
/// for future in as_completed(futures) {
///     sum += future.result()?;
/// }
/// assert_eq!(sum, 14);
/// # Ok::<(), datacube_compute::Error>(())
/// ```
pub fn as_completed<T: Send + Sync + 'static>(
    futures: impl IntoIterator<Item = Future<T>>,
) -> AsCompleted<T> {
    let mut completed = AsCompleted {
        ended: Arc::default(),
        futures: Vec::new(),
        left: 0,
    };
    for future in futures {
        completed.add(future);
    }
    completed
}

/// Futures in the order in which they end; see [`as_completed`].
#[derive(Debug)]
pub struct AsCompleted<T: Send + Sync + 'static> {
    ended: Arc<Ended>,
    futures: Vec<Option<Future<T>>>,
    left: usize,
}

/// Numbers of those that have ended and have not been given.
#[derive(Debug, Default)]
struct Ended {
    numbers: Mutex<VecDeque<usize>>,
    more: Condvar,
}

impl<T: Send + Sync + 'static> AsCompleted<T> {
    /// One more to wait for.
    pub fn add(&mut self, future: Future<T>) {
        let number = self.futures.len();
        let ended = Arc::clone(&self.ended);
        future.0.on_end(Box::new(move || {
            ended.numbers.lock().push_back(number);
            ended.more.notify_one();
        }));
        self.futures.push(Some(future));
        self.left += 1;
    }

    /// How many have not been given.
    pub fn count(&self) -> usize {
        self.left
    }

    /// Whether all have been given.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// All that have ended and have not been given; waits for one.
    pub fn next_batch(&mut self) -> Vec<Future<T>> {
        let mut batch: Vec<Future<T>> = self.next().into_iter().collect();
        let ended = std::mem::take(&mut *self.ended.numbers.lock());
        batch.extend(ended.into_iter().filter_map(|number| self.give(number)));
        batch
    }

    fn give(&mut self, number: usize) -> Option<Future<T>> {
        self.left -= 1;
        self.futures[number].take()
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Option<Future<T>> {
        if self.left == 0 {
            return None;
        }
        let number = {
            let mut numbers = self.ended.numbers.lock();
            loop {
                if let Some(number) = numbers.pop_front() {
                    break number;
                }
                match deadline {
                    None => self.ended.more.wait(&mut numbers),
                    Some(deadline) => {
                        if self
                            .ended
                            .more
                            .wait_until(&mut numbers, deadline)
                            .timed_out()
                        {
                            return None;
                        }
                    }
                }
            }
        };
        self.give(number)
    }
}

impl<T: Send + Sync + 'static> Iterator for AsCompleted<T> {
    type Item = Future<T>;

    fn next(&mut self) -> Option<Future<T>> {
        self.next_until(None)
    }
}

/// Waits for futures with a bar on the terminal; counts those that failed.
pub fn progress<T: Send + Sync + 'static>(futures: &[Future<T>]) {
    let bar = crate::observe::call_bar(futures.len());
    let mut failed = 0;
    for future in as_completed(futures.iter().cloned()) {
        if future.status() != Status::Finished {
            failed += 1;
            bar.set_message(format!("{failed} failed"));
        }
        bar.inc(1);
    }
    bar.finish();
}
