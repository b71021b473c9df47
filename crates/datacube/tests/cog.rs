//! COGs as others see them: GDAL opens every combination of type, shape, CRS and
//! chunking that we write, calls it valid, and finds the same pixels.
//!
//! The comparison is `tests/interop/check_cog.py`; it runs where the variable
//! `DATACUBE_PYTHON` names a Python with rasterio and rio-cogeo.

mod common;

use std::path::Path;

use common::{Random, python};
use datacube::export::Error;
use datacube::export::cog::{Band, CogOptions, CogSpec, CogWriter, OverviewResampling};
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_load::{PixelBuffer, Rasters, RastersOptions, StoreRegistry};
use datacube_model::{DType, Number};
use serde_json::{Value, json};

const UTM: Affine = Affine {
    a: 30.0,
    b: 0.0,
    c: 600_015.0,
    d: 0.0,
    e: -30.0,
    f: -4_100_015.0,
};
const ROTATED: Affine = Affine {
    a: 25.0,
    b: 8.0,
    c: 500_000.0,
    d: 8.0,
    e: -25.0,
    f: 4_000_000.0,
};

/// Albers with parameters of nobody's.
const CUSTOM: &str = r#"PROJCS["Fancy Albers",GEOGCS["GDA94",DATUM["Geocentric_Datum_of_Australia_1994",SPHEROID["GRS 1980",6378137,298.257222101]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Albers_Conic_Equal_Area"],PARAMETER["latitude_of_center",-5],PARAMETER["longitude_of_center",131],PARAMETER["standard_parallel_1",-17],PARAMETER["standard_parallel_2",-37],PARAMETER["false_easting",100],PARAMETER["false_northing",200],UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]"#;

struct Case {
    name: &'static str,
    dtype: DType,
    bands: usize,
    shape: (usize, usize),
    chunk: (usize, usize),
    affine: Affine,
    crs: Option<&'static str>,
    nodata: Option<Number>,
    options: CogOptions,
    resampling: OverviewResampling,
}

impl Case {
    fn new(name: &'static str, dtype: DType) -> Self {
        Case {
            name,
            dtype,
            bands: 1,
            shape: (300, 421),
            chunk: (100, 128),
            affine: UTM,
            crs: Some("EPSG:32655"),
            nodata: dtype.is_float().then_some(Number::Float(f64::NAN)),
            options: CogOptions::default().block(64),
            resampling: OverviewResampling::Average,
        }
    }

