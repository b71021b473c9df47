//! What callers like to call, over any index.

use async_trait::async_trait;
use datacube_model::Dataset;
use futures::TryStreamExt;
use uuid::Uuid;

use super::{AddOptions, AddOutcome, Added, Index};
use crate::error::{Error, Kind, Result};
use crate::fields::SearchFields;
use crate::query::Query;

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
