//! The rules for products.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::compare::{differences, keys_of_both, same, unknown, whole};
use super::{Changes, Verdict, metadata_type};
use crate::document::DocPath;

/// What an update of a product changes.
///
/// Safe are words (descriptions, license, units), fewer demands on documents
/// (`metadata`), load hints, which every load may override, and whatever adds:
/// measurements, aliases, flags, values of flags. Measurements are compared by
/// name.
pub fn product_changes(was: &Value, now: &Value) -> Changes {
    let mut out = Changes::default();
    let (Some(a), Some(b)) = (was.as_object(), now.as_object()) else {
        whole(
            &DocPath::root(),
            Some(was),
            Some(now),
            unknown(&DocPath::root()),
            &mut out,
        );
        return out;
    };
    for key in keys_of_both(a, b) {
        top(key, a.get(key), b.get(key), &mut out);
    }
    out
}

fn top(key: &str, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    let path = DocPath::root().key(key);
    let mut all_below =
        |verdict: &Verdict| differences(&path, was, now, &|_, _, _| verdict.clone(), out);
    match key {
        "description" | "license" | "load" => all_below(&Verdict::Safe),
        _ if key.starts_with("default_") => all_below(&Verdict::Safe),
        "name" => all_below(&Verdict::unsafe_because(
            "a name is for good; add another product",
        )),
        "extra_dimensions" => all_below(&Verdict::unsafe_because(
            "the files of its datasets keep the dimensions that they have",
        )),
        "metadata_type" => metadata_type(&path, was, now, out),
        "metadata" => differences(
            &path,
            was,
            now,
            &|_, _, now| match now {
                None => Verdict::Safe,
                Some(_) => Verdict::unsafe_because(
                    "documents are matched by it, and those in the index may no longer match",
                ),
            },
            out,
        ),
        "storage" => storage(&path, was, now, out),
        "measurements" => measurements(&path, was, now, out),
        _ => differences(&path, was, now, &|path, _, _| unknown(path), out),
    }
}

fn metadata_type(path: &DocPath, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    fn name(value: Option<&Value>) -> Option<&str> {
        let value = value?;
        value.as_str().or_else(|| value.get("name")?.as_str())
    }
    if name(was) != name(now) {
        let why = "its datasets would be read and searched by the rules of another type";
        whole(path, was, now, Verdict::unsafe_because(why), out);
        return;
    }
    // A name and the type of that name written out are the same type.
    if let (Some(was @ Value::Object(_)), Some(now @ Value::Object(_))) = (was, now) {
        metadata_type::below(path, was, now, out);
    }
}

fn storage(path: &DocPath, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    // With nothing but these two it says what `load` does.
    let is_hint = |value: Option<&Value>| {
        value.is_none_or(|value| {
            let keys = value.as_object().map(Map::keys);
            keys.is_some_and(|mut keys| keys.all(|key| key == "crs" || key == "resolution"))
        })
    };
    let are_hints = is_hint(was) && is_hint(now);
    differences(
        path,
        was,
        now,
        &|path, _, _| match super::compare::key_at(path, 1) {
            _ if are_hints => Verdict::Safe,
            Some("chunking" | "driver" | "dimension_order") => Verdict::Safe,
            _ => Verdict::unsafe_because("the tiles of the product would lie elsewhere"),
        },
        out,
    );
}

/// Measurements by name, with their place in the list.
type ByName<'a> = IndexMap<&'a str, (usize, &'a Map<String, Value>)>;

/// The measurements of a list; `None` for one that cannot be read so.
fn by_name(list: Option<&Value>) -> Option<ByName<'_>> {
    let list = match list {
        Some(list) => list.as_array()?.as_slice(),
        None => &[],
    };
    let mut found = IndexMap::new();
    for (index, item) in list.iter().enumerate() {
        let item = item.as_object()?;
        let name = item.get("name")?.as_str()?;
        if found.insert(name, (index, item)).is_some() {
            return None;
        }
    }
    Some(found)
}

fn measurements(path: &DocPath, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    let (Some(old), Some(new)) = (by_name(was), by_name(now)) else {
        differences(path, was, now, &|path, _, _| unknown(path), out);
        return;
    };
    for (name, (index, measurement)) in &old {
        match new.get(name) {
            Some((index, other)) => one_measurement(&path.index(*index), measurement, other, out),
            None => out.push(
                &path.index(*index),
                Some(&Value::Object((*measurement).clone())),
                None,
                Verdict::unsafe_because(format!("loads that ask for `{name}` would fail")),
            ),
        }
    }
    for (index, measurement) in new
        .iter()
        .filter(|(name, _)| !old.contains_key(*name))
        .map(|(_, measurement)| measurement)
    {
        let added = Value::Object((*measurement).clone());
        out.push(&path.index(*index), None, Some(&added), Verdict::Safe);
    }
    let kept = |names: &IndexMap<&str, _>, others: &IndexMap<&str, _>| -> Vec<Value> {
        let both = names.keys().filter(|name| others.contains_key(*name));
        both.map(|name| Value::from(*name)).collect()
    };
    let orders = (kept(&old, &new), kept(&new, &old));
    if orders.0 != orders.1 {
        out.push(
            path,
            Some(&Value::Array(orders.0)),
            Some(&Value::Array(orders.1)),
            Verdict::unsafe_because("loads give the bands in this order"),
        );
    }
}