    /// Writes the file chunk by chunk in random order; gives what GDAL should find.
    fn write(&self, folder: &Path) -> Value {
        let path = folder.join(format!("{}.tif", self.name));
        let raw = folder.join(format!("{}.raw", self.name));
        let (rows, cols) = self.shape;
        let size = self.dtype.size();
        let mut random = Random::new(self.name);
        let bands: Vec<Vec<u8>> = (0..self.bands).map(|_| pixels(self, &mut random)).collect();
        std::fs::write(&raw, bands.concat()).unwrap();

        let crs = self.crs.map(|text| Crs::parse(text).unwrap());
        let geobox = GeoBox::new(Shape2d { rows, cols }, self.affine, crs).unwrap();
        let mut spec = CogSpec::new(geobox, self.dtype).nodata(self.nodata).bands(
            (0..self.bands)
                .map(|band| {
                    Band::named(format!("2020-02-{:02} <&\"{}\">", band + 1, self.name))
                        .unit("reflectance")
                        .scale_offset(2.75e-5, -0.2)
                })
                .collect(),
        );
        spec.metadata.insert("made by".into(), "a < b & c".into());
        let options = self.options.clone().overview_resampling(self.resampling);
        let writer = CogWriter::create(&path, spec, options).unwrap();

        let mut chunks = Vec::new();
        for band in 0..self.bands {
            for row in (0..rows).step_by(self.chunk.0) {
                for col in (0..cols).step_by(self.chunk.1) {
                    chunks.push((
                        band,
                        PixelWindow {
                            rows: row..(row + self.chunk.0).min(rows),
                            cols: col..(col + self.chunk.1).min(cols),
                        },
                    ));
                }
            }
        }
        random.shuffle(&mut chunks);
        // Several threads, as an engine would.
        std::thread::scope(|scope| {
            for part in chunks.chunks(chunks.len().div_ceil(3)) {
                let (writer, bands) = (&writer, &bands);
                scope.spawn(move || {
                    for (band, window) in part {
                        let bytes: Vec<u8> = window
                            .rows
                            .clone()
                            .flat_map(|row| {
                                let at = (row * cols + window.cols.start) * size;
                                bands[*band][at..at + window.cols.len() * size]
                                    .iter()
                                    .copied()
                            })
                            .collect();
                        writer.write(*band, window, &bytes).unwrap();
                    }
                });
            }
        });
        let summary = writer.finish().unwrap();
        assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(summary.big_tiff, self.options.big_tiff);

        // GDAL averages no complex numbers and keeps no overview of one block.
        let compared = !self.dtype.is_complex() && self.dtype != DType::Bool;
        let block = self.options.block.min(rows.max(cols).next_multiple_of(16));
        json!({
            "path": path, "raw": raw, "dtype": self.dtype.name(), "rows": rows, "cols": cols,
            "block": block,
            "nodata": self.nodata.map(|nodata| match nodata {
                Number::Float(value) if value.is_nan() => json!("nan"),
                other => json!(other.as_f64()),
            }),
            "affine": [
                self.affine.a, self.affine.b, self.affine.c,
                self.affine.d, self.affine.e, self.affine.f,
            ],
            "crs": self.crs,
            "descriptions": (0..self.bands)
                .map(|band| format!("2020-02-{:02} <&\"{}\">", band + 1, self.name))
                .collect::<Vec<_>>(),
            "units": vec!["reflectance"; self.bands],
            "scale": [2.75e-5, -0.2],
            "tags": {"made by": "a < b & c"},
            "overviews": compared.then_some(match self.resampling {
                OverviewResampling::Nearest => "nearest",
                OverviewResampling::Average => "average",
            }),
        })
    }
}

