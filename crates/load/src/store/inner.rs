//! What the clones of a registry share: stores by their bases, what they are
//! reached by, and room for bytes that are on their way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use object_store::http::HttpBuilder;
use object_store::path::Path;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::address::{self, Address, Object};
use super::cloud::{AZURE_CREDENTIALS, Cloud, Means};
use super::environment::Environment;
use super::location::{Location, Source, Target};
use super::options::{Signing, StoreOptions};
use super::pause;
use super::sign::Signer;
use super::stats::{Counters, HostCounters, StoreStats};
use super::tar::TarIndex;
use super::transport::{self, Transport};
use super::web::Web;
use crate::error::{Error, Result};

/// Wraps each store that is used, see [`super::StoreRegistry::with_wrapper`].
pub(super) type Wrapper = dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync;

/// Tar files whose members are known; with more of them, all are looked up anew.
const MOST_TARS: usize = 1000;
/// Room for bytes is handed out in such pieces.
const ROOM_UNIT: u64 = 64 << 10;

/// What the clones of a registry, and its locations, share.
pub(super) struct Inner {
    pub(super) wrapper: Option<Box<Wrapper>>,
    pub(super) local: Arc<dyn ObjectStore>,
    /// By `scheme://authority`, those that somebody registered.
    pub(super) registered: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
    /// By `scheme://authority`, those that were opened by their address.
    pub(super) opened: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    pub(super) signers: RwLock<BTreeMap<String, Signer>>,
    pub(super) tars: Mutex<HashMap<String, Arc<OnceCell<Arc<TarIndex>>>>>,
    pub(super) counters: Arc<Counters>,
    pub(super) settings: RwLock<Settings>,
}

pub(super) struct Settings {
    pub(super) options: StoreOptions,
    /// Made for the first request over a network: local work needs none.
    pub(super) means: Option<Arc<Means>>,
    room: Arc<Semaphore>,
}

impl Settings {
    pub(super) fn new(options: StoreOptions, transport: Option<Arc<Transport>>) -> Self {
        let room = usize::try_from(units(options.bytes_in_flight)).unwrap_or(1);
        let room = Semaphore::new(room.max(1));
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

impl Inner {
    pub(super) fn wrapped(&self, store: Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> {
        match &self.wrapper {
            Some(wrap) => wrap(store),
            None => store,
        }
    }

    pub(super) fn parse(&self, uri: &str) -> Result<Address> {
        let registered = self.registered.read();
        Address::parse(uri, &|base| registered.contains_key(base))
    }

    pub(super) fn locate(self: &Arc<Self>, uri: &str) -> Result<Location> {
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
    pub(super) fn target(&self, uri: &str) -> Result<Target> {
        self.target_of(uri, self.parse(uri)?)
    }

    pub(super) fn target_of(&self, uri: &str, address: Address) -> Result<Target> {
        match address {
            Address::Local(path) => Ok(Target {
                store: Arc::clone(&self.local),
                path: Path::from_absolute_path(path).map_err(|error| {
                    Error::invalid_for(uri, format!("not a path of a file: {error}"))
                })?,
                url: None,
                object: None,
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

    /// The same object in the store that serves it now: how stores are reached
    /// may have changed since somebody named it.
    pub(super) fn renewed(&self, target: &Target) -> Result<Target> {
        match (&target.object, &target.url) {
            (Some(object), _) => self.object(object),
            (None, Some(url)) => self.http(url.clone()),
            (None, None) => Ok(target.clone()),
        }
    }

    pub(super) fn object(&self, object: &Object) -> Result<Target> {
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
            object: Some(object.clone()),
        })
    }

    pub(super) fn http(&self, url: Url) -> Result<Target> {
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
            object: None,
        })
    }

    /// An address in Azure's stores that is to be signed with the credentials
    /// of the environment.
    pub(super) fn azure_object(&self, url: &Url) -> Option<Object> {
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
    pub(super) fn opened(
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

    pub(super) fn means(&self) -> Result<Arc<Means>> {
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

    pub(super) fn web(&self) -> Result<Web> {
        let means = self.means()?;
        Ok(Web {
            transport: Arc::clone(&means.transport),
            retries: means.options.retries,
        })
    }

    pub(super) fn retries(&self) -> usize {
        self.settings.read().options.retries
    }

    pub(super) fn local_counters(&self) -> Arc<HostCounters> {
        self.counters.of(StoreStats::LOCAL)
    }

    /// Waits until so many bytes more may be on their way.
    pub(super) async fn room(&self, n_bytes: u64) -> OwnedSemaphorePermit {
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
    pub(super) fn tar_index<'a>(
        &'a self,
        archive: &'a Location,
    ) -> BoxFuture<'a, Result<Arc<TarIndex>>> {
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
    pub(super) fn forget_tar(&self, archive: &Location, index: &Arc<TarIndex>) {
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
