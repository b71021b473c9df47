//! Everything else that GDAL opens: JPEG 2000, netCDF, HDF, GRIB, parts of files.
//!
//! The feature `gdal` links the GDAL of the system; without it only the names of
//! such files are known here, so that errors can say what is missing. GDAL reads
//! and decodes in one step, so here [`RasterReader::fetch`] does both, on a thread
//! that may wait, and [`RasterReader::decode`] copies.
//!
//! [`RasterReader::fetch`]: crate::RasterReader::fetch
//! [`RasterReader::decode`]: crate::RasterReader::decode

mod name;
#[cfg(feature = "gdal")]
mod open;
#[cfg(feature = "gdal")]
mod read;

pub use name::is_gdal_name;
#[cfg(feature = "gdal")]
pub(crate) use read::GdalReader;

/// What errors advise for files that only GDAL reads.
pub(crate) const BUILD_WITH: &str = "a program built with the feature `gdal` reads what GDAL does";
