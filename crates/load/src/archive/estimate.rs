//! What a chunk will take, told from the documents before anything is opened.

use datacube_geo::{GeoBox, PixelWindow};

use super::footprint::METRES_PER_DEGREE;
use super::{Archive, place};
use crate::params::{BandParams, Fuse, Overviews, Resampling};
use crate::plan::{ChunkTask, ReadEstimate};

impl Archive {
    /// What a task will read and need, estimated from the documents' grids
    /// without opening a file.
    ///
    /// Bytes are those of the decoded source pixels; what a store sends is
    /// usually less, by the compression, and in whole blocks.
    pub fn estimate(&self, task: &ChunkTask) -> ReadEstimate {
        let Some(params) = self.bands.get(place(task.band)) else {
            return ReadEstimate::default();
        };
        let mut estimate = ReadEstimate::default();
        for read in &task.reads {
            let source = self.source(read.scene, place(task.band));
            if source.is_none() && !self.is_looked_up() {
                continue;
            }
            let grid = source.and_then(|source| source.geobox.as_ref());
            let pixels = source_pixels(grid, params, &self.geobox, &read.window);
            let bytes = pixels.saturating_mul(params.dtype.size() as u64);
            estimate.sources += 1;
            // The header, and the blocks in one go.
            estimate.requests += 2;
            estimate.read_bytes = estimate.read_bytes.saturating_add(bytes);
            // Decoded pixels and, for kernels that need them, marks.
            let scratch = bytes.saturating_add(pixels);
            estimate.scratch_bytes = estimate.scratch_bytes.max(scratch);
        }
        if params.fuse != Fuse::FirstValid && task.reads.len() > 1 {
            // Each member is made into an image of its own first.
            let image = (task.window.pixels() * params.dtype.size()) as u64;
            estimate.scratch_bytes = estimate.scratch_bytes.saturating_add(image);
        }
        estimate
    }
}

/// About how many source pixels are read for `window` of the output.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate; the cast saturates"
)]
fn source_pixels(
    grid: Option<&GeoBox>,
    params: &BandParams,
    geobox: &GeoBox,
    window: &PixelWindow,
) -> u64 {
    let pixels = window.pixels() as f64;
    let Some(grid) = grid else {
        return pixels as u64;
    };
    let mut ratio = pixel_area(geobox) / pixel_area(grid);
    let reads_overviews = match params.overviews {
        Overviews::Auto => params.resampling == Resampling::Nearest,
        Overviews::NearestFiner => true,
        Overviews::Off => false,
    };
    if reads_overviews {
        // The coarsest that is not coarser, and overviews usually halve.
        ratio = ratio.min(4.0);
    }
    (pixels * ratio).min(grid.shape().pixels() as f64) as u64
}

/// The area of a pixel, in square metres as far as the CRS tells.
fn pixel_area(geobox: &GeoBox) -> f64 {
    let affine = geobox.affine();
    let metres = geobox.crs().map_or(1.0, |crs| {
        if crs.is_geographic() {
            METRES_PER_DEGREE
        } else {
            crs.unit_in_metres()
        }
    });
    affine.determinant().abs() * metres * metres
}
