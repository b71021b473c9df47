//! Every TIFF of the shared corpora against what GDAL makes of it.
//!
//! Of each file that GDAL reads: size, type, nodata, coordinate system, affine,
//! scale and offset, colours, overviews, masks, and the sha256 of its pixels; or
//! a refusal by name. Of each that GDAL cannot read: an error. What is refused,
//! what differs and what only we read is listed in [`REFUSED`], `libjpeg.json`
//! and [`READ_BY_US`], file by file, and the lists have to be complete and needed.

#[path = "common/raster.rs"]
mod raster;

use std::collections::BTreeMap;
use std::path::Path;

use datacube_geo::{Crs, PixelWindow};
use datacube_load::{Error, MaskKind, RasterInfo, RasterReader, Rasters};
use datacube_model::{DType, Number};
use raster::{digest, digest_of, open, rasters, read, read_band, read_mask, shared_data};
use serde_json::Value;

/// Files that GDAL reads and we refuse, and for what.
const REFUSED: &[(&str, &str)] = &[
    // Colours that GDAL turns into RGB.
    ("gcore/data/cielab.tif", "converting CIE L*a*b* colours"),
    ("gcore/data/ycbcr_11_lzw.tif", "converting YCbCr colours"),
    ("gcore/data/ycbcr_12_lzw.tif", "converting YCbCr colours"),
    ("tests/images/cmyk-3c-8b.tiff", "converting CMYK colours"),
    ("tests/images/cmyk-4c-8b.tiff", "converting CMYK colours"),
    (
        "tests/images/seq/seq-4c-8b-cmyk-352ac1da.tiff",
        "converting CMYK colours",
    ),
    ("tests/images/tiled-cmyk-i8.tif", "converting CMYK colours"),
    // Codecs of another age.
    ("gcore/data/uint16_sgilog.tif", "SGI LogLuv compression"),
    ("tests/images/logluv-3c-16b.tiff", "SGI LogLuv compression"),
    ("gcore/data/thunder.tif", "ThunderScan compression"),
    ("gcore/data/zackthecat.tif", "old JPEG compression"),
    // Samples that nothing else can take.
    (
        "gcore/data/float24.tif",
        "reading 24-bit floating-point samples",
    ),
    (
        "gcore/data/cint_sar.tif",
        "reading 32-bit complex integer samples",
    ),
    (
        "gcore/data/complex_int32.tif",
        "reading 64-bit complex integer samples",
    ),
    (
        "gcore/data/gtiff/cint32_big_endian.tif",
        "reading 64-bit complex integer samples",
    ),
];

/// Files whose colours are stored at half the resolution: the manifest's GDAL
/// 3.10.3 has an older libjpeg, which gives other pixels than that of GDAL
/// 3.12.2, see `fixtures/corpus/make.py`; ours are those of the latter.
const BY_ANOTHER_LIBJPEG: usize = 7;

/// Files that GDAL opens, and cannot read, and we can.
const READ_BY_US: &[(&str, &str)] = &[
    (
        "gcore/data/excessive-memory-TIFFFillTile.tif",
        "the window that is read has sparse blocks only",
    ),
    (
        "gcore/data/mandrilmini_12bitjpeg.tif",
        "JPEG of 12 bits, which rasterio's GDAL is built without",
    ),
];

/// What became of the files.
#[derive(Default)]
struct Tally {
    right: usize,
    /// Files by what they were refused for.
    refused: BTreeMap<String, Vec<String>>,
    wrong: Vec<String>,
}

impl Tally {
    /// What is refused has to be listed, for what it is refused for.
    fn check(mut self, title: &str) -> Self {
        for (what, files) in &self.refused {
            for file in files {
                let is_listed = REFUSED.contains(&(file.as_str(), what.as_str()));
                if !is_listed {
                    self.wrong.push(format!("{file} is refused: {what}"));
                }
            }
        }
        self.print(title);
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
        self
    }

    fn print(&self, title: &str) {
        let n_refused: usize = self.refused.values().map(Vec::len).sum();
        eprintln!(
            "{title}: {} read right, {n_refused} refused, {} wrong",
            self.right,
            self.wrong.len()
        );
        for (reason, files) in &self.refused {
            eprintln!("  {:3} {reason}", files.len());
            for file in files {
                eprintln!("      {file}");
            }
        }
        for wrong in &self.wrong {
            eprintln!("  WRONG {wrong}");
        }
    }
}

/// Coordinate systems as GDAL names them, of files that are no code of EPSG.
fn systems() -> Value {
    let text = std::fs::read_to_string(raster::fixture("crs.json")).expect("the fixture is here");
    serde_json::from_str(&text).expect("make_crs.py writes JSON")
}

