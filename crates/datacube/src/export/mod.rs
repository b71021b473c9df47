//! Results as files: Cloud Optimised GeoTIFF, Zarr, PNG.

mod atomic;
pub mod cog;
mod error;
mod gather;
pub mod zarr;

pub(crate) use atomic::write_file;
pub use error::{Error, Result};
