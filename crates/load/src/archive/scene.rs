//! One dataset of an archive: where on the output grid it may have pixels, and its
//! files.

use datacube_geo::{GeoBox, PixelWindow};
use serde::{Deserialize, Serialize};

use super::footprint::coverage_window;
use crate::source::RasterSource;

/// One dataset: where it lies, and its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Where it may have pixels; it gives none outside, even if its files reach
    /// further than their documents say.
    pub cover: Cover,
    /// For each band of the archive, in its order, the file that has it.
    pub sources: Vec<Option<RasterSource>>,
}

/// The output pixels that a scene may give.
///
/// So that nothing is lost they have to cover all of the scene's pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cover {
    /// These pixels of the output grid, see [`crate::footprint_window`].
    Window(PixelWindow),
    /// Those that a raster on this grid may give: its [`crate::coverage_window`],
    /// found when a chunk comes near it, so that a scene costs nothing until then.
    Grid(GeoBox),
}

impl Cover {
    /// The pixels of `output`.
    pub(super) fn window(&self, output: &GeoBox) -> PixelWindow {
        match self {
            Cover::Window(window) => window.clone(),
            Cover::Grid(grid) => coverage_window(grid, output),
        }
    }
}

impl Scene {
    /// A scene that may give the pixels of `window`.
    pub fn new(window: PixelWindow, sources: Vec<Option<RasterSource>>) -> Self {
        Scene {
            cover: Cover::Window(window),
            sources,
        }
    }

    /// A scene that may give the pixels that a raster on `grid` may give; `grid`
    /// has to cover those of all `sources`.
    pub fn on_grid(grid: GeoBox, sources: Vec<Option<RasterSource>>) -> Self {
        Scene {
            cover: Cover::Grid(grid),
            sources,
        }
    }
}
