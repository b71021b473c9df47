//! What an update would change in a document, item by item, and whether each
//! item is safe.
//!
//! A change is safe when everything that was indexed under the old document
//! still means the same under the new one: more can be asked for, nothing that
//! worked stops working, and no pixel gets another value. Whatever no rule
//! calls safe is unsafe, with the reason in words. Documents are compared by
//! what they mean: the order of keys, `1` or `1.0`, and the spelling of NaN
//! make no difference.
//!
//! # Source
//! datacube-core, `utils/changes.py` and `index/postgis/_products.py`, which
//! allow less: they know no measurement, flag or alias.

mod compare;
mod dataset;
mod metadata_type;
mod product;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use dataset::dataset_changes;
pub use metadata_type::metadata_type_changes;
pub use product::product_changes;

use crate::document::DocPath;

/// One place where two documents differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where: `measurements[2].nodata`, as in [`crate::DocumentErrors`]. The
    /// index is that of the new document, unless the item is only in the old.
    pub path: String,
    /// What stands there in the old document; `None` for nothing.
    pub was: Option<Value>,
    /// What stands there in the new document; `None` for nothing.
    pub now: Option<Value>,
    /// Whether the change is safe.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Whether a change is safe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// What was indexed before still means the same.
    Safe,
    /// It may not.
    Unsafe {
        /// What would go wrong.
        why: String,
    },
}

impl Verdict {
    fn unsafe_because(why: impl Into<String>) -> Self {
        Verdict::Unsafe { why: why.into() }
    }
}

/// Everything that an update would change, in the order of the documents.
///
/// ```
/// use datacube_model::changes::product_changes;
/// use serde_json::json;
///
/// let was = json!({"name": "ls8", "measurements": [{"name": "red", "nodata": 0}]});
/// let now = json!({"name": "ls8", "measurements": [{"name": "red", "nodata": 255, "units": "1"}]});
/// let changes = product_changes(&was, &now);
/// assert!(!changes.is_safe());
/// assert_eq!(
///     changes.to_string(),
///     "unsafe: measurements[0].nodata: 0 becomes 255, because other pixels would count as missing\n\
///      safe: measurements[0].units: \"1\" is added"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the documents mean the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all of them are safe.
    pub fn is_safe(&self) -> bool {
        self.0.iter().all(Change::is_safe)
    }

    /// Those that are safe.
    pub fn safe(&self) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(|change| change.is_safe())
    }

    /// Those that are not.
    pub fn unsafe_(&self) -> impl Iterator<Item = &Change> {
        self.0.iter().filter(|change| !change.is_safe())
    }

    fn push(&mut self, path: &DocPath, was: Option<&Value>, now: Option<&Value>, verdict: Verdict) {
        self.0.push(Change {
            path: path.to_string(),
            was: was.cloned(),
            now: now.cloned(),
            verdict,
        });
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Change {
    /// Whether it is safe.
    pub fn is_safe(&self) -> bool {
        self.verdict == Verdict::Safe
    }
}

impl fmt::Display for Changes {
    /// One line for each change.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, change) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{change}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "the document"
        } else {
            &self.path
        };
        let name = if self.is_safe() { "safe" } else { "unsafe" };
        write!(f, "{name}: {path}: ")?;
        match (&self.was, &self.now) {
            (Some(was), Some(now)) => write!(f, "{} becomes {}", short(was), short(now))?,
            (Some(was), None) => write!(f, "{} is removed", short(was))?,
            (None, Some(now)) => write!(f, "{} is added", short(now))?,
            (None, None) => f.write_str("changes")?,
        }
        match &self.verdict {
            Verdict::Safe => Ok(()),
            Verdict::Unsafe { why } => write!(f, ", because {why}"),
        }
    }
}

/// A value in a line: short ones as JSON, long ones by what they are.
fn short(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    match value {
        Value::Object(map) => format!("an object of {} keys", map.len()),
        Value::Array(items) => format!("a list of {} items", items.len()),
        _ => {
            let cut = text
                .char_indices()
                .nth(MOST)
                .map_or(text.len(), |(cut, _)| cut);
            format!("{}...", &text[..cut])
        }
    }
}
