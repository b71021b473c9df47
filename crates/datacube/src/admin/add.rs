//! Datasets added from documents: read and checked on many threads, written in as many
//! batches at once as the index takes.
//!
//! A bad document or place never stops the good ones: each gets an outcome of
//! its own, with its address. While batches are written the next is read, and memory
//! holds a few of them however many documents there are.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use datacube_index::{AddOptions, AddOutcome, Added, Error as IndexError, Index};
use datacube_model::changes::dataset_changes;
use datacube_model::stac::{StacConfig, StacItem};
use datacube_model::{Dataset, LocatedDocument, Product};
use futures::stream::{FuturesOrdered, StreamExt};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use serde_json::Value;
use uuid::Uuid;

use crate::documents::DocumentOutcome;
use crate::places::{self, Found, ItemRules, SourceOptions, Unmatched};
use crate::{Error, Result};

/// Files that are read, and datasets that are written, at once.
const BATCH: usize = 2000;

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
    /// Make the products of STAC items that are not in the index (default: no).
    pub infer_products: bool,
    /// What STAC items leave out.
    pub stac: StacConfig,
    /// Write the addresses of STAC assets that lie beside their item relative
    /// to it (default: no).
    pub relative_assets: bool,
    /// How places are read: requests at once, signing, what is asked of a STAC API.
    pub sources: SourceOptions,
}

/// What documents are matched against. Products that are made on the way are added.
#[derive(Clone)]
struct Rules {
    products: Arc<RwLock<Vec<Arc<Product>>>>,
    /// Whether the caller named the products.
    chosen: bool,
    items: ItemRules,
}

impl Rules {
    fn products(&self) -> Vec<Arc<Product>> {
        self.products
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// A document that was read: a dataset, or why there is none.
struct Read {
    location: String,
    name: Option<String>,
    dataset: Result<Dataset, Unmatched>,
}

/// Reads, matches and adds the dataset documents at `paths`: files, folders,
/// patterns, tar files, and the addresses of buckets, servers, STAC catalogues
/// and APIs. `report` is called for each document as soon as its fate is known.
///
/// # Errors
/// For an unknown product, and when the index cannot be written. What is wrong
/// with a place or a document is in its outcome.
pub(crate) async fn add_datasets(
    index: &dyn Index,
    paths: &[PathBuf],
    options: &MatchOptions,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    let places = paths
        .iter()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    let rules = Rules {
        products: Arc::new(RwLock::new(candidate_products(index, options).await?)),
        chosen: !options.products.is_empty(),
        items: ItemRules {
            stac: options.stac.clone(),
            relative_assets: options.relative_assets,
        },
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.workers.unwrap_or(0))
        .thread_name(|n| format!("datacube-read-{n}"))
        .build()
        .map_err(|error| Error::Runtime {
            reason: error.to_string(),
        })?;
    let pool = Arc::new(pool);
    let (sender, mut batches) = tokio::sync::mpsc::channel(1);
    let (found, shared) = (places::find(places, &options.sources), rules.clone());
    let reading = tokio::spawn(async move {
        let mut chunks = std::pin::pin!(found.chunks(BATCH));
        while let Some(chunk) = chunks.next().await {
            let (pool, rules) = (pool.clone(), shared.clone());
            let work = move || {
                let products = rules.products();
                let read = |found| read(found, &products, &rules);
                let all = || {
                    chunk
                        .into_par_iter()
                        .flat_map_iter(read)
                        .collect::<Vec<_>>()
                };
                pool.install(all)
            };
            let read = tokio::task::spawn_blocking(work).await?;
            // The receiver is gone when a batch could not be written.
            if sender.send(read).await.is_err() {
                break;
            }
        }
        Ok::<_, tokio::task::JoinError>(())
    });
    // A batch may need what the one before it leaves.
    let in_turn = options.require_sources || options.add.archive_less_mature.is_some();
    let n_writers = if in_turn { 1 } else { index.writers() };
    let mut writing = FuturesOrdered::new();
    loop {
        let next = tokio::select! {
            Some(written) = writing.next() => {
                tell(written, report)?;
                continue;
            }
            next = batches.recv(), if writing.len() < n_writers => next,
        };
        let Some(read) = next else {
            break;
        };
        let mut datasets = Vec::new();
        for item in read {
            let dataset = match item.dataset {
                Ok(dataset) => Ok(dataset),
                Err(Unmatched::Failed(error)) => Err(*error),
                Err(Unmatched::NoProduct { item: of, .. }) if options.infer_products => {
                    with_product(index, &of, &item.location, &rules, options.dry_run).await
                }
                Err(Unmatched::NoProduct { error, .. }) => Err(*error),
            };
            match dataset {
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
            if writing.len() >= n_writers
                && let Some(written) = writing.next().await
            {
                tell(written, report)?;
            }
            let batch = std::mem::replace(&mut datasets, rest);
            writing.push_back(write(index, batch, options));
        }
    }
    while let Some(written) = writing.next().await {
        tell(written, report)?;
    }
    // What stopped in the middle must not pass for the end.
    let read = reading.await.and_then(|read| read);
    read.map_err(|error| Error::Runtime {
        reason: format!("reading documents stopped: {error}"),
    })
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
    if products.is_empty() && options.infer_products {
        return Ok(products);
    }
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

fn read(found: Found, products: &[Arc<Product>], rules: &Rules) -> Vec<Read> {
    let one = |(location, document): (String, Result<LocatedDocument>)| {
        let (name, dataset) = match document {
            Ok(located) => {
                let name = located.document.get("id").and_then(Value::as_str);
                let name = name.map(str::to_owned);
                let dataset = places::dataset(located, products, rules.chosen, &rules.items);
                (name, dataset)
            }
            Err(error) => (None, Err(error.into())),
        };
        Read {
            location,
            name,
            dataset,
        }
    };
    places::read(found).into_iter().map(one).collect()
}

/// The dataset of an item whose product was not there; it is made of the item,
/// unless another item of the collection has had it made.
async fn with_product(
    index: &dyn Index,
    item: &StacItem,
    location: &str,
    rules: &Rules,
    dry_run: bool,
) -> Result<Dataset> {
    let known = rules.products();
    let there = places::product_of(item, &known, false, &rules.items.stac);
    let product = match there {
        Ok(product) => product,
        Err(_) => {
            let definition = places::inferred_product(item, &rules.items.stac)?;
            let types = index.metadata_types().await?;
            let product =
                Product::from_document(definition, &types).map_err(datacube_model::Error::from)?;
            if !dry_run {
                index.add_product(&product).await?;
            }
            let product = Arc::new(product);
            let mut products = rules
                .products
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            products.push(product.clone());
            product
        }
    };
    places::item_dataset(item, product, location, &rules.items)
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

fn tell(
    written: Result<Vec<DocumentOutcome>>,
    report: &mut (dyn FnMut(DocumentOutcome) + Send),
) -> Result<()> {
    written?.into_iter().for_each(report);
    Ok(())
}

async fn write(
    index: &dyn Index,
    batch: Vec<(String, Dataset)>,
    options: &MatchOptions,
) -> Result<Vec<DocumentOutcome>> {
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
    let each = locations.into_iter().zip(ids).zip(results);
    let outcome = |((location, id), result): ((String, Uuid), Result<Added>)| DocumentOutcome {
        location,
        name: Some(id.to_string()),
        result,
    };
    Ok(each.map(outcome).collect())
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
