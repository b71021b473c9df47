//! An index that is closed when the last of those who share it lets go.
//!
//! A program that ends does not wait for its background threads. Without this,
//! the log of an embedded index would stay beside the file of every program
//! that just ends: nothing would be lost, but two files more to carry around.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use datacube_compute::Copied;
use datacube_index::Index;

use crate::Result;
use crate::runtime::{self, Started};

/// How long the end of a program may be held up.
const PATIENCE: Duration = Duration::from_secs(5);

/// An index, and whether it is to be closed.
pub(crate) struct Opened {
    index: Arc<dyn Index>,
    /// Whether nobody else answers for it.
    is_ours: bool,
    copied: Copied,
}

impl Opened {
    pub(crate) fn by_us(index: Arc<dyn Index>) -> Self {
        Opened {
            index,
            is_ours: true,
            copied: Copied::here(),
        }
    }

    pub(crate) fn by_others(index: Arc<dyn Index>) -> Self {
        Opened {
            index,
            is_ours: false,
            copied: Copied::here(),
        }
    }

    pub(crate) fn index(&self) -> &Arc<dyn Index> {
        &self.index
    }

    /// [`runtime::block_on`] for what uses the index, whose connections belong to the
    /// runtime that opened them.
    pub(crate) fn block_on<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.check()?;
        runtime::block_on(future)
    }

    /// [`runtime::spawn`] for what uses the index.
    pub(crate) async fn spawn<T, F>(&self, future: F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.check()?;
        runtime::spawn(future).await
    }

    /// [`runtime::start`] for what uses the index.
    pub(crate) fn start<F>(&self, future: F) -> Result<Started>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.check()?;
        runtime::start(future)
    }

    fn check(&self) -> Result<()> {
        let checked = self.copied.check("the Datacube");
        checked.map_err(|error| datacube_compute::Error::from(error).into())
    }
}

impl Deref for Opened {
    type Target = dyn Index;

    fn deref(&self) -> &Self::Target {
        &*self.index
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.index.fmt(f)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !self.is_ours || self.copied.is_elsewhere() {
            return;
        }
        let index = self.index.clone();
        let closing = async move {
            let closed = tokio::time::timeout(PATIENCE, index.close()).await;
            if let Ok(Err(error)) = closed {
                tracing::warn!("{error}");
            }
        };
        // One of the runtime's own threads must not wait for the others.
        if let (Ok(closing), false) = (runtime::start(closing), runtime::is_inside()) {
            closing.wait();
        }
    }
}
