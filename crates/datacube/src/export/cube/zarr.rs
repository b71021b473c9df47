//! A cube as a Zarr store: zarr chunk = cube chunk.

use std::path::Path;

use datacube_compute::{
    ChunkSink, CoordValues, Cube, Engine, Job, Observer, Region, RunReport, SinkError,
};

use super::{ExportOptions, attrs_of, boxed, fingerprint};
use crate::export::error::Result;
use crate::export::zarr::{Labels, ZarrCoordinate, ZarrSpec, ZarrVariable, ZarrWriter};

/// Computes a cube with `engine` and writes it to a Zarr store (version 3) that
/// `xarray.open_zarr` opens.
///
/// # Errors
/// [`Error::Invalid`](crate::export::Error::Invalid) for names that Zarr cannot
/// have, [`Error::Exists`](crate::export::Error::Exists) if the store is there,
/// [`Error::OtherJob`](crate::export::Error::OtherJob) if what is to be resumed was
/// another job, [`Error::Compute`](crate::export::Error::Compute) if computing fails.
/// No store is left then; what was written is, where it is to be resumed.
pub fn write_zarr(
    cube: &Cube,
    path: impl AsRef<Path>,
    options: &ExportOptions,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<RunReport> {
    let path = path.as_ref();
    let mut zarr = options.zarr.clone();
    zarr.overwrite |= options.overwrite;
    zarr.resume |= options.resume;
    let plan = cube.plan()?;
    zarr.plan = fingerprint(&plan, zarr.resume)?;
    let sink = ZarrSink(ZarrWriter::create(path, spec_of(cube), zarr)?);
    let report = engine.run(&Job::new(plan), &sink, observer)?;
    sink.0.finish()?;
    Ok(report)
}

fn spec_of(cube: &Cube) -> ZarrSpec {
    let variables = cube
        .variables()
        .map(|(name, array)| ZarrVariable {
            name: name.to_owned(),
            dims: array.dims().to_vec(),
            shape: array.shape().to_vec(),
            chunks: array
                .chunks()
                .chunk_shape()
                .into_iter()
                .map(|n| n.max(1))
                .collect(),
            dtype: array.dtype(),
            nodata: array.attrs().nodata(),
            attrs: attrs_of(array.attrs()),
        })
        .collect();
    let coordinates = cube
        .coords()
        .iter()
        .map(|(name, coord)| ZarrCoordinate {
            name: name.to_owned(),
            dim: coord.dim().map(str::to_owned),
            labels: match coord.values() {
                CoordValues::Time(values) => Labels::Time(values.clone()),
                CoordValues::Float(values) => Labels::Float(values.clone()),
                CoordValues::Int(values) => Labels::Int(values.clone()),
                CoordValues::Text(values) => Labels::Text(values.clone()),
            },
            attrs: attrs_of(coord.attrs()),
        })
        .collect();
    ZarrSpec {
        variables,
        coordinates,
        attrs: attrs_of(cube.attrs()),
    }
}

struct ZarrSink(ZarrWriter);

impl ChunkSink for ZarrSink {
    fn resumes(&self) -> bool {
        self.0.resumes()
    }

    fn holds(&self, output: usize, region: &Region) -> bool {
        self.0.holds(output, region.ranges())
    }

    fn write(&self, output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        self.0.write(output, region.ranges(), pixels).map_err(boxed)
    }
}
