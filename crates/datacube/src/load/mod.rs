//! From a question to a lazy cube: names checked, datasets found, grid fixed.
//!
//! Every step is a function of what the steps before it gave; only finding the
//! datasets does any input or output. Nothing is opened here. Datasets of an index
//! and STAC items go the same way from [`plan_entries`] on.

mod archive;
mod bands;
mod cube;
mod entry;
mod lookup;
mod properties;

use std::collections::HashSet;
use std::sync::Arc;

use datacube_compute::Cube;
use datacube_geo::{Crs, CrsTransform, GeoBox, Resolution, Xy};
use datacube_index::{Index, IndexExt, Query};
use datacube_load::Loader;
use datacube_model::{Dataset, Product};
use serde_json::Value;

pub(crate) use entry::Entry;

use crate::group::{FuseOrder, Group, GroupBy, GroupKey, group_datasets};
use crate::load_options::{Convention, DatasetQuery, LoadOptions};
use crate::no_data::explain_no_data;
use crate::opened::Opened;
use crate::output_geobox::{GridRequest, resolve_output_geobox};
use crate::region::{Region, resolve_region};
use crate::{Error, Result};
use bands::{Variable, near, resolve_variables};
pub(crate) use cube::chunks_for;

/// Datasets that match `query`, in the order (centre time, id).
///
/// # Errors
/// For an unknown product or field, and for terms that contradict each other.
pub(crate) async fn find_datasets(index: &dyn Index, query: &DatasetQuery) -> Result<Vec<Dataset>> {
    let name = query.product.as_ref().ok_or_else(|| Error::Option {
        option: "product",
        problem: "name the product to search".into(),
    })?;
    // Asked first, so that an unknown name is told with its neighbours.
    let product = index.product(name).await?;
    let region = resolve_region(query)?;
    let query = &without_extra_dimensions(query, &product);
    let mut datasets = index.find(&index_query(query, region.as_ref())?).await?;
    if let Some(predicate) = &query.predicate {
        datasets.retain(|dataset| predicate(dataset));
    }
    Ok(datasets)
}

/// The query without tests on extra dimensions, which select coordinates.
fn without_extra_dimensions(query: &DatasetQuery, product: &Product) -> DatasetQuery {
    let mut query = query.clone();
    let extra = product.extra_dimensions();
    query.fields.retain(|name, _| !extra.contains_key(name));
    query
}

/// The query in the index's words.
pub(crate) fn index_query(query: &DatasetQuery, region: Option<&Region>) -> Result<Query> {
    let mut search = Query::new();
    if let Some(product) = &query.product {
        search = search.product(product.clone());
    }
    if let Some(range) = query
        .time
        .as_ref()
        .map(|time| time.resolve())
        .transpose()?
        .flatten()
    {
        search = search.time(range);
    }
    if let Some(region) = region {
        search = search.geometry(region.polygon.clone());
    }
    for (name, test) in &query.fields {
        search = search.field(name.clone(), test.clone());
    }
    if let Some(limit) = query.limit {
        search = search.limit(limit);
    }
    Ok(search)
}

