//! Points from one CRS to another, and pixels of one grid to another.

mod crs;
mod grid;
mod lattice;
mod pixel_map;
mod rows;
mod window;

pub use crs::CrsTransform;
pub use grid::{Approximation, GridTransform};
pub(crate) use pixel_map::PixelMap;
pub use window::WindowTransform;
