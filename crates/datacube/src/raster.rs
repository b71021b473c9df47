//! What a raster file holds, without any index: [`RasterFiles`].
//!
//! For people who wonder what a file is, and whether two of them are the same:
//! the header as the loader understands it, and a hash of decoded pixels, which
//! does not change when a file is compressed or tiled in another way.

use std::sync::Arc;

use datacube_geo::PixelWindow;
use datacube_load::{PixelBuffer, RasterInfo, RasterReader, Rasters, RastersOptions, is_gdal_name};
use datacube_model::DType;
use sha2::{Digest, Sha256};

use crate::runtime::block_on;
use crate::stores::stores;
use crate::{Error, Result};

/// Decoded pixels that are held at a time while they are hashed.
const STEP_BYTES: usize = 32 << 20;

/// Opens raster files one by one.
///
/// ```no_run
/// # fn main() -> datacube::Result<()> {
/// let file = datacube::RasterFiles::new().open("scene/red.tif")?;
/// println!("{:?}, {}", file.info().shape, file.checksum(1)?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RasterFiles {
    rasters: Rasters,
}

impl Default for RasterFiles {
    fn default() -> Self {
        RasterFiles::new()
    }
}

impl RasterFiles {
    /// Over the stores of the process, see [`crate::stores`].
    pub fn new() -> Self {
        RasterFiles {
            rasters: Rasters::new(stores().clone(), &RastersOptions::default()),
        }
    }

    /// Reads the header of the file at `address`: a path, also a relative one,
    /// or a URL.
    ///
    /// # Errors
    /// [`Error::Load`] where it is not there, no raster, or broken;
    /// [`Error::File`] for a path that is no text.
    pub fn open(&self, address: &str) -> Result<RasterFile> {
        let uri = absolute(address)?;
        let rasters = self.rasters.clone();
        let reader = block_on(async move { Ok(rasters.open(&uri).await?) })?;
        Ok(RasterFile { reader })
    }
}

/// A URL as it is; a path from the current folder on.
fn absolute(address: &str) -> Result<String> {
    if address.contains("://") || address.starts_with("/vsi") || is_gdal_name(address) {
        return Ok(address.to_owned());
    }
    let file = |problem: String| Error::File {
        path: address.to_owned(),
        problem,
    };
    let path = std::path::absolute(address).map_err(|error| file(error.to_string()))?;
    path.into_os_string()
        .into_string()
        .map_err(|path| file(format!("{} is not UTF-8", path.display())))
}

/// One open raster file.
#[derive(Clone, Debug)]
pub struct RasterFile {
    reader: Arc<dyn RasterReader>,
}

impl RasterFile {
    /// What the file says of itself.
    pub fn info(&self) -> &RasterInfo {
        self.reader.info()
    }

    /// The sha256, in hexadecimal, of the pixels of `band` (1-based) at full
    /// resolution: row by row, little-endian, in the type that
    /// [`datacube_load::BandInfo::dtype`] states; no scale, no nodata replaced.
    ///
    /// # Errors
    /// [`Error::Load`] for a band that is not there or cannot be decoded.
    pub fn checksum(&self, band: u32) -> Result<String> {
        let info = self.reader.info();
        let size = info.band(band)?.dtype.size();
        let level = info.level(0)?;
        let mut hash = Sha256::new();
        let mut pixels = PixelBuffer::empty(DType::UInt8);
        let mut first = 0;
        while first < level.shape.rows {
            let n_rows = rows_in_a_step(level.block_shape.rows, level.shape.cols * size);
            let rows = first..(first + n_rows).min(level.shape.rows);
            first = rows.end;
            let window = PixelWindow::new(rows, 0..level.shape.cols);
            let reader = Arc::clone(&self.reader);
            let wanted = window.clone();
            let blocks = block_on(async move { Ok(reader.fetch(0, band, wanted).await?) })?;
            self.reader.decode(&blocks, window, &mut pixels)?;
            update(&mut hash, pixels.as_bytes_mut(), size);
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// Whole rows of blocks where they are not too large, else as many rows as are
/// not.
fn rows_in_a_step(block_rows: usize, row_bytes: usize) -> usize {
    let rows = (STEP_BYTES / row_bytes.max(1)).max(1);
    match rows / block_rows {
        0 => rows,
        n_blocks => n_blocks * block_rows,
    }
}

fn update(hash: &mut Sha256, pixels: &mut [u8], size: usize) {
    if cfg!(target_endian = "big") {
        pixels.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
    hash.update(pixels);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_blocks_where_they_fit() {
        assert_eq!(rows_in_a_step(512, 1 << 13), 4096);
        assert_eq!(rows_in_a_step(500, 1 << 13), 4000);
        // One strip of the whole image.
        assert_eq!(rows_in_a_step(100_000, 1 << 20), 32);
        assert_eq!(rows_in_a_step(1, usize::MAX), 1);
    }

    #[test]
    fn addresses_become_absolute() {
        let here = std::env::current_dir().unwrap();
        let path = here.join("a.tif").to_str().unwrap().to_owned();
        assert_eq!(absolute("a.tif").unwrap(), path);
        for url in ["s3://bucket/a.tif", "/vsicurl/https://x/a.tif"] {
            assert_eq!(absolute(url).unwrap(), url);
        }
    }
}