fn manifest(folder: &Path, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join(name)).expect("the corpus has a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("the manifest is JSON");
    manifest["files"]
        .as_array()
        .expect("the manifest lists files")
        .clone()
}

/// Checks all files of a corpus whose class is one of `classes`.
async fn check_corpus(corpus: &str, manifest_name: &str, classes: &[&str]) -> Option<Tally> {
    let folder = shared_data()?.join(corpus);
    let systems = systems();
    let rasters = rasters();
    let mut tally = Tally::default();
    for entry in manifest(&folder, manifest_name) {
        if !classes.contains(&entry["class"].as_str().unwrap_or("core")) {
            continue;
        }
        let file = entry["file"].as_str().expect("a file has a name");
        // Files beside the TIFF are none of the reader's business.
        let gdal = entry.get("gdal_internal_only").unwrap_or(&entry["gdal"]);
        let mut gdal = gdal.clone();
        by_another_libjpeg(&format!("{corpus}/{file}"), &mut gdal);
        let gdal = &gdal;
        let system = &systems[format!("{corpus}/{file}")];
        match check_file(&rasters, &folder.join(file), gdal, system).await {
            Ok(problems) if problems.is_empty() => tally.right += 1,
            Ok(problems) => tally.wrong.push(format!("{file}: {}", problems.join("; "))),
            Err(Error::Unsupported { what, .. }) => {
                tally.refused.entry(what).or_default().push(file.to_owned());
            }
            Err(error) => tally.wrong.push(error.to_string()),
        }
    }
    Some(tally.check(&format!("{corpus} {classes:?}")))
}

/// Replaces the pixels of a file by those that another GDAL reads, where the one
/// of the manifest was built with another libjpeg.
fn by_another_libjpeg(file: &str, gdal: &mut Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/corpus/libjpeg.json");
    let text = std::fs::read_to_string(path).expect("the fixture is here");
    let found: Value = serde_json::from_str(&text).expect("make.py writes JSON");
    let files = found["files"].as_object().expect("by file");
    assert_eq!(files.len(), BY_ANOTHER_LIBJPEG);
    let Some(found) = files.get(file) else { return };
    gdal["band1_sha256"] = found["bands"][0].clone();
    gdal["bands_sha256"] = found["bands"].clone();
    // Of a large file a window is hashed instead; the whole stands for it.
    gdal["window0_sha256"] = Value::Null;
    let overviews = found["overviews"].as_array().expect("a list");
    for (at, hash) in overviews.iter().enumerate() {
        gdal["overviews"][at]["band1_sha256"] = hash.clone();
    }
}

/// What differs from GDAL, or the error that the file cannot be read for.
async fn check_file(
    rasters: &Rasters,
    path: &Path,
    gdal: &Value,
    system: &Value,
) -> Result<Vec<String>, Error> {
    let reader = open(rasters, path).await?;
    let mut problems = Vec::new();
    // Pixels first: what cannot be read is refused, whatever its header says.
    check_pixels(&*reader, gdal, &mut problems).await?;
    check_header(reader.info(), gdal, system, &mut problems);
    Ok(problems)
}

fn check_header(info: &RasterInfo, gdal: &Value, system: &Value, problems: &mut Vec<String>) {
    let mut expect = |what: &str, found: String, expected: String| {
        if found != expected {
            problems.push(format!("{what} is {found}, GDAL has {expected}"));
        }
    };
    let text = |value: &Value| value.to_string();
    expect("height", info.shape.rows.to_string(), text(&gdal["height"]));
    expect("width", info.shape.cols.to_string(), text(&gdal["width"]));
    expect(
        "number of bands",
        info.bands.len().to_string(),
        text(&gdal["bands"]),
    );

    let band = &info.bands[0];
    let dtype = match (band.dtype, &gdal["nbits"]) {
        (DType::Float16, Value::String(bits)) if bits == "16" => DType::Float32,
        (dtype, _) => dtype,
    };
    expect(
        "dtype",
        dtype.to_string(),
        gdal["dtype"].as_str().unwrap_or_default().to_owned(),
    );
    let nodata = number_of(&gdal["nodata"]);
    expect(
        "nodata",
        format!("{:?}", band.nodata),
        format!("{:?}", like(band.nodata, nodata)),
    );
    for (what, found, expected) in [
        ("scale", band.scale, &gdal["scales"]),
        ("offset", band.offset, &gdal["offsets"]),
    ] {
        let default = if what == "scale" { 1.0 } else { 0.0 };
        expect(
            what,
            found.to_string(),
            expected[0].as_f64().unwrap_or(default).to_string(),
        );
    }

    // The manifest has those of the first bands only.
    if let Some(expected) = gdal["colorinterp"].as_array() {
        let bands = info.bands.iter().take(expected.len());
        let colors: Vec<&str> = bands.map(|band| band.color).collect();
        expect(
            "colours",
            serde_json::json!(colors).to_string(),
            text(&gdal["colorinterp"]),
        );
    }

    let affine = info
        .affine
        .map_or([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], |affine| {
            [affine.a, affine.b, affine.c, affine.d, affine.e, affine.f]
        });
    let expected: Vec<f64> = (0..6)
        .map(|i| gdal["transform"][i].as_f64().unwrap_or(f64::NAN))
        .collect();
    let is_close = affine
        .iter()
        .zip(&expected)
        .all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs());
    if !is_close {
        expect("affine", format!("{affine:?}"), format!("{expected:?}"));
    }
    expect(
        "number of GCPs",
        info.n_gcps.to_string(),
        text(&gdal["gcps"]),
    );
    check_crs(info, gdal, system, problems);

    let factors = gdal["overviews"].as_array().map_or(0, Vec::len);
    if info.levels.len() - 1 != factors {
        problems.push(format!(
            "{} overviews, GDAL has {factors}",
            info.levels.len() - 1
        ));
    }
}

