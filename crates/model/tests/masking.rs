//! Flags definitions of real products, against what datacube 1.9.20 makes of
//! them: every mask and value, every description of a pixel, every mask.

mod shared;

use datacube_model::{FlagsDefinition, Label, MaskRequest};
use serde_json::Value;

fn label(value: &Value) -> Label {
    serde_json::from_value(value.clone()).expect("a scalar")
}

/// A pixel as the bits that it has, sign-extended.
fn bits(value: &Value) -> u64 {
    let signed = value.as_i64().expect("a whole number");
    u64::from_ne_bytes(signed.to_ne_bytes())
}

#[test]
fn masks_are_those_of_odc() {
    let Some(goldens) = shared::data("goldens") else {
        return;
    };
    let cases = shared::json(&goldens.join("masking.json"));
    let (mut n_values, mut n_pixels, mut n_masks, mut n_refused, mut n_overflows) = (0, 0, 0, 0, 0);
    for case in cases.as_array().expect("a list") {
        let id = &case["id"];
        let flags = FlagsDefinition::from_document(case["flags_definition"].clone())
            .expect("a definition in use");
        let malformed = case
            .get("malformed_flags")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        assert_eq!(flags.warnings().len(), malformed, "{id}");
        for row in case["create_mask_value"].as_array().expect("a list") {
            let flag = row["flag"].as_str().expect("a name");
            let found = flags.create_mask_value(&[(flag, label(&row["value"]))]);
            if row.get("error").is_some() {
                // Several codes have this label: Python knows "Unknown value".
                assert!(found.is_err(), "{id} {row}");
                n_refused += 1;
                continue;
            }
            let found = found.unwrap_or_else(|error| panic!("{id} {row}: {error}"));
            assert_eq!(
                (found.mask, found.value),
                (bits(&row["mask"]), bits(&row["expect"])),
                "{id} {row}"
            );
            n_values += 1;
        }
        for row in case["mask_to_dict"].as_array().expect("a list") {
            let found: Value = flags
                .mask_to_dict(bits(&row["value"]))
                .into_iter()
                .map(|(name, label)| (name.to_owned(), label.to_value()))
                .collect::<serde_json::Map<_, _>>()
                .into();
            assert_eq!(found, row["out"], "{id} {row}");
            n_pixels += 1;
        }
        for row in case["make_mask"].as_array().expect("a list") {
            let flag = row["flag"].as_str().expect("a name");
            let request = MaskRequest::new().flag(flag, label(&row["value"]));
            let test = request
                .resolve(&flags)
                .unwrap_or_else(|error| panic!("{id} {row}: {error}"));
            if let Some(error) = row.get("error").and_then(Value::as_str) {
                if error.starts_with("OverflowError") {
                    // DIFFERENCE: numpy cannot write a mask of 16 bits as int16; bits are bits here.
                    assert!(test.as_single().is_some(), "{id} {row}");
                    n_overflows += 1;
                } else {
                    // DIFFERENCE: a label of several codes means any of them.
                    assert!(test.as_single().is_none(), "{id} {row}");
                }
                continue;
            }
            let pixels = row["data"].as_array().expect("a list");
            let found: Vec<Value> = pixels
                .iter()
                .map(|pixel| test.matches(bits(pixel)).into())
                .collect();
            assert_eq!(Value::from(found), row["out"], "{id} {row}");
            n_masks += 1;
        }
        let back: FlagsDefinition =
            serde_json::from_str(&serde_json::to_string(&flags).expect("json"))
                .expect("the same definition");
        assert_eq!(back, flags, "{id}");
        assert!(
            flags.to_string().lines().count() > flags.flags().len(),
            "{id}"
        );
    }
    eprintln!(
        "{} definitions: {n_values} masks and values, {n_refused} refused, {n_pixels} pixels described, \
         {n_masks} masks, {n_overflows} that overflow in Python",
        cases.as_array().expect("a list").len()
    );
    assert_eq!((n_values, n_refused, n_pixels), (594, 31, 1125));
    assert_eq!((n_masks, n_overflows), (437, 6));
}
