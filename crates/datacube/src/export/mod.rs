//! Results as files: Cloud Optimised GeoTIFF, Zarr, PNG.

mod atomic;
pub mod cog;
mod error;
mod gather;
pub mod zarr;

pub use error::{Error, Result};
