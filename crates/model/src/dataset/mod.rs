//! Datasets: one scene each, in the EO3 layout.
//!
//! A [`Dataset`] is a document that was understood: everything that people
//! load and search by is read once, when it is made, and what cannot be read
//! is an error then. What the index adds (locations, when it was indexed or
//! archived) lies beside the document, so that all of it is cheap to clone and
//! to change.

mod content;
mod extent;
mod grid;
mod source;
mod time;
mod uri;

use std::fmt;
use std::sync::Arc;

use datacube_geo::{BoundingBox, Crs, GeoBox, Geometry};
use indexmap::IndexMap;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use content::{Content, State};
pub use source::{Layer, MeasurementPath, MeasurementSource};
pub use time::parse_time;
pub use uri::resolve_uri;

use crate::document::{DocumentErrors, Problem};
use crate::error::{Error, Result};
use crate::lineage::Lineage;
use crate::metadata_type::FieldValue;
use crate::near::owned_near_names;
use crate::product::Product;

/// One place where a dataset is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Location {
    /// Where the document is; relative paths in it start here.
    pub uri: String,
    /// When the location was archived; nothing is read from there since.
    pub archived: Option<Timestamp>,
}

impl Location {
    /// An active location. An absolute path becomes a `file://` uri.
    pub fn new(uri: impl Into<String>) -> Self {
        let uri = uri.into();
        let uri = if uri.starts_with('/') && !uri.starts_with("/vsi") {
            uri::file_uri(&uri)
        } else {
            uri
        };
        Location {
            uri,
            archived: None,
        }
    }

    /// This location, archived.
    #[must_use]
    pub fn archived_at(mut self, time: Timestamp) -> Self {
        self.archived = Some(time);
        self
    }

    /// Whether files may be read from here.
    pub fn is_active(&self) -> bool {
        self.archived.is_none()
    }
}

impl From<String> for Location {
    fn from(uri: String) -> Self {
        Location::new(uri)
    }
}

impl From<&str> for Location {
    fn from(uri: &str) -> Self {
        Location::new(uri)
    }
}

/// One scene of a product. Cheap to clone.
///
/// Two are equal when they have the same id, document and state.
#[derive(Clone)]
pub struct Dataset {
    content: Arc<Content>,
    locations: Arc<[Location]>,
    archived: Option<Timestamp>,
    indexed: Option<Timestamp>,
}

impl Dataset {
    /// Reads an EO3 document as a dataset of `product`.
    ///
    /// Locations are in order of preference; without any, those that the
    /// document names itself (`location`, `locations`) count. Whether the
    /// document belongs to the product is for
    /// [`match_product`](crate::match_product) to say. What is odd and does no
    /// harm is among [`Self::warnings`].
    ///
    /// # Errors
    /// Everything that is wrong, with its path: a document that is not EO3, an
    /// id that is no UUID, grids without area or with a transform that cannot
    /// be inverted, a CRS that is not known, geometries, times and fields that
    /// cannot be read, a reversed time range, measurements without a path, and
    /// measurements of the product that the document does not have.
    ///
    /// # Source
    /// datacube-core, `datacube/index/eo3.py` (`prep_eo3`), `index/hl.py`
    /// (`check_dataset_consistent`).
    pub fn from_document<L: Into<Location>>(
        document: Value,
        product: Arc<Product>,
        locations: impl IntoIterator<Item = L>,
    ) -> Result<Self, DocumentErrors> {
        let content = Content::read(document, product, State::New)?;
        let given: Vec<Location> = locations.into_iter().map(Into::into).collect();
        let locations = if given.is_empty() {
            content.own_locations()
        } else {
            given
        };
        Ok(Dataset {
            content: Arc::new(content),
            locations: locations.into(),
            archived: None,
            indexed: None,
        })
    }