fn check_crs(info: &RasterInfo, gdal: &Value, system: &Value, problems: &mut Vec<String>) {
    // GDAL gives the system of a file with control points another way.
    if info.n_gcps > 0 {
        return;
    }
    let found = info
        .crs
        .as_ref()
        .map_or("none".to_owned(), |crs| crs.to_string());
    // DIFFERENCE: heights are left out, also those above the ellipsoid.
    let epsg = gdal["crs_epsg"].as_u64().or(system["epsg"].as_u64());
    let epsg = epsg.map(|code| if code == 4979 { 4326 } else { code });
    if let Some(epsg) = epsg {
        let expected = u32::try_from(epsg)
            .ok()
            .and_then(|code| Crs::from_epsg(code).ok());
        if info.crs != expected {
            problems.push(format!("CRS is {found}, GDAL has EPSG:{epsg}"));
        }
        return;
    }
    match system["wkt"].as_str() {
        // Neither height nor a local system places pixels on the earth.
        Some(wkt) if wkt.starts_with("COMPOUNDCRS") && info.crs.is_some() => {}
        Some(wkt) if wkt.starts_with("ENGCRS") && info.crs.is_none() => {}
        Some(wkt) => match Crs::parse(wkt) {
            Ok(expected) if info.crs.as_ref() == Some(&expected) => {}
            Ok(expected) => problems.push(format!(
                "CRS is {found} ({:?}), GDAL has {expected}",
                info.georeference_problem
            )),
            Err(error) => problems.push(format!("GDAL's CRS does not parse: {error}")),
        },
        None if gdal["crs_wkt"].is_null() && info.crs.is_some() => {
            problems.push(format!("CRS is {found}, GDAL has none"));
        }
        None => {}
    }
}

async fn check_pixels(
    reader: &dyn RasterReader,
    gdal: &Value,
    problems: &mut Vec<String>,
) -> Result<(), Error> {
    if let Some(expected) = gdal["window0_sha256"].as_str() {
        let pixels = read(reader, 0, 1, PixelWindow::new(0..256, 0..256)).await?;
        if digest(&pixels) != expected {
            problems.push("the first 256 x 256 pixels differ".to_owned());
        }
    }
    let mut hashes = vec![(0, 1, &gdal["band1_sha256"])];
    for (at, hash) in gdal["bands_sha256"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        hashes.push((0, u32::try_from(at).expect("few bands") + 1, hash));
    }
    for (at, overview) in gdal["overviews"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if at + 1 < reader.info().levels.len() {
            let shape = reader.info().levels[at + 1].shape;
            if [Some(shape.rows as u64), Some(shape.cols as u64)]
                != [overview["h"].as_u64(), overview["w"].as_u64()]
            {
                problems.push(format!("overview {} is {shape:?}", at + 1));
                continue;
            }
            hashes.push((at + 1, 1, &overview["band1_sha256"]));
        }
    }
    for (level, band, hash) in hashes {
        let Some(expected) = hash.as_str() else {
            continue;
        };
        if digest(&read_band(reader, level, band).await?) != expected {
            problems.push(format!("pixels of band {band} of level {level} differ"));
        }
    }
    check_mask(reader, gdal, problems).await
}

