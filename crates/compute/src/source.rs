//! `ChunkSource`: where pixels come from, as this crate sees it.
//!
//! A source is one lazy array that can say what a region of it would cost and
//! can make any region: fetching is asynchronous and does no computing,
//! decoding is computing and does no input or output. The engine keeps the two
//! on different threads. Sources travel as bytes; [`SourceCodec`] rebuilds
//! them on the other side.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use datacube_model::DType;
use futures::future::BoxFuture;

use crate::error::{Error, Result, SharedError};
use crate::region::Region;
use crate::regional::PlaneMap;

/// An array whose regions can be made on demand.
///
/// # Contract
///
/// - The pixels of a region do not depend on which regions are asked for.
/// - [`project`](ChunkSource::project) does no input or output and is cheap: it
///   is called for every task before the job starts.
/// - [`fetch`](ChunkSource::fetch) only moves bytes; its future is polled on
///   threads that must not compute. [`decode`](ChunkSource::decode) only
///   computes; it is called on a worker thread and must not wait.
/// - `encode` and the codec registered for `kind` are inverse. Equal bytes mean
///   equal pixels: together with `kind` they are the content key.
pub trait ChunkSource: fmt::Debug + Send + Sync {
    /// Names the wire format, for [`SourceCodec`]; never changes its meaning.
    fn kind(&self) -> &'static str;

    /// The source as bytes, without credentials.
    ///
    /// # Errors
    /// A source that cannot travel says so.
    fn encode(&self) -> Result<Vec<u8>, SourceError>;

    /// Pixels along each axis.
    fn shape(&self) -> &[usize];

    /// Type of a pixel.
    fn dtype(&self) -> DType;

    /// What making `region` would take; no input or output.
    fn project(&self, region: &Region) -> Cost;

    /// Brings everything that `region` needs into memory.
    ///
    /// # Errors
    /// Whatever the store says, with the address.
    fn fetch(&self, region: &Region) -> BoxFuture<'static, Result<Fetched, SourceError>>;

    /// Writes the pixels of `region` to `out`: C order, native endianness,
    /// exactly the region's size, aligned to 64 bytes; what it held before is
    /// unspecified.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes, with the address.
    fn decode(
        &self,
        region: &Region,
        fetched: Fetched,
        out: &mut [u8],
    ) -> Result<ReadStats, SourceError>;

    /// A short text for `explain()`; the kind, unless there is more to say.
    fn describe(&self) -> String {
        self.kind().to_owned()
    }
}

/// What a region will take, known before it is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes that will be fetched and held until decoded.
    pub read_bytes: u64,
    /// Requests to the store.
    pub requests: u64,
    /// Memory that decoding needs besides `read_bytes` and the output.
    pub scratch_bytes: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.read_bytes += other.read_bytes;
        self.requests += other.requests;
        self.scratch_bytes += other.scratch_bytes;
    }
}

/// What [`ChunkSource::fetch`] brought, for [`ChunkSource::decode`].
pub struct Fetched {
    /// Bytes that were moved.
    pub bytes: u64,
    /// Requests that were made.
    pub requests: u64,
    /// Known to the source alone.
    pub payload: Box<dyn Any + Send>,
}

impl Fetched {
    /// Something that needed no request.
    pub fn local(payload: impl Any + Send) -> Fetched {
        Fetched {
            bytes: 0,
            requests: 0,
            payload: Box::new(payload),
        }
    }

    /// The payload as the type that the source put in.
    ///
    /// # Errors
    /// When it is of another type: the engine handed over what another source
    /// fetched.
    pub fn take<T: Any>(self) -> Result<T, SourceError> {
        self.payload
            .downcast::<T>()
            .map(|payload| *payload)
            .map_err(|_| {
                SourceError::message(format!(
                    "fetched payload is no {}; was it fetched by another source?",
                    std::any::type_name::<T>()
                ))
            })
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetched")
            .field("bytes", &self.bytes)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// What decoding a region came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Bytes after decompression.
    pub decoded_bytes: u64,
    /// Blocks that were decompressed.
    pub blocks: u64,
    /// Addresses of what was left out because it could not be read.
    pub skipped: Vec<String>,
}

impl ReadStats {
    /// Adds another read's counts.
    pub fn merge(&mut self, other: ReadStats) {
        self.decoded_bytes += other.decoded_bytes;
        self.blocks += other.blocks;
        self.skipped.extend(other.skipped);
    }
}

/// A source's own error, and whether it is worth trying again.
#[derive(Clone, Debug)]
pub struct SourceError {
    source: SharedError,
    transient: bool,
    not_found: bool,
}

impl SourceError {
    /// Wraps the error of another crate.
    pub fn new(error: impl StdError + Send + Sync + 'static) -> SourceError {
        SourceError {
            source: Arc::new(error),
            transient: false,
            not_found: false,
        }
    }

