//! What can go wrong between items and tables.

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between items and tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An item that cannot be a row.
    #[error("item {item}: {problem}")]
    Item {
        /// Its id, or its number where it has none.
        item: String,
        /// What is wrong with it, with the path.
        problem: String,
    },
    /// A file that is no table of items.
    #[error("not a table of STAC items: {problem}")]
    Layout {
        /// What is missing or other than expected.
        problem: String,
    },
    /// A file that cannot be read or written.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Values that do not fit their column.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
}
