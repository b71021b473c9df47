//! Requests to servers that are more than reading a file: searches of STAC
//! APIs, catalogues, listings, tokens. They go the way of all others: counted,
//! limited by host, tried again where that may help.

use std::sync::Arc;

use object_store::client::{HttpRequest, HttpRequestBody};
use url::Url;

use super::call::{AccessFacts, Call};
use super::fault::explain;
use super::pause::Pauses;
use super::transport::{FinalUrl, TooLarge, Transport, read_body};
use crate::error::{Error, Result};

/// What to ask a server.
#[derive(Clone, Debug, PartialEq)]
pub struct WebRequest {
    url: String,
    headers: Vec<(String, String)>,
    /// The body of a POST; without one it is a GET.
    body: Option<String>,
}

impl WebRequest {
    /// Asks for what is at `url`.
    pub fn get(url: impl Into<String>) -> Self {
        WebRequest {
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Sends JSON to `url`.
    pub fn post(url: impl Into<String>, json: impl Into<String>) -> Self {
        WebRequest {
            body: Some(json.into()),
            ..WebRequest::get(url)
        }
    }

    /// With a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// What a server answered.
#[derive(Debug)]
#[non_exhaustive]
pub struct WebAnswer {
    /// The body.
    pub bytes: Vec<u8>,
    /// Its media type, where the server says so.
    pub content_type: Option<String>,
    /// Where it came from in the end.
    pub url: String,
}

/// The way to servers.
#[derive(Clone, Debug)]
pub(super) struct Web {
    pub(super) transport: Arc<Transport>,
    pub(super) retries: usize,
}

impl Web {
    /// Sends a request; an answer of more than `limit` bytes is an error.
    pub(super) async fn send(&self, request: &WebRequest, limit: u64) -> Result<WebAnswer> {
        let call = Arc::new(Call::default());
        call.set_access(AccessFacts::default());
        let mut pauses = Pauses::new(self.retries);
        loop {
            let failure = match Arc::clone(&call)
                .scope(self.once(request, limit, &call))
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            match pauses.next().filter(|_| failure.is_transient()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            }
        }
    }

    async fn once(&self, request: &WebRequest, limit: u64, call: &Call) -> Result<WebAnswer> {
        let uri = super::address::shown(&request.url);
        let asked = prepare(request).map_err(|problem| Error::invalid_for(&uri, problem))?;
        let fail = |source: crate::error::BoxError| {
            let generic = object_store::Error::Generic {
                store: "HTTP",
                source,
            };
            explain(&uri, false, generic, call)
        };
        let answer = self.transport.client().execute(asked).await;
        let answer = answer.map_err(|error| fail(error.into()))?;
        if !answer.status().is_success() {
            return Err(fail(
                format!("the server answers {}", answer.status()).into(),
            ));
        }
        let (parts, body) = answer.into_parts();
        let bytes = match read_body(body, limit).await {
            Ok(bytes) => bytes,
            Err(error) if error.is::<TooLarge>() => {
                return Err(Error::invalid_for(&uri, error.to_string()));
            }
            Err(error) => return Err(fail(error)),
        };
        let content_type = parts.headers.get(http::header::CONTENT_TYPE);
        let url = parts.extensions.get::<FinalUrl>();
        Ok(WebAnswer {
            bytes,
            content_type: content_type
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            url: url.map_or_else(|| request.url.clone(), |url| url.0.to_string()),
        })
    }
}

fn prepare(request: &WebRequest) -> Result<HttpRequest, String> {
    let url = Url::parse(&request.url).map_err(|error| format!("malformed URL: {error}"))?;
    let mut builder = match &request.body {
        Some(_) => http::Request::post(url.as_str()).header("content-type", "application/json"),
        None => http::Request::get(url.as_str()),
    };
    for (name, value) in &request.headers {
        builder = builder.header(name, value);
    }
    let body = match &request.body {
        Some(body) => HttpRequestBody::from(body.clone()),
        None => HttpRequestBody::empty(),
    };
    builder
        .body(body)
        .map_err(|error| format!("cannot be asked for: {error}"))
}
