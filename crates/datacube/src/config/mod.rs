//! Where the index is: the Open Data Cube's configuration, resolved to one URL.
//!
//! Files, sections, environment variables and their precedence are ODC's, so
//! that an installation that Python's datacube uses needs no second
//! configuration. What ODC has no word for, the embedded file in the user's
//! data folder, is what remains when nothing is configured.

mod document;
mod resolve;

use std::fmt;
use std::path::PathBuf;

use datacube_index::without_password;

pub use document::ConfigDocument;
pub use resolve::{Origin, Resolved, Settings};

use crate::{Error, Result};

/// What a caller says about configuration; everything not said is looked up.
#[derive(Clone, Default)]
pub struct ConfigOptions {
    /// An index URL; it wins over all configuration.
    pub index: Option<String>,
    /// The environment (section) to use; default: `ODC_ENVIRONMENT`, else `default`, else `datacube`.
    pub environment: Option<String>,
    /// Files to read instead of the usual ones; the first readable one is used.
    pub files: Vec<PathBuf>,
    /// Configuration as text (INI, YAML or JSON) instead of any file.
    pub text: Option<String>,
}

impl fmt::Debug for ConfigOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigOptions")
            .field("index", &self.index.as_deref().map(without_password))
            .field("environment", &self.environment)
            .field("files", &self.files)
            // It may hold passwords.
            .field("text", &self.text.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Resolves `options` against the process's environment and the usual files.
///
/// # Errors
/// [`Error::Config`] for an unreadable or malformed file, an unknown
/// environment, or settings that contradict each other.
///
/// # Source
/// datacube-core 1.9, `datacube/cfg`.
pub fn resolve(options: &ConfigOptions) -> Result<Resolved> {
    let variables = std::env::vars().collect();
    resolve::resolve(
        options,
        &variables,
        &|path| match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::Config {
                place: path.display().to_string(),
                problem: crate::documents::file_problem(&error),
            }),
        },
    )
}

/// The embedded index of this user: `datacube/index.sqlite` in the data folder.
///
/// # Errors
/// [`Error::Config`] when the platform names no data folder (no home).
pub fn default_index_path() -> Result<PathBuf> {
    dirs::data_dir()
        .map(|folder| folder.join("datacube").join("index.sqlite"))
        .ok_or_else(|| Error::Config {
            place: "the user's data folder".into(),
            problem: "neither XDG_DATA_HOME nor a home folder is known; name an index with \
                      --index sqlite:PATH"
                .into(),
        })
}
