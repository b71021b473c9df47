//! A raster that is served by a store, and one chunk of it.

use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{
    Archive, BandParams, Loader, LoaderOptions, RasterSource, ReadStats, Result, Scene,
    StoreRegistry,
};
use datacube_model::DType;

/// Rows and columns of the raster.
pub(crate) const SIDE: usize = 320;
/// Rows and columns of its blocks.
pub(crate) const BLOCK: usize = 16;

pub(crate) fn grid() -> GeoBox {
    let affine = Affine {
        a: 30.0,
        b: 0.0,
        c: 600_000.0,
        d: 0.0,
        e: -30.0,
        f: 6_000_000.0,
    };
    let shape = Shape2d {
        rows: SIDE,
        cols: SIDE,
    };
    let crs = Crs::parse("EPSG:32755").expect("a known CRS");
    GeoBox::new(shape, affine, Some(crs)).expect("a sound grid")
}

/// A tiled TIFF of `u16`, 200 kB, its directory at the front.
pub(crate) fn raster() -> Vec<u8> {
    let across = SIDE / BLOCK;
    let n_blocks = u32::try_from(across * across).unwrap();
    let block_bytes = u32::try_from(BLOCK * BLOCK * 2).unwrap();
    let arrays_at = 8 + 2 + 10 * 12 + 4;
    let data_at = arrays_at + n_blocks * 8;
    let mut file = b"II\x2a\x00\x08\x00\x00\x00\x0a\x00".to_vec();
    let side = u32::try_from(SIDE).unwrap();
    let block = u32::try_from(BLOCK).unwrap();
    for (tag, kind, count, value) in [
        (256_u16, 4_u16, 1_u32, side),
        (257, 4, 1, side),
        (258, 3, 1, 16),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (277, 3, 1, 1),
        (322, 4, 1, block),
        (323, 4, 1, block),
        (324, 4, n_blocks, arrays_at),
        (325, 4, n_blocks, arrays_at + n_blocks * 4),
    ] {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for n in 0..n_blocks {
        file.extend((data_at + n * block_bytes).to_le_bytes());
    }
    for _ in 0..n_blocks {
        file.extend(block_bytes.to_le_bytes());
    }
    for n in 0..u16::try_from(n_blocks).unwrap() {
        for pixel in 0..u16::try_from(BLOCK * BLOCK).unwrap() {
            file.extend((n.wrapping_mul(257) ^ pixel).to_le_bytes());
        }
    }
    file
}

pub(crate) fn archive(uri: &str, signer: Option<&str>) -> Archive {
    let mut builder = Archive::builder(grid());
    builder.band(BandParams::new("red", DType::UInt16));
    builder.signer(signer.map(str::to_owned));
    let source = RasterSource::new(uri).with_geobox(Some(grid()));
    let whole = PixelWindow::full(grid().shape());
    let scene = builder.scene(Scene::new(whole, vec![Some(source)]));
    builder.plane([scene]);
    builder.build().expect("a sound archive")
}

/// One chunk, over the network.
pub(crate) fn load_with(
    stores: &StoreRegistry,
    uri: &str,
    signer: Option<&str>,
    window: PixelWindow,
) -> Result<(Vec<u16>, ReadStats, u64)> {
    let loader = Loader::new(LoaderOptions::default().stores(stores.clone()));
    let archive = archive(uri, signer);
    let mut out = vec![0_u16; window.pixels()];
    let task = archive.plan_chunk(0, 0, window)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let fetched = runtime.block_on(loader.fetch(&archive, &task))?;
    let requests = fetched.requests();
    let stats = loader.decode(&archive, &task, fetched, bytemuck::cast_slice_mut(&mut out))?;
    Ok((out, stats, requests))
}

pub(crate) fn load(stores: &StoreRegistry, uri: &str) -> Result<Vec<u16>> {
    load_with(stores, uri, None, PixelWindow::full(grid().shape())).map(|(pixels, ..)| pixels)
}

/// The pixels of the same file on this machine.
pub(crate) fn local() -> Vec<u16> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    std::fs::write(&path, raster()).unwrap();
    let pixels = load(&StoreRegistry::new(), path.to_str().unwrap()).expect("loads");
    assert!(pixels.iter().any(|pixel| *pixel > 1000));
    pixels
}
