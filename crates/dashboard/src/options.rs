//! Where and how a dashboard is served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use datacube_compute::LocalCluster;
use tokio::sync::oneshot;

use crate::access::Access;
use crate::feed::Feed;
use crate::{Dashboard, Error, Result, link, server};

/// The port, unless told otherwise: dask's.
const PORT: u16 = 8787;

/// Options of a [`Dashboard`].
#[derive(Clone, Debug)]
#[must_use]
pub struct DashboardOptions {
    address: IpAddr,
    port: u16,
    prefix: String,
    token: Option<String>,
}

impl Default for DashboardOptions {
    fn default() -> Self {
        DashboardOptions {
            address: Ipv4Addr::LOCALHOST.into(),
            port: PORT,
            prefix: String::new(),
            token: None,
        }
    }
}

impl DashboardOptions {
    /// The port; 8787 by default, 0 for a free one.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The address to listen on; this machine only by default. Others than
    /// loopback can be reached by others: then a token is needed to see
    /// anything, and there is no TLS, so have a proxy add it.
    pub fn address(mut self, address: impl Into<IpAddr>) -> Self {
        self.address = address.into();
        self
    }

    /// The path under which a proxy passes requests on unchanged, such as
    /// `/dask`. Proxies that take their own part away (JupyterHub's) need none:
    /// all links within the pages are relative.
    pub fn prefix(mut self, prefix: impl AsRef<str>) -> Self {
        let prefix = prefix.as_ref().trim_matches('/');
        self.prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        };
        self
    }

    /// A token that every request needs, also on loopback: for machines that
    /// are shared with people who should not look.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Serves `cluster`. Where the port is taken a free one is used, with a
    /// warning ([`Dashboard::warning`]).
    ///
    /// # Errors
    /// An address that cannot be listened on, threads that the system refuses.
    pub fn start(self, cluster: &LocalCluster) -> Result<Dashboard> {
        let wanted = SocketAddr::new(self.address, self.port);
        let (listener, warning) = listen(wanted)?;
        let address = listener.local_addr().map_err(Error::Start)?;
        let token = match self.token {
            Some(token) => Some(token),
            None if self.address.is_loopback() => None,
            // 122 random bits of the operating system.
            None => Some(uuid::Uuid::new_v4().simple().to_string()),
        };
        let link = link::link(address, &self.prefix, token.as_deref(), |name| {
            std::env::var(name).ok()
        });
        let behind_proxy =
            !self.prefix.is_empty() || std::env::var_os("JUPYTERHUB_SERVICE_PREFIX").is_some();
        let access = Access::new(token, address.port(), behind_proxy);
        let watch = cluster.watch();
        let feed = Arc::new(Feed::new(watch.clone()));
        let router = server::router(feed, access, &self.prefix);
        listener.set_nonblocking(true).map_err(Error::Start)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::Start)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("datacube-dashboard".to_owned())
            .spawn(move || {
                runtime.block_on(server::serve(listener, router, stopped));
                runtime.shutdown_background();
            })
            .map_err(Error::Start)?;
        watch.set_dashboard_link(Some(link.clone()));
        Ok(Dashboard {
            link,
            address,
            warning,
            watch,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

fn listen(wanted: SocketAddr) -> Result<(std::net::TcpListener, Option<String>)> {
    let source = match std::net::TcpListener::bind(wanted) {
        Ok(listener) => return Ok((listener, None)),
        Err(error) => error,
    };
    if source.kind() != std::io::ErrorKind::AddrInUse || wanted.port() == 0 {
        return Err(Error::Listen {
            address: wanted,
            source,
        });
    }
    let any = SocketAddr::new(wanted.ip(), 0);
    let listener = std::net::TcpListener::bind(any).map_err(|source| Error::Listen {
        address: any,
        source,
    })?;
    let port = listener.local_addr().map_err(Error::Start)?.port();
    let warning = format!(
        "port {} is taken, perhaps by another dashboard; this one is on port {port}",
        wanted.port()
    );
    tracing::warn!("{warning}");
    Ok((listener, Some(warning)))
}
