//! Encoded blocks on their way from "as they come" to "as a COG wants them".
//!
//! Blocks are appended to a file in the part of the result, and the journal of the
//! part notes each of them with its place and checksum. Blocks of an earlier run
//! are taken over if the checksums agree. Memory holds 16 bytes for each block.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::export::error::{Error, Result};
use crate::export::part::Part;

/// The file within the part.
const BLOCKS: &str = "blocks";

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
    part: Part,
    path: PathBuf,
}

impl Spool {
    /// The blocks of the result `path`, with those that `written`, what the journal
    /// of `part` says, tells of.
    pub(super) fn open(
        path: &Path,
        part: Part,
        written: &[Vec<u64>],
        n_blocks: usize,
    ) -> Result<Self> {
        let failed = || Error::io("read what was written of", path);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(part.join(BLOCKS))
            .map_err(Error::io("create", path))?;
        let len = file.metadata().map_err(failed())?.len();
        let mut extents = vec![None; n_blocks];
        let mut end = 0;
        for entry in written {
            let [block, offset, size, checksum] = entry[..] else {
                continue;
            };
            let place = usize::try_from(block).ok();
            let (Some(extent), Ok(size)) = (
                place.and_then(|block| extents.get_mut(block)),
                u32::try_from(size),
            ) else {
                continue;
            };
            let Some(after) = offset
                .checked_add(u64::from(size))
                .filter(|&after| after <= len)
            else {
                continue;
            };
            let mut encoded = vec![0; size as usize];
            file.seek(SeekFrom::Start(offset))
                .and_then(|_| file.read_exact(&mut encoded))
                .map_err(failed())?;
            if u64::from(libdeflater::crc32(&encoded)) == checksum {
                *extent = Some(Extent { offset, len: size });
                end = end.max(after);
            }
        }
        let inner = Mutex::new(Inner { file, end, extents });
        Ok(Spool {
            inner,
            part,
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
        let checksum = u64::from(libdeflater::crc32(encoded));
        let mut inner = self.lock();
        let offset = inner.end;
        inner
            .file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| inner.file.write_all(encoded))
            .map_err(Error::io("write a temporary file for", &self.path))?;
        inner.end += u64::from(len);
        inner.extents[block] = Some(Extent { offset, len });
        drop(inner);
        self.part
            .note(&[block as u64, offset, u64::from(len), checksum])
    }

    /// Whether a block is there.
    pub(super) fn has(&self, block: usize) -> bool {
        self.lock().extents[block].is_some()
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

    /// The part, for the file that is made of the blocks.
    pub(super) fn into_part(self) -> Part {
        self.part
    }

    /// A file or folder beside the blocks.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.part.join(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves at worst an unused stretch of the file.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
