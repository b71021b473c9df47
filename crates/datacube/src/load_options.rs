//! Every knob of a load, its default, and what it is for.
//!
//! The options are plain values, checked when they are used; so they can be
//! built in any order, kept, and sent. What is text here (a CRS, a time, a
//! resampling) is parsed in one place, `resolve`, which names the option when it
//! cannot make sense of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datacube_compute::{ChunkSize, Chunks};
use datacube_geo::{Crs, GeoBox, Geometry};
use datacube_index::FieldTest;
use datacube_load::{Overviews, Signer, StoreRegistry, WarpScale};
use datacube_model::Dataset;
use indexmap::IndexMap;

use crate::GroupBy;
use crate::time_terms::TimeTerm;

/// A predicate over datasets, see [`DatasetQuery::predicate`].
pub type DatasetPredicate = Arc<dyn Fn(&Dataset) -> bool + Send + Sync>;

/// A coordinate reference system as a caller names it.
#[derive(Debug, Clone)]
pub enum CrsSpec {
    /// Anything that [`Crs::parse`] reads: `EPSG:32655`, WKT, PROJJSON, a PROJ string.
    Text(String),
    /// One that is parsed already.
    Crs(Crs),
}

impl From<&str> for CrsSpec {
    fn from(text: &str) -> Self {
        CrsSpec::Text(text.to_owned())
    }
}

impl From<String> for CrsSpec {
    fn from(text: String) -> Self {
        CrsSpec::Text(text)
    }
}

impl From<Crs> for CrsSpec {
    fn from(crs: Crs) -> Self {
        CrsSpec::Crs(crs)
    }
}

impl From<&Crs> for CrsSpec {
    fn from(crs: &Crs) -> Self {
        CrsSpec::Crs(crs.clone())
    }
}

/// A range of one axis, in either order; a number alone is a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The smaller end.
    pub low: f64,
    /// The larger end.
    pub high: f64,
}

impl From<(f64, f64)> for Span {
    fn from((a, b): (f64, f64)) -> Self {
        Span {
            low: a.min(b),
            high: a.max(b),
        }
    }
}

impl From<[f64; 2]> for Span {
    fn from([a, b]: [f64; 2]) -> Self {
        (a, b).into()
    }
}

impl From<f64> for Span {
    fn from(value: f64) -> Self {
        (value, value).into()
    }
}

/// Which datasets: the terms of a search.
#[derive(Clone, Default)]
pub struct DatasetQuery {
    /// The product to search; needed unless `datasets` are given to a load.
    pub product: Option<String>,
    /// Range of x in `crs`.
    pub x: Option<Span>,
    /// Range of y in `crs`.
    pub y: Option<Span>,
    /// The CRS of `x` and `y`; default EPSG:4326, as in ODC.
    pub crs: Option<CrsSpec>,
    /// Range of longitude in degrees; the first is the western edge, so a range
    /// from 179 to -179 crosses the antimeridian.
    pub lon: Option<(f64, f64)>,
    /// Range of latitude in degrees.
    pub lat: Option<Span>,
    /// A polygon with its CRS; excludes `x`, `y`, `lon` and `lat`.
    pub geopolygon: Option<Geometry>,
    /// A period, an instant, or a range, in UTC.
    pub time: Option<TimeTerm>,
    /// Tests on search fields of the product's metadata type.
    pub fields: IndexMap<String, FieldTest>,
    /// Keep only datasets for which this is true; applied after the search.
    pub predicate: Option<DatasetPredicate>,
    /// At most so many datasets, the earliest first; default: all.
    pub limit: Option<usize>,
}

impl DatasetQuery {
    /// Datasets of `product`, all of them until terms are added.
    pub fn new(product: impl Into<String>) -> Self {
        Self {
            product: Some(product.into()),
            ..Self::default()
        }
    }
}

impl fmt::Debug for DatasetQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetQuery")
            .field("product", &self.product)
            .field("x", &self.x)
            .field("y", &self.y)
            .field("crs", &self.crs)
            .field("lon", &self.lon)
            .field("lat", &self.lat)
            .field("geopolygon", &self.geopolygon)
            .field("time", &self.time)
            .field("fields", &self.fields)
            .field("predicate", &self.predicate.as_ref().map(|_| "..."))
            .field("limit", &self.limit)
            .finish()
    }
}

