//! An archive of scenes as one lazy source: what there is, in which order it is
//! laid over each other, and on which grid.
//!
//! An [`Archive`] describes; it opens nothing. It holds one entry for each
//! dataset and each plane (time step) and nothing for a chunk: which datasets a
//! chunk needs is looked up when the chunk is planned, so ten thousand planes of
//! a hundred chunks cost what ten thousand planes cost. Where a dataset lies on
//! the output grid is found when a chunk comes near it, see `plane_index.rs`. An
//! archive is cheap to clone and to cut down to some of its bands: all share one
//! list of datasets. It serialises, and two archives that are equal give the same
//! pixels.
//!
//! Of very many datasets it need not hold the documents: a [`SceneCatalog`] gives
//! the files of a scene when a chunk that may need it is fetched.

mod builder;
mod catalog;
mod estimate;
mod footprint;
mod plane_index;
mod scene;
mod stock;
#[cfg(test)]
mod tests;
mod wire;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use datacube_geo::{GeoBox, PixelWindow};

pub use builder::ArchiveBuilder;
pub use catalog::SceneCatalog;
pub use footprint::{coverage_window, footprint_window};
pub(crate) use scene::SceneFile;
pub use scene::{Cover, Scene};

use crate::error::{Error, Result};
use crate::params::BandParams;
use crate::plan::ChunkTask;
use crate::source::RasterSource;
use stock::Stock;

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
    /// For each band its place in the sources of a scene.
    columns: Vec<usize>,
    stock: Arc<Stock>,
    skip_broken: bool,
    /// Who signs the addresses, by name.
    signer: Option<String>,
}

