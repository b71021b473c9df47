//! From a question to a lazy cube: names checked, datasets found, grid fixed.
//!
//! Every step is a function of what the steps before it gave; only finding the
//! datasets does any input or output. Nothing is opened here.

use std::sync::Arc;

use datacube_compute::{Attrs, Chunks, Cube, DataArray};
use datacube_geo::{GeoBox, PixelWindow, Resolution, Xy};
use datacube_index::{Index, IndexExt, Query};
use datacube_load::{
    Archive, ArchiveBuilder, BandParams, Loader, RasterSource, Resampling, Scene, coverage_window,
    footprint_window,
};
use datacube_model::{Dataset, Measurement, Product};
use indexmap::IndexMap;

use crate::coords::{GRID_MAPPING, cube_coords};
use crate::group::{Group, GroupBy, GroupKey, group_datasets};
use crate::load_options::{DatasetQuery, LoadOptions};
use crate::no_data::explain_no_data;
use crate::output_geobox::{GridRequest, resolve_output_geobox};
use crate::region::{Region, resolve_crs, resolve_region};
use crate::source::LoadSource;
use crate::{Error, Result};

/// Pixels along a side of a chunk of a load that is read at once, so that one
/// large time step keeps all cores busy.
const EAGER_CHUNK: usize = 2048;

/// A measurement under the name that its variable gets.
#[derive(Debug, Clone)]
struct Variable<'a> {
    name: String,
    measurement: &'a Measurement,
}

/// Datasets that match `query`, in the order (centre time, id).
///
/// # Errors
/// For an unknown product or field, and for terms that contradict each other.
pub(crate) async fn find_datasets(index: &dyn Index, query: &DatasetQuery) -> Result<Vec<Dataset>> {
    let product = query.product.as_ref().ok_or_else(|| Error::Option {
        option: "product",
        problem: "name the product to search".into(),
    })?;
    // Asked first, so that an unknown name is told with its neighbours.
    index.product(product).await?;
    let region = resolve_region(query)?;
    let mut datasets = index.find(&index_query(query, region.as_ref())?).await?;
    if let Some(predicate) = &query.predicate {
        datasets.retain(|dataset| predicate(dataset));
    }
    Ok(datasets)
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
    index: &dyn Index,
    loader: &Arc<Loader>,
    options: &LoadOptions,
) -> Result<Cube> {
    let product = resolve_product(index, options).await?;
    let variables = resolve_measurements(&product, options.measurements.as_deref())?;
    let resampling = resolve_resampling(&product, &options.resampling, &variables)?;
    let group_by: GroupBy = options.group_by.as_deref().unwrap_or("time").parse()?;
    let output_crs = options.output_crs.as_ref().map(resolve_crs).transpose()?;
    let resolution = options.resolution.map(|(x, y)| Resolution { x, y });
    if let (Some(crs), Some(resolution)) = (&output_crs, resolution) {
        crs.check_resolution(resolution)?;
    }
    let region = resolve_region(&options.query)?;

    let datasets = match &options.datasets {
        Some(datasets) => datasets.clone(),
        None => find_datasets(index, &options.query).await?,
    };
    if datasets.is_empty() {
        return Err(explain_no_data(index, &options.query, region.as_ref()).await?);
    }

    let keys: Vec<GroupKey> = datasets.iter().map(group_key).collect();
    let groups = group_datasets(&keys, group_by)?;
    let geobox = resolve_output_geobox(&GridRequest {
        like: options.like.as_ref(),
        output_crs,
        resolution,
        align: options.align.map(|(x, y)| Xy { x, y }),
        region: region.as_ref(),
        hints: product.load_hints(),
        native: native_grids(&datasets, &variables),
        footprints: datasets
            .iter()
            .map(|dataset| dataset.extent().clone())
            .collect(),
    })?;
    let mut archive = Archive::builder(geobox);
    archive.skip_broken(options.skip_broken_datasets.unwrap_or(false));
    archive.signer(
        options
            .patch_url
            .as_ref()
            .map(|patch| patch.name_in(loader.stores())),
    );
    for variable in &variables {
        archive.band(
            BandParams::new(variable.name.clone(), variable.measurement.dtype)
                .with_nodata(variable.measurement.nodata)
                .with_resampling(resampling[&variable.name])
                .with_warp_scale(options.warp_scale)
                .with_overviews(options.overviews),
        );
    }
    let archive = fill_archive(archive, &datasets, &groups, &variables)?;
    build_cube(
        &archive,
        &groups,
        &variables,
        loader,
        options.chunks.as_ref(),
    )
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

/// The variables of the output: names or aliases as asked for, all of the product by default.
fn resolve_measurements<'a>(
    product: &'a Product,
    names: Option<&[String]>,
) -> Result<Vec<Variable<'a>>> {
    let Some(names) = names else {
        return Ok(product
            .measurements()
            .values()
            .map(|measurement| Variable {
                name: measurement.name.clone(),
                measurement,
            })
            .collect());
    };
    let mut variables: Vec<Variable<'a>> = Vec::with_capacity(names.len());
    for name in names {
        if variables.iter().any(|variable| variable.name == *name) {
            return Err(Error::Option {
                option: "measurements",
                problem: format!("`{name}` is named twice"),
            });
        }
        let measurement = product.measurement(name)?;
        variables.push(Variable {
            name: name.clone(),
            measurement,
        });
    }
    if let Some(variable) = variables.iter().find(|v| v.measurement.extra_dim.is_some()) {
        return Err(Error::Unsupported {
            what: format!("measurement `{}` with an extra dimension", variable.name),
            instead: "load the measurements without one".into(),
        });
    }
    Ok(variables)
}

