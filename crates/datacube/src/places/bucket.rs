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
    let key = match store::key(&url, &shared.stores) {
        Ok(key) => key,
        Err(error) => return Step::failed(address, error),
    };
    let bucket = store::base(&url);
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
        let listed = match store::list(&shared.stores, &bucket, &root) {
            Ok(listed) => listed,
            Err(error) => return Step::failed(address, error),
        };
        let files = listed.filter_map(move |found| {
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
            return match store::get(&shared.stores, &bucket, &key).await {
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
    let listed = match store::list(&shared.stores, &bucket, &key) {
        Ok(listed) => listed,
        Err(error) => return Step::failed(address, error),
    };
    let files = listed.filter_map(move |found| {
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
    let base = store::base(base);
    let uri = format!("{base}/{key}");
    match store::get(&shared.stores, &base, key).await {
        Ok(bytes) => Step::found(Found::Text { uri, bytes, maybe }),
        Err(error) => Step::failed(uri, error),
    }
}

/// An object that may lead on.
pub(super) async fn linked_object(url: Url, shared: &Shared) -> Step {
    let address = url.to_string();
    let bytes = match store::key(&url, &shared.stores) {
        Ok(key) => store::get(&shared.stores, &store::base(&url), &key).await,
        Err(error) => Err(error),
    };
    match bytes {
        Ok(bytes) => opened(bytes, address, None, shared).await,
        Err(error) => Step::failed(address, error),
    }
}
