//! How an array is cut into chunks, without a table of the chunks.
//!
//! [`ChunkGrid`] is a rule: for each axis a chunk size (the first and the last
//! chunk may be shorter) or a list of sizes. A million chunks cost what three
//! axes cost. [`Chunks`] is what a user asks for, by dimension name; it becomes
//! a grid when dimensions and shape are known.

mod axis;
mod grid;
mod request;

pub use axis::AxisChunks;
pub use grid::ChunkGrid;
pub use request::{AUTO_CHUNK_BYTES, ChunkSize, Chunks};
