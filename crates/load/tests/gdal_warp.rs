//! Every kernel against GDAL's warper, on small rasters of `fixtures/warp`.
//!
//! Targets: nearest identical on 99.99 % of pixels, the others within one count
//! or 1e-4 relative on 99.9 %, the pattern of missing pixels equal on 99.9 %.
//! Set `WARP_REPORT=1` to see the shares case by case.

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use datacube_geo::{Affine, Crs, GeoBox, Shape2d};
use datacube_load::{
    BandParams, MemoryRaster, MemoryRasters, Pixel, RasterSource, WarpScale, with_pixel_type,
};
use datacube_model::{DType, Number};
use ndarray::Array2;
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;

struct Fixtures {
    about: Value,
    arrays: NpzReader<File>,
}

impl Fixtures {
    fn open() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/warp");
        let about = std::fs::read_to_string(folder.join("warp.json")).expect("the fixture is here");
        Fixtures {
            about: serde_json::from_str(&about).expect("make.py writes JSON"),
            arrays: NpzReader::new(
                File::open(folder.join("warp.npz")).expect("the fixture is here"),
            )
            .expect("make.py writes an npz"),
        }
    }

    fn array<T: ReadableElement + Copy>(&mut self, key: &str) -> Vec<T> {
        let array: Array2<T> = self.arrays.by_name(key).expect("the array is in the npz");
        array.iter().copied().collect()
    }

    fn cases(&self) -> Vec<Case> {
        self.about["cases"]
            .as_array()
            .expect("a list")
            .iter()
            .map(Case::new)
            .collect()
    }

    fn raster(&self, name: &str) -> (GeoBox, DType, Option<Number>) {
        let raster = &self.about["rasters"][name];
        let dtype = raster["dtype"]
            .as_str()
            .expect("a dtype")
            .parse()
            .expect("a known dtype");
        (geobox(raster), dtype, number(&raster["nodata"]))
    }
}

#[derive(Clone, Debug)]
struct Case {
    key: String,
    raster: String,
    grid: String,
    kernel: String,
    scale: WarpScale,
    tolerance: f64,
    nodata: Option<Number>,
    geobox: GeoBox,
}

impl Case {
    fn new(case: &Value) -> Self {
        let text = |name: &str| case[name].as_str().expect("a string").to_owned();
        Case {
            key: text("key"),
            raster: text("raster"),
            grid: text("grid"),
            kernel: text("kernel"),
            scale: text("scale").parse().expect("auto or unit"),
            tolerance: case["tolerance"].as_f64().expect("a number"),
            nodata: number(&case["nodata"]),
            geobox: geobox(case),
        }
    }
}

fn geobox(value: &Value) -> GeoBox {
    let numbers = |name: &str| -> Vec<f64> {
        let list = value[name].as_array().expect("a list");
        list.iter().map(|v| v.as_f64().expect("a number")).collect()
    };
    let (shape, a) = (numbers("shape"), numbers("affine"));
    let affine = Affine {
        a: a[0],
        b: a[1],
        c: a[2],
        d: a[3],
        e: a[4],
        f: a[5],
    };
    let crs = Crs::parse(value["crs"].as_str().expect("a CRS")).expect("a known CRS");
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small shapes"
    )]
    let shape = Shape2d {
        rows: shape[0] as usize,
        cols: shape[1] as usize,
    };
    GeoBox::new(shape, affine, Some(crs)).expect("a sound grid")
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::String(_) => Some(Number::Float(f64::NAN)),
        Value::Number(n) => n
            .as_i64()
            .map(Number::from)
            .or_else(|| n.as_f64().map(Number::from)),
        _ => None,
    }
}

/// How two images compare.
#[derive(Clone, Copy, Default)]
struct Tally {
    pixels: usize,
    /// The same value, missing ones included.
    equal: usize,
    /// Within one count, or 1e-4 relative for floats; missing ones included.
    close: usize,
    /// Missing in both or in neither.
    pattern: usize,
}

