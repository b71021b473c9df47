//! Documents, catalogues, APIs and listings on servers.

use url::Url;

use super::crawl::{Found, Shared, Step, Task, members, opened};
use super::http::{self, Request};
use super::place::{Named, Place, named};
use super::stac;
use crate::Error;

/// A document, a listing or an answer of an API.
pub(super) async fn page(request: Request, shared: &Shared) -> Step {
    let address = request.url.to_string();
    let answer = match http::send(&request, &shared.stores).await {
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
pub(super) async fn fetch(url: Url, maybe: bool, shared: &Shared) -> Step {
    let uri = url.to_string();
    match http::send(&Request::get(url), &shared.stores).await {
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
        Named::Tar | Named::Table | Named::Other => None,
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
