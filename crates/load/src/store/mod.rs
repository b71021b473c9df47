//! From a URI to the bytes of a file, whichever store has it.
//!
//! A [`StoreRegistry`] knows which store serves which URIs; a [`Location`] is
//! one file in one store. What every store should have (added latency or
//! faults in a test) is a wrapper around the store, given once to the registry,
//! and not a flag.
//!
//! What an address may be is in `address.rs`. Buckets are opened when they are
//! first read (`cloud.rs`, `s3.rs`, `credentials.rs`). All requests go through
//! one `transport.rs`, which counts them, limits them by host and notes how
//! each ended; `fault.rs` makes of that an error that says what to do.
//!
//! A file is read by ranges. Each answer carries the file's size, time and
//! etag, and they are compared with those of the answer that the header came
//! from: a file that is replaced while it is read is an error, never a mixture
//! of two files.

mod address;
mod call;
mod cloud;
mod credentials;
mod environment;
mod fault;
mod inner;
mod location;
mod options;
mod pause;
mod profile;
mod ranges;
mod renew;
mod s3;
mod sign;
mod stats;
mod tar;
mod transport;
mod web;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};

use crate::error::{Error, Result};
use call::Call;
use environment::Environment;
use inner::{Inner, Settings, Wrapper};
pub(crate) use location::FileVersion;
pub use location::Location;
use location::Source;
pub use options::{AssumeRole, S3Access, S3Keys, Secret, Signing, StoreOptions};
pub use sign::{PLANETARY_COMPUTER, SignedUrl, Signer};
pub use stats::{HostStats, StoreStats};
pub use web::{WebAnswer, WebRequest};

/// Which store serves which URIs. Cheap to clone; clones share everything:
/// connections, credentials, counters.
#[derive(Clone)]
pub struct StoreRegistry {
    inner: Arc<Inner>,
}

impl Default for StoreRegistry {
    fn default() -> Self {
        StoreRegistry::new()
    }
}

impl fmt::Debug for StoreRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered: Vec<String> = self.inner.registered.read().keys().cloned().collect();
        f.debug_struct("StoreRegistry")
            .field("registered", &registered)
            .field("options", &self.inner.settings.read().options)
            .finish_non_exhaustive()
    }
}

impl StoreRegistry {
    /// Serves every URI that [`StoreRegistry::locate`] names, by what the
    /// environment says.
    pub fn new() -> Self {
        StoreRegistry::build(StoreOptions::default(), None)
    }

    /// As [`StoreRegistry::new`], with a say in how stores are reached.
    pub fn with_options(options: StoreOptions) -> Self {
        StoreRegistry::build(options, None)
    }

    /// As [`StoreRegistry::new`], with `wrapper` around every store.
    ///
    /// This is where added latency and test faults go in.
    pub fn with_wrapper(
        wrapper: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static,
    ) -> Self {
        StoreRegistry::build(StoreOptions::default(), Some(Box::new(wrapper)))
    }

    fn build(options: StoreOptions, wrapper: Option<Box<Wrapper>>) -> Self {
        let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let local = match &wrapper {
            Some(wrap) => wrap(local),
            None => local,
        };
        let planetary_computer = Signer::planetary_computer(&Environment::default());
        let signers = BTreeMap::from([(PLANETARY_COMPUTER.to_owned(), planetary_computer)]);
        StoreRegistry {
            inner: Arc::new(Inner {
                wrapper,
                local,
                registered: RwLock::default(),
                opened: Mutex::default(),
                signers: RwLock::new(signers),
                tars: Mutex::default(),
                counters: Arc::default(),
                settings: RwLock::new(Settings::new(options, None)),
            }),
        }
    }

    /// How stores are reached.
    pub fn options(&self) -> StoreOptions {
        self.inner.settings.read().options.clone()
    }

    /// Changes how stores are reached from now on, for all clones; reads that
    /// are under way end as they began. Registered stores stay.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a profile that is not there, and for
    /// requester pays without signing; then nothing changes.
    pub fn configure(&self, options: StoreOptions) -> Result<()> {
        s3::plan(&options.s3, &Environment::default())?;
        let mut settings = self.inner.settings.write();
        let is_same_wire = StoreOptions {
            s3: options.s3.clone(),
            signing: options.signing,
            siblings: options.siblings,
            ..settings.options.clone()
        } == options;
        let transport = settings
            .means
            .as_ref()
            .map(|means| Arc::clone(&means.transport));
        *settings = Settings::new(options, transport.filter(|_| is_same_wire));
        self.inner.opened.lock().clear();
        Ok(())
    }

    /// What was asked of all stores until now.
    pub fn stats(&self) -> StoreStats {
        self.inner.counters.snapshot()
    }

    /// Lets `signer` sign under `name`, see [`StoreRegistry::locate_signed`].
    pub fn register_signer(&self, name: impl Into<String>, signer: Signer) {
        self.inner.signers.write().insert(name.into(), signer);
    }

    /// Lets `store` serve every URI that begins with `base`, such as
    /// `s3://bucket` or `memory://tests`.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where `base` is not a scheme and an authority.
    pub fn register(&self, base: &str, store: Arc<dyn ObjectStore>) -> Result<()> {
        let base = base.trim_end_matches('/');
        let is_base = base
            .split_once("://")
            .is_some_and(|(scheme, host)| !scheme.is_empty() && !host.contains('/'));
        if !is_base {
            return Err(Error::invalid(format!(
                "`{base}` is no base of a store; give a scheme and a bucket or host, such as \
                 s3://bucket"
            )));
        }
        let store = self.inner.wrapped(store);
        let base = base.to_ascii_lowercase();
        self.inner.registered.write().insert(base, store);
        Ok(())
    }

