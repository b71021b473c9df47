//! One file in one store, read by ranges.
//!
//! Ranges that lie close together are read in one request: over a network a
//! request costs as much as some hundred kilobytes do. How close depends on the
//! store, see [`Location::gap`].

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::{Error, Result};
use crate::reader::ReadCost;

/// Requests of one call that run at the same time.
const PARALLEL_REQUESTS: usize = 8;
/// A merged request grows no further than this, so that a large read is spread
/// over several requests.
const MERGED_BYTES: u64 = 8 << 20;
/// Bytes that may be read for nothing to save a request.
const LOCAL_GAP: u64 = 16 << 10;
const REMOTE_GAP: u64 = 256 << 10;

/// Which version of a file an answer came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    /// Size in bytes.
    pub(crate) size: u64,
    /// When it was last written.
    modified: SystemTime,
    /// The store's tag of this version, if it has such.
    e_tag: Option<String>,
}

impl From<&ObjectMeta> for FileVersion {
    fn from(meta: &ObjectMeta) -> Self {
        FileVersion {
            size: meta.size,
            modified: meta.last_modified.into(),
            e_tag: meta.e_tag.clone(),
        }
    }
}

impl fmt::Display for FileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.size)?;
        match &self.e_tag {
            Some(tag) => write!(f, ", etag {tag}"),
            None => Ok(()),
        }
    }
}

/// One file in one store.
#[derive(Clone)]
pub struct Location {
    uri: String,
    store: Arc<dyn ObjectStore>,
    path: Path,
    is_local: bool,
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}

impl Location {
    pub(super) fn new(
        uri: String,
        store: Arc<dyn ObjectStore>,
        path: Path,
        is_local: bool,
    ) -> Self {
        Location {
            uri,
            store,
            path,
            is_local,
        }
    }

    /// The URI that was asked for.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The path within the store.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is on this machine, so that asking about it is cheap.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// Two URIs with the same key are the same file.
    pub(crate) fn key(&self) -> String {
        if self.is_local {
            format!("/{}", self.path)
        } else {
            self.uri.clone()
        }
    }

    /// Bytes between two ranges up to which they are read as one.
    fn gap(&self) -> u64 {
        if self.is_local { LOCAL_GAP } else { REMOTE_GAP }
    }

    /// Asks for the file's size and version; one request.
    pub(crate) async fn head(&self) -> Result<FileVersion> {
        let meta = self
            .store
            .head(&self.path)
            .await
            .map_err(|error| self.error(error))?;
        Ok(FileVersion::from(&meta))
    }

    /// Reads the first `n_bytes` of the file, or all of it if it is shorter.
    pub(crate) async fn read_start(&self, n_bytes: u64) -> Result<(Bytes, FileVersion)> {
        let answer = self.get(0..n_bytes).await;
        if let Err(error @ Error::Store { .. }) = answer {
            // Stores refuse every range of an empty file, each in its own words.
            return match self.head().await {
                Ok(version) if version.size == 0 => {
                    Err(Error::unreadable(&self.uri, "header", "the file is empty"))
                }
                _ => Err(error),
            };
        }
        answer
    }

    /// Reads `ranges` of the file that `version` came from, merging those that
    /// lie close together.
    pub(crate) async fn read_ranges(
        &self,
        version: &FileVersion,
        ranges: &[Range<u64>],
    ) -> Result<(Vec<Bytes>, ReadCost)> {
        let merged = merge(ranges, self.gap());
        let bytes: Vec<Bytes> = futures::stream::iter(merged.iter().cloned())
            .map(|range| self.get_of(version, range))
            .buffered(PARALLEL_REQUESTS)
            .try_collect()
            .await?;
        let cost = cost_of(&merged);
        let parts = ranges.iter().map(|range| {
            let at = merged.partition_point(|m| m.start <= range.start) - 1;
            let start = range.start - merged[at].start;
            let end = range.end - merged[at].start;
            // `get_of` made sure that the whole of `merged[at]` is there.
            bytes[at].slice(to_usize(start)..to_usize(end))
        });
        Ok((parts.collect(), cost))
    }

    /// What `read_ranges` of the same ranges would take.
    pub(crate) fn project_ranges(&self, ranges: &[Range<u64>]) -> ReadCost {
        cost_of(&merge(ranges, self.gap()))
    }

    /// One request for exactly `range`, of exactly `version`.
    async fn get_of(&self, version: &FileVersion, range: Range<u64>) -> Result<Bytes> {
        let (bytes, now) = self.get(range.clone()).await?;
        if now != *version {
            return Err(Error::Changed {
                uri: self.uri.clone(),
                was: version.to_string(),
                now: now.to_string(),
            });
        }
        if bytes.len() as u64 == range.end - range.start {
            return Ok(bytes);
        }
        Err(Error::Store {
            uri: self.uri.clone(),
            transient: range.end <= version.size,
            source: format!(
                "bytes {}..{} were asked for and {} bytes came; the file has {}",
                range.start,
                range.end,
                bytes.len(),
                version.size
            )
            .into(),
        })
    }

