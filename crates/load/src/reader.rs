//! What the loader needs of a file format, and what a file says of itself.
//!
//! Fetching and decoding are two steps: [`RasterReader::fetch`] waits for bytes
//! and computes nothing, [`RasterReader::decode`] computes and waits for
//! nothing, so that an async task never holds a core and a CPU thread never
//! waits for a socket. Between them travel [`Blocks`]: bytes as they are
//! stored, opaque to everyone but the reader that fetched them.

use std::any::Any;
use std::fmt::Debug;

use async_trait::async_trait;
use datacube_geo::{Affine, Crs, GeoBox, PixelWindow, Shape2d};
use datacube_model::{DType, Number};

use crate::buffer::PixelBuffer;
use crate::error::{Error, Result};

/// One open raster file.
///
/// # Contract
///
/// - `info` is what the header says; it never changes for one reader.
/// - `fetch` waits for IO and does no decoding. `window` is in pixels of
///   `level` and lies within it; the blocks that come back cover it.
/// - `decode` does no IO and may be called from any thread, several at once.
///   It gives `out` the band's type and the shape of `window`, which is
///   covered by `blocks`, and overwrites every pixel. Pixels are as stored:
///   no scale, no offset, no nodata replaced. Blocks that the file leaves out
///   decode as the band's nodata, or 0 where it has none.
/// - The pixels do not depend on the window they are asked for in.
/// - No input makes them panic; what a file claims of itself never makes them
///   allocate more than its size can justify.
#[async_trait]
pub trait RasterReader: Debug + Send + Sync {
    /// What the file says of itself.
    fn info(&self) -> &RasterInfo;

    /// What opening the file took, told once: to the first who asks.
    ///
    /// Headers are shared, so that their cost belongs to one of those who use
    /// them; it is nothing for a header that was in memory.
    fn take_open_cost(&self) -> ReadCost {
        ReadCost::default()
    }

    /// Fetches the stored blocks that cover `window` of `level` for `band`
    /// (1-based).
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a level, band or window that the file does
    /// not have; [`Error::Store`], [`Error::NotFound`] or [`Error::Changed`]
    /// when the bytes cannot be had; [`Error::Unreadable`] where the file's
    /// own directory of blocks is broken.
    async fn fetch(&self, level: usize, band: u32, window: PixelWindow) -> Result<Blocks>;

    /// Fetches the blocks of the validity mask of `band` (1-based) stored beside
    /// `level`.
    ///
    /// They decode to `bool` pixels, 1 where the raster is valid. `None` where
    /// [`RasterInfo::mask`] is neither [`MaskKind::Internal`] nor
    /// [`MaskKind::Sidecar`], or the level has none ([`Level::has_mask`]).
    ///
    /// # Errors
    /// As [`RasterReader::fetch`].
    async fn fetch_mask(
        &self,
        level: usize,
        band: u32,
        window: PixelWindow,
    ) -> Result<Option<Blocks>> {
        let _ = (level, band, window);
        Ok(None)
    }

    /// Decodes `window` out of `blocks`.
    ///
    /// # Errors
    /// [`Error::Unreadable`] where a block is damaged or too short, naming it;
    /// [`Error::InvalidRequest`] where `blocks` do not cover `window`.
    fn decode(&self, blocks: &Blocks, window: PixelWindow, out: &mut PixelBuffer) -> Result<()>;

    /// What [`RasterReader::fetch`] of the same arguments would read, told
    /// without IO.
    ///
    /// Exact where the directory of blocks is in memory, else estimated from
    /// the file's size.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] as for [`RasterReader::fetch`].
    fn project(&self, level: usize, band: u32, window: PixelWindow) -> Result<ReadCost>;
}

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct RasterInfo {
    /// The file's address, as it was asked for.
    pub uri: String,
    /// Size of the file in bytes; 0 where it is no single file.
    pub size: u64,
    /// The format's name as GDAL calls it: `GTiff`, `Zarr`.
    pub driver: &'static str,
    /// Rows and columns at full resolution.
    pub shape: Shape2d,
    /// Pixel corner to world; `None` where the file gives none.
    pub affine: Option<Affine>,
    /// The coordinate system of the world coordinates.
    pub crs: Option<Crs>,
    /// Why `affine` or `crs` is `None` although the file says something about
    /// it, or that it says nothing.
    pub georeference_problem: Option<String>,
    /// The bands, in order; band `n` is at `n - 1`.
    pub bands: Vec<BandInfo>,
    /// Full resolution first, then the overviews, finest first.
    pub levels: Vec<Level>,
    /// Where validity is stored, if beside the pixels.
    pub mask: MaskKind,
    /// Number of ground control points, which this loader does not use.
    pub n_gcps: usize,
    /// What its writer noted of the file as a whole, as name and value; names
    /// of other domains than GDAL's default as `DOMAIN:NAME`.
    pub tags: Vec<(String, String)>,
    /// What only `raster info` shows, as name and value.
    pub details: Vec<(&'static str, String)>,
}

/// One band of a raster.
#[derive(Clone, Debug, PartialEq)]
pub struct BandInfo {
    /// The type that its pixels decode to.
    pub dtype: DType,
    /// The value that marks a pixel as missing; `None` where there is none, or
    /// where the file states one that no pixel of this type can have.
    pub nodata: Option<Number>,
    /// Physical value = stored value * `scale` + `offset`; 1 where not given.
    pub scale: f64,
    /// See `scale`; 0 where not given.
    pub offset: f64,
    /// Unit of the physical value.
    pub unit: Option<String>,
    /// What the band is called.
    pub description: Option<String>,
    /// What it is in a picture, as GDAL names it: `gray`, `red`, `alpha`,
    /// `palette`; `undefined` where it is no part of one.
    pub color: &'static str,
    /// What its writer noted of the band, as name and value.
    pub tags: Vec<(String, String)>,
}

/// One resolution of a raster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Rows and columns.
    pub shape: Shape2d,
    /// Rows and columns of one stored block; those at the edges may be cut.
    pub block_shape: Shape2d,
    /// How blocks are compressed: `deflate`, `none`.
    pub compression: &'static str,
    /// TIFF predictor, 1 for none.
    pub predictor: u16,
    /// How pixels were combined to make this overview, where the file says.
    pub resampling: Option<String>,
    /// Whether a mask of this size is stored, inside the file or beside it.
    pub has_mask: bool,
}

