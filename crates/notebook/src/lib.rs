//! The datacube crate as one shared library, for the cells of a Rust notebook.
//!
//! Each cell of a notebook is compiled to a library of its own. With the facade linked
//! into each of them, each would have statics and thread-locals of its own: a runtime, a
//! default engine, locks that do not wake another cell's threads. This crate is the facade
//! under its own name as a dynamic library, of which a process has one.

pub use facade::*;
