//! From addresses to a stream of documents.
//!
//! Work is a list of [`Task`]s. A task gives documents, more tasks, or both; the
//! tasks that came of one stand before those that were there, so that little is
//! ever open: a bucket of a million objects is listed while it is read. So many
//! run at once as the options allow, and their results come in the order in
//! which they were started, which makes two runs the same.

use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use datacube_load::StoreRegistry;
use datacube_model::LocatedDocument;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{FutureExt, Stream, StreamExt, stream};
use url::Url;

use super::http::Request;
use super::options::SourceOptions;
use super::place::{Named, Place};
use super::stac::{self, Opened};
use super::{bucket, local, place, server, table, text};
use crate::stores::stores as stores_of_process;
use crate::{Error, Result};

/// Entries of a listing that are handed on at once.
pub(super) const PAGE: usize = 256;

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

pub(super) enum Task {
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
pub(super) struct Step {
    pub(super) found: Vec<Found>,
    pub(super) more: Vec<Task>,
}

impl Step {
    pub(super) fn failed(address: impl Into<String>, error: Error) -> Self {
        let address = address.into();
        Step {
            found: vec![Found::Failed { address, error }],
            more: Vec::new(),
        }
    }

    pub(super) fn found(found: Found) -> Self {
        Step {
            found: vec![found],
            more: Vec::new(),
        }
    }

    pub(super) fn more(task: Task) -> Self {
        Step {
            found: Vec::new(),
            more: vec![task],
        }
    }
}

/// What all tasks share.
pub(crate) struct Shared {
    pub(crate) options: SourceOptions,
    pub(crate) stores: StoreRegistry,
}

impl Shared {
    pub(crate) fn new(options: SourceOptions) -> Self {
        let stores = options.stores.clone();
        Shared {
            options,
            stores: stores.unwrap_or_else(|| stores_of_process().clone()),
        }
    }
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
        Task::Place(Place::Local(path)) => local::local(path, shared).await,
        Task::Place(Place::Store(url)) => bucket::prefix(url, shared).await,
        Task::Place(Place::Http(url)) | Task::Linked(Place::Http(url)) => {
            server::page(Request::get(url), shared).await
        }
        Task::Linked(Place::Local(path)) => local::linked_file(path, shared).await,
        Task::Linked(Place::Store(url)) => bucket::linked_object(url, shared).await,
        Task::File { path, maybe } => match local::read_file(&path).await {
            Ok((uri, bytes)) => Step::found(Found::Text { uri, bytes, maybe }),
            Err(error) => Step::failed(path.display().to_string(), error),
        },
        Task::Object { base, key, maybe } => bucket::object(&base, &key, maybe, shared).await,
        Task::Fetch { url, maybe } => server::fetch(url, maybe, shared).await,
        Task::Page(request) => server::page(request, shared).await,
        Task::Found(found) => Step::found(*found),
        Task::Listing {
            files,
            address,
            n_found,
        } => listing(files, address, n_found).await,
    }
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

/// Looks into a file that may lead on.
pub(super) async fn opened(
    bytes: Vec<u8>,
    uri: String,
    asked: Option<Request>,
    shared: &Shared,
) -> Step {
    let path = uri.split(['?', '#']).next().unwrap_or(&uri);
    if place::named(path) == Named::Table {
        return table::of_bytes(bytes, uri);
    }
    let address = uri.clone();
    let documents = local::blocking(move || Ok(text::each(bytes, &uri))).await;
    let documents = match documents {
        Ok(documents) => documents,
        Err(error) => return Step::failed(address, error),
    };
    let mut step = Step::default();
    for (address, document) in documents {
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                step.found.push(Found::Failed { address, error });
                continue;
            }
        };
        match stac::open(document, asked.as_ref(), &shared.options.search) {
            Ok(Opened::Document(document)) => step.found.push(Found::Document(document)),
            Ok(Opened::Items { items, next }) => {
                step.found.extend(items.into_iter().map(Found::Document));
                step.more.extend(next.map(Task::Page));
            }
            Ok(Opened::Links { places, broken }) => {
                let failed = |(address, error)| Found::Failed { address, error };
                step.found.extend(broken.into_iter().map(failed));
                step.more.extend(places.into_iter().map(Task::Linked));
            }
            Ok(Opened::Search(request)) => step.more.push(Task::Page(request)),
            Err(error) => step.found.push(Found::Failed { address, error }),
        }
    }
    step
}

/// The members of a tar file, read as they are wanted.
pub(super) fn members(
    reader: impl std::io::Read + Send + 'static,
    uri: String,
    shared: &Shared,
) -> Step {
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
