//! STAC: items and collections as EO3 documents and products, and back.
//!
//! A [`StacItem`] becomes an EO3 dataset document, an item or a
//! [`StacCollection`] the definition of the product that such datasets belong
//! to, a dataset an item again ([`item_document`]). The rules are those of
//! odc-stac and `datacube.metadata`, so that ids, bands, grids and names are
//! the same; where those lose or bend something, the difference is marked at
//! the function that makes it. Nothing here reads a file: relative links stay
//! relative, for a document's location says where they start.
//!
//! ```
//! use datacube_model::stac::{StacConfig, StacItem};
//! let item = serde_json::json!({
//!     "type": "Feature", "stac_version": "1.0.0", "id": "scene", "collection": "s2-l2a",
//!     "geometry": null, "links": [],
//!     "properties": {"datetime": "2023-08-10T10:06:31Z", "proj:epsg": 32633, "platform": "sentinel-2a"},
//!     "assets": {"B04": {
//!         "href": "B04.tif", "type": "image/tiff", "eo:bands": [{"name": "B04", "common_name": "red"}],
//!         "proj:shape": [100, 200], "proj:transform": [60, 0, 300000, 0, -60, 5000040],
//!     }},
//! });
//! let item = StacItem::from_document(item)?;
//! let product = item.product_document(&StacConfig::default())?.document;
//! assert_eq!(product["name"], "s2_l2a");
//! assert_eq!(product["measurements"][0]["aliases"][0], "red");
//! let dataset = item.dataset_document(None, &StacConfig::default())?.document;
//! assert_eq!(dataset["grids"]["default"]["shape"], serde_json::json!([100, 200]));
//! assert_eq!(dataset["properties"]["eo:platform"], "sentinel-2a");
//! # Ok::<(), datacube_model::DocumentErrors>(())
//! ```

mod bands;
mod collection;
mod config;
mod dataset;
mod export;
mod flags;
mod footprint;
mod grids;
mod names;
mod product;
mod properties;
mod upgrade;

use indexmap::IndexMap;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use bands::{BandKey, StacBand};
pub use collection::StacCollection;
pub use config::{BandDefaults, CollectionConfig, IdMode, StacConfig};
pub use export::{ItemOptions, StacVersion, collection_document, item_document};

use crate::dataset::parse_time;
use crate::document::{
    DocPath, DocumentErrors, DocumentKind, Looks, Node, Problem, ProblemKind, Report,
};
use crate::product::Product;

/// A document made of another, and what was odd on the way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Converted {
    /// The document.
    pub document: Value,
    /// What was left out or filled in, with paths in the document that it was made from.
    pub warnings: Vec<Problem>,
}

/// A STAC item of any version, in the words of STAC 1.1.
#[derive(Clone, Debug, PartialEq)]
pub struct StacItem {
    document: Value,
}

