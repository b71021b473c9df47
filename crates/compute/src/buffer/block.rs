//! Memory from the system: aligned, zeroed, and in large pages where it can be.
//!
//! Large blocks are mapped, because the allocator would write zeros over what
//! the system gives zeroed, and because the system may then use pages of 2 MiB:
//! a fresh result is faulted in five hundred times less often.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use super::ALIGNMENT;
use crate::error::{Error, Result, TooLarge};

/// Memory that belongs to whoever has it; given back when dropped.
#[derive(Debug)]
pub(super) struct Block {
    ptr: NonNull<u8>,
    capacity: usize,
    mapping: Option<Mapping>,
}

/// What the system mapped; the block lies within.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a block owns plain memory.
unsafe impl Send for Block {}
// SAFETY: nothing is done with the memory through a shared reference.
unsafe impl Sync for Block {}

impl Block {
    /// `capacity` bytes of 0, aligned to [`ALIGNMENT`].
    pub(super) fn zeroed(capacity: usize) -> Result<Block> {
        let capacity = capacity.max(1).checked_next_multiple_of(ALIGNMENT);
        let refused = |bytes: usize| {
            Error::TooLarge(Box::new(TooLarge {
                what: "a buffer of pixels".to_owned(),
                needed: bytes as u64,
                limit: crate::local::memory::total().unwrap_or(0),
                detail: "the system refused to give it".to_owned(),
                hint: "Take smaller chunks, or write to a file instead of to memory.".to_owned(),
            }))
        };
        let capacity = capacity.ok_or_else(|| refused(usize::MAX))?;
        if let Some(block) = Block::mapped(capacity) {
            return Ok(block);
        }
        let layout = layout(capacity).ok_or_else(|| refused(capacity))?;
        // SAFETY: the capacity is not 0.
        let ptr = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(|| refused(capacity))?;
        Ok(Block {
            ptr,
            capacity,
            mapping: None,
        })
    }

    #[cfg(target_os = "linux")]
    fn mapped(capacity: usize) -> Option<Block> {
        const PAGE: usize = 2 << 20;
        const FROM: usize = 1 << 20;
        if capacity < FROM {
            return None;
        }
        // A page more than needed, to start on one.
        let len = capacity.checked_next_multiple_of(PAGE)?.checked_add(PAGE)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping of its own, at whatever place the system chooses.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return None;
        }
        let base = NonNull::new(base.cast::<u8>())?;
        let offset = base.as_ptr().align_offset(PAGE);
        // SAFETY: less than a page further, within the mapping.
        let ptr = unsafe { base.add(offset) };
        if capacity >= PAGE {
            // SAFETY: the range lies within the mapping. It is advice: where the
            // system does not take it, small pages do as well.
            unsafe { libc::madvise(ptr.as_ptr().cast(), capacity, libc::MADV_HUGEPAGE) };
        }
        Some(Block {
            ptr,
            capacity,
            mapping: Some(Mapping { base, len }),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn mapped(_: usize) -> Option<Block> {
        None
    }

    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        match &self.mapping {
            None => {
                let layout = layout(self.capacity).expect("it was allocated with this layout");
                // SAFETY: allocated with this layout, and given up here.
                unsafe { dealloc(self.ptr.as_ptr(), layout) };
            }
            #[cfg(target_os = "linux")]
            Some(mapping) => {
                // SAFETY: the mapping is ours alone, and given up here.
                unsafe { libc::munmap(mapping.base.as_ptr().cast(), mapping.len) };
            }
            #[cfg(not(target_os = "linux"))]
            Some(mapping) => {
                unreachable!("nothing is mapped here: {:?} {}", mapping.base, mapping.len)
            }
        }
    }
}

fn layout(capacity: usize) -> Option<Layout> {
    Layout::from_size_align(capacity, ALIGNMENT).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_blocks_are_aligned_and_zero() {
        for capacity in [1, 100, 1 << 20, (5 << 20) + 3] {
            let block = Block::zeroed(capacity).unwrap();
            assert!(block.capacity() >= capacity);
            assert_eq!(block.ptr().as_ptr().addr() % ALIGNMENT, 0);
            // SAFETY: the block has that many bytes, initialised to 0.
            let bytes = unsafe { std::slice::from_raw_parts(block.ptr().as_ptr(), capacity) };
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn refused_memory_is_an_error() {
        for bytes in [isize::MAX as usize - 4096, usize::MAX] {
            assert!(Block::zeroed(bytes).unwrap_err().is_too_large());
        }
    }
}
