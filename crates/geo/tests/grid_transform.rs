//! Where the pixels of one grid lie in another: the bound of the error, GDAL's
//! positions, and that the window asked for changes nothing.

use datacube_geo::{
    Affine, Anchor, Approximation, BoundingBox, Crs, GeoBox, GridTransform, PixelWindow,
    Resolution, Shape2d, Xy,
};
use ndarray::{Array1, Array3};
use ndarray_npy::NpzReader;
use proptest::prelude::*;
use std::path::PathBuf;

const SINUSOIDAL: &str = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs";

fn crs(text: &str) -> Crs {
    Crs::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn grid(rows: usize, cols: usize, affine: [f64; 6], text: &str) -> GeoBox {
    let [a, b, c, d, e, f] = affine;
    GeoBox::new(
        Shape2d::new(rows, cols),
        Affine::new(a, b, c, d, e, f),
        Some(crs(text)),
    )
    .expect("valid")
}

/// Positions of a window, x and y, row by row.
fn positions(t: &GridTransform, window: &PixelWindow) -> (Vec<f64>, Vec<f64>) {
    let positions = t.window(window).expect("inside");
    let n = window.cols.len();
    let (mut xs, mut ys) = (vec![0.0; window.pixels()], vec![0.0; window.pixels()]);
    for (i, row) in window.rows.clone().enumerate() {
        let out = i * n..(i + 1) * n;
        positions.fill_row(row, window.cols.clone(), &mut xs[out.clone()], &mut ys[out]);
    }
    (xs, ys)
}

fn bits(v: &[f64]) -> Vec<u64> {
    v.iter().map(|v| v.to_bits()).collect()
}

/// The largest error against the exact map; NaN must be where NaN is.
fn worst(t: &GridTransform, window: &PixelWindow) -> f64 {
    let exact = GridTransform::exact(t.dst(), t.src()).expect("an operation");
    let (ax, ay) = positions(t, window);
    let (ex, ey) = positions(&exact, window);
    let mut worst = 0.0f64;
    for i in 0..ax.len() {
        assert_eq!(ax[i].is_nan(), ex[i].is_nan(), "pixel {i} of {window}");
        assert_eq!(ay[i].is_nan(), ey[i].is_nan(), "pixel {i} of {window}");
        if !ex[i].is_nan() {
            worst = worst.max((ax[i] - ex[i]).abs()).max((ay[i] - ey[i]).abs());
        }
    }
    worst
}

type Range = (f64, f64);

/// Pairs of CRSs, and where on the ground (lon, lat) both are at home.
const PAIRS: &[(&str, &str, Range, Range)] = &[
    ("EPSG:5070", "EPSG:32618", (-80.0, -70.0), (30.0, 45.0)),
    ("EPSG:3577", "EPSG:32755", (140.0, 155.0), (-42.0, -12.0)),
    ("EPSG:4326", "EPSG:32633", (10.0, 20.0), (0.0, 70.0)),
    ("EPSG:32655", "EPSG:32654", (138.0, 147.0), (0.0, 60.0)),
    ("EPSG:3031", "EPSG:4326", (-170.0, 170.0), (-85.0, -62.0)),
    ("EPSG:4326", "EPSG:3031", (-170.0, 170.0), (-85.0, -62.0)),
    ("EPSG:3413", "EPSG:32633", (10.0, 20.0), (62.0, 82.0)),
    ("EPSG:3577", SINUSOIDAL, (120.0, 150.0), (-40.0, -12.0)),
    (SINUSOIDAL, "EPSG:4326", (-60.0, 60.0), (-60.0, 60.0)),
    ("EPSG:6933", "EPSG:3857", (-160.0, 160.0), (-70.0, 70.0)),
];

/// A grid of `pixels` metres around a point.
fn around(text: &str, lon: f64, lat: f64, pixel_m: f64, shape: Shape2d) -> GeoBox {
    let crs = crs(text);
    let t = datacube_geo::CrsTransform::new(&Crs::wgs84(), &crs).expect("an operation");
    let centre = t.point(Xy::new(lon, lat)).expect("PROJ").expect("at home");
    let size = pixel_m / crs.unit_in_metres();
    let affine = Affine::new(
        size,
        0.0,
        centre.x - size * shape.cols as f64 / 2.0,
        0.0,
        -size,
        centre.y + size * shape.rows as f64 / 2.0,
    );
    GeoBox::new(shape, affine, Some(crs)).expect("valid")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The lattice keeps its bound, at any pixel size, tolerance and window.
    #[test]
    fn the_lattice_keeps_its_bound(
        pair in 0..PAIRS.len(),
        (u, v) in (0.0..1.0f64, 0.0..1.0f64),
        log_pixel in 1.0..4.5f64,
        log_zoom in -0.7..0.7f64,
        log_tolerance in -4.0..-1.0f64,
        (row, col) in (0usize..700, 0usize..700),
        (rows, cols) in (1usize..150, 1usize..150),
    ) {
        let (to, from, lons, lats) = PAIRS[pair];
        let lon = lons.0 + (lons.1 - lons.0) * u;
        let lat = lats.0 + (lats.1 - lats.0) * v;
        // No larger than the ground where both CRSs are defined.
        let pixel = 10f64.powf(log_pixel).min(2000.0);
        let dst = around(to, lon, lat, pixel, Shape2d::new(850, 850));
        let src = around(from, lon, lat, pixel * 10f64.powf(log_zoom), Shape2d::new(900, 900));
        let tolerance_px = 10f64.powf(log_tolerance);
        let t = GridTransform::with(&dst, &src, Approximation::Lattice { tolerance_px })
            .expect("an operation");
        let window = PixelWindow::new(row..row + rows, col..col + cols);
        let worst = worst(&t, &window);
        prop_assert!(worst <= tolerance_px, "{worst} > {tolerance_px} px: {dst} / {src}");
    }

    /// Any window gives the numbers that the whole grid gives, in every mode.
    #[test]
    fn the_window_changes_nothing(
        pair in 0..PAIRS.len(),
        (u, v) in (0.0..1.0f64, 0.0..1.0f64),
        log_pixel in 1.0..4.0f64,
        mode in 0..3usize,
        (row, col) in (0usize..250, 0usize..350),
        (rows, cols) in (1usize..60, 1usize..60),
    ) {
        let (to, from, lons, lats) = PAIRS[pair];
        let lon = lons.0 + (lons.1 - lons.0) * u;
        let lat = lats.0 + (lats.1 - lats.0) * v;
        let pixel = 10f64.powf(log_pixel);
        let dst = around(to, lon, lat, pixel, Shape2d::new(310, 410));
        let src = around(from, lon, lat, pixel, Shape2d::new(300, 400));
        let t = match mode {
            0 => GridTransform::new(&dst, &src),
            1 => GridTransform::exact(&dst, &src),
            _ => GridTransform::gdal(&dst, &src, PixelWindow::new(20..300, 30..380)),
        }.expect("an operation");
        let full = PixelWindow::full(dst.shape());
        let (fx, fy) = positions(&t, &full);
        let window = PixelWindow::new(row..row + rows, col..col + cols);
        let (wx, wy) = positions(&t, &window);
        for (i, r) in window.rows.clone().enumerate() {
            let whole = r * 410 + col..r * 410 + col + cols;
            let part = i * cols..(i + 1) * cols;
            prop_assert_eq!(bits(&wx[part.clone()]), bits(&fx[whole.clone()]));
            prop_assert_eq!(bits(&wy[part]), bits(&fy[whole]));
        }
    }
}

/// A segment of a row gives what the row gives.
#[test]
fn a_segment_is_a_part_of_its_row() {
    let src = around("EPSG:32633", 15.0, 50.0, 3000.0, Shape2d::new(300, 300));
    let dst = around("EPSG:4326", 15.0, 50.0, 3000.0, Shape2d::new(300, 300));
    for t in [
        GridTransform::new(&dst, &src).expect("an operation"),
        GridTransform::gdal(&dst, &src, PixelWindow::full(dst.shape())).expect("an operation"),
    ] {
        let w = t.window(&PixelWindow::full(dst.shape())).expect("inside");
        let (mut xs, mut ys) = ([0.0; 300], [0.0; 300]);
        let (mut x, mut y) = ([0.0; 300], [0.0; 300]);
        for row in [0, 17, 127, 128, 299] {
            w.fill_row(row, 0..300, &mut xs, &mut ys);
            for (start, end) in [
                (0, 1),
                (5, 130),
                (127, 129),
                (130, 300),
                (299, 300),
                (40, 40),
            ] {
                let n = end - start;
                w.fill_row(row, start..end, &mut x[..n], &mut y[..n]);
                assert_eq!(bits(&x[..n]), bits(&xs[start..end]));
                assert_eq!(bits(&y[..n]), bits(&ys[start..end]));
            }
        }
    }
}

#[test]
fn threads_give_the_same_bits() {
    let src = around("EPSG:32755", 147.0, -35.0, 30.0, Shape2d::new(2000, 2000));
    let dst = around("EPSG:3577", 147.0, -35.0, 30.0, Shape2d::new(1024, 1024));
    let t = GridTransform::new(&dst, &src).expect("an operation");
    let windows: Vec<PixelWindow> = (0..16)
        .map(|i| PixelWindow::new(64 * i..64 * (i + 1), 0..1024))
        .collect();
    let alone: Vec<_> = windows.iter().map(|w| positions(&t, w)).collect();
    let together: Vec<_> = std::thread::scope(|s| {
        let t = &t;
        let handles: Vec<_> = windows
            .iter()
            .map(|w| s.spawn(move || positions(t, w)))
            .collect();
        handles
            .into_iter()
            .map(|h| h.join().expect("no panic"))
            .collect()
    });
    for (a, b) in alone.iter().zip(&together) {
        assert_eq!(bits(&a.0), bits(&b.0));
        assert_eq!(bits(&a.1), bits(&b.1));
    }
}

/// GDAL's own positions, read off a warped ramp (see make.py there).
#[test]
fn gdal_positions_are_gdals() {
    let file = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/fixtures/approx_transform/positions.npz"
    ));
    let mut npz = NpzReader::new(std::fs::File::open(&file).expect("the fixture")).expect("npz");
    let mut load = |name: String| -> Array1<f64> { npz.by_name(&name).expect("an array") };
    let flat = |v: &Array1<f64>| {
        let n = |i: usize| v[i];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let shape = (n(0) as usize, n(1) as usize);
        grid(
            shape.0,
            shape.1,
            [n(2), n(3), n(4), n(5), n(6), n(7)],
            &format!("{}", n(8)),
        )
    };
    let names = ["albers", "lonlat", "albers_30", "next_zone", "part"];
    let grids: Vec<(GeoBox, GeoBox)> = names
        .iter()
        .map(|n| {
            (
                flat(&load(format!("{n}:src"))),
                flat(&load(format!("{n}:dst"))),
            )
        })
        .collect();
    for (name, (src, dst)) in names.iter().zip(&grids) {
        let rows: Array1<i64> = npz.by_name(&format!("{name}:rows")).expect("rows");
        let approx: Array3<f64> = npz.by_name(&format!("{name}:approx")).expect("positions");
        let exact: Array3<f64> = npz.by_name(&format!("{name}:exact")).expect("positions");
        let full = PixelWindow::full(dst.shape());
        let gdal = GridTransform::gdal(dst, src, full).expect("an operation");
        let mut compared = 0;
        for (t, want) in [
            (gdal, approx),
            (
                GridTransform::exact(dst, src).expect("an operation"),
                exact.clone(),
            ),
            (GridTransform::new(dst, src).expect("an operation"), exact),
        ] {
            // Interpolating a ramp is not exact in the last bits either.
            let limit = match t.approximation() {
                Approximation::Lattice { tolerance_px } => *tolerance_px,
                _ => 1e-8,
            };
            for (i, row) in rows.iter().enumerate() {
                let row = usize::try_from(*row).expect("a row");
                let (xs, ys) = positions(&t, &PixelWindow::new(row..row + 1, 0..dst.cols()));
                for col in 0..dst.cols() {
                    let (x, y) = (want[[0, i, col]], want[[1, i, col]]);
                    if x.is_nan() {
                        continue;
                    }
                    compared += 1;
                    let off = (xs[col] - x).abs().max((ys[col] - y).abs());
                    assert!(off <= limit, "{name} ({row}, {col}): {off} px off");
                }
            }
        }
        assert!(compared > 500, "{name}: {compared}");
    }
}