async fn check_mask(
    reader: &dyn RasterReader,
    gdal: &Value,
    problems: &mut Vec<String>,
) -> Result<(), Error> {
    let Some(expected) = gdal["mask_band1_sha256"].as_str() else {
        return Ok(());
    };
    let flags: Vec<&str> = gdal["mask_flags"][0]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mask: Option<Vec<u8>> = match (&flags[..], reader.info().mask) {
        (["per_dataset"], MaskKind::Internal) => {
            let mask = read_mask(reader).await?;
            mask.map(|mask| mask.as_bytes().iter().map(|&valid| valid * 255).collect())
        }
        (["per_dataset", "alpha"], MaskKind::Alpha(band)) => {
            let alpha = read_band(reader, 0, band).await?;
            Some(match alpha.as_slice::<u16>() {
                Some(wide) => wide.iter().map(|&alpha| alpha_to_byte(alpha)).collect(),
                None => alpha.as_bytes().to_vec(),
            })
        }
        (["per_dataset", ..], kind) => {
            problems.push(format!("the mask is {kind:?}, GDAL has {flags:?}"));
            None
        }
        _ => None,
    };
    if let Some(mask) = mask
        && digest_of(&mask) != expected
    {
        problems.push("the mask differs".to_owned());
    }
    Ok(())
}

/// 16-bit alpha as GDAL's mask has it: scaled down, and 0 only where it was 0.
fn alpha_to_byte(alpha: u16) -> u8 {
    let scaled = u8::try_from(u32::from(alpha) * 255 / 65_535).expect("at most 255");
    scaled.max(u8::from(alpha != 0))
}

fn number_of(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

/// `expected` in the representation of `found`, where they are equal.
fn like(found: Option<Number>, expected: Option<f64>) -> Option<Number> {
    let expected = Number::Float(expected?);
    match found {
        Some(found) if found == expected => Some(found),
        _ => Some(expected),
    }
}

#[tokio::test]
async fn real_scenes_are_read_as_gdal_reads_them() {
    let Some(tally) = check_corpus("rasters", "MANIFEST.json", &["core"]).await else {
        return;
    };
    assert!(tally.right >= 325, "{} read right", tally.right);
}

#[tokio::test]
async fn core_files_of_gdal_are_read_as_gdal_reads_them() {
    let Some(tally) = check_corpus("gdal-autotest", "manifest.json", &["core"]).await else {
        return;
    };
    assert!(tally.right >= 235, "{} read right", tally.right);
}

#[tokio::test]
async fn core_files_of_image_tiff_are_read_as_gdal_reads_them() {
    let Some(tally) = check_corpus("image-tiff", "manifest.json", &["core"]).await else {
        return;
    };
    assert!(tally.right >= 80, "{} read right", tally.right);
}

#[tokio::test]
async fn other_files_are_read_right_or_refused_by_name() {
    for corpus in ["gdal-autotest", "image-tiff"] {
        let Some(tally) = check_corpus(corpus, "manifest.json", &["extended"]).await else {
            return;
        };
        assert!(tally.right >= 32, "{} read right", tally.right);
    }
}

#[tokio::test]
async fn broken_files_are_errors() {
    let Some(data) = shared_data() else {
        return;
    };
    let folder = data.join("gdal-autotest");
    let rasters = rasters();
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in manifest(&folder, "manifest.json") {
        let class = entry["class"].as_str().unwrap_or_default();
        if !matches!(class, "gdal-rejects" | "opens-read-error") {
            continue;
        }
        let file = entry["file"].as_str().expect("a file has a name");
        let outcome = match read_first_band(&rasters, &folder.join(file)).await {
            Err(error) => {
                eprintln!("{class}: {error}");
                "an error"
            }
            Ok(()) => {
                let listed = READ_BY_US.iter().find(|(name, _)| *name == file);
                let (_, why) = listed.unwrap_or_else(|| panic!("{class}: {file} is read"));
                eprintln!("{class}: {file} is read: {why}");
                "read"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    eprintln!("broken files: {outcomes:?}");
    assert_eq!(outcomes["an error"] + outcomes["read"], 31);
    assert_eq!(outcomes["read"], READ_BY_US.len());
}

async fn read_first_band(rasters: &Rasters, path: &Path) -> Result<(), Error> {
    let reader = open(rasters, path).await?;
    let shape = reader.info().shape;
    let window = PixelWindow::new(0..shape.rows.min(2048), 0..shape.cols.min(2048));
    read(&*reader, 0, 1, window).await.map(|_| ())
}

/// Every file that a list names is in a corpus, and is what the list says.
#[tokio::test]
async fn lists_name_what_is_there() {
    let Some(data) = shared_data() else {
        return;
    };
    let rasters = rasters();
    for (file, words) in REFUSED {
        let corpus = match file.starts_with("tests/") {
            true => "image-tiff",
            false => "gdal-autotest",
        };
        let error = match open(&rasters, &data.join(corpus).join(file)).await {
            Err(error) => error,
            Ok(reader) => read_band(&*reader, 0, 1).await.expect_err(file),
        };
        assert!(error.to_string().contains(words), "{file}: {error}");
    }
}
