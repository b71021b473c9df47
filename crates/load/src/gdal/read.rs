//! Pixels through GDAL, behind the contract of all readers.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::PixelWindow;
use datacube_model::DType;
use gdal::Dataset;
use gdal::raster::{GdalType, RasterBand};
use parking_lot::Mutex;

use super::name::gdal_name;
use super::open::{Settings, describe, open};
use crate::buffer::{Pixel, PixelBuffer};
use crate::error::{Error, Result};
use crate::reader::{Blocks, RasterInfo, RasterReader, ReadCost};
use crate::store::StoreOptions;

/// One file, or part of a file, that GDAL has open.
#[derive(Clone)]
pub(crate) struct GdalReader {
    info: Arc<RasterInfo>,
    /// GDAL's handles serve one thread at a time.
    dataset: Arc<Mutex<Dataset>>,
    settings: Arc<Settings>,
}

impl fmt::Debug for GdalReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GdalReader")
            .field("uri", &self.info.uri)
            .field("driver", &self.info.driver)
            .finish_non_exhaustive()
    }
}

impl GdalReader {
    /// Opens what is at `uri`; stores are reached as `options` say, as far as
    /// GDAL has words for it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an address that GDAL does not read, and for a
    /// file of several rasters, with their names; [`Error::Unreadable`] with
    /// GDAL's words for what it does not open.
    pub(crate) async fn open(uri: &str, options: &StoreOptions) -> Result<GdalReader> {
        let Some(name) = gdal_name(uri) else {
            return Err(Error::unsupported_in(
                uri,
                "reading such an address through GDAL",
                "absolute paths, file://, http(s)://, s3://, gs://, az:// and GDAL's own names",
            ));
        };
        let settings = Arc::new(Settings::new(options));
        let uri = uri.to_owned();
        on_a_thread(move || {
            let opened = settings.within(|| {
                let dataset = open(&uri, &name)?;
                let info = describe(&uri, &dataset)?;
                Ok((dataset, info))
            });
            let (dataset, info) = opened?;
            Ok(GdalReader {
                info: Arc::new(info),
                dataset: Arc::new(Mutex::new(dataset)),
                settings,
            })
        })
        .await
    }

    /// Reads a window of a band, or of its mask, as pixels.
    async fn read(&self, what: Wanted) -> Result<Blocks> {
        let reader = self.clone();
        on_a_thread(move || {
            let Wanted {
                level,
                band,
                window,
                is_mask,
            } = what;
            let dtype = match is_mask {
                true => DType::UInt8,
                false => reader.info.band(band)?.dtype,
            };
            let mut pixels = PixelBuffer::new(dtype, window.shape())?;
            reader.settings.within(|| {
                let dataset = reader.dataset.lock();
                let part = Part {
                    level,
                    window: &window,
                    is_mask,
                };
                let band = usize::try_from(band).unwrap_or(usize::MAX);
                let read = dataset
                    .rasterband(band)
                    .and_then(|band| part.read(&band, &mut pixels));
                read.map_err(|error| {
                    let place = format!("band {band}, {window} of level {level}");
                    Error::unreadable(&reader.info.uri, place, error.to_string())
                })
            })?;
            if is_mask {
                pixels = as_mask(&pixels)?;
            }
            let cost = ReadCost {
                bytes: pixels.as_bytes().len() as u64,
                requests: 1,
                cached_blocks: 0,
            };
            let band = (!is_mask).then_some(band);
            Ok(Blocks::new(
                level,
                band,
                window,
                cost,
                cost.bytes,
                Box::new(pixels),
            ))
        })
        .await
    }
}

/// What is read in one go.
struct Wanted {
    level: usize,
    band: u32,
    window: PixelWindow,
    is_mask: bool,
}

/// Runs what waits and computes where neither hurts.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Internal(format!("a thread of GDAL ended: {error}"))),
    }
}

/// A window of a level of a band or of its mask.
struct Part<'a> {
    level: usize,
    window: &'a PixelWindow,
    is_mask: bool,
}

