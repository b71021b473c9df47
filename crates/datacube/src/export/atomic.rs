//! Files that appear whole or not at all.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{Error, Result};

/// The folder a file is to lie in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Refuses a destination that is there, unless it may be replaced.
pub(super) fn check_free(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(Error::Exists {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// A file that is being written beside its destination and vanishes when
/// dropped before [`AtomicFile::commit`].
#[derive(Debug)]
pub(super) struct AtomicFile {
    temporary: NamedTempFile,
    path: PathBuf,
    overwrite: bool,
}

impl AtomicFile {
    pub(super) fn create(path: &Path, overwrite: bool) -> Result<Self> {
        check_free(path, overwrite)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".datacube-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // The default of 0600 would outlive the rename; the umask still applies.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let temporary = builder
            .tempfile_in(folder_of(path))
            .map_err(Error::io("create", path))?;
        Ok(AtomicFile {
            temporary,
            path: path.to_owned(),
            overwrite,
        })
    }

    pub(super) fn file_mut(&mut self) -> &mut File {
        self.temporary.as_file_mut()
    }

    /// Moves the file to its destination.
    ///
    /// A file that appeared there meanwhile is kept, unless it may be replaced.
    pub(super) fn commit(self) -> Result<()> {
        let AtomicFile {
            temporary,
            path,
            overwrite,
        } = self;
        let moved = if overwrite {
            temporary.persist(&path)
        } else {
            temporary.persist_noclobber(&path)
        };
        match moved {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(Error::Exists { path })
            }
            Err(error) => Err(Error::io("write", &path)(error.error)),
        }
    }
}

/// Writes `bytes` to `path` in one step.
pub(crate) fn write_file(path: &Path, bytes: &[u8], overwrite: bool) -> Result<()> {
    use std::io::Write as _;
    let mut file = AtomicFile::create(path, overwrite)?;
    file.file_mut()
        .write_all(bytes)
        .map_err(Error::io("write", path))?;
    file.commit()
}
