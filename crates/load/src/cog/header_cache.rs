//! Parsed headers, shared by all tasks.
//!
//! Two tasks that ask for one file at once read it once. A header is used as
//! long as the file is the same: for a file of this machine that is asked each
//! time, which costs nothing to speak of; an object in a remote store is found
//! to have changed by the first range that is read of it, and then forgotten
//! here, so that the next attempt reads the new header.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::file::TiffFile;
use super::lru::ByteLru;
use crate::error::Result;
use crate::store::Location;

/// What a header weighs until it is known.
const UNKNOWN_WEIGHT: u64 = 4 << 10;

type Slot = Arc<OnceCell<Arc<TiffFile>>>;

/// Parsed headers, at most so many bytes of them.
#[derive(Debug)]
pub(crate) struct HeaderCache {
    files: Mutex<ByteLru<String, Slot>>,
}

impl HeaderCache {
    /// Keeps at most `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        HeaderCache {
            files: Mutex::new(ByteLru::new(limit)),
        }
    }

    /// The header of the file at `location`, read now or before.
    pub(crate) async fn open(&self, location: Location) -> Result<Arc<TiffFile>> {
        let key = location.key().to_owned();
        loop {
            let slot = self.slot(&key);
            let Some(known) = slot.get() else {
                return self.read_into(&slot, location, key).await;
            };
            if !location.is_local() || location.head().await? == *known.version() {
                return Ok(Arc::clone(known));
            }
            // The next round finds an empty slot, or one that another task
            // put there and that is newer.
            self.forget(known);
        }
    }

    /// The place of a header in the cache, made if there is none.
    fn slot(&self, key: &str) -> Slot {
        let mut files = self.files.lock();
        if let Some(slot) = files.get(key) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        files.insert(key.to_owned(), Arc::clone(&slot), UNKNOWN_WEIGHT);
        slot
    }

    /// Reads the header, unless another task does so already: then that is
    /// waited for. An error is not kept: the next caller tries again.
    async fn read_into(
        &self,
        slot: &Slot,
        location: Location,
        key: String,
    ) -> Result<Arc<TiffFile>> {
        let read = slot.get_or_try_init(|| TiffFile::open(location)).await;
        let mut files = self.files.lock();
        let is_there = files
            .get(key.as_str())
            .is_some_and(|there| Arc::ptr_eq(there, slot));
        match read {
            Ok(file) => {
                if is_there {
                    files.insert(key, Arc::clone(slot), file.memory_bytes());
                }
                Ok(Arc::clone(file))
            }
            Err(error) => {
                if is_there {
                    files.remove(key.as_str());
                }
                Err(error)
            }
        }
    }

    /// Lets go of a header that is out of date.
    pub(crate) fn forget(&self, file: &TiffFile) {
        let key = file.location().key().to_owned();
        let mut files = self.files.lock();
        let is_this = files
            .get(key.as_str())
            .and_then(|slot| slot.get())
            .is_some_and(|there| there.id() == file.id());
        if is_this {
            files.remove(key.as_str());
        }
    }
}
