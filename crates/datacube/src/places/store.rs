//! Objects of buckets and containers: their names, their contents, listings.

use datacube_load::StoreRegistry;
use futures::StreamExt;
use futures::stream::BoxStream;
use url::Url;

use super::text::LARGEST;
use crate::{Error, Result};

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

/// The path of an address within its store, as it stands there: what the URL
/// parser escaped is plain in names of objects.
pub(crate) fn key(url: &Url, stores: &StoreRegistry) -> Result<String> {
    let slash = if url.path().ends_with('/') { "/" } else { "" };
    let location = stores.locate(url.as_str())?;
    Ok(format!("{}{slash}", location.path()))
}

/// All of an object, its name as it is.
pub(crate) async fn get(stores: &StoreRegistry, base: &str, key: &str) -> Result<Vec<u8>> {
    let object = stores.locate(base)?.object(base, key)?;
    Ok(object.read(LARGEST).await?.into())
}

/// The keys of the objects below a prefix, as they come.
pub(crate) fn list(
    stores: &StoreRegistry,
    base: &str,
    prefix: &str,
) -> Result<BoxStream<'static, Result<String>>> {
    let listed = stores.list(base, prefix)?;
    Ok(listed.map(|found| found.map_err(Error::from)).boxed())
}
