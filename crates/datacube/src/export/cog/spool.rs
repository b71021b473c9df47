//! Encoded blocks on their way from "as they come" to "as a COG wants them".
//!
//! Blocks are appended to an unnamed temporary file in the destination's
//! folder, which the system removes with the process, whatever ends it. Memory
//! holds 16 bytes for each block.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::export::atomic::folder_of;
use crate::export::error::{Error, Result};

/// Where a block lies in the spool.
#[derive(Clone, Copy, Debug)]
struct Extent {
    offset: u64,
    len: u32,
}

#[derive(Debug)]
struct Inner {
    file: File,
    end: u64,
    extents: Vec<Option<Extent>>,
}

/// Encoded blocks, each known by a number from 0 to `n_blocks - 1`.
#[derive(Debug)]
pub(super) struct Spool {
    inner: Mutex<Inner>,
    path: PathBuf,
}

impl Spool {
    pub(super) fn create(path: &Path, n_blocks: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(folder_of(path)).map_err(Error::io("create", path))?;
        let inner = Mutex::new(Inner {
            file,
            end: 0,
            extents: vec![None; n_blocks],
        });
        Ok(Spool {
            inner,
            path: path.to_owned(),
        })
    }

    pub(super) fn put(&self, block: usize, encoded: &[u8]) -> Result<()> {
        let len = u32::try_from(encoded.len()).map_err(|_| {
            Error::invalid(
                self.path.display().to_string(),
                "a block is larger than 4 GiB",
            )
        })?;
        let mut inner = self.lock();
        let offset = inner.end;
        inner
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| inner.file.write_all(encoded))
            .map_err(Error::io("write a temporary file for", &self.path))?;
        inner.end += u64::from(len);
        inner.extents[block] = Some(Extent { offset, len });
        Ok(())
    }

    /// The bytes of a block that was put.
    pub(super) fn get(&self, block: usize) -> Result<Vec<u8>> {
        let mut inner = self.lock();
        let Extent { offset, len } = inner.extents[block].expect("only finished blocks are read");
        let mut encoded = vec![0; len as usize];
        inner
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| inner.file.read_exact(&mut encoded))
            .map_err(Error::io("read a temporary file for", &self.path))?;
        Ok(encoded)
    }

    pub(super) fn len_of(&self, block: usize) -> u32 {
        self.lock().extents[block]
            .expect("only finished blocks are asked for")
            .len
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves at worst an unused stretch of the file.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
