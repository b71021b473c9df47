//! Datasets added from documents: read and checked on many threads, written by one.
//!
//! A bad document never stops the good ones: each gets an outcome of its own,
//! with its file's name. While one batch is written the next is read, so the
//! index is never waited for by more than one batch, and memory holds a few of
//! them however many documents there are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_index::{AddOptions, AddOutcome, Added, Error as IndexError, Index};
use datacube_model::changes::dataset_changes;
use datacube_model::{Dataset, LocatedDocument, Product, match_product};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value;
use uuid::Uuid;

use crate::documents::{self, DocumentOutcome};
use crate::{Error, Result};

/// Files that are read, and datasets that are written, at once.
const BATCH: usize = 1000;

/// Which products documents may belong to, and how they are added.
#[derive(Debug, Clone, Default)]
pub struct MatchOptions {
    /// Only these; default: all of the index.
    pub products: Vec<String>,
    /// None of these.
    pub exclude: Vec<String>,
    /// Check and match, and write nothing (default: no).
    pub dry_run: bool,
    /// How datasets are added: lineage, maturity.
    pub add: AddOptions,
    /// Refuse datasets that were made from others that are neither in the
    /// index nor added with them (default: no).
    pub require_sources: bool,
    /// Threads that read and check documents; default: one for each core.
    pub workers: Option<usize>,
}

/// A document that was read: a dataset, or why there is none.
struct Read {
    location: String,
    name: Option<String>,
    dataset: Result<Dataset>,
}

/// Reads, matches and adds the dataset documents at `paths`; `report` is called
/// for each document as soon as its fate is known.
///
/// # Errors
/// For a path that is not there, an unknown product, and when the index cannot
/// be written. What is wrong with a document is in its outcome.
pub(crate) async fn add_datasets(
    index: &dyn Index,
    paths: &[PathBuf],
    options: &MatchOptions,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    let files = documents::find_dataset_documents(paths)?;
    let products = candidate_products(index, options).await?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.workers.unwrap_or(0))
        .thread_name(|n| format!("datacube-read-{n}"))
        .build()
        .map_err(|error| Error::Runtime {
            reason: error.to_string(),
        })?;
    let (sender, mut batches) = tokio::sync::mpsc::channel(1);
    tokio::task::spawn_blocking(move || {
        for files in files.chunks(BATCH) {
            let read: Vec<Vec<Read>> =
                pool.install(|| files.par_iter().map(|file| read(file, &products)).collect());
            // The receiver is gone when a batch could not be written.
            if sender.blocking_send(read).is_err() {
                break;
            }
        }
    });
    while let Some(read) = batches.recv().await {
        let mut datasets = Vec::new();
        for item in read.into_iter().flatten() {
            match item.dataset {
                Ok(dataset) => datasets.push((item.location, dataset)),
                Err(error) => report(DocumentOutcome {
                    location: item.location,
                    name: item.name,
                    result: Err(error),
                }),
            }
        }
        if options.require_sources {
            datasets = with_sources(index, datasets, report).await?;
        }
        // A file may hold many documents.
        while !datasets.is_empty() {
            let rest = datasets.split_off(datasets.len().min(BATCH));
            write(
                index,
                std::mem::replace(&mut datasets, rest),
                options,
                report,
            )
            .await?;
        }
    }
    Ok(())
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
    if products.is_empty() {
        return Err(Error::Option {
            option: "product",
            problem: "the index has no products to match documents against; add one with \
                      `datacube product add`"
                .into(),
        });
    }
    products.retain(|product| {
        let is = |name: &String| name == product.name();
        (options.products.is_empty() || options.products.iter().any(is))
            && !options.exclude.iter().any(is)
    });
    if products.is_empty() {
        return Err(Error::Option {
            option: "exclude-product",
            problem: "no product is left to match documents against".into(),
        });
    }
    Ok(products)
}

fn read(file: &Path, products: &[Arc<Product>]) -> Vec<Read> {
    match documents::read_documents(file) {
        Ok(documents) => documents
            .into_iter()
            .map(|document| read_dataset(document, products))
            .collect(),
        Err(error) => vec![Read {
            location: file.display().to_string(),
            name: None,
            dataset: Err(error),
        }],
    }
}

fn read_dataset(document: LocatedDocument, products: &[Arc<Product>]) -> Read {
    let LocatedDocument { uri, document, .. } = document;
    let name = document
        .get("id")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let dataset = match match_product(&document, products) {
        Ok(product) => Dataset::from_document(document, product, [uri.clone()])
            .map_err(|problems| datacube_model::Error::from(problems).into()),
        Err(error) => Err(error.into()),
    };
    Read {
        location: uri,
        name,
        dataset,
    }
}

/// Those of the datasets whose sources are all known; the others are reported.
async fn with_sources(
    index: &dyn Index,
    datasets: Vec<(String, Dataset)>,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<Vec<(String, Dataset)>> {
    let own: HashSet<Uuid> = datasets.iter().map(|(_, dataset)| dataset.id()).collect();
    let elsewhere: HashSet<Uuid> = datasets
        .iter()
        .flat_map(|(_, dataset)| dataset.lineage().iter().map(|(_, id)| id))
        .filter(|id| !own.contains(id))
        .collect();
    let elsewhere: Vec<Uuid> = elsewhere.into_iter().collect();
    let there = index.has(&elsewhere).await?;
    let missing: HashSet<Uuid> = elsewhere
        .into_iter()
        .zip(there)
        .filter_map(|(id, there)| (!there).then_some(id))
        .collect();
    let mut known = Vec::new();
    for (location, dataset) in datasets {
        let lineage = dataset.lineage();
        let lacking = lineage.iter().find(|(_, id)| missing.contains(id));
        match lacking {
            None => known.push((location, dataset)),
            Some((classifier, source)) => {
                let problem = format!(
                    "its source {source} ({classifier}) is not in the index; add that one first"
                );
                report(DocumentOutcome {
                    location,
                    name: Some(dataset.id().to_string()),
                    result: Err(Error::Dataset {
                        dataset: dataset.id(),
                        problem,
                    }),
                });
            }
        }
    }
    Ok(known)
}

async fn write(
    index: &dyn Index,
    batch: Vec<(String, Dataset)>,
    options: &MatchOptions,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    let (locations, datasets): (Vec<String>, Vec<Dataset>) = batch.into_iter().unzip();
    let ids: Vec<Uuid> = datasets.iter().map(Dataset::id).collect();
    let results = if options.dry_run {
        let there = index.datasets(&ids).await?;
        let pairs = datasets.iter().zip(there);
        pairs.map(|(given, there)| compare(given, there)).collect()
    } else {
        let outcomes = index.add_datasets(datasets, &options.add).await?;
        outcomes
            .into_iter()
            .map(|outcome| match outcome {
                AddOutcome::Added => Ok(Added::New),
                AddOutcome::AlreadyThere => Ok(Added::AlreadyThere),
                AddOutcome::Failed(error) => Err(error.into()),
            })
            .collect::<Vec<Result<Added>>>()
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

/// What adding a dataset would give where there may be one of its id.
fn compare(given: &Dataset, there: Option<Dataset>) -> Result<Added> {
    let Some(there) = there else {
        return Ok(Added::New);
    };
    let changes = dataset_changes(there.document(), given.document(), &[]);
    if changes.is_empty() {
        return Ok(Added::AlreadyThere);
    }
    Err(IndexError::DifferentDocument {
        id: given.id(),
        differences: changes.iter().map(|change| change.path.clone()).collect(),
    }
    .into())
}
