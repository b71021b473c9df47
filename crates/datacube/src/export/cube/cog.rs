//! A cube as a COG: one band for each time of each variable.

use std::ops::Range;
use std::path::Path;

use datacube_compute::{
    ChunkSink, Cube, DataArray, Engine, Job, Observer, Plan, Region, RunReport, SinkError,
};
use datacube_geo::PixelWindow;

use super::{ExportOptions, boxed, fingerprint, leading, text_attr};
use crate::HasGeoBox as _;
use crate::export::cog::{Band, CogSpec, CogWriter};
use crate::export::error::{Error, Result};

/// Computes a cube with `engine` and writes it to a Cloud Optimised GeoTIFF.
///
/// A variable of dimensions `y`, `x` is one band, named after it; one of `time`,
/// `y`, `x` is a band for each time, named after the time (and the variable, if
/// there are several). Units, scale and offset go with the band; overviews of
/// flags are taken, those of quantities averaged.
///
/// # Errors
/// [`Error::Invalid`] if variables differ in type, nodata or shape, which the
/// bands of one file cannot, or have more dimensions; [`Error::Exists`] if the file
/// is there; [`Error::OtherJob`] if what is to be resumed was another job;
/// [`Error::Compute`] if computing fails. No file is left then; what was written is,
/// where it is to be resumed.
pub fn write_cog(
    cube: &Cube,
    path: impl AsRef<Path>,
    options: &ExportOptions,
    engine: &dyn Engine,
    observer: &dyn Observer,
) -> Result<RunReport> {
    let path = path.as_ref();
    let (spec, first_bands) = spec_of(cube, path)?;
    let mut cog = options.cog.clone();
    cog.overwrite |= options.overwrite;
    cog.resume |= options.resume;
    let plan = cube.plan()?;
    cog.plan = fingerprint(&plan, cog.resume)?;
    let sink = CogSink {
        writer: CogWriter::create(path, spec, cog)?,
        first_bands,
    };
    let report = engine.run(&Job::new(plan), &sink, observer)?;
    sink.writer.finish()?;
    Ok(report)
}

/// What the file is to hold, and the first band of each variable.
fn spec_of(cube: &Cube, path: &Path) -> Result<(CogSpec, Vec<usize>)> {
    let what = || format!("{} to {}", names(cube), path.display());
    let variables: Vec<(&str, &DataArray)> = cube.variables().collect();
    let Some(&(first_name, first)) = variables.first() else {
        return Err(Error::invalid(
            path.display().to_string(),
            "there is no variable to write",
        ));
    };
    let geobox = cube.geobox().map_err(|error| {
        Error::invalid(
            what(),
            format!("the grid of the pixels is unknown: {error}"),
        )
    })?;
    let mut spec = CogSpec::new(geobox, first.dtype());
    let default_nodata = spec.nodata;
    spec.nodata = first.attrs().nodata().or(default_nodata);
    spec.categorical |= variables
        .iter()
        .any(|(_, array)| array.attrs().contains("flags_definition"));
    spec.bands.clear();

    let mut first_bands = Vec::new();
    for &(name, array) in &variables {
        let differs = |property: &str, one: String, other: String| {
            Err(Error::invalid(
                what(),
                format!(
                    "`{first_name}` has {property} {one} and `{name}` {other}, but the bands of one \
                     GeoTIFF share it; write them to files of their own, or to a .zarr"
                ),
            ))
        };
        if array.dtype() != first.dtype() {
            return differs(
                "dtype",
                first.dtype().to_string(),
                array.dtype().to_string(),
            );
        }
        let nodata = array.attrs().nodata().or(default_nodata);
        if nodata != spec.nodata {
            return differs(
                "nodata",
                format!("{:?}", spec.nodata),
                format!("{nodata:?}"),
            );
        }
        first_bands.push(spec.bands.len());
        let lead = leading(name, array)?;
        let [rows, cols] = array.shape()[array.ndim() - 2..] else {
            return Err(Error::invalid(what(), "an image has two dimensions"));
        };
        let grid = spec.geobox.shape();
        if (rows, cols) != (grid.rows, grid.cols) {
            return differs("shape", grid.to_string(), format!("{rows} x {cols}"));
        }
        for step in 0..lead.map_or(1, |(_, len)| len) {
            let label = lead.and_then(|(dim, _)| label(array, dim, step));
            spec.bands
                .push(band(name, array, label, variables.len() > 1));
        }
    }
    Ok((spec, first_bands))
}

