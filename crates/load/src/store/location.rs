//! One file in one store, read by ranges.
//!
//! Ranges that lie close together are read in one request: over a network a
//! request costs as much as some hundred kilobytes do. How close depends on the
//! store, see [`Location::gap`].

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use url::Url;

use super::address::Object;
use super::call::{AccessFacts, Call, Outcome};
use super::fault::explain;
use super::inner::Inner;
use super::pause::Pauses;
use super::ranges::{cost_of, merge, to_usize};
use super::sign::{Patched, Signer};
use crate::error::{Error, Result};
use crate::reader::ReadCost;

/// Requests of one call that run at the same time.
const PARALLEL_REQUESTS: usize = 8;
/// Bytes that may be read for nothing to save a request.
const LOCAL_GAP: u64 = 16 << 10;
const REMOTE_GAP: u64 = 256 << 10;
/// What a read from the start, up to some limit, is taken to give.
const UNKNOWN_BYTES: u64 = 1 << 20;

/// Which version of a file an answer came from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    /// As it may be shown.
    uri: String,
    /// Tells files apart.
    key: String,
    path: Path,
    is_local: bool,
    source: Source,
    shared: Arc<Inner>,
}

/// How the bytes are had.
#[derive(Clone)]
pub(super) enum Source {
    /// From a store.
    Plain(Target),
    /// From where a signer says, each time.
    Signed {
        uri: String,
        name: String,
        signer: Signer,
    },
    /// From a part of another file.
    Member {
        archive: Box<Location>,
        member: String,
    },
}

