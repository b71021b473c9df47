//! What can go wrong between a URI and a pixel.
//!
//! A variant is an outcome that someone can act on: the file is not there, the
//! request makes no sense, the file uses something that is not built, the file
//! is damaged, the store did not answer. Each carries the URI, what was met and
//! what was expected; [`Error::in_source`] adds the dataset, the measurement
//! and the chunk on the way up, and the predicates look through that.

use std::error::Error as StdError;
use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A boxed error of another library, kept as the source of one of ours.
pub type BoxError = Box<dyn StdError + Send + Sync + 'static>;

/// Why planning, reading or warping did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing is stored under the URI.
    #[error(
        "{uri}: no such file or object; check the path, or the location that the dataset gives"
    )]
    NotFound {
        /// The address that was asked for.
        uri: String,
    },

    /// The store refuses these credentials.
    #[error("{uri}: access denied: {}; {advice}", Chain(.source))]
    Denied {
        /// The address that was asked for.
        uri: String,
        /// What to do about it.
        advice: String,
        /// What the store said.
        source: BoxError,
    },

    /// Something that exists but is not built here, named.
    #[error("{}{what} is not supported; supported: {supported}", Prefix(.uri))]
    Unsupported {
        /// The file that uses it, when it is a file that does.
        uri: Option<String>,
        /// What is not supported, by its name: "JPEG compression", "scheme `ftp`".
        what: String,
        /// What may be used instead.
        supported: String,
    },

    /// The caller asked for something that cannot be: a band that the file does
    /// not have, a window outside the raster, two grids that do not fit.
    #[error("{}{problem}", Prefix(.uri))]
    InvalidRequest {
        /// The file concerned, if any.
        uri: Option<String>,
        /// What was met and what was expected.
        problem: String,
    },

    /// The file breaks its own format, or ends too early.
    #[error("{uri}: {place}: {problem}; the file is damaged or was not written completely")]
    Unreadable {
        /// The file.
        uri: String,
        /// Where in the file: "IFD 0, TileOffsets", "block (3, 4) of level 1".
        place: String,
        /// What was found and what was expected.
        problem: String,
    },

    /// The file does not say where on earth its pixels are.
    #[error("{uri}: no usable georeference: {reason}")]
    NoGeoreference {
        /// The file.
        uri: String,
        /// Why there is none.
        reason: String,
    },

    /// The file was replaced while it was being read.
    #[error("{uri}: the file changed while it was being read ({was}, now {now}); read it again")]
    Changed {
        /// The file.
        uri: String,
        /// The version whose header was read.
        was: String,
        /// The version met later.
        now: String,
    },

    /// The store did not give the bytes.
    #[error("{uri}: reading failed: {}", Chain(.source))]
    Store {
        /// The address that was asked for.
        uri: String,
        /// Whether trying again could help.
        transient: bool,
        /// What the store said.
        source: BoxError,
    },

    /// More memory would be needed than is allowed.
    #[error("{what} needs {needed} bytes, more than the limit of {limit}; {advice}")]
    Exhausted {
        /// What asked for it, with the file's address where there is one.
        what: String,
        /// Bytes that it would take.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
        /// The way out.
        advice: String,
    },

    /// None of the places that a dataset is at has a file that can be read.
    #[error("{}", Locations(.errors))]
    NoLocation {
        /// What was wrong with each, in the order in which they were tried; at least
        /// two.
        errors: Vec<Error>,
    },

    /// Where the files of datasets are could not be looked up.
    #[error("looking up datasets failed: {}", Chain(.source))]
    Catalog {
        /// What the catalog said.
        source: BoxError,
    },

    /// A coordinate system or grid does not work.
    #[error("{}{problem}: {}", Prefix(.uri), Chain(.source))]
    Geo {
        /// The file concerned, if any.
        uri: Option<String>,
        /// What was tried.
        problem: String,
        /// What the geometry library said.
        source: BoxError,
    },

    /// An error of one source, with the place in the load where it happened.
    #[error("{place}: {source}")]
    InSource {
        /// Dataset, measurement and chunk.
        place: SourcePlace,
        /// What happened there.
        #[source]
        source: Box<Error>,
    },

    /// An invariant of this crate does not hold.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

/// Where in a load an error happened; empty parts are left out of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePlace {
    /// The dataset's id or label.
    pub dataset: String,
    /// The measurement's name.
    pub measurement: String,
    /// The chunk, such as `time 3, rows 0..2048, cols 0..2048`.
    pub chunk: String,
}

impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (noun, text) in [
            ("dataset", &self.dataset),
            ("measurement", &self.measurement),
            ("chunk", &self.chunk),
        ] {
            if !text.is_empty() {
                write!(f, "{separator}{noun} {text}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl Error {
    /// Whether nothing is stored under the URI.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::NotFound { .. } => true,
            Error::NoLocation { errors } => errors.iter().all(Error::is_not_found),
            Error::InSource { source, .. } => source.is_not_found(),
            _ => false,
        }
    }

    /// Whether the same call could succeed when it is made again.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Store { transient, .. } => *transient,
            Error::Changed { .. } => true,
            Error::NoLocation { errors } => errors.iter().any(Error::is_transient),
            Error::InSource { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// Whether the store refuses the credentials.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Error::Denied { .. })
    }

    /// Whether the file or request uses something that is not built.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Error::Unsupported { .. } => true,
            Error::NoLocation { errors } => errors.iter().all(Error::is_unsupported),
            Error::InSource { source, .. } => source.is_unsupported(),
            _ => false,
        }
    }

    /// Whether the fault lies with this one source, so that a load that may
    /// skip broken sources can go on without it.
    pub fn is_source_fault(&self) -> bool {
        match self {
            Error::NotFound { .. }
            | Error::Denied { .. }
            | Error::Unreadable { .. }
            | Error::NoGeoreference { .. }
            | Error::Changed { .. }
            | Error::NoLocation { .. }
            | Error::Store { .. } => true,
            Error::Unsupported { uri, .. } | Error::Geo { uri, .. } => uri.is_some(),
            Error::InSource { source, .. } => source.is_source_fault(),
            Error::InvalidRequest { uri, .. } => uri.is_some(),
            Error::Exhausted { .. } | Error::Catalog { .. } | Error::Internal(_) => false,
        }
    }

    /// Adds where in the load this happened; a place already there is kept.
    #[must_use]
    pub fn in_source(self, dataset: &str, measurement: &str, chunk: &str) -> Self {
        match self {
            already @ Error::InSource { .. } => already,
            source => Error::InSource {
                place: SourcePlace {
                    dataset: dataset.to_owned(),
                    measurement: measurement.to_owned(),
                    chunk: chunk.to_owned(),
                },
                source: Box::new(source),
            },
        }
    }

    /// A request that cannot be, concerning no particular file.
    pub(crate) fn invalid(problem: impl Into<String>) -> Self {
        Error::InvalidRequest {
            uri: None,
            problem: problem.into(),
        }
    }

    /// A request that cannot be, about the file `uri`.
    pub(crate) fn invalid_for(uri: &str, problem: impl Into<String>) -> Self {
        Error::InvalidRequest {
            uri: Some(uri.to_owned()),
            problem: problem.into(),
        }
    }

    /// Something in the file `uri` that is not built.
    pub(crate) fn unsupported_in(uri: &str, what: impl Into<String>, supported: &str) -> Self {
        Error::Unsupported {
            uri: Some(uri.to_owned()),
            what: what.into(),
            supported: supported.to_owned(),
        }
    }

    /// The file `uri` is broken at `place`.
    pub(crate) fn unreadable(
        uri: &str,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Error::Unreadable {
            uri: uri.to_owned(),
            place: place.into(),
            problem: problem.into(),
        }
    }
}

/// `uri: ` where there is a uri, else nothing.
struct Prefix<'a>(&'a Option<String>);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(uri) => write!(f, "{uri}: "),
            None => Ok(()),
        }
    }
}

/// What was wrong with each location of a file.
struct Locations<'a>(&'a [Error]);

impl fmt::Display for Locations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, others @ ..] = self.0 else {
            return f.write_str("no location");
        };
        write!(f, "{first}")?;
        for other in others {
            write!(f, "; at its other location {other}")?;
        }
        Ok(())
    }
}

/// An error and the causes that its own text leaves out.
struct Chain<'a>(&'a BoxError);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let next = error.to_string();
            if !text.contains(&next) {
                text.push_str(": ");
                text.push_str(&next);
            }
            cause = error.source();
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicates_look_through_the_place() {
        let error = Error::NotFound {
            uri: "file:///a.tif".into(),
        }
        .in_source("d1", "red", "");
        assert!(error.is_not_found() && error.is_source_fault() && !error.is_transient());
        assert_eq!(
            error.to_string(),
            "dataset d1, measurement red: file:///a.tif: no such file or object; check the path, or the location \
             that the dataset gives"
        );
        let again = error.in_source("d2", "nir", "");
        assert!(
            again
                .to_string()
                .starts_with("dataset d1, measurement red: ")
        );
    }

    #[test]
    fn the_chain_does_not_repeat_itself() {
        let io = std::io::Error::other("disk on fire");
        let error = Error::Store {
            uri: "file:///a.tif".into(),
            transient: true,
            source: io.into(),
        };
        assert_eq!(
            error.to_string(),
            "file:///a.tif: reading failed: disk on fire"
        );
        assert!(error.is_transient());
    }
}