    /// Reads a document that an index holds, whose locations are these alone.
    ///
    /// As [`Self::from_document`], but a measurement that the document does
    /// not have is among [`Self::warnings`] and no error: its product may have
    /// got that measurement after the dataset was indexed.
    ///
    /// # Errors
    /// As [`Self::from_document`].
    pub fn from_indexed(
        document: Value,
        product: Arc<Product>,
        locations: impl IntoIterator<Item = Location>,
    ) -> Result<Self, DocumentErrors> {
        Ok(Dataset {
            content: Arc::new(Content::read(document, product, State::Indexed)?),
            locations: locations.into_iter().collect(),
            archived: None,
            indexed: None,
        })
    }

    /// The id.
    pub fn id(&self) -> Uuid {
        self.content.id
    }

    /// The product.
    pub fn product(&self) -> &Arc<Product> {
        &self.content.product
    }

    /// The document that this was made from.
    pub fn document(&self) -> &Value {
        &self.content.document
    }

    /// The label, where the document has one.
    pub fn label(&self) -> Option<&str> {
        self.document().get("label").and_then(Value::as_str)
    }

    /// The `properties` of the document.
    pub fn properties(&self) -> Option<&Map<String, Value>> {
        self.document().get("properties").and_then(Value::as_object)
    }

    /// The `accessories` of the document: files beside the measurements.
    pub fn accessories(&self) -> Option<&Map<String, Value>> {
        self.document()
            .get("accessories")
            .and_then(Value::as_object)
    }

    /// The file format that the document names.
    pub fn format(&self) -> Option<&str> {
        let value = self
            .product()
            .metadata_type()
            .system_value("format", self.document())?;
        value.as_str()
    }

    /// All locations, the preferred one first.
    pub fn locations(&self) -> &[Location] {
        &self.locations
    }

    /// The uri of the preferred location that is active.
    pub fn uri(&self) -> Option<&str> {
        self.active_uris().next()
    }

    /// The uris of the locations that are active.
    pub fn active_uris(&self) -> impl Iterator<Item = &str> {
        self.locations
            .iter()
            .filter(|location| location.is_active())
            .map(|location| location.uri.as_str())
    }

    /// The CRS of the grids and the extent.
    pub fn crs(&self) -> &Crs {
        &self.content.crs
    }

    /// The grids by name, the one called `default` among them.
    pub fn grids(&self) -> &IndexMap<String, GeoBox> {
        &self.content.grids
    }

    /// The grid called `default`.
    pub fn default_grid(&self) -> &GeoBox {
        &self.content.grids["default"]
    }

    /// The box around the default grid, in [`Self::crs`].
    pub fn bounds(&self) -> BoundingBox {
        self.default_grid().bounding_box()
    }

    /// Where there is data, in [`Self::crs`]: the `geometry` of the document,
    /// else the outline of the default grid.
    pub fn extent(&self) -> &Geometry {
        &self.content.extent.geometry
    }

    /// The range of longitudes and latitudes, in degrees. Over the antimeridian
    /// `right` is above 180. `None` where the extent has no longitudes, as on
    /// another planet.
    pub fn lonlat_bounds(&self) -> Option<BoundingBox> {
        self.content.extent.degrees().bounds
    }

    /// The longitude in the middle of the dataset, -180 to 180, also for one
    /// over the antimeridian; solar time goes by it.
    pub fn mid_longitude(&self) -> Option<f64> {
        self.content.extent.degrees().mid_longitude
    }

    /// When it was acquired, from first to last; the same instant twice where
    /// the document has one only.
    pub fn time_range(&self) -> (Timestamp, Timestamp) {
        self.content.time
    }

    /// The middle of the time range, in whole microseconds.
    pub fn center_time(&self) -> Timestamp {
        let (begin, end) = self.content.time;
        time::middle(begin, end)
    }

    /// The value of a search field of the metadata type; `None` where the type
    /// has no such field or the document no such value.
    pub fn field(&self, name: &str) -> Option<&FieldValue> {
        self.content.field(name)
    }

