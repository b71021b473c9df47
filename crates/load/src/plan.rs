//! What is read for a chunk, decided without reading.
//!
//! In two steps. A [`ChunkTask`] is what the archive alone can tell: which
//! sources touch a chunk, in which order. A [`SourcePlan`] is what a source's
//! header adds: which of its resolutions is read, whether its pixels are copied
//! or resampled, how far the kernel reaches. Both are plain values: they can be
//! printed, compared and sent.
//!
//! A source plan is made for a source and the whole output grid, never for a
//! chunk; a chunk only asks it for the source window that it needs
//! ([`SourcePlan::read`]). That is why chunked and whole give the same pixels.

use std::fmt;

use datacube_geo::{Affine, GeoBox, PasteRule, PixelWindow, ReprojectInfo, Xy};
use datacube_model::{DType, Number};
use serde::{Deserialize, Serialize};

use crate::archive::Archive;
use crate::error::{Error, Result};
use crate::nodata::source_nodata;
use crate::params::{BandParams, Overviews, Resampling, WarpScale};
use crate::reader::{MaskKind, RasterInfo};
use crate::source::RasterSource;
use crate::warp::scale;

/// What to read for one chunk of one band of one plane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChunkTask {
    /// The band's place in the archive.
    pub band: u32,
    /// The plane's place in the archive.
    pub plane: u32,
    /// The chunk, in pixels of the archive's grid.
    pub window: PixelWindow,
    /// The sources that touch it, in fuse order.
    pub reads: Vec<SourceRead>,
}

impl ChunkTask {
    /// Whether nothing is read: the whole chunk is fill value.
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }

    /// Adds to an error of the source with that label where in the load it happened.
    pub(crate) fn add_place(&self, archive: &Archive, label: &str, error: Error) -> Error {
        let name = archive
            .params(self)
            .map_or("", |params| params.name.as_str());
        error.in_source(label, name, &self.to_string())
    }
}

impl fmt::Display for ChunkTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plane {}, {}", self.plane, self.window)
    }
}

/// One source's part of a chunk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceRead {
    /// The scene's place in the archive.
    pub scene: u32,
    /// The output pixels that the scene may give, in pixels of the archive's
    /// grid; within the chunk.
    pub window: PixelWindow,
}

/// What a task will take, estimated before anything is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadEstimate {
    /// Sources that are opened.
    pub sources: u64,
    /// Bytes of source pixels, decoded.
    pub read_bytes: u64,
    /// Requests to the store.
    pub requests: u64,
    /// Bytes of memory beside the output while one source is decoded.
    pub scratch_bytes: u64,
}

/// What is decided about a source once its header is known, for the whole of an
/// output grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourcePlan {
    /// The resolution that is read: 0 is full, then the overviews.
    pub level: usize,
    /// The type of the source's pixels.
    pub dtype: DType,
    /// The source's nodata: the header's, else what the document declares.
    pub nodata: Option<Number>,
    /// How values between source pixels are found.
    pub resampling: Resampling,
    /// Output pixels for one pixel of the level along x and y, as GDAL counts
    /// them; where it is below 0.95, bilinear and cubic reach 1 / scale times as
    /// far. (1, 1) where they are asked not to.
    pub kernel_scale: Xy,
    /// How the level's grid meets the output grid: where each output pixel lies
    /// in the level, which windows the two have in common, and whether pixels
    /// are copied (`paste`).
    pub info: ReprojectInfo,
}

/// The part of a source plan that one chunk needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadPlan {
    /// Pixels of the level that are read.
    pub src: PixelWindow,
    /// Output pixels that they may give, in pixels of the whole output grid.
    pub dst: PixelWindow,
}

impl SourcePlan {
    /// Decides how `source`, of which `header` is known, is read onto `dst`.
    ///
    /// The header's affine and CRS win over the document's.
    ///
    /// # Errors
    /// [`Error::NoGeoreference`] where neither header nor document says where
    /// the pixels are; [`Error::InvalidRequest`] for a band that the file does
    /// not have; [`Error::Unsupported`] for a pixel type that is not built; [`Error::Geo`] where the two grids cannot be related.
    pub fn new(
        header: &RasterInfo,
        source: &RasterSource,
        params: &BandParams,
        dst: &GeoBox,
    ) -> Result<Self> {
        Self::decide(header, source, params, dst, &mut |src| {
            GridPair::new(src, dst, params.resampling, params.warp_scale)
        })
    }

