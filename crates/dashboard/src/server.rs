//! Requests and their answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use crate::access::{self, Access};
use crate::feed::Feed;
use crate::{metrics, pages};

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/app.js");
/// Time between two updates of a page.
const TICK: Duration = Duration::from_millis(500);
/// Nothing comes from elsewhere, and nothing else may show the pages.
const POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

type Shared = State<Arc<Feed>>;

pub(crate) fn router(feed: Arc<Feed>, access: Access, prefix: &str) -> Router {
    let routes = Router::new()
        .route("/", get(start))
        .route("/health", get(|| async { "ok" }))
        .route("/metrics", get(prometheus))
        .route("/events", get(events))
        .route("/json/{what}", get(json))
        .route(
            "/style.css",
            get(|| async { asset("text/css; charset=utf-8", STYLE) }),
        )
        .route(
            "/app.js",
            get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }),
        )
        .route("/{page}", get(page))
        .with_state(feed);
    let routes = if prefix.is_empty() {
        routes
    } else {
        Router::new().nest(prefix, routes)
    };
    routes
        .layer(middleware::map_response(with_policy))
        .layer(middleware::from_fn(move |request, next| {
            access::check(access.clone(), request, next)
        }))
}

pub(crate) async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!("the dashboard cannot listen: {error}"),
    };
    // Pages that are open never end by themselves, so nobody is waited for.
    tokio::select! {
        outcome = axum::serve(listener, router) => {
            if let Err(error) = outcome {
                tracing::error!("the dashboard ended: {error}");
            }
        }
        _ = stopped => {}
    }
}

async fn with_policy(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = HeaderName::from_static("content-security-policy");
    headers.insert(policy, HeaderValue::from_static(POLICY));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

/// Relative, so that it is right behind any proxy.
async fn start() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "./status")]).into_response()
}

async fn page(State(feed): Shared, Path(name): Path<String>) -> Response {
    match pages::page(&name, &*feed.view().await) {
        Some(html) => axum::response::Html(html).into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "There is no such page; try ./status\n",
        )
            .into_response(),
    }
}

async fn prometheus(State(feed): Shared) -> Response {
    let text = metrics::text(&feed.view().await.snapshot);
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

async fn json(State(feed): Shared, Path(what): Path<String>) -> Response {
    let view = feed.view().await;
    let info = &view.snapshot;
    let value = match what.as_str() {
        "snapshot" => serde_json::to_value(info),
        "workers" => serde_json::to_value(&info.workers),
        "layers" => serde_json::to_value(&info.layers),
        "jobs" => serde_json::to_value(&info.jobs),
        "errors" => serde_json::to_value(&info.errors),
        "stores" => serde_json::to_value(&info.stores),
        "spans" => serde_json::to_value(&view.spans),
        _ => {
            let known =
                "There are json/snapshot, workers, layers, jobs, errors, stores and spans.\n";
            return (StatusCode::NOT_FOUND, known).into_response();
        }
    };
    match value {
        Ok(value) => axum_json(&value),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn axum_json(value: &serde_json::Value) -> Response {
    let kind = "application/json";
    ([(header::CONTENT_TYPE, kind)], value.to_string()).into_response()
}

/// Sections of a page as they change, until the page is closed.
async fn events(State(feed): Shared, Query(query): Query<HashMap<String, String>>) -> Response {
    let page = query.get("page").cloned().unwrap_or_default();
    let state = (feed, page, HashMap::new(), false);
    let stream = futures::stream::unfold(state, |(feed, page, mut seen, later)| async move {
        if later {
            tokio::time::sleep(TICK).await;
        }
        let view = feed.view().await;
        let changed = pages::changes(&page, &view, &mut seen)?;
        let data = serde_json::json!({
            "seconds": view.snapshot.seconds,
            "status": view.snapshot.status,
            "sections": changed,
        });
        let event = Event::default().data(data.to_string());
        Some((Ok::<_, Infallible>(event), (feed, page, seen, true)))
    });
    Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response()
}
