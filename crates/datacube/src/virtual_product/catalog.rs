//! Catalogues of recipes by name, as files.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value;

use super::VirtualProduct;
use super::recipe::{parse_yaml, refuse};
use crate::{Error, Result};

/// Named recipes: products, and transforms that wait for an input.
///
/// # Source
/// datacube-core, `datacube/virtual/catalog.py` (`Catalog`).
#[derive(Debug, Clone, Default)]
pub struct VirtualCatalog {
    products: IndexMap<String, Value>,
    transforms: IndexMap<String, Value>,
}

impl VirtualCatalog {
    /// Reads a catalogue: `products` and `transforms` by name, each with a `recipe`.
    ///
    /// # Errors
    /// [`Error::Recipe`] that names the part that cannot be understood.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let document = parse_yaml(text)?;
        let section = |key: &str| -> Result<IndexMap<String, Value>> {
            let entries = match &document[key] {
                Value::Null => return Ok(IndexMap::new()),
                Value::Object(entries) => entries,
                other => {
                    return Err(refuse(
                        key,
                        format!("it is {other}; expected recipes by name"),
                    ));
                }
            };
            let recipes = entries
                .iter()
                .map(|(name, entry)| match entry.get("recipe") {
                    Some(recipe) => Ok((name.clone(), recipe.clone())),
                    None => Err(refuse(name, "it has no `recipe`")),
                });
            recipes.collect()
        };
        let catalog = VirtualCatalog {
            products: section("products")?,
            transforms: section("transforms")?,
        };
        if let Some(name) = catalog
            .products
            .keys()
            .find(|name| catalog.transforms.contains_key(*name))
        {
            return Err(refuse(
                name,
                "it is a product and a transform; give one another name",
            ));
        }
        Ok(catalog)
    }

    /// Reads the catalogue in a file.
    ///
    /// # Errors
    /// [`Error::File`] for a file that cannot be read; as [`VirtualCatalog::from_yaml`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_yaml(&crate::read_text(path.as_ref())?)
    }

    /// Names of products, then of transforms.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.products
            .keys()
            .chain(self.transforms.keys())
            .map(String::as_str)
    }

    /// The product of that name.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the names there are; [`Error::Recipe`] for a recipe
    /// that cannot be understood.
    pub fn product(&self, name: &str) -> Result<VirtualProduct> {
        let recipe = self
            .products
            .get(name)
            .ok_or_else(|| unknown("product", name, &self.products))?;
        VirtualProduct::from_document(recipe)
    }

    /// The transform of that name, applied to a recipe.
    ///
    /// # Errors
    /// As [`VirtualCatalog::product`].
    pub fn transform(&self, name: &str, input: &Value) -> Result<VirtualProduct> {
        let recipe = self
            .transforms
            .get(name)
            .ok_or_else(|| unknown("transform", name, &self.transforms))?;
        let mut recipe = recipe.clone();
        recipe["input"] = input.clone();
        VirtualProduct::from_document(&recipe)
    }
}

fn unknown(kind: &'static str, name: &str, known: &IndexMap<String, Value>) -> Error {
    Error::Unknown {
        kind,
        name: name.to_owned(),
        place: "the catalogue".into(),
        known: known.keys().cloned().collect(),
    }
}