    /// As [`SourcePlan::new`], with the geometry between two grids from `pair`.
    pub(crate) fn decide(
        header: &RasterInfo,
        source: &RasterSource,
        params: &BandParams,
        dst: &GeoBox,
        pair: &mut dyn FnMut(&GeoBox) -> datacube_geo::Result<GridPair>,
    ) -> Result<Self> {
        let band = header.band(source.band)?;
        if band.dtype.is_complex() {
            return Err(Error::unsupported_in(
                &header.uri,
                format!("pixels of {}", band.dtype),
                "real pixel types",
            ));
        }
        let grid = source_grid(header, source)?;
        let mut pair = |src: &GeoBox| pair(src).map_err(|error| no_way(header, src, dst, error));
        let mut found = pair(&grid)?;
        let nodata = source_nodata(band, source);
        let level = choose_level(header, params, nodata, found.info.read_shrink());
        if level > 0 {
            found = pair(&level_grid(header, &grid, level)?)?;
        }
        Ok(SourcePlan {
            level,
            dtype: band.dtype,
            nodata,
            resampling: params.resampling,
            kernel_scale: found.kernel_scale,
            info: found.info,
        })
    }

    /// Whether pixels are copied instead of resampled.
    pub fn is_paste(&self) -> bool {
        self.info.paste.is_some()
    }

    /// What is read for `window` of the output; `None` where the source has no
    /// pixel of it.
    ///
    /// # Errors
    /// [`Error::Geo`] where the coordinate systems cannot be set up.
    pub fn read(&self, window: &PixelWindow) -> Result<Option<ReadPlan>> {
        let dst = window.intersect(&self.info.dst_window);
        if dst.is_empty() {
            return Ok(None);
        }
        let pad = if self.is_paste() { 0 } else { self.reach() };
        let src = self.info.restrict(&dst, pad).map_err(|error| Error::Geo {
            uri: None,
            problem: format!("finding the source of the output's {window}"),
            source: error.into(),
        })?;
        Ok((!src.is_empty()).then_some(ReadPlan { src, dst }))
    }

    /// How many pixels around a position the kernel takes at most.
    fn reach(&self) -> usize {
        let (x, y) = self.kernel().reach();
        x.max(y)
    }

    pub(crate) fn kernel(&self) -> crate::warp::Kernel {
        crate::warp::Kernel::new(self.resampling, (self.kernel_scale.x, self.kernel_scale.y))
    }
}

/// How one grid of pixels is brought onto another with one resampling.
#[derive(Clone, Debug)]
pub(crate) struct GridPair {
    pub(crate) info: ReprojectInfo,
    pub(crate) kernel_scale: Xy,
}

impl GridPair {
    pub(crate) fn new(
        src: &GeoBox,
        dst: &GeoBox,
        resampling: Resampling,
        warp_scale: WarpScale,
    ) -> datacube_geo::Result<Self> {
        let rule = match resampling {
            Resampling::Nearest => PasteRule::NEAREST,
            _ => PasteRule::KERNEL,
        };
        let info = ReprojectInfo::new(src, dst, rule)?;
        let (radius, warp_scale) = match resampling {
            Resampling::Bilinear => (1, warp_scale),
            Resampling::Cubic | Resampling::CubicSpline | Resampling::Gauss => (2, warp_scale),
            Resampling::Lanczos => (3, warp_scale),
            // Nothing is widened, but areas have to know how large they may be.
            _ => (0, WarpScale::Auto),
        };
        let kernel_scale = match warp_scale {
            WarpScale::Unit => Xy::new(1.0, 1.0),
            WarpScale::Auto => kernel_scale(&info, radius)?,
        };
        Ok(GridPair { info, kernel_scale })
    }
}

/// Output pixels for one source pixel, as GDAL finds them for what the two
/// grids have in common.
fn kernel_scale(info: &ReprojectInfo, radius: usize) -> datacube_geo::Result<Xy> {
    let unit = Xy::new(1.0, 1.0);
    if info.anchor.is_empty() || info.paste.is_some() {
        return Ok(unit);
    }
    let (mut xs, mut ys) = scale::border(&info.anchor);
    info.transform().points(&mut xs, &mut ys)?;
    let out = info.anchor.shape();
    let (mut x, y) = scale::window_scale(&xs, &ys, out, info.src().shape(), radius);
    if scale::is_suspicious(x, y) {
        let (mut xs, mut ys) = scale::inside(&info.anchor);
        info.transform().points(&mut xs, &mut ys)?;
        x = scale::scale_from_points(&xs).unwrap_or(x);
    }
    Ok(Xy::new(x, y))
}