impl Archive {
    /// Starts an archive on the output grid `geobox`.
    pub fn builder(geobox: GeoBox) -> ArchiveBuilder {
        ArchiveBuilder {
            geobox,
            bands: Vec::new(),
            scenes: Vec::new(),
            catalog: None,
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
        self.stock.planes().len()
    }

    /// The scenes of a plane, in fuse order; none for a plane that is not there.
    pub fn members(&self, plane: usize) -> &[u32] {
        self.stock.planes().get(plane).map_or(&[], Vec::as_slice)
    }

    /// The number of scenes; planes refer to them by their place.
    pub fn n_scenes(&self) -> usize {
        self.stock.scenes().len()
    }

    /// The output pixels that a scene may give; empty for one that is not there.
    pub fn window(&self, scene: u32) -> PixelWindow {
        self.stock.window(scene)
    }

    /// Whether the files of scenes are asked of a [`SceneCatalog`].
    pub fn is_looked_up(&self) -> bool {
        self.stock.catalog().is_some()
    }

    /// The file that has band `band_idx` of a scene, if there is one; none where it
    /// is still to be looked up.
    pub fn source(&self, scene: u32, band_idx: usize) -> Option<&RasterSource> {
        let scene = self.stock.scenes().get(place(scene))?;
        scene.sources.get(*self.columns.get(band_idx)?)?.as_ref()
    }

    /// The measurement that a task is of.
    pub(crate) fn params(&self, task: &ChunkTask) -> Result<&BandParams> {
        self.bands
            .get(place(task.band))
            .ok_or_else(|| not_ours(task))
    }

    /// The files that a task reads, each with the output pixels that it may give;
    /// `None` for a scene that, once it is looked up, has no such file.
    ///
    /// # Errors
    /// [`Error::Catalog`]; [`Error::InvalidRequest`] for the task of another archive.
    pub(crate) async fn task_files(
        &self,
        task: &ChunkTask,
    ) -> Result<Vec<Option<(SceneFile, PixelWindow)>>> {
        let column = self.columns.get(place(task.band)).copied();
        let column = column.ok_or_else(|| not_ours(task))?;
        let Some(catalog) = self.stock.catalog() else {
            let found = task.reads.iter().map(|read| {
                let scene = self.stock.scenes().get(place(read.scene));
                let file = scene.and_then(|scene| SceneFile::new(scene.sources.clone(), column));
                let file = file.ok_or_else(|| not_ours(task))?;
                Ok(Some((file, read.window.clone())))
            });
            return found.collect();
        };
        if task.reads.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<u32> = task.reads.iter().map(|read| read.scene).collect();
        let scenes = catalog.scenes(&wanted).await;
        let scenes = scenes.map_err(|source| Error::Catalog { source })?;
        if scenes.len() != wanted.len() {
            let (n, of) = (scenes.len(), wanted.len());
            return Err(Error::Internal(format!(
                "a catalog gave {n} scenes where {of} were asked for"
            )));
        }
        let found = task.reads.iter().zip(scenes).map(|(read, scene)| {
            let may_give = self.stock.window_of(read.scene, &scene.cover);
            let window = may_give.intersect(&read.window);
            SceneFile::new(scene.sources, column)
                .filter(|_| !window.is_empty())
                .map(|file| (file, window))
        });
        Ok(found.collect())
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
        if plane >= self.n_planes() {
            return Err(no_plane(plane, self.n_planes()));
        }
        let whole = PixelWindow::full(self.geobox.shape());
        if !whole.contains(&window) {
            return Err(Error::invalid(format!(
                "the chunk {window} is not within the grid's {whole}"
            )));
        }
        let touching = self.stock.touching(plane, &window);
        let reads = touching
            .filter(|read| self.is_looked_up() || self.source(read.scene, band_idx).is_some())
            .collect();
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
        let planes = planes.start..planes.end.min(self.n_planes());
        planes
            .filter(|&plane| self.stock.touching(plane, window).next().is_some())
            .collect()
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
        Ok(Archive {
            geobox: self.geobox.clone(),
            bands: band_idxs
                .iter()
                .map(|&band_idx| self.bands[band_idx].clone())
                .collect(),
            columns: band_idxs
                .iter()
                .map(|&band_idx| self.columns[band_idx])
                .collect(),
            stock: Arc::clone(&self.stock),
            skip_broken: self.skip_broken,
            signer: self.signer.clone(),
        })
    }

    /// The same archive with only these planes, in this order, and the scenes
    /// that they have.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a plane that is not there.
    pub fn select_planes(&self, planes: &[usize]) -> Result<Archive> {
        let n = self.n_planes();
        let mut builder = Archive::builder(self.geobox.clone());
        builder.bands.clone_from(&self.bands);
        builder.skip_broken = self.skip_broken;
        builder.signer.clone_from(&self.signer);
        builder.catalog = self.stock.catalog().cloned();
        if self.is_looked_up() {
            // The catalog knows them by their places.
            builder.scenes = self.stock.scenes().to_vec();
            for &plane in planes {
                let Some(members) = self.stock.planes().get(plane) else {
                    return Err(no_plane(plane, n));
                };
                builder.plane(members.iter().copied());
            }
            let columns = self.columns.clone();
            return Ok(Archive {
                columns,
                ..builder.build()?
            });
        }
        let mut kept = vec![None; self.n_scenes()];
        for &plane in planes {
            let Some(members) = self.stock.planes().get(plane) else {
                return Err(no_plane(plane, n));
            };
            let mut selected = Vec::with_capacity(members.len());
            for &scene in members {
                let at = place(scene);
                let new = match kept[at] {
                    Some(new) => new,
                    None => builder.scene(self.own_scene(at)),
                };
                kept[at] = Some(new);
                selected.push(new);
            }
            builder.plane(selected);
        }
        builder.build()
    }

    /// A scene with the files of this archive's bands alone.
    fn own_scene(&self, at: usize) -> Scene {
        let scene = &self.stock.scenes()[at];
        let sources = self.columns.iter();
        Scene {
            cover: scene.cover.clone(),
            sources: sources
                .map(|&column| scene.sources.get(column).cloned().flatten())
                .collect(),
        }
    }
}

fn no_plane(plane: usize, n: usize) -> Error {
    Error::invalid(format!("there is no plane {plane}; there are {n}"))
}

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
            && self.stock.planes() == other.stock.planes()
            && self.n_scenes() == other.n_scenes()
            && (0..self.n_scenes()).all(|at| self.same_scene(other, at))
            && self.same_catalog(other)
            && self.skip_broken == other.skip_broken
            && self.signer == other.signer
    }
}

impl Archive {
    fn same_scene(&self, other: &Archive, at: usize) -> bool {
        let (own, theirs) = (&self.stock.scenes()[at], &other.stock.scenes()[at]);
        let mut columns = self.columns.iter().zip(&other.columns);
        own.cover == theirs.cover
            && columns.all(|(&a, &b)| own.sources.get(a) == theirs.sources.get(b))
    }

    fn same_catalog(&self, other: &Archive) -> bool {
        match (self.stock.catalog(), other.stock.catalog()) {
            (None, None) => true,
            (Some(own), Some(theirs)) => {
                self.columns == other.columns
                    && (Arc::ptr_eq(own, theirs) || own.identity() == theirs.identity())
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive")
            .field("geobox", &self.geobox)
            .field("bands", &self.bands)
            .field("n_scenes", &self.n_scenes())
            .field("n_planes", &self.n_planes())
            .finish_non_exhaustive()
    }
}
