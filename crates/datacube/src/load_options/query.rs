//! Which datasets: the terms of a search, shared by searches and loads.

use std::fmt;
use std::sync::Arc;

use datacube_geo::{Crs, Geometry};
use datacube_index::FieldTest;
use datacube_model::Dataset;
use indexmap::IndexMap;

use crate::time_terms::TimeTerm;

/// A predicate over datasets, see [`DatasetQuery::predicate`].
pub type DatasetPredicate = Arc<dyn Fn(&Dataset) -> bool + Send + Sync>;

/// A coordinate reference system as a caller names it.
#[derive(Debug, Clone)]
pub enum CrsSpec {
    /// Anything that [`Crs::parse`] reads: `EPSG:32655`, WKT, PROJJSON, a PROJ string;
    /// for an output also `utm`, the UTM zone of what is loaded.
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

/// Longitudes in degrees, from west to east: 179 to -179 crosses the antimeridian. A
/// number alone is a meridian.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LonSpan {
    /// The western edge.
    pub west: f64,
    /// The eastern edge.
    pub east: f64,
}

impl From<(f64, f64)> for LonSpan {
    fn from((west, east): (f64, f64)) -> Self {
        LonSpan { west, east }
    }
}

impl From<[f64; 2]> for LonSpan {
    fn from([west, east]: [f64; 2]) -> Self {
        LonSpan { west, east }
    }
}

impl From<f64> for LonSpan {
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
    /// Range of longitude in degrees.
    pub lon: Option<LonSpan>,
    /// Range of latitude in degrees.
    pub lat: Option<Span>,
    /// `[west, south, east, north]` in degrees; excludes all other terms of space.
    pub bbox: Option<[f64; 4]>,
    /// A polygon with its CRS; excludes `x`, `y`, `lon` and `lat`.
    pub geopolygon: Option<Geometry>,
    /// A period, an instant, or a range, in UTC.
    pub time: Option<TimeTerm>,
    /// Tests on search fields of the product's metadata type; on an extra dimension
    /// of the product they select its coordinates.
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

    /// Whether a term of space is there, whatever it says.
    pub(crate) fn names_region(&self) -> bool {
        self.x.is_some()
            || self.y.is_some()
            || self.lon.is_some()
            || self.lat.is_some()
            || self.bbox.is_some()
            || self.geopolygon.is_some()
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
            .field("bbox", &self.bbox)
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

        /// Longitudes in degrees, from west to east; `(179.0, -179.0)` crosses the
        /// antimeridian.
        #[must_use]
        pub fn lon(mut self, lon: impl Into<LonSpan>) -> Self {
            self$(.$path)?.lon = Some(lon.into());
            self
        }

        /// Range of latitude in degrees, in either order.
        #[must_use]
        pub fn lat(mut self, lat: impl Into<Span>) -> Self {
            self$(.$path)?.lat = Some(lat.into());
            self
        }

        /// A box in degrees, in the order of STAC; `west > east` crosses the antimeridian.
        #[must_use]
        pub fn bbox(mut self, west: f64, south: f64, east: f64, north: f64) -> Self {
            self$(.$path)?.bbox = Some([west, south, east, north]);
            self
        }

        /// As `geopolygon`, by the name that odc-stac has for it.
        #[must_use]
        pub fn intersects(self, polygon: Geometry) -> Self {
            self.geopolygon(polygon)
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

pub(super) use query_methods;
