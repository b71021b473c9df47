//! Zarr stores as others see them: `xarray.open_zarr` finds the same pixels,
//! dimensions, coordinates, times and attributes, without a warning.
//!
//! The comparison is `tests/interop/open_zarr.py`; it runs where the variable
//! `DATACUBE_PYTHON` names a Python with xarray and zarr.

mod common;

use std::ops::Range;
use std::path::Path;

use common::{Random, python};
use datacube::export::Error;
use datacube::export::zarr::{
    Labels, ZarrCoordinate, ZarrOptions, ZarrSpec, ZarrVariable, ZarrWriter,
};
use datacube_model::{DType, Number};
use serde_json::{Map, Value, json};

const SHAPE: [usize; 3] = [3, 50, 70];
const TIMES: [i64; 3] = [
    1_580_688_751_123_000_000,
    1_582_071_151_000_000_000,
    1_583_453_551_500_000_000,
];

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn variable(name: &str, dtype: DType, chunks: [usize; 3]) -> ZarrVariable {
    ZarrVariable {
        name: name.into(),
        dims: ["time", "y", "x"].map(String::from).to_vec(),
        shape: SHAPE.to_vec(),
        chunks: chunks.to_vec(),
        dtype,
        nodata: None,
        attrs: object(json!({"units": "1", "crs": "EPSG:32655", "grid_mapping": "spatial_ref"})),
    }
}

fn positions(first: f64, step: f64, n: usize) -> Vec<f64> {
    std::iter::successors(Some(first), |at| Some(at + step))
        .take(n)
        .collect()
}

fn coordinates() -> Vec<ZarrCoordinate> {
    let coordinate = |name: &str, dim: Option<&str>, labels, attrs| ZarrCoordinate {
        name: name.into(),
        dim: dim.map(String::from),
        labels,
        attrs: object(attrs),
    };
    let space =
        |resolution: f64| json!({"units": "metre", "resolution": resolution, "crs": "EPSG:32655"});
    vec![
        coordinate(
            "time",
            Some("time"),
            Labels::Time(TIMES.to_vec()),
            json!({}),
        ),
        coordinate(
            "y",
            Some("y"),
            Labels::Float(positions(-15.0, -30.0, SHAPE[1])),
            space(-30.0),
        ),
        coordinate(
            "x",
            Some("x"),
            Labels::Float(positions(6e5, 30.0, SHAPE[2])),
            space(30.0),
        ),
        coordinate(
            "spatial_ref",
            None,
            Labels::Int(vec![32655]),
            json!({"grid_mapping_name": "transverse_mercator", "GeoTransform": "6e5 30 0 0 0 -30"}),
        ),
        coordinate(
            "pass",
            Some("time"),
            Labels::Text(["093086", "", "Ü"].map(String::from).to_vec()),
            json!({}),
        ),
    ]
}

/// Every type; a band with scale and gaps; flags; NDVI.
fn spec() -> ZarrSpec {
    let mut variables: Vec<ZarrVariable> = DType::ALL
        .into_iter()
        .map(|dtype| variable(dtype.name(), dtype, [1, 20, 32]))
        .collect();
    let mut red = variable("red", DType::UInt16, [2, 50, 70]);
    red.nodata = Some(Number::Int(0));
    red.attrs.extend(object(
        json!({"nodata": 0, "scale_factor": 2.75e-5, "add_offset": -0.2}),
    ));
    let mut ndvi = variable("ndvi", DType::Float32, [3, 16, 16]);
    ndvi.nodata = Some(Number::Float(f64::NAN));
    ndvi.attrs.insert("nodata".into(), "NaN".into());
    let mut qa = variable("qa_pixel", DType::UInt16, [1, 50, 70]);
    qa.nodata = Some(Number::Int(1));
    qa.attrs.insert("nodata".into(), 1.into());
    qa.attrs.insert(
        "flags_definition".into(),
        json!({
            "nodata": {"bits": 0, "values": {"0": false, "1": true}},
            "cloud": {"bits": [3], "values": {"0": "clear sky", "1": "cloud"}},
        }),
    );
    variables.extend([red, ndvi, qa]);
    ZarrSpec {
        variables,
        coordinates: coordinates(),
        attrs: object(json!({"crs": "EPSG:32655", "grid_mapping": "spatial_ref"})),
    }
}

