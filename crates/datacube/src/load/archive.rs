//! Datasets to an [`Archive`]: where every band of every dataset lies.

use datacube_geo::{GeoBox, PixelWindow};
use datacube_load::{
    Archive, RasterSource, Scene, StoreRegistry, coverage_window, footprint_window,
};

use super::bands::Variable;
use super::entry::Entry;
use crate::group::Group;
use crate::load_options::{Convention, LoadOptions};
use crate::{Error, Result};

/// Everything that reading needs, and nothing that it does not: no document, no
/// product. A variable with an extra dimension has a band for each coordinate.
pub(super) fn build(
    geobox: GeoBox,
    entries: &[Entry],
    groups: &[Group],
    variables: &[Variable<'_>],
    options: &LoadOptions,
    stores: &StoreRegistry,
) -> Result<Archive> {
    let mut builder = Archive::builder(geobox.clone());
    builder.skip_broken(options.skip_broken_datasets.unwrap_or(false));
    let signer = options.patch_url.as_ref();
    builder.signer(signer.map(|patch| patch.name_in(stores)));
    for variable in variables {
        match &variable.extra {
            None => {
                builder.band(variable.params.clone());
            }
            Some((dimension, positions)) => {
                for &position in positions {
                    let mut params = variable.params.clone();
                    params.name = format!(
                        "{}[{}={}]",
                        variable.name, dimension.name, dimension.values[position]
                    );
                    builder.band(params);
                }
            }
        }
    }
    for entry in entries {
        let mut window = None;
        let mut sources = Vec::with_capacity(variables.len());
        for variable in variables {
            let source = raster_source(entry, variable, options)?;
            if let Some(source) = &source {
                let covered = match &source.geobox {
                    Some(grid) => coverage_window(grid, &geobox),
                    None => footprint_window(entry.dataset.extent(), &geobox),
                };
                window = Some(match window {
                    None => covered,
                    Some(all) => PixelWindow::union(&all, &covered),
                });
            }
            match &variable.extra {
                None => sources.push(source),
                Some((_, positions)) => sources.extend(positions.iter().map(|&position| {
                    let source = source.clone()?;
                    let band = source.band.saturating_add(u32::try_from(position).ok()?);
                    Some(source.with_band(band))
                })),
            }
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

/// Where a measurement of a dataset lies; `None` where it has none and may do so.
fn raster_source(
    entry: &Entry,
    variable: &Variable<'_>,
    options: &LoadOptions,
) -> Result<Option<RasterSource>> {
    let dataset = &entry.dataset;
    let name = &variable.measurement.name;
    if options.convention == Convention::OdcStac && !dataset.measurements().contains_key(name) {
        return Ok(None);
    }
    let location = dataset.measurement_source(name)?;
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
    let uri = match &options.patch_url_with {
        None => location.uri,
        Some(patch) => (patch.0)(dataset, &location.uri).map_err(|error| Error::Dataset {
            dataset: dataset.id(),
            problem: format!("`patch_url_with` failed for {}: {error}", location.uri),
        })?,
    };
    let grid = location.grid.filter(|grid| grid.shape().pixels() > 1);
    Ok(Some(
        RasterSource::new(uri)
            .with_band(location.band.unwrap_or(1))
            .with_geobox(grid)
            .with_nodata(variable.source_nodata)
            .with_label(entry.id()),
    ))
}
