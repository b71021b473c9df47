//! Sources to chunks: what wins, what is missing, what is skipped, and what
//! errors say.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::{archive, block_on, load, loader, try_load};
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{
    Archive, BandInfo, BandParams, Blocks, Error, Level, Loader, LoaderOptions, MaskKind,
    MemoryRaster, MemoryRasters, Overviews, PixelBuffer, RasterInfo, RasterOpener, RasterReader,
    RasterSource, ReadCost, Resampling, Result, Scene, SourcePlan,
};
use datacube_model::{DType, Number};

fn grid(rows: usize, cols: usize, resolution: f64, left: f64, top: f64) -> GeoBox {
    let affine = Affine {
        a: resolution,
        b: 0.0,
        c: left,
        d: 0.0,
        e: -resolution,
        f: top,
    };
    let crs = Crs::parse("EPSG:32755").expect("a known CRS");
    GeoBox::new(Shape2d { rows, cols }, affine, Some(crs)).expect("a sound grid")
}

/// Two rows of three pixels.
fn small() -> GeoBox {
    grid(2, 3, 30.0, 600_000.0, 6_000_000.0)
}

fn nearest(dtype: DType, nodata: Option<Number>) -> BandParams {
    BandParams::new("red", dtype).with_nodata(nodata)
}

#[test]
fn the_first_valid_member_wins_and_the_rest_is_not_read() {
    let rasters = MemoryRasters::default();
    let nodata = Some(Number::Int(0));
    for (uri, pixels) in [
        ("a", [1u16, 0, 1, 0, 0, 1]),
        ("b", [2, 2, 0, 2, 2, 2]),
        ("c", [3; 6]),
        ("d", [4; 6]),
    ] {
        rasters.put(
            uri,
            MemoryRaster::new(&small(), &pixels, nodata).expect("sound"),
        );
    }
    let sources = ["a", "b", "c", "d"].map(RasterSource::new);
    let archive = archive(&small(), nearest(DType::UInt16, nodata), sources);
    let whole = PixelWindow::full(small().shape());
    let (pixels, stats) = try_load::<u16>(&loader(&rasters), &archive, 0, whole).expect("loads");
    // After b everything is there.
    assert_eq!(pixels, [1, 2, 1, 2, 2, 1]);
    assert_eq!((stats.pasted, stats.warped, stats.unread), (2, 0, 2));
    assert_eq!((stats.requests, stats.bytes), (4, 48));
    // The other way round one member is enough.
    let first = archive.select_planes(&[0]).expect("there is one");
    assert_eq!(first, archive);
}

#[test]
fn nodata_is_the_files_and_becomes_the_measurements() {
    let check =
        |file: Option<i64>, document: Option<i64>, band: Option<i64>, expected: [i16; 6]| {
            let number = |n: Option<i64>| n.map(Number::from);
            let rasters = MemoryRasters::default();
            let pixels: [i16; 6] = [-999, 0, 5, 7, -1, 5];
            rasters.put(
                "a",
                MemoryRaster::new(&small(), &pixels, number(file)).expect("sound"),
            );
            let source = RasterSource::new("a").with_nodata(number(document));
            // Pasted, and warped: half a pixel off, and twice as fine.
            let params = nearest(DType::Int16, number(band));
            let archive = archive(&small(), params.clone(), [source.clone()]);
            assert_eq!(load::<i16>(&loader(&rasters), &archive), expected);
            let fine = common::archive(&grid(4, 6, 15.0, 600_000.0, 6_000_000.0), params, [source]);
            let fine: Vec<i16> = load(&loader(&rasters), &fine);
            let every_other: Vec<i16> = fine
                .chunks_exact(12)
                .flat_map(|rows| rows[..6].iter().step_by(2))
                .copied()
                .collect();
            assert_eq!(every_other, expected);
        };
    // The file's own.
    check(Some(-999), None, Some(-999), [-999, 0, 5, 7, -1, 5]);
    // The file's wins over the document's, and becomes the measurement's.
    check(Some(5), Some(7), Some(-1), [-999, 0, -1, 7, -1, -1]);
    // The document's, where the file has none.
    check(None, Some(7), Some(-999), [-999, 0, 5, -999, -1, 5]);
    // None anywhere: all is valid, 0 too.
    check(None, None, None, [-999, 0, 5, 7, -1, 5]);
    // Of the file alone: missing pixels are filled with 0.
    check(Some(5), None, None, [-999, 0, 0, 7, -1, 0]);
}

