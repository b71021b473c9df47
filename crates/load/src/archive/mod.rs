//! An archive of scenes as one lazy source: what there is, in which order it is
//! laid over each other, and on which grid.
//!
//! An [`Archive`] describes; it opens nothing. It holds one entry for each
//! dataset and each plane (time step) and nothing for a chunk: which datasets a
//! chunk needs is looked up when the chunk is planned, so ten thousand planes of
//! a hundred chunks cost what ten thousand planes cost. It serialises, and two
//! archives that are equal give the same pixels.

mod builder;
mod estimate;
mod footprint;
mod plane_index;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use datacube_geo::{GeoBox, PixelWindow};
use serde::{Deserialize, Serialize};

pub use builder::ArchiveBuilder;
pub use footprint::{coverage_window, footprint_window};

use crate::error::{Error, Result};
use crate::params::BandParams;
use crate::plan::{ChunkTask, SourceRead};
use crate::source::RasterSource;
use plane_index::{PlaneIndex, plane_of};

/// One dataset: where on the output grid it lies, and its files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    /// The output pixels that the scene may give; it gives none outside, even
    /// if its files reach further than their documents say.
    ///
    /// So that nothing is lost it has to cover all of the scene's pixels: see
    /// [`coverage_window`] and [`footprint_window`].
    pub window: PixelWindow,
    /// For each band of the archive, in its order, the file that has it.
    pub sources: Vec<Option<RasterSource>>,
}

impl Scene {
    /// A scene that may give the pixels of `window`.
    pub fn new(window: PixelWindow, sources: Vec<Option<RasterSource>>) -> Self {
        Scene { window, sources }
    }
}

/// An archive as one lazy source of planes on one grid.
///
/// ```
/// use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
/// use datacube_load::{Archive, BandParams, RasterSource, Scene};
/// use datacube_model::DType;
///
/// let affine = Affine { a: 30.0, b: 0.0, c: 6e5, d: 0.0, e: -30.0, f: 6e6 };
/// let geobox = GeoBox::new(Shape2d { rows: 100, cols: 80 }, affine, Some(Crs::from_epsg(32755)?))?;
/// let mut builder = Archive::builder(geobox);
/// builder.band(BandParams::new("red", DType::UInt16));
/// let red = RasterSource::new("file:///scenes/a_B4.TIF").with_label("a");
/// let scene = builder.scene(Scene::new(PixelWindow::new(0..60, 0..80), vec![Some(red)]));
/// builder.plane([scene]);
/// let archive = builder.build()?;
///
/// let task = archive.plan_chunk(0, 0, PixelWindow::new(50..100, 0..40))?;
/// assert_eq!(task.reads[0].window, PixelWindow::new(50..60, 0..40));
/// assert!(archive.plan_chunk(0, 0, PixelWindow::new(60..100, 0..40))?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Archive {
    geobox: GeoBox,
    bands: Vec<BandParams>,
    scenes: Vec<Scene>,
    planes: Vec<Vec<u32>>,
    skip_broken: bool,
    /// Who signs the addresses, by name.
    signer: Option<String>,
    /// Made when it is first needed; says nothing that the rest does not.
    index: OnceLock<PlaneIndex>,
}

impl Archive {
    /// Starts an archive on the output grid `geobox`.
    pub fn builder(geobox: GeoBox) -> ArchiveBuilder {
        ArchiveBuilder {
            geobox,
            bands: Vec::new(),
            scenes: Vec::new(),
            planes: Vec::new(),
            skip_broken: false,
            signer: None,
        }
    }

    /// Whether a source that cannot be read is left out, and reported, instead
    /// of failing the chunk.
    pub fn skips_broken(&self) -> bool {
        self.skip_broken
    }

    /// The name of the signer of the addresses, if they are signed.
    pub fn signer(&self) -> Option<&str> {
        self.signer.as_deref()
    }

