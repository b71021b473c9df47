//! Cloud Optimised GeoTIFF: [`CogWriter`] takes windows of pixels in any order
//! and leaves a file that GDAL calls a valid COG.
//!
//! Blocks are encoded as soon as all their pixels are there and wait in a
//! file beside the destination, which the next run can go on with if this one is
//! killed; overviews are made from those blocks, level by level, when
//! the last pixel has come; then everything is copied into its final order,
//! metadata first, coarse before fine. So memory holds only the blocks that a
//! chunk has filled in part (none when chunks are multiples of the block), and
//! one reduction per thread, whatever the size of the image. Disk holds the
//! encoded pixels twice for the moment of the copy.
//!
//! Bands are stored one after another (`INTERLEAVE=BAND`), so that reading one
//! date of a series reads nothing of the others.

mod block;
mod geokeys;
mod metadata;
mod overview;
mod pyramid;
mod spool;
mod tiff;
mod writer;

use datacube_geo::GeoBox;
use datacube_model::{DType, Number};
use indexmap::IndexMap;

pub use overview::OverviewResampling;
pub use writer::{CogSummary, CogWriter};

/// What the file holds.
#[derive(Clone, Debug)]
pub struct CogSpec {
    /// Shape, place and CRS of the image.
    pub geobox: GeoBox,
    /// Type of every pixel of every band; `bool` is stored as `uint8`.
    pub dtype: DType,
    /// The marker of missing pixels. [`CogSpec::new`] takes NaN for floats and
    /// none for other types.
    pub nodata: Option<Number>,
    /// The bands in file order; at least one.
    pub bands: Vec<Band>,
    /// Free items about the whole file, as `gdalinfo` lists them.
    pub metadata: IndexMap<String, String>,
    /// Whether pixels are classes or bit flags rather than quantities; decides
    /// how overviews are made unless [`CogOptions::overview_resampling`] says.
    pub categorical: bool,
}

impl CogSpec {
    /// One unnamed band of quantities.
    pub fn new(geobox: GeoBox, dtype: DType) -> Self {
        CogSpec {
            geobox,
            dtype,
            nodata: dtype.is_float().then_some(Number::Float(f64::NAN)),
            bands: vec![Band::default()],
            metadata: IndexMap::new(),
            categorical: dtype == DType::Bool,
        }
    }

    /// With these bands.
    #[must_use]
    pub fn bands(mut self, bands: Vec<Band>) -> Self {
        self.bands = bands;
        self
    }

    /// With this marker of missing pixels.
    #[must_use]
    pub fn nodata(mut self, nodata: Option<Number>) -> Self {
        self.nodata = nodata;
        self
    }

    /// As classes or bit flags.
    #[must_use]
    pub fn categorical(mut self, categorical: bool) -> Self {
        self.categorical = categorical;
        self
    }
}

/// What is known of one band.
#[derive(Clone, Debug, Default)]
pub struct Band {
    /// Its name, such as `2020-02-03T00:12:31` or `ndvi`.
    pub description: Option<String>,
    /// The unit of its values.
    pub unit: Option<String>,
    /// `value = pixel * scale + offset`; 1 where only an offset is given.
    pub scale: Option<f64>,
    /// See `scale`; 0 where only a scale is given.
    pub offset: Option<f64>,
    /// Free items.
    pub metadata: IndexMap<String, String>,
}

impl Band {
    /// A band with a name.
    pub fn named(description: impl Into<String>) -> Self {
        Band {
            description: Some(description.into()),
            ..Band::default()
        }
    }

    /// With a unit.
    #[must_use]
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = Some(unit.into());
        self
    }

    /// With the scale and offset that turn pixels into values.
    #[must_use]
    pub fn scale_offset(mut self, scale: f64, offset: f64) -> Self {
        (self.scale, self.offset) = (Some(scale), Some(offset));
        self
    }

    /// With a free item.
    #[must_use]
    pub fn item(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }
}

/// How the file is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CogOptions {
    /// Rows and columns of a block: a multiple of 16. Default 512, less for an
    /// image that is smaller.
    pub block: usize,
    /// Effort of deflate, 0 (none) to 12 (most). Default 6.
    pub level: i32,
    /// At most so many overviews; 0 for none. Default: until one fits into a block.
    pub max_overviews: Option<usize>,
    /// How overviews are made. Default: nearest for categorical data, else average.
    pub overview_resampling: Option<OverviewResampling>,
    /// Whether a file at the destination may be replaced. Default no.
    pub overwrite: bool,
    /// BigTIFF for files of any size. Default: only where the file needs it (4 GiB).
    pub big_tiff: bool,
    /// Whether to go on with what an interrupted run has left beside the
    /// destination, and to leave it there if this one ends early. Default no: what
    /// was left is removed.
    pub resume: bool,
    /// What the pixels are made of, such as the key of a plan: a run that is resumed
    /// has to have the same. Default none.
    pub plan: Option<String>,
}

impl Default for CogOptions {
    fn default() -> Self {
        CogOptions {
            block: 512,
            level: 6,
            max_overviews: None,
            overview_resampling: None,
            overwrite: false,
            big_tiff: false,
            resume: false,
            plan: None,
        }
    }
}

impl CogOptions {
    /// With blocks of this many rows and columns.
    #[must_use]
    pub fn block(mut self, block: usize) -> Self {
        self.block = block;
        self
    }

    /// With this effort of deflate.
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// With at most so many overviews.
    #[must_use]
    pub fn max_overviews(mut self, max: usize) -> Self {
        self.max_overviews = Some(max);
        self
    }

    /// With overviews made so.
    #[must_use]
    pub fn overview_resampling(mut self, resampling: OverviewResampling) -> Self {
        self.overview_resampling = Some(resampling);
        self
    }

    /// Replacing what is at the destination, or not.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// As BigTIFF whatever the size.
    #[must_use]
    pub fn big_tiff(mut self, big_tiff: bool) -> Self {
        self.big_tiff = big_tiff;
        self
    }

    /// Going on with what an interrupted run has left, or not.
    #[must_use]
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// With pixels made of this.
    #[must_use]
    pub fn plan(mut self, plan: Option<String>) -> Self {
        self.plan = plan;
        self
    }
}
