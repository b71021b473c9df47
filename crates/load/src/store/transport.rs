//! Every request of every store goes through here: counted, limited by host,
//! given up when no answer begins, and noted in its [`Call`].
//!
//! Retrying is left to `object_store`, which does it for 5xx, 429, 408,
//! connections that fail and, by the rest of the range, answers that break off.
//! A pause that the server asks for is kept here, before the failure is handed
//! up.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use object_store::ClientOptions;
use object_store::client::{
    ClientConfigKey, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpRequestBody, HttpResponse, HttpResponseBody, HttpService,
};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::call::{Call, Outcome, Refusal};
use super::options::StoreOptions;
use super::stats::{Counters, HostCounters, InFlight};
use crate::error::{BoxError, Error, Result};

/// The longest pause that a server is granted.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Of the body of a refusal, no more is read.
const REFUSAL_BYTES: usize = 16 << 10;
/// How long the machine's own service for credentials may take.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// All connections of a registry of stores.
pub(super) struct Transport {
    client: reqwest::Client,
    /// For the machine's own service for credentials, which answers at once or is not there.
    metadata: reqwest::Client,
    hosts: Mutex<HashMap<String, Host>>,
    counters: Arc<Counters>,
    first_byte_timeout: Duration,
    requests_per_host: usize,
}

#[derive(Clone)]
struct Host {
    name: Arc<str>,
    gate: Arc<Semaphore>,
    counters: Arc<HostCounters>,
}

/// Where the answer came from in the end, in the extensions of a response.
#[derive(Clone, Debug)]
pub(super) struct FinalUrl(pub(super) Url);

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}

impl Transport {
    pub(super) fn new(options: &StoreOptions, counters: Arc<Counters>) -> Result<Self> {
        // TLS by ring, for the whole process, unless somebody chose already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let build = |connect: Duration, read: Duration| {
            reqwest::Client::builder()
                .user_agent(concat!("datacube-rust/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(connect)
                .read_timeout(read)
                .http1_only()
                .build()
                .map_err(|error| {
                    Error::Internal(format!("no HTTP client can be made: {}", chain(&error)))
                })
        };
        Ok(Transport {
            client: build(options.connect_timeout, options.read_timeout)?,
            metadata: build(Duration::from_secs(1), METADATA_TIMEOUT)?,
            hosts: Mutex::default(),
            counters,
            first_byte_timeout: options.first_byte_timeout,
            requests_per_host: options.requests_per_host.max(1),
        })
    }

    /// A client for one store.
    pub(super) fn client(self: &Arc<Self>) -> HttpClient {
        HttpClient::new(Wire {
            transport: Arc::clone(self),
            is_metadata: false,
        })
    }

    /// Makes clients for stores that want to connect by themselves.
    pub(super) fn connector(self: &Arc<Self>) -> Connector {
        Connector(Arc::clone(self))
    }

    fn host(&self, url: &Url) -> Host {
        let mut name = url.host_str().unwrap_or_default().to_owned();
        if let Some(port) = url.port() {
            name = format!("{name}:{port}");
        }
        let mut hosts = self.hosts.lock();
        if let Some(host) = hosts.get(&name) {
            return host.clone();
        }
        let host = Host {
            gate: Arc::new(Semaphore::new(self.requests_per_host)),
            counters: self.counters.of(&name),
            name: name.as_str().into(),
        };
        hosts.insert(name, host.clone());
        host
    }

    async fn send(
        &self,
        request: HttpRequest,
        is_metadata: bool,
    ) -> Result<HttpResponse, HttpError> {
        let call = Call::current();
        let (parts, body) = request.into_parts();
        let target = call.as_ref().and_then(|call| call.target());
        let url = match target {
            Some(url) => url,
            None => Url::parse(&parts.uri.to_string())
                .map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?,
        };
        let host = self.host(&url);
        let permit = Arc::clone(&host.gate)
            .acquire_owned()
            .await
            .expect("the gate of a host is never closed");
        let is_retry = call.as_ref().is_some_and(|call| call.begin());
        let watch = Watch {
            call,
            in_flight: Some((host.counters.start(is_retry), permit)),
            counters: Arc::clone(&host.counters),
        };
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        let body = whole(body).await;
        if !body.is_empty() {
            *request.body_mut() = Some(body.into());
        }
        let client = if is_metadata {
            &self.metadata
        } else {
            &self.client
        };
        let answer = tokio::time::timeout(self.first_byte_timeout, client.execute(request)).await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                let problem = why_none(&error);
                if watch.is_in_vain(&problem) {
                    watch.counters.failed();
                    let host = host.name.to_string();
                    watch.end(Outcome::NoHost { host, problem });
                    return Err(HttpError::new(HttpErrorKind::Unknown, error.without_url()));
                }
                watch.broken(&problem);
                return Err(http_error(error));
            }
            Err(_) => {
                let problem = format!("no answer within {:?}", self.first_byte_timeout);
                watch.broken(&problem);
                return Err(HttpError::new_boxed(HttpErrorKind::Timeout, problem.into()));
            }
        };
        if response.status().is_success() {
            return Ok(answered(response, watch));
        }
        Ok(refused(response, watch, &host.name).await)
    }
}

