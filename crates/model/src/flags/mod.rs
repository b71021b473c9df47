//! What the bits of a quality band mean, and how to ask for them.
//!
//! A definition names flags; a flag is one bit or several, and a label for
//! each code that those bits can form. The code of a flag of several bits is
//! the masked pixel shifted right by the lowest of them. A question about
//! flags becomes a [`MaskValue`]: a pixel matches when `pixel & mask == value`.
//!
//! Bits count in the two's complement of the pixel, so the sixteenth bit of an
//! `int16` band can be asked for (in Python that overflows).

mod describe;
mod label;
mod parse;
mod request;
mod text;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

pub use describe::FlagDescription;
pub use label::Label;
pub use request::{MaskExpression, MaskRequest, MaskTest};

use crate::document::{DocumentErrors, DocumentKind, Node, Problem, Report};
use crate::error::{Error, Result};
use crate::near::owned_near_names;

/// The flags of one measurement.
///
/// Serialises as the document that it was made from.
#[derive(Clone, Debug)]
pub struct FlagsDefinition {
    document: Map<String, Value>,
    flags: IndexMap<String, Flag>,
    warnings: Vec<Problem>,
}

/// One flag: its bits and what their codes mean.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Flag {
    /// The bits, in the order of the document, 0 to 63, never empty.
    pub bits: Vec<u32>,
    /// Whether `bits` was written as one number: any code but 0 then sets it.
    pub single: bool,
    /// What the flag is about.
    pub description: Option<String>,
    /// Code and label of every value, in the order of the document.
    pub values: Vec<(i64, Label)>,
}

/// A test of bits: a pixel passes when `pixel & mask == value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaskValue {
    /// The bits that count.
    pub mask: u64,
    /// What they have to be.
    pub value: u64,
}

impl MaskValue {
    /// Whether a pixel passes; a negative pixel is given sign-extended.
    pub fn matches(self, pixel: u64) -> bool {
        pixel & self.mask == self.value
    }
}

impl Flag {
    /// All bits of the flag.
    pub fn mask(&self) -> u64 {
        self.bits.iter().fold(0, |mask, bit| mask | 1 << bit)
    }

    /// The lowest bit, by which codes are shifted.
    pub fn shift(&self) -> u32 {
        self.bits.iter().copied().min().unwrap_or(0)
    }

    /// The test for a code of this flag.
    #[allow(clippy::cast_sign_loss, reason = "codes are bit patterns")]
    pub fn test(&self, code: i64) -> MaskValue {
        let mask = self.mask();
        let value = if self.single {
            if code == 0 { 0 } else { mask }
        } else {
            (code as u64) << self.shift()
        };
        MaskValue { mask, value }
    }

    /// The codes that carry a label.
    fn codes(&self, label: &Label) -> Vec<i64> {
        self.values
            .iter()
            .filter(|(_, other)| other == label)
            .map(|(code, _)| *code)
            .collect()
    }

    fn unknown_value(&self, flag: &str, found: &Label) -> Error {
        Error::UnknownFlagValue {
            flag: flag.to_owned(),
            found: found.clone(),
            known: self.values.iter().map(|(_, label)| label.clone()).collect(),
        }
    }
}

impl FlagsDefinition {
    /// Reads a definition:
    /// `{flag: {bits: 3 | [5, 6], description: "...", values: {0: label, ...}}}`.
    ///
    /// An entry that is not an object at all defines no flag; ODC takes such
    /// definitions, so it is a warning.
    ///
    /// # Errors
    /// Everything that is wrong, with its path: bits that are missing, not
    /// whole or outside 0 to 63, codes that are not whole numbers, labels that
    /// are lists or objects.
    pub fn from_document(document: Value) -> Result<Self, DocumentErrors> {
        let report = Report::default();
        let definition = Self::read(&Node::root(&document, &report));
        let warnings = report.finish(DocumentKind::FlagsDefinition, None)?;
        let mut definition =
            definition.expect("a definition was read, for nothing is wrong with it");
        definition.warnings = warnings;
        Ok(definition)
    }

