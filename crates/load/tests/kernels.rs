//! What kernels promise beyond GDAL: the Gaussian, which its warper lacks, and
//! sums that are kept.

mod common;

use datacube_geo::{Affine, Crs, GeoBox, Shape2d};
use datacube_load::{BandParams, MemoryRaster, MemoryRasters, RasterSource, Resampling, WarpScale};
use datacube_model::DType;

const SHAPE: Shape2d = Shape2d { rows: 48, cols: 60 };
const LEFT: f64 = 500_000.0;
const TOP: f64 = 4_400_000.0;

fn grid(shape: Shape2d, resolution: f64, left: f64, top: f64, crs: &str) -> GeoBox {
    let affine = Affine {
        a: resolution,
        b: 0.0,
        c: left,
        d: 0.0,
        e: -resolution,
        f: top,
    };
    GeoBox::new(shape, affine, Some(Crs::parse(crs).expect("a known CRS"))).expect("a sound grid")
}

fn warp(pixels: &[f64], dst: &GeoBox, resampling: Resampling, scale: WarpScale) -> Vec<f64> {
    let src = grid(SHAPE, 30.0, LEFT, TOP, "EPSG:32613");
    let rasters = MemoryRasters::default();
    rasters.put(
        "a",
        MemoryRaster::new(&src, pixels, None).expect("a sound raster"),
    );
    let params = BandParams::new("band", DType::Float64)
        .with_resampling(resampling)
        .with_warp_scale(scale);
    let archive = common::archive(dst, params, [RasterSource::new("a")]);
    common::load(&common::loader(&rasters), &archive)
}

/// The Gaussian's value at distances `x` and `y`, in output pixels.
fn gauss(x: f64, y: f64) -> f64 {
    let one = |x: f64| {
        if x.abs() <= 2.0 {
            (-2.0 * x * x).exp()
        } else {
            0.0
        }
    };
    one(x) * one(y)
}

#[test]
fn a_gaussian_weighs_by_distance_in_output_pixels() {
    // 2.5 source pixels to an output pixel.
    let ratio = 2.5;
    let shape = Shape2d { rows: 19, cols: 24 };
    let dst = grid(shape, 30.0 * ratio, LEFT, TOP, "EPSG:32613");
    let (row, col) = (9, 11);
    let (y, x) = ((row as f64 + 0.5) * ratio, (col as f64 + 0.5) * ratio);
    let mut all = 0.0;
    let mut expected = 0.0;
    let pixels: Vec<f64> = (0..SHAPE.rows * SHAPE.cols)
        .map(|idx| {
            let (r, c) = ((idx / SHAPE.cols) as f64, (idx % SHAPE.cols) as f64);
            let value = ((idx * 7919) % 1009) as f64;
            let weight = gauss((c + 0.5 - x) / ratio, (r + 0.5 - y) / ratio);
            all += weight;
            expected += weight * value;
            value
        })
        .collect();
    let found = warp(&pixels, &dst, Resampling::Gauss, WarpScale::Auto)[row * shape.cols + col];
    assert!((found - expected / all).abs() < 1e-9 * expected / all);
    // Unit scale weighs by source pixels instead.
    let narrow = warp(&pixels, &dst, Resampling::Gauss, WarpScale::Unit)[row * shape.cols + col];
    assert!((found - narrow).abs() > 1.0);
}

#[test]
fn what_is_constant_stays_so_under_every_kernel_but_the_sum() {
    let pixels = vec![7.25; SHAPE.rows * SHAPE.cols];
    let shape = Shape2d { rows: 12, cols: 15 };
    for (resolution, crs) in [(13.0, "EPSG:32613"), (77.0, "EPSG:32613")] {
        let dst = grid(shape, resolution, LEFT + 211.0, TOP - 95.0, crs);
        for resampling in Resampling::ALL {
            if resampling == Resampling::Sum {
                continue;
            }
            for found in warp(&pixels, &dst, resampling, WarpScale::Auto) {
                assert!((found - 7.25).abs() < 1e-12, "{resampling}: {found}");
            }
        }
    }
}

#[test]
fn a_sum_is_kept_from_one_coordinate_system_to_another() {
    let pixels: Vec<f64> = (0..SHAPE.rows * SHAPE.cols)
        .map(|idx| ((idx * 31) % 17) as f64)
        .collect();
    let expected: f64 = pixels.iter().sum();
    // Each of the grids holds the whole image.
    for (resolution, left, top, crs) in [
        (30.0, LEFT - 615.0, TOP + 617.0, "EPSG:32613"),
        (100.0, LEFT - 600.0, TOP + 600.0, "EPSG:32613"),
        (41.0, -765_500.0, 1_897_500.0, "EPSG:5070"),
    ] {
        let shape = Shape2d {
            rows: 140,
            cols: 140,
        };
        let dst = grid(shape, resolution, left, top, crs);
        let found = warp(&pixels, &dst, Resampling::Sum, WarpScale::Auto);
        let total: f64 = found.iter().filter(|value| !value.is_nan()).sum();
        assert!(
            (total - expected).abs() < 1e-5 * expected,
            "{crs} at {resolution}: {total}, not {expected}"
        );
    }
}
