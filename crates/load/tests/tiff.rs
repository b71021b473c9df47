//! Small GeoTIFFs that GDAL wrote (`fixtures/tiff/make.py`), one for each way
//! of storing pixels, against what GDAL reads back; and how they are read: the
//! windows, the requests, the caches, the errors.

#[path = "common/raster.rs"]
mod raster;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datacube_geo::{PixelWindow, Shape2d};
use datacube_load::{
    Error, MaskKind, PixelBuffer, RasterReader, Rasters, RastersOptions, StoreRegistry,
};
use datacube_model::{DType, Number};
use object_store::path::Path as StorePath;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use raster::{digest, fixture, open, rasters, read, read_band, read_mask};
use serde_json::{Map, Value};

fn expected() -> Map<String, Value> {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("the fixture is here");
    let all: Value = serde_json::from_str(&text).expect("make.py writes JSON");
    all["files"].as_object().expect("by file").clone()
}

/// Files that are refused, and for what.
const REFUSED: &[(&str, &str)] = &[("complex.tif", "reading complex64 samples")];

#[tokio::test]
async fn every_way_of_storing_pixels() {
    let rasters = rasters();
    let mut n_bands = 0;
    for (name, expected) in expected() {
        let reader = open(&rasters, &fixture(&name)).await.expect(&name);
        let info = reader.info();
        let shape = &expected["shape"];
        assert_eq!(
            [info.shape.rows as u64, info.shape.cols as u64].map(Some),
            [shape[0].as_u64(), shape[1].as_u64()],
            "{name}"
        );
        if let Some((_, what)) = REFUSED.iter().find(|(file, _)| *file == name) {
            let error = read_band(&*reader, 0, 1).await.unwrap_err();
            assert!(
                error.is_unsupported() && error.to_string().contains(what),
                "{error}"
            );
            continue;
        }
        assert_eq!(info.bands[0].dtype.name(), expected["dtype"], "{name}");
        for (at, hash) in expected["bands"]
            .as_array()
            .expect("a list")
            .iter()
            .enumerate()
        {
            let band = u32::try_from(at + 1).expect("few bands");
            let pixels = read_band(&*reader, 0, band).await.expect(&name);
            assert_eq!(
                digest_as_stored(&pixels),
                hash.as_str().unwrap(),
                "{name}, band {band}"
            );
            n_bands += 1;
        }
        for (at, overview) in expected["overviews"]
            .as_array()
            .expect("a list")
            .iter()
            .enumerate()
        {
            let pixels = read_band(&*reader, at + 1, 1).await.expect(&name);
            assert_eq!(
                digest(&pixels),
                overview["band1"].as_str().unwrap(),
                "{name}, level {at}"
            );
        }
        assert_eq!(
            info.levels.len() - 1,
            expected["overviews"].as_array().unwrap().len()
        );
        match expected.get("mask") {
            Some(hash) => {
                assert_eq!(info.mask, MaskKind::Internal, "{name}");
                let mask = read_mask(&*reader)
                    .await
                    .expect(&name)
                    .expect("there is a mask");
                assert_eq!(digest(&mask), hash.as_str().unwrap(), "{name}");
            }
            None => assert!(read_mask(&*reader).await.expect(&name).is_none(), "{name}"),
        }
        check_georeference(&name, &*reader, &expected);
    }
    assert!(n_bands >= 99, "{n_bands} bands were compared");
}

/// Half floats are not widened here: GDAL was told to keep them.
fn digest_as_stored(pixels: &PixelBuffer) -> String {
    raster::digest_of(pixels.as_bytes())
}

