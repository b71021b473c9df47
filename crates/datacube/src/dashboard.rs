//! A dashboard that also knows the stores, and where on earth a cube lies.
//!
//! ```
//! use datacube::compute::{Client, LocalCluster};
//! use datacube::dashboard;
//! let cluster = LocalCluster::new().n_workers(2).start()?;
//! let client = Client::new(&cluster)?;
//! let page = dashboard::options(&cluster).port(0).start(&cluster).expect("a free port");
//! assert_eq!(client.dashboard_link().as_deref(), Some(page.link()));
//! # Ok::<(), datacube::compute::Error>(())
//! ```

use datacube_compute::LocalCluster;
use datacube_compute::observe::{Footprint, StoreGauge};
pub use datacube_dashboard::{Dashboard, DashboardOptions, Error};

use crate::{HasGeoBox, Result, stores};

/// Serves `cluster` on `127.0.0.1:8787`, or on a free port where that one is
/// taken, with the traffic of the process' stores.
///
/// # Errors
/// An address that cannot be listened on.
pub fn start(cluster: &LocalCluster) -> Result<Dashboard, Error> {
    options(cluster).start(cluster)
}

/// Options of a dashboard that shows the traffic of the process' stores.
pub fn options(cluster: &LocalCluster) -> DashboardOptions {
    watch_stores(cluster);
    Dashboard::options()
}

/// Has `cluster` tell of the process' stores, for dashboards and reports.
pub fn watch_stores(cluster: &LocalCluster) {
    cluster.monitor().set_stores(|| {
        let hosts = stores().stats().hosts.into_iter();
        hosts
            .map(|(name, host)| StoreGauge {
                name,
                requests: host.requests,
                retries: host.retries,
                failures: host.failures,
                bytes: host.bytes,
                in_flight: host.in_flight,
            })
            .collect()
    });
}

/// Says where the chunks of what is computed next lie: beside the map of the
/// dashboard stand the reference system and the bounds of `cube`.
///
/// # Errors
/// Those of [`HasGeoBox::geobox`].
pub fn set_footprint(cluster: &LocalCluster, cube: &impl HasGeoBox) -> Result<()> {
    let geobox = cube.geobox()?;
    let bounds = geobox.bounding_box();
    cluster.monitor().set_footprint(Some(Footprint {
        crs: geobox.crs().map(ToString::to_string).unwrap_or_default(),
        bounds: [bounds.left, bounds.bottom, bounds.right, bounds.top],
    }));
    Ok(())
}
