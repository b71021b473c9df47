//! A small archive made here: enough of everything that loaders trip on, and nothing else.
//!
//! Five scenes of 130 by 150 pixels: two rows of one pass that overlap, the
//! neighbouring UTM zone on another day, and a repeat whose extent differs by
//! some pixels. A corner of every scene is nodata. Measurements have different
//! pixel types and nodata values; files are COGs with small blocks and overviews.

use std::path::Path;

use datacube::export::cog::{CogOptions, CogSpec, CogWriter};
use datacube::geo::{Affine, Crs, CrsTransform, GeoBox, PixelWindow, Shape2d, Xy};
use datacube::index::Added;
use datacube::model::{DType, Number};
use datacube::{Datacube, LoadOptions, MatchOptions};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Name of the product.
pub(crate) const PRODUCT: &str = "tiny";
/// Every measurement of the product.
pub(crate) const MEASUREMENTS: [&str; 5] = ["red", "nir", "qa", "slope", "warmth"];

const SHAPE: Shape2d = Shape2d {
    rows: 130,
    cols: 150,
};
const PIXEL: f64 = 30.0;
/// Just west of the border between UTM zones 55 and 56.
const CENTRE: Xy = Xy {
    x: 149.95,
    y: -35.2,
};

/// One scene: EPSG code, offset of its middle from the archive's in pixels, time.
const SCENES: [(&str, u32, (f64, f64), &str); 5] = [
    ("a1", 32755, (-20.0, -30.0), "2020-02-03T00:12:31Z"),
    ("b1", 32755, (15.0, 45.0), "2020-02-03T00:12:55Z"),
    ("c1", 32756, (10.0, -5.0), "2020-02-10T00:06:31Z"),
    ("a2", 32755, (-17.0, -32.0), "2020-02-19T00:12:31Z"),
    ("c2", 32756, (4.0, 12.0), "2020-02-26T00:06:31Z"),
];

/// Writes the archive into a new temporary folder.
pub(crate) fn write() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let product = folder.path().join("product.json");
    std::fs::write(product, product_document().to_string()).expect("the product is written");
    for (number, scene) in SCENES.iter().enumerate() {
        write_scene(folder.path(), number, scene);
    }
    folder
}

/// Adds the archive in `folder` to the index of `dc`.
pub(crate) fn add_to(dc: &Datacube, folder: &Path) {
    let products = dc
        .add_products(folder.join("product.json"))
        .expect("the product is read");
    let datasets = dc
        .add_datasets([folder], &MatchOptions::default())
        .expect("the documents are found");
    assert_eq!(datasets.len(), SCENES.len());
    for outcome in products.iter().chain(&datasets) {
        match &outcome.result {
            Ok(Added::New) => {}
            other => panic!("{}: {other:?}", outcome.location),
        }
    }
}

/// The archive in an index in memory.
pub(crate) fn open() -> (TempDir, Datacube) {
    let folder = write();
    let dc = super::create_index("memory:");
    add_to(&dc, folder.path());
    (folder, dc)
}

/// Everything, by solar day, on the grid of most scenes.
pub(crate) fn options() -> LoadOptions {
    LoadOptions::new(PRODUCT)
        .output_crs("EPSG:32755")
        .resolution(PIXEL)
        .align(15.0, 15.0)
        .group_by("solar_day")
}

/// Path of the file of one measurement of a scene.
pub(crate) fn file(folder: &Path, scene: &str, measurement: &str) -> std::path::PathBuf {
    folder.join(scene).join(format!("{measurement}.tif"))
}

fn product_document() -> Value {
    let flags = json!({
        "nodata": {"bits": 0, "values": {"0": false, "1": true}},
        "cloud": {"bits": 3, "values": {"0": "not_high_confidence", "1": "high_confidence"}},
        "cloud_confidence": {"bits": [8, 9],
                             "values": {"0": "none", "1": "low", "2": "medium", "3": "high"}},
    });
    json!({
        "name": PRODUCT, "description": "Small scenes for tests", "metadata_type": "eo3",
        "metadata": {"product": {"name": PRODUCT}},
        "measurements": [
            {"name": "red", "aliases": ["band_4"], "dtype": "uint16", "nodata": 0, "units": "1"},
            {"name": "nir", "aliases": ["band_5"], "dtype": "uint16", "nodata": 0, "units": "1",
             "scale_factor": 0.0001, "add_offset": -0.1},
            {"name": "qa", "dtype": "uint16", "nodata": 1, "units": "bit_index",
             "flags_definition": flags},
            {"name": "slope", "dtype": "int16", "nodata": -999, "units": "degree"},
            {"name": "warmth", "dtype": "float32", "nodata": "NaN", "units": "K"},
        ],
    })
}

