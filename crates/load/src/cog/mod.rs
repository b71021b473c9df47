//! GeoTIFF and COG.
//!
//! The header is parsed by a parser of our own (`header.rs`, `ifd.rs`,
//! `image.rs`) that takes no claim of a file for granted; blocks are fetched in
//! few requests (`fetch.rs`) and decoded in memory that is reused
//! (`decode.rs`). What is not built is refused by its name.

mod beside;
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
use beside::{Beside, BesideCache};
pub(crate) use block_cache::{BlockCache, BlockKey};
use fetch::{CogBlocks, Request};
pub(crate) use file::FileId;
use file::TiffFile;
use header_cache::HeaderCache;
pub(crate) use lru::ByteLru;
#[cfg(feature = "gdal")]
pub(crate) use metadata::parse_nodata;

/// What all readers of a process share.
#[derive(Debug)]
pub(crate) struct Shared {
    headers: HeaderCache,
    blocks: Arc<BlockCache>,
    beside: BesideCache,
}

impl Shared {
    /// Keeps at most so many bytes of headers, and decoded blocks in `blocks`.
    pub(crate) fn new(header_bytes: u64, blocks: Arc<BlockCache>) -> Self {
        Shared {
            headers: HeaderCache::new(header_bytes),
            blocks,
            beside: BesideCache::default(),
        }
    }
}

/// Reads one GeoTIFF.
#[derive(Debug)]
pub(crate) struct CogReader {
    file: Arc<TiffFile>,
    beside: Option<Arc<Beside>>,
    shared: Arc<Shared>,
}

impl CogReader {
    /// Opens the file at `location`, from the cache of headers if it can.
    pub(crate) async fn open(location: Location, shared: Arc<Shared>) -> Result<Self> {
        let file = shared.headers.open(location).await?;
        let beside = shared.beside.find(&file, &shared.headers).await?;
        Ok(CogReader {
            file,
            beside,
            shared,
        })
    }

    fn band_request(&self, level: usize, band: u32, window: PixelWindow) -> Result<Request<'_>> {
        let info = self.info();
        info.check_window(level, &window)?;
        info.band(band)?;
        let inside = self.file.image(level).map(|image| (&self.file, image));
        let (file, image) = inside
            .or_else(|| self.beside.as_ref()?.overview(level))
            .ok_or_else(|| Error::Internal(format!("level {level} has no image")))?;
        supported(Request {
            file,
            image,
            level,
            band: Some(band),
            sample: band,
            window,
        })
    }

    /// The mask of a band; `None` where there is none.
    fn mask_request(
        &self,
        level: usize,
        band: u32,
        window: PixelWindow,
    ) -> Result<Option<Request<'_>>> {
        let info = self.info();
        info.band(band)?;
        let shape = info.check_window(level, &window)?.shape;
        let beside = self.beside.as_deref();
        let found = match beside.filter(|beside| beside.has_mask()) {
            Some(beside) => beside.mask(shape, band),
            None => {
                let inside = self.file.mask(level).map(|mask| (&self.file, mask));
                let found = inside.or_else(|| beside?.overview_mask(level));
                found.map(|(file, mask)| (file, mask, 1))
            }
        };
        let Some((file, image, sample)) = found else {
            return Ok(None);
        };
        supported(Request {
            file,
            image,
            level,
            band: None,
            sample,
            window,
        })
        .map(Some)
    }

    async fn fetch_request(&self, request: Request<'_>) -> Result<Blocks> {
        let fetched = request.fetch(&self.shared.blocks).await;
        if let Err(Error::Changed { .. }) = &fetched {
            self.shared.headers.forget(request.file);
        }
        fetched
    }
}

/// The request, if what it needs is built.
fn supported(request: Request<'_>) -> Result<Request<'_>> {
    let uri = &request.file.info().uri;
    request.image.ensure_supported(uri)?;
    request.image.ensure_block_fits(uri)?;
    Ok(request)
}

#[async_trait]
impl RasterReader for CogReader {
    fn info(&self) -> &RasterInfo {
        match &self.beside {
            Some(beside) => &beside.info,
            None => self.file.info(),
        }
    }

    fn take_open_cost(&self) -> ReadCost {
        let mut cost = self.file.take_open_cost();
        if let Some(beside) = &self.beside {
            cost += beside.take_cost();
        }
        cost
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        let request = self.band_request(level, band, window)?;
        self.fetch_request(request).await
    }

    async fn fetch_mask(
        &self,
        level: usize,
        band: u32,
        window: PixelWindow,
    ) -> Result<Option<Blocks>> {
        match self.mask_request(level, band, window)? {
            Some(request) => self.fetch_request(request).await.map(Some),
            None => Ok(None),
        }
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        let uri = &self.info().uri;
        let beside = self.beside.iter().flat_map(|beside| beside.files());
        let mut files = std::iter::once(&self.file).chain(beside);
        let payload = blocks
            .payload::<CogBlocks>()
            .filter(|payload| files.any(|file| file.id() == payload.file))
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
        let level = blocks.level();
        let (request, nodata) = match blocks.band() {
            Some(band) => {
                let nodata = self.info().band(band)?.nodata;
                (self.band_request(level, band, window)?, nodata)
            }
            None => {
                let request = self.mask_request(level, payload.sample, window)?;
                let missing = || Error::Internal(format!("level {level} has no mask"));
                (request.ok_or_else(missing)?, None)
            }
        };
        decode::decode(&request, payload, &self.shared.blocks, nodata, out)
    }

    fn project(&self, level: usize, band: u32, window: PixelWindow) -> Result<ReadCost> {
        Ok(self
            .band_request(level, band, window)?
            .project(&self.shared.blocks))
    }
}
