//! Recipes as documents: what they may hold, and what is wrong with them.

use serde_json::{Map, Value};

use super::aggregate::Aggregate;
use super::options::{self, texts};
use super::transform::Transform;
use crate::load_options::LoadOptions;
use crate::{Error, Result};

/// Recipes within recipes at most.
const MAX_DEPTH: usize = 50;

const KINDS: [&str; 6] = [
    "product",
    "transform",
    "collate",
    "juxtapose",
    "aggregate",
    "reproject",
];

/// A recipe that was understood. A `reproject` of products is not here: it is what
/// they are loaded onto.
#[derive(Debug, Clone)]
pub(super) enum Recipe {
    Product {
        name: String,
        options: Box<LoadOptions>,
    },
    Transform {
        transform: Transform,
        input: Box<Recipe>,
    },
    Collate {
        children: Vec<Recipe>,
        index_name: Option<String>,
    },
    Juxtapose {
        children: Vec<Recipe>,
    },
    Aggregate {
        aggregate: Aggregate,
        input: Box<Recipe>,
    },
    /// What is computed on the grids of the datasets, on the grid of `options`.
    Reproject {
        options: Box<LoadOptions>,
        input: Box<Recipe>,
    },
}

pub(super) fn refuse(part: &str, problem: impl Into<String>) -> Error {
    Error::Recipe {
        part: part.to_owned(),
        problem: problem.into(),
    }
}

pub(super) fn parse_yaml(text: &str) -> Result<Value> {
    yaml_serde::from_str(text).map_err(|error| refuse("YAML", error.to_string()))
}

impl Recipe {
    pub(super) fn parse(document: &Value) -> Result<Self> {
        Self::parse_at(document, 0)
    }

    fn parse_at(document: &Value, depth: usize) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(refuse(
                "input",
                format!("recipes are nested more than {MAX_DEPTH} deep"),
            ));
        }
        let map = document
            .as_object()
            .ok_or_else(|| refuse("recipe", format!("it is {document}; expected a mapping")))?;
        let kinds: Vec<&str> = KINDS
            .into_iter()
            .filter(|kind| map.contains_key(*kind))
            .collect();
        let [kind] = kinds.as_slice() else {
            let found = if kinds.is_empty() {
                "none of them".to_owned()
            } else {
                kinds.join(" and ")
            };
            return Err(refuse(
                "recipe",
                format!("expected one of {}; it has {found}", KINDS.join(", ")),
            ));
        };
        let input = || {
            let input = map
                .get("input")
                .ok_or_else(|| refuse(kind, "it has no `input`"))?;
            Self::parse_at(input, depth + 1).map(Box::new)
        };
        let children = || {
            let list = map[*kind]
                .as_array()
                .filter(|list| !list.is_empty())
                .ok_or_else(|| refuse(kind, "expected a list of recipes"))?;
            list.iter()
                .map(|child| Self::parse_at(child, depth + 1))
                .collect::<Result<Vec<_>>>()
        };
        match *kind {
            "product" => {
                let name = text(map, "product")?;
                let options = Box::new(options::parse(map)?);
                Ok(Recipe::Product { name, options })
            }
            "transform" => Ok(Recipe::Transform {
                transform: Transform::parse(map)?,
                input: input()?,
            }),
            "collate" => {
                only(map, kind, &["collate", "index_measurement_name", "dim"])?;
                let index_name = map.get("index_measurement_name");
                Ok(Recipe::Collate {
                    children: children()?,
                    index_name: index_name
                        .map(|_| text(map, "index_measurement_name"))
                        .transpose()?,
                })
            }
            "juxtapose" => {
                only(map, kind, &["juxtapose"])?;
                Ok(Recipe::Juxtapose {
                    children: children()?,
                })
            }
            "aggregate" => Ok(Recipe::Aggregate {
                aggregate: Aggregate::parse(map)?,
                input: input()?,
            }),
            _ => reproject(map, *input()?),
        }
    }

    /// Names of the products, in order.
    pub(super) fn products(&self) -> Vec<&str> {
        match self {
            Recipe::Product { name, .. } => vec![name],
            Recipe::Transform { input, .. }
            | Recipe::Aggregate { input, .. }
            | Recipe::Reproject { input, .. } => input.products(),
            Recipe::Collate { children, .. } | Recipe::Juxtapose { children } => {
                children.iter().flat_map(Recipe::products).collect()
            }
        }
    }

    /// The options of the first product: what is searched for.
    pub(super) fn first_options(&self) -> Option<&LoadOptions> {
        match self {
            Recipe::Product { options, .. } => Some(options),
            Recipe::Transform { input, .. }
            | Recipe::Aggregate { input, .. }
            | Recipe::Reproject { input, .. } => input.first_options(),
            Recipe::Collate { children, .. } | Recipe::Juxtapose { children } => {
                children.iter().find_map(Recipe::first_options)
            }
        }
    }

    fn has_reproject(&self) -> bool {
        match self {
            Recipe::Product { .. } => false,
            Recipe::Reproject { .. } => true,
            Recipe::Transform { input, .. } | Recipe::Aggregate { input, .. } => {
                input.has_reproject()
            }
            Recipe::Collate { children, .. } | Recipe::Juxtapose { children } => {
                children.iter().any(Recipe::has_reproject)
            }
        }
    }

    /// The same recipe on another grid: its products are loaded onto it, and what is
    /// computed is reprojected.
    fn onto(self, grid: &LoadOptions) -> Result<Self> {
        match self {
            Recipe::Product { name, mut options } => {
                options.output_crs.clone_from(&grid.output_crs);
                options.resolution = grid.resolution;
                options.align = grid.align;
                if !grid.resampling.is_empty() {
                    options.resampling.clone_from(&grid.resampling);
                }
                Ok(Recipe::Product { name, options })
            }
            Recipe::Transform { transform, input } if transform.keeps_pixels() => {
                let input = Box::new(input.onto(grid)?);
                Ok(Recipe::Transform { transform, input })
            }
            Recipe::Collate {
                children,
                index_name,
            } => {
                let children = children.into_iter().map(|child| child.onto(grid));
                let children = children.collect::<Result<_>>()?;
                Ok(Recipe::Collate {
                    children,
                    index_name,
                })
            }
            Recipe::Juxtapose { children } => {
                let children = children.into_iter().map(|child| child.onto(grid));
                Ok(Recipe::Juxtapose {
                    children: children.collect::<Result<_>>()?,
                })
            }
            Recipe::Transform { .. } | Recipe::Aggregate { .. } | Recipe::Reproject { .. } => {
                if self.has_reproject() {
                    return Err(refuse(
                        "reproject",
                        "what is computed is reprojected twice; leave the inner one out, so that \
                         pixels are resampled once",
                    ));
                }
                Ok(Recipe::Reproject {
                    options: Box::new(grid.clone()),
                    input: Box::new(self),
                })
            }
        }
    }
}

