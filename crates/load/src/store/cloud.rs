//! One bucket or container, opened when it is first read.
//!
//! Opening may have to ask for the bucket's region and for credentials, which
//! naming an address must not. What a refusal says is mended once: another
//! region, or credentials that have run out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, RetryConfig,
};
use parking_lot::Mutex;
use tokio::sync::RwLock;

use super::address::{is_gs, is_s3};
use super::call::{AccessFacts, Call, Service};
use super::environment::Environment;
use super::options::{Signing, StoreOptions};
use super::s3::{self, Opened};
use super::transport::Transport;

/// What a bucket is reached by.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) options: StoreOptions,
    pub(super) environment: Environment,
    pub(super) transport: Arc<Transport>,
    pub(super) retry: RetryConfig,
}

/// A store of one bucket or container.
pub(super) struct Cloud(Arc<Bucket>);

struct Bucket {
    scheme: String,
    authority: String,
    means: Arc<Means>,
    opened: RwLock<Option<Arc<Opened>>>,
    /// The bucket's region, where a refusal told it.
    region: Mutex<Option<String>>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cloud({self})")
    }
}

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme, self.0.authority)
    }
}

impl Cloud {
    pub(super) fn new(scheme: &str, authority: &str, means: Arc<Means>) -> Self {
        Cloud(Arc::new(Bucket {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            means,
            opened: RwLock::default(),
            region: Mutex::default(),
        }))
    }
}

impl Bucket {
    async fn open(&self) -> Result<Arc<Opened>> {
        if let Some(opened) = &*self.opened.read().await {
            return Ok(Arc::clone(opened));
        }
        let mut slot = self.opened.write().await;
        if let Some(opened) = &*slot {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(Call::apart(self.build()).await?);
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    async fn build(&self) -> Result<Opened> {
        let means = &*self.means;
        if is_s3(&self.scheme) {
            let plan = s3::plan(&means.options.s3, &means.environment).map_err(|error| {
                object_store::Error::Generic {
                    store: "S3",
                    source: error.into(),
                }
            })?;
            let region = self.region.lock().clone();
            let (environment, retry) = (&means.environment, &means.retry);
            return s3::open(
                &self.authority,
                &plan,
                region,
                environment,
                &means.transport,
                retry,
            )
            .await;
        }
        if is_gs(&self.scheme) {
            return self.google();
        }
        self.azure()
    }

    /// Whether requests are signed, `credentials` being the variables that
    /// would give some.
    fn signs(&self, credentials: &[&str], no_sign: &str) -> bool {
        let environment = &self.means.environment;
        match self.means.options.signing {
            Signing::Always => true,
            Signing::Never => false,
            Signing::Auto => match environment.flag(no_sign) {
                Some(no_sign) => !no_sign,
                None => environment.has_any(credentials),
            },
        }
    }

    fn google(&self) -> Result<Opened> {
        const CREDENTIALS: [&str; 5] = [
            "GOOGLE_SERVICE_ACCOUNT",
            "GOOGLE_SERVICE_ACCOUNT_PATH",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "SERVICE_ACCOUNT",
        ];
        let is_signed = self.signs(&CREDENTIALS, "GS_NO_SIGN_REQUEST");
        let builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(&self.authority)
            .with_skip_signature(!is_signed)
            .with_retry(self.means.retry.clone())
            .with_http_connector(self.means.transport.connector());
        Ok(self.opened_as(Service::Google, is_signed, Arc::new(builder.build()?)))
    }

    fn azure(&self) -> Result<Opened> {
        let is_signed = self.signs(&AZURE_CREDENTIALS, "AZURE_NO_SIGN_REQUEST");
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_skip_signature(!is_signed)
            .with_retry(self.means.retry.clone())
            .with_http_connector(self.means.transport.connector());
        // GDAL's name of the account.
        if let Some(account) = self.means.environment.get("AZURE_STORAGE_ACCOUNT") {
            builder = builder.with_account(account);
        }
        // abfss://container@account.dfs.core.windows.net/path names its account.
        builder = match self.authority.split_once('@') {
            Some((container, host)) => builder
                .with_container_name(container)
                .with_account(host.split('.').next().unwrap_or(host)),
            None => builder.with_container_name(&self.authority),
        };
        let store = builder.build()?;
        Ok(self.opened_as(Service::Azure, is_signed, Arc::new(store)))
    }

    fn opened_as(&self, service: Service, is_signed: bool, store: Arc<dyn ObjectStore>) -> Opened {
        Opened {
            store,
            facts: AccessFacts {
                service,
                bucket: self.authority.clone(),
                is_signed,
                ..AccessFacts::default()
            },
            credentials: None,
        }
    }

    /// Whether what the last attempt was refused for is mended now.
    async fn mend(&self, call: &Call, opened: &Arc<Opened>) -> bool {
        let Some(refusal) = call.refusal() else {
            return false;
        };
        if let Some(credentials) = &opened.credentials
            && refusal.is_expired()
        {
            return credentials.renew().await;
        }
        let is_fixed = self.means.options.s3.region.is_some();
        let Some(region) = refusal.region.clone().filter(|_| refusal.is_wrong_region()) else {
            return false;
        };
        if is_fixed || opened.facts.region.as_ref() == Some(&region) {
            return false;
        }
        tracing::info!(
            "bucket {} is in {region}, and is read there",
            self.authority
        );
        *self.region.lock() = Some(region);
        let mut slot = self.opened.write().await;
        if slot
            .as_ref()
            .is_some_and(|there| Arc::ptr_eq(there, opened))
        {
            *slot = None;
        }
        true
    }
}

/// Variables that give credentials for Azure's stores.
pub(super) const AZURE_CREDENTIALS: [&str; 7] = [
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_STORAGE_TOKEN",
];

#[async_trait]
impl ObjectStore for Cloud {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let opened = self.0.open().await?;
        opened.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let opened = self.0.open().await?;
        opened.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let call = Call::current().unwrap_or_default();
        let work = async {
            let opened = self.0.open().await?;
            call.set_access(opened.facts.clone());
            let first = opened.store.get_opts(location, options.clone()).await;
            if first.is_ok() || !self.0.mend(&call, &opened).await {
                return first;
            }
            let opened = self.0.open().await?;
            call.set_access(opened.facts.clone());
            opened.store.get_opts(location, options).await
        };
        Arc::clone(&call).scope(work).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // What is read here is never deleted, and this method cannot wait
        // until the store is open.
        drop(locations);
        let refused = object_store::Error::NotImplemented {
            operation: "deleting".into(),
            implementer: self.to_string(),
        };
        stream::once(async move { Err(refused) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let bucket = Arc::clone(&self.0);
        let prefix = prefix.cloned();
        let listed = async move {
            let call = Call::current().unwrap_or_default();
            let opened = bucket.open().await?;
            call.set_access(opened.facts.clone());
            let mut listed = opened.store.list(prefix.as_ref());
            let mut first = Arc::clone(&call).scope(listed.next()).await;
            if matches!(first, Some(Err(_))) && bucket.mend(&call, &opened).await {
                listed = bucket.open().await?.store.list(prefix.as_ref());
                first = call.scope(listed.next()).await;
            }
            Ok(stream::iter(first).chain(listed))
        };
        stream::once(listed)
            .flat_map(|listed| match listed {
                Ok(listed) => listed.boxed(),
                Err(error) => stream::once(async move { Err(error) }).boxed(),
            })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let opened = self.0.open().await?;
        opened.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let opened = self.0.open().await?;
        opened.store.copy_opts(from, to, options).await
    }
}
