//! A product out of its document.

use std::sync::LazyLock;

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

use super::extra_dim::{self, ExtraDimension};
use super::measurement::{self, Measurement};
use super::{Parsed, load};
use crate::document::{Node, Problem, ProblemKind};
use crate::metadata_type::{MetadataType, MetadataTypeLookup};

const KEYS: [&str; 11] = [
    "name",
    "description",
    "metadata_type",
    "license",
    "metadata",
    "managed",
    "extra_dimensions",
    "load",
    "storage",
    "measurements",
    "default_...",
];

/// Keys under which people keep objects to refer to from elsewhere.
static DEFAULT_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"default_\w+").expect("a valid pattern"));
static LICENSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[\w\-.+]+$").expect("a valid pattern"));

pub(super) fn product(node: &Node<'_>, types: &impl MetadataTypeLookup) -> Option<Parsed> {
    node.map()?;
    keys(node);
    let name = node
        .require("name", "the name of the product")
        .and_then(|node| node.name().map(str::to_owned));
    let description = node
        .require("description", "a description of the product")
        .and_then(|node| node.string().map(str::to_owned));
    let license = node.get("license").and_then(|node| license(&node));
    let metadata_type = node
        .require("metadata_type", "the name of a metadata type, such as eo3")
        .and_then(|node| metadata_type(&node, types));
    if let Some(metadata) = node.require(
        "metadata",
        "an object that the documents of the product's datasets contain",
    ) {
        metadata.map();
    }
    let managed = node.get("managed").map_or(Some(false), |node| node.bool());
    let extra_dimensions = node
        .get("extra_dimensions")
        .map(|node| extra_dim::read(&node))
        .unwrap_or_default();
    let load = node.get("load").and_then(|node| load::hints(&node));
    let storage = node.get("storage").and_then(|node| load::storage(&node));
    let measurements = node
        .get("measurements")
        .map(|node| measurements(&node, &extra_dimensions))
        .unwrap_or_default();
    Some(Parsed {
        name: name?,
        description: description?,
        license,
        managed: managed?,
        metadata_type: metadata_type?,
        measurements,
        extra_dimensions,
        load,
        storage,
    })
}

fn keys(node: &Node<'_>) {
    for (key, value) in node.entries() {
        if KEYS.contains(&key) && key != "default_..." {
            continue;
        }
        if DEFAULT_KEY.is_match(key) {
            value.map();
            continue;
        }
        node.report().problem(
            Problem::new(
                value.path,
                ProblemKind::UnknownKey,
                format!("one of {}", KEYS.join(", ")),
            )
            .found_text(format!("the key `{key}`"))
            .near(
                key,
                KEYS.into_iter().filter(|known| *known != "default_..."),
            ),
        );
    }
}

fn license(node: &Node<'_>) -> Option<String> {
    let text = node.string()?;
    if !LICENSE.is_match(text) {
        node.fault(
            ProblemKind::BadValue,
            "an SPDX identifier such as CC-BY-4.0, `various` or `proprietary`",
        );
        return None;
    }
    Some(text.to_owned())
}

fn metadata_type(node: &Node<'_>, types: &impl MetadataTypeLookup) -> Option<MetadataType> {
    match node.value {
        Value::String(name) => {
            let found = types.metadata_type(name);
            if found.is_none() {
                let names = types.names();
                let expected = if names.is_empty() {
                    "a metadata type that is known; there are none, so add it first".to_owned()
                } else {
                    format!(
                        "a metadata type that is known ({}); add it first",
                        names.join(", ")
                    )
                };
                let problem = node.problem(ProblemKind::UnknownName, expected);
                node.report()
                    .problem(problem.near(name, names.iter().map(String::as_str)));
            }
            found
        }
        Value::Object(_) => MetadataType::read(node),
        _ => {
            node.fault(
                ProblemKind::WrongType,
                "the name of a metadata type, or its definition",
            );
            None
        }
    }
}

