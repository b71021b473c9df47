//! Signing addresses as they are read: `patch_url` of odc-stac, with tokens
//! that are renewed.
//!
//! A plan holds the name of a signer and never what it signs with; whoever
//! carries the plan out has a signer of that name. `planetary_computer` is
//! there everywhere. A token is fetched once for all requests that need it, a
//! while before the old one ends, and once more when a server refuses it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use url::Url;

use super::credentials::time;
use super::environment::Environment;
use super::options::Secret;
use super::renew::Renewed;
use super::web::{Web, WebRequest};
use crate::error::{BoxError, Error, Result};

/// The signer of Microsoft's Planetary Computer.
pub const PLANETARY_COMPUTER: &str = "planetary_computer";

/// Where its tokens come from.
const PLANETARY_COMPUTER_URL: &str = "https://planetarycomputer.microsoft.com/api/sas/v1/token";

/// Of signed addresses, no more are kept.
const MOST_KEPT: usize = 10_000;

/// A signed address, and until when it is good.
#[derive(Clone)]
pub struct SignedUrl {
    url: Secret,
    expires: Option<SystemTime>,
}

impl SignedUrl {
    /// An address that is asked for anew each time.
    pub fn new(url: impl Into<String>) -> Self {
        SignedUrl {
            url: Secret::new(url),
            expires: Some(SystemTime::UNIX_EPOCH),
        }
    }

    /// An address that is good until `expires`.
    pub fn until(url: impl Into<String>, expires: SystemTime) -> Self {
        SignedUrl {
            url: Secret::new(url),
            expires: Some(expires),
        }
    }

    pub(super) fn url(&self) -> &str {
        self.url.reveal()
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedUrl").finish_non_exhaustive()
    }
}

type Signing = dyn Fn(String) -> BoxFuture<'static, Result<SignedUrl, BoxError>> + Send + Sync;

/// Signs addresses.
#[derive(Clone)]
pub struct Signer(Arc<Kind>);

/// By account and container.
type Tokens = HashMap<(String, String), Arc<Renewed<String>>>;

enum Kind {
    /// Tokens for containers of Azure's stores, from a service.
    Tokens {
        endpoint: String,
        headers: Vec<(String, Secret)>,
        tokens: Mutex<Tokens>,
    },
    /// What a user wrote.
    Own {
        sign: Box<Signing>,
        signed: Mutex<HashMap<String, Arc<Renewed<SignedUrl>>>>,
    },
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Tokens { endpoint, .. } => write!(f, "Signer(tokens of {endpoint})"),
            Kind::Own { .. } => f.write_str("Signer(a function)"),
        }
    }
}

/// An address that was signed, and by what.
#[derive(Debug)]
pub(super) struct Patched {
    pub(super) uri: String,
    stamp: Stamp,
}

#[derive(Debug)]
enum Stamp {
    None,
    Token(Arc<Renewed<String>>, Arc<String>),
    Own(Arc<Renewed<SignedUrl>>, Arc<SignedUrl>),
}

impl Patched {
    /// Makes the next address be signed anew; `false` where nothing was signed.
    pub(super) async fn forget(&self) -> bool {
        match &self.stamp {
            Stamp::None => return false,
            Stamp::Token(renewed, token) => renewed.forget(token).await,
            Stamp::Own(renewed, url) => renewed.forget(url).await,
        }
        true
    }
}

impl Signer {
    /// Signs by a function from an address to a signed address, or to another one.
    ///
    /// ```
    /// use datacube_load::{SignedUrl, Signer};
    /// let mirror = Signer::new(|uri: String| async move {
    ///     Ok(SignedUrl::new(uri.replace("https://far/", "https://near/")))
    /// });
    /// ```
    pub fn new<F, R>(sign: F) -> Self
    where
        F: Fn(String) -> R + Send + Sync + 'static,
        R: Future<Output = Result<SignedUrl, BoxError>> + Send + 'static,
    {
        Signer(Arc::new(Kind::Own {
            sign: Box::new(move |uri| Box::pin(sign(uri))),
            signed: Mutex::default(),
        }))
    }

    /// Signs addresses in Azure's stores with tokens of a service that answers
    /// `ENDPOINT/ACCOUNT/CONTAINER` with `{"token": ..., "msft:expiry": ...}`;
    /// other addresses stay as they are.
    pub fn tokens(endpoint: impl Into<String>) -> Self {
        Signer::tokens_with(endpoint.into(), Vec::new())
    }

    fn tokens_with(endpoint: String, headers: Vec<(String, Secret)>) -> Self {
        Signer(Arc::new(Kind::Tokens {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            headers,
            tokens: Mutex::default(),
        }))
    }

    /// The Planetary Computer's; `PC_SDK_SAS_URL` and `PC_SDK_SUBSCRIPTION_KEY`
    /// mean what they mean to its Python package.
    pub(super) fn planetary_computer(environment: &Environment) -> Self {
        let endpoint = environment
            .get("PC_SDK_SAS_URL")
            .unwrap_or_else(|| PLANETARY_COMPUTER_URL.to_owned());
        let key = environment.get("PC_SDK_SUBSCRIPTION_KEY");
        let header = |key| ("Ocp-Apim-Subscription-Key".to_owned(), Secret::new(key));
        Signer::tokens_with(endpoint, key.map(header).into_iter().collect())
    }

