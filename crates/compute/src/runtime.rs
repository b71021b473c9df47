//! Work on the runtime that fetches.
//!
//! Each cell of a Rust notebook is a library of its own, with a tokio of its own: what
//! one cell hands to the cluster that another has started is polled by threads whose
//! runtime it does not see. So every future enters the runtime itself.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

/// Spawns `future` on `io`, and has it polled with `io` as its runtime.
pub(crate) fn spawn<F>(io: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let entered = io.clone();
    io.spawn(async move {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _inside = entered.enter();
            future.as_mut().poll(context)
        })
        .await
    })
}

/// Runs `work`, which waits for a disk, on a thread for that; at once where there is no
/// runtime.
pub(crate) async fn unblock<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await,
        Err(_) => Ok(work()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocking_work_is_done_with_and_without_a_runtime() {
        assert_eq!(futures::executor::block_on(unblock(|| 6 * 7)).unwrap(), 42);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let spawned = spawn(runtime.handle(), unblock(|| 6 * 7));
        assert_eq!(runtime.block_on(spawned).unwrap().unwrap(), 42);
    }
}
