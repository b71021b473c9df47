//! `datacube raster info`: what raster files hold.

use std::process::ExitCode;

use anyhow::Result;
use datacube::geo::Affine;
use datacube::{BandInfo, MaskKind, RasterFiles, RasterInfo};
use serde_json::{Map, Value, json};

use super::exit_code;
use crate::args::{Format, RasterCommand, RasterInfoArgs};
use crate::output::{self, Row, Rows};

const COLUMNS: [&str; 10] = [
    "rows",
    "cols",
    "bands",
    "dtype",
    "nodata",
    "crs",
    "resolution",
    "compression",
    "overviews",
    "file",
];

pub(crate) fn run(command: &RasterCommand) -> Result<ExitCode> {
    match command {
        RasterCommand::Info(args) => info(args),
    }
}

/// A file that cannot be read is told of, and does not stop the others.
fn info(args: &RasterInfoArgs) -> Result<ExitCode> {
    super::stores::configure(&args.stores)?;
    let is_listing = matches!(args.format, Format::Table | Format::Csv);
    let checksum = args.checksum.then_some("sha256");
    let mut rows = Rows::new(args.format, checksum.into_iter().chain(COLUMNS));
    let files = RasterFiles::new();
    let mut n_failed = 0;
    for address in &args.files {
        let report = || -> Result<Row> {
            let file = files.open(address)?;
            let info = file.info();
            let mut row = match is_listing {
                true => summarise(address, info),
                false => describe(info),
            };
            if args.checksum {
                row.insert("sha256".into(), file.checksum(1)?.into());
            }
            Ok(row)
        };
        match report() {
            Ok(row) => rows.push(&row)?,
            Err(error) => {
                n_failed += 1;
                output::report_error(&error, false);
            }
        }
    }
    rows.finish()?;
    Ok(exit_code(n_failed))
}

/// Everything, as documents have it.
fn describe(info: &RasterInfo) -> Row {
    let mut row = Row::new();
    let mut put = |name: &str, value: Value| {
        row.insert(name.into(), value);
    };
    put("file", info.uri.as_str().into());
    put("driver", info.driver.into());
    if info.size > 0 {
        put("bytes", info.size.into());
    }
    put("rows", info.shape.rows.into());
    put("cols", info.shape.cols.into());
    put("crs", info.crs.as_ref().map(ToString::to_string).into());
    // What a code or a name stands for can be looked up; else it is spelt out.
    if let Some(crs) = info.crs.as_ref().filter(|crs| crs.as_str() == crs.to_wkt()) {
        put("crs_wkt", crs.to_wkt().into());
    }
    put("affine", json!(info.affine.as_ref().map(six)));
    put("resolution", json!(info.affine.as_ref().map(resolution)));
    put(
        "bounds",
        json!(info.affine.as_ref().map(|affine| bounds(info, affine))),
    );
    if info.n_gcps > 0 {
        put("gcps", info.n_gcps.into());
    }
    if let Some(problem) = &info.georeference_problem {
        put("georeference", problem.as_str().into());
    }
    let mask = match info.mask {
        MaskKind::None => Value::Null,
        MaskKind::Internal => "internal".into(),
        MaskKind::Sidecar => "sidecar".into(),
        MaskKind::Alpha(band) => format!("alpha, band {band}").into(),
    };
    put("mask", mask);
    if let Some(level) = info.levels.first() {
        put("compression", level.compression.into());
        if info.driver == "GTiff" {
            put("predictor", level.predictor.into());
        }
        put(
            "blocks",
            json!({ "rows": level.block_shape.rows, "cols": level.block_shape.cols }),
        );
    }
    let mut ignored = Vec::new();
    for (name, value) in &info.details {
        // Several parts of a file may be left out.
        match *name {
            "ignored" => ignored.push(value.as_str()),
            name => {
                row.insert(name.into(), value.as_str().into());
            }
        }
    }
    if !ignored.is_empty() {
        row.insert("ignored".into(), json!(ignored));
    }
    let overviews: Vec<Value> = info
        .levels
        .iter()
        .skip(1)
        .map(|level| {
            let mut overview = Map::new();
            overview.insert("rows".into(), level.shape.rows.into());
            overview.insert("cols".into(), level.shape.cols.into());
            overview.insert(
                "blocks".into(),
                json!({ "rows": level.block_shape.rows, "cols": level.block_shape.cols }),
            );
            overview.insert("compression".into(), level.compression.into());
            if let Some(resampling) = &level.resampling {
                overview.insert("resampling".into(), resampling.to_ascii_lowercase().into());
            }
            Value::from(overview)
        })
        .collect();
    row.insert("overviews".into(), overviews.into());
    if !info.tags.is_empty() {
        row.insert("tags".into(), tags(&info.tags).into());
    }
    let bands = info.bands.iter().enumerate();
    let bands: Vec<Value> = bands
        .map(|(at, band)| describe_band(at + 1, band).into())
        .collect();
    row.insert("bands".into(), bands.into());
    row
}