/// Grids of one CRS: one affine, no PROJ, no error.
#[test]
fn one_crs_is_one_affine() {
    let src = grid(100, 100, [30.0, 0.0, 6e5, 0.0, -30.0, 6e6], "EPSG:32755");
    let dst = grid(
        50,
        50,
        [60.0, 4.0, 6e5 + 10.0, -3.0, -61.0, 6e6],
        "EPSG:32755",
    );
    let t = GridTransform::new(&dst, &src).expect("same CRS");
    assert!(t.linear().is_some());
    assert!(worst(&t, &PixelWindow::full(dst.shape())) < 1e-9);
    // Neither grid has a CRS: the same.
    let bare = |g: &GeoBox| GeoBox::new(g.shape(), *g.affine(), None).expect("valid");
    let t = GridTransform::new(&bare(&dst), &bare(&src)).expect("no CRS");
    assert!(t.linear().is_some());
    assert!(
        GridTransform::new(&bare(&dst), &src).is_err(),
        "one without a CRS"
    );
}

/// A destination over the antimeridian finds a source on either side of it, and
/// one that has the whole world.
#[test]
fn longitudes_meet_across_the_antimeridian() {
    let dst = grid(40, 200, [0.02, 0.0, 178.0, 0.0, -0.02, -16.0], "EPSG:4326");
    let west = grid(40, 60, [0.02, 0.0, 178.5, 0.0, -0.02, -16.0], "EPSG:4326");
    let east = grid(40, 60, [0.02, 0.0, -179.8, 0.0, -0.02, -16.0], "EPSG:4326");
    let world = grid(900, 1800, [0.2, 0.0, -180.0, 0.0, -0.2, 90.0], "EPSG:4326");
    let col = |src: &GeoBox, dst_col: f64| {
        let t = GridTransform::new(&dst, src).expect("an operation");
        t.point(Xy::new(dst_col, 0.5))
            .expect("PROJ")
            .expect("projects")
            .x
    };
    assert!(
        (col(&west, 25.0) - 0.0).abs() < 1e-6,
        "178.5 E is its first column"
    );
    assert!(
        (col(&east, 110.0) - 0.0).abs() < 1e-6,
        "180.2 E is its first column"
    );
    assert!((col(&world, 50.0) - 1795.0).abs() < 1e-6, "179 E");
    assert!((col(&world, 150.0) - 5.0).abs() < 1e-6, "181 E is 179 W");
    // The seam is exact in the lattice too.
    let t = GridTransform::new(&dst, &world).expect("an operation");
    assert!(worst(&t, &PixelWindow::full(dst.shape())) < 1e-6);
    // And from another CRS: UTM zone 60 reaches over the antimeridian.
    let utm = grid(
        300,
        300,
        [1000.0, 0.0, 600_000.0, 0.0, -1000.0, 8_200_000.0],
        "EPSG:32760",
    );
    let t = GridTransform::new(&utm, &east).expect("an operation");
    let p = t
        .point(Xy::new(260.0, 50.0))
        .expect("PROJ")
        .expect("projects");
    assert!(p.x > 0.0 && p.x < 200.0, "{p}");
    for src in [&west, &east, &world] {
        let t = GridTransform::new(&utm, src).expect("an operation");
        assert!(worst(&t, &PixelWindow::full(utm.shape())) <= 0.002);
    }
}

