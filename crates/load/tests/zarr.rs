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
    BandParams, Loader, LoaderOptions, PixelBuffer, RasterSource, Rasters, RastersOptions,
    S3Access, Scaling, StoreOptions, StoreRegistry,
};
use datacube_model::{DType, Number};
use datacube_testkit::StoreServer;
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
                // What was read before must not stand in.
                let rasters = Rasters::new(stores.clone(), &RastersOptions::default());
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

/// The files of a store on a server that counts its requests.
fn served(root: &str) -> (StoreServer, StoreRegistry) {
    let files = files(&folder().join(root)).into_iter().map(|file| {
        let relative = file.strip_prefix(folder()).expect("below");
        let path = format!("/b/{}", relative.to_str().expect("UTF-8"));
        // Paths of a server live as long as the program.
        let path: &'static str = Box::leak(path.into_boxed_str());
        (path, std::fs::read(&file).expect("it is here"))
    });
    let server = StoreServer::start(files, |_| None);
    let access = S3Access::unsigned().with_endpoint(server.url());
    let stores = StoreRegistry::with_options(StoreOptions::default().with_s3(access));
    (server, stores)
}

/// Windows of 3 x 3 pixels over bands of 9 x 11, which lie across chunks of 4 x 5.
fn small_windows() -> impl Iterator<Item = (u32, PixelWindow)> {
    (1..=3).flat_map(|band| {
        (0..9).step_by(3).flat_map(move |row| {
            (0..11).step_by(3).map(move |col: usize| {
                (band, PixelWindow::new(row..row + 3, col..(col + 3).min(11)))
            })
        })
    })
}

#[tokio::test]
async fn documents_and_chunks_are_read_once() {
    const URI: &str = "s3://b/v3.zarr/red";
    let (server, stores) = served("v3.zarr");
    let requests = || server.n_asked() as u64;
    let rasters = Rasters::new(stores.clone(), &RastersOptions::default());
    let opened = rasters.open(URI).await.expect("it opens");
    let documents = requests();
    assert_eq!(opened.take_open_cost().requests, documents);
    let local = open(&self::rasters(), &folder().join("v3.zarr/red")).await;
    let local = local.expect("it opens");
    let (mut n_requests, mut n_cached) = (0, 0);
    for (band, window) in small_windows() {
        let reader = rasters.open(URI).await.expect("it opens");
        assert_eq!(reader.take_open_cost().requests, 0, "documents are kept");
        let blocks = reader.fetch(0, band, window.clone()).await.expect("chunks");
        n_requests += blocks.cost().requests;
        n_cached += blocks.cost().cached_blocks;
        let mut out = PixelBuffer::empty(DType::UInt8);
        reader
            .decode(&blocks, window.clone(), &mut out)
            .expect("pixels");
        let expected = read(&*local, 0, band, window).await.expect("pixels");
        assert_eq!(out.as_bytes(), expected.as_bytes());
    }
    // Two chunks along time, three down, three across; each needed several times.
    assert_eq!((n_requests, requests() - documents), (18, 18));
    assert!(n_cached > 40, "{n_cached}");

    // At once, before anything is decoded; and without memory to keep anything.
    let options = RastersOptions::default().block_cache_bytes(0);
    let rasters = Rasters::new(stores.clone(), &options);
    let before = requests();
    let (a, b) = tokio::join!(rasters.open(URI), rasters.open(URI));
    let (a, b) = (a.expect("it opens"), b.expect("it opens"));
    assert_eq!(requests() - before, documents, "opened once");
    let (left, right) = (PixelWindow::new(0..4, 0..4), PixelWindow::new(1..4, 4..5));
    let (left, right) = tokio::join!(a.fetch(0, 1, left), b.fetch(0, 2, right));
    let (left, right) = (left.expect("chunks"), right.expect("chunks"));
    assert_eq!(requests() - before, documents + 1, "one chunk for both");
    assert_eq!(left.cost().requests + right.cost().requests, 1);
    for (reader, blocks) in [(&a, &left), (&b, &right)] {
        let mut out = PixelBuffer::empty(DType::UInt8);
        let window = blocks.window().clone();
        reader
            .decode(blocks, window.clone(), &mut out)
            .expect("pixels");
        let band = blocks.band().expect("a band");
        let expected = read(&*local, 0, band, window).await.expect("pixels");
        assert_eq!(out.as_bytes(), expected.as_bytes());
    }
}

#[tokio::test]
async fn a_store_of_this_machine_that_changes_is_noticed() {
    let copy = tempfile::tempdir().expect("a folder");
    for entry in files(&folder().join("v3.zarr")) {
        let to = copy
            .path()
            .join(entry.strip_prefix(folder()).expect("below"));
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        std::fs::copy(&entry, to).expect("copied");
    }
    let rasters = rasters();
    let uri = copy.path().join("v3.zarr/red");
    let pixels = async || {
        let reader = open(&rasters, &uri).await.expect("it opens");
        let window = PixelWindow::new(0..3, 0..3);
        let read = read(&*reader, 0, 1, window).await.expect("pixels");
        (reader, read.as_bytes().to_vec())
    };
    let (first, before) = pixels().await;
    let (second, again) = pixels().await;
    assert!(Arc::ptr_eq(&first, &second), "kept");
    assert_eq!(before, again);
    // A chunk alone, as when a region is written anew.
    let chunk = |name: &str| uri.join("c").join(name);
    std::fs::copy(chunk("0/1/1"), chunk("0/0/0")).expect("copied");
    let (third, other) = pixels().await;
    assert!(Arc::ptr_eq(&first, &third), "the documents are the same");
    assert_ne!(before, other);
    // The documents.
    let text = std::fs::read_to_string(uri.join("zarr.json")).expect("JSON");
    std::fs::write(uri.join("zarr.json"), format!("{text} ")).expect("written");
    let root = copy.path().join("v3.zarr/zarr.json");
    let text = std::fs::read_to_string(&root).expect("JSON");
    std::fs::write(&root, format!("{text} ")).expect("written");
    let (fourth, _) = pixels().await;
    assert!(!Arc::ptr_eq(&first, &fourth));
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
