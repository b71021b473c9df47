//! Where documents are: files and folders, buckets, servers, STAC catalogues
//! and APIs, tar files.
//!
//! [`crawl`](crawl::crawl) turns addresses into a stream of documents,
//! [`dataset`] a document, EO3 or STAC, into a dataset. A document or place that
//! cannot be read never stops the others: it is one of the results, with its
//! address.

mod bucket;
mod convert;
mod crawl;
mod http;
mod local;
mod options;
mod place;
mod server;
mod stac;
mod store;
mod table;
mod text;

use std::sync::Arc;

use datacube_model::LocatedDocument;
use futures::{Stream, StreamExt, stream};

pub(crate) use convert::{
    ItemRules, Unmatched, dataset, inferred_product, is_dataset, item_dataset, on_server,
    product_document, product_of,
};
pub(crate) use crawl::Found;
use crawl::{Shared, crawl};
pub use options::SourceOptions;
pub(crate) use stac::items_of;
pub(crate) use text::documents as documents_in;

use crate::Result;
use crate::stores::stores;

/// What is found at places, in order, as it is found.
pub(crate) fn find(
    places: Vec<String>,
    options: &SourceOptions,
) -> impl Stream<Item = Found> + Send + use<> {
    crawl(places, Arc::new(Shared::new(options.clone())))
}

/// The documents at places, in order: of files, folders, patterns, buckets,
/// servers and tar files. Catalogues are followed, and searches paged.
///
/// Each comes with its address, or as an error with the address that failed.
///
/// # Errors
/// [`Error::Runtime`](crate::Error::Runtime) where reading in the background stopped.
pub async fn fetch_documents(
    places: Vec<String>,
    options: &SourceOptions,
) -> Result<Vec<(String, Result<LocatedDocument>)>> {
    let found = find(places, options);
    let work = found
        .flat_map(|found| stream::iter(read(found)))
        .collect::<Vec<_>>();
    crate::runtime::spawn(async move { Ok(work.await) }).await
}

/// The documents of something that was found.
pub(crate) fn read(found: Found) -> Vec<(String, Result<LocatedDocument>)> {
    match found {
        Found::Document(located) => vec![(located.uri.clone(), Ok(located))],
        Found::Failed { address, error } => vec![(address, Err(error))],
        Found::Text { uri, bytes, maybe } => text::each(bytes, &uri)
            .into_iter()
            .flat_map(|(address, parsed)| match parsed {
                Ok(located) => stac::items_of(located)
                    .into_iter()
                    .filter(|located| !maybe || is_dataset(&located.document))
                    .map(|located| (located.uri.clone(), Ok(located)))
                    .collect(),
                // JSON that is none, whose name did not say what it is.
                Err(_) if maybe => Vec::new(),
                Err(error) => vec![(address, Err(error))],
            })
            .collect(),
    }
}

/// The documents of one file or object, wherever it is; nothing in it is followed.
pub(crate) async fn read_place(address: &str) -> Result<Vec<LocatedDocument>> {
    let bytes = match place::Place::parse(address)? {
        place::Place::Local(path) => return crate::documents::read_documents(&path),
        place::Place::Http(url) => {
            let request = http::Request::get(url);
            http::send(&request, stores()).await?.bytes
        }
        place::Place::Store(url) => {
            let key = store::key(&url, stores())?;
            store::get(stores(), &store::base(&url), &key).await?
        }
    };
    documents_in(bytes, address)
}

#[cfg(test)]
mod tests;