    /// Finds the store and the path in it for `uri`; asks nobody yet.
    ///
    /// `uri` is an absolute path of this machine or a URL: `file://`, `s3://`,
    /// `gs://`, `az://` and `abfs[s]://`, `http(s)://`, `tar://MEMBER::URI` for
    /// a member of a tar file (the chain of fsspec), or GDAL's `/vsis3/`,
    /// `/vsigs/`, `/vsiaz/`, `/vsicurl/` and `/vsitar/`. A path is taken as it
    /// is, so `%20` in it is three characters, while in a URL it is a space. A
    /// relative path is refused: workers need not share a working directory,
    /// so whoever knows what it is relative to has to resolve it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a scheme that no store serves, naming it;
    /// [`Error::InvalidRequest`] for relative and malformed URIs.
    pub fn locate(&self, uri: &str) -> Result<Location> {
        self.inner.locate(uri)
    }

    /// As [`StoreRegistry::locate`], for an address that the signer of that
    /// name signs each time it is read.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] for a name that nobody registered here, else
    /// as [`StoreRegistry::locate`].
    pub fn locate_signed(&self, uri: &str, signer: &str) -> Result<Location> {
        let found = self
            .signer(signer)
            .map_err(|problem| Error::invalid_for(uri, problem))?;
        let plain = self.inner.locate(uri)?;
        if plain.is_local() {
            return Ok(plain);
        }
        let source = Source::Signed {
            uri: uri.to_owned(),
            name: signer.to_owned(),
            signer: found,
        };
        let inner = Arc::clone(&self.inner);
        Ok(Location::new(
            uri,
            plain.path().clone(),
            false,
            source,
            inner,
        ))
    }

    /// Checks that a signer of that name is registered here.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] with the names there are.
    pub fn check_signer(&self, name: &str) -> Result<()> {
        self.signer(name).map(drop).map_err(Error::invalid)
    }

    fn signer(&self, name: &str) -> std::result::Result<Signer, String> {
        let signers = self.inner.signers.read();
        signers.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = signers.keys().map(String::as_str).collect();
            format!(
                "no signer `{name}` is registered in this process; there are {}. A function of \
                 your own has to be registered under its name wherever the plan is carried out",
                known.join(", ")
            )
        })
    }

    /// Asks a server; an answer of more than `limit` bytes is an error.
    ///
    /// # Errors
    /// As reading a file over HTTP.
    pub async fn send(&self, request: &WebRequest, limit: u64) -> Result<WebAnswer> {
        self.inner.web()?.send(request, limit).await
    }

    /// The names of the objects below `prefix` in the bucket of `uri`, as they come.
    ///
    /// # Errors
    /// As [`StoreRegistry::locate`]; what fails later is in the stream.
    pub fn list(&self, uri: &str, prefix: &str) -> Result<BoxStream<'static, Result<String>>> {
        let target = self.inner.target(uri)?;
        let prefix = Path::parse(prefix.trim_end_matches('/')).unwrap_or_default();
        let prefix = (prefix != Path::default()).then_some(prefix);
        let uri = address::shown(uri);
        let listed = target.store.list(prefix.as_ref());
        let stream = futures::stream::unfold((listed, uri), |(mut listed, uri)| async move {
            let call = Arc::new(Call::default());
            let next = Arc::clone(&call).scope(listed.next()).await?;
            let found = match next {
                Ok(meta) => Ok(meta.location.to_string()),
                Err(error) => Err(fault::explain(&uri, false, error, &call)),
            };
            Some((found, (listed, uri)))
        });
        Ok(stream.boxed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naming_an_address_asks_nobody() {
        let registry = StoreRegistry::new();
        for uri in [
            "s3://bucket/a.tif",
            "gs://b/a.tif",
            "https://h/a.tif",
            "/data/a.tif",
        ] {
            assert_eq!(registry.locate(uri).unwrap().uri(), uri);
        }
        assert_eq!(registry.stats(), StoreStats::default());
        assert!(
            registry
                .locate("ftp://h/a.tif")
                .unwrap_err()
                .is_unsupported()
        );
    }

    #[test]
    fn registered_stores_serve_their_base() {
        let registry = StoreRegistry::new();
        let memory = Arc::new(object_store::memory::InMemory::new());
        registry.register("memory://Tests/", memory).unwrap();
        let location = registry.locate("memory://tests/a%20b/c.tif").unwrap();
        assert_eq!(location.path().to_string(), "a b/c.tif");
        assert!(!location.is_local());
        assert!(
            registry
                .locate("memory://other/c.tif")
                .unwrap_err()
                .is_unsupported()
        );
        assert!(
            registry
                .register("nothing", Arc::new(LocalFileSystem::new()))
                .is_err()
        );
    }

    #[test]
    fn a_signer_that_is_not_here_is_named() {
        let registry = StoreRegistry::new();
        let error = registry
            .locate_signed("https://h/a.tif", "mine")
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("no signer `mine`") && text.contains("planetary_computer"),
            "{text}"
        );
        registry.register_signer("mine", Signer::new(async |uri| Ok(SignedUrl::new(uri))));
        assert!(registry.locate_signed("https://h/a.tif", "mine").is_ok());
    }

    #[test]
    fn options_that_cannot_be_change_nothing() {
        let registry = StoreRegistry::new();
        let both = S3Access::requester_pays().with_signing(Signing::Never);
        let options = StoreOptions::default().with_s3(both);
        assert!(registry.configure(options).is_err());
        assert_eq!(registry.options(), StoreOptions::default());
        let options = StoreOptions::default().with_s3(S3Access::unsigned());
        registry.configure(options.clone()).unwrap();
        assert_eq!(registry.options(), options);
    }
}
