//! What the loader is told of one raster: where it is and what its documents
//! say of it.
//!
//! Documents can be wrong or silent, so most of this is only a fallback: what
//! the file's own header states wins (see [`crate::SourcePlan`]).

use datacube_geo::GeoBox;
use datacube_model::Number;
use serde::{Deserialize, Serialize};

/// One band of one raster file, as the documents describe it.
///
/// ```
/// use datacube_load::RasterSource;
/// let source = RasterSource::new("file:///scenes/a_B4.TIF").with_band(1).with_label("a");
/// assert_eq!(source.band, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RasterSource {
    /// An absolute path or a URL.
    pub uri: String,
    /// Where the same file is too, in order of preference: read where the file at
    /// `uri` cannot be opened, or its blocks not be fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<String>,
    /// The band inside the file, counted from 1.
    pub band: u32,
    /// The grid that the document gives; used where the header has none.
    #[serde(default)]
    pub geobox: Option<GeoBox>,
    /// The value that the document says marks missing pixels; used where the
    /// header has none.
    #[serde(default)]
    pub nodata: Option<Number>,
    /// What errors and reports call the source: the dataset's id.
    #[serde(default)]
    pub label: String,
}

impl RasterSource {
    /// Band 1 of the file at `uri`, of which no document says anything.
    pub fn new(uri: impl Into<String>) -> Self {
        RasterSource {
            uri: uri.into(),
            alternatives: Vec::new(),
            band: 1,
            geobox: None,
            nodata: None,
            label: String::new(),
        }
    }

    /// Sets where the same file is too, in order of preference.
    #[must_use]
    pub fn with_alternatives(mut self, alternatives: Vec<String>) -> Self {
        self.alternatives = alternatives;
        self
    }

    /// Sets the band, counted from 1.
    #[must_use]
    pub fn with_band(mut self, band: u32) -> Self {
        self.band = band;
        self
    }

    /// Sets the grid that the document gives.
    #[must_use]
    pub fn with_geobox(mut self, geobox: impl Into<Option<GeoBox>>) -> Self {
        self.geobox = geobox.into();
        self
    }

    /// Sets the nodata that the document gives.
    #[must_use]
    pub fn with_nodata(mut self, nodata: impl Into<Option<Number>>) -> Self {
        self.nodata = nodata.into();
        self
    }

    /// Sets what errors call the source.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}