fn describe_band(number: usize, band: &BandInfo) -> Row {
    let mut row = Row::new();
    row.insert("band".into(), number.into());
    if let Some(description) = &band.description {
        row.insert("description".into(), description.as_str().into());
    }
    row.insert("dtype".into(), band.dtype.name().into());
    row.insert(
        "nodata".into(),
        band.nodata.map_or(Value::Null, output::number_json),
    );
    row.insert("color".into(), band.color.into());
    if (band.scale, band.offset) != (1.0, 0.0) {
        row.insert("scale".into(), band.scale.into());
        row.insert("offset".into(), band.offset.into());
    }
    if let Some(unit) = &band.unit {
        row.insert("unit".into(), unit.as_str().into());
    }
    if !band.tags.is_empty() {
        row.insert("tags".into(), tags(&band.tags).into());
    }
    row
}

/// What a table has room for.
fn summarise(address: &str, info: &RasterInfo) -> Row {
    let mut row = Row::new();
    row.insert("file".into(), address.into());
    row.insert("rows".into(), info.shape.rows.into());
    row.insert("cols".into(), info.shape.cols.into());
    row.insert("bands".into(), info.bands.len().into());
    if let Some(band) = info.bands.first() {
        row.insert("dtype".into(), band.dtype.name().into());
        row.insert(
            "nodata".into(),
            band.nodata.map_or(Value::Null, output::number_json),
        );
    }
    row.insert(
        "crs".into(),
        info.crs.as_ref().map(ToString::to_string).into(),
    );
    let resolution = info.affine.as_ref().map(resolution);
    row.insert(
        "resolution".into(),
        resolution
            .map(|[x, y]| {
                if x == y {
                    x.to_string()
                } else {
                    format!("{x} x {y}")
                }
            })
            .into(),
    );
    if let Some(level) = info.levels.first() {
        row.insert("compression".into(), level.compression.into());
    }
    row.insert(
        "overviews".into(),
        info.levels.len().saturating_sub(1).into(),
    );
    row
}

fn tags(tags: &[(String, String)]) -> Map<String, Value> {
    let tags = tags.iter();
    tags.map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect()
}

/// Column, row and constant of x, then of y.
fn six(affine: &Affine) -> [f64; 6] {
    [affine.a, affine.b, affine.c, affine.d, affine.e, affine.f]
}

/// How far apart the centres of neighbours are, across and down.
fn resolution(affine: &Affine) -> [f64; 2] {
    [affine.a.hypot(affine.d), affine.b.hypot(affine.e)]
}

/// The least box around the corners.
fn bounds(info: &RasterInfo, affine: &Affine) -> Value {
    #[allow(clippy::cast_precision_loss, reason = "sides are below 2^31")]
    let (rows, cols) = (info.shape.rows as f64, info.shape.cols as f64);
    let corners = [(0.0, 0.0), (cols, 0.0), (0.0, rows), (cols, rows)];
    let x = corners.map(|(col, row)| affine.a * col + affine.b * row + affine.c);
    let y = corners.map(|(col, row)| affine.d * col + affine.e * row + affine.f);
    let least = |values: [f64; 4]| values.into_iter().fold(f64::INFINITY, f64::min);
    let most = |values: [f64; 4]| values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    json!({ "left": least(x), "bottom": least(y), "right": most(x), "top": most(y) })
}