/// What does not project is NaN, in the same pixels as exactly.
#[test]
fn outside_of_the_projection_is_nan() {
    // The earth from a geostationary orbit: a disc in a square.
    let disc = grid(
        550,
        550,
        [20_000.0, 0.0, -5.5e6, 0.0, -20_000.0, 5.5e6],
        "+proj=geos +h=35785831 +lon_0=140.7 +sweep=y +ellps=WGS84 +units=m",
    );
    let world = grid(
        720,
        1440,
        [0.25, 0.0, -180.0, 0.0, -0.25, 90.0],
        "EPSG:4326",
    );
    for (dst, src) in [(&disc, &world), (&world, &disc)] {
        let t = GridTransform::new(dst, src).expect("an operation");
        let (xs, _) = positions(&t, &PixelWindow::full(dst.shape()));
        let share = xs.iter().filter(|x| x.is_nan()).count() as f64 / xs.len() as f64;
        assert!(
            (0.05..0.9).contains(&share),
            "{share} of the pixels are outside"
        );
        let worst = worst(&t, &PixelWindow::full(dst.shape()));
        assert!(worst <= 0.002, "{worst}");
    }
}

#[test]
fn poles_are_within_the_bound() {
    let south = grid(
        800,
        800,
        [10_000.0, 0.0, -4e6, 0.0, -10_000.0, 4e6],
        "EPSG:3031",
    );
    let world = grid(1800, 3600, [0.1, 0.0, -180.0, 0.0, -0.1, 90.0], "EPSG:4326");
    let t = GridTransform::new(&south, &world).expect("an operation");
    let around_the_pole = PixelWindow::new(380..420, 380..420);
    assert!(worst(&t, &around_the_pole) <= 0.002);
    let bottom = PixelWindow::new(1700..1800, 0..300);
    let t = GridTransform::new(&world, &south).expect("an operation");
    assert!(worst(&t, &bottom) <= 0.002);
}