/// A smooth field with noise and a hole of nodata, as bytes of the type.
fn pixels(case: &Case, random: &mut Random) -> Vec<u8> {
    let (rows, cols) = case.shape;
    let mut out = Vec::with_capacity(rows * cols * case.dtype.size());
    for row in 0..rows {
        for col in 0..cols {
            let (y, x) = (row as f64, col as f64);
            let value = 100.0 + 60.0 * (x / 17.0).sin() * (y / 11.0).cos() + random.unit() * 20.0;
            let hole = (y - 120.0).hypot(x - 200.0) < 40.0 || random.unit() < 0.02;
            let value = match case.nodata {
                Some(nodata) if hole => nodata.as_f64(),
                _ => value,
            };
            push(&mut out, case.dtype, value);
        }
    }
    out
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "test values are small"
)]
fn push(out: &mut Vec<u8>, dtype: DType, value: f64) {
    // Nodata comes as itself; values are spread over the type.
    let spread = |factor: f64, shift: f64| {
        if value < 50.0 {
            value
        } else {
            value * factor + shift
        }
    };
    match dtype {
        DType::Bool => out.push(u8::from(value > 100.0)),
        DType::UInt8 => out.push(value as u8),
        DType::Int8 => out.extend((spread(1.0, -100.0) as i8).to_ne_bytes()),
        DType::UInt16 => out.extend((spread(300.0, 0.0) as u16).to_ne_bytes()),
        DType::Int16 => out.extend((spread(300.0, -30_000.0) as i16).to_ne_bytes()),
        DType::UInt32 => out.extend((spread(2e7, 0.0) as u32).to_ne_bytes()),
        DType::Int32 => out.extend((spread(2e7, -2e9) as i32).to_ne_bytes()),
        DType::UInt64 => out.extend((spread(1e9, 0.0) as u64).to_ne_bytes()),
        DType::Int64 => out.extend((spread(1e9, -1e11) as i64).to_ne_bytes()),
        DType::Float16 => out.extend(half::f16::from_f64(value).to_ne_bytes()),
        DType::Float32 => out.extend((value as f32).to_ne_bytes()),
        DType::Float64 => out.extend(value.to_ne_bytes()),
        DType::Complex64 => {
            out.extend((value as f32).to_ne_bytes());
            out.extend((-value as f32).to_ne_bytes());
        }
        DType::Complex128 => {
            out.extend(value.to_ne_bytes());
            out.extend((-value).to_ne_bytes());
        }
    }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = DType::ALL
        .into_iter()
        .map(|dtype| Case::new(dtype.name(), dtype))
        .collect();
    let base = Case::new;
    cases.extend([
        Case {
            bands: 7,
            chunk: (64, 64),
            nodata: Some(Number::Int(0)),
            ..base("series", DType::UInt16)
        },
        Case {
            bands: 3,
            chunk: (300, 421),
            ..base("whole", DType::Float32)
        },
        Case {
            nodata: Some(Number::Int(-20_000)),
            ..base("minus", DType::Int16)
        },
        Case {
            nodata: Some(Number::Int(1)),
            resampling: OverviewResampling::Nearest,
            ..base("flags", DType::UInt16)
        },
        Case {
            affine: ROTATED,
            ..base("rotated", DType::UInt8)
        },
        Case {
            crs: Some(CUSTOM),
            ..base("custom", DType::UInt8)
        },
        Case {
            crs: Some("EPSG:3577"),
            ..base("albers", DType::UInt8)
        },
        Case {
            crs: Some("EPSG:4326"),
            affine: Affine {
                a: 0.001,
                b: 0.0,
                c: 143.5,
                d: 0.0,
                e: -0.001,
                f: -37.25,
            },
            ..base("lonlat", DType::UInt8)
        },
        Case {
            crs: None,
            ..base("nowhere", DType::UInt8)
        },
        Case {
            options: CogOptions::default().block(64).big_tiff(true),
            ..base("big", DType::UInt16)
        },
        Case {
            shape: (33, 20),
            chunk: (7, 9),
            options: CogOptions::default(),
            ..base("tiny", DType::UInt16)
        },
        Case {
            shape: (1, 300),
            chunk: (1, 50),
            ..base("line", DType::Float32)
        },
        Case {
            shape: (130, 130),
            nodata: Some(Number::Int(0)),
            ..base("two-by-two", DType::UInt16)
        },
    ]);
    cases
}

#[test]
fn gdal_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<Value> = cases()
        .iter()
        .map(|case| case.write(folder.path()))
        .collect();
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert!(
        left.is_empty(),
        "temporary files were left behind: {left:?}"
    );
    let list = folder.path().join("cases.json");
    std::fs::write(&list, serde_json::to_vec(&expected).unwrap()).unwrap();
    let Some(mut command) = python("check_cog.py", &["rasterio", "rio_cogeo"]) else {
        return;
    };
    let status = command.arg(&list).status().unwrap();
    assert!(status.success(), "check_cog.py found a difference");
}

/// What we write we read: the loader's own reader finds the same pixels.
#[tokio::test]
async fn our_reader_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let rasters = Rasters::new(StoreRegistry::new(), &RastersOptions::default());
    for case in cases() {
        case.write(folder.path());
        let path = folder.path().join(format!("{}.tif", case.name));
        let reader = rasters.open(path.to_str().unwrap()).await.unwrap();
        let info = reader.info();
        let name = case.name;
        assert_eq!((info.shape.rows, info.shape.cols), case.shape, "{name}");
        assert_eq!(info.affine, Some(case.affine), "{name}");
        let crs = case.crs.map(|text| Crs::parse(text).unwrap());
        assert_eq!(info.crs, crs, "{name}");
        assert_eq!(info.bands.len(), case.bands, "{name}");
        let levels: Vec<_> = info.levels.iter().map(|level| level.shape).collect();
        let halves = |level: usize| {
            let half = |n: usize| (n >> level).max(1);
            Shape2d::new(half(case.shape.0), half(case.shape.1))
        };
        assert!(
            levels
                .iter()
                .enumerate()
                .all(|(at, shape)| *shape == halves(at)),
            "{levels:?}"
        );
        if case.dtype.is_complex() {
            continue; // Read by GDAL alone.
        }
        let stored = if case.dtype == DType::Bool {
            DType::UInt8
        } else {
            case.dtype
        };
        let raw = std::fs::read(folder.path().join(format!("{name}.raw"))).unwrap();
        let size = raw.len() / case.bands;
        for (band, expected) in (1u32..).zip(raw.chunks_exact(size)) {
            let known = info.band(band).unwrap();
            assert_eq!((known.dtype, known.nodata), (stored, case.nodata), "{name}");
            assert_eq!((known.scale, known.offset), (2.75e-5, -0.2), "{name}");
            let window = PixelWindow::full(info.shape);
            let blocks = reader.fetch(0, band, window.clone()).await.unwrap();
            let mut pixels = PixelBuffer::empty(stored);
            reader.decode(&blocks, window, &mut pixels).unwrap();
            assert!(pixels.as_bytes() == expected, "{name}, band {band}");
        }
    }
}

