//! Items of older STAC versions, brought to the words of today.
//!
//! STAC moved fields between extensions until 1.0. What is done here is what
//! pystac does before odc-stac sees an item, applied by what a document holds
//! more than by what it declares: declarations are often wrong, fields rarely.
//!
//! Source: pystac 1.15, `serialization/migrate.py` and the `migrate` hooks of
//! the extensions `eo`, `projection`, `sar` and `item_assets`.

use serde_json::{Map, Value, json};

/// A version of STAC, in order: `1.0.0-beta.2` is before `1.0.0`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    core: [u32; 3],
    /// False for a version before its release, so that those come first.
    released: bool,
    stage: String,
}

impl Version {
    fn parse(text: &str) -> Self {
        let (core, stage) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = core.split('.').map(|part| part.parse().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Version {
            core: [next(), next(), next()],
            released: stage.is_empty(),
            stage: stage.to_owned(),
        }
    }
}

/// Renames `old` to `new` among the properties, unless `new` is there.
fn rename(properties: &mut Map<String, Value>, old: &str, new: &str) {
    if properties.get(new).is_none_or(Value::is_null)
        && let Some(value) = properties
            .get(old)
            .filter(|value| !value.is_null())
            .cloned()
    {
        properties.shift_remove(old);
        properties.insert(new.to_owned(), value);
    }
}

/// Brings an item to the words of STAC 1.1.
pub(super) fn item(document: &mut Value) {
    // Items before 0.8 do not say their version.
    let version = document["stac_version"].as_str().unwrap_or("0.6.0");
    let version = Version::parse(version);
    let Some(properties) = document
        .get_mut("properties")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if version < Version::parse("0.9.0") {
        for group in ["eo", "sar"] {
            rename(properties, &format!("{group}:platform"), "platform");
            rename(
                properties,
                &format!("{group}:constellation"),
                "constellation",
            );
            let key = format!("{group}:instrument");
            if let Some(Value::String(name)) = properties.get(&key) {
                let names = json!([name]);
                properties.insert(key.clone(), names);
                rename(properties, &key, "instruments");
            }
        }
        for key in [
            "off_nadir",
            "azimuth",
            "incidence_angle",
            "sun_azimuth",
            "sun_elevation",
        ] {
            rename(properties, &format!("eo:{key}"), &format!("view:{key}"));
        }
        rename(properties, "dtr:start_datetime", "start_datetime");
        rename(properties, "dtr:end_datetime", "end_datetime");
    }
    if version < Version::parse("1.0.0-beta.1") {
        rename(properties, "eo:gsd", "gsd");
    }
    if !properties.contains_key("proj:code") {
        rename(properties, "eo:epsg", "proj:epsg");
    }
    for key in ["start_datetime", "end_datetime"] {
        // "For ever" is the last day of the calendar, which no clock with time
        // zones can hold in all of them.
        if let Some(Value::String(time)) = properties.get_mut(key)
            && time.starts_with("9999-12-31")
        {
            "9999-12-30T00:00:00Z".clone_into(time);
        }
    }
    let bands = properties.get("eo:bands").cloned();
    inline_bands(document, bands.as_ref());
}

/// Brings a collection to the words of STAC 1.1.
pub(super) fn collection(document: &mut Value) {
    let version = Version::parse(document["stac_version"].as_str().unwrap_or("0.6.0"));
    let old = version < Version::parse("1.0.0-beta.1");
    let bands = document["properties"].get("eo:bands").cloned();
    if let Some(map) = document.as_object_mut()
        && old
        && !map.contains_key("item_assets")
        && let Some(assets) = map
            .get("assets")
            .filter(|assets| assets.is_object())
            .cloned()
    {
        map.insert("item_assets".to_owned(), assets);
    }
    if let Some(assets) = document
        .get_mut("item_assets")
        .and_then(Value::as_object_mut)
    {
        assets
            .values_mut()
            .for_each(|asset| inline(asset, bands.as_ref()));
    }
}

/// Bands were once named by their number in a list among the properties. There
/// are items of every version before 1.0 that do so.
fn inline_bands(document: &mut Value, bands: Option<&Value>) {
    if let Some(assets) = document.get_mut("assets").and_then(Value::as_object_mut) {
        assets.values_mut().for_each(|asset| inline(asset, bands));
    }
}

fn inline(asset: &mut Value, bands: Option<&Value>) {
    let Some(Value::Array(items)) = asset.get_mut("eo:bands") else {
        return;
    };
    if !items.iter().any(Value::is_number) {
        return;
    }
    let find = |item: &Value| {
        let index = usize::try_from(item.as_u64()?).ok()?;
        bands?.get(index).cloned()
    };
    // A number that stands for nothing is a band about which nothing is known.
    for item in items.iter_mut().filter(|item| item.is_number()) {
        *item = find(item).unwrap_or_else(|| json!({}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order() {
        let sorted = [
            "0.6",
            "0.8.1",
            "0.9.0",
            "1.0.0-beta.1",
            "1.0.0-beta.2",
            "1.0.0-rc.1",
            "1.0.0",
            "1.1.0",
        ];
        let versions: Vec<Version> = sorted.iter().map(|text| Version::parse(text)).collect();
        assert!(versions.is_sorted() && versions[3] < versions[6]);
    }

    #[test]
    fn fields_move_where_they_belong_today() {
        let check = |version: Option<&str>, properties: Value, expected: Value| {
            let mut document = json!({"properties": properties});
            if let Some(version) = version {
                document["stac_version"] = json!(version);
            }
            item(&mut document);
            assert_eq!(document["properties"], expected, "{version:?}");
        };
        let old = json!({"eo:platform": "l8", "eo:instrument": "OLI", "eo:epsg": 32610, "eo:gsd": 30, "eo:sun_azimuth": 1});
        let new = json!({"platform": "l8", "instruments": ["OLI"], "proj:epsg": 32610, "gsd": 30, "view:sun_azimuth": 1});
        check(Some("0.8.1"), old.clone(), new.clone());
        check(None, old, new);
        // Early documents of ODC say so in STAC 1.0; these are EO3's own names.
        let own = json!({"eo:platform": "l8", "dtr:start_datetime": "2020-01-01"});
        check(Some("1.0.0"), own.clone(), own);
        check(
            Some("0.8.0"),
            json!({"dtr:start_datetime": "a", "start_datetime": "b"}),
            json!({"dtr:start_datetime": "a", "start_datetime": "b"}),
        );
    }

    #[test]
    fn numbers_of_bands_become_bands() {
        let mut document = json!({
            "stac_version": "0.8.1",
            "properties": {"eo:bands": [{"name": "B1"}, {"name": "B2", "common_name": "blue"}]},
            "assets": {"a": {"eo:bands": [1]}, "b": {"eo:bands": [7]}, "c": {"eo:bands": [{"name": "x"}]}},
        });
        item(&mut document);
        assert_eq!(
            document["assets"],
            json!({
                "a": {"eo:bands": [{"name": "B2", "common_name": "blue"}]}, "b": {"eo:bands": [{}]},
                "c": {"eo:bands": [{"name": "x"}]},
            })
        );
    }
}
