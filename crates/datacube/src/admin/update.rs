//! Datasets updated from documents.

use std::path::PathBuf;

use datacube_index::{Error as IndexError, Index, Kind, UpdateDatasetOptions, UpdateOutcome};
use datacube_model::{Dataset, LocatedDocument, match_product};
use serde_json::Value;
use uuid::Uuid;

use crate::documents;
use crate::{Datacube, Error, Result, runtime};

/// Documents that are written in one transaction.
const BATCH: usize = 1000;

/// What became of one document of an update.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpdatedDocument {
    /// The file, and the part of it when it holds several.
    pub location: String,
    /// The dataset's id, as far as it could be read.
    pub name: Option<String>,
    /// What changed, or why nothing did.
    pub result: Result<UpdateOutcome>,
}

impl Datacube {
    /// Replaces datasets by the documents at `paths`: files, or folders that
    /// hold some; `report` hears of each as its fate is known.
    ///
    /// A dataset keeps its product. A document whose dataset is not in the
    /// index is reported as not found.
    ///
    /// # Errors
    /// When a path is not there or the index cannot be written. What is wrong
    /// with a document is in its outcome, and does not stop the others.
    pub fn update_datasets_with(
        &self,
        paths: Vec<PathBuf>,
        options: &UpdateDatasetOptions,
        mut report: impl FnMut(UpdatedDocument) + Send + 'static,
    ) -> Result<()> {
        let (index, options) = (self.index().clone(), options.clone());
        runtime::block_on(
            async move { update_datasets(&*index, &paths, &options, &mut report).await },
        )
    }

    /// [`Datacube::update_datasets_with`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::update_datasets_with`].
    pub async fn update_datasets_with_async(
        &self,
        paths: Vec<PathBuf>,
        options: &UpdateDatasetOptions,
        mut report: impl FnMut(UpdatedDocument) + Send + 'static,
    ) -> Result<()> {
        let (index, options) = (self.index().clone(), options.clone());
        runtime::spawn(async move { update_datasets(&*index, &paths, &options, &mut report).await })
            .await
    }
}

async fn update_datasets(
    index: &dyn Index,
    paths: &[PathBuf],
    options: &UpdateDatasetOptions,
    report: &mut (dyn FnMut(UpdatedDocument) + Send),
) -> Result<()> {
    let mut batch = Vec::new();
    for file in documents::find_dataset_documents(paths)? {
        match documents::read_documents(&file) {
            Ok(documents) => batch.extend(documents),
            Err(error) => report(UpdatedDocument {
                location: file.display().to_string(),
                name: None,
                result: Err(error),
            }),
        }
        if batch.len() >= BATCH {
            update_batch(index, std::mem::take(&mut batch), options, report).await?;
        }
    }
    update_batch(index, batch, options, report).await
}

async fn update_batch(
    index: &dyn Index,
    batch: Vec<LocatedDocument>,
    options: &UpdateDatasetOptions,
    report: &mut (dyn FnMut(UpdatedDocument) + Send),
) -> Result<()> {
    let ids: Vec<Option<Uuid>> = batch.iter().map(|item| id_of(&item.document)).collect();
    let wanted: Vec<Uuid> = ids.iter().flatten().copied().collect();
    let mut there = index.datasets(&wanted).await?.into_iter();
    let (mut locations, mut datasets) = (Vec::new(), Vec::new());
    for (item, id) in batch.into_iter().zip(ids) {
        let existing = id.and_then(|_| there.next()).flatten();
        let name = item.document.get("id").and_then(Value::as_str);
        let name = name.map(str::to_owned);
        match read(item.document, &item.uri, id, existing) {
            Ok(dataset) => {
                locations.push(item.uri);
                datasets.push(dataset);
            }
            Err(error) => report(UpdatedDocument {
                location: item.uri,
                name,
                result: Err(error),
            }),
        }
    }
    if datasets.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = datasets.iter().map(Dataset::id).collect();
    let outcomes = index.update_datasets(datasets, options).await?;
    for ((location, id), outcome) in locations.into_iter().zip(ids).zip(outcomes) {
        report(UpdatedDocument {
            location,
            name: Some(id.to_string()),
            result: match outcome {
                UpdateOutcome::Failed(error) => Err(error.into()),
                outcome => Ok(outcome),
            },
        });
    }
    Ok(())
}

fn id_of(document: &Value) -> Option<Uuid> {
    Uuid::parse_str(document.get("id")?.as_str()?).ok()
}

