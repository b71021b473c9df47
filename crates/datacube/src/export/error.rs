//! What can go wrong while a result is written.

use std::path::{Path, PathBuf};

/// Result of an export.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a result was not written.
///
/// Whatever the variant, the destination is as it was before: files and stores
/// are put together beside it and moved into place when they are complete. What
/// had been written is removed, unless it was to be resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The destination is there already and overwriting was not asked for.
    #[error(
        "`{}` exists already; choose another name, remove it, or ask for overwriting",
        path.display()
    )]
    Exists {
        /// The destination.
        path: PathBuf,
    },

    /// Somebody is writing there.
    #[error(
        "`{}` is being written by another process or thread; wait for it, or choose another name",
        path.display()
    )]
    Busy {
        /// The destination.
        path: PathBuf,
    },

    /// What an interrupted run left is of another job.
    #[error(
        "cannot go on with `{}`, which another job began: {differences}; \
         give what was given then, or begin anew without resuming",
        part.display()
    )]
    OtherJob {
        /// What was left.
        part: PathBuf,
        /// Where the jobs differ, and what each has there.
        differences: String,
    },

    /// The file system refused.
    #[error("could not {action} `{}`: {source}", path.display())]
    Io {
        /// What was being done, as a verb: "create", "write".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The request contradicts itself, or the format's limits.
    #[error("cannot write {what}: {reason}")]
    Invalid {
        /// The thing to be written, such as "`ndvi` to out.tif".
        what: String,
        /// What was met, what was expected, and what to do.
        reason: String,
    },

    /// Not every pixel had been handed over when the writer was asked to finish.
    #[error(
        "`{}` is incomplete: {what} has {got} of {expected} pixels",
        path.display()
    )]
    Incomplete {
        /// The destination.
        path: PathBuf,
        /// The band or variable that is short.
        what: String,
        /// Pixels written.
        got: u64,
        /// Pixels that make it whole.
        expected: u64,
    },

    /// A Zarr store could not be written.
    #[error("could not write Zarr array `{node}` in `{}`: {message}", path.display())]
    Zarr {
        /// The store.
        path: PathBuf,
        /// The array or group inside it.
        node: String,
        /// What the Zarr library said.
        message: String,
    },

    /// The pixels could not be computed.
    #[error(transparent)]
    Compute(#[from] datacube_compute::Error),

    /// A picture could not be encoded.
    #[error("could not encode a PNG: {0}")]
    Png(#[from] png::EncodingError),
}

impl Error {
    /// Whether the destination was refused because it exists.
    pub fn is_exists(&self) -> bool {
        matches!(self, Error::Exists { .. })
    }

    /// Whether trying again could help; a full or missing disk does not mend itself.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == std::io::ErrorKind::Interrupted,
            Error::Compute(error) => error.is_transient(),
            _ => false,
        }
    }

    pub(crate) fn invalid(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Invalid {
            what: what.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }
}
