//! Who signs or changes the addresses of files.

use std::sync::atomic::{AtomicU64, Ordering};

use datacube_load::{Signer, StoreRegistry};

/// Who signs the addresses of files.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PatchUrl {
    /// A signer by its name, which travels with a plan.
    Named(String),
    /// A signer of one's own, for loads that this process carries out; to have it
    /// elsewhere, register it there and give its name.
    Own(Signer),
}

impl PatchUrl {
    /// The name that the signer has among `stores`.
    pub(crate) fn name_in(&self, stores: &StoreRegistry) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        match self {
            PatchUrl::Named(name) => name.clone(),
            PatchUrl::Own(signer) => {
                let number = COUNT.fetch_add(1, Ordering::Relaxed);
                let name = format!("a function ({number} of process {})", std::process::id());
                stores.register_signer(&name, signer.clone());
                name
            }
        }
    }
}

impl From<&str> for PatchUrl {
    fn from(name: &str) -> Self {
        PatchUrl::Named(name.to_owned())
    }
}

impl From<String> for PatchUrl {
    fn from(name: String) -> Self {
        PatchUrl::Named(name)
    }
}

impl From<Signer> for PatchUrl {
    fn from(signer: Signer) -> Self {
        PatchUrl::Own(signer)
    }
}
