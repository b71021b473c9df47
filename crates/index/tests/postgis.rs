//! The PostGIS index keeps the contract, on a server of the test's own.

use std::sync::Arc;

use datacube_index::testing;
use datacube_index::{Index, open_or_init};
use datacube_testkit::Cluster;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_is_kept() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    testing::run_all(|| {
        let url = cluster.database();
        async move {
            let index: Arc<dyn Index> = open_or_init(&url).await.expect("a new index");
            index
        }
    })
    .await;
}
