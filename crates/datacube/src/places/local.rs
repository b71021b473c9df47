//! Files and folders of this machine.

use std::path::{Path, PathBuf};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use walkdir::WalkDir;

use super::crawl::{PAGE, Shared, Step, Task, members, opened};
use super::place::{Named, file_uri, named, pattern};
use super::table;
use crate::documents::file_error;
use crate::{Error, Result};

/// Reads a file aside, so that slow disks do not hold up the rest.
pub(super) async fn read_file(path: &Path) -> Result<(String, Vec<u8>)> {
    let path = path.to_owned();
    blocking(move || {
        let uri = file_uri(&path)?;
        let bytes = std::fs::read(&path).map_err(|error| file_error(&path, &error))?;
        Ok((uri, bytes))
    })
    .await
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            Err(Error::Runtime {
                reason: error.to_string(),
            })
        })
}

/// A path that the caller gave.
pub(super) async fn local(path: PathBuf, shared: &Shared) -> Step {
    let address = path.display().to_string();
    if let Some((root, wanted)) = pattern(&address).filter(|_| !path.exists()) {
        let root = PathBuf::from(if root.is_empty() { "." } else { root });
        let files = walk(root.clone(), move |path| {
            let name = path.display().to_string();
            wanted
                .matches(name.strip_prefix("./").unwrap_or(&name))
                .then_some(false)
        });
        return Step::more(Task::Listing {
            files,
            address,
            n_found: 0,
        });
    }
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            let files = walk(path, |path| match named(&path.to_string_lossy()) {
                Named::Document => Some(false),
                Named::MaybeItem => Some(true),
                Named::Tar | Named::Table | Named::Other => None,
            });
            Step::more(Task::Listing {
                files,
                address,
                n_found: 0,
            })
        }
        Ok(_) if named(&address) == Named::Tar => {
            let uri = match file_uri(&path) {
                Ok(uri) => uri,
                Err(error) => return Step::failed(address, error),
            };
            let open = blocking(move || {
                std::fs::File::open(&path).map_err(|error| file_error(&path, &error))
            });
            match open.await {
                Ok(file) => members(file, uri, shared),
                Err(error) => Step::failed(address, error),
            }
        }
        Ok(_) if named(&address) == Named::Table => match file_uri(&path) {
            Ok(uri) => table::of_file(path, uri).await,
            Err(error) => Step::failed(address, error),
        },
        Ok(_) => linked_file(path, shared).await,
        Err(error) => Step::failed(address, file_error(&path, &error)),
    }
}

/// The files below a folder, in order of their names. `wanted` tells of each
/// whether it may be something else, or `None` where it is of no use.
fn walk(
    root: PathBuf,
    wanted: impl Fn(&Path) -> Option<bool> + Send + 'static,
) -> BoxStream<'static, Result<Task>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(PAGE);
    tokio::task::spawn_blocking(move || {
        for entry in WalkDir::new(&root).follow_links(true).sort_by_file_name() {
            let task = match entry {
                Ok(entry) if entry.file_type().is_file() => match wanted(entry.path()) {
                    Some(maybe) => Ok(Task::File {
                        path: entry.into_path(),
                        maybe,
                    }),
                    None => continue,
                },
                Ok(_) => continue,
                Err(error) => Err(Error::File {
                    path: error.path().unwrap_or(&root).display().to_string(),
                    problem: error.to_string(),
                }),
            };
            // Nobody listens any more when the reader had enough.
            if sender.blocking_send(task).is_err() {
                return;
            }
        }
    });
    stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    })
    .boxed()
}

/// A file that may lead on: given by the caller or linked to.
pub(super) async fn linked_file(path: PathBuf, shared: &Shared) -> Step {
    let address = path.display().to_string();
    match read_file(&path).await {
        Ok((uri, bytes)) => opened(bytes, uri, None, shared).await,
        Err(error) => Step::failed(address, error),
    }
}