    /// An error that is only a text.
    pub fn message(message: impl Into<String>) -> SourceError {
        let boxed: Box<dyn StdError + Send + Sync> = message.into().into();
        SourceError {
            source: Arc::from(boxed),
            transient: false,
            not_found: false,
        }
    }

    /// States whether trying again could help.
    #[must_use]
    pub fn transient(mut self, transient: bool) -> SourceError {
        self.transient = transient;
        self
    }

    /// States whether something that was named does not exist.
    #[must_use]
    pub fn not_found(mut self, not_found: bool) -> SourceError {
        self.not_found = not_found;
        self
    }

    /// Whether trying again could help.
    pub fn is_transient(&self) -> bool {
        self.transient
    }

    /// Whether something that was named does not exist.
    pub fn is_not_found(&self) -> bool {
        self.not_found
    }

    /// The error that was wrapped.
    pub fn inner(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)
    }
}

impl StdError for SourceError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}

type Decode = dyn Fn(&[u8]) -> Result<Arc<dyn ChunkSource>, SourceError> + Send + Sync;
type DecodePlanes = dyn Fn(&[u8]) -> Result<Arc<dyn PlaneMap>, SourceError> + Send + Sync;

/// Rebuilds sources from their bytes: one function for each kind.
///
/// ```
/// use datacube_compute::{SourceCodec, SourceError};
/// let codec = SourceCodec::new()
///     .with("nothing", |_bytes| Err(SourceError::message("there is nothing here")));
/// assert!(codec.kinds().eq(["nothing"]));
/// ```
#[derive(Clone, Default)]
pub struct SourceCodec {
    decoders: BTreeMap<String, Arc<Decode>>,
    planes: BTreeMap<String, Arc<DecodePlanes>>,
}

impl SourceCodec {
    /// Knows no kind: plans of in-memory arrays only.
    pub fn new() -> SourceCodec {
        SourceCodec::default()
    }

    /// Also knows `kind`; a later registration takes the place of an earlier one.
    #[must_use]
    pub fn with(
        mut self,
        kind: impl Into<String>,
        decode: impl Fn(&[u8]) -> Result<Arc<dyn ChunkSource>, SourceError> + Send + Sync + 'static,
    ) -> SourceCodec {
        self.decoders.insert(kind.into(), Arc::new(decode));
        self
    }

    /// Also knows maps of planes of `kind`, as [`SourceCodec::with`] knows sources.
    #[must_use]
    pub fn with_planes(
        mut self,
        kind: impl Into<String>,
        decode: impl Fn(&[u8]) -> Result<Arc<dyn PlaneMap>, SourceError> + Send + Sync + 'static,
    ) -> SourceCodec {
        self.planes.insert(kind.into(), Arc::new(decode));
        self
    }

    /// The kinds of sources that it knows, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.decoders.keys().map(String::as_str)
    }

    /// The source that was encoded as `bytes`.
    ///
    /// # Errors
    /// An unknown kind, or bytes that its decoder refuses.
    pub fn decode(&self, kind: &str, bytes: &[u8]) -> Result<Arc<dyn ChunkSource>> {
        let decode = self.decoders.get(kind).ok_or_else(|| {
            Error::unknown_name("kind of source", kind, "this SourceCodec", self.kinds())
        })?;
        decode(bytes).map_err(|error| Error::Wire(format!("source of kind `{kind}`: {error}")))
    }

    /// The map of planes that was encoded as `bytes`.
    ///
    /// # Errors
    /// An unknown kind, or bytes that its decoder refuses.
    pub fn decode_planes(&self, kind: &str, bytes: &[u8]) -> Result<Arc<dyn PlaneMap>> {
        let decode = self.planes.get(kind).ok_or_else(|| {
            let known = self.planes.keys().map(String::as_str);
            Error::unknown_name("kind of plane map", kind, "this SourceCodec", known)
        })?;
        decode(bytes).map_err(|error| Error::Wire(format!("planes of kind `{kind}`: {error}")))
    }
}

impl fmt::Debug for SourceCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceCodec")
            .field(&self.decoders.keys().collect::<Vec<_>>())
            .field(&self.planes.keys().collect::<Vec<_>>())
            .finish()
    }
}
