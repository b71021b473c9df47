//! Cubes written by an engine: what is in the file does not depend on the engine
//! or on the chunks, and what cannot be written is refused with its reason.

mod common;

use std::path::Path;

use common::python;
use datacube::compute::{Attrs, Chunks, Cube, DataArray, Engine, LocalCluster, Serial};
use datacube::cube_coords;
use datacube::export::{ExportOptions, cog::CogOptions, write_cog, write_png, write_zarr};
use datacube_geo::{Affine, Crs, GeoBox, Shape2d};
use serde_json::json;

const SHAPE: [usize; 3] = [3, 90, 130];

/// Counts of red and nir with gaps, and flags, on three dates.
fn scenes() -> Cube {
    let affine = Affine::new(30.0, 0.0, 600_015.0, 0.0, -30.0, -4_100_015.0);
    let crs = Crs::from_epsg(32655).unwrap();
    let geobox = GeoBox::new(Shape2d::new(SHAPE[1], SHAPE[2]), affine, Some(crs)).unwrap();
    let times = [
        "2020-08-12T23:59:48Z",
        "2020-09-05T23:53:48.5Z",
        "2020-09-29T23:59:48Z",
    ]
    .map(|time| time.parse().unwrap());
    let coords = cube_coords(&geobox, &times).unwrap();
    let band = |name: &str, seed: u16| {
        let n: usize = SHAPE.iter().product();
        let values: Vec<u16> = (0..n)
            .map(|at| {
                let at = u16::try_from(at % 4093).unwrap();
                if at % 7 == 0 {
                    0
                } else {
                    5000 + at.wrapping_mul(seed) % 9000
                }
            })
            .collect();
        DataArray::from_values(name, &["time", "y", "x"], &SHAPE, values, coords.clone()).unwrap()
    };
    let reflectance = || {
        Attrs::new()
            .with("units", "reflectance")
            .with("nodata", 0)
            .with("scale_factor", 2.75e-5)
            .with("add_offset", -0.2)
    };
    let flags = Attrs::new().with("nodata", 1).with(
        "flags_definition",
        json!({"cloud": {"bits": 3, "values": {"0": "clear", "1": "cloud"}}}),
    );
    let cube = Cube::new([
        ("red", band("red", 7).with_attrs(reflectance())),
        ("nir", band("nir", 13).with_attrs(reflectance())),
        ("qa", band("qa", 3).with_attrs(flags)),
    ]);
    cube.unwrap()
        .rechunk(&Chunks::new([("time", 1), ("y", 40), ("x", 64)]))
        .unwrap()
}

fn ndvi(cube: &Cube) -> Cube {
    let (red, nir) = (cube.get("red").unwrap(), cube.get("nir").unwrap());
    let (red, nir) = (red.where_(&red.gt(0)), nir.where_(&nir.gt(0)));
    Cube::new([("ndvi", (&nir - &red) / (&nir + &red))]).unwrap()
}

fn options() -> ExportOptions {
    ExportOptions::default().cog(CogOptions::default().block(32))
}

fn cog_bytes(cube: &Cube, engine: &dyn Engine) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    write_cog(cube, &path, &options(), engine, &()).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn a_cog_depends_on_neither_engine_nor_chunks() {
    let lazy = ndvi(&scenes());
    let expected = cog_bytes(&lazy, &Serial::new());
    let cluster = LocalCluster::start().unwrap();
    assert!(
        cog_bytes(&lazy, &cluster) == expected,
        "another engine, another file"
    );
    let whole = lazy.rechunk(&Chunks::whole()).unwrap();
    assert!(
        cog_bytes(&whole, &cluster) == expected,
        "other chunks, another file"
    );
    let crooked = lazy
        .rechunk(&Chunks::new([("time", 2), ("y", 37), ("x", 50)]))
        .unwrap();
    assert!(
        cog_bytes(&crooked, &cluster) == expected,
        "other chunks, another file"
    );
    let computed = lazy.compute().unwrap();
    assert!(
        cog_bytes(&computed, &cluster) == expected,
        "eager and lazy differ"
    );
}

