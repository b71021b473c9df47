//! Rasters that live in memory, behind the same contract as files.
//!
//! For tests and examples, and the model of what a [`RasterReader`] owes.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_geo::{GeoBox, PixelWindow, Shape2d};
use datacube_model::Number;
use parking_lot::RwLock;

use crate::buffer::{Pixel, PixelBuffer};
use crate::error::{Error, Result};
use crate::loader::RasterOpener;
use crate::reader::{BandInfo, Blocks, Level, MaskKind, RasterInfo, RasterReader, ReadCost};

/// A raster of one band in memory.
#[derive(Debug)]
pub struct MemoryRaster {
    info: RasterInfo,
    levels: Vec<PixelBuffer>,
}

impl MemoryRaster {
    /// A raster on `geobox` with these pixels, row by row.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there are not as many pixels as the
    /// geobox has.
    pub fn new<T: Pixel>(geobox: &GeoBox, pixels: &[T], nodata: Option<Number>) -> Result<Self> {
        let info = RasterInfo {
            uri: String::new(),
            size: size_of_val(pixels) as u64,
            driver: "memory",
            shape: geobox.shape(),
            affine: Some(*geobox.affine()),
            crs: geobox.crs().cloned(),
            georeference_problem: None,
            bands: vec![BandInfo {
                dtype: T::DTYPE,
                nodata,
                scale: 1.0,
                offset: 0.0,
                unit: None,
                description: None,
                color: "gray",
                tags: Vec::new(),
            }],
            levels: Vec::new(),
            mask: MaskKind::None,
            n_gcps: 0,
            tags: Vec::new(),
            details: Vec::new(),
        };
        MemoryRaster {
            info,
            levels: Vec::new(),
        }
        .with_level(geobox.shape(), pixels)
    }

    /// Adds an overview, coarser than those before.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where there are not as many pixels as `shape`
    /// has, or of another type.
    pub fn with_level<T: Pixel>(mut self, shape: Shape2d, pixels: &[T]) -> Result<Self> {
        let dtype = self.info.bands[0].dtype;
        if pixels.len() != shape.pixels() || dtype != T::DTYPE {
            return Err(Error::invalid(format!(
                "{} pixels of {} are not {} x {} pixels of {dtype}",
                pixels.len(),
                T::DTYPE,
                shape.rows,
                shape.cols
            )));
        }
        let mut buffer = PixelBuffer::new(dtype, shape)?;
        buffer
            .as_bytes_mut()
            .copy_from_slice(bytemuck::cast_slice(pixels));
        self.levels.push(buffer);
        self.info.levels.push(Level {
            shape,
            block_shape: shape,
            compression: "none",
            predictor: 1,
            resampling: None,
            has_mask: false,
        });
        Ok(self)
    }

    /// Takes away what the header says of where the raster is.
    #[must_use]
    pub fn without_georeference(mut self) -> Self {
        self.info.affine = None;
        self.info.crs = None;
        self
    }

    fn level(&self, level: usize) -> Result<&PixelBuffer> {
        self.info.level(level)?;
        Ok(&self.levels[level])
    }
}

#[async_trait]
impl RasterReader for MemoryRaster {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        let cost = self.project(level, band, window.clone())?;
        Ok(Blocks::new(
            level,
            Some(band),
            window,
            cost,
            0,
            Box::new(()),
        ))
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        if !blocks.window().contains(&window) {
            return Err(Error::invalid_for(
                &self.info.uri,
                format!(
                    "{window} is not within what was fetched, {}",
                    blocks.window()
                ),
            ));
        }
        let level = self.level(blocks.level())?;
        let size = level.dtype().size();
        out.reset(level.dtype(), window.shape())?;
        if window.is_empty() {
            return Ok(());
        }
        let rows = out
            .as_bytes_mut()
            .chunks_exact_mut(window.cols.len() * size);
        for (row, out) in window.rows.zip(rows) {
            let at = (row * level.shape().cols + window.cols.start) * size;
            out.copy_from_slice(&level.as_bytes()[at..at + out.len()]);
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

/// Rasters in memory, by the URI that they are put under.
///
/// ```
/// use datacube_load::{Loader, LoaderOptions, MemoryRasters};
/// let rasters = MemoryRasters::default();
/// let loader = Loader::with_opener(std::sync::Arc::new(rasters), LoaderOptions::default());
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryRasters {
    rasters: Arc<RwLock<HashMap<String, Arc<MemoryRaster>>>>,
}

impl MemoryRasters {
    /// Puts `raster` under `uri`, in place of what was there.
    pub fn put(&self, uri: &str, mut raster: MemoryRaster) {
        uri.clone_into(&mut raster.info.uri);
        self.rasters
            .write()
            .insert(uri.to_owned(), Arc::new(raster));
    }
}

#[async_trait]
impl RasterOpener for MemoryRasters {
    async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
        let raster = self.rasters.read().get(uri).cloned();
        raster
            .map(|raster| raster as Arc<dyn RasterReader>)
            .ok_or_else(|| Error::NotFound {
                uri: uri.to_owned(),
            })
    }
}
