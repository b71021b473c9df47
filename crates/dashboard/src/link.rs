//! The link that people open, which is not always the address that is served.

use std::net::{IpAddr, SocketAddr};

/// The link of a dashboard on `address`. `environment` gives the variables
/// with which JupyterHub says where its proxy passes requests on.
pub(crate) fn link(
    address: SocketAddr,
    prefix: &str,
    token: Option<&str>,
    environment: impl Fn(&str) -> Option<String>,
) -> String {
    let port = address.port();
    let mut link = match environment("JUPYTERHUB_SERVICE_PREFIX") {
        Some(hub) => {
            let path = format!("/{}/proxy/{port}/status", hub.trim_matches('/'));
            // Of newer hubs; without it the link is good on the hub's own pages.
            match environment("JUPYTERHUB_PUBLIC_URL") {
                Some(url) => format!("{}/proxy/{port}/status", url.trim_end_matches('/')),
                None => path,
            }
        }
        None => {
            let host = match address.ip() {
                ip if ip.is_unspecified() => {
                    environment("HOSTNAME").unwrap_or_else(|| "localhost".to_owned())
                }
                IpAddr::V6(ip) => format!("[{ip}]"),
                IpAddr::V4(ip) => ip.to_string(),
            };
            format!("http://{host}:{port}{prefix}/status")
        }
    };
    if let Some(token) = token {
        link.push_str("?token=");
        link.push_str(token);
    }
    link
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, prefix: &str, variables: &[(&str, &str)], expected: &str) {
        let found = link(address.parse().unwrap(), prefix, None, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(found, expected);
    }

    #[test]
    fn here_and_behind_a_hub() {
        check("127.0.0.1:8787", "", &[], "http://127.0.0.1:8787/status");
        check("[::1]:80", "/dask", &[], "http://[::1]:80/dask/status");
        let hub = ("JUPYTERHUB_SERVICE_PREFIX", "/user/ann/");
        let path = "/user/ann/proxy/8787/status";
        check("127.0.0.1:8787", "", &[hub], path);
        let url = ("JUPYTERHUB_PUBLIC_URL", "https://hub.example/user/ann/");
        let whole = "https://hub.example/user/ann/proxy/8787/status";
        check("127.0.0.1:8787", "", &[hub, url], whole);
        let host = ("HOSTNAME", "node7");
        check("0.0.0.0:80", "", &[host], "http://node7:80/status");
    }

    #[test]
    fn the_token_is_part_of_it() {
        let address = "10.0.0.1:80".parse().unwrap();
        let link = link(address, "", Some("abc"), |_| None);
        assert_eq!(link, "http://10.0.0.1:80/status?token=abc");
    }
}