    /// The output grid.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// The measurements, in order.
    pub fn bands(&self) -> &[BandParams] {
        &self.bands
    }

    /// The place of the measurement called `name`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the names there are.
    pub fn band_index(&self, name: &str) -> Result<usize> {
        self.bands
            .iter()
            .position(|band| band.name == name)
            .ok_or_else(|| {
                let names: Vec<_> = self.bands.iter().map(|band| band.name.as_str()).collect();
                Error::invalid(format!(
                    "there is no measurement `{name}` in the archive; it has {}",
                    names.join(", ")
                ))
            })
    }

    /// The number of planes.
    pub fn n_planes(&self) -> usize {
        self.planes.len()
    }

    /// The scenes of a plane, in fuse order; none for a plane that is not there.
    pub fn members(&self, plane: usize) -> &[u32] {
        self.planes.get(plane).map_or(&[], Vec::as_slice)
    }

    /// All scenes; planes refer to them by their place.
    pub fn scenes(&self) -> &[Scene] {
        &self.scenes
    }

    /// The scene at place `scene`.
    pub fn scene(&self, scene: u32) -> Option<&Scene> {
        self.scenes.get(place(scene))
    }

    /// The file that has band `band_idx` of a scene, if there is one.
    pub fn source(&self, scene: u32, band_idx: usize) -> Option<&RasterSource> {
        self.scene(scene)?.sources.get(band_idx)?.as_ref()
    }

    /// The measurement that a task is of.
    pub(crate) fn params(&self, task: &ChunkTask) -> Result<&BandParams> {
        self.bands
            .get(place(task.band))
            .ok_or_else(|| not_ours(task))
    }

    /// The file that a task reads.
    pub(crate) fn task_source(&self, task: &ChunkTask, read: &SourceRead) -> Result<&RasterSource> {
        self.source(read.scene, place(task.band))
            .ok_or_else(|| not_ours(task))
    }

    /// What is read for `window` of one band of one plane: the scenes that touch
    /// it, in fuse order.
    ///
    /// `window` is in pixels of the output grid. Nothing is opened.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a band, plane or window that is not there.
    pub fn plan_chunk(
        &self,
        band_idx: usize,
        plane: usize,
        window: PixelWindow,
    ) -> Result<ChunkTask> {
        if band_idx >= self.bands.len() {
            let n = self.bands.len();
            return Err(Error::invalid(format!(
                "there is no band {band_idx}; there are {n}"
            )));
        }
        let Some(members) = self.planes.get(plane) else {
            let n = self.planes.len();
            return Err(Error::invalid(format!(
                "there is no plane {plane}; there are {n}"
            )));
        };
        let whole = PixelWindow::full(self.geobox.shape());
        if !whole.contains(&window) {
            return Err(Error::invalid(format!(
                "the chunk {window} is not within the grid's {whole}"
            )));
        }
        let read = |&scene: &u32| {
            self.source(scene, band_idx)?;
            let part = self.scene(scene)?.window.intersect(&window);
            (!part.is_empty()).then_some(SourceRead {
                scene,
                window: part,
            })
        };
        let reads = if members.len() <= SCAN_PLANE || window.is_empty() {
            members.iter().filter_map(read).collect()
        } else {
            let mut places: Vec<u32> = self
                .index()
                .touching(plane..plane + 1, &window)
                .map(|entry| entry.data)
                .collect();
            places.sort_unstable();
            places
                .iter()
                .filter_map(|&at| read(&members[place(at)]))
                .collect()
        };
        let (band, plane) = (narrow(band_idx, "band")?, narrow(plane, "plane")?);
        Ok(ChunkTask {
            band,
            plane,
            window,
            reads,
        })
    }

