//! What faults leave behind, through the real binary: writers that are killed,
//! two at once, documents that are broken, disks that are full, servers that
//! want passwords and TLS.
//!
//! Whatever happened, every dataset is whole or not there, and doing the same
//! again ends well.

mod archive;
mod closed;
mod disk;
mod killed;
mod logins;
mod malformed;
mod writers;

#[allow(dead_code, reason = "it is the kit of the commands' tests")]
#[path = "../admin/kit.rs"]
mod kit;
