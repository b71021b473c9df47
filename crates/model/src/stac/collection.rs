//! Collections: what their items have in common.

use serde_json::{Map, Value};

use super::config::StacConfig;
use super::{Converted, names, product, upgrade};
use crate::document::{DocumentErrors, DocumentKind, Looks, Node, Problem, ProblemKind, Report};

/// A STAC collection of any version.
#[derive(Clone, Debug, PartialEq)]
pub struct StacCollection {
    document: Value,
}

impl StacCollection {
    /// Reads a collection.
    ///
    /// # Errors
    /// What makes it none: another `type`, no id.
    pub fn from_document(mut document: Value) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let other = Looks::other_than(&document, Looks::StacOther);
        let kind = document["type"].as_str().unwrap_or("Collection");
        if let Some(problem) = other {
            report.problem(problem);
        } else if kind != "Collection" {
            let root = Node::root(&document, &report);
            let problem =
                Problem::new(root.path.key("type"), ProblemKind::BadValue, "`Collection`");
            report.problem(problem.found(&document["type"]));
        } else {
            upgrade::collection(&mut document);
            let root = Node::root(&document, &report);
            if root.map().is_some()
                && let Some(id) = root.require("id", "the id of the collection")
            {
                id.string();
            }
        }
        let name = document["id"].as_str().map(str::to_owned);
        report.finish(DocumentKind::StacCollection, name)?;
        Ok(StacCollection { document })
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.document["id"].as_str().expect("it was checked")
    }

    /// The name of the product that its items are datasets of.
    pub fn product_name(&self, config: &StacConfig) -> String {
        let own = config.collection(self.id()).product.clone();
        own.unwrap_or_else(|| names::product(self.id()))
    }

    /// The definition of a product for the items of the collection.
    ///
    /// # Errors
    /// Where the collection does not say what assets its items have.
    ///
    /// # Source
    /// datacube, `metadata/_eo3converter.py` (`infer_dc_product_from_collection`).
    pub fn product_document(&self, config: &StacConfig) -> Result<Converted, DocumentErrors> {
        let report = Report::default();
        let root = Node::root(&self.document, &report);
        let described = root.get("item_assets").is_some_and(|node| {
            node.value
                .as_object()
                .is_some_and(|assets| !assets.is_empty())
        });
        if !described {
            let expected = "the assets of the items; make the product of an item instead";
            let problem =
                Problem::new(root.path.key("item_assets"), ProblemKind::Missing, expected);
            report.problem(problem);
        }
        let text = |key: &str| {
            self.document[key]
                .as_str()
                .filter(|text| !text.trim().is_empty())
        };
        let description = text("description").or(text("title")).unwrap_or(self.id());
        // The assets alone: what else a collection holds is no asset's.
        let assets: Map<String, Value> = self
            .document
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| matches!(key.as_str(), "item_assets" | "stac_extensions"))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let assets = Value::Object(assets);
        let node = Node::root(&assets, &report);
        let document = product::document(
            &node,
            config.collection(self.id()),
            &self.product_name(config),
            description,
            text("license"),
        );
        let warnings = report.finish(DocumentKind::StacCollection, Some(self.id().to_owned()))?;
        Ok(Converted { document, warnings })
    }
}