/// The methods that a search and a load share, written once for both.
macro_rules! query_methods {
    ($($path:ident)?) => {
        /// Range of x, in the CRS given by `crs` (EPSG:4326 unless set).
        #[must_use]
        pub fn x(mut self, x: impl Into<Span>) -> Self {
            self$(.$path)?.x = Some(x.into());
            self
        }

        /// Range of y, in the CRS given by `crs` (EPSG:4326 unless set).
        #[must_use]
        pub fn y(mut self, y: impl Into<Span>) -> Self {
            self$(.$path)?.y = Some(y.into());
            self
        }

        /// The CRS of `x` and `y`.
        #[must_use]
        pub fn crs(mut self, crs: impl Into<CrsSpec>) -> Self {
            self$(.$path)?.crs = Some(crs.into());
            self
        }

        /// Longitudes from `west` to `east` in degrees; `west > east` crosses the antimeridian.
        #[must_use]
        pub fn lon(mut self, west: f64, east: f64) -> Self {
            self$(.$path)?.lon = Some((west, east));
            self
        }

        /// Range of latitude in degrees, in either order.
        #[must_use]
        pub fn lat(mut self, lat: impl Into<Span>) -> Self {
            self$(.$path)?.lat = Some(lat.into());
            self
        }

        /// A region as a polygon in any CRS.
        #[must_use]
        pub fn geopolygon(mut self, polygon: Geometry) -> Self {
            self$(.$path)?.geopolygon = Some(polygon);
            self
        }

        /// A period (`"2022-02"`), an instant, or a range (`("2022-01", "2022-03")`).
        #[must_use]
        pub fn time(mut self, time: impl Into<TimeTerm>) -> Self {
            self$(.$path)?.time = Some(time.into());
            self
        }

        /// A test on a search field, such as `platform` or `cloud_cover`.
        #[must_use]
        pub fn field(mut self, name: impl Into<String>, test: impl Into<FieldTest>) -> Self {
            self$(.$path)?.fields.insert(name.into(), test.into());
            self
        }

        /// Keep only datasets for which `predicate` is true.
        #[must_use]
        pub fn predicate(
            mut self,
            predicate: impl Fn(&Dataset) -> bool + Send + Sync + 'static,
        ) -> Self {
            self$(.$path)?.predicate = Some(Arc::new(predicate));
            self
        }

        /// At most so many datasets, the earliest first.
        #[must_use]
        pub fn limit(mut self, limit: usize) -> Self {
            self$(.$path)?.limit = Some(limit);
            self
        }
    };
}

impl DatasetQuery {
    query_methods!();
}

/// Who signs the addresses of files.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PatchUrl {
    /// A signer by its name, which travels with a plan.
    Named(String),
    /// A signer of one's own, for loads that this process carries out; to have it
    /// elsewhere, register it there and give its name.
    Own(Signer),
}

impl PatchUrl {
    /// The name that the signer has among `stores`.
    pub(crate) fn name_in(&self, stores: &StoreRegistry) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        match self {
            PatchUrl::Named(name) => name.clone(),
            PatchUrl::Own(signer) => {
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = format!("a function ({number} of process {})", std::process::id());
                stores.register_signer(&name, signer.clone());
                name
            }
        }
    }
}

impl From<&str> for PatchUrl {
    fn from(name: &str) -> Self {
        PatchUrl::Named(name.to_owned())
    }
}

impl From<String> for PatchUrl {
    fn from(name: String) -> Self {
        PatchUrl::Named(name)
    }
}

impl From<Signer> for PatchUrl {
    fn from(signer: Signer) -> Self {
        PatchUrl::Own(signer)
    }
}

/// What to load and how.
///
/// ```
/// use datacube::LoadOptions;
///
/// let options = LoadOptions::new("landsat8_c2l2_sr")
///     .lon(143.6, 144.1)
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
    /// Default: every measurement of the product.
    pub measurements: Option<Vec<String>>,
    /// CRS of the output; default: the product's load hint, else the datasets' own.
    pub output_crs: Option<CrsSpec>,
    /// Pixel size in units of the output CRS, `(x, y)`, y normally negative;
    /// default: as `output_crs`.
    pub resolution: Option<(f64, f64)>,
    /// Where pixel edges lie: `(x, y)` offset from multiples of the resolution, in
    /// units of the output CRS, at least 0 and less than a pixel. Default: the
    /// product's load hint, else 0.
    pub align: Option<(f64, f64)>,
    /// Load onto exactly this grid; excludes the three above and any region.
    pub like: Option<GeoBox>,
    /// Resampling by measurement, `*` for all others; default `nearest`.
    pub resampling: IndexMap<String, String>,
    /// Whether kernels widen when pixels shrink; default [`WarpScale::Auto`].
    pub warp_scale: WarpScale,
    /// When reduced images in the files are read; default [`Overviews::Auto`].
    pub overviews: Overviews,
    /// What makes one time step; default `time`.
    pub group_by: Option<String>,
    /// Chunk sizes by dimension: makes the load lazy. `time` is 1 unless named.
    /// Default: load into memory at once.
    pub chunks: Option<Chunks>,
    /// Leave out sources that cannot be read, and report which; default: fail.
    pub skip_broken_datasets: Option<bool>,
    /// Who signs the addresses of files as they are read; default: nobody.
    pub patch_url: Option<PatchUrl>,
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

    /// Has the addresses of files signed or changed as they are read: the name of
    /// a signer, such as `"planetary_computer"`, or a [`Signer`].
    #[must_use]
    pub fn patch_url(mut self, patch: impl Into<PatchUrl>) -> Self {
        self.patch_url = Some(patch.into());
        self
    }

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

    /// The grid of something loaded before.
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

    /// `time`, `solar_day` or `none`; a [`GroupBy`] will do.
    #[must_use]
    pub fn group_by(mut self, group_by: impl ToString) -> Self {
        self.group_by = Some(group_by.to_string());
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
}

/// A resampling for everything, or one for each measurement.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResamplingSpec(pub IndexMap<String, String>);

impl From<&str> for ResamplingSpec {
    fn from(name: &str) -> Self {
        Self([("*".to_owned(), name.to_owned())].into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for ResamplingSpec {
    fn from(pairs: [(&str, &str); N]) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(band, name)| (band.to_owned(), name.to_owned()))
                .collect(),
        )
    }
}

impl From<IndexMap<String, String>> for ResamplingSpec {
    fn from(map: IndexMap<String, String>) -> Self {
        Self(map)
    }
}

impl From<GroupBy> for String {
    fn from(group_by: GroupBy) -> Self {
        group_by.to_string()
    }
}
