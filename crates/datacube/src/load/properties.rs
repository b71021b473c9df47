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

/// The name of a property as that of a variable: what formulas cannot hold becomes
/// an underscore.
///
/// # Source
/// odc-stac, `model.py` (`PropertyLoadRequest.output_name`).
fn variable_name(property: &str) -> String {
    property.replace(['.', ':', '-'], "_")
}

/// The properties that are asked for, of all datasets of a time step together: the
/// mean of numbers, whether all are true, the distinct texts joined by commas. What is
/// missing is NaN, false or an empty text.
///
/// # Source
/// odc-stac, `model.py` (`_default_props_fuser`).
/// DIFFERENCE: a text that several datasets share is told once.
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
        let values: Vec<Vec<Value>> = groups
            .iter()
            .map(|group| {
                let members = group.members.iter();
                members
                    .filter_map(|&at| entries[at].property(&name))
                    .collect()
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
        let label = variable_name(&name);
        let array = match kind {
            Value::Number(_) => {
                let numbers: Vec<f64> = values.iter().map(|values| mean(values)).collect();
                DataArray::from_values(label.as_str(), &["time"], &shape, numbers, coords())?
            }
            Value::Bool(_) => {
                let truths = values
                    .iter()
                    .map(|values| !values.is_empty() && values.iter().all(|value| value == true));
                let truths: Vec<bool> = truths.collect();
                DataArray::from_values(label.as_str(), &["time"], &shape, truths, coords())?
            }
            Value::String(_) => {
                let texts = values.iter().map(|values| joined(values));
                let coord = Coord::text("time", texts).with_attrs(Attrs::new());
                properties.coords.push((label, coord));
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
        properties.variables.push((label, array));
    }
    Ok(properties)
}

/// The mean of the numbers among `values`, NaN of none.
fn mean(values: &[Value]) -> f64 {
    let numbers: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The distinct texts of `values`, in their order.
fn joined(values: &[Value]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for value in values {
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(",")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_datasets_have_one_property() {
        assert_eq!(mean(&[json!(2), json!(5.0)]), 3.5);
        assert!(mean(&[]).is_nan());
        let texts = [json!("l8"), json!("l9"), json!("l8")];
        assert_eq!(joined(&texts), "l8,l9");
        assert_eq!(joined(&[]), "");
        assert_eq!(variable_name("eo:cloud-cover.1"), "eo_cloud_cover_1");
    }
}
