//! Pixels in memory: aligned to 64 bytes, always initialised, reused.
//!
//! Faulting in a fresh output costs several times what computing NDVI into it
//! does, so buffers go back to a [`Pool`] when they are dropped and come out of
//! it again with whatever they held.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datacube_model::DType;
use parking_lot::Mutex;

use crate::error::{Error, Result, TooLarge};
use crate::value::Pixel;

/// What buffers start on: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Bytes of pixels, aligned to [`ALIGNMENT`].
pub struct Buffer {
    ptr: NonNull<u8>,
    len: usize,
    capacity: usize,
    pool: Option<Arc<PoolInner>>,
}

// SAFETY: a buffer owns its memory, which is plain bytes.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference the bytes can only be read.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` bytes of 0, of its own memory.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub fn zeroed(len: usize) -> Result<Buffer> {
        let capacity = len.max(1).next_multiple_of(ALIGNMENT);
        Ok(Buffer {
            ptr: allocate(capacity)?,
            len,
            capacity,
            pool: None,
        })
    }

    /// A copy of these pixels.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub fn from_slice<T: Pixel>(values: &[T]) -> Result<Buffer> {
        let mut buffer = Buffer::zeroed(size_of_val(values))?;
        // SAFETY: `Pixel` types are plain data without padding, so their bytes
        // may be read; the lengths are the same.
        let bytes = unsafe {
            std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values))
        };
        buffer.copy_from_slice(bytes);
        Ok(buffer)
    }

    /// Where the bytes are, for writers that share the buffer in parts.
    pub(crate) fn raw(&self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    /// The bytes as pixels.
    ///
    /// `T` may not be bool unless every byte is 0 or 1: see [`normalise_bool`].
    pub(crate) fn as_pixels<T: Pixel>(&self) -> &[T] {
        // SAFETY: the memory is initialised and aligned to more than `T`;
        // every bit pattern is a value of an integer or float type, and buffers
        // of bool are normalised where they become visible.
        unsafe {
            std::slice::from_raw_parts(self.ptr.as_ptr().cast::<T>(), self.len / size_of::<T>())
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from `ptr` are ours and initialised.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and we are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match &self.pool {
            Some(pool) => pool.take_back(self.ptr, self.capacity),
            None => release(self.ptr, self.capacity),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len)
    }
}

/// Makes every byte of a buffer of bool 0 or 1, as Rust requires.
pub(crate) fn normalise_bool(dtype: DType, bytes: &mut [u8]) {
    if dtype == DType::Bool {
        for byte in bytes {
            *byte = u8::from(*byte != 0);
        }
    }
}

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(capacity, ALIGNMENT).ok()
}

fn allocate(capacity: usize) -> Result<NonNull<u8>> {
    // SAFETY: capacity is not 0.
    let ptr = layout(capacity).and_then(|layout| NonNull::new(unsafe { alloc_zeroed(layout) }));
    ptr.ok_or_else(|| {
        Error::TooLarge(Box::new(TooLarge {
            what: "a buffer of pixels".to_owned(),
            needed: capacity as u64,
            limit: crate::local::memory::total().unwrap_or(0),
            detail: "the system refused to give it".to_owned(),
            hint: "Take smaller chunks, or write to a file instead of to memory.".to_owned(),
        }))
    })
}

fn release(ptr: NonNull<u8>, capacity: usize) {
    let layout = layout(capacity).expect("it was allocated with this layout");
    // SAFETY: `ptr` was allocated with this layout, and is given up here.
    unsafe { dealloc(ptr.as_ptr(), layout) }
}

/// Buffers that are waiting to be used again.
///
/// Cloning gives a handle to the same pool.
#[derive(Clone)]
pub struct Pool(Arc<PoolInner>);

struct PoolInner {
    /// Free memory: capacity (a size class) and address, latest use last.
    free: Mutex<Vec<(usize, NonNull<u8>)>>,
    /// Bytes that may be kept waiting.
    keep: u64,
    /// Bytes in `free`; written under its lock.
    kept: AtomicU64,
    used: AtomicU64,
    peak: AtomicU64,
}

// SAFETY: the addresses are owned by the pool, and only handed out under its lock.
unsafe impl Send for PoolInner {}
// SAFETY: as above.
unsafe impl Sync for PoolInner {}

impl Pool {
    /// An empty pool that keeps up to `keep` bytes of unused buffers.
    pub fn new(keep: u64) -> Pool {
        Pool(Arc::new(PoolInner {
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
            let found = free.iter().rposition(|(size, _)| *size == capacity);
            found.map(|at| {
                self.0.kept.fetch_sub(capacity as u64, Ordering::Relaxed);
                free.swap_remove(at).1
            })
        };
        let ptr = match reused {
            Some(ptr) => ptr,
            None => allocate(capacity)?,
        };
        let used = self.0.used.fetch_add(capacity as u64, Ordering::Relaxed) + capacity as u64;
        self.0.peak.fetch_max(used, Ordering::Relaxed);
        Ok(Buffer {
            ptr,
            len,
            capacity,
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
        for (capacity, ptr) in free.drain(..) {
            release(ptr, capacity);
        }
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

impl PoolInner {
    fn take_back(&self, ptr: NonNull<u8>, capacity: usize) {
        self.used.fetch_sub(capacity as u64, Ordering::Relaxed);
        let mut free = self.free.lock();
        let kept = self.kept.load(Ordering::Relaxed) + capacity as u64;
        if kept <= self.keep {
            self.kept.store(kept, Ordering::Relaxed);
            free.push((capacity, ptr));
        } else {
            drop(free);
            release(ptr, capacity);
        }
    }
}

impl Drop for PoolInner {
    fn drop(&mut self) {
        for (capacity, ptr) in self.free.get_mut().drain(..) {
            release(ptr, capacity);
        }
    }
}

/// Sizes are rounded up by at most an eighth, so that the shorter chunks at an
/// array's edges find the buffers of their neighbours' class or near it.
fn size_class(len: usize) -> usize {
    let len = len.max(ALIGNMENT);
    let step = (len.next_power_of_two() / 16).max(ALIGNMENT);
    len.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back() {
        let pool = Pool::new(1 << 20);
        let first = pool.take(100_000).unwrap();
        let address = first.as_ptr();
        assert_eq!(address.addr() % ALIGNMENT, 0);
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
    fn refused_memory_is_an_error() {
        assert!(
            Buffer::zeroed(isize::MAX as usize - 4096)
                .unwrap_err()
                .is_too_large()
        );
    }

    #[test]
    fn pixels_round_trip() {
        let buffer = Buffer::from_slice(&[1.5f32, -2.0]).unwrap();
        assert_eq!(buffer.as_pixels::<f32>(), [1.5, -2.0]);
        assert_eq!(Buffer::from_slice::<u16>(&[]).unwrap().len(), 0);
    }
}
