//! Which of two datasets of one scene is the better one.
//!
//! A scene is often published several times: at once (`nrt`), with better
//! ancillary data (`interim`), and for good (`final`). Two datasets are of one
//! scene when their product and region are the same and their times meet,
//! give or take a leniency.
//!
//! # Source
//! datacube-core, `index/abstract/_datasets.py` (`find_less_mature`), which
//! compares the names as text and so takes `nrt` for less than `interim` only
//! by luck, and `interim` for more than `final`.

use std::time::Duration;

use datacube_model::{Dataset, FieldValue};
use serde_json::Value;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::time_range::micros;

/// From the least mature to the most.
const LEVELS: [&str; 3] = ["nrt", "interim", "final"];

/// How mature a dataset is, and of which scene it is.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) id: Uuid,
    product: String,
    pub(crate) region: String,
    begin_us: i64,
    end_us: i64,
    /// As it was written, if anything was.
    maturity: Option<String>,
}

impl Standing {
    /// The standing of a dataset that is to be compared with others.
    ///
    /// # Errors
    /// [`Error::Dataset`] when it does not say its region or its maturity.
    pub(crate) fn of(dataset: &Dataset) -> Result<Self> {
        let standing = Self::of_other(dataset).ok_or_else(|| {
            lacking(
                dataset.id(),
                "has no `odc:region_code`, by which scenes are told apart; give it one, or add \
                 it without archiving what is less mature",
            )
        })?;
        standing.level(standing.id)?;
        Ok(standing)
    }

    /// The standing of a dataset that is there; `None` when it is of no region
    /// and so of no scene.
    pub(crate) fn of_other(dataset: &Dataset) -> Option<Self> {
        let (begin, end) = dataset.time_range();
        Some(Standing {
            id: dataset.id(),
            product: dataset.product().name().to_owned(),
            region: text(dataset, "region_code", "odc:region_code")?,
            begin_us: micros(begin),
            end_us: micros(end),
            maturity: text(dataset, "dataset_maturity", "dea:dataset_maturity"),
        })
    }

    /// The times in which datasets of the scene are, in microseconds.
    pub(crate) fn times(&self, leniency: Duration) -> (i64, i64) {
        let leniency = i64::try_from(leniency.as_micros()).unwrap_or(i64::MAX);
        (
            self.begin_us.saturating_sub(leniency),
            self.end_us.saturating_add(leniency),
        )
    }

    /// Whether the other one is of the same scene and less mature, so that it
    /// has had its day.
    ///
    /// # Errors
    /// [`Error::LessMature`] when it is of the same scene and not less mature;
    /// [`Error::Dataset`] when that cannot be told.
    pub(crate) fn outdates(&self, other: &Standing, leniency: Duration) -> Result<bool> {
        let (low, high) = self.times(leniency);
        let same_scene = self.id != other.id
            && self.product == other.product
            && self.region == other.region
            && other.begin_us <= high
            && other.end_us >= low;
        if !same_scene {
            return Ok(false);
        }
        if other.level(self.id)? < self.level(self.id)? {
            return Ok(true);
        }
        Err(Error::LessMature {
            id: self.id,
            maturity: self.maturity.clone().unwrap_or_default(),
            existing: other.id,
            existing_maturity: other.maturity.clone().unwrap_or_default(),
        })
    }

    /// The place in [`LEVELS`]; an error is about dataset `concerned`.
    fn level(&self, concerned: Uuid) -> Result<usize> {
        let whose = if self.id == concerned {
            String::new()
        } else {
            format!("is of the same scene as dataset {}, which ", self.id)
        };
        let Some(maturity) = &self.maturity else {
            return Err(lacking(
                concerned,
                &format!(
                    "{whose}has no `dea:dataset_maturity`, so it cannot be told which is better"
                ),
            ));
        };
        let lower = maturity.to_lowercase();
        LEVELS
            .iter()
            .position(|level| *level == lower)
            .ok_or_else(|| {
                lacking(
                    concerned,
                    &format!(
                        "{whose}has the maturity `{maturity}`; one that can be compared is `nrt`, \
                         `interim` or `final`"
                    ),
                )
            })
    }
}

fn lacking(id: Uuid, reason: &str) -> Error {
    Error::Dataset {
        id,
        reason: reason.to_owned(),
        source: None,
    }
}

/// The text of a search field, or of the property that it is usually taken
/// from where the metadata type has no such field.
fn text(dataset: &Dataset, field: &str, property: &str) -> Option<String> {
    if let Some(FieldValue::Text(text)) = dataset.field(field) {
        return Some(text.clone());
    }
    match dataset.properties()?.get(property)? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}
