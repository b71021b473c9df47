//! Metadata types: where the things that people search for are in a document.
//!
//! A metadata type names search fields and gives each the path, or the
//! candidate paths, of its value. Datasets of one type can then be searched by
//! these names whatever the layout of their documents is.

mod builtin;
mod eo3;
mod field;
mod parse;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

pub use field::{FieldKind, FieldSource, FieldValue, SearchField};

use crate::document::{DocumentErrors, DocumentKind, Looks, Node, Problem, Report};

/// A path of keys into a dataset document.
pub type Offset = Vec<String>;

/// The layout of a kind of dataset document. Cheap to clone.
///
/// Two are equal when their documents are.
#[derive(Clone)]
pub struct MetadataType(Arc<Inner>);

struct Inner {
    document: Value,
    name: String,
    description: String,
    offsets: IndexMap<String, Offset>,
    fields: IndexMap<String, SearchField>,
    eo3_problems: Vec<Problem>,
}

impl MetadataType {
    /// Reads a metadata type.
    ///
    /// ```
    /// use datacube_model::MetadataType;
    /// let errors = MetadataType::from_document(serde_json::json!({
    ///     "name": "mine",
    ///     "description": "mine",
    ///     "dataset": {
    ///         "id": ["id"], "label": ["label"], "creation_dt": ["created"], "sources": ["lineage"],
    ///         "search_fields": {"cloud": {"type": "doubel", "offset": ["cloud"]}},
    ///     },
    /// }))
    /// .unwrap_err();
    /// assert!(errors.to_string().contains("dataset.search_fields.cloud.type"));
    /// assert!(errors.to_string().contains("did you mean `double`"));
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong, with its path.
    ///
    /// # Source
    /// datacube-core, `model/schema/metadata-type-schema.yaml` and `model/fields.py`.
    pub fn from_document(document: Value) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let found = match Looks::other_than(&document, Looks::MetadataType) {
            Some(problem) => {
                report.problem(problem);
                None
            }
            None => Self::read(&Node::root(&document, &report)),
        };
        let name = document
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        report.finish(DocumentKind::MetadataType, name)?;
        Ok(found.expect("a type was read, for nothing is wrong with it"))
    }

    /// Reads a type that may stand inside another document.
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let parsed = parse::metadata_type(node)?;
        let eo3_problems = eo3::problems(node.value, &parsed);
        Some(MetadataType(Arc::new(Inner {
            document: node.value.clone(),
            name: parsed.name,
            description: parsed.description,
            offsets: parsed.offsets,
            fields: parsed.fields,
            eo3_problems,
        })))
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the type is for.
    pub fn description(&self) -> &str {
        &self.0.description
    }

    /// The document that this was made from.
    pub fn document(&self) -> &Value {
        &self.0.document
    }

    /// The search fields by name, in the order of the document.
    pub fn fields(&self) -> &IndexMap<String, SearchField> {
        &self.0.fields
    }

    /// The search field of a name.
    pub fn field(&self, name: &str) -> Option<&SearchField> {
        self.0.fields.get(name)
    }

    /// Where one of `id`, `label`, `creation_dt`, `sources`, `measurements`,
    /// `format` and `grid_spatial` is in a dataset document.
    pub fn offset(&self, name: &str) -> Option<&[String]> {
        self.0.offsets.get(name).map(Vec::as_slice)
    }

    /// The value of one of the names that [`Self::offset`] knows.
    pub fn system_value<'d>(&self, name: &str, document: &'d Value) -> Option<&'d Value> {
        get_in(document, self.offset(name)?)
    }

    /// Whether EO3 documents have their things where this type looks for them.
    pub fn is_eo3_compatible(&self) -> bool {
        self.0.eo3_problems.is_empty()
    }

    /// Why the type does not fit EO3 documents; empty when it does.
    ///
    /// # Source
    /// datacube-core, `model/eo3.py` (`validate_eo3_compatible_type`).
    pub fn eo3_problems(&self) -> &[Problem] {
        &self.0.eo3_problems
    }
}

impl PartialEq for MetadataType {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.document == other.0.document
    }
}

impl fmt::Debug for MetadataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataType")
            .field("name", &self.0.name)
            .field("fields", &self.0.fields.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// Contract: what finds a metadata type by its name while a product is read.
pub trait MetadataTypeLookup {
    /// The type of this name.
    fn metadata_type(&self, name: &str) -> Option<MetadataType>;

    /// All names, to suggest one that is near.
    fn names(&self) -> Vec<String>;
}

impl MetadataTypeLookup for MetadataType {
    fn metadata_type(&self, name: &str) -> Option<MetadataType> {
        (self.name() == name).then(|| self.clone())
    }

    fn names(&self) -> Vec<String> {
        vec![self.name().to_owned()]
    }
}

impl MetadataTypeLookup for [MetadataType] {
    fn metadata_type(&self, name: &str) -> Option<MetadataType> {
        self.iter().find(|found| found.name() == name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|found| found.name().to_owned()).collect()
    }
}

impl MetadataTypeLookup for Vec<MetadataType> {
    fn metadata_type(&self, name: &str) -> Option<MetadataType> {
        self.as_slice().metadata_type(name)
    }

    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

impl<const N: usize> MetadataTypeLookup for [MetadataType; N] {
    fn metadata_type(&self, name: &str) -> Option<MetadataType> {
        self.as_slice().metadata_type(name)
    }

    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

/// The value at the end of a path of keys.
pub(crate) fn get_in<'d, S: AsRef<str>>(document: &'d Value, path: &[S]) -> Option<&'d Value> {
    path.iter()
        .try_fold(document, |value, key| value.get(key.as_ref()))
}