/// The grid of a source's full resolution: the header's, else the document's.
fn source_grid(header: &RasterInfo, source: &RasterSource) -> Result<GeoBox> {
    let nothing = |reason: String| Error::NoGeoreference {
        uri: header.uri.clone(),
        reason,
    };
    let silent = || {
        header
            .georeference_problem
            .as_deref()
            .unwrap_or("the header has none")
    };
    let document = source.geobox.as_ref();
    let affine = match (header.affine, document) {
        (Some(affine), _) => affine,
        (None, Some(grid)) if grid.shape() == header.shape => *grid.affine(),
        (None, Some(grid)) => {
            return Err(nothing(format!(
                "{}, and the document's grid is of {} x {} pixels where the file has {} x {}",
                silent(),
                grid.shape().rows,
                grid.shape().cols,
                header.shape.rows,
                header.shape.cols
            )));
        }
        (None, None) => {
            return Err(nothing(format!(
                "{}, and the document gives no grid",
                silent()
            )));
        }
    };
    let crs = header
        .crs
        .as_ref()
        .or_else(|| document.and_then(GeoBox::crs))
        .cloned();
    let side = header.shape.rows.max(header.shape.cols);
    if i32::try_from(side).is_err() {
        return Err(Error::unsupported_in(
            &header.uri,
            format!("a raster of {side} pixels a side"),
            "fewer than 2147483648",
        ));
    }
    GeoBox::new(header.shape, affine, crs).map_err(|error| nothing(error.to_string()))
}

/// Why two grids cannot be related.
fn no_way(header: &RasterInfo, src: &GeoBox, dst: &GeoBox, error: datacube_geo::Error) -> Error {
    let crs = |grid: &GeoBox| grid.crs().map_or("no CRS".to_owned(), ToString::to_string);
    if src.crs().is_none() && dst.crs().is_some() {
        let reason = "neither the header nor the document names a CRS".to_owned();
        return Error::NoGeoreference {
            uri: header.uri.clone(),
            reason,
        };
    }
    Error::Geo {
        uri: Some(header.uri.clone()),
        problem: format!("bringing {} onto {}", crs(src), crs(dst)),
        source: error.into(),
    }
}

/// The level to read: the coarsest that is at least as fine as the output,
/// where overviews may be read at all.
///
/// DIFFERENCE from GDAL: where the mask says what is missing, an overview without
/// one is passed over; GDAL takes all of its pixels for valid.
fn choose_level(
    header: &RasterInfo,
    params: &BandParams,
    nodata: Option<Number>,
    read_shrink: usize,
) -> usize {
    let may_read = match params.overviews {
        Overviews::Auto => params.resampling == Resampling::Nearest,
        Overviews::NearestFiner => true,
        Overviews::Off => false,
    };
    if !may_read || read_shrink <= 1 {
        return 0;
    }
    // Overviews of odd sizes are a little less than a whole number of times
    // smaller.
    let finest_wanted = float(read_shrink) + 0.01;
    let needs_mask =
        nodata.is_none() && matches!(header.mask, MaskKind::Internal | MaskKind::Sidecar);
    let is_fine_enough = |&(_, level): &(usize, &crate::reader::Level)| {
        (level.has_mask || !needs_mask)
            && level.shape.rows > 0
            && level.shape.cols > 0
            && float(header.shape.rows) / float(level.shape.rows) <= finest_wanted
            && float(header.shape.cols) / float(level.shape.cols) <= finest_wanted
    };
    let levels = header.levels.iter().enumerate().filter(is_fine_enough);
    levels.map(|(level, _)| level).max().unwrap_or(0)
}

/// The grid of an overview, which covers what the full resolution covers.
fn level_grid(header: &RasterInfo, grid: &GeoBox, level: usize) -> Result<GeoBox> {
    let shape = header.level(level)?.shape;
    let scale = Affine::scale(
        float(grid.shape().cols) / float(shape.cols),
        float(grid.shape().rows) / float(shape.rows),
    );
    GeoBox::new(shape, *grid.affine() * scale, grid.crs().cloned()).map_err(|error| Error::Geo {
        uri: Some(header.uri.clone()),
        problem: format!("the grid of overview {level}"),
        source: error.into(),
    })
}

/// Image sizes as floats.
#[allow(
    clippy::cast_precision_loss,
    reason = "images have fewer than 2^52 pixels a side"
)]
fn float(n: usize) -> f64 {
    n as f64
}
