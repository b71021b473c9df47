//! Grids, windows and tiles as values: inverses, partitions, what is refused.

use datacube_geo::{
    Affine, Anchor, BoundingBox, Crs, Error, GeoBox, Geometry, GridSize, PixelWindow, Resolution,
    Shape2d, Xy,
};
use proptest::prelude::*;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

fn utm() -> Option<Crs> {
    Some(Crs::from_epsg(32755).expect("known"))
}

fn scene() -> GeoBox {
    let affine = Affine::new(30.0, 0.0, 600_015.0, 0.0, -30.0, 6_100_005.0);
    GeoBox::new(Shape2d::new(1000, 1500), affine, utm()).expect("valid")
}

fn any_affine() -> impl Strategy<Value = Affine> {
    (
        (0.01..1e4f64, 0.01..1e4f64),
        (any::<bool>(), any::<bool>()),
        prop_oneof![Just(0.0), -170.0..170.0f64],
        -0.5..0.5f64,
        (-1e7..1e7f64, -1e7..1e7f64),
    )
        .prop_map(|((sx, sy), (fx, fy), turn, shear, (x, y))| {
            let sign = |flip: bool| if flip { -1.0 } else { 1.0 };
            Affine::translation(x, y)
                * Affine::rotation(turn, Xy::new(0.0, 0.0))
                * Affine::new(1.0, shear, 0.0, 0.0, 1.0, 0.0)
                * Affine::scale(sx * sign(fx), sy * sign(!fy))
        })
}

fn any_window(limit: usize) -> impl Strategy<Value = PixelWindow> {
    (0..limit, 0..limit, 0..limit, 0..limit)
        .prop_map(|(a, b, c, d)| PixelWindow::new(a.min(b)..a.max(b), c.min(d)..c.max(d)))
}

