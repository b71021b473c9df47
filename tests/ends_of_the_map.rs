//! Images over a pole and over the antimeridian, loaded onto maps that end there.
//!
//! Every pixel of an image tells where it is, so what a load has to give follows from
//! the position of each output pixel alone.

use std::path::Path;

use datacube::export::cog::{CogOptions, CogSpec, CogWriter};
use datacube::geo::{Affine, Crs, CrsTransform, GeoBox, PixelWindow, Shape2d, Xy};
use datacube::model::{DType, Number};
use datacube::{HasGeoBox, LoadOptions, stac};
use serde_json::json;

/// Writes an image in which each pixel is 1 + row * cols + column.
fn write(path: &Path, geobox: &GeoBox) {
    let spec = CogSpec::new(geobox.clone(), DType::UInt32)
        .nodata(Some(Number::Int(0)))
        .categorical(true);
    let writer = CogWriter::create(path, spec, CogOptions::default()).expect("a file");
    let n = u32::try_from(geobox.shape().pixels()).expect("small");
    let values: Vec<u8> = (1..=n).flat_map(u32::to_le_bytes).collect();
    writer
        .write(0, &PixelWindow::full(geobox.shape()), &values)
        .expect("written");
    writer.finish().expect("finished");
}

/// What differs between a load and what the positions of its pixels say, in parts of
/// all pixels; and the part that has data.
fn check(geobox: &GeoBox, crs: &str, resolution: f64) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("image.tif");
    write(&path, geobox);
    let t = geobox.affine();
    let item = json!({
        "type": "Feature", "stac_version": "1.0.0", "id": "image", "collection": "c", "links": [], "geometry": null,
        "properties": {
            "datetime": "2020-01-01T00:00:00Z", "proj:wkt2": geobox.crs().expect("a CRS").to_wkt(),
            "proj:shape": [geobox.rows(), geobox.cols()], "proj:transform": [t.a, t.b, t.c, t.d, t.e, t.f],
        },
        "assets": {"place": {
            "href": format!("file://{}", path.display()), "type": "image/tiff",
            "raster:bands": [{"data_type": "uint32", "nodata": 0}],
        }},
    });
    let options = LoadOptions::default()
        .output_crs(crs)
        .resolution(resolution);
    let cube = stac::load([item], options).unwrap_or_else(|error| panic!("{crs}: {error}"));
    let grid = cube.geobox().expect("a grid");
    let found = cube.get("place").expect("a variable").to_vec::<u32>();
    let found = found.expect("pixels");
    let back = CrsTransform::new(grid.crs().expect("a CRS"), geobox.crs().expect("a CRS"));
    let (back, to_pixel) = (back.expect("known"), geobox.inverse_affine());
    let (mut n_wrong, mut n_seen) = (0, 0);
    for (at, &found) in found.iter().enumerate() {
        let (row, col) = (at / grid.cols(), at % grid.cols());
        let centre = grid
            .affine()
            .apply(Xy::new(col as f64 + 0.5, row as f64 + 0.5));
        let place = back.point(centre).expect("a transform");
        let pixel = place.map(|place| to_pixel.apply(place));
        let inside = pixel.filter(|p| {
            (0.0..geobox.cols() as f64).contains(&p.x) && (0.0..geobox.rows() as f64).contains(&p.y)
        });
        // Off by less than a pixel: positions are right to an eighth of one.
        let near = |p: Xy| {
            let index = f64::from(found) - 1.0;
            let (x, y) = (
                index % geobox.cols() as f64,
                (index / geobox.cols() as f64).floor(),
            );
            (p.x - x - 0.5).abs() < 0.7 && (p.y - y - 0.5).abs() < 0.7
        };
        n_seen += usize::from(inside.is_some());
        n_wrong += usize::from(match inside {
            Some(pixel) => found == 0 || !near(pixel),
            None => found != 0,
        });
    }
    let n = found.len() as f64;
    (n_wrong as f64 / n, n_seen as f64 / n)
}

fn image(crs: &str, rows: usize, cols: usize, transform: [f64; 6]) -> GeoBox {
    let [a, b, c, d, e, f] = transform;
    let crs = Crs::parse(crs).expect("a CRS");
    GeoBox::new(
        Shape2d::new(rows, cols),
        Affine::new(a, b, c, d, e, f),
        Some(crs),
    )
    .expect("a grid")
}

#[test]
fn an_image_around_a_pole_is_loaded_to_the_pole() {
    // As NOAA's sea ice has it: 25 km, the pole some way from the middle.
    let ice = [25_000.0, 0.0, -3_950_000.0, 0.0, -25_000.0, 4_350_000.0];
    for (crs, output, resolution) in [
        ("EPSG:3031", "EPSG:6933", 50_000.0),
        ("EPSG:3413", "EPSG:6933", 50_000.0),
        ("EPSG:3031", "EPSG:4326", 0.5),
    ] {
        let (wrong, seen) = check(&image(crs, 332, 316, ice), output, resolution);
        eprintln!(
            "{crs} on {output}: {:.4} % wrong, {:.1} % seen",
            100.0 * wrong,
            100.0 * seen
        );
        assert!(
            wrong < 0.002 && seen > 0.5,
            "{crs} on {output}: {wrong} {seen}"
        );
    }
}

#[test]
fn an_image_over_the_antimeridian_is_loaded_to_both_ends_of_the_map() {
    // Some degrees on both sides of 180, by the side of Fiji.
    let fiji = image(
        "EPSG:32760",
        400,
        400,
        [1000.0, 0.0, 600_000.0, 0.0, -1000.0, 8_200_000.0],
    );
    let (wrong, seen) = check(&fiji, "EPSG:6933", 2000.0);
    eprintln!("{:.5} % wrong, {:.2} % seen", 100.0 * wrong, 100.0 * seen);
    assert!(wrong < 1e-4 && seen > 0.005, "{wrong} {seen}");
}
