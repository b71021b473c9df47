//! Dimensions between time and space, for files that have three.

use indexmap::IndexMap;

use super::measurement;
use crate::DType;
use crate::Number;
use crate::document::{Node, ProblemKind};

/// A dimension between time and space.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExtraDimension {
    /// The name.
    pub name: String,
    /// The coordinates.
    pub values: Vec<Number>,
    /// The type of the coordinates.
    pub dtype: DType,
    /// Units of the coordinates.
    pub units: Option<String>,
}

pub(super) fn read(node: &Node<'_>) -> IndexMap<String, ExtraDimension> {
    let mut dimensions = IndexMap::new();
    for item in node.list().unwrap_or_default() {
        let Some(dimension) = one(&item) else {
            continue;
        };
        if dimensions.contains_key(&dimension.name) {
            item.get("name")
                .expect("it was just read")
                .fault(ProblemKind::Duplicate, "a name of its own");
        }
        dimensions.insert(dimension.name.clone(), dimension);
    }
    dimensions
}

fn one(node: &Node<'_>) -> Option<ExtraDimension> {
    node.map()?;
    node.only_keys(&["name", "values", "dtype", "units"]);
    let name = node
        .require("name", "the name of the dimension")
        .and_then(|node| node.string().map(str::to_owned));
    let values = node
        .require("values", "the coordinates of the dimension")
        .and_then(|node| node.numbers());
    let dtype = node
        .require("dtype", "the type of the coordinates")
        .and_then(|node| measurement::dtype(&node));
    let units = node
        .get("units")
        .and_then(|node| node.string().map(str::to_owned));
    Some(ExtraDimension {
        name: name?,
        values: values?,
        dtype: dtype?,
        units,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::faults;

    #[test]
    fn every_fault_is_named() {
        assert_eq!(
            faults(|document| {
                document["extra_dimensions"] = json!([
                    {"name": "z", "values": [5, "10"], "dtype": "float"},
                    {"name": "w", "values": [], "dtype": "float64", "unit": "m"},
                    {"name": "w", "values": [], "dtype": "float64"},
                    {},
                ]);
            }),
            [
                "extra_dimensions[0].values[1]",
                "extra_dimensions[0].dtype",
                "extra_dimensions[1].unit",
                "extra_dimensions[2].name",
                "extra_dimensions[3].name",
                "extra_dimensions[3].values",
                "extra_dimensions[3].dtype"
            ]
        );
    }
}