fn names(cube: &Cube) -> String {
    cube.names()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The label of one step of a dimension: its name and text.
fn label(array: &DataArray, dim: &str, step: usize) -> Option<(String, String)> {
    let coord = array.coords().get(dim)?;
    Some((dim.to_owned(), coord.values().get(step).to_string()))
}

fn band(name: &str, array: &DataArray, label: Option<(String, String)>, several: bool) -> Band {
    let number = |attr: &str| array.attrs().get(attr).and_then(serde_json::Value::as_f64);
    let mut band = Band::named(match &label {
        Some((_, label)) if several => format!("{name} {label}"),
        Some((_, label)) => label.clone(),
        None => name.to_owned(),
    });
    band.unit = text_attr(array, "units");
    band.scale = number("scale_factor");
    band.offset = number("add_offset");
    band = band.item("variable", name);
    match label {
        Some((dim, label)) => band.item(dim, label),
        None => band,
    }
}

/// Hands finished chunks to the writer.
struct CogSink {
    writer: CogWriter,
    /// By output of the plan.
    first_bands: Vec<usize>,
}

impl CogSink {
    /// The bands and the window that a region of an output goes to.
    fn place(&self, output: usize, region: &Region) -> Option<(Range<usize>, PixelWindow)> {
        let ranges = region.ranges();
        let [lead @ .., rows, cols] = ranges else {
            return None;
        };
        let steps = lead.first().cloned().unwrap_or(0..1);
        let first = *self.first_bands.get(output)?;
        let bands = first + steps.start..first + steps.end;
        Some((bands, PixelWindow::new(rows.clone(), cols.clone())))
    }
}

impl ChunkSink for CogSink {
    fn resumes(&self) -> bool {
        self.writer.resumes()
    }

    fn holds(&self, output: usize, region: &Region) -> bool {
        self.place(output, region)
            .is_some_and(|(mut bands, window)| bands.all(|band| self.writer.holds(band, &window)))
    }

    fn takes_parts(&self) -> bool {
        true
    }

    /// Where chunks are no multiples of blocks, a row of blocks of every band
    /// that is being written may wait for the chunks below.
    fn memory_bytes(&self, plan: &Plan) -> u64 {
        let block = self.writer.block();
        plan.outputs()
            .iter()
            .map(|output| {
                let shape = &output.schema().shape;
                let chunk = output.chunks().chunk_shape();
                let [.., _, cols] = shape[..] else { return 0 };
                let aligned = chunk
                    .iter()
                    .zip(shape.iter())
                    .rev()
                    .take(2)
                    .all(|(&chunk, &len)| chunk == len || chunk.is_multiple_of(block));
                let bands = if chunk.len() > 2 { chunk[0] } else { 1 };
                let row = (cols * block * output.schema().dtype.size() * bands) as u64;
                if aligned { 0 } else { row }
            })
            .sum()
    }

    fn write(&self, output: usize, region: &Region, pixels: &[u8]) -> Result<(), SinkError> {
        let (bands, window) = self
            .place(output, region)
            .ok_or("an image has rows and columns")?;
        let plane = pixels.len() / bands.len().max(1);
        for (band, pixels) in bands.zip(pixels.chunks_exact(plane.max(1))) {
            self.writer.write(band, &window, pixels).map_err(boxed)?;
        }
        Ok(())
    }
}