impl StacItem {
    /// Reads an item.
    ///
    /// # Errors
    /// What makes it no item: no `Feature`, no id, no `properties`, no time that
    /// can be read. What is wrong with its assets is
    /// said when it is converted.
    pub fn from_document(mut document: Value) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        match Looks::of(&document).filter(|looks| *looks != Looks::StacItem) {
            Some(_) if document["type"] != "Feature" => {
                let problem = Looks::other_than(&document, Looks::StacItem);
                problem
                    .into_iter()
                    .for_each(|problem| report.problem(problem));
            }
            _ => upgrade::item(&mut document),
        }
        if report.problems().is_empty() {
            check_item(&Node::root(&document, &report));
        }
        let name = document["id"].as_str().map(str::to_owned);
        report.finish(DocumentKind::StacItem, name)?;
        Ok(StacItem { document })
    }

    /// The document, brought to the words of STAC 1.1.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// The id.
    pub fn id(&self) -> &str {
        self.document["id"].as_str().expect("it was checked")
    }

    /// The collection that the item is of; early items of ODC name their product instead.
    pub fn collection(&self) -> Option<&str> {
        let text = |value: &'_ Value| value.as_str().map(str::to_owned).is_some();
        let properties = &self.document["properties"];
        [
            &self.document["collection"],
            &properties["odc:product"],
            &properties["collection"],
        ]
        .into_iter()
        .find(|value| text(value))
        .and_then(Value::as_str)
    }

    /// The properties.
    pub fn properties(&self) -> &Map<String, Value> {
        self.document["properties"]
            .as_object()
            .expect("it was checked")
    }

    /// Where the item says that it is: its canonical link, else that to itself.
    pub fn own_href(&self) -> Option<&str> {
        self.link("canonical").or_else(|| self.link("self"))
    }

    /// The target of the first link of a kind.
    pub fn link(&self, rel: &str) -> Option<&str> {
        let links = self.document["links"].as_array()?;
        links.iter().find(|link| link["rel"] == rel)?["href"].as_str()
    }

    /// The names that the product of this item may have, the likeliest first.
    pub fn product_names(&self, config: &StacConfig) -> Vec<String> {
        let collection = self.collection().unwrap_or("stac");
        let mut names: Vec<String> = Vec::new();
        let mut add = |name: String| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        if let Some(name) = &self.config(config).product {
            add(name.clone());
        }
        if let Some(name) = self.properties().get("odc:product").and_then(Value::as_str) {
            add(name.to_owned());
        }
        add(names::product(collection));
        add(names::measurement(collection));
        names
    }

    /// The id of the dataset that the item becomes.
    ///
    /// # Errors
    /// Where the configuration takes ids as they are and this one is no UUID.
    pub fn dataset_id(&self, config: &StacConfig) -> Result<Uuid, DocumentErrors> {
        // An item without a collection has `_` for it in the ids of the peers.
        let properties = self.properties();
        let collection = self.document["collection"]
            .as_str()
            .or_else(|| properties.get("odc:product")?.as_str())
            .unwrap_or("_");
        let property = |key: &str| match properties.get(key) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) => "None".to_owned(),
            Some(Value::Bool(true)) => "True".to_owned(),
            Some(Value::Bool(false)) => "False".to_owned(),
            Some(other) => other.to_string(),
        };
        config::dataset_id(self.config(config), collection, self.id(), property).ok_or_else(|| {
            let path = DocPath::root().key("id");
            let problem = Problem::new(
                path,
                ProblemKind::BadValue,
                "a UUID, as the mode of ids is native",
            )
            .found(&self.document["id"]);
            DocumentErrors::new(
                DocumentKind::StacItem,
                Some(self.id().to_owned()),
                vec![problem],
            )
        })
    }

    /// The bands of the item that hold pixels.
    ///
    /// # Errors
    /// Assets without a file, and CRSs that are not known.
    pub fn bands(
        &self,
        config: &StacConfig,
    ) -> Result<IndexMap<BandKey, StacBand>, DocumentErrors> {
        let report = Report::default();
        let bands = bands::read(&Node::root(&self.document, &report), self.config(config));
        report.finish(DocumentKind::StacItem, Some(self.id().to_owned()))?;
        Ok(bands)
    }

    /// The definition of a product for items like this one.
    ///
    /// # Errors
    /// As [`Self::bands`].
    ///
    /// # Source
    /// datacube, `metadata/_eo3converter.py` (`infer_dc_product`).
    pub fn product_document(&self, config: &StacConfig) -> Result<Converted, DocumentErrors> {
        let report = Report::default();
        let root = Node::root(&self.document, &report);
        let collection = self.collection().unwrap_or("stac");
        let title = format!("STAC collection {collection}");
        let own = self.config(config);
        let document = product::document(&root, own, &self.product_names(config)[0], &title, None);
        let warnings = report.finish(DocumentKind::StacItem, Some(self.id().to_owned()))?;
        Ok(Converted { document, warnings })
    }

    /// The EO3 document of the dataset that the item is.
    ///
    /// With a `product`, bands go to the measurements that have their names or
    /// aliases; without, they are named as [`Self::product_document`] does.
    /// Links to files stay as they are, maybe relative to the item.
    ///
    /// # Errors
    /// As [`Self::bands`]; an item without a footprint whose assets do not say
    /// where they are either.
    ///
    /// # Source
    /// datacube, `metadata/_eo3converter.py` (`_to_dataset`).
    pub fn dataset_document(
        &self,
        product: Option<&Product>,
        config: &StacConfig,
    ) -> Result<Converted, DocumentErrors> {
        let id = self.dataset_id(config)?;
        let report = Report::default();
        let root = Node::root(&self.document, &report);
        let document = dataset::document(self, &root, id, product, config);
        let warnings = report.finish(DocumentKind::StacItem, Some(self.id().to_owned()))?;
        let document = document.expect("a document was made, for nothing is wrong");
        Ok(Converted { document, warnings })
    }

    fn config<'a>(&self, config: &'a StacConfig) -> &'a CollectionConfig {
        config.collection(self.collection().unwrap_or("_"))
    }
}

/// Checks what every item has.
fn check_item(node: &Node<'_>) {
    if node.map().is_none() {
        return;
    }
    if node.value["type"] != "Feature" {
        let problem = Problem::new(node.path.key("type"), ProblemKind::BadValue, "`Feature`");
        node.report().problem(problem.found(&node.value["type"]));
    }
    if let Some(id) = node.require("id", "the id of the item") {
        id.string();
    }
    // Items may have templates of assets instead, which nothing here reads.
    if let Some(assets) = node.get("assets") {
        assets.map();
    }
    if let Some(properties) = node.require("properties", "an object with the time of the item") {
        properties.map();
    }
    let Some(properties) = node.get("properties").filter(|node| node.value.is_object()) else {
        return;
    };
    let mut has_time = false;
    for key in [
        "datetime",
        "start_datetime",
        "end_datetime",
        "dtr:start_datetime",
        "dtr:end_datetime",
        "created",
    ] {
        let Some(time) = properties.get(key).filter(|node| !node.value.is_null()) else {
            continue;
        };
        match time.value.as_str().map(parse_time) {
            Some(Ok(_)) => has_time |= key != "created",
            _ => time.fault(ProblemKind::BadValue, "a time such as 2022-01-21T15:40:10Z"),
        }
    }
    if !has_time && node.report().problems().is_empty() {
        let path = properties.path.key("datetime");
        let problem = Problem::new(
            path,
            ProblemKind::Missing,
            "when the scene was taken, or start_datetime and end_datetime",
        );
        node.report().problem(problem);
    }
}
