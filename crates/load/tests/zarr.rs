//! Zarr stores as xarray and zarr-python write them (`fixtures/zarr/make.py`),
//! against what they read back: pixels, grid, missing value, scale and offset.

mod common;
#[path = "common/raster.rs"]
mod raster;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::archive;
use datacube_geo::PixelWindow;
use datacube_load::{
    BandParams, Loader, LoaderOptions, RasterSource, Rasters, RastersOptions, Scaling,
    StoreRegistry,
};
use datacube_model::{DType, Number};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use raster::{digest_of, open, rasters, read, read_band};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zarr")
}

fn expected() -> Value {
    let text = std::fs::read_to_string(folder().join("expected.json")).expect("it is here");
    serde_json::from_str(&text).expect("make.py writes JSON")
}

#[tokio::test]
async fn arrays_are_read_as_zarr_python_reads_them() {
    let expected = expected();
    let arrays = expected["arrays"].as_object().expect("by name");
    assert_eq!(arrays.len(), 9);
    for (name, array) in arrays {
        let reader = open(&rasters(), &folder().join(name)).await.expect(name);
        let info = reader.info();
        assert_eq!(
            [info.shape.rows as u64, info.shape.cols as u64].map(Some),
            [array["shape"][0].as_u64(), array["shape"][1].as_u64()],
            "{name}"
        );
        let bands = array["bands"].as_array().expect("a list");
        assert_eq!(info.bands.len(), bands.len(), "{name}");
        for (at, hash) in bands.iter().enumerate() {
            let band = u32::try_from(at + 1).expect("few bands");
            let pixels = read_band(&*reader, 0, band).await.expect(name);
            let found = digest_of(pixels.as_bytes());
            assert_eq!(found, hash.as_str().unwrap(), "{name}, band {band}");
        }
        let band = &info.bands[0];
        assert_eq!(band.dtype.name(), array["dtype"], "{name}");
        assert_eq!(Some(band.scale), array["scale"].as_f64(), "{name}");
        assert_eq!(Some(band.offset), array["offset"].as_f64(), "{name}");
        let nodata = array["nodata"].as_str();
        let nodata = nodata.map(|text| Number::Float(text.parse().unwrap()));
        assert_eq!(band.nodata, nodata, "{name}");
        let epsg = info.crs.as_ref().and_then(|crs| crs.epsg());
        assert_eq!(epsg.map(u64::from), array["epsg"].as_u64(), "{name}");
        let Some(transform) = array["transform"].as_array() else {
            assert!(info.affine.is_none(), "{name}");
            assert!(info.georeference_problem.is_some(), "{name}");
            continue;
        };
        let affine = info.affine.unwrap_or_else(|| panic!("{name}: {info:?}"));
        let found = [affine.a, affine.b, affine.c, affine.d, affine.e, affine.f];
        for (found, expected) in found.into_iter().zip(transform) {
            let expected = expected.as_f64().expect("a number");
            assert!(
                (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                "{name}: {affine:?}"
            );
        }
    }
}

#[tokio::test]
async fn windows_are_cuts_of_the_whole() {
    for name in [
        "v3.zarr/red",
        "v2.zarr/red",
        "plain.zarr/deep/elevation",
        "bare.zarr/dem",
    ] {
        let reader = open(&rasters(), &folder().join(name)).await.expect(name);
        let band = u32::try_from(reader.info().bands.len()).expect("few");
        let whole = read_band(&*reader, 0, band).await.expect(name);
        let size = whole.dtype().size();
        for (rows, cols) in [(0..9, 0..11), (3..5, 4..6), (8..9, 0..1), (0..1, 10..11)] {
            let window = PixelWindow::new(rows.clone(), cols.clone());
            let part = read(&*reader, 0, band, window).await.expect(name);
            let cut: Vec<u8> = rows
                .clone()
                .flat_map(|row| {
                    &whole.as_bytes()[(row * 11 + cols.start) * size..][..cols.len() * size]
                })
                .copied()
                .collect();
            assert_eq!(part.as_bytes(), cut, "{name} {rows:?} {cols:?}");
        }
    }
}

/// The same loader that reads GeoTIFFs.
#[test]
fn a_load_masks_and_scales() {
    let path = folder().join("v2.zarr/temperature");
    let source = RasterSource::new(path.to_str().expect("UTF-8"));
    let geobox = common::block_on(async {
        let reader = open(&rasters(), &path).await.expect("it opens");
        reader.info().geobox().expect("a grid")
    });
    let params = BandParams::new("temperature", DType::Float64).with_scaling(Scaling::File);
    let archive = archive(&geobox, params, [source]);
    let loader = Loader::new(LoaderOptions::default());
    let whole = PixelWindow::full(geobox.shape());
    let (pixels, _) = common::try_load::<f64>(&loader, &archive, 0, whole).expect("it loads");
    let ramp = (0..99).map(|at| f64::from(at * 37 % 1009) * 0.25 - 20.0);
    assert_eq!(pixels, ramp.collect::<Vec<f64>>());
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let rasters = rasters();
    let fails = async |name: &str| {
        let error = open(&rasters, &folder().join(name)).await.expect_err(name);
        error.to_string()
    };
    let error = fails("v3.zarr").await;
    assert!(error.contains("flags, ndvi, red"), "{error}");
    let error = fails("v3.zarr/blue").await;
    assert!(
        error.contains("no array `blue`; it has flags, ndvi, red"),
        "{error}"
    );
    let error = fails("nothing.zarr/red").await;
    assert!(
        error.contains("nothing.zarr/zarr.json: no such file"),
        "{error}"
    );
    let error = fails("v3.zarr/x").await;
    assert!(error.contains("less than two dimensions"), "{error}");
    let reader = open(&rasters, &folder().join("proj.zarr/crooked"))
        .await
        .expect("it opens");
    let problem = reader.info().geobox().unwrap_err().to_string();
    assert!(problem.contains("has no coordinate"), "{problem}");
}

/// Documents and chunks that are cut, or have a bit turned, are errors or pixels
/// and nothing worse.
#[tokio::test]
async fn damage_is_no_panic() {
    let store = Arc::new(InMemory::new());
    let mut keys = Vec::new();
    for root in ["v3.zarr", "v2.zarr"] {
        for entry in files(&folder().join(root)) {
            let relative = entry.strip_prefix(folder()).expect("below");
            let key = relative.to_str().expect("UTF-8").to_owned();
            let bytes = std::fs::read(&entry).expect("it is here");
            store
                .put(&key.as_str().into(), bytes.clone().into())
                .await
                .expect("memory");
            keys.push((key, bytes));
        }
    }
    let stores = StoreRegistry::new();
    stores
        .register("memory://zarr", Arc::clone(&store) as Arc<dyn ObjectStore>)
        .expect("free");
    let rasters = Rasters::new(stores, &RastersOptions::default());
    let (mut n_read, mut n_errors) = (0, 0);
    for (key, bytes) in &keys {
        for round in 0..24 {
            let mut damaged = bytes.clone();
            let at = (round * 7919 + 13) % damaged.len().max(1);
            if round % 4 == 0 {
                damaged.truncate(at);
            } else {
                damaged[at] ^= 1 << (round % 8);
            }
            store
                .put(&key.as_str().into(), damaged.into())
                .await
                .expect("memory");
            for name in ["v3.zarr/red", "v2.zarr/red"] {
                match read_once(&rasters, &format!("memory://zarr/{name}")).await {
                    Ok(()) => n_read += 1,
                    Err(_) => n_errors += 1,
                }
            }
        }
        store
            .put(&key.as_str().into(), bytes.clone().into())
            .await
            .expect("memory");
    }
    assert!(
        n_read > 100 && n_errors > 100,
        "{n_read} read, {n_errors} errors"
    );
}

async fn read_once(rasters: &Rasters, uri: &str) -> datacube_load::Result<()> {
    let reader = rasters.open(uri).await?;
    let shape = reader.info().shape;
    let window = PixelWindow::new(0..shape.rows.min(64), 0..shape.cols.min(64));
    read(&*reader, 0, 1, window).await.map(|_| ())
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
