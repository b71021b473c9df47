//! Scale and offset, applied on request: as a file states them or as given,
//! before resampling, with missing pixels told by what is stored.

#[path = "common/mod.rs"]
mod common;
#[path = "common/raster.rs"]
mod raster;

use common::{archive, block_on};
use datacube_geo::{GeoBox, PixelWindow};
use datacube_load::{
    Archive, BandParams, Loader, LoaderOptions, RasterSource, Resampling, Scaling,
};
use datacube_model::{DType, Number};
use raster::fixture;

/// The fixture's bands: scale 2.75e-05 with offset -0.2, and 0.5 without.
const SCALES: [(f64, f64); 2] = [(2.75e-05, -0.2), (0.5, 0.0)];

fn source(band: u32) -> RasterSource {
    let path = fixture("scale.tif");
    RasterSource::new(path.to_str().expect("UTF-8")).with_band(band)
}

/// The grid of the fixture and what a band of it stores.
fn stored(band: u32) -> (GeoBox, Vec<u16>) {
    block_on(async {
        let reader = raster::open(&raster::rasters(), &fixture("scale.tif")).await;
        let reader = reader.expect("it opens");
        let pixels = raster::read_band(&*reader, 0, band)
            .await
            .expect("it reads");
        let pixels = pixels.as_slice::<u16>().expect("of its type").to_vec();
        (reader.info().geobox().expect("a grid"), pixels)
    })
}

fn load(archive: &Archive) -> Vec<f32> {
    let loader = Loader::new(LoaderOptions::default());
    let whole = PixelWindow::full(archive.geobox().shape());
    let (pixels, _) = common::try_load(&loader, archive, 0, whole).expect("it loads");
    pixels
}

fn params(scaling: Scaling) -> BandParams {
    BandParams::new("red", DType::Float32).with_scaling(scaling)
}

#[allow(clippy::cast_possible_truncation, reason = "as the loader rounds")]
fn physical(value: u16, (scale, offset): (f64, f64)) -> f32 {
    (f64::from(value) * scale + offset) as f32
}

#[test]
fn bands_are_scaled_as_the_file_says() {
    for (band, scale) in (1..).zip(SCALES) {
        let (geobox, stored) = stored(band);
        let as_stored: Vec<f32> = stored.iter().map(|&value| f32::from(value)).collect();
        let scaled: Vec<f32> = stored.iter().map(|&value| physical(value, scale)).collect();
        assert_ne!(as_stored, scaled);
        let loaded = |scaling| load(&archive(&geobox, params(scaling), [source(band)]));
        assert_eq!(loaded(Scaling::Stored), as_stored);
        assert_eq!(loaded(Scaling::File), scaled);
        let given = Scaling::Given {
            scale: 2.0,
            offset: 7.0,
        };
        let given_values: Vec<f32> = as_stored.iter().map(|value| value * 2.0 + 7.0).collect();
        assert_eq!(loaded(given), given_values);
    }
}

/// What is missing is told before values change, and the output's nodata is
/// written where the scaled values have it, too, without taking it for missing.
#[test]
fn missing_is_what_is_stored_as_nodata() {
    let (geobox, stored) = stored(1);
    let hole = stored[9];
    let source = source(1).with_nodata(Number::Int(hole.into()));
    let loaded = load(&archive(&geobox, params(Scaling::File), [source.clone()]));
    for (&value, loaded) in stored.iter().zip(&loaded) {
        if value == hole {
            assert!(loaded.is_nan());
        } else {
            assert_eq!(*loaded, physical(value, SCALES[0]));
        }
    }
    let with_nodata = params(Scaling::File).with_nodata(Number::Int(-999));
    let loaded = load(&archive(&geobox, with_nodata, [source]));
    assert_eq!(loaded[9], -999.0);
    assert!(loaded.iter().all(|value| !value.is_nan()));
}

/// Means of scaled values, not of stored ones with holes in them.
#[test]
fn resampling_sees_scaled_values() {
    let (geobox, stored) = stored(1);
    let coarse = geobox.zoom_out(2.0).expect("a coarser grid");
    let average = params(Scaling::File).with_resampling(Resampling::Average);
    let loaded = load(&archive(&coarse, average, [source(1)]));
    let cols = geobox.shape().cols;
    let block = [0, 1, cols, cols + 1].map(|at| physical(stored[at], SCALES[0]));
    let mean = block.iter().sum::<f32>() / 4.0;
    assert!((loaded[0] - mean).abs() < 1e-5, "{} {mean}", loaded[0]);
}
