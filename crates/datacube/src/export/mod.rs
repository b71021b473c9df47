//! Results as files: Cloud Optimised GeoTIFF, Zarr, PNG.

mod atomic;
pub mod cog;
mod cube;
mod error;
mod gather;
mod part;
pub mod zarr;

pub(crate) use atomic::write_file;
pub use cube::{ExportOptions, draw, write_cog, write_png, write_zarr};
pub use error::{Error, Result};
pub use part::part_of;
