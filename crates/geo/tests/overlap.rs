//! How a raster meets a grid: windows that lose nothing, ODC's scale and
//! anchor, and pastes that are exact.

use datacube_geo::{
    Affine, Crs, GeoBox, GridTransform, PasteRule, PixelWindow, ReprojectInfo, Shape2d, Tie, Xy,
};
use proptest::prelude::*;
use serde_json::Value;

fn grid(rows: usize, cols: usize, affine: [f64; 6], crs: &str) -> GeoBox {
    let [a, b, c, d, e, f] = affine;
    let crs = Crs::parse(crs).unwrap_or_else(|e| panic!("{crs}: {e}"));
    GeoBox::new(
        Shape2d::new(rows, cols),
        Affine::new(a, b, c, d, e, f),
        Some(crs),
    )
    .expect("valid")
}

fn info(src: &GeoBox, dst: &GeoBox, rule: PasteRule) -> ReprojectInfo {
    ReprojectInfo::new(src, dst, rule).expect("an operation")
}

/// Source positions of all pixel centres of the destination, row by row.
fn all_positions(t: &GridTransform) -> Vec<Xy> {
    let full = PixelWindow::full(t.dst().shape());
    let positions = t.window(&full).expect("inside");
    let n = full.cols.len();
    let (mut xs, mut ys) = (vec![0.0; n], vec![0.0; n]);
    let mut out = Vec::with_capacity(full.pixels());
    for row in full.rows {
        positions.fill_row(row, 0..n, &mut xs, &mut ys);
        out.extend(xs.iter().zip(&ys).map(|(x, y)| Xy::new(*x, *y)));
    }
    out
}

/// The source pixel that a position is in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "inside of the source"
)]
fn pixel_at(p: Xy, src: Shape2d) -> Option<(usize, usize)> {
    let inside = p.x >= 0.0 && p.y >= 0.0 && p.x < src.cols as f64 && p.y < src.rows as f64;
    inside.then_some((p.y as usize, p.x as usize))
}

/// No pixel of the destination that has a source is outside of the windows, of
/// the whole and of any part.
fn check_windows(src: &GeoBox, dst: &GeoBox, part: &PixelWindow) -> usize {
    let info = info(src, dst, PasteRule::Never);
    let exact = GridTransform::exact(dst, src).expect("an operation");
    let restricted = [0, 3].map(|pad| info.restrict(part, pad).expect("PROJ"));
    let mut n = 0;
    for positions in [all_positions(&exact), all_positions(info.transform())] {
        for (i, p) in positions.iter().enumerate() {
            let (row, col) = (i / dst.cols(), i % dst.cols());
            let Some((r, c)) = pixel_at(*p, src.shape()) else {
                continue;
            };
            n += 1;
            let at = format!("({row}, {col}) -> {p}, {dst} / {src}");
            assert!(
                info.dst_window.contains_pixel(row, col),
                "{} lacks {at}",
                info.dst_window
            );
            assert!(
                info.src_window.contains_pixel(r, c),
                "{} lacks {at}",
                info.src_window
            );
            if part.contains_pixel(row, col) {
                assert!(
                    restricted[0].contains_pixel(r, c),
                    "{} lacks {at}",
                    restricted[0]
                );
                let near = PixelWindow::new(r..r + 1, c..c + 1).pad(3, src.shape());
                assert!(
                    restricted[1].contains(&near),
                    "{} lacks {near}: {at}",
                    restricted[1]
                );
            }
        }
    }
    n
}

const SINUSOIDAL: &str = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs";

type Range = (f64, f64);

