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
mod location;
mod options;
mod pause;
mod profile;
mod renew;
mod s3;
mod sign;
mod stats;
mod tar;
mod transport;
mod web;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::ObjectStore;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::error::{Error, Result};
use address::{Address, Object};
use call::Call;
use cloud::{AZURE_CREDENTIALS, Cloud, Means};
use environment::Environment;
pub(crate) use location::FileVersion;
pub use location::Location;
use location::{Source, Target};
pub use options::{AssumeRole, S3Access, S3Keys, Secret, Signing, StoreOptions};
pub use sign::{PLANETARY_COMPUTER, SignedUrl, Signer};
use stats::{Counters, HostCounters};
pub use stats::{HostStats, StoreStats};
use tar::TarIndex;
use transport::Transport;
use web::Web;
pub use web::{WebAnswer, WebRequest};

/// Wraps each store that is used, see [`StoreRegistry::with_wrapper`].
type Wrapper = dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync;

/// Tar files whose members are known; with more of them, all are looked up anew.
const MOST_TARS: usize = 1000;
/// Room for bytes is handed out in such pieces.
const ROOM_UNIT: u64 = 64 << 10;

/// Which store serves which URIs. Cheap to clone; clones share everything:
/// connections, credentials, counters.
#[derive(Clone)]
pub struct StoreRegistry {
    inner: Arc<Inner>,
}

/// What the clones of a registry, and its locations, share.
pub(crate) struct Inner {
    wrapper: Option<Box<Wrapper>>,
    local: Arc<dyn ObjectStore>,
    /// By `scheme://authority`, those that somebody registered.
    registered: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
    /// By `scheme://authority`, those that were opened by their address.
    opened: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    signers: RwLock<BTreeMap<String, Signer>>,
    tars: Mutex<HashMap<String, Arc<OnceCell<Arc<TarIndex>>>>>,
    counters: Arc<Counters>,
    settings: RwLock<Settings>,
}

struct Settings {
    options: StoreOptions,
    /// Made for the first request over a network: local work needs none.
    means: Option<Arc<Means>>,
    room: Arc<Semaphore>,
}

impl Settings {
    fn new(options: StoreOptions, transport: Option<Arc<Transport>>) -> Self {
        let room = Semaphore::new(units(options.bytes_in_flight).max(1) as usize);
        let mut settings = Settings {
            options,
            means: None,
            room: Arc::new(room),
        };
        settings.means = transport.map(|transport| settings.means_over(transport));
        settings
    }

    fn means_over(&self, transport: Arc<Transport>) -> Arc<Means> {
        Arc::new(Means {
            options: self.options.clone(),
            environment: Environment::default(),
            transport,
            retry: pause::retry_config(self.options.retries),
        })
    }
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
        let signers = self.inner.signers.read();
        let Some(found) = signers.get(signer).cloned() else {
            let known: Vec<&str> = signers.keys().map(String::as_str).collect();
            return Err(Error::invalid_for(
                uri,
                format!(
                    "no signer `{signer}` is registered in this process; there are {}. A \
                     function of your own has to be registered under its name wherever the plan \
                     is carried out",
                    known.join(", ")
                ),
            ));
        };
        drop(signers);
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

impl Inner {
    fn wrapped(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        match &self.wrapper {
            Some(wrap) => wrap(store),
            None => store,
        }
    }

    fn parse(&self, uri: &str) -> Result<Address> {
        let registered = self.registered.read();
        Address::parse(uri, &|base| registered.contains_key(base))
    }

    fn locate(self: &Arc<Self>, uri: &str) -> Result<Location> {
        let address = self.parse(uri)?;
        let inner = Arc::clone(self);
        if let Address::Member { archive, member } = address {
            let archive = self.locate(&archive)?;
            let path = archive.path().clone();
            let source = Source::Member {
                archive: Box::new(archive),
                member,
            };
            return Ok(Location::new(uri, path, false, source, inner));
        }
        let is_local = matches!(address, Address::Local(_));
        let target = self.target_of(uri, address)?;
        let path = target.path.clone();
        Ok(Location::new(
            uri,
            path,
            is_local,
            Source::Plain(target),
            inner,
        ))
    }

    /// The store of an address and the path in it.
    fn target(&self, uri: &str) -> Result<Target> {
        self.target_of(uri, self.parse(uri)?)
    }

    fn target_of(&self, uri: &str, address: Address) -> Result<Target> {
        match address {
            Address::Local(path) => Ok(Target {
                store: Arc::clone(&self.local),
                path: Path::from_absolute_path(path).map_err(|error| {
                    Error::invalid_for(uri, format!("not a path of a file: {error}"))
                })?,
                url: None,
            }),
            Address::Object(object) => self.object(&object),
            Address::Http(url) => match self.azure_object(&url) {
                Some(object) => self.object(&object),
                None => self.http(url),
            },
            Address::Member { .. } => Err(Error::invalid_for(
                uri,
                "is a member of a tar file, which is not possible here",
            )),
        }
    }

    fn object(&self, object: &Object) -> Result<Target> {
        let base = object.base();
        let registered = self.registered.read().get(&base).cloned();
        let store = match registered {
            Some(store) => store,
            None => self.opened(&base, |means| {
                Ok(Arc::new(Cloud::new(
                    &object.scheme,
                    &object.authority,
                    means,
                )))
            })?,
        };
        Ok(Target {
            store,
            path: object.path.clone(),
            url: None,
        })
    }

