//! A configuration file: named environments, each a map of options.
//!
//! INI when the first character that is not blank is `[` or `;`, otherwise
//! YAML (of which JSON is a part), as ODC decides it.

use std::fmt;

use datacube_index::without_password;
use indexmap::IndexMap;

use crate::{Error, Result};

/// The environments of one configuration file, in the file's order.
#[derive(Clone, Default, PartialEq)]
pub struct ConfigDocument {
    /// Environment name to its options, values as text.
    pub environments: IndexMap<String, IndexMap<String, String>>,
}

impl fmt::Debug for ConfigDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(option, value): (&String, &String)| {
            let value = match option.as_str() {
                "db_password" => "***".to_owned(),
                _ => without_password(value),
            };
            (option.clone(), value)
        };
        let environments = self.environments.iter().map(|(name, options)| {
            let options: IndexMap<String, String> = options.iter().map(shown).collect();
            (name, options)
        });
        f.debug_map().entries(environments).finish()
    }
}

impl ConfigDocument {
    /// Reads the environments out of `text`; `place` is for error messages.
    ///
    /// # Errors
    /// [`Error::Config`] when the text is neither INI, YAML nor JSON, or names
    /// an environment or option that ODC does not allow.
    pub fn parse(text: &str, place: &str) -> Result<Self> {
        let fail = |problem: String| Error::Config {
            place: place.to_owned(),
            problem,
        };
        let environments = match text.trim_start().chars().next() {
            Some('[' | ';') => parse_ini(text).map_err(&fail)?,
            _ => parse_yaml(text).map_err(&fail)?,
        };
        for (name, options) in &environments {
            if !is_environment_name(name) {
                return Err(fail(format!(
                    "`{name}` cannot name an environment: lower-case letters and digits, a \
                     letter first, and not `all`"
                )));
            }
            if let Some(option) = options.keys().find(|option| !is_option_name(option)) {
                return Err(fail(format!(
                    "`{option}` in `{name}` cannot name an option: lower-case letters and `_`"
                )));
            }
        }
        Ok(Self { environments })
    }
}

fn is_environment_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name != "all"
}

fn is_option_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

type Environments = IndexMap<String, IndexMap<String, String>>;

fn parse_ini(text: &str) -> Result<Environments, String> {
    // As Python's configparser reads it: quotes and backslashes are characters.
    let options = ini::ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        ..ini::ParseOption::default()
    };
    let file = ini::Ini::load_from_str_opt(text, options).map_err(|error| error.to_string())?;
    let mut environments = Environments::new();
    for (section, properties) in &file {
        let Some(section) = section else {
            if properties.is_empty() {
                continue;
            }
            return Err("options stand before the first [environment]".into());
        };
        let options = properties
            .iter()
            .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()));
        environments
            .entry(section.to_owned())
            .or_default()
            .extend(options);
    }
    Ok(environments)
}

fn parse_yaml(text: &str) -> Result<Environments, String> {
    use serde_json::Value;
    if text.trim().is_empty() {
        return Ok(Environments::new());
    }
    let value: Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let Value::Object(sections) = value else {
        return Err("expected environments with their options".into());
    };
    let mut environments = Environments::new();
    for (name, section) in sections {
        let options = match section {
            Value::Null => serde_json::Map::new(),
            Value::Object(options) => options,
            _ => return Err(format!("environment `{name}` is not a map of options")),
        };
        let mut texts = IndexMap::new();
        for (option, value) in options {
            let text = match value {
                Value::String(text) => text,
                Value::Null => continue,
                Value::Bool(_) | Value::Number(_) => value.to_string(),
                Value::Array(_) | Value::Object(_) => {
                    return Err(format!(
                        "option `{option}` in `{name}` is not a single value"
                    ));
                }
            };
            texts.insert(option, text);
        }
        environments.insert(name, texts);
    }
    Ok(environments)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option<'a>(document: &'a ConfigDocument, environment: &str, option: &str) -> &'a str {
        &document.environments[environment][option]
    }

    #[test]
    fn ini_yaml_and_json_say_the_same() {
        let texts = [
            "[default]\ndb_database: cube\ndb_port = 5433\n\n[dev]\nalias: default\n",
            "default:\n  db_database: cube\n  db_port: 5433\ndev:\n  alias: default\n",
            r#"{"default": {"db_database": "cube", "db_port": 5433}, "dev": {"alias": "default"}}"#,
        ];
        for text in texts {
            let document = ConfigDocument::parse(text, "test").expect(text);
            assert_eq!(option(&document, "default", "db_database"), "cube");
            assert_eq!(option(&document, "default", "db_port"), "5433");
            assert_eq!(option(&document, "dev", "alias"), "default");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("[all]\ndb_port: 1\n", "`all` cannot name an environment"),
            ("[de-v]\ndb_port: 1\n", "`de-v` cannot name"),
            ("- a\n- b\n", "expected environments"),
            ("default:\n  db_port: [1, 2]\n", "not a single value"),
        ] {
            let message = ConfigDocument::parse(text, "here.conf")
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
            assert!(message.contains("here.conf"), "{message}");
        }
    }
}