proptest! {
    #[test]
    fn affine_and_inverse_cancel(a in any_affine(), x in -1e4..1e4f64, y in -1e4..1e4f64) {
        let back = a.inverse().expect("not degenerate");
        let p = back.apply(a.apply(Xy::new(x, y)));
        prop_assert!((p.x - x).abs() < 1e-5 && (p.y - y).abs() < 1e-5, "{a}: {p}");
        let r = a.resolution();
        let area = (r.x * r.y).abs();
        prop_assert!((area - a.determinant().abs()).abs() <= 1e-9 * area);
        prop_assert_eq!(Affine::from_gdal(a.to_gdal()), a);
    }

    #[test]
    fn windows_are_sets_of_pixels(a in any_window(40), b in any_window(40), pad in 0usize..5) {
        let pixels = |w: &PixelWindow| -> HashSet<(usize, usize)> {
            w.rows.clone().flat_map(|r| w.cols.clone().map(move |c| (r, c))).collect()
        };
        let (pa, pb) = (pixels(&a), pixels(&b));
        prop_assert_eq!(pixels(&a.intersect(&b)), &pa & &pb);
        prop_assert_eq!(a.contains(&b), pb.is_subset(&pa));
        prop_assert!(pixels(&a.union(&b)).is_superset(&(&pa | &pb)));
        let bounds = Shape2d::new(35, 38);
        let padded = a.pad(pad, bounds);
        prop_assert!(PixelWindow::full(bounds).contains(&padded));
        prop_assert!(padded.contains(&a.intersect(&PixelWindow::full(bounds))));
        let inner = a.relative_to(&b);
        prop_assert_eq!(inner.shape(), a.intersect(&b).shape());
        if !inner.is_empty() {
            prop_assert_eq!(inner.shifted(b.rows.start, b.cols.start), a.intersect(&b));
        }
        for n in 1..5 {
            prop_assert!(a.scale_down(n).scale_up(n, Shape2d::new(50, 50)).contains(&a));
            prop_assert!(a.align(Shape2d::new(n, 7), Shape2d::new(40, 40)).contains(&a));
        }
    }

    /// Tiles are the grid: every pixel is in exactly one, and at the same place.
    #[test]
    fn tiles_partition_the_grid(
        affine in any_affine(),
        (rows, cols) in (0usize..70, 0usize..70),
        (tile_rows, tile_cols) in (1usize..30, 1usize..30),
        window in any_window(70),
    ) {
        let grid = GeoBox::new(Shape2d::new(rows, cols), affine, utm()).expect("valid");
        let tiles = grid.tiles(Shape2d::new(tile_rows, tile_cols)).expect("not empty tiles");
        let mut seen = vec![0u8; rows * cols];
        let mut n = 0;
        for ((row, col), w) in tiles.iter() {
            n += 1;
            prop_assert!(!w.is_empty());
            prop_assert_eq!(tiles.window(row, col).expect("a tile"), w.clone());
            let tile = tiles.tile(row, col).expect("a tile");
            prop_assert_eq!(tile.shape(), w.shape());
            let first = Xy::new(w.cols.start as f64, w.rows.start as f64);
            let (a, b) = (tile.affine().apply(Xy::new(0.0, 0.0)), affine.apply(first));
            prop_assert!((a.x - b.x).abs() <= 1e-6 && (a.y - b.y).abs() <= 1e-6);
            for r in w.rows.clone() {
                for c in w.cols.clone() {
                    seen[r * cols + c] += 1;
                    prop_assert_eq!(tiles.locate(r, c).expect("a pixel"), (row, col));
                }
            }
        }
        prop_assert_eq!(n, tiles.len());
        prop_assert!(seen.iter().all(|s| *s == 1));
        let window = window.intersect(&PixelWindow::full(grid.shape()));
        let (trows, tcols) = tiles.touching(&window);
        for ((row, col), w) in tiles.iter() {
            let touched = trows.contains(&row) && tcols.contains(&col);
            prop_assert_eq!(touched, !w.intersect(&window).is_empty());
        }
    }

    /// The grid of a box covers the box, up to the tolerance, and not a pixel
    /// more than it must; its edges are where the anchor wants them.
    #[test]
    fn a_grid_covers_its_box(
        (x, y) in (-1e6..1e6f64, -1e6..1e6f64),
        (w, h) in (0.0..1e5f64, 0.0..1e5f64),
        (rx, ry) in (1.0..5e3f64, 1.0..5e3f64),
        (fx, fy) in (any::<bool>(), any::<bool>()),
        anchor in prop_oneof![
            Just(Anchor::Edge), Just(Anchor::Center), Just(Anchor::Floating),
            (0.0..1.0f64, 0.0..1.0f64).prop_map(|(x, y)| Anchor::Offset(Xy::new(x, y)))],
    ) {
        let bbox = BoundingBox::new(x, y, x + w, y + h);
        let sign = |flip: bool| if flip { -1.0 } else { 1.0 };
        let resolution = Resolution::new(rx * sign(fx), ry * sign(!fy));
        let grid = GeoBox::from_bbox(bbox, utm(), resolution, anchor).expect("valid");
        prop_assert_eq!(grid.resolution(), resolution);
        let got = grid.bounding_box();
        let slack = |r: f64| 0.010_001 * r + 1e-6;
        prop_assert!(got.buffered(slack(rx), slack(ry)).contains(&bbox), "{got} / {bbox}");
        prop_assert!(got.span_x() <= w + 2.0 * rx + 1e-6 && got.span_y() <= h + 2.0 * ry + 1e-6);
        let offset = match anchor {
            Anchor::Edge => Xy::new(0.0, 0.0),
            Anchor::Center => Xy::new(0.5, 0.5),
            Anchor::Offset(o) => o,
            Anchor::Floating => return Ok(()),
        };
        let off = |edge: f64, r: f64, o: f64| {
            let part = (edge / r - o).rem_euclid(1.0);
            part.min(1.0 - part)
        };
        prop_assert!(off(got.left, rx, offset.x) < 1e-6, "{}", got.left / rx);
        prop_assert!(off(got.bottom, ry, offset.y) < 1e-6, "{}", got.bottom / ry);
    }
}