fn check_georeference(name: &str, reader: &dyn RasterReader, expected: &Value) {
    let info = reader.info();
    let affine = info.affine.expect(name);
    let found = [affine.a, affine.b, affine.c, affine.d, affine.e, affine.f];
    for (at, found) in found.into_iter().enumerate() {
        assert_eq!(Some(found), expected["transform"][at].as_f64(), "{name}");
    }
    let epsg = info.crs.as_ref().and_then(|crs| crs.epsg());
    assert_eq!(epsg.map(u64::from), expected["epsg"].as_u64(), "{name}");
    let nodata = expected["nodata"]
        .as_str()
        .map(|text| Number::Float(text.parse().unwrap()));
    assert_eq!(info.bands[0].nodata, nodata, "{name}");
    for (at, band) in info.bands.iter().enumerate() {
        assert_eq!(Some(band.scale), expected["scales"][at].as_f64(), "{name}");
        assert_eq!(
            Some(band.offset),
            expected["offsets"][at].as_f64(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_only_the_header_says() {
    let rasters = rasters();
    let open = async |name: &str| open(&rasters, &fixture(name)).await.expect(name);
    let scale = open("scale.tif").await;
    let band = &scale.info().bands[0];
    assert_eq!(
        (band.unit.as_deref(), band.description.as_deref()),
        (Some("reflectance"), Some("red"))
    );
    assert_eq!(scale.info().bands[1].description, None);

    let no_epsg = open("no_epsg.tif").await;
    let crs = no_epsg.info().crs.clone().expect("it has a CRS");
    assert_eq!(
        crs,
        "+proj=laea +lat_0=-20 +lon_0=130 +x_0=1000 +y_0=0 +R=6370000 +units=m"
            .parse()
            .unwrap()
    );
    let no_crs = open("no_crs.tif").await;
    assert_eq!(no_crs.info().crs, None);
    assert_eq!(
        no_crs.info().georeference_problem.as_deref(),
        Some("it has no coordinate system")
    );
    let cog = open("overviews_cog.tif").await;
    let levels = &cog.info().levels;
    assert_eq!(levels[1].resampling.as_deref(), Some("AVERAGE"));
    assert_eq!((levels[0].compression, levels[0].predictor), ("deflate", 2));
    assert_eq!(
        levels[0].block_shape,
        Shape2d {
            rows: 128,
            cols: 128
        }
    );
    assert_eq!(
        open("nodata_nan.tif").await.info().bands[0].nodata,
        Some(Number::Float(f64::NAN))
    );
}

/// Windows that begin and end anywhere, read in any order and with blocks left
/// over from one another, are cuts of the whole.
#[tokio::test]
async fn windows_are_cuts_of_the_whole() {
    let rasters = rasters();
    let mut seed = 1_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).expect("31 bits") % below
    };
    for (name, expected) in expected() {
        if REFUSED.iter().any(|(file, _)| *file == name) {
            continue;
        }
        let reader = open(&rasters, &fixture(&name)).await.expect(&name);
        let n_bands = u32::try_from(expected["bands"].as_array().unwrap().len()).unwrap();
        for level in 0..reader.info().levels.len() {
            let shape = reader.info().levels[level].shape;
            for band in 1..=n_bands {
                let whole = read_band(&*reader, level, band).await.expect(&name);
                for _ in 0..8 {
                    let (row, col) = (random(shape.rows), random(shape.cols));
                    let window = PixelWindow::new(
                        row..row + 1 + random(shape.rows - row),
                        col..col + 1 + random(shape.cols - col),
                    );
                    let part = read(&*reader, level, band, window.clone())
                        .await
                        .expect(&name);
                    assert_eq!(part.as_bytes(), cut(&whole, &window), "{name}, {window}");
                    // And out of blocks that were fetched for more.
                    let blocks = reader
                        .fetch(level, band, PixelWindow::full(shape))
                        .await
                        .expect(&name);
                    let mut again = PixelBuffer::empty(DType::UInt8);
                    reader
                        .decode(&blocks, window.clone(), &mut again)
                        .expect(&name);
                    assert_eq!(again.as_bytes(), part.as_bytes(), "{name}, {window}");
                }
            }
        }
    }
}

fn cut(whole: &PixelBuffer, window: &PixelWindow) -> Vec<u8> {
    let (size, cols) = (whole.dtype().size(), whole.shape().cols);
    let row = |row: usize| {
        &whole.as_bytes()[(row * cols + window.cols.start) * size..][..window.cols.len() * size]
    };
    window.rows.clone().flat_map(row).copied().collect()
}

#[tokio::test]
async fn bad_requests_say_what_there_is() {
    let rasters = rasters();
    let reader = open(&rasters, &fixture("i16_3bands_pixel.tif"))
        .await
        .unwrap();
    let one = PixelWindow::new(0..1, 0..1);
    let check = async |level, band, window: PixelWindow, part: &str| {
        let error = reader.fetch(level, band, window).await.unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert!(
            error.to_string().contains("i16_3bands_pixel.tif"),
            "{error}"
        );
    };
    check(0, 0, one.clone(), "there is no band 0; bands are 1 to 3").await;
    check(0, 4, one.clone(), "there is no band 4; bands are 1 to 3").await;
    check(1, 1, one.clone(), "there is no level 1; overviews: 0").await;
    check(
        0,
        1,
        PixelWindow::new(0..20, 0..1),
        "not within the 19 x 23 pixels",
    )
    .await;
    check(0, 1, PixelWindow::new(3..3, 0..1), "empty").await;

    let blocks = reader.fetch(0, 1, one).await.unwrap();
    let mut out = PixelBuffer::empty(DType::UInt8);
    let error = reader
        .decode(&blocks, PixelWindow::new(0..2, 0..1), &mut out)
        .unwrap_err();
    assert!(
        error.to_string().contains("blocks were fetched for"),
        "{error}"
    );
    let other = open(&rasters, &fixture("u8_1bit.tif")).await.unwrap();
    let error = other
        .decode(&blocks, PixelWindow::new(0..1, 0..1), &mut out)
        .unwrap_err();
    assert!(error.to_string().contains("another file"), "{error}");
}

#[tokio::test]
async fn a_missing_file_and_a_truncated_one() {
    let dir = tempfile::tempdir().unwrap();
    let rasters = rasters();
    let missing = dir.path().join("not there.tif");
    let error = open(&rasters, &missing).await.unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("not there.tif"),
        "{error}"
    );

    let whole = std::fs::read(fixture("u16_deflate_p2_tiles.tif")).unwrap();
    let cut = dir.path().join("cut.tif");
    std::fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    let reader = open(&rasters, &cut).await.unwrap();
    let error = read_band(&*reader, 0, 1).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("block (2, 1) of the full resolution"),
        "{text}"
    );
    assert!(
        text.contains("damaged or was not written completely"),
        "{text}"
    );
    assert!(error.is_source_fault() && !error.is_transient());

    let text_file = dir.path().join("page.tif");
    std::fs::write(&text_file, "<html>not found</html>").unwrap();
    let error = open(&rasters, &text_file).await.unwrap_err();
    assert!(
        error.to_string().contains("it is an XML or HTML document"),
        "{error}"
    );
}

