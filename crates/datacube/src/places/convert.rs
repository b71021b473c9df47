//! From documents to datasets: which product, and STAC on the way.

use std::sync::Arc;

use datacube_model::stac::{StacCollection, StacConfig, StacItem};
use datacube_model::{Dataset, DocumentErrors, LocatedDocument, Looks, Product, match_product};
use serde_json::Value;

use super::stac::resolve_link;
use crate::{Error, Result};

fn model(errors: DocumentErrors) -> Error {
    Error::Model(errors.into())
}

/// Whether a document whose name did not say is one to be indexed.
pub(crate) fn is_dataset(document: &Value) -> bool {
    matches!(
        Looks::of(document),
        Some(Looks::StacItem | Looks::Eo3Dataset)
    )
}

/// How items become datasets.
#[derive(Clone, Debug, Default)]
pub(crate) struct ItemRules {
    /// What items leave out.
    pub(crate) stac: StacConfig,
    /// Addresses of what lies beside an item are written relative to it.
    pub(crate) relative_assets: bool,
}

/// Why there is no dataset of a document.
#[derive(Debug)]
pub(crate) enum Unmatched {
    /// An item whose product is not there; it may be made of the item.
    NoProduct {
        item: Box<StacItem>,
        error: Box<Error>,
    },
    /// Any other reason.
    Failed(Box<Error>),
}

impl From<Error> for Unmatched {
    fn from(error: Error) -> Self {
        Unmatched::Failed(Box::new(error))
    }
}

impl From<datacube_model::Error> for Unmatched {
    fn from(error: datacube_model::Error) -> Self {
        Unmatched::Failed(Box::new(error.into()))
    }
}

/// The dataset of a document, EO3 or STAC, of one of `products`.
///
/// An item is of the product that has the name of its collection; where
/// `chosen` says that the caller named the one product, it is of that.
pub(crate) fn dataset(
    located: LocatedDocument,
    products: &[Arc<Product>],
    chosen: bool,
    config: &ItemRules,
) -> Result<Dataset, Unmatched> {
    let LocatedDocument { uri, document, .. } = located;
    if Looks::of(&document) != Some(Looks::StacItem) {
        let product = match_product(&document, products)?;
        return Ok(Dataset::from_document(document, product, [uri]).map_err(model)?);
    }
    let item = StacItem::from_document(document).map_err(model)?;
    match product_of(&item, products, chosen, &config.stac) {
        Ok(product) => Ok(item_dataset(&item, product, &uri, config)?),
        Err(error) => {
            let (item, error) = (Box::new(item), Box::new(error));
            Err(Unmatched::NoProduct { item, error })
        }
    }
}

/// The dataset of an item at `uri` that is of `product`.
pub(crate) fn item_dataset(
    item: &StacItem,
    product: Arc<Product>,
    uri: &str,
    config: &ItemRules,
) -> Result<Dataset> {
    let converted = item
        .dataset_document(Some(&product), &config.stac)
        .map_err(model)?;
    let mut document = converted.document;
    on_server(&mut document, uri);
    if config.relative_assets {
        relative(&mut document, uri);
    }
    // A product may ask for more than its name.
    let product = match_product(&document, &[product])?;
    Dataset::from_document(document, product, [uri]).map_err(model)
}

/// Addresses of what lies beside the item, or below it, without the item's own.
fn relative(document: &mut Value, uri: &str) {
    let folder = &uri[..uri.rfind('/').map_or(0, |slash| slash + 1)];
    for key in ["measurements", "accessories"] {
        let entries = document[key].as_object_mut();
        for entry in entries.into_iter().flat_map(|map| map.values_mut()) {
            let path = entry["path"].as_str().unwrap_or_default();
            if let Some(rest) = path.strip_prefix(folder).filter(|rest| !rest.is_empty()) {
                entry["path"] = rest.to_owned().into();
            }
        }
    }
}

/// Paths from the root of a server: in EO3 they would be files of this machine.
pub(crate) fn on_server(document: &mut Value, uri: &str) {
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return;
    }
    for key in ["measurements", "accessories"] {
        let entries = document[key].as_object_mut();
        for entry in entries.into_iter().flat_map(|map| map.values_mut()) {
            let path = entry["path"].as_str().unwrap_or_default();
            if path.starts_with('/') && !path.starts_with("/vsi") {
                entry["path"] = resolve_link(uri, path).into();
            }
        }
    }
}

/// The product of an item: the one that the caller chose, else the one with the
/// name of its collection.
pub(crate) fn product_of(
    item: &StacItem,
    products: &[Arc<Product>],
    chosen: bool,
    config: &StacConfig,
) -> Result<Arc<Product>> {
    if let (true, [only]) = (chosen, products) {
        return Ok(only.clone());
    }
    let names = item.product_names(config);
    let named = |name: &String| {
        products
            .iter()
            .find(|product| product.name().eq_ignore_ascii_case(name))
    };
    names.iter().find_map(named).cloned().ok_or_else(|| {
        let collection = item.collection().unwrap_or("none");
        Error::Unknown {
            kind: "product",
            name: names[0].clone(),
            place: format!("the index for items of STAC collection `{collection}`"),
            known: products
                .iter()
                .map(|product| product.name().to_owned())
                .collect(),
        }
    })
}

/// The definition of a product for items like this one.
pub(crate) fn inferred_product(item: &StacItem, config: &StacConfig) -> Result<Value> {
    Ok(item.product_document(config).map_err(model)?.document)
}

/// The definition of a product: as it is, or of a STAC collection or item.
pub(crate) fn product_document(document: Value, config: &StacConfig) -> Result<Value> {
    match Looks::of(&document) {
        Some(Looks::StacItem) => {
            inferred_product(&StacItem::from_document(document).map_err(model)?, config)
        }
        Some(Looks::StacOther) => {
            let collection = StacCollection::from_document(document).map_err(model)?;
            Ok(collection.product_document(config).map_err(model)?.document)
        }
        _ => Ok(document),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_lies_beside_an_item_becomes_relative() {
        let mut document = json!({
            "measurements": {
                "red": {"path": "https://h/a/red.tif"},
                "nir": {"path": "https://h/a/10m/nir.tif"},
                "far": {"path": "https://h/b/far.tif"},
                "near": {"path": "near.tif"},
            },
            "accessories": {"thumb": {"path": "https://h/a/thumb.jpg"}},
        });
        relative(&mut document, "https://h/a/item.json");
        let expected = json!({
            "measurements": {
                "red": {"path": "red.tif"},
                "nir": {"path": "10m/nir.tif"},
                "far": {"path": "https://h/b/far.tif"},
                "near": {"path": "near.tif"},
            },
            "accessories": {"thumb": {"path": "thumb.jpg"}},
        });
        assert_eq!(document, expected);
    }
}
