//! An archive of scenes as one lazy source: what there is, in which order it is
//! laid over each other, and on which grid.
//!
//! An [`Archive`] describes; it opens nothing. It holds one entry for each
//! dataset and each plane (time step) and nothing for a chunk: which datasets a
//! chunk needs is looked up when the chunk is planned, so ten thousand planes of
//! a hundred chunks cost what ten thousand planes cost. It serialises, and two
//! archives that are equal give the same pixels.

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use datacube_geo::{GeoBox, Geometry, PixelWindow, Xy};
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::params::{BandParams, Overviews, Resampling};
use crate::plan::{ChunkTask, ReadEstimate, SourceRead};
use crate::source::RasterSource;

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
        }
    }

    /// Whether a source that cannot be read is left out, and reported, instead
    /// of failing the chunk.
    pub fn skips_broken(&self) -> bool {
        self.skip_broken
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
            let Some(source) = self.source(read.scene, place(task.band)) else {
                continue;
            };
            let pixels = source_pixels(source, params, &self.geobox, &read.window);
            let bytes = pixels.saturating_mul(params.dtype.size() as u64);
            estimate.sources += 1;
            // The header, and the blocks in one go.
            estimate.requests += 2;
            estimate.read_bytes = estimate.read_bytes.saturating_add(bytes);
            // Decoded pixels and, for kernels that need them, marks.
            let scratch = bytes.saturating_add(pixels);
            estimate.scratch_bytes = estimate.scratch_bytes.max(scratch);
        }
        estimate
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

/// Puts an [`Archive`] together.
#[derive(Debug)]
pub struct ArchiveBuilder {
    geobox: GeoBox,
    bands: Vec<BandParams>,
    scenes: Vec<Scene>,
    planes: Vec<Vec<u32>>,
    skip_broken: bool,
}

impl ArchiveBuilder {
    /// The output grid.
    pub fn geobox(&self) -> &GeoBox {
        &self.geobox
    }

    /// Leaves out sources that cannot be read and reports them, or fails the
    /// chunk that needs them; default: fails.
    pub fn skip_broken(&mut self, skip: bool) -> &mut Self {
        self.skip_broken = skip;
        self
    }

    /// Adds a measurement and returns its place.
    pub fn band(&mut self, params: BandParams) -> usize {
        self.bands.push(params);
        self.bands.len() - 1
    }