    /// Signs `uri`.
    pub(super) async fn sign(&self, name: &str, uri: &str, web: &Web) -> Result<Patched> {
        match &*self.0 {
            Kind::Own { sign, signed } => {
                let renewed = {
                    let mut signed = signed.lock();
                    if signed.len() >= MOST_KEPT {
                        signed.clear();
                    }
                    Arc::clone(signed.entry(uri.to_owned()).or_default())
                };
                let make = async || {
                    let url = sign(uri.to_owned()).await?;
                    let expires = url.expires;
                    Ok((url, expires))
                };
                let url = renewed
                    .get(make)
                    .await
                    .map_err(|source: BoxError| Error::Denied {
                        uri: super::address::shown(uri),
                        advice: format!("signer `{name}` could not sign it"),
                        source,
                    })?;
                Ok(Patched {
                    uri: url.url().to_owned(),
                    stamp: Stamp::Own(renewed, url),
                })
            }
            Kind::Tokens {
                endpoint,
                headers,
                tokens,
            } => {
                let Some((account, container)) = container_of(uri) else {
                    return Ok(Patched {
                        uri: uri.to_owned(),
                        stamp: Stamp::None,
                    });
                };
                let address = format!("{endpoint}/{account}/{container}");
                let renewed = {
                    let mut tokens = tokens.lock();
                    Arc::clone(tokens.entry((account, container)).or_default())
                };
                let token = renewed.get(|| fetch_token(&address, headers, web)).await?;
                let join = if uri.contains('?') { '&' } else { '?' };
                Ok(Patched {
                    uri: format!("{uri}{join}{token}"),
                    stamp: Stamp::Token(renewed, token),
                })
            }
        }
    }
}

/// Account and container of an address in Azure's stores that is not signed yet.
fn container_of(uri: &str) -> Option<(String, String)> {
    let url = Url::parse(uri).ok()?;
    if url.query_pairs().any(|(name, _)| name == "sig") {
        return None;
    }
    let account = url.host_str()?.strip_suffix(".blob.core.windows.net")?;
    let container = url.path_segments()?.next()?;
    // The Planetary Computer's own pictures of collections are open to all.
    let is_open = account == "ai4edatasetspublicassets";
    (!is_open && !container.is_empty()).then(|| (account.to_owned(), container.to_owned()))
}

async fn fetch_token(
    address: &str,
    headers: &[(String, Secret)],
    web: &Web,
) -> Result<(String, Option<SystemTime>)> {
    #[derive(serde::Deserialize)]
    struct Answer {
        token: String,
        #[serde(rename = "msft:expiry", alias = "expiry", alias = "expires")]
        expiry: Option<String>,
    }
    let mut request = WebRequest::get(address);
    for (name, value) in headers {
        request = request.with_header(name, value.reveal());
    }
    let answer = web.send(&request, 1 << 20).await?;
    // What is wrong with the text might quote it, and with it the token.
    let answer: Answer = serde_json::from_slice(&answer.bytes).map_err(|_| {
        Error::unreadable(
            address,
            "answer",
            "it is no JSON with `token` and `msft:expiry`",
        )
    })?;
    let expires = answer.expiry.as_deref().and_then(time);
    Ok((answer.token, expires))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unsigned_addresses_of_azure_are_signed() {
        for (uri, expected) in [
            (
                "https://acc.blob.core.windows.net/c/a/b.tif",
                Some(("acc", "c")),
            ),
            ("https://acc.blob.core.windows.net/c/b.tif?sv=1&sig=x", None),
            (
                "https://ai4edatasetspublicassets.blob.core.windows.net/c/b.tif",
                None,
            ),
            ("https://example.org/c/b.tif", None),
            ("s3://c/b.tif", None),
        ] {
            let expected = expected.map(|(a, c)| (a.to_owned(), c.to_owned()));
            assert_eq!(container_of(uri), expected, "{uri}");
        }
    }

    #[tokio::test]
    async fn a_token_is_fetched_once_for_all_and_anew_when_it_is_refused() {
        let answer = |n: usize| {
            let body =
                format!("{{\"token\": \"sig=t{n}\", \"msft:expiry\": \"2100-01-01T00:00:00Z\"}}");
            datacube_testkit::Fault::Answer(200, Vec::new(), body)
        };
        let server = datacube_testkit::StoreServer::start([], move |asked| Some(answer(asked.n)));
        let options = crate::store::StoreOptions::default();
        let transport = crate::store::transport::Transport::new(&options, Arc::default()).unwrap();
        let web = Web {
            transport: Arc::new(transport),
            retries: 0,
        };
        let signer = Signer::tokens(format!("{}/token/", server.url()));
        let of = |container: &str| format!("https://acc.blob.core.windows.net/{container}/a.tif");
        let uri = of("c");
        let all = (0..8).map(|_| signer.sign("s", &uri, &web));
        let all = futures::future::try_join_all(all).await.unwrap();
        let expected = format!("{uri}?sig=t0");
        assert!(all.iter().all(|patched| patched.uri == expected));
        assert_eq!(server.asked()[0].path, "/token/acc/c");
        // All of them are refused: one renewal serves them all.
        for patched in &all {
            assert!(patched.forget().await);
        }
        for _ in 0..2 {
            let again = signer.sign("s", &uri, &web).await.unwrap();
            assert_eq!(again.uri, format!("{uri}?sig=t1"));
        }
        let other = signer.sign("s", &of("d"), &web).await.unwrap();
        assert!(other.uri.ends_with("?sig=t2") && server.n_asked() == 3);
        let plain = signer.sign("s", "https://h/a.tif", &web).await.unwrap();
        assert_eq!(plain.uri, "https://h/a.tif");
        assert!(!plain.forget().await);
    }

    #[test]
    fn a_signed_address_is_in_no_text() {
        assert!(!format!("{:?}", SignedUrl::new("https://h/?sig=hush")).contains("hush"));
    }
}
