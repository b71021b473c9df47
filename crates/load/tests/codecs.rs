//! Codecs that lose something, and rare ones, against what GDAL reads of the
//! files that it wrote with them (`fixtures/codecs/make.py`): every band, every
//! overview, every mask, to the bit.

#[path = "common/raster.rs"]
mod raster;

use std::path::{Path, PathBuf};

use datacube_geo::PixelWindow;
use datacube_load::{PixelBuffer, RasterReader};
use datacube_model::DType;
use raster::{digest_of, open, rasters, read_band};
use serde_json::Value;

/// What is refused, and with which words.
const REFUSED: &[(&str, &str)] = &[
    ("fax_rle.tif", "CCITT RLE compression"),
    ("jpeg_cmyk.tif", "converting CMYK colours"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codecs")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

async fn mask_of(reader: &dyn RasterReader, level: usize) -> Option<PixelBuffer> {
    let window = PixelWindow::full(reader.info().levels[level].shape);
    let blocks = reader.fetch_mask(level, 1, window.clone()).await.unwrap()?;
    let mut out = PixelBuffer::empty(DType::UInt8);
    reader.decode(&blocks, window, &mut out).unwrap();
    Some(out)
}

/// Compares a level with what GDAL read of it; gives what differs.
async fn compare(name: &str, reader: &dyn RasterReader, level: usize, gdal: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, hash) in list(&gdal["bands"]).iter().enumerate() {
        let band = u32::try_from(at + 1).expect("few bands");
        match read_band(reader, level, band).await {
            Ok(pixels) if digest_of(pixels.as_bytes()) == hash.as_str().unwrap() => {}
            Ok(_) => problems.push(format!("{name}: band {band} of level {level} differs")),
            Err(error) => problems.push(error.to_string()),
        }
    }
    let mask = mask_of(reader, level).await;
    let found = mask.map(|mask| digest_of(mask.as_bytes()));
    if found.as_deref() != gdal["mask"].as_str() {
        problems.push(format!("{name}: the mask of level {level} differs"));
    }
    problems
}

#[tokio::test]
async fn pixels_are_gdals_to_the_bit() {
    let text = std::fs::read_to_string(folder().join("expected.json")).expect("it is here");
    let expected: Value = serde_json::from_str(&text).expect("make.py writes JSON");
    let rasters = rasters();
    let mut problems = Vec::new();
    let mut n_levels = 0;
    for (name, gdal) in expected["files"].as_object().expect("by file") {
        let reader = open(&rasters, &folder().join(name)).await.expect(name);
        if let Some((_, what)) = REFUSED.iter().find(|(file, _)| file == name) {
            let error = read_band(&*reader, 0, 1).await.unwrap_err();
            assert!(error.is_unsupported(), "{error}");
            assert!(error.to_string().contains(what), "{error}");
            continue;
        }
        assert_eq!(reader.info().bands[0].dtype.name(), gdal["dtype"], "{name}");
        assert_eq!(
            reader.info().levels.len() - 1,
            list(&gdal["overviews"]).len()
        );
        let overviews = list(&gdal["overviews"]).iter();
        for (level, gdal) in std::iter::once(gdal).chain(overviews).enumerate() {
            problems.extend(compare(name, &*reader, level, gdal).await);
            n_levels += 1;
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    assert!(n_levels >= 54, "{n_levels} images were compared");
}

/// A window reads as the same part of the whole does.
#[tokio::test]
async fn windows_are_parts_of_the_whole() {
    let rasters = rasters();
    for name in [
        "jpeg_ycbcr_strips.tif",
        "lerc_nan_3bands.tif",
        "webp_alpha.tif",
        "lzma_p2.tif",
        "fax_g4.tif",
    ] {
        let reader = open(&rasters, &folder().join(name)).await.expect(name);
        let band = u32::try_from(reader.info().bands.len()).unwrap();
        let whole = read_band(&*reader, 0, band).await.expect(name);
        let window = PixelWindow::new(13..37, 29..61);
        let part = raster::read(&*reader, 0, band, window.clone())
            .await
            .expect(name);
        let size = whole.dtype().size();
        let (cols, n_cols) = (whole.shape().cols, window.cols.len());
        for (at, row) in window.rows.clone().enumerate() {
            let start = (row * cols + window.cols.start) * size;
            assert_eq!(
                part.as_bytes()[at * n_cols * size..][..n_cols * size],
                whole.as_bytes()[start..][..n_cols * size],
                "{name}, row {row}"
            );
        }
    }
}
