//! The bridge between blocking calls and the async layers below.
//!
//! One small tokio runtime serves the whole process. Work is spawned onto it
//! and awaited through a channel, so a blocking call may stand anywhere, also
//! inside somebody else's async runtime, where `block_on` would panic.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::{Error, Result};

const THREAD_NAME: &str = "datacube-io";

fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name(THREAD_NAME)
                .enable_all()
                .build()
        })
        .as_ref()
        .map_err(|source| Error::Runtime {
            reason: source.to_string(),
        })
}

/// Runs `future` to its end and gives back its result; the calling thread waits.
pub(crate) fn block_on<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // The receiver is gone only if the waiting thread was torn down.
        let _ = sender.send(future.await);
    });
    receiver.recv().map_err(|_| Error::Runtime {
        reason: "a background task panicked".into(),
    })?
}

/// Work in the background.
#[derive(Debug)]
pub(crate) struct Started {
    /// Closed when the work is done, or its task is no more.
    done: std::sync::mpsc::Receiver<()>,
}

impl Started {
    /// Returns when the work is done.
    pub(crate) fn wait(self) {
        // Nothing is ever sent: the sender goes with the task.
        let _ = self.done.recv();
    }
}

/// Runs `future` in the background.
pub(crate) fn start<F>(future: F) -> Result<Started>
where
    F: Future<Output = ()> + Send + 'static,
{
    let (working, done) = std::sync::mpsc::sync_channel::<()>(0);
    runtime()?.spawn(async move {
        future.await;
        drop(working);
    });
    Ok(Started { done })
}

/// Whether this is one of the runtime's own threads.
pub(crate) fn is_inside() -> bool {
    std::thread::current().name() == Some(THREAD_NAME)
}

/// Awaits `future` on the process's own runtime, whatever executor asks.
pub(crate) async fn spawn<T, F>(future: F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    match runtime()?.spawn(future).await {
        Ok(result) => result,
        Err(error) => Err(Error::Runtime {
            reason: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_inside_an_async_runtime_is_safe() {
        let outer = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let sum = outer.block_on(async { block_on(async { Ok(40 + 2) }) });
        assert_eq!(sum.expect("no error"), 42);
    }

    #[test]
    fn a_panic_inside_becomes_an_error() {
        let result: Result<()> = block_on(async { panic!("on purpose") });
        assert!(matches!(result, Err(Error::Runtime { .. })));
    }
}