const PAIRS: &[(&str, &str, Range, Range)] = &[
    ("EPSG:5070", "EPSG:32618", (-80.0, -70.0), (30.0, 45.0)),
    ("EPSG:3577", "EPSG:32755", (140.0, 155.0), (-42.0, -12.0)),
    ("EPSG:4326", "EPSG:32633", (10.0, 20.0), (0.0, 70.0)),
    ("EPSG:4326", "EPSG:32660", (176.0, 180.0), (-60.0, 60.0)),
    ("EPSG:32701", "EPSG:4326", (-180.0, -176.0), (-70.0, -5.0)),
    ("EPSG:3031", "EPSG:4326", (-180.0, 180.0), (-90.0, -62.0)),
    ("EPSG:4326", "EPSG:3031", (-180.0, 180.0), (-90.0, -62.0)),
    ("EPSG:3413", "EPSG:32633", (10.0, 20.0), (62.0, 83.0)),
    (SINUSOIDAL, "EPSG:4326", (-170.0, 170.0), (-80.0, 80.0)),
    ("EPSG:32633", "EPSG:32633", (10.0, 20.0), (0.0, 70.0)),
    ("EPSG:4326", "EPSG:4326", (-180.0, 180.0), (-70.0, 70.0)),
];

/// A turned grid around a point; pixels of `pixel_m` metres or so.
fn around(crs: &str, centre: Xy, pixel_m: f64, turn: f64, shape: Shape2d) -> GeoBox {
    let crs = Crs::parse(crs).expect("a CRS");
    let t = datacube_geo::CrsTransform::new(&Crs::wgs84(), &crs).expect("an operation");
    let p = t.point(centre).expect("PROJ").expect("at home");
    let size = pixel_m / crs.unit_in_metres();
    let affine = Affine::new(
        size,
        0.0,
        p.x - size * shape.cols as f64 / 2.0,
        0.0,
        -size,
        p.y + size * shape.rows as f64 / 2.0,
    );
    GeoBox::new(shape, affine, Some(crs))
        .expect("valid")
        .rotate(turn)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn windows_lose_nothing(
        pair in 0..PAIRS.len(),
        (u, v) in (0.0..1.0f64, 0.0..1.0f64),
        (du, dv) in (-0.6..0.6f64, -0.6..0.6f64),
        log_pixel in 1.5..4.3f64,
        log_zoom in -1.0..1.0f64,
        turn in prop_oneof![Just(0.0), -30.0..30.0f64],
        (row, col) in (0usize..60, 0usize..70),
        (rows, cols) in (1usize..30, 1usize..30),
    ) {
        let (to, from, lons, lats) = PAIRS[pair];
        let centre = Xy::new(
            lons.0 + (lons.1 - lons.0) * u,
            (lats.0 + (lats.1 - lats.0) * v).clamp(-89.99, 89.99),
        );
        let pixel = 10f64.powf(log_pixel);
        let dst = around(to, centre, pixel, 0.0, Shape2d::new(90, 100));
        // Somewhere on, half on or beside the destination.
        let off = pixel * 100.0 / 111_000.0;
        let near = Xy::new(centre.x + du * off, (centre.y + dv * off).clamp(-89.99, 89.99));
        let src = around(from, near, pixel * 10f64.powf(log_zoom), turn, Shape2d::new(80, 70));
        check_windows(&src, &dst, &PixelWindow::new(row..row + rows, col..col + cols));
    }

    /// What is pasted is what nearest would have, on every pixel; what a kernel
    /// pastes is within its tolerance, on every pixel.
    #[test]
    fn pastes_are_exact(
        (tx, ty) in (-60.0..60.0f64, -60.0..60.0f64),
        fraction in prop_oneof![Just(None), Just(Some(0.5)), Just(Some(0.0)), Just(Some(0.009))],
        drift in prop_oneof![Just(0.0), -1e-3..1e-3f64, -1e-5..1e-5f64],
        kernel in any::<bool>(),
    ) {
        let src = grid(70, 80, [30.0, 0.0, 6e5, 0.0, -30.0, 6e6], "EPSG:32755");
        let (tx, ty) = match fraction {
            None => (tx, ty),
            Some(f) => (tx.round() + f, ty.round() + f),
        };
        let zoom = Affine::scale(1.0 + drift, 1.0 + drift);
        let affine = *src.affine() * Affine::translation(tx, ty) * zoom;
        let dst = GeoBox::new(Shape2d::new(90, 75), affine, src.crs().cloned()).expect("valid");
        let rule = if kernel { PasteRule::KERNEL } else { PasteRule::Nearest(Tie::UpLeft) };
        let info = info(&src, &dst, rule);
        let Some(paste) = &info.paste else {
            // Without drift nearest is always a paste, and a kernel when nothing moves.
            prop_assert!(drift != 0.0 || (kernel && fraction != Some(0.0)));
            return Ok(());
        };
        prop_assert_eq!(&info.dst_window, &paste.dst_window);
        let exact = GridTransform::exact(&dst, &src).expect("same CRS");
        let mut pasted = 0;
        for (i, p) in all_positions(&exact).iter().enumerate() {
            let (row, col) = (i / dst.cols(), i % dst.cols());
            let inside = paste.dst_window.contains_pixel(row, col);
            if inside {
                pasted += 1;
                let w = PixelWindow::new(row..row + 1, col..col + 1);
                let from = paste.src_of(&w);
                prop_assert_eq!(info.restrict(&w, 0).expect("no PROJ"), from.clone());
                let centre = Xy::new(from.cols.start as f64 + 0.5, from.rows.start as f64 + 0.5);
                let off = (p.x - centre.x).abs().max((p.y - centre.y).abs());
                let limit = if kernel { 0.01 } else { 0.5 };
                prop_assert!(off <= limit + 1e-6, "({}, {}): {}", row, col, off);
            } else if let Some((r, c)) = pixel_at(Xy::new(p.x - 1e-3, p.y - 1e-3), src.shape()) {
                // But for ties, all that has a source is pasted.
                let tie = |v: f64| (v - v.round()).abs() < 2e-3;
                prop_assert!(tie(p.x) || tie(p.y), "({}, {}) has ({}, {})", row, col, r, c);
            }
        }
        prop_assert_eq!(pasted, paste.dst_window.pixels());
    }
}

