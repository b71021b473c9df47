//! Encoded blocks on their way from "as they come" to "as a COG wants them".
//!
//! Blocks are appended to a file in the part of the result, and the journal of the
//! part notes each of them with its place and checksum. Blocks of an earlier run
//! are taken over if the checksums agree. Memory holds 16 bytes for each
//! block. A lock is held
//! while a place in the file is given out or looked up, and not while bytes are written
//! or read: threads that make overviews do not wait for each other's disk.

use std::fs::File;
use std::io;
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
struct Places {
    end: u64,
    extents: Vec<Option<Extent>>,
}

/// Encoded blocks, each known by a number from 0 to `n_blocks - 1`.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    places: Mutex<Places>,
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
        let file = File::options()
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
            read_at(&file, &mut encoded, offset).map_err(failed())?;
            if u64::from(libdeflater::crc32(&encoded)) == checksum {
                *extent = Some(Extent { offset, len: size });
                end = end.max(after);
            }
        }
        Ok(Spool {
            file,
            places: Mutex::new(Places { end, extents }),
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
        let offset = {
            let mut places = self.lock();
            let offset = places.end;
            places.end += u64::from(len);
            offset
        };
        write_at(&self.file, encoded, offset)
            .map_err(Error::io("write a temporary file for", &self.path))?;
        // Only now: a block that has a place can be read.
        self.lock().extents[block] = Some(Extent { offset, len });
        self.part
            .note(&[block as u64, offset, u64::from(len), checksum])
    }

    /// Whether a block is there.
    pub(super) fn has(&self, block: usize) -> bool {
        self.lock().extents[block].is_some()
    }

    /// The bytes of a block that was put.
    pub(super) fn get(&self, block: usize) -> Result<Vec<u8>> {
        let Extent { offset, len } = self.extent(block);
        let mut encoded = vec![0; len as usize];
        read_at(&self.file, &mut encoded, offset)
            .map_err(Error::io("read a temporary file for", &self.path))?;
        Ok(encoded)
    }

    pub(super) fn len_of(&self, block: usize) -> u32 {
        self.extent(block).len
    }

    /// The part, for the file that is made of the blocks.
    pub(super) fn into_part(self) -> Part {
        self.part
    }

    /// A file or folder beside the blocks.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.part.join(name)
    }

    fn extent(&self, block: usize) -> Extent {
        self.lock().extents[block].expect("only finished blocks are asked for")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Places> {
        // A panic elsewhere leaves at worst an unused stretch of the file.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => {
                bytes = &bytes[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt;
    while !bytes.is_empty() {
        match file.seek_read(bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = &mut bytes[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
