//! Files that only GDAL reads, against what another GDAL says of them
//! (`fixtures/gdal/make.py`); and what is said of them without the feature `gdal`.
#![cfg_attr(
    not(feature = "gdal"),
    allow(
        dead_code,
        unused_imports,
        reason = "the tests that read need the feature"
    )
)]

#[path = "common/raster.rs"]
mod raster;

use std::path::{Path, PathBuf};

use datacube_geo::{Crs, PixelWindow};
use datacube_load::MaskKind;
use datacube_model::Number;
use raster::{digest, rasters, read, read_band};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gdal")
}

/// A name of `expected.json`, with the whole path.
fn absolute(name: &str) -> String {
    let folder = folder();
    let folder = folder.to_str().expect("test files have names in UTF-8");
    match name.strip_prefix("NETCDF:") {
        Some(rest) => format!("NETCDF:{folder}/{rest}"),
        None => match name.strip_prefix("HDF5:\"") {
            Some(rest) => format!("HDF5:\"{folder}/{rest}"),
            None => format!("{folder}/{name}"),
        },
    }
}

#[cfg(not(feature = "gdal"))]
#[tokio::test]
async fn without_the_feature_it_is_named() {
    for name in ["lossless.jp2", "one.nc", "NETCDF:several.nc:red"] {
        let error = rasters().open(&absolute(name)).await.unwrap_err();
        assert!(error.is_unsupported(), "{error}");
        let text = error.to_string();
        assert!(text.contains("built with the feature `gdal`"), "{text}");
    }
}

#[cfg(feature = "gdal")]
#[tokio::test]
async fn what_gdal_reads_is_read() {
    let text = std::fs::read_to_string(folder().join("expected.json")).expect("it is here");
    let expected: Value = serde_json::from_str(&text).expect("make.py writes JSON");
    for (name, gdal) in expected["files"].as_object().expect("by file") {
        let reader = rasters().open(&absolute(name)).await.expect(name);
        let info = reader.info();
        assert_eq!(info.driver, gdal["driver"], "{name}");
        let shape = [info.shape.rows, info.shape.cols].map(|side| side as u64);
        assert_eq!(
            shape.map(Value::from)[..],
            gdal["shape"].as_array().unwrap()[..]
        );
        assert_eq!(info.bands[0].dtype.name(), gdal["dtype"], "{name}");
        let nodata = info.bands[0].nodata.map(Number::as_f64);
        assert_eq!(nodata, gdal["nodata"].as_f64(), "{name}");
        let scaling = (info.bands[0].scale, info.bands[0].offset);
        let expected = (
            gdal["scale"].as_f64().unwrap(),
            gdal["offset"].as_f64().unwrap(),
        );
        assert_eq!(scaling, expected, "{name}");
        assert_eq!(info.mask, MaskKind::None, "{name}");
        match gdal["wkt"].as_str() {
            Some(wkt) => {
                assert_eq!(info.crs, Some(Crs::parse(wkt).unwrap()), "{name}");
                let own = info.affine.expect(name);
                let affine = [own.a, own.b, own.c, own.d, own.e, own.f].map(Value::from);
                assert_eq!(affine[..], gdal["affine"].as_array().unwrap()[..], "{name}");
            }
            None => assert!(info.geobox().is_err(), "{name}"),
        }
        for (at, hash) in gdal["bands"].as_array().unwrap().iter().enumerate() {
            let band = u32::try_from(at + 1).expect("few bands");
            let pixels = read_band(&*reader, 0, band).await.expect(name);
            assert_eq!(
                digest(&pixels),
                hash.as_str().unwrap(),
                "{name}, band {band}"
            );
        }
        let window = PixelWindow::new(20..51, 33..99);
        let part = read(&*reader, 0, 1, window).await.expect(name);
        assert_eq!(digest(&part), gdal["window"].as_str().unwrap(), "{name}");
    }
}

#[cfg(feature = "gdal")]
#[tokio::test]
async fn a_part_of_what_was_fetched_is_the_same_part_of_the_file() {
    let reader = rasters().open(&absolute("lossless.jp2")).await.unwrap();
    let fetched = PixelWindow::new(10..80, 5..120);
    let blocks = reader.fetch(0, 1, fetched).await.unwrap();
    let window = PixelWindow::new(20..51, 33..99);
    let mut part = datacube_load::PixelBuffer::empty(datacube_model::DType::UInt8);
    reader.decode(&blocks, window.clone(), &mut part).unwrap();
    let direct = read(&*reader, 0, 1, window).await.unwrap();
    assert_eq!(part.as_bytes(), direct.as_bytes());
    let outside = PixelWindow::new(0..20, 0..20);
    assert!(reader.decode(&blocks, outside, &mut part).is_err());
    // An overview, as JPEG 2000 has them without storing any.
    let shape = reader.info().levels[1].shape;
    assert_eq!((shape.rows, shape.cols), (45, 65));
    let half = read_band(&*reader, 1, 1).await.unwrap();
    assert_eq!(half.shape(), shape);
}

#[cfg(feature = "gdal")]
#[tokio::test]
async fn a_file_of_several_rasters_names_them() {
    let error = rasters().open(&absolute("several.nc")).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("2 rasters") && text.contains(":red") && text.contains(":nir"),
        "{text}"
    );
    let missing = rasters()
        .open(&absolute("NETCDF:several.nc:blue"))
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("blue"), "{missing}");
    // What is no raster at all is said by GDAL; a broken TIFF is not its business.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "not a raster").unwrap();
    let error = rasters().open(path.to_str().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("GDAL"), "{error}");
    std::fs::write(&path, b"II*\0\xff\xff\xff\xff").unwrap();
    let error = rasters().open(path.to_str().unwrap()).await.unwrap_err();
    assert!(!error.to_string().contains("GDAL"), "{error}");
}
