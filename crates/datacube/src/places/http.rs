//! Requests to servers of documents.

use datacube_load::{StoreRegistry, WebRequest};
use serde_json::{Map, Value};
use url::Url;

use super::text::LARGEST;
use crate::{Error, Result};

/// What to ask for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) url: Url,
    /// The body of a POST; without one it is a GET.
    pub(crate) body: Option<Value>,
    pub(crate) headers: Map<String, Value>,
}

impl Request {
    pub(crate) fn get(url: Url) -> Self {
        Request {
            url,
            body: None,
            headers: Map::new(),
        }
    }
}

/// What a server answered.
pub(crate) struct Answer {
    pub(crate) bytes: Vec<u8>,
    /// Whether it is a page for people.
    pub(crate) html: bool,
    /// Where it came from in the end.
    pub(crate) url: Url,
}

/// Sends a request, again where the failure may pass.
pub(crate) async fn send(request: &Request, stores: &StoreRegistry) -> Result<Answer> {
    let mut asked = match &request.body {
        Some(body) => WebRequest::post(request.url.as_str(), body.to_string()),
        None => WebRequest::get(request.url.as_str()),
    };
    asked = asked.with_header("accept", "application/geo+json, application/json, */*");
    for (name, value) in &request.headers {
        // A header that cannot be sent is told with the request.
        asked = match value {
            Value::String(text) => asked.with_header(name, text),
            other => asked.with_header(name, other.to_string()),
        };
    }
    let answer = stores.send(&asked, LARGEST).await?;
    let kind = answer.content_type.unwrap_or_default();
    let url = Url::parse(&answer.url).map_err(|error| Error::File {
        path: answer.url,
        problem: format!("not a URL: {error}"),
    })?;
    Ok(Answer {
        bytes: answer.bytes,
        html: kind.contains("html"),
        url,
    })
}
