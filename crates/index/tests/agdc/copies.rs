//! Copies into indexes that can be changed.

use std::sync::Arc;

use datacube_index::{
    ArchivedFilter, CloneOptions, Index, IndexExt, clone_index, open, open_or_init,
};
use datacube_model::Dataset;
use datacube_testkit::Cluster;
use uuid::Uuid;

use crate::fixture::{legacy, readable, relations};

/// What an index holds of datasets, lineage aside.
async fn held(index: &dyn Index) -> Vec<Dataset> {
    let everything = readable().archived(ArchivedFilter::Any);
    index.find(&everything).await.expect("read")
}

#[tokio::test]
async fn a_copy_holds_the_same() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let legacy = open(&legacy(&cluster)).await.expect("a legacy index");
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = format!("sqlite:{}", folder.path().join("copy.sqlite").display());
    let options = CloneOptions::default().archived(true).batch_size(3);
    for url in [sqlite, cluster.database()] {
        let copy: Arc<dyn Index> = open_or_init(&url).await.expect("made");
        let copied = clone_index(&*legacy, &*copy, &options, &mut |_| {}).await;
        let report = copied.expect("copied");
        // Python could not read PostGIS any more with such a product in it.
        let left_out: &[&str] = match url.starts_with("postgresql") {
            true => &["old"],
            false => &[],
        };
        assert_eq!(report.products_left_out, left_out);
        assert_eq!(report.products, 3 - left_out.len() as u64);
        assert_eq!((report.datasets, report.relations), (7, 3));
        assert_eq!(report.failed.len(), 1);
        assert_eq!(report.failed[0].0, Uuid::from_u128(5));
        assert_eq!(held(&*copy).await, held(&*legacy).await);
        assert_eq!(relations(&*copy).await, relations(&*legacy).await);
        for name in ["shared", "other"] {
            assert_eq!(
                copy.product(name).await.expect("copied"),
                legacy.product(name).await.expect("it is there")
            );
        }
        let again = clone_index(&*legacy, &*copy, &options, &mut |_| {}).await;
        let again = again.expect("copied");
        assert_eq!(
            (again.datasets, again.datasets_skipped, again.relations),
            (0, 7, 0)
        );
    }
}
