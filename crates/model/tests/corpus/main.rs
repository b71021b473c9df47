//! Real documents, one by one, against what datacube 1.9.20 did when it
//! indexed them through its legacy driver.

mod datasets;
mod documents;
mod metadata_types;
mod oracle;
mod products;
#[path = "../shared/mod.rs"]
mod shared;
