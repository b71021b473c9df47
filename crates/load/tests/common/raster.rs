//! What the tests of the readers share: opening, reading whole bands, hashes.

#![allow(dead_code, reason = "each test uses a part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_geo::PixelWindow;
use datacube_load::{PixelBuffer, RasterReader, Rasters, RastersOptions, Result, StoreRegistry};
use datacube_model::DType;
use sha2::{Digest, Sha256};

/// Rasters of this machine, with caches of the default size.
pub(crate) fn rasters() -> Rasters {
    Rasters::new(StoreRegistry::new(), &RastersOptions::default())
}

/// The folder of real test material, if it is there; says that the test is
/// skipped where it is not.
pub(crate) fn shared_data() -> Option<PathBuf> {
    datacube_testkit::shared("")
}

/// A file of `fixtures/tiff`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tiff")
        .join(name)
}

pub(crate) async fn open(rasters: &Rasters, path: &Path) -> Result<Arc<dyn RasterReader>> {
    rasters
        .open(path.to_str().expect("test files have names in UTF-8"))
        .await
}

/// Fetches and decodes a window.
pub(crate) async fn read(
    reader: &dyn RasterReader,
    level: usize,
    band: u32,
    window: PixelWindow,
) -> Result<PixelBuffer> {
    let blocks = reader.fetch(level, band, window.clone()).await?;
    let mut out = PixelBuffer::empty(DType::UInt8);
    reader.decode(&blocks, window, &mut out)?;
    Ok(out)
}

/// All of a band of a level.
pub(crate) async fn read_band(
    reader: &dyn RasterReader,
    level: usize,
    band: u32,
) -> Result<PixelBuffer> {
    let shape = reader.info().level(level)?.shape;
    read(reader, level, band, PixelWindow::full(shape)).await
}

/// The mask of the full resolution, if there is one.
pub(crate) async fn read_mask(reader: &dyn RasterReader) -> Result<Option<PixelBuffer>> {
    let window = PixelWindow::full(reader.info().shape);
    let Some(blocks) = reader.fetch_mask(0, 1, window.clone()).await? else {
        return Ok(None);
    };
    let mut out = PixelBuffer::empty(DType::UInt8);
    reader.decode(&blocks, window, &mut out)?;
    Ok(Some(out))
}

/// sha256 of the pixels, row by row, little-endian; half floats as GDAL has
/// them, widened.
pub(crate) fn digest(pixels: &PixelBuffer) -> String {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "the oracles are hashes of little-endian pixels"
        );
    }
    if let Some(halves) = pixels.as_slice::<half::f16>() {
        let wide: Vec<f32> = halves.iter().map(|half| half.to_f32()).collect();
        return digest_of(bytemuck::cast_slice(&wide));
    }
    digest_of(pixels.as_bytes())
}

pub(crate) fn digest_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
