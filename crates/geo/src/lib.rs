//! Where pixels are: coordinate reference systems, grids of pixels and the
//! maps between them.
//!
//! Everything here is a value or a formula; nothing reads a file of the user,
//! opens a socket or waits. PROJ does the geodesy ([`Crs`], [`CrsTransform`]),
//! from a database that is compiled into the program.
//!
//! Axis order is in the types: a [`Shape2d`] is (rows, columns), an [`Xy`] is
//! (x, y), and coordinates are always x before y, longitude before latitude,
//! whatever order the authority of a CRS prefers. Pixel coordinates are
//! continuous: pixel (row 0, column 0) covers 0..1 on both axes, its centre is
//! at (0.5, 0.5).

mod affine;
mod bbox;
mod crs;
mod error;
mod geobox;
mod geom;
mod grid_spec;
mod overlap;
mod proj;
pub mod snap;
mod transform;
mod window;
mod xy;

pub use affine::Affine;
pub use bbox::BoundingBox;
pub use crs::{Crs, CrsKind};
pub use error::{Error, Result};
pub use geobox::{Anchor, GeoBox, GeoboxTiles, GridSize, OutputResolution, ToCrs};
pub use geom::Geometry;
pub use grid_spec::{GridSpec, TileIndex};
pub use overlap::{Paste, PasteRule, ReprojectInfo, Tie};
pub use transform::{Approximation, CrsTransform, GridTransform, WindowTransform};
pub use window::PixelWindow;
pub use xy::{Resolution, Shape2d, Xy};