/// Writes the same cube as COG and Zarr for `check_cube.py` to compare.
fn write_both(folder: &Path, name: &str, cube: &Cube) -> serde_json::Value {
    let engine = LocalCluster::start().unwrap();
    let (cog, zarr) = (
        folder.join(format!("{name}.tif")),
        folder.join(format!("{name}.zarr")),
    );
    write_cog(cube, &cog, &options(), &engine, &()).unwrap();
    write_zarr(cube, &zarr, &options(), &engine, &()).unwrap();
    json!({"cog": cog, "zarr": zarr, "variables": cube.names().collect::<Vec<_>>()})
}

#[test]
fn gdal_and_xarray_find_the_same_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = scenes();
    let bands = scenes.select(&["red", "nir"]).unwrap();
    let cases = [
        write_both(folder.path(), "ndvi", &ndvi(&scenes)),
        write_both(folder.path(), "bands", &bands),
        write_both(folder.path(), "day", &bands.isel("time", 1).unwrap()),
        write_both(folder.path(), "flags", &scenes.select(&["qa"]).unwrap()),
    ];
    let list = folder.path().join("cases.json");
    std::fs::write(&list, serde_json::to_vec(&cases).unwrap()).unwrap();
    let Some(mut command) = python(
        "check_cube.py",
        &["rasterio", "rio_cogeo", "xarray", "zarr"],
    ) else {
        return;
    };
    let status = command.arg(&list).status().unwrap();
    assert!(status.success(), "check_cube.py found a difference");
}

#[test]
fn pictures_are_one_plane_several_or_rgb() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Serial::new();
    let size = |cube: &Cube, name: &str, options: &ExportOptions| {
        let path = folder.path().join(name);
        write_png(cube, &path, options, &engine, &()).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let reader = png::Decoder::new(file).read_info().unwrap();
        (reader.info().height as usize, reader.info().width as usize)
    };
    let scenes = scenes();
    let ndvi = ndvi(&scenes);
    let one = ndvi.isel("time", 0).unwrap();
    let plain = ExportOptions::default();
    assert_eq!(size(&one, "one.png", &plain), (SHAPE[1], SHAPE[2]));
    let (rows, cols) = size(&one, "figure.png", &plain.clone().figure(true));
    assert!(rows > 900 && cols > 900);
    let (rows, cols) = size(&ndvi, "several.png", &plain);
    assert!(rows > 900 && cols > 900);

    let red = scenes.get("red").unwrap().isel("time", 0).unwrap();
    let rgb = Cube::new([("blue", red.clone()), ("red", red.clone()), ("green", red)]).unwrap();
    assert_eq!(size(&rgb, "rgb.png", &plain), (SHAPE[1], SHAPE[2]));

    let two = scenes.select(&["red", "nir"]).unwrap();
    let path = folder.path().join("two.png");
    let error = write_png(&two, &path, &plain, &engine, &()).unwrap_err();
    assert!(
        error.to_string().contains("6 planes of 2 variables"),
        "{error}"
    );
    let path = folder.path().join("one.png");
    let error = write_png(&one, &path, &plain, &engine, &()).unwrap_err();
    assert!(error.is_exists(), "{error}");
}

#[test]
fn what_one_geotiff_cannot_hold_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let refuse = |cube: &Cube| {
        write_cog(cube, &path, &options(), &Serial::new(), &())
            .unwrap_err()
            .to_string()
    };
    let scenes = scenes();
    let text = refuse(&scenes);
    assert!(
        text.contains("nodata") && text.contains("`qa`") && text.contains(".zarr"),
        "{text}"
    );
    let mixed = scenes
        .assign("ndvi", ndvi(&scenes).get("ndvi").unwrap().clone())
        .unwrap();
    let text = refuse(&mixed.select(&["red", "ndvi"]).unwrap());
    assert!(
        text.contains("dtype uint16") && text.contains("float32"),
        "{text}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
