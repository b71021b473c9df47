//! The contract of an index, and the convenience built on it.
//!
//! An index holds metadata types, products and datasets, by name and by id,
//! and finds datasets again. [`Index`] is what an implementation writes;
//! [`IndexExt`] is what callers like to call and is the same for all of them.
//! Whatever goes over this border is a value of the model: no rows, no
//! connections, no SQL.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use datacube_model::{Dataset, MetadataType, Product};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use uuid::Uuid;

use crate::error::{Error, Kind, Result};
use crate::fields::SearchFields;
use crate::query::Query;

/// Contract: a store of metadata types, products and datasets.
///
/// - Every method may be called at the same time from any number of tasks, and
///   the index may be changed by other processes meanwhile.
/// - A method that writes does all of what it reports or, when it returns an
///   error, nothing.
/// - Lists of metadata types and products are ordered by name; datasets that
///   were searched by (middle of their time range, id).
/// - Before [`Index::init`] an index that keeps its data somewhere answers
///   everything with [`Error::NotInitialised`].
///
/// [`crate::testing`] has the cases that every implementation passes.
#[async_trait]
pub trait Index: Debug + Send + Sync {
    /// The address of the index, fit to be shown: without any password.
    fn url(&self) -> &str;

    /// Makes the index ready for use: creates what is missing, brings an older
    /// one up to date, adds the built-in metadata types that are missing.
    ///
    /// Doing it twice changes nothing.
    ///
    /// # Errors
    /// When the place cannot be written to or holds something else.
    async fn init(&self, options: &InitOptions) -> Result<InitOutcome>;

    /// What the index is and whether it can be used, without changing it.
    ///
    /// # Errors
    /// [`Error::NotInitialised`], or why it cannot be used.
    async fn check(&self) -> Result<IndexInfo>;

    /// Adds a metadata type; the same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::DifferentDefinition`] when the name is taken by another.
    async fn add_metadata_type(&self, metadata_type: &MetadataType) -> Result<Added>;

    /// The metadata type of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the names there are.
    async fn metadata_type(&self, name: &str) -> Result<MetadataType>;

    /// All metadata types.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn metadata_types(&self) -> Result<Vec<MetadataType>>;

    /// Adds a product, and its metadata type where the index lacks it; the
    /// same one again changes nothing.
    ///
    /// # Errors
    /// [`Error::DifferentDefinition`] when the name of the product or of its
    /// metadata type is taken by another.
    async fn add_product(&self, product: &Product) -> Result<Added>;

    /// The product of that name.
    ///
    /// # Errors
    /// [`Error::NotFound`], with the names there are.
    async fn product(&self, name: &str) -> Result<Arc<Product>>;

    /// All products.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn products(&self) -> Result<Vec<Arc<Product>>>;

    /// Adds datasets, all in one transaction; what became of each is told in
    /// the order of `datasets`.
    ///
    /// A dataset that cannot be added (its product is not in the index, or has
    /// another definition there; its id is taken by another document) is
    /// reported in its place and keeps no other from being added. One that is
    /// there with the same document is left as it is, its locations and
    /// whether it is archived included.
    ///
    /// # Errors
    /// When the index as a whole cannot be written; then none was added.
    async fn add_datasets(
        &self,
        datasets: Vec<Dataset>,
        options: &AddOptions,
    ) -> Result<Vec<AddOutcome>>;

    /// The datasets of those ids, archived ones included, in the order of
    /// `ids`; `None` where there is none.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn datasets(&self, ids: &[Uuid]) -> Result<Vec<Option<Dataset>>>;

    /// Which of the ids the index holds, archived ones included, in the order
    /// of `ids`.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn has(&self, ids: &[Uuid]) -> Result<Vec<bool>>;

