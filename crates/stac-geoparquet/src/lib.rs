//! STAC items as GeoParquet, and back.
//!
//! A table of items is quick to search and to send, where a million JSON files
//! are not. The layout is that of the stac-geoparquet specification 1.0: one row
//! an item, its properties as columns beside `id`, `assets` and `links` as
//! structures, `bbox` as a structure of its edges, `geometry` as WKB. What the
//! items of a table have of different types, such as a nodata that is a number
//! in one and `"nan"` in another, is a column of JSON text, named in the
//! metadata of the file, so that every item comes back as it was but for keys
//! that are `null`, and whole numbers in a column of fractions.
//!
//! ```
//! use datacube_stac_geoparquet::{read_items, write_items};
//! let items = vec![serde_json::json!({
//!     "type": "Feature", "stac_version": "1.0.0", "id": "scene", "bbox": [1.0, 2.0, 3.0, 4.0],
//!     "geometry": {"type": "Point", "coordinates": [2.0, 3.0]}, "links": [],
//!     "properties": {"datetime": "2020-01-01T00:00:00Z", "eo:cloud_cover": 12.5},
//!     "assets": {"red": {"href": "red.tif", "roles": ["data"]}},
//! })];
//! let mut file = Vec::new();
//! write_items(&items, &mut file)?;
//! let back: Vec<_> = read_items(bytes::Bytes::from(file))?.collect::<Result<_, _>>()?;
//! assert_eq!(back, items);
//! # Ok::<(), datacube_stac_geoparquet::Error>(())
//! ```

mod error;
mod read;
mod row;
mod schema;
mod wkb;
mod write;

pub use error::{Error, Result};
pub use read::{Items, read_items};
pub use schema::Columns;
pub use write::{ItemWriter, write_items};

/// The version of the specification that files are written after.
pub const SPECIFICATION: &str = "1.0.0";
/// The key of the metadata of a file that says so.
const METADATA_KEY: &str = "stac-geoparquet";
/// Where in it the columns of JSON text are named.
const JSON_COLUMNS: &str = "datacube:json";
