//! What is kept of Zarr stores: opened arrays, and chunks that several windows
//! need.
//!
//! Opening an array takes a handful of documents, and a chunk of an array seldom is
//! a chunk of a load, so both are kept as headers and blocks of TIFFs are, within
//! the same bounds. Two tasks that want one chunk at once read it once: while one of
//! them holds it, the other is given the same. A chunk is kept, decoded, where a
//! window took a part of it.
//!
//! Files of this machine are asked each time whether they are the same, which costs
//! nothing to speak of. Objects in a store are read whole and on their own, so that
//! nothing shows that they changed: what is kept of them is looked at anew after
//! [`FRESH`].

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::ZarrReader;
use crate::cog::{BlockCache, BlockKey, ByteLru, FileId};
use crate::error::Result;
use crate::store::FileVersion;

/// How long what was read from a remote store is taken for what is there.
const FRESH: Duration = Duration::from_secs(60);

/// What an array weighs until it is known.
const UNKNOWN_WEIGHT: u64 = 4 << 10;

/// What a chunk that is not there weighs among those that are kept.
const ABSENT_WEIGHT: usize = 64;

/// Opened arrays, shared by all tasks.
pub(crate) struct Arrays {
    readers: Mutex<ByteLru<String, Slot>>,
    blocks: Arc<BlockCache>,
}

type Slot = Arc<OnceCell<Kept>>;

struct Kept {
    reader: Arc<ZarrReader>,
    since: Instant,
}

impl std::fmt::Debug for Arrays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrays").finish_non_exhaustive()
    }
}

impl Arrays {
    /// Keeps at most `limit` bytes of documents; chunks go to `blocks`.
    pub(crate) fn new(limit: u64, blocks: Arc<BlockCache>) -> Self {
        Arrays {
            readers: Mutex::new(ByteLru::new(limit)),
            blocks,
        }
    }

    /// The array known as `key`, opened before or now by `open`.
    pub(crate) async fn get<F>(
        &self,
        key: String,
        open: impl Fn(Chunks) -> F + Send + Sync,
    ) -> Result<Arc<ZarrReader>>
    where
        F: Future<Output = Result<ZarrReader>> + Send,
    {
        loop {
            let slot = self.slot(&key);
            if let Some(kept) = slot.get() {
                let is_same = match kept.reader.is_local() {
                    true => kept.reader.is_unchanged().await,
                    false => kept.since.elapsed() < FRESH,
                };
                if is_same {
                    return Ok(Arc::clone(&kept.reader));
                }
                self.remove(&key, &slot);
                continue;
            }
            let opened = slot.get_or_try_init(|| async {
                let reader = open(Chunks::new(Arc::clone(&self.blocks))).await?;
                Ok(Kept {
                    reader: Arc::new(reader),
                    since: Instant::now(),
                })
            });
            return match opened.await {
                Ok(kept) => {
                    self.weigh(&key, &slot, kept.reader.document_bytes());
                    Ok(Arc::clone(&kept.reader))
                }
                Err(error) => {
                    // The next caller tries again.
                    self.remove(&key, &slot);
                    Err(error)
                }
            };
        }
    }

    fn slot(&self, key: &str) -> Slot {
        let mut readers = self.readers.lock();
        if let Some(slot) = readers.get(key) {
            return Arc::clone(slot);
        }
        let slot = Slot::default();
        readers.insert(key.to_owned(), Arc::clone(&slot), UNKNOWN_WEIGHT);
        slot
    }

    fn weigh(&self, key: &str, slot: &Slot, bytes: u64) {
        let mut readers = self.readers.lock();
        if readers
            .get(key)
            .is_some_and(|there| Arc::ptr_eq(there, slot))
        {
            readers.insert(key.to_owned(), Arc::clone(slot), UNKNOWN_WEIGHT + bytes);
        }
    }

    fn remove(&self, key: &str, slot: &Slot) {
        let mut readers = self.readers.lock();
        if readers
            .get(key)
            .is_some_and(|there| Arc::ptr_eq(there, slot))
        {
            readers.remove(key);
        }
    }
}

