//! How fast whole bands are decoded, beside rasterio on the same file.
//!
//! Before divan runs, each file is read by rasterio and by this crate in turn,
//! best of five each, one thread, files in the page cache, and the ratio is
//! printed. Needs a Python with rasterio: `DATACUBE_PYTHON`, else `python3`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use datacube_geo::PixelWindow;
use datacube_load::{Blocks, PixelBuffer, RasterReader, Rasters, RastersOptions, StoreRegistry};
use datacube_model::DType;

/// Writes the files, and times rasterio's reading of them on request.
const SCRIPT: &str = r#"
import sys, time
import numpy as np, rasterio
folder, task = sys.argv[1], sys.argv[2]
files = {
    "deflate_p2": dict(compress="deflate", predictor=2),
    "deflate_p1": dict(compress="deflate"),
    "zstd_p2": dict(compress="zstd", predictor=2),
    "lzw_p2": dict(compress="lzw", predictor=2),
    "none": dict(),
}
if task == "make":
    n = 4096
    rng = np.random.default_rng(1)
    row, col = np.mgrid[0:n, 0:n]
    land = 8000 + 3000 * np.sin(row / 211) * np.cos(col / 173) + 800 * np.sin(row / 13 + col / 17)
    data = (land + rng.normal(0, 60, (n, n))).astype("uint16")
    for name, options in files.items():
        with rasterio.open(f"{folder}/{name}.tif", "w", driver="GTiff", count=1, height=n, width=n,
                           dtype="uint16", tiled=True, blockxsize=512, blockysize=512, **options) as dst:
            dst.write(data, 1)
else:
    best = 1e9
    for _ in range(5):
        with rasterio.open(f"{folder}/{task}.tif") as src:
            start = time.perf_counter()
            src.read(1)
            best = min(best, time.perf_counter() - start)
    print(best)
"#;

const NAMES: [&str; 5] = ["deflate_p2", "deflate_p1", "zstd_p2", "lzw_p2", "none"];

static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if let Err(problem) = python(folder.path(), "make") {
        eprintln!("skipped: no Python with rasterio ({problem}); set DATACUBE_PYTHON");
        return;
    }
    let folder = FOLDER.get_or_init(|| folder);
    for name in NAMES {
        let theirs: f64 = python(folder.path(), name)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .expect("rasterio reads what it wrote");
        let mut read = Read::open(name, &RastersOptions::default());
        let ours = (0..5)
            .map(|_| time(|| read.whole()))
            .min()
            .expect("five times")
            .as_secs_f64();
        eprintln!(
            "{name:10} rasterio {theirs:.3} s, datacube {ours:.3} s: {:.2} of its time",
            ours / theirs
        );
    }
    divan::main();
}

fn python(folder: &Path, task: &str) -> Result<String, String> {
    let python = std::env::var_os("DATACUBE_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder)
        .arg(task)
        .env("GDAL_NUM_THREADS", "1")
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().last().unwrap_or("it failed").to_owned())
}

fn time(mut work: impl FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A file that is read again and again into one buffer.
struct Read {
    runtime: tokio::runtime::Runtime,
    reader: Arc<dyn RasterReader>,
    out: PixelBuffer,
}

impl Read {
    fn open(name: &str, options: &RastersOptions) -> Self {
        let folder = FOLDER.get().expect("made by `main`").path();
        let path: PathBuf = folder.join(format!("{name}.tif"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let rasters = Rasters::new(StoreRegistry::new(), options);
        let reader = runtime
            .block_on(rasters.open(path.to_str().expect("a plain name")))
            .expect("rasterio wrote it");
        Read {
            runtime,
            reader,
            out: PixelBuffer::empty(DType::UInt16),
        }
    }

    fn fetch(&self, window: PixelWindow) -> Blocks {
        self.runtime
            .block_on(self.reader.fetch(0, 1, window))
            .expect("the file is there")
    }

    fn window(&mut self, window: PixelWindow) {
        let blocks = self.fetch(window.clone());
        self.reader
            .decode(&blocks, window, &mut self.out)
            .expect("the file is sound");
    }

    fn whole(&mut self) {
        self.window(PixelWindow::full(self.reader.info().shape));
    }
}

/// Fetching and decoding all of a file.
#[divan::bench(args = NAMES, sample_count = 10)]
fn read_whole(bencher: divan::Bencher<'_, '_>, name: &str) {
    let mut read = Read::open(name, &RastersOptions::default());
    bencher.bench_local(|| read.whole());
}

/// Decoding alone.
#[divan::bench(args = NAMES, sample_count = 10)]
fn decode_whole(bencher: divan::Bencher<'_, '_>, name: &str) {
    let mut read = Read::open(name, &RastersOptions::default());
    let window = PixelWindow::full(read.reader.info().shape);
    let blocks = read.fetch(window.clone());
    bencher.bench_local(|| {
        read.reader
            .decode(&blocks, window.clone(), &mut read.out)
            .expect("the file is sound");
    });
}

/// Opening a file whose header is not in the cache, and asking for one that is.
#[divan::bench(args = [false, true])]
fn open_file(bencher: divan::Bencher<'_, '_>, is_cached: bool) {
    let path = FOLDER
        .get()
        .expect("made by `main`")
        .path()
        .join("deflate_p2.tif");
    let path = path.to_str().expect("a plain name");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let header_bytes = if is_cached { 1 << 20 } else { 0 };
    let options = RastersOptions::default().header_cache_bytes(header_bytes);
    let rasters = Rasters::new(StoreRegistry::new(), &options);
    bencher.bench_local(|| {
        runtime
            .block_on(rasters.open(path))
            .expect("the file is there")
    });
}

/// The whole in 16 windows that overlap, as chunks that are warped do, with a
/// cache of decoded blocks of so many MiB.
#[divan::bench(args = [0, 64, 256], sample_count = 10)]
fn read_overlapping_windows(bencher: divan::Bencher<'_, '_>, cache_mib: u64) {
    let options = RastersOptions::default().block_cache_bytes(cache_mib << 20);
    bencher
        .with_inputs(|| Read::open("deflate_p2", &options))
        .bench_local_values(|mut read| {
            let shape = read.reader.info().shape;
            for row in (0..shape.rows).step_by(1024) {
                for col in (0..shape.cols).step_by(1024) {
                    read.window(PixelWindow::new(
                        row.saturating_sub(4)..(row + 1028).min(shape.rows),
                        col.saturating_sub(4)..(col + 1028).min(shape.cols),
                    ));
                }
            }
        });
}