fn small(path: &Path, options: CogOptions) -> Result<CogWriter, Error> {
    let geobox = GeoBox::new(Shape2d { rows: 20, cols: 30 }, UTM, None).unwrap();
    CogWriter::create(path, CogSpec::new(geobox, DType::UInt8), options)
}

#[test]
fn nothing_is_left_by_an_unfinished_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let writer = small(&path, CogOptions::default()).unwrap();
    writer
        .write(
            0,
            &PixelWindow {
                rows: 0..10,
                cols: 0..30,
            },
            &[1; 300],
        )
        .unwrap();
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Incomplete {
                got: 300,
                expected: 600,
                ..
            }
        ),
        "{error}"
    );
    drop(small(&path, CogOptions::default()).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_is_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    std::fs::write(&path, "precious").unwrap();
    assert!(small(&path, CogOptions::default()).unwrap_err().is_exists());
    let all = PixelWindow {
        rows: 0..20,
        cols: 0..30,
    };
    let writer = small(&path, CogOptions::default().overwrite(true)).unwrap();
    writer.write(0, &all, &[1; 600]).unwrap();
    writer.finish().unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(b"II*\0"));

    // One that appears while we write is kept as well.
    let other = folder.path().join("b.tif");
    let writer = small(&other, CogOptions::default()).unwrap();
    writer.write(0, &all, &[1; 600]).unwrap();
    std::fs::write(&other, "precious").unwrap();
    assert!(writer.finish().unwrap_err().is_exists());
    assert_eq!(std::fs::read(&other).unwrap(), b"precious");
}

#[test]
fn nonsense_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tif");
    let message = |result: Result<CogWriter, Error>| result.unwrap_err().to_string();
    assert!(message(small(&path, CogOptions::default().block(100))).contains("multiple of 16"));
    assert!(message(small(&path, CogOptions::default().level(13))).contains("levels 0 to 12"));
    let geobox = GeoBox::new(Shape2d { rows: 2, cols: 2 }, UTM, None).unwrap();
    let spec = CogSpec::new(geobox, DType::UInt8).nodata(Some(Number::Float(f64::NAN)));
    let text = message(CogWriter::create(&path, spec, CogOptions::default()));
    assert!(text.contains("nodata NaN is no value of uint8"), "{text}");

    let writer = small(&path, CogOptions::default()).unwrap();
    let window = PixelWindow {
        rows: 0..2,
        cols: 0..2,
    };
    assert!(writer.write(0, &window, &[0; 5]).is_err());
    assert!(writer.write(1, &window, &[0; 4]).is_err());
    let all = PixelWindow {
        rows: 0..20,
        cols: 0..30,
    };
    writer.write(0, &all, &[0; 600]).unwrap();
    let error = writer.write(0, &window, &[0; 4]).unwrap_err();
    assert!(error.to_string().contains("written before"), "{error}");

    let nowhere = small(
        &folder.path().join("no/such/folder/a.tif"),
        CogOptions::default(),
    );
    assert!(message(nowhere).contains("could not create"));
}