fn grid(epsg: u32, offset: (f64, f64)) -> GeoBox {
    let crs = Crs::from_epsg(epsg).expect("a UTM zone");
    let (mut xs, mut ys) = ([CENTRE.x], [CENTRE.y]);
    CrsTransform::new(&Crs::from_epsg(4326).expect("longitude and latitude"), &crs)
        .and_then(|to_zone| to_zone.transform(&mut xs, &mut ys))
        .expect("the middle lies in both zones");
    #[allow(clippy::cast_precision_loss, reason = "a small shape")]
    let half = (SHAPE.cols as f64 / 2.0, SHAPE.rows as f64 / 2.0);
    // Pixel corners at 15 m modulo 30 m, as USGS has them.
    let left = ((xs[0] / PIXEL + offset.0 - half.0).round() + 0.5) * PIXEL;
    let top = ((ys[0] / PIXEL - offset.1 + half.1).round() + 0.5) * PIXEL;
    let affine = Affine {
        a: PIXEL,
        b: 0.0,
        c: left,
        d: 0.0,
        e: -PIXEL,
        f: top,
    };
    GeoBox::new(SHAPE, affine, Some(crs)).expect("a north-up grid")
}

fn write_scene(
    folder: &Path,
    number: usize,
    (name, epsg, offset, time): &(&str, u32, (f64, f64), &str),
) {
    let geobox = grid(*epsg, *offset);
    std::fs::create_dir(folder.join(name)).expect("a folder for the scene");
    let affine = geobox.affine();
    let mut paths = serde_json::Map::new();
    for (band, measurement) in MEASUREMENTS.iter().enumerate() {
        write_band(&file(folder, name, measurement), &geobox, number, band);
        paths.insert(
            (*measurement).to_owned(),
            json!({"path": format!("{measurement}.tif")}),
        );
    }
    let document = json!({
        "$schema": "https://schemas.opendatacube.org/dataset",
        "id": format!("00000000-0000-4000-8000-{number:012}"),
        "label": name,
        "product": {"name": PRODUCT},
        "crs": format!("epsg:{epsg}"),
        "grids": {"default": {
            "shape": [SHAPE.rows, SHAPE.cols],
            "transform": [affine.a, affine.b, affine.c, affine.d, affine.e, affine.f],
        }},
        "properties": {"datetime": time, "odc:processing_datetime": time,
                       "odc:file_format": "GeoTIFF", "eo:platform": "landsat-8",
                       "eo:cloud_cover": 10 * number},
        "measurements": paths,
        "lineage": {},
    });
    let path = folder.join(name).join("scene.odc-metadata.json");
    std::fs::write(path, document.to_string()).expect("the document is written");
}

fn write_band(path: &Path, geobox: &GeoBox, scene: usize, band: usize) {
    let (dtype, nodata) = match band {
        0 | 1 => (DType::UInt16, Number::Int(0)),
        2 => (DType::UInt16, Number::Int(1)),
        3 => (DType::Int16, Number::Int(-999)),
        _ => (DType::Float32, Number::Float(f64::NAN)),
    };
    let spec = CogSpec::new(geobox.clone(), dtype)
        .nodata(Some(nodata))
        .categorical(band == 2);
    let writer =
        CogWriter::create(path, spec, CogOptions::default().block(32)).expect("a file can be made");
    let bytes: Vec<u8> = (0..SHAPE.rows)
        .flat_map(|row| (0..SHAPE.cols).map(move |col| (row, col)))
        .flat_map(|(row, col)| pixel(scene, band, row, col))
        .collect();
    let window = PixelWindow::new(0..SHAPE.rows, 0..SHAPE.cols);
    writer
        .write(0, &window, &bytes)
        .expect("the pixels are written");
    writer.finish().expect("the file is finished");
}

/// One pixel, native endian: rough land with edges, so that every kernel has something to do.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small numbers, and only their variety matters"
)]
fn pixel(scene: usize, band: usize, row: usize, col: usize) -> Vec<u8> {
    let noise = |salt: usize| {
        let mut hash = (row * 7919 + col * 104_729 + scene * 1_299_709 + salt) as u64;
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d_9e37_79b9);
        ((hash >> 40) & 0xff) as f64 / 255.0
    };
    let outside = row + col < 40 || (SHAPE.rows - row) + (SHAPE.cols - col) < 30;
    let cloud = (row / 17 + col / 23 + scene).is_multiple_of(5);
    let field = ((row / 11 * 31 + col / 13 * 17) % 7) as f64;
    match band {
        0 | 1 if outside => 0u16.to_ne_bytes().to_vec(),
        0 => ((7000.0 + 900.0 * field + 2500.0 * noise(1)) as u16)
            .to_ne_bytes()
            .to_vec(),
        1 => ((16000.0 - 700.0 * field + 4000.0 * noise(2)) as u16)
            .to_ne_bytes()
            .to_vec(),
        2 if outside => 1u16.to_ne_bytes().to_vec(),
        2 => {
            let confidence = (noise(3) * 3.0) as u16;
            (u16::from(cloud) << 3 | confidence << 8)
                .to_ne_bytes()
                .to_vec()
        }
        3 if outside => (-999i16).to_ne_bytes().to_vec(),
        3 => ((40.0 * noise(4) - 20.0 * field) as i16)
            .to_ne_bytes()
            .to_vec(),
        _ if outside => f32::NAN.to_ne_bytes().to_vec(),
        _ => ((280.0 + field + noise(5)) as f32).to_ne_bytes().to_vec(),
    }
}
