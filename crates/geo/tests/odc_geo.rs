//! What odc-geo 0.5.3 computes: grids, operations, CRSs, UTM zones, helpers.

mod common;

use datacube_geo::snap::{align_down, align_up, maybe_int, split_float};
use datacube_geo::{
    Affine, Anchor, BoundingBox, Crs, GeoBox, Geometry, GridSize, OutputResolution, PixelWindow,
    Resolution, Shape2d, ToCrs, Xy,
};
use serde_json::Value;

fn golden() -> Option<Value> {
    let file = common::shared("goldens/odc-geo-numeric.json")?;
    let text = std::fs::read_to_string(file).expect("readable");
    Some(serde_json::from_str(&text).expect("JSON"))
}

fn list<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    let list = json[key].as_array().expect("a list");
    assert!(!list.is_empty(), "{key} is empty");
    list
}

fn number(json: &Value) -> f64 {
    json.as_f64().expect("a number")
}

fn numbers<const N: usize>(json: &Value) -> [f64; N] {
    let values: Vec<f64> = json
        .as_array()
        .expect("a list")
        .iter()
        .map(number)
        .collect();
    values.try_into().expect("as many numbers")
}

fn size(json: &Value) -> usize {
    usize::try_from(json.as_u64().expect("a size")).expect("a small one")
}

fn shape(json: &Value) -> Shape2d {
    Shape2d::new(size(&json[0]), size(&json[1]))
}

fn geobox(json: &Value) -> GeoBox {
    let [a, b, c, d, e, f] = numbers(&json["transform"]);
    let crs = Crs::from_epsg(u32::try_from(size(&json["epsg"])).expect("a code")).expect("known");
    GeoBox::new(
        shape(&json["shape"]),
        Affine::new(a, b, c, d, e, f),
        Some(crs),
    )
    .expect("valid")
}

/// Same shape and CRS, and no corner further off than a millionth of a pixel.
fn check(what: &str, got: &GeoBox, expected: &Value) {
    let want = geobox(expected);
    assert_eq!(got.shape(), want.shape(), "{what}: {got} / {want}");
    assert_eq!(got.crs(), want.crs(), "{what}");
    let to_pixels = want.inverse_affine() * *got.affine();
    let (cols, rows) = (got.cols() as f64, got.rows() as f64);
    for (x, y) in [(0.0, 0.0), (cols, 0.0), (0.0, rows), (cols, rows)] {
        let p = to_pixels.apply(Xy::new(x, y));
        let off = (p.x - x).abs().max((p.y - y).abs());
        assert!(off < 1e-6, "{what}: {off} px off: {got} / {want}");
    }
    let bbox: [f64; 4] = numbers(&expected["bbox"]);
    let got = got.bounding_box();
    for (a, b) in [got.left, got.bottom, got.right, got.top].iter().zip(bbox) {
        assert!(
            (a - b).abs() <= 1e-9 * b.abs().max(1.0),
            "{what}: {got} / {bbox:?}"
        );
    }
}

#[test]
fn from_bbox() {
    let Some(golden) = golden() else { return };
    for case in list(&golden, "from_bbox") {
        let [left, bottom, right, top] = numbers(&case["bbox"]);
        let bbox = BoundingBox::new(left, bottom, right, top);
        let crs = Crs::parse(case["crs"].as_str().expect("a CRS")).expect("known");
        let options = &case["kw"];
        let grid = match (&options["resolution"], &options["shape"]) {
            (Value::Null, Value::Array(_)) => GridSize::Shape(shape(&options["shape"])),
            (Value::Null, n) => GridSize::LongestSide(size(n)),
            (r, _) => GridSize::Resolution(Resolution::square(number(r))),
        };
        let anchor = match (&options["anchor"], options["tight"].as_bool()) {
            (_, Some(true)) => Anchor::Floating,
            (Value::Null, _) => Anchor::Edge,
            (Value::Array(_), _) => {
                let [x, y] = numbers(&options["anchor"]);
                Anchor::Offset(Xy::new(x, y))
            }
            (name, _) => match name.as_str().expect("a name") {
                "center" => Anchor::Center,
                "floating" => Anchor::Floating,
                other => panic!("anchor {other}"),
            },
        };
        let got = GeoBox::from_bbox(bbox, Some(crs), grid, anchor).expect("valid");
        check(&case.to_string(), &got, &case["out"]);
    }
}