    /// One request, cut at the end of the file.
    async fn get(&self, range: Range<u64>) -> Result<(Bytes, FileVersion)> {
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        let answer = self
            .store
            .get_opts(&self.path, options)
            .await
            .map_err(|error| self.error(error))?;
        let version = FileVersion::from(&answer.meta);
        let bytes = answer.bytes().await.map_err(|error| self.error(error))?;
        Ok((bytes, version))
    }

    fn error(&self, error: object_store::Error) -> Error {
        use object_store::Error as Cause;
        let uri = self.uri.clone();
        let io_kind = io_kind_of(&error);
        match error {
            Cause::NotFound { .. } => Error::NotFound { uri },
            Cause::PermissionDenied { .. } | Cause::Unauthenticated { .. } => Error::Denied {
                uri,
                source: error.into(),
            },
            _ if io_kind == Some(io::ErrorKind::PermissionDenied) => Error::Denied {
                uri,
                source: error.into(),
            },
            Cause::InvalidPath { source } => Error::invalid_for(&uri, format!("{source}")),
            _ => {
                // A remote store that fails in no particular way may well work
                // the next time; a local disk fails for a reason.
                let transient = match io_kind {
                    Some(kind) => is_transient_io(kind),
                    None => !self.is_local && matches!(error, Cause::Generic { .. }),
                };
                Error::Store {
                    uri,
                    transient,
                    source: error.into(),
                }
            }
        }
    }
}

/// The kind of the IO error at the root of `error`, if there is one.
fn io_kind_of(error: &object_store::Error) -> Option<io::ErrorKind> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io.kind());
        }
        cause = error.source();
    }
    None
}

fn is_transient_io(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted,
        NetworkUnreachable, ResourceBusy, TimedOut, UnexpectedEof, WouldBlock,
    };
    matches!(
        kind,
        BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | Interrupted
            | NetworkUnreachable
            | ResourceBusy
            | TimedOut
            | UnexpectedEof
            | WouldBlock
    )
}

fn cost_of(merged: &[Range<u64>]) -> ReadCost {
    ReadCost {
        bytes: merged.iter().map(|range| range.end - range.start).sum(),
        requests: merged.len() as u64,
        cached_blocks: 0,
    }
}

/// Sorted ranges that cover `ranges`, joined where at most `gap` bytes lie
/// between them and the result stays below [`MERGED_BYTES`].
fn merge(ranges: &[Range<u64>], gap: u64) -> Vec<Range<u64>> {
    let mut sorted: Vec<Range<u64>> = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match merged.last_mut() {
            // One inside the other has to share a request, however long it is.
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            Some(last)
                if range.start - last.end <= gap && range.end - last.start <= MERGED_BYTES =>
            {
                last.end = range.end;
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// An offset within bytes that are in memory.
fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("offsets into a buffer fit a usize")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreRegistry;

    #[test]
    fn merging_joins_what_is_close() {
        let check = |ranges: &[Range<u64>], expected: &[(u64, u64)]| {
            let merged: Vec<(u64, u64)> = merge(ranges, 10)
                .iter()
                .map(|range| (range.start, range.end))
                .collect();
            assert_eq!(merged, expected);
        };
        check(&[], &[]);
        check(&[20..30, 0..10], &[(0, 30)]);
        check(&[0..10, 21..30], &[(0, 10), (21, 30)]);
        check(&[0..10, 5..7, 8..12], &[(0, 12)]);
        check(
            &[0..MERGED_BYTES, MERGED_BYTES..MERGED_BYTES + 1],
            &[(0, MERGED_BYTES), (MERGED_BYTES, MERGED_BYTES + 1)],
        );
    }

    #[tokio::test]
    async fn reads_ranges_and_notices_a_change() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a file #1.bin");
        std::fs::write(&path, (0..=255).collect::<Vec<u8>>()).unwrap();
        let location = StoreRegistry::new().locate(path.to_str().unwrap()).unwrap();
        let (start, version) = location.read_start(16).await.unwrap();
        assert_eq!((start.len(), start[15], version.size), (16, 15, 256));
        let (parts, cost) = location
            .read_ranges(&version, &[200..202, 3..5])
            .await
            .unwrap();
        assert_eq!(
            (&parts[0][..], &parts[1][..]),
            (&[200, 201][..], &[3, 4][..])
        );
        assert_eq!(
            cost,
            ReadCost {
                bytes: 199,
                requests: 1,
                cached_blocks: 0
            }
        );

        let beyond = location
            .read_ranges(&version, &[250..300, 0..1])
            .await
            .unwrap_err();
        assert!(beyond.to_string().contains("the file has 256"), "{beyond}");

        std::fs::write(&path, [0; 100]).unwrap();
        let error = location
            .read_ranges(&version, &[0..2, 5..6])
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Changed { .. }) && error.is_transient(),
            "{error}"
        );
    }

    #[tokio::test]
    async fn missing_and_empty_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("empty.tif");
        std::fs::write(&path, []).unwrap();
        let open =
            |path: &std::path::Path| StoreRegistry::new().locate(path.to_str().unwrap()).unwrap();
        let error = open(&path).read_start(10).await.unwrap_err();
        assert!(error.to_string().contains("the file is empty"), "{error}");
        let error = open(&dir.path().join("none.tif"))
            .read_start(10)
            .await
            .unwrap_err();
        assert!(error.is_not_found());
        assert!(error.to_string().contains("none.tif"));
    }
}
