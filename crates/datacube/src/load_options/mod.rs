//! Every knob of a load, its default, and what it is for.
//!
//! The options are plain values, checked when they are used; so they can be
//! built in any order, kept, and sent. What is text here (a CRS, a time, a
//! resampling) is parsed in one place, `resolve`, which names the option when it
//! cannot make sense of it.

mod query;
mod signing;
mod specs;

use std::ops::ControlFlow;
use std::sync::Arc;

use datacube_compute::{ChunkSize, Chunks};
use datacube_geo::{Anchor, GeoBox, Geometry};
use datacube_index::FieldTest;
use datacube_load::{Overviews, WarpScale};
use datacube_model::{DType, Dataset};
use indexmap::IndexMap;

use query::query_methods;
pub use query::{CrsSpec, DatasetPredicate, DatasetQuery, LonSpan, Span};
pub use signing::PatchUrl;
pub use specs::{
    Convention, Documents, FuseSpec, Nodata, PerBand, ProgressHook, ResamplingSpec, UrlPatch,
    WithProperties,
};

use crate::GroupBy;
use crate::time_terms::TimeTerm;

/// What to load and how.
///
/// ```
/// use datacube::LoadOptions;
///
/// let options = LoadOptions::new("landsat8_c2l2_sr")
///     .lon((143.6, 144.1))
///     .lat((-37.8, -37.4))
///     .time(("2020-01", "2020-03"))
///     .measurements(["red", "nir08", "qa_pixel"])
///     .output_crs("EPSG:32654")
///     .resolution(30.0)
///     .resampling([("qa_pixel", "nearest"), ("*", "average")])
///     .group_by("solar_day")
///     .chunks([("time", 1)]);
/// assert_eq!(options.query.product.as_deref(), Some("landsat8_c2l2_sr"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which datasets.
    pub query: DatasetQuery,
    /// Load exactly these and do not search; the product is then theirs.
    pub datasets: Option<Vec<Dataset>>,
    /// Names or aliases, in the order wanted; an alias names the output variable.
    /// A band of an asset with several is `asset.2`, counted from 1.
    /// Default: every measurement of the product.
    pub measurements: Option<Vec<String>>,
    /// CRS of the output, `utm` for the UTM zone of what is loaded; default: the
    /// product's load hint, else the datasets' own.
    pub output_crs: Option<CrsSpec>,
    /// Pixel size in units of the output CRS, `(x, y)`, y normally negative;
    /// default: as `output_crs`.
    pub resolution: Option<(f64, f64)>,
    /// Where pixel edges lie: `(x, y)` offset from multiples of the resolution, in
    /// units of the output CRS, at least 0 and less than a pixel. Default: the
    /// product's load hint, else 0.
    pub align: Option<(f64, f64)>,
    /// Where pixel edges lie, as a part of a pixel; excludes `align`. Default: as
    /// `align`.
    pub anchor: Option<Anchor>,
    /// Load onto exactly this grid; excludes the four above and any region.
    pub like: Option<GeoBox>,
    /// Resampling by measurement, `*` for all others; default `nearest`.
    pub resampling: IndexMap<String, String>,
    /// Pixel type by measurement, `*` for all others; default: the measurement's.
    pub dtype: IndexMap<String, DType>,
    /// Marker of missing pixels in the result by measurement, `*` for all others;
    /// default: the measurement's.
    pub nodata: IndexMap<String, Nodata>,
    /// How overlapping datasets of a time step become one image, by measurement,
    /// `*` for all others; default: the first valid pixel in fuse order.
    pub fuse: IndexMap<String, FuseSpec>,
    /// Apply `scale_factor` and `add_offset`: floats with NaN where pixels are
    /// missing. Default: pixels as they are stored.
    pub scaled: bool,
    /// Whether kernels widen when pixels shrink; default [`WarpScale::Auto`].
    pub warp_scale: WarpScale,
    /// When reduced images in the files are read; default [`Overviews::Auto`].
    pub overviews: Overviews,
    /// What makes one time step; default `time`.
    pub group_by: Option<GroupBy>,
    /// Fuse datasets of a time step in the order in which they were given, and not
    /// by (time, id). Default: no.
    pub preserve_original_order: bool,
    /// Properties of datasets along time: numbers and truths become variables,
    /// text coordinates. Of several datasets in a time step it is the mean, or their
    /// texts. `eo:cloud_cover` is named `eo_cloud_cover`. Default: none.
    pub with_properties: WithProperties,
    /// Chunk sizes by dimension: makes the load lazy. `time` is 1 unless named.
    /// Default: load into memory at once.
    pub chunks: Option<Chunks>,
    /// Leave out sources that cannot be read, and report which; default: fail.
    pub skip_broken_datasets: Option<bool>,
    /// Who signs the addresses of files as they are read; default: nobody.
    pub patch_url: Option<PatchUrl>,
    /// Changes the address of each file when the load is planned, to read it
    /// elsewhere; before `patch_url`. Default: as documents have it.
    pub patch_url_with: Option<UrlPatch>,
    /// Hears (chunks done, chunks in all) while an eager load runs.
    pub progress: Option<ProgressHook>,
    /// Whose habits decide what is left open; default [`Convention::OpenDataCube`].
    pub convention: Convention,
    /// When documents are read; default [`Documents::Auto`].
    pub documents: Documents,
}

