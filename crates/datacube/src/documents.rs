//! Documents on disk: products and datasets, found, read and added.
//!
//! A bad document never stops the good ones: each gets an outcome of its own,
//! with its file's name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_index::{AddOptions, AddOutcome, Added, Index};
use datacube_model::{Dataset, LocatedDocument, Product, match_product, parse_documents};
use serde_json::Value;
use uuid::Uuid;
use walkdir::WalkDir;

use crate::{Error, Result};

/// Datasets that are written in one transaction.
const BATCH: usize = 1000;

/// What became of one document.
#[derive(Debug)]
#[non_exhaustive]
pub struct DocumentOutcome {
    /// The file, and the part of it when it holds several.
    pub location: String,
    /// The dataset's id or the product's name, as far as it could be read.
    pub name: Option<String>,
    /// Added, already there, or why not.
    pub result: Result<Added>,
}

/// The documents of one file, in order, each with its address as a URI.
///
/// # Errors
/// [`Error::File`] when the file cannot be read, [`Error::Model`] when it is
/// neither YAML nor JSON.
pub fn read_documents(path: &Path) -> Result<Vec<LocatedDocument>> {
    let fail = |problem: String| Error::File {
        path: path.display().to_string(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let absolute = std::path::absolute(path).map_err(|error| fail(error.to_string()))?;
    let uri = url::Url::from_file_path(&absolute)
        .map_err(|()| fail("its name cannot be written as a URL".into()))?;
    Ok(parse_documents(&text, uri.as_str())?)
}

/// Dataset documents under `paths`: files as they are, folders searched for
/// names that end in `odc-metadata` or `eo3`, `.yaml`, `.yml` or `.json`.
///
/// Sorted within each folder, so that two runs do the same.
///
/// # Errors
/// [`Error::File`] for a path that is not there and for a folder without documents.
pub fn find_dataset_documents(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let fail = |problem: String| Error::File {
            path: path.display().to_string(),
            problem,
        };
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !metadata.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry.map_err(|error| fail(error.to_string()))?;
            if entry.file_type().is_file() && is_dataset_document(entry.path()) {
                found.push(entry.into_path());
            }
        }
        if found.len() == before {
            return Err(fail(
                "no dataset documents in this folder; they are expected to be named \
                 `*odc-metadata.yaml`, `*.eo3.yaml` or the same with .json; name others one by one"
                    .into(),
            ));
        }
    }
    Ok(found)
}

fn is_dataset_document(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase());
    let stem = name.as_deref().and_then(|name| {
        [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
    });
    stem.is_some_and(|stem| stem.ends_with("odc-metadata") || stem.ends_with(".eo3"))
}

/// Adds every product definition of `path`.
pub(crate) async fn add_products(index: &dyn Index, path: &Path) -> Result<Vec<DocumentOutcome>> {
    let mut outcomes = Vec::new();
    for document in read_documents(path)? {
        let name = document
            .document
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let result = add_product(index, document.document).await;
        outcomes.push(DocumentOutcome {
            location: document.uri,
            name,
            result,
        });
    }
    Ok(outcomes)
}

async fn add_product(index: &dyn Index, document: Value) -> Result<Added> {
    let types = index.metadata_types().await?;
    let product = Product::from_document(document, &types).map_err(datacube_model::Error::from)?;
    if index
        .metadata_type(product.metadata_type().name())
        .await
        .is_err()
    {
        index.add_metadata_type(product.metadata_type()).await?;
    }
    Ok(index.add_product(&product).await?)
}

/// Which products a document may belong to.
#[derive(Debug, Clone, Default)]
pub struct MatchOptions {
    /// Only these; default: all of the index.
    pub products: Vec<String>,
    /// None of these.
    pub exclude: Vec<String>,
    /// Check and match, and write nothing.
    pub dry_run: bool,
}

