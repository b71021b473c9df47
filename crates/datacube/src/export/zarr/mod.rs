//! Zarr version 3: [`ZarrWriter`] takes regions of variables in any order and
//! leaves a store that `xarray.open_zarr` opens as a cube.
//!
//! One array for each variable and coordinate, with names of dimensions; zarr
//! chunk = cube chunk, compressed with zstd; times as CF writes them; consolidated
//! metadata in the root, so that opening is one read. The store is put together
//! beside its destination and moved there when it is complete: it appears whole
//! or not at all, and what a killed process left can be gone on with. Memory holds
//! only chunks that are filled in part, so results larger than memory can be
//! written.

mod cf;
mod writer;

use datacube_model::{DType, Number};
use serde_json::{Map, Value};

pub use writer::{ZarrSummary, ZarrWriter};

/// What the store holds.
#[derive(Clone, Debug, Default)]
pub struct ZarrSpec {
    /// The arrays whose pixels will be handed over.
    pub variables: Vec<ZarrVariable>,
    /// Their coordinates, stored at once.
    pub coordinates: Vec<ZarrCoordinate>,
    /// Attributes of the whole.
    pub attrs: Map<String, Value>,
}

/// One variable.
#[derive(Clone, Debug)]
pub struct ZarrVariable {
    /// Its name, which becomes the name of the array.
    pub name: String,
    /// Name of each axis.
    pub dims: Vec<String>,
    /// Pixels along each axis.
    pub shape: Vec<usize>,
    /// Pixels of a chunk along each axis; the last chunk may be shorter.
    pub chunks: Vec<usize>,
    /// Type of a pixel.
    pub dtype: DType,
    /// The marker of missing pixels; floats have NaN where this is `None`.
    pub nodata: Option<Number>,
    /// Attributes as ODC has them: units, `flags_definition`, `scale_factor` ...
    pub attrs: Map<String, Value>,
}

/// One coordinate.
#[derive(Clone, Debug)]
pub struct ZarrCoordinate {
    /// Its name, which becomes the name of the array.
    pub name: String,
    /// The dimension it labels; `None` for a single value.
    pub dim: Option<String>,
    /// Its values; one where `dim` is `None`.
    pub labels: Labels,
    /// Attributes.
    pub attrs: Map<String, Value>,
}

/// Values of a coordinate.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// Nanoseconds since 1970-01-01T00:00:00 UTC.
    Time(Vec<i64>),
    /// Positions.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Names.
    Text(Vec<String>),
}

/// How the store is written.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ZarrOptions {
    /// Effort of zstd, 1 to 22. Default 5.
    pub level: i32,
    /// Whether a store at the destination may be replaced. Default no.
    pub overwrite: bool,
    /// Whether to go on with what an interrupted run has left beside the
    /// destination, and to leave it there if this one ends early. Default no: what
    /// was left is removed.
    pub resume: bool,
    /// What the pixels are made of, such as the key of a plan: a run that is resumed
    /// has to have the same. Default none.
    pub plan: Option<String>,
}

impl Default for ZarrOptions {
    fn default() -> Self {
        ZarrOptions {
            level: 5,
            overwrite: false,
            resume: false,
            plan: None,
        }
    }
}

impl ZarrOptions {
    /// With this effort of zstd.
    #[must_use]
    pub fn level(mut self, level: i32) -> Self {
        self.level = level;
        self
    }

    /// Replacing what is at the destination, or not.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
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