    /// The search fields that have a value, in the order of the metadata type.
    pub fn fields(&self) -> &IndexMap<String, FieldValue> {
        self.content.fields()
    }

    /// The datasets that this one was made from.
    pub fn lineage(&self) -> &Lineage {
        &self.content.lineage
    }

    /// The measurements of the document, as they stand there.
    pub fn measurements(&self) -> &IndexMap<String, MeasurementPath> {
        &self.content.measurements
    }

    /// What is odd in the document but does no harm: measurements with a grid
    /// that is not there.
    pub fn warnings(&self) -> &[Problem] {
        &self.content.warnings
    }

    /// Where the pixels of a measurement are, by name or alias.
    ///
    /// # Errors
    /// [`Error::NotInDataset`] with the near names,
    /// [`Error::AmbiguousMeasurement`] for an alias of several measurements,
    /// [`Error::NoLocation`] where a relative path has nowhere to start.
    pub fn measurement_source(&self, name: &str) -> Result<MeasurementSource> {
        let canonical = match self.product().measurement(name) {
            Ok(measurement) => measurement.name.as_str(),
            Err(error @ Error::AmbiguousMeasurement { .. }) => return Err(error),
            Err(_) => name,
        };
        let path = self
            .content
            .measurements
            .get(canonical)
            .ok_or_else(|| Error::NotInDataset {
                dataset: self.id().to_string(),
                found: name.to_owned(),
                near: owned_near_names(name, self.content.measurements.keys().map(String::as_str)),
                known: self.content.measurements.keys().cloned().collect(),
            })?;
        let mut uris: Vec<String> = if uri::is_absolute(&path.path) {
            vec![resolve_uri("", &path.path)]
        } else {
            self.active_uris()
                .map(|base| resolve_uri(base, &path.path))
                .collect()
        };
        if uris.is_empty() {
            return Err(Error::NoLocation {
                dataset: self.id().to_string(),
                measurement: name.to_owned(),
                archived: !self.locations.is_empty(),
            });
        }
        let uri = uris.remove(0);
        let (band, layer) = path.address();
        Ok(MeasurementSource {
            uri,
            alternatives: uris,
            band,
            layer,
            grid: self.content.grids.get(path.grid_name()).cloned(),
        })
    }

    /// Whether the dataset is archived: kept, but not found by searches.
    pub fn is_archived(&self) -> bool {
        self.archived.is_some()
    }

    /// When the dataset was archived.
    pub fn archived(&self) -> Option<Timestamp> {
        self.archived
    }

    /// When the dataset was indexed; `None` when it has not been.
    pub fn indexed(&self) -> Option<Timestamp> {
        self.indexed
    }

    /// This dataset, archived at a time or (`None`) restored.
    #[must_use]
    pub fn with_archived(mut self, time: Option<Timestamp>) -> Self {
        self.archived = time;
        self
    }

    /// This dataset, indexed at a time.
    #[must_use]
    pub fn with_indexed(mut self, time: Option<Timestamp>) -> Self {
        self.indexed = time;
        self
    }

    /// This dataset in other places, the preferred one first.
    #[must_use]
    pub fn with_locations<L: Into<Location>>(
        mut self,
        locations: impl IntoIterator<Item = L>,
    ) -> Self {
        self.locations = locations.into_iter().map(Into::into).collect();
        self
    }
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
            && self.locations == other.locations
            && self.archived == other.archived
            && self.indexed == other.indexed
            && (Arc::ptr_eq(&self.content, &other.content)
                || (self.document() == other.document() && self.product() == other.product()))
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("id", &self.id())
            .field("product", &self.product().name())
            .field("uri", &self.uri())
            .finish_non_exhaustive()
    }
}

/// `Dataset <id=... product=... location=...>`, as ODC prints it.
impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uri = self.uri().unwrap_or("not available");
        write!(
            f,
            "Dataset <id={} product={} location={uri}>",
            self.id(),
            self.product().name()
        )
    }
}

#[cfg(test)]
mod tests;
