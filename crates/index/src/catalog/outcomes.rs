//! What the methods of an index report.

use datacube_geo::BoundingBox;
use datacube_model::{Changes, Dataset};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::error::Error;
use crate::footprint::{Footprint, LonLatBox};
use crate::time_range::from_micros;

/// When and where a dataset is, as an index knows it without its document.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Outline {
    /// The id.
    pub id: Uuid,
    /// The middle of the time range, in whole microseconds.
    pub center_time: Timestamp,
    /// The box around the footprint in degrees of longitude and latitude: `left` in
    /// [-180, 180), `right` past 180 where the antimeridian is crossed. What is drawn
    /// of a footprint may be 0.0001 degrees from the true one. `None` where there is
    /// no place on the earth.
    pub bounds: Option<BoundingBox>,
}

/// An outline as the tables have it: id, middle of the time range in microseconds,
/// west, south, east, north.
pub(crate) type OutlineRow = (
    Uuid,
    i64,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
);

impl Outline {
    pub(crate) fn of_row((id, center_us, west, south, east, north): OutlineRow) -> Self {
        let bounds = || {
            Some(LonLatBox {
                west: west?,
                south: south?,
                east: east?,
                north: north?,
            })
        };
        Outline::new(id, from_micros(center_us), bounds())
    }

    fn new(id: Uuid, center_time: Timestamp, bounds: Option<LonLatBox>) -> Self {
        Outline {
            id,
            center_time,
            bounds: bounds.map(|b| BoundingBox::new(b.west, b.south, b.east, b.north)),
        }
    }

    /// As the dataset itself tells it.
    pub(crate) fn of(dataset: &Dataset) -> Self {
        let footprint = Footprint::of_dataset(dataset);
        let bounds = footprint.as_ref().map(Footprint::bounds);
        Outline::new(dataset.id(), dataset.center_time(), bounds)
    }
}

/// What [`crate::Index::init`] found and did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitOutcome {
    /// There was no index; there is one now.
    Created,
    /// The index was of an older version, or lacked a built-in metadata type.
    Updated,
    /// The index was ready.
    Unchanged,
}

/// What an index says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct IndexInfo {
    /// The kind of index: `memory`, `sqlite`, `postgis`, `agdc`.
    pub driver: &'static str,
    /// Its address, fit to be shown.
    pub url: String,
    /// The version of its schema.
    pub schema_version: i64,
    /// Whether it can be written to.
    pub writable: bool,
    /// The number of products.
    pub n_products: u64,
    /// The number of datasets, archived ones included.
    pub n_datasets: u64,
}

/// What became of a definition that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is in the index now.
    New,
    /// The same definition was there.
    AlreadyThere,
}

/// What became of one dataset of a batch.
#[derive(Debug)]
pub enum AddOutcome {
    /// It is in the index now.
    Added,
    /// The same document was there under its id.
    AlreadyThere,
    /// It was not added, and why.
    Failed(Error),
}

impl AddOutcome {
    /// Whether the dataset is new in the index.
    pub fn is_added(&self) -> bool {
        matches!(self, AddOutcome::Added)
    }

    /// Whether the dataset could not be added.
    pub fn is_failed(&self) -> bool {
        matches!(self, AddOutcome::Failed(_))
    }
}

/// What the update of a definition changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Updated {
    /// The changes, each with its verdict; none when the definition means the
    /// same.
    pub changes: Changes,
    /// Whether the index has changed: not for nothing, nor in a dry run.
    pub written: bool,
}

impl Updated {
    /// What an update changes, and whether that was written.
    pub fn new(changes: Changes, written: bool) -> Self {
        Updated { changes, written }
    }
}

/// What became of one dataset of an update.
#[derive(Debug)]
pub enum UpdateOutcome {
    /// The dataset in the index is now the one given. Without changes of the
    /// document, its locations have changed.
    Updated(Changes),
    /// It was the same before.
    Unchanged,
    /// It was not updated, and why.
    Failed(Error),
}

impl UpdateOutcome {
    /// Whether the dataset has changed.
    pub fn is_updated(&self) -> bool {
        matches!(self, UpdateOutcome::Updated(_))
    }

    /// Whether the dataset could not be updated.
    pub fn is_failed(&self) -> bool {
        matches!(self, UpdateOutcome::Failed(_))
    }
}

/// What became of one product that was to be deleted.
#[derive(Debug)]
pub enum DeleteOutcome {
    /// It is gone, and so many datasets with it.
    Deleted {
        /// The number of its datasets.
        n_datasets: u64,
    },
    /// It is still there, and why; or it was not there.
    Failed(Error),
}

impl DeleteOutcome {
    /// Whether the product could not be deleted.
    pub fn is_failed(&self) -> bool {
        matches!(self, DeleteOutcome::Failed(_))
    }
}

/// What became of the ids that were archived or restored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ArchiveReport {
    /// Those whose state changed, in the order given.
    pub changed: Vec<Uuid>,
    /// Those that were in that state already.
    pub unchanged: Vec<Uuid>,
    /// Those that the index does not hold.
    pub unknown: Vec<Uuid>,
}

/// What became of the ids that were to be removed for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Those that are gone, in the order given.
    pub purged: Vec<Uuid>,
    /// Those that are still there, because they are active.
    pub active: Vec<Uuid>,
    /// Those that the index does not hold; a second mention is one.
    pub unknown: Vec<Uuid>,
}

/// What became of relations that were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LineageReport {
    /// How many are new.
    pub added: u64,
    /// How many have another classifier now.
    pub updated: u64,
    /// How many were there.
    pub unchanged: u64,
}

/// Datasets that have equal values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Duplicates {
    /// The fields with the values that all of them have.
    pub values: Vec<(String, Value)>,
    /// The datasets, ordered; two or more.
    pub ids: Vec<Uuid>,
}

impl Duplicates {
    /// Datasets with the values that they share.
    pub fn new(values: Vec<(String, Value)>, ids: Vec<Uuid>) -> Self {
        Duplicates { values, ids }
    }
}

/// One who may use an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// What they may do: `user`, `manage` or `admin`.
    pub role: String,
    /// The name.
    pub name: String,
    /// Who that is.
    pub description: Option<String>,
}
