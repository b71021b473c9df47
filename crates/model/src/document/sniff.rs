//! What a document seems to be, whatever it is called.
//!
//! Given the wrong kind of document, one sentence that says so is worth more
//! than a list of every key that differs.

use std::fmt;

use serde_json::Value;

use super::{DocPath, Problem, ProblemKind};

/// The schema that EO3 dataset documents name.
pub(crate) const EO3_SCHEMA: &str = "https://schemas.opendatacube.org/dataset";

/// What a document looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Looks {
    /// A metadata type.
    MetadataType,
    /// A product definition.
    Product,
    /// A dataset in the EO3 layout.
    Eo3Dataset,
    /// A dataset in a layout before EO3.
    LegacyDataset,
    /// A configuration of ODC's old ingestion.
    IngestConfig,
    /// A STAC item.
    StacItem,
    /// A STAC collection, catalogue or item collection.
    StacOther,
}

impl Looks {
    /// Tells what a document looks like by the keys that only one kind has;
    /// `None` when it has none of them.
    pub fn of(document: &Value) -> Option<Looks> {
        let map = document.as_object()?;
        let has = |key: &str| map.contains_key(key);
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default();
        if has("stac_version") {
            Some(if text("type") == "Feature" {
                Looks::StacItem
            } else {
                Looks::StacOther
            })
        } else if text("type") == "Feature" && has("assets") && has("properties") {
            // Items before STAC 0.8 do not say their version.
            Some(Looks::StacItem)
        } else if text("type") == "FeatureCollection" && has("features") {
            Some(Looks::StacOther)
        } else if has("$schema")
            && (has("grids") || has("properties") || text("$schema") == EO3_SCHEMA)
        {
            Some(Looks::Eo3Dataset)
        } else if has("source_type") && has("output_type") {
            Some(Looks::IngestConfig)
        } else if has("metadata_type") || (has("name") && has("measurements")) {
            Some(Looks::Product)
        } else if map.get("dataset").is_some_and(Value::is_object) {
            Some(Looks::MetadataType)
        } else if has("id")
            && (has("extent") || has("grid_spatial") || has("image") || has("product_type"))
        {
            Some(Looks::LegacyDataset)
        } else {
            None
        }
    }

    /// The one problem of a document that is clearly not of the wanted kind.
    pub(crate) fn other_than(document: &Value, wanted: Looks) -> Option<Problem> {
        let looks = Looks::of(document).filter(|looks| *looks != wanted)?;
        let advice = match looks {
            Looks::IngestConfig => {
                "; ingestion has no place here: index the datasets themselves, and define their product"
            }
            Looks::LegacyDataset if wanted == Looks::Eo3Dataset => {
                "; convert it to EO3 (eodatasets3 does) and give it `$schema: https://schemas.opendatacube.org/dataset`"
            }
            _ => "",
        };
        let problem = Problem::new(
            DocPath::root(),
            ProblemKind::Unsupported,
            wanted.to_string(),
        );
        Some(problem.found_text(format!("{looks}{advice}")))
    }
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Looks::MetadataType => "a metadata type",
            Looks::Product => "a product definition",
            Looks::Eo3Dataset => "an EO3 dataset document",
            Looks::LegacyDataset => "a dataset document in a layout before EO3",
            Looks::IngestConfig => "an ingestion configuration",
            Looks::StacItem => "a STAC item",
            Looks::StacOther => "a STAC collection or catalogue",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        let check = |document, expected| assert_eq!(Looks::of(&document), expected);
        check(json!({"$schema": EO3_SCHEMA}), Some(Looks::Eo3Dataset));
        check(
            json!({"$schema": "x", "grids": {}}),
            Some(Looks::Eo3Dataset),
        );
        check(
            json!({"stac_version": "1.0.0", "type": "Feature"}),
            Some(Looks::StacItem),
        );
        check(
            json!({"type": "Feature", "assets": {}, "properties": {}}),
            Some(Looks::StacItem),
        );
        check(
            json!({"stac_version": "1.0.0", "type": "Collection"}),
            Some(Looks::StacOther),
        );
        check(
            json!({"name": "x", "metadata_type": "eo3", "metadata": {}}),
            Some(Looks::Product),
        );
        check(
            json!({"name": "x", "dataset": {}}),
            Some(Looks::MetadataType),
        );
        check(
            json!({"source_type": "x", "output_type": "y", "measurements": []}),
            Some(Looks::IngestConfig),
        );
        check(
            json!({"id": "x", "extent": {}, "image": {}}),
            Some(Looks::LegacyDataset),
        );
        check(json!({"name": "x"}), None);
        check(json!([1]), None);
    }
}
