//! An index that is closed when the last of those who share it lets go.
//!
//! A program that ends does not wait for its background threads. Without this,
//! the log of an embedded index would stay beside the file of every program
//! that just ends: nothing would be lost, but two files more to carry around.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use datacube_index::Index;

use crate::runtime;

/// How long the end of a program may be held up.
const PATIENCE: Duration = Duration::from_secs(5);

/// An index, and whether it is to be closed.
pub(crate) struct Opened {
    index: Arc<dyn Index>,
    /// Whether nobody else answers for it.
    is_ours: bool,
}

impl Opened {
    pub(crate) fn by_us(index: Arc<dyn Index>) -> Self {
        Opened {
            index,
            is_ours: true,
        }
    }

    pub(crate) fn by_others(index: Arc<dyn Index>) -> Self {
        Opened {
            index,
            is_ours: false,
        }
    }

    pub(crate) fn index(&self) -> &Arc<dyn Index> {
        &self.index
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
        if !self.is_ours {
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
