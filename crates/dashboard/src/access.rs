//! Who may look: everybody who can connect, or whoever has the token.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

/// Decides on requests.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    token: Option<String>,
    cookie: String,
    any_host: bool,
}

impl Access {
    pub(crate) fn new(token: Option<String>, port: u16, any_host: bool) -> Access {
        Access {
            any_host: any_host || token.is_some(),
            token,
            // Cookies are not kept apart by port, so the name does it.
            cookie: format!("datacube_{port}"),
        }
    }

    fn is_token(&self, given: &str) -> bool {
        let token = self.token.as_deref().unwrap_or_default();
        token.as_bytes().ct_eq(given.as_bytes()).into()
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers.get_all(header::COOKIE).iter();
        let pairs = cookies.filter_map(|value| value.to_str().ok());
        pairs
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .any(|(name, value)| name == self.cookie && self.is_token(value))
    }

    /// Whether the request names this machine by number, or as localhost: a
    /// page of another site that has its own name point here does not.
    fn is_local_name(headers: &HeaderMap) -> bool {
        let Some(host) = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
        else {
            return false;
        };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_matches(['[', ']']);
        name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
    }
}

/// The token in a query; what is left of the address without it.
fn token_of(uri: &Uri) -> Option<(String, String)> {
    let query = uri.query()?;
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))?;
    let rest: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.starts_with("token="))
        .collect();
    let page = uri.path().rsplit('/').next().unwrap_or_default();
    let left = if rest.is_empty() {
        format!("./{page}")
    } else {
        format!("./{page}?{}", rest.join("&"))
    };
    Some((token.to_owned(), left))
}

/// Lets requests through, or says why not.
pub(crate) async fn check(access: Access, request: Request, next: Next) -> Response {
    if !access.any_host && !Access::is_local_name(request.headers()) {
        let why = "This dashboard answers to 127.0.0.1 and localhost only. Behind a proxy, give it a prefix or a token.\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    if access.token.is_none() || request.uri().path().ends_with("/health") {
        return next.run(request).await;
    }
    if let Some((token, left)) = token_of(request.uri()) {
        if access.is_token(&token) {
            let cookie = format!(
                "{}={token}; HttpOnly; SameSite=Strict; Path=/",
                access.cookie
            );
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, left)];
            return (StatusCode::SEE_OTHER, headers).into_response();
        }
    } else if access.has_cookie(request.headers()) {
        return next.run(request).await;
    }
    let why =
        "The dashboard's token is missing or wrong: open the link that it was started with.\n";
    (StatusCode::UNAUTHORIZED, why).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for (host, local) in [
            ("127.0.0.1:8787", true),
            ("localhost", true),
            ("[::1]:80", true),
            ("192.168.1.4:8787", true),
            ("evil.example:8787", false),
            ("127.0.0.1.evil.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(Access::is_local_name(&headers), local, "{host}");
        }
    }

    #[test]
    fn tokens_in_queries_and_cookies() {
        let uri: Uri = "/a/status?x=1&token=abc".parse().unwrap();
        let found = token_of(&uri).unwrap();
        assert_eq!(found, ("abc".to_owned(), "./status?x=1".to_owned()));
        let access = Access::new(Some("abc".to_owned()), 80, false);
        assert!(access.is_token("abc") && !access.is_token("abd") && !access.is_token(""));
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "a=b; datacube_80=abc".parse().unwrap());
        assert!(access.has_cookie(&headers));
        headers.insert(header::COOKIE, "datacube_81=abc".parse().unwrap());
        assert!(!access.has_cookie(&headers));
    }
}
