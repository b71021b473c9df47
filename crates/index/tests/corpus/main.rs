//! Real documents in every kind of index: what the peers index is indexed
//! here with the same facts, searches back, and goes out as it came in.
//!
//! The documents, and what datacube 1.9.20 and odc-stac 0.5.3 say of them, are
//! no part of the project; see `datacube_testkit::shared`. Where something is
//! not as they have it, a table says so, with the reason.

mod datasets;
mod definitions;
mod facts;
mod items;
mod scenes;
mod special;
mod stores;

#[allow(dead_code, reason = "the tests of the model need more of it")]
#[path = "../../../model/tests/corpus/oracle.rs"]
mod oracle;
#[path = "../../../model/tests/shared/mod.rs"]
mod shared;
