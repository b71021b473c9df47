//! What STAC leaves out, told by the user: the `stac_cfg` of odc-stac.

use indexmap::IndexMap;
use serde_json::Value;
use uuid::Uuid;

use crate::document::{DocumentErrors, DocumentKind, Node, ProblemKind, Report, number_of};
use crate::{DType, Number};

/// How ids are given to datasets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdMode {
    /// The item's id where it is a UUID, else one made of collection and id.
    #[default]
    Auto,
    /// The item's id, which has to be a UUID.
    Native,
    /// A new one each time.
    Random,
}

/// What is known of a band; `None` where nothing is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BandDefaults {
    /// The type of its pixels.
    pub data_type: Option<DType>,
    /// The value of pixels without data.
    pub nodata: Option<Number>,
    /// Units of the values.
    pub unit: Option<String>,
}

/// What is known of a collection beyond its items.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CollectionConfig {
    /// The product that items become; default: one named after the collection.
    pub product: Option<String>,
    /// Bands by asset; these are taken whatever the item says of them. `*`
    /// stands for what no item says.
    pub assets: IndexMap<String, BandDefaults>,
    /// Other names: alias to asset and band.
    pub aliases: IndexMap<String, (String, u32)>,
    /// How datasets get their ids.
    pub id_mode: IdMode,
    /// Properties that make ids different, next to collection and id.
    pub id_extras: Vec<String>,
    /// Take no grids from the items.
    pub ignore_proj: bool,
}

impl CollectionConfig {
    /// What holds for bands of which nothing is said.
    pub(super) fn fallback(&self) -> BandDefaults {
        self.assets.get("*").cloned().unwrap_or_default()
    }
}

/// What STAC leaves out, by collection.
///
/// ```
/// use datacube_model::stac::StacConfig;
/// let config = StacConfig::from_document(&serde_json::json!({
///     "sentinel-2-l2a": {
///         "product": "s2_l2a",
///         "assets": {"*": {"data_type": "uint16", "nodata": 0}, "SCL": {"data_type": "uint8", "nodata": 0}},
///         "aliases": {"rededge": "B05"},
///         "uuid": {"mode": "auto", "extras": ["s2:generation_time"]},
///     },
///     "*": {"warnings": "ignore"},
/// }))?;
/// assert_eq!(config.collection("sentinel-2-l2a").product.as_deref(), Some("s2_l2a"));
/// assert!(config.collection("another").assets.is_empty());
/// # Ok::<(), datacube_model::DocumentErrors>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StacConfig {
    collections: IndexMap<String, CollectionConfig>,
    none: CollectionConfig,
}

impl StacConfig {
    /// Reads a configuration as odc-stac takes it: settings by collection, `*`
    /// for all others, or the settings of one collection alone. `product`, the
    /// name of the product, is an addition; `warnings` has no effect.
    ///
    /// # Errors
    /// Everything that is wrong, with its path.
    ///
    /// # Source
    /// odc-stac, `model.py` (`MDParseConfig.from_dict`); datacube,
    /// `metadata/_eo3converter.py` (`stac2ds`).
    pub fn from_document(document: &Value) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let root = Node::root(document, &report);
        let mut collections = IndexMap::new();
        if root.map().is_some() {
            if root
                .get("assets")
                .is_some_and(|node| node.value.is_object())
                && !root.entries().any(|(name, _)| name == "*")
            {
                collections.insert("*".to_owned(), collection(&root));
            } else {
                let named = root.entries().filter(|(_, node)| node.value.is_object());
                collections = named
                    .map(|(name, node)| (name.to_owned(), collection(&node)))
                    .collect();
            }
        }
        report.finish(DocumentKind::StacConfig, None)?;
        Ok(StacConfig {
            collections,
            none: CollectionConfig::default(),
        })
    }

    /// What holds for a collection: what is said of it, else of `*`, else nothing.
    pub fn collection(&self, id: &str) -> &CollectionConfig {
        self.collections
            .get(id)
            .or_else(|| self.collections.get("*"))
            .unwrap_or(&self.none)
    }
}

fn collection(node: &Node<'_>) -> CollectionConfig {
    let mut config = CollectionConfig {
        product: node
            .get("product")
            .and_then(|node| node.name().map(str::to_owned)),
        ignore_proj: node
            .get("ignore_proj")
            .and_then(|node| node.bool())
            .unwrap_or(false),
        ..CollectionConfig::default()
    };
    for (name, band) in node.get("assets").iter().flat_map(Node::entries) {
        if band.map().is_none() {
            continue;
        }
        let units = band
            .get("units")
            .or_else(|| band.get("unit"))
            .filter(|node| !node.value.is_null());
        let unit = units.and_then(|node| node.string().map(str::to_owned));
        let band = BandDefaults {
            data_type: band.get("data_type").and_then(|node| data_type(&node)),
            nodata: band.get("nodata").and_then(|node| nodata(&node)),
            unit,
        };
        config.assets.insert(name.to_owned(), band);
    }
    for (alias, node) in node.get("aliases").iter().flat_map(Node::entries) {
        let band = match node.value {
            Value::Array(items) => items.first().and_then(Value::as_str).zip(
                items
                    .get(1)
                    .and_then(Value::as_u64)
                    .and_then(|band| u32::try_from(band).ok()),
            ),
            _ => node.value.as_str().map(|name| (name, 1)),
        };
        match band {
            Some((asset, band)) => {
                config
                    .aliases
                    .insert(alias.to_owned(), (asset.to_owned(), band));
            }
            None => node.fault(ProblemKind::WrongType, "an asset, or [asset, band]"),
        }
    }
    if let Some(node) = node.get("uuid") {
        if let Some(mode) = node.get("mode") {
            match mode.string() {
                Some("auto") => config.id_mode = IdMode::Auto,
                Some("native") => config.id_mode = IdMode::Native,
                Some("random") => config.id_mode = IdMode::Random,
                Some(_) => mode.fault(ProblemKind::BadValue, "one of auto, native, random"),
                None => {}
            }
        }
        config.id_extras = node
            .get("extras")
            .and_then(|node| node.strings())
            .unwrap_or_default();
        config.id_extras.sort();
    }
    config
}