#[test]
fn far_larger_and_far_away() {
    let scene = grid(
        60,
        70,
        [3000.0, 0.0, 3e5, 0.0, -3000.0, 6.2e6],
        "EPSG:32755",
    );
    // A world of a degree a pixel: much does not project.
    let world = grid(180, 360, [1.0, 0.0, -180.0, 0.0, -1.0, 90.0], "EPSG:4326");
    let part = PixelWindow::new(120..130, 300..340);
    assert!(check_windows(&scene, &world, &part) > 0);
    let i = info(&scene, &world, PasteRule::Never);
    assert!(
        i.dst_window.pixels() < 100,
        "only what is touched: {}",
        i.dst_window
    );
    assert!(check_windows(&world, &scene, &PixelWindow::new(5..9, 3..30)) > 0);

    let elsewhere = grid(
        60,
        70,
        [3000.0, 0.0, 3e5, 0.0, -3000.0, 2.2e6],
        "EPSG:32618",
    );
    let i = info(&scene, &elsewhere, PasteRule::Never);
    assert!(i.is_empty() && i.src_window.is_empty() && i.dst_window.is_empty());
    assert!(i.paste.is_none() && i.read_shrink() == 1);
    assert!(
        i.restrict(&PixelWindow::full(elsewhere.shape()), 5)
            .expect("PROJ")
            .is_empty()
    );
}