#[test]
fn serde_keeps_the_numbers() {
    let src = around("EPSG:32755", 147.0, -35.0, 30.0, Shape2d::new(200, 200));
    let dst = around("EPSG:3577", 147.0, -35.0, 30.0, Shape2d::new(200, 200));
    let t = GridTransform::gdal(&dst, &src, PixelWindow::new(3..180, 5..170)).expect("fine");
    let mut bytes = Vec::new();
    ciborium::into_writer(&t, &mut bytes).expect("CBOR");
    let back: GridTransform = ciborium::from_reader(bytes.as_slice()).expect("CBOR");
    assert_eq!(back, t);
    let full = PixelWindow::full(dst.shape());
    assert_eq!(
        bits(&positions(&back, &full).0),
        bits(&positions(&t, &full).0)
    );
}

#[test]
fn nonsense_is_refused() {
    let src = around("EPSG:32755", 147.0, -35.0, 30.0, Shape2d::new(20, 20));
    for tolerance_px in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(GridTransform::with(&src, &src, Approximation::Lattice { tolerance_px }).is_err());
    }
    let t = GridTransform::new(&src, &src).expect("same");
    assert!(t.window(&PixelWindow::new(0..21, 0..1)).is_err());
    assert!(t.window(&PixelWindow::new(5..5, 0..1)).is_ok(), "empty");
    let bbox = BoundingBox::new(0.0, 0.0, 1.0, 1.0);
    let far = GeoBox::from_bbox(
        bbox,
        Some(crs("EPSG:32618")),
        Resolution::square(0.1),
        Anchor::Edge,
    );
    let t = GridTransform::new(&far.expect("valid"), &src).expect("an operation");
    assert!(t.window(&PixelWindow::new(0..10, 0..10)).is_ok());
}