#[test]
fn absurd_grids_are_refused() {
    let bbox = BoundingBox::new(0.0, 0.0, 1000.0, 1000.0);
    let make = |bbox: BoundingBox, size: GridSize, anchor: Anchor| {
        GeoBox::from_bbox(bbox, utm(), size, anchor)
    };
    let by = |r: Resolution| GridSize::Resolution(r);
    for r in [
        Resolution::square(0.0),
        Resolution::square(f64::NAN),
        Resolution::new(30.0, 0.0),
        Resolution::new(f64::INFINITY, -30.0),
    ] {
        let error = make(bbox, by(r), Anchor::Edge).expect_err("no size");
        assert!(matches!(error, Error::InvalidResolution { .. }), "{error}");
    }
    for bad in [
        BoundingBox::new(f64::NAN, 0.0, 1.0, 1.0),
        BoundingBox::new(0.0, 0.0, f64::INFINITY, 1.0),
        BoundingBox::new(2.0, 0.0, 1.0, 1.0),
        BoundingBox::new(0.0, 2.0, 1.0, 1.0),
    ] {
        let error = make(bad, by(Resolution::square(1.0)), Anchor::Edge).expect_err("no box");
        assert!(matches!(error, Error::InvalidBoundingBox { .. }), "{error}");
    }
    for r in [1e-9, 1e-300] {
        let error = make(bbox, by(Resolution::square(r)), Anchor::Edge).expect_err("too many");
        assert!(error.to_string().contains("units of the CRS"), "{error}");
    }
    for size in [
        GridSize::LongestSide(0),
        GridSize::Shape(Shape2d::new(0, 5)),
        GridSize::Shape(Shape2d::new(5, usize::MAX)),
    ] {
        assert!(make(bbox, size, Anchor::Edge).is_err(), "{size:?}");
    }
    let line = BoundingBox::new(0.0, 0.0, 1000.0, 0.0);
    assert!(make(line, GridSize::Shape(Shape2d::new(5, 5)), Anchor::Edge).is_err());
    let dot = BoundingBox::new(10.0, 10.0, 10.0, 10.0);
    assert!(make(dot, GridSize::LongestSide(5), Anchor::Edge).is_err());
    let one = make(dot, by(Resolution::square(30.0)), Anchor::Edge).expect("a point query");
    assert_eq!(one.shape(), Shape2d::new(1, 1));
    for x in [-0.1, 1.0, f64::NAN] {
        let anchor = Anchor::Offset(Xy::new(x, 0.0));
        assert!(make(bbox, by(Resolution::square(30.0)), anchor).is_err());
    }
    let huge = BoundingBox::new(-1e300, -1e300, 1e300, 1e300);
    assert!(make(huge, by(Resolution::square(1.0)), Anchor::Edge).is_err());
    assert!(make(huge, GridSize::Shape(Shape2d::new(2, 2)), Anchor::Floating).is_ok());

    let new = |affine| GeoBox::new(Shape2d::new(5, 5), affine, None);
    for affine in [
        Affine::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        Affine::new(1.0, 2.0, 0.0, 2.0, 4.0, 0.0),
        Affine::new(1.0, 0.0, f64::NAN, 0.0, 1.0, 0.0),
        Affine::new(f64::INFINITY, 0.0, 0.0, 0.0, 1.0, 0.0),
    ] {
        let error = new(affine).expect_err("degenerate");
        assert!(matches!(error, Error::DegenerateAffine { .. }), "{error}");
    }
    assert!(scene().tiles(Shape2d::new(0, 5)).is_err());
    assert!(scene().zoom_out(0.0).is_err() && scene().zoom_out(f64::NAN).is_err());
    assert!(scene().zoom_to(Shape2d::new(0, 0)).is_err());
    assert!(scene().pad_to_multiple(0, 5).is_err());
    assert!(scene().pad(usize::MAX, 0).is_err());
    assert!(scene().crop(&PixelWindow::new(0..1001, 0..5)).is_err());
}

#[test]
fn align_is_an_anchor_in_crs_units() {
    let r = Resolution::square(30.0);
    let of = |x: f64, y: f64| Anchor::from_align(Xy::new(x, y), r).expect("finite");
    assert_eq!(of(0.0, 0.0), Anchor::Edge);
    assert_eq!(of(15.0, 15.0), Anchor::Offset(Xy::new(0.5, 0.5)));
    assert_eq!(of(30.0, 60.0), Anchor::Edge);
    assert_eq!(of(-15.0, 45.0), Anchor::Offset(Xy::new(0.5, 0.5)));
    assert!(Anchor::from_align(Xy::new(f64::NAN, 0.0), r).is_err());
    assert!(Anchor::from_align(Xy::new(0.0, 0.0), Resolution::square(0.0)).is_err());
    // As the Landsat grids have it: centres on multiples of 30.
    assert_eq!(scene().anchor(), Anchor::Center);
    assert_eq!(scene().translate(0.5, 0.5).anchor(), Anchor::Edge);
    assert_eq!(
        scene().translate(0.25, 0.0).anchor(),
        Anchor::Offset(Xy::new(0.25, 0.5))
    );
}

