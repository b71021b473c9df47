//! Which of a file's locations is read: the first one that works.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::source::RasterSource;

/// Addresses that are remembered; one that is forgotten is tried once more.
const KNOWN_MAX: usize = 16_384;

/// Addresses of files with several locations that could not be read lately: the
/// other locations are tried before them.
#[derive(Debug, Default)]
pub(super) struct FailedLocations(Mutex<HashSet<String>>);

impl FailedLocations {
    /// The addresses of a file, in the order in which they are tried.
    pub(super) fn order<'a>(&self, source: &'a RasterSource) -> Vec<&'a str> {
        let mut uris = vec![source.uri.as_str()];
        if source.alternatives.is_empty() {
            return uris;
        }
        uris.extend(source.alternatives.iter().map(String::as_str));
        let failed = self.0.lock();
        uris.sort_by_key(|uri| failed.contains(*uri));
        uris
    }

    /// Remembers an address of a file that could not be read.
    fn add(&self, uri: &str) {
        let mut failed = self.0.lock();
        if failed.len() >= KNOWN_MAX {
            failed.clear();
        }
        failed.insert(uri.to_owned());
    }

    /// What `read` gives of the first location of `source` that can be read.
    ///
    /// # Errors
    /// The only location's; [`Error::NoLocation`] where there are several; at once
    /// what is no fault of a location.
    pub(super) async fn first<'a, T, F>(
        &self,
        source: &'a RasterSource,
        mut read: impl FnMut(&'a str) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let uris = self.order(source);
        let mut errors = Vec::new();
        for &uri in &uris {
            match read(uri).await {
                Err(error) if uris.len() > 1 && error.is_source_fault() => {
                    tracing::debug!("trying the next location, for {error}");
                    self.add(uri);
                    errors.push(error);
                }
                other => return other,
            }
        }
        Err(Error::NoLocation { errors })
    }
}