/// Reads, matches and adds the dataset documents in `files`; `report` is called
/// for each document as soon as its fate is known.
///
/// # Errors
/// For an unknown product, and when the index cannot be written. What is wrong
/// with a document is in its outcome.
pub(crate) async fn add_datasets(
    index: &dyn Index,
    files: &[PathBuf],
    options: &MatchOptions,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    let products = candidate_products(index, options).await?;
    let mut batch: Vec<(String, Dataset)> = Vec::new();
    for file in files {
        let documents = match read_documents(file) {
            Ok(documents) => documents,
            Err(error) => {
                let location = file.display().to_string();
                report(DocumentOutcome {
                    location,
                    name: None,
                    result: Err(error),
                });
                continue;
            }
        };
        for document in documents {
            let name = document
                .document
                .get("id")
                .and_then(Value::as_str)
                .map(str::to_owned);
            match read_dataset(document.document, &document.uri, &products) {
                Ok(dataset) => batch.push((document.uri, dataset)),
                Err(error) => {
                    report(DocumentOutcome {
                        location: document.uri,
                        name,
                        result: Err(error),
                    });
                }
            }
            if batch.len() >= BATCH {
                write_batch(index, std::mem::take(&mut batch), options, report).await?;
            }
        }
    }
    write_batch(index, batch, options, report).await
}

async fn candidate_products(
    index: &dyn Index,
    options: &MatchOptions,
) -> Result<Vec<Arc<Product>>> {
    for name in options.products.iter().chain(&options.exclude) {
        // An unknown name is an error that lists the near ones.
        index.product(name).await?;
    }
    let mut products = index.products().await?;
    products.retain(|product| {
        let name = product.name().to_owned();
        (options.products.is_empty() || options.products.contains(&name))
            && !options.exclude.contains(&name)
    });
    if products.is_empty() {
        return Err(Error::Option {
            option: "product",
            problem: "the index has no products to match documents against; add one with \
                      `datacube product add`"
                .into(),
        });
    }
    Ok(products)
}

fn read_dataset(document: Value, uri: &str, products: &[Arc<Product>]) -> Result<Dataset> {
    let product = match_product(&document, products)?;
    let dataset = Dataset::from_document(document, product, [uri.to_owned()])
        .map_err(datacube_model::Error::from)?;
    Ok(dataset)
}

async fn write_batch(
    index: &dyn Index,
    batch: Vec<(String, Dataset)>,
    options: &MatchOptions,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let (locations, datasets): (Vec<String>, Vec<Dataset>) = batch.into_iter().unzip();
    let ids: Vec<Uuid> = datasets.iter().map(Dataset::id).collect();
    let results: Vec<Result<Added>> = if options.dry_run {
        let there = index.has(&ids).await?;
        there
            .into_iter()
            .map(|there| {
                Ok(if there {
                    Added::AlreadyThere
                } else {
                    Added::New
                })
            })
            .collect()
    } else {
        let outcomes = index.add_datasets(datasets, &AddOptions::default()).await?;
        outcomes
            .into_iter()
            .map(|outcome| match outcome {
                AddOutcome::Added => Ok(Added::New),
                AddOutcome::AlreadyThere => Ok(Added::AlreadyThere),
                AddOutcome::Failed(error) => Err(error.into()),
            })
            .collect()
    };
    for ((location, id), result) in locations.into_iter().zip(ids).zip(results) {
        report(DocumentOutcome {
            location,
            name: Some(id.to_string()),
            result,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_searched_for_dataset_documents() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            std::fs::write(&path, "{}").expect("written");
            path
        };
        let expected = [
            write("a/x.odc-metadata.yaml"),
            write("b/odc-metadata.json"),
            write("c.eo3.yml"),
        ];
        write("b/product.yaml");
        write("b/thumbnail.jpg");
        let found = find_dataset_documents(&[folder.path().to_owned()]).expect("found");
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let missing = PathBuf::from("/no/such/folder");
        let message = find_dataset_documents(&[missing]).unwrap_err().to_string();
        assert!(message.contains("/no/such/folder"), "{message}");
        let empty = tempfile::tempdir().expect("a folder");
        let message = find_dataset_documents(&[empty.path().to_owned()])
            .unwrap_err()
            .to_string();
        assert!(message.contains("odc-metadata.yaml"), "{message}");
    }
}
