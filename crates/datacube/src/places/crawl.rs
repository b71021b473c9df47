//! From addresses to a stream of documents.
//!
//! Work is a list of [`Task`]s. A task gives documents, more tasks, or both; the
//! tasks that came of one stand before those that were there, so that little is
//! ever open: a bucket of a million objects is listed while it is read. So many
//! run at once as the options allow, and their results come in the order in
//! which they were started, which makes two runs the same.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datacube_model::LocatedDocument;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{FutureExt, Stream, StreamExt, stream};
use url::Url;
use walkdir::WalkDir;

use super::http::{self, Request};
use super::options::SourceOptions;
use super::place::{Named, Place, file_uri, named, pattern};
use super::stac::{self, Opened};
use super::store::{self, Stores};
use super::text;
use crate::{Error, Result};

/// Entries of a listing that are handed on at once.
const PAGE: usize = 256;

/// One thing that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that holds documents, unread.
    Text {
        uri: String,
        bytes: Vec<u8>,
        /// Whether what is no dataset document is passed over: its name did not say.
        maybe: bool,
    },
    /// A document.
    Document(LocatedDocument),
    /// What could not be read, and why.
    Failed { address: String, error: Error },
}

enum Task {
    /// An address that the caller gave.
    Place(Place),
    /// A file that a listing named.
    File { path: PathBuf, maybe: bool },
    /// An object that a listing named.
    Object { base: Url, key: String, maybe: bool },
    /// Something that a catalogue or a page links to.
    Linked(Place),
    /// A file that a page lists.
    Fetch { url: Url, maybe: bool },
    /// A page of a search.
    Page(Request),
    /// Something that is there already: a member of a tar file.
    Found(Box<Found>),
    /// The rest of a listing.
    Listing {
        files: BoxStream<'static, Result<Task>>,
        address: String,
        n_found: usize,
    },
}

#[derive(Default)]
struct Step {
    found: Vec<Found>,
    more: Vec<Task>,
}

impl Step {
    fn failed(address: impl Into<String>, error: Error) -> Self {
        let address = address.into();
        Step {
            found: vec![Found::Failed { address, error }],
            more: Vec::new(),
        }
    }

    fn found(found: Found) -> Self {
        Step {
            found: vec![found],
            more: Vec::new(),
        }
    }

    fn more(task: Task) -> Self {
        Step {
            found: Vec::new(),
            more: vec![task],
        }
    }
}

/// What all tasks share.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) options: SourceOptions,
    pub(crate) stores: Stores,
}

struct State {
    shared: Arc<Shared>,
    open: VecDeque<Task>,
    running: FuturesOrdered<BoxFuture<'static, Step>>,
    ready: VecDeque<Found>,
    /// Catalogues and pages that were visited, against circles.
    visited: HashSet<String>,
    left: Option<usize>,
}

/// The documents at `places`, as they are found.
///
/// A place that cannot be read is one of the results; the others go on.
pub(crate) fn crawl(places: Vec<String>, shared: Arc<Shared>) -> impl Stream<Item = Found> + Send {
    let mut ready = VecDeque::new();
    let mut open = VecDeque::new();
    for address in places {
        match Place::parse(&address) {
            Ok(place) => open.push_back(Task::Place(place)),
            Err(error) => ready.push_back(Found::Failed { address, error }),
        }
    }
    let left = shared.options.limit;
    let state = State {
        shared,
        open,
        running: FuturesOrdered::new(),
        ready,
        visited: HashSet::new(),
        left,
    };
    stream::unfold(state, |mut state| async move {
        loop {
            if state.left == Some(0) {
                return None;
            }
            if let Some(found) = state.ready.pop_front() {
                if let (Some(left), false) =
                    (&mut state.left, matches!(found, Found::Failed { .. }))
                {
                    *left -= 1;
                }
                return Some((found, state));
            }
            while state.running.len() < state.shared.options.concurrency.max(1)
                && let Some(task) = state.open.pop_front()
            {
                if state.is_new(&task) {
                    let shared = state.shared.clone();
                    state
                        .running
                        .push_back(async move { run(task, &shared).await }.boxed());
                }
            }
            let step = state.running.next().await?;
            state.ready.extend(step.found);
            for task in step.more.into_iter().rev() {
                state.open.push_front(task);
            }
        }
    })
}

