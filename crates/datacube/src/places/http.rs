//! Requests over HTTP, tried again where that may help.

use std::sync::OnceLock;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::text::LARGEST;
use crate::{Error, Result};

/// Attempts of a request before its failure counts.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(300);

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

/// One client for the process: it keeps connections open.
fn client() -> Result<&'static Client> {
    static CLIENT: OnceLock<Result<Client, String>> = OnceLock::new();
    let built = CLIENT.get_or_init(|| {
        provide_tls();
        Client::builder()
            .user_agent(concat!("datacube-rust/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(60))
            .build()
            .map_err(|error| chain(&error))
    });
    built.as_ref().map_err(|reason| Error::Runtime {
        reason: format!("no HTTP client: {reason}"),
    })
}

/// TLS by ring, for the whole process, unless somebody chose already.
pub(crate) fn provide_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sends a request, up to four times where the failure may pass.
pub(crate) async fn send(request: &Request) -> Result<Answer> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let failure = match once(request).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if !failure.passing || attempt == ATTEMPTS {
            return Err(Error::File {
                path: request.url.to_string(),
                problem: match attempt {
                    1 => failure.what,
                    n => format!("{}, after {n} attempts", failure.what),
                },
            });
        }
        tokio::time::sleep(failure.wait.unwrap_or(pause)).await;
        pause *= 2;
        attempt += 1;
    }
}

struct Failure {
    what: String,
    /// Whether it may pass.
    passing: bool,
    /// How long the server asked to wait.
    wait: Option<Duration>,
}

async fn once(request: &Request) -> Result<Answer, Failure> {
    let lasting = |what: String| Failure {
        what,
        passing: false,
        wait: None,
    };
    let client = client().map_err(|error| lasting(error.to_string()))?;
    let response = prepare(client, request)
        .send()
        .await
        .map_err(|error| Failure {
            passing: !error.is_builder() && !error.is_redirect(),
            what: chain(&error),
            wait: None,
        })?;
    let status = response.status();
    if !status.is_success() {
        let wait = response.headers().get("retry-after");
        let wait = wait.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = response.text().await.unwrap_or_default();
        let said: String = body.trim().chars().take(200).collect();
        let said = if said.is_empty() || said.starts_with('<') {
            String::new()
        } else {
            format!(": {said}")
        };
        return Err(Failure {
            what: format!("the server answers {status}{said}"),
            passing: status.is_server_error()
                || matches!(
                    status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                ),
            wait: wait.map(|seconds| Duration::from_secs(seconds.min(30))),
        });
    }
    let content_type = response.headers().get("content-type");
    let html = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.contains("html"));
    let url = response.url().clone();
    let mut bytes = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| Failure {
            what: format!("the answer broke off: {}", chain(&error)),
            passing: true,
            wait: None,
        })?;
        bytes.extend_from_slice(&part);
        if bytes.len() as u64 > LARGEST {
            return Err(lasting("it is larger than 512 MiB".to_owned()));
        }
    }
    Ok(Answer { bytes, html, url })
}

fn prepare(client: &Client, request: &Request) -> RequestBuilder {
    let method = if request.body.is_some() {
        Method::POST
    } else {
        Method::GET
    };
    let mut builder = client
        .request(method, request.url.clone())
        .header("accept", "application/geo+json, application/json, */*");
    for (name, value) in &request.headers {
        // A header that cannot be sent is an error of the builder, told with the request.
        builder = match value {
            Value::String(text) => builder.header(name, text),
            other => builder.header(name, other.to_string()),
        };
    }
    match &request.body {
        Some(body) => builder
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => builder,
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text += &format!(": {inner_text}");
        }
        cause = inner.source();
    }
    text
}
