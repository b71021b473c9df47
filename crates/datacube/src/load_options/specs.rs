//! What an option may be given as: one value for all, or one for each measurement;
//! a name or a function.

use std::fmt;
use std::sync::Arc;

use datacube_load::{Fuse, FuseFunction};
use datacube_model::{DType, Dataset, Number};
use indexmap::IndexMap;

/// Values by measurement, `*` for all others.
///
/// One value alone is for all: `"bilinear".into()`.
#[derive(Debug, Clone, PartialEq)]
pub struct PerBand<T>(pub IndexMap<String, T>);

impl<T> Default for PerBand<T> {
    fn default() -> Self {
        Self(IndexMap::new())
    }
}

impl<T> PerBand<T> {
    /// The same value for every measurement.
    pub fn all(value: impl Into<T>) -> Self {
        Self([("*".to_owned(), value.into())].into_iter().collect())
    }
}

impl<N: Into<String>, V: Into<T>, T, const L: usize> From<[(N, V); L]> for PerBand<T> {
    fn from(pairs: [(N, V); L]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<N: Into<String>, V: Into<T>, T> FromIterator<(N, V)> for PerBand<T> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        Self(
            pairs
                .map(|(band, value)| (band.into(), value.into()))
                .collect(),
        )
    }
}

impl<T> From<IndexMap<String, T>> for PerBand<T> {
    fn from(map: IndexMap<String, T>) -> Self {
        Self(map)
    }
}

/// A resampling for everything, or one for each measurement.
pub type ResamplingSpec = PerBand<String>;

impl From<&str> for PerBand<String> {
    fn from(name: &str) -> Self {
        Self::all(name)
    }
}

impl From<DType> for PerBand<DType> {
    fn from(dtype: DType) -> Self {
        Self::all(dtype)
    }
}

/// The marker of missing pixels in what comes out; `None` for no marker at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nodata(pub Option<Number>);

/// A number as a marker, alone or for every measurement.
macro_rules! nodata_from {
    ($($number:ty),*) => {$(
        impl From<$number> for Nodata {
            fn from(number: $number) -> Self {
                Self(Some(number.into()))
            }
        }

        impl From<$number> for PerBand<Nodata> {
            fn from(number: $number) -> Self {
                Self::all(number)
            }
        }
    )*};
}

nodata_from!(Number, i64, f64);

impl From<Option<Number>> for Nodata {
    fn from(number: Option<Number>) -> Self {
        Self(number)
    }
}

/// How overlapping datasets of one time step become one image.
#[derive(Debug, Clone, PartialEq)]
pub enum FuseSpec {
    /// By name: `first_valid`, `last_valid`, `max`, `min`, `ga_pq_fuser`, or one
    /// that was registered with [`register_fuser`](crate::register_fuser).
    Named(String),
    /// A function of the caller's; what is loaded with it stays in this process.
    Custom(FuseFunction),
}

impl FuseSpec {
    pub(crate) fn resolve(&self) -> datacube_load::Result<Fuse> {
        match self {
            FuseSpec::Named(name) => Fuse::named(name),
            FuseSpec::Custom(function) => Ok(Fuse::Custom(function.clone())),
        }
    }
}

impl From<&str> for FuseSpec {
    fn from(name: &str) -> Self {
        FuseSpec::Named(name.to_owned())
    }
}

impl From<FuseFunction> for FuseSpec {
    fn from(function: FuseFunction) -> Self {
        FuseSpec::Custom(function)
    }
}

impl From<&str> for PerBand<FuseSpec> {
    fn from(name: &str) -> Self {
        Self::all(name)
    }
}

impl From<FuseFunction> for PerBand<FuseSpec> {
    fn from(function: FuseFunction) -> Self {
        Self::all(function)
    }
}

/// Which properties of datasets become labels and variables along time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum WithProperties {
    /// None.
    #[default]
    None,
    /// All that hold a number, a text, or true or false.
    All,
    /// These.
    Names(Vec<String>),
}

impl From<bool> for WithProperties {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::None }
    }
}

impl<N: Into<String>, const L: usize> From<[N; L]> for WithProperties {
    fn from(names: [N; L]) -> Self {
        Self::Names(names.into_iter().map(Into::into).collect())
    }
}

impl From<Vec<String>> for WithProperties {
    fn from(names: Vec<String>) -> Self {
        Self::Names(names)
    }
}

/// Whose habits decide what neither options nor documents say.
///
/// The two loaders of the Open Data Cube differ in four things:
///
/// | | `OpenDataCube` | `OdcStac` |
/// | --- | --- | --- |
/// | the instant of a dataset | the middle of its time range | `datetime`, else its start |
/// | solar day | at the middle of each dataset, to the second | at the middle of the output, in whole hours |
/// | pixel edges where a pixel size is given | multiples of it | as the datasets have them |
/// | a measurement that a dataset lacks | an error | nodata |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Convention {
    /// As `datacube.load`.
    #[default]
    OpenDataCube,
    /// As `odc.stac.load`.
    OdcStac,
}

/// When the documents of a load's datasets are read from the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Documents {
    /// `AsNeeded` from 20,000 datasets on, where everything that the result is can be
    /// told without them; else `AtOnce`.
    #[default]
    Auto,
    /// Before the load is planned: what is wrong with a document is told at once.
    AtOnce,
    /// As chunks need them: the load holds when and where its datasets are, asks the
    /// index for those that a chunk may need, and forgets what it read long ago. So
    /// memory goes with what is computed and not with what there is.
    ///
    /// Nothing of the result may depend on documents: the grid has to be told (by
    /// `like`, or a region, a CRS and a pixel size; pixel edges are at multiples of it
    /// unless `align` or `anchor` say otherwise), time steps by time alone, without a
    /// predicate or properties. Such a cube cannot be sent to another process.
    AsNeeded,
}

/// A function of the caller's, shown as `...`.
macro_rules! hook {
    ($(#[$doc:meta])* $name:ident, $call:ty) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(pub(crate) Arc<$call>);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(...)"))
            }
        }
    };
}

hook! {
    /// What is done to the address of a file before it is opened.
    UrlPatch, dyn Fn(&Dataset, &str) -> Result<String, Box<dyn std::error::Error + Send + Sync>> + Send + Sync
}

hook! {
    /// What hears how far a load is.
    ProgressHook, dyn Fn(usize, usize) -> std::ops::ControlFlow<()> + Send + Sync
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_for_all_or_one_for_each() {
        let one: PerBand<String> = "cubic".into();
        assert_eq!(one.0["*"], "cubic");
        let each: PerBand<Nodata> = [("red", 0_i64), ("*", -999)].into();
        assert_eq!(each.0["red"], Nodata(Some(Number::Int(0))));
        let none: PerBand<Nodata> = [("*", Nodata(None))].into();
        assert_eq!(none.0["*"].0, None);
        let fuse: PerBand<FuseSpec> = [("qa", "ga_pq_fuser")].into();
        assert_eq!(fuse.0["qa"], FuseSpec::Named("ga_pq_fuser".into()));
    }
}