/// Random pixels, bytes of the type; zeros and NaN among them.
fn pixels(dtype: DType, random: &mut Random) -> Vec<u8> {
    let n: usize = SHAPE.iter().product();
    let mut out = Vec::with_capacity(n * dtype.size());
    for _ in 0..n {
        let gap = random.unit() < 0.1;
        let bits = random.bits().to_ne_bytes();
        let float = if gap {
            f64::NAN
        } else {
            random.unit() * 2.0 - 1.0
        };
        #[allow(clippy::cast_possible_truncation, reason = "a smaller float is meant")]
        match dtype {
            DType::Bool => out.push(bits[0] & 1),
            DType::Float16 => out.extend(half::f16::from_f64(float).to_ne_bytes()),
            DType::Float32 => out.extend((float as f32).to_ne_bytes()),
            DType::Float64 => out.extend(float.to_ne_bytes()),
            DType::Complex64 => out.extend([float as f32, 1.0].map(f32::to_ne_bytes).concat()),
            DType::Complex128 => out.extend([float, 1.0].map(f64::to_ne_bytes).concat()),
            _ if gap => out.extend(&[0; 8][..dtype.size()]),
            _ => out.extend(&bits[..dtype.size()]),
        }
    }
    out
}

/// Writes everything in chunks of `cut`, shuffled; gives what xarray should find.
fn write(path: &Path, cut: [usize; 3]) -> Value {
    let spec = spec();
    let mut random = Random::new("zarr");
    let writer = ZarrWriter::create(path, spec.clone(), ZarrOptions::default()).unwrap();
    assert!(!path.exists(), "a store is there before it is complete");
    let mut variables = Vec::new();
    let mut parts: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
    let mut all_pixels = Vec::new();
    for (number, variable) in spec.variables.iter().enumerate() {
        for t in (0..SHAPE[0]).step_by(cut[0]) {
            for y in (0..SHAPE[1]).step_by(cut[1]) {
                for x in (0..SHAPE[2]).step_by(cut[2]) {
                    let ends = [t + cut[0], y + cut[1], x + cut[2]];
                    parts.push((
                        number,
                        vec![
                            t..ends[0].min(SHAPE[0]),
                            y..ends[1].min(SHAPE[1]),
                            x..ends[2].min(SHAPE[2]),
                        ],
                    ));
                }
            }
        }
        let bytes = pixels(variable.dtype, &mut random);
        let raw = path.with_extension(format!("{}.raw", variable.name));
        std::fs::write(&raw, &bytes).unwrap();
        all_pixels.push(bytes);
        let mut attrs = variable.attrs.clone();
        let has_flags = attrs.contains_key("flags_definition");
        if has_flags {
            attrs.insert("flag_masks".into(), json!([1, 8, 8]));
            attrs.insert("flag_values".into(), json!([1, 0, 8]));
            attrs.insert(
                "flag_meanings".into(),
                "nodata cloud_clear_sky cloud_cloud".into(),
            );
        }
        variables.push(json!({
            "name": variable.name, "dtype": variable.dtype.name(), "dims": variable.dims,
            "shape": variable.shape, "chunks": variable.chunks, "raw": raw, "attrs": attrs,
            "flags": has_flags,
            "nodata": variable.nodata.map(|nodata| {
                if nodata.is_nan() { json!("nan") } else { json!(nodata.as_f64()) }
            }),
        }));
    }
    random.shuffle(&mut parts);
    for (number, region) in &parts {
        let size = spec.variables[*number].dtype.size();
        let mut bytes = Vec::new();
        for t in region[0].clone() {
            for y in region[1].clone() {
                let at = ((t * SHAPE[1] + y) * SHAPE[2] + region[2].start) * size;
                bytes.extend(&all_pixels[*number][at..at + region[2].len() * size]);
            }
        }
        writer.write(*number, region, &bytes).unwrap();
    }
    let summary = writer.finish().unwrap();
    assert_eq!(
        summary.arrays,
        spec.variables.len() + spec.coordinates.len()
    );
    let y: Vec<f64> = positions(-15.0, -30.0, SHAPE[1]);
    json!({
        "path": path, "variables": variables, "attrs": spec.attrs,
        "coords": {
            "time": {"dims": ["time"], "kind": "time", "values": TIMES,
                     "attrs": {"standard_name": "time"}},
            "y": {"dims": ["y"], "kind": "float", "values": y,
                  "attrs": {"units": "metre", "resolution": -30.0, "crs": "EPSG:32655",
                            "standard_name": "projection_y_coordinate"}},
            "x": {"dims": ["x"], "kind": "float", "values": positions(6e5, 30.0, SHAPE[2]),
                  "attrs": {"resolution": 30.0, "axis": "X"}},
            "spatial_ref": {"dims": [], "kind": "scalar", "values": [32655],
                            "attrs": {"grid_mapping_name": "transverse_mercator"}},
            "pass": {"dims": ["time"], "kind": "text", "values": ["093086", "", "Ü"],
                     "attrs": {}},
        },
    })
}