#[test]
fn nan_is_missing_whatever_the_nodata() {
    let rasters = MemoryRasters::default();
    let pixels = [1.5f32, f32::NAN, -9999.0, 2.5, f32::INFINITY, 0.0];
    rasters.put(
        "a",
        MemoryRaster::new(&small(), &pixels, Some(Number::Int(-9999))).expect("sound"),
    );
    rasters.put(
        "b",
        MemoryRaster::new(&small(), &[7f32; 6], None).expect("sound"),
    );
    let sources = ["a", "b"].map(RasterSource::new);
    let both = archive(&small(), nearest(DType::Float32, None), sources.clone());
    assert_eq!(
        load::<f32>(&loader(&rasters), &both),
        [1.5, 7.0, 7.0, 2.5, f32::INFINITY, 0.0]
    );
    // Alone, missing pixels are the fill value: NaN without a nodata.
    let [a, _] = sources;
    let alone = archive(&small(), nearest(DType::Float32, None), [a.clone()]);
    let pixels: Vec<f32> = load(&loader(&rasters), &alone);
    assert!(pixels[1].is_nan() && pixels[2].is_nan() && pixels[0] == 1.5);
    let marked = archive(
        &small(),
        nearest(DType::Float32, Some(Number::Int(-1))),
        [a],
    );
    assert_eq!(load::<f32>(&loader(&rasters), &marked)[1..3], [-1.0, -1.0]);
}

