//! Datasets to an [`Archive`]: where every band of every dataset lies.

use datacube_geo::{Affine, BoundingBox, GeoBox};
use datacube_load::{
    Archive, ArchiveBuilder, Cover, RasterSource, Scene, StoreRegistry, coverage_window,
    footprint_window,
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
    let mut builder = begin(geobox, variables, options, stores)?;
    for entry in entries {
        let scene = scene(entry, variables, options, builder.geobox())?;
        builder.scene(scene);
    }
    add_planes(&mut builder, groups);
    Ok(builder.build()?)
}

/// An archive without datasets.
pub(super) fn begin(
    geobox: GeoBox,
    variables: &[Variable<'_>],
    options: &LoadOptions,
    stores: &StoreRegistry,
) -> Result<ArchiveBuilder> {
    let mut builder = Archive::builder(geobox);
    builder.skip_broken(options.skip_broken_datasets.unwrap_or(false));
    let signer = options.patch_url.as_ref();
    let signer = signer.map(|patch| patch.name_in(stores));
    if let Some(name) = &signer {
        stores.check_signer(name)?;
    }
    builder.signer(signer);
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
    Ok(builder)
}

/// The time steps.
pub(super) fn add_planes(builder: &mut ArchiveBuilder, groups: &[Group]) {
    for group in groups {
        builder.plane(
            group.members.iter().map(|&member| {
                u32::try_from(member).expect("an archive has less than 2^32 datasets")
            }),
        );
    }
}

/// A dataset: where it lies, and where its files are.
pub(super) fn scene(
    entry: &Entry,
    variables: &[Variable<'_>],
    options: &LoadOptions,
    output: &GeoBox,
) -> Result<Scene> {
    let mut grids = Vec::with_capacity(variables.len());
    let mut sources = Vec::with_capacity(variables.len());
    for variable in variables {
        let source = raster_source(entry, variable, options)?;
        if let Some(source) = &source {
            grids.push(source.geobox.clone());
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
    Ok(Scene {
        cover: cover(&grids, entry, output),
        sources: sources.into(),
    })
}

/// Where the files of a dataset may have pixels, of which `grids` are the grids as
/// far as they are known.
fn cover(grids: &[Option<GeoBox>], entry: &Entry, output: &GeoBox) -> Cover {
    let first = grids.first().and_then(Option::as_ref);
    if let Some(first) = first
        && let Some(grid) = grids
            .iter()
            .skip(1)
            .try_fold(first.clone(), |all, grid| around(all, grid.as_ref()?))
    {
        return Cover::Grid(Box::new(grid));
    }
    let window = grids.iter().map(|grid| match grid {
        Some(grid) => coverage_window(grid, output),
        None => footprint_window(entry.dataset.extent(), output),
    });
    let all = window.reduce(|all, window| all.union(&window));
    Cover::Window(all.unwrap_or_default())
}

/// A grid around both; `None` where they are of different systems.
fn around(all: GeoBox, grid: &GeoBox) -> Option<GeoBox> {
    let bounds = |grid: &GeoBox| BoundingBox::from_affine(grid.shape(), grid.affine());
    let (own, other) = (bounds(&all), bounds(grid));
    if all.crs() != grid.crs() {
        return None;
    }
    if own.contains(&other) {
        return Some(all);
    }
    // One pixel will do: nothing but its outline is asked for.
    let both = own.union(&other);
    let affine = Affine {
        a: both.span_x(),
        b: 0.0,
        c: both.left,
        d: 0.0,
        e: -both.span_y(),
        f: both.top,
    };
    GeoBox::new((1, 1).into(), affine, all.crs().cloned()).ok()
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
    let address = |uri: String| -> Result<String> {
        let uri = match &location.layer {
            None => uri,
            Some(layer) => {
                layer_address(dataset.format(), &uri, layer).ok_or_else(|| Error::Unsupported {
                    what: format!("layer `{layer}` of {uri} ({})", entry.id()),
                    instead: "layers of netCDF and HDF files on this machine can be loaded".into(),
                })?
            }
        };
        match &options.patch_url_with {
            None => Ok(uri),
            Some(patch) => (patch.0)(dataset, &uri).map_err(|error| Error::Dataset {
                dataset: dataset.id(),
                problem: format!("`patch_url_with` failed for {uri}: {error}"),
            }),
        }
    };
    let uri = address(location.uri.clone())?;
    let alternatives = location.alternatives.iter().cloned().map(address);
    let alternatives = alternatives.collect::<Result<Vec<String>>>()?;
    let grid = location.grid.filter(|grid| grid.shape().pixels() > 1);
    Ok(Some(
        RasterSource::new(uri)
            .with_alternatives(alternatives)
            .with_band(location.band.unwrap_or(1))
            .with_geobox(grid)
            .with_nodata(variable.source_nodata)
            .with_label(entry.id()),
    ))
}

/// GDAL's name of a layer of a file of this machine; `None` for another file.
///
/// # Source
/// datacube-core, `datacube/utils/uris.py` (`uri_to_local_path`) and
/// `datacube/storage/_rio.py` (`_url2rasterio`).
fn layer_address(format: Option<&str>, uri: &str, layer: &str) -> Option<String> {
    let path = match uri.strip_prefix("file://") {
        Some(_) => url::Url::parse(uri).ok()?.to_file_path().ok()?,
        None if uri.starts_with('/') => uri.into(),
        None => return None,
    };
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let kind = format.unwrap_or(extension).to_ascii_lowercase();
    let path = path.to_str()?;
    if kind.contains("netcdf") || kind == "nc" {
        Some(format!("NETCDF:\"{path}\":{layer}"))
    } else if kind.contains("hdf4") {
        Some(format!("HDF4_EOS:EOS_GRID:\"{path}\":{layer}"))
    } else if kind.contains("hdf") || kind.starts_with("h5") {
        let layer = layer.trim_start_matches('/');
        Some(format!("HDF5:\"{path}\"://{layer}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_of_one_system_have_a_grid_around_them() {
        let grid = |left: f64, side: f64, n: usize, crs: &str| {
            let affine = Affine {
                a: side,
                b: 0.0,
                c: left,
                d: 0.0,
                e: -side,
                f: 6e6,
            };
            let crs = datacube_geo::Crs::parse(crs).expect("known");
            GeoBox::new((n, n).into(), affine, Some(crs)).expect("sound")
        };
        let ten = grid(5e5, 10.0, 600, "EPSG:32755");
        // The same area in coarser pixels adds nothing.
        assert_eq!(
            around(ten.clone(), &grid(5e5, 60.0, 100, "EPSG:32755")),
            Some(ten.clone())
        );
        let both = around(ten.clone(), &grid(5.03e5, 10.0, 600, "EPSG:32755")).expect("one system");
        assert_eq!(
            both.bounding_box(),
            BoundingBox {
                left: 5e5,
                bottom: 5.994e6,
                right: 5.09e5,
                top: 6e6
            }
        );
        assert_eq!(around(ten, &grid(5e5, 10.0, 600, "EPSG:32756")), None);
    }

    #[test]
    fn layers_are_named_as_gdal_names_them() {
        let check = |format: Option<&str>, uri: &str, name: Option<&str>| {
            assert_eq!(
                layer_address(format, uri, "red").as_deref(),
                name,
                "{format:?} {uri}"
            );
        };
        check(
            Some("NetCDF"),
            "file:///a%20b/c.nc",
            Some("NETCDF:\"/a b/c.nc\":red"),
        );
        check(None, "/a/c.nc", Some("NETCDF:\"/a/c.nc\":red"));
        check(None, "/a/c.h5", Some("HDF5:\"/a/c.h5\"://red"));
        check(Some("HDF5"), "/a/c", Some("HDF5:\"/a/c\"://red"));
        check(Some("GeoTIFF"), "/a/c.tif", None);
        check(Some("NetCDF"), "s3://b/c.nc", None);
    }
}
