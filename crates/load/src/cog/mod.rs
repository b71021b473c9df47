//! GeoTIFF and COG.
//!
//! The header is parsed by a parser of our own (`header.rs`, `ifd.rs`,
//! `image.rs`) that takes no claim of a file for granted; blocks are fetched in
//! few requests (`fetch.rs`) and decoded in memory that is reused
//! (`decode.rs`). What is not built is refused by its name.

mod bits;
mod block_cache;
mod block_index;
mod codec;
mod color;
mod decode;
mod fetch;
mod file;
mod geokeys;
mod georef;
mod header;
mod header_cache;
mod ifd;
mod image;
mod lru;
mod metadata;
mod predictor;
mod tags;

use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::PixelWindow;

use crate::buffer::PixelBuffer;
use crate::error::{Error, Result};
use crate::reader::{Blocks, RasterInfo, RasterReader, ReadCost};
use crate::store::Location;
use block_cache::BlockCache;
use fetch::{CogBlocks, Request};
use file::TiffFile;
use header_cache::HeaderCache;

/// What all readers of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    headers: HeaderCache,
    blocks: BlockCache,
}

impl Shared {
    /// Keeps at most so many bytes of headers and of decoded blocks.
    pub(crate) fn new(header_bytes: u64, block_bytes: u64) -> Self {
        Shared {
            headers: HeaderCache::new(header_bytes),
            blocks: BlockCache::new(block_bytes),
        }
    }
}

/// Reads one GeoTIFF.
#[derive(Debug)]
pub(crate) struct CogReader {
    file: Arc<TiffFile>,
    shared: Arc<Shared>,
}

impl CogReader {
    /// Opens the file at `location`, from the cache of headers if it can.
    pub(crate) async fn open(location: Location, shared: Arc<Shared>) -> Result<Self> {
        let file = shared.headers.open(location).await?;
        Ok(CogReader { file, shared })
    }

    /// What is asked for, checked; `None` for a mask that is not there.
    fn request(
        &self,
        level: usize,
        band: Option<u32>,
        window: PixelWindow,
    ) -> Result<Option<Request<'_>>> {
        let info = self.file.info();
        info.check_window(level, &window)?;
        if let Some(band) = band {
            info.band(band)?;
        }
        let Some(image) = self.file.image(level, band.is_none()) else {
            return Ok(None);
        };
        image.ensure_supported(&info.uri)?;
        image.ensure_block_fits(&info.uri)?;
        Ok(Some(Request {
            file: &self.file,
            image,
            level,
            band,
            window,
        }))
    }

    fn band_request(&self, level: usize, band: u32, window: PixelWindow) -> Result<Request<'_>> {
        self.request(level, Some(band), window)?
            .ok_or_else(|| Error::Internal(format!("level {level} has no image")))
    }

    async fn fetch_request(&self, request: Request<'_>) -> Result<Blocks> {
        let fetched = request.fetch(&self.shared.blocks).await;
        if let Err(Error::Changed { .. }) = &fetched {
            self.shared.headers.forget(&self.file);
        }
        fetched
    }
}

#[async_trait]
impl RasterReader for CogReader {
    fn info(&self) -> &RasterInfo {
        self.file.info()
    }

    fn take_open_cost(&self) -> ReadCost {
        self.file.take_open_cost()
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        let request = self.band_request(level, band, window)?;
        self.fetch_request(request).await
    }

    async fn fetch_mask(&self, level: usize, window: PixelWindow) -> Result<Option<Blocks>> {
        match self.request(level, None, window)? {
            Some(request) => self.fetch_request(request).await.map(Some),
            None => Ok(None),
        }
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        let uri = &self.info().uri;
        let payload = blocks
            .payload::<CogBlocks>()
            .filter(|payload| payload.file == self.file.id())
            .ok_or_else(|| Error::invalid_for(uri, "these blocks are of another file"))?;
        if !blocks.window().contains(&window) {
            return Err(Error::invalid_for(
                uri,
                format!(
                    "blocks were fetched for {}, not for {window}",
                    blocks.window()
                ),
            ));
        }
        let request = self
            .request(blocks.level(), blocks.band(), window)?
            .ok_or_else(|| Error::Internal(format!("level {} has no image", blocks.level())))?;
        let nodata = match blocks.band() {
            Some(band) => self.info().band(band)?.nodata,
            None => None,
        };
        decode::decode(&request, payload, &self.shared.blocks, nodata, out)
    }

    fn project(&self, level: usize, band: u32, window: PixelWindow) -> Result<ReadCost> {
        Ok(self
            .band_request(level, band, window)?
            .project(&self.shared.blocks))
    }
}