/// An object in a store.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    /// The address on a server, as it was given.
    pub(super) url: Option<Url>,
    /// The object in a bucket or container.
    pub(super) object: Option<Object>,
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
        uri: &str,
        path: Path,
        is_local: bool,
        source: Source,
        shared: Arc<Inner>,
    ) -> Self {
        let key = match &source {
            _ if is_local => format!("/{path}"),
            Source::Signed { name, .. } => format!("{name} {uri}"),
            _ => uri.to_owned(),
        };
        Location {
            uri: super::address::shown(uri),
            key,
            path,
            is_local,
            source,
            shared,
        }
    }

    /// The URI that was asked for, without what signs it.
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
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The object of that name in the same bucket or container, the name taken
    /// as it is.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for what is no name of an object, and where
    /// this is no object of a bucket.
    pub fn object(&self, base: &str, name: &str) -> Result<Location> {
        let uri = format!("{base}/{name}");
        let path = Path::parse(name).map_err(|error| {
            Error::invalid_for(&uri, format!("not a path of an object: {error}"))
        })?;
        let Source::Plain(target) = &self.source else {
            return Err(Error::invalid_for(&self.uri, "is no object of a bucket"));
        };
        let object = target.object.clone().map(|object| Object {
            path: path.clone(),
            ..object
        });
        let target = Target {
            path: path.clone(),
            object,
            ..target.clone()
        };
        let source = Source::Plain(target);
        Ok(Location::new(
            &uri,
            path,
            false,
            source,
            Arc::clone(&self.shared),
        ))
    }

    /// Whether files beside those in stores are to be looked for.
    pub(crate) fn wants_siblings(&self) -> bool {
        self.shared.settings.read().options.siblings
    }

    /// The file whose name is this one's and `suffix`; `None` for what is in an
    /// archive, and for an address with a query, whose parts belong to one file.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Option<Location> {
        let path = Path::parse(format!("{}{suffix}", self.path)).ok()?;
        let (uri, source) = match &self.source {
            Source::Plain(target) if self.is_local => {
                let target = Target {
                    path: path.clone(),
                    url: None,
                    ..target.clone()
                };
                (format!("{}{suffix}", self.uri), Source::Plain(target))
            }
            Source::Plain(_) if !self.key.contains('?') => {
                return self.shared.locate(&format!("{}{suffix}", self.key)).ok();
            }
            Source::Signed { uri, name, signer } if !uri.contains('?') => {
                let uri = format!("{uri}{suffix}");
                let source = Source::Signed {
                    uri: uri.clone(),
                    name: name.clone(),
                    signer: signer.clone(),
                };
                (uri, source)
            }
            _ => return None,
        };
        let shared = Arc::clone(&self.shared);
        Some(Location::new(&uri, path, self.is_local, source, shared))
    }

    /// Bytes between two ranges up to which they are read as one.
    fn gap(&self) -> u64 {
        if self.is_local { LOCAL_GAP } else { REMOTE_GAP }
    }

    /// Asks for the file's size and version; one request.
    pub(crate) async fn head(&self) -> Result<FileVersion> {
        let options = GetOptions::new().with_head(true);
        Ok(self.exchange(options, 0).await?.1)
    }

    /// Reads the first `n_bytes` of the file, or all of it if it is shorter.
    pub(crate) async fn read_start(&self, n_bytes: u64) -> Result<(Bytes, FileVersion)> {
        let answer = self.get(0..n_bytes).await;
        if let Err(
            error @ Error::Store {
                transient: false, ..
            },
        ) = answer
        {
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

    /// All of the file, if it has no more than `limit` bytes; one request.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a larger file, else as reading pixels.
    pub async fn read(&self, limit: u64) -> Result<Bytes> {
        let too_large = || {
            let problem = format!("it is larger than {} MiB", limit >> 20);
            Error::invalid_for(&self.uri, problem)
        };
        if let Source::Member { .. } = &self.source {
            let size = self.get(0..1).await?.1.size;
            if size > limit {
                return Err(too_large());
            }
            return Ok(self.get(0..size).await?.0);
        }
        let (bytes, version) = self.exchange(GetOptions::new(), limit).await?;
        if version.size > limit {
            return Err(too_large());
        }
        Ok(bytes)
    }

    /// Exactly `range` of exactly `version`; one request.
    pub(super) async fn read_range(
        &self,
        version: &FileVersion,
        range: Range<u64>,
    ) -> Result<Bytes> {
        self.get_of(version, range).await
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
        if let Source::Member { archive, member } = &self.source {
            return Box::pin(self.get_member(archive, member, range)).await;
        }
        let n_bytes = range.end - range.start;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range)));
        self.exchange(options, n_bytes).await
    }

    /// A part of a member of a tar file.
    async fn get_member(
        &self,
        archive: &Location,
        member: &str,
        range: Range<u64>,
    ) -> Result<(Bytes, FileVersion)> {
        let index = self.shared.tar_index(archive).await?;
        let span = index.find(&self.uri, member)?;
        let n_bytes = span.end - span.start;
        if range.start >= n_bytes {
            let place = format!("member `{member}`");
            let problem = format!("bytes {range:?} were asked for, and it has {n_bytes}");
            return Err(Error::unreadable(&self.uri, place, problem));
        }
        let range = span.start + range.start..span.start + range.end.min(n_bytes);
        let (bytes, version) = archive.get(range).await?;
        if version != index.version {
            self.shared.forget_tar(archive, &index);
            return Err(Error::Changed {
                uri: self.uri.clone(),
                was: index.version.to_string(),
                now: version.to_string(),
            });
        }
        let version = FileVersion {
            size: n_bytes,
            ..version
        };
        Ok((bytes, version))
    }

    /// Where the file is now, signed if it has to be.
    async fn target(&self) -> Result<(Target, Option<Patched>)> {
        match &self.source {
            Source::Plain(target) => Ok((self.shared.renewed(target)?, None)),
            Source::Signed { uri, name, signer } => {
                let web = self.shared.web()?;
                let patched = signer.sign(name, uri, &web).await?;
                let target = self
                    .shared
                    .target(&patched.uri)
                    .map_err(|error| match error {
                        // What it is about may be signed.
                        Error::InvalidRequest { .. } | Error::Unsupported { .. } => {
                            Error::invalid_for(
                                &self.uri,
                                format!(
                                    "signer `{name}` made an address of it that cannot be read"
                                ),
                            )
                        }
                        other => other,
                    })?;
                Ok((target, Some(patched)))
            }
            Source::Member { .. } => Err(Error::Internal(format!(
                "{}: a member has no place of its own",
                self.uri
            ))),
        }
    }

    /// One request and its answer, of at most `n_bytes`, made again where that
    /// may help.
    async fn exchange(&self, options: GetOptions, n_bytes: u64) -> Result<(Bytes, FileVersion)> {
        if let Source::Member { archive, member } = &self.source {
            let index = self.shared.tar_index(archive).await?;
            let span = index.find(&self.uri, member)?;
            let version = FileVersion {
                size: span.end - span.start,
                ..index.version.clone()
            };
            return Ok((Bytes::new(), version));
        }
        if self.is_local {
            return self.exchange_local(options, n_bytes).await;
        }
        // How much of a limit will come is not known, and most files are short.
        let is_exact = matches!(&options.range, Some(GetRange::Bounded(range)) if range.start > 0);
        let expected = if is_exact {
            n_bytes
        } else {
            n_bytes.min(UNKNOWN_BYTES)
        };
        let _room = self.shared.room(expected).await;
        let retries = self.shared.retries();
        let call = Arc::new(Call::default());
        if let Source::Signed { name, .. } = &self.source {
            call.set_access(AccessFacts {
                credentials: name.clone(),
                ..AccessFacts::default()
            });
        }
        let mut pauses = Pauses::new(retries);
        let mut is_renewed = false;
        loop {
            let (target, patched) = self.target().await?;
            call.set_target(target.url.clone());
            let once = once(&target, options.clone(), n_bytes, &call);
            let error = match Arc::clone(&call).scope(once).await {
                Ok(answer) => return Ok(answer),
                Err(error) => explain(&self.uri, false, error, &call),
            };
            if let Some(patched) = patched
                && matches!(error, Error::Denied { .. })
                && !is_renewed
                && patched.forget().await
            {
                is_renewed = true;
                continue;
            }
            // Below, answers that the store can tell to be incomplete, and
            // refusals that may pass, were tried again already.
            let may_help = error.is_transient() && (1..=retries).contains(&call.attempts());
            match pauses.next().filter(|_| may_help) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(error),
            }
        }
    }

    async fn exchange_local(
        &self,
        options: GetOptions,
        n_bytes: u64,
    ) -> Result<(Bytes, FileVersion)> {
        let counters = self.shared.local_counters();
        let _in_flight = counters.start(false);
        let (target, _) = self.target().await?;
        let call = Call::default();
        match once(&target, options, n_bytes, &call).await {
            Ok((bytes, version)) => {
                counters.received(bytes.len() as u64);
                Ok((bytes, version))
            }
            Err(error) => {
                counters.failed();
                Err(explain(&self.uri, true, error, &call))
            }
        }
    }
}

/// One request of a store; what is longer than `n_bytes` is not read.
async fn once(
    target: &Target,
    options: GetOptions,
    n_bytes: u64,
    call: &Call,
) -> object_store::Result<(Bytes, FileVersion)> {
    let is_head = options.head;
    let answer = target.store.get_opts(&target.path, options).await?;
    let version = FileVersion::from(&answer.meta);
    let expected = answer.range.end - answer.range.start;
    if is_head || expected > n_bytes {
        return Ok((Bytes::new(), version));
    }
    let bytes = answer.bytes().await?;
    if bytes.len() as u64 == expected {
        return Ok((bytes, version));
    }
    let problem = format!(
        "the answer broke off after {} of {expected} bytes",
        bytes.len()
    );
    call.end(Outcome::Broken(problem.clone()));
    Err(object_store::Error::Generic {
        store: "store",
        source: problem.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreRegistry;

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