/// The answer, whose body counts its bytes and lets the next request through
/// when it ends.
fn answered(response: reqwest::Response, watch: Watch) -> HttpResponse {
    let url = response.url().clone();
    let (mut parts, body) = http::Response::<reqwest::Body>::from(response).into_parts();
    parts.extensions.insert(FinalUrl(url));
    let left = stated_length(&parts.headers);
    // Stores want to be told the length by name.
    if let Some(length) = left
        && !parts.headers.contains_key(http::header::CONTENT_LENGTH)
    {
        let length = http::HeaderValue::from(length);
        parts.headers.insert(http::header::CONTENT_LENGTH, length);
    }
    HttpResponse::from_parts(parts, HttpResponseBody::new(Metered { body, watch, left }))
}

/// How long the part of a file is that comes, by what the server says of it:
/// one that closes the connection to end an answer does not tell otherwise.
fn stated_length(headers: &http::HeaderMap) -> Option<u64> {
    let range = headers.get(http::header::CONTENT_RANGE)?.to_str().ok()?;
    let (start, end) = range
        .strip_prefix("bytes ")?
        .split_once('/')?
        .0
        .split_once('-')?;
    let (start, end) = (start.parse::<u64>().ok()?, end.parse::<u64>().ok()?);
    (end.checked_add(1)?).checked_sub(start)
}