impl LoadOptions {
    /// All of `product`, until terms are added.
    pub fn new(product: impl Into<String>) -> Self {
        Self {
            query: DatasetQuery::new(product),
            ..Self::default()
        }
    }

    /// Exactly these datasets, without a search.
    pub fn from_datasets(datasets: Vec<Dataset>) -> Self {
        Self {
            datasets: Some(datasets),
            ..Self::default()
        }
    }

    query_methods!(query);

    /// Names or aliases of the measurements to load.
    #[must_use]
    pub fn measurements<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.measurements = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// CRS of the output.
    #[must_use]
    pub fn output_crs(mut self, crs: impl Into<CrsSpec>) -> Self {
        self.output_crs = Some(crs.into());
        self
    }

    /// Square pixels of this size in units of the output CRS, north up.
    #[must_use]
    pub fn resolution(mut self, size: f64) -> Self {
        self.resolution = Some((size, -size));
        self
    }

    /// Pixel size by axis; `y` is normally negative.
    #[must_use]
    pub fn resolution_xy(mut self, x: f64, y: f64) -> Self {
        self.resolution = Some((x, y));
        self
    }

    /// Offset of pixel edges from multiples of the resolution, in units of the output CRS.
    #[must_use]
    pub fn align(mut self, x: f64, y: f64) -> Self {
        self.align = Some((x, y));
        self
    }

    /// Where pixel edges lie, as a part of a pixel: `Anchor::Center` puts a pixel
    /// centre on zero, `Anchor::Floating` starts where the region does.
    #[must_use]
    pub fn anchor(mut self, anchor: Anchor) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Load onto exactly this grid.
    #[must_use]
    pub fn geobox(self, geobox: GeoBox) -> Self {
        self.like(geobox)
    }

    /// The grid of something loaded before. Where no region is named, only datasets that
    /// meet it are searched for; its times are not taken: see [`LoadOptions::time`].
    #[must_use]
    pub fn like(mut self, geobox: impl Into<GeoBox>) -> Self {
        self.like = Some(geobox.into());
        self
    }

    /// One resampling for all (`"bilinear"`), or by measurement (`[("qa", "nearest"), ("*", "cubic")]`).
    #[must_use]
    pub fn resampling(mut self, resampling: impl Into<ResamplingSpec>) -> Self {
        self.resampling = resampling.into().0;
        self
    }

    /// Whether kernels widen when pixels shrink.
    #[must_use]
    pub fn warp_scale(mut self, warp_scale: WarpScale) -> Self {
        self.warp_scale = warp_scale;
        self
    }

    /// When reduced images in the files are read.
    #[must_use]
    pub fn overviews(mut self, overviews: Overviews) -> Self {
        self.overviews = overviews;
        self
    }

    /// The pixel type of the result: one (`DType::Float32`), or by measurement.
    #[must_use]
    pub fn dtype(mut self, dtype: impl Into<PerBand<DType>>) -> Self {
        self.dtype = dtype.into().0;
        self
    }

