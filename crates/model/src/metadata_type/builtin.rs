//! The metadata types that every new index has.

use std::sync::LazyLock;

use super::MetadataType;
use crate::document::parse_documents;

static BUILTIN: LazyLock<[MetadataType; 3]> = LazyLock::new(|| {
    let documents = parse_documents(include_str!("builtin.yaml"), "builtin.yaml")
        .expect("the file is part of this crate and read by its tests");
    let types: Vec<MetadataType> = documents
        .into_iter()
        .map(|located| MetadataType::from_document(located.document).expect("valid, see the tests"))
        .collect();
    types.try_into().expect("the file holds three types")
});

impl MetadataType {
    /// The default type, of EO3 datasets.
    pub fn eo3() -> MetadataType {
        BUILTIN[0].clone()
    }

    /// The type of earth observation datasets before EO3.
    pub fn eo() -> MetadataType {
        BUILTIN[1].clone()
    }

    /// The type of satellite passes before EO3.
    pub fn telemetry() -> MetadataType {
        BUILTIN[2].clone()
    }

    /// All built-in types, the default one first.
    pub fn builtin() -> [MetadataType; 3] {
        BUILTIN.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata_type::{FieldKind, FieldSource, MetadataTypeLookup};

    #[test]
    fn there_are_three() {
        assert_eq!(MetadataType::builtin().names(), ["eo3", "eo", "telemetry"]);
        assert!(MetadataType::eo3().is_eo3_compatible());
        assert!(!MetadataType::eo().is_eo3_compatible());
        assert!(!MetadataType::telemetry().is_eo3_compatible());
    }

    #[test]
    fn eo3_has_its_fields() {
        let eo3 = MetadataType::eo3();
        let names: Vec<&str> = eo3.fields().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "platform",
                "instrument",
                "product_family",
                "region_code",
                "dataset_maturity",
                "cloud_cover",
                "time",
                "lon",
                "lat"
            ]
        );
        assert_eq!(
            eo3.field("time").expect("there").kind,
            FieldKind::DatetimeRange
        );
        assert!(eo3.field("region_code").expect("there").indexed);
        assert!(!eo3.field("platform").expect("there").indexed);
        let FieldSource::Range { min, max } = &eo3.field("time").expect("there").source else {
            panic!("a range")
        };
        assert_eq!(min[0], ["properties", "dtr:start_datetime"]);
        assert_eq!(max[1], ["properties", "datetime"]);
    }
}
