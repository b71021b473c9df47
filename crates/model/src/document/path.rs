//! The place of a value inside a document: `measurements[2].dtype`.

use std::fmt;

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into the value of a key.
    Key(String),
    /// Into the item of a list, counted from 0.
    Index(usize),
}

/// The way from the root of a document to one of its values.
///
/// Written as `measurements[2].flags_definition.cloud`; a key that holds
/// anything but letters, digits, `_`, `-` and `:` is quoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DocPath(Vec<Step>);

impl DocPath {
    /// The root of the document.
    pub fn root() -> Self {
        DocPath::default()
    }

    /// The path to the value of `key` below this one.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.with(Step::Key(key.into()))
    }

    /// The path to item `index` of the list at this one.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    /// The path through all of `keys` below this one.
    #[must_use]
    pub fn keys<S: AsRef<str>>(&self, keys: &[S]) -> Self {
        let mut path = self.clone();
        path.0
            .extend(keys.iter().map(|key| Step::Key(key.as_ref().to_owned())));
        path
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the document as a whole.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = Vec::with_capacity(self.0.len() + 1);
        steps.extend_from_slice(&self.0);
        steps.push(step);
        DocPath(steps)
    }
}

impl fmt::Display for DocPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let plain = !key.is_empty()
                        && key
                            .chars()
                            .all(|c| c.is_alphanumeric() || "_-:$".contains(c));
                    if !plain {
                        write!(f, "[{key:?}]")?;
                    } else if position == 0 {
                        f.write_str(key)?;
                    } else {
                        write!(f, ".{key}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_like_code() {
        let path = DocPath::root().key("measurements").index(2).key("dtype");
        assert_eq!(path.to_string(), "measurements[2].dtype");
        let path = DocPath::root()
            .keys(&["properties", "dtr:start_datetime"])
            .key("a.b");
        assert_eq!(path.to_string(), "properties.dtr:start_datetime[\"a.b\"]");
        assert_eq!(DocPath::root().to_string(), "");
    }
}