/// Pixels of products that are reprojected are products loaded onto that grid.
///
/// # Source
/// datacube-core, `virtual/impl.py` (`Reproject`). DIFFERENCE: there pixels are
/// first brought onto each dataset's own grid, which resamples twice where
/// datasets of a time step have different ones.
fn reproject(map: &Map<String, Value>, input: Recipe) -> Result<Recipe> {
    only(map, "reproject", &["reproject", "input", "resampling"])?;
    let grid = map["reproject"]
        .as_object()
        .ok_or_else(|| refuse("reproject", "expected `output_crs` and `resolution`"))?;
    only(grid, "reproject", &["output_crs", "resolution", "align"])?;
    for needed in ["output_crs", "resolution"] {
        if !grid.contains_key(needed) {
            return Err(refuse("reproject", format!("it has no `{needed}`")));
        }
    }
    let mut settings = grid.clone();
    if let Some(resampling) = map.get("resampling") {
        settings.insert("resampling".to_owned(), resampling.clone());
    }
    input.onto(&options::parse(&settings)?)
}

/// The text of a key.
pub(super) fn text(map: &Map<String, Value>, key: &str) -> Result<String> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(refuse(key, format!("it is {other}; expected a name"))),
        None => Err(refuse(key, "it is missing")),
    }
}

/// The names of a key that holds a list; `None` where it is not there.
pub(super) fn names(map: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => texts(value)
            .map(Some)
            .ok_or_else(|| refuse(key, format!("it is {value}; expected a list of names"))),
    }
}

/// Refuses keys that nothing reads.
pub(super) fn only(map: &Map<String, Value>, part: &str, known: &[&str]) -> Result<()> {
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(refuse(
            part,
            format!(
                "`{key}` is not known there; it may have {}",
                known.join(", ")
            ),
        )),
    }
}