#[test]
fn xarray_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        write(&folder.path().join("aligned.zarr"), [1, 20, 32]),
        write(&folder.path().join("crooked.zarr"), [2, 17, 29]),
        write(&folder.path().join("whole.zarr"), SHAPE),
    ];
    let list = folder.path().join("cases.json");
    std::fs::write(&list, serde_json::to_vec(&cases).unwrap()).unwrap();
    let Some(mut command) = python("open_zarr.py", &["xarray", "zarr"]) else {
        return;
    };
    let status = command.arg(&list).status().unwrap();
    assert!(status.success(), "open_zarr.py found a difference");
}

fn one_band() -> ZarrSpec {
    ZarrSpec {
        variables: vec![variable("band", DType::UInt8, [1, 50, 70])],
        coordinates: coordinates(),
        attrs: Map::new(),
    }
}

#[test]
fn a_store_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let n: usize = SHAPE.iter().product();
    let whole = [0..3, 0..50, 0..70];
    let entries = || std::fs::read_dir(folder.path()).unwrap().count();

    let writer = ZarrWriter::create(&path, one_band(), ZarrOptions::default()).unwrap();
    writer
        .write(0, &[0..1, 0..50, 0..70], &vec![7; 3500])
        .unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Incomplete {
                got: 3500,
                expected: 10_500,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(entries(), 0);

    let writer = ZarrWriter::create(&path, one_band(), ZarrOptions::default()).unwrap();
    writer.write(0, &whole, &vec![7; n]).unwrap();
    writer.finish().unwrap();
    let error = ZarrWriter::create(&path, one_band(), ZarrOptions::default()).unwrap_err();
    assert!(error.is_exists(), "{error}");

    std::fs::write(path.join("mark"), "old").unwrap();
    let again = ZarrOptions::default().overwrite(true);
    let writer = ZarrWriter::create(&path, one_band(), again).unwrap();
    writer.write(0, &whole, &vec![8; n]).unwrap();
    assert!(
        path.join("mark").exists(),
        "the old store stays until the new one is complete"
    );
    writer.finish().unwrap();
    assert!(!path.join("mark").exists() && path.join("zarr.json").exists());
    assert_eq!(entries(), 1);
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zarr");
    let refuse = |change: fn(&mut ZarrSpec)| {
        let mut spec = one_band();
        change(&mut spec);
        ZarrWriter::create(&path, spec, ZarrOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refuse(|spec| spec.variables[0].name = "time".into()).contains("used twice"));
    assert!(refuse(|spec| spec.variables[0].name = "a/b".into()).contains("no name"));
    assert!(refuse(|spec| spec.variables[0].chunks[1] = 0).contains("hold no pixel"));
    assert!(refuse(|spec| spec.variables[0].shape[0] = 4).contains("3 labels of `time` for 4"));
    assert!(
        refuse(|spec| spec.variables[0].nodata = Some(Number::Int(-1)))
            .contains("no value of uint8")
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
