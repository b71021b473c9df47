//! The answer does not depend on the chunking: chunks put together are the
//! whole, bit for bit, for every kernel, across every seam.

mod common;

use std::fmt::Debug;

use common::try_load;
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d, Xy};
use datacube_load::{
    Archive, BandParams, MemoryRaster, MemoryRasters, Overviews, Pixel, RasterSource, Resampling,
    Scene, WarpScale, coverage_window,
};
use datacube_model::Number;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

/// A place on earth, and CRSs that show it. The last two have the antimeridian
/// or a pole in the picture.
const PLACES: [(f64, f64, &[&str]); 5] = [
    (
        147.2,
        -37.1,
        &[
            "EPSG:32755",
            "EPSG:32756",
            "EPSG:3577",
            "EPSG:4326",
            "EPSG:3857",
        ],
    ),
    (
        -105.0,
        39.8,
        &[
            "EPSG:32613",
            "EPSG:32614",
            "EPSG:5070",
            "EPSG:4326",
            "EPSG:6933",
        ],
    ),
    (10.0, 60.0, &["EPSG:32632", "EPSG:3035", "EPSG:4326"]),
    (
        179.98,
        -17.5,
        &["EPSG:32760", "EPSG:32701", "EPSG:3832", "EPSG:4326"],
    ),
    (30.0, 89.7, &["EPSG:3413", "EPSG:3995", "EPSG:4326"]),
];

#[derive(Clone, Debug)]
struct Grid {
    crs: usize,
    shape: (usize, usize),
    /// Metres, about.
    resolution: f64,
    /// Degrees.
    turn: f64,
    /// Pixels.
    offset: (f64, f64),
}

#[derive(Clone, Debug)]
struct Setup {
    place: usize,
    sources: Vec<(Grid, u64)>,
    dst: Grid,
    kernel: Resampling,
    scale: WarpScale,
    overviews: Overviews,
    chunk: (usize, usize),
    missing: u32,
    /// Pixels so many times larger: far enough for a row of positions not to be
    /// a straight line any more.
    zoom: f64,
}

fn grids(
    resolution: impl Strategy<Value = f64>,
    sides: std::ops::Range<usize>,
) -> impl Strategy<Value = Grid> {
    let turn = prop_oneof![3 => Just(0.0), 1 => -60.0..60.0];
    let offset = prop_oneof![
        Just((0.0, 0.0)),
        Just((0.5, 0.5)),
        (-25.0..25.0, -25.0..25.0),
    ];
    (0usize..5, (sides.clone(), sides), resolution, turn, offset).prop_map(
        |(crs, shape, resolution, turn, offset)| Grid {
            crs,
            shape,
            resolution,
            turn,
            offset,
        },
    )
}

fn setups() -> impl Strategy<Value = Setup> {
    let resolutions = prop_oneof![2 => Just(30.0), 1 => 9.0..140.0];
    (
        0..PLACES.len(),
        prop::collection::vec((grids(Just(30.0), 20..70), any::<u64>()), 1..4),
        grids(resolutions, 20..90),
        prop::sample::select(Resampling::ALL.to_vec()),
        prop_oneof![Just(WarpScale::Auto), Just(WarpScale::Unit)],
        prop::sample::select(&[Overviews::Auto, Overviews::NearestFiner, Overviews::Off][..]),
        (3usize..60, 3usize..60),
        prop_oneof![Just(0u32), Just(3), Just(40)],
        prop_oneof![3 => Just(1.0), 1 => Just(150.0)],
    )
        .prop_map(
            |(place, sources, dst, kernel, scale, overviews, chunk, missing, zoom)| Setup {
                place,
                sources,
                dst,
                kernel,
                scale,
                overviews,
                chunk,
                missing,
                zoom,
            },
        )
}

fn geobox(place: usize, grid: &Grid, zoom: f64) -> GeoBox {
    let (lon, lat, all) = PLACES[place];
    let crs = Crs::parse(all[grid.crs % all.len()]).expect("a known CRS");
    let transform = datacube_geo::CrsTransform::new(&Crs::wgs84(), &crs).expect("a known pair");
    let middle = transform
        .point(Xy::new(lon, lat))
        .expect("works")
        .expect("projects");
    let resolution = if crs.is_geographic() {
        zoom * grid.resolution / 111_000.0
    } else {
        zoom * grid.resolution
    };
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    let (rows, cols) = (grid.shape.0 as f64, grid.shape.1 as f64);
    let affine = Affine::translation(middle.x, middle.y)
        * Affine::rotation(grid.turn, Xy::new(0.0, 0.0))
        * Affine::scale(resolution, -resolution)
        * Affine::translation(grid.offset.0 - cols / 2.0, grid.offset.1 - rows / 2.0);
    let shape = Shape2d {
        rows: grid.shape.0,
        cols: grid.shape.1,
    };
    GeoBox::new(shape, affine, Some(crs)).expect("a sound grid")
}

