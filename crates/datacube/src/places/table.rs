//! STAC items in a table: GeoParquet files, read as items are wanted.
//!
//! Arrow and Parquet take nine minutes to build, so that reading them is a
//! feature of this crate (`stac-geoparquet`). Without it such a file is one
//! that cannot be read, and the error says what would read it.

use std::path::PathBuf;

use super::crawl::Step;

/// The items of a file.
pub(super) async fn of_file(path: PathBuf, uri: String) -> Step {
    reading::of_file(path, uri).await
}

/// The items of a table in memory.
pub(super) fn of_bytes(bytes: Vec<u8>, uri: String) -> Step {
    reading::of_bytes(bytes, uri)
}

#[cfg(feature = "stac-geoparquet")]
mod reading {
    use std::path::PathBuf;

    use bytes::Bytes;
    use datacube_stac_geoparquet::{Items, Result as ReadResult, read_items};
    use futures::{StreamExt, stream};

    use super::super::crawl::{Found, PAGE, Step, Task};
    use super::super::local::blocking;
    use super::super::stac::placed;
    use crate::Error;

    pub(super) async fn of_file(path: PathBuf, uri: String) -> Step {
        let address = path.display().to_string();
        let opened = blocking(move || {
            std::fs::File::open(&path).map_err(|error| fail(&path.display().to_string(), &error))
        });
        match opened.await {
            Ok(file) => items(move || read_items(file), uri),
            Err(error) => Step::failed(address, error),
        }
    }

    pub(super) fn of_bytes(bytes: Vec<u8>, uri: String) -> Step {
        items(move || read_items(Bytes::from(bytes)), uri)
    }

    fn fail(address: &str, error: &dyn std::error::Error) -> Error {
        let mut problem = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            problem = format!("{problem}: {inner}");
            cause = inner.source();
        }
        Error::File {
            path: address.to_owned(),
            problem,
        }
    }

    /// Items read aside, a page ahead of whoever wants them.
    fn items(open: impl FnOnce() -> ReadResult<Items> + Send + 'static, uri: String) -> Step {
        let (sender, receiver) = tokio::sync::mpsc::channel(PAGE);
        let address = uri.clone();
        tokio::task::spawn_blocking(move || {
            let failed = |error: &dyn std::error::Error| Found::Failed {
                address: uri.clone(),
                error: fail(&uri, error),
            };
            let items = match open() {
                Ok(items) => items,
                Err(error) => {
                    let _ = sender.blocking_send(failed(&error));
                    return;
                }
            };
            for (index, item) in items.enumerate() {
                let (found, is_broken) = match item {
                    Ok(item) => (Found::Document(placed(item, &uri, index)), false),
                    Err(error) => (failed(&error), true),
                };
                // Nobody listens any more when the reader had enough.
                if sender.blocking_send(found).is_err() || is_broken {
                    return;
                }
            }
        });
        let files = stream::unfold(receiver, |mut receiver| async move {
            let found = receiver.recv().await?;
            Some((Ok(Task::Found(Box::new(found))), receiver))
        });
        Step::more(Task::Listing {
            files: files.boxed(),
            address,
            n_found: 0,
        })
    }
}

#[cfg(not(feature = "stac-geoparquet"))]
mod reading {
    use std::path::PathBuf;

    use super::super::crawl::Step;
    use crate::Error;

    #[allow(clippy::unused_async, reason = "it reads where it can")]
    pub(super) async fn of_file(path: PathBuf, _: String) -> Step {
        not_built(path.display().to_string())
    }

    pub(super) fn of_bytes(_: Vec<u8>, uri: String) -> Step {
        not_built(uri)
    }

    fn not_built(address: String) -> Step {
        let problem = "a table of STAC items (GeoParquet), which this build does not read; build \
                       datacube with the cargo feature `stac-geoparquet` (`cargo install ... \
                       --features stac-geoparquet`)";
        Step::failed(
            address.clone(),
            Error::File {
                path: address,
                problem: problem.to_owned(),
            },
        )
    }
}