/// The chunks of one opened array that tasks hold now, and those that are kept.
pub(crate) struct Chunks {
    id: FileId,
    blocks: Arc<BlockCache>,
    held: Mutex<HashMap<BlockKey, Weak<HeldChunk>>>,
}

/// A chunk that a task holds: the stored object, once it is read.
pub(super) struct HeldChunk {
    key: BlockKey,
    stored: OnceCell<Option<Bytes>>,
    /// Pixels that an earlier window left; without any where the store has no chunk.
    kept: Option<Arc<[u8]>>,
    /// Held while the chunk is decoded, so that it is decoded once.
    decoding: Mutex<()>,
}

impl Chunks {
    fn new(blocks: Arc<BlockCache>) -> Self {
        Chunks {
            id: FileId::next(),
            blocks,
            held: Mutex::default(),
        }
    }

    /// Names chunk `number`, of this version where that is known.
    pub(super) fn key(&self, number: u64, version: Option<&FileVersion>) -> BlockKey {
        let block = version.map_or(number, |version| {
            let mut hasher = DefaultHasher::new();
            (number, version).hash(&mut hasher);
            hasher.finish()
        });
        BlockKey {
            file: self.id,
            ifd_idx: 0,
            block,
        }
    }

    pub(super) fn has(&self, key: &BlockKey) -> bool {
        self.blocks.get(key).is_some()
    }

    /// The chunk, which another task may hold already.
    pub(super) fn hold(&self, key: BlockKey) -> Arc<HeldChunk> {
        let kept = self.blocks.get(&key);
        let mut held = self.held.lock();
        if let Some(chunk) = held.get(&key).and_then(Weak::upgrade) {
            return chunk;
        }
        if held.len() >= 256 {
            held.retain(|_, chunk| chunk.strong_count() > 0);
        }
        let chunk = Arc::new(HeldChunk {
            key,
            stored: OnceCell::new(),
            kept,
            decoding: Mutex::default(),
        });
        held.insert(key, Arc::downgrade(&chunk));
        chunk
    }

    /// The pixels of a chunk, decoded by `decode` unless they are kept; `None` where
    /// the store has none. They are kept where `is_shared` with other windows.
    pub(super) fn pixels(
        &self,
        chunk: &HeldChunk,
        is_shared: bool,
        decode: impl FnOnce(&[u8]) -> Result<Arc<[u8]>>,
    ) -> Result<Option<Arc<[u8]>>> {
        let present = |pixels: Arc<[u8]>| Some(pixels).filter(|pixels| !pixels.is_empty());
        if let Some(kept) = &chunk.kept {
            return Ok(present(Arc::clone(kept)));
        }
        let _once = chunk.decoding.lock();
        if let Some(kept) = self.blocks.get(&chunk.key) {
            return Ok(present(kept));
        }
        let pixels = match chunk.stored.get() {
            Some(Some(stored)) => decode(stored)?,
            _ => Arc::from([]),
        };
        if is_shared || pixels.is_empty() {
            let weight = pixels.len().max(ABSENT_WEIGHT) as u64;
            self.blocks.keep(chunk.key, Arc::clone(&pixels), weight);
        }
        Ok(present(pixels))
    }
}

impl HeldChunk {
    /// Reads the object by `read`, unless this task or another did; gives the bytes
    /// that were read, `None` where none had to be.
    pub(super) async fn fetch(
        &self,
        read: impl Future<Output = Result<Option<Bytes>>> + Send,
    ) -> Result<Option<u64>> {
        if self.kept.is_some() {
            return Ok(None);
        }
        let mut n_bytes = None;
        self.stored
            .get_or_try_init(|| async {
                let stored = read.await?;
                n_bytes = Some(stored.as_ref().map_or(0, |bytes| bytes.len() as u64));
                Ok(stored)
            })
            .await?;
        Ok(n_bytes)
    }

    /// Bytes of memory that it holds.
    pub(super) fn memory_bytes(&self) -> u64 {
        let stored = self
            .stored
            .get()
            .and_then(Option::as_ref)
            .map_or(0, Bytes::len);
        (stored + self.kept.as_ref().map_or(0, |kept| kept.len())) as u64
    }
}
