//! The stores of the process: what `configure_s3_access` is about.
//!
//! Cubes read through one registry of stores unless they are given another, so
//! that connections, credentials and counters are shared by all of them and by
//! every cluster of the process. What is set here stays in the process: a plan
//! that travels carries addresses and names, never credentials.

use std::sync::OnceLock;

use datacube_load::{S3Access, StoreOptions, StoreRegistry};

use crate::Result;

/// The stores of the process.
pub fn stores() -> &'static StoreRegistry {
    static STORES: OnceLock<StoreRegistry> = OnceLock::new();
    STORES.get_or_init(StoreRegistry::new)
}

/// Sets how S3 is reached from now on, for every cube of the process that has
/// no stores of its own.
///
/// ```
/// use datacube::{S3Access, configure_s3_access};
/// // configure_s3_access(aws_unsigned=False, requester_pays=True)
/// configure_s3_access(S3Access::requester_pays())?;
/// # Ok::<(), datacube::Error>(())
/// ```
///
/// Unlike Python's, it freezes no credentials, so that loads may last longer
/// than a session, and it need not be called again for a cluster. Nobody is
/// asked: credentials that are refused are an error of the first read.
///
/// # Errors
/// [`crate::Error::Load`] for a profile that is not there, and for requester
/// pays together with unsigned requests.
pub fn configure_s3_access(access: S3Access) -> Result<()> {
    let options = stores().options().with_s3(access);
    configure_stores(options)
}

/// Sets how all stores are reached from now on: retries, limits and timeouts
/// besides S3.
///
/// # Errors
/// As [`configure_s3_access`].
pub fn configure_stores(options: StoreOptions) -> Result<()> {
    Ok(stores().configure(options)?)
}
