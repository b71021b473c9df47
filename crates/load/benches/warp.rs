//! How fast pixels are resampled, beside GDAL in the same run.
//!
//! `cargo bench -p datacube-load --bench warp` times every kernel on a scene of
//! 3000 x 3000 pixels in `u16` with bare corners, half a pixel off in its own
//! CRS, into the neighbouring UTM zone, to Albers and to longitudes. With
//! `-- --gdal` it then lets rasterio warp the same pixels onto the same grids
//! (`warp_gdal.py`; the interpreter is `$DATACUBE_PYTHON` or `python3`)
//! and prints the ratio, one thread against one thread.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs::File;
use std::process::Command;
use std::time::Instant;

use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{
    Archive, BandParams, Fetched, Loader, MemoryRaster, MemoryRasters, RasterSource, Resampling,
};
use datacube_model::{DType, Number};
use ndarray::ArrayView2;

const SIDE: usize = 3000;
const GRIDS: [&str; 4] = ["half a pixel off", "EPSG:32655", "EPSG:3577", "EPSG:4326"];
const KERNELS: [Resampling; 5] = [
    Resampling::Nearest,
    Resampling::Bilinear,
    Resampling::Cubic,
    Resampling::Average,
    Resampling::Mode,
];

fn main() {
    if std::env::args().any(|argument| argument == "--gdal") {
        compare();
    } else {
        divan::main();
    }
}

/// A scene in UTM zone 54 whose valid part is a rotated square.
fn scene() -> (GeoBox, Vec<u16>) {
    let affine = Affine {
        a: 30.0,
        b: 0.0,
        c: 600_015.0,
        d: 0.0,
        e: -30.0,
        f: 5_900_025.0,
    };
    let crs = Crs::from_epsg(32654).expect("a known CRS");
    let geobox = GeoBox::new(
        Shape2d {
            rows: SIDE,
            cols: SIDE,
        },
        affine,
        Some(crs),
    );
    let mut noise = 1u64;
    let mut pixels = Vec::with_capacity(SIDE * SIDE);
    for row in 0..SIDE {
        for col in 0..SIDE {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let inside = row + col > SIDE / 4
                && row + col < 2 * SIDE - SIDE / 4
                && row.abs_diff(col) < SIDE - SIDE / 4;
            let texture = u16::try_from(noise >> 55).expect("nine bits");
            let hills = u16::try_from(row / 3 + col / 2).expect("small");
            pixels.push(if inside { 7000 + hills + texture } else { 0 });
        }
    }
    (geobox.expect("a sound grid"), pixels)
}

fn output(grid: &str) -> GeoBox {
    let (src, _) = scene();
    let built = if grid == GRIDS[0] {
        GeoBox::new(
            src.shape(),
            *src.affine() * Affine::translation(0.5, 0.5),
            src.crs().cloned(),
        )
    } else {
        let crs = Crs::parse(grid).expect("a known CRS");
        let area = src.extent().to_crs(&crs, None).expect("projects");
        let bounds = area.bounding_box().expect("has an area");
        let resolution = if crs.is_geographic() { 0.00027 } else { 30.0 };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some thousands"
        )]
        let shape = Shape2d {
            rows: (bounds.span_y() / resolution).ceil() as usize,
            cols: (bounds.span_x() / resolution).ceil() as usize,
        };
        let corner = Affine::translation(bounds.left, bounds.top);
        GeoBox::new(
            shape,
            corner * Affine::scale(resolution, -resolution),
            Some(crs),
        )
    };
    built.expect("a sound grid")
}

struct Job {
    loader: Loader,
    archive: Archive,
}

impl Job {
    fn new(grid: &str, kernel: Resampling) -> Self {
        let (geobox, pixels) = scene();
        let nodata = Some(Number::Int(0));
        let rasters = MemoryRasters::default();
        rasters.put(
            "scene",
            MemoryRaster::new(&geobox, &pixels, nodata).expect("sound"),
        );
        let params = BandParams::new("red", DType::UInt16)
            .with_nodata(nodata)
            .with_resampling(kernel);
        let archive = common::archive(&output(grid), params, [RasterSource::new("scene")]);
        Job {
            loader: common::loader(&rasters),
            archive,
        }
    }

    fn n_pixels(&self) -> usize {
        self.archive.geobox().shape().pixels()
    }

    fn fetch(&self) -> Fetched {
        let task = self.task();
        common::block_on(self.loader.fetch(&self.archive, &task)).expect("memory does not fail")
    }