    /// Adds a scene and returns its place, to be named in planes.
    pub fn scene(&mut self, scene: Scene) -> u32 {
        self.scenes.push(scene);
        u32::try_from(self.scenes.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds a plane made of these scenes, the first one on top, and returns its
    /// place.
    pub fn plane(&mut self, members: impl IntoIterator<Item = u32>) -> usize {
        self.planes.push(members.into_iter().collect());
        self.planes.len() - 1
    }

    /// The archive.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where a scene has not one entry for each band,
    /// or a plane names a scene that is not there; [`Error::Unsupported`] for a
    /// resampling or type that is not built.
    pub fn build(self) -> Result<Archive> {
        let ArchiveBuilder {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
        } = self;
        bands.iter().try_for_each(BandParams::check)?;
        if u32::try_from(scenes.len()).is_err() {
            return Err(Error::invalid(
                "an archive can have no more than 4294967295 scenes",
            ));
        }
        if let Some(at) = scenes
            .iter()
            .position(|scene| scene.sources.len() != bands.len())
        {
            return Err(Error::invalid(format!(
                "scene {at} has {} sources and the archive {} bands; give one entry for each band",
                scenes[at].sources.len(),
                bands.len()
            )));
        }
        for (plane, members) in planes.iter().enumerate() {
            if let Some(scene) = members.iter().find(|&&scene| place(scene) >= scenes.len()) {
                return Err(Error::invalid(format!(
                    "plane {plane} has scene {scene}, and there are only {}",
                    scenes.len()
                )));
            }
        }
        Ok(Archive {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
            index: OnceLock::new(),
        })
    }
}

/// Planes of up to so many scenes are looked through one by one.
const SCAN_PLANE: usize = 64;

/// As [`SCAN_PLANE`], of all the planes of a question together.
const SCAN_PLANES: usize = 20_000;

/// A scene's window in a plane, with its place among the plane's members.
type Entry = GeomWithData<Rectangle<[i64; 3]>, u32>;

/// Scenes' windows as boxes over (plane, row, column).
#[derive(Clone)]
struct PlaneIndex(RTree<Entry>);

impl PlaneIndex {
    fn new(archive: &Archive) -> Self {
        let mut entries = Vec::new();
        for (plane, members) in archive.planes.iter().enumerate() {
            for (at, &scene) in (0..).zip(members) {
                let window = archive.scene(scene).map(|scene| &scene.window);
                if let Some((low, high)) = window.and_then(|w| corners(plane..plane + 1, w)) {
                    entries.push(Entry::new(Rectangle::from_corners(low, high), at));
                }
            }
        }
        PlaneIndex(RTree::bulk_load(entries))
    }

    fn touching(&self, planes: Range<usize>, window: &PixelWindow) -> impl Iterator<Item = &Entry> {
        let envelope = corners(planes, window).map(|(low, high)| AABB::from_corners(low, high));
        envelope
            .into_iter()
            .flat_map(|envelope| self.0.locate_in_envelope_intersecting(&envelope))
    }
}

/// The lowest and highest pixel of a box, both within it; `None` when empty.
fn corners(planes: Range<usize>, window: &PixelWindow) -> Option<([i64; 3], [i64; 3])> {
    let ends = |range: &Range<usize>| {
        let last = range
            .end
            .checked_sub(1)
            .filter(|&last| last >= range.start)?;
        Some((i64::try_from(range.start).ok()?, i64::try_from(last).ok()?))
    };
    let (plane, row, col) = (ends(&planes)?, ends(&window.rows)?, ends(&window.cols)?);
    Some(([plane.0, row.0, col.0], [plane.1, row.1, col.1]))
}

fn plane_of(entry: &Entry) -> Option<usize> {
    usize::try_from(entry.geom().lower()[0]).ok()
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

/// About how many source pixels are read for `window` of the output.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an estimate; the cast saturates"
)]
fn source_pixels(
    source: &RasterSource,
    params: &BandParams,
    geobox: &GeoBox,
    window: &PixelWindow,
) -> u64 {
    let pixels = window.pixels() as f64;
    let Some(grid) = &source.geobox else {
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

const METRES_PER_DEGREE: f64 = 111_320.0;

/// The longest piece of an outline that is projected as if it were straight.
const LONGEST_PIECE_METRES: f64 = 100_000.0;

/// The output pixels that an area may touch, in whatever CRS it is.
///
/// Errs on the side of too much: the whole grid where it cannot be told, as for
/// an area that has no CRS or of which a point does not project. Empty when the
/// two are certainly apart.
pub fn footprint_window(extent: &Geometry, dst: &GeoBox) -> PixelWindow {
    let whole = PixelWindow::full(dst.shape());
    let projected = match (extent.crs(), dst.crs()) {
        (None, None) => Ok(extent.clone()),
        (Some(from), Some(to)) if from == to => Ok(extent.clone()),
        (Some(from), Some(to)) => {
            let unit = if from.is_geographic() {
                METRES_PER_DEGREE
            } else {
                from.unit_in_metres()
            };
            let side = extent
                .bounding_box()
                .map_or(0.0, |b| b.span_x().max(b.span_y()));
            extent.to_crs(to, Some((side / 100.0).min(LONGEST_PIECE_METRES / unit)))
        }
        _ => return whole,
    };
    let Ok(projected) = projected else {
        return whole;
    };
    let to_pixel = dst.inverse_affine();
    if projected.is_empty() {
        return PixelWindow::new(0..0, 0..0);
    }
    // Longitudes repeat, and an extent over the antimeridian goes on past 180.
    let is_geographic = dst.crs().is_some_and(datacube_geo::Crs::is_geographic);
    let turns: &[f64] = if is_geographic {
        &[-360.0, 0.0, 360.0]
    } else {
        &[0.0]
    };
    let mut window = PixelWindow::new(0..0, 0..0);
    for turn in turns {
        let moved = projected.map_coords(None, |p| to_pixel.apply(Xy::new(p.x + turn, p.y)));
        let Some(bounds) = moved.ok().and_then(|moved| moved.bounding_box()) else {
            return whole;
        };
        if !bounds.is_finite() {
            return whole;
        }
        window = window.union(&padded(bounds, dst));
    }
    window
}

/// The output pixels that a raster on the grid `src` may give.
///
/// As [`footprint_window`], of the grid's whole area. This is the one to use
/// where the grid is known: an extent of valid data may be drawn inside it.
pub fn coverage_window(src: &GeoBox, dst: &GeoBox) -> PixelWindow {
    if src.crs() != dst.crs() {
        return match (src.crs(), dst.crs()) {
            (Some(_), Some(_)) => footprint_window(&src.extent(), dst),
            _ => PixelWindow::full(dst.shape()),
        };
    }
    let to_pixel = dst.inverse_affine() * *src.affine();
    let bounds = datacube_geo::BoundingBox::from_affine(src.shape(), &to_pixel);
    if bounds.is_finite() {
        padded(bounds, dst)
    } else {
        PixelWindow::full(dst.shape())
    }
}

/// The pixels that `bounds`, in pixels of `dst`, touches, and two more on each
/// side: documents round, and lines are not quite straight.
fn padded(bounds: datacube_geo::BoundingBox, dst: &GeoBox) -> PixelWindow {
    let grown = bounds.buffered(2.0, 2.0);
    // In pixels the y axis points down, so `bottom` is the lower number.
    PixelWindow::touching(
        (grown.bottom, grown.top),
        (grown.left, grown.right),
        dst.shape(),
    )
}

impl PartialEq for Archive {
    fn eq(&self, other: &Self) -> bool {
        self.geobox == other.geobox
            && self.bands == other.bands
            && self.scenes == other.scenes
            && self.planes == other.planes
            && self.skip_broken == other.skip_broken
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

/// The version of the serialised form; another one is refused.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct ArchiveRef<'a> {
    version: u32,
    geobox: &'a GeoBox,
    bands: &'a [BandParams],
    scenes: &'a [Scene],
    planes: &'a [Vec<u32>],
    skip_broken: bool,
}

#[derive(Deserialize)]
struct ArchiveParts {
    version: u32,
    geobox: GeoBox,
    bands: Vec<BandParams>,
    scenes: Vec<Scene>,
    planes: Vec<Vec<u32>>,
    skip_broken: bool,
}

impl Serialize for Archive {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ArchiveRef {
            version: VERSION,
            geobox: &self.geobox,
            bands: &self.bands,
            scenes: &self.scenes,
            planes: &self.planes,
            skip_broken: self.skip_broken,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Archive {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let parts = ArchiveParts::deserialize(deserializer)?;
        if parts.version != VERSION {
            return Err(D::Error::custom(format!(
                "an archive of version {}, and this program reads version {VERSION}",
                parts.version
            )));
        }
        let ArchiveParts {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
            ..
        } = parts;
        ArchiveBuilder {
            geobox,
            bands,
            scenes,
            planes,
            skip_broken,
        }
        .build()
        .map_err(D::Error::custom)
    }
}
