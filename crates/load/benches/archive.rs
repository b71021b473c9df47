//! An archive of a million datasets as one lazy source: how long until it is there,
//! what a dataset weighs, how long until a chunk is planned. Files are opened nowhere.
//!
//! `cargo bench -p datacube-load --bench archive`. Beside it: Python's datacube takes
//! 145 s for the lazy arrays of 2,000 datasets, 36 tiles and 3 bands, that is 72 ms a
//! dataset (reference numbers of this project, same machine).

use std::fs;
use std::time::Instant;

use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{Archive, BandParams, RasterSource, Scene};
use datacube_model::DType;

const N_SCENES: usize = 1_000_000;
const BANDS: [&str; 3] = ["red", "nir", "qa"];

/// A continent at 30 m, in Albers.
fn output() -> GeoBox {
    let affine = Affine {
        a: 30.0,
        b: 0.0,
        c: -2e6,
        d: 0.0,
        e: -30.0,
        f: -1e6,
    };
    let crs = Crs::parse("EPSG:3577").expect("known");
    GeoBox::new(Shape2d::new(130_000, 140_000), affine, Some(crs)).expect("sound")
}

/// Scenes of seven UTM zones as documents describe them, `per_plane` in each time
/// step.
fn build(per_plane: usize) -> Archive {
    let crs: Vec<Crs> = (50..57)
        .map(|zone| Crs::from_epsg(32700 + zone).expect("known"))
        .collect();
    let mut builder = Archive::builder(output());
    for name in BANDS {
        builder.band(BandParams::new(name, DType::UInt16));
    }
    for at in 0..N_SCENES {
        // Scenes of 185 km that wander over each zone.
        let (zone, row, col) = (at % 7, at / 7 % 23, at / 161 % 4);
        let jitter = (at * 7919 % 1000) as f64 * 3.0;
        let affine = Affine {
            a: 30.0,
            b: 0.0,
            c: 180_000.0 + col as f64 * 160_000.0 + jitter,
            d: 0.0,
            e: -30.0,
            f: 8_900_000.0 - row as f64 * 160_000.0 - jitter,
        };
        let grid = GeoBox::new(Shape2d::new(7800, 7700), affine, Some(crs[zone].clone()));
        let grid = grid.expect("sound");
        let label = format!("{at:032x}");
        let sources = BANDS.iter().map(|band| {
            let uri = format!("s3://usgs-landsat/collection02/level-2/{at:08}/SR_{band}.TIF");
            let source = RasterSource::new(uri).with_label(label.clone());
            Some(source.with_geobox(grid.clone()))
        });
        let scene = Scene::on_grid(grid.clone(), sources.collect());
        builder.scene(scene);
    }
    for first in (0..N_SCENES).step_by(per_plane) {
        let members = first..(first + per_plane).min(N_SCENES);
        builder.plane(members.map(|at| u32::try_from(at).expect("a million")));
    }
    builder.build().expect("sound")
}

/// Bytes of memory that this process has.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

#[allow(clippy::print_stdout, reason = "a benchmark reports")]
fn main() {
    for per_plane in [40, 2000, 20_000] {
        let before = resident();
        let start = Instant::now();
        let archive = build(per_plane);
        let built = start.elapsed();
        let start = Instant::now();
        let cubes: Vec<Archive> = (0..BANDS.len())
            .map(|band| archive.select_bands(&[band]).expect("there"))
            .collect();
        let split = start.elapsed();
        let bytes = resident().saturating_sub(before) / N_SCENES as u64;
        println!(
            "{} planes of {per_plane}: {built:.2?} to build with all texts, {split:.1?} for its \
             {} bands, {bytes} bytes a dataset",
            archive.n_planes(),
            cubes.len()
        );
        let plan = |plane: usize, at: usize| {
            let (row, col) = (at * 7 % 60 * 2048, at * 11 % 60 * 2048);
            let window = PixelWindow::new(row..row + 2048, col..col + 2048);
            let start = Instant::now();
            let task = cubes[at % 3]
                .plan_chunk(0, plane, window)
                .expect("in range");
            (start.elapsed().as_secs_f64(), task.reads.len())
        };
        let (first, n) = plan(0, 29);
        println!("  the very first chunk: {:.3} ms, {n} reads", first * 1e3);
        let n_planes = archive.n_planes();
        let report = |what: &str,
                      plane: &dyn Fn(usize) -> usize,
                      chunk: &dyn Fn(usize) -> usize| {
            let times: Vec<(f64, usize)> = (1..200).map(|at| plan(plane(at), chunk(at))).collect();
            let n: usize = times.iter().map(|(_, n)| n).sum();
            let seconds = times.into_iter().map(|(seconds, _)| seconds).collect();
            println!(
                "  {what}: {:.3} ms a chunk, {} reads",
                median(seconds) * 1e3,
                n / 199
            );
        };
        report("chunks of one plane", &|_| 0, &|at| at);
        report(
            "one chunk of many planes",
            &|at| at * 101 % n_planes,
            &|_| 29,
        );
        report("the same again", &|at| at * 101 % n_planes, &|_| 29);
    }
}