/// The operations by the names in the golden file.
fn apply(base: &GeoBox, op: &str) -> GeoBox {
    let crop = |rows, cols| base.crop(&PixelWindow::new(rows, cols)).expect("inside");
    let to_crs = |crs: &str, resolution| {
        let options = ToCrs {
            resolution,
            ..ToCrs::default()
        };
        base.to_crs(&Crs::parse(crs).expect("known"), &options)
            .expect("projects")
    };
    let (rows, cols) = (base.rows(), base.cols());
    match op {
        "pad 3" => base.pad(3, 3).expect("fits"),
        "pad 2,5" => base.pad(2, 5).expect("fits"),
        "pad_wh 16" => base.pad_to_multiple(16, 16).expect("fits"),
        "pad_wh 64,32" => base.pad_to_multiple(64, 32).expect("fits"),
        "zoom_out 2" => base.zoom_out(2.0).expect("positive"),
        "zoom_out 3.3" => base.zoom_out(3.3).expect("positive"),
        "zoom_out 0.5" => base.zoom_out(0.5).expect("positive"),
        "zoom_to 256" => base.zoom_to(GridSize::LongestSide(256)).expect("fits"),
        "zoom_to shape" => base.zoom_to(Shape2d::new(333, 444)).expect("fits"),
        "zoom_to resolution 100" => base.zoom_to(Resolution::square(100.0)).expect("fits"),
        "crop" => base.with_shape(Shape2d::new(50, 60)).expect("fits"),
        "expand" => base.with_shape(Shape2d::new(2000, 2000)).expect("fits"),
        "flipx" => base.flip_x(),
        "flipy" => base.flip_y(),
        "rotate 30" => base.rotate(30.0),
        "translate_pix" => base.translate(-1.5, 2.25),
        "buffered" => base.buffered(120.0, 60.0).expect("fits"),
        "slice" => crop(10..50, 20..100),
        "slice neg" => crop(rows - 20..rows, 0..cols - 10),
        "slice int" => crop(5..6, 7..8),
        "left" => base.neighbour(-1, 0),
        "right" => base.neighbour(1, 0),
        "top" => base.neighbour(0, -1),
        "bottom" => base.neighbour(0, 1),
        "center_pixel" => base.center_pixel().expect("not empty"),
        "to_crs 4326" => to_crs("EPSG:4326", OutputResolution::Auto),
        "to_crs 3577" => to_crs("EPSG:3577", OutputResolution::Auto),
        "to_crs 3577 fit" => to_crs("EPSG:3577", OutputResolution::Fit),
        "to_crs 3857 same" => to_crs("EPSG:3857", OutputResolution::Same),
        "to_crs 3577 res 25" => to_crs(
            "EPSG:3577",
            OutputResolution::Size(Resolution::square(25.0).into()),
        ),
        "to_crs utm" => {
            let c = base.geographic_extent().expect("projects").centroid();
            let c = c.expect("not empty");
            let utm = Crs::utm_for(c.x, c.y).expect("within UTM");
            to_crs(utm.as_str(), OutputResolution::Auto)
        }
        "snap_to" => {
            let other = Affine::new(30.0, 0.0, 600_000.0, 0.0, -30.0, 6_100_000.0);
            let other = GeoBox::new(Shape2d::new(10, 10), other, base.crs().cloned());
            base.snap_to(&other.expect("valid")).expect("compatible")
        }
        other => panic!("the golden file has an operation that is not tested: {other}"),
    }
}

#[test]
fn operations() {
    let Some(golden) = golden() else { return };
    let base = geobox(&golden["ops"]["base"]);
    for case in list(&golden["ops"], "cases") {
        let op = case["op"].as_str().expect("a name");
        check(op, &apply(&base, op), &case["out"]);
    }
}

#[test]
fn whole_numbers() {
    let Some(golden) = golden() else { return };
    for case in list(&golden, "split_float") {
        let [whole, part] = numbers(&case["out"]);
        assert_eq!(split_float(number(&case["x"])), (whole, part), "{case}");
    }
    for case in list(&golden, "maybe_int") {
        let got = maybe_int(number(&case["x"]), number(&case["tol"]));
        assert_eq!(got, number(&case["out"]), "{case}");
    }
    for case in list(&golden, "align") {
        let int = |k: &str| case[k].as_i64().expect("an integer");
        assert_eq!(align_up(int("x"), int("a")), int("up"), "{case}");
        assert_eq!(align_down(int("x"), int("a")), int("down"), "{case}");
    }
}

#[test]
fn crs_properties() {
    let Some(golden) = golden() else { return };
    for case in list(&golden, "crs") {
        let crs = Crs::parse(case["s"].as_str().expect("a CRS")).expect("known");
        assert_eq!(crs.epsg().map(u64::from), case["epsg"].as_u64(), "{case}");
        assert_eq!(Value::from(crs.units().to_vec()), case["units"], "{case}");
        assert_eq!(
            Value::from(crs.is_geographic()),
            case["geographic"],
            "{case}"
        );
        assert_eq!(Value::from(crs.is_projected()), case["projected"], "{case}");
        assert_eq!(
            Value::from(crs.dimensions().to_vec()),
            case["dims"],
            "{case}"
        );
    }
}

#[test]
fn utm_zones() {
    let Some(golden) = golden() else { return };
    for case in list(&golden, "utm") {
        let crs = Crs::utm_for(number(&case["lon"]), number(&case["lat"])).expect("within UTM");
        assert_eq!(crs.epsg().map(u64::from), case["epsg"].as_u64(), "{case}");
    }
}

/// A polygon gives the grid that its projected outline needs, bulge included.
#[test]
fn from_polygon_covers_bulging_edges() {
    let albers = Crs::from_epsg(3577).expect("known");
    let wide = BoundingBox::new(115.0, -35.0, 150.0, -15.0);
    let wide = Geometry::from_bbox(wide, Some(Crs::wgs84())).expect("valid");
    let grid = GeoBox::from_polygon(&wide, Resolution::square(1000.0), &albers, Anchor::Edge);
    let grid = grid.expect("projects").bounding_box();
    let fine = wide.to_crs(&albers, Some(0.01)).expect("projects");
    let fine = fine.bounding_box().expect("not empty");
    let vertices = wide.to_crs(&albers, Some(f64::INFINITY)).expect("projects");
    let vertices = vertices.bounding_box().expect("not empty");
    let bulge = (vertices.bottom - fine.bottom).max(fine.top - vertices.top);
    assert!(
        bulge > 50_000.0,
        "an edge bulges by 50 km and more: {bulge}"
    );
    assert!(
        grid.contains(&fine.buffered(-10.0, -10.0)),
        "{grid} / {fine}"
    );
}