/// A number for pixel `at` of source `seed`.
fn noise(seed: u64, at: usize) -> u64 {
    let mut x = seed ^ (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn build<T: Pixel>(
    setup: &Setup,
    value: impl Fn(u64) -> T,
    nodata: Number,
) -> (MemoryRasters, Archive) {
    let rasters = MemoryRasters::default();
    let dst = geobox(setup.place, &setup.dst, setup.zoom);
    let params = BandParams::new("band", T::DTYPE)
        .with_nodata(nodata)
        .with_resampling(setup.kernel)
        .with_warp_scale(setup.scale)
        .with_overviews(setup.overviews);
    let mut builder = Archive::builder(dst.clone());
    builder.band(params);
    let mut members = Vec::new();
    for (idx, (grid, seed)) in setup.sources.iter().enumerate() {
        let src = geobox(setup.place, grid, setup.zoom);
        let pixels = |n: usize, seed: u64| -> Vec<T> {
            let pixel = |at| {
                let noise = noise(seed, at);
                if noise % 100 < u64::from(setup.missing) {
                    T::from_number(nodata).expect("fits")
                } else {
                    // Neighbours are often alike, for mode.
                    value((noise >> 32) % 7 + (at as u64 / 3) % 50)
                }
            };
            (0..n).map(pixel).collect()
        };
        let shape = src.shape();
        let half = Shape2d {
            rows: shape.rows.div_ceil(2),
            cols: shape.cols.div_ceil(2),
        };
        let raster = MemoryRaster::new(&src, &pixels(shape.pixels(), *seed), Some(nodata))
            .and_then(|raster| raster.with_level(half, &pixels(half.pixels(), !seed)))
            .expect("a sound raster");
        let uri = format!("source {idx}");
        rasters.put(&uri, raster);
        let window = coverage_window(&src, &dst);
        members.push(builder.scene(Scene::new(window, vec![Some(RasterSource::new(uri))])));
    }
    builder.plane(members);
    (rasters, builder.build().expect("a sound archive"))
}

fn whole_is_chunked<T: Pixel + Debug>(
    setup: &Setup,
    rasters: &MemoryRasters,
    archive: &Archive,
) -> usize {
    let shape = archive.geobox().shape();
    let loader = common::loader(rasters);
    let (whole, _) =
        try_load::<T>(&loader, archive, 0, PixelWindow::full(shape)).expect("the whole loads");
    let mut chunked = whole.clone();
    chunked.fill(T::zeroed());
    // A loader of its own, so that nothing is left over from the whole.
    let loader = common::loader(rasters);
    for top in (0..shape.rows).step_by(setup.chunk.0) {
        for left in (0..shape.cols).step_by(setup.chunk.1) {
            let rows = top..(top + setup.chunk.0).min(shape.rows);
            let cols = left..(left + setup.chunk.1).min(shape.cols);
            let window = PixelWindow::new(rows.clone(), cols.clone());
            let (part, _) = try_load::<T>(&loader, archive, 0, window).expect("a chunk loads");
            for (row, part) in rows.zip(part.chunks_exact(cols.len())) {
                chunked[row * shape.cols..][cols.clone()].copy_from_slice(part);
            }
        }
    }
    let (a, b): (&[u8], &[u8]) = (bytemuck::cast_slice(&whole), bytemuck::cast_slice(&chunked));
    if let Some(at) = a.iter().zip(b).position(|(a, b)| a != b) {
        let at = at / size_of::<T>();
        let (row, col) = (at / shape.cols, at % shape.cols);
        panic!(
            "row {row}, column {col}: whole {:?}, chunked {:?}",
            whole[at], chunked[at]
        );
    }
    let fill = archive.bands()[0].fill();
    whole
        .iter()
        .filter(|&&pixel| T::from_number(fill) != Some(pixel))
        .count()
}

/// 160 cases, or as many as `PROPTEST_CASES` says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(160),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn bytes(setup in setups()) {
        let (rasters, archive) = build::<u8>(&setup, |n| u8::try_from(n % 250).expect("small"), Number::Int(255));
        whole_is_chunked::<u8>(&setup, &rasters, &archive);
    }

    #[test]
    fn signed_integers(setup in setups()) {
        let value = |n: u64| i16::try_from(n * 37).expect("small") - 900;
        let (rasters, archive) = build::<i16>(&setup, value, Number::Int(-999));
        whole_is_chunked::<i16>(&setup, &rasters, &archive);
    }

    #[test]
    fn floats(setup in setups()) {
        let value = |n: u64| f32::from(u16::try_from(n).expect("small")) / 7.0;
        let (rasters, archive) = build::<f32>(&setup, value, Number::Float(f64::NAN));
        whole_is_chunked::<f32>(&setup, &rasters, &archive);
    }
}

#[test]
fn the_setups_have_pixels() {
    // What the properties say is worth nothing about empty images.
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut with_pixels = 0;
    for _ in 0..60 {
        let setup = setups().new_tree(&mut runner).expect("a setup").current();
        let (rasters, archive) = build::<f32>(
            &setup,
            |n| f32::from(u16::try_from(n).expect("small")),
            Number::Float(f64::NAN),
        );
        with_pixels += usize::from(whole_is_chunked::<f32>(&setup, &rasters, &archive) > 200);
    }
    assert!(
        with_pixels > 40,
        "only {with_pixels} of 60 setups have pixels"
    );
}
