//! Writing a COG with its overviews, beside GDAL's driver in the same run.
//!
//! `cargo bench -p datacube --bench cog`; rasterio is that of `$DATACUBE_PYTHON`,
//! else of `python3`. Both write the same pixels with deflate level 6, the
//! predictor, blocks of 512 and overviews by average, on all cores.
#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]
#![allow(clippy::cast_precision_loss, reason = "rates")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use datacube::export::cog::{CogOptions, CogSpec, CogWriter};
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_model::{DType, Number};

/// Even sizes halve exactly; odd ones share pixels.
const SIZES: [usize; 2] = [6144, 6143];
const ROUNDS: usize = 3;

/// Land and noise, with a corner of nodata: deflate finds something, not much.
#[allow(clippy::cast_possible_truncation, reason = "small numbers")]
fn pixels(side: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut out = Vec::with_capacity(side * side * 2);
    for row in 0..side {
        for col in 0..side {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let land = (7000 + row / 64 * 7 % 900 + col / 48 * 11 % 700) as u16;
            let value = match row + col < side / 4 {
                true => 0,
                false => land + (state >> 58) as u16,
            };
            out.extend(value.to_ne_bytes());
        }
    }
    out
}

fn ours(pixels: &[u8], side: usize, path: &Path) -> u64 {
    let affine = Affine {
        a: 30.0,
        b: 0.0,
        c: 600_000.0,
        d: 0.0,
        e: -30.0,
        f: -4_100_000.0,
    };
    let shape = Shape2d::new(side, side);
    let crs = Crs::from_epsg(32755).expect("a CRS");
    let geobox = GeoBox::new(shape, affine, Some(crs)).expect("a grid");
    let spec = CogSpec::new(geobox, DType::UInt16).nodata(Some(Number::Int(0)));
    let writer = CogWriter::create(path, spec, CogOptions::default()).expect("a file");
    let begin = Instant::now();
    writer
        .write(0, &PixelWindow::full(shape), pixels)
        .expect("written");
    let written = begin.elapsed();
    let summary = writer.finish().expect("finished");
    println!(
        "    image {:.2} s, overviews and file {:.2} s",
        written.as_secs_f64(),
        (begin.elapsed() - written).as_secs_f64()
    );
    summary.bytes
}

fn main() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/cog_rasterio.py");
    let python = std::env::var("DATACUBE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    for side in SIZES {
        let folder = tempfile::tempdir().expect("a folder");
        let (raw, path) = (folder.path().join("raw"), folder.path().join("ours.tif"));
        let pixels = pixels(side);
        std::fs::write(&raw, &pixels).expect("written");
        let mut best = Duration::MAX;
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            bytes = ours(&pixels, side, &path);
            best = best.min(begin.elapsed());
            std::fs::remove_file(&path).expect("removed");
        }
        let rate = (side * side) as f64 / 1e6 / best.as_secs_f64();
        println!("{side} x {side} uint16: ours {rate:.0} Mpixel/s, {bytes} bytes");
        let answer = Command::new(&python)
            .arg(&script)
            .args([raw.as_os_str(), folder.path().join("gdal.tif").as_os_str()])
            .args([side.to_string(), ROUNDS.to_string()])
            .output();
        match answer {
            Ok(answer) if answer.status.success() => {
                print!("{}", String::from_utf8_lossy(&answer.stdout));
            }
            Ok(answer) => println!("    {}", String::from_utf8_lossy(&answer.stderr)),
            Err(error) => println!("    {python}: {error}"),
        }
    }
}
