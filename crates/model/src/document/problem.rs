//! What is wrong in a document, all of it at once.
//!
//! A check never stops at the first fault: it notes a [`Problem`] with the
//! path, what was found and what was expected, and goes on. Whoever wrote the
//! document repairs it in one go.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::DocPath;
use crate::near::owned_near_names;

/// The kinds of document that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DocumentKind {
    /// A metadata type: where things are in a dataset document.
    MetadataType,
    /// A product definition.
    Product,
    /// A flags definition, on its own as an attribute of an array.
    FlagsDefinition,
    /// A dataset document.
    Dataset,
    /// A STAC item.
    StacItem,
    /// A STAC collection.
    StacCollection,
    /// What is told of STAC collections beside their items.
    StacConfig,
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DocumentKind::MetadataType => "metadata type",
            DocumentKind::Product => "product",
            DocumentKind::FlagsDefinition => "flags definition",
            DocumentKind::Dataset => "dataset",
            DocumentKind::StacItem => "STAC item",
            DocumentKind::StacCollection => "STAC collection",
            DocumentKind::StacConfig => "STAC configuration",
        })
    }
}

/// What sort of fault a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A key that has to be there is not.
    Missing,
    /// A value of another type than the one that belongs here.
    WrongType,
    /// A value of the right type that cannot stand here.
    BadValue,
    /// A key that nothing reads.
    UnknownKey,
    /// A name that refers to nothing.
    UnknownName,
    /// The same name given twice.
    Duplicate,
    /// Two values that do not fit each other.
    Conflict,
    /// A document of a sort that is not taken.
    Unsupported,
}

/// One fault of a document.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where it is.
    pub path: DocPath,
    /// What sort of fault it is.
    pub kind: ProblemKind,
    /// What was found there, shortened when long; `None` where nothing was.
    pub found: Option<String>,
    /// What was expected, as the end of the sentence "expected ...".
    pub expected: String,
    /// Names close to the one that was found, nearest first.
    pub near: Vec<String>,
    /// The error below this one, such as why a CRS was not understood.
    pub cause: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Problem {
    pub(crate) fn new(path: DocPath, kind: ProblemKind, expected: impl Into<String>) -> Self {
        Problem {
            path,
            kind,
            found: None,
            expected: expected.into(),
            near: Vec::new(),
            cause: None,
        }
    }

    pub(crate) fn found(mut self, value: &Value) -> Self {
        self.found = Some(excerpt(value));
        self
    }

    pub(crate) fn found_text(mut self, text: impl Into<String>) -> Self {
        self.found = Some(text.into());
        self
    }

    pub(crate) fn near<'a>(mut self, name: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        self.near = owned_near_names(name, known);
        self
    }

    pub(crate) fn cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}", self.expected)?;
        match &self.found {
            Some(found) => write!(f, ", found {found}")?,
            None => f.write_str(", found nothing")?,
        }
        if let [nearest, others @ ..] = self.near.as_slice() {
            write!(f, "; did you mean `{nearest}`")?;
            for other in others {
                write!(f, " or `{other}`")?;
            }
            f.write_str("?")?;
        }
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

/// Every fault of one document.
#[derive(Clone, Debug)]
pub struct DocumentErrors {
    kind: DocumentKind,
    name: Option<String>,
    problems: Vec<Problem>,
}

impl DocumentErrors {
    pub(crate) fn new(kind: DocumentKind, name: Option<String>, problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty(), "an error has a reason");
        DocumentErrors {
            kind,
            name,
            problems,
        }
    }

    /// The kind of the document.
    pub fn kind(&self) -> DocumentKind {
        self.kind
    }

    /// The name, id or label that the document gives itself, if it does.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The faults, in the order in which they were met; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for DocumentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}", self.kind)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        if let [only] = self.problems.as_slice() {
            return write!(f, ": {only}");
        }
        write!(f, ", {} problems:", self.problems.len())?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl StdError for DocumentErrors {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let cause = self
            .problems
            .iter()
            .find_map(|problem| problem.cause.as_deref())?;
        Some(cause)
    }
}

/// The value as JSON, cut when long.
pub(crate) fn excerpt(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::Object(map) if map.len() > 3 => format!("an object of {} keys", map.len()),
        Value::Array(items) if items.len() > 12 => format!("a list of {} items", items.len()),
        other => other.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_say_where_what_and_what_else() {
        let problem = Problem::new(DocPath::root().key("a"), ProblemKind::BadValue, "a name")
            .found(&json!("nmae"))
            .near("nmae", ["name", "other"]);
        assert_eq!(
            problem.to_string(),
            "a: expected a name, found \"nmae\"; did you mean `name`?"
        );
        let errors = DocumentErrors::new(
            DocumentKind::Product,
            Some("p".into()),
            vec![problem.clone(), problem],
        );
        assert!(
            errors
                .to_string()
                .starts_with("invalid product `p`, 2 problems:\n  a: expected")
        );
        let long = Value::from(vec![1; 100]);
        assert_eq!(excerpt(&long), "a list of 100 items");
        assert!(excerpt(&json!("é".repeat(100))).ends_with("..."));
    }
}