    /// The marker of missing pixels in the result: one, or by measurement.
    #[must_use]
    pub fn nodata(mut self, nodata: impl Into<PerBand<Nodata>>) -> Self {
        self.nodata = nodata.into().0;
        self
    }

    /// How overlapping datasets become one image: one name or function, or by measurement.
    #[must_use]
    pub fn fuse(mut self, fuse: impl Into<PerBand<FuseSpec>>) -> Self {
        self.fuse = fuse.into().0;
        self
    }

    /// Apply scale and offset, with NaN where pixels are missing.
    #[must_use]
    pub fn scaled(mut self, scaled: bool) -> Self {
        self.scaled = scaled;
        self
    }

    /// `"time"`, `"solar_day"`, `"none"` (or `"id"`), any property, or a [`GroupBy`].
    #[must_use]
    pub fn group_by(mut self, group_by: impl Into<GroupBy>) -> Self {
        self.group_by = Some(group_by.into());
        self
    }

    /// Fuse datasets of a time step in the order in which they were given.
    #[must_use]
    pub fn preserve_original_order(mut self, preserve: bool) -> Self {
        self.preserve_original_order = preserve;
        self
    }

    /// Properties of datasets as variables along time: `true` for all, or names.
    #[must_use]
    pub fn with_properties(mut self, properties: impl Into<WithProperties>) -> Self {
        self.with_properties = properties.into();
        self
    }

    /// When the documents of datasets are read from the index.
    #[must_use]
    pub fn documents(mut self, documents: Documents) -> Self {
        self.documents = documents;
        self
    }

    /// Has the addresses of files signed or changed as they are read: the name of
    /// a signer, such as `"planetary_computer"`, or a [`Signer`](crate::Signer).
    #[must_use]
    pub fn patch_url(mut self, patch: impl Into<PatchUrl>) -> Self {
        self.patch_url = Some(patch.into());
        self
    }

    /// Changes the address of each file of a dataset when the load is planned, to
    /// read it elsewhere. For addresses that expire, [`LoadOptions::patch_url`].
    #[must_use]
    pub fn patch_url_with(
        mut self,
        patch: impl Fn(&Dataset, &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.patch_url_with = Some(UrlPatch(Arc::new(patch)));
        self
    }

    /// Hears (chunks done, chunks in all) while an eager load runs.
    #[must_use]
    pub fn progress(self, hears: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.progress_until(move |done, total| {
            hears(done, total);
            ControlFlow::Continue(())
        })
    }

    /// As [`LoadOptions::progress`]; [`ControlFlow::Break`] ends the load early:
    /// chunks under way are given up, and the load is an error that says how far it
    /// came.
    ///
    /// DIFFERENCE: where `progress_cbk` raises `TerminateCurrentLoad`, Python's
    /// datacube gives back what it has, with an attribute that says so; half a cube
    /// passes for a whole one too easily.
    #[must_use]
    pub fn progress_until(
        mut self,
        hears: impl Fn(usize, usize) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.progress = Some(ProgressHook(Arc::new(hears)));
        self
    }

    /// Whose habits decide what is left open.
    #[must_use]
    pub fn convention(mut self, convention: Convention) -> Self {
        self.convention = convention;
        self
    }

    /// Chunk sizes by dimension; makes the load lazy. Dimensions that are not
    /// named get chunks of 1 along time and of the whole dimension in space.
    #[must_use]
    pub fn chunks<N: Into<String>, S: Into<ChunkSize>>(
        mut self,
        sizes: impl IntoIterator<Item = (N, S)>,
    ) -> Self {
        self.chunks = Some(Chunks::new(sizes));
        self
    }

    /// Lazy, one chunk for each time step.
    #[must_use]
    pub fn lazy(self) -> Self {
        self.chunks([("time", 1)])
    }

    /// Leave out sources that cannot be read, and report which.
    #[must_use]
    pub fn skip_broken_datasets(mut self, skip: bool) -> Self {
        self.skip_broken_datasets = Some(skip);
        self
    }

    /// As `skip_broken_datasets(!fail)`, by the name that odc-stac has for it.
    #[must_use]
    pub fn fail_on_error(self, fail: bool) -> Self {
        self.skip_broken_datasets(!fail)
    }
}