    /// The datasets that satisfy the query, ordered by (middle of the time
    /// range, id), as they are read: the memory in use does not grow with the
    /// number of datasets found.
    ///
    /// Names, types and areas are checked before the first dataset is read;
    /// the stream then begins with the error. Datasets that are added, or
    /// archived, while the stream is read may or may not be in it; all others
    /// are in it once.
    fn search<'a>(&'a self, query: &Query) -> BoxStream<'a, Result<Dataset>>;

    /// How many datasets [`Index::search`] would give.
    ///
    /// # Errors
    /// As the first item of [`Index::search`].
    async fn count(&self, query: &Query) -> Result<u64>;

    /// Marks datasets as archived at `when`; those that are archived already
    /// keep their time.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn archive(&self, ids: &[Uuid], when: Timestamp) -> Result<ArchiveReport>;

    /// Makes archived datasets active again.
    ///
    /// # Errors
    /// When the index cannot be written.
    async fn restore(&self, ids: &[Uuid]) -> Result<ArchiveReport>;
}

/// How an index is made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InitOptions {
    /// Whether the built-in metadata types are added (default: yes).
    pub default_types: bool,
}

impl Default for InitOptions {
    fn default() -> Self {
        InitOptions {
            default_types: true,
        }
    }
}

impl InitOptions {
    /// Adds the built-in metadata types, or not.
    #[must_use]
    pub fn default_types(mut self, add: bool) -> Self {
        self.default_types = add;
        self
    }
}

/// What [`Index::init`] found and did.
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
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct IndexInfo {
    /// The kind of index: `memory`, `sqlite`.
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

/// How datasets are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddOptions {
    /// The time that is noted as the one of indexing (default: now).
    pub indexed_at: Option<Timestamp>,
}

impl AddOptions {
    /// Notes `when` as the time of indexing.
    #[must_use]
    pub fn indexed_at(mut self, when: Timestamp) -> Self {
        self.indexed_at = Some(when);
        self
    }
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

/// What became of the ids that were archived or restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveReport {
    /// Those whose state changed, in the order given.
    pub changed: Vec<Uuid>,
    /// Those that were in that state already.
    pub unchanged: Vec<Uuid>,
    /// Those that the index does not hold.
    pub unknown: Vec<Uuid>,
}

/// Convenience over any [`Index`].
#[async_trait]
pub trait IndexExt: Index {
    /// The dataset of that id, archived or not.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    async fn dataset(&self, id: Uuid) -> Result<Dataset> {
        let found = self.datasets(&[id]).await?.into_iter().next().flatten();
        found.ok_or_else(|| Error::NotFound {
            kind: Kind::Dataset,
            name: id.to_string(),
            known: Vec::new(),
        })
    }

    /// Adds one dataset; an outcome of [`AddOutcome::Failed`] is an error.
    ///
    /// # Errors
    /// Whatever kept it from being added.
    async fn add_dataset(&self, dataset: Dataset) -> Result<Added> {
        let outcomes = self
            .add_datasets(vec![dataset], &AddOptions::default())
            .await?;
        match outcomes.into_iter().next() {
            Some(AddOutcome::AlreadyThere) => Ok(Added::AlreadyThere),
            Some(AddOutcome::Failed(error)) => Err(error),
            Some(AddOutcome::Added) | None => Ok(Added::New),
        }
    }

    /// All datasets that satisfy the query, in memory.
    ///
    /// # Errors
    /// As [`Index::search`].
    async fn find(&self, query: &Query) -> Result<Vec<Dataset>> {
        self.search(query).try_collect().await
    }

    /// The names of all products.
    ///
    /// # Errors
    /// When the index cannot be read.
    async fn product_names(&self) -> Result<Vec<String>> {
        Ok(self
            .products()
            .await?
            .iter()
            .map(|product| product.name().to_owned())
            .collect())
    }

    /// What can be searched in these products; with none named, in all.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a product that the index does not hold.
    async fn search_fields(&self, products: &[String]) -> Result<SearchFields> {
        SearchFields::of(&self.products().await?, products)
    }

    /// Reads a search expression of the command line, such as
    /// `product = ls8_c2l2 time in 2020-03 cloud_cover < 20`, against the
    /// fields that the index has; [`crate::expression`] tells the grammar.
    ///
    /// # Errors
    /// [`Error::Expression`], with the place where it goes wrong;
    /// [`Error::NotFound`] for an unknown product.
    async fn parse_query(&self, text: &str) -> Result<Query> {
        crate::expression::parse(text, &self.products().await?)
    }
}

impl<T: Index + ?Sized> IndexExt for T {}