    fn http(&self, url: Url) -> Result<Target> {
        let base = url[..url::Position::BeforePath].to_owned();
        let store = self.opened(&base, |means| {
            let builder = HttpBuilder::new()
                .with_url(&base)
                .with_retry(means.retry.clone())
                .with_http_connector(means.transport.connector());
            let store = builder.build().map_err(|error| {
                Error::invalid_for(&address::shown(url.as_str()), transport::chain(&error))
            })?;
            Ok(Arc::new(store))
        })?;
        Ok(Target {
            store,
            // What is asked for is `url`; this is what answers are named by.
            path: Path::from_url_path(url.path()).unwrap_or_default(),
            url: Some(url),
        })
    }

    /// An address in Azure's stores that is to be signed with the credentials
    /// of the environment.
    fn azure_object(&self, url: &Url) -> Option<Object> {
        let host = url.host_str()?;
        let is_azure = [".blob.core.windows.net", ".dfs.core.windows.net"]
            .iter()
            .any(|end| host.ends_with(end));
        if !is_azure || url.query().is_some() {
            return None;
        }
        let signing = self.settings.read().options.signing;
        let signs = match signing {
            Signing::Never => false,
            Signing::Always => true,
            Signing::Auto => Environment::default().has_any(&AZURE_CREDENTIALS),
        };
        let (container, path) = url.path().strip_prefix('/')?.split_once('/')?;
        let path = Path::from_url_path(path).ok().filter(|_| signs)?;
        Some(Object {
            scheme: "az".to_owned(),
            authority: format!("{container}@{host}"),
            path,
        })
    }

    /// A store that was opened before, or is opened now.
    fn opened(
        &self,
        base: &str,
        open: impl FnOnce(Arc<Means>) -> Result<Arc<dyn ObjectStore>>,
    ) -> Result<Arc<dyn ObjectStore>> {
        if let Some(store) = self.opened.lock().get(base) {
            return Ok(Arc::clone(store));
        }
        let store = self.wrapped(open(self.means()?)?);
        let mut opened = self.opened.lock();
        Ok(Arc::clone(opened.entry(base.to_owned()).or_insert(store)))
    }

    fn means(&self) -> Result<Arc<Means>> {
        if let Some(means) = &self.settings.read().means {
            return Ok(Arc::clone(means));
        }
        let mut settings = self.settings.write();
        if let Some(means) = &settings.means {
            return Ok(Arc::clone(means));
        }
        let transport = Transport::new(&settings.options, Arc::clone(&self.counters))?;
        let means = settings.means_over(Arc::new(transport));
        settings.means = Some(Arc::clone(&means));
        Ok(means)
    }

    fn web(&self) -> Result<Web> {
        let means = self.means()?;
        Ok(Web {
            transport: Arc::clone(&means.transport),
            retries: means.options.retries,
        })
    }

    fn retries(&self) -> usize {
        self.settings.read().options.retries
    }

    fn local_counters(&self) -> Arc<HostCounters> {
        self.counters.of(StoreStats::LOCAL)
    }

    /// Waits until so many bytes more may be on their way.
    async fn room(&self, n_bytes: u64) -> OwnedSemaphorePermit {
        let (room, most) = {
            let settings = self.settings.read();
            let most = units(settings.options.bytes_in_flight).max(1);
            (Arc::clone(&settings.room), most)
        };
        // One read that is larger than all the room has it to itself.
        let wanted = units(n_bytes).clamp(1, most);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        room.acquire_many_owned(wanted)
            .await
            .expect("the room is never closed")
    }

    /// Where the members of a tar file are, read now or before. Boxed: the tar
    /// file may itself be a member of one.
    fn tar_index<'a>(&'a self, archive: &'a Location) -> BoxFuture<'a, Result<Arc<TarIndex>>> {
        async move {
            loop {
                let slot = {
                    let mut tars = self.tars.lock();
                    if tars.len() >= MOST_TARS && !tars.contains_key(archive.key()) {
                        tars.clear();
                    }
                    Arc::clone(tars.entry(archive.key().to_owned()).or_default())
                };
                let is_new = slot.get().is_none();
                let read = async || TarIndex::read(archive).await.map(Arc::new);
                let index = Arc::clone(slot.get_or_try_init(read).await?);
                if is_new || !archive.is_local() || archive.head().await? == index.version {
                    return Ok(index);
                }
                self.forget_tar(archive, &index);
            }
        }
        .boxed()
    }

    /// Lets go of what is out of date.
    fn forget_tar(&self, archive: &Location, index: &Arc<TarIndex>) {
        let mut tars = self.tars.lock();
        let is_this = tars
            .get(archive.key())
            .and_then(|slot| slot.get())
            .is_some_and(|there| Arc::ptr_eq(there, index));
        if is_this {
            tars.remove(archive.key());
        }
    }
}

/// Pieces of room for so many bytes.
fn units(n_bytes: u64) -> u64 {
    n_bytes.div_ceil(ROOM_UNIT).min(u64::from(u32::MAX >> 4))
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
