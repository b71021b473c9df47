//! From scenes to pixels: planning, reading, warping and fusing.
//!
//! The loader is handed sources (a URI, a band, a nodata value) and a
//! destination grid; it knows neither the index nor the documents they came
//! from. Reading has two halves that never mix: fetching is async and computes
//! nothing, decoding computes and waits for nothing (see [`RasterReader`]).

mod archive;
mod buffer;
mod cog;
mod error;
mod fuse;
mod fusers;
mod gdal;
mod loader;
mod memory;
mod nodata;
mod open;
mod params;
mod plan;
mod reader;
mod source;
mod store;
mod warp;
mod zarr;

pub use archive::{
    Archive, ArchiveBuilder, Cover, Scene, SceneCatalog, coverage_window, footprint_window,
};
pub use buffer::{Pixel, PixelBuffer, fill_bytes};
pub use error::{BoxError, Error, Result, SourcePlace};
pub use fusers::{FuseFunction, fuser_names, register_fuser};
pub use gdal::is_gdal_name;
pub use loader::{
    Fetched, Loader, LoaderOptions, RasterOpener, ReadStats, Regrid, RegridSpec, Skipped,
};
pub use memory::{MemoryRaster, MemoryRasters};
pub use open::{Rasters, RastersOptions};
pub use params::{BandParams, Fuse, Overviews, Resampling, Scaling, WarpScale};
pub use plan::{ChunkTask, ReadEstimate, ReadPlan, SourcePlan, SourceRead};
pub use reader::{BandInfo, Blocks, Level, MaskKind, RasterInfo, RasterReader, ReadCost};
pub use source::RasterSource;
pub use store::{
    AssumeRole, HostStats, Location, PLANETARY_COMPUTER, S3Access, S3Keys, Secret, SignedUrl,
    Signer, Signing, StoreOptions, StoreRegistry, StoreStats, WebAnswer, WebRequest,
};

/// Names that this crate's macros use; no part of the interface.
#[doc(hidden)]
pub mod private {
    pub use datacube_model::DType;
    pub use half::f16;
}
