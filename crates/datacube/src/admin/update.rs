//! Datasets updated from documents.

use std::path::PathBuf;
use std::sync::Arc;

use datacube_index::{Error as IndexError, Index, Kind, UpdateDatasetOptions, UpdateOutcome};
use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{Dataset, LocatedDocument, Looks, match_product};
use futures::StreamExt;
use serde_json::Value;
use uuid::Uuid;

use crate::places::{self, ItemRules, SourceOptions};
use crate::{Datacube, Error, Result};

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

/// How datasets are updated from documents.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DocumentUpdate {
    /// What may change, and what becomes of earlier locations.
    pub update: UpdateDatasetOptions,
    /// What STAC items leave out.
    pub stac: StacConfig,
    /// Write the addresses of STAC assets that lie beside their item relative
    /// to it (default: no).
    pub relative_assets: bool,
    /// How places are read.
    pub sources: SourceOptions,
}

impl From<UpdateDatasetOptions> for DocumentUpdate {
    fn from(update: UpdateDatasetOptions) -> Self {
        DocumentUpdate {
            update,
            ..DocumentUpdate::default()
        }
    }
}

impl DocumentUpdate {
    /// Writes the addresses of STAC assets relative to their item, or not.
    #[must_use]
    pub fn relative_assets(mut self, relative: bool) -> Self {
        self.relative_assets = relative;
        self
    }
}

impl Datacube {
    /// Replaces datasets by the documents at `paths`, which are as those of
    /// [`Datacube::add_datasets`]; `report` hears of each as its fate is known.
    ///
    /// A dataset keeps its product. A document whose dataset is not in the
    /// index is reported as not found.
    ///
    /// # Errors
    /// When the index cannot be written. What is wrong with a place or a
    /// document is in its outcome, and does not stop the others.
    pub fn update_datasets_with(
        &self,
        paths: Vec<PathBuf>,
        options: &DocumentUpdate,
        report: impl FnMut(UpdatedDocument) + Send + 'static,
    ) -> Result<()> {
        self.opened().block_on(update_datasets(
            self.index().clone(),
            paths,
            self.document_update(options),
            report,
        ))
    }

    /// The options, with the stores of this cube where they name none.
    fn document_update(&self, options: &DocumentUpdate) -> DocumentUpdate {
        let mut options = options.clone();
        options
            .sources
            .stores
            .get_or_insert_with(|| self.stores().clone());
        options
    }

    /// [`Datacube::update_datasets_with`], awaited.
    ///
    /// # Errors
    /// As [`Datacube::update_datasets_with`].
    pub async fn update_datasets_with_async(
        &self,
        paths: Vec<PathBuf>,
        options: &DocumentUpdate,
        report: impl FnMut(UpdatedDocument) + Send + 'static,
    ) -> Result<()> {
        let options = self.document_update(options);
        let work = update_datasets(self.index().clone(), paths, options, report);
        self.opened().spawn(work).await
    }
}

async fn update_datasets(
    index: Arc<dyn Index>,
    paths: Vec<PathBuf>,
    options: DocumentUpdate,
    mut report: impl FnMut(UpdatedDocument) + Send + 'static,
) -> Result<()> {
    let places = paths
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let rules = ItemRules {
        stac: options.stac.clone(),
        relative_assets: options.relative_assets,
    };
    let found = places::find(places, &options.sources);
    let mut chunks = std::pin::pin!(found.chunks(BATCH));
    while let Some(chunk) = chunks.next().await {
        let mut batch = Vec::new();
        for (location, document) in chunk.into_iter().flat_map(places::read) {
            match document.and_then(|located| Given::of(located, &rules)) {
                Ok(given) => batch.push(given),
                Err(error) => report(UpdatedDocument {
                    location,
                    name: None,
                    result: Err(error),
                }),
            }
        }
        update_batch(&*index, batch, &options.update, &rules, &mut report).await?;
    }
    Ok(())
}

/// A document of a dataset whose id is known.
struct Given {
    location: String,
    id: Uuid,
    content: Content,
}

enum Content {
    Eo3(Value),
    Item(Box<StacItem>),
}

impl Given {
    fn of(located: LocatedDocument, rules: &ItemRules) -> Result<Self> {
        let LocatedDocument { uri, document, .. } = located;
        let (id, content) = if Looks::of(&document) == Some(Looks::StacItem) {
            let item = StacItem::from_document(document).map_err(datacube_model::Error::from)?;
            let id = item
                .dataset_id(&rules.stac)
                .map_err(datacube_model::Error::from)?;
            (id, Content::Item(Box::new(item)))
        } else {
            let id = id_of(&document).ok_or_else(|| Error::File {
                path: uri.clone(),
                problem: "the document has no `id` that is a UUID".into(),
            })?;
            (id, Content::Eo3(document))
        };
        Ok(Given {
            location: uri,
            id,
            content,
        })
    }

    /// The dataset, of the product that it has in the index.
    fn dataset(self, existing: Option<Dataset>, rules: &ItemRules) -> Result<Dataset> {
        let Some(existing) = existing else {
            return Err(IndexError::NotFound {
                kind: Kind::Dataset,
                name: self.id.to_string(),
                known: Vec::new(),
            }
            .into());
        };
        let product = existing.product().clone();
        match self.content {
            Content::Item(item) => places::item_dataset(&item, product, &self.location, rules),
            Content::Eo3(document) => {
                match_product(&document, std::slice::from_ref(&product))?;
                Ok(Dataset::from_document(document, product, [self.location])
                    .map_err(datacube_model::Error::from)?)
            }
        }
    }
}

async fn update_batch(
    index: &dyn Index,
    batch: Vec<Given>,
    options: &UpdateDatasetOptions,
    rules: &ItemRules,
    report: &mut (dyn FnMut(UpdatedDocument) + Send),
) -> Result<()> {
    let ids: Vec<Uuid> = batch.iter().map(|given| given.id).collect();
    let there = index.datasets(&ids).await?;
    let (mut locations, mut datasets) = (Vec::new(), Vec::new());
    for (given, existing) in batch.into_iter().zip(there) {
        let (location, id) = (given.location.clone(), given.id);
        match given.dataset(existing, rules) {
            Ok(dataset) => {
                locations.push(location);
                datasets.push(dataset);
            }
            Err(error) => report(UpdatedDocument {
                location,
                name: Some(id.to_string()),
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
