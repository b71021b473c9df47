//! Object stores: buckets and containers by their addresses.

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};
use tokio::sync::Mutex;
use url::Url;

use super::http::{chain, provide_tls};
use super::options::{Signing, SourceOptions};
use super::text::LARGEST;
use crate::{Error, Result};

/// The stores that were opened, by scheme and bucket.
#[derive(Default)]
pub(crate) struct Stores {
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Stores {
    /// A store that is there already, for the addresses that begin with `base`.
    #[cfg(test)]
    pub(crate) async fn register(&self, base: &str, store: Arc<dyn ObjectStore>) {
        self.open.lock().await.insert(base.to_owned(), store);
    }

    /// The store of an address.
    pub(crate) async fn of(
        &self,
        url: &Url,
        options: &SourceOptions,
    ) -> Result<Arc<dyn ObjectStore>> {
        let base = base(url);
        let mut open = self.open.lock().await;
        if let Some(store) = open.get(&base) {
            return Ok(store.clone());
        }
        let store = build(url, options).await.map_err(|error| Error::File {
            path: base.clone(),
            problem: chain(&error),
        })?;
        open.insert(base, store.clone());
        Ok(store)
    }
}

/// `scheme://bucket` of an address.
pub(crate) fn base(url: &Url) -> String {
    let user = match url.username() {
        "" => String::new(),
        user => format!("{user}@"),
    };
    format!(
        "{}://{user}{}",
        url.scheme(),
        url.host_str().unwrap_or_default()
    )
}

/// The path of an address within its store, as it stands there.
pub(crate) fn key(url: &Url) -> Result<String> {
    let path = url.path().trim_start_matches('/');
    // What the URL parser escaped is plain in names of objects.
    let decoded = Path::from_url_path(path).map_err(|error| Error::File {
        path: url.to_string(),
        problem: error.to_string(),
    })?;
    let slash = if path.ends_with('/') { "/" } else { "" };
    Ok(format!("{decoded}{slash}"))
}

fn has_any(names: &[&str]) -> bool {
    names
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

async fn build(url: &Url, options: &SourceOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    provide_tls();
    let bucket = url.host_str().unwrap_or_default();
    let skip = |credentials: &[&str]| match options.signing {
        Signing::Always => false,
        Signing::Never => true,
        Signing::Auto => !has_any(credentials),
    };
    match url.scheme() {
        "gs" => {
            let credentials = [
                "GOOGLE_SERVICE_ACCOUNT",
                "GOOGLE_SERVICE_ACCOUNT_PATH",
                "GOOGLE_SERVICE_ACCOUNT_KEY",
                "GOOGLE_APPLICATION_CREDENTIALS",
                "SERVICE_ACCOUNT",
            ];
            let builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_skip_signature(skip(&credentials));
            Ok(Arc::new(builder.build()?))
        }
        "s3" | "s3a" => {
            let credentials = [
                "AWS_ACCESS_KEY_ID",
                "AWS_WEB_IDENTITY_TOKEN_FILE",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            ];
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_skip_signature(skip(&credentials))
                .with_request_payer(options.requester_pays);
            let elsewhere = has_any(&["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"]);
            if !elsewhere && !has_any(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
                let region =
                    object_store::aws::resolve_bucket_region(bucket, &ClientOptions::default())
                        .await?;
                builder = builder.with_region(region);
            }
            Ok(Arc::new(builder.build()?))
        }
        _ => {
            let credentials = [
                "AZURE_STORAGE_ACCOUNT_KEY",
                "AZURE_STORAGE_ACCESS_KEY",
                "AZURE_STORAGE_SAS_KEY",
                "AZURE_STORAGE_SAS_TOKEN",
                "AZURE_STORAGE_CLIENT_ID",
                "AZURE_CLIENT_ID",
                "AZURE_STORAGE_TOKEN",
            ];
            let mut builder =
                MicrosoftAzureBuilder::from_env().with_skip_signature(skip(&credentials));
            // abfss://container@account.dfs.core.windows.net/path names its account.
            builder = if url.username().is_empty() {
                builder.with_container_name(bucket)
            } else {
                let account = bucket.split('.').next().unwrap_or(bucket);
                builder
                    .with_container_name(url.username())
                    .with_account(account)
            };
            Ok(Arc::new(builder.build()?))
        }
    }
}

/// All of an object.
pub(crate) async fn get(store: &dyn ObjectStore, key: &str, address: &str) -> Result<Vec<u8>> {
    let fail = |problem: String| Error::File {
        path: address.to_owned(),
        problem,
    };
    let failed = |error: object_store::Error| fail(chain(&error));
    let path = Path::parse(key).map_err(|error| fail(error.to_string()))?;
    let answer = store.get(&path).await.map_err(failed)?;
    if answer.meta.size > LARGEST {
        return Err(fail("it is larger than 512 MiB".to_owned()));
    }
    Ok(answer.bytes().await.map_err(failed)?.to_vec())
}

/// The keys of the objects below a prefix, as they come.
pub(crate) fn list(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    address: &str,
) -> futures::stream::BoxStream<'static, Result<String>> {
    let address = address.to_owned();
    let prefix = Path::parse(prefix.trim_end_matches('/')).unwrap_or_default();
    let stream = store.list(Some(&prefix));
    stream
        .map(move |found| match found {
            Ok(meta) => Ok(meta.location.to_string()),
            Err(error) => Err(Error::File {
                path: address.clone(),
                problem: chain(&error),
            }),
        })
        .boxed()
}
