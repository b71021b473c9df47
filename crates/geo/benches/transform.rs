//! What a coordinate costs: PROJ itself, and the ways around it.
//!
//! Times are per pixel where a counter is shown. `proj` is the peer that the
//! others are ratios of.

use datacube_geo::{
    Affine, Approximation, Crs, CrsTransform, GeoBox, GridTransform, PasteRule, PixelWindow,
    ReprojectInfo, Shape2d,
};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// Source grid, destination grid.
fn pair(name: &str) -> (GeoBox, GeoBox) {
    let grid = |rows, cols, affine: [f64; 6], crs| {
        let [a, b, c, d, e, f] = affine;
        let crs = Crs::from_epsg(crs).expect("known");
        GeoBox::new(
            Shape2d::new(rows, cols),
            Affine::new(a, b, c, d, e, f),
            Some(crs),
        )
        .expect("valid")
    };
    let scene = grid(
        7800,
        7700,
        [30.0, 0.0, 600_000.0, 0.0, -30.0, 6_100_000.0],
        32755,
    );
    let dst = match name {
        "same zone" => grid(
            8000,
            8000,
            [25.0, 0.0, 610_000.0, 0.0, -25.0, 6_090_000.0],
            32755,
        ),
        "albers" => grid(
            8000,
            8000,
            [30.0, 0.0, 1_440_000.0, 0.0, -30.0, -3_940_000.0],
            3577,
        ),
        "lonlat" => grid(
            8000,
            9000,
            [0.00027, 0.0, 148.1, 0.0, -0.00027, -35.25],
            4326,
        ),
        other => panic!("{other}"),
    };
    (scene, dst)
}

const PAIRS: &[&str] = &["same zone", "albers", "lonlat"];

fn window() -> PixelWindow {
    PixelWindow::new(2048..4096, 2048..4096)
}

/// Every pixel of 256 x 256 through PROJ.
#[divan::bench(args = ["albers", "lonlat"])]
fn proj(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    let t = CrsTransform::new(dst.crs().expect("a CRS"), src.crs().expect("a CRS"))
        .expect("an operation");
    let (xs, ys): (Vec<f64>, Vec<f64>) = (0..256 * 256)
        .map(|i| {
            let (r, c) = (f64::from(i / 256), f64::from(i % 256));
            let p = dst.affine().apply(datacube_geo::Xy::new(c, r));
            (p.x, p.y)
        })
        .unzip();
    bencher.counter(ItemsCount::new(xs.len())).bench_local(|| {
        let (mut xs, mut ys) = (xs.clone(), ys.clone());
        t.transform(&mut xs, &mut ys).expect("PROJ");
        black_box((xs, ys))
    });
}

fn fill(bencher: Bencher<'_, '_>, t: &GridTransform) {
    let w = window();
    let n = w.cols.len();
    let (mut xs, mut ys) = (vec![0.0; n], vec![0.0; n]);
    bencher
        .counter(ItemsCount::new(w.pixels()))
        .bench_local(|| {
            let positions = t.window(&w).expect("inside");
            for row in w.rows.clone() {
                positions.fill_row(row, w.cols.clone(), &mut xs, &mut ys);
                black_box((&mut xs, &mut ys));
            }
        });
}

/// A chunk of 2048 x 2048, nodes and all.
#[divan::bench(args = PAIRS)]
fn lattice(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    fill(
        bencher,
        &GridTransform::new(&dst, &src).expect("an operation"),
    );
}

/// The same chunk as GDAL has it.
#[divan::bench(args = PAIRS)]
fn gdal(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    let info = ReprojectInfo::new(&src, &dst, PasteRule::NEAREST).expect("an operation");
    assert!(matches!(
        info.transform().approximation(),
        Approximation::Gdal { .. }
    ));
    fill(bencher, info.transform());
}

/// Reading positions that are ready.
#[divan::bench(args = PAIRS)]
fn fill_rows(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    let t = GridTransform::new(&dst, &src).expect("an operation");
    let w = window();
    let positions = t.window(&w).expect("inside");
    let n = w.cols.len();
    let (mut xs, mut ys) = (vec![0.0; n], vec![0.0; n]);
    bencher
        .counter(ItemsCount::new(w.pixels()))
        .bench_local(|| {
            for row in w.rows.clone() {
                positions.fill_row(row, w.cols.clone(), &mut xs, &mut ys);
                black_box((&mut xs, &mut ys));
            }
        });
}

/// The decision for one source.
#[divan::bench(args = PAIRS)]
fn reproject_info(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    bencher.bench_local(|| ReprojectInfo::new(black_box(&src), &dst, PasteRule::NEAREST));
}

/// A chunk's part of one source.
#[divan::bench(args = PAIRS)]
fn restrict(bencher: Bencher<'_, '_>, name: &str) {
    let (src, dst) = pair(name);
    let info = ReprojectInfo::new(&src, &dst, PasteRule::KERNEL).expect("an operation");
    let w = window();
    bencher.bench_local(|| info.restrict(black_box(&w), 2));
}
