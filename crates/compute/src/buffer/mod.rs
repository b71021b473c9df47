//! Pixels in memory: aligned to 64 bytes, always initialised, reused.
//!
//! Faulting in a fresh output costs several times what computing NDVI into it
//! does, so buffers go back to a [`Pool`] when they are dropped and come out of
//! it again with whatever they held.

mod block;
mod pool;

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::Arc;

use datacube_model::DType;

pub use pool::Pool;

use crate::error::Result;
use crate::value::Pixel;
use block::Block;

/// What buffers start on: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;

/// Bytes of pixels, aligned to [`ALIGNMENT`].
pub struct Buffer {
    /// Always there, until the buffer is dropped.
    block: Option<Block>,
    len: usize,
    pool: Option<Arc<pool::Shared>>,
}

impl Buffer {
    /// `len` bytes of 0, of its own memory.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub fn zeroed(len: usize) -> Result<Buffer> {
        Ok(Buffer {
            block: Some(Block::zeroed(len)?),
            len,
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
        self.ptr().as_ptr()
    }

    fn ptr(&self) -> NonNull<u8> {
        self.block
            .as_ref()
            .map_or(NonNull::<Aligned>::dangling().cast(), Block::ptr)
    }

    /// The bytes as pixels.
    ///
    /// `T` may not be bool unless every byte is 0 or 1: see [`normalise_bool`].
    pub(crate) fn as_pixels<T: Pixel>(&self) -> &[T] {
        // SAFETY: the memory is initialised and aligned to more than `T`;
        // every bit pattern is a value of an integer or float type, and buffers
        // of bool are normalised where they become visible.
        unsafe { std::slice::from_raw_parts(self.raw().cast::<T>(), self.len / size_of::<T>()) }
    }
}

/// For a pointer that is aligned as buffers are.
#[repr(align(64))]
struct Aligned;

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes from there are ours and initialised.
        unsafe { std::slice::from_raw_parts(self.raw(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and we are borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.raw(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let (Some(pool), Some(block)) = (&self.pool, self.block.take()) {
            pool.take_back(block);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_round_trip() {
        let buffer = Buffer::from_slice(&[1.5f32, -2.0]).unwrap();
        assert_eq!(buffer.as_pixels::<f32>(), [1.5, -2.0]);
        assert_eq!(Buffer::from_slice::<u16>(&[]).unwrap().len(), 0);
    }
}
