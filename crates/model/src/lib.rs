//! The words of the Open Data Cube: products, measurements, flags, datasets.
//!
//! Documents come in as [`serde_json::Value`] and are kept as they came; the
//! types here are views that say what a document means, or everything that is
//! wrong with it. Nothing here reads a file or a database.

pub mod changes;
pub mod dataset;
pub mod document;
mod dtype;
mod error;
pub mod flags;
pub mod lineage;
pub mod metadata_type;
mod near;
pub mod product;
pub mod stac;

pub use changes::{Change, Changes, Verdict};
pub use dataset::{Dataset, Location, MeasurementSource, parse_time};
pub use document::{
    DocPath, DocumentErrors, DocumentKind, LocatedDocument, Looks, Problem, ProblemKind,
    parse_document, parse_documents, parse_each, to_json, to_yaml,
};
pub use dtype::{DType, Number, UnknownDType};
pub use error::{Error, Result};
pub use flags::{FlagsDefinition, Label, MaskExpression, MaskRequest, MaskTest, MaskValue};
pub use lineage::{Lineage, LineageDirection, LineageRelation};
pub use metadata_type::{
    FieldKind, FieldSource, FieldValue, MetadataType, MetadataTypeLookup, SearchField,
};
pub use near::near_names;
pub use product::{ExtraDimension, LoadHints, Measurement, Product, match_product};