#[test]
fn around_poles_and_over_the_antimeridian() {
    let full = |g: &GeoBox| PixelWindow::full(g.shape());
    let world = grid(180, 360, [1.0, 0.0, -180.0, 0.0, -1.0, 90.0], "EPSG:4326");
    // Around the pole, the pole off the centre.
    let polar = grid(
        80,
        80,
        [50_000.0, 0.0, -1e6, 0.0, -50_000.0, 2.5e6],
        "EPSG:3031",
    );
    assert!(check_windows(&polar, &world, &PixelWindow::new(150..180, 0..360)) > 1000);
    assert!(check_windows(&world, &polar, &full(&polar)) > 1000);
    assert!(check_windows(&polar, &world, &PixelWindow::new(170..175, 10..15)) > 0);
    // UTM zone 60 over the antimeridian, onto grids on either side and across.
    let utm = grid(
        80,
        90,
        [10_000.0, 0.0, 2e5, 0.0, -10_000.0, 8.4e6],
        "EPSG:32760",
    );
    let across = grid(90, 160, [0.1, 0.0, 172.0, 0.0, -0.1, -13.0], "EPSG:4326");
    for dst in [&world, &across] {
        assert!(check_windows(&utm, dst, &full(dst)) > 0);
        assert!(check_windows(dst, &utm, &PixelWindow::new(10..40, 50..90)) > 0);
    }
    // A source that was cut at the antimeridian, and one that goes on past it.
    let west = grid(90, 40, [0.1, 0.0, -180.0, 0.0, -0.1, -13.0], "EPSG:4326");
    assert!(check_windows(&west, &across, &full(&across)) > 0);
    assert!(check_windows(&across, &west, &full(&west)) > 0);
    assert!(check_windows(&across, &world, &full(&world)) > 0);
    assert!(check_windows(&world, &across, &PixelWindow::new(3..50, 40..120)) > 0);
    // A disc: the corners of the source have no place on the ground.
    let disc = grid(
        110,
        110,
        [100_000.0, 0.0, -5.5e6, 0.0, -100_000.0, 5.5e6],
        "+proj=geos +h=35785831 +lon_0=140.7 +sweep=y +ellps=WGS84 +units=m",
    );
    assert!(check_windows(&disc, &world, &PixelWindow::new(20..60, 300..350)) > 1000);
    assert!(check_windows(&world, &disc, &PixelWindow::new(0..30, 30..60)) > 1000);
}

fn flat(json: &Value) -> GeoBox {
    let n = |i: usize| json[i].as_f64().expect("a number");
    let size = |i: usize| usize::try_from(json[i].as_u64().expect("a size")).expect("small");
    let crs = json[8].as_str().expect("a CRS");
    grid(size(0), size(1), [n(2), n(3), n(4), n(5), n(6), n(7)], crs)
}

/// odc-geo's answers (fixtures/overlap/make.py): the same anchor, scale and
/// shrink; the same pastes where ours may be exact.
#[test]
fn answers_of_odc_geo() {
    let fixture: Value =
        serde_json::from_str(include_str!("fixtures/overlap/overlap.json")).expect("JSON");
    let cases = fixture["cases"].as_array().expect("a list");
    assert!(cases.len() > 25);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let (src, dst) = (flat(&case["src"]), flat(&case["dst"]));
        let window = |key: &str| {
            let n = |i: usize| usize::try_from(case[key][i].as_u64().expect("n")).expect("small");
            PixelWindow::new(n(0)..n(1), n(2)..n(3))
        };
        let nearest = info(&src, &dst, PasteRule::NEAREST);
        let kernel = info(&src, &dst, PasteRule::KERNEL);
        let (src_roi, dst_roi) = (window("src_roi"), window("dst_roi"));
        if dst_roi.is_empty() {
            assert!(nearest.is_empty() && kernel.is_empty(), "{name}");
            continue;
        }
        for (i, scale) in [nearest.scale.x, nearest.scale.y].iter().enumerate() {
            let want = case["scale"][i].as_f64().expect("a scale");
            assert!(
                (scale - want).abs() < 1e-6 * want,
                "{name}: {scale} not {want}"
            );
        }
        assert_eq!(
            Some(nearest.read_shrink() as u64),
            case["read_shrink"].as_u64(),
            "{name}"
        );
        // We paste at scale 1 only; a decimated read is not what any kernel does.
        let scale_one = nearest.read_shrink() == 1;
        let odc = |key: &str| case["paste"][key].as_bool().expect("a bool") && scale_one;
        assert_eq!(nearest.paste.is_some(), odc("nearest"), "{name}");
        assert_eq!(kernel.paste.is_some(), odc("kernel"), "{name}");
        if odc("nearest") {
            let paste = nearest.paste.as_ref().expect("a paste");
            assert_eq!(paste.dst_window, dst_roi, "{name}");
            assert_eq!(paste.src_window(), src_roi, "{name}");
        } else if nearest.linear_apart_from_scale() {
            assert_eq!(nearest.anchor, dst_roi, "{name}");
            // ODC's five points a side may miss a bulge, never the other way.
            let all = nearest.dst_window.pad(1, dst.shape());
            assert!(all.contains(&dst_roi), "{name}: {all} / {dst_roi}");
            assert!(
                nearest.src_window.pad(2, src.shape()).contains(&src_roi),
                "{name}"
            );
        }
    }
}

