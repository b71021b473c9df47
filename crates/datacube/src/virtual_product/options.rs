//! Settings of a product in a recipe, in the words of `Datacube.load`.

use datacube_compute::{ChunkSize, Chunks};
use datacube_index::FieldTest;
use serde_json::{Map, Value};

use super::recipe::refuse;
use crate::load_options::{FuseSpec, LoadOptions};
use crate::time_terms::TimeTerm;
use crate::{Error, Result};

/// Settings of a recipe as options; what is no setting is a search term.
pub(super) fn parse(settings: &Map<String, Value>) -> Result<LoadOptions> {
    let mut options = LoadOptions::default();
    for (name, value) in settings {
        let wrong = |expected: &str| refuse(name, format!("it is {value}; expected {expected}"));
        let text = || value.as_str().ok_or_else(|| wrong("a text"));
        match name.as_str() {
            "product" => {}
            "measurements" => {
                let names = texts(value).ok_or_else(|| wrong("a list of names"))?;
                options = options.measurements(names);
            }
            "group_by" => options = options.group_by(text()?),
            "output_crs" => options = options.output_crs(crs(value).ok_or_else(|| wrong("a CRS"))?),
            "resolution" => {
                let (y, x) = pair(value).ok_or_else(|| wrong("[y, x] or a number"))?;
                options = match value {
                    Value::Number(_) => options.resolution(x.abs()),
                    _ => options.resolution_xy(x, y),
                };
            }
            "align" => {
                let (y, x) = pair(value).ok_or_else(|| wrong("[y, x]"))?;
                options = options.align(x, y);
            }
            "resampling" => {
                options.resampling =
                    by_band(value).ok_or_else(|| wrong("a name, or names by measurement"))?;
            }
            "fuse_func" => {
                let names =
                    by_band(value).ok_or_else(|| wrong("a name, or names by measurement"))?;
                let named = names
                    .into_iter()
                    .map(|(band, name)| (band, FuseSpec::Named(name)));
                options.fuse = named.collect();
            }
            "skip_broken_datasets" => {
                let skip = value.as_bool().ok_or_else(|| wrong("true or false"))?;
                options = options.skip_broken_datasets(skip);
            }
            "dask_chunks" => {
                options.chunks = Some(chunks(value).ok_or_else(|| wrong("sizes by dimension"))?)
            }
            "dataset_predicate" | "like" | "ensure_location" => {
                return Err(Error::Unsupported {
                    what: format!("`{name}` in a recipe"),
                    instead: "it is a Python object; give it with the options of the call".into(),
                });
            }
            "time" => {
                options =
                    options.time(time(value).ok_or_else(|| wrong("a period, or [start, end]"))?)
            }
            "x" | "y" | "lat" | "latitude" | "lon" | "longitude" => {
                let (a, b) = pair(value).ok_or_else(|| wrong("a number, or [from, to]"))?;
                options = match name.as_str() {
                    "x" => options.x((a, b)),
                    "y" => options.y((a, b)),
                    "lat" | "latitude" => options.lat((a, b)),
                    _ => options.lon((a.min(b), a.max(b))),
                };
            }
            "crs" | "coordinate_reference_system" => {
                options = options.crs(crs(value).ok_or_else(|| wrong("a CRS"))?);
            }
            field => {
                let test = field_test(value).ok_or_else(|| wrong("a value, or [from, to]"))?;
                options = options.field(field, test);
            }
        }
    }
    Ok(options)
}

/// Options of a call over those of a recipe: what the call says goes first.
pub(super) fn merged(own: &LoadOptions, call: &LoadOptions) -> LoadOptions {
    let mut all = call.clone();
    let (query, recipe) = (&mut all.query, &own.query);
    if !query.names_region() {
        (query.x, query.y, query.lon, query.lat) = (recipe.x, recipe.y, recipe.lon, recipe.lat);
        query.crs.clone_from(&recipe.crs);
    }
    query.time = query.time.take().or_else(|| recipe.time.clone());
    query.limit = query.limit.or(recipe.limit);
    for (name, test) in &recipe.fields {
        query
            .fields
            .entry(name.clone())
            .or_insert_with(|| test.clone());
    }
    all.measurements = all.measurements.or_else(|| own.measurements.clone());
    if all.like.is_none() {
        all.output_crs = all.output_crs.or_else(|| own.output_crs.clone());
        all.resolution = all.resolution.or(own.resolution);
        if all.anchor.is_none() {
            all.align = all.align.or(own.align);
        }
    }
    all.group_by = all.group_by.or_else(|| own.group_by.clone());
    all.chunks = all.chunks.or_else(|| own.chunks.clone());
    all.skip_broken_datasets = all.skip_broken_datasets.or(own.skip_broken_datasets);
    if all.resampling.is_empty() {
        all.resampling.clone_from(&own.resampling);
    }
    if all.fuse.is_empty() {
        all.fuse.clone_from(&own.fuse);
    }
    all
}

