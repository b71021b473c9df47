//! A cube to a file: [`write_cog`], [`write_zarr`], [`write_png`]; or to a picture: [`draw`].
//!
//! COG and Zarr are written while the cube is computed, chunk by chunk as an
//! engine finishes them, so the result may be larger than memory, and a run that
//! was killed can be gone on with. A picture is computed whole first.

mod cog;
mod png;
mod zarr;

use datacube_compute::{DataArray, Plan, SinkError};
use serde_json::{Map, Value};

pub use cog::write_cog;
pub use png::{draw, write_png};
pub use zarr::write_zarr;

use super::cog::CogOptions;
use super::error::{Error, Result};
use super::zarr::ZarrOptions;
use crate::plot::{ColourMap, Colours};

/// How a cube is written; each format takes what concerns it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Whether what is at the destination may be replaced. Default no.
    pub overwrite: bool,
    /// Whether COG and Zarr go on with what an interrupted run of the same job has
    /// left beside the destination, and leave it there if they end early: only
    /// chunks that are not there are computed. Default no: what was left is removed.
    pub resume: bool,
    /// Blocks, compression and overviews of a COG.
    pub cog: CogOptions,
    /// Compression of a Zarr store.
    pub zarr: ZarrOptions,
    /// Colours of a picture. Default: chosen by name and values of the variable.
    pub colours: Colours,
    /// Whether a picture of one plane has axes, title and colour bar around it,
    /// as one of several planes always has. Default no.
    pub figure: bool,
    /// The line above a figure. Default: the name of the variable.
    pub title: Option<String>,
}

impl ExportOptions {
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

    /// A COG so.
    #[must_use]
    pub fn cog(mut self, cog: CogOptions) -> Self {
        self.cog = cog;
        self
    }

    /// A Zarr store so.
    #[must_use]
    pub fn zarr(mut self, zarr: ZarrOptions) -> Self {
        self.zarr = zarr;
        self
    }

    /// A picture through this colour map.
    #[must_use]
    pub fn colormap(mut self, map: ColourMap) -> Self {
        self.colours.map = Some(map);
        self
    }

    /// A picture with these values at the ends of the colour map.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.colours.range = Some((low, high));
        self
    }

    /// A picture with axes, title and colour bar, or without.
    #[must_use]
    pub fn figure(mut self, figure: bool) -> Self {
        self.figure = figure;
        self
    }

    /// A figure under this line.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
}

/// The attributes of an array as a JSON object.
fn attrs_of(attrs: &datacube_compute::Attrs) -> Map<String, Value> {
    attrs
        .iter()
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// An attribute that is text and says something: `1` as a unit does not.
fn text_attr(array: &DataArray, name: &str) -> Option<String> {
    let text = array.attrs().get(name)?.as_str()?;
    (!text.is_empty() && text != "1").then(|| text.to_owned())
}

/// What is in front of rows and columns: nothing, or one dimension and its length.
fn leading<'a>(name: &str, array: &'a DataArray) -> Result<Option<(&'a str, usize)>> {
    match (array.dims(), array.shape()) {
        ([_, _], _) => Ok(None),
        ([dim, _, _], [len, _, _]) => Ok(Some((dim, *len))),
        (dims, _) => Err(Error::invalid(
            format!("`{name}`"),
            format!(
                "its dimensions are {}, and an image has rows and columns and at most one more; \
                 take one step of the others with `isel`, or write a .zarr",
                dims.join(", ")
            ),
        )),
    }
}

/// What the pixels of a plan are made of; nothing where that cannot be told and
/// nobody wants to `resume`.
fn fingerprint(plan: &Plan, resume: bool) -> Result<Option<String>> {
    match plan.key() {
        Ok(key) => Ok(Some(key.to_string())),
        Err(error) if resume => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// An error in the form that engines carry.
fn boxed(error: Error) -> SinkError {
    Box::new(error)
}