impl Part<'_> {
    fn read(&self, band: &RasterBand<'_>, out: &mut PixelBuffer) -> gdal::errors::Result<()> {
        let Some(overview) = self.level.checked_sub(1) else {
            return self.read_level(band, out);
        };
        self.read_level(&band.overview(overview)?, out)
    }

    fn read_level(&self, band: &RasterBand<'_>, out: &mut PixelBuffer) -> gdal::errors::Result<()> {
        if self.is_mask {
            return self.read_typed::<u8>(&band.open_mask_band()?, out);
        }
        match out.dtype() {
            DType::UInt8 => self.read_typed::<u8>(band, out),
            DType::UInt16 => self.read_typed::<u16>(band, out),
            DType::Int16 => self.read_typed::<i16>(band, out),
            DType::UInt32 => self.read_typed::<u32>(band, out),
            DType::Int32 => self.read_typed::<i32>(band, out),
            DType::UInt64 => self.read_typed::<u64>(band, out),
            DType::Int64 => self.read_typed::<i64>(band, out),
            DType::Float64 => self.read_typed::<f64>(band, out),
            // `describe` names no other types.
            _ => self.read_typed::<f32>(band, out),
        }
    }

    fn read_typed<T: Pixel + GdalType>(
        &self,
        band: &RasterBand<'_>,
        out: &mut PixelBuffer,
    ) -> gdal::errors::Result<()> {
        let size = (self.window.cols.len(), self.window.rows.len());
        let start = (
            isize::try_from(self.window.cols.start)?,
            isize::try_from(self.window.rows.start)?,
        );
        let out = out.as_slice_mut::<T>().unwrap_or(&mut []);
        band.read_into_slice(start, size, size, out, None)
    }
}

/// GDAL's 0 to 255 as missing and valid.
fn as_mask(bytes: &PixelBuffer) -> Result<PixelBuffer> {
    let mut mask = PixelBuffer::new(DType::Bool, bytes.shape())?;
    for (valid, &byte) in mask.as_bytes_mut().iter_mut().zip(bytes.as_bytes()) {
        *valid = u8::from(byte != 0);
    }
    Ok(mask)
}

#[async_trait]
impl RasterReader for GdalReader {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        self.info.check_window(level, &window)?;
        self.info.band(band)?;
        self.read(Wanted {
            level,
            band,
            window,
            is_mask: false,
        })
        .await
    }

    async fn fetch_mask(
        &self,
        level: usize,
        band: u32,
        window: PixelWindow,
    ) -> Result<Option<Blocks>> {
        self.info.band(band)?;
        if !self.info.check_window(level, &window)?.has_mask {
            return Ok(None);
        }
        let wanted = Wanted {
            level,
            band,
            window,
            is_mask: true,
        };
        self.read(wanted).await.map(Some)
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        let uri = &self.info.uri;
        let pixels = blocks
            .payload::<PixelBuffer>()
            .ok_or_else(|| Error::invalid_for(uri, "these blocks are of another file"))?;
        if !blocks.window().contains(&window) {
            let fetched = blocks.window();
            let problem = format!("blocks were fetched for {fetched}, not for {window}");
            return Err(Error::invalid_for(uri, problem));
        }
        out.reset(pixels.dtype(), window.shape())?;
        let size = pixels.dtype().size();
        let part = window.relative_to(blocks.window());
        let (n_cols, row_bytes) = (pixels.shape().cols, part.cols.len() * size);
        let rows = part
            .rows
            .zip(out.as_bytes_mut().chunks_exact_mut(row_bytes.max(1)));
        for (row, target) in rows {
            let start = (row * n_cols + part.cols.start) * size;
            target.copy_from_slice(&pixels.as_bytes()[start..][..row_bytes]);
        }
        Ok(())
    }

    fn project(&self, level: usize, band: u32, window: PixelWindow) -> Result<ReadCost> {
        self.info.check_window(level, &window)?;
        let size = self.info.band(band)?.dtype.size();
        Ok(ReadCost {
            bytes: (window.pixels() * size) as u64,
            requests: 1,
            cached_blocks: 0,
        })
    }
}
