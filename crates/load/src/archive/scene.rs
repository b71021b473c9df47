//! One dataset of an archive: where on the output grid it may have pixels, and its
//! files.

use std::ops::Deref;
use std::sync::Arc;

use datacube_geo::{BoundingBox, GeoBox, PixelWindow};
use serde::{Deserialize, Serialize};

use super::footprint::coverage_window;
use crate::source::RasterSource;

/// For each band of an archive, in its order, the file that has it.
pub(crate) type Files = Arc<[Option<RasterSource>]>;

/// One dataset: where it lies, and its files. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// Where it may have pixels; it gives none outside, even if its files reach
    /// further than their documents say.
    pub cover: Cover,
    /// For each band of the archive, in its order, the file that has it.
    pub sources: Arc<[Option<RasterSource>]>,
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
    Grid(Box<GeoBox>),
    /// Those of an area of which no more is known than a box around it, in degrees
    /// of longitude and latitude (WGS 84); over the antimeridian `right` is past 180.
    /// Told of scenes whose documents are looked up when a chunk needs them, see
    /// [`crate::SceneCatalog`], which then say it exactly.
    LonLat(BoundingBox),
}

impl Cover {
    /// The pixels of `output`.
    pub(super) fn window(&self, output: &GeoBox) -> PixelWindow {
        match self {
            Cover::Window(window) => window.clone(),
            Cover::Grid(grid) => coverage_window(grid, output),
            Cover::LonLat(_) => PixelWindow::full(output.shape()),
        }
    }
}

impl Scene {
    /// A scene that may give the pixels of `window`.
    pub fn new(window: PixelWindow, sources: Vec<Option<RasterSource>>) -> Self {
        Scene {
            cover: Cover::Window(window),
            sources: sources.into(),
        }
    }

    /// A scene that may give the pixels that a raster on `grid` may give; `grid`
    /// has to cover those of all `sources`.
    pub fn on_grid(grid: GeoBox, sources: Vec<Option<RasterSource>>) -> Self {
        Scene {
            cover: Cover::Grid(Box::new(grid)),
            sources: sources.into(),
        }
    }
}

/// One file of a scene, found.
#[derive(Clone, Debug)]
pub(crate) struct SceneFile {
    files: Files,
    /// A place in `files` that is not empty.
    column: usize,
}

impl SceneFile {
    /// The file in `column`; `None` where the scene has none.
    pub(super) fn new(files: Files, column: usize) -> Option<Self> {
        let is_there = files.get(column)?.is_some();
        is_there.then_some(SceneFile { files, column })
    }
}

impl Deref for SceneFile {
    type Target = RasterSource;

    fn deref(&self) -> &RasterSource {
        let source = self.files[self.column].as_ref();
        source.expect("it was there when this was made")
    }
}