/// The dataset of a document, of the product that it has in the index.
fn read(
    document: Value,
    uri: &str,
    id: Option<Uuid>,
    existing: Option<Dataset>,
) -> Result<Dataset> {
    let product = match (existing, id) {
        (Some(existing), _) => existing.product().clone(),
        (None, Some(id)) => {
            return Err(IndexError::NotFound {
                kind: Kind::Dataset,
                name: id.to_string(),
                known: Vec::new(),
            }
            .into());
        }
        (None, None) => {
            return Err(Error::File {
                path: uri.to_owned(),
                problem: "the document has no `id` that is a UUID".into(),
            });
        }
    };
    match_product(&document, std::slice::from_ref(&product))?;
    let dataset = Dataset::from_document(document, product, [uri.to_owned()])
        .map_err(datacube_model::Error::from)?;
    Ok(dataset)
}

/// Names of STAC for what EO3 keeps elsewhere.
const STAC_PLACES: [(&str, &str); 6] = [
    ("properties.proj:transform", "grids.default.transform"),
    ("properties.proj:shape", "grids.default.shape"),
    ("properties.proj:code", "crs"),
    ("properties.proj:epsg", "crs"),
    ("properties.proj:wkt2", "crs"),
    ("properties.odc:lineage", "lineage"),
];

/// Properties that STAC names otherwise than EO3.
///
/// # Source
/// datacube-core, `datacube/metadata/_utils.py` (`STAC_TO_EO3_RENAMES`).
const STAC_PROPERTIES: [(&str, &str); 11] = [
    ("end_datetime", "dtr:end_datetime"),
    ("start_datetime", "dtr:start_datetime"),
    ("gsd", "eo:gsd"),
    ("instruments", "eo:instrument"),
    ("platform", "eo:platform"),
    ("constellation", "eo:constellation"),
    ("view:off_nadir", "eo:off_nadir"),
    ("view:azimuth", "eo:azimuth"),
    ("view:sun_azimuth", "eo:sun_azimuth"),
    ("view:sun_elevation", "eo:sun_elevation"),
    ("created", "odc:processing_datetime"),
];

/// Places of a document at which an update may change anything, from dotted
/// keys such as `properties.eo:cloud_cover`; STAC's names stand for EO3's.
///
/// # Errors
/// [`Error::Option`] for what an update can never change.
pub fn allowed_paths<S: AsRef<str>>(keys: &[S]) -> Result<Vec<Vec<String>>> {
    let mut paths = Vec::new();
    for key in keys {
        let key = key.as_ref();
        let refuse = |problem: String| Error::Option {
            option: "allow-any",
            problem,
        };
        let top = key.split('.').next().unwrap_or_default();
        match top {
            "" => return Err(refuse(format!("`{key}` is no key; expected one as a.b.c"))),
            "collection" | "product" | "id" => {
                return Err(refuse(format!(
                    "`{key}`: a dataset keeps its id and its product"
                )));
            }
            "assets" => {
                return Err(refuse(format!(
                    "`{key}`: assets become `measurements` and `accessories` in the index; \
                     name one of them, such as measurements.red"
                )));
            }
            "type" | "links" | "bbox" | "stac_version" | "stac_extensions" => {
                return Err(refuse(format!(
                    "`{key}` is of STAC only; nothing of it is in the index"
                )));
            }
            _ => {}
        }
        let place = STAC_PLACES.iter().find(|(stac, _)| *stac == key);
        let property = key.strip_prefix("properties.").and_then(|name| {
            let found = STAC_PROPERTIES.iter().find(|(stac, _)| *stac == name);
            found.map(|(_, eo3)| vec!["properties".to_owned(), (*eo3).to_owned()])
        });
        paths.push(match (place, property) {
            (Some((_, eo3)), _) => eo3.split('.').map(str::to_owned).collect(),
            (None, Some(property)) => property,
            (None, None) => key.split('.').map(str::to_owned).collect(),
        });
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stac_stand_for_those_of_eo3() {
        let paths = allowed_paths(&[
            "properties.eo:cloud_cover",
            "properties.platform",
            "properties.proj:shape",
            "properties.proj:epsg",
            "lineage",
        ])
        .expect("all may change");
        assert_eq!(paths[0], ["properties", "eo:cloud_cover"]);
        assert_eq!(paths[1], ["properties", "eo:platform"]);
        assert_eq!(paths[2], ["grids", "default", "shape"]);
        assert_eq!(paths[3], ["crs"]);
        assert_eq!(paths[4], ["lineage"]);
    }

    #[test]
    fn what_never_changes_is_refused() {
        for key in [
            "collection",
            "assets.red",
            "product.name",
            "id",
            "links",
            "",
        ] {
            let error = allowed_paths(&[key]).expect_err(key);
            assert!(matches!(error, Error::Option { .. }), "{error}");
        }
    }
}