/// A type of pixels by the name that STAC or numpy has for it.
pub(super) fn data_type_named(name: &str) -> Option<DType> {
    match name {
        // Files of such samples are read as the complex numbers of numpy.
        "cint16" | "cfloat32" => Some(DType::Complex64),
        "cint32" | "cfloat64" => Some(DType::Complex128),
        name => DType::ALL
            .into_iter()
            .filter(|dtype| *dtype != DType::Bool)
            .find(|dtype| dtype.name() == name),
    }
}

fn data_type(node: &Node<'_>) -> Option<DType> {
    let found = data_type_named(node.string()?);
    if found.is_none() {
        let names: Vec<&str> = DType::ALL.iter().map(|dtype| dtype.name()).collect();
        node.fault(
            ProblemKind::BadValue,
            format!("one of {}", names[1..].join(", ")),
        );
    }
    found
}

/// A number, also as the text that JSON has to write some of them as.
pub(super) fn number(value: &Value) -> Option<Number> {
    match value {
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "nan" => Some(Number::Float(f64::NAN)),
            "inf" | "+inf" | "infinity" => Some(Number::Float(f64::INFINITY)),
            "-inf" | "-infinity" => Some(Number::Float(f64::NEG_INFINITY)),
            text => match text.parse::<i64>() {
                Ok(value) => Some(Number::from(value)),
                Err(_) => text.parse::<f64>().ok().map(Number::from),
            },
        },
        value => number_of(value),
    }
}

fn nodata(node: &Node<'_>) -> Option<Number> {
    if node.value.is_null() {
        return None;
    }
    let found = number(node.value);
    if found.is_none() {
        node.fault(ProblemKind::WrongType, "a number, or one of nan, inf, -inf");
    }
    found
}

/// The id of a dataset made of an item.
///
/// # Source
/// datacube, `metadata/_eo3converter.py` (`_compute_uuid`); the ids are equal.
pub(super) fn dataset_id(
    config: &CollectionConfig,
    collection: &str,
    id: &str,
    property: impl Fn(&str) -> String,
) -> Option<Uuid> {
    /// `uuid5(NAMESPACE_URL, "https://stacspec.org")`.
    const NAMESPACE: Uuid = Uuid::from_u128(0x55d2_6088_a6d0_5c77_bf9a_3a7f_3c6a_6dab);
    match config.id_mode {
        IdMode::Random => return Some(Uuid::new_v4()),
        IdMode::Native => return Uuid::parse_str(id).ok(),
        IdMode::Auto => {}
    }
    if let Ok(id) = Uuid::parse_str(id) {
        return Some(id);
    }
    let mut text = format!("{collection}\n{id}\n");
    for key in &config.id_extras {
        text += &format!("{key}={}\n", property(key));
    }
    Some(Uuid::new_v5(&NAMESPACE, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn configurations_are_read_whole() {
        let check = |document: Value, expected: &[&str]| {
            let errors = StacConfig::from_document(&document);
            let paths: Vec<String> = match &errors {
                Ok(_) => Vec::new(),
                Err(errors) => errors
                    .problems()
                    .iter()
                    .map(|p| p.path.to_string())
                    .collect(),
            };
            assert_eq!(paths, expected, "{document}");
        };
        check(json!({}), &[]);
        check(
            json!({"a": {"aliases": {"x": ["B", 2]}}, "*": {"warnings": "ignore"}}),
            &[],
        );
        check(
            json!({"a": {"assets": {"B": {"data_type": "uint61", "nodata": []}}, "aliases": {"x": 2}, "uuid": {"mode": "x"}}}),
            &[
                "a.assets.B.data_type",
                "a.assets.B.nodata",
                "a.aliases.x",
                "a.uuid.mode",
            ],
        );
        // The settings of one collection alone.
        let config = StacConfig::from_document(
            &json!({"assets": {"*": {"data_type": "int8", "unit": "m"}}}),
        )
        .expect("valid");
        let fallback = config.collection("any").fallback();
        assert_eq!(
            (fallback.data_type, fallback.unit.as_deref()),
            (Some(DType::Int8), Some("m"))
        );
    }

    #[test]
    fn ids_are_those_of_the_peers() {
        let id = |extras: &[&str]| {
            let config = CollectionConfig {
                id_extras: extras.iter().map(|s| (*s).to_owned()).collect(),
                ..CollectionConfig::default()
            };
            dataset_id(&config, "sentinel-2-l2a", "S2A_1", |key| {
                if key == "p" {
                    "7".into()
                } else {
                    String::new()
                }
            })
            .expect("auto")
            .to_string()
        };
        // python: uuid5(UUID("55d26088-a6d0-5c77-bf9a-3a7f3c6a6dab"), "sentinel-2-l2a\nS2A_1\n")
        assert_eq!(id(&[]), "0900b0ba-00c9-5c7c-a6b2-8d927d0b4bb0");
        assert_eq!(id(&["p", "q"]), "e6d8c7f3-d63b-544c-b237-4f593a54d5fd");
    }
}
