//! Objects and prefixes of object stores.

use futures::StreamExt;
use url::Url;

use super::crawl::Found;
use super::crawl::{Shared, Step, Task, members, opened};
use super::place::{Named, named, pattern};
use super::store;

/// A bucket, a prefix, an object or a pattern that the caller gave.
pub(super) async fn prefix(url: Url, shared: &Shared) -> Step {
    let address = url.to_string();
    let (store, key) = match (
        shared.stores.of(&url, &shared.options).await,
        store::key(&url),
    ) {
        (Ok(store), Ok(key)) => (store, key),
        (Err(error), _) | (_, Err(error)) => return Step::failed(address, error),
    };
    let wanted = pattern(&key).map(|(root, wanted)| (root.to_owned(), wanted));
    let base = url.clone();
    let task = move |key: String, maybe: bool| {
        Ok(Task::Object {
            base: base.clone(),
            key,
            maybe,
        })
    };
    if let Some((root, wanted)) = wanted {
        let files = store::list(store, &root, &address).filter_map(move |found| {
            let found = match found {
                Ok(key) => wanted.matches(&key).then(|| task(key, false)),
                Err(error) => Some(Err(error)),
            };
            futures::future::ready(found)
        });
        return Step::more(Task::Listing {
            files: files.boxed(),
            address,
            n_found: 0,
        });
    }
    match named(&key) {
        _ if key.is_empty() || key.ends_with('/') => {}
        // A name with an ending is an object, any other a prefix.
        Named::Tar => {
            return match store::get(&*store, &key, &address).await {
                Ok(bytes) => members(std::io::Cursor::new(bytes), address, shared),
                Err(error) => Step::failed(address, error),
            };
        }
        Named::Document | Named::MaybeItem | Named::Table => {
            return linked_object(url, shared).await;
        }
        Named::Other if key.ends_with(".yaml") || key.ends_with(".yml") => {
            return linked_object(url, shared).await;
        }
        Named::Other => {}
    }
    let files = store::list(store, &key, &address).filter_map(move |found| {
        let found = match found {
            Ok(key) => match named(&key) {
                Named::Document => Some(task(key, false)),
                Named::MaybeItem => Some(task(key, true)),
                Named::Tar | Named::Table | Named::Other => None,
            },
            Err(error) => Some(Err(error)),
        };
        futures::future::ready(found)
    });
    Step::more(Task::Listing {
        files: files.boxed(),
        address,
        n_found: 0,
    })
}

/// An object that a listing named.
pub(super) async fn object(base: &Url, key: &str, maybe: bool, shared: &Shared) -> Step {
    let uri = format!("{}/{key}", store::base(base));
    let store = match shared.stores.of(base, &shared.options).await {
        Ok(store) => store,
        Err(error) => return Step::failed(uri, error),
    };
    match store::get(&*store, key, &uri).await {
        Ok(bytes) => Step::found(Found::Text { uri, bytes, maybe }),
        Err(error) => Step::failed(uri, error),
    }
}

/// An object that may lead on.
pub(super) async fn linked_object(url: Url, shared: &Shared) -> Step {
    let address = url.to_string();
    let store = shared.stores.of(&url, &shared.options).await;
    let bytes = match (store, store::key(&url)) {
        (Ok(store), Ok(key)) => store::get(&*store, &key, &address).await,
        (Err(error), _) | (_, Err(error)) => Err(error),
    };
    match bytes {
        Ok(bytes) => opened(bytes, address, None, shared).await,
        Err(error) => Step::failed(address, error),
    }
}