    /// Reads a definition inside a larger document. The flags that are wrong
    /// are left out, and noted in the report.
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let document = node.map()?.clone();
        let flags = node
            .entries()
            .filter_map(|(name, entry)| Some((name.to_owned(), parse::flag(&entry)?)))
            .collect();
        Some(FlagsDefinition {
            document,
            flags,
            warnings: Vec::new(),
        })
    }

    /// The flags by name, in the order of the document.
    pub fn flags(&self) -> &IndexMap<String, Flag> {
        &self.flags
    }

    /// The document that this was made from.
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// What is odd in the definition but does no harm.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The names of the flags, sorted.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`list_flag_names`).
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.flags.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The flag of a name.
    ///
    /// # Errors
    /// [`Error::UnknownFlag`] with the near names.
    pub fn flag(&self, name: &str) -> Result<&Flag> {
        self.flags.get(name).ok_or_else(|| Error::UnknownFlag {
            found: name.to_owned(),
            near: owned_near_names(name, self.flags.keys().map(String::as_str)),
            known: self.flags.keys().cloned().collect(),
        })
    }

    /// The one test that a pixel passes when every flag has its label; without
    /// conditions, a test that every pixel passes.
    ///
    /// Labels compare as in Python: `false` and 0 are equal, `"true"` and
    /// `true` are not.
    ///
    /// ```
    /// use datacube_model::{FlagsDefinition, Label};
    /// let flags = FlagsDefinition::from_document(serde_json::json!({
    ///     "cloud": {"bits": 3, "values": {"0": "not_high_confidence", "1": "high_confidence"}},
    ///     "cloud_confidence": {"bits": [8, 9], "values": {"0": "none", "1": "low", "3": "high"}},
    /// }))?;
    /// let test = flags.create_mask_value(&[
    ///     ("cloud", Label::from("not_high_confidence")),
    ///     ("cloud_confidence", Label::from("low")),
    /// ])?;
    /// assert_eq!((test.mask, test.value), (0b11_0000_1000, 0b01_0000_0000));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownFlag`], [`Error::UnknownFlagValue`],
    /// [`Error::AmbiguousFlagValue`] for a label of several codes, and
    /// [`Error::ContradictingFlags`].
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`create_mask_value`).
    /// DIFFERENCE: where two conditions contradict each other, Python gives a
    /// value that depends on their order.
    pub fn create_mask_value(&self, conditions: &[(&str, Label)]) -> Result<MaskValue> {
        let mut all = Conjunction::default();
        for (name, label) in conditions {
            let flag = self.flag(name)?;
            match flag.codes(label).as_slice() {
                [] => return Err(flag.unknown_value(name, label)),
                [code] => all.add(format!("{name}={label}"), flag.test(*code))?,
                codes => {
                    return Err(Error::AmbiguousFlagValue {
                        flag: (*name).to_owned(),
                        label: label.clone(),
                        codes: codes.to_vec(),
                    });
                }
            }
        }
        Ok(all.test)
    }

    /// The label of every flag in a pixel; a flag whose bits form a code that
    /// has no label is left out. A negative pixel is given sign-extended.
    ///
    /// # Source
    /// datacube-core, `datacube/utils/masking.py` (`mask_to_dict`).
    #[allow(clippy::cast_sign_loss, reason = "codes are bit patterns")]
    pub fn mask_to_dict(&self, pixel: u64) -> IndexMap<&str, &Label> {
        let mut labels = IndexMap::new();
        for (name, flag) in &self.flags {
            let masked = pixel & flag.mask();
            let found = flag
                .values
                .iter()
                .find(|(code, _)| (*code as u64) << flag.shift() == masked);
            if let Some((_, label)) = found {
                labels.insert(name.as_str(), label);
            }
        }
        labels
    }
}

/// Definitions are equal when their documents are.
impl PartialEq for FlagsDefinition {
    fn eq(&self, other: &Self) -> bool {
        self.document == other.document
    }
}

impl Serialize for FlagsDefinition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.document.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FlagsDefinition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let document = Value::deserialize(deserializer)?;
        FlagsDefinition::from_document(document).map_err(serde::de::Error::custom)
    }
}

/// Conditions that all have to hold, as one test.
#[derive(Debug, Default)]
struct Conjunction {
    test: MaskValue,
    parts: Vec<(String, MaskValue)>,
}

impl Default for MaskValue {
    /// The test that every pixel passes.
    fn default() -> Self {
        MaskValue { mask: 0, value: 0 }
    }
}

