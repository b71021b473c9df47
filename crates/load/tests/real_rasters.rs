//! Chunks of real files of every kind of geometry are parts of the whole:
//! rotated and upside down, geostationary and sinusoidal, over the antimeridian
//! and the poles, with overviews and blocks of all shapes.

mod common;

#[path = "common/raster.rs"]
mod raster;

use std::path::{Path, PathBuf};

use common::{archive, block_on};
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{
    Archive, BandParams, Error, Loader, LoaderOptions, RasterSource, Resampling, Result,
};
use datacube_model::DType;

const KERNELS: [Resampling; 5] = [
    Resampling::Nearest,
    Resampling::Bilinear,
    Resampling::Cubic,
    Resampling::Average,
    Resampling::Mode,
];

/// A grid of `crs` over the middle of `src`, some 130 pixels a side that are
/// `coarser` times as large as those of the source.
fn grid_over(src: &GeoBox, crs: &Crs, coarser: f64) -> Option<GeoBox> {
    let shape = Shape2d {
        rows: 131,
        cols: 127,
    };
    let middle = src.crop(&PixelWindow::new(
        src.rows() / 2..src.rows() / 2 + 1,
        src.cols() / 2..src.cols() / 2 + 1,
    ));
    let there = middle.ok()?.extent().to_crs(crs, None).ok()?;
    let pixel = there.bounding_box().filter(|pixel| pixel.is_finite())?;
    let side = pixel.span_x().max(pixel.span_y()) * coarser;
    let affine = Affine::translation(pixel.center().x, pixel.center().y)
        * Affine::scale(side, -side)
        * Affine::translation(-63.0, -66.0);
    GeoBox::new(shape, affine, Some(crs.clone())).ok()
}

/// `window` of the only plane, as bytes.
fn load(loader: &Loader, archive: &Archive, window: PixelWindow) -> Result<Vec<u8>> {
    let size = archive.bands()[0].dtype.size();
    let mut out = vec![0u64; (window.pixels() * size).div_ceil(8)];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
    let bytes = &mut bytes[..window.pixels() * size];
    let task = archive.plan_chunk(0, 0, window)?;
    let fetched = block_on(loader.fetch(archive, &task))?;
    loader.decode(archive, &task, fetched, bytes)?;
    Ok(bytes.to_vec())
}

/// How many bytes of the whole are not those of the fill value.
fn whole_is_chunked(archive: &Archive, uri: &str) -> Result<usize> {
    let shape = archive.geobox().shape();
    let size = archive.bands()[0].dtype.size();
    let loader = Loader::new(LoaderOptions::default());
    let whole = load(&loader, archive, PixelWindow::full(shape))?;
    let loader = Loader::new(LoaderOptions::default());
    for top in (0..shape.rows).step_by(50) {
        for left in (0..shape.cols).step_by(37) {
            let rows = top..(top + 50).min(shape.rows);
            let cols = left..(left + 37).min(shape.cols);
            let chunk = load(
                &loader,
                archive,
                PixelWindow::new(rows.clone(), cols.clone()),
            )?;
            for (row, chunk) in rows.zip(chunk.chunks_exact(cols.len() * size)) {
                let whole = &whole[(row * shape.cols + cols.start) * size..][..chunk.len()];
                let params = &archive.bands()[0];
                assert!(
                    whole == chunk,
                    "{uri}: row {row}, columns {cols:?}, {params:?}"
                );
            }
        }
    }
    let mut empty = vec![0; size];
    datacube_load::fill_bytes(
        archive.bands()[0].dtype,
        &mut empty,
        archive.bands()[0].fill(),
    )?;
    Ok(whole
        .chunks_exact(size)
        .filter(|&pixel| pixel != empty)
        .count())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    files.sort();
    files
}

#[test]
fn chunks_of_real_rasters_are_parts_of_the_whole() {
    let Some(data) = raster::shared_data() else {
        return;
    };
    let targets = [
        "EPSG:4326",
        "EPSG:3857",
        "EPSG:3832",
        "EPSG:3413",
        "EPSG:6933",
    ];
    let opener = raster::rasters();
    let (mut loads, mut with_pixels, mut refused) = (0, 0, 0);
    let mut paths = files(&data.join("rasters/edge_geometry"));
    paths.extend(files(&data.join("rasters/landsat8_elkton")));
    for path in paths {
        let uri = path.to_str().expect("these have names in UTF-8").to_owned();
        let Ok(reader) = block_on(raster::open(&opener, &path)) else {
            refused += 1;
            continue;
        };
        let info = reader.info();
        let Some((affine, crs)) = info.affine.zip(info.crs.clone()) else {
            continue;
        };
        let src = GeoBox::new(info.shape, affine, Some(crs.clone())).expect("a sound grid");
        let dtype = match info.bands[0].dtype {
            dtype if dtype.is_complex() => continue,
            DType::Bool => DType::UInt8,
            dtype => dtype,
        };
        let crss = targets
            .iter()
            .map(|crs| Crs::parse(crs).expect("known"))
            .chain([crs]);
        for (crs, coarser) in crss.flat_map(|crs| [(crs.clone(), 0.7), (crs, 3.3)]) {
            let Some(dst) = grid_over(&src, &crs, coarser) else {
                continue;
            };
            for kernel in KERNELS {
                let params = BandParams::new("band", dtype)
                    .with_nodata(info.bands[0].nodata)
                    .with_resampling(kernel);
                let source = RasterSource::new(uri.clone());
                match whole_is_chunked(&archive(&dst, params, [source]), &uri) {
                    Ok(n_pixels) => {
                        loads += 1;
                        with_pixels += usize::from(n_pixels > 0);
                    }
                    // Codecs that are not built, and other planets.
                    Err(error) if error.is_unsupported() || is_geo(&error) => refused += 1,
                    Err(error) => panic!("{uri}, {crs}, {kernel}: {error}"),
                }
            }
        }
    }
    eprintln!("{loads} loads, {with_pixels} of them with pixels; {refused} refused");
    assert!(
        with_pixels > 500,
        "{with_pixels} of {loads} loads have pixels"
    );
}

fn is_geo(error: &Error) -> bool {
    match error {
        Error::Geo { .. } => true,
        Error::InSource { source, .. } => is_geo(source),
        _ => false,
    }
}