#[tokio::test]
async fn a_changed_file_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changing.tif");
    std::fs::copy(fixture("uint8_p2_little.tif"), &path).unwrap();
    let rasters = rasters();
    let before = open(&rasters, &path).await.unwrap();
    assert_eq!(before.info().bands[0].dtype, DType::UInt8);
    std::fs::copy(fixture("float64_p3_big.tif"), &path).unwrap();
    let after = open(&rasters, &path).await.unwrap();
    assert_eq!(after.info().bands[0].dtype, DType::Float64);

    // A file that is longer than the first read, changed under an open reader.
    let mut long = std::fs::read(fixture("u16_none_p1_tiles.tif")).unwrap();
    long.resize(100_000, 0);
    std::fs::write(&path, &long).unwrap();
    let reader = open(&rasters, &path).await.unwrap();
    read_band(&*reader, 0, 1).await.unwrap();
    long.push(0);
    std::fs::write(&path, &long).unwrap();
    let error = read_band(&*reader, 0, 1).await.unwrap_err();
    assert!(
        matches!(error, Error::Changed { .. }) && error.is_transient(),
        "{error}"
    );
}

/// Counts what is asked of a store.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    n_reads: Arc<AtomicU64>,
}

impl std::fmt::Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Counting({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn get_opts(
        &self,
        path: &StorePath,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        if !options.head {
            self.n_reads.fetch_add(1, Ordering::Relaxed);
        }
        // Long enough for others to ask as well.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        self.inner.get_opts(path, options).await
    }

    async fn put_opts(
        &self,
        path: &StorePath,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &StorePath,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: futures::stream::BoxStream<'static, object_store::Result<StorePath>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<StorePath>> {
        self.inner.delete_stream(paths)
    }

    fn list(
        &self,
        prefix: Option<&StorePath>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&StorePath>,
    ) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &StorePath,
        to: &StorePath,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Rasters whose reads are counted.
fn counted(options: &RastersOptions) -> (Rasters, Arc<AtomicU64>) {
    let n_reads = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&n_reads);
    let stores = StoreRegistry::with_wrapper(move |inner| {
        Arc::new(Counting {
            inner,
            n_reads: Arc::clone(&counter),
        })
    });
    (Rasters::new(stores, options), n_reads)
}

#[tokio::test]
async fn a_header_is_read_once_however_many_ask() {
    let (rasters, n_reads) = counted(&RastersOptions::default());
    let path = fixture("overviews_cog.tif");
    let readers = futures::future::join_all((0..20).map(|_| open(&rasters, &path))).await;
    assert!(readers.iter().all(Result::is_ok));
    assert_eq!(n_reads.load(Ordering::Relaxed), 1);
    // The whole file came with the header.
    let reader = readers[0].as_ref().unwrap();
    let blocks = reader
        .fetch(0, 1, PixelWindow::full(reader.info().shape))
        .await
        .unwrap();
    assert_eq!(
        (blocks.cost().requests, n_reads.load(Ordering::Relaxed)),
        (0, 1)
    );
}

#[tokio::test]
async fn requests_are_few_and_known_beforehand() {
    // 400 tiles, some 200 kB, so that blocks are not in the first read.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large.tif");
    std::fs::write(&path, uncompressed_tiff(320, 320, 16)).unwrap();
    let (rasters, n_reads) = counted(&RastersOptions::default());
    let reader = open(&rasters, &path).await.unwrap();
    assert_eq!(n_reads.swap(0, Ordering::Relaxed), 1);
    for window in [
        PixelWindow::new(200..201, 200..201),
        PixelWindow::new(100..300, 17..40),
        PixelWindow::full(reader.info().shape),
    ] {
        let projected = reader.project(0, 1, window.clone()).unwrap();
        let blocks = reader.fetch(0, 1, window.clone()).await.unwrap();
        assert_eq!(blocks.cost(), projected, "{window}");
        assert_eq!(
            n_reads.swap(0, Ordering::Relaxed),
            projected.requests,
            "{window}"
        );
        assert!(projected.requests <= 2, "{window}: {projected:?}");
        let mut out = PixelBuffer::empty(DType::UInt8);
        reader.decode(&blocks, window.clone(), &mut out).unwrap();
        let expected: Vec<u16> = window
            .rows
            .clone()
            .flat_map(|row| window.cols.clone().map(move |col| pixel_of(320, row, col)))
            .collect();
        assert_eq!(out.as_slice::<u16>().unwrap(), expected, "{window}");
    }
}

/// Pixels count up, and begin again where `u16` ends.
fn pixel_of(cols: usize, row: usize, col: usize) -> u16 {
    u16::try_from((row * cols + col) % 65_536).unwrap()
}

/// A tiled little-endian TIFF of `u16` whose pixels count up, its directory at
/// the front.
fn uncompressed_tiff(rows: usize, cols: usize, side: usize) -> Vec<u8> {
    let (down, across) = (rows / side, cols / side);
    let n_blocks = u32::try_from(down * across).unwrap();
    let block_bytes = u32::try_from(side * side * 2).unwrap();
    let n_entries = 10_u16;
    let arrays_at = 8 + 2 + u32::from(n_entries) * 12 + 4;
    let data_at = arrays_at + n_blocks * 8;
    let mut file = b"II\x2a\x00\x08\x00\x00\x00".to_vec();
    file.extend(n_entries.to_le_bytes());
    let mut entry = |tag: u16, kind: u16, count: u32, value: u32| {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    };
    let side_u32 = u32::try_from(side).unwrap();
    entry(256, 4, 1, u32::try_from(cols).unwrap());
    entry(257, 4, 1, u32::try_from(rows).unwrap());
    entry(258, 3, 1, 16);
    entry(259, 3, 1, 1);
    entry(262, 3, 1, 1);
    entry(277, 3, 1, 1);
    entry(322, 4, 1, side_u32);
    entry(323, 4, 1, side_u32);
    entry(324, 4, n_blocks, arrays_at);
    entry(325, 4, n_blocks, arrays_at + n_blocks * 4);
    file.extend(0_u32.to_le_bytes());
    for block in 0..n_blocks {
        file.extend((data_at + block * block_bytes).to_le_bytes());
    }
    for _ in 0..n_blocks {
        file.extend(block_bytes.to_le_bytes());
    }
    for block_row in 0..down {
        for block_col in 0..across {
            for row in block_row * side..(block_row + 1) * side {
                for col in block_col * side..(block_col + 1) * side {
                    file.extend(pixel_of(cols, row, col).to_le_bytes());
                }
            }
        }
    }
    file
}

#[tokio::test]
async fn blocks_at_seams_are_kept_within_bounds() {
    let file = fixture("u16_deflate_p2_tiles.tif");
    let halves = [
        PixelWindow::new(0..37, 0..40),
        PixelWindow::new(0..37, 40..53),
    ];
    for (limit, hits) in [(256 << 20, 3), (0, 0)] {
        let rasters = Rasters::new(
            StoreRegistry::new(),
            &RastersOptions::default().block_cache_bytes(limit),
        );
        let reader = open(&rasters, &file).await.unwrap();
        read(&*reader, 0, 1, halves[0].clone()).await.unwrap();
        let blocks = reader.fetch(0, 1, halves[1].clone()).await.unwrap();
        assert_eq!(blocks.cost().cached_blocks, hits, "limit {limit}");
    }
}

#[tokio::test]
async fn headers_are_kept_within_bounds() {
    let paths = [
        "u16_none_p1_tiles.tif",
        "scale.tif",
        "u16_none_p1_tiles.tif",
    ]
    .map(fixture);
    for (limit, n_expected) in [(64 << 20, 2), (5000, 3)] {
        let (rasters, n_reads) = counted(&RastersOptions::default().header_cache_bytes(limit));
        for path in &paths {
            open(&rasters, path).await.unwrap();
        }
        assert_eq!(n_reads.load(Ordering::Relaxed), n_expected, "limit {limit}");
    }
}