impl Tally {
    fn new<T: Pixel + Into<f64>>(ours: &[T], gdal: &[T], nodata: Option<Number>) -> Self {
        assert_eq!(ours.len(), gdal.len());
        let marker = nodata.and_then(T::from_number).map(Into::into);
        let mut tally = Tally::default();
        for (&a, &b) in ours.iter().zip(gdal) {
            let (a, b): (f64, f64) = (a.into(), b.into());
            let missing = |v: f64| v.is_nan() || Some(v) == marker;
            let limit = if T::DTYPE.is_float() {
                1e-4 * b.abs()
            } else {
                1.0
            };
            let both = missing(a) && missing(b);
            tally.pixels += 1;
            tally.pattern += usize::from(missing(a) == missing(b));
            tally.equal += usize::from(both || a == b);
            let close = missing(a) == missing(b) && (a - b).abs() <= limit;
            tally.close += usize::from(both || close);
        }
        tally
    }

    fn add(&mut self, other: Tally) {
        self.pixels += other.pixels;
        self.equal += other.equal;
        self.close += other.close;
        self.pattern += other.pattern;
    }

    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    fn shares(&self) -> [f64; 3] {
        [self.equal, self.close, self.pattern].map(|n| 100.0 * n as f64 / self.pixels as f64)
    }
}

fn run<T: Pixel + Into<f64> + ReadableElement>(fixtures: &mut Fixtures, case: &Case) -> Tally {
    let (src, _, src_nodata) = fixtures.raster(&case.raster);
    let pixels: Vec<T> = fixtures.array(&format!("src_{}", case.raster));
    let rasters = MemoryRasters::default();
    rasters.put(
        "a",
        MemoryRaster::new(&src, &pixels, src_nodata).expect("a sound raster"),
    );
    let params = BandParams::new("band", T::DTYPE)
        .with_nodata(case.nodata)
        .with_resampling(case.kernel.parse().expect("a known kernel"))
        .with_warp_scale(case.scale);
    let archive = common::archive(&case.geobox, params, [RasterSource::new("a")]);
    let ours: Vec<T> = common::load(&common::loader(&rasters), &archive);
    Tally::new(&ours, &expected(fixtures, case), case.nodata)
}

/// What GDAL makes of it.
///
/// For `mode` of floats that is what it makes of the same classes in 16 bits:
/// see the DIFFERENCE in `warp/mode.rs`.
fn expected<T: Pixel + Into<f64> + ReadableElement>(
    fixtures: &mut Fixtures,
    case: &Case,
) -> Vec<T> {
    if case.raster != "classes_float32" {
        return fixtures.array(&case.key);
    }
    let twin = fixtures.cases().into_iter().find(|other| {
        other.raster == "classes_uint16" && other.grid == case.grid && other.kernel == case.kernel
    });
    let classes: Vec<u16> = fixtures.array(&twin.expect("every grid has it").key);
    let value = |class: u16| {
        let number = if class == 0 {
            Number::Float(f64::NAN)
        } else {
            Number::from(u64::from(class))
        };
        T::from_number(number).expect("a float holds it")
    };
    classes.into_iter().map(value).collect()
}

fn run_case(fixtures: &mut Fixtures, case: &Case) -> Tally {
    let (_, dtype, _) = fixtures.raster(&case.raster);
    match dtype {
        DType::UInt8 => run::<u8>(fixtures, case),
        DType::Int16 => run::<i16>(fixtures, case),
        DType::UInt16 => run::<u16>(fixtures, case),
        DType::Float32 => run::<f32>(fixtures, case),
        other => panic!("make.py makes no {other}"),
    }
}

