//! Products: sets of datasets with the same measurements.
//!
//! A product says which measurements its datasets have, with their types,
//! nodata and flags, and by which `metadata` its datasets are known. Names are
//! looked up as they are, then as aliases; an alias that several measurements
//! carry names none of them.

mod extra_dim;
mod load;
mod matching;
mod measurement;
mod parse;

use indexmap::IndexMap;
use serde_json::{Map, Value};

pub use extra_dim::ExtraDimension;
pub(crate) use load::crs;
pub use load::{GridSpecification, LoadHints, Storage};
pub use matching::{Difference, Mismatch, match_product};
pub use measurement::{Measurement, SpectralDefinition};

use crate::document::{DocumentErrors, DocumentKind, Looks, Node, Problem, Report};
use crate::error::{Error, Result};
use crate::metadata_type::{MetadataType, MetadataTypeLookup};
use crate::near::owned_near_names;

/// A set of datasets with the same measurements.
///
/// Two are equal when their documents and metadata types are.
#[derive(Clone, Debug)]
pub struct Product {
    document: Value,
    name: String,
    description: String,
    license: Option<String>,
    managed: bool,
    metadata_type: MetadataType,
    measurements: IndexMap<String, Measurement>,
    aliases: IndexMap<String, Vec<String>>,
    extra_dimensions: IndexMap<String, ExtraDimension>,
    load: Option<LoadHints>,
    storage: Option<Storage>,
    warnings: Vec<Problem>,
}

/// How a product names its metadata type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetadataTypeRef<'a> {
    /// By name.
    Name(&'a str),
    /// With the whole definition.
    Inline(&'a Value),
}

impl Product {
    /// Reads a product.
    ///
    /// `types` finds the metadata type that the product names: one
    /// [`MetadataType`], a slice of them, or any other lookup.
    ///
    /// ```
    /// use datacube_model::{MetadataType, Product};
    /// let product = Product::from_document(
    ///     serde_json::json!({
    ///         "name": "ls8", "description": "Landsat 8", "metadata_type": "eo3",
    ///         "metadata": {"product": {"name": "ls8"}},
    ///         "measurements": [
    ///             {"name": "red", "aliases": ["band_4"], "dtype": "uint16", "nodata": 0, "units": "1"},
    ///         ],
    ///     }),
    ///     &MetadataType::builtin(),
    /// )?;
    /// assert_eq!(product.measurement("band_4")?.name, "red");
    /// assert!(product.measurement("redd").unwrap_err().to_string().contains("did you mean `red`"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong, with its path. What is odd but does no harm,
    /// and is found in products in use, is among [`Self::warnings`] instead.
    ///
    /// # Source
    /// datacube-core, `model/schema/dataset-type-schema.yaml` and
    /// `model/__init__.py` (`Product`).
    pub fn from_document(
        document: Value,
        types: &impl MetadataTypeLookup,
    ) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let parsed = match Looks::other_than(&document, Looks::Product) {
            Some(problem) => {
                report.problem(problem);
                None
            }
            None => parse::product(&Node::root(&document, &report), types),
        };
        let name = document
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let warnings = report.finish(DocumentKind::Product, name)?;
        let parsed = parsed.expect("a product was read, for nothing is wrong with it");
        let mut aliases: IndexMap<String, Vec<String>> = IndexMap::new();
        for measurement in parsed.measurements.values() {
            for alias in &measurement.aliases {
                let names = aliases.entry(alias.clone()).or_default();
                if !names.contains(&measurement.name) {
                    names.push(measurement.name.clone());
                }
            }
        }
        Ok(Product {
            document,
            name: parsed.name,
            description: parsed.description,
            license: parsed.license,
            managed: parsed.managed,
            metadata_type: parsed.metadata_type,
            measurements: parsed.measurements,
            aliases,
            extra_dimensions: parsed.extra_dimensions,
            load: parsed.load,
            storage: parsed.storage,
            warnings,
        })
    }

    /// How a product document names its metadata type, so that it can be
    /// fetched before the product is read.
    pub fn metadata_type_of(document: &Value) -> Option<MetadataTypeRef<'_>> {
        match document.get("metadata_type")? {
            Value::String(name) => Some(MetadataTypeRef::Name(name)),
            inline @ Value::Object(_) => Some(MetadataTypeRef::Inline(inline)),
            _ => None,
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the product is.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The licence of the data: an SPDX identifier, `various` or `proprietary`.
    pub fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    /// Whether the datacube itself made the data.
    pub fn managed(&self) -> bool {
        self.managed
    }

    /// The layout of its dataset documents.
    pub fn metadata_type(&self) -> &MetadataType {
        &self.metadata_type
    }

    /// The document that this was made from.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What every dataset document of the product contains.
    pub fn metadata(&self) -> &Value {
        &self.document["metadata"]
    }

    /// The measurements by name, in the order of the document.
    pub fn measurements(&self) -> &IndexMap<String, Measurement> {
        &self.measurements
    }

    /// Dimensions between time and space, by name.
    pub fn extra_dimensions(&self) -> &IndexMap<String, ExtraDimension> {
        &self.extra_dimensions
    }

    /// The grid that loads use where none is asked for: from `load`, or from a
    /// `storage` that has a CRS and a resolution but no tiles.
    ///
    /// # Source
    /// datacube-core, `model/__init__.py` (`Product.load_hints`).
    pub fn load_hints(&self) -> Option<LoadHints> {
        let from_storage = || self.storage.as_ref().and_then(Storage::load_hints);
        self.load.clone().or_else(from_storage)
    }

    /// What `storage` says.
    pub fn storage(&self) -> Option<&Storage> {
        self.storage.as_ref()
    }

    /// The fixed tiling of the product, where `storage` has one.
    pub fn grid_spec(&self) -> Option<GridSpecification> {
        self.storage.as_ref().and_then(Storage::grid_spec)
    }

    /// The measurement of a name or alias.
    ///
    /// A name goes before an alias.
    ///
    /// # Errors
    /// [`Error::UnknownMeasurement`] with the near names, and
    /// [`Error::AmbiguousMeasurement`] for an alias of several measurements.
    pub fn measurement(&self, name: &str) -> Result<&Measurement> {
        if let Some(measurement) = self.measurements.get(name) {
            return Ok(measurement);
        }
        match self.aliases.get(name).map(Vec::as_slice) {
            Some([only]) => Ok(&self.measurements[only]),
            Some(candidates) => Err(Error::AmbiguousMeasurement {
                product: self.name.clone(),
                found: name.to_owned(),
                candidates: candidates.to_vec(),
            }),
            None => {
                let known = self.measurements.keys().chain(self.aliases.keys());
                Err(Error::UnknownMeasurement {
                    product: self.name.clone(),
                    found: name.to_owned(),
                    near: owned_near_names(name, known.map(String::as_str)),
                    known: self.measurements.keys().cloned().collect(),
                })
            }
        }
    }

    /// The first measurement that has flags, which is where a mask without a
    /// named measurement looks.
    pub fn flags_measurement(&self) -> Option<&Measurement> {
        self.measurements
            .values()
            .find(|measurement| measurement.flags_definition.is_some())
    }

    /// What is odd in the document but does no harm: aliases that several
    /// measurements share, flags outside of their pixels, and the like.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl PartialEq for Product {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document && self.metadata_type == other.metadata_type
    }
}