impl Conjunction {
    fn add(&mut self, name: String, part: MaskValue) -> Result<()> {
        for (other_name, other) in &self.parts {
            let differ = part.mask & other.mask & (part.value ^ other.value);
            if differ != 0 {
                return Err(Error::ContradictingFlags {
                    first: other_name.clone(),
                    second: name,
                    bit: differ.trailing_zeros(),
                });
            }
        }
        self.test.mask |= part.mask;
        self.test.value |= part.value;
        self.parts.push((name, part));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn qa_pixel() -> FlagsDefinition {
        FlagsDefinition::from_document(json!({
            "nodata": {"bits": 0, "values": {"0": false, "1": true}, "description": "Fill"},
            "cloud": {"bits": 3, "values": {"0": "not_high_confidence", "1": "high_confidence"}},
            "clear": {"bits": 6, "values": {"0": false, "1": true}},
            "cloud_confidence": {"bits": [8, 9], "values": {"0": "none", "1": "low", "2": "medium", "3": "high"}},
            "cirrus_confidence": {"bits": [14, 15], "values": {"0": "none", "1": "low", "2": "reserved", "3": "high"}}
        }))
        .expect("valid")
    }

    fn check(conditions: &[(&str, Label)], mask: u64, value: u64) {
        assert_eq!(
            qa_pixel().create_mask_value(conditions).expect("known"),
            MaskValue { mask, value }
        );
    }

    #[test]
    fn conditions_add_up() {
        check(&[], 0, 0);
        check(&[("nodata", Label::from(false))], 1, 0);
        check(&[("nodata", Label::from(0))], 1, 0);
        check(
            &[
                ("nodata", Label::from(1.0)),
                ("cloud", "high_confidence".into()),
            ],
            9,
            9,
        );
        check(&[("cirrus_confidence", "reserved".into())], 0xc000, 0x8000);
        check(&[("clear", true.into()), ("clear", true.into())], 64, 64);
    }

    #[test]
    fn labels_compare_as_in_python() {
        let message = qa_pixel()
            .create_mask_value(&[("nodata", "true".into())])
            .expect_err("text");
        assert!(
            message.to_string().contains("no value \"true\""),
            "{message}"
        );
        assert!(
            qa_pixel()
                .create_mask_value(&[("nodata", Label::from(2))])
                .is_err()
        );
        assert!(
            qa_pixel()
                .create_mask_value(&[("nodata", Label::Null)])
                .is_err()
        );
    }

    #[test]
    fn errors_name_what_is_near() {
        let error = qa_pixel()
            .create_mask_value(&[("clod", true.into())])
            .expect_err("no such flag");
        assert!(
            error.to_string().contains("did you mean `cloud`"),
            "{error}"
        );
        assert!(error.is_not_found());
        let error = qa_pixel()
            .create_mask_value(&[("cloud", "high_confidense".into())])
            .expect_err("label");
        assert!(error.to_string().contains("`high_confidence`"), "{error}");
        let error = qa_pixel()
            .create_mask_value(&[
                ("cloud_confidence", "low".into()),
                ("cloud_confidence", "high".into()),
            ])
            .expect_err("a pixel has one confidence");
        assert!(error.to_string().contains("bit 9"), "{error}");
    }

    #[test]
    fn pixels_are_described() {
        let flags = qa_pixel();
        let labels = flags.mask_to_dict(0b1100_0001_0000_1001);
        let text: Vec<String> = labels
            .iter()
            .map(|(name, label)| format!("{name}={label}"))
            .collect();
        assert_eq!(
            text,
            [
                "nodata=true",
                "cloud=\"high_confidence\"",
                "clear=false",
                "cloud_confidence=\"low\"",
                "cirrus_confidence=\"high\""
            ]
        );
        let minus_one = u64::MAX;
        assert_eq!(
            flags.mask_to_dict(minus_one)["cloud_confidence"],
            &Label::from("high")
        );
    }

    #[test]
    fn a_definition_is_its_document() {
        let text = serde_json::to_string(&qa_pixel()).expect("json");
        let back: FlagsDefinition = serde_json::from_str(&text).expect("the same definition");
        assert_eq!(back, qa_pixel());
        assert_eq!(back.flags(), qa_pixel().flags());
        assert_eq!(
            back.names(),
            [
                "cirrus_confidence",
                "clear",
                "cloud",
                "cloud_confidence",
                "nodata"
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let errors = FlagsDefinition::from_document(json!({
            "a": {"values": {}}, "b": {"bits": 64, "values": {}}, "c": {"bits": [], "values": {"x": 1}},
            "d": {"bits": [0, 0], "values": {"0": [1]}}, "e": "expm1(x/10)", "f": {"bits": 1.5}
        }))
        .expect_err("all sorts of faults");
        let paths: Vec<String> = errors
            .problems()
            .iter()
            .map(|p| p.path.to_string())
            .collect();
        assert_eq!(
            paths,
            [
                "a.bits",
                "b.bits",
                "c.bits",
                "c.values.x",
                "d.bits[1]",
                "d.values.0",
                "f.bits",
                "f.values"
            ]
        );
        let odd = FlagsDefinition::from_document(json!({"back-transformation": "expm1(x/10)"}))
            .expect("taken");
        assert_eq!(odd.warnings()[0].path.to_string(), "back-transformation");
        assert!(odd.mask_to_dict(1).is_empty());
    }
}