/// The resampling of each variable: by its name, by the measurement's, else `*`, else nearest.
fn resolve_resampling(
    product: &Product,
    given: &IndexMap<String, String>,
    variables: &[Variable<'_>],
) -> Result<IndexMap<String, Resampling>> {
    let mut by_measurement: IndexMap<&str, Resampling> = IndexMap::new();
    let mut by_variable: IndexMap<&str, Resampling> = IndexMap::new();
    let mut default = Resampling::Nearest;
    for (name, method) in given {
        let method: Resampling = method.parse()?;
        if name == "*" {
            default = method;
        } else {
            by_measurement.insert(&product.measurement(name)?.name, method);
            by_variable.insert(name, method);
        }
    }
    let resolve = |variable: &Variable<'_>| {
        let method = by_variable
            .get(variable.name.as_str())
            .or_else(|| by_measurement.get(variable.measurement.name.as_str()));
        (variable.name.clone(), method.copied().unwrap_or(default))
    };
    Ok(variables.iter().map(resolve).collect())
}

fn group_key(dataset: &Dataset) -> GroupKey {
    GroupKey {
        center_time: dataset.center_time(),
        longitude: dataset.mid_longitude(),
        id: dataset.id(),
    }
}

/// The grids that the datasets state for the measurements that are loaded.
fn native_grids(datasets: &[Dataset], variables: &[Variable<'_>]) -> Vec<GeoBox> {
    datasets
        .iter()
        .flat_map(|dataset| {
            variables.iter().filter_map(|variable| {
                let path = dataset.measurements().get(&variable.measurement.name)?;
                dataset.grids().get(path.grid_name()).cloned()
            })
        })
        .collect()
}

/// Everything that reading needs, and nothing that it does not: no document, no product.
fn fill_archive(
    mut builder: ArchiveBuilder,
    datasets: &[Dataset],
    groups: &[Group],
    variables: &[Variable<'_>],
) -> Result<Archive> {
    let geobox = builder.geobox().clone();
    for dataset in datasets {
        let mut window = None;
        let mut sources = Vec::with_capacity(variables.len());
        for variable in variables {
            let source = raster_source(dataset, variable)?;
            let covered = match &source.geobox {
                Some(grid) => coverage_window(grid, &geobox),
                None => footprint_window(dataset.extent(), &geobox),
            };
            window = Some(match window {
                None => covered,
                Some(all) => PixelWindow::union(&all, &covered),
            });
            sources.push(Some(source));
        }
        let window = window.unwrap_or_else(|| PixelWindow::new(0..0, 0..0));
        builder.scene(Scene::new(window, sources));
    }
    for group in groups {
        builder.plane(
            group.members.iter().map(|&member| {
                u32::try_from(member).expect("an archive has less than 2^32 datasets")
            }),
        );
    }
    Ok(builder.build()?)
}

/// Where a measurement of a dataset lies.
fn raster_source(dataset: &Dataset, variable: &Variable<'_>) -> Result<RasterSource> {
    let location = dataset.measurement_source(&variable.measurement.name)?;
    if let Some(layer) = location.layer {
        return Err(Error::Unsupported {
            what: format!(
                "layer `{layer}` of {} (dataset {})",
                location.uri,
                dataset.id()
            ),
            instead: "datasets in GeoTIFF files can be loaded".into(),
        });
    }
    Ok(RasterSource::new(location.uri)
        .with_band(location.band.unwrap_or(1))
        .with_geobox(location.grid)
        .with_nodata(variable.measurement.nodata)
        .with_label(dataset.id().to_string()))
}

fn build_cube(
    archive: &Archive,
    groups: &[Group],
    variables: &[Variable<'_>],
    loader: &Arc<Loader>,
    chunks: Option<&Chunks>,
) -> Result<Cube> {
    let geobox = archive.geobox();
    let times: Vec<_> = groups.iter().map(|group| group.label).collect();
    let coords = cube_coords(geobox, &times)?;
    let [y, x] = geobox.dimensions();
    let mut chunks = chunks
        .cloned()
        .unwrap_or_else(|| Chunks::whole().rest(EAGER_CHUNK));
    if !chunks.dims.contains_key("time") {
        chunks = chunks.with("time", 1);
    }
    let crs = geobox.crs().map(|crs| crs.as_str().to_owned());
    let mut arrays = Vec::with_capacity(variables.len());
    for (band_idx, variable) in variables.iter().enumerate() {
        let mut attrs = Attrs::new();
        for (name, value) in variable.measurement.attributes() {
            attrs.insert(name, value);
        }
        if let Some(crs) = &crs {
            attrs.insert("crs", crs.clone());
            attrs.insert("grid_mapping", GRID_MAPPING);
        }
        let source = LoadSource::new(archive, band_idx, loader.clone())?;
        let array = DataArray::from_source(
            variable.name.as_str(),
            &["time", y, x],
            coords.clone(),
            attrs,
            Arc::new(source),
            &chunks,
        )?;
        arrays.push((variable.name.clone(), array));
    }
    let mut attrs = Attrs::new();
    if let Some(crs) = crs {
        attrs.insert("crs", crs);
        attrs.insert("grid_mapping", GRID_MAPPING);
    }
    Ok(Cube::new(arrays)?.with_attrs(attrs))
}
