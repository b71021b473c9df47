//! Metadata types and products: added from files, updated, deleted.
//!
//! A bad definition never stops the good ones of its file: each gets an
//! outcome of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use datacube_index::{
    Added, DeleteOptions, DeleteOutcome, Error as IndexError, Index, Kind, UpdateOptions, Updated,
};
use datacube_model::changes::{metadata_type_changes, product_changes};
use datacube_model::stac::StacConfig;
use datacube_model::{Changes, MetadataType, Product};
use serde_json::Value;

use crate::Result;
use crate::documents::DocumentOutcome;
use crate::places;

/// How definitions are added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DefinitionOptions {
    /// Check them against the index, and write nothing (default: no).
    pub dry_run: bool,
}

impl DefinitionOptions {
    /// Writes nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// What became of one definition of an update.
#[derive(Debug)]
#[non_exhaustive]
pub struct UpdatedDefinition {
    /// The file, and the part of it when it holds several.
    pub location: String,
    /// The name, as far as it could be read.
    pub name: Option<String>,
    /// What changed, or why nothing did.
    pub result: Result<Updated>,
}

both! {
    /// All metadata types, by name.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be read.
    metadata_types / metadata_types_async (index) -> Vec<MetadataType> {
        Ok(index.metadata_types().await?)
    }

    /// The metadata type of that name.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for an unknown name, with those there are.
    metadata_type / metadata_type_async (index, name: &str = name.to_owned()) -> MetadataType {
        Ok(index.metadata_type(&name).await?)
    }

    /// Adds the metadata types of a YAML or JSON file.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with a definition is in its outcome.
    add_metadata_types / add_metadata_types_async (
        index,
        path: impl AsRef<Path> + Send = path.as_ref().to_owned(),
        options: &DefinitionOptions = *options,
    ) -> Vec<DocumentOutcome> {
        let mut outcomes = Vec::new();
        for (location, name, document) in definitions_at(&path).await? {
            let result = add_metadata_type(&*index, document, options).await;
            outcomes.push(DocumentOutcome { location, name, result });
        }
        Ok(outcomes)
    }

    /// Adds the product definitions of a YAML or JSON file.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with a definition is in its outcome.
    add_products_with / add_products_with_async (
        index,
        path: impl AsRef<Path> + Send = path.as_ref().to_owned(),
        options: &DefinitionOptions = *options,
    ) -> Vec<DocumentOutcome> {
        let mut outcomes = Vec::new();
        for (location, name, document) in definitions_at(&path).await? {
            let result = add_product(&*index, document, options).await;
            outcomes.push(DocumentOutcome { location, name, result });
        }
        Ok(outcomes)
    }

    /// Replaces metadata types by the definitions of a YAML or JSON file.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with a definition, or with
    /// what it would change, is in its outcome.
    update_metadata_types / update_metadata_types_async (
        index,
        path: impl AsRef<Path> + Send = path.as_ref().to_owned(),
        options: &UpdateOptions = options.clone(),
    ) -> Vec<UpdatedDefinition> {
        let mut outcomes = Vec::new();
        for (location, name, document) in definitions_at(&path).await? {
            let result = update_metadata_type(&*index, document, &options).await;
            outcomes.push(UpdatedDefinition { location, name, result });
        }
        Ok(outcomes)
    }

    /// Replaces products by the definitions of a YAML or JSON file.
    ///
    /// # Errors
    /// When the file cannot be read. What is wrong with a definition, or with
    /// what it would change, is in its outcome.
    update_products / update_products_async (
        index,
        path: impl AsRef<Path> + Send = path.as_ref().to_owned(),
        options: &UpdateOptions = options.clone(),
    ) -> Vec<UpdatedDefinition> {
        let mut outcomes = Vec::new();
        for (location, name, document) in definitions_at(&path).await? {
            let result = update_product(&*index, document, &options).await;
            outcomes.push(UpdatedDefinition { location, name, result });
        }
        Ok(outcomes)
    }

    /// Deletes products with all their datasets; what became of each is told
    /// in the order of `names`.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) when the index cannot be written;
    /// then nothing was deleted.
    delete_products / delete_products_async (
        index,
        names: &[String] = names.to_vec(),
        options: &DeleteOptions = options.clone(),
    ) -> Vec<DeleteOutcome> {
        Ok(index.delete_products(&names, &options).await?)
    }

    /// The products, of `names` or of all when there are none, that have all
    /// of the search fields.
    ///
    /// # Errors
    /// [`Error::Index`](crate::Error::Index) for an unknown product, for a named
    /// one that lacks a field, and for a field that no product has.
    products_with_fields / products_with_fields_async (
        index,
        fields: &[String] = fields.to_vec(),
        names: &[String] = names.to_vec(),
    ) -> Vec<Arc<Product>> {
        let all = index.products().await?;
        let mut found = Vec::new();
        for product in all.iter().filter(|item| names.is_empty() || names.iter().any(|name| name == item.name())) {
            let lacking = fields.iter().find(|field| !has_field(product, field));
            match lacking {
                None => found.push(product.clone()),
                Some(field) if !names.is_empty() => {
                    let known = product.metadata_type().fields().keys().cloned().collect();
                    return Err(IndexError::UnknownField {
                        field: field.clone(),
                        products: vec![product.name().to_owned()],
                        known,
                    }
                    .into());
                }
                Some(_) => {}
            }
        }
        if found.is_empty() && names.is_empty() {
            let lacking = fields.iter().find(|field| !all.iter().any(|product| has_field(product, field)));
            if let Some(field) = lacking {
                let known: BTreeSet<&str> = all
                    .iter()
                    .flat_map(|product| product.metadata_type().fields().keys().map(String::as_str))
                    .chain(NATIVE_FIELDS)
                    .collect();
                return Err(IndexError::UnknownField {
                    field: field.clone(),
                    products: Vec::new(),
                    known: known.into_iter().map(str::to_owned).collect(),
                }
                .into());
            }
        }
        for name in &names {
            // An unknown name is an error that lists the near ones.
            index.product(name).await?;
        }
        Ok(found)
    }
}

/// Fields that every dataset has, whatever its metadata type.
const NATIVE_FIELDS: [&str; 10] = [
    "id",
    "product",
    "metadata_type",
    "label",
    "format",
    "creation_time",
    "indexed_time",
    "archived",
    "uri",
    "time",
];

fn has_field(product: &Product, field: &str) -> bool {
    NATIVE_FIELDS.contains(&field) || product.metadata_type().field(field).is_some()
}

/// The definitions of a file: where each stands, the name it gives itself, and it.
async fn definitions_at(path: &Path) -> Result<Vec<(String, Option<String>, Value)>> {
    let documents = places::read_place(&path.to_string_lossy()).await?;
    let named = documents.into_iter().map(|located| {
        let name = located.document["name"].as_str().map(str::to_owned);
        (located.uri, name, located.document)
    });
    Ok(named.collect())
}

fn read_metadata_type(document: Value) -> Result<MetadataType> {
    Ok(MetadataType::from_document(document).map_err(datacube_model::Error::from)?)
}

/// A product of its definition, or of a STAC collection or item.
async fn read_product(index: &dyn Index, document: Value) -> Result<Product> {
    let document = places::product_document(document, &StacConfig::default())?;
    let types = index.metadata_types().await?;
    Ok(Product::from_document(document, &types).map_err(datacube_model::Error::from)?)
}

async fn add_metadata_type(
    index: &dyn Index,
    document: Value,
    options: DefinitionOptions,
) -> Result<Added> {
    let definition = read_metadata_type(document)?;
    if !options.dry_run {
        return Ok(index.add_metadata_type(&definition).await?);
    }
    match index.metadata_type(definition.name()).await {
        Ok(there) => compare(
            Kind::MetadataType,
            definition.name(),
            &metadata_type_changes(there.document(), definition.document()),
        ),
        Err(error) if error.is_not_found() => Ok(Added::New),
        Err(error) => Err(error.into()),
    }
}

/// Adds a product; a metadata type that it defines itself comes with it.
async fn add_product(
    index: &dyn Index,
    document: Value,
    options: DefinitionOptions,
) -> Result<Added> {
    let product = read_product(index, document).await?;
    if !options.dry_run {
        return Ok(index.add_product(&product).await?);
    }
    match index.product(product.name()).await {
        Ok(there) => compare(
            Kind::Product,
            product.name(),
            &product_changes(there.document(), product.document()),
        ),
        Err(error) if error.is_not_found() => Ok(Added::New),
        Err(error) => Err(error.into()),
    }
}

async fn update_metadata_type(
    index: &dyn Index,
    document: Value,
    options: &UpdateOptions,
) -> Result<Updated> {
    let definition = read_metadata_type(document)?;
    Ok(index.update_metadata_type(&definition, options).await?)
}

async fn update_product(
    index: &dyn Index,
    document: Value,
    options: &UpdateOptions,
) -> Result<Updated> {
    let product = read_product(index, document).await?;
    Ok(index.update_product(&product, options).await?)
}

/// What adding a definition would give where there is one of its name.
fn compare(kind: Kind, name: &str, changes: &Changes) -> Result<Added> {
    if changes.is_empty() {
        return Ok(Added::AlreadyThere);
    }
    Err(IndexError::DifferentDefinition {
        kind,
        name: name.to_owned(),
        differences: changes.iter().map(|change| change.path.clone()).collect(),
    }
    .into())
}
