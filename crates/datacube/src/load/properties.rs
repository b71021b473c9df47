//! Properties of datasets, laid along time beside the pixels.

use datacube_compute::{Attrs, Coord, Coords, DataArray};
use indexmap::IndexMap;
use serde_json::Value;

use super::entry::Entry;
use crate::group::Group;
use crate::load_options::WithProperties;
use crate::{Error, Result};

/// What properties add to a cube.
#[derive(Debug, Default)]
pub(super) struct Properties {
    /// Numbers and truths: `[time]`.
    pub(super) variables: Vec<(String, DataArray)>,
    /// Texts, labels along `time`.
    pub(super) coords: Vec<(String, Coord)>,
}

/// The properties that are asked for, each of the first dataset of a time step
/// that has it. What is missing is NaN, false or an empty text.
pub(super) fn along_time(
    wanted: &WithProperties,
    entries: &[Entry],
    groups: &[Group],
    time: &Coord,
) -> Result<Properties> {
    let mut known: IndexMap<String, ()> = IndexMap::new();
    if *wanted == WithProperties::None {
        return Ok(Properties::default());
    }
    for entry in entries {
        known.extend(entry.property_names().into_iter().map(|name| (name, ())));
    }
    let names: Vec<String> = match wanted {
        WithProperties::Names(names) => names.clone(),
        _ => known.keys().cloned().collect(),
    };
    let mut properties = Properties::default();
    for name in names {
        let values: Vec<Option<Value>> = groups
            .iter()
            .map(|group| {
                group
                    .members
                    .iter()
                    .find_map(|&at| entries[at].property(&name))
            })
            .collect();
        let Some(kind) = values.iter().flatten().next() else {
            if matches!(wanted, WithProperties::All) {
                continue;
            }
            return Err(Error::Unknown {
                kind: "property",
                name,
                place: "the datasets that are loaded".into(),
                known: known.keys().cloned().collect(),
            });
        };
        let coords = || Coords::new().with("time", time.clone());
        let shape = [values.len()];
        let array = match kind {
            Value::Number(_) => {
                let numbers: Vec<f64> = values
                    .iter()
                    .map(|value| value.as_ref().and_then(Value::as_f64).unwrap_or(f64::NAN))
                    .collect();
                DataArray::from_values(name.as_str(), &["time"], &shape, numbers, coords())?
            }
            Value::Bool(_) => {
                let truths: Vec<bool> = values
                    .iter()
                    .map(|value| value.as_ref().and_then(Value::as_bool).unwrap_or(false))
                    .collect();
                DataArray::from_values(name.as_str(), &["time"], &shape, truths, coords())?
            }
            Value::String(_) => {
                let texts = values.iter().map(|value| match value {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                });
                let coord = Coord::text("time", texts).with_attrs(Attrs::new());
                properties.coords.push((name, coord));
                continue;
            }
            _ if matches!(wanted, WithProperties::All) => continue,
            other => {
                return Err(Error::Option {
                    option: "with_properties",
                    problem: format!(
                        "`{name}` is {other}; only numbers, texts and truths lie along time"
                    ),
                });
            }
        };
        properties.variables.push((name, array));
    }
    Ok(properties)
}
