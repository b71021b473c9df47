//! Real STAC items and collections, against what odc-stac and datacube make
//! of them, and back again.

mod bands;
mod collections;
mod corpus;
mod peers;
mod round_trip;
mod special;
