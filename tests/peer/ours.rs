//! Loads what `ways.json` asks for with this project, for `run_ours.py`.
//!
//! ```sh
//! cargo run --example peer -- REQUESTS.json
//! ```
//!
//! REQUESTS.json is `{"index": URL, "requests": [...]}`. A request has a name, a `load`
//! with options in the words of `ways.json`, and where to write a Zarr store (`output`).
//! With `items` (a path) it is of STAC items without an index, with `recipe` a virtual
//! product, with `tiles` a grid whose tiles are written as `output@X,Y`; else it is a
//! load of datasets. Printed is one JSON object a line: `{"name", "written"}`, or
//! `{"name", "error"}`.

#![allow(clippy::print_stdout, reason = "its output is read by a script")]

use std::error::Error;
use std::path::Path;

use datacube::compute::Serial;
use datacube::export::{ExportOptions, write_zarr};
use datacube::geo::{Affine, Anchor, Crs, GeoBox, Geometry, GridSpec, Resolution, Shape2d, Xy};
use datacube::model::stac::StacConfig;
use datacube::model::{DType, Number};
use datacube::stac::StacItems;
use datacube::virtual_product::VirtualProduct;
use datacube::{
    Cube, Datacube, FuseSpec, GridWorkflow, GroupBy, LoadOptions, Nodata, PerBand, WarpScale,
};
use serde_json::{Map, Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let path = std::env::args().nth(1).ok_or("expected REQUESTS.json")?;
    let document: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let dc = Datacube::open_url(text(&document["index"])?)?;
    for request in list(&document["requests"])? {
        let line = match answer(&dc, request) {
            Ok(written) => json!({"name": request["name"], "written": written}),
            Err(error) => json!({"name": request["name"], "error": error.to_string()}),
        };
        println!("{line}");
    }
    Ok(())
}

/// Does what a request asks for and gives the stores that were written.
fn answer(dc: &Datacube, request: &Value) -> Outcome<Vec<String>> {
    let output = text(&request["output"])?;
    let options = options(&request["load"])?;
    if request["tiles"].is_object() {
        return tiles(dc, &request["tiles"], options, output);
    }
    let cube = if request["items"].is_string() {
        let items: Value = serde_json::from_slice(&std::fs::read(text(&request["items"])?)?)?;
        let config = match &request["stac_cfg"] {
            Value::Null => StacConfig::default(),
            document => StacConfig::from_document(document)?,
        };
        dc.load_items(&StacItems::parse_with([items], &config)?, options)?
    } else if request["recipe"].is_object() {
        let options = options.warp_scale(WarpScale::Unit);
        VirtualProduct::from_document(&request["recipe"])?.load(dc, &options)?
    } else {
        // As Python's datacube sizes its kernels.
        let mut options = options.warp_scale(WarpScale::Unit);
        options.query.product = Some(text(&request["product"])?.to_owned());
        dc.load(options)?
    };
    write(&cube, output)?;
    Ok(vec![output.to_owned()])
}

fn write(cube: &Cube, path: impl AsRef<Path>) -> Outcome<()> {
    let how = ExportOptions::default().overwrite(true);
    write_zarr(cube, path, &how, &Serial::new(), &())?;
    Ok(())
}

/// A store for each tile of a grid.
fn tiles(
    dc: &Datacube,
    grid: &Value,
    mut options: LoadOptions,
    output: &str,
) -> Outcome<Vec<String>> {
    let (size, resolution) = (xy(&grid["tile_size"])?, xy(&grid["resolution"])?);
    let resolution = Resolution::new(resolution.x, resolution.y);
    let spec = GridSpec::from_tile_size(Crs::parse(text(&grid["crs"])?)?, size, resolution)?
        .with_origin(xy(&grid["origin"])?);
    let group_by = options.group_by.take().unwrap_or_default();
    let mut query = std::mem::take(&mut options.query);
    query.product = Some(text(&grid["product"])?.to_owned());
    let work = GridWorkflow::new(dc, spec);
    let mut written = Vec::new();
    for ((x, y), tile) in work.list_cells(query, group_by)? {
        let cube = work.load(&tile, options.clone().warp_scale(WarpScale::Unit))?;
        let path = format!("{output}@{x},{y}");
        write(&cube, &path)?;
        written.push(path);
    }
    Ok(written)
}