fn one_measurement(
    path: &DocPath,
    was: &Map<String, Value>,
    now: &Map<String, Value>,
    out: &mut Changes,
) {
    for key in keys_of_both(was, now) {
        let (path, was, now) = (path.key(key), was.get(key), now.get(key));
        let verdict = match key {
            "aliases" => {
                aliases(&path, was, now, out);
                continue;
            }
            "flags_definition" => {
                flags(&path, was, now, out);
                continue;
            }
            "units" | "description" => Verdict::Safe,
            "spectral_definition" if was.is_none() => Verdict::Safe,
            "spectral_definition" => {
                Verdict::unsafe_because("what was computed with it would differ")
            }
            "dtype" => Verdict::unsafe_because("loads would give pixels of another type"),
            "nodata" => Verdict::unsafe_because("other pixels would count as missing"),
            "scale_factor" | "add_offset" => {
                Verdict::unsafe_because("the same pixels would stand for other values")
            }
            "extra_dim" | "dims" => {
                Verdict::unsafe_because("the files of its datasets keep the dimensions they have")
            }
            _ => unknown(&path),
        };
        whole(&path, was, now, verdict, out);
    }
}

fn aliases(path: &DocPath, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    let items = |value: Option<&Value>| -> Vec<Value> {
        let list = value.and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let (old, new) = (items(was), items(now));
    let missing = old.iter().find(|alias| !new.contains(alias));
    let verdict = match missing {
        None => Verdict::Safe,
        Some(alias) => Verdict::unsafe_because(format!("loads that ask for {alias} would fail")),
    };
    whole(path, was, now, verdict, out);
}

fn flags(path: &DocPath, was: Option<&Value>, now: Option<&Value>, out: &mut Changes) {
    let (was, now) = match (was, now) {
        (Some(Value::Object(was)), Some(Value::Object(now))) => (was, now),
        (None | Some(Value::Null), now) => {
            whole(path, was, now, Verdict::Safe, out);
            return;
        }
        (was, now) => {
            let why = "masks that use its flags would fail";
            whole(path, was, now, Verdict::unsafe_because(why), out);
            return;
        }
    };
    for name in keys_of_both(was, now) {
        let path = path.key(name);
        match (was.get(name), now.get(name)) {
            (Some(Value::Object(was)), Some(Value::Object(now))) => {
                one_flag(&path, was, now, out);
            }
            (None, now) => whole(&path, None, now, Verdict::Safe, out),
            (was, None) => {
                let why = format!("masks that use the flag `{name}` would fail");
                whole(&path, was, None, Verdict::unsafe_because(why), out);
            }
            (was, now) => whole(&path, was, now, unknown(&path), out),
        }
    }
}

fn one_flag(path: &DocPath, was: &Map<String, Value>, now: &Map<String, Value>, out: &mut Changes) {
    let other_meaning = || Verdict::unsafe_because("the same pixels would mean something else");
    for key in keys_of_both(was, now) {
        let (path, was, now) = (path.key(key), was.get(key), now.get(key));
        match (key, was, now) {
            ("description", was, now) => whole(&path, was, now, Verdict::Safe, out),
            // One bit, or a list of it alone.
            ("bits", Some(a), Some(b)) if same(&bits(a), &bits(b)) => {}
            ("values", Some(Value::Object(a)), Some(Value::Object(b))) => {
                for code in keys_of_both(a, b) {
                    let path = path.key(code);
                    let verdict = match (a.get(code), b.get(code)) {
                        (None, _) => Verdict::Safe,
                        (Some(label), None) => {
                            Verdict::unsafe_because(format!("masks that use {label} would fail"))
                        }
                        _ => other_meaning(),
                    };
                    whole(&path, a.get(code), b.get(code), verdict, out);
                }
            }
            (_, was, now) => whole(&path, was, now, other_meaning(), out),
        }
    }
}

fn bits(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::Array(vec![value.clone()]),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn product() -> Value {
        json!({
            "name": "ls8",
            "description": "Landsat 8",
            "metadata_type": "eo3",
            "metadata": {"product": {"name": "ls8"}, "properties": {"eo:platform": "landsat-8"}},
            "measurements": [
                {"name": "red", "dtype": "uint16", "nodata": 0, "units": "1", "aliases": ["b4"]},
                {"name": "qa", "dtype": "uint16", "nodata": 1, "units": "bits", "flags_definition": {
                    "cloud": {"bits": 3, "values": {"0": "no", "1": "yes"}},
                }},
            ],
        })
    }

    /// `safe PATH` or `unsafe PATH` for each change.
    fn check(edit: impl FnOnce(&mut Value), expected: &[&str]) {
        let was = product();
        let mut now = was.clone();
        edit(&mut now);
        let changes = product_changes(&was, &now);
        let found: Vec<String> = changes
            .iter()
            .map(|change| {
                let name = if change.is_safe() { "safe" } else { "unsafe" };
                format!("{name} {}", change.path)
            })
            .collect();
        assert_eq!(found, expected, "{changes}");
    }

    fn object(value: &mut Value) -> &mut Map<String, Value> {
        value.as_object_mut().expect("an object")
    }

    #[test]
    fn words_hints_and_fewer_demands_are_safe() {
        check(|_| {}, &[]);
        check(
            |now| {
                now["description"] = json!("x");
                now["license"] = json!("CC-BY-4.0");
                now["load"] = json!({"crs": "EPSG:3577", "resolution": {"x": 30, "y": -30}});
                now["default_style"] = json!({"any": "thing"});
                object(&mut now["metadata"]).shift_remove("properties");
                now["measurements"][0]["units"] = json!("reflectance");
            },
            &[
                "safe description",
                "safe metadata.properties",
                "safe measurements[0].units",
                "safe license",
                "safe load",
                "safe default_style",
            ],
        );
        check(
            |now| now["metadata_type"] = json!({"name": "eo3", "dataset": {}}),
            &[],
        );
    }

    #[test]
    fn what_documents_are_matched_by_is_not() {
        check(
            |now| {
                now["metadata"]["properties"]["eo:platform"] = json!("landsat-9");
                now["metadata"]["more"] = json!(1);
                now["metadata_type"] = json!("eo");
                now["managed"] = json!(true);
            },
            &[
                "unsafe metadata_type",
                "unsafe metadata.properties.eo:platform",
                "unsafe metadata.more",
                "unsafe managed",
            ],
        );
    }

    #[test]
    fn measurements_are_compared_by_name() {
        check(
            |now| {
                let list = now["measurements"].as_array_mut().expect("a list");
                list.insert(0, json!({"name": "blue", "dtype": "uint16"}));
                list[1]["aliases"] = json!(["band_4", "b4"]);
                list[1]["nodata"] = json!(0.0);
            },
            &["safe measurements[1].aliases", "safe measurements[0]"],
        );
        check(
            |now| {
                let list = now["measurements"].as_array_mut().expect("a list");
                list.swap(0, 1);
                list[1]["aliases"] = json!([]);
                list[1]["dtype"] = json!("int16");
                list[1]["nodata"] = json!("NaN");
                list[1]["scale_factor"] = json!(0.1);
                list[1]["new"] = json!(1);
            },
            &[
                "unsafe measurements[1].dtype",
                "unsafe measurements[1].nodata",
                "unsafe measurements[1].aliases",
                "unsafe measurements[1].scale_factor",
                "unsafe measurements[1].new",
                "unsafe measurements",
            ],
        );
        check(
            |now| {
                drop(
                    now["measurements"]
                        .as_array_mut()
                        .expect("a list")
                        .remove(0),
                )
            },
            &["unsafe measurements[0]"],
        );
    }

    #[test]
    fn flags_may_be_added_to() {
        let flags = "/measurements/1/flags_definition";
        let path = "measurements[1].flags_definition";
        check(
            |now| {
                let flags = now.pointer_mut(flags).expect("flags");
                flags["cloud"]["bits"] = json!([3]);
                flags["cloud"]["description"] = json!("clouds");
                flags["cloud"]["values"]["2"] = json!("maybe");
                flags["snow"] = json!({"bits": 4, "values": {"0": "no", "1": "yes"}});
            },
            &[
                &format!("safe {path}.cloud.values.2"),
                &format!("safe {path}.cloud.description"),
                &format!("safe {path}.snow"),
            ],
        );
        check(
            |now| {
                let flags = now.pointer_mut(flags).expect("flags");
                flags["cloud"]["bits"] = json!(4);
                flags["cloud"]["values"]["0"] = json!("yes");
                object(&mut flags["cloud"]["values"]).shift_remove("1");
            },
            &[
                &format!("unsafe {path}.cloud.bits"),
                &format!("unsafe {path}.cloud.values.0"),
                &format!("unsafe {path}.cloud.values.1"),
            ],
        );
        check(
            |now| drop(object(&mut now["measurements"][1]).shift_remove("flags_definition")),
            &[&format!("unsafe {path}")],
        );
    }

    #[test]
    fn storage_of_two_keys_is_a_hint() {
        check(
            |now| now["storage"] = json!({"crs": "EPSG:3577", "resolution": {"x": 1, "y": -1}}),
            &["safe storage"],
        );
        let was = json!({"storage": {"crs": "EPSG:1", "tile_size": {"x": 1}, "driver": "a"}});
        let now = json!({"storage": {"crs": "EPSG:2", "tile_size": {"x": 1}, "driver": "b"}});
        let changes = product_changes(&was, &now);
        let safe: Vec<bool> = changes.iter().map(super::super::Change::is_safe).collect();
        assert_eq!(safe, [false, true], "{changes}");
    }
}