    fn task(&self) -> datacube_load::ChunkTask {
        let whole = PixelWindow::full(self.archive.geobox().shape());
        self.archive.plan_chunk(0, 0, whole).expect("a sound chunk")
    }

    fn decode(&self, fetched: Fetched, out: &mut [u16]) {
        let out = bytemuck::cast_slice_mut(out);
        self.loader
            .decode(&self.archive, &self.task(), fetched, out)
            .expect("decodes");
    }
}

#[divan::bench(args = GRIDS, sample_count = 10)]
fn nearest(bencher: divan::Bencher<'_, '_>, grid: &str) {
    bench(bencher, grid, Resampling::Nearest);
}

#[divan::bench(args = GRIDS, sample_count = 10)]
fn bilinear(bencher: divan::Bencher<'_, '_>, grid: &str) {
    bench(bencher, grid, Resampling::Bilinear);
}

#[divan::bench(args = GRIDS, sample_count = 10)]
fn cubic(bencher: divan::Bencher<'_, '_>, grid: &str) {
    bench(bencher, grid, Resampling::Cubic);
}

#[divan::bench(args = GRIDS, sample_count = 10)]
fn average(bencher: divan::Bencher<'_, '_>, grid: &str) {
    bench(bencher, grid, Resampling::Average);
}

#[divan::bench(args = GRIDS, sample_count = 4)]
fn mode(bencher: divan::Bencher<'_, '_>, grid: &str) {
    bench(bencher, grid, Resampling::Mode);
}

fn bench(bencher: divan::Bencher<'_, '_>, grid: &str, kernel: Resampling) {
    let job = Job::new(grid, kernel);
    let mut out = vec![0u16; job.n_pixels()];
    bencher
        .counter(divan::counter::ItemsCount::new(job.n_pixels()))
        .with_inputs(|| job.fetch())
        .bench_local_values(|fetched| job.decode(fetched, &mut out));
}

/// Prints megapixels a second of ours and of GDAL's, and the ratio.
#[allow(clippy::print_stdout, reason = "the table is what this is for")]
#[allow(clippy::cast_precision_loss, reason = "some millions")]
fn compare() {
    let folder = std::env::temp_dir().join(format!("datacube-warp-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the scene");
    let (src, pixels) = scene();
    let view = ArrayView2::from_shape((SIDE, SIDE), &pixels).expect("as many pixels");
    let file = File::create(folder.join("scene.npy")).expect("a file for the scene");
    ndarray_npy::WriteNpyExt::write_npy(&view, file).expect("writes");
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    println!(
        "{:17} {:9} {:>8} {:>8} {:>7}",
        "onto", "kernel", "Mpx/s", "GDAL", "ratio"
    );
    for grid in GRIDS {
        for kernel in KERNELS {
            let job = Job::new(grid, kernel);
            let mut out = vec![0u16; job.n_pixels()];
            let mut best = f64::INFINITY;
            for _ in 0..7 {
                let fetched = job.fetch();
                let start = Instant::now();
                job.decode(fetched, &mut out);
                best = best.min(start.elapsed().as_secs_f64());
            }
            let ours = job.n_pixels() as f64 / best / 1e6;
            let describe = |geobox: &GeoBox| {
                let a = geobox.affine();
                let numbers = [a.a, a.b, a.c, a.d, a.e, a.f].map(|number| number.to_string());
                let shape = geobox.shape();
                let crs = geobox.crs().map(ToString::to_string).unwrap_or_default();
                format!("{} {} {crs} {}", shape.rows, shape.cols, numbers.join(" "))
            };
            let gdal = Command::new(&python)
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/warp_gdal.py"))
                .arg(folder.join("scene.npy"))
                .args([
                    describe(&src),
                    describe(job.archive.geobox()),
                    kernel.to_string(),
                ])
                .output();
            let gdal = gdal.ok().filter(|output| output.status.success());
            let gdal = gdal.and_then(|output| {
                String::from_utf8_lossy(&output.stdout)
                    .trim()
                    .parse::<f64>()
                    .ok()
            });
            let name = kernel.name();
            match gdal {
                Some(seconds) => {
                    let gdal = job.n_pixels() as f64 / seconds / 1e6;
                    println!(
                        "{grid:17} {name:9} {ours:8.1} {gdal:8.1} {:7.1}",
                        ours / gdal
                    );
                }
                None => println!("{grid:17} {name:9} {ours:8.1}  (`{python}` has no rasterio)"),
            }
        }
    }
    std::fs::remove_dir_all(&folder).expect("the folder was ours");
}
