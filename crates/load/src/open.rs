//! Opens rasters by URI, whatever their format, and keeps what they share.
//!
//! [`Rasters`] holds the stores, the parsed headers and the decoded blocks at
//! the seams between windows. It is cheap to clone and meant to live as long
//! as the process: everything in it is bounded and shared between tasks.

use std::sync::Arc;

use crate::cog::{BlockCache, CogReader, Shared};
use crate::error::Result;
use crate::gdal::is_gdal_name;
use crate::reader::RasterReader;
use crate::store::{Location, StoreRegistry};
use crate::zarr::{Address, Arrays, ZarrReader};

/// How much [`Rasters`] may keep in memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RastersOptions {
    /// Bytes of parsed headers and of Zarr documents; the least recently used go first. Default 64 MiB.
    pub header_cache_bytes: u64,
    /// Bytes of decoded blocks and Zarr chunks that windows shared. Default 256 MiB.
    pub block_cache_bytes: u64,
}

impl Default for RastersOptions {
    fn default() -> Self {
        RastersOptions {
            header_cache_bytes: 64 << 20,
            block_cache_bytes: 256 << 20,
        }
    }
}

impl RastersOptions {
    /// Sets the bound on parsed headers.
    #[must_use]
    pub fn header_cache_bytes(mut self, bytes: u64) -> Self {
        self.header_cache_bytes = bytes;
        self
    }

    /// Keeps at most `bytes` of both together, where that is less than now: a
    /// fifth of it for headers.
    #[must_use]
    pub fn within(mut self, bytes: u64) -> Self {
        let headers = bytes / 5;
        self.header_cache_bytes = self.header_cache_bytes.min(headers);
        self.block_cache_bytes = self.block_cache_bytes.min(bytes - headers);
        self
    }

    /// Sets the bound on decoded blocks kept; 0 keeps none.
    #[must_use]
    pub fn block_cache_bytes(mut self, bytes: u64) -> Self {
        self.block_cache_bytes = bytes;
        self
    }
}

/// Opens rasters and keeps what they share.
#[derive(Clone, Debug)]
pub struct Rasters {
    stores: StoreRegistry,
    shared: Arc<Shared>,
    arrays: Arc<Arrays>,
}

impl Rasters {
    /// Reads through `stores`.
    pub fn new(stores: StoreRegistry, options: &RastersOptions) -> Self {
        let blocks = Arc::new(BlockCache::new(options.block_cache_bytes));
        // Of the bound on headers a quarter is for the documents of Zarr stores.
        let documents = options.header_cache_bytes / 4;
        let headers = options.header_cache_bytes - documents;
        Rasters {
            stores,
            shared: Arc::new(Shared::new(headers, Arc::clone(&blocks))),
            arrays: Arc::new(Arrays::new(documents, blocks)),
        }
    }

    /// Opens the raster at `uri`, an absolute path or a URL: a GeoTIFF, or an
    /// array of a Zarr store as `STORE.zarr/ARRAY` or `STORE.zarr#ARRAY`. With the
    /// feature `gdal` anything that GDAL reads, and GDAL's names for parts of
    /// files ([`is_gdal_name`]).
    ///
    /// Headers of GeoTIFFs and documents of Zarr stores are cached: a second call for
    /// the same file reads nothing, and two calls at once read once. A file that
    /// changed is noticed; an array in a remote store after a minute.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`], [`crate::Error::Unsupported`] for schemes
    /// and formats that are not built, [`crate::Error::Unreadable`] for a
    /// broken header, [`crate::Error::Store`].
    pub async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        if let Some(address) = Address::parse(uri) {
            return self.open_zarr(address, None).await;
        }
        if is_gdal_name(uri) {
            return self.open_with_gdal(uri).await;
        }
        let location = self.stores.locate(uri)?;
        match self.open_at(location.clone()).await {
            #[cfg(feature = "gdal")]
            Err(error) if is_for_gdal(&error, &location).await => self.open_with_gdal(uri).await,
            other => other,
        }
    }

    /// As [`Rasters::open`], for an address that the signer of that name signs
    /// each time it is read, see [`StoreRegistry::locate_signed`].
    ///
    /// # Errors
    /// As [`Rasters::open`], and for a name that nobody registered.
    pub async fn open_signed(&self, uri: &str, signer: &str) -> Result<Arc<dyn RasterReader>> {
        if let Some(address) = Address::parse(uri) {
            return self.open_zarr(address, Some(signer)).await;
        }
        self.open_at(self.stores.locate_signed(uri, signer)?).await
    }

    async fn open_zarr(
        &self,
        address: Address,
        signer: Option<&str>,
    ) -> Result<Arc<dyn RasterReader>> {
        Ok(ZarrReader::open(&self.stores, &address, signer, &self.arrays).await?)
    }

    #[cfg(feature = "gdal")]
    async fn open_with_gdal(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        let options = self.stores.options();
        let reader = crate::gdal::GdalReader::open(uri, &options).await?;
        Ok(Arc::new(reader))
    }

    #[cfg(not(feature = "gdal"))]
    async fn open_with_gdal(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        Err(crate::Error::unsupported_in(
            uri,
            "a part of a file by GDAL's name",
            &format!("whole files; {}", crate::gdal::BUILD_WITH),
        ))
    }

    async fn open_at(&self, location: Location) -> Result<Arc<dyn RasterReader>> {
        let reader = CogReader::open(location, Arc::clone(&self.shared)).await?;
        Ok(Arc::new(reader))
    }
}

/// Whether GDAL may know what is there: anything but a TIFF, which is read here or
/// not at all, so that a file means the same in every program.
#[cfg(feature = "gdal")]
async fn is_for_gdal(error: &crate::Error, location: &Location) -> bool {
    if !error.is_unsupported() && !matches!(error, crate::Error::Unreadable { .. }) {
        return false;
    }
    match location.read_start(4).await {
        Ok((start, _)) => !matches!(
            &start[..],
            [b'I', b'I', 42 | 43, 0] | [b'M', b'M', 0, 42 | 43]
        ),
        Err(_) => false,
    }
}
