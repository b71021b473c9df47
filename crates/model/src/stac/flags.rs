//! `classification:bitfields` and `classification:classes`, and the flags
//! definitions that say the same in ODC.

use serde_json::{Map, Value, json};

use super::names;
use crate::document::Node;
use crate::flags::Flag;
use crate::{DType, FlagsDefinition, Label};

/// The flags definition of a band, from the nearest of `places` that has one.
///
/// A bit field becomes a flag of its bits; classes become one flag of all bits
/// of the pixel, named after the asset. What no bits can hold is left out.
pub(super) fn read<'a, 'b: 'a>(
    places: impl Iterator<Item = &'a Node<'b>> + Clone,
    data_type: DType,
    asset: &str,
) -> Option<Value> {
    let (low, _) = data_type.integer_range()?;
    let n_bits = u64::try_from(data_type.size() * 8).unwrap_or(64);
    let list = |key: &str| {
        let mut found = places.clone().filter_map(move |place| place.get(key));
        found.find_map(|node| node.value.as_array().cloned())
    };
    let mut flags = Map::new();
    for (index, field) in list("classification:bitfields")
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let (Some(offset), Some(length)) = (field["offset"].as_u64(), field["length"].as_u64())
        else {
            continue;
        };
        if length == 0 || offset.saturating_add(length) > n_bits {
            continue;
        }
        let bits = if length == 1 {
            json!(offset)
        } else {
            json!((offset..offset + length).collect::<Vec<_>>())
        };
        let name =
            text(field, &["name"]).map_or_else(|| format!("bits_{offset}"), names::measurement);
        let name = if flags.contains_key(&name) {
            format!("{name}_{index}")
        } else {
            name
        };
        flags.insert(
            name,
            flag(
                bits,
                text(field, &["description"]),
                &field["classes"],
                1 << length.min(62),
            ),
        );
    }
    if flags.is_empty()
        && let Some(classes) = list("classification:classes")
        && low == 0
    {
        let bits = json!((0..n_bits).collect::<Vec<_>>());
        flags.insert(
            names::measurement(asset),
            flag(bits, None, &Value::Array(classes), i64::MAX),
        );
    }
    (!flags.is_empty()).then_some(Value::Object(flags))
}

fn text<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    keys.iter()
        .find_map(|key| value[*key].as_str())
        .filter(|text| !text.is_empty())
}

fn flag(bits: Value, description: Option<&str>, classes: &Value, limit: i64) -> Value {
    let mut values = Map::new();
    for class in classes.as_array().into_iter().flatten() {
        let codes: Vec<i64> = match &class["value"] {
            Value::Array(items) => items.iter().filter_map(Value::as_i64).collect(),
            value => value.as_i64().into_iter().collect(),
        };
        let label = text(class, &["name", "description"]).unwrap_or_default();
        for code in codes.into_iter().filter(|code| (0..limit).contains(code)) {
            values.insert(code.to_string(), json!(label));
        }
    }
    let mut flag = Map::new();
    flag.insert("bits".to_owned(), bits);
    if let Some(description) = description {
        flag.insert("description".to_owned(), json!(description));
    }
    flag.insert("values".to_owned(), Value::Object(values));
    Value::Object(flag)
}

/// A flags definition as fields of a STAC band; `None` where its bits are not
/// side by side, which STAC cannot say.
pub(super) fn write(definition: &FlagsDefinition, dtype: DType) -> Option<(&'static str, Value)> {
    let flags = definition.flags();
    let n_bits = dtype.size() * 8;
    if let [flag] = flags.values().collect::<Vec<_>>().as_slice()
        && flag.bits.len() == n_bits
        && n_bits > 1
    {
        return Some(("classification:classes", classes(flag)));
    }
    let fields: Option<Vec<Value>> = flags
        .iter()
        .map(|(name, flag)| {
            let (first, last) = (flag.shift(), flag.bits.iter().copied().max()?);
            let length = u32::try_from(flag.bits.len()).ok()?;
            (last - first + 1 == length).then_some(())?;
            let mut field =
                json!({"name": name, "offset": first, "length": length, "classes": classes(flag)});
            if let Some(description) = &flag.description {
                field["description"] = json!(description);
            }
            Some(field)
        })
        .collect();
    Some(("classification:bitfields", Value::Array(fields?)))
}

fn classes(flag: &Flag) -> Value {
    let class = |(code, label): &(i64, Label)| json!({"value": code, "name": label.text()});
    flag.values.iter().map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Report;

    fn check(asset: Value, data_type: DType, expected: Option<Value>) {
        let report = Report::default();
        let node = Node::root(&asset, &report);
        let found = read([&node].into_iter(), data_type, "qa-pixel");
        assert_eq!(found, expected, "{asset}");
        if let Some(found) = found {
            let flags = FlagsDefinition::from_document(found.clone()).expect("valid flags");
            let (key, value) = write(&flags, data_type).expect("bits side by side");
            let back = json!({key: value});
            let node = Node::root(&back, &report);
            assert_eq!(
                read([&node].into_iter(), data_type, "qa-pixel"),
                Some(found)
            );
        }
    }

    #[test]
    fn classes_and_bit_fields_become_flags() {
        let fields = json!({"classification:bitfields": [
            {"name": "cloud", "offset": 3, "length": 1, "description": "a cloud", "classes": [{"value": 0, "name": "no"}, {"value": 1, "name": "yes"}]},
            {"name": "snow conf", "offset": 4, "length": 2, "classes": [{"value": 3, "name": "high"}, {"value": 9, "name": "too high"}]},
            {"name": "beyond", "offset": 15, "length": 2, "classes": []},
        ]});
        let flags = json!({
            "cloud": {"bits": 3, "description": "a cloud", "values": {"0": "no", "1": "yes"}},
            "snow_conf": {"bits": [4, 5], "values": {"3": "high"}},
        });
        check(fields.clone(), DType::UInt16, Some(flags));
        check(fields, DType::Float32, None);
        let classes = json!({"classification:classes": [{"value": 4, "description": "vegetation"}, {"value": 0, "name": "no_data"}]});
        let flags = json!({"qa_pixel": {"bits": [0, 1, 2, 3, 4, 5, 6, 7], "values": {"4": "vegetation", "0": "no_data"}}});
        check(classes, DType::UInt8, Some(flags));
        check(json!({}), DType::UInt8, None);
    }
}