    /// The planes of the range that some scene touches in `window`, in order.
    pub fn planes_touching(&self, planes: Range<usize>, window: &PixelWindow) -> Vec<usize> {
        let planes = planes.start..planes.end.min(self.planes.len());
        if planes.is_empty() || window.is_empty() {
            return Vec::new();
        }
        let n_members: usize = self.planes[planes.clone()].iter().map(Vec::len).sum();
        if n_members <= SCAN_PLANES {
            let touches = |&scene: &u32| {
                self.scene(scene)
                    .is_some_and(|scene| !scene.window.intersect(window).is_empty())
            };
            return planes
                .filter(|&plane| self.planes[plane].iter().any(touches))
                .collect();
        }
        let entries = self.index().touching(planes, window);
        let mut found: Vec<usize> = entries.filter_map(plane_of).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The same archive with only these bands, in this order.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a band that is not there.
    pub fn select_bands(&self, band_idxs: &[usize]) -> Result<Archive> {
        let n = self.bands.len();
        if let Some(band_idx) = band_idxs.iter().find(|&&band_idx| band_idx >= n) {
            return Err(Error::invalid(format!(
                "there is no band {band_idx}; there are {n}"
            )));
        }
        let scenes = self.scenes.iter().map(|scene| {
            let sources = band_idxs
                .iter()
                .map(|&band_idx| scene.sources[band_idx].clone());
            Scene::new(scene.window.clone(), sources.collect())
        });
        Ok(Archive {
            geobox: self.geobox.clone(),
            bands: band_idxs
                .iter()
                .map(|&band_idx| self.bands[band_idx].clone())
                .collect(),
            scenes: scenes.collect(),
            planes: self.planes.clone(),
            skip_broken: self.skip_broken,
            signer: self.signer.clone(),
            index: self.index.clone(),
        })
    }

    /// The same archive with only these planes, in this order, and the scenes
    /// that they have.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a plane that is not there.
    pub fn select_planes(&self, planes: &[usize]) -> Result<Archive> {
        let n = self.planes.len();
        let mut builder = Archive::builder(self.geobox.clone());
        builder.bands.clone_from(&self.bands);
        builder.skip_broken = self.skip_broken;
        builder.signer.clone_from(&self.signer);
        let mut kept = vec![None; self.scenes.len()];
        for &plane in planes {
            let Some(members) = self.planes.get(plane) else {
                return Err(Error::invalid(format!(
                    "there is no plane {plane}; there are {n}"
                )));
            };
            let mut selected = Vec::with_capacity(members.len());
            for &scene in members {
                let at = place(scene);
                let new = match kept[at] {
                    Some(new) => new,
                    None => builder.scene(self.scenes[at].clone()),
                };
                kept[at] = Some(new);
                selected.push(new);
            }
            builder.plane(selected);
        }
        builder.build()
    }

    fn index(&self) -> &PlaneIndex {
        self.index.get_or_init(|| PlaneIndex::new(self))
    }
}

/// Planes of up to so many scenes are looked through one by one.
const SCAN_PLANE: usize = 64;

/// As [`SCAN_PLANE`], of all the planes of a question together.
const SCAN_PLANES: usize = 20_000;

fn not_ours(task: &ChunkTask) -> Error {
    Error::invalid(format!(
        "the task for band {}, {task} is not of this archive",
        task.band
    ))
}

/// A stored index as one of memory.
fn place(idx: u32) -> usize {
    usize::try_from(idx).expect("memory has at least 32 bits of addresses")
}

fn narrow(idx: usize, what: &str) -> Result<u32> {
    u32::try_from(idx).map_err(|_| Error::invalid(format!("{what} {idx} is past 4294967295")))
}

impl PartialEq for Archive {
    fn eq(&self, other: &Self) -> bool {
        self.geobox == other.geobox
            && self.bands == other.bands
            && self.scenes == other.scenes
            && self.planes == other.planes
            && self.skip_broken == other.skip_broken
            && self.signer == other.signer
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("geobox", &self.geobox)
            .field("bands", &self.bands)
            .field("n_scenes", &self.scenes.len())
            .field("n_planes", &self.planes.len())
            .finish_non_exhaustive()
    }
}
