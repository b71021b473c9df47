//! From a URI to the object store that holds the file.
//!
//! A [`StoreRegistry`] knows which store serves which URIs; a [`Location`] is
//! one file in one store. What every store should have (a bound on requests,
//! added latency or faults in a test, retries) is a wrapper around the store,
//! given once to the registry, and not a flag.
//!
//! A file is read by ranges. Each answer carries the file's size, time and
//! etag, and they are compared with those of the answer that the header came
//! from: a file that is replaced while it is read is an error, never a mixture
//! of two files.

mod location;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use parking_lot::RwLock;
use url::Url;

use crate::error::{Error, Result};
pub(crate) use location::FileVersion;
pub use location::Location;

/// Wraps each store that is used, see [`StoreRegistry::with_wrapper`].
type Wrapper = dyn Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync;

/// What may stand before `://` today.
const SCHEMES: &str = "file:// URLs, absolute paths, and stores that were registered";

/// Which store serves which URIs. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct StoreRegistry {
    inner: Arc<Inner>,
}

struct Inner {
    wrapper: Option<Box<Wrapper>>,
    local: Arc<dyn ObjectStore>,
    /// By `scheme://authority`.
    remote: RwLock<BTreeMap<String, Arc<dyn ObjectStore>>>,
}

impl Default for StoreRegistry {
    fn default() -> Self {
        StoreRegistry::new()
    }
}

impl fmt::Debug for StoreRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registered: Vec<String> = self.inner.remote.read().keys().cloned().collect();
        f.debug_struct("StoreRegistry")
            .field("registered", &registered)
            .finish_non_exhaustive()
    }
}

impl StoreRegistry {
    /// Serves the files of this machine.
    pub fn new() -> Self {
        StoreRegistry::build(None)
    }

    /// As [`StoreRegistry::new`], with `wrapper` around every store.
    ///
    /// This is where limits on requests, retries and test faults go in.
    pub fn with_wrapper(
        wrapper: impl Fn(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore> + Send + Sync + 'static,
    ) -> Self {
        StoreRegistry::build(Some(Box::new(wrapper)))
    }

    fn build(wrapper: Option<Box<Wrapper>>) -> Self {
        let local: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new());
        let local = match &wrapper {
            Some(wrap) => wrap(local),
            None => local,
        };
        StoreRegistry {
            inner: Arc::new(Inner {
                wrapper,
                local,
                remote: RwLock::new(BTreeMap::new()),
            }),
        }
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
        let store = match &self.inner.wrapper {
            Some(wrap) => wrap(store),
            None => store,
        };
        self.inner
            .remote
            .write()
            .insert(base.to_ascii_lowercase(), store);
        Ok(())
    }

    /// Finds the store and the path in it for `uri`.
    ///
    /// `uri` is a URL or an absolute path of this machine; the latter is taken
    /// as it is, so `%20` in it is three characters, while in a `file://` URL
    /// it is a space. A relative path is refused: workers need not share a
    /// working directory, so whoever knows what it is relative to has to
    /// resolve it.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a scheme that no store serves, naming it;
    /// [`Error::InvalidRequest`] for relative and malformed URIs.
    pub fn locate(&self, uri: &str) -> Result<Location> {
        if let Some(gdal_path) = uri.strip_prefix("/vsi") {
            let hint = match gdal_path.split_once('/') {
                Some(("s3", rest)) => format!("; write s3://{rest}"),
                Some(("gs", rest)) => format!("; write gs://{rest}"),
                Some(("curl", rest)) => format!("; write {rest}"),
                _ => String::new(),
            };
            return Err(Error::unsupported_in(
                uri,
                format!("a GDAL virtual path{hint}"),
                SCHEMES,
            ));
        }
        if uri.starts_with('/') {
            return self.local(uri, FilePath::new(uri));
        }
        let Some((scheme, rest)) = uri.split_once(':') else {
            return Err(Error::invalid_for(
                uri,
                "is a relative path; give an absolute path or a URL",
            ));
        };
        if !rest.starts_with("//") || scheme.is_empty() {
            return Err(Error::invalid_for(
                uri,
                "is neither an absolute path nor a URL with `://`",
            ));
        }
        if scheme.eq_ignore_ascii_case("file") {
            return self.file_url(uri);
        }
        self.remote(uri, scheme, rest.trim_start_matches('/'))
    }

    fn file_url(&self, uri: &str) -> Result<Location> {
        let malformed =
            |problem: &str| Error::invalid_for(uri, format!("malformed URL: {problem}"));
        let url = Url::parse(uri).map_err(|error| malformed(&error.to_string()))?;
        if url.fragment().is_some() || url.query().is_some() {
            return Err(malformed(
                "a file has no `?` or `#` part; write %3F or %23 in a file name",
            ));
        }
        let path = url.to_file_path().map_err(|()| {
            malformed("it has to be file:///path on this machine, without another host")
        })?;
        self.local(uri, &path)
    }

    fn local(&self, uri: &str, path: &FilePath) -> Result<Location> {
        let path = Path::from_absolute_path(without_dots(path))
            .map_err(|error| Error::invalid_for(uri, format!("not a path of a file: {error}")))?;
        Ok(Location::new(
            uri.to_owned(),
            Arc::clone(&self.inner.local),
            path,
            true,
        ))
    }

    fn remote(&self, uri: &str, scheme: &str, rest: &str) -> Result<Location> {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let base = format!("{scheme}://{authority}").to_ascii_lowercase();
        let Some(store) = self.inner.remote.read().get(&base).cloned() else {
            return Err(Error::unsupported_in(
                uri,
                format!("reading from `{scheme}://`"),
                SCHEMES,
            ));
        };
        let path = Path::from_url_path(path).map_err(|error| {
            Error::invalid_for(uri, format!("not a path of an object: {error}"))
        })?;
        Ok(Location::new(uri.to_owned(), store, path, false))
    }
}

/// Takes `.` and `..` out of an absolute path, as URLs do.
fn without_dots(path: &FilePath) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(uri: &str) -> String {
        StoreRegistry::new()
            .locate(uri)
            .map_or_else(|e| e.to_string(), |l| l.path().to_string())
    }

    #[test]
    fn paths_and_file_urls() {
        for (uri, path) in [
            ("/data/a.tif", "data/a.tif"),
            ("file:///data/a.tif", "data/a.tif"),
            ("FILE:///data/a.tif", "data/a.tif"),
            ("file://localhost/data/a.tif", "data/a.tif"),
            ("/data/x/../b/./a.tif", "data/b/a.tif"),
            ("file:///data/a%20b.tif", "data/a b.tif"),
            ("/data/a b.tif", "data/a b.tif"),
            ("/data/a%20b.tif", "data/a%20b.tif"),
        ] {
            assert_eq!(path_of(uri), path, "{uri}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        for (uri, part) in [
            (
                "data/a.tif",
                "data/a.tif: is a relative path; give an absolute path or a URL",
            ),
            (
                "s3://bucket/a.tif",
                "s3://bucket/a.tif: reading from `s3://` is not supported; ",
            ),
            (
                "/vsis3/bucket/a.tif",
                "a GDAL virtual path; write s3://bucket/a.tif is not",
            ),
            ("file://elsewhere/a.tif", "without another host"),
            ("file:///a.tif#part=1", "%23"),
            ("NETCDF:/a.nc:band", "neither an absolute path nor a URL"),
            ("", "relative path"),
        ] {
            assert!(path_of(uri).contains(part), "{uri}: {}", path_of(uri));
        }
        let error = StoreRegistry::new().locate("ftp://host/a.tif").unwrap_err();
        assert!(error.is_unsupported());
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
}
