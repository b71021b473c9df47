//! Where to look and how: what a caller may say about sources of documents.

use serde_json::{Map, Value};

/// Whether requests to object stores are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// When the environment has credentials.
    #[default]
    Auto,
    /// Always; credentials come from the environment or from the machine.
    Always,
    /// Never: the data is public.
    Never,
}

/// How places are read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SourceOptions {
    /// Requests and files at the same time (default: 32).
    pub concurrency: usize,
    /// Whether requests to object stores are signed (default: when there are credentials).
    pub signing: Signing,
    /// Whether the reader pays for requests to S3 (default: no).
    pub requester_pays: bool,
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
            signing: Signing::Auto,
            requester_pays: false,
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

    /// Signs requests to object stores, or not.
    #[must_use]
    pub fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
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