/// The options of a request; a word that is not known is an error.
fn options(document: &Value) -> Outcome<LoadOptions> {
    let mut options = LoadOptions::default();
    for (name, value) in entries(document)? {
        options = option(options, name, value).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(options)
}

fn option(options: LoadOptions, name: &str, value: &Value) -> Outcome<LoadOptions> {
    Ok(match name {
        "measurements" => options.measurements(texts(value)?),
        "lon" => {
            let [west, east] = numbers(value)?;
            options.lon((west, east))
        }
        "lat" => options.lat(numbers::<2>(value)?),
        "x" => options.x(numbers::<2>(value)?),
        "y" => options.y(numbers::<2>(value)?),
        "crs" => options.crs(text(value)?),
        "bbox" => {
            let [west, south, east, north] = numbers(value)?;
            options.bbox(west, south, east, north)
        }
        "geopolygon" | "intersects" => {
            let crs = Crs::parse(value["crs"].as_str().unwrap_or("EPSG:4326"))?;
            let geometry = Geometry::from_geojson(&value["geometry"], Some(crs))?;
            options.geopolygon(geometry)
        }
        "time" => match value {
            Value::String(period) => options.time(period.as_str()),
            range => {
                let [start, end] = texts(range)?.try_into().map_err(|_| "expected a range")?;
                options.time((start, end))
            }
        },
        "fields" => entries(value)?
            .into_iter()
            .try_fold(options, |options, (name, value)| {
                Ok::<_, Box<dyn Error>>(match value {
                    Value::String(wanted) => options.field(name, wanted.as_str()),
                    range => {
                        let [low, high] = numbers(range)?;
                        options.field(name, low..=high)
                    }
                })
            })?,
        "output_crs" => options.output_crs(text(value)?),
        "resolution" => match value.as_f64() {
            Some(size) => options.resolution(size),
            None => {
                let [x, y] = numbers(value)?;
                options.resolution_xy(x, y)
            }
        },
        "align" => {
            let [x, y] = numbers(value)?;
            options.align(x, y)
        }
        "anchor" => options.anchor(match value.as_str() {
            Some("edge") => Anchor::Edge,
            Some("center") => Anchor::Center,
            Some("floating") => Anchor::Floating,
            Some(other) => return Err(format!("no anchor `{other}`").into()),
            None => Anchor::Offset(xy(value)?),
        }),
        "like" => options.like(geobox(value)?),
        "resampling" => options.resampling(by_band(value, |value| Ok(text(value)?.to_owned()))?),
        "dtype" => options.dtype(by_band(value, |value| Ok(text(value)?.parse::<DType>()?))?),
        "nodata" => options.nodata(by_band(value, nodata)?),
        "fuse" => options.fuse(by_band(value, |value| Ok(FuseSpec::from(text(value)?)))?),
        "scaled" => options.scaled(value == true),
        "group_by" => match value["function"].as_str() {
            Some("month") => options.group_by(GroupBy::function(|dataset| {
                dataset.center_time().to_string()[..7].to_owned()
            })),
            Some(other) => return Err(format!("no function `{other}`").into()),
            None => options.group_by(text(value)?),
        },
        "preserve_original_order" => options.preserve_original_order(value == true),
        "with_properties" => options.with_properties(texts(value)?),
        "chunks" => {
            let sizes: Outcome<Vec<(&str, usize)>> = entries(value)?
                .into_iter()
                .map(|(dim, size)| Ok((dim, usize::try_from(size.as_u64().unwrap_or(1))?)))
                .collect();
            options.chunks(sizes?)
        }
        "skip_broken_datasets" => options.skip_broken_datasets(value == true),
        "patch" => {
            let (part, path) = (text(&value["contains"])?, text(&value["path"])?);
            let (part, path) = (part.to_owned(), path.to_owned());
            options.patch_url_with(move |_, uri| {
                let patched = uri.contains(&part).then(|| path.clone());
                Ok(patched.unwrap_or_else(|| uri.to_owned()))
            })
        }
        _ => return Err("no such option".into()),
    })
}

fn geobox(value: &Value) -> Outcome<GeoBox> {
    let [rows, cols]: [usize; 2] = serde_json::from_value(value["shape"].clone())?;
    let [a, b, c, d, e, f] = numbers(&value["transform"])?;
    let crs = Crs::parse(text(&value["crs"])?)?;
    let affine = Affine::new(a, b, c, d, e, f);
    Ok(GeoBox::new(Shape2d::new(rows, cols), affine, Some(crs))?)
}

fn nodata(value: &Value) -> Outcome<Nodata> {
    Ok(match value {
        Value::String(name) if name == "nan" => Nodata(Some(Number::Float(f64::NAN))),
        value => match value.as_i64() {
            Some(whole) => whole.into(),
            None => value.as_f64().ok_or("expected a number")?.into(),
        },
    })
}

/// One value for all, or one for each measurement.
fn by_band<'a, T>(value: &'a Value, read: impl Fn(&'a Value) -> Outcome<T>) -> Outcome<PerBand<T>> {
    match value {
        Value::Object(bands) => bands
            .iter()
            .map(|(band, value)| Ok((band.clone(), read(value)?)))
            .collect::<Outcome<Vec<_>>>()
            .map(|pairs| pairs.into_iter().collect()),
        one => Ok(PerBand::all(read(one)?)),
    }
}

fn xy(value: &Value) -> Outcome<Xy> {
    let [x, y] = numbers(value)?;
    Ok(Xy::new(x, y))
}

fn numbers<const N: usize>(value: &Value) -> Outcome<[f64; N]> {
    let found: Vec<f64> = serde_json::from_value(value.clone())?;
    let wrong = |found: Vec<f64>| format!("expected {N} numbers; there are {}", found.len());
    Ok(found.try_into().map_err(wrong)?)
}

fn text(value: &Value) -> Outcome<&str> {
    Ok(value
        .as_str()
        .ok_or_else(|| format!("{value} is no text"))?)
}

fn texts(value: &Value) -> Outcome<Vec<String>> {
    Ok(serde_json::from_value(value.clone())?)
}

fn list(value: &Value) -> Outcome<&Vec<Value>> {
    Ok(value
        .as_array()
        .ok_or_else(|| format!("{value} is no list"))?)
}

fn entries(value: &Value) -> Outcome<Vec<(&str, &Value)>> {
    let map: &Map<String, Value> = value
        .as_object()
        .ok_or_else(|| format!("{value} is no mapping"))?;
    Ok(map
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect())
}