#[test]
fn equal_grids_hash_alike() {
    let hash = |g: &GeoBox| {
        let mut h = DefaultHasher::new();
        g.hash(&mut h);
        h.finish()
    };
    let a = scene();
    let wkt = Crs::parse(a.crs().expect("a CRS").to_wkt()).expect("WKT");
    let b = GeoBox::new(a.shape(), *a.affine(), Some(wkt)).expect("valid");
    assert_eq!(a, b);
    assert_eq!(hash(&a), hash(&b));
    let minus_zero = Affine {
        b: -0.0,
        ..*a.affine()
    };
    let c = GeoBox::new(a.shape(), minus_zero, a.crs().cloned()).expect("valid");
    assert_eq!((&a, hash(&a)), (&c, hash(&c)));
    assert_ne!(a, a.translate(1e-9, 0.0));
    assert_ne!(a, GeoBox::new(a.shape(), *a.affine(), None).expect("valid"));
    let mut bytes = Vec::new();
    ciborium::into_writer(&a, &mut bytes).expect("CBOR");
    assert_eq!(
        ciborium::from_reader::<GeoBox, _>(bytes.as_slice()).expect("CBOR"),
        a
    );
    assert!(serde_json::from_str::<GeoBox>(r#"{"shape":{"rows":1,"cols":1},"affine":{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0},"crs":null}"#).is_err());
}

#[test]
fn coordinates_are_pixel_centres() {
    let g = scene();
    let (x, y) = (
        g.x_centres().expect("north up"),
        g.y_centres().expect("north up"),
    );
    assert_eq!((x.len(), y.len()), (1500, 1000));
    assert_eq!(
        (x[0], x[1], y[0], y[999]),
        (600_030.0, 600_060.0, 6_099_990.0, 6_070_020.0)
    );
    assert!(matches!(
        g.rotate(10.0).x_centres(),
        Err(Error::Rotated { .. })
    ));
    assert!(!g.rotate(10.0).is_axis_aligned());
    let turned = g.rotate(10.0).resolution();
    assert!((turned.x - 30.0).abs() < 1e-9 && (turned.y + 30.0).abs() < 1e-9);
    assert_eq!(g.dimensions(), ["y", "x"]);
}

#[test]
fn grids_of_the_same_pixels_combine() {
    let g = scene();
    let other = g.translate(100.0, -50.0);
    let both = g.union(&other).expect("same pixels");
    assert_eq!(both.shape(), Shape2d::new(1050, 1600));
    let common = g.intersection(&other).expect("same pixels");
    assert_eq!(common.shape(), Shape2d::new(950, 1400));
    assert_eq!(
        g.overlap(&other).expect("same pixels"),
        PixelWindow::new(0..950, 100..1500)
    );
    assert!(
        g.intersection(&g.translate(5000.0, 0.0))
            .expect("same pixels")
            .is_empty()
    );
    for bad in [
        g.translate(0.5, 0.0),
        g.zoom_out(2.0).expect("fine"),
        g.rotate(1.0),
    ] {
        assert!(matches!(
            g.overlap(&bad),
            Err(Error::IncompatibleGrids { .. })
        ));
    }
    let area = Geometry::from_bbox(
        BoundingBox::new(600_020.0, 6_099_950.0, 600_100.0, 6_100_000.0),
        utm(),
    );
    let area = area.expect("valid");
    let cover = g.enclosing(&area).expect("one CRS");
    assert_eq!(cover.shape(), Shape2d::new(2, 3));
    assert!(
        cover
            .bounding_box()
            .contains(&area.bounding_box().expect("not empty"))
    );
    assert_eq!(
        g.window_of(&area).expect("one CRS"),
        PixelWindow::new(0..2, 0..3)
    );
    let lonlat = area.to_lonlat().expect("projects");
    let near = g.enclosing(&lonlat).expect("projects");
    assert!(near.rows() <= 4 && near.cols() <= 5);
    let tiles = g.tiles(Shape2d::new(100, 100)).expect("tiles");
    assert_eq!(tiles.intersecting(&area).expect("one CRS"), vec![(0, 0)]);
    let far = Geometry::point(Xy::new(0.0, 0.0), utm()).expect("valid");
    assert!(tiles.intersecting(&far).expect("one CRS").is_empty());
    let all = tiles.intersecting(&g.extent()).expect("one CRS");
    assert_eq!(all.len(), tiles.len());
}

#[test]
fn to_crs_covers_the_grid_and_keeps_what_it_can() {
    let g = scene();
    let same = g
        .to_crs(g.crs().expect("a CRS"), &datacube_geo::ToCrs::default())
        .expect("same");
    assert_eq!(same, g);
    let bare = GeoBox::new(g.shape(), *g.affine(), None).expect("valid");
    assert!(matches!(
        bare.to_crs(&Crs::wgs84(), &datacube_geo::ToCrs::default()),
        Err(Error::MissingCrs { .. })
    ));
    // Over the antimeridian: a small grid, not one around the world.
    let crs = Some(Crs::from_epsg(32760).expect("known"));
    let affine = Affine::new(1000.0, 0.0, 600_000.0, 0.0, -1000.0, 8_200_000.0);
    let fiji = GeoBox::new(Shape2d::new(200, 300), affine, crs).expect("valid");
    let lonlat = fiji
        .to_crs(&Crs::wgs84(), &datacube_geo::ToCrs::default())
        .expect("projects");
    assert!(
        lonlat.cols() < 400 && lonlat.bounding_box().right > 180.0,
        "{lonlat}"
    );
}
