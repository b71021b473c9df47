//! Damaged files: whatever is done to its bytes, reading a file gives pixels or
//! an error, in bounded memory.
//!
//! A deterministic loop damages small files of every kind in some thousand
//! ways. `DAMAGE_ROUNDS` sets how many ways each file is damaged. Memory of
//! Rust is counted by the allocator; that of the codecs in C is bounded by the
//! system, for a process of its own.

#[path = "common/raster.rs"]
mod raster;

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datacube_geo::PixelWindow;
use datacube_load::{PixelBuffer, RasterReader, Rasters, RastersOptions, StoreRegistry};
use datacube_model::DType;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use raster::fixture;

/// No file of these few kilobytes justifies more: a zstd block of 4 bytes may
/// become 128 KiB, and an index that is cut short is padded to a million
/// entries.
const MOST_BYTES: usize = 128 << 20;

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One of each kind: codecs, predictors, layouts, BigTIFF, overviews, masks.
const FILES: &[&str] = &[
    "u16_deflate_p2_tiles.tif",
    "u16_deflate_p2_strips.tif",
    "u16_lzw_p2_tiles.tif",
    "u16_lzw_p1_strips.tif",
    "u16_zstd_p2_tiles.tif",
    "u16_packbits_p1_strips.tif",
    "u16_none_p1_tiles.tif",
    "u16_none_big.tif",
    "float64_p3_big.tif",
    "float16_p3.tif",
    "i16_5bands_pixel.tif",
    "i16_3bands_band.tif",
    "u8_1bit.tif",
    "u16_12bit.tif",
    "sparse_nodata.tif",
    "overviews_cog.tif",
    "overviews_bigtiff.tif",
    "scale.tif",
    "no_epsg.tif",
    "point.tif",
    "../codecs/jpeg_ycbcr_tiles.tif",
    "../codecs/jpeg_grey_strips.tif",
    "../codecs/jpeg_rgba.tif",
    "../codecs/webp_tiles.tif",
    "../codecs/webp_alpha_lossless.tif",
    "../codecs/lerc_nan_3bands.tif",
    "../codecs/lerc_zstd.tif",
    "../codecs/lerc_deflate_3bands.tif",
    "../codecs/lerc_alpha.tif",
    "../codecs/lzma_p2.tif",
    "../codecs/fax_g3.tif",
    "../codecs/fax_g4.tif",
];

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % n.max(1)
    }

    /// Damages a file in one to three places, more often where its header is.
    fn damage(&mut self, file: &[u8]) -> Vec<u8> {
        let mut file = file.to_vec();
        for _ in 0..1 + self.below(3) {
            let near = if self.below(3) == 0 {
                file.len()
            } else {
                file.len().min(512)
            };
            let at = self.below(near);
            match self.below(6) {
                0 => file[at] ^= 1 << self.below(8),
                1 => file[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => file.truncate(at.max(1)),
                3 => {
                    let end = (at + 1 + self.below(16)).min(file.len());
                    file[at..end].fill([0, 0xff][self.below(2)]);
                }
                4 => {
                    let values = [0, 1, u32::MAX, 0x8000_0000, 0x7fff_ffff, 65_536];
                    let bytes = values[self.below(6)].to_le_bytes();
                    for (to, from) in file[at..].iter_mut().zip(bytes) {
                        *to = from;
                    }
                }
                _ => {
                    let from = self.below(file.len());
                    let n_bytes = (1 + self.below(12)).min(file.len() - from.max(at));
                    file.copy_within(from..from + n_bytes, at);
                }
            }
        }
        file
    }
}

/// Reads all that a file claims to have, up to 300 x 300 pixels of each.
async fn read_all(rasters: &Rasters, uri: &str) -> (usize, usize) {
    let (mut n_read, mut n_errors) = (0, 0);
    let Ok(reader) = rasters.open(uri).await else {
        return (0, 1);
    };
    let mut out = PixelBuffer::empty(DType::UInt8);
    for level in 0..reader.info().levels.len().min(4) {
        let shape = reader.info().levels[level].shape;
        let window = PixelWindow::new(0..shape.rows.min(300), 0..shape.cols.min(300));
        for band in 1..=reader.info().bands.len().min(6) {
            let band = u32::try_from(band).expect("at most 6");
            match read(&*reader, level, Some(band), &window, &mut out).await {
                true => n_read += 1,
                false => n_errors += 1,
            }
        }
        read(&*reader, level, None, &window, &mut out).await;
    }
    (n_read, n_errors)
}

async fn read(
    reader: &dyn RasterReader,
    level: usize,
    band: Option<u32>,
    window: &PixelWindow,
    out: &mut PixelBuffer,
) -> bool {
    let blocks = match band {
        Some(band) => {
            let _any = reader.project(level, band, window.clone());
            reader.fetch(level, band, window.clone()).await.map(Some)
        }
        None => reader.fetch_mask(level, 1, window.clone()).await,
    };
    match blocks {
        Ok(Some(blocks)) => reader.decode(&blocks, window.clone(), out).is_ok(),
        Ok(None) => true,
        Err(_) => false,
    }
}

#[test]
fn no_damage_makes_a_reader_panic_or_take_unbounded_memory() {
    let n_rounds: usize = match std::env::var("DAMAGE_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("DAMAGE_ROUNDS is a number"),
        Err(_) => 400,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let (mut n_read, mut n_errors) = (0, 0);
    for (file_idx, name) in FILES.iter().enumerate() {
        let whole = std::fs::read(fixture(name)).expect(name);
        for round in 0..n_rounds {
            let mut random = Random((file_idx * 1_000_003 + round) as u64);
            let damaged = random.damage(&whole);
            let store = Arc::new(InMemory::new());
            let stores = StoreRegistry::new();
            stores
                .register(
                    "memory://damaged",
                    Arc::clone(&store) as Arc<dyn ObjectStore>,
                )
                .unwrap();
            let before = LIVE.load(Ordering::Relaxed);
            PEAK.store(before, Ordering::Relaxed);
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    store
                        .put(&"file.tif".into(), damaged.into())
                        .await
                        .expect("memory");
                    let rasters = Rasters::new(stores, &RastersOptions::default());
                    read_all(&rasters, "memory://damaged/file.tif").await
                })
            }));
            let peak = PEAK.load(Ordering::Relaxed).saturating_sub(before);
            let (read, errors) = outcome.unwrap_or_else(|_| panic!("{name}, round {round}"));
            assert!(peak < MOST_BYTES, "{name}, round {round}: {peak} bytes");
            n_read += read;
            n_errors += errors;
        }
    }
    eprintln!(
        "{} damaged files: {n_read} bands read, {n_errors} errors",
        FILES.len() * n_rounds
    );
    assert!(
        n_read > 0 && n_errors > 0,
        "the damage does something, and not everything"
    );
}

/// The bound on a process that reads damaged files, C and Rust together, in KiB.
/// Half of it is what any such process maps before it reads anything.
const MOST_MAPPED_KIB: usize = 1 << 20;

/// The tests above once more, in a process that may not map more.
#[cfg(target_os = "linux")]
#[test]
fn codecs_in_c_take_bounded_memory_too() {
    let program = std::env::current_exe().expect("the test has a program");
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {MOST_MAPPED_KIB} && exec \"$0\" \"$@\""))
        .arg(program)
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .arg("no_damage_makes_a_reader_panic_or_take_unbounded_memory")
        .output()
        .expect("there is a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("damaged files"), "it ran: {said}");
}