impl State {
    /// Whether a task was not there before. Only what can lead in circles is remembered.
    fn is_new(&mut self, task: &Task) -> bool {
        match task {
            Task::Linked(Place::Http(url) | Place::Store(url)) => {
                self.visited.insert(url.to_string())
            }
            Task::Linked(Place::Local(path)) => self.visited.insert(path.display().to_string()),
            Task::Page(request) => self
                .visited
                .insert(format!("{} {:?}", request.url, request.body)),
            _ => true,
        }
    }
}

async fn run(task: Task, shared: &Shared) -> Step {
    match task {
        Task::Place(Place::Local(path)) => local(path, shared).await,
        Task::Place(Place::Store(url)) => prefix(url, shared).await,
        Task::Place(Place::Http(url)) | Task::Linked(Place::Http(url)) => {
            page(Request::get(url), shared).await
        }
        Task::Linked(Place::Local(path)) => linked_file(path, shared).await,
        Task::Linked(Place::Store(url)) => linked_object(url, shared).await,
        Task::File { path, maybe } => match read_file(&path).await {
            Ok((uri, bytes)) => Step::found(Found::Text { uri, bytes, maybe }),
            Err(error) => Step::failed(path.display().to_string(), error),
        },
        Task::Object { base, key, maybe } => object(&base, &key, maybe, shared).await,
        Task::Fetch { url, maybe } => fetch(url, maybe).await,
        Task::Page(request) => page(request, shared).await,
        Task::Found(found) => Step::found(*found),
        Task::Listing {
            files,
            address,
            n_found,
        } => listing(files, address, n_found).await,
    }
}

/// Reads a file aside, so that slow disks do not hold up the rest.
async fn read_file(path: &Path) -> Result<(String, Vec<u8>)> {
    let path = path.to_owned();
    blocking(move || {
        let uri = file_uri(&path)?;
        let bytes = std::fs::read(&path).map_err(|error| file_error(&path, &error))?;
        Ok((uri, bytes))
    })
    .await
}

fn file_error(path: &Path, error: &std::io::Error) -> Error {
    Error::File {
        path: path.display().to_string(),
        problem: error.to_string(),
    }
}