/// The same without what says the grid of the output.
pub(super) fn without_grid(options: &LoadOptions) -> LoadOptions {
    LoadOptions {
        output_crs: None,
        resolution: None,
        align: None,
        anchor: None,
        like: None,
        ..options.clone()
    }
}

/// The same without a region: all of every dataset.
pub(super) fn without_region(options: &LoadOptions) -> LoadOptions {
    let mut all = options.clone();
    let query = &mut all.query;
    (query.x, query.y, query.lon, query.lat) = (None, None, None, None);
    (query.bbox, query.geopolygon, query.crs) = (None, None, None);
    all
}

/// A call may load fewer measurements than the recipe names, and no others.
pub(super) fn check_measurements(
    product: &str,
    own: &LoadOptions,
    all: &LoadOptions,
) -> Result<()> {
    let (Some(recipe), Some(wanted)) = (&own.measurements, &all.measurements) else {
        return Ok(());
    };
    match wanted.iter().find(|name| !recipe.contains(name)) {
        None => Ok(()),
        Some(name) => Err(Error::Unknown {
            kind: "measurement",
            name: name.clone(),
            place: format!("product `{product}` of the recipe"),
            known: recipe.clone(),
        }),
    }
}

/// A list of texts, or one.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn crs(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(code) => Some(format!("EPSG:{code}")),
        _ => None,
    }
}

/// Two numbers, or one twice.
fn pair(value: &Value) -> Option<(f64, f64)> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [only] => Some((only.as_f64()?, only.as_f64()?)),
            [a, b] => Some((a.as_f64()?, b.as_f64()?)),
            _ => None,
        },
        value => Some((value.as_f64()?, value.as_f64()?)),
    }
}

fn by_band(value: &Value) -> Option<indexmap::IndexMap<String, String>> {
    match value {
        Value::String(name) => Some([("*".to_owned(), name.clone())].into_iter().collect()),
        Value::Object(map) => map
            .iter()
            .map(|(band, name)| Some((band.clone(), name.as_str()?.to_owned())))
            .collect(),
        _ => None,
    }
}

fn chunks(value: &Value) -> Option<Chunks> {
    let mut chunks = Chunks::whole();
    for (dim, size) in value.as_object()? {
        let size = match size {
            Value::String(auto) if auto == "auto" => ChunkSize::Auto,
            size if size.as_i64() == Some(-1) => ChunkSize::Whole,
            size => ChunkSize::Size(usize::try_from(size.as_u64()?).ok()?),
        };
        chunks = chunks.with(dim.as_str(), size);
    }
    Some(chunks)
}

fn time(value: &Value) -> Option<TimeTerm> {
    match value {
        Value::String(period) => Some(period.as_str().into()),
        Value::Number(year) => Some(year.to_string().into()),
        Value::Array(items) => {
            let [start, end] = items.as_slice() else {
                return None;
            };
            let bound = |value: &Value| match value {
                Value::Null => Some(None),
                Value::String(text) => Some(Some(text.as_str().into())),
                Value::Number(year) => Some(Some(year.to_string().into())),
                _ => None,
            };
            Some(TimeTerm::Range(bound(start)?, bound(end)?))
        }
        _ => None,
    }
}

fn field_test(value: &Value) -> Option<FieldTest> {
    match value {
        Value::String(text) => Some(FieldTest::is(text.as_str())),
        Value::Number(number) => Some(FieldTest::is(number.as_f64()?)),
        Value::Bool(value) => Some(FieldTest::is(*value)),
        Value::Array(items) => match items.as_slice() {
            [a, b] if a.is_number() && b.is_number() => {
                let ends = (a.as_f64()?.into(), b.as_f64()?.into());
                Some(FieldTest::Between(
                    std::ops::Bound::Included(ends.0),
                    std::ops::Bound::Included(ends.1),
                ))
            }
            items => items
                .iter()
                .map(field_test)
                .collect::<Option<Vec<_>>>()
                .map(FieldTest::AnyOf),
        },
        _ => None,
    }
}