/// What a product document holds.
struct Parsed {
    name: String,
    description: String,
    license: Option<String>,
    managed: bool,
    metadata_type: MetadataType,
    measurements: IndexMap<String, Measurement>,
    extra_dimensions: IndexMap<String, ExtraDimension>,
    load: Option<LoadHints>,
    storage: Option<Storage>,
}

/// The keys of an object, for attributes.
fn without(map: &Map<String, Value>, keys: &[&str]) -> Map<String, Value> {
    map.iter()
        .filter(|(key, _)| !keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn minimal() -> Value {
        json!({
            "name": "ls8", "description": "Landsat 8", "metadata_type": "eo3",
            "metadata": {"product": {"name": "ls8"}},
            "measurements": [
                {"name": "red", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["band_4", "shared"]},
                {"name": "nir", "dtype": "float32", "nodata": "NaN", "units": "1", "aliases": ["nir", "shared"]},
            ],
        })
    }

    pub(super) fn read(document: Value) -> Result<Product, DocumentErrors> {
        Product::from_document(document, &MetadataType::builtin())
    }

    /// Reads the minimal product after an edit and gives the paths of what is wrong.
    pub(super) fn faults(edit: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut document = minimal();
        edit(&mut document);
        match read(document) {
            Ok(_) => Vec::new(),
            Err(errors) => errors
                .problems()
                .iter()
                .map(|problem| problem.path.to_string())
                .collect(),
        }
    }

    pub(super) fn warnings(edit: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut document = minimal();
        edit(&mut document);
        let product = read(document).expect("valid");
        product
            .warnings()
            .iter()
            .map(|problem| problem.path.to_string())
            .collect()
    }

    #[test]
    fn names_go_before_aliases() {
        let product = read(minimal()).expect("valid");
        assert_eq!(product.measurement("red").expect("name").name, "red");
        assert_eq!(product.measurement("band_4").expect("alias").name, "red");
        assert_eq!(product.measurement("nir").expect("name").name, "nir");
        assert!(
            product
                .measurement("nir")
                .expect("name")
                .nodata
                .expect("given")
                .is_nan()
        );
        let error = product.measurement("shared").expect_err("two have it");
        assert!(error.to_string().contains("red, nir"), "{error}");
        let error = product.measurement("redd").expect_err("unknown");
        assert!(error.is_not_found());
        assert_eq!(
            error.to_string(),
            "no measurement `redd` in product `ls8` (did you mean `red`?); it has red, nir"
        );
    }

    #[test]
    fn the_document_is_kept() {
        let product = read(minimal()).expect("valid");
        assert_eq!(product.document(), &minimal());
        assert_eq!(product.metadata(), &json!({"product": {"name": "ls8"}}));
        assert_eq!(
            Product::metadata_type_of(&minimal()),
            Some(MetadataTypeRef::Name("eo3"))
        );
    }

    #[test]
    fn a_type_may_stand_inside() {
        let mut document = minimal();
        document["metadata_type"] = MetadataType::eo().document().clone();
        let product = read(document.clone()).expect("valid");
        assert_eq!(product.metadata_type(), &MetadataType::eo());
        assert_eq!(
            Product::metadata_type_of(&document),
            Some(MetadataTypeRef::Inline(MetadataType::eo().document()))
        );
        assert_eq!(
            faults(|document| document["metadata_type"] = json!({"name": "x", "dataset": {}}))[..2],
            ["metadata_type.description", "metadata_type.dataset.id"]
        );
    }

    #[test]
    fn other_documents_are_told_by_name() {
        let error = read(json!({"source_type": "a", "output_type": "b", "measurements": []}))
            .expect_err("ingest");
        assert_eq!(error.problems().len(), 1);
        assert!(
            error
                .to_string()
                .contains("found an ingestion configuration"),
            "{error}"
        );
        let error = read(MetadataType::eo3().document().clone()).expect_err("a metadata type");
        assert!(
            error.to_string().contains("found a metadata type"),
            "{error}"
        );
    }
}
