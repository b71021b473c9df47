//! Buffers that are waiting to be used again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::block::Block;
use super::{ALIGNMENT, Buffer};
use crate::error::Result;

/// A stock of buffers; cloning gives a handle to the same one.
#[derive(Clone)]
pub struct Pool(Arc<Shared>);

pub(super) struct Shared {
    /// Free blocks, latest use last.
    free: Mutex<Vec<Block>>,
    /// Bytes that may be kept waiting.
    keep: u64,
    /// Bytes in `free`; written under its lock.
    kept: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
}

impl Pool {
    /// An empty pool that keeps up to `keep` bytes of unused buffers.
    pub fn new(keep: u64) -> Pool {
        Pool(Arc::new(Shared {
            free: Mutex::new(Vec::new()),
            keep,
            kept: 0.into(),
            used: 0.into(),
            peak: 0.into(),
        }))
    }

    /// A buffer of `len` bytes that hold anything.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub fn take(&self, len: usize) -> Result<Buffer> {
        let capacity = size_class(len);
        let reused = {
            let mut free = self.0.free.lock();
            let found = free.iter().rposition(|block| block.capacity() == capacity);
            found.map(|at| {
                self.0.kept.fetch_sub(capacity as u64, Ordering::Relaxed);
                free.swap_remove(at)
            })
        };
        let block = match reused {
            Some(block) => block,
            None => Block::zeroed(capacity)?,
        };
        let used = self.0.used.fetch_add(capacity as u64, Ordering::Relaxed) + capacity as u64;
        self.0.peak.fetch_max(used, Ordering::Relaxed);
        Ok(Buffer {
            block: Some(block),
            len,
            pool: Some(Arc::clone(&self.0)),
        })
    }

    /// Bytes in use now.
    pub fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Most bytes that were in use since the last [`Pool::reset_peak`].
    pub fn peak(&self) -> u64 {
        self.0.peak.load(Ordering::Relaxed)
    }

    /// Starts measuring the peak again.
    pub fn reset_peak(&self) {
        self.0.peak.store(self.used(), Ordering::Relaxed);
    }

    /// Gives unused memory back to the system.
    pub fn clear(&self) {
        let mut free = self.0.free.lock();
        self.0.kept.store(0, Ordering::Relaxed);
        let blocks = std::mem::take(&mut *free);
        drop(free);
        drop(blocks);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("used", &self.used())
            .field("peak", &self.peak())
            .finish()
    }
}

impl Shared {
    pub(super) fn take_back(&self, block: Block) {
        let bytes = block.capacity() as u64;
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let mut free = self.free.lock();
        let kept = self.kept.load(Ordering::Relaxed) + bytes;
        if kept <= self.keep {
            self.kept.store(kept, Ordering::Relaxed);
            free.push(block);
        } else {
            drop(free);
            drop(block);
        }
    }
}

/// Sizes are rounded up by at most an eighth, so that the shorter chunks at an
/// array's edges find the buffers of their neighbours' class or near it.
fn size_class(len: usize) -> usize {
    let len = len.max(ALIGNMENT);
    let step = (len.checked_next_power_of_two().unwrap_or(len) / 16).max(ALIGNMENT);
    len.checked_next_multiple_of(step).unwrap_or(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = Pool::new(1 << 20);
        let first = pool.take(100_000).unwrap();
        let address = first.as_ptr();
        let used = pool.used();
        assert!((100_000..112_500).contains(&used));
        drop(first);
        assert_eq!(pool.used(), 0);
        let second = pool.take(99_000).unwrap();
        assert_eq!(second.as_ptr(), address);
        assert_eq!(second.len(), 99_000);
        assert_eq!(pool.peak(), used);
        pool.clear();
    }

    #[test]
    fn no_more_is_kept_than_told() {
        let pool = Pool::new(1000);
        drop(pool.take(4096).unwrap());
        assert_eq!(pool.0.kept.load(Ordering::Relaxed), 0);
        assert!(pool.0.free.lock().is_empty());
    }

    #[test]
    fn classes_waste_little() {
        for len in [1, 64, 65, 1000, 100_000, 12_345_678] {
            let class = size_class(len);
            assert!(class >= len && class.is_multiple_of(ALIGNMENT));
            assert!(len < 1024 || class <= len + len / 8, "{len} {class}");
        }
    }
}
