//! `Future`: a result to come.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::cell::Cell;
use crate::error::{CallFailure, Error, Result};

/// A result to come, of a submitted function or of a computation.
///
/// Clones are handles to the same result; when the last one is dropped the
/// result is freed, and a function that has not begun is not run. Futures can
/// be awaited, waited for, and given to other functions as inputs.
pub struct Future<T>(pub(super) Arc<Cell<T>>);

/// How a future stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits for inputs or for a thread, or runs.
    Pending,
    /// There is a result.
    Finished,
    /// It failed.
    Error,
    /// Somebody cancelled it, or what it needs.
    Cancelled,
    /// The cluster was restarted or closed.
    Lost,
}

/// `pending`, `finished`, `error`, `cancelled`, `lost`: dask's words.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Pending => "pending",
            Status::Finished => "finished",
            Status::Error => "error",
            Status::Cancelled => "cancelled",
            Status::Lost => "lost",
        })
    }
}

impl<T: Send + Sync + 'static> Future<T> {
    /// What names it in messages: given, or the function's name and a number.
    pub fn key(&self) -> String {
        self.0.key()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        match self.0.outcome() {
            _ if self.0.is_lost() => Status::Lost,
            None => Status::Pending,
            Some(Ok(_)) => Status::Finished,
            Some(Err(error)) if error.is_cancelled() => Status::Cancelled,
            Some(Err(Error::Call(call)))
                if matches!(call.cause, CallFailure::Lost | CallFailure::Closed) =>
            {
                Status::Lost
            }
            Some(Err(_)) => Status::Error,
        }
    }

    /// Whether it has ended, well or not.
    pub fn done(&self) -> bool {
        self.status() != Status::Pending
    }

    /// Whether a thread is at it now.
    pub fn running(&self) -> bool {
        self.0.is_running()
    }

    /// Whether it was cancelled.
    pub fn cancelled(&self) -> bool {
        self.status() == Status::Cancelled
    }

    /// What went wrong; `None` if nothing did. Waits until it has ended.
    pub fn exception(&self) -> Option<Error> {
        self.0.wait(None);
        self.check().err()
    }

    /// Stops it, and all that needs its result. A function that runs is not
    /// interrupted, but its result is thrown away; a computation stops after
    /// the chunks that are being made.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Calls `then` with this future when it has ended: at once if it has, else
    /// on the thread that ended it, so it should be quick.
    pub fn add_done_callback(&self, then: impl FnOnce(Future<T>) + Send + 'static) {
        // Held weakly by itself: whoever drops the last future wants no result.
        let weak = Arc::downgrade(&self.0);
        self.0.on_end(Box::new(move || {
            if let Some(cell) = weak.upgrade() {
                then(Future(cell));
            }
        }));
    }

    /// Waits for the end, at most until `deadline`.
    pub(super) fn wait_until(&self, deadline: Option<Instant>) -> bool {
        self.0.is_lost() || self.0.wait(deadline)
    }

    /// The result without a copy. Waits until it has ended.
    ///
    /// # Errors
    /// As [`Future::result`].
    pub fn value(&self) -> Result<Value<T>> {
        self.0.wait(None);
        self.check()?;
        Ok(Value(Arc::clone(&self.0)))
    }

    /// As [`Future::value`], for what has ended.
    pub(super) fn check(&self) -> Result<&T> {
        if self.0.is_lost() {
            return Err(self.0.error(0, CallFailure::Lost));
        }
        match self.0.outcome() {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(error.clone()),
            None => Err(self.0.error(0, CallFailure::TimedOut)),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Future<T> {
    /// The result. Waits until it has ended. Must not be called by a submitted
    /// function, which would hold up a thread: give it the future as an input.
    ///
    /// # Errors
    /// What went wrong, with the key: the function failed or panicked, an input
    /// did, somebody cancelled it, the cluster was restarted or closed.
    pub fn result(&self) -> Result<T> {
        self.0.wait(None);
        self.check().cloned()
    }

    /// The result, if it comes within `timeout`.
    ///
    /// # Errors
    /// As [`Future::result`], and [`CallFailure::TimedOut`].
    pub fn result_timeout(&self, timeout: Duration) -> Result<T> {
        self.wait_until(Some(Instant::now() + timeout));
        self.check().cloned()
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        Future(Arc::clone(&self.0))
    }
}

/// Waits without holding a thread.
impl<T: Clone + Send + Sync + 'static> std::future::Future for Future<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        if self.done() || !self.0.wake(context.waker()) {
            return Poll::Ready(self.check().cloned());
        }
        Poll::Pending
    }
}

/// `<Future: finished, type: i32, key: inc-1>`.
impl<T: Send + Sync + 'static> fmt::Display for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status();
        write!(f, "<Future: {status}, ")?;
        if status == Status::Finished {
            let name = std::any::type_name::<T>();
            write!(f, "type: {}, ", name.rsplit("::").next().unwrap_or(name))?;
        }
        write!(f, "key: {}>", self.key())
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The result of a future, without a copy: used like a reference to it. Keeps
/// the result for as long as it exists.
pub struct Value<T>(pub(super) Arc<Cell<T>>);

impl<T: Send + Sync + 'static> std::ops::Deref for Value<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self.0.outcome() {
            Some(Ok(value)) => value,
            _ => unreachable!("a value is made of a result that is there, and results stay"),
        }
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Self {
        Value(Arc::clone(&self.0))
    }
}

impl<T: fmt::Debug + Send + Sync + 'static> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