/// The lazy cube that `options` ask for; chunked even where the caller wants it at once.
///
/// # Errors
/// For every name and number that cannot be used, and when nothing matches.
pub(crate) async fn plan_load(
    opened: &Arc<Opened>,
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Cube> {
    let index: &dyn Index = &***opened;
    let product = resolve_product(index, options).await?;
    // What cannot be loaded is told before anything is searched.
    let unsaid = HashSet::new();
    resolve_variables(&product, options, &unsaid)?;
    check_grid_options(options)?;
    if let Some(cube) = lookup::plan(opened, &product, loader, options).await? {
        return Ok(cube);
    }
    let query = searched(options);
    let region = resolve_region(&query)?;
    let datasets = match &options.datasets {
        Some(datasets) => datasets.clone(),
        None => find_datasets(index, &query).await?,
    };
    if datasets.is_empty() {
        let query = without_extra_dimensions(&query, &product);
        return Err(explain_no_data(index, &query, region.as_ref()).await?);
    }
    let entries: Vec<Entry> = datasets.into_iter().map(Entry::from).collect();
    plan_entries(&product, &entries, &unsaid, loader, options)
}

/// The lazy cube of these datasets of `product`.
///
/// `unsaid` are measurements whose nodata in `product` stands in for none.
///
/// # Errors
/// As [`plan_load`].
pub(crate) fn plan_entries(
    product: &Product,
    entries: &[Entry],
    unsaid: &HashSet<String>,
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Cube> {
    let variables = resolve_variables(product, options, unsaid)?;
    let geobox = plan_geobox(product, entries, &variables, options)?;
    let groups = plan_groups(entries, &geobox, options)?;
    let archive = archive::build(
        geobox,
        entries,
        &groups,
        &variables,
        options,
        loader.stores(),
    )?;
    cube::build(&archive, entries, &groups, &variables, loader, options)
}

/// The lazy cube of datasets that are grouped already, on a grid that is known.
/// A group without members is a time step without pixels.
///
/// # Errors
/// As [`plan_load`].
pub(crate) fn plan_grouped(
    product: &Product,
    entries: &[Entry],
    groups: &[Group],
    geobox: &GeoBox,
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Cube> {
    let variables = resolve_variables(product, options, &HashSet::new())?;
    let archive = archive::build(
        geobox.clone(),
        entries,
        groups,
        &variables,
        options,
        loader.stores(),
    )?;
    cube::build(&archive, entries, groups, &variables, loader, options)
}

/// The grid that a load of these datasets has.
///
/// # Errors
/// As [`plan_load`].
pub(crate) fn geobox_of(
    product: &Product,
    entries: &[Entry],
    options: &LoadOptions,
) -> Result<GeoBox> {
    let variables = resolve_variables(product, options, &HashSet::new())?;
    plan_geobox(product, entries, &variables, options)
}

/// The grid that the options alone ask for, around these datasets where there is no
/// region.
///
/// # Errors
/// As [`plan_load`].
pub(crate) fn grid_around(entries: &[&Entry], options: &LoadOptions) -> Result<GeoBox> {
    check_grid_options(options)?;
    let region = resolve_region(&region_query(options))?;
    let bounding = |entry: &&Entry| entry.bounding_geometry(options.convention);
    resolve_output_geobox(&GridRequest {
        like: options.like.as_ref(),
        output_crs: options.output_crs.clone(),
        resolution: options.resolution.map(|(x, y)| Resolution { x, y }),
        align: options.align.map(|(x, y)| Xy { x, y }),
        anchor: options.anchor,
        region: region.as_ref(),
        footprints: entries.iter().map(bounding).collect(),
        ..GridRequest::default()
    })
}

/// The grid of each dataset: the finest of the measurements that are loaded.
///
/// # Errors
/// As [`plan_load`]; [`Error::Option`] for a dataset that does not say its grid.
pub(crate) fn native_grids(
    product: &Product,
    entries: &[Entry],
    options: &LoadOptions,
) -> Result<Vec<GeoBox>> {
    let variables = resolve_variables(product, options, &HashSet::new())?;
    let grid = |entry: &Entry| {
        let names = variables.iter().map(|v| v.measurement.name.as_str());
        entry.finest_grid(names).ok_or_else(|| Error::Option {
            option: "reproject",
            problem: format!(
                "dataset {} does not say the grid of its pixels, so nothing can be computed on \
                 it; give `output_crs` and `resolution` with the product `{}`",
                entry.id(),
                product.name()
            ),
        })
    };
    entries.iter().map(grid).collect()
}

/// What is wrong with the grid whatever the datasets.
fn check_grid_options(options: &LoadOptions) -> Result<()> {
    let text = match &options.output_crs {
        Some(crate::CrsSpec::Text(text)) => Some(text.trim()),
        _ => None,
    };
    if text.is_some_and(|text| text.eq_ignore_ascii_case("utm")) {
        return Ok(());
    }
    let crs: Option<Crs> = options
        .output_crs
        .as_ref()
        .map(crate::region::resolve_crs)
        .transpose()?;
    if let (Some(crs), Some((x, y))) = (crs, options.resolution) {
        crs.check_resolution(Resolution { x, y })?;
    }
    Ok(())
}

/// The query with the CRS of `x` and `y`: of odc-stac's habit, that of the output.
fn region_query(options: &LoadOptions) -> DatasetQuery {
    let mut query = options.query.clone();
    let has_xy = query.x.is_some() || query.y.is_some();
    if options.convention == Convention::OdcStac && has_xy && query.crs.is_none() {
        query.crs.clone_from(&options.output_crs);
    }
    query
}

/// Points of each side of a grid of which the place is looked for.
const OUTLINE_PIECES: usize = 32;

/// What is searched for: where the query names no region, that of the grid that was
/// given, if its outline is on the earth.
///
/// # Source
/// datacube-core, `datacube/api/query.py` (`Query`: `like.extent`).
fn searched(options: &LoadOptions) -> DatasetQuery {
    let mut query = options.query.clone();
    if let Some(like) = &options.like
        && !query.names_region()
    {
        query.geopolygon = is_on_earth(like).then(|| like.extent());
    }
    query
}

/// Whether every point of a grid's outline is a place on the earth. Beyond the edge of a
/// map there is none, or, where a projection folds back, that of another point.
fn is_on_earth(grid: &GeoBox) -> bool {
    let Some(there) = grid
        .crs()
        .and_then(|crs| CrsTransform::new(crs, &Crs::wgs84()).ok())
    else {
        return false;
    };
    let (back, to_pixel) = (there.inverse(), grid.inverse_affine());
    let (rows, cols) = (grid.rows() as f64, grid.cols() as f64);
    let mut points = (0..OUTLINE_PIECES).flat_map(|piece| {
        let part = piece as f64 / OUTLINE_PIECES as f64;
        let (row, col) = (part * rows, part * cols);
        [
            (col, 0.0),
            (cols, row),
            (cols - col, rows),
            (0.0, rows - row),
        ]
    });
    points.all(|(x, y)| {
        let place = there.point(grid.affine().apply(Xy::new(x, y)));
        let place = place.ok().flatten();
        let point = place.and_then(|place| back.point(place).ok().flatten());
        let pixel = point.map(|point| to_pixel.apply(point));
        pixel.is_some_and(|pixel| (pixel.x - x).abs() < 0.5 && (pixel.y - y).abs() < 0.5)
    })
}

fn plan_geobox(
    product: &Product,
    entries: &[Entry],
    variables: &[Variable<'_>],
    options: &LoadOptions,
) -> Result<GeoBox> {
    check_grid_options(options)?;
    let region = resolve_region(&region_query(options))?;
    let needs_footprints = options.like.is_none() && region.as_ref().is_none_or(|r| r.is_band);
    let names = || {
        variables
            .iter()
            .map(|variable| variable.measurement.name.as_str())
    };
    resolve_output_geobox(&GridRequest {
        like: options.like.as_ref(),
        output_crs: options.output_crs.clone(),
        resolution: options.resolution.map(|(x, y)| Resolution { x, y }),
        align: options.align.map(|(x, y)| Xy { x, y }),
        anchor: options.anchor,
        keeps_anchor: options.convention == Convention::OdcStac,
        region: region.as_ref(),
        hints: product.load_hints(),
        native: if options.like.is_some() {
            Vec::new()
        } else {
            entries
                .iter()
                .filter_map(|entry| entry.finest_grid(names()))
                .collect()
        },
        footprints: if needs_footprints {
            let bounding = |entry: &Entry| entry.bounding_geometry(options.convention);
            entries.iter().map(bounding).collect()
        } else {
            Vec::new()
        },
    })
}

/// The time steps.
pub(crate) fn plan_groups(
    entries: &[Entry],
    geobox: &GeoBox,
    options: &LoadOptions,
) -> Result<Vec<Group>> {
    let group_by = options.group_by.clone().unwrap_or_default();
    // odc-stac tells the solar day at the middle of the output, in whole hours.
    let of_output = match (options.convention, &group_by) {
        (Convention::OdcStac, GroupBy::SolarDay) => {
            let longitude = geobox.extent().mid_longitude()?;
            longitude.map(|longitude| (longitude / 15.0).trunc() * 15.0)
        }
        _ => None,
    };
    let as_text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let keys: Vec<GroupKey> = entries
        .iter()
        .map(|entry| GroupKey {
            instant: entry.instant(options.convention),
            longitude: of_output.or_else(|| entry.dataset.mid_longitude()),
            id: entry.id(),
            value: group_by.value(&entry.dataset, |name| entry.property(name).map(as_text)),
        })
        .collect();
    if let GroupBy::Property(name) = &group_by
        && !keys.is_empty()
        && keys.iter().all(|key| key.value.is_none())
    {
        let mut known = vec!["time".into(), "solar_day".into(), "none".into()];
        known.extend(
            entries
                .first()
                .map(Entry::property_names)
                .unwrap_or_default(),
        );
        return Err(Error::Option {
            option: "group_by",
            problem: format!(
                "`{name}` is neither a way to group nor a property of the datasets; {}there is {}",
                near(name, &known),
                known.join(", ")
            ),
        });
    }
    let order = if options.preserve_original_order {
        FuseOrder::AsGiven
    } else {
        FuseOrder::TimeThenId
    };
    group_datasets(&keys, &group_by, order)
}

async fn resolve_product(index: &dyn Index, options: &LoadOptions) -> Result<Arc<Product>> {
    if let Some(datasets) = &options.datasets {
        let first = datasets.first().ok_or_else(|| Error::Option {
            option: "datasets",
            problem: "the list is empty".into(),
        })?;
        let product = first.product();
        if let Some(other) = datasets.iter().find(|other| other.product() != product) {
            return Err(Error::Option {
                option: "datasets",
                problem: format!(
                    "they are of several products, `{}` and `{}` among them; load one at a time",
                    product.name(),
                    other.product().name()
                ),
            });
        }
        return Ok(product.clone());
    }
    let name = options
        .query
        .product
        .as_ref()
        .ok_or_else(|| Error::Option {
            option: "product",
            problem: "name a product, or give datasets".into(),
        })?;
    Ok(index.product(name).await?)
}