async fn blocking<T: Send + 'static>(
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
async fn local(path: PathBuf, shared: &Shared) -> Step {
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
                Named::Tar | Named::Other => None,
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

/// The next entries of a listing, and the rest after them.
async fn listing(
    mut files: BoxStream<'static, Result<Task>>,
    address: String,
    n_found: usize,
) -> Step {
    let mut step = Step::default();
    let mut n_found = n_found;
    loop {
        match files.next().await {
            Some(Ok(task)) => {
                n_found += 1;
                step.more.push(task);
            }
            Some(Err(error)) => step.found.push(Found::Failed {
                address: address.clone(),
                error,
            }),
            None if n_found == 0 && step.found.is_empty() => {
                let problem = "no dataset documents here; they are expected to be named `*odc-metadata.yaml`, \
                     `*.eo3.yaml` or `*.stac-item.json`, or to be STAC items in JSON; name others one by one or by a pattern such as `**/*.yaml`";
                return Step::failed(
                    address.clone(),
                    Error::File {
                        path: address,
                        problem: problem.into(),
                    },
                );
            }
            None => return step,
        }
        if step.more.len() == PAGE {
            step.more.push(Task::Listing {
                files,
                address,
                n_found,
            });
            return step;
        }
    }
}

/// A bucket, a prefix, an object or a pattern that the caller gave.
async fn prefix(url: Url, shared: &Shared) -> Step {
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
        Named::Document | Named::MaybeItem => return linked_object(url, shared).await,
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
                Named::Tar | Named::Other => None,
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
async fn object(base: &Url, key: &str, maybe: bool, shared: &Shared) -> Step {
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

/// A file that may lead on: given by the caller or linked to.
async fn linked_file(path: PathBuf, shared: &Shared) -> Step {
    let address = path.display().to_string();
    match read_file(&path).await {
        Ok((uri, bytes)) => opened(bytes, uri, None, shared).await,
        Err(error) => Step::failed(address, error),
    }
}

/// An object that may lead on.
async fn linked_object(url: Url, shared: &Shared) -> Step {
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

/// A document, a listing or an answer of an API.
async fn page(request: Request, shared: &Shared) -> Step {
    let address = request.url.to_string();
    let answer = match http::send(&request).await {
        Ok(answer) => answer,
        Err(error) => return Step::failed(address, error),
    };
    if named(request.url.path()) == Named::Tar {
        return members(std::io::Cursor::new(answer.bytes), address, shared);
    }
    if answer.html {
        return html(&answer, address);
    }
    // Where the server sent us on to, for links start there.
    let uri = if request.body.is_some() {
        address
    } else {
        answer.url.to_string()
    };
    opened(answer.bytes, uri, Some(request), shared).await
}

/// A file that a page lists.
async fn fetch(url: Url, maybe: bool) -> Step {
    let uri = url.to_string();
    match http::send(&Request::get(url)).await {
        Ok(answer) => Step::found(Found::Text {
            uri,
            bytes: answer.bytes,
            maybe,
        }),
        Err(error) => Step::failed(uri, error),
    }
}

/// A listing of a folder, as servers write them for people.
fn html(answer: &http::Answer, address: String) -> Step {
    let page = String::from_utf8_lossy(&answer.bytes);
    let links = stac::listing(&page, &answer.url);
    let task = |url: Url| match named(url.path()) {
        _ if url.path().ends_with('/') => Some(Task::Linked(Place::Http(url))),
        Named::Document => Some(Task::Fetch { url, maybe: false }),
        Named::MaybeItem => Some(Task::Fetch { url, maybe: true }),
        Named::Tar | Named::Other => None,
    };
    let more: Vec<Task> = links.into_iter().filter_map(task).collect();
    if more.is_empty() {
        let problem = "a page without links to dataset documents or folders below it";
        return Step::failed(
            address.clone(),
            Error::File {
                path: address,
                problem: problem.into(),
            },
        );
    }
    Step {
        found: Vec::new(),
        more,
    }
}

/// Looks into a file that may lead on.
async fn opened(bytes: Vec<u8>, uri: String, asked: Option<Request>, shared: &Shared) -> Step {
    let address = uri.clone();
    let documents = blocking(move || text::documents(bytes, &uri)).await;
    let documents = match documents {
        Ok(documents) => documents,
        Err(error) => return Step::failed(address, error),
    };
    let mut step = Step::default();
    for document in documents {
        match stac::open(document, asked.as_ref(), &shared.options.search) {
            Ok(Opened::Document(document)) => step.found.push(Found::Document(document)),
            Ok(Opened::Items { items, next }) => {
                step.found.extend(items.into_iter().map(Found::Document));
                step.more.extend(next.map(Task::Page));
            }
            Ok(Opened::Links(places)) => step.more.extend(places.into_iter().map(Task::Linked)),
            Ok(Opened::Search(request)) => step.more.push(Task::Page(request)),
            Err(error) => step.found.push(Found::Failed {
                address: address.clone(),
                error,
            }),
        }
    }
    step
}

/// The members of a tar file, read as they are wanted.
fn members(reader: impl std::io::Read + Send + 'static, uri: String, shared: &Shared) -> Step {
    let base = shared.options.tar_base.clone();
    let (sender, receiver) = tokio::sync::mpsc::channel(PAGE);
    let address = uri.clone();
    tokio::task::spawn_blocking(move || {
        let told = sender.clone();
        let read = text::tar_members(reader, &uri, base.as_deref(), |uri, kind, bytes| {
            let maybe = kind == Named::MaybeItem;
            let found = match bytes {
                Ok(bytes) => Found::Text { uri, bytes, maybe },
                Err(error) => Found::Failed {
                    address: uri,
                    error,
                },
            };
            told.blocking_send(found).is_ok()
        });
        if let Err(error) = read {
            let _ = sender.blocking_send(Found::Failed {
                address: uri,
                error,
            });
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