#[test]
fn every_kernel_gives_what_gdal_gives() {
    let mut fixtures = Fixtures::open();
    let mut by_kernel: BTreeMap<String, Tally> = BTreeMap::new();
    let mut report = String::new();
    for case in fixtures.cases() {
        let tally = run_case(&mut fixtures, &case);
        by_kernel.entry(case.kernel.clone()).or_default().add(tally);
        let [equal, close, pattern] = tally.shares();
        writeln!(
            report,
            "{:5} {:14} {:16} {:8} {:4} tolerance {:5}: {:5} px, equal {equal:6.2} %, close {close:6.2} %, \
             pattern {pattern:6.2} %",
            case.key, case.grid, case.raster, case.kernel, case.scale, case.tolerance, tally.pixels
        )
        .expect("writing to a string");
    }
    if std::env::var_os("WARP_REPORT").is_some() {
        eprintln!("{report}");
    }
    for (kernel, tally) in &by_kernel {
        let [equal, close, pattern] = tally.shares();
        eprintln!(
            "{kernel:9} {:6} px: equal {equal:.3} %, close {close:.3} %, pattern {pattern:.3} %",
            tally.pixels
        );
    }
    for (kernel, tally) in by_kernel {
        let [equal, close, pattern] = tally.shares();
        if kernel == "nearest" {
            assert!(equal >= 99.99, "nearest: {equal} % equal");
        }
        assert!(close >= 99.9, "{kernel}: {close} % close");
        assert!(pattern >= 99.9, "{kernel}: {pattern} % of the pattern");
    }
}

#[test]
fn every_dtype_runs_every_kernel() {
    // The fixtures have four types; the others take the same way through other
    // machine code. Small integers are exact in all of them, so are compared.
    let mut fixtures = Fixtures::open();
    let case = fixtures
        .cases()
        .into_iter()
        .find(|case| {
            case.raster == "hills_uint8" && case.grid == "albers" && case.kernel == "nearest"
        })
        .expect("make.py makes it");
    let (src, ..) = fixtures.raster(&case.raster);
    let bytes: Vec<u8> = fixtures.array("src_hills_uint8");
    for kernel in datacube_load::Resampling::ALL.map(datacube_load::Resampling::name) {
        let load = |dtype: DType| -> Vec<f64> {
            with_pixel_type!(
                dtype,
                T => {
                    // Within the range of every type, a byte's holes at 100.
                    let value = |byte: u8| Number::from(u64::from(if byte == 255 { 100 } else { byte / 3 }));
                    let pixels: Vec<T> =
                        bytes.iter().map(|&byte| T::from_number(value(byte)).expect("fits")).collect();
                    let rasters = MemoryRasters::default();
                    let nodata = Some(Number::Int(100));
                    rasters.put("a", MemoryRaster::new(&src, &pixels, nodata).expect("sound"));
                    let params = BandParams::new("band", T::DTYPE)
                        .with_nodata(nodata)
                        .with_resampling(kernel.parse().expect("known"));
                    let archive = common::archive(&case.geobox, params, [RasterSource::new("a")]);
                    let out: Vec<T> = common::load(&common::loader(&rasters), &archive);
                    out.iter().map(|&pixel| as_f64(pixel)).collect()
                },
                otherwise unreachable!("no complex type is asked for")
            )
        };
        let reference = load(DType::Float64);
        for dtype in DType::ALL
            .into_iter()
            .filter(|dtype| !dtype.is_complex() && *dtype != DType::Bool)
        {
            let found = load(dtype);
            let limit = match dtype {
                DType::Float16 => 0.07,
                dtype if dtype.is_float() => 1e-4,
                _ => 1.0,
            };
            for (at, (a, b)) in found.iter().zip(&reference).enumerate() {
                assert!(
                    (a - b).abs() <= limit,
                    "{kernel} of {dtype}: {a}, not {b}, at {at}"
                );
            }
        }
    }
}

/// A pixel's value; the numbers here are small.
fn as_f64<T: Pixel>(pixel: T) -> f64 {
    (0..=4000)
        .map(|step| f64::from(step) / 16.0)
        .find(|&value| T::from_number(Number::Float(value)) == Some(pixel))
        .unwrap_or_else(|| {
            // Floats between the steps.
            let bytes = bytemuck::bytes_of(&pixel);
            match bytes.len() {
                8 => f64::from_ne_bytes(bytes.try_into().expect("eight bytes")),
                4 => f32::from_ne_bytes(bytes.try_into().expect("four bytes")).into(),
                _ => half::f16::from_ne_bytes(bytes.try_into().expect("two bytes")).into(),
            }
        })
}
