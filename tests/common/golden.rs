//! What Python's datacube made of the 19 real Landsat scenes, case by case.
//!
//! One `.npz` for each case beside `golden.json`, which says how the case was
//! loaded and what came out. Arrays are (time, y, x); nodata is 0, and 1 for `bqa`.

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array3};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;

/// One `dc.load` with its result.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) output_crs: String,
    /// (x, y), y negative.
    pub(crate) resolution: (f64, f64),
    /// (measurement or `*`, method).
    pub(crate) resampling: Vec<(String, String)>,
    /// Rows and columns.
    pub(crate) shape: [usize; 2],
    /// Pixel to world, (a, b, c, d, e, f) with x = a col + b row + c.
    pub(crate) transform: [f64; 6],
    /// Names of the two spatial dimensions, rows first.
    pub(crate) dimensions: [String; 2],
    /// For each time step, how many pixels have an NDVI, and its mean.
    pub(crate) ndvi_by_day: Vec<(u64, f64)>,
    file: PathBuf,
}

/// The folder of the goldens inside the shared data.
pub(crate) fn folder(shared: &Path) -> PathBuf {
    shared.join("goldens/e2e_l8ny18")
}

/// Every case, in the order of `golden.json`.
pub(crate) fn cases(shared: &Path) -> Vec<Golden> {
    let folder = folder(shared);
    let text = std::fs::read_to_string(folder.join("golden.json")).expect("golden.json is there");
    let document: Value = serde_json::from_str(&text).expect("golden.json is JSON");
    let cases = document["cases"].as_object().expect("cases are an object");
    cases
        .iter()
        .map(|(name, case)| read_case(&folder, name, case))
        .collect()
}

/// The case of this name.
pub(crate) fn case(shared: &Path, name: &str) -> Golden {
    cases(shared)
        .into_iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("golden.json has a case {name}"))
}

fn read_case(folder: &Path, name: &str, case: &Value) -> Golden {
    let load = &case["load"];
    let [y, x]: [f64; 2] = numbers(&load["resolution"]);
    let resampling = match &load["resampling"] {
        Value::String(method) => vec![("*".to_owned(), method.clone())],
        Value::Object(by_band) => by_band
            .iter()
            .map(|(band, method)| (band.clone(), text(method)))
            .collect(),
        other => panic!("{name}: resampling is {other}"),
    };
    let sizes = case["shape"].as_object().expect("shape is an object");
    let size = |names: [&str; 2]| {
        let found = names
            .iter()
            .find(|name| sizes.contains_key(**name))
            .expect("a spatial dimension");
        let count = sizes[*found].as_u64().expect("a size");
        (
            (*found).to_owned(),
            usize::try_from(count).expect("a size that fits"),
        )
    };
    let ((rows_dim, rows), (cols_dim, cols)) = (size(["y", "latitude"]), size(["x", "longitude"]));
    let per_time = case["per_time"].as_array().expect("per_time is a list");
    Golden {
        name: name.to_owned(),
        output_crs: text(&load["output_crs"]),
        resolution: (x, y),
        resampling,
        shape: [rows, cols],
        transform: numbers(&case["transform"]),
        dimensions: [rows_dim, cols_dim],
        ndvi_by_day: per_time
            .iter()
            .map(|day| {
                (
                    day["valid"].as_u64().expect("a count"),
                    day["mean"].as_f64().unwrap_or(f64::NAN),
                )
            })
            .collect(),
        file: folder.join(format!("{name}.npz")),
    }
}

impl Golden {
    /// The method that a measurement was resampled with.
    pub(crate) fn resampling_of(&self, measurement: &str) -> &str {
        let find = |name: &str| self.resampling.iter().find(|(band, _)| band == name);
        find(measurement)
            .or_else(|| find("*"))
            .map_or("nearest", |(_, method)| method)
    }

    /// One measurement, (time, y, x).
    pub(crate) fn band<T: ReadableElement>(&self, name: &str) -> Array3<T> {
        read_npz(&self.file, name)
    }

    /// The median over time of the masked NDVI, (y, x).
    pub(crate) fn ndvi_median(&self) -> Array2<f32> {
        let mut npz = open(&self.file);
        npz.by_name("ndvi_median.npy")
            .expect("an array ndvi_median")
    }

    /// Labels of the time steps, nanoseconds since 1970.
    pub(crate) fn times(&self) -> Vec<i64> {
        let mut npz = open(&self.file);
        let times: Array1<i64> = npz.by_name("time.npy").expect("an array of times");
        times.to_vec()
    }

    /// Centres of the rows and of the columns.
    #[allow(
        clippy::cast_precision_loss,
        reason = "row and column numbers are small"
    )]
    pub(crate) fn centres(&self) -> (Vec<f64>, Vec<f64>) {
        let [a, _, c, _, e, f] = self.transform;
        let along = |count: usize, origin: f64, step: f64| {
            (0..count)
                .map(|at| origin + step * (at as f64 + 0.5))
                .collect()
        };
        (along(self.shape[0], f, e), along(self.shape[1], c, a))
    }
}

/// One (time, y, x) array of an `.npz`.
pub(crate) fn read_npz<T: ReadableElement>(file: &Path, name: &str) -> Array3<T> {
    open(file)
        .by_name(&format!("{name}.npy"))
        .unwrap_or_else(|error| panic!("{}: {name}: {error}", file.display()))
}

fn open(file: &Path) -> NpzReader<File> {
    let opened = File::open(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    NpzReader::new(opened).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn numbers<const N: usize>(value: &Value) -> [f64; N] {
    let list = value.as_array().expect("a list of numbers");
    let numbers: Vec<f64> = list
        .iter()
        .map(|number| number.as_f64().expect("a number"))
        .collect();
    numbers.try_into().expect("as many numbers as expected")
}
