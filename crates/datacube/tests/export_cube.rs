//! Cubes written by an engine: what is in the file does not depend on the engine
//! or on the chunks, and what cannot be written is refused with its reason.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::python;
use datacube::compute::{
    Attrs, ChunkSink, Chunks, Cube, DataArray, Engine, Job, LocalCluster, Observer, Region,
    RunReport, Serial, SinkError,
};
use datacube::cube_coords;
use datacube::export::{
    Error, ExportOptions, cog::CogOptions, part_of, write_cog, write_png, write_zarr,
};
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

/// An engine whose job fails after some writes.
#[derive(Debug)]
struct Failing<'a> {
    engine: &'a dyn Engine,
    after: usize,
}

struct FailingSink<'a> {
    sink: &'a dyn ChunkSink,
    left: AtomicUsize,
}

impl Engine for Failing<'_> {
    fn name(&self) -> String {
        "failing".to_owned()
    }

    fn memory_limit(&self) -> Option<u64> {
        self.engine.memory_limit()
    }

    fn run(
        &self,
        job: &Job,
        sink: &dyn ChunkSink,
        observer: &dyn Observer,
    ) -> datacube::compute::Result<RunReport> {
        let left = AtomicUsize::new(self.after);
        self.engine.run(job, &FailingSink { sink, left }, observer)
    }
}

impl ChunkSink for FailingSink<'_> {
    fn resumes(&self) -> bool {
        self.sink.resumes()
    }

    fn holds(&self, output: usize, region: &Region) -> bool {
        self.sink.holds(output, region)
    }

    fn write(&self, output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let take = |left: usize| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .map_err(|_| "the disk is full")?;
        self.sink.write(output, region, pixels)
    }
}

/// Every file below a folder and its bytes.
fn files(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

type Write = fn(&Cube, &Path, &ExportOptions, &dyn Engine) -> datacube::export::Result<RunReport>;

const WRITERS: [(&str, Write); 2] = [
    ("a.tif", |cube, path, options, engine| {
        write_cog(cube, path, options, engine, &())
    }),
    ("a.zarr", |cube, path, options, engine| {
        write_zarr(cube, path, options, engine, &())
    }),
];

#[test]
fn what_a_failed_run_has_written_is_not_made_again() {
    let cluster = LocalCluster::start().unwrap();
    let serial = Serial::new();
    let aligned = ndvi(&scenes());
    // Chunks that are no whole blocks of a COG: a block may be written in part.
    let crooked = aligned
        .rechunk(&Chunks::new([("time", 2), ("y", 37), ("x", 50)]))
        .unwrap();
    for (name, write) in WRITERS {
        for engine in [&cluster as &dyn Engine, &serial] {
            for cube in [&aligned, &crooked] {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(name);
                let all = write(cube, &path, &options(), engine).unwrap();
                let expected = files(folder.path());
                assert_eq!(all.resumed, 0);
                let again = options().overwrite(true).resume(true);
                for after in [4, 5] {
                    let failing = Failing { engine, after };
                    let error = write(cube, &path, &again, &failing).unwrap_err();
                    assert!(error.to_string().contains("the disk is full"), "{error}");
                }
                let rest = write(cube, &path, &again, engine).unwrap();
                assert!(
                    rest.tasks > 0 && rest.tasks < all.tasks,
                    "{} of {} tasks",
                    rest.tasks,
                    all.tasks
                );
                assert_eq!(rest.tasks + rest.resumed, all.tasks);
                assert!(files(folder.path()) == expected, "{name} differs");
            }
        }
    }
}

#[test]
fn what_was_damaged_meanwhile_is_made_again() {
    let engine = Serial::new();
    let cube = ndvi(&scenes());
    for (name, write) in WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let all = write(&cube, &path, &options(), &engine).unwrap();
        let expected = files(folder.path());
        let again = options().overwrite(true).resume(true);
        let failing = Failing {
            engine: &engine,
            after: 9,
        };
        write(&cube, &path, &again, &failing).unwrap_err();
        let part = part_of(&path);
        let damaged = if name.ends_with("tif") {
            part.join("blocks")
        } else {
            part.join("store/ndvi/c/0/0/0")
        };
        let mut bytes = std::fs::read(&damaged).unwrap();
        if name.ends_with("tif") {
            bytes[20] ^= 1;
        } else {
            bytes.pop();
        }
        std::fs::write(&damaged, bytes).unwrap();
        let rest = write(&cube, &path, &again, &engine).unwrap();
        assert_eq!(rest.tasks, all.tasks - 9 + 1, "{name}");
        assert!(files(folder.path()) == expected, "{name} differs");
    }
}

#[test]
fn what_another_job_began_is_not_gone_on_with() {
    let engine = Serial::new();
    let cube = ndvi(&scenes());
    for (name, write) in WRITERS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let resume = options().resume(true);
        let failing = Failing {
            engine: &engine,
            after: 5,
        };
        write(&cube, &path, &resume, &failing).unwrap_err();
        let refuse = |cube: &Cube, options: &ExportOptions| {
            let error = write(cube, &path, options, &engine).unwrap_err();
            assert!(matches!(error, Error::OtherJob { .. }), "{error}");
            error.to_string()
        };
        let negated = Cube::new([("ndvi", cube.get("ndvi").unwrap() * -1.0)]).unwrap();
        let text = refuse(&negated, &resume);
        assert!(text.contains("another plan"), "{text}");
        let cut = cube.isel("time", 0..2).unwrap();
        let text = refuse(&cut, &resume);
        let words = if name.ends_with("tif") {
            "bands"
        } else {
            "shape"
        };
        assert!(text.contains(words) && text.contains("a."), "{text}");
        let mut slower = resume.clone();
        (slower.cog.level, slower.zarr.level) = (9, 9);
        let text = refuse(&cube, &slower);
        assert!(
            text.contains("`level` was") && text.contains("is 9"),
            "{text}"
        );
        // Nothing of this did harm; and without `resume` it begins anew.
        assert!(write(&cube, &path, &resume, &engine).unwrap().resumed > 0);
        assert!(!part_of(&path).exists());
    }
}
