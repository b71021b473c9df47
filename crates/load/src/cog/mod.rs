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
mod sidecar;
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
#[cfg(feature = "gdal")]
pub(crate) use metadata::parse_nodata;
use sidecar::Sidecar;

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
    sidecar: Option<Sidecar>,
    shared: Arc<Shared>,
}

impl CogReader {
    /// Opens the file at `location`, from the cache of headers if it can.
    pub(crate) async fn open(location: Location, shared: Arc<Shared>) -> Result<Self> {
        let beside = Sidecar::location(&location);
        let file = shared.headers.open(location).await?;
        let sidecar = match beside {
            Some(beside) => Sidecar::open(&file, beside, &shared.headers).await?,
            None => None,
        };
        Ok(CogReader {
            file,
            sidecar,
            shared,
        })
    }

    fn band_request(&self, level: usize, band: u32, window: PixelWindow) -> Result<Request<'_>> {
        let info = self.info();
        info.check_window(level, &window)?;
        info.band(band)?;
        let image = self
            .file
            .image(level)
            .ok_or_else(|| Error::Internal(format!("level {level} has no image")))?;
        supported(Request {
            file: &self.file,
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
        let (file, image, sample) = match &self.sidecar {
            Some(sidecar) => {
                let image = sidecar.file.image_of_shape(shape);
                (&sidecar.file, image, sidecar.sample_of(band))
            }
            None => (&self.file, self.file.mask(level), 1),
        };
        let Some(image) = image else { return Ok(None) };
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
        match &self.sidecar {
            Some(sidecar) => &sidecar.info,
            None => self.file.info(),
        }
    }

    fn take_open_cost(&self) -> ReadCost {
        let mut cost = self.file.take_open_cost();
        if let Some(sidecar) = &self.sidecar {
            cost += sidecar.file.take_open_cost();
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
        let files = [Some(&self.file), self.sidecar.as_ref().map(|s| &s.file)];
        let payload = blocks
            .payload::<CogBlocks>()
            .filter(|payload| files.into_iter().flatten().any(|f| f.id() == payload.file))
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
