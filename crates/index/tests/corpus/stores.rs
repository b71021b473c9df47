//! One index of each kind, as many as are wanted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datacube_index::{Index, MemoryIndex, open_or_init};
use datacube_testkit::Cluster;
use tempfile::TempDir;

/// A kind of index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite,
    Postgis,
}

/// Where indexes are made.
pub(crate) struct Stores {
    folder: TempDir,
    cluster: Option<Cluster>,
    n_files: AtomicUsize,
}

impl Stores {
    pub(crate) fn new() -> Self {
        Stores {
            folder: tempfile::tempdir().expect("a folder"),
            cluster: Cluster::start(),
            n_files: AtomicUsize::new(0),
        }
    }

    /// The kinds that there are here: PostGIS where it is installed.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let mut kinds = vec![Kind::Memory, Kind::Sqlite];
        kinds.extend(self.cluster.is_some().then_some(Kind::Postgis));
        kinds
    }

    /// A new index.
    pub(crate) async fn fresh(&self, kind: Kind) -> Arc<dyn Index> {
        let url = match (kind, &self.cluster) {
            (Kind::Memory, _) => return Arc::new(MemoryIndex::new()),
            (Kind::Postgis, Some(cluster)) => cluster.database(),
            _ => {
                let nth = self.n_files.fetch_add(1, Ordering::Relaxed);
                format!("sqlite:{}/{nth}.db", self.folder.path().display())
            }
        };
        open_or_init(&url).await.expect("a new index")
    }
}
