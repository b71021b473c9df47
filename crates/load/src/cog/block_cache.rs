//! Decoded blocks that more than one window needs.
//!
//! A block at the seam of two windows, or one that holds several bands, is
//! needed again soon; a block that lies within its window is not. So only
//! blocks that were used in part are kept, and they are kept decoded: inflating
//! is most of what they cost.

use std::sync::Arc;

use parking_lot::Mutex;

use super::file::FileId;
use super::lru::ByteLru;

/// Names a block: the opened file, the directory, the block's number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockKey {
    pub(crate) file: FileId,
    pub(crate) ifd_idx: usize,
    pub(crate) block: u64,
}

/// Decoded blocks, at most so many bytes of them; shared by all readers.
#[derive(Debug)]
pub(crate) struct BlockCache {
    limit: u64,
    blocks: Mutex<ByteLru<BlockKey, Arc<[u8]>>>,
}

impl BlockCache {
    /// Keeps at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        BlockCache {
            limit,
            blocks: Mutex::new(ByteLru::new(limit)),
        }
    }

    pub(crate) fn get(&self, key: &BlockKey) -> Option<Arc<[u8]>> {
        if self.limit == 0 {
            return None;
        }
        self.blocks.lock().get(key).cloned()
    }

    /// Keeps a copy of `decoded`, if it is of a size that leaves room for
    /// others.
    pub(crate) fn insert(&self, key: BlockKey, decoded: &[u8]) {
        let n_bytes = decoded.len() as u64;
        if n_bytes <= self.limit / 8 {
            // Copied before the lock is taken.
            let decoded = Arc::from(decoded);
            self.blocks.lock().insert(key, decoded, n_bytes);
        }
    }

    /// Keeps `decoded`, which weighs so many bytes, if that is no more than half of
    /// what there is: chunks of a Zarr array are larger than blocks of a TIFF.
    pub(crate) fn keep(&self, key: BlockKey, decoded: Arc<[u8]>, weight: u64) {
        if weight <= self.limit / 2 {
            self.blocks.lock().insert(key, decoded, weight);
        }
    }
}