/// Where a raster keeps the validity of its pixels, nodata aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskKind {
    /// Nowhere.
    None,
    /// In a mask image inside the file, for all bands.
    Internal,
    /// In a file beside it, of the same name and `.msk`, for all bands or for
    /// each.
    Sidecar,
    /// In an alpha band (1-based): 0 is invalid.
    Alpha(u32),
}

/// What reading something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCost {
    /// Bytes that come over the wire.
    pub bytes: u64,
    /// Requests to the store.
    pub requests: u64,
    /// Blocks that were found in a cache.
    pub cached_blocks: u64,
}

impl std::ops::AddAssign for ReadCost {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.requests += other.requests;
        self.cached_blocks += other.cached_blocks;
    }
}

impl RasterInfo {
    /// Band `number`, counted from 1.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where the file has no such band.
    pub fn band(&self, number: u32) -> Result<&BandInfo> {
        usize::try_from(number)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|band_idx| self.bands.get(band_idx))
            .ok_or_else(|| {
                Error::invalid_for(
                    &self.uri,
                    match self.bands.len() {
                        1 => format!("there is no band {number}; the only band is 1"),
                        n => format!("there is no band {number}; bands are 1 to {n}"),
                    },
                )
            })
    }

    /// Level `level_idx`: 0 is full resolution.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where the file has no such level.
    pub fn level(&self, level_idx: usize) -> Result<&Level> {
        self.levels.get(level_idx).ok_or_else(|| {
            Error::invalid_for(
                &self.uri,
                format!(
                    "there is no level {level_idx}; overviews: {}",
                    self.levels.len() - 1
                ),
            )
        })
    }

    /// Checks that `window` is not empty and lies within level `level_idx`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where it does not.
    pub fn check_window(&self, level_idx: usize, window: &PixelWindow) -> Result<&Level> {
        let level = self.level(level_idx)?;
        let (rows, cols) = (&window.rows, &window.cols);
        let fits = rows.start < rows.end
            && cols.start < cols.end
            && rows.end <= level.shape.rows
            && cols.end <= level.shape.cols;
        if fits {
            return Ok(level);
        }
        Err(Error::invalid_for(
            &self.uri,
            format!(
                "window of rows {rows:?}, cols {cols:?} is empty or not within the {} x {} pixels \
                 of level {level_idx}",
                level.shape.rows, level.shape.cols
            ),
        ))
    }

    /// The grid of the full-resolution pixels.
    ///
    /// # Errors
    /// [`Error::NoGeoreference`] with the reason where the file has no affine;
    /// one without a CRS has a grid without a CRS. [`Error::Geo`] where the
    /// affine is no use.
    pub fn geobox(&self) -> Result<GeoBox> {
        let affine = self.affine.ok_or_else(|| Error::NoGeoreference {
            uri: self.uri.clone(),
            reason: self
                .georeference_problem
                .clone()
                .unwrap_or_else(|| "the file has no affine".to_owned()),
        })?;
        GeoBox::new(self.shape, affine, self.crs.clone()).map_err(|error| Error::Geo {
            uri: Some(self.uri.clone()),
            problem: "its pixels are on no grid".to_owned(),
            source: error.into(),
        })
    }
}

/// Stored blocks that cover a window, on their way from `fetch` to `decode`.
pub struct Blocks {
    level: usize,
    band: Option<u32>,
    window: PixelWindow,
    cost: ReadCost,
    memory_bytes: u64,
    payload: Box<dyn Any + Send + Sync>,
}

impl Blocks {
    /// Wraps what a reader fetched. `band` is `None` for a mask; `cost` is what
    /// fetching took, `memory_bytes` what `payload` holds on to.
    pub fn new(
        level: usize,
        band: Option<u32>,
        window: PixelWindow,
        cost: ReadCost,
        memory_bytes: u64,
        payload: Box<dyn Any + Send + Sync>,
    ) -> Self {
        Blocks {
            level,
            band,
            window,
            cost,
            memory_bytes,
            payload,
        }
    }

    /// The level they are of.
    pub fn level(&self) -> usize {
        self.level
    }

    /// The band they are of, 1-based; `None` for the mask.
    pub fn band(&self) -> Option<u32> {
        self.band
    }

    /// The window that was asked for.
    pub fn window(&self) -> &PixelWindow {
        &self.window
    }

    /// What fetching them took.
    pub fn cost(&self) -> ReadCost {
        self.cost
    }

    /// Bytes of memory that they keep alive.
    pub fn memory_bytes(&self) -> u64 {
        self.memory_bytes
    }

    /// What the reader put in, if it is a `T`.
    pub fn payload<T: Any>(&self) -> Option<&T> {
        self.payload.downcast_ref()
    }
}

impl Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocks")
            .field("level", &self.level)
            .field("band", &self.band)
            .field("window", &self.window)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