/// A refusal, read and noted; if the server asks for a pause, after it.
async fn refused(mut response: reqwest::Response, watch: Watch, host: &str) -> HttpResponse {
    let status = response.status();
    let header = |name: &str| {
        let value = response.headers().get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    let pause = header("retry-after").and_then(|value| value.trim().parse::<u64>().ok());
    let mut refusal = Refusal {
        status: status.as_u16(),
        code: header("x-ms-error-code"),
        region: header("x-amz-bucket-region"),
        host: host.to_owned(),
        message: None,
    };
    let mut bytes = Vec::new();
    // A body that breaks off has said what it could.
    while let Ok(Some(part)) = response.chunk().await {
        watch.counters.received(part.len() as u64);
        bytes.extend_from_slice(&part);
        if bytes.len() > REFUSAL_BYTES {
            break;
        }
    }
    refusal.read_body(&String::from_utf8_lossy(&bytes));
    let url = response.url().clone();
    let mut parts = http::Response::<reqwest::Body>::from(response)
        .into_parts()
        .0;
    parts.extensions.insert(FinalUrl(url));
    if status != http::StatusCode::NOT_MODIFIED {
        watch.counters.failed();
        watch.end(Outcome::Refused(refusal));
    }
    drop(watch);
    let may_pass = status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS;
    if let Some(seconds) = pause.filter(|_| may_pass) {
        tokio::time::sleep(Duration::from_secs(seconds).min(LONGEST_PAUSE)).await;
    }
    HttpResponse::from_parts(parts, bytes.into())
}

/// A request on its way.
struct Watch {
    call: Option<Arc<Call>>,
    counters: Arc<HostCounters>,
    in_flight: Option<(InFlight, OwnedSemaphorePermit)>,
}

impl Watch {
    fn end(&self, outcome: Outcome) {
        if let Some(call) = &self.call {
            call.end(outcome);
        }
    }

    /// Whether a failed request will fail again: its host has no address, or the
    /// name server has twice said that it does not know.
    fn is_in_vain(&self, problem: &str) -> bool {
        // hyper's words before those of the resolver.
        if !problem.contains("dns error") {
            return false;
        }
        let may_pass = problem.contains("Temporary failure") || problem.contains("try again");
        let attempts = self.call.as_ref().map_or(1, |call| call.attempts());
        !may_pass || attempts >= 2
    }

    fn broken(&self, problem: &str) {
        self.counters.failed();
        self.end(Outcome::Broken(problem.to_owned()));
    }
}

/// A body that is watched.
struct Metered {
    body: reqwest::Body,
    watch: Watch,
    /// Bytes that have not come yet, where it is known.
    left: Option<u64>,
}

impl Body for Metered {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(frame) => frame,
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let n_bytes = data.len() as u64;
                    self.watch.counters.received(n_bytes);
                    self.left = self.left.map(|left| left.saturating_sub(n_bytes));
                }
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                self.watch.broken(&why_none(&error));
                // A store that reads the rest keeps this body until it has.
                self.watch.in_flight = None;
                Some(Err(http_error(error)))
            }
            None if self.left.is_some_and(|left| left > 0) => {
                let problem = format!(
                    "the answer broke off {} bytes before its end",
                    self.left.take().unwrap_or_default()
                );
                self.watch.broken(&problem);
                self.watch.in_flight = None;
                Some(Err(HttpError::new_boxed(
                    HttpErrorKind::Interrupted,
                    problem.into(),
                )))
            }
            None => {
                self.watch.in_flight = None;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// All of a body; those that are sent from here are short.
async fn whole(mut body: HttpRequestBody) -> Bytes {
    if let Some(bytes) = body.as_bytes() {
        return bytes.clone();
    }
    let mut all = Vec::new();
    while let Some(frame) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(frame) = frame
            && let Ok(data) = frame.into_data()
        {
            all.extend_from_slice(&data);
        }
    }
    all.into()
}

/// Sorts an error for the retries of `object_store`. What went wrong on the way
/// may go well the next time; a request that cannot be sent never does.
fn http_error(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_builder() || error.is_redirect() {
        HttpErrorKind::Unknown
    } else {
        HttpErrorKind::Interrupted
    };
    HttpError::new(kind, error.without_url())
}

/// Why no answer came, in one line, without the address.
fn why_none(error: &reqwest::Error) -> String {
    let mut text = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time".to_owned(),
        (_, true) => "no connection".to_owned(),
        _ => "the connection broke off".to_owned(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// An error and what caused it, in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

struct Wire {
    transport: Arc<Transport>,
    is_metadata: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.transport.send(request, self.is_metadata).await
    }
}

/// Gives every store the connections of one [`Transport`].
#[derive(Debug)]
pub(super) struct Connector(Arc<Transport>);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        // `object_store` asks so for the machine's own service for credentials.
        let timeout = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let is_metadata = timeout.is_some_and(|text| text.starts_with('1') && text.len() < 3);
        Ok(HttpClient::new(Wire {
            transport: Arc::clone(&self.0),
            is_metadata,
        }))
    }
}

/// The bytes of a response, at most `limit`.
pub(super) async fn read_body(body: HttpResponseBody, limit: u64) -> Result<Vec<u8>, BoxError> {
    use futures::StreamExt;
    let mut stream = body.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part?);
        if bytes.len() as u64 > limit {
            return Err(TooLarge(limit).into());
        }
    }
    Ok(bytes)
}

/// More came than is wanted.
#[derive(Debug)]
pub(super) struct TooLarge(pub(super) u64);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it is larger than {} MiB", self.0 >> 20)
    }
}

impl std::error::Error for TooLarge {}