/// Not pasted at a whole scale by ODC either, so that it computed the window as
/// we compute the anchor.
trait Comparable {
    fn linear_apart_from_scale(&self) -> bool;
}

impl Comparable for ReprojectInfo {
    fn linear_apart_from_scale(&self) -> bool {
        !(self.is_linear() && self.read_shrink() > 1)
    }
}

#[test]
fn ties_go_as_odc_sends_them_or_always_up_left() {
    let src = grid(100, 110, [30.0, 0.0, 6e5, 0.0, -30.0, 6e6], "EPSG:32755");
    let offset = |tx: f64, ty: f64, tie: Tie| {
        let dst = src.translate(tx, ty);
        let info = info(&src, &dst, PasteRule::Nearest(tie));
        let paste = info.paste.expect("nearest pastes any shift");
        let hidden = paste.hidden_shift;
        (paste.offset.x, paste.offset.y, hidden.x, hidden.y)
    };
    assert_eq!(offset(10.5, 20.5, Tie::UpLeft), (10, 20, 0.5, 0.5));
    assert_eq!(offset(-10.5, -20.5, Tie::UpLeft), (-11, -21, 0.5, 0.5));
    assert_eq!(offset(10.5, 20.5, Tie::Odc), (10, 20, 0.5, 0.5));
    assert_eq!(offset(-10.5, -20.5, Tie::Odc), (-10, -20, -0.5, -0.5));
    // Rounding does not decide a tie.
    let (x, y, ..) = offset(10.5 + 1e-9, 20.5 - 1e-9, Tie::UpLeft);
    assert_eq!((x, y), (10, 20));
    let (x, y, ..) = offset(-10.5 + 1e-9, -20.5 - 1e-9, Tie::Odc);
    assert_eq!((x, y), (-10, -20));
    let (x, y, hx, hy) = offset(3.25, -3.25, Tie::Odc);
    assert_eq!((x, y), (3, -3));
    assert!((hx - 0.25).abs() < 1e-9 && (hy + 0.25).abs() < 1e-9);
}

#[test]
fn a_drift_is_no_paste() {
    let src = grid(
        20_000,
        20_000,
        [30.0, 0.0, 6e5, 0.0, -30.0, 6e6],
        "EPSG:32755",
    );
    let affine = *src.affine() * Affine::scale(1.0 + 1e-4, 1.0 + 1e-4);
    let large = GeoBox::new(src.shape(), affine, src.crs().cloned()).expect("valid");
    assert!(
        info(&src, &large, PasteRule::NEAREST).paste.is_none(),
        "two pixels off at the end"
    );
    let small = large.with_shape(Shape2d::new(50, 50)).expect("fits");
    assert!(
        info(&src, &small, PasteRule::NEAREST).paste.is_some(),
        "0.005 pixels off at the end"
    );
    assert!(info(&src, &small, PasteRule::Never).paste.is_none());
    // Flipped or turned: never.
    assert!(
        info(&src, &src.flip_y(), PasteRule::NEAREST)
            .paste
            .is_none()
    );
    assert!(
        info(&src, &src.rotate(90.0), PasteRule::NEAREST)
            .paste
            .is_none()
    );
}

#[test]
fn serde_keeps_the_answer() {
    let src = grid(100, 110, [30.0, 0.0, 6e5, 0.0, -30.0, 6e6], "EPSG:32755");
    let albers = around(
        "EPSG:3577",
        Xy::new(148.0, -36.0),
        30.0,
        0.0,
        Shape2d::new(90, 90),
    );
    for dst in [src.translate(10.3, 5.0), albers] {
        let info = info(&src, &dst, PasteRule::NEAREST);
        let mut bytes = Vec::new();
        ciborium::into_writer(&info, &mut bytes).expect("CBOR");
        let back: ReprojectInfo = ciborium::from_reader(bytes.as_slice()).expect("CBOR");
        assert_eq!(back, info);
    }
}
