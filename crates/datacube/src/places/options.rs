//! Where to look and how: what a caller may say about sources of documents.

use datacube_load::StoreRegistry;
use serde_json::{Map, Value};

/// How places are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Requests and files at the same time (default: 32).
    pub concurrency: usize,
    /// The stores that are read (default: those of the cube, else of the process).
    pub stores: Option<StoreRegistry>,
    /// At most so many documents (default: all).
    pub limit: Option<usize>,
    /// What is asked of a STAC API: `collections`, `bbox`, `datetime`, `ids`,
    /// `intersects`, `query`, `filter` ... (default: everything).
    pub search: Map<String, Value>,
    /// Where members of tar files are, such as `s3://`, when their names are
    /// addresses without a scheme (default: beside the tar file).
    pub tar_base: Option<String>,
}

impl Default for SourceOptions {
    fn default() -> Self {
        SourceOptions {
            concurrency: 32,
            stores: None,
            limit: None,
            search: Map::new(),
            tar_base: None,
        }
    }
}

impl SourceOptions {
    /// So many requests and files at the same time.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }

    /// Reads from these stores.
    #[must_use]
    pub fn stores(mut self, stores: StoreRegistry) -> Self {
        self.stores = Some(stores);
        self
    }

    /// Reads no more than so many documents.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Asks a STAC API for this, such as `("collections", json!(["sentinel-2-l2a"]))`.
    #[must_use]
    pub fn search(mut self, key: impl Into<String>, value: Value) -> Self {
        self.search.insert(key.into(), value);
        self
    }
}
