//! Questions about flags, written down before the definition is known.
//!
//! A [`MaskRequest`] holds names and labels only, so that it can be typed on a
//! command line and sent in a plan. With a definition it becomes a
//! [`MaskTest`]: all of its clauses have to pass, each of which is a list of
//! alternatives. All conditions of one label each fall together into a single
//! mask and value.

use serde::{Deserialize, Serialize};

use super::{Conjunction, FlagsDefinition, Label, MaskValue};
use crate::error::Result;

/// Conditions on flags that all have to hold; each allows one label or more.
///
/// ```
/// use datacube_model::MaskRequest;
/// let typed: MaskRequest = "cloud=not_high_confidence, cloud_confidence=[none, low], nodata=false".parse()?;
/// let built = MaskRequest::new()
///     .flag("cloud", "not_high_confidence")
///     .any_of("cloud_confidence", ["none", "low"])
///     .flag("nodata", false);
/// assert_eq!(typed, built);
/// # Ok::<(), datacube_model::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MaskRequest {
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Condition {
    flag: String,
    labels: Vec<Label>,
}

impl MaskRequest {
    /// The request that every pixel meets.
    pub fn new() -> Self {
        MaskRequest::default()
    }

    /// Adds: `flag` has this label.
    #[must_use]
    pub fn flag(self, flag: impl Into<String>, label: impl Into<Label>) -> Self {
        self.any_of(flag, [label])
    }

    /// Adds: `flag` has one of these labels. Without labels no pixel passes.
    #[must_use]
    pub fn any_of<L: Into<Label>>(
        mut self,
        flag: impl Into<String>,
        labels: impl IntoIterator<Item = L>,
    ) -> Self {
        let labels = labels.into_iter().map(Into::into).collect();
        self.conditions.push(Condition {
            flag: flag.into(),
            labels,
        });
        self
    }

    /// Flag and labels of every condition.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &[Label])> {
        self.conditions
            .iter()
            .map(|condition| (condition.flag.as_str(), condition.labels.as_slice()))
    }

    /// The test of bits that the request means under a definition.
    ///
    /// A label of several codes stands for any of them. A word that looks like
    /// a number or a boolean also finds the label that is the same text.
    ///
    /// # Errors
    /// [`Error::UnknownFlag`](crate::Error::UnknownFlag), [`Error::UnknownFlagValue`](crate::Error::UnknownFlagValue), and
    /// [`Error::ContradictingFlags`](crate::Error::ContradictingFlags) where conditions of one label each cannot
    /// hold together.
    pub fn resolve(&self, flags: &FlagsDefinition) -> Result<MaskTest> {
        let mut all = Conjunction::default();
        let mut clauses = Vec::new();
        for Condition { flag: name, labels } in &self.conditions {
            let flag = flags.flag(name)?;
            let mut alternatives: Vec<MaskValue> = Vec::new();
            for label in labels {
                let mut codes = flag.codes(label);
                if codes.is_empty() && !matches!(label, Label::Text(_)) {
                    codes = flag.codes(&Label::Text(label.text()));
                }
                if codes.is_empty() {
                    return Err(flag.unknown_value(name, label));
                }
                for code in codes {
                    let test = flag.test(code);
                    if !alternatives.contains(&test) {
                        alternatives.push(test);
                    }
                }
            }
            match alternatives.as_slice() {
                [only] => all.add(format!("{name}={}", labels[0]), *only)?,
                _ => clauses.push(alternatives),
            }
        }
        if all.test.mask != 0 {
            clauses.insert(0, vec![all.test]);
        }
        Ok(MaskTest { clauses })
    }
}

/// A request as a test of bits: a pixel passes when in every clause at least
/// one alternative matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MaskTest {
    clauses: Vec<Vec<MaskValue>>,
}

impl MaskTest {
    /// The clauses; the first one has a single alternative where conditions
    /// of one label were asked for.
    pub fn clauses(&self) -> &[Vec<MaskValue>] {
        &self.clauses
    }

    /// The one mask and value that this test is, where no clause has
    /// alternatives.
    pub fn as_single(&self) -> Option<MaskValue> {
        match self.clauses.as_slice() {
            [] => Some(MaskValue::default()),
            [clause] if clause.len() == 1 => Some(clause[0]),
            _ => None,
        }
    }

    /// Whether a pixel passes; a negative one is given sign-extended.
    pub fn matches(&self, pixel: u64) -> bool {
        self.clauses
            .iter()
            .all(|clause| clause.iter().any(|test| test.matches(pixel)))
    }
}

/// A request and the measurement that carries the flags:
/// `qa_pixel: cloud=not_high_confidence, cloud_confidence=[low, medium]`.
///
/// Without the part before the colon, the measurement is left to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MaskExpression {
    /// The measurement, where it is named.
    pub measurement: Option<String>,
    /// The conditions.
    pub request: MaskRequest,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::qa_pixel;
    use super::*;

    #[test]
    fn requests_resolve() {
        let flags = qa_pixel();
        let resolve = |text: &str| text.parse::<MaskRequest>().expect(text).resolve(&flags);
        let single = resolve("cloud=not_high_confidence, nodata=false")
            .expect("known")
            .as_single();
        assert_eq!(single, Some(MaskValue { mask: 9, value: 0 }));
        let test = resolve("cloud_confidence=[low, medium], nodata=0").expect("known");
        assert_eq!(test.as_single(), None);
        assert_eq!(test.clauses().len(), 2);
        for (pixel, passes) in [
            (0x100, true),
            (0x200, true),
            (0x300, false),
            (0x000, false),
            (0x101, false),
        ] {
            assert_eq!(test.matches(pixel), passes, "{pixel:#x}");
        }
        assert_eq!(
            MaskRequest::new().resolve(&flags).expect("all").as_single(),
            Some(MaskValue::default())
        );
        let nothing = MaskRequest::new()
            .any_of("cloud", Vec::<Label>::new())
            .resolve(&flags)
            .expect("none");
        assert!(!nothing.matches(0) && nothing.as_single().is_none());
        assert!(resolve("cloud=maybe").is_err());
        assert!(resolve("cloud_confidence=low, cloud_confidence=high").is_err());
    }

    #[test]
    fn labels_of_several_codes_mean_any_of_them() {
        let flags = FlagsDefinition::from_document(json!({
            "qa": {"bits": [0, 1, 2], "values": {"0": "unused", "1": "x", "2": "unused", "3": "1"}}
        }))
        .expect("valid");
        let test = "qa=unused"
            .parse::<MaskRequest>()
            .expect("valid")
            .resolve(&flags)
            .expect("known");
        assert!(test.matches(0) && test.matches(2) && !test.matches(1));
        let test = "qa=1"
            .parse::<MaskRequest>()
            .expect("valid")
            .resolve(&flags)
            .expect("the text 1");
        assert_eq!(test.as_single(), Some(MaskValue { mask: 7, value: 3 }));
        assert!(matches!(
            flags.create_mask_value(&[("qa", "unused".into())]),
            Err(crate::Error::AmbiguousFlagValue { codes, .. }) if codes == [0, 2]
        ));
    }
}
