//! A page to watch a cluster on, served by this process.
//!
//! ```
//! use datacube_compute::{Client, LocalCluster};
//! use datacube_dashboard::Dashboard;
//! let cluster = LocalCluster::new().n_workers(2).start().unwrap();
//! let dashboard = Dashboard::options().port(0).start(&cluster)?;
//! assert!(dashboard.link().starts_with("http://127.0.0.1:"));
//! assert_eq!(cluster.dashboard_link().as_deref(), Some(dashboard.link()));
//! # Ok::<(), datacube_dashboard::Error>(())
//! ```
//!
//! Every section of a page is rendered here, once for the page as it is asked
//! for and again for each update, which a few lines of script put in its place.
//! So tables are all there with scripts blocked, and what goes over the wire is
//! bounded by what fits on a screen, however many tasks there are. Nothing is
//! fetched from anywhere else.
//!
//! By default only this machine can connect. An address that others reach has
//! to be asked for, and then every request needs a token: it is part of the
//! link, is compared in constant time, and becomes a cookie.

mod access;
mod feed;
mod link;
mod metrics;
mod options;
mod pages;
mod sections;
mod server;

use std::fmt;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use datacube_compute::ClusterWatch;
use tokio::sync::oneshot;

pub use options::DashboardOptions;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong when a dashboard starts.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("the dashboard cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or its runtime cannot be started.
    #[error("the dashboard cannot be started: {0}")]
    Start(std::io::Error),
}

/// A running dashboard; dropping it ends it.
#[must_use = "the dashboard ends where this is dropped"]
pub struct Dashboard {
    link: String,
    address: SocketAddr,
    warning: Option<String>,
    watch: ClusterWatch,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Dashboard {
    /// Serves `cluster` on `127.0.0.1:8787`, or on a free port where that one
    /// is taken.
    ///
    /// # Errors
    /// [`Error`], if no address can be listened on.
    pub fn start(cluster: &datacube_compute::LocalCluster) -> Result<Dashboard> {
        Dashboard::options().start(cluster)
    }

    /// Says where and how it is served.
    pub fn options() -> DashboardOptions {
        DashboardOptions::default()
    }

    /// What to open in a browser; with the token where there is one.
    pub fn link(&self) -> &str {
        &self.link
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why it is not where it was asked for, if it is not.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    /// Ends it.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            self.watch.set_dashboard_link(None);
            // It is gone already if the server failed.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