fn measurements(
    node: &Node<'_>,
    extra_dimensions: &IndexMap<String, ExtraDimension>,
) -> IndexMap<String, Measurement> {
    let mut found: IndexMap<String, (usize, Measurement)> = IndexMap::new();
    for (index, item) in node.list().unwrap_or_default().iter().enumerate() {
        let Some(measurement) = measurement::read(item, extra_dimensions) else {
            continue;
        };
        match found.get(&measurement.name) {
            Some((first, _)) => {
                let expected = format!("a name of its own; measurements[{first}] has this one");
                let problem = Problem::new(item.path.key("name"), ProblemKind::Duplicate, expected);
                node.report()
                    .problem(problem.found_text(format!("{:?}", measurement.name)));
            }
            None => {
                found.insert(measurement.name.clone(), (index, measurement));
            }
        }
    }
    shared_aliases(node, &found);
    found
        .into_iter()
        .map(|(name, (_, measurement))| (name, measurement))
        .collect()
}

/// Notes aliases that are also the name or an alias of another measurement.
/// ODC takes such products, and there are some; there the last one wins.
fn shared_aliases(node: &Node<'_>, measurements: &IndexMap<String, (usize, Measurement)>) {
    let mut owners: IndexMap<&str, &str> = IndexMap::new();
    for (index, measurement) in measurements.values() {
        for (position, alias) in measurement.aliases.iter().enumerate() {
            let of_name = measurements
                .get(alias)
                .map(|(_, other)| other.name.as_str());
            let owner = of_name.unwrap_or_else(|| owners.entry(alias).or_insert(&measurement.name));
            if owner != measurement.name {
                let path = node.path.index(*index).key("aliases").index(position);
                let what = if of_name.is_some() {
                    "the name"
                } else {
                    "an alias"
                };
                node.report().warning(
                    Problem::new(
                        path,
                        ProblemKind::Duplicate,
                        "an alias that names one measurement only",
                    )
                    .found_text(format!("{alias:?}, which is {what} of `{owner}` too")),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{faults, minimal, read, warnings};

    #[test]
    fn every_fault_is_named() {
        let errors = read(json!({"name": "a b", "license": "a b", "managed": "yes", "measurements": {}, "descripton": ""}))
            .expect_err("all wrong");
        let paths: Vec<String> = errors
            .problems()
            .iter()
            .map(|problem| problem.path.to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "descripton",
                "name",
                "description",
                "license",
                "metadata_type",
                "metadata",
                "managed",
                "measurements"
            ]
        );
        assert!(
            errors.to_string().contains("did you mean `description`"),
            "{errors}"
        );
    }

    #[test]
    fn types_have_to_be_known() {
        let mut document = minimal();
        document["metadata_type"] = json!("eo4");
        let errors = read(document).expect_err("unknown");
        assert_eq!(
            errors.to_string(),
            "invalid product `ls8`: metadata_type: expected a metadata type that is known (eo3, eo, telemetry); \
             add it first, found \"eo4\"; did you mean `eo` or `eo3`?"
        );
    }

    #[test]
    fn default_keys_hold_objects() {
        assert!(faults(|document| document["default_flags"] = json!({"a": 1})).is_empty());
        assert_eq!(
            faults(|document| document["default_flags"] = json!(1)),
            ["default_flags"]
        );
    }

    #[test]
    fn names_are_unique_and_aliases_should_be() {
        assert_eq!(
            faults(|document| {
                let first = document["measurements"][0].clone();
                document["measurements"]
                    .as_array_mut()
                    .expect("list")
                    .push(first);
            }),
            ["measurements[2].name"]
        );
        assert_eq!(warnings(|_| {}), ["measurements[1].aliases[1]"]);
        assert_eq!(
            warnings(|document| document["measurements"][1]["aliases"] = json!(["red", "nir"])),
            ["measurements[1].aliases[0]"]
        );
    }
}