#[test]
fn types_are_converted_as_late_as_it_takes() {
    let fine = grid(4, 6, 15.0, 600_000.0, 6_000_000.0);
    let rasters = MemoryRasters::default();
    rasters.put(
        "a",
        MemoryRaster::new(&small(), &[0u8, 1, 0, 1, 0, 255], None).expect("sound"),
    );
    rasters.put(
        "f",
        MemoryRaster::new(&small(), &[0.4f32, 300.0, -7.0, 0.5, f32::NAN, 2.5], None)
            .expect("sound"),
    );
    let from = |uri: &str, geobox: &GeoBox, params: BandParams| {
        archive(geobox, params, [RasterSource::new(uri)])
    };
    // Between 0 and 1 there are halves for a float.
    let params = BandParams::new("x", DType::Float32).with_resampling(Resampling::Bilinear);
    let pixels: Vec<f32> = load(&loader(&rasters), &from("a", &fine, params));
    assert_eq!(pixels[..4], [0.0, 0.25, 0.75, 0.75]);
    // Floats are rounded half up and clamped.
    let params = BandParams::new("x", DType::UInt8).with_nodata(Number::Int(9));
    let pixels: Vec<u8> = load(&loader(&rasters), &from("f", &small(), params));
    assert_eq!(pixels, [0, 255, 0, 1, 9, 3]);
    // To bool everything that is not zero is one.
    let pixels: Vec<u8> = load(
        &loader(&rasters),
        &from("a", &small(), BandParams::new("x", DType::Bool)),
    );
    assert_eq!(pixels, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn computed_values_never_look_like_nodata() {
    // The mean of 6 and 8 is the nodata 7; of bytes it becomes 6.
    let coarse = grid(1, 1, 60.0, 600_000.0, 6_000_000.0);
    let rasters = MemoryRasters::default();
    let pixels = [6u8, 8, 6, 8];
    let raster = MemoryRaster::new(&grid(2, 2, 30.0, 600_000.0, 6_000_000.0), &pixels, None);
    rasters.put("a", raster.expect("sound"));
    let load = |nodata: Option<Number>, resampling: Resampling| -> Vec<u8> {
        let params = BandParams::new("x", DType::UInt8)
            .with_nodata(nodata)
            .with_resampling(resampling);
        load(
            &loader(&rasters),
            &archive(&coarse, params, [RasterSource::new("a")]),
        )
    };
    assert_eq!(load(Some(Number::Int(7)), Resampling::Average), [6]);
    assert_eq!(load(None, Resampling::Average), [7]);
    // A copied value means what it says: 8 as nodata is missing.
    assert_eq!(load(Some(Number::Int(6)), Resampling::Nearest), [8]);
    assert_eq!(load(Some(Number::Int(8)), Resampling::Nearest), [8]);
    assert_eq!(load(Some(Number::Int(6)), Resampling::Mode), [6]);
}

#[test]
fn the_header_wins_over_the_document() {
    let elsewhere = grid(2, 3, 30.0, 700_000.0, 6_000_000.0);
    let rasters = MemoryRasters::default();
    let raster = || MemoryRaster::new(&small(), &[1u16, 2, 3, 4, 5, 6], None).expect("sound");
    rasters.put("header", raster());
    rasters.put("bare", raster().without_georeference());
    let load = |uri: &str, geobox: Option<GeoBox>| {
        let source = RasterSource::new(uri)
            .with_geobox(geobox)
            .with_label("dataset-1");
        let archive = archive(&small(), nearest(DType::UInt16, None), [source]);
        try_load::<u16>(
            &loader(&rasters),
            &archive,
            0,
            PixelWindow::full(small().shape()),
        )
        .map(|(pixels, _)| pixels)
    };
    assert_eq!(
        load("header", Some(elsewhere.clone())).expect("loads"),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(
        load("bare", Some(small())).expect("loads"),
        [1, 2, 3, 4, 5, 6]
    );
    assert_eq!(load("bare", Some(elsewhere)).expect("loads"), [0; 6]);
    let error = load("bare", None).unwrap_err();
    assert!(error.is_source_fault());
    let error = error.to_string();
    assert!(
        error.contains("dataset dataset-1, measurement red, chunk plane 0, rows 0..2"),
        "{error}"
    );
    assert!(error.contains("bare: no usable georeference"), "{error}");
    let other_shape = grid(3, 3, 30.0, 600_000.0, 6_000_000.0);
    let error = load("bare", Some(other_shape)).unwrap_err().to_string();
    assert!(
        error.contains("3 x 3 pixels where the file has 2 x 3"),
        "{error}"
    );
}

#[test]
fn a_broken_source_fails_the_chunk_or_is_skipped_and_named() {
    let rasters = MemoryRasters::default();
    rasters.put(
        "b",
        MemoryRaster::new(&small(), &[2u16; 6], None).expect("sound"),
    );
    let build = |skip: bool| {
        let mut builder = Archive::builder(small());
        builder.skip_broken(skip).band(nearest(DType::UInt16, None));
        let whole = PixelWindow::full(small().shape());
        let mut scene = |uri: &str, label: &str| {
            let source = RasterSource::new(uri).with_label(label);
            builder.scene(Scene::new(whole.clone(), vec![Some(source)]))
        };
        let members = [scene("gone", "dataset-1"), scene("b", "dataset-2")];
        builder.plane(members);
        builder.build().expect("sound")
    };
    let whole = PixelWindow::full(small().shape());
    let error = try_load::<u16>(&loader(&rasters), &build(false), 0, whole.clone()).unwrap_err();
    assert!(error.is_not_found() && !error.is_transient());
    assert!(
        error
            .to_string()
            .starts_with("dataset dataset-1, measurement red"),
        "{error}"
    );
    let (pixels, stats) =
        try_load::<u16>(&loader(&rasters), &build(true), 0, whole).expect("skips");
    assert_eq!(pixels, [2; 6]);
    let [skipped] = &stats.skipped[..] else {
        panic!("{stats:?}")
    };
    assert_eq!(
        (skipped.uri.as_str(), skipped.label.as_str()),
        ("gone", "dataset-1")
    );
    assert!(skipped.reason.contains("no such file"), "{skipped:?}");
}

#[test]
fn a_band_that_the_file_does_not_have_is_told() {
    let rasters = MemoryRasters::default();
    rasters.put(
        "a",
        MemoryRaster::new(&small(), &[2u16; 6], None).expect("sound"),
    );
    let source = RasterSource::new("a").with_band(2);
    let archive = archive(&small(), nearest(DType::UInt16, None), [source]);
    let whole = PixelWindow::full(small().shape());
    let error = try_load::<u16>(&loader(&rasters), &archive, 0, whole)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("a: there is no band 2; the only band is 1"),
        "{error}"
    );
}

#[test]
fn nearest_reads_the_overview_that_is_fine_enough() {
    let full = grid(8, 8, 10.0, 600_000.0, 6_000_000.0);
    let shape = |side: usize| Shape2d {
        rows: side,
        cols: side,
    };
    let raster = MemoryRaster::new(&full, &[1u8; 64], None)
        .and_then(|raster| raster.with_level(shape(4), &[2u8; 16]))
        .and_then(|raster| raster.with_level(shape(2), &[4u8; 4]));
    let rasters = MemoryRasters::default();
    rasters.put("a", raster.expect("sound"));
    let value = |resolution: f64, resampling: Resampling, overviews: Overviews| {
        let params = BandParams::new("x", DType::UInt8)
            .with_resampling(resampling)
            .with_overviews(overviews);
        let geobox = grid(2, 2, resolution, 600_000.0, 6_000_000.0);
        let archive = archive(&geobox, params, [RasterSource::new("a")]);
        load::<u8>(&loader(&rasters), &archive)[0]
    };
    use Overviews::{Auto, NearestFiner, Off};
    use Resampling::{Average, Nearest};
    for (resolution, resampling, overviews, expected) in [
        (10.0, Nearest, Auto, 1),
        (19.0, Nearest, Auto, 1),
        (20.0, Nearest, Auto, 2),
        (39.0, Nearest, Auto, 2),
        (40.0, Nearest, Auto, 4),
        (70.0, Nearest, Auto, 4),
        (40.0, Nearest, Off, 1),
        (40.0, Average, Auto, 1),
        (40.0, Average, NearestFiner, 4),
        (30.0, Average, NearestFiner, 2),
    ] {
        let found = value(resolution, resampling, overviews);
        assert_eq!(found, expected, "{resolution} {resampling} {overviews}");
    }
}

#[test]
fn a_scene_gives_nothing_outside_of_its_window() {
    let rasters = MemoryRasters::default();
    rasters.put(
        "a",
        MemoryRaster::new(&small(), &[1u16, 2, 3, 4, 5, 6], None).expect("sound"),
    );
    let mut builder = Archive::builder(small());
    builder.band(nearest(DType::UInt16, None));
    let source = Some(RasterSource::new("a"));
    let scene = builder.scene(Scene::new(PixelWindow::new(0..1, 1..3), vec![source]));
    builder.plane([scene]);
    builder.plane([]);
    let archive = builder.build().expect("sound");
    assert_eq!(load::<u16>(&loader(&rasters), &archive), [0, 2, 3, 0, 0, 0]);
    let task = archive
        .plan_chunk(0, 1, PixelWindow::full(small().shape()))
        .expect("in range");
    assert!(task.is_empty());
}

#[test]
fn outputs_that_do_not_fit_are_refused() {
    let rasters = MemoryRasters::default();
    let archive = archive(&small(), nearest(DType::UInt16, None), []);
    let loader = loader(&rasters);
    let task = archive
        .plan_chunk(0, 0, PixelWindow::full(small().shape()))
        .expect("in range");
    let decode = |out: &mut [u8]| {
        let fetched = block_on(loader.fetch(&archive, &task)).expect("nothing to fetch");
        loader
            .decode(&archive, &task, fetched, out)
            .map_err(|error| error.to_string())
    };
    let mut buffer = vec![0u16; 8];
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut buffer);
    assert!(decode(&mut bytes[..12]).is_ok());
    assert!(
        decode(&mut bytes[..10])
            .unwrap_err()
            .contains("takes 12 bytes, and the output has 10")
    );
    assert!(
        decode(&mut bytes[1..13])
            .unwrap_err()
            .contains("not aligned")
    );
}

#[test]
fn source_plans_travel() {
    let raster = MemoryRaster::new(&small(), &[1u16; 6], Some(Number::Int(0))).expect("sound");
    let dst = grid(50, 60, 25.0, 599_000.0, 6_000_500.0);
    for (resampling, crs) in [
        (Resampling::Nearest, "EPSG:32755"),
        (Resampling::Cubic, "EPSG:3577"),
    ] {
        let dst = GeoBox::new(
            dst.shape(),
            *dst.affine(),
            Some(Crs::parse(crs).expect("known")),
        )
        .expect("sound");
        let params = nearest(DType::UInt16, None).with_resampling(resampling);
        let source = RasterSource::new("a");
        let plan = SourcePlan::new(raster.info(), &source, &params, &dst).expect("plans");
        let mut bytes = Vec::new();
        ciborium::into_writer(&plan, &mut bytes).expect("writes");
        let back: SourcePlan = ciborium::from_reader(&bytes[..]).expect("reads");
        assert_eq!(back, plan);
        let window = PixelWindow::new(10..30, 10..50);
        assert_eq!(
            back.read(&window).expect("plans"),
            plan.read(&window).expect("plans")
        );
    }
}

#[test]
fn a_plan_gives_the_same_after_a_trip_through_bytes() {
    let rasters = MemoryRasters::default();
    let src = grid(40, 50, 30.0, 600_000.0, 6_000_000.0);
    let pixels: Vec<i16> = (0..2000)
        .map(|at| if at % 7 == 0 { -1 } else { at })
        .collect();
    rasters.put(
        "a",
        MemoryRaster::new(&src, &pixels, Some(Number::Int(-1))).expect("sound"),
    );
    let dst = grid(70, 90, 17.0, 599_990.0, 6_000_040.0);
    let params = nearest(DType::Int16, Some(Number::Int(-1))).with_resampling(Resampling::Cubic);
    let archive = archive(&dst, params, [RasterSource::new("a")]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&archive, &mut bytes).expect("writes");
    let back: Archive = ciborium::from_reader(&bytes[..]).expect("reads");
    let before: Vec<i16> = load(&loader(&rasters), &archive);
    assert_eq!(load::<i16>(&loader(&rasters), &back), before);
    assert!(before.iter().filter(|&&pixel| pixel != -1).count() > 1000);
}

/// A raster with a mask or an alpha band: column 0 is invalid.
#[derive(Debug)]
struct Masked {
    inner: MemoryRaster,
    info: RasterInfo,
}

impl Masked {
    fn new(mask: MaskKind, nodata: Option<Number>) -> Self {
        let inner = MemoryRaster::new(&small(), &[1u8, 2, 3, 4, 5, 6], nodata).expect("sound");
        let mut info = inner.info().clone();
        info.mask = mask;
        if mask != MaskKind::None {
            let alpha = BandInfo {
                nodata: None,
                ..info.bands[0].clone()
            };
            info.bands.push(alpha);
        }
        Masked { inner, info }
    }
}

#[async_trait]
impl RasterReader for Masked {
    fn info(&self) -> &RasterInfo {
        &self.info
    }

    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks> {
        let Level { shape, .. } = self.info.level(level)?;
        assert!(PixelWindow::full(*shape).contains(&window));
        Ok(Blocks::new(
            level,
            Some(band),
            window,
            ReadCost::default(),
            0,
            Box::new(()),
        ))
    }

    async fn fetch_mask(
        &self,
        level: usize,
        _band: u32,
        window: PixelWindow,
    ) -> Result<Option<Blocks>> {
        Ok(Some(Blocks::new(
            level,
            None,
            window,
            ReadCost::default(),
            0,
            Box::new(()),
        )))
    }

    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()> {
        if blocks.band() == Some(1) {
            let pixels = block_on(self.inner.fetch(0, 1, window.clone()))?;
            return self.inner.decode(&pixels, window, out);
        }
        let dtype = if blocks.band().is_some() {
            DType::UInt8
        } else {
            DType::Bool
        };
        out.reset(dtype, window.shape())?;
        for (at, pixel) in out.as_bytes_mut().iter_mut().enumerate() {
            let col = window.cols.start + at % window.cols.len();
            *pixel = u8::from(col > 0) * if dtype == DType::Bool { 1 } else { 255 };
        }
        Ok(())
    }

    fn project(&self, _: usize, _: u32, _: PixelWindow) -> Result<ReadCost> {
        Ok(ReadCost::default())
    }
}

#[derive(Debug)]
struct OneRaster(Arc<Masked>);

#[async_trait]
impl RasterOpener for OneRaster {
    async fn open(&self, _: &str) -> Result<Arc<dyn RasterReader>> {
        Ok(self.0.clone())
    }
}

#[test]
fn masks_count_where_there_is_no_nodata() {
    let check = |mask: MaskKind, nodata: Option<i64>, expected: [u8; 6]| {
        let masked = Masked::new(mask, nodata.map(Number::from));
        let opener = Arc::new(OneRaster(Arc::new(masked)));
        let loader = Loader::with_opener(opener, LoaderOptions::default());
        let params = nearest(DType::UInt8, Some(Number::Int(99)));
        let pasted = archive(&small(), params.clone(), [RasterSource::new("a")]);
        assert_eq!(load::<u8>(&loader, &pasted), expected, "{mask:?}");
        // Twice as fine, so warped: the first of each two by two.
        let fine = grid(4, 6, 15.0, 600_000.0, 6_000_000.0);
        let warped: Vec<u8> = load(&loader, &archive(&fine, params, [RasterSource::new("a")]));
        let first: Vec<u8> = warped
            .chunks_exact(12)
            .flat_map(|rows| rows[..6].iter().step_by(2))
            .copied()
            .collect();
        assert_eq!(first, expected, "{mask:?}");
    };
    check(MaskKind::None, None, [1, 2, 3, 4, 5, 6]);
    check(MaskKind::Internal, None, [99, 2, 3, 99, 5, 6]);
    check(MaskKind::Alpha(2), None, [99, 2, 3, 99, 5, 6]);
    // A file's nodata is all that counts where it has one.
    check(MaskKind::Internal, Some(2), [1, 99, 3, 4, 5, 6]);
}

#[test]
fn transient_errors_are_told_apart() {
    #[derive(Debug)]
    struct Slow;

    #[async_trait]
    impl RasterOpener for Slow {
        async fn open(&self, uri: &str) -> Result<Arc<dyn RasterReader>> {
            let source = "503 Slow Down".into();
            Err(Error::Store {
                uri: uri.to_owned(),
                transient: true,
                source,
            })
        }
    }

    let loader = Loader::with_opener(Arc::new(Slow), LoaderOptions::default());
    let source = RasterSource::new("s3://bucket/a.tif").with_label("dataset-1");
    let archive = archive(&small(), nearest(DType::UInt16, None), [source]);
    let whole = PixelWindow::full(small().shape());
    let error = try_load::<u16>(&loader, &archive, 0, whole).unwrap_err();
    assert!(error.is_transient());
    let text = error.to_string();
    assert!(
        text.contains("dataset-1") && text.contains("s3://bucket/a.tif"),
        "{text}"
    );
}
