//! Product and dataset metadata: what there is, and how it is found.
//!
//! [`Index`] is the contract: metadata types, products and datasets go in by
//! name and id, and a [`Query`] finds datasets again, in a fixed order, as a
//! stream. [`MemoryIndex`] and [`EmbeddedIndex`] (one SQLite file) keep it;
//! [`open`] picks one by its URL. Only values of the model cross this border.
//!
//! ```
//! use datacube_index::{FieldTest, IndexExt, MemoryIndex, Query};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let index = MemoryIndex::new();
//! let query = Query::new().field("cloud_cover", FieldTest::at_most(20));
//! let error = index.find(&query).await.unwrap_err();
//! assert!(error.to_string().contains("no product to search yet"));
//! # Ok::<(), datacube_index::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agdc;
mod catalog;
mod columns;
mod definitions;
mod differences;
mod embedded;
mod error;
pub mod expression;
mod extent;
mod fields;
mod footprint;
mod locations;
mod maturity;
mod memory;
mod migrate;
mod open;
mod periods;
mod postgis;
mod postgres;
mod query;
mod record;
mod relations;
mod resolve;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time_range;
mod transfer;
mod updates;

pub use agdc::AgdcIndex;
pub use catalog::{
    AddOptions, AddOutcome, Added, ArchiveReport, DeleteOptions, DeleteOutcome, Duplicates, Index,
    IndexExt, IndexInfo, InitOptions, InitOutcome, LineageOptions, LineageReport, LocationPolicy,
    Outline, PurgeOptions, PurgeReport, UpdateDatasetOptions, UpdateOptions, UpdateOutcome,
    Updated, User,
};
pub use embedded::EmbeddedIndex;
pub use error::{Error, Kind, Result, Schema};
pub use fields::{FieldClass, SearchFields};
pub use memory::MemoryIndex;
pub use open::{OpenOptions, open, open_or_init, without_password};
pub use postgis::PostgisIndex;
pub use query::{ArchivedFilter, FieldTest, Order, Query, Scalar, UriMatch};
pub use time_range::TimeRange;
pub use transfer::{CloneLineage, CloneOptions, CloneReport, clone_index};
